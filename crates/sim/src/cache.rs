//! A look-aside cache: which keys it holds, the least recently used one last in line.
//!
//! Keys are numbered by popularity and asked for by Zipf's law: key k with weight 1 / (k + 1)^skew.

use crate::chance::Chance;
use model::{Share, scenario};

/// No key.
const NONE: u32 = u32::MAX;

/// A cache.
#[derive(Debug)]
pub(crate) struct Cache {
    chance: Chance,
    /// The running sums of the keys' weights.
    upto: Vec<f64>,
    /// Each key's neighbours in the order of use; itself where it is not held.
    newer: Vec<u32>,
    older: Vec<u32>,
    newest: u32,
    oldest: u32,
    held: u32,
    holds: u32,
}

impl Cache {
    /// A cache that holds the most popular keys.
    pub(crate) fn new(cache: &scenario::Cache, chance: Chance) -> Cache {
        let keys = cache.keys.max(1);
        let mut sum = 0.0;
        let weight = |k: u32| libm::pow(f64::from(k) + 1.0, -cache.skew);
        let upto = (0..keys).map(|k| {
            sum += weight(k);
            sum
        });
        let mut cache = Cache {
            chance,
            upto: upto.collect(),
            newer: (0..keys).collect(),
            older: (0..keys).collect(),
            newest: NONE,
            oldest: NONE,
            held: 0,
            holds: cache.holds.min(keys),
        };
        (0..cache.holds).rev().for_each(|key| cache.store(key));
        cache
    }

    /// The next key that is asked for.
    pub(crate) fn draw(&mut self) -> u32 {
        let all = self.upto.last().copied().unwrap_or(0.0);
        let lot = self.chance.part() * all;
        (self.upto.partition_point(|u| *u <= lot) as u32).min(self.upto.len() as u32 - 1)
    }

    /// Whether it holds the key, which then counts as used.
    pub(crate) fn look_up(&mut self, key: u32) -> bool {
        let held = self.holds_key(key);
        if held {
            self.take_out(key);
            self.put_first(key);
        }
        held
    }

    /// Holds the key from now on; the least recently used one goes for it.
    pub(crate) fn store(&mut self, key: u32) {
        if self.holds == 0 || self.look_up(key) {
            return;
        }
        if self.held == self.holds {
            self.take_out(self.oldest);
        }
        self.put_first(key);
    }

    /// Forgets this share of what it holds, the most popular first.
    pub(crate) fn flush(&mut self, share: Share) {
        let gone = (f64::from(self.held) * share.part()).round() as usize;
        let keys: Vec<u32> = (0..self.upto.len() as u32).filter(|k| self.holds_key(*k)).take(gone).collect();
        keys.into_iter().for_each(|key| self.take_out(key));
    }

    fn holds_key(&self, key: u32) -> bool {
        self.newer[key as usize] != key
    }

    fn put_first(&mut self, key: u32) {
        (self.newer[key as usize], self.older[key as usize]) = (NONE, self.newest);
        match self.newest {
            NONE => self.oldest = key,
            newest => self.newer[newest as usize] = key,
        }
        self.newest = key;
        self.held += 1;
    }

    fn take_out(&mut self, key: u32) {
        let (newer, older) = (self.newer[key as usize], self.older[key as usize]);
        match newer {
            NONE => self.newest = older,
            newer => self.older[newer as usize] = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.newer[older as usize] = newer,
        }
        (self.newer[key as usize], self.older[key as usize]) = (key, key);
        self.held -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(keys: u32, skew: f64, holds: u32) -> Cache {
        Cache::new(&scenario::Cache { name: "c".to_owned(), keys, skew, holds }, Chance::new(1, 1))
    }

    #[test]
    fn the_least_recently_used_key_goes() {
        let mut cache = cache(5, 1.0, 2);
        assert!(cache.look_up(1) && cache.look_up(0));
        cache.store(4);
        assert!(!cache.look_up(1) && cache.look_up(0) && cache.look_up(4));
        cache.store(0);
        cache.store(3);
        assert!(!cache.look_up(4) && cache.look_up(0) && cache.look_up(3));
    }

    #[test]
    fn a_flush_takes_the_most_popular_first() {
        let mut cache = cache(10, 1.0, 4);
        cache.flush(Share::percent(50));
        assert_eq!([0, 1, 2, 3].map(|k| cache.look_up(k)), [false, false, true, true]);
        cache.store(9);
        cache.store(8);
        cache.store(7);
        assert_eq!([2, 3, 9].map(|k| cache.look_up(k)), [false, true, true]);
    }

    #[test]
    fn keys_come_by_zipfs_law() {
        let mut cache = cache(100, 1.0, 0);
        let mut times = [0u32; 100];
        (0..100_000).for_each(|_| times[cache.draw() as usize] += 1);
        // The sum of 1/k up to 100 is 5.187.
        let share = |k: usize| f64::from(times[k]) / 100_000.0;
        assert!((share(0) - 0.1928).abs() < 0.006 && (share(9) - 0.0193).abs() < 0.002, "{times:?}");
        cache.store(3);
        assert!(!cache.look_up(3), "it holds nothing");
    }
}
