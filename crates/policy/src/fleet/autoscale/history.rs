//! What is remembered of one service: how many it had, how many were wanted, where demand is going.

use model::Moment;
use model::fleet::{Step, Trend};
use std::collections::VecDeque;
use std::time::Duration;

/// The memory of one service.
#[derive(Clone, Debug)]
pub(super) struct History {
    seen: Moment,
    /// Instances at a moment, one entry for each change.
    had: VecDeque<(Moment, u32)>,
    /// What was wanted, each entry smaller than the one before: the first is the highest of the window.
    wanted: VecDeque<(Moment, u32)>,
    demand: Option<Demand>,
}

/// Where demand is and where it is going (Holt's linear smoothing).
#[derive(Clone, Copy, Debug)]
struct Demand {
    at: Moment,
    level: f64,
    slope: f64,
}

impl History {
    /// A service that is first seen `now` with so many instances, which were wanted by whoever started them.
    pub(super) fn begin(now: Moment, instances: u32) -> History {
        let first = VecDeque::from([(now, instances)]);
        History { seen: now, had: first.clone(), wanted: first, demand: None }
    }

    /// Whether it was seen in the plan that is made `now`.
    pub(super) fn seen_at(&self, now: Moment) -> bool {
        self.seen == now
    }

    /// It has so many instances now; what is older than `keep` is forgotten.
    pub(super) fn on_instances(&mut self, now: Moment, instances: u32, keep: Duration) {
        self.seen = now;
        if self.had.back().is_none_or(|(_, had)| *had != instances) {
            self.had.push_back((now, instances));
        }
        // The last entry before the period says how many it had at its beginning.
        while self.had.get(1).is_some_and(|(at, _)| now.since(*at) >= keep) {
            self.had.pop_front();
        }
    }

    /// The most that it may have by `step`: the fewest of the period, and what may be added to that.
    pub(super) fn at_most(&self, now: Moment, step: &Step) -> u32 {
        let fewest = self.within(now, step.per).min().unwrap_or(0);
        fewest.saturating_add(size(step, fewest))
    }

    /// The fewest that it may have by `step`: the most of the period, without what may be taken from that.
    pub(super) fn at_least(&self, now: Moment, step: &Step) -> u32 {
        let most = self.within(now, step.per).max().unwrap_or(0);
        most.saturating_sub(size(step, most))
    }

    fn within(&self, now: Moment, period: Duration) -> impl Iterator<Item = u32> {
        let begins = self.had.iter().rposition(|(at, _)| now.since(*at) >= period).unwrap_or(0);
        self.had.iter().skip(begins).map(|(_, had)| *had)
    }

    /// So many are wanted now; answers with the highest of the window.
    pub(super) fn highest(&mut self, now: Moment, wanted: u32, window: Duration) -> u32 {
        while self.wanted.back().is_some_and(|(_, before)| *before <= wanted) {
            self.wanted.pop_back();
        }
        self.wanted.push_back((now, wanted));
        while self.wanted.front().is_some_and(|(at, _)| now.since(*at) > window) {
            self.wanted.pop_front();
        }
        self.wanted.front().map_or(wanted, |(_, highest)| *highest)
    }

    /// Demand is `demand` now; answers with what it will be `trend.ahead` from now.
    pub(super) fn forecast(&mut self, now: Moment, demand: f64, trend: &Trend) -> f64 {
        let Some(before) = self.demand else {
            self.demand = Some(Demand { at: now, level: demand, slope: 0.0 });
            return demand;
        };
        let passed = now.since(before.at).as_secs_f64();
        let mut next = before;
        if passed > 0.0 {
            let smooth = trend.smooth.as_secs_f64().max(1e-3);
            // The level follows three times as fast as the slope.
            let (level, slope) = (weight(passed, smooth / 3.0), weight(passed, smooth));
            let expected = before.level + before.slope * passed;
            next.at = now;
            next.level = expected + level * (demand - expected);
            next.slope += slope * ((next.level - before.level) / passed - before.slope);
            self.demand = Some(next);
        }
        let ahead = next.level + next.slope.max(0.0) * trend.ahead.as_secs_f64();
        ahead.min(demand * trend.at_most.max(1.0)).max(0.0)
    }
}

/// How much the newest value counts when so many seconds have passed.
fn weight(passed: f64, smooth: f64) -> f64 {
    1.0 - libm::exp(-passed / smooth)
}

/// How many a step may be that begins with so many instances.
fn size(step: &Step, instances: u32) -> u32 {
    let share = libm::ceil(step.share.part() * f64::from(instances)) as u32;
    share.max(step.at_least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Share;

    const fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[test]
    fn a_period_begins_with_what_there_was_then() {
        let step = Step { share: Share::ALL, at_least: 1, per: Duration::from_secs(15) };
        let mut history = History::begin(at(0), 10);
        assert_eq!(history.at_most(at(0), &step), 20);
        history.on_instances(at(1_000), 20, step.per);
        assert_eq!(history.at_most(at(15_999), &step), 20);
        history.on_instances(at(16_000), 20, step.per);
        assert_eq!(history.at_most(at(16_000), &step), 40);
        history.on_instances(at(17_000), 15, step.per);
        assert_eq!((history.at_most(at(17_000), &step), history.at_least(at(17_000), &step)), (30, 0));
    }

    #[test]
    fn the_highest_of_a_window_is_remembered_so_long_and_no_longer() {
        let mut history = History::begin(at(0), 8);
        let window = Duration::from_secs(300);
        assert_eq!(history.highest(at(100_000), 3, window), 8);
        assert_eq!(history.highest(at(200_000), 5, window), 8);
        assert_eq!(history.highest(at(300_000), 2, window), 8);
        assert_eq!(history.highest(at(300_001), 2, window), 5);
        assert_eq!(history.highest(at(500_001), 2, window), 2);
    }

    #[test]
    fn a_climb_is_foreseen_and_a_jump_is_not_an_endless_one() {
        let trend = Trend::default();
        let mut history = History::begin(at(0), 1);
        let mut ahead = 0.0;
        for second in 0..600 {
            ahead = history.forecast(at(second * 1000), 100.0 + second as f64, &trend);
        }
        assert!((810.0..=830.0).contains(&ahead), "699 now and 120 in two minutes: {ahead}");
        let mut history = History::begin(at(0), 1);
        for second in 0..60 {
            assert_eq!(history.forecast(at(second * 1000), 100.0, &trend), 100.0);
        }
        let most =
            (60..600).map(|second| history.forecast(at(second * 1000), 200.0, &trend)).fold(0.0, f64::max);
        assert!(most <= 400.0, "{most}");
        assert!((199.0..202.0).contains(&history.forecast(at(900_000), 200.0, &trend)));
    }
}
