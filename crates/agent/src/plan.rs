//! What to do next, from what should be, what is, and the time: pure, so that each rule is a line in a table test.
//!
//! An instance's life, in the order in which it is decided here:
//! sidecar ready → app started → startup probe passed → registered → in rotation (every follower has adopted it).
//! And its end, in reverse: deregistered (no follower has it any more) → drained → SIGTERM → SIGKILL → sidecar last.
//!
//! A stop has **one deadline**, `stop-grace` after it was decided: then comes SIGKILL. Followers have until half of it
//! to adopt the removal, the last requests until three quarters, and SIGTERM is sent at seven eighths at the latest,
//! so that an app always has its own time, however slow everybody else is. With 10 s: 5 s, 7.5 s, 8.75 s, 10 s; each
//! step begins when the one before it is over, which usually takes milliseconds.
//!
//! Restarts that nobody needs at once (asked for, or for hanging) are held back while another instance of the
//! service is out of rotation: an instance that is slow under load is not helped by taking its neighbour away.

use crate::desired::{Desired, Kind, Service};
use crate::observed::{App, Drain, Killed, Observed, Operation, Rotation, Sidecar, Stage, Unit, Wanted};
use model::Moment;
use std::time::Duration;

/// A sidecar says `ready` within this, or is killed: it has nothing to do but to read a file and to listen.
pub const SIDECAR_START: Duration = Duration::from_secs(10);
/// How long a sidecar may take to end once nothing is left for it to do.
pub const SIDECAR_GRACE: Duration = Duration::from_secs(2);
/// The edge may finish requests for so long when it is stopped.
pub const EDGE_GRACE: Duration = Duration::from_secs(10);
/// An instance without neighbours is restarted for hanging only after so many times the usual failures: while it
/// still answers some requests, nobody else would.
pub const SOLE_PATIENCE: u32 = 3;
/// Beyond startup and stop, an operation waits so long for an instance to be back.
pub const OPERATION_SLACK: Duration = Duration::from_secs(60);

/// One thing to do. The number is the unit's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Start the sidecar from a snapshot of what is known.
    StartSidecar(usize),
    /// SIGTERM to the sidecar.
    StopSidecar(usize),
    /// SIGKILL to the sidecar, and why.
    KillSidecar(usize, &'static str),
    /// Start the app.
    StartApp(usize),
    /// SIGTERM to the app's process group, and why.
    StopApp(usize, &'static str),
    /// SIGKILL to the app and all that it started.
    KillApp(usize),
    /// Say what may be wrong with an app that does not answer.
    Hint(usize),
    /// Its app is to be stopped: its deadline counts from now.
    Halt(usize),
    /// Ask the control plane to register it: callers are sent to it.
    Enter(usize),
    /// Ask the control plane to take it out, and why.
    Leave(usize, String),
    /// Have the sidecar read its own file again.
    Publish(usize),
    /// Ask the sidecar whether it lives.
    Ask(usize),
    /// Let the sidecar finish its app's requests and refuse others.
    Drain(usize),
    /// Stop it and start it again, and why.
    Restart(usize, &'static str),
    /// It hangs, but is left alone.
    Spare(usize),
    /// It was stopped and may start again.
    Renew(usize),
    /// Stop it for good.
    Retire(usize),
    /// The operation takes up this unit of its queue.
    Begin(usize, usize),
    /// The operation says which unit of its queue has its turn when which other one is in rotation.
    Await(usize, usize, usize),
    /// The operation's unit is back.
    Advance(usize),
    /// The operation is given up, and why.
    Abandon(usize, String),
}

/// An app that has not passed its startup probe for so long is told of, as it may listen somewhere else.
pub const HINT_AFTER: Duration = Duration::from_secs(10);

/// The steps of a stop, in eighths of its grace: how long followers, and the last requests, are waited for, and when
/// SIGTERM is sent at the latest.
const SETTLED_BY: u32 = 4;
const DRAINED_BY: u32 = 6;
const TERM_BY: u32 = 7;

/// How long the last requests of a stop that was decided at `halt` may take from now on.
pub fn drain_time(grace: Duration, halt: Moment, now: Moment) -> Duration {
    now.until(halt.after(grace * DRAINED_BY / 8))
}

/// How long followers may take to adopt the removal of an instance whose stop was decided at `halt`.
pub fn settle_time(grace: Duration, halt: Moment, now: Moment) -> Duration {
    now.until(halt.after(grace * SETTLED_BY / 8))
}

/// What to do now, and when to ask again at the latest if nothing happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// At most one action for each unit and operation: what comes after it is asked for once it is applied.
    pub actions: Vec<Action>,
    /// When time alone makes a difference.
    pub wake: Moment,
}

/// What to do now.
pub fn plan(desired: &Desired, observed: &Observed, now: Moment) -> Plan {
    let mut view = View { desired, observed, now, wake: Moment::NEVER };
    let mut actions: Vec<Action> = (0..observed.units.len()).filter_map(|at| view.unit(at)).collect();
    actions.extend(view.publish());
    actions.extend((0..observed.units.len()).filter(|at| observed.units[*at].late).map(Action::Ask));
    if observed.stopping.is_none() {
        // One of the two, or two instances might be taken at once.
        actions.extend(view.operation().or_else(|| view.liveness()));
    }
    Plan { actions, wake: view.wake }
}

struct View<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    now: Moment,
    wake: Moment,
}

impl View<'_> {
    /// Whether `wait` has passed since `since`; otherwise asks to be woken then.
    fn passed(&mut self, since: Moment, wait: Duration) -> bool {
        let due = since.after(wait);
        if due > self.now {
            self.wake = self.wake.min(due);
        }
        due <= self.now
    }

    fn unit(&mut self, at: usize) -> Option<Action> {
        let unit = &self.observed.units[at];
        if self.observed.stopping.is_some() {
            return if self.may_stop(at) {
                self.stop(at, unit, "stopping")
            } else {
                self.leave_if_gone(at, unit)
            };
        }
        match unit.wanted {
            Wanted::Run => self.run(at, unit),
            Wanted::Restart if self.observed.gone(at) => Some(Action::Renew(at)),
            Wanted::Restart => self.stop(at, unit, "restarting"),
            Wanted::Retire => self.stop(at, unit, "not-wanted"),
        }
    }

    /// Callers stop before those that they call: whoever starts later stops earlier.
    fn may_stop(&self, at: usize) -> bool {
        let rank = self.desired.rank(at);
        (0..self.observed.units.len()).all(|u| self.desired.rank(u) <= rank || self.observed.gone(u))
    }

    fn run(&mut self, at: usize, unit: &Unit) -> Option<Action> {
        if let Some(action) = self.leave_if_gone(at, unit) {
            return Some(action);
        }
        match unit.sidecar {
            Sidecar::Absent(from) => {
                let lost = unit.sidecar_failures >= crate::observed::FAILED_STARTS && unit.app_runs();
                if lost {
                    return Some(Action::Restart(at, "sidecar-gone"));
                }
                let may = self.observed.may_begin() && self.passed(from, Duration::ZERO);
                return may.then_some(Action::StartSidecar(at));
            }
            Sidecar::Starting(since) if self.passed(since, SIDECAR_START) => {
                return Some(Action::KillSidecar(at, "startup-too-slow"));
            }
            Sidecar::Stopping(..) | Sidecar::Starting(_) => {}
            Sidecar::Ready(_) => {}
        }
        self.run_app(at, unit)
    }

    fn run_app(&mut self, at: usize, unit: &Unit) -> Option<Action> {
        let service = self.desired.service(at)?;
        match unit.app {
            App::Absent(from) if unit.serves() && self.may_start(unit, service) => {
                self.passed(from, Duration::ZERO).then_some(Action::StartApp(at))
            }
            App::Starting(since) if self.passed(since, service.startup.within) => {
                Some(Action::StopApp(at, "startup-too-slow"))
            }
            App::Starting(since) if !unit.hinted && self.passed(since, HINT_AFTER) => Some(Action::Hint(at)),
            // Its own sidecar must know where the app is before callers come.
            App::Up(_) if self.enters(unit, service) && unit.acked >= unit.changed => Some(Action::Enter(at)),
            App::Stopping(since, Killed::No) if self.passed(since, service.stop_grace) => {
                Some(Action::KillApp(at))
            }
            _ => None,
        }
    }

    fn enters(&self, unit: &Unit, service: &Service) -> bool {
        service.kind == Kind::Service && unit.serves() && !unit.published()
    }

    /// A first start waits until each service that it calls has an instance in rotation; where the start goes on without
    /// those that do not start, it goes on without them. Later ones do not: who is away then is away for a reason that waiting does not mend.
    fn may_start(&self, unit: &Unit, service: &Service) -> bool {
        let there = |called| {
            let does_not_start = |u| self.observed.does_not_start(u, self.desired).is_some();
            self.desired.instances(called).any(|u| self.observed.units[u].been_ready)
                || (self.observed.goes_on && self.desired.instances(called).all(does_not_start))
        };
        unit.app_run > 0 || self.desired.awaited(service).all(there)
    }

    /// An instance whose app or sidecar is away is out of rotation at once.
    fn leave_if_gone(&mut self, at: usize, unit: &Unit) -> Option<Action> {
        let there = unit.serves() && matches!(unit.app, App::Up(_));
        let why = || match unit.reason.as_deref() {
            None | Some("entering") => "sidecar-gone".into(),
            Some(why) => why.into(),
        };
        (unit.published() && !there).then(|| Action::Leave(at, why()))
    }

    fn stop(&mut self, at: usize, unit: &Unit, why: &'static str) -> Option<Action> {
        let Some(halt) = unit.halt.or(if unit.app_runs() { None } else { Some(self.now) }) else {
            return Some(Action::Halt(at));
        };
        if unit.published() {
            return Some(Action::Leave(at, why.into()));
        }
        let grace = self.desired.service(at).map_or(EDGE_GRACE, |service| service.stop_grace);
        let leaving = unit.rotation == Rotation::Leaving;
        match unit.app {
            App::Starting(_) => Some(Action::StopApp(at, why)),
            App::Up(_) if leaving && !self.passed(halt, grace * SETTLED_BY / 8) => None,
            App::Up(_) if unit.serves() && unit.drain == Drain::No && self.is_called(at) => {
                Some(Action::Drain(at))
            }
            App::Up(_) if unit.drain == Drain::Asked && unit.serves() => {
                self.passed(halt, grace * TERM_BY / 8).then_some(Action::StopApp(at, why))
            }
            App::Up(_) => Some(Action::StopApp(at, why)),
            App::Stopping(_, Killed::No) => self.passed(halt, grace).then_some(Action::KillApp(at)),
            App::Stopping(_, Killed::Yes) => None,
            App::None | App::Absent(_) | App::Done | App::Failed => self.stop_sidecar(at, unit),
        }
    }

    fn stop_sidecar(&mut self, at: usize, unit: &Unit) -> Option<Action> {
        // Beside an app that is gone nothing is left to be finished; the edge has its own requests.
        let grace = if unit.app == App::None { EDGE_GRACE + SIDECAR_GRACE } else { SIDECAR_GRACE };
        match unit.sidecar {
            Sidecar::Starting(_) | Sidecar::Ready(_) => Some(Action::StopSidecar(at)),
            Sidecar::Stopping(since, Killed::No) => {
                self.passed(since, grace).then_some(Action::KillSidecar(at, "grace-over"))
            }
            Sidecar::Stopping(_, Killed::Yes) | Sidecar::Absent(_) => None,
        }
    }

    fn is_called(&self, at: usize) -> bool {
        self.desired.service(at).is_some_and(|service| service.kind == Kind::Service)
    }

    /// One message at a time for each sidecar; what changes meanwhile goes with the next.
    fn publish(&self) -> impl Iterator<Item = Action> {
        let due = |at: &usize| {
            let unit = &self.observed.units[*at];
            unit.serves() && unit.sent.is_none() && self.observed.behind(*at)
        };
        (0..self.observed.units.len()).filter(due).map(Action::Publish)
    }

    /// The oldest operation that has not ended goes on; the others wait for it.
    fn operation(&mut self) -> Option<Action> {
        let (op, operation) =
            self.observed.operations.iter().enumerate().find(|(_, operation)| operation.ended.is_none())?;
        if operation.stage == Stage::Building {
            return None;
        }
        if let Some((at, since)) = operation.current {
            return self.await_return(op, at, since);
        }
        if let Some(at) = operation.starts.iter().find(|at| !self.has_come(**at)) {
            return self.await_start(op, *at, operation.since);
        }
        if operation.queue.is_empty() { self.end(op, operation) } else { self.begin(op, operation) }
    }

    /// Whether a unit that a change starts is where it should be.
    fn has_come(&self, at: usize) -> bool {
        self.observed.units[at].been_ready && self.observed.units[at].app != App::Failed
    }

    /// A unit that a change starts: nothing is restarted before it is there, and nothing at all if it does not come.
    fn await_start(&mut self, op: usize, at: usize, since: Moment) -> Option<Action> {
        let (unit, name) = (&self.observed.units[at], &self.desired.units[at].name);
        let why = unit.reason.as_deref().unwrap_or("no-reason");
        let failed = unit.app == App::Failed || unit.app_failures >= crate::observed::FAILED_STARTS;
        if failed || unit.sidecar_failures >= crate::observed::FAILED_STARTS {
            return Some(Action::Abandon(op, format!("{name} does not start ({why})")));
        }
        let is_job = self.desired.service(at).is_some_and(|service| service.kind == Kind::Job);
        let usual = self.desired.service(at).map_or(EDGE_GRACE, |service| service.startup.within);
        // A job takes as long as it takes.
        let late = !is_job && self.passed(since, usual + OPERATION_SLACK);
        late.then(|| Action::Abandon(op, format!("{name} was not there in time ({why})")))
    }

    /// What is not wanted any more stops when all else is done, callers before those that they call.
    fn end(&self, op: usize, operation: &Operation) -> Option<Action> {
        let asked = |at: &usize| self.observed.units[*at].wanted == Wanted::Retire;
        let open: Vec<usize> =
            operation.retires.iter().copied().filter(|at| !asked(at) || !self.observed.gone(*at)).collect();
        let Some(last) = open.iter().map(|at| self.desired.rank(*at)).max() else {
            return Some(Action::Advance(op));
        };
        let next = open.into_iter().filter(|at| self.desired.rank(*at) == last).find(|at| !asked(at));
        next.map(Action::Retire)
    }

    /// Whoever is out of rotation anyway comes first among those of its rank: nothing is lost by it, and its
    /// neighbours could not be taken away before it is back.
    fn begin(&mut self, op: usize, operation: &Operation) -> Option<Action> {
        let first = *operation.queue.front()?;
        let is_out = |at: &usize| {
            let unit = &self.observed.units[*at];
            self.is_called(*at) && !unit.published() && unit.wanted == Wanted::Run
        };
        let peers = operation.queue.iter().filter(|at| self.desired.rank(**at) == self.desired.rank(first));
        let next = peers.copied().find(is_out).unwrap_or(first);
        let Some(away) = self.in_the_way(next) else { return Some(Action::Begin(op, next)) };
        let Some(since) = operation.waits else { return Some(Action::Await(op, next, away)) };
        let late = self.passed(since, self.time_to_return(away));
        let (next, away) = (&self.desired.units[next].name, &self.desired.units[away].name);
        late.then(|| {
            Action::Abandon(op, format!("{next} had no turn, as {away} was not in rotation in time"))
        })
    }

    /// Who has to be back before the unit may be restarted: itself, or a neighbour.
    fn in_the_way(&self, at: usize) -> Option<usize> {
        if self.observed.units[at].wanted != Wanted::Run {
            return Some(at);
        }
        let service = self.desired.units[at].service.filter(|_| !self.may_leave(at))?;
        self.desired.instances(service).find(|other| *other != at && !self.is_there(*other))
    }

    /// How long an operation waits for a unit to be back: a stop, a start, and some more.
    fn time_to_return(&self, at: usize) -> Duration {
        let usual = self.desired.service(at).map_or(EDGE_GRACE, |s| s.startup.within + s.stop_grace);
        usual + OPERATION_SLACK
    }

    fn await_return(&mut self, op: usize, at: usize, since: Moment) -> Option<Action> {
        let unit = &self.observed.units[at];
        let name = &self.desired.units[at].name;
        if unit.wanted == Wanted::Run && unit.app == App::Failed {
            let why = unit.reason.as_deref().unwrap_or("no-reason");
            return Some(Action::Abandon(op, format!("the job {name} failed ({why})")));
        }
        if self.is_there(at) {
            return Some(Action::Advance(op));
        }
        if unit.wanted == Wanted::Run && unit.app_failures >= crate::observed::FAILED_STARTS {
            return Some(Action::Abandon(op, format!("{name} does not start any more")));
        }
        // A job takes as long as it takes, once it has begun.
        let is_job = self.desired.service(at).is_some_and(|service| service.kind == Kind::Job);
        let has_begun = unit.wanted == Wanted::Run && (unit.app_runs() || unit.app_failures > 0);
        let late = !(is_job && has_begun) && self.passed(since, self.time_to_return(at));
        late.then(|| Action::Abandon(op, format!("{name} was not back in time")))
    }

    /// Whether the unit is where it should be in the end.
    fn is_there(&self, at: usize) -> bool {
        if self.observed.units[at].wanted != Wanted::Run {
            return false;
        }
        match self.desired.service(at).map(|service| service.kind) {
            None => self.observed.units[at].serves(),
            Some(Kind::Job) => matches!(self.observed.units[at].app, App::Done | App::Failed),
            Some(Kind::Service) => self.observed.in_rotation(at),
        }
    }

    /// Whether the unit may be taken away: all its neighbours are in rotation, or it is out of it itself and nothing
    /// is lost.
    fn may_leave(&self, at: usize) -> bool {
        let Some(service) = self.desired.units[at].service else { return true };
        let away = !self.observed.units[at].published();
        away || self.desired.instances(service).filter(|other| *other != at).all(|other| self.is_there(other))
    }

    /// Instances that hang: at most one is taken at a time, and the last of a service only after more patience.
    fn liveness(&self) -> Option<Action> {
        (0..self.observed.units.len()).find_map(|at| {
            let unit = &self.observed.units[at];
            let index = self.desired.units[at].service?;
            let liveness = self.desired.service(at)?.liveness.as_ref()?;
            let sole = self.desired.instances(index).count() == 1;
            let patience = if sole { SOLE_PATIENCE } else { 1 };
            let hangs = unit.liveness_failures >= liveness.failures.saturating_mul(patience);
            if !hangs || !matches!(unit.app, App::Up(_)) || unit.wanted != Wanted::Run {
                return None;
            }
            match self.may_leave(at) {
                true => Some(Action::Restart(at, "liveness")),
                false => (!unit.spared).then_some(Action::Spare(at)),
            }
        })
    }
}

#[cfg(test)]
mod tests;
