//! The loop that turns a call's steps into traffic: the twin of `sidecar/src/drive.rs`, with the agenda in the place of
//! the await. Read the two side by side: the same steps, the same names.
//!
//! *Ask the call for its next step and do it, until it has nothing to do but wait; tell it what happened; ask again.*

use crate::exchange::Exchange;
use policy::{Event, Step};

/// Goes on with a call until it waits for what has not happened yet, or is settled.
pub(crate) fn drive(io: &mut Exchange<'_>) {
    loop {
        match io.next() {
            Step::Open { attempt, to, give_up } => io.open(attempt, to, give_up),
            Step::Drop { attempt, why } => io.drop_attempt(attempt, why),
            Step::Forward { attempt, idle } => io.forward(attempt, idle),
            Step::Tunnel { attempt } => io.tunnel(attempt),
            Step::Refuse { reason, retry_after } => io.refuse(reason, retry_after),
            Step::Idle { until } => match io.event(until) {
                Some(event) => io.on(event),
                // The agenda brings the event, and then `resume` goes on here.
                None => return,
            },
            Step::Settled => return io.settle(),
        }
    }
}

/// Tells a call what happened and goes on with it.
pub(crate) fn resume(io: &mut Exchange<'_>, event: Event) {
    io.on(event);
    drive(io);
}
