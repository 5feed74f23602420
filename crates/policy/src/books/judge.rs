//! What an attempt's end teaches: the one place where latency, breaker, ejection and hedging hear of it.
//!
//! | what happened | latency | breaker | ejection |
//! |---|---|---|---|
//! | an answer below 500 in time | sample | good | row ends |
//! | the same, slower than `slow` | sample | slow | row ends |
//! | long by nature (a stream, a long poll) | – | good | row ends |
//! | an answer of 500 and above | at least, and a strike | failed | + 1 |
//! | refused by the peer's sidecar as the app is broken | at least, and a strike | failed | + 1 |
//! | refused by the peer's sidecar for overload, or as it drains | a strike | – | – |
//! | refused by the peer's sidecar by the caller's fault | – | – | – |
//! | broke | at least, and a strike | failed | + 1 |
//! | had the time of one try and no head | at least, and a strike | failed | + 1 |
//! | broke as this sidecar lacks something | – | – | – |
//! | nobody waits any more, before `slow / 2` | at least | – | – |
//! | nobody waits any more, after `slow / 2` | at least, and a strike | slow | + 1 |
//!
//! `slow = max(20 ms, min(the route's total timeout, slow_factor × usual))`. An answer that came quickly but was a
//! failure never lowers an estimate. What a caller with little patience does not wait for is no fault of the endpoint;
//! but whoever gave up has not seen how slow it would have been, so half of `slow` is enough there.

use super::{Books, State};
use crate::health::{Seen, out_at_most};
use crate::{Cause, Change, EndpointKey};
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
enum Meaning {
    Good { long: bool },
    Failure,
    Shed,
    Unheard,
    Nothing,
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
    /// An attempt at `key` that began at `began` has ended so; `total` is its route's timeout.
    pub(crate) fn settle(
        &mut self,
        key: EndpointKey,
        began: Moment,
        total: Duration,
        now: Moment,
        outcome: Outcome,
    ) {
        let (mean, usual) = (self.mean.unwrap_or(crate::pick::UNKNOWN), self.usual);
        let slow = slow_after(self.settings.breaker, usual, total);
        let Some(endpoint) = self.endpoint_mut(key) else { return };
        endpoint.pending -= 1;
        let took = now.since(began);
        let seen = match outcome.meaning() {
            Meaning::Good { long: true } => Some(Seen::Good),
            Meaning::Good { long: false } => {
                endpoint.latency.on_answer(now, took);
                endpoint.usual.on_answer(took);
                Some(if took >= slow { Seen::Slow } else { Seen::Good })
            }
            Meaning::Failure => {
                endpoint.latency.on_at_least(now, took, mean);
                endpoint.latency.on_strike(now);
                Some(Seen::Failed)
            }
            Meaning::Unheard => {
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
            Meaning::Nothing => None,
        };
        self.pending -= 1;
        let answered = matches!(outcome.meaning(), Meaning::Good { .. });
        if answered && self.mean.is_none() {
            self.mean = Some(took);
        }
        if let Some(seen) = seen {
            self.judge(key, began, now, seen, answered);
        }
    }

    /// An answer that was being passed on broke off.
    pub(crate) fn on_truncated(&mut self, key: EndpointKey, began: Moment, now: Moment) {
        self.judge(key, began, now, Seen::Failed, false);
    }

    fn judge(&mut self, key: EndpointKey, began: Moment, now: Moment, seen: Seen, answered: bool) {
        let Some(state) = self.endpoint(key).map(|e| e.state(now).0) else { return };
        // What began before it was taken out says nothing new.
        if state == State::Ejected {
            return;
        }
        self.judge_by_share(key, state, began, now, seen);
        self.judge_by_row(key, state, began, now, answered);
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

    fn judge_by_row(&mut self, key: EndpointKey, state: State, began: Moment, now: Moment, answered: bool) {
        let Some(rule) = self.settings.ejection else { return };
        let others = self.pool.available.saturating_sub(usize::from(state.is_available()));
        let room = self.pool.ejected < out_at_most(&rule, self.order.len()) && others > 0;
        let Some(endpoint) = self.endpoint_mut(key) else { return };
        if answered {
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
