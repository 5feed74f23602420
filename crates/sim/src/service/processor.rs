//! An instance's processor: so many servers, first come first served; and at a small scale a coarse one.
//!
//! **Why a coarse one.** A run at a tenth of the scale has a tenth of the requests, at instances with a tenth of the
//! processor. An instance with three cores would have one server that takes ten thirds of the time for each request, and
//! its queue would wander about ten times as far: requests would time out where the full scale has no queue at all. So
//! below full scale an answer takes what it takes at full scale, the processor owes the rest, and it only makes requests
//! wait once it owes more than the coarse grain explains:
//!
//! ```text
//! until = max(until, now) + time / (servers × scale)        what it owes, first come first served
//! done  = max(now + time, until − ahead)                     ahead = 40 × (1/scale − 1) × mean time / servers
//! ```
//!
//! What it can work off in the long run, how much it is used and how it is overwhelmed stay what they are; an overload
//! is felt later by `ahead`, and little queues are not seen. At full scale `ahead` is zero and servers are servers.

use model::Moment;
use std::collections::VecDeque;

/// What a processor may owe before anybody waits, in requests for each server and each request that one stands for.
const GRAIN: f64 = 40.0;

/// A sum over time of something that changes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    level: u32,
    since: u64,
    /// Nanoseconds times level.
    sum: u64,
    /// Nanoseconds with a level above zero.
    any: u64,
}

impl Meter {
    fn settle(&mut self, now: Moment) {
        let passed = now.as_nanos() - self.since;
        self.sum += passed * u64::from(self.level);
        self.any += if self.level > 0 { passed } else { 0 };
        self.since = now.as_nanos();
    }

    pub(crate) fn set(&mut self, level: u32, now: Moment) {
        self.settle(now);
        self.level = level;
    }

    /// The level now.
    pub(crate) fn level(&self) -> u32 {
        self.level
    }
}

/// How a processor below full scale works.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Coarse {
    scale: f64,
    /// Nanoseconds that it may owe before anybody waits.
    ahead: u64,
}

impl Coarse {
    /// At `scale`, with `servers` at full scale, which take `mean` nanoseconds for a request. None at full scale.
    pub(crate) fn new(scale: f64, servers: u32, mean: f64) -> Option<Coarse> {
        let ahead = GRAIN * (1.0 / scale - 1.0) * mean / f64::from(servers);
        (scale < 1.0).then_some(Coarse { scale, ahead: ahead as u64 })
    }
}

/// A processor.
#[derive(Debug, Default)]
pub(crate) struct Processor {
    meter: Meter,
    /// Who waits for a server.
    pub(crate) queue: VecDeque<u32>,
    /// Below full scale: until when it owes, and what it has been asked for at all.
    until: u64,
    asked: u64,
}

impl Processor {
    /// A server, if one of so many is free.
    pub(crate) fn take(&mut self, servers: u32, now: Moment) -> bool {
        let free = self.meter.level() < servers;
        if free {
            self.meter.set(self.meter.level() + 1, now);
        }
        free
    }

    /// A server is free again.
    pub(crate) fn give(&mut self, now: Moment) {
        self.meter.set(self.meter.level() - 1, now);
    }

    /// When a coarse one is done with a request that takes one of its servers `time` nanoseconds.
    pub(crate) fn owe(&mut self, rule: Coarse, servers: u32, time: u64, now: Moment) -> Moment {
        let share = (time as f64 / (f64::from(servers) * rule.scale)) as u64;
        self.until = self.until.max(now.as_nanos()) + share;
        self.asked += share;
        Moment::from_nanos((now.as_nanos() + time).max(self.until.saturating_sub(rule.ahead)))
    }

    /// What a coarse one has worked off.
    fn worked(&self, now: Moment) -> u64 {
        self.asked - self.until.saturating_sub(now.as_nanos())
    }

    /// Nanoseconds times busy servers until now, of `servers` that are all busy or none if it is coarse.
    pub(crate) fn used(&mut self, servers: u32, now: Moment) -> u64 {
        self.meter.settle(now);
        self.meter.sum + self.worked(now) * u64::from(servers)
    }

    /// Nanoseconds until now in which it had something to do.
    pub(crate) fn busy(&mut self, now: Moment) -> u64 {
        self.meter.settle(now);
        self.meter.any + self.worked(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    const fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[test]
    fn servers_are_taken_and_given_back_and_their_use_is_summed() {
        let mut processor = Processor::default();
        assert!(processor.take(2, at(10)) && processor.take(2, at(20)) && !processor.take(2, at(25)));
        processor.give(at(30));
        processor.give(at(50));
        assert_eq!(processor.used(2, at(60)), (10 + 20 + 20) * MS);
        assert_eq!(processor.busy(at(60)), 40 * MS);
        assert!(processor.take(2, at(70)));
    }

    /// Two servers of 10 ms at a tenth: each request is 50 ms of the whole. 40 × 9 × 10 / 2 = 1,800 ms may be owed.
    #[test]
    fn a_coarse_one_takes_its_time_and_makes_wait_when_it_owes_too_much() {
        let rule = Coarse::new(0.1, 2, 10.0 * MS as f64).unwrap();
        let mut processor = Processor::default();
        for n in 0..36 {
            assert_eq!(processor.owe(rule, 2, 10 * MS, at(n)), at(n + 10), "{n}");
        }
        // 36 × 50 ms are owed, from 0 ms on.
        assert_eq!(processor.owe(rule, 2, 10 * MS, at(36)), at(50));
        assert_eq!(processor.owe(rule, 2, 10 * MS, at(36)), at(100));
        assert_eq!(processor.used(2, at(1_000)), 2 * 1_000 * MS);
        assert_eq!(processor.busy(at(10_000)), 38 * 50 * MS);
        assert_eq!(processor.owe(rule, 2, 10 * MS, at(10_000)), at(10_010));
        assert_eq!(Coarse::new(1.0, 2, 10.0), None);
    }
}
