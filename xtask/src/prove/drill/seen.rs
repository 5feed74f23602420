//! What pass lines showed over several seeds, as lines of the proof.

use super::Line;
use crate::prove::rounded;
use anyhow::{Context, Result};
use api::{Drill, DrillAcceptance, DrillLine};
use serde_json::{Map, Value, json};

/// One pass line over all seeds.
pub(super) struct Seen<'a> {
    pub(super) name: &'a str,
    pub(super) says: &'a str,
    pub(super) passed: usize,
    pub(super) of: usize,
    numbers: Vec<f64>,
    times: Vec<&'a str>,
}

/// The list of pass lines `name` of a drill.
pub(super) fn list<'a>(drill: &'a Drill, name: &str) -> Result<&'a DrillAcceptance> {
    drill.acceptance.get(name).with_context(|| format!("{} was not judged by {name}", drill.scenario))
}

/// Each pass line of a list. A seed whose run broke a promise has a line more.
pub(super) fn lines(list: &DrillAcceptance) -> Vec<Seen<'_>> {
    let mut seen: Vec<Seen<'_>> = Vec::new();
    for line in list.seeds.iter().flat_map(|seed| &seed.lines) {
        match seen.iter_mut().find(|seen| seen.name == line.name) {
            Some(seen) => seen.add(line),
            None => {
                let mut new = Seen {
                    name: &line.name,
                    says: &line.says,
                    passed: 0,
                    of: list.seeds.len(),
                    numbers: vec![],
                    times: vec![],
                };
                new.add(line);
                seen.push(new);
            }
        }
    }
    seen
}

impl<'a> Seen<'a> {
    fn add(&mut self, line: &'a DrillLine) {
        self.passed += usize::from(line.passed);
        self.numbers.extend(line.number);
        self.times.extend(line.time.as_deref());
        self.numbers.sort_by(f64::total_cmp);
        self.times.sort_unstable();
    }

    /// The number in the middle; of an even count the higher of the two.
    pub(super) fn median(&self) -> Option<f64> {
        self.numbers.get(self.numbers.len() / 2).copied()
    }

    /// Median, lowest and highest, and how many seeds passed.
    pub(super) fn value(&self) -> Value {
        let mut value = Map::new();
        if let (Some(median), [lowest, .., highest] | [lowest @ highest]) = (self.median(), &*self.numbers) {
            value.insert("median".into(), json!(rounded(median)));
            value.insert("lowest".into(), json!(rounded(*lowest)));
            value.insert("highest".into(), json!(rounded(*highest)));
        }
        if let [earliest, .., latest] | [earliest @ latest] = &*self.times {
            value.insert("median".into(), json!(self.times[self.times.len() / 2]));
            value.insert("earliest".into(), json!(earliest));
            value.insert("latest".into(), json!(latest));
        }
        let seen = self.numbers.len() + self.times.len();
        if seen < self.of {
            value.insert("never".into(), json!(self.of - seen));
        }
        value.insert("passed".into(), json!(self.passed));
        value.insert("of".into(), json!(self.of));
        Value::Object(value)
    }

    /// A claim: the median lies in `bounds`; without them, so many seeds pass as the list asks for.
    pub(super) fn line(&self, name: String, must_pass: u64, bounds: Option<(f64, f64)>) -> Line {
        let of = self.of;
        let Some((from, to)) = bounds else {
            let bar = format!("{}; >= {must_pass} of {of} seeds", self.says);
            return Line::new(name, self.value(), bar, self.passed as u64 >= must_pass);
        };
        let asked = if to.is_finite() { format!("{from} to {to}") } else { format!(">= {from}") };
        let bar = format!("{}; median {asked} over {of} seeds", self.says);
        Line::new(name, self.value(), bar, self.median().is_some_and(|median| (from..=to).contains(&median)))
    }
}

/// How many seeds passed all lines, and which lines did not pass with how many seeds.
pub(super) fn summary(list: &DrillAcceptance) -> Value {
    let failed = lines(list).into_iter().filter(|line| line.passed < line.of);
    let failed: Map<String, Value> =
        failed.map(|line| (line.name.to_owned(), json!(line.of - line.passed))).collect();
    json!({ "passed": list.passed, "of": list.of, "seeds_that_fail_a_line": failed })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn line(number: Option<f64>, time: Option<&str>, passed: bool) -> DrillLine {
        let time = time.map(str::to_owned);
        DrillLine { name: "n".into(), says: "It is so".into(), passed, number, time }
    }

    fn judged(lines: Vec<DrillLine>) -> DrillAcceptance {
        let passed = lines.iter().filter(|line| line.passed).count() as u64;
        let of = lines.len() as u64;
        let seed = |(i, line): (usize, DrillLine)| api::DrillSeed {
            seed: i as u64,
            passed: line.passed,
            lines: vec![line],
        };
        let seeds = lines.into_iter().enumerate().map(seed).collect();
        DrillAcceptance { passed, of, must_pass: 2, holds: passed >= 2, seeds }
    }

    #[test]
    fn numbers_have_a_median_and_bounds() {
        let list = judged(vec![
            line(Some(3.0), None, true),
            line(Some(1.0), None, true),
            line(Some(2.0), None, false),
        ]);
        let seen = lines(&list);
        let value = json!({ "median": 2.0, "lowest": 1.0, "highest": 3.0, "passed": 2, "of": 3 });
        assert_eq!(seen[0].value(), value);
        assert!(seen[0].line("x".into(), 2, Some((1.5, 2.5))).pass);
        assert!(!seen[0].line("x".into(), 2, Some((2.5, f64::INFINITY))).pass);
        assert!(!seen[0].line("x".into(), 3, None).pass);
        assert_eq!(summary(&list)["seeds_that_fail_a_line"], json!({ "n": 1 }));
    }

    #[test]
    fn times_are_ordered_and_what_never_happened_is_counted() {
        let list = judged(vec![
            line(None, Some("12:01:00"), true),
            line(None, None, false),
            line(None, Some("11:59:00"), true),
        ]);
        let value = json!({
            "median": "12:01:00", "earliest": "11:59:00", "latest": "12:01:00", "never": 1, "passed": 2, "of": 3
        });
        assert_eq!(lines(&list)[0].value(), value);
    }
}
