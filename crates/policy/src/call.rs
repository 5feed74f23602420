//! The conductor of one call: asked for the next step, told what happened.

use crate::{Attempt, Books, CallId, Dice, Event, Step};
use model::{Importance, Moment, Reason, Timeouts};
use std::time::Duration;

/// What a call begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Chosen by the driver, unique among the calls that share books.
    pub id: CallId,
    /// Whether the request may be carried out twice (RFC 9110 §9.2.2: GET, HEAD, OPTIONS, TRACE, PUT, DELETE).
    pub idempotent: bool,
    /// Whether a body follows. Without one the copy is whole from the beginning.
    pub has_body: bool,
    /// The time that the caller has left; it wins when it is shorter than the route's.
    pub remaining: Option<Duration>,
    /// Which attempt of the caller this is. Above 1 somebody above retries already, so there is no retry here.
    pub attempt: u8,
    /// How important the request is.
    pub importance: Importance,
    /// How long things may take on this route.
    pub timeouts: Timeouts,
}

/// One call: at most two attempts, one answer.
#[derive(Clone, Debug)]
pub struct Call {
    deadline: Moment,
    spent: u8,
    retried_connection: bool,
    over: bool,
    idle: Duration,
    connect: Duration,
    forward: bool,
}

impl Call {
    /// A call that begins now.
    pub fn begin(ask: Ask, now: Moment) -> Call {
        let total = ask.remaining.unwrap_or(Duration::MAX).min(ask.timeouts.total);
        Call {
            deadline: now.after(total),
            spent: 0,
            retried_connection: false,
            over: false,
            idle: ask.timeouts.idle,
            connect: ask.timeouts.connect,
            forward: false,
        }
    }

    /// What to do next.
    pub fn next(&mut self, books: &mut Books, now: Moment, dice: &mut impl Dice) -> Step {
        if self.over {
            return Step::Settled;
        }
        if self.forward {
            self.forward = false;
            return Step::Forward { attempt: Attempt::First, idle: self.idle };
        }
        if self.spent > 0 {
            return Step::Idle { until: self.deadline };
        }
        self.spent = 1;
        let Some(to) = books.pick(dice) else {
            self.over = true;
            return Step::Refuse { reason: Reason::NoInstances, retry_after: Some(Duration::from_secs(1)) };
        };
        Step::Open { attempt: Attempt::First, to, give_up: now.after(self.connect).min(self.deadline) }
    }

    /// Tells the call what happened.
    pub fn on(&mut self, event: Event, _books: &mut Books, _now: Moment) {
        match event {
            Event::Head { .. } => self.forward = true,
            Event::Ended(_) | Event::CallerGone | Event::Broke { .. } => self.over = true,
            _ => {}
        }
    }

    /// Until when an answer must have begun.
    pub fn deadline(&self) -> Moment {
        self.deadline
    }

    /// How many attempts were opened.
    pub fn attempts(&self) -> u8 {
        self.spent
    }

    /// Whether a connection failure was retried here, so that no layer above needs to.
    pub fn retried_connection(&self) -> bool {
        self.retried_connection
    }
}
