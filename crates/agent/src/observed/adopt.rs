//! A change of what is wanted, as an operation: builds, starts, restarts one after the other, and stops at the end.

use super::{App, Ended, Observed, Operation, Sidecar, Unit, Wanted};
use crate::adopt::Steps;
use crate::desired::Desired;
use model::Moment;
use std::collections::VecDeque;

impl Observed {
    /// A change begins: something may have to be built first.
    pub fn begin_change(&mut self, id: u64, now: Moment) {
        let progress = vec![(now, "the change begins".to_owned())];
        self.forget_old_operations();
        self.operations.push(Operation {
            id,
            starts: Vec::new(),
            queue: VecDeque::new(),
            retires: Vec::new(),
            current: None,
            waits: None,
            done: 0,
            total: 0,
            stage: super::Stage::Building,
            since: now,
            ended: None,
            progress,
        });
    }

    /// A step of the change `id`, for whoever asked for it.
    pub fn tell_change(&mut self, id: u64, text: String, now: Moment) {
        if let Some(operation) = self.operations.iter_mut().find(|operation| operation.id == id) {
            operation.progress.push((now, text));
        }
    }

    /// The change `id` comes to nothing: nothing has been changed yet.
    pub fn drop_change(&mut self, id: u64, why: &str, now: Moment) {
        if let Some(op) = self.operations.iter().position(|operation| operation.id == id) {
            self.apply_abandon(op, why, now);
        }
    }

    /// What is wanted has changed; these `steps` lead there, under the operation `id`.
    pub fn adopt(&mut self, id: u64, steps: &Steps, desired: &Desired, now: Moment) {
        for at in self.units.len()..desired.units.len() {
            self.units.push(Unit::begin(desired.service(at).is_some()));
        }
        for at in &steps.starts {
            self.revive(*at, now);
        }
        if !steps.reloads.is_empty() {
            self.generation += 1;
            steps.reloads.iter().for_each(|at| self.units[*at].changed = self.generation);
        }
        let Some(operation) = self.operations.iter_mut().find(|operation| operation.id == id) else { return };
        operation.starts.clone_from(&steps.starts);
        operation.queue = steps.restarts.iter().copied().collect();
        operation.retires.clone_from(&steps.retires);
        operation.total = u32::try_from(steps.restarts.len()).unwrap_or(u32::MAX);
        (operation.stage, operation.since) = (super::Stage::Changing, now);
        let count = |n: usize, what: &str| (n > 0).then(|| format!("{n} to {what}"));
        let parts = [
            count(steps.starts.len(), "start"),
            count(steps.restarts.len(), "restart, one after the other"),
            count(steps.retires.len(), "stop at the end"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let text = if parts.is_empty() { "in place: nothing is restarted".into() } else { parts.join("; ") };
        operation.progress.push((now, text));
    }

    /// A unit that is to run, whether it is new or was retired. What counts its runs goes on, so that late news of an
    /// earlier one are known as such.
    fn revive(&mut self, at: usize, now: Moment) {
        let old = &self.units[at];
        let fresh = Unit::begin(true);
        self.units[at] = Unit {
            sidecar: Sidecar::Absent(now),
            sidecar_run: old.sidecar_run,
            app: App::Absent(now),
            app_run: old.app_run,
            app_restarts: old.app_restarts,
            wish: old.wish,
            changed: self.generation,
            new_ports: old.sidecar_run > 0,
            ..fresh
        };
    }

    /// A unit is to stop for good.
    pub(super) fn apply_retire(&mut self, at: usize) {
        self.units[at].wanted = Wanted::Retire;
        self.note("retiring", at, Some("not-wanted"), "it is not wanted any more and is stopped");
    }

    /// Whether a change is under way.
    pub fn is_changing(&self) -> bool {
        self.operations.iter().any(|o| o.ended.is_none() && o.stage != super::Stage::Restarting)
    }

    /// The unit whose turn it is in a change, if it is this one.
    pub fn is_turn_of(&self, at: usize) -> bool {
        let turn = |o: &Operation| {
            o.ended.is_none()
                && o.stage == super::Stage::Changing
                && o.current.is_some_and(|(unit, _)| unit == at)
        };
        self.operations.iter().any(turn)
    }

    /// The change that has ended and of which the books do not know yet: its number, and how.
    pub fn take_ended_change(&mut self) -> Option<(u64, Ended, Vec<usize>)> {
        let ended = |o: &&mut Operation| o.ended.is_some() && o.stage == super::Stage::Changing;
        let operation = self.operations.iter_mut().find(ended)?;
        operation.stage = super::Stage::Over;
        let ended = operation.ended?;
        Some((operation.id, ended, operation.retires.clone()))
    }
}
