//! Strictness, counted: a corpus of messages, each with its verdict, and a reading that never differs from hyper's in
//! the dangerous direction.

mod judge;
mod message;
mod stage;

use super::Line;
use super::http::find;
use super::site::{self, Site};
use anyhow::{Result, bail};
use http1::Limits;
use http1::corpus::{self, Case, Expected};
use stage::Stage;

/// The least number of cases in the corpus.
const CASES: f64 = 150.0;

/// `http1` alone over its corpus, whole messages; its own tests also cut each at every byte.
pub(crate) fn corpus(_: &Site) -> Result<Vec<Line>> {
    let cases = cases()?;
    let is_right =
        |case: &&Case| case.expected.is(&corpus::read(&case.direction, &case.limits, [&case.bytes[..]]));
    let wrong: Vec<&Case> = cases.iter().filter(|case| !is_right(case)).collect();
    wrong.iter().for_each(|case| eprintln!("corpus: {} ({})", case.name, case.section));
    Ok(counted("corpus", cases.len(), &wrong))
}

/// The corpus through the real `outrigger proxy --policies off`: what comes out of the other side.
pub(crate) fn end_to_end(site: &Site) -> Result<Vec<Line>> {
    let stage = Stage::set(site)?;
    let all = cases()?;
    // A case with limits of its own asks about a setting that the proxy has otherwise.
    let (sent, left_out): (Vec<&Case>, Vec<&Case>) =
        all.iter().partition(|case| case.limits == Limits::default());
    let mut wrong = Vec::new();
    for case in &sent {
        if let Err(error) = judge::judge(&stage, case) {
            eprintln!("end to end: {} ({}): {error:#}", case.name, case.section);
            wrong.push(*case);
        }
        if !stage.alive() {
            bail!("the proxy did not survive {}", case.name);
        }
    }
    let mut lines = counted("end-to-end", sent.len(), &wrong);
    lines.push(Line::printed("end-to-end-left-out-for-their-own-limits", left_out.len()));
    Ok(lines)
}

fn cases() -> Result<Vec<Case>> {
    corpus::cases().map_err(|fault| anyhow::anyhow!("the corpus cannot be read: {fault}"))
}

/// How many cases there are, how many got their reading, and how many of the others are legal messages.
fn counted(name: &str, cases: usize, wrong: &[&Case]) -> Vec<Line> {
    let legal = wrong.iter().filter(|case| matches!(case.expected, Expected::Accepted(_))).count();
    let right = cases - wrong.len();
    vec![
        Line::at_least(format!("{name}-cases"), cases as f64, CASES, ""),
        Line::new(format!("{name}-right"), right, format!("{cases}"), wrong.is_empty()),
        Line::none(format!("{name}-legal-refused-or-changed"), legal),
    ]
}

/// The property test against hyper's reading, which is the file of tests of that name.
pub(crate) fn hyper(site: &Site) -> Result<Vec<Line>> {
    let mut test = site::cargo();
    test.args(["test", "--locked", "--package", "http1", "--test", "hyper"]).current_dir(site.root());
    let said = site::output_of(&mut test)?;
    let ran: u64 = said.lines().filter_map(passed_in).sum();
    Ok(vec![Line::new(
        "differs-from-hyper-dangerously",
        format!("{ran} tests passed"),
        "never, in >= 1 test",
        ran > 0,
    )])
}

/// The count in `test result: ok. 3 passed; …`.
fn passed_in(line: &str) -> Option<u64> {
    line.strip_prefix("test result: ok. ")?.split(' ').next()?.parse().ok()
}
