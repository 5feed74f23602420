//! How long to wait before a control plane is tried again: 50 ms, doubled each time to at most 500 ms, of which half is
//! drawn, so that all who lost it at the same moment do not come back at the same moment.
//!
//! The upper end is low on purpose: an instance that is registered as soon as a control plane is back is to be
//! routable within a second of that, and one that appeared meanwhile is to be registered within a second too. Ten
//! thousand followers then try 27,000 times a second in the mean on a machine where nobody listens, which costs that
//! machine a packet each.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LAST: Duration = Duration::from_millis(500);

/// The waits between attempts.
#[derive(Debug)]
pub struct BackOff {
    next: Duration,
    /// Where the draws stand (xorshift64*, Vigna 2016).
    state: u64,
}

impl BackOff {
    /// The first wait is the shortest. Nobody else draws the same.
    pub fn begin() -> BackOff {
        BackOff::seeded(crate::random::seed())
    }

    fn seeded(seed: u64) -> BackOff {
        BackOff { next: FIRST, state: seed | 1 }
    }

    /// It worked: the next wait is the shortest again.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }

    /// How long to wait now.
    pub fn wait(&mut self) -> Duration {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let part = (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64;
        let wait = self.next.mul_f64(0.5 + 0.5 * part);
        self.next = (self.next * 2).min(LAST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_differ() {
        let mut back_off = BackOff::seeded(7);
        for most in [50, 100, 200, 400, 500, 500, 500] {
            let wait = back_off.wait().as_secs_f64() * 1e3;
            assert!((f64::from(most) / 2.0..=f64::from(most)).contains(&wait), "{wait} of {most}");
        }
        back_off.reset();
        assert!(back_off.wait() <= FIRST);
        let [a, b] = [1, 2].map(|seed| BackOff::seeded(seed * 1_000_003).wait());
        assert_ne!(a, b);
    }
}
