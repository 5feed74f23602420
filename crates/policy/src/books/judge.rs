//! What an attempt's end teaches: the one place where latency, breaker, ejection and hedging hear of it.
//!
//! | what happened | latency | breaker | ejection |
//! |---|---|---|---|
//! | an answer below 500 begins in time | sample | good | – |
//! | the same, slower than `slow` | sample | slow | – |
//! | … and comes whole | – | – | row ends |
//! | … and breaks off, or no byte comes for too long | a strike | failed, no longer good | + 1 |
//! | long by nature (a stream, a long poll) | – | good | row ends |
//! | … and breaks off | a strike | failed | + 1 |
//! | an answer of 500 and above | at least, and a strike | failed | + 1 |
//! | refused by the peer's sidecar as the app is broken | at least, and a strike | failed | + 1 |
//! | refused by the peer's sidecar for overload, or as it drains | a strike | – | – |
//! | refused by the peer's sidecar by the caller's fault | – | – | – |
//! | broke | at least, and a strike | failed | + 1 |
//! | had the time of one try and no head | at least, and a strike | failed | + 1 |
//! | broke as this sidecar lacks something | – | – | – |
//! | nobody waits any more, before `slow / 2` | at least | – | – |
//! | nobody waits any more, after `slow / 2` | at least, and a strike | slow | + 1 |
//! | nobody waits any more, and the request has not come whole | – | – | – |
//!
//! Times run from when the instance could have the whole request: a caller that sends slowly is no fault of the
//! instance. An answer that begins before that is counted, but is no sample.
//!
//! `slow = max(20 ms, min(the route's total timeout, slow_factor × usual))`. An answer that came quickly but was a
//! failure never lowers an estimate. What a caller with little patience does not wait for is no fault of the endpoint;
//! but whoever gave up has not seen how slow it would have been, so half of `slow` is enough there.

use super::{Books, State};
use crate::health::{Seen, out_at_most};
use crate::{Cause, Change, Ending, EndpointKey};
use model::{Breaker, Fault, Moment, Reason};
use std::time::Duration;

/// How an attempt ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// An answer of the app.
    Answered { failed: bool, long: bool },
    /// A refusal by the peer's sidecar.
    Refused(Reason),
    /// It broke, with the refusal that this makes here.
    Broke(Reason),
    /// It was abandoned before there was an answer.
    Unheard,
}

/// What an outcome means for those who judge endpoints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Meaning {
    Good { long: bool },
    Failure,
    Shed,
    Unheard,
    Nothing,
}

/// An attempt that ends, as the books are told of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried {
    pub(crate) to: EndpointKey,
    pub(crate) began: Moment,
    /// Since when the instance could have had the whole request; never, while the caller is still sending it.
    pub(crate) asked: Moment,
}

/// What becomes of an endpoint's failures in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Row {
    Ends,
    Stays,
    Grows,
}

impl Outcome {
    fn meaning(self) -> Meaning {
        match self {
            Outcome::Answered { failed: true, .. } => Meaning::Failure,
            Outcome::Answered { long, .. } => Meaning::Good { long },
            Outcome::Unheard => Meaning::Unheard,
            Outcome::Broke(reason) if reason.fault() == Fault::Service => Meaning::Failure,
            Outcome::Broke(_) => Meaning::Nothing,
            Outcome::Refused(reason) => refused(reason),
        }
    }
}

fn refused(reason: Reason) -> Meaning {
    match (reason, reason.fault()) {
        (
            Reason::QueueFull | Reason::QueueTooSlow | Reason::ShedByImportance | Reason::ThrottledByCaller,
            _,
        ) => Meaning::Shed,
        // The time that was left did not suffice: too little of it, or a queue.
        (Reason::DeadlinePassed, _) => Meaning::Nothing,
        (_, Fault::Us) => Meaning::Shed,
        (_, Fault::Caller) => Meaning::Nothing,
        (_, Fault::Service) => Meaning::Failure,
    }
}

impl Books {
    /// An attempt has ended so, or its answer has begun; `total` is its route's timeout. Says what that was counted as.
    pub(crate) fn settle(
        &mut self,
        tried: &Tried,
        total: Duration,
        now: Moment,
        outcome: Outcome,
    ) -> Meaning {
        let (mean, usual) = (self.mean.unwrap_or(crate::pick::UNKNOWN), self.usual);
        let slow = slow_after(self.settings.breaker, usual, total);
        let (meaning, timed) = (outcome.meaning(), tried.asked != Moment::NEVER);
        let Some(endpoint) = self.endpoint_mut(tried.to) else { return meaning };
        endpoint.pending -= 1;
        // Nothing while it cannot be told: `asked` is ahead then.
        let took = now.since(tried.asked);
        let seen = match meaning {
            Meaning::Good { long: false } if timed => {
                endpoint.latency.on_answer(now, took);
                endpoint.usual.on_answer(took);
                Some(if took >= slow { Seen::Slow } else { Seen::Good })
            }
            Meaning::Good { .. } => Some(Seen::Good),
            Meaning::Failure => {
                endpoint.latency.on_at_least(now, took, mean);
                endpoint.latency.on_strike(now);
                Some(Seen::Failed)
            }
            Meaning::Unheard if timed => {
                endpoint.latency.on_at_least(now, took, mean);
                let late = took >= (slow / 2).max(Breaker::SLOW_FLOOR);
                if late {
                    endpoint.latency.on_strike(now);
                }
                late.then_some(Seen::Slow)
            }
            Meaning::Shed => {
                endpoint.latency.on_strike(now);
                self.shed = Some(now);
                None
            }
            Meaning::Unheard | Meaning::Nothing => None,
        };
        self.pending -= 1;
        let row = match meaning {
            // It ends when the answer has come whole.
            Meaning::Good { long: false } => Row::Stays,
            Meaning::Good { long: true } => Row::Ends,
            _ => Row::Grows,
        };
        if row == Row::Stays && timed && self.mean.is_none() {
            self.mean = Some(took);
        }
        if let Some(seen) = seen {
            self.judge(tried, now, seen, row);
        }
        meaning
    }

    /// The passing on of an answer has ended so; its beginning was counted as `heard`.
    pub(crate) fn on_ended(&mut self, tried: &Tried, now: Moment, heard: Meaning, ending: Ending) {
        let Some(endpoint) = self.endpoint_mut(tried.to) else { return };
        let seen = match (ending, heard) {
            (Ending::Complete, Meaning::Good { long: false }) => return endpoint.outlier.on_success(),
            (Ending::Truncated | Ending::Stalled, Meaning::Good { long: false }) => Seen::BrokeOff,
            (Ending::Truncated, Meaning::Good { .. } | Meaning::Shed | Meaning::Nothing) => Seen::Failed,
            _ => return,
        };
        endpoint.latency.on_strike(now);
        self.judge(tried, now, seen, Row::Grows);
    }

    fn judge(&mut self, tried: &Tried, now: Moment, seen: Seen, row: Row) {
        let (key, began) = (tried.to, tried.began);
        let Some(state) = self.endpoint(key).map(|e| e.state(now).0) else { return };
        // What began before it was taken out says nothing new.
        if state == State::Ejected {
            return;
        }
        self.judge_by_share(key, state, began, now, seen);
        if row != Row::Stays {
            self.judge_by_row(key, state, began, now, row);
        }
    }

    fn judge_by_share(&mut self, key: EndpointKey, state: State, began: Moment, now: Moment, seen: Seen) {
        let Some(rule) = self.settings.breaker else { return };
        // The only one is not rested, unless health is never to be ignored. The last available of several is: then all
        // are asked, which is better than to go on with one that is known to be bad.
        let only = self.order.len() == 1 && self.settings.panic.part() > 0.0;
        let Some(endpoint) = self.endpoint_mut(key) else { return };
        let cause = endpoint.breaker.on_call(&rule, now, began, seen);
        if let Some(cause) = cause.filter(|_| !only) {
            endpoint.breaker.rest(&rule, now, cause);
            self.stale = true;
            self.pool.available = self.pool.available.saturating_sub(usize::from(state.is_available()));
        }
        self.stale |= state == State::Probing;
    }

    fn judge_by_row(&mut self, key: EndpointKey, state: State, began: Moment, now: Moment, row: Row) {
        let Some(rule) = self.settings.ejection else { return };
        let others = self.pool.available.saturating_sub(usize::from(state.is_available()));
        let room = self.pool.ejected < out_at_most(&rule, self.order.len()) && others > 0;
        let Some(endpoint) = self.endpoint_mut(key) else { return };
        if row == Row::Ends {
            return endpoint.outlier.on_success();
        }
        // One that rests is out already, and comes back by probes.
        if !endpoint.outlier.on_failure(&rule, began) || !room || endpoint.state(now).0 == State::Resting {
            return;
        }
        endpoint.outlier.eject(&rule, now);
        let until = endpoint.outlier.out_until(now);
        self.stale = true;
        self.pool.ejected += 1;
        self.pool.available = others;
        self.note(now, Some(key.slot), Change::Ejected, Cause::InARow, until);
    }
}

/// From when on a call is slow. Without a breaker the default one's factor says so, for the strikes.
fn slow_after(rule: Option<Breaker>, usual: Option<Duration>, total: Duration) -> Duration {
    let factor = rule.unwrap_or_default().slow_factor;
    let usual = usual.map_or(Duration::MAX, |usual| usual.saturating_mul(factor));
    total.min(usual).max(Breaker::SLOW_FLOOR)
}
