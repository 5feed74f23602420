//! A world: clients, sidecars with the books that ship, services, and the agenda of what happens to them.

use crate::cache::Cache;
use crate::chance::{Chance, Source};
use crate::choice::Choice;
use crate::clock::Agenda;
use crate::desk::{Desk, Tape};
use crate::drive::{drive, resume};
use crate::exchange::Exchange;
use crate::faults::Begun;
use crate::fleet::Fleet;
use crate::flight::{Caller, Ended, Errand, Flight, Flights, Key};
use crate::layout::{Layout, Link};
use crate::network::Network;
use crate::record::{CompartmentGauges, Recorder, ServiceGauges};
use crate::report::{Outcome, Report};
use crate::service::instance::NO_DESK;
use crate::service::{Instance, Jobs, Service, Stage};
use crate::workload::{self, Again, Crowd};
use model::scenario::Scenario;
use model::{Importance, Moment, Reason, Timeouts};
use policy::admit::Allowance;
use policy::tape::Line;
use policy::{Ask, Attempt, Call, CallId, Event, Reached};
use std::collections::VecDeque;

/// What can happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Happening {
    /// A client comes.
    Comes {
        clients: u16,
    },
    /// A client comes once more.
    Reload {
        clients: u16,
        visit: u16,
        reloads: u16,
        why: Again,
    },
    /// Time has passed for the call in this slot.
    Timer {
        slot: u32,
    },
    /// The books woke a call.
    Woken {
        call: Key,
    },
    /// A request reaches an instance.
    Arrived {
        flight: Key,
        instance: u32,
        tag: u8,
    },
    /// A connection did not come about in time.
    NotConnected {
        flight: Key,
        tag: u8,
    },
    /// An attempt broke.
    Broke {
        flight: Key,
        tag: u8,
        reached: Reached,
    },
    /// An answer comes back.
    Answered {
        flight: Key,
        tag: u8,
        status: u16,
    },
    /// A request gets a thread.
    Begins {
        job: Key,
    },
    /// The processor is done with a request.
    CpuDone {
        job: Key,
    },
    /// A request has waited.
    WaitDone {
        job: Key,
    },
    /// An answer that a fault held back.
    Answers {
        job: Key,
    },
    /// One of a request's calls is over for the sidecar.
    CallOver {
        job: Key,
        call: u16,
        ok: bool,
    },
    /// One of a request's calls is over.
    CallEnded {
        job: Key,
        call: u16,
        ok: bool,
    },
    /// One of a request's calls could not begin.
    NoDescriptor {
        job: Key,
        call: u16,
    },
    /// An instance's process is there.
    Started {
        instance: u32,
    },
    /// A probe was answered or refused.
    Probed {
        number: u32,
        well: bool,
    },
    /// The neighbours of an instance change.
    Lot {
        lot: u32,
    },
    /// A fault begins, or ends.
    FaultBegins {
        number: u32,
    },
    FaultEnds {
        number: u32,
    },
    /// People act.
    Operator {
        number: u32,
    },
    /// A second is over.
    Second,
}

const _: () = assert!(Agenda::<Happening>::ENTRY <= 32);

/// All that there is.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) scenario: Scenario,
    pub(crate) layout: Layout,
    pub(crate) agenda: Agenda<Happening>,
    /// What happens in this moment still, first come first served.
    pub(crate) later: VecDeque<Happening>,
    pub(crate) woken: Vec<CallId>,
    pub(crate) flights: Flights,
    pub(crate) jobs: Jobs,
    pub(crate) desks: Vec<Desk>,
    pub(crate) free_desks: Vec<u32>,
    /// How many desks there have been.
    desks_opened: u32,
    pub(crate) services: Vec<Service>,
    pub(crate) instances: Vec<Instance>,
    /// Instances with neighbours, and the streams that their lots are drawn from.
    pub(crate) lots: Vec<(u32, Chance)>,
    pub(crate) caches: Vec<Cache>,
    pub(crate) limits: Vec<Allowance>,
    pub(crate) network: Network,
    pub(crate) crowds: Vec<Crowd>,
    pub(crate) faults: Vec<Begun>,
    pub(crate) fleet: Fleet,
    pub(crate) record: Recorder,
    pub(crate) tape: Option<Tape>,
}

impl World {
    /// The world of `scenario` with `choice`, at the beginning.
    pub(crate) fn new(scenario: &Scenario, choice: &Choice, seed: u64, tape: bool) -> World {
        let layout = Layout::new(scenario, choice);
        let crowds = scenario.clients.iter().zip(&layout.clients).enumerate();
        let crowds = crowds.map(|(i, (c, l))| Crowd::new(c, (seed, i as u64), l.links.len()));
        let caches = scenario.caches.iter().enumerate();
        let caches = caches.map(|(i, c)| Cache::new(c, Chance::of(seed, Source::Keys, i as u64)));
        let mut world = World {
            seed,
            crowds: crowds.collect(),
            caches: caches.collect(),
            layout,
            agenda: Agenda::default(),
            later: VecDeque::new(),
            woken: Vec::new(),
            flights: Flights::default(),
            jobs: Jobs::default(),
            desks: Vec::new(),
            free_desks: Vec::new(),
            desks_opened: 0,
            services: scenario.services.iter().map(|_| Service::default()).collect(),
            instances: Vec::new(),
            lots: Vec::new(),
            limits: workload::allowances(scenario.limits.len()),
            network: Network::new(scenario.network),
            faults: vec![Begun::default(); scenario.faults.len()],
            fleet: Fleet::new(scenario, choice.fleet()),
            record: Recorder::new(scenario, choice, seed),
            tape: tape.then(Tape::default),
            scenario: scenario.clone(),
        };
        world.set_the_stage(choice);
        world
    }

    fn set_the_stage(&mut self, choice: &Choice) {
        for service in 0..self.scenario.services.len() {
            for _ in 0..self.scenario.services[service].instances {
                self.old_instance(service as u32);
            }
        }
        for (number, fault) in self.scenario.faults.iter().enumerate() {
            self.agenda.at(fault.at, Happening::FaultBegins { number: number as u32 });
        }
        if choice.operators {
            for (number, action) in self.scenario.operators.iter().enumerate() {
                self.agenda.at(action.at, Happening::Operator { number: number as u32 });
            }
        }
        self.agenda.at(Moment::from_millis(1_000), Happening::Second);
        self.fleet_begins();
        self.open_doors();
    }

    /// Plays it to its end.
    pub(crate) fn play(mut self) -> (Report, String) {
        let end = Moment::ZERO.after(self.scenario.lasts);
        while let Some(what) = self.agenda.next_before(end) {
            self.record.on_event();
            self.happen(what);
            self.settle_now();
        }
        self.close();
        let tape = self.tape.map(|t| t.0).unwrap_or_default();
        let mut report = self.record.finish();
        report.broken.extend(self.fleet.check_kills(&report));
        (report, tape)
    }

    /// Lets happen all that follows at once from what happened.
    fn settle_now(&mut self) {
        loop {
            while let Some(what) = self.later.pop_front() {
                self.happen(what);
            }
            if self.woken.is_empty() {
                return;
            }
            self.later.extend(self.woken.drain(..).map(|id| Happening::Woken { call: Key::of(id.0) }));
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Arrived { flight, instance, tag } => self.arrived(flight, instance, tag),
            Happening::CpuDone { job } => self.cpu_done(job),
            Happening::Answered { flight, tag, status } => self.answered(flight, tag, status),
            Happening::CallOver { job, call, ok } => self.call_over(job, call, ok),
            Happening::CallEnded { job, call, ok } => self.call_ended(job, call, ok),
            Happening::NoDescriptor { job, call } => self.no_descriptor(job, call),
            Happening::Begins { job } => self.begins(job),
            Happening::WaitDone { job } => self.wait_done(job),
            Happening::Answers { job } => self.answers(job),
            Happening::Comes { clients } => self.comes(clients),
            Happening::Reload { clients, visit, reloads, why } => self.reload(clients, visit, reloads, why),
            Happening::Timer { slot } => self.timer(slot),
            Happening::Woken { call } => self.tell(call, Event::Woken),
            Happening::NotConnected { flight, tag } => {
                self.broke(flight, tag, Reached::Nothing, Reason::ConnectTimeout);
            }
            Happening::Broke { flight, tag, reached } => {
                self.broke(flight, tag, reached, World::reason_of(reached));
            }
            Happening::Started { instance } => self.started(instance),
            Happening::Probed { number, well } => self.fleet_probed(number, well),
            Happening::Lot { lot } => self.draw_neighbours(lot),
            Happening::FaultBegins { number } => self.fault_begins(number),
            Happening::FaultEnds { number } => self.fault_ends(number),
            Happening::Operator { number } => self.operator_acts(number),
            Happening::Second => self.second(),
        }
    }

    /// Begins a call. `deadline` is until when the answer is wanted, as far as the sidecar was told.
    pub(crate) fn begin_flight(&mut self, errand: Errand, deadline: Moment, timeouts: Timeouts) {
        let now = self.agenda.now();
        self.record.on_call(now, errand.service as usize);
        self.services[errand.service as usize].counts.calls += 1;
        let mut ask = Ask {
            id: CallId(0),
            idempotent: errand.idempotent,
            has_body: false,
            remaining: (deadline != Moment::NEVER).then(|| now.until(deadline)),
            attempt: errand.attempt,
            importance: Importance::Critical,
            timeouts,
        };
        let key = self.flights.begin(|key| {
            ask.id = CallId(key.number());
            let call = Call::begin(ask, now);
            let deadline = if timeouts.pass_on { call.deadline() } else { Moment::NEVER };
            Flight {
                generation: key.generation,
                live: true,
                call,
                errand,
                opened: 0,
                tags: [0; 2],
                accepted: 0,
                status: 0,
                ended: Ended::No,
                complete: false,
                began: now,
                due: Moment::NEVER,
                timer: Moment::NEVER,
                deadline,
            }
        });
        if let Some(tape) = &mut self.tape {
            tape.write(self.desks[errand.desk as usize].number, &Line::Begin { now, ask });
        }
        self.desks[errand.desk as usize].calls += 1;
        drive(&mut Exchange { world: self, slot: key.slot });
    }

    /// Tells a call of an event, if it is still there.
    pub(crate) fn tell(&mut self, flight: Key, event: Event) {
        if self.flights.get(flight).is_some() {
            resume(&mut Exchange { world: self, slot: flight.slot }, event);
        }
    }

    /// Which attempt has this tag; from now on none has.
    pub(crate) fn take_tag(&mut self, flight: Key, tag: u8) -> Option<Attempt> {
        let tags = &mut self.flights.get(flight)?.tags;
        let attempt = [Attempt::First, Attempt::Second].into_iter().find(|a| tags[*a as usize] == tag)?;
        tags[attempt as usize] = 0;
        Some(attempt)
    }

    fn timer(&mut self, slot: u32) {
        let now = self.agenda.now();
        let flight = &mut self.flights[slot];
        // There is an earlier entry, which has looked after it meanwhile.
        if flight.timer != now {
            return;
        }
        flight.timer = Moment::NEVER;
        if !flight.live {
            return;
        }
        let key = Key { slot, generation: flight.generation };
        if flight.errand.patience <= now {
            flight.ended = Ended::Left;
            self.tell(key, Event::CallerGone);
        } else if flight.due <= now {
            self.tell(key, Event::Due);
        } else {
            let wake = flight.due.min(flight.errand.patience);
            flight.timer = wake;
            if wake != Moment::NEVER {
                self.agenda.at(wake, Happening::Timer { slot });
            }
        }
    }

    /// The books of an instance's sidecar for one of its service's links.
    pub(crate) fn desk_of(&mut self, instance: u32, link: u16) -> u32 {
        let here = &self.instances[instance as usize];
        let desk = here.desks[link as usize];
        if desk != NO_DESK {
            return desk;
        }
        let (service, number) = (here.service, here.number);
        let entity = u64::from(service) << 40 | u64::from(number) << 12 | u64::from(link);
        let desk = self.open_desk(Some((service, instance)), entity, |layout| {
            &layout.services[service as usize].links[link as usize]
        });
        self.instances[instance as usize].desks[link as usize] = desk;
        desk
    }

    /// Opens books for one link of whoever has this number.
    pub(crate) fn open_desk(
        &mut self,
        caller: Option<(u32, u32)>,
        entity: u64,
        link: impl FnOnce(&Layout) -> &Link,
    ) -> u32 {
        let number = self.desks_opened;
        self.desks_opened += 1;
        let desk = Desk::new(link(&self.layout), (self.seed, entity), number, caller, self.agenda.now());
        if let Some(tape) = &mut self.tape {
            tape.write(number, &Desk::head(self.seed, entity));
        }
        match self.free_desks.pop() {
            Some(place) => {
                self.desks[place as usize] = desk;
                place
            }
            None => {
                self.desks.push(desk);
                self.desks.len() as u32 - 1
            }
        }
    }

    /// A second is over.
    fn second(&mut self) {
        let now = self.agenda.now();
        self.agenda.at(now.after(std::time::Duration::from_secs(1)), Happening::Second);
        let services: Vec<(ServiceGauges, f64)> =
            (0..self.services.len()).map(|s| self.gauges(s, now)).collect();
        let compartments: Vec<CompartmentGauges> =
            (0..self.scenario.compartments.len()).map(|c| self.compartment(c, &services)).collect();
        self.record.tick(|service| services[service].0, |compartment| compartments[compartment]);
        self.fleet_second();
    }

    /// What a service is like, and how many cores it has used in the last second.
    fn gauges(&mut self, service: usize, now: Moment) -> (ServiceGauges, f64) {
        let layout = &self.layout.services[service];
        let mut gauges = ServiceGauges { unplaced: self.fleet.unplaced(service), ..ServiceGauges::default() };
        let (mut threads, mut used, mut open) = (0u64, 0.0, 0u32);
        for &instance in &self.services[service].members {
            let here = &mut self.instances[instance as usize];
            let cpu = here.cpu.used(layout.servers, now);
            used +=
                (cpu - std::mem::replace(&mut here.cpu_seen, cpu)) as f64 / 1e9 / f64::from(layout.servers);
            gauges.queue += here.queue.len() as u32;
            match here.stage {
                Stage::Starting => gauges.starting += 1,
                Stage::Open => {
                    open += 1;
                    threads += u64::from(here.threads.level());
                    *(if here.is_cold(layout, now) { &mut gauges.cold } else { &mut gauges.ready }) += 1;
                }
                Stage::Draining | Stage::Gone => {}
            }
        }
        let room = f64::from(open.max(1));
        gauges.threads = threads as f64 / (room * f64::from(layout.threads));
        gauges.cpu = used / room;
        let what = &self.scenario.services[service];
        (gauges, used * what.cores + what.idle_cores * self.services[service].members.len() as f64)
    }

    fn compartment(&self, compartment: usize, services: &[(ServiceGauges, f64)]) -> CompartmentGauges {
        let mine =
            self.scenario.services.iter().zip(services).filter(|(s, _)| s.compartment == Some(compartment));
        let used: f64 = mine.map(|(_, (_, used))| used).sum();
        let cores = self.fleet.cores(compartment);
        let used = if cores > 0.0 { used / cores } else { 0.0 };
        CompartmentGauges { reserved: self.fleet.reserved(compartment), used }
    }

    /// The run is over: what is under way is counted as that, and abandoned, so that the books can be looked at.
    fn close(&mut self) {
        let now = self.agenda.now();
        let calls: Vec<(Key, Caller, Moment)> =
            self.flights.live().map(|(key, f)| (key, f.errand.caller, f.began)).collect();
        for (key, caller, began) in calls {
            if let Caller::Client { clients, .. } = caller {
                self.record.on_outcome(now, clients as usize, began, Outcome::Unfinished);
            }
            let flight = &mut self.flights[key.slot];
            (flight.errand.caller, flight.ended) = (Caller::Nobody, Ended::Left);
            self.tell(key, Event::CallerGone);
        }
        for desk in 0..self.desks.len() as u32 {
            self.close_books(desk);
        }
        if self.flights.live().next().is_some() {
            self.record.on_broken("no call is left over".to_owned());
        }
    }
}
