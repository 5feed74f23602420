//! The loop that turns a call's steps into traffic: the twin of `sidecar/src/drive.rs`, with the agenda in the place of
//! the await. Read the two side by side: the same steps, the same names.
//!
//! *Ask the call for its next step and do it, until it has nothing to do but wait; tell it what happened; ask again.*

use crate::first::world::Exchange;
use policy::{Call, Event, Step};

/// Goes on with a call until it waits for an event or is settled.
pub(crate) fn drive(io: &mut Exchange<'_>, call: &mut Call) {
    loop {
        match io.next(call) {
            Step::Open { attempt, to, give_up } => io.open(attempt, to, give_up),
            Step::Drop { attempt, why } => io.drop_attempt(attempt, why),
            Step::Forward { attempt, idle } => io.forward(attempt, idle),
            Step::Tunnel { attempt } => io.tunnel(attempt),
            Step::Refuse { reason, retry_after } => io.refuse(reason, retry_after),
            // The agenda brings the event, and then `resume` goes on here.
            Step::Idle { until } => return io.event(until),
            Step::Settled => return io.settle(),
        }
    }
}

/// Tells a call what happened and goes on with it.
pub(crate) fn resume(io: &mut Exchange<'_>, call: &mut Call, event: Event) {
    io.on(call, event);
    drive(io, call);
}
