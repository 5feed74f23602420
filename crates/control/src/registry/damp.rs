//! Whether missing instances are believed to be gone: a loss that would leave a service with less than half of what
//! it had a moment ago is not, until a grace is over.
//!
//! "A moment ago" is the point: ten agents that fall silent one after the other within seconds are ten small losses,
//! and each is small beside the one before. So a loss is measured against what there was before the losses of the
//! last grace.
//!
//! | had | lost within the grace | now missing | left | verdict |
//! |---|---|---|---|---|
//! | 10 | 0 | 4 | 6 | believed |
//! | 10 | 4 | 1 | 5 | believed: half is left |
//! | 10 | 5 | 1 | 4 | held |
//! | 2 | 0 | 1 | 1 | believed: one of two dies often |
//! | 1 | 0 | 1 | 0 | held: nothing would be left, and a call to a dead instance is no worse than no call |

use model::{Moment, Share};
use std::collections::VecDeque;
use std::time::Duration;

/// What is damped, and for how long.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Grace {
    /// A loss that leaves less than this share is not believed at once; nor is one that leaves nothing.
    pub share: Share,
    /// How long the missing ones are kept then.
    pub time: Duration,
}

impl Default for Grace {
    /// Half, as a partition that leaves more than half is a usual failure of machines. 30 s: a control plane or a
    /// network that comes back does so within that, and breakers take dead instances out of the way meanwhile.
    fn default() -> Grace {
        Grace { share: Share::percent(50), time: Duration::from_secs(30) }
    }
}

/// What to make of a loss.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// They are gone.
    Believe,
    /// They are kept until then, unless they are heard of before.
    Hold { until: Moment },
}

/// The losses of one service that were believed, with their time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Losses {
    recent: VecDeque<(Moment, usize)>,
}

impl Losses {
    /// Whether a loss is believed that leaves `remaining` of `members`, those that are held already counted as
    /// members but not as remaining.
    pub(crate) fn verdict(&mut self, now: Moment, grace: Grace, members: usize, remaining: usize) -> Verdict {
        while self.recent.front().is_some_and(|(at, _)| now.since(*at) >= grace.time) {
            self.recent.pop_front();
        }
        let lost: usize = self.recent.iter().map(|(_, count)| count).sum();
        let had = members + lost;
        // Counts of instances are far below 2^52, where a double is exact.
        let enough = remaining as f64 >= had as f64 * grace.share.part();
        if remaining > 0 && enough {
            Verdict::Believe
        } else {
            Verdict::Hold { until: now.after(grace.time) }
        }
    }

    /// `count` instances were taken out because they were missing.
    pub(crate) fn on_loss(&mut self, now: Moment, count: usize) {
        self.recent.push_back((now, count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Grace = Grace { share: Share::percent(50), time: Duration::from_secs(30) };

    #[test]
    fn the_table_above() {
        for (had, lost, missing, believed) in
            [(10, 0, 4, true), (10, 4, 1, true), (10, 5, 1, false), (2, 0, 1, true), (1, 0, 1, false)]
        {
            let mut losses = Losses::default();
            losses.on_loss(Moment::from_millis(1000), lost);
            let members = had - lost;
            let verdict = losses.verdict(Moment::from_millis(2000), GRACE, members, members - missing);
            let hold = Verdict::Hold { until: Moment::from_millis(32_000) };
            assert_eq!(verdict, if believed { Verdict::Believe } else { hold }, "{had} {lost} {missing}");
        }
    }

    #[test]
    fn old_losses_are_forgotten() {
        let mut losses = Losses::default();
        losses.on_loss(Moment::from_millis(1000), 5);
        assert_eq!(losses.verdict(Moment::from_millis(31_000), GRACE, 5, 4), Verdict::Believe);
    }
}
