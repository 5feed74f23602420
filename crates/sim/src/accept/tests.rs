//! Each take of a pass line against series that are made up.

use super::*;
use std::collections::BTreeMap;

fn s(second: u64) -> Moment {
    Moment::from_millis(second * 1000)
}

fn stays(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn report(values: &[f32]) -> Report {
    let series = BTreeMap::from([("a.b".to_owned(), values.to_vec())]);
    Report { every: Duration::from_secs(1), series, ..Report::default() }
}

fn line(take: Take, bound: Bound) -> PassLine {
    PassLine {
        name: "line".to_owned(),
        says: String::new(),
        operators: None,
        series: "a.b".to_owned(),
        take,
        relative_to: None,
        bound,
    }
}

fn list(lines: Vec<PassLine>) -> Acceptance {
    Acceptance { name: "A".to_owned(), policies: None, operators: false, seeds: 1, must_pass: 1, lines }
}

fn found(values: &[f32], line: PassLine) -> (Option<Value>, bool) {
    let finding = judge(&list(vec![line]), &[report(values)]).remove(0);
    (finding.value, finding.passed)
}

fn number(values: &[f32], take: Take) -> Option<f64> {
    match found(values, line(take, Bound::Number(0.0, 1.0))).0 {
        Some(Value::Number(n)) => Some(n),
        other => {
            assert_eq!(other, None);
            None
        }
    }
}

fn second(values: &[f32], take: Take) -> Option<u64> {
    match found(values, line(take, Bound::NotBefore(s(0)))).0 {
        Some(Value::Time(at)) => Some(at.as_nanos() / 1_000_000_000),
        other => {
            assert_eq!(other, None);
            None
        }
    }
}

const NAN: f32 = f32::NAN;

#[test]
fn numbers_are_taken_from_their_windows() {
    let values = [1.0, 4.0, 2.0, NAN, 8.0];
    assert_eq!(number(&values, Take::At(s(1))), Some(4.0));
    assert_eq!(number(&values, Take::At(Moment::from_millis(1999))), Some(4.0));
    assert_eq!(number(&values, Take::Most(s(0), s(4))), Some(4.0), "the end is not in the window");
    assert_eq!(number(&values, Take::Most(s(0), s(5))), Some(8.0));
    assert_eq!(number(&values, Take::Least(s(1), s(5))), Some(2.0));
    assert_eq!(number(&values, Take::Mean(s(1), s(5))), Some(14.0 / 3.0), "what is no number does not count");
    assert_eq!(number(&values, Take::Total(s(0), s(5))), Some(15.0));
    assert_eq!(number(&values, Take::Mean(s(2), s(2))), Some(2.0), "no length: the second that it is in");
    assert_eq!(number(&values, Take::Most(s(0), Moment::from_millis(4100))), Some(8.0));
}

#[test]
fn nothing_is_made_of_nothing() {
    assert_eq!(number(&[1.0, NAN], Take::At(s(1))), None);
    assert_eq!(number(&[1.0], Take::At(s(1))), None, "after the end");
    assert_eq!(number(&[NAN, NAN], Take::Most(s(0), s(2))), None);
    assert_eq!(number(&[1.0], Take::Mean(s(5), s(9))), None);
    assert_eq!(number(&[], Take::Total(s(0), s(9))), Some(0.0));
    assert_eq!(number(&[0.0, 0.0], Take::Fall(s(0), s(2))), None);
    assert!(!found(&[1.0], line(Take::At(s(9)), Bound::Number(0.0, 9.0))).1);
}

#[test]
fn a_fall_is_what_is_lost_after_the_top() {
    let minutes = |means: &[f32]| means.iter().flat_map(|mean| [*mean; 60]).collect::<Vec<f32>>();
    let values = minutes(&[1.0, 8.0, 6.0, 2.0, 7.0]);
    assert_eq!(number(&values, Take::Fall(s(0), s(300))), Some(0.75));
    assert_eq!(number(&values, Take::Fall(s(0), s(180))), Some(0.25));
    assert_eq!(number(&minutes(&[1.0, 2.0, 3.0]), Take::Fall(s(0), s(180))), Some(0.0));
    let restless: Vec<f32> = [1.0, 3.0].repeat(120);
    assert_eq!(number(&restless, Take::Fall(s(0), s(240))), Some(0.0), "single seconds do not count");
}

#[test]
fn the_first_time_is_the_one_that_lasts() {
    let values = [0.0, 2.0, 0.0, 2.0, 2.0, 2.0, 0.0];
    assert_eq!(second(&values, Take::Above(1.0, stays(0))), Some(1));
    assert_eq!(second(&values, Take::Above(1.0, stays(2))), Some(3));
    assert_eq!(second(&values, Take::Above(1.0, Duration::from_millis(2500))), Some(3));
    assert_eq!(second(&values, Take::Above(1.0, stays(4))), None);
    assert_eq!(second(&values, Take::Above(2.0, stays(0))), None, "equal is not above");
    assert_eq!(second(&values, Take::Below(1.0, stays(1))), Some(0));
    assert_eq!(second(&values, Take::Below(1.0, stays(2))), None, "the run ends too early");
    assert_eq!(second(&[2.0, NAN, 2.0, 2.0], Take::Above(1.0, stays(2))), Some(2));
    assert_eq!(second(&[NAN, NAN], Take::Below(1.0, stays(0))), None);
}

#[test]
fn back_is_after_the_last_long_time_below() {
    let back = |values: &[f32]| second(values, Take::BackAbove(0.5, stays(2)));
    assert_eq!(back(&[1.0, 0.0, 0.0, 1.0, 1.0]), Some(3));
    assert_eq!(back(&[0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]), Some(7));
    assert_eq!(back(&[0.0, 0.0, 1.0, 1.0, 0.0, 1.0]), Some(2), "one bad second is not the last time");
    assert_eq!(back(&[1.0, 1.0, 0.0, 0.0]), None, "it ends below");
    assert_eq!(back(&[1.0, 1.0, 1.0]), None, "it was never below");
    assert_eq!(back(&[0.0, 0.0, 1.0, 0.0, 1.0]), None, "it does not stay");
    assert_eq!(back(&[0.0]), None);
    assert_eq!(back(&[]), None);
}

#[test]
fn times_lie_within_their_bounds() {
    let values = [0.0, 0.0, 1.0, 1.0];
    let passes = |bound| found(&values, line(Take::Above(0.5, stays(0)), bound)).1;
    assert!(
        passes(Bound::Time(s(2), s(2)))
            && !passes(Bound::Time(s(3), s(9)))
            && !passes(Bound::Time(s(0), s(1)))
    );
    assert!(passes(Bound::NotBefore(s(2))) && !passes(Bound::NotBefore(s(3))));
    assert!(!passes(Bound::Number(0.0, 9.0)), "a time is no number");
    assert_eq!(found(&[0.0], line(Take::Above(0.5, stays(0)), Bound::NotBefore(s(9)))), (None, true));
    assert_eq!(found(&[0.0], line(Take::Above(0.5, stays(0)), Bound::Time(s(0), s(9)))), (None, false));
}

#[test]
fn bounds_of_numbers_are_inclusive() {
    let passes = |value, from, to| found(&[value], line(Take::At(s(0)), Bound::Number(from, to))).1;
    assert!(passes(0.1, 0.0, 0.1) && passes(0.97, 0.97, 1.0));
    assert!(!passes(0.101, 0.0, 0.1) && !passes(0.969, 0.97, 1.0));
    assert!(passes(3.0, 2.0, f64::INFINITY));
}

#[test]
fn a_series_can_be_seen_relative_to_its_usual() {
    let mut relative = line(Take::Above(3.0, stays(0)), Bound::Time(s(2), s(2)));
    relative.relative_to = Some((s(0), s(2)));
    assert_eq!(found(&[1.0, 3.0, 7.0], relative.clone()), (Some(Value::Time(s(2))), true));
    relative.bound = Bound::NotBefore(s(0));
    assert!(!found(&[0.0, 0.0, 7.0], relative.clone()).1, "there is no usual");
    assert!(!found(&[NAN, NAN, 7.0], relative).1);
}

#[test]
fn a_series_that_is_not_there_passes_nothing() {
    let mut missing = line(Take::Above(1.0, stays(0)), Bound::NotBefore(s(0)));
    missing.series = "a.c".to_owned();
    assert_eq!(found(&[1.0], missing), (None, false));
}

#[test]
fn each_line_has_the_run_that_it_wants() {
    let here = line(Take::At(s(0)), Bound::Number(1.0, 1.0));
    let with = PassLine { operators: Some(true), ..line(Take::At(s(0)), Bound::Number(2.0, 2.0)) };
    let both = list(vec![here.clone(), with]);
    let acted = Report { operators: true, ..report(&[2.0]) };
    assert_eq!(runs(&both), [false, true]);
    assert_eq!(runs(&list(vec![here])), [false]);
    assert!(judge(&both, &[acted.clone(), report(&[1.0])]).iter().all(|f| f.passed));
    let alone: Vec<bool> = judge(&both, &[acted]).iter().map(|f| f.passed).collect();
    assert_eq!(alone, [false, true]);
}
