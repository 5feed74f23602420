//! The loop that turns a call's steps into traffic. `sim::drive` is its twin: the same names, an event queue in the
//! place of the await.
//!
//! *Ask the call for its next step and do it, until it has nothing to do but wait; tell it what happened; ask again.*

use crate::desk::{Desk, Order, Orders};
use crate::exchange::Exchange;
use crate::record::AttemptKind;
use crate::snapshot::Target;
use crate::worker::Worker;
use model::Moment;
use policy::{Ask, Attempt, Call, CallId, Event, Step};

/// A call that is counted in the books for as long as this lives: dropped in the middle (the task was cancelled, or
/// panicked), it leaves as if the caller had gone, and its slot is free again.
pub(crate) struct InFlight<'a> {
    desk: &'a Desk,
    worker: &'a Worker,
    id: CallId,
    call: Call,
    /// What happened since it was asked.
    event: Option<Event>,
    settled: bool,
}

impl<'a> InFlight<'a> {
    pub(crate) fn begin(worker: &'a Worker, desk: &'a Desk, ask: Ask) -> InFlight<'a> {
        let call = desk.begin(ask, worker.now());
        InFlight { desk, worker, id: ask.id, call, event: None, settled: false }
    }

    /// Asks the call for its next step. Those that follow each other without a wait are asked for together.
    #[inline(always)]
    fn next<'o>(&mut self, orders: &'o mut Orders) -> &'o Order {
        if !orders.go_on() {
            let (event, now) = (self.event.take(), self.worker.now());
            self.desk.orders(self.id, &mut self.call, event, now, orders);
        }
        orders.current()
    }

    /// Tells the call what happened.
    fn on(&mut self, event: Event) {
        self.event = Some(event);
    }

    /// How many attempts were made.
    pub(crate) fn attempts(&self) -> u8 {
        self.call.attempts()
    }
}

/// Serves the call to its end.
pub(crate) async fn drive(io: &mut Exchange<'_>, flight: &mut InFlight<'_>, target: &Target) {
    while let Some(until) = go_on(io, flight, target) {
        let event = io.event(flight.desk, flight.id, until).await;
        flight.on(event);
    }
}

/// Goes on with the call until it waits, and says until when; none: it has settled.
fn go_on(io: &mut Exchange<'_>, flight: &mut InFlight<'_>, target: &Target) -> Option<Moment> {
    // Made for each turn and not kept: the stack is warm, the memory of a connection that waited is not.
    let mut orders = Orders::none();
    loop {
        // By reference: to move an order costs more than most of what it says.
        let order = flight.next(&mut orders);
        let number = order.attempts;
        match order.step {
            Step::Open { attempt, give_up, .. } => {
                target.counts.attempt(kind(io, attempt, number));
                io.open(attempt, number, order.address, give_up);
            }
            Step::Drop { attempt, why } => io.drop_attempt(attempt, why),
            Step::Forward { attempt, idle } => io.forward(attempt, idle),
            Step::Tunnel { attempt } => io.tunnel(attempt),
            Step::Refuse { reason, retry_after } => io.refuse(reason, retry_after),
            Step::Idle { until } => return Some(until),
            Step::Settled => {
                flight.settled = true;
                return None;
            }
        }
    }
}

fn kind(io: &Exchange<'_>, attempt: Attempt, number: u8) -> AttemptKind {
    match number {
        1 => AttemptKind::First,
        _ if io.has(attempt.other()) => AttemptKind::Hedge,
        _ => AttemptKind::Retry,
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let now = self.worker.now();
        if let Some(event) = self.event.take() {
            self.desk.on(self.id, &mut self.call, event, now);
        }
        self.desk.on(self.id, &mut self.call, Event::CallerGone, now);
        self.desk.stop_waking(self.id);
        // At most two attempts are under way and to be dropped; then it has settled.
        for _ in 0..8 {
            if self.desk.next(self.id, &mut self.call, now).step == Step::Settled {
                return;
            }
        }
    }
}
