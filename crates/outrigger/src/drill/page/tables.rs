//! The page's tables: runs side by side, policies compared, pass lines judged.

use super::escaped;
use crate::drill::figures::Figures;
use crate::drill::story::Story;
use crate::drill::transcript::{names, value};
use crate::drill::words::{count, percent, times};
use model::Share;
use sim::report::{Row, Verdict};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The figures of the runs.
pub(super) fn side_by_side(story: &Story, figures: &[Figures]) -> String {
    let heads = names(story);
    let heads = heads
        .iter()
        .zip(["run", "beside"])
        .map(|(n, class)| format!("<th class=\"{class}\">{}</th>", escaped(n)));
    let mut rows = String::new();
    let columns: Vec<_> = figures.iter().map(Figures::rows).collect();
    for (i, (head, _)) in columns.first().into_iter().flatten().enumerate() {
        let cells: Vec<String> =
            columns.iter().map(|column| format!("<td>{}</td>", escaped(&column[i].1))).collect();
        if cells.iter().all(|cell| cell == "<td>–</td>") {
            continue;
        }
        writeln!(rows, "<tr><td>{}</td>{}</tr>", escaped(head.trim()), cells.concat()).expect("a string");
    }
    table(
        &format!("In figures, {}", story.window()),
        &format!("<th></th>{}", heads.collect::<String>()),
        &rows,
        "",
    )
}

/// Policies compared over the seeds.
pub(super) fn compared(story: &Story) -> String {
    if story.rows.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for row in &story.rows {
        writeln!(rows, "<tr>{}</tr>", cells(row)).expect("a string");
    }
    let heads =
        ["policies", "people served", "worst seed", "minutes below one half", "kills", "attempts", "no room"];
    let heads: String = heads.iter().map(|head| format!("<th>{head}</th>")).collect();
    let note = format!(
        "<p class=\"faint\">{}, the median of {} and the worst of them; kills, attempts for each call and instances without \
         room are medians.</p>",
        story.window(),
        seeds(story)
    );
    table("What each policy does", &heads, &rows, &note)
}

fn seeds(story: &Story) -> String {
    if story.seeds.1 == 1 { "one seed".into() } else { format!("{} seeds", story.seeds.1) }
}

fn cells(row: &Row) -> String {
    let bar = |share: Share| {
        format!("<span class=\"bar\"><i style=\"width:{:.1}%\"></i></span>", share.part() * 100.0)
    };
    let numbers = [
        percent(row.availability.1.part()),
        format!("{:.1}", row.minutes_below_half.0),
        count(row.kills.0 as f64),
        times(row.attempts.0),
        count(row.unplaced.0 as f64),
    ];
    let numbers: String = numbers.iter().map(|n| format!("<td>{n}</td>")).collect();
    let served = format!("<td>{}{}</td>", percent(row.availability.0.part()), bar(row.availability.0));
    format!("<td>{}</td>{served}{numbers}", escaped(&row.policies))
}

/// A list of pass lines: how many seeds pass each, and what the first seed showed.
pub(super) fn judged(story: &Story, verdict: &Verdict) -> String {
    let (passed, of) = (verdict.passed(), verdict.seeds.len());
    let class = if passed >= verdict.must_pass as usize { "good" } else { "bad" };
    let mut passes: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in verdict.seeds.iter().flat_map(|(_, findings)| findings) {
        *passes.entry(&finding.name).or_default() += usize::from(finding.passed);
    }
    let mut rows = String::new();
    for finding in verdict.seeds.first().into_iter().flat_map(|(_, findings)| findings) {
        let passes = passes.get(finding.name.as_str()).copied().unwrap_or(0);
        let class = if passes == of { "good" } else { "bad" };
        let seen = value(&story.scenario, finding.value);
        writeln!(
            rows,
            "<tr><td class=\"words\">{}</td><td>{}</td><td class=\"{class}\">{passes} of {of}</td></tr>",
            escaped(&finding.says),
            escaped(&seen)
        )
        .expect("a string");
    }
    let note = format!(
        "<p><span class=\"{class}\">{passed} of {of}</span> seeds pass every line; {} must.</p>",
        verdict.must_pass
    );
    let first = story.seeds.0;
    let heads = format!("<th>what must be seen</th><th>seed {first}</th><th>seeds</th>");
    table(&format!("Acceptance {}", escaped(&verdict.name)), &heads, &rows, &note)
}

fn table(title: &str, heads: &str, rows: &str, note: &str) -> String {
    format!(
        "<section>\n<h2>{title}</h2>\n{note}<div class=\"scroll\"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n</section>\n"
    )
}
