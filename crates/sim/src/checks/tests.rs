//! Promises that are broken are found, and those that are kept are not.

#![allow(clippy::unwrap_used)]

use super::*;
use model::Share;

fn s(second: u64) -> Moment {
    Moment::from_millis(second * 1000)
}

fn entry(second: u64, what: Occurrence) -> Entry {
    Entry { at: s(second), what }
}

fn starting(second: u64, instance: u32) -> Entry {
    entry(second, Occurrence::Starting { service: 0, instance })
}

fn open(second: u64, instance: u32) -> Entry {
    entry(second, Occurrence::Open { service: 0, instance })
}

fn killed(second: u64, instance: u32, reason: &'static str) -> Entry {
    entry(second, Occurrence::Killed { service: 0, instance, reason, healthy_for: Duration::ZERO })
}

fn broken(log: Vec<Entry>) -> Vec<String> {
    check(&Report { log, ..Report::default() })
}

fn with(series: &[(&str, &[f32])]) -> Vec<String> {
    let series = series.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect();
    check(&Report { series, compartments: vec!["main".to_owned()], ..Report::default() })
}

#[test]
fn a_life_in_order_is_fine() {
    let log = vec![starting(1, 7), open(2, 7), open(2, 3), killed(3, 7, "silent"), killed(4, 3, "silent")];
    assert_eq!(broken(log), Vec::<String>::new());
    assert_eq!(broken(vec![starting(1, 7), killed(1, 7, "silent")]), Vec::<String>::new());
}

#[test]
fn lives_are_lived_once() {
    for log in [
        vec![starting(1, 7), starting(1, 7)],
        vec![starting(1, 7), open(2, 7), open(3, 7)],
        vec![killed(1, 7, "silent"), killed(2, 7, "silent")],
        vec![killed(1, 7, "silent"), open(2, 7)],
        vec![open(1, 7), starting(2, 7)],
    ] {
        let found = broken(log.clone());
        assert!(found.len() == 1 && found[0].starts_with("an instance lives once"), "{log:?}: {found:?}");
    }
}

#[test]
fn what_has_no_reason_is_found() {
    for reason in ["", "Because", "it hung"] {
        assert!(broken(vec![killed(1, 7, reason)])[0].starts_with("everything has a reason"), "{reason}");
    }
    assert!(broken(vec![entry(1, Occurrence::Unplaced { service: 0, count: 1, reason: "" })]).len() == 1);
}

#[test]
fn time_does_not_go_back() {
    assert!(broken(vec![open(2, 1), open(1, 2)])[0].starts_with("what happened is told in order"));
}

#[test]
fn capacity_and_requests_are_bounds() {
    assert_eq!(with(&[("main.reserved", &[0.5, 1.0, f32::NAN])]), Vec::<String>::new());
    assert_eq!(
        with(&[("main.reserved", &[0.5, 1.5])]),
        ["reserved is never above capacity: main after 1 s: 1.5"]
    );
    assert_eq!(with(&[("site.useful", &[1.0]), ("site.demand", &[1.0])]), Vec::<String>::new());
    assert_eq!(
        with(&[("site.useful", &[1.0, 3.0]), ("site.demand", &[1.0, 2.0])]),
        ["no request is answered twice: 3 of 2 in second 1"]
    );
}

#[test]
fn kills_are_counted_in_every_window() {
    let minute = Duration::from_secs(60);
    let log =
        |times: &[u64]| -> Vec<Entry> { times.iter().map(|t| killed(*t, *t as u32, "silent")).collect() };
    assert_eq!(kills_within(&log(&[0, 60, 120]), minute, |_, _| 1), None);
    assert!(
        kills_within(&log(&[0, 59]), minute, |_, _| 1).unwrap().starts_with("kills keep to their budget: 2")
    );
    assert_eq!(kills_within(&log(&[0, 59, 61]), minute, |_, _| 2), None);
    assert!(kills_within(&log(&[50, 59, 61]), minute, |_, _| 2).is_some(), "minutes begin anywhere");
}

#[test]
fn extra_attempts_are_earned() {
    let rule = Retry { budget: Some(Share::percent(10)), floor_per_second: 1, ..Retry::default() };
    let found = |calls, extra, rule: Option<Retry>| overdrawn(rule, (calls, extra), s(5));
    assert_eq!(found(100, 25, Some(rule)), None, "10 earned, 15 by the floor");
    assert!(found(100, 26, Some(rule)).unwrap().contains("26 extra attempts for 100 calls, 25 may be"));
    assert_eq!(found(100, 500, Some(Retry { budget: None, ..rule })), None);
    assert!(found(100, 1, None).is_some(), "no retry, and yet one");
}
