//! Strictness, counted: a corpus of messages, each with its verdict, and a reading that never differs from hyper's in
//! the dangerous direction.

use super::Line;
use super::site::{self, Site};
use anyhow::{Context, Result, bail};

/// `http1` alone over its corpus.
pub(crate) fn corpus(site: &Site) -> Result<Vec<Line>> {
    let (passed, said) = tests(site, "corpus")?;
    let number = |name: &str| -> Result<u64> {
        let found =
            said.lines().find_map(|line| line.split_once(&format!("{name}="))?.1.split_whitespace().next());
        let word = found.with_context(|| format!("the corpus test printed no {name}=NUMBER"))?;
        word.parse().with_context(|| format!("{name}={word} is no number"))
    };
    let (cases, right, refused) = (number("cases")?, number("right")?, number("legal_refused")?);
    Ok(vec![
        Line::at_least("corpus-cases", cases as f64, 150.0, ""),
        Line::new("corpus-right", right, format!("{cases}"), right == cases && passed),
        Line::none("corpus-legal-refused", usize::try_from(refused)?),
    ])
}

/// The corpus through the real `outrigger proxy --policies off`.
pub(crate) fn end_to_end(_: &Site) -> Result<Vec<Line>> {
    bail!("there is no corpus to send yet")
}

/// The property test against hyper's reading.
pub(crate) fn hyper(site: &Site) -> Result<Vec<Line>> {
    let (passed, said) = tests(site, "hyper")?;
    let ran: u64 = said.lines().filter_map(passed_in).sum();
    Ok(vec![Line::new(
        "differs-from-hyper-dangerously",
        format!("{ran} tests, passed: {passed}"),
        "never",
        passed && ran > 0,
    )])
}

/// Runs the tests of `http1` whose names contain `filter`; whether they passed, and what they said.
fn tests(site: &Site, filter: &str) -> Result<(bool, String)> {
    let mut test = site::cargo();
    test.args(["test", "--locked", "--package", "http1", "--", filter, "--nocapture"]);
    let output = test.current_dir(site.root()).output().context("could not run cargo test")?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        eprintln!("{}", site::last_lines(&said, 30));
    }
    Ok((output.status.success(), said))
}

/// The count in `test result: ok. 3 passed; …`.
fn passed_in(line: &str) -> Option<u64> {
    line.strip_prefix("test result: ok. ")?.split(' ').next()?.parse().ok()
}
