//! How an instance works a request off: a thread, the processor, a wait, its calls one after another or beside each
//! other, the answer. The thread is held all the while.
//!
//! An app does not notice that its caller has left: what was accepted is worked off, and the answer thrown away.

use super::{Instance, Job, Serves, Stage};
use crate::flight::{Caller, Errand, Key};
use crate::layout::{CallLayout, RouteLayout};
use crate::network::Way;
use crate::world::{Happening, World};
use model::{Moment, Reason};
use policy::{Answer, Event, Reached};

impl World {
    /// A request has reached an instance.
    pub(crate) fn arrived(&mut self, flight: Key, instance: u32, tag: u8) {
        let now = self.agenda.now();
        // Nobody connects any more: the attempt was abandoned on its way.
        let Some(sender) = self.flights.get(flight).filter(|f| f.tags.contains(&tag)) else { return };
        let here = &mut self.instances[instance as usize];
        let layout = &self.layout.services[here.service as usize];
        if !here.accepts(layout) {
            here.refused += 1;
            return self.refuse_connection(flight, tag);
        }
        sender.accepted = sender.accepted.saturating_add(1);
        if sender.accepted > 1 && !sender.errand.idempotent {
            self.record.on_broken("what must not be carried out twice reaches one instance".to_owned());
        }
        self.record.on_arrival(now, here.service as usize, here.number);
        let job = Job {
            attempt: sender.errand.attempt.max(tag),
            idempotent: sender.errand.idempotent,
            deadline: sender.deadline,
            ..Job::new(instance, sender.errand.route, Serves::Call(flight, tag))
        };
        let job = self.jobs.begin(job);
        if here.take_thread(layout, now) {
            self.begin_job(job);
        } else {
            here.queue.push_back(job);
        }
    }

    fn refuse_connection(&mut self, flight: Key, tag: u8) {
        self.send(flight, Happening::Broke { flight, tag, reached: Reached::Nothing });
    }

    /// Sends something back to the sidecar of a call.
    pub(super) fn send(&mut self, flight: Key, what: Happening) {
        let Some(there) = self.flights.get(flight) else { return };
        let desk = &mut self.desks[there.errand.desk as usize];
        if let Way::Takes(delay) = self.network.way(&mut desk.chance) {
            let at = self.agenda.now().after(delay);
            self.agenda.at(at, what);
        }
    }

    /// A job that waited has a thread.
    pub(crate) fn begins(&mut self, job: Key) {
        if self.jobs.has(job) && !self.is_held(job, Happening::Begins { job }) {
            self.begin_job(job.slot);
        }
    }

    fn begin_job(&mut self, job: u32) {
        let now = self.agenda.now();
        let this = &self.jobs[job];
        let here = &self.instances[this.instance as usize];
        match here.ailment.delay {
            Some(delay) => {
                let key = self.jobs.key(job);
                self.agenda.at(now.after(delay), Happening::Answers { job: key });
            }
            None => self.wants_cpu(job),
        }
    }

    fn wants_cpu(&mut self, job: u32) {
        let instance = self.jobs[job].instance as usize;
        let here = &mut self.instances[instance];
        if self.layout.services[here.service as usize].routes[self.jobs[job].route as usize].cpu.is_nothing()
        {
            return self.waits(job);
        }
        let layout = &self.layout.services[here.service as usize];
        if layout.coarse.is_some() || here.cpu.take(layout.servers, self.agenda.now()) {
            self.burst(job);
        } else {
            here.cpu.queue.push_back(job);
        }
    }

    /// The processor begins with a job.
    fn burst(&mut self, job: u32) {
        let now = self.agenda.now();
        let here = &mut self.instances[self.jobs[job].instance as usize];
        let layout = &self.layout.services[here.service as usize];
        let work = layout.routes[self.jobs[job].route as usize].cpu.draw(&mut here.chance);
        let takes = here.takes(layout, work, now);
        let done = match layout.coarse {
            Some(rule) => here.cpu.owe(rule, layout.servers, takes.as_nanos() as u64, now),
            None => now.after(takes),
        };
        let key = self.jobs.key(job);
        self.agenda.at(done, Happening::CpuDone { job: key });
    }

    /// Whether something must not happen at the job's instance now; then it will when that hangs no more.
    fn is_held(&mut self, job: Key, what: Happening) -> bool {
        let here = &mut self.instances[self.jobs[job.slot].instance as usize];
        if here.ailment.hangs {
            here.held.push(what);
        }
        here.ailment.hangs
    }

    pub(crate) fn cpu_done(&mut self, job: Key) {
        if !self.jobs.has(job) || self.is_held(job, Happening::CpuDone { job }) {
            return;
        }
        let now = self.agenda.now();
        let here = &mut self.instances[self.jobs[job.slot].instance as usize];
        if self.layout.services[here.service as usize].coarse.is_none() {
            match here.cpu.queue.pop_front() {
                Some(next) => self.burst(next),
                None => here.cpu.give(now),
            }
        }
        self.waits(job.slot);
    }

    fn route(&self, job: u32) -> (&Instance, &RouteLayout) {
        let job = &self.jobs[job];
        let here = &self.instances[job.instance as usize];
        (here, &self.layout.services[here.service as usize].routes[job.route as usize])
    }

    fn waits(&mut self, job: u32) {
        let wait = self.route(job).1.wait;
        if wait.is_nothing() {
            return self.calls(job);
        }
        let instance = self.jobs[job].instance as usize;
        let nanos = wait.draw(&mut self.instances[instance].chance) as u64;
        let at = Moment::from_nanos(self.agenda.now().as_nanos().saturating_add(nanos));
        let key = self.jobs.key(job);
        self.agenda.at(at, Happening::WaitDone { job: key });
    }

    pub(crate) fn wait_done(&mut self, job: Key) {
        if self.jobs.has(job) && !self.is_held(job, Happening::WaitDone { job }) {
            self.calls(job.slot);
        }
    }

    /// Makes the next of the calls, with those beside it; answers when there is none left.
    pub(super) fn calls(&mut self, job: u32) {
        loop {
            let calls = self.route(job).1.calls.len();
            let this = &self.jobs[job];
            if this.failed || this.next as usize >= calls {
                return self.answer(job);
            }
            self.next_calls(job);
            if self.jobs[job].outstanding > 0 {
                return;
            }
        }
    }

    fn next_calls(&mut self, job: u32) {
        let first = self.jobs[job].next;
        let mut times = self.draw_times(job, first);
        self.jobs[job].chain = (first, times.saturating_sub(1));
        times = times.min(1);
        loop {
            let call = self.jobs[job].next;
            self.jobs[job].next += 1;
            self.jobs[job].outstanding += times;
            (0..times).for_each(|_| self.make(job, call));
            let next = call + 1;
            if !self.route(job).1.calls.get(next as usize).is_some_and(|c| c.beside) {
                return;
            }
            times = self.draw_times(job, next);
        }
    }

    fn draw_times(&mut self, job: u32, call: u16) -> u32 {
        let times = self.route(job).1.calls[call as usize].times;
        let instance = self.jobs[job].instance as usize;
        self.instances[instance].chance.times(times)
    }

    /// Makes a call, or waits for a connection of its pool, or finds the answer in a cache. Its end comes later in any
    /// case.
    fn make(&mut self, job: u32, call: u16) {
        let instance = self.jobs[job].instance as usize;
        let (_, route) = self.route(job);
        let CallLayout { cache, pool, .. } = route.calls[call as usize];
        let key = cache.map(|c| self.caches[c as usize].draw());
        if let (Some(cache), Some(key)) = (cache, key)
            && self.caches[cache as usize].look_up(key)
        {
            let job = self.jobs.key(job);
            return self.later.push_back(Happening::CallEnded { job, call, ok: true });
        }
        if let Some(pool) = pool {
            let size = self.layout.services[self.instances[instance].service as usize].pools[pool as usize];
            let pool = &mut self.instances[instance].pools[pool as usize];
            if pool.taken >= size {
                pool.waiting.push_back((job, call, key));
                return;
            }
            pool.taken += 1;
        }
        self.begin_call(job, call, key);
    }

    fn begin_call(&mut self, job: u32, call: u16, cached: Option<u32>) {
        let this = self.jobs[job].clone();
        let here = &mut self.instances[this.instance as usize];
        let layout = &self.layout.services[here.service as usize];
        let asked = &layout.routes[this.route as usize].calls[call as usize];
        let key = self.jobs.key(job);
        if here.inside() + here.outbound >= layout.descriptors {
            return self.later.push_back(Happening::NoDescriptor { job: key, call });
        }
        here.outbound += 1;
        let (service, route, link, timeouts) = (asked.service, asked.route, asked.link, asked.timeouts);
        let cache = asked.cache.zip(cached);
        let desk = self.desk_of(this.instance, link);
        let errand = Errand {
            caller: Caller::Job { job: key, call },
            desk,
            service,
            route,
            cache,
            idempotent: this.idempotent,
            attempt: this.attempt,
            patience: Moment::NEVER,
        };
        self.begin_flight(errand, this.deadline, timeouts);
    }

    /// One of a job's calls has ended.
    pub(crate) fn call_ended(&mut self, job: Key, call: u16, ok: bool) {
        if !self.jobs.has(job) || self.is_held(job, Happening::CallEnded { job, call, ok }) {
            return;
        }
        let optional = self.route(job.slot).1.calls[call as usize].optional;
        let this = &mut self.jobs[job.slot];
        this.failed |= !ok && !optional;
        if this.chain.0 == call && this.chain.1 > 0 && !this.failed {
            this.chain.1 -= 1;
            return self.make(job.slot, call);
        }
        this.outstanding -= 1;
        if this.outstanding == 0 {
            self.calls(job.slot);
        }
    }

    /// A call of `instance` is over for its sidecar: its connection, and its place in the pool, are free.
    fn free_connection(&mut self, job: Key, call: u16, descriptors: u32) {
        if !self.jobs.has(job) {
            return;
        }
        let this = &self.jobs[job.slot];
        let here = &mut self.instances[this.instance as usize];
        here.outbound -= descriptors;
        let layout = &self.layout.services[here.service as usize];
        let Some(pool) = layout.routes[this.route as usize].calls[call as usize].pool else { return };
        let pool = &mut here.pools[pool as usize];
        match pool.waiting.pop_front() {
            Some((job, call, cached)) => self.begin_call(job, call, cached),
            None => pool.taken -= 1,
        }
    }

    /// A call is over for its sidecar.
    pub(crate) fn call_over(&mut self, job: Key, call: u16, ok: bool) {
        self.free_connection(job, call, 1);
        self.call_ended(job, call, ok);
    }

    /// A call could not even begin.
    pub(crate) fn no_descriptor(&mut self, job: Key, call: u16) {
        self.free_connection(job, call, 0);
        self.call_ended(job, call, false);
    }

    pub(crate) fn answers(&mut self, job: Key) {
        if self.jobs.has(job) && !self.is_held(job, Happening::Answers { job }) {
            self.answer(job.slot);
        }
    }

    /// A job is done: its answer goes back, and its thread to the next.
    fn answer(&mut self, job: u32) {
        let now = self.agenda.now();
        let this = self.jobs[job].clone();
        self.jobs.end(job);
        let here = &mut self.instances[this.instance as usize];
        let layout = &self.layout.services[here.service as usize];
        if this.serves == Serves::Nobody {
            return self.warmed_up(this.instance);
        }
        let failing = layout.routes[this.route as usize].failing.max(here.ailment.fails);
        let failed = this.failed || here.chance.happens(failing);
        let status = if failed { 500 } else { 200 };
        here.give_thread(status, now);
        if !failed {
            self.record.on_served(now, here.service as usize, here.number);
        }
        self.next_in_queue(this.instance);
        match this.serves {
            Serves::Call(flight, tag) => {
                if self.flights.get(flight).is_some_and(|f| f.tags.contains(&tag)) {
                    self.send(flight, Happening::Answered { flight, tag, status });
                }
            }
            Serves::Probe(number) => self.later.push_back(Happening::Probed { number, well: true }),
            Serves::Nobody => {}
        }
    }

    /// The next request that waits for a thread gets one.
    pub(super) fn next_in_queue(&mut self, instance: u32) {
        let now = self.agenda.now();
        let here = &mut self.instances[instance as usize];
        let layout = &self.layout.services[here.service as usize];
        if !here.queue.is_empty() && here.take_thread(layout, now) {
            // Later, so that a long queue of quick requests is no deep recursion.
            let next = here.queue.pop_front().map(|job| Happening::Begins { job: self.jobs.key(job) });
            self.later.extend(next);
        } else if here.stage == Stage::Draining && here.inside() == 0 {
            self.kill(instance);
        }
    }

    /// An answer has come back.
    pub(crate) fn answered(&mut self, flight: Key, tag: u8, status: u16) {
        let Some(attempt) = self.take_tag(flight, tag) else { return };
        let there = &mut self.flights[flight.slot];
        there.status = status;
        if status >= 500 {
            let service = there.errand.service;
            self.attempt_failed(service);
        }
        let answer = Answer { status, upgraded: false, refusal: None, long: false };
        self.tell(flight, Event::Head { attempt, answer });
    }

    pub(crate) fn attempt_failed(&mut self, service: u32) {
        self.record.on_failed(self.agenda.now(), service as usize);
        self.services[service as usize].counts.failed += 1;
    }

    /// An attempt has come to grief.
    pub(crate) fn broke(&mut self, flight: Key, tag: u8, reached: Reached, reason: Reason) {
        let Some(attempt) = self.take_tag(flight, tag) else { return };
        self.attempt_failed(self.flights[flight.slot].errand.service);
        self.tell(flight, Event::Broke { attempt, reached, reason });
    }
}
