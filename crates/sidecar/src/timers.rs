//! Deadlines as numbers in a table, and one sleeping alarm for a whole worker.
//!
//! A timer for each request would cost a system call at low load. A connection has one slot in the table; the alarm
//! is set to the earliest of them, and only ever moved forward when a new one is earlier. A request that ends before
//! its deadline costs nothing; the alarm then finds nothing due at most once a period.

use model::Moment;
use net::clock::Clock;
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::time::{Instant, Sleep};

/// A connection's place in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimerSlot(usize);

#[derive(Debug)]
struct Row {
    at: Moment,
    waker: Option<Waker>,
}

/// The deadlines of one worker.
#[derive(Debug)]
pub(crate) struct Timers {
    clock: Clock,
    rows: RefCell<Vec<Row>>,
    free: RefCell<Vec<usize>>,
    /// No row is due before this; it may be too early, never too late.
    next: Cell<Moment>,
    alarm: RefCell<Option<Waker>>,
}

impl Timers {
    pub(crate) fn new(clock: Clock) -> Timers {
        Timers {
            clock,
            rows: RefCell::default(),
            free: RefCell::default(),
            next: Cell::new(Moment::NEVER),
            alarm: RefCell::default(),
        }
    }

    /// A new row, not set.
    pub(crate) fn take_slot(&self) -> TimerSlot {
        if let Some(free) = self.free.borrow_mut().pop() {
            return TimerSlot(free);
        }
        let mut rows = self.rows.borrow_mut();
        rows.push(Row { at: Moment::NEVER, waker: None });
        TimerSlot(rows.len() - 1)
    }

    /// Gives a row back.
    pub(crate) fn give_slot(&self, slot: TimerSlot) {
        if let Some(row) = self.rows.borrow_mut().get_mut(slot.0) {
            *row = Row { at: Moment::NEVER, waker: None };
            self.free.borrow_mut().push(slot.0);
        }
    }

    /// Wakes the task of `cx` at `at` or shortly after. Replaces what the slot held.
    pub(crate) fn set(&self, slot: TimerSlot, at: Moment, cx: &Context<'_>) {
        if let Some(row) = self.rows.borrow_mut().get_mut(slot.0) {
            row.at = at;
            match &row.waker {
                Some(waker) if waker.will_wake(cx.waker()) => {}
                _ => row.waker = Some(cx.waker().clone()),
            }
        }
        if at < self.next.get() {
            self.next.set(at);
            if let Some(alarm) = &*self.alarm.borrow() {
                alarm.wake_by_ref();
            }
        }
    }

    /// Wakes every task that has a slot: the world has changed for all of them.
    pub(crate) fn wake_all(&self) {
        for row in self.rows.borrow().iter() {
            if let Some(waker) = &row.waker {
                waker.wake_by_ref();
            }
        }
    }

    /// Wakes what is due and finds the next deadline.
    fn fire(&self, now: Moment) {
        let mut next = Moment::NEVER;
        for row in self.rows.borrow_mut().iter_mut() {
            if row.at <= now {
                row.at = Moment::NEVER;
                if let Some(waker) = &row.waker {
                    waker.wake_by_ref();
                }
            }
            next = next.min(row.at);
        }
        self.next.set(next);
    }

    /// Runs the alarm for as long as it is polled.
    pub(crate) async fn run(&self) {
        let mut sleep: Pin<Box<Sleep>> = Box::pin(tokio::time::sleep_until(Instant::now()));
        std::future::poll_fn(|cx| self.poll_alarm(cx, sleep.as_mut())).await
    }

    fn poll_alarm(&self, cx: &mut Context<'_>, mut sleep: Pin<&mut Sleep>) -> Poll<()> {
        *self.alarm.borrow_mut() = Some(cx.waker().clone());
        loop {
            let next = self.next.get();
            let Some(at) = (next != Moment::NEVER).then(|| self.clock.instant(next)).flatten() else {
                return Poll::Pending;
            };
            let at = Instant::from_std(at);
            if sleep.deadline() != at {
                sleep.as_mut().reset(at);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.fire(self.clock.now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;
    use std::time::Duration;

    async fn wait(timers: &Timers, slot: TimerSlot, at: Moment) {
        std::future::poll_fn(|cx| {
            if timers.clock.now() >= at {
                return Poll::Ready(());
            }
            timers.set(slot, at, cx);
            Poll::Pending
        })
        .await;
    }

    #[tokio::test]
    async fn the_earlier_of_two_deadlines_comes_first() {
        let clock = Clock::start();
        let timers = Rc::new(Timers::new(clock));
        let (a, b) = (timers.take_slot(), timers.take_slot());
        let now = clock.now();
        let late = now.after(Duration::from_millis(40));
        let early = now.after(Duration::from_millis(10));
        let order = RefCell::new(Vec::new());
        let both = async {
            tokio::join!(
                async {
                    wait(&timers, a, late).await;
                    order.borrow_mut().push("late");
                },
                async {
                    wait(&timers, b, early).await;
                    order.borrow_mut().push("early");
                }
            )
        };
        tokio::select! {
            _ = both => {}
            () = timers.run() => unreachable!("the alarm never ends"),
        }
        assert_eq!(*order.borrow(), ["early", "late"]);
        timers.give_slot(a);
        assert_eq!(timers.take_slot(), a);
    }
}
