//! Whether and where another attempt goes when one has failed or is slow: the table in [`super`], as code.

use super::{At, Call, Copied};
use crate::books::Outcome;
use crate::retry::hedge_at;
use crate::{Attempt, Books, Reached, Why};
use model::{Moment, Reason, Retry, Retryable};
use std::time::Duration;

const BOTH: [Attempt; 2] = [Attempt::First, Attempt::Second];

/// Where a further attempt may go, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Again {
    /// At once, if it goes elsewhere.
    at_once: bool,
    /// Where the last was, if there is nowhere else.
    same: bool,
}

impl Call {
    /// Where to go after a refusal by the peer's sidecar, if anywhere.
    pub(super) fn after_refusal(&self, reason: Reason, books: &Books) -> Option<Again> {
        let insists = insists(books);
        match reason.retryable() {
            Retryable::Yes => {
                Some(Again { at_once: true, same: insists || reason != Reason::ConnectTimeout })
            }
            Retryable::Elsewhere => Some(Again { at_once: true, same: false }),
            Retryable::Idempotent if self.idempotent => Some(Again { at_once: false, same: insists }),
            Retryable::Idempotent | Retryable::Later | Retryable::No => None,
        }
    }

    /// An attempt has failed: the other one goes on, or another one follows, or that was it.
    pub(super) fn go_on_without(
        &mut self,
        attempt: Attempt,
        reached: Reached,
        reason: Reason,
        books: &mut Books,
        now: Moment,
    ) {
        self.reason = reason;
        if self.tries[attempt.other() as usize].live {
            return;
        }
        let unsent = reached <= Reached::Connection;
        let same = (unsent && reason != Reason::ConnectTimeout) || insists(books);
        if (unsent || self.idempotent) && self.again(Again { at_once: unsent, same }, books, now) {
            self.retried_connection |= unsent;
        } else {
            self.refuse(reason, books, now);
        }
    }

    /// Makes ready for another attempt, if there may be one.
    pub(super) fn again(&mut self, again: Again, books: &mut Books, now: Moment) -> bool {
        let Some(rule) = &books.settings().retry else { return false };
        let spent = self.opened >= rule.tries || (self.nested && !rule.stacked) || self.copy == Copied::Lost;
        if spent || now >= self.deadline {
            return false;
        }
        let elsewhere = books.has_other(self.last().to);
        if !(elsewhere || again.same) || !books.withdraw(now) {
            return false;
        }
        let same = again.same && !elsewhere;
        self.at = if again.at_once && elsewhere { At::Ready { same } } else { At::Again { same } };
        true
    }

    /// Until when the connection of an attempt that begins now must stand.
    pub(super) fn give_up(&self, books: &Books, now: Moment) -> Moment {
        let connect = try_timeout(books).map_or(self.connect, |time| time.min(self.connect));
        now.after(connect).min(self.deadline)
    }

    /// When the next attempt that is under way will have had its time.
    pub(super) fn next_over_at(&self, books: &Books) -> Moment {
        match try_timeout(books) {
            Some(time) => {
                BOTH.map(|attempt| self.over_at(attempt, time)).into_iter().fold(Moment::NEVER, Moment::min)
            }
            None => Moment::NEVER,
        }
    }

    fn over_at(&self, attempt: Attempt, time: Duration) -> Moment {
        let tried = &self.tries[attempt as usize];
        let timed = tried.live && self.copy == Copied::Whole;
        if timed { tried.began.max(self.whole).after(time) } else { Moment::NEVER }
    }

    /// Abandons the attempts that have had their time.
    pub(super) fn time_out(&mut self, books: &mut Books, now: Moment) {
        let Some(time) = try_timeout(books) else { return };
        for attempt in BOTH {
            if now >= self.over_at(attempt, time) {
                self.settle(attempt, books, now, Outcome::Broke(Reason::ResponseTimeout));
                self.tries[attempt as usize].drop = Some(Why::TryTimeout);
                self.go_on_without(attempt, Reached::Bytes, Reason::ResponseTimeout, books, now);
            }
        }
    }

    /// When a second attempt begins beside the first.
    pub(super) fn hedge_at(&self, books: &Books) -> Moment {
        let may = self.opened == 1 && !self.nested && !self.no_hedge && self.idempotent;
        if !may || self.copy != Copied::Whole {
            return Moment::NEVER;
        }
        hedge_at(books.settings().hedge.as_ref(), self.tries[0].began.max(self.whole), books.shed())
    }
}

/// How long an attempt has, if that is bounded.
fn try_timeout(books: &Books) -> Option<Duration> {
    books.settings().retry.as_ref().and_then(|rule| rule.try_timeout)
}

/// Whether the only endpoint is to be asked again, too.
fn insists(books: &Books) -> bool {
    books.settings().retry.as_ref().is_some_and(Retry::insists)
}
