//! Every case of the corpus gets the reading that it must get, however its bytes arrive, and what is
//! forwarded of it reads the same again.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use http1::Rule;
use http1::corpus::{self, Case, Direction, Expected, Outcome};

/// Above this size a case is cut at some places instead of all.
const CUT_EVERYWHERE: usize = 2048;

fn cases() -> Vec<Case> {
    corpus::cases().unwrap_or_else(|fault| panic!("{fault}"))
}

/// Checks all cases and names every one that fails.
fn check(what: impl Fn(&Case) -> Result<(), String>) {
    let faults: Vec<String> = cases()
        .iter()
        .filter_map(|case| what(case).err().map(|fault| format!("{}: {fault}", case.name)))
        .collect();
    assert!(faults.is_empty(), "{} cases:\n{}", faults.len(), faults.join("\n"));
}

fn expect(case: &Case, outcome: &Outcome, how: &str) -> Result<(), String> {
    if case.expected.is(outcome) {
        return Ok(());
    }
    Err(format!("{how}\n  expected {}\n  got      {}", show(&case.expected), show(outcome)))
}

fn show(outcome: &impl std::fmt::Debug) -> String {
    format!("{outcome:?}")
}

#[test]
fn there_are_enough_cases_and_each_has_its_own_name() {
    let cases = cases();
    let names: HashSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len());
    let responses = cases.iter().filter(|case| case.direction != Direction::Request).count();
    println!("{} cases, {responses} of them responses", cases.len());
    assert!(cases.len() >= 400 && responses >= 100);
}

#[test]
fn every_rule_has_a_case() {
    let refused: HashSet<Rule> = cases()
        .iter()
        .filter_map(|case| match case.expected {
            Expected::Refused(rule) => Some(rule),
            _ => None,
        })
        .collect();
    let without: Vec<&Rule> = Rule::ALL.iter().filter(|rule| !refused.contains(rule)).collect();
    assert!(without.is_empty(), "{without:?}");
}

#[test]
fn whole_messages_are_read_as_expected() {
    check(|case| {
        let outcome = corpus::read(&case.direction, &case.limits, [&case.bytes[..]]);
        expect(case, &outcome, "whole")
    });
}

#[test]
fn messages_cut_in_two_are_read_alike() {
    check(|case| {
        let step = case.bytes.len() / CUT_EVERYWHERE * 40 + 1;
        for at in (0..=case.bytes.len()).step_by(step) {
            let (front, back) = case.bytes.split_at(at);
            let outcome = corpus::read(&case.direction, &case.limits, [front, back]);
            expect(case, &outcome, &format!("cut at {at}"))?;
        }
        Ok(())
    });
}

#[test]
fn messages_that_arrive_byte_by_byte_are_read_alike() {
    check(|case| {
        let step = case.bytes.len() / CUT_EVERYWHERE * 40 + 1;
        let outcome = corpus::read(&case.direction, &case.limits, case.bytes.chunks(step));
        expect(case, &outcome, "byte by byte")
    });
}

#[test]
fn what_is_forwarded_reads_the_same_again() {
    check(|case| {
        let Expected::Accepted(reading) = &case.expected else {
            return Ok(());
        };
        if reading.upgraded {
            return Ok(());
        }
        let again = reading.passed_on(&case.direction);
        match corpus::read(&case.direction, &case.limits, [&again[..]]) {
            Outcome::Accepted(second) => {
                let same = second.framing == reading.framing
                    && second.body == reading.body
                    && second.keep_alive == reading.keep_alive
                    && second.rest.is_empty();
                same.then_some(()).ok_or_else(|| format!("read again: {}", show(&second)))
            }
            other => Err(format!("read again: {}", show(&other))),
        }
    });
}
