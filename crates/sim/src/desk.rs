//! The books of one sidecar for one service that it calls, with the dice and the network that belong to them.

use crate::chance::{Chance, Source, seed_of};
use crate::checks;
use crate::layout::Link;
use crate::service::Service;
use model::{Moment, Retry, Settings};
use policy::tape::{self, Line};
use policy::{Books, Streams};
use std::rc::Rc;

/// The books of one sidecar for one service that it calls.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) books: Books,
    pub(crate) dice: Streams,
    /// The ways of its messages.
    pub(crate) chance: Chance,
    settings: Rc<Settings>,
    /// Its number on the tape.
    pub(crate) number: u32,
    pub(crate) service: u32,
    /// Whose sidecar it is: the service and the instance; none: clients'.
    pub(crate) caller: Option<(u32, u32)>,
    /// Calls, and attempts beyond the first of each: the budget's naive model looks at them in the end.
    pub(crate) calls: u32,
    pub(crate) extra: u32,
    /// Which list of instances the books follow.
    version: u32,
}

impl Desk {
    /// Books of `link` for entity number `entity`, in the run of `seed`.
    pub(crate) fn new(
        link: &Link,
        (seed, entity): (u64, u64),
        number: u32,
        caller: Option<(u32, u32)>,
        now: Moment,
    ) -> Desk {
        Desk {
            books: Books::new(&link.settings, now),
            dice: dice(seed_of(seed, Source::Policies, entity)),
            chance: Chance::of(seed, Source::Network, entity),
            settings: link.settings.clone(),
            number,
            service: link.service,
            caller,
            calls: 0,
            extra: 0,
            version: 0,
        }
    }

    /// In words, if more extra attempts were made than the budget allows.
    pub(crate) fn overdrawn(&self, now: Moment) -> Option<String> {
        let hedges = self.settings.hedge.map(|_| Retry::default());
        checks::overdrawn(self.settings.retry.or(hedges), (self.calls, self.extra), now)
    }

    /// The sidecar is gone, and its books with it.
    pub(crate) fn close(&mut self) {
        self.books = Books::new(&self.settings, Moment::ZERO);
        self.caller = None;
    }

    /// What a tape says of it first.
    pub(crate) fn head(seed: u64, entity: u64) -> Line {
        Line::Seed { seed: seed_of(seed, Source::Policies, entity) }
    }

    /// The news of instances that came and went is everywhere at once: whoever opens the books sees it.
    pub(crate) fn catch_up(&mut self, service: &Service, now: Moment, tape: &mut Option<Tape>) {
        if self.version == service.version {
            return;
        }
        self.version = service.version;
        self.books.follow(&service.open, &self.settings, now);
        if let Some(tape) = tape {
            let (handles, settings) = (service.open.clone(), Box::new((*self.settings).clone()));
            tape.write(self.number, &Line::Follow { now, handles, settings });
        }
    }
}

/// The dice that belong to `seed`.
fn dice(seed: u64) -> Streams {
    #[cfg_attr(not(test), expect(unused_mut, reason = "only tests draw before a policy does"))]
    let mut dice = Streams::new(seed);
    #[cfg(test)]
    tests::draw_before(&mut dice);
    dice
}

/// A recording of every decision.
#[derive(Debug, Default)]
pub(crate) struct Tape(pub(crate) String);

impl Tape {
    pub(crate) fn write(&mut self, books: u32, line: &Line) {
        tape::encode(books, line, &mut self.0);
    }
}

#[cfg(test)]
mod tests;
