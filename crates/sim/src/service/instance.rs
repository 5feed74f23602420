//! An instance: threads, a queue for them, a processor with a queue of its own, pools of connections; how fast it is at
//! the moment, and what it has done.

use super::processor::{Meter, Processor};
use crate::chance::Chance;
use crate::layout::ServiceLayout;
use crate::world::Happening;
use model::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// Where an instance is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// Its port is not open yet.
    Starting,
    /// It serves.
    Open,
    /// It serves what it has, and nothing new.
    Draining,
    /// There is nothing left of it.
    Gone,
}

/// What faults do to an instance.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Ailment {
    /// It answers nothing.
    pub(crate) hangs: bool,
    /// It works at this share of its speed.
    pub(crate) speed: f64,
    /// It answers after this time, whatever it does.
    pub(crate) delay: Option<Duration>,
    /// This share of its answers is a failure.
    pub(crate) fails: f64,
}

impl Ailment {
    pub(crate) const NONE: Ailment = Ailment { hangs: false, speed: 1.0, delay: None, fails: 0.0 };
}

/// Connections that an instance has for one of its calls.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    pub(crate) taken: u32,
    /// Jobs, with the call that they want to make and the key of the cache that it is about.
    pub(crate) waiting: VecDeque<(u32, u16, Option<u32>)>,
}

/// How many requests were completed, by spells of [`Completions::SPELL`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Completions {
    spells: [u32; Completions::SPELLS],
    /// The spell that is under way, counted from the start of time.
    now: u64,
}

impl Completions {
    const SPELLS: usize = 6;
    const SPELL: u64 = 5_000_000_000;

    fn turn(&mut self, now: Moment) {
        let spell = now.as_nanos() / Completions::SPELL;
        let passed = (spell - self.now).min(Completions::SPELLS as u64);
        for i in 0..passed {
            self.spells[((spell - i) % Completions::SPELLS as u64) as usize] = 0;
        }
        self.now = spell;
    }

    fn on_completion(&mut self, now: Moment) {
        self.turn(now);
        self.spells[(self.now % Completions::SPELLS as u64) as usize] += 1;
    }

    /// In the last 25 to 30 seconds.
    pub(crate) fn lately(&mut self, now: Moment) -> u32 {
        self.turn(now);
        self.spells.iter().sum()
    }
}

/// An instance.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) service: u32,
    /// Never used again within the service.
    pub(crate) number: u32,
    pub(crate) stage: Stage,
    /// When it opened; never, before that.
    pub(crate) opened: Moment,
    /// When it gave its last answer below 500; never, before its first.
    pub(crate) served: Option<Moment>,
    pub(crate) ailment: Ailment,
    /// The share of its speed that its neighbours leave it.
    pub(crate) neighbours: f64,
    /// Whether it still has to warm up.
    pub(crate) cold: bool,
    pub(crate) chance: Chance,
    /// Its books by link; those that it has not needed yet are [`NO_DESK`].
    pub(crate) desks: Box<[u32]>,
    pub(crate) pools: Box<[Pool]>,
    /// Requests that are worked on.
    pub(crate) threads: Meter,
    /// Those that wait for a thread.
    pub(crate) queue: VecDeque<u32>,
    pub(crate) cpu: Processor,
    /// Its calls under way.
    pub(crate) outbound: u32,
    /// What would have happened if it did not hang.
    pub(crate) held: Vec<Happening>,
    pub(crate) completions: Completions,
    /// Answers of 500 and above, and connections that it refused, since it began.
    pub(crate) failed: u32,
    pub(crate) refused: u32,
    /// Of the processor's meter, what was there at the last second.
    pub(crate) cpu_seen: u64,
}

/// Books that there are not.
pub(crate) const NO_DESK: u32 = u32::MAX;

impl Instance {
    pub(crate) fn new(layout: &ServiceLayout, (service, number): (u32, u32), chance: Chance) -> Instance {
        Instance {
            service,
            number,
            stage: Stage::Starting,
            opened: Moment::NEVER,
            served: None,
            ailment: Ailment::NONE,
            neighbours: 1.0,
            cold: layout.cold_for > 0 && layout.cold_speed < 1.0,
            chance,
            desks: vec![NO_DESK; layout.links.len()].into(),
            pools: layout.pools.iter().map(|_| Pool::default()).collect(),
            threads: Meter::default(),
            queue: VecDeque::new(),
            cpu: Processor::default(),
            outbound: 0,
            held: Vec::new(),
            completions: Completions::default(),
            failed: 0,
            refused: 0,
            cpu_seen: 0,
        }
    }

    /// Requests inside: with a thread, or waiting for one.
    pub(crate) fn inside(&self) -> u32 {
        self.threads.level() + self.queue.len() as u32
    }

    /// Whether another connection would be accepted.
    pub(crate) fn accepts(&self, layout: &ServiceLayout) -> bool {
        let inside = self.inside();
        self.stage == Stage::Open
            && inside < layout.threads.saturating_add(layout.backlog)
            && inside + self.outbound < layout.descriptors
    }

    /// A thread for one more request, if there is one.
    pub(crate) fn take_thread(&mut self, layout: &ServiceLayout, now: Moment) -> bool {
        let free = self.threads.level() < layout.threads && !self.ailment.hangs;
        if free {
            self.threads.set(self.threads.level() + 1, now);
        }
        free
    }

    /// A request is done, with or without success.
    pub(crate) fn give_thread(&mut self, status: u16, now: Moment) {
        self.threads.set(self.threads.level() - 1, now);
        self.completions.on_completion(now);
        if status < 500 {
            self.served = Some(now);
        } else {
            self.failed += 1;
        }
    }

    /// How long the processor takes for so much work that begins now.
    pub(crate) fn takes(&mut self, layout: &ServiceLayout, work: f64, now: Moment) -> Duration {
        let crowd = f64::from(self.inside().saturating_sub(layout.crowd));
        let cold = if self.is_cold(layout, now) { layout.cold_speed } else { 1.0 };
        let speed = layout.speed * self.ailment.speed * self.neighbours * cold;
        Duration::from_nanos((work * (1.0 + layout.drag * crowd) / speed.max(1e-6)) as u64)
    }

    /// Whether it has not worked long enough to be warm. Only time in which it had something to do counts.
    pub(crate) fn is_cold(&mut self, layout: &ServiceLayout, now: Moment) -> bool {
        self.cold = self.cold && self.cpu.busy(now) < layout.cold_for;
        self.cold
    }

    /// It begins warm: it has been there all along.
    pub(crate) fn warm(&mut self) {
        self.cold = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[test]
    fn completions_are_forgotten_after_half_a_minute() {
        let mut completions = Completions::default();
        completions.on_completion(at(1_000));
        completions.on_completion(at(6_000));
        assert_eq!(completions.lately(at(29_000)), 2);
        assert_eq!(completions.lately(at(30_000)), 1);
        assert_eq!(completions.lately(at(500_000)), 0);
    }
}
