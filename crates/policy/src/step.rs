//! What a call asks its driver to do, and what the driver tells it: the whole conversation on one screen.
//!
//! *Ask the call for its next step and do it, until it has nothing to do but wait; tell it what happened; ask again.*
//! [`Step::Idle`] is the only step that waits.

use model::{Moment, Reason};
use std::time::Duration;

/// One of the at most two attempts of a call that are under way at once: the place that it has at the call and at its
/// driver. Attempts follow each other in alternating places, so a third one has the first place again; which number the
/// latest has, [`crate::Call::attempts`] says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Attempt {
    /// The first one's; the third one's, the fifth one's.
    First,
    /// The second one's, be it a retry or a hedge; the fourth one's, and so on.
    Second,
}

impl Attempt {
    /// The other one.
    pub const fn other(self) -> Attempt {
        match self {
            Attempt::First => Attempt::Second,
            Attempt::Second => Attempt::First,
        }
    }
}

/// A call, as the books know it. The driver chooses the number: unique among the calls that share books.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CallId(pub u64);

/// An endpoint in the books. A slot that is used again gets another generation, so that what is said of a removed
/// endpoint does not reach its successor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndpointKey {
    /// Its place in the books.
    pub slot: u32,
    /// How often the place has been used before.
    pub generation: u32,
}

/// What the driver is to do next.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Step {
    /// Start an attempt: connect or take a pooled connection, send the head and what there is of the body, go on
    /// with the rest as it comes. Does not wait. If no connection is established by `give_up`, that is
    /// [`Event::Broke`] with [`Reason::ConnectTimeout`].
    Open {
        /// In which place. Whoever had it before is over, and nothing is heard of it any more.
        attempt: Attempt,
        /// Where to.
        to: EndpointKey,
        /// Until when a connection must stand.
        give_up: Moment,
    },
    /// Abandon an attempt: close its connection. Nothing more is heard of it.
    Drop {
        /// Which.
        attempt: Attempt,
        /// Why.
        why: Why,
    },
    /// Pass this attempt's answer on to the caller. From now on there is no other attempt. Report
    /// [`Event::Ended`] when the answer has been passed on whole, or broke, or no byte came for `idle`.
    Forward {
        /// Whose answer.
        attempt: Attempt,
        /// The longest silence between two bytes.
        idle: Duration,
    },
    /// Pass bytes both ways until one side ends; then [`Event::Ended`].
    Tunnel {
        /// Whose connection.
        attempt: Attempt,
    },
    /// Answer the caller with this refusal.
    Refuse {
        /// Why.
        reason: Reason,
        /// When to try again, where the reason's row says that there is such a time.
        retry_after: Option<Duration>,
    },
    /// Wait for an event, until this moment at the latest ([`Event::Due`]).
    Idle {
        /// The latest moment.
        until: Moment,
    },
    /// All is done and counted. Asking again gives the same.
    Settled,
}

/// Why an attempt is abandoned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The other attempt answered first.
    Lost,
    /// The caller went away.
    CallerGone,
    /// The time that the call had is over.
    Deadline,
    /// Its answer is a refusal by the peer's sidecar, and the call tries another endpoint.
    Retried,
    /// It had no answer within the time of one try.
    TryTimeout,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The books woke this call: it may have got a slot.
    Woken,
    /// The moment of [`Step::Idle`] has come.
    Due,
    /// The request's body has ended: all of it is in the copy, unless it has outgrown that.
    BodyEnded,
    /// The request's body has outgrown the copy: there can be no other attempt.
    Spilled,
    /// An answer has come: its head, or for a small response all of it.
    Head {
        /// Of which attempt.
        attempt: Attempt,
        /// What it is.
        answer: Answer,
    },
    /// An attempt broke before its answer was passed on.
    Broke {
        /// Which.
        attempt: Attempt,
        /// How far it had got.
        reached: Reached,
        /// The refusal that it makes if there is no other attempt.
        reason: Reason,
    },
    /// What was being passed on has ended.
    Ended(Ending),
    /// The caller has gone away (or the driver is being dropped). Attempts that have not been passed on are then
    /// abandoned by [`Step::Drop`]; the connection of one that was being passed on is the driver's to close.
    CallerGone,
}

/// What a call must know of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Whether the connection is now a tunnel (101 that was asked for).
    pub upgraded: bool,
    /// The reason, if it is a refusal by the peer's sidecar and not an answer of an app.
    pub refusal: Option<Reason>,
    /// Whether it was slow by nature (an event stream, a long poll): then its time says nothing of the endpoint.
    pub long: bool,
}

/// How far a request went before its attempt broke: decides whether another attempt is safe.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reached {
    /// No connection stood.
    Nothing,
    /// A connection stood, and not one byte of the request was sent.
    Connection,
    /// Bytes of the request were sent: the instance may have carried it out.
    Bytes,
    /// The answer had begun.
    Head,
}

/// How the passing on of an answer ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Whole.
    Complete,
    /// The instance broke off: the caller's connection is closed so that it sees that too.
    Truncated,
    /// No byte came from the instance for too long.
    Stalled,
    /// No byte was passed on for too long as the caller does not read, or has not sent all of its request.
    CallerStalled,
    /// One side closed the tunnel.
    Tunnel,
}
