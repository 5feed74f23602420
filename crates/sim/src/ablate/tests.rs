//! Many runs that play nothing: how they are measured, ordered, compared and judged.

use super::*;
use crate::report::Entry;
use crate::samples;
use model::scenario::{Bound, PassLine, Take};
use std::time::Duration;

fn s(second: u64) -> Moment {
    Moment::from_millis(second * 1000)
}

/// Plays nothing: people send 10 a second for 20 s; of seed n, n of them get an answer in seconds 10 to 20. Operators
/// see to it that all do.
fn play(scenario: &Scenario, choice: &Choice, seed: u64) -> Report {
    let useful = if choice.operators { 10.0 } else { seed as f32 };
    let half = |before: f32, after: f32| [vec![before; 10], vec![after; 10]].concat();
    let series = [
        ("site.demand", vec![10.0; 20]),
        ("site.useful", half(10.0, useful)),
        ("site.success", half(1.0, useful / 10.0)),
        ("site.calls", half(10.0, 30.0)),
        ("site.attempts", half(1.0, 1.0 + seed as f32)),
        ("a.unplaced", half(1.0, 2.0)),
        ("b.unplaced", half(seed as f32, 0.0)),
    ];
    Report {
        scenario: scenario.name.clone(),
        policies: choice.to_string(),
        operators: choice.operators,
        seed,
        every: Duration::from_secs(1),
        series: series.into_iter().map(|(name, values)| (name.to_owned(), values)).collect(),
        log: (0..seed).map(|at| killed(s(at))).collect(),
        broken: if seed == 99 { vec!["one was lost".to_owned()] } else { Vec::new() },
        ..Report::default()
    }
}

fn killed(at: Moment) -> Entry {
    let healthy_for = Duration::ZERO;
    Entry { at, what: Occurrence::Killed { service: 0, instance: 0, reason: "unresponsive", healthy_for } }
}

fn scenario() -> Scenario {
    Scenario { trouble: Some((s(10), s(20))), ..samples::scenario(1) }
}

fn list() -> Acceptance {
    let line = |operators, least| PassLine {
        name: "up".to_owned(),
        says: "It is up".to_owned(),
        operators,
        series: "site.success".to_owned(),
        take: Take::Least(s(0), s(20)),
        relative_to: None,
        bound: Bound::Number(least, 1.0),
    };
    let lines = vec![line(None, 0.5), line(Some(true), 1.0)];
    Acceptance { name: "A".to_owned(), policies: None, operators: false, seeds: 20, must_pass: 18, lines }
}

#[test]
fn a_run_is_measured_in_its_window() {
    let scenario = scenario();
    let of = |scenario: &Scenario| Measures::of(&play(scenario, &Choice::own(scenario), 4), scenario);
    let found = of(&scenario);
    assert!((found.availability.part() - 0.4).abs() < 1e-9);
    assert!((found.minutes_below_half - 10.0 / 60.0).abs() < 1e-9);
    assert_eq!((found.kills, found.unplaced, found.attempts), (4, 5, 5.0));
    let whole = of(&Scenario { trouble: None, ..scenario });
    assert!((whole.availability.part() - 0.7).abs() < 1e-9);
    assert_eq!(whole.attempts, (100.0 + 300.0 * 5.0) / 400.0, "by calls, not by seconds");
}

#[test]
fn nothing_at_all_is_no_failure() {
    let found = Measures::of(&Report::default(), &scenario());
    assert_eq!((found.availability, found.attempts, found.kills), (Share::ALL, 1.0, 0));
}

#[test]
fn rows_have_their_order_and_their_worst_seed() {
    let scenario = scenario();
    let rows = ablate(&scenario, false, &Runs::new(play, &[7, 2, 9, 3]));
    assert_eq!(rows.len(), 2 + 2 * Component::ALL.len());
    let names: Vec<&str> = rows.iter().map(|r| r.policies.as_str()).collect();
    assert_eq!(names[..3], ["default", "default", "default without retry"]);
    assert_eq!(names[15], "default with reservation");
    let percent = |share: Share| (share.part() * 100.0).round();
    let (median, worst) = rows[0].availability;
    assert_eq!((percent(median), percent(worst)), (30.0, 20.0));
    assert_eq!((rows[0].kills, rows[0].unplaced), ((7, 9), (8, 10)));
}

#[test]
fn results_come_in_the_order_of_the_seeds() {
    let scenario = scenario();
    let seeds: Vec<u64> = (0..50).rev().collect();
    let told = Mutex::new(Vec::new());
    let progress = |p: Progress| told.lock().expect("nobody panics").push((p.done, p.of));
    let runs = Runs { at_once: 4, progress: &progress, ..Runs::new(play, &seeds) };
    let reports = swarm(&scenario, &Choice::own(&scenario), &runs);
    assert!(reports.iter().map(|r| r.seed).eq(seeds.iter().copied()));
    let mut told = told.lock().expect("nobody panics").clone();
    told.sort_unstable();
    assert!(told.into_iter().eq((1..=50).map(|done| (done, 50))));
    let nobody = Runs { at_once: 0, ..Runs::new(play, &[]) };
    assert!(swarm(&scenario, &Choice::own(&scenario), &nobody).is_empty());
}

#[test]
fn a_verdict_holds_each_line_against_its_run() {
    let found = verdict(&scenario(), &list(), &|choice| choice, &Runs::new(play, &[4, 5, 6, 7]));
    let passed: Vec<(u64, Vec<bool>)> =
        found.seeds.iter().map(|(seed, f)| (*seed, f.iter().map(|f| f.passed).collect())).collect();
    assert_eq!(passed[0], (4, vec![false, true]));
    assert_eq!(passed[1], (5, vec![true, true]));
    assert_eq!((found.passed(), found.must_pass), (3, 4), "18 of 20 are 4 of 4");
    assert_eq!(verdict(&scenario(), &list(), &|choice| choice, &Runs::new(play, &[5; 10])).must_pass, 9);
}

#[test]
fn a_broken_promise_does_not_pass() {
    let found = verdict(&scenario(), &list(), &|choice| choice, &Runs::new(play, &[99]));
    assert_eq!(found.passed(), 0);
    assert!(found.seeds[0].1[2].says.ends_with("one was lost"));
}
