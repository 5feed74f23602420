//! The figures as Markdown.

use super::figures::{Figures, Row, Samples};
use super::wrk::Workload;
use std::fmt::Write as _;

/// Above this share of waiting for other programs, the tables say that the machine was busy.
const QUIET: f64 = 0.03;

/// All tables, with what must stand beside them.
pub(super) fn markdown(figures: &Figures) -> String {
    let mut text = String::from("# This proxy beside its peers\n\n");
    // Writing to a string cannot fail.
    let _ = head(&mut text, figures);
    processor(&mut text, figures);
    ratios(&mut text, figures);
    others(&mut text, figures);
    text
}

fn head(text: &mut String, figures: &Figures) -> std::fmt::Result {
    let machine = &figures.machine;
    writeln!(
        text,
        "Written by `cargo xtask bench proxy`; [README.md](README.md) says how figures are made.\n"
    )?;
    writeln!(text, "- Machine: {}, {} cores, Linux {}.", machine.processor, machine.cores, machine.kernel)?;
    let versions = figures.rows.iter().map(|row| format!("{} {}", row.contestant.name(), row.version));
    writeln!(text, "- Versions: {}.", versions.collect::<Vec<_>>().join(", "))?;
    writeln!(
        text,
        "- One interleaved run, rounds: {}, windows of {} s; medians, smallest and largest in brackets.",
        figures.runs, figures.seconds
    )?;
    writeln!(
        text,
        "- The proxy alone on one core with one worker; load and back end on the other. Access logs off."
    )?;
    let disturbed = figures.disturbed();
    if disturbed > QUIET {
        writeln!(
            text,
            "- **The machine was busy**: proxies waited up to {:.0} % of their time for other programs; \
             take these figures for nothing but a test of the machinery.",
            disturbed * 100.0
        )?;
    }
    for row in figures.rows.iter().filter(|row| row.errors > 0) {
        writeln!(
            text,
            "- **{} had {} failed requests**: its figures mean nothing.",
            row.contestant.name(),
            row.errors
        )?;
    }
    writeln!(text)
}

fn processor(text: &mut String, figures: &Figures) {
    let columns = Workload::ALL.map(|workload| workload.label().to_owned());
    section(text, "Processor time per request, in microseconds (user + system)");
    table(text, figures, &[&columns[..], &["in user space (GET, 32)".to_owned()]].concat(), |row| {
        let mut cells: Vec<_> =
            Workload::ALL.map(|workload| spread(&row.closed(workload).cpu_us, 1)).to_vec();
        cells.push(format!("{:.0} %", row.closed(Workload::Get32).user_share.median() * 100.0));
        cells
    });
    section(text, "Throughput in a closed loop, requests per second");
    table(text, figures, &columns, |row| {
        Workload::ALL.map(|workload| spread(&row.closed(workload).per_second, 0)).to_vec()
    });
}

fn ratios(text: &mut String, figures: &Figures) {
    section(text, "Ratios of processor time per request");
    let header: Vec<_> = Workload::ALL.map(|workload| workload.label().to_owned()).to_vec();
    line(text, "", &header);
    rule(text, header.len());
    for (of, to) in figures.compared() {
        let ratio = |workload| match figures.ratio(of, to, workload) {
            Some(ratio) => format!("{:.2} ({:.2}–{:.2})", ratio.value, ratio.min, ratio.max),
            None => "–".to_owned(),
        };
        line(text, &format!("{} / {}", of.name(), to.name()), &Workload::ALL.map(ratio));
    }
}

fn others(text: &mut String, figures: &Figures) {
    section(
        text,
        &format!("Latency of GET 1 KiB at {:.0} requests per second, in microseconds", figures.rate),
    );
    table(text, figures, &["p50", "p99", "p999"].map(str::to_owned), |row| {
        [&row.latency.p50, &row.latency.p99, &row.latency.p999].map(|samples| spread(samples, 0)).to_vec()
    });
    section(text, "Resident memory, in MiB");
    let columns = ["idle", "1,000 idle connections, one request done on each"].map(str::to_owned);
    table(text, figures, &columns, |row| {
        vec![format!("{:.1}", row.idle_mib), format!("{:.1}", row.held_mib)]
    });
}

fn section(text: &mut String, title: &str) {
    text.push_str(if text.ends_with("\n\n") { "## " } else { "\n## " });
    text.push_str(title);
    text.push_str("\n\n");
}

fn table(text: &mut String, figures: &Figures, columns: &[String], cells: impl Fn(&Row) -> Vec<String>) {
    line(text, "", columns);
    rule(text, columns.len());
    for row in &figures.rows {
        line(text, row.contestant.label(), &cells(row));
    }
}

fn line(text: &mut String, first: &str, cells: &[String]) {
    text.push_str(&format!("| {first} | {} |\n", cells.join(" | ")));
}

fn rule(text: &mut String, columns: usize) {
    text.push_str(&format!("|---|{}\n", "---|".repeat(columns)));
}

fn spread(samples: &Samples, digits: usize) -> String {
    format!("{:.digits$} ({:.digits$}–{:.digits$})", samples.median(), samples.min(), samples.max())
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::sample;
    use super::*;

    #[test]
    fn every_table_has_a_row_for_each_contestant() {
        let text = markdown(&sample());
        assert_eq!(text.matches("| **Outrigger**, default policies |").count(), 4, "{text}");
        assert_eq!(text.matches("raw TCP relay (the limit)").count(), 4);
        assert!(text.contains("| outrigger / relay | 1.15 (1.10–1.20) |"), "{text}");
        assert!(text.contains("| 11.5 (11.0–12.0) |"), "{text}");
        assert!(!text.contains("was busy"));
    }

    #[test]
    fn a_busy_machine_and_failures_are_said_aloud() {
        let mut figures = sample();
        figures.rows[1].closed[0].waited_share = Samples(vec![0.1, 0.3]);
        figures.rows[0].errors = 7;
        let text = markdown(&figures);
        assert!(text.contains("up to 20 %") && text.contains("relay had 7 failed requests"), "{text}");
    }
}
