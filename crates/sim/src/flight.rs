//! Calls on their way: one slot each, used again and again.

use model::{Moment, Reason};
use policy::Call;

/// A slot that may since have been used again: whoever holds an old generation is not heard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Key {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl Key {
    /// As the number of a call in the books.
    pub(crate) fn number(self) -> u64 {
        u64::from(self.slot) << 32 | u64::from(self.generation)
    }

    /// The key that has this number.
    pub(crate) fn of(number: u64) -> Key {
        Key { slot: (number >> 32) as u32, generation: number as u32 }
    }
}

/// Who makes a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Caller {
    /// A client who asks for one of its visits, for the so-many-th time.
    Client { clients: u16, visit: u16, reloads: u16 },
    /// A request that an instance is working on, by one of its route's calls.
    Job { job: Key, call: u16 },
    /// The fleet, to see whether an instance answers.
    Nobody,
}

/// How the call ended for its caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// Not yet.
    No,
    /// With an answer.
    Answered(u16),
    /// With a refusal.
    Refused(Reason),
    /// The caller did not wait for it.
    Left,
}

/// What somebody wants of whom: what a call begins with, and keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand {
    pub(crate) caller: Caller,
    /// Whose books it is in.
    pub(crate) desk: u32,
    /// Whom it asks, and for what.
    pub(crate) service: u32,
    pub(crate) route: u16,
    /// The cache and its key that the answer is for.
    pub(crate) cache: Option<(u16, u32)>,
    pub(crate) idempotent: bool,
    /// Which attempt of the caller's caller it serves.
    pub(crate) attempt: u8,
    /// Until when its caller waits.
    pub(crate) patience: Moment,
}

/// A call on its way.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) generation: u32,
    /// Whether the slot is in use.
    pub(crate) live: bool,
    pub(crate) call: Call,
    pub(crate) errand: Errand,
    /// How many attempts were opened; the number of each is its tag.
    pub(crate) opened: u8,
    /// The tags of the attempts under way; 0: none.
    pub(crate) tags: [u8; 2],
    /// How many of them an instance accepted.
    pub(crate) accepted: u8,
    /// The status that came, until it is passed on.
    pub(crate) status: u16,
    pub(crate) ended: Ended,
    /// The end of an answer that was passed on is still to be told.
    pub(crate) complete: bool,
    pub(crate) began: Moment,
    /// When it is to be told that time has passed.
    pub(crate) due: Moment,
    /// When the agenda looks after it. Belongs to the slot and outlives the call: a deadline that is not reached costs
    /// nothing then.
    pub(crate) timer: Moment,
    /// Until when the answer is wanted, for those who are asked.
    pub(crate) deadline: Moment,
}

/// All calls on their way.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    slots: Vec<Flight>,
    free: Vec<u32>,
    /// The desk of each slot, apart, so that the calls of a few desks are found without looking at every call.
    desks: Vec<u32>,
}

impl Flights {
    /// Takes a slot for a call; generation and timer of the slot stay.
    pub(crate) fn begin(&mut self, make: impl FnOnce(Key) -> Flight) -> Key {
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        let old = self.slots.get(slot as usize);
        let key = Key { slot, generation: old.map_or(0, |f| f.generation) };
        let flight = Flight { timer: old.map_or(Moment::NEVER, |f| f.timer), ..make(key) };
        let desk = flight.errand.desk;
        match self.slots.get_mut(slot as usize) {
            Some(old) => {
                *old = flight;
                self.desks[slot as usize] = desk;
            }
            None => {
                self.slots.push(flight);
                self.desks.push(desk);
            }
        }
        key
    }

    /// Gives the slot back.
    pub(crate) fn end(&mut self, slot: u32) {
        let flight = &mut self.slots[slot as usize];
        flight.live = false;
        flight.due = Moment::NEVER;
        flight.generation = flight.generation.wrapping_add(1);
        self.free.push(slot);
    }

    /// The call, if the slot is still its.
    pub(crate) fn get(&mut self, key: Key) -> Option<&mut Flight> {
        self.slots.get_mut(key.slot as usize).filter(|f| f.live && f.generation == key.generation)
    }

    /// The calls in the books of these desks, in the order of their slots.
    pub(crate) fn of(&self, desks: &[u32]) -> Vec<Key> {
        let here = |(_, desk): &(usize, &u32)| desks.contains(desk);
        let slots = self.desks.iter().enumerate().filter(here).map(|(slot, _)| slot as u32);
        let live = slots.filter(|slot| self.slots[*slot as usize].live);
        live.map(|slot| Key { slot, generation: self.slots[slot as usize].generation }).collect()
    }

    /// The slots in use, in order.
    pub(crate) fn live(&self) -> impl Iterator<Item = (Key, &Flight)> + '_ {
        let key = |slot: usize, f: &Flight| Key { slot: slot as u32, generation: f.generation };
        self.slots.iter().enumerate().filter(|(_, f)| f.live).map(move |(i, f)| (key(i, f), f))
    }
}

impl std::ops::Index<u32> for Flights {
    type Output = Flight;

    fn index(&self, slot: u32) -> &Flight {
        &self.slots[slot as usize]
    }
}

impl std::ops::IndexMut<u32> for Flights {
    fn index_mut(&mut self, slot: u32) -> &mut Flight {
        &mut self.slots[slot as usize]
    }
}
