//! A drill as JSON says it.

use super::figures::{Figures, window};
use super::happening::{clock, happenings};
use super::story::Story;
use model::Share;
use model::scenario::Scenario;
use sim::report::{Finding, Report, Row, Value, Verdict};

/// The shape of `-o json`.
pub(crate) fn shape(story: &Story) -> api::Drill {
    let (from, to) = window(&story.scenario);
    let clock = |at| clock(story.scenario.starts, at);
    api::Drill {
        version: api::VERSION,
        scenario: story.run.scenario.clone(),
        scale: story.scenario.scale,
        command: story.command.clone(),
        wall_ms: story.took.as_millis() as u64,
        window: [clock(from), clock(to)],
        runs: story.runs().map(|run| one_run(run, &story.scenario)).collect(),
        compared: story.rows.iter().map(row).collect(),
        acceptance: story.verdicts.iter().map(|v| (v.name.clone(), acceptance(v, &story.scenario))).collect(),
    }
}

/// JSON has no word for what is not a number.
fn number(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn one_run(run: &Report, scenario: &Scenario) -> api::DrillRun {
    let figures = Figures::of(run, scenario);
    let mut outcomes = std::collections::BTreeMap::new();
    run.outcomes.iter().for_each(|(outcome, n)| *outcomes.entry(outcome.word().to_owned()).or_default() += n);
    api::DrillRun {
        policies: run.policies.clone(),
        operators: run.operators,
        seed: run.seed,
        availability: number(figures.availability),
        worst_ten_seconds: number(figures.worst),
        minutes_below_half: figures.minutes_below_half,
        p99_ms: number(figures.p99 * 1000.0),
        attempts: number(figures.attempts),
        kills: figures.kills,
        progressing_killed: figures.progressing_killed,
        unplaced: figures.unplaced,
        breakers_rested: figures.rests as u64,
        used_of_reserved: number(figures.used_of_reserved),
        outcomes,
        events: run.events,
        hash: format!("{:016x}", run.hash),
        broken: run.broken.clone(),
        timeline: timeline(run),
    }
}

fn timeline(run: &Report) -> Vec<api::DrillHappening> {
    let told = happenings(run).into_iter().map(|happening| api::DrillHappening {
        time: clock(run.starts, happening.at),
        at_ms: happening.at.as_nanos() / 1_000_000,
        mark: happening.mark,
        text: happening.text,
    });
    told.collect()
}

fn row(row: &Row) -> api::DrillRow {
    let shares = |(median, worst): (Share, Share)| [median.part(), worst.part()];
    api::DrillRow {
        policies: row.policies.clone(),
        availability: shares(row.availability),
        minutes_below_half: row.minutes_below_half.into(),
        kills: row.kills.into(),
        attempts: row.attempts.into(),
        unplaced: row.unplaced.into(),
    }
}

fn acceptance(verdict: &Verdict, scenario: &Scenario) -> api::DrillAcceptance {
    let lines = |findings: &[Finding]| findings.iter().map(|finding| line(finding, scenario)).collect();
    let seed = |(seed, findings): &(u64, Vec<Finding>)| api::DrillSeed {
        seed: *seed,
        passed: findings.iter().all(|f| f.passed),
        lines: lines(findings),
    };
    api::DrillAcceptance {
        passed: verdict.passed() as u64,
        of: verdict.seeds.len() as u64,
        must_pass: u64::from(verdict.must_pass),
        holds: verdict.passed() >= verdict.must_pass as usize,
        seeds: verdict.seeds.iter().map(seed).collect(),
    }
}

fn line(finding: &Finding, scenario: &Scenario) -> api::DrillLine {
    let (seen, time) = match finding.value {
        Some(Value::Number(seen)) => (number(seen), None),
        Some(Value::Time(at)) => (None, Some(clock(scenario.starts, at))),
        None => (None, None),
    };
    api::DrillLine {
        name: finding.name.clone(),
        says: finding.says.clone(),
        passed: finding.passed,
        number: seen,
        time,
    }
}
