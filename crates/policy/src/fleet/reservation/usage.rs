//! What the instances of one service have used: histograms that forget, and the last ten minutes.

use model::Moment;
use model::fleet::{Reclaim, Reservation, Resources};
use std::collections::VecDeque;
use std::time::Duration;

/// Buckets grow by 7 % each: from 5 millicores or 1 MiB up to thousands of cores or hundreds of GiB.
const BUCKETS: usize = 200;
const GROWTH: f64 = 1.07;
const LEAST_CPU: f64 = 5.0;
const LEAST_MEMORY: f64 = (1 << 20) as f64;
/// The last ten minutes, as five slots of two.
const SLOTS: usize = 5;
const SLOT: Duration = Duration::from_secs(120);
/// Weights are scaled back when the newest is worth so many of the first.
const LARGEST: f64 = 1e6;

/// What the instances of one service have used.
#[derive(Clone, Debug)]
pub(super) struct Usage {
    pub(super) began: Moment,
    pub(super) due: Moment,
    cpu: Fading,
    memory: Fading,
    recent: VecDeque<Slot>,
    /// Recommendations, the first of them the highest: millicores and bytes apart.
    cores: VecDeque<(Moment, u64)>,
    bytes: VecDeque<(Moment, u64)>,
}

/// A histogram in which what is old counts less.
#[derive(Clone, Debug)]
struct Fading {
    /// A sample that comes now counts 1 at this moment and more after it, which is the same as the old ones counting less.
    one: Moment,
    weights: Box<[f64; BUCKETS]>,
}

/// Two minutes.
#[derive(Clone, Debug)]
struct Slot {
    began: Moment,
    counts: Box<[u32; BUCKETS]>,
    samples: u32,
    sum: f64,
    squares: f64,
    memory: u64,
}

impl Usage {
    pub(super) fn begin(now: Moment) -> Usage {
        Usage {
            began: now,
            due: now,
            cpu: Fading::begin(now),
            memory: Fading::begin(now),
            recent: VecDeque::new(),
            cores: VecDeque::new(),
            bytes: VecDeque::new(),
        }
    }

    pub(super) fn on_sample(&mut self, rule: &Reservation, now: Moment, used: Resources) {
        let cpu = bucket(used.millicores, LEAST_CPU);
        self.cpu.add(now, rule.cpu_half_life, cpu);
        self.memory.add(now, rule.memory_half_life, bucket(used.bytes, LEAST_MEMORY));
        if self.recent.back().is_none_or(|slot| now.since(slot.began) >= SLOT) {
            self.recent.push_back(Slot::begin(now));
            if self.recent.len() > SLOTS {
                self.recent.pop_front();
            }
        }
        if let Some(slot) = self.recent.back_mut() {
            let value = used.millicores as f64;
            slot.counts[cpu] = slot.counts[cpu].saturating_add(1);
            slot.samples = slot.samples.saturating_add(1);
            slot.sum += value;
            slot.squares += value * value;
            slot.memory = slot.memory.max(used.bytes);
        }
    }

    /// What is enough by the long windows.
    pub(super) fn usual(&self, rule: &Reservation) -> Resources {
        // Load-adjusted: each bucket counts with the work that was done in it.
        let work = |k: usize| self.cpu.weights[k] * upper(k, LEAST_CPU);
        let cpu = percentile(rule.cpu.part(), work);
        let memory = percentile(rule.memory.part(), |k| self.memory.weights[k]);
        let or_none = |k: Option<usize>, least: f64| k.map_or(0.0, |k| upper(k, least)).ceil() as u64;
        Resources::new(or_none(cpu, LEAST_CPU), or_none(memory, LEAST_MEMORY))
    }

    /// The highest recommendation of the last `hold`, `wanted` included.
    pub(super) fn highest(&mut self, now: Moment, wanted: Resources, hold: Duration) -> Resources {
        let millicores = highest(&mut self.cores, now, wanted.millicores, hold);
        Resources::new(millicores, highest(&mut self.bytes, now, wanted.bytes, hold))
    }

    /// What is enough by the last ten minutes; none if nothing was seen in them.
    pub(super) fn floor(&self, rule: &Reclaim, now: Moment) -> Option<Resources> {
        let window = SLOT.saturating_mul(SLOTS as u32);
        let recent = || self.recent.iter().filter(|slot| now.since(slot.began) < window);
        let samples: f64 = recent().map(|slot| f64::from(slot.samples)).sum();
        if samples == 0.0 {
            return None;
        }
        let mean = recent().map(|slot| slot.sum).sum::<f64>() / samples;
        let squares = recent().map(|slot| slot.squares).sum::<f64>() / samples;
        let sigma = libm::sqrt((squares - mean * mean).max(0.0));
        let share = percentile(rule.share.part(), |k| recent().map(|slot| f64::from(slot.counts[k])).sum());
        let cpu = (mean + rule.sigma * sigma).max(share.map_or(0.0, |k| upper(k, LEAST_CPU)));
        let memory = recent().map(|slot| slot.memory).max().unwrap_or(0);
        Some(Resources::new(cpu.ceil() as u64, memory).scaled(1.0 + rule.margin.part()))
    }
}

impl Fading {
    fn begin(now: Moment) -> Fading {
        Fading { one: now, weights: Box::new([0.0; BUCKETS]) }
    }

    fn add(&mut self, now: Moment, half_life: Duration, bucket: usize) {
        let mut weight = libm::exp2(now.since(self.one).as_secs_f64() / half_life.as_secs_f64().max(1.0));
        if weight > LARGEST {
            for old in self.weights.iter_mut() {
                *old /= weight;
            }
            self.one = now;
            weight = 1.0;
        }
        self.weights[bucket] += weight;
    }
}

impl Slot {
    fn begin(now: Moment) -> Slot {
        Slot { began: now, counts: Box::new([0; BUCKETS]), samples: 0, sum: 0.0, squares: 0.0, memory: 0 }
    }
}

/// The bucket of `value`.
fn bucket(value: u64, least: f64) -> usize {
    let steps = libm::ceil(libm::log(value as f64 / least) / libm::log(GROWTH));
    // Zero makes minus infinity, which becomes the first bucket.
    (steps.max(0.0) as usize).min(BUCKETS - 1)
}

/// The largest value of a bucket.
fn upper(bucket: usize, least: f64) -> f64 {
    least * GROWN[bucket]
}

/// How many times the least a bucket's largest value is.
const GROWN: [f64; BUCKETS] = {
    let mut grown = [1.0; BUCKETS];
    let mut k = 1;
    while k < BUCKETS {
        grown[k] = grown[k - 1] * GROWTH;
        k += 1;
    }
    grown
};

/// The first bucket up to which `share` of the weight lies; none if there is no weight.
fn percentile(share: f64, weight: impl Fn(usize) -> f64) -> Option<usize> {
    let all: f64 = (0..BUCKETS).map(&weight).sum();
    if all <= 0.0 {
        return None;
    }
    let mut below = 0.0;
    let found = (0..BUCKETS).find(|k| {
        below += weight(*k);
        below >= share * all
    });
    // A sum that misses the whole by its last bit ends at the highest bucket that has any weight.
    found.or_else(|| (0..BUCKETS).rev().find(|k| weight(*k) > 0.0))
}

/// The highest of `before` that is not older than `hold`, and `now`'s.
fn highest(before: &mut VecDeque<(Moment, u64)>, now: Moment, value: u64, hold: Duration) -> u64 {
    while before.back().is_some_and(|(_, b)| *b <= value) {
        before.pop_back();
    }
    before.push_back((now, value));
    while before.front().is_some_and(|(at, _)| now.since(*at) > hold) {
        before.pop_front();
    }
    before.front().map_or(value, |(_, highest)| *highest)
}
