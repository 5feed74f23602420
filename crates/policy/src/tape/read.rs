//! Text into entries. Any text may come: what cannot be read is said, nothing breaks.

use super::Line;
use crate::{Answer, Ask, Attempt, CallId, Ending, EndpointKey, Event, Reached, Step, Why};
use model::{
    Balancing, Breaker, Ejection, Hedge, Importance, Limit, Moment, Reason, Retry, Settings, Share,
    SlowStart, Timeouts,
};
use std::fmt;
use std::str::{FromStr, Split};
use std::time::Duration;

/// Why a line cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadLine {
    /// The word that was not understood; empty if the line ended too early.
    pub word: String,
    /// What should have stood there.
    pub expected: &'static str,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.word.is_empty() {
            write!(f, "it ends where {} should stand", self.expected)
        } else {
            write!(f, "{:?} stands where {} should stand", self.word, self.expected)
        }
    }
}

impl std::error::Error for BadLine {}

type Read<T> = Result<T, BadLine>;

/// The number of the books and the entry that `text` stands for.
///
/// # Errors
/// [`BadLine`] names the first word that is not understood.
pub fn decode(text: &str) -> Read<(u32, Line)> {
    let mut words = Words(text.split(' '));
    let books = words.number("the number of the books")?;
    let now = words.moment()?;
    let line = match words.next("what it is")? {
        "seed" => Line::Seed { seed: words.number("a seed")? },
        "follow" => {
            Line::Follow { now, handles: words.list("handles")?, settings: Box::new(settings(&mut words)?) }
        }
        "begin" => Line::Begin { now, ask: ask(&mut words)? },
        "on" => Line::On { now, id: CallId(words.number("a call")?), event: event(&mut words)? },
        "next" => Line::Next { now, id: CallId(words.number("a call")?), step: step(&mut words)? },
        other => return bad(other, "seed, follow, begin, on or next"),
    };
    match words.0.next() {
        None => Ok((books, line)),
        Some(word) => bad(word, "the end of the line"),
    }
}

fn bad<T>(word: &str, expected: &'static str) -> Read<T> {
    Err(BadLine { word: word.into(), expected })
}

fn parse<T: FromStr>(word: &str, expected: &'static str) -> Read<T> {
    word.parse().or_else(|_| bad(word, expected))
}

struct Words<'a>(Split<'a, char>);

impl<'a> Words<'a> {
    fn next(&mut self, expected: &'static str) -> Read<&'a str> {
        self.0.next().map_or_else(|| bad("", expected), Ok)
    }

    fn number<T: FromStr>(&mut self, expected: &'static str) -> Read<T> {
        parse(self.next(expected)?, expected)
    }

    fn moment(&mut self) -> Read<Moment> {
        match self.next("a moment")? {
            "never" => Ok(Moment::NEVER),
            word => Ok(Moment::from_nanos(parse(word, "a moment")?)),
        }
    }

    fn time(&mut self) -> Read<Duration> {
        Ok(Duration::from_nanos(self.number("a duration")?))
    }

    fn optional_time(&mut self) -> Read<Option<Duration>> {
        match self.next("a duration or -")? {
            "-" => Ok(None),
            word => Ok(Some(Duration::from_nanos(parse(word, "a duration or -")?))),
        }
    }

    fn list<T: FromStr>(&mut self, expected: &'static str) -> Read<Vec<T>> {
        match self.next(expected)? {
            "-" => Ok(Vec::new()),
            word => word.split(',').map(|w| parse(w, expected)).collect(),
        }
    }

    fn attempt(&mut self) -> Read<Attempt> {
        match self.next("attempt 1 or 2")? {
            "1" => Ok(Attempt::First),
            "2" => Ok(Attempt::Second),
            other => bad(other, "attempt 1 or 2"),
        }
    }

    fn reason(&mut self) -> Read<Reason> {
        let word = self.next("a reason")?;
        Reason::from_word(word.as_bytes()).map_or_else(|| bad(word, "a reason"), Ok)
    }

    /// `name=a,b,c`; none for `name=-`.
    fn rule(&mut self, name: &'static str) -> Read<Option<Numbers<'a>>> {
        let word = self.next(name)?;
        match word.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
            None => bad(word, name),
            Some("-") => Ok(None),
            Some(rest) => Ok(Some(Numbers { words: rest.split(','), name })),
        }
    }
}

/// The numbers of one rule.
struct Numbers<'a> {
    words: Split<'a, char>,
    name: &'static str,
}

impl<'a> Numbers<'a> {
    fn word(&mut self) -> Read<&'a str> {
        self.words.next().map_or_else(|| bad("", self.name), Ok)
    }

    fn number<T: FromStr>(&mut self) -> Read<T> {
        parse(self.word()?, self.name)
    }

    fn time(&mut self) -> Read<Duration> {
        Ok(Duration::from_nanos(self.number()?))
    }

    fn share(&mut self) -> Read<Share> {
        let word = self.word()?;
        let part: f64 = parse(word, self.name)?;
        Share::new(part).or_else(|_| bad(word, self.name))
    }

    /// What `read` reads, or none for `-`.
    fn or_none<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        let rest = self.words.clone();
        if self.word()? == "-" {
            return Ok(None);
        }
        self.words = rest;
        read(self).map(Some)
    }

    fn timeouts(&mut self) -> Read<Timeouts> {
        Ok(Timeouts {
            total: self.time()?,
            connect: self.time()?,
            idle: self.time()?,
            pass_on: match self.word()? {
                "passed-on" => true,
                "kept" => false,
                other => return bad(other, "passed-on or kept"),
            },
        })
    }
}

fn settings(words: &mut Words<'_>) -> Read<Settings> {
    let balancing = match words.next("balancing=")? {
        "balancing=peak-ewma" => Balancing::PeakEwma,
        "balancing=least-loaded" => Balancing::LeastLoaded,
        "balancing=round-robin" => Balancing::RoundRobin,
        other => return bad(other, "balancing="),
    };
    let Some(mut timeouts) = words.rule("timeouts")? else { return bad("-", "timeouts") };
    Ok(Settings {
        balancing,
        timeouts: timeouts.timeouts()?,
        retry: optional(words.rule("retry")?, retry)?,
        hedge: optional(words.rule("hedge")?, |n| Ok(Hedge { after: n.time()? }))?,
        breaker: optional(words.rule("breaker")?, breaker)?,
        ejection: optional(words.rule("ejection")?, |n| {
            Ok(Ejection {
                failures_in_a_row: n.number()?,
                base: n.time()?,
                at_most: n.time()?,
                share_at_most: n.share()?,
            })
        })?,
        slow_start: optional(words.rule("slow-start")?, |n| {
            Ok(SlowStart { window: n.time()?, from: n.share()? })
        })?,
        panic: match words.rule("panic")? {
            Some(mut n) => n.share()?,
            None => return bad("-", "panic"),
        },
        limit: optional(words.rule("limit")?, |n| Ok(Limit { in_flight: n.number()?, queue: n.number()? }))?,
    })
}

fn optional<T>(numbers: Option<Numbers<'_>>, read: impl Fn(&mut Numbers<'_>) -> Read<T>) -> Read<Option<T>> {
    numbers.map(|mut n| read(&mut n)).transpose()
}

fn retry(n: &mut Numbers<'_>) -> Read<Retry> {
    Ok(Retry {
        tries: n.number()?,
        try_timeout: n.or_none(Numbers::time)?,
        budget: n.or_none(Numbers::share)?,
        floor_per_second: n.number()?,
        back_off: n.time()?,
        stacked: match n.word()? {
            "stacked" => true,
            "alone" => false,
            other => return bad(other, "stacked or alone"),
        },
    })
}

fn breaker(n: &mut Numbers<'_>) -> Read<Breaker> {
    Ok(Breaker {
        failures: n.share()?,
        slow: n.share()?,
        slow_factor: n.number()?,
        window: n.time()?,
        minimum_calls: n.number()?,
        rest: n.time()?,
        rest_at_most: n.time()?,
    })
}

fn ask(words: &mut Words<'_>) -> Read<Ask> {
    let id = CallId(words.number("a call")?);
    let idempotent = match words.next("idempotent or once")? {
        "idempotent" => true,
        "once" => false,
        other => return bad(other, "idempotent or once"),
    };
    let has_body = match words.next("body or empty")? {
        "body" => true,
        "empty" => false,
        other => return bad(other, "body or empty"),
    };
    let remaining = words.optional_time()?;
    let attempt = words.number("which attempt")?;
    let word = words.next("an importance")?;
    let Some(importance) = Importance::from_word(word.as_bytes()) else { return bad(word, "an importance") };
    let mut timeouts = Numbers { words: words.next("timeouts")?.split(','), name: "timeouts" };
    Ok(Ask { id, idempotent, has_body, remaining, attempt, importance, timeouts: timeouts.timeouts()? })
}

fn event(words: &mut Words<'_>) -> Read<Event> {
    Ok(match words.next("an event")? {
        "woken" => Event::Woken,
        "due" => Event::Due,
        "body-ended" => Event::BodyEnded,
        "spilled" => Event::Spilled,
        "caller-gone" => Event::CallerGone,
        "head" => Event::Head { attempt: words.attempt()?, answer: answer(words)? },
        "broke" => {
            Event::Broke { attempt: words.attempt()?, reached: reached(words)?, reason: words.reason()? }
        }
        "ended" => Event::Ended(match words.next("how it ended")? {
            "complete" => Ending::Complete,
            "truncated" => Ending::Truncated,
            "stalled" => Ending::Stalled,
            "caller-stalled" => Ending::CallerStalled,
            "tunnel" => Ending::Tunnel,
            other => return bad(other, "how it ended"),
        }),
        other => return bad(other, "an event"),
    })
}

fn answer(words: &mut Words<'_>) -> Read<Answer> {
    let status = words.number("a status")?;
    let (upgraded, long) = match words.next("answer, long or tunnel")? {
        "answer" => (false, false),
        "long" => (false, true),
        "tunnel" => (true, false),
        other => return bad(other, "answer, long or tunnel"),
    };
    let refusal = match words.0.next() {
        None => None,
        Some(word) => Some(Reason::from_word(word.as_bytes()).map_or_else(|| bad(word, "a reason"), Ok)?),
    };
    Ok(Answer { status, upgraded, refusal, long })
}

fn reached(words: &mut Words<'_>) -> Read<Reached> {
    Ok(match words.next("how far it got")? {
        "nothing" => Reached::Nothing,
        "connection" => Reached::Connection,
        "bytes" => Reached::Bytes,
        "head" => Reached::Head,
        other => return bad(other, "how far it got"),
    })
}

fn step(words: &mut Words<'_>) -> Read<Step> {
    Ok(match words.next("a step")? {
        "open" => Step::Open { attempt: words.attempt()?, to: key(words)?, give_up: words.moment()? },
        "drop" => Step::Drop { attempt: words.attempt()?, why: why(words)? },
        "forward" => Step::Forward { attempt: words.attempt()?, idle: words.time()? },
        "tunnel" => Step::Tunnel { attempt: words.attempt()? },
        "refuse" => Step::Refuse { reason: words.reason()?, retry_after: words.optional_time()? },
        "idle" => Step::Idle { until: words.moment()? },
        "settled" => Step::Settled,
        other => return bad(other, "a step"),
    })
}

fn key(words: &mut Words<'_>) -> Read<EndpointKey> {
    let word = words.next("SLOT.GENERATION")?;
    let Some((slot, generation)) = word.split_once('.') else { return bad(word, "SLOT.GENERATION") };
    Ok(EndpointKey { slot: parse(slot, "a slot")?, generation: parse(generation, "a generation")? })
}

fn why(words: &mut Words<'_>) -> Read<Why> {
    Ok(match words.next("why")? {
        "lost" => Why::Lost,
        "caller-gone" => Why::CallerGone,
        "deadline" => Why::Deadline,
        "retried" => Why::Retried,
        "try-timeout" => Why::TryTimeout,
        other => return bad(other, "why"),
    })
}
