//! What an instance works on: one slot for each request, used again and again.

use crate::flight::Key;
use model::Moment;

/// Whom the answer is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Serves {
    /// A call, and which of its attempts.
    Call(Key, u8),
    /// Somebody who wants to see whether it answers, with the number of the question.
    Probe(u32),
    /// Nobody: the instance does it by itself before it opens.
    Nobody,
}

/// A request at an instance.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) generation: u32,
    /// Whether the slot is in use.
    pub(crate) live: bool,
    pub(crate) instance: u32,
    pub(crate) route: u16,
    pub(crate) serves: Serves,
    /// What it passes on to those whom it calls.
    pub(crate) attempt: u8,
    pub(crate) idempotent: bool,
    pub(crate) deadline: Moment,
    /// A call that it cannot do without has failed.
    pub(crate) failed: bool,
    /// The next of its route's calls.
    pub(crate) next: u16,
    /// The call that is made one after another, and how often still.
    pub(crate) chain: (u16, u32),
    /// Calls under way, or waiting for a connection of a pool.
    pub(crate) outstanding: u32,
}

impl Job {
    /// A request that has just come.
    pub(crate) fn new(instance: u32, route: u16, serves: Serves) -> Job {
        Job {
            generation: 0,
            live: true,
            instance,
            route,
            serves,
            attempt: 1,
            idempotent: true,
            deadline: Moment::NEVER,
            failed: false,
            next: 0,
            chain: (0, 0),
            outstanding: 0,
        }
    }
}

/// All requests at all instances.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    slots: Vec<Job>,
    free: Vec<u32>,
    /// The instance of each slot, apart, so that what one works on is found without looking at every request.
    instances: Vec<u32>,
}

impl Jobs {
    /// Takes a slot.
    pub(crate) fn begin(&mut self, job: Job) -> u32 {
        let Some(slot) = self.free.pop() else {
            self.instances.push(job.instance);
            self.slots.push(job);
            return self.slots.len() as u32 - 1;
        };
        let generation = self.slots[slot as usize].generation;
        self.instances[slot as usize] = job.instance;
        self.slots[slot as usize] = Job { generation, ..job };
        slot
    }

    /// Gives the slot back.
    pub(crate) fn end(&mut self, slot: u32) {
        let job = &mut self.slots[slot as usize];
        job.live = false;
        job.generation = job.generation.wrapping_add(1);
        self.free.push(slot);
    }

    pub(crate) fn key(&self, slot: u32) -> Key {
        Key { slot, generation: self.slots[slot as usize].generation }
    }

    /// Whether the slot is still this one's.
    pub(crate) fn has(&self, key: Key) -> bool {
        self.slots.get(key.slot as usize).is_some_and(|j| j.live && j.generation == key.generation)
    }

    /// The slots of what `instance` works on, in order.
    pub(crate) fn of(&self, instance: u32) -> Vec<u32> {
        let mine = |(slot, there): &(usize, &u32)| **there == instance && self.slots[*slot].live;
        self.instances.iter().enumerate().filter(mine).map(|(slot, _)| slot as u32).collect()
    }
}

impl std::ops::Index<u32> for Jobs {
    type Output = Job;

    fn index(&self, slot: u32) -> &Job {
        &self.slots[slot as usize]
    }
}

impl std::ops::IndexMut<u32> for Jobs {
    fn index_mut(&mut self, slot: u32) -> &mut Job {
        &mut self.slots[slot as usize]
    }
}
