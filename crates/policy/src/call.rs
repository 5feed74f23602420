//! The conductor of one call: asked for the next step, told what happened.
//!
//! ```text
//!           no slot free            granted
//!  Fresh ─────────────────► Queued ─────────┐
//!    │ slot                                 ▼          a head          Forward
//!    └───────────────────────────────────► Ready ─► Waiting ─► Answered ─► Streaming ─► Over
//!                                           ▲  ▲      │ │          │ Tunnel
//!                             wait is over  │  └──────┘ │          └─────► Tunnelling ─► Over
//!                                        BackOff ◄ Again│ broke, refused there or had its time,
//!                                                       │ and another attempt is safe
//!  any state: caller gone, deadline, nobody to ask ─────┴─► (Drop) ─► Refusing ─► Over
//! ```
//!
//! **When another attempt is safe.** Never above the rule's `tries`, never when somebody above retries (`attempt` > 1,
//! unless the rule is `stacked`), never once the body has outgrown its copy, never past the deadline, never without
//! budget. Then:
//!
//! | the attempt | the request | the next goes |
//! |---|---|---|
//! | broke with nothing or only a connection reached | any | elsewhere, at once |
//! | broke with bytes sent or a head begun | idempotent | elsewhere, after back-off |
//! | had its time (`try_timeout`) and no head | idempotent | elsewhere, after back-off |
//! | refused, retryable `yes` or `elsewhere` | any: the app has not seen it | elsewhere, at once |
//! | refused, retryable `idempotent` | idempotent | elsewhere, after back-off |
//! | refused, retryable `later` or `no` | – | nowhere: the refusal is the answer |
//! | is the first and has not answered for the hedge's time | idempotent, body whole | elsewhere, beside the first |
//!
//! **Elsewhere** is not where the attempt before it was. Attempts follow each other; only the hedge runs beside another,
//! so that two are under way at most. The n-th takes the place ([`Attempt`]) of the one before the last.
//!
//! **The time of one attempt** runs from when the request's body is whole, as a caller that sends slowly is no fault of
//! the instance; so does the hedge's, and so does what is learned of the instance. A body that has outgrown its copy has
//! no such time, as nothing could follow. An attempt that has had its
//! time is abandoned and counts as broken by the instance, even where no other may follow: then it is a refusal.
//!
//! **One endpoint only.** Another attempt at the same endpoint is made only if nothing was sent there (nothing or only a
//! connection reached, or a refusal that says `yes`), after back-off, and not after a connect timeout. Where that is the
//! app, on a sidecar's inbound side, a restart of at most 25 ms is masked, and otherwise it is said at once what is
//! wrong: the caller's sidecar knows other endpoints, and a long wait here would cost it the time to try them. Whoever
//! asks for more than two tries, or for a time for each, insists: then each row above goes to the same endpoint where
//! there is no other, after back-off, except for the refusals that say `elsewhere`.
//!
//! **Slots.** A call holds a slot from [`Step::Open`] to its end; a tunnel gives it back at once. Whatever happens, the
//! call's last event gives it back: see the property test in `tests/any_sequence.rs`.

mod again;

use crate::admit::Verdict;
use crate::books::{Meaning, Outcome, Tried};
use crate::retry::back_off;
use crate::{Answer, Attempt, Books, CallId, Dice, Ending, EndpointKey, Event, Reached, Step, Why};
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
    /// Which attempt of the caller this is. Above 1 somebody above retries already, so there is no other attempt here
    /// unless the rule is stacked.
    pub attempt: u8,
    /// How important the request is.
    pub importance: Importance,
    /// How long things may take on this route.
    pub timeouts: Timeouts,
}

/// One call: one attempt after the other, two at once at most, one answer.
#[derive(Clone, Debug)]
pub struct Call {
    id: CallId,
    at: At,
    copy: Copied,
    idempotent: bool,
    /// Somebody above retries.
    nested: bool,
    /// There was no budget for a hedge, or nobody to send it to.
    no_hedge: bool,
    slot: bool,
    retried_connection: bool,
    opened: u8,
    /// The latest two; the first one ever is in the first place.
    tries: [Try; 2],
    /// When the body ended; never, while it is still coming.
    whole: Moment,
    /// What the beginning of the answer that is passed on was counted as.
    heard: Meaning,
    deadline: Moment,
    total: Duration,
    connect: Duration,
    idle: Duration,
    /// The refusal that it will be if there is no answer, and when to try again then.
    reason: Reason,
    retry_after: Duration,
    /// When a back-off ends.
    until: Moment,
}

const _: () = assert!(size_of::<Call>() <= 192);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    Fresh,
    Queued,
    /// An attempt is to be opened; a further one possibly where the last was.
    Ready {
        same: bool,
    },
    /// A further attempt is to be opened after a wait that is still to be drawn.
    Again {
        same: bool,
    },
    /// A wait before a further attempt.
    BackOff {
        same: bool,
    },
    Waiting,
    Answered {
        attempt: Attempt,
        upgraded: bool,
    },
    Streaming(Attempt),
    Tunnelling,
    Refusing,
    Over,
}

/// What there is of the request's body for another attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Copied {
    Growing,
    Whole,
    Lost,
}

#[derive(Clone, Copy, Debug)]
struct Try {
    to: EndpointKey,
    began: Moment,
    live: bool,
    /// The driver must still be told to abandon it.
    drop: Option<Why>,
}

const NOT_TRIED: Try =
    Try { to: EndpointKey { slot: u32::MAX, generation: 0 }, began: Moment::ZERO, live: false, drop: None };

impl Call {
    /// A call that begins now.
    pub fn begin(ask: Ask, now: Moment) -> Call {
        let total = ask.remaining.unwrap_or(Duration::MAX).min(ask.timeouts.total);
        Call {
            id: ask.id,
            at: At::Fresh,
            copy: if ask.has_body { Copied::Growing } else { Copied::Whole },
            idempotent: ask.idempotent,
            nested: ask.attempt > 1,
            no_hedge: false,
            slot: false,
            retried_connection: false,
            opened: 0,
            tries: [NOT_TRIED; 2],
            whole: if ask.has_body { Moment::NEVER } else { Moment::ZERO },
            heard: Meaning::Nothing,
            deadline: now.after(total),
            total: ask.timeouts.total,
            connect: ask.timeouts.connect,
            idle: ask.timeouts.idle,
            reason: Reason::DeadlinePassed,
            retry_after: Duration::from_secs(1),
            until: Moment::NEVER,
        }
    }

    /// Until when an answer must have begun.
    pub fn deadline(&self) -> Moment {
        self.deadline
    }

    /// How many attempts were opened: right after [`Step::Open`], the number of that attempt, from 1.
    pub fn attempts(&self) -> u8 {
        self.opened
    }

    /// Whether a connection failure was retried here, so that no layer above needs to.
    pub fn retried_connection(&self) -> bool {
        self.retried_connection
    }

    /// What to do next. Ask again after each step but [`Step::Idle`], which waits for an event.
    pub fn next(&mut self, books: &mut Books, now: Moment, dice: &mut impl Dice) -> Step {
        books.refresh(now, dice);
        // Steps are made where they are returned: to pass them on in an Option costs twice as much as all the rest.
        loop {
            if let Some((attempt, why)) = self.abandon() {
                return Step::Drop { attempt, why };
            }
            match self.at {
                At::Fresh => self.arrive(books, now),
                At::Queued => {
                    if self.waits_for_slot(books, now) {
                        return Step::Idle { until: self.deadline };
                    }
                }
                At::Ready { same } => {
                    if let Some((attempt, to)) = self.open(books, now, dice, same) {
                        return Step::Open { attempt, to, give_up: self.give_up(books, now) };
                    }
                }
                At::Again { same } => {
                    let rule = books.settings().retry.unwrap_or_default();
                    self.until = now.after(back_off(&rule, self.opened, now.until(self.deadline), dice));
                    self.at = At::BackOff { same };
                }
                At::BackOff { same } if now >= self.until => self.at = At::Ready { same },
                At::BackOff { .. } => return Step::Idle { until: self.until },
                At::Waiting => {
                    if let Some(until) = self.wait(books, now) {
                        return Step::Idle { until };
                    }
                }
                At::Answered { attempt, upgraded: false } => {
                    self.at = At::Streaming(attempt);
                    return Step::Forward { attempt, idle: self.idle };
                }
                At::Answered { attempt, upgraded: true } => {
                    self.leave(books, now);
                    self.at = At::Tunnelling;
                    return Step::Tunnel { attempt };
                }
                At::Streaming(_) | At::Tunnelling => return Step::Idle { until: Moment::NEVER },
                At::Refusing => {
                    self.at = At::Over;
                    let retry_after = self.reason.has_retry_after().then_some(self.retry_after);
                    return Step::Refuse { reason: self.reason, retry_after };
                }
                At::Over => return Step::Settled,
            }
        }
    }

    /// Tells the call what happened. What cannot happen in its state is ignored.
    pub fn on(&mut self, event: Event, books: &mut Books, now: Moment) {
        match event {
            Event::Woken | Event::Due => {}
            Event::BodyEnded => {
                if self.copy == Copied::Growing {
                    self.copy = Copied::Whole;
                }
                self.whole = self.whole.min(now);
            }
            Event::Spilled => self.copy = Copied::Lost,
            Event::Head { attempt, answer } => self.on_head(attempt, answer, books, now),
            Event::Broke { attempt, reached, reason } => self.on_broke(attempt, reached, reason, books, now),
            Event::Ended(ending) => self.on_ended(ending, books, now),
            Event::CallerGone => self.on_caller_gone(books, now),
        }
    }

    fn on_head(&mut self, attempt: Attempt, answer: Answer, books: &mut Books, now: Moment) {
        if !self.tries[attempt as usize].live {
            return;
        }
        let outcome = match answer.refusal {
            Some(reason) => Outcome::Refused(reason),
            None => Outcome::Answered { failed: answer.status >= 500, long: answer.long || answer.upgraded },
        };
        self.heard = self.settle(attempt, books, now, outcome);
        if let Some(reason) = answer.refusal
            && let Some(again) = self.after_refusal(reason, books)
            && (self.tries[attempt.other() as usize].live || self.again(again, books, now))
        {
            self.reason = reason;
            self.retried_connection |= reason == Reason::ConnectFailed || reason == Reason::ConnectTimeout;
            self.tries[attempt as usize].drop = Some(Why::Retried);
            return;
        }
        self.give_up_on(attempt.other(), Why::Lost, books, now);
        self.at = At::Answered { attempt, upgraded: answer.upgraded };
    }

    #[inline(never)]
    fn on_broke(
        &mut self,
        attempt: Attempt,
        reached: Reached,
        reason: Reason,
        books: &mut Books,
        now: Moment,
    ) {
        if self.at == At::Streaming(attempt) {
            return self.on_ended(Ending::Truncated, books, now);
        }
        if !self.tries[attempt as usize].live {
            return;
        }
        self.settle(attempt, books, now, Outcome::Broke(reason));
        self.go_on_without(attempt, reached, reason, books, now);
    }

    fn on_ended(&mut self, ending: Ending, books: &mut Books, now: Moment) {
        match self.at {
            At::Streaming(attempt) => {
                books.on_ended(&self.tried(attempt), now, self.heard, ending);
                self.leave(books, now);
                self.at = At::Over;
            }
            At::Tunnelling => self.at = At::Over,
            _ => {}
        }
    }

    #[inline(never)]
    fn on_caller_gone(&mut self, books: &mut Books, now: Moment) {
        if self.at == At::Queued {
            let limit = books.settings().limit;
            books.queue().forget(limit, self.id, now);
        }
        if let At::Answered { attempt, .. } = self.at {
            self.tries[attempt as usize].drop = Some(Why::CallerGone);
        }
        for attempt in [Attempt::First, Attempt::Second] {
            self.give_up_on(attempt, Why::CallerGone, books, now);
        }
        self.leave(books, now);
        self.at = At::Over;
    }

    /// The next attempt that the driver must be told to abandon.
    fn abandon(&mut self) -> Option<(Attempt, Why)> {
        for attempt in [Attempt::First, Attempt::Second] {
            if let Some(why) = self.tries[attempt as usize].drop.take() {
                return Some((attempt, why));
            }
        }
        None
    }

    fn arrive(&mut self, books: &mut Books, now: Moment) {
        books.on_call(now);
        if now >= self.deadline {
            return self.refuse(Reason::DeadlinePassed, books, now);
        }
        let limit = books.settings().limit;
        match books.queue().begin(limit, self.id, self.deadline) {
            Verdict::Go => {
                self.slot = true;
                self.at = At::Ready { same: false };
            }
            Verdict::Wait => self.at = At::Queued,
            Verdict::Refuse(reason) => self.refuse(reason, books, now),
        }
    }

    #[inline(never)]
    fn waits_for_slot(&mut self, books: &mut Books, now: Moment) -> bool {
        let limit = books.settings().limit;
        self.slot = books.queue().granted(self.id);
        if now >= self.deadline {
            if !self.slot {
                books.queue().forget(limit, self.id, now);
            }
            self.refuse(Reason::QueueTooSlow, books, now);
        } else if self.slot {
            self.at = At::Ready { same: false };
        }
        self.at == At::Queued
    }

    /// Begins an attempt, if there is still time for it and somebody to ask.
    fn open(
        &mut self,
        books: &mut Books,
        now: Moment,
        dice: &mut impl Dice,
        same: bool,
    ) -> Option<(Attempt, EndpointKey)> {
        let last = (self.opened > 0).then(|| self.last().to);
        // The body may have outgrown its copy during the back-off.
        let lost = last.is_some() && self.copy == Copied::Lost;
        if lost || now >= self.deadline {
            self.refuse(self.reason, books, now);
            return None;
        }
        let again = |books: &mut Books| last.filter(|_| same).and_then(|key| books.pick_again(key));
        let Some(to) = books.pick(now, dice, last).or_else(|| again(books)) else {
            self.nobody_to_ask(books, now);
            return None;
        };
        let attempt = if self.opened.is_multiple_of(2) { Attempt::First } else { Attempt::Second };
        self.tries[attempt as usize] = Try { to, began: now, live: true, drop: None };
        self.opened += 1;
        self.at = At::Waiting;
        Some((attempt, to))
    }

    /// The attempt that was opened last.
    fn last(&self) -> &Try {
        &self.tries[usize::from(self.opened.saturating_sub(1) % 2)]
    }

    /// Until when there is nothing to do but wait for an answer; none if there is something to do.
    fn wait(&mut self, books: &mut Books, now: Moment) -> Option<Moment> {
        if now >= self.deadline {
            for attempt in [Attempt::First, Attempt::Second] {
                self.give_up_on(attempt, Why::Deadline, books, now);
            }
            self.refuse(Reason::ResponseTimeout, books, now);
            return None;
        }
        let over = self.next_over_at(books);
        if now >= over {
            self.time_out(books, now);
            return None;
        }
        let hedge = self.hedge_at(books);
        if now < hedge {
            return Some(self.deadline.min(over).min(hedge));
        }
        if books.has_fit_other(self.tries[0].to) && books.withdraw(now) {
            self.at = At::Ready { same: false };
        } else {
            self.no_hedge = true;
        }
        None
    }

    /// Abandons an attempt that has not answered.
    #[inline(never)]
    fn give_up_on(&mut self, attempt: Attempt, why: Why, books: &mut Books, now: Moment) {
        if self.tries[attempt as usize].live {
            self.settle(attempt, books, now, Outcome::Unheard);
            self.tries[attempt as usize].drop = Some(why);
        }
    }

    fn settle(&mut self, attempt: Attempt, books: &mut Books, now: Moment, outcome: Outcome) -> Meaning {
        self.tries[attempt as usize].live = false;
        books.settle(&self.tried(attempt), self.total, now, outcome)
    }

    fn tried(&self, attempt: Attempt) -> Tried {
        let Try { to, began, .. } = self.tries[attempt as usize];
        Tried { to, began, asked: began.max(self.whole) }
    }

    /// For a first attempt the books say why; a further one fails as the last did.
    #[inline(never)]
    fn nobody_to_ask(&mut self, books: &mut Books, now: Moment) {
        if self.opened == 0 {
            (self.reason, self.retry_after) = books.nobody(now);
        }
        self.refuse(self.reason, books, now);
    }

    fn refuse(&mut self, reason: Reason, books: &mut Books, now: Moment) {
        self.leave(books, now);
        self.reason = reason;
        self.at = At::Refusing;
    }

    fn leave(&mut self, books: &mut Books, now: Moment) {
        if std::mem::take(&mut self.slot) {
            let limit = books.settings().limit;
            books.queue().leave(limit, now);
        }
    }
}

#[cfg(test)]
mod tests;
