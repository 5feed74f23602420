//! All that is known of one endpoint, in at most 128 bytes, so that 100,000 of them fit.

use super::State;
use crate::health::{Breaker, Outlier, Percentile95, Verdict};
use crate::pick::Latency;
use model::Moment;

/// One slot of the books. `generation` counts how often the slot has been freed, so that what is said of a removed
/// endpoint does not reach its successor.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Endpoint {
    pub(super) handle: u32,
    pub(super) generation: u32,
    pub(super) pending: u32,
    pub(super) usual: Percentile95,
    pub(super) latency: Latency,
    pub(super) breaker: Breaker,
    pub(super) outlier: Outlier,
    /// When it will be no newcomer any more.
    pub(super) grown: Moment,
    /// When it was last asked while it was being probed.
    pub(super) probed: Moment,
}

const _: () = assert!(size_of::<Endpoint>() <= 128);

impl Endpoint {
    /// Its state, and until when it rests or is out.
    pub(super) fn state(&self, now: Moment) -> (State, Option<Moment>) {
        if let Some(until) = self.outlier.out_until(now) {
            return (State::Ejected, Some(until));
        }
        match self.breaker.verdict(now) {
            Verdict::Rest { until } => (State::Resting, Some(until)),
            Verdict::Probe { .. } => (State::Probing, None),
            Verdict::Admit if now < self.grown => (State::SlowStart, Some(self.grown)),
            Verdict::Admit => (State::Admitting, None),
        }
    }

    /// When time alone changes its state.
    pub(super) fn next_wakeup(&self, now: Moment) -> Option<Moment> {
        let grows = (now < self.grown).then_some(self.grown);
        [self.outlier.next_wakeup(), self.breaker.next_wakeup(), grows].into_iter().flatten().min()
    }
}
