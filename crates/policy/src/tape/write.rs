//! Entries into text.

use super::Line;
use crate::{Answer, Ask, Attempt, Ending, Event, Reached, Step, Why};
use model::{
    Balancing, Breaker, Ejection, Hedge, Limit, Moment, Retry, Settings, Share, SlowStart, Timeouts,
};
use std::fmt::{self, Display};
use std::time::Duration;

/// Appends `line` of the books with this number to `out`, with a line feed.
pub fn encode(books: u32, line: &Line, out: &mut String) {
    use std::fmt::Write;
    // Writing into a String does not fail.
    let _ = writeln!(out, "{books} {line}");
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Seed { seed } => write!(f, "0 seed {seed}"),
            Line::Follow { now, handles, settings } => {
                write!(f, "{} follow ", At(*now))?;
                commas(f, handles)?;
                write_settings(f, settings)
            }
            Line::Begin { now, ask } => write_ask(f, *now, ask),
            Line::On { now, id, event } => {
                write!(f, "{} on {} ", At(*now), id.0)?;
                write_event(f, *event)
            }
            Line::Next { now, id, step } => {
                write!(f, "{} next {} ", At(*now), id.0)?;
                write_step(f, *step)
            }
        }
    }
}

struct At(Moment);

impl Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == Moment::NEVER { f.write_str("never") } else { write!(f, "{}", self.0.as_nanos()) }
    }
}

struct Or<T>(Option<T>);

impl<T: Display> Display for Or<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}

fn commas<T: Display>(f: &mut fmt::Formatter<'_>, values: &[T]) -> fmt::Result {
    if values.is_empty() {
        return f.write_str("-");
    }
    for (i, value) in values.iter().enumerate() {
        write!(f, "{}{value}", if i == 0 { "" } else { "," })?;
    }
    Ok(())
}

/// Name and comma-separated numbers of a rule, ` name=-` if it is off.
fn rule<const N: usize>(f: &mut fmt::Formatter<'_>, name: &str, values: Option<[String; N]>) -> fmt::Result {
    write!(f, " {name}=")?;
    commas(f, values.as_ref().map_or(&[], |v| v.as_slice()))
}

fn time(duration: Duration) -> String {
    duration.as_nanos().to_string()
}

/// The shortest text that reads back as the same number.
fn part(share: Share) -> String {
    share.part().to_string()
}

fn timeouts(t: Timeouts) -> String {
    let Timeouts { total, connect, idle, pass_on } = t;
    let pass_on = if pass_on { "passed-on" } else { "kept" };
    format!("{},{},{},{pass_on}", time(total), time(connect), time(idle))
}

fn write_settings(f: &mut fmt::Formatter<'_>, settings: &Settings) -> fmt::Result {
    // Every field by name: a new one does not compile until it is on the tape.
    let Settings { balancing, timeouts: t, retry, hedge, breaker, ejection, slow_start, panic, limit } =
        settings;
    let balancing = match balancing {
        Balancing::PeakEwma => "peak-ewma",
        Balancing::LeastLoaded => "least-loaded",
        Balancing::RoundRobin => "round-robin",
    };
    write!(f, " balancing={balancing} timeouts={}", timeouts(*t))?;
    rule(
        f,
        "retry",
        retry.map(|Retry { tries, try_timeout, budget, floor_per_second, back_off, stacked }| {
            [
                tries.to_string(),
                Or(try_timeout.map(time)).to_string(),
                Or(budget.map(part)).to_string(),
                floor_per_second.to_string(),
                time(back_off),
                if stacked { "stacked" } else { "alone" }.to_owned(),
            ]
        }),
    )?;
    rule(f, "hedge", hedge.map(|Hedge { after }| [time(after)]))?;
    rule(f, "breaker", breaker.map(breaker_values))?;
    rule(
        f,
        "ejection",
        ejection.map(|e| {
            let Ejection { failures_in_a_row, base, at_most, share_at_most } = e;
            [failures_in_a_row.to_string(), time(base), time(at_most), part(share_at_most)]
        }),
    )?;
    rule(f, "slow-start", slow_start.map(|SlowStart { window, from }| [time(window), part(from)]))?;
    write!(f, " panic={}", part(*panic))?;
    rule(f, "limit", limit.map(|Limit { in_flight, queue }| [in_flight.to_string(), queue.to_string()]))
}

fn breaker_values(breaker: Breaker) -> [String; 7] {
    let Breaker { failures, slow, slow_factor, window, minimum_calls, rest, rest_at_most } = breaker;
    [
        part(failures),
        part(slow),
        slow_factor.to_string(),
        time(window),
        minimum_calls.to_string(),
        time(rest),
        time(rest_at_most),
    ]
}

fn write_ask(f: &mut fmt::Formatter<'_>, now: Moment, ask: &Ask) -> fmt::Result {
    let Ask { id, idempotent, has_body, remaining, attempt, importance, timeouts: t } = *ask;
    let again = if idempotent { "idempotent" } else { "once" };
    let body = if has_body { "body" } else { "empty" };
    let (remaining, importance) = (Or(remaining.map(time)), importance.word());
    write!(f, "{} begin {} {again} {body} {remaining} {attempt} {importance} {}", At(now), id.0, timeouts(t))
}

fn number(attempt: Attempt) -> u8 {
    attempt as u8 + 1
}

fn write_event(f: &mut fmt::Formatter<'_>, event: Event) -> fmt::Result {
    match event {
        Event::Woken => f.write_str("woken"),
        Event::Due => f.write_str("due"),
        Event::BodyEnded => f.write_str("body-ended"),
        Event::Spilled => f.write_str("spilled"),
        Event::CallerGone => f.write_str("caller-gone"),
        Event::Head { attempt, answer: Answer { status, upgraded, refusal, long } } => {
            let kind = match (upgraded, long) {
                (true, _) => "tunnel",
                (false, true) => "long",
                (false, false) => "answer",
            };
            write!(f, "head {} {status} ", number(attempt))?;
            match refusal {
                Some(reason) => write!(f, "{kind} {}", reason.word()),
                None => f.write_str(kind),
            }
        }
        Event::Broke { attempt, reached, reason } => {
            let reached = match reached {
                Reached::Nothing => "nothing",
                Reached::Connection => "connection",
                Reached::Bytes => "bytes",
                Reached::Head => "head",
            };
            write!(f, "broke {} {reached} {}", number(attempt), reason.word())
        }
        Event::Ended(ending) => {
            let ending = match ending {
                Ending::Complete => "complete",
                Ending::Truncated => "truncated",
                Ending::Stalled => "stalled",
                Ending::CallerStalled => "caller-stalled",
                Ending::Tunnel => "tunnel",
            };
            write!(f, "ended {ending}")
        }
    }
}

fn write_step(f: &mut fmt::Formatter<'_>, step: Step) -> fmt::Result {
    match step {
        Step::Open { attempt, to, give_up } => {
            write!(f, "open {} {}.{} {}", number(attempt), to.slot, to.generation, At(give_up))
        }
        Step::Drop { attempt, why } => {
            let why = match why {
                Why::Lost => "lost",
                Why::CallerGone => "caller-gone",
                Why::Deadline => "deadline",
                Why::Retried => "retried",
                Why::TryTimeout => "try-timeout",
            };
            write!(f, "drop {} {why}", number(attempt))
        }
        Step::Forward { attempt, idle } => write!(f, "forward {} {}", number(attempt), time(idle)),
        Step::Tunnel { attempt } => write!(f, "tunnel {}", number(attempt)),
        Step::Refuse { reason, retry_after } => {
            write!(f, "refuse {} {}", reason.word(), Or(retry_after.map(time)))
        }
        Step::Idle { until } => write!(f, "idle {}", At(until)),
        Step::Settled => f.write_str("settled"),
    }
}
