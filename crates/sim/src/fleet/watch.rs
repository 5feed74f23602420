//! The watchdog in the world: probes that go to the app or to the sidecar, and what its plan wants done.

use crate::record::Victim;
use crate::service::Stage;
use crate::world::World;
use model::Moment;
use model::fleet::{Answers, Watchdog};
use policy::fleet::watchdog::{Kills, Probe, Seen, Verdict};
use policy::fleet::{InstanceKey, ServiceKey};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Probes, and the kills that count against the budget.
#[derive(Debug, Default)]
pub(super) struct Watches {
    kills: Kills,
    /// By instance, as the world counts them: those that are open.
    watched: Vec<Option<Watched>>,
    /// Probes under way by number, and their numbers by when they are over.
    asked: BTreeMap<u32, u32>,
    over: VecDeque<(Moment, u32)>,
    number: u32,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    probe: Probe,
    shed: bool,
}

/// How long ago the last request may have been completed of somebody who gets on. A little less than the 30 s within
/// which who truly hangs shall be found.
const LATELY: Duration = Duration::from_secs(25);

impl World {
    /// Sends the probes that are due, and does what the watchdog's plan wants.
    pub(super) fn watch(&mut self) {
        let Some(rule) = self.fleet.rule.watchdog else { return };
        self.probes_over(&rule);
        let seen = self.seen();
        let now = self.agenda.now();
        for act in self.fleet.watches.kills.plan(&rule, now, &seen) {
            let instance = act.instance.0;
            match act.verdict {
                Verdict::Shed => self.keep_away(instance, true),
                Verdict::Readmit => self.keep_away(instance, false),
                Verdict::Kill => self.put_down(instance, act.reason.word()),
                Verdict::Spare => {}
            }
        }
        self.send_probes(&rule);
    }

    /// Probes whose time is over have failed.
    fn probes_over(&mut self, rule: &Watchdog) {
        let now = self.agenda.now();
        while let Some((_, number)) = self.fleet.watches.over.pop_front_if(|(until, _)| *until <= now) {
            self.probe_failed(rule, number);
        }
    }

    /// A probe has ended, if anybody still waits for it.
    pub(crate) fn probed(&mut self, number: u32, well: bool) {
        let Some(rule) = self.fleet.rule.watchdog else { return };
        if !well {
            return self.probe_failed(&rule, number);
        }
        let now = self.agenda.now();
        let watches = &mut self.fleet.watches;
        if let Some(watched) =
            watches.asked.remove(&number).and_then(|instance| watches.of(instance).as_mut())
        {
            watched.probe.on_answer(now);
        }
    }

    fn probe_failed(&mut self, rule: &Watchdog, number: u32) {
        let now = self.agenda.now();
        let Some(instance) = self.fleet.watches.asked.remove(&number) else { return };
        let began = self.fleet.tenant(instance).began;
        if let Some(watched) = self.fleet.watches.of(instance) {
            watched.probe.on_failure(rule, began, now);
        }
    }

    /// What is seen of the open instances, service by service.
    fn seen(&self) -> Vec<Seen> {
        let open = |instance: &&u32| self.instances[**instance as usize].stage == Stage::Open;
        let members = self.services.iter().flat_map(|s| s.members.iter().filter(open));
        members
            .filter_map(|instance| {
                let watched = self.fleet.watches.watched.get(*instance as usize)?.as_ref()?;
                let here = &self.instances[*instance as usize];
                Some(Seen {
                    service: ServiceKey(here.service),
                    instance: InstanceKey(*instance),
                    started: self.fleet.tenants.get(*instance as usize).map_or(Moment::ZERO, |t| t.began),
                    completed: here.served,
                    probe: watched.probe,
                    shed: watched.shed,
                })
            })
            .collect()
    }

    /// Probes begin when an instance opens; those of instances that open together are spread over the time between two.
    fn send_probes(&mut self, rule: &Watchdog) {
        let now = self.agenda.now();
        let open = self.services.iter().flat_map(|s| &s.members).copied();
        let open: Vec<u32> = open.filter(|i| self.instances[*i as usize].stage == Stage::Open).collect();
        for instance in open {
            let number = self.instances[instance as usize].number;
            let first =
                || Watched { probe: Probe::begin(now.after(spread(rule.every, number))), shed: false };
            let watched = self.fleet.watches.of(instance).get_or_insert_with(first);
            if watched.probe.next_wakeup() <= now {
                watched.probe.on_sent(rule, now);
                self.send_probe(rule, instance);
            }
        }
    }

    fn send_probe(&mut self, rule: &Watchdog, instance: u32) {
        let now = self.agenda.now();
        let watches = &mut self.fleet.watches;
        watches.number = watches.number.wrapping_add(1);
        let number = watches.number;
        watches.asked.insert(number, instance);
        watches.over.push_back((now.after(rule.timeout), number));
        match rule.answers {
            Answers::App if !self.has_health_apart(instance) => self.probe(instance, number),
            // There is a thread that does nothing else, or the sidecar asks the process on a slot that it keeps free for
            // that: whoever is only busy answers.
            _ if !self.instances[instance as usize].ailment.hangs => self.probed(number, true),
            _ => {}
        }
    }

    fn has_health_apart(&self, instance: u32) -> bool {
        let service = self.instances[instance as usize].service as usize;
        self.scenario.services[service].health_apart
    }

    fn put_down(&mut self, instance: u32, reason: &'static str) {
        let now = self.agenda.now();
        let here = &self.instances[instance as usize];
        let (service, number) = (here.service as usize, here.number);
        let answered = self.fleet.watches.of(instance).and_then(|w| w.probe.answered());
        let victim = Victim {
            healthy_for: answered.map_or(Duration::ZERO, |at| at.since(here.opened)),
            progressing: here.served.is_some_and(|at| now.since(at) < LATELY),
        };
        self.record.on_kill(now, service, number, reason, victim);
        self.kill(instance);
    }

    /// Keeps new requests away from an instance, or no more.
    fn keep_away(&mut self, instance: u32, away: bool) {
        if let Some(watched) = self.fleet.watches.of(instance) {
            watched.shed = away;
            self.show(instance, !away);
        }
    }
}

impl Watches {
    /// An instance is gone.
    pub(super) fn forget(&mut self, instance: u32) {
        *self.of(instance) = None;
    }

    fn of(&mut self, instance: u32) -> &mut Option<Watched> {
        let instance = instance as usize;
        if self.watched.len() <= instance {
            self.watched.resize(instance + 1, None);
        }
        &mut self.watched[instance]
    }
}

/// A part of `every` that is another one for each number (the golden ratio spreads any run of numbers evenly).
fn spread(every: Duration, number: u32) -> Duration {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    every.mul_f64((f64::from(number) * GOLDEN).fract())
}
