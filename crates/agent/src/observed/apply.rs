//! What a decided action changes in what is known, before it is carried out.

use super::{App, Drain, Ended, FAILED_STARTS, Killed, Note, Observed, Rotation, Sidecar, Stage, Wanted};
use crate::desired::Desired;
use crate::plan::Action;
use model::Moment;

impl Observed {
    /// What a decided action changes here, before it is carried out.
    pub fn apply(&mut self, action: &Action, desired: &Desired, now: Moment) {
        match action {
            Action::StartSidecar(at) => self.apply_start_sidecar(*at, now),
            Action::StopSidecar(at) => self.units[*at].sidecar = Sidecar::Stopping(now, Killed::No),
            Action::KillSidecar(at, why) => {
                self.units[*at].sidecar = Sidecar::Stopping(now, Killed::Yes);
                self.note("killed", *at, Some(why), "its sidecar was killed");
            }
            Action::StartApp(at) => self.apply_start_app(*at, now),
            Action::StopApp(at, why) => {
                self.units[*at].app = App::Stopping(now, Killed::No);
                self.units[*at].reason = Some((*why).into());
                self.note("stopping", *at, Some(why), "its app was told to end");
            }
            Action::KillApp(at) => self.apply_kill_app(*at, now),
            Action::Hint(at) => self.apply_hint(*at),
            Action::Halt(at) => self.units[*at].halt = Some(now),
            Action::Enter(at) => {
                let unit = &mut self.units[*at];
                unit.rotation = Rotation::Entering;
                unit.wish += 1;
                unit.refusals = 0;
                unit.reason = Some("entering".into());
            }
            Action::Leave(at, why) => {
                let unit = &mut self.units[*at];
                unit.rotation = Rotation::Leaving;
                unit.wish += 1;
                unit.reason = Some(why.clone());
                self.note("out-of-rotation", *at, Some(why), "callers are told not to use it");
            }
            Action::Publish(at) => self.units[*at].sent = Some(self.generation),
            Action::Ask(at) => self.units[*at].late = false,
            Action::Drain(at) => self.units[*at].drain = Drain::Asked,
            Action::Restart(at, why) => {
                self.units[*at].wanted = Wanted::Restart;
                self.note("restarting", *at, Some(why), "it is taken out, stopped and started again");
            }
            Action::Spare(at) => {
                self.units[*at].spared = true;
                let text = "it hangs, but no other instance could take its requests: it is left alone";
                self.note("spared", *at, Some("last-instance"), text);
            }
            Action::Renew(at) => {
                let unit = &mut self.units[*at];
                unit.wanted = Wanted::Run;
                unit.drain = Drain::No;
                unit.halt = None;
                if unit.app != App::None {
                    unit.app = App::Absent(now);
                }
                unit.sidecar = Sidecar::Absent(now);
                // A sidecar that could not come back beside its running app may have lost its ports.
                unit.new_ports |= unit.sidecar_failures >= FAILED_STARTS;
            }
            Action::Retire(at) => self.apply_retire(*at),
            Action::Begin(op, at) => self.apply_begin(*op, *at, desired, now),
            Action::Await(op, at, away) => self.apply_await(*op, (*at, *away), desired, now),
            Action::Advance(op) => self.apply_advance(*op, desired, now),
            Action::Abandon(op, why) => self.apply_abandon(*op, why, now),
        }
    }

    fn apply_kill_app(&mut self, at: usize, now: Moment) {
        let was = std::mem::replace(&mut self.units[at].app, App::Stopping(now, Killed::Yes));
        let since = if let App::Stopping(since, _) = was { since } else { now };
        let text = format!("its app did not end within {} ms of SIGTERM", since.until(now).as_millis());
        self.note("killed", at, Some("grace-over"), text);
    }

    fn apply_hint(&mut self, at: usize) {
        self.units[at].hinted = true;
        let text = "its app has not passed its startup probe yet: it should listen on 127.0.0.1, at the port that \
                    the variable PORT names";
        self.note("not-answering", at, None, text);
    }

    fn apply_start_sidecar(&mut self, at: usize, now: Moment) {
        let generation = self.generation;
        let unit = &mut self.units[at];
        unit.sidecar = Sidecar::Starting(now);
        unit.sidecar_run += 1;
        unit.acked = generation;
        unit.sent = None;
        unit.drain = Drain::No;
        unit.late = false;
        if unit.sidecar_run > 1 {
            self.note("restarted", at, None, "its sidecar was started again");
        }
    }

    fn apply_start_app(&mut self, at: usize, now: Moment) {
        if self.units[at].new_ports {
            // Its own sidecar has to learn where the app is now.
            self.generation += 1;
            self.units[at].changed = self.generation;
        }
        let unit = &mut self.units[at];
        unit.app = App::Starting(now);
        unit.hinted = false;
        unit.app_run += 1;
        if unit.app_run > 1 {
            unit.app_restarts += 1;
            self.note("restarted", at, None, "its app is started again");
        }
    }

    fn apply_begin(&mut self, op: usize, at: usize, desired: &Desired, now: Moment) {
        let operation = &mut self.operations[op];
        operation.queue.retain(|queued| *queued != at);
        operation.waits = None;
        operation.current = Some((at, now));
        operation.progress.push((now, format!("{} is restarted", desired.units[at].name)));
        // What failed before is no sign of what comes now.
        self.units[at].app_failures = 0;
        self.apply(&Action::Restart(at, "asked"), desired, now);
    }

    fn apply_await(&mut self, op: usize, (at, away): (usize, usize), desired: &Desired, now: Moment) {
        let (at, away) = (&desired.units[at].name, &desired.units[away].name);
        let text = format!("{at} has its turn when {away} is in rotation: waiting for it");
        let operation = &mut self.operations[op];
        operation.waits = Some(now);
        operation.progress.push((now, text));
    }

    fn apply_advance(&mut self, op: usize, desired: &Desired, now: Moment) {
        let operation = &mut self.operations[op];
        let current = operation.current.take();
        if let Some((at, since)) = current {
            operation.done += 1;
            let took = since.until(now).as_millis();
            let (done, total, name) = (operation.done, operation.total, &desired.units[at].name);
            operation.progress.push((now, format!("{name} is back after {took} ms ({done}/{total})")));
        }
        // Of a change more may be left to do after its last restart.
        if operation.queue.is_empty() && (current.is_none() || operation.retires.is_empty()) {
            operation.ended = Some(Ended::Done);
        }
    }

    pub(super) fn apply_abandon(&mut self, op: usize, why: &str, now: Moment) {
        let operation = &mut self.operations[op];
        operation.ended = Some(Ended::Failed);
        operation.progress.push((now, format!("given up: {why}")));
        let what = if operation.stage == Stage::Restarting { "restart" } else { "change" };
        let text = format!("the {what} was given up: {why}");
        let note = Note { kind: "operation-failed", unit: None, reason: Some("given-up".into()), text };
        self.notes.push(note);
    }
}
