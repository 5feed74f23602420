//! What a sidecar does for one call: the attempts on the network, the answer to the caller, the entries in the books.

use crate::flight::{Caller, Ended, Flight};
use crate::network::Way;
use crate::world::{Happening, World};
use model::{Moment, Reason};
use policy::tape::Line;
use policy::{Attempt, CallId, Ending, EndpointKey, Event, Step, Why};
use std::time::Duration;

/// What the sidecar's exchange is for one call, here.
pub(crate) struct Exchange<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) slot: u32,
}

impl Exchange<'_> {
    fn flight(&mut self) -> &mut Flight {
        &mut self.world.flights[self.slot]
    }

    pub(crate) fn next(&mut self) -> Step {
        let World { flights, desks, services, agenda, tape, .. } = &mut *self.world;
        let flight = &mut flights[self.slot];
        let desk = &mut desks[flight.errand.desk as usize];
        let now = agenda.now();
        desk.catch_up(&services[desk.service as usize], now, tape);
        let step = flight.call.next(&mut desk.books, now, &mut desk.dice);
        if let Some(tape) = tape {
            let id = CallId(key(self.slot, flight));
            tape.write(desk.number, &Line::Next { now, id, step });
        }
        step
    }

    pub(crate) fn on(&mut self, event: Event) {
        let World { flights, desks, agenda, tape, .. } = &mut *self.world;
        let flight = &mut flights[self.slot];
        let desk = &mut desks[flight.errand.desk as usize];
        let now = agenda.now();
        flight.call.on(event, &mut desk.books, now);
        if let Some(tape) = tape {
            let id = CallId(key(self.slot, flight));
            tape.write(desk.number, &Line::On { now, id, event });
        }
    }

    pub(crate) fn open(&mut self, attempt: Attempt, to: EndpointKey, give_up: Moment) {
        let World { flights, desks, agenda, network, record, services, .. } = &mut *self.world;
        let flight = &mut flights[self.slot];
        let desk = &mut desks[flight.errand.desk as usize];
        let now = agenda.now();
        record.on_attempt(now, desk.service as usize);
        services[desk.service as usize].counts.attempts += 1;
        flight.opened += 1;
        desk.extra += u32::from(flight.opened > 1);
        if flight.ended != Ended::No {
            record.on_broken("no attempt begins after the answer".to_owned());
        }
        flight.tags[attempt as usize] = flight.opened;
        let Some(instance) = desk.books.handle(to) else { return };
        let (flight, tag) =
            (crate::flight::Key { slot: self.slot, generation: flight.generation }, flight.opened);
        // A connection stands once a message has gone and another has come back.
        match network.way(&mut desk.chance) {
            Way::Takes(delay) if now.after(delay * 2) < give_up => {
                agenda.at(now.after(delay), Happening::Arrived { flight, instance, tag });
            }
            _ => agenda.at(give_up, Happening::NotConnected { flight, tag }),
        }
    }

    /// An app does not notice that nobody waits any more: what it has accepted it works off.
    pub(crate) fn drop_attempt(&mut self, attempt: Attempt, _why: Why) {
        let service = self.flight().errand.service;
        if std::mem::take(&mut self.flight().tags[attempt as usize]) > 0 {
            self.world.attempt_failed(service);
        }
    }

    /// The answer is small: it is passed on whole at once.
    pub(crate) fn forward(&mut self, _attempt: Attempt, _idle: Duration) {
        let status = self.flight().status;
        self.end(Ended::Answered(status));
        self.flight().complete = true;
    }

    /// No instance here asks for one; it would end at once.
    pub(crate) fn tunnel(&mut self, attempt: Attempt) {
        self.forward(attempt, Duration::ZERO);
    }

    pub(crate) fn refuse(&mut self, reason: Reason, _retry_after: Option<Duration>) {
        let (now, service) = (self.world.agenda.now(), self.flight().errand.service as usize);
        self.world.record.on_refused(now, service, reason);
        self.world.services[service].counts.refused += 1;
        self.end(Ended::Refused(reason));
    }

    fn end(&mut self, how: Ended) {
        if self.flight().ended != Ended::No {
            self.world.record.on_broken("every call has one answer".to_owned());
        }
        self.flight().ended = how;
    }

    /// What has happened already; or the agenda looks after the call at `until`.
    pub(crate) fn event(&mut self, until: Moment) -> Option<Event> {
        let flight = self.flight();
        if std::mem::take(&mut flight.complete) {
            return Some(Event::Ended(Ending::Complete));
        }
        flight.due = until;
        self.news();
        let flight = self.flight();
        let wake = until.min(flight.errand.patience);
        if wake < flight.timer {
            flight.timer = wake;
            let slot = self.slot;
            self.world.agenda.at(wake, Happening::Timer { slot });
        }
        None
    }

    /// What the books have to tell people, and whom they wake.
    fn news(&mut self) {
        let World { flights, desks, record, woken, agenda, .. } = &mut *self.world;
        let desk = &mut desks[flights[self.slot].errand.desk as usize];
        for note in desk.books.take_notes() {
            let caller = desk.caller.map(|(service, _)| service as usize);
            record.on_note(agenda.now(), caller, desk.service as usize, (note.change, note.cause));
        }
        woken.extend(desk.books.take_woken());
    }

    pub(crate) fn settle(&mut self) {
        self.news();
        let World { flights, agenda, record, later, caches, .. } = &mut *self.world;
        let flight = &flights[self.slot];
        let now = agenda.now();
        record.on_call_ended(now, flight.errand.service as usize, now.since(flight.began));
        match flight.errand.caller {
            Caller::Job { job, call } => {
                let ok = matches!(flight.ended, Ended::Answered(status) if status < 500);
                later.push_back(Happening::CallOver { job, call, ok });
                if let Some((cache, key)) = flight.errand.cache.filter(|_| ok) {
                    caches[cache as usize].store(key);
                }
            }
            Caller::Client { .. } => self.world.client_ended(self.slot),
            Caller::Nobody => {}
        }
        self.world.flights.end(self.slot);
    }
}

fn key(slot: u32, flight: &Flight) -> u64 {
    crate::flight::Key { slot, generation: flight.generation }.number()
}
