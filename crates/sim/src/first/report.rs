//! What a run was like, as data.

use model::Reason;
use policy::Note;
use std::collections::BTreeMap;
use std::time::Duration;

/// How a request of the callers ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// An answer below 500, in time.
    Success,
    /// An answer of 500 and above.
    Failure,
    /// A refusal by the sidecar.
    Refused(Reason),
    /// The caller lost its patience.
    TimedOut,
}

impl Outcome {
    /// The word in output.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Refused(reason) => reason.word(),
            Outcome::TimedOut => "timed-out",
        }
    }
}

/// What a run was like.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    /// What was played, and with which policies.
    pub name: String,
    /// The seed of all chance.
    pub seed: u64,
    /// How many requests ended how.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Attempts at instances.
    pub attempts: u64,
    /// How long the successes took, sorted.
    pub latencies: Vec<Duration>,
    /// What the books said of endpoints.
    pub notes: Vec<Note>,
    /// Attempts at each instance.
    pub attempts_at: Vec<u64>,
}

impl Report {
    /// Requests in all.
    pub fn requests(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// The share of requests that succeeded; 1 if there were none.
    pub fn success_share(&self) -> f64 {
        let requests = self.requests();
        let successes = self.outcomes.get(&Outcome::Success).copied().unwrap_or(0);
        if requests == 0 { 1.0 } else { successes as f64 / requests as f64 }
    }

    /// The latency that this share of the successes stayed within; none if there was none.
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let last = self.latencies.len().checked_sub(1)?;
        self.latencies.get((last as f64 * share.clamp(0.0, 1.0)) as usize).copied()
    }
}
