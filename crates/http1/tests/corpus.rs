//! Every case of the corpus gets the reading that it must get, however its bytes arrive, and what is
//! forwarded of it reads the same again.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use http1::corpus::{self, Case, Direction, Expected, Outcome, Reading};
use http1::{Framing, Rule, write};

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

/// The message as the next hop gets it: the forwarded head, our own framing fields, the body.
fn forwarded(reading: &Reading) -> Vec<u8> {
    let mut out = reading.forwarded.clone();
    let line_end = out.windows(2).position(|two| two == b"\r\n").unwrap() + 2;
    let lower = out.to_ascii_lowercase();
    let has_host = lower.windows(7).any(|start| start == b"\r\nhost:");
    if !reading.authority.is_empty() && !has_host {
        let host = [b"Host: ".as_slice(), &reading.authority, b"\r\n"].concat();
        out.splice(line_end..line_end, host);
    }
    if !reading.keep_alive && reading.framing != Framing::UntilClose {
        out.extend(write::CONNECTION_CLOSE);
    }
    if reading.framing == Framing::Chunked {
        out.extend(write::TRANSFER_ENCODING_CHUNKED);
        out.extend(b"\r\n");
        write::chunk_head(&mut out, reading.body.len());
        if !reading.body.is_empty() {
            out.extend(&reading.body);
            out.extend(write::CHUNK_END);
        }
        write::last_chunk(&mut out, &reading.trailers);
    } else {
        out.extend(b"\r\n");
        out.extend(&reading.body);
    }
    out
}

#[test]
fn what_is_forwarded_reads_the_same_again() {
    check(|case| {
        let Expected::Accepted(reading) = &case.expected else {
            return Ok(());
        };
        let lower = reading.forwarded.to_ascii_lowercase();
        let host = lower.windows(5).any(|name| name == b"host:") || !reading.authority.is_empty();
        if reading.upgraded || (case.direction == Direction::Request && !host) {
            // Tunnels, and HTTP/1.0 without Host, need fields of the forwarder's own.
            return Ok(());
        }
        let again = forwarded(reading);
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
