//! **Who completes nothing for half a minute and does not answer either is killed; who is only slow is not.**
//!
//! A probe that waits in the app's own queue fails when the app is busy. A watchdog that kills by it takes instances away
//! from a service that has too few, which makes the others fail their probes: kills come in waves. So two witnesses must
//! agree: *nothing was completed* (neither a request nor a probe) and *the process does not answer* its sidecar, which
//! asks on a slot that it keeps free for that.
//!
//! | silent for | probe | what is done |
//! |---|---|---|
//! | any | answers | nothing |
//! | 0–15 s | fails | nothing: `progressing` is told where the probe alone would have killed |
//! | 15–29 s | fails | new requests are kept away; if it was only busy, it now completes something |
//! | 29 s and more | 3 failures | killed, as far as the budget goes: 10 % of the service or one, in a minute |
//! | 29–59 s, above 30 % unhealthy | 3 failures | spared: what many have, a kill does not cure |
//! | 59 s and more, above 30 % unhealthy | 3 failures | killed if others of its service complete something |
//!
//! Two unhealthy instances are no panic, however small the fleet. An instance that has not had its first success is in its grace: failures do not count, up to ten minutes.
//!
//! The rules of others are settings of this one: without silence, shedding, panic and budget it is a probe that kills
//! after so many failures ([`Watchdog::kubernetes`], [`Watchdog::marathon`](model::fleet::Watchdog::marathon)).
//!
//! ```
//! # use policy::fleet::{InstanceKey, Reason, ServiceKey, watchdog::{Kills, Probe, Seen, Verdict}};
//! # use model::{Moment, fleet::Watchdog};
//! let at = Moment::from_millis;
//! let (rule, mut kills) = (Watchdog::default(), Kills::default());
//! let mut probe = Probe::begin(at(5_000));
//! probe.on_answer(at(5_010));
//! for failed in [12_000, 17_000, 22_000] { probe.on_failure(&rule, at(0), at(failed)); }
//! let mut seen = Seen {
//!     service: ServiceKey(1), instance: InstanceKey(7), started: at(0), completed: Some(at(6_000)), probe, shed: false,
//! };
//! // Silent since 6.0 s: no new requests from 21 s on, dead at 35 s.
//! assert_eq!(kills.plan(&rule, at(20_000), &[seen])[0].verdict, Verdict::Spare);
//! assert_eq!(kills.plan(&rule, at(21_000), &[seen])[0].verdict, Verdict::Shed);
//! seen.shed = true;
//! let dead = kills.plan(&rule, at(35_000), &[seen])[0];
//! assert_eq!((dead.verdict, dead.reason), (Verdict::Kill, Reason::Hung));
//! ```
//!
//! Source: the post-mortem of 2018-07-18, in which the cluster killed unresponsive instances of a service that was
//! short of instances; Kubernetes' and Marathon's documentation of their probes for the rules of others.

use super::{InstanceKey, Reason, ServiceKey};
use model::Moment;
use model::fleet::Watchdog;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// So many unhealthy instances are no panic, whatever share of the fleet they are.
const FEW: u64 = 2;

/// What the probes of one instance have shown. Whoever asks keeps one of these beside each instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Probe {
    due: Moment,
    failures: u32,
    answered: Option<Moment>,
}

impl Probe {
    /// The first probe is due at `first`; give instances that start together different moments.
    pub fn begin(first: Moment) -> Probe {
        Probe { due: first, failures: 0, answered: None }
    }

    /// When the next probe is to be sent. Tell [`Probe::on_sent`], then one of the other two.
    pub fn next_wakeup(&self) -> Moment {
        self.due
    }

    /// A probe is sent; it has [`Watchdog::timeout`] to be answered.
    pub fn on_sent(&mut self, rule: &Watchdog, now: Moment) {
        self.due = now.after(rule.every.max(Duration::from_millis(1)));
    }

    /// It was answered in time.
    pub fn on_answer(&mut self, now: Moment) {
        self.failures = 0;
        self.answered = Some(now);
    }

    /// It was not. `started` is when the instance was; in its grace this does not count.
    pub fn on_failure(&mut self, rule: &Watchdog, started: Moment, now: Moment) {
        if self.answered.is_some() || now.since(started) >= rule.grace {
            self.failures = self.failures.saturating_add(1);
        }
    }

    /// Failures in a row that count.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When it was last answered.
    pub fn answered(&self) -> Option<Moment> {
        self.answered
    }
}

/// What is seen of one instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Whose it is.
    pub service: ServiceKey,
    /// Which it is.
    pub instance: InstanceKey,
    /// When its process was started.
    pub started: Moment,
    /// When its sidecar last saw a request answered or a stream move; none: never.
    pub completed: Option<Moment>,
    /// What the probes have shown.
    pub probe: Probe,
    /// Whether new requests are kept away from it, as was asked for.
    pub shed: bool,
}

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// New requests are kept away from it.
    Shed,
    /// It gets new requests again.
    Readmit,
    /// It is killed and started again.
    Kill,
    /// Nothing, although its probe fails.
    Spare,
}

/// What is done with one instance, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Act {
    /// Whose it is.
    pub service: ServiceKey,
    /// Which it is.
    pub instance: InstanceKey,
    /// What is done.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
}

/// The kills that still count against a budget.
#[derive(Clone, Debug, Default)]
pub struct Kills {
    lately: BTreeMap<ServiceKey, VecDeque<Moment>>,
}

/// What is known of a service as a whole.
#[derive(Clone, Copy)]
struct Tally {
    service: ServiceKey,
    instances: u32,
    /// Of those, the ones that completed something lately.
    alive: u32,
}

impl Kills {
    /// What is done now with each of `observed`, in their order but for kills, which come last: those silent for
    /// longest first. An instance with which nothing is done and whose probe does not fail is not in the list. A kill is
    /// counted as done; ask once a second.
    pub fn plan(&mut self, rule: &Watchdog, now: Moment, observed: &[Seen]) -> Vec<Act> {
        let limit = rule.failures.max(1);
        let mut acts = Vec::new();
        let mut hung = Vec::new();
        let (mut counted, mut unhealthy) = (0u64, 0u64);
        for seen in observed {
            let failing = seen.probe.failures >= limit;
            counted += u64::from(seen.completed.is_some() || seen.probe.answered.is_some() || failing);
            unhealthy += u64::from(failing);
            match judge(rule, now, seen) {
                Some((Verdict::Kill, reason)) => hung.push((seen, reason)),
                Some((verdict, reason)) => acts.push(act(seen, verdict, reason)),
                None => {}
            }
        }
        if !hung.is_empty() {
            let panic = rule
                .panic
                .filter(|p| unhealthy > FEW && unhealthy as f64 > p.above.part() * counted as f64)
                .map(|p| p.silence);
            let tallies = tally(rule, now, observed);
            hung.sort_by_key(|(seen, _)| (seen.service, sign(seen), seen.instance));
            acts.extend(hung.into_iter().map(|(seen, reason)| {
                let (verdict, reason) = self
                    .spare(rule, now, seen, of(&tallies, seen), panic)
                    .map_or_else(|| (Verdict::Kill, reason), |spared| (Verdict::Spare, spared));
                act(seen, verdict, reason)
            }));
        }
        acts
    }

    /// Why an instance that ought to be killed is not; none: it is, and that is counted.
    fn spare(
        &mut self,
        rule: &Watchdog,
        now: Moment,
        seen: &Seen,
        service: Tally,
        panic: Option<Duration>,
    ) -> Option<Reason> {
        if panic.is_some_and(|silence| service.alive == 0 || now.since(sign(seen)) < silence) {
            return Some(Reason::ClusterPanic);
        }
        let budget = rule.budget?;
        let lately = self.lately.entry(seen.service).or_default();
        while lately.front().is_some_and(|killed| now.since(*killed) >= budget.per) {
            lately.pop_front();
        }
        let share = (budget.share.part() * f64::from(service.instances)) as usize;
        if lately.len() >= share.max(budget.at_least as usize) {
            return Some(Reason::KillBudget);
        }
        lately.push_back(now);
        None
    }
}

fn act(seen: &Seen, verdict: Verdict, reason: Reason) -> Act {
    Act { service: seen.service, instance: seen.instance, verdict, reason }
}

/// The last sign of life: an answer to a request or to a probe, or the start.
fn sign(seen: &Seen) -> Moment {
    let answered = seen.probe.answered.max(seen.completed);
    answered.map_or(seen.started, |at| at.max(seen.started))
}

/// What ought to be done with one instance for its own sake.
fn judge(rule: &Watchdog, now: Moment, seen: &Seen) -> Option<(Verdict, Reason)> {
    let silent = now.since(sign(seen));
    if let Some(after) = rule.shed.filter(|_| seen.shed)
        && (silent < after || seen.probe.failures == 0)
    {
        return Some((Verdict::Readmit, Reason::ProgressAgain));
    }
    let never = seen.completed.is_none() && seen.probe.answered.is_none();
    if seen.probe.failures == 0 || never && now.since(seen.started) < rule.grace {
        return None;
    }
    let failed = seen.probe.failures >= rule.failures.max(1);
    match rule.silence {
        None => failed.then_some((Verdict::Kill, Reason::ProbeFailed)),
        Some(silence) if failed && silent >= silence => {
            Some((Verdict::Kill, if never { Reason::NeverStarted } else { Reason::Hung }))
        }
        Some(_) if !seen.shed && rule.shed.is_some_and(|after| silent >= after) => {
            Some((Verdict::Shed, Reason::NoProgress))
        }
        Some(_) => (failed && !seen.shed).then_some((Verdict::Spare, Reason::Progressing)),
    }
}

fn tally(rule: &Watchdog, now: Moment, observed: &[Seen]) -> Vec<Tally> {
    let lately = rule.silence.unwrap_or(rule.every);
    let mut tallies: Vec<Tally> = Vec::new();
    for seen in observed {
        let alive = u32::from(seen.completed.is_some_and(|at| now.since(at) < lately));
        match tallies.last_mut().filter(|t| t.service == seen.service) {
            Some(tally) => {
                tally.instances += 1;
                tally.alive += alive;
            }
            None => tallies.push(Tally { service: seen.service, instances: 1, alive }),
        }
    }
    tallies.sort_by_key(|t| t.service);
    tallies.dedup_by(|next, first| {
        let same = next.service == first.service;
        if same {
            first.instances += next.instances;
            first.alive += next.alive;
        }
        same
    });
    tallies
}

fn of(tallies: &[Tally], seen: &Seen) -> Tally {
    let none = Tally { service: seen.service, instances: 0, alive: 0 };
    tallies.binary_search_by_key(&seen.service, |t| t.service).map_or(none, |i| tallies[i])
}

#[cfg(test)]
mod tests;
