//! How instances begin and end: what the fleet does to them, and what faults do.

use super::instance::Ailment;
use super::{Instance, Job, Serves, Stage};
use crate::chance::{Chance, Source};
use crate::report::Occurrence;
use crate::service::instance::NO_DESK;
use crate::world::{Happening, World};
use model::{Moment, Reason};
use policy::{Event, Reached};

impl World {
    /// An instance that has been there all along.
    pub(crate) fn old_instance(&mut self, service: u32) -> u32 {
        let instance = self.new_instance(service);
        let here = &mut self.instances[instance as usize];
        here.warm();
        here.served = Some(Moment::ZERO);
        self.enter(instance);
        instance
    }

    /// Begins to start an instance.
    pub(crate) fn start(&mut self, service: u32) -> u32 {
        let instance = self.new_instance(service);
        let number = self.instances[instance as usize].number;
        let now = self.agenda.now();
        self.record.log(now, Occurrence::Starting { service: service as usize, instance: number });
        let takes = self.scenario.services[service as usize].start.takes;
        self.agenda.at(now.after(takes), Happening::Started { instance });
        instance
    }

    fn new_instance(&mut self, service: u32) -> u32 {
        let there = &mut self.services[service as usize];
        let number = there.begun;
        there.begun += 1;
        let entity = u64::from(service) << 32 | u64::from(number);
        let chance = Chance::of(self.seed, Source::Work, entity);
        let layout = &self.layout.services[service as usize];
        self.instances.push(Instance::new(layout, (service, number), chance));
        let instance = self.instances.len() as u32 - 1;
        there.members.push(instance);
        if self.scenario.services[service as usize].neighbours.is_some() {
            self.lots.push((instance, Chance::of(self.seed, Source::Neighbours, entity)));
            self.draw_neighbours(self.lots.len() as u32 - 1);
        }
        instance
    }

    /// Its process is there: it warms up when it may, then it opens.
    pub(crate) fn started(&mut self, instance: u32) {
        let here = &self.instances[instance as usize];
        if here.stage != Stage::Starting {
            return;
        }
        if self.fleet_lets_warm_up(instance) {
            self.begin_warm_up(instance);
        }
    }

    /// An instance whose process is there makes the calls that it wants to have made before it opens.
    pub(crate) fn begin_warm_up(&mut self, instance: u32) {
        let here = &self.instances[instance as usize];
        let warm_up = self.layout.services[here.service as usize].warm_up;
        let job = self.jobs.begin(Job::new(instance, warm_up, Serves::Nobody));
        self.calls(job);
    }

    pub(super) fn warmed_up(&mut self, instance: u32) {
        let now = self.agenda.now();
        let here = &self.instances[instance as usize];
        if here.stage == Stage::Starting {
            let (service, number) = (here.service as usize, here.number);
            self.record.log(now, Occurrence::Open { service, instance: number });
            self.enter(instance);
            self.fall_ill(instance);
        }
    }

    /// Callers know of it from now on.
    fn enter(&mut self, instance: u32) {
        let here = &mut self.instances[instance as usize];
        (here.stage, here.opened) = (Stage::Open, self.agenda.now());
        let there = &mut self.services[here.service as usize];
        there.open.push(instance);
        there.version += 1;
    }

    /// Nobody shall know of it from now on.
    fn leave(&mut self, instance: u32) {
        let there = &mut self.services[self.instances[instance as usize].service as usize];
        let known = there.open.len();
        there.open.retain(|i| *i != instance);
        there.version += u32::from(there.open.len() < known);
    }

    /// Stops an instance: nothing new reaches it, and what it has it works off.
    pub(crate) fn stop(&mut self, instance: u32, reason: &'static str) {
        let here = &mut self.instances[instance as usize];
        let was = here.stage;
        if was == Stage::Gone || was == Stage::Draining {
            return;
        }
        here.stage = Stage::Draining;
        let (service, number, idle) = (here.service as usize, here.number, here.inside() == 0);
        self.record.log(self.agenda.now(), Occurrence::Stopped { service, instance: number, reason });
        self.leave(instance);
        if was == Stage::Starting || idle {
            self.kill(instance);
        }
    }

    /// An instance dies with all that it is doing.
    pub(crate) fn kill(&mut self, instance: u32) {
        let here = &mut self.instances[instance as usize];
        if here.stage == Stage::Gone {
            return;
        }
        here.stage = Stage::Gone;
        here.queue.clear();
        here.cpu.queue.clear();
        here.held = Vec::new();
        here.pools = Box::default();
        self.leave(instance);
        let there = &mut self.services[self.instances[instance as usize].service as usize];
        there.members.retain(|i| *i != instance);
        for job in self.jobs.of(instance) {
            match self.jobs[job].serves {
                Serves::Call(flight, tag) => {
                    self.send(flight, Happening::Broke { flight, tag, reached: Reached::Bytes });
                }
                Serves::Probe(number) => self.later.push_back(Happening::Probed { number, well: false }),
                Serves::Nobody => {}
            }
            self.jobs.end(job);
        }
        self.close_sidecar(instance);
        self.fleet_freed(instance);
    }

    /// Keeps new requests away from an open instance, or lets them reach it again.
    pub(crate) fn show(&mut self, instance: u32, shown: bool) {
        let here = &self.instances[instance as usize];
        let known = self.services[here.service as usize].open.contains(&instance);
        if here.stage != Stage::Open || known == shown {
            return;
        }
        if shown {
            let there = &mut self.services[here.service as usize];
            there.open.push(instance);
            there.version += 1;
        } else {
            self.leave(instance);
        }
    }

    /// The sidecar of an instance ends with it: its calls are abandoned, its books closed.
    fn close_sidecar(&mut self, instance: u32) {
        let desks = std::mem::take(&mut self.instances[instance as usize].desks);
        let desks: Vec<u32> = desks.into_iter().filter(|desk| *desk != NO_DESK).collect();
        for key in self.flights.of(&desks) {
            self.flights[key.slot].ended = crate::flight::Ended::Left;
            self.tell(key, Event::CallerGone);
        }
        desks.into_iter().for_each(|desk| self.close_desk(desk));
    }

    fn close_desk(&mut self, desk: u32) {
        self.close_books(desk);
        self.desks[desk as usize].close();
        self.free_desks.push(desk);
    }

    /// Looks at books that nobody uses any more: nothing may be left in them, and their budget must have been kept.
    pub(crate) fn close_books(&mut self, desk: u32) {
        let desk = &self.desks[desk as usize];
        if !desk.books.is_quiet() {
            self.record.on_broken("nothing is left in flight, pending or waiting".to_owned());
        }
        if let Some(overdrawn) = desk.overdrawn(self.agenda.now()) {
            self.record.on_broken(overdrawn);
        }
    }

    /// Asks the app of an instance whether it answers, through the threads that serve all others: the fleet hears of it
    /// as a [`Happening::Probed`], unless it hears nothing.
    pub(crate) fn probe(&mut self, instance: u32, number: u32) {
        let now = self.agenda.now();
        let here = &mut self.instances[instance as usize];
        let layout = &self.layout.services[here.service as usize];
        if !here.accepts(layout) {
            return self.later.push_back(Happening::Probed { number, well: false });
        }
        let job = self.jobs.begin(Job::new(instance, layout.probe, Serves::Probe(number)));
        if here.take_thread(layout, now) {
            let job = self.jobs.key(job);
            self.later.push_back(Happening::Begins { job });
        } else {
            here.queue.push_back(job);
        }
    }

    /// What faults do to an instance from now on.
    pub(crate) fn ail(&mut self, instance: u32, ailment: Ailment) {
        let here = &mut self.instances[instance as usize];
        here.ailment = ailment;
        if ailment.hangs {
            return;
        }
        self.later.extend(here.held.drain(..));
        let waiting = here.queue.len();
        (0..waiting).for_each(|_| self.next_in_queue(instance));
    }

    /// The neighbours of an instance change.
    pub(crate) fn draw_neighbours(&mut self, lot: u32) {
        let (instance, chance) = &mut self.lots[lot as usize];
        let here = &mut self.instances[*instance as usize];
        let Some(rule) = self.scenario.services[here.service as usize].neighbours else { return };
        if here.stage == Stage::Gone {
            return;
        }
        here.neighbours = if chance.happens(rule.share.part()) { rule.speed.part() } else { 1.0 };
        let again = chance.between(rule.drawn_again.0, rule.drawn_again.1);
        // Not at the same moment for ever.
        let again = again.max(std::time::Duration::from_millis(1));
        self.agenda.at(self.agenda.now().after(again), Happening::Lot { lot });
    }

    /// What an attempt breaks with when its instance is not there.
    pub(crate) fn reason_of(reached: Reached) -> Reason {
        if reached == Reached::Nothing { Reason::ConnectFailed } else { Reason::InstanceBroke }
    }
}
