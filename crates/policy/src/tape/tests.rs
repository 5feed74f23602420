//! What is written is read back, and a tape from here plays here.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Answer, Attempt, Ending, EndpointKey, Reached, Why};
use model::{Hedge, Importance, Limit, Preset, Reason, Share, Timeouts};
use std::time::Duration;

fn there_and_back(line: &Line) {
    let mut text = String::new();
    encode(3, line, &mut text);
    assert_eq!(decode(text.trim_end_matches('\n')).unwrap(), (3, line.clone()), "{text}");
}

fn ask(id: u64) -> Ask {
    Ask {
        id: CallId(id),
        idempotent: !id.is_multiple_of(2),
        has_body: id.is_multiple_of(3),
        remaining: id.is_multiple_of(4).then_some(Duration::from_millis(id)),
        attempt: 1,
        importance: Importance::Bulk,
        timeouts: Timeouts { pass_on: id.is_multiple_of(5), ..Timeouts::default() },
    }
}

#[test]
fn settings_are_read_back() {
    for preset in Preset::ALL {
        let settings = Box::new(preset.settings());
        there_and_back(&Line::Follow { now: Moment::ZERO, handles: vec![], settings });
    }
    let settings = Box::new(Settings {
        hedge: Some(Hedge { after: Duration::from_micros(17) }),
        limit: Some(Limit { in_flight: 3, queue: 9 }),
        panic: Share::new(1.0 / 3.0).unwrap(),
        ..Settings::default()
    });
    there_and_back(&Line::Follow { now: Moment::from_nanos(9), handles: vec![4, 0, 7], settings });
    there_and_back(&Line::Seed { seed: u64::MAX });
}

#[test]
fn events_and_asks_are_read_back() {
    let answer = Answer { status: 503, upgraded: false, refusal: Some(Reason::QueueFull), long: false };
    let mut events = vec![Event::Woken, Event::Due, Event::BodyEnded, Event::Spilled, Event::CallerGone];
    for attempt in [Attempt::First, Attempt::Second] {
        events.push(Event::Head { attempt, answer });
        events.push(Event::Head { attempt, answer: Answer { upgraded: true, refusal: None, ..answer } });
        events.push(Event::Head { attempt, answer: Answer { long: true, refusal: None, ..answer } });
        for reached in [Reached::Nothing, Reached::Connection, Reached::Bytes, Reached::Head] {
            events.push(Event::Broke { attempt, reached, reason: Reason::InstanceBroke });
        }
    }
    for ending in [Ending::Complete, Ending::Truncated, Ending::Stalled, Ending::Tunnel] {
        events.push(Event::Ended(ending));
    }
    for event in events {
        there_and_back(&Line::On { now: Moment::NEVER, id: CallId(7), event });
    }
    for id in 0..5 {
        there_and_back(&Line::Begin { now: Moment::ZERO, ask: ask(id) });
    }
}

#[test]
fn steps_are_read_back() {
    let (attempt, idle) = (Attempt::Second, Duration::from_secs(60));
    let to = EndpointKey { slot: 9, generation: 2 };
    let mut steps = vec![
        Step::Open { attempt, to, give_up: Moment::from_nanos(17) },
        Step::Forward { attempt, idle },
        Step::Tunnel { attempt },
        Step::Refuse { reason: Reason::AllResting, retry_after: Some(idle) },
        Step::Refuse { reason: Reason::ResponseTimeout, retry_after: None },
        Step::Idle { until: Moment::NEVER },
        Step::Settled,
    ];
    for why in [Why::Lost, Why::CallerGone, Why::Deadline, Why::Retried, Why::TryTimeout] {
        steps.push(Step::Drop { attempt, why });
    }
    for step in steps {
        there_and_back(&Line::Next { now: Moment::from_nanos(1), id: CallId(u64::MAX), step });
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    for (text, word) in [
        ("", ""),
        ("0 0 rewind", "rewind"),
        ("0 x seed 1", "x"),
        ("0 1 on 1 head 3 200 answer", "3"),
        ("0 1 on 1 broke 1 bytes why-not", "why-not"),
        ("0 1 next 1 open 1 7 9", "7"),
        ("0 1 next 1 settled now", "now"),
        ("0 1 next 1", ""),
        ("0 1 follow 1,x balancing=peak-ewma", "x"),
        ("0 1 follow - balancing=peak-ewma timeouts=1,2,3,kept retry=2,-,2,1,1,alone", "2"),
        ("0 1 follow - balancing=peak-ewma timeouts=1,2,3,told", "told"),
    ] {
        assert_eq!(decode(text).unwrap_err().word, word, "{text}");
    }
}

#[test]
fn a_tape_that_differs_is_told_by_line() {
    let head = "0 0 seed 1\n0 0 follow 1 balancing=round-robin timeouts=9,9,9,kept retry=- hedge=- breaker=- \
                ejection=- slow-start=- panic=0 limit=-\n0 5 begin 1 once empty - 1 bulk 9,9,9,kept\n";
    let played = |line: &str| replay(format!("{head}{line}").lines());
    assert_eq!(played("0 5 next 1 open 1 0.0 14"), Ok(1));
    let (recorded, here) = (Step::Settled, "Open");
    match played("0 5 next 1 settled") {
        Err(Mismatch::Step { line: 4, recorded: r, here: h }) => {
            assert!(r == recorded && format!("{h:?}").starts_with(here));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(played("0 5 next 2 settled"), Err(Mismatch::Unknown { line: 4 }));
    assert_eq!(played("9 5 next 1 settled"), Err(Mismatch::Unknown { line: 4 }));
    assert!(matches!(played("zero"), Err(Mismatch::Unreadable { line: 4, .. })));
}
