//! The network between any two: how long a message is on its way, and whether it arrives.

use crate::chance::Chance;
use model::scenario;
use std::time::Duration;

/// How a message fares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// It arrives after so long.
    Takes(Duration),
    /// It never does.
    Lost,
}

/// The network, and what it is at the moment.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    usual: scenario::Network,
    now: scenario::Network,
}

impl Network {
    pub(crate) fn new(usual: scenario::Network) -> Network {
        Network { usual, now: usual }
    }

    /// From now on it is like this; none: as usual.
    pub(crate) fn set(&mut self, now: Option<scenario::Network>) {
        self.now = now.unwrap_or(self.usual);
    }

    /// How the next message of the sidecar with this stream fares.
    pub(crate) fn way(&self, chance: &mut Chance) -> Way {
        if chance.happens(self.now.loss.part()) {
            return Way::Lost;
        }
        let jitter = if self.now.jitter.is_zero() {
            Duration::ZERO
        } else {
            chance.between(Duration::ZERO, self.now.jitter)
        };
        Way::Takes(self.now.delay + jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Share;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_message_takes_its_time_or_is_lost() {
        let usual = scenario::Network { delay: ms(2), jitter: ms(1), loss: Share::NONE };
        let mut network = Network::new(usual);
        let mut chance = Chance::new(1, 1);
        for _ in 0..100 {
            let Way::Takes(time) = network.way(&mut chance) else { panic!("lost") };
            assert!((ms(2)..=ms(3)).contains(&time), "{time:?}");
        }
        network.set(Some(scenario::Network { loss: Share::percent(30), ..usual }));
        let lost = (0..10_000).filter(|_| network.way(&mut chance) == Way::Lost).count();
        assert!((2_800..3_200).contains(&lost), "{lost}");
        network.set(None);
        assert!((0..100).all(|_| network.way(&mut chance) != Way::Lost));
    }
}
