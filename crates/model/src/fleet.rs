//! Every setting of the fleet with its default and the reason for it: autoscaler, watchdog, reservations, placement.
//!
//! What others do stands here too, as presets: they are settings of the same `plan` functions, not programs of their
//! own, so that a comparison differs in nothing but numbers.

use crate::{Importance, Share};
use std::time::Duration;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const HOUR: Duration = s(3600);

/// An amount of processor and memory: what an instance reserves, uses, or a node has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Resources {
    /// Thousandths of a processor core.
    pub millicores: u64,
    /// Bytes of memory.
    pub bytes: u64,
}

impl Resources {
    /// Nothing.
    pub const NONE: Resources = Resources { millicores: 0, bytes: 0 };

    /// So many thousandths of a core and bytes.
    pub const fn new(millicores: u64, bytes: u64) -> Resources {
        Resources { millicores, bytes }
    }

    /// Whether all of `other` fits in.
    pub const fn holds(self, other: Resources) -> bool {
        self.millicores >= other.millicores && self.bytes >= other.bytes
    }

    /// Both together; what does not fit in the number is cut off.
    #[must_use]
    pub const fn plus(self, other: Resources) -> Resources {
        Resources {
            millicores: self.millicores.saturating_add(other.millicores),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// What is left without `other`, each of the two at least zero.
    #[must_use]
    pub const fn minus(self, other: Resources) -> Resources {
        Resources {
            millicores: self.millicores.saturating_sub(other.millicores),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    /// So many times this.
    #[must_use]
    pub const fn times(self, count: u64) -> Resources {
        Resources {
            millicores: self.millicores.saturating_mul(count),
            bytes: self.bytes.saturating_mul(count),
        }
    }

    /// The larger of both, each by itself.
    #[must_use]
    pub fn most(self, other: Resources) -> Resources {
        Resources { millicores: self.millicores.max(other.millicores), bytes: self.bytes.max(other.bytes) }
    }

    /// The smaller of both, each by itself.
    #[must_use]
    pub fn least(self, other: Resources) -> Resources {
        Resources { millicores: self.millicores.min(other.millicores), bytes: self.bytes.min(other.bytes) }
    }

    /// `factor` times this, rounded up; a factor below zero counts as zero.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Resources {
        // A cast of what is too large, or no number, saturates.
        let scale = |amount: u64| (amount as f64 * factor.max(0.0)).ceil() as u64;
        Resources { millicores: scale(self.millicores), bytes: scale(self.bytes) }
    }

    /// How many times `one` fits in; a need of nothing fits without end.
    pub fn fits(self, one: Resources) -> u64 {
        let by = |all: u64, one: u64| all.checked_div(one).unwrap_or(u64::MAX);
        by(self.millicores, one.millicores).min(by(self.bytes, one.bytes))
    }
}

/// The policies of the fleet.
#[derive(Clone, PartialEq, Debug)]
pub struct Fleet {
    /// How many instances a service has; none: as many as people say.
    pub autoscale: Option<Autoscale>,
    /// What is reserved for an instance; none: as declared, whatever is used.
    pub reservation: Option<Reservation>,
    /// Where an instance runs.
    pub placement: Placement,
    /// Who is killed; none: nobody.
    pub watchdog: Option<Watchdog>,
}

/// How many instances a service has.
#[derive(Clone, PartialEq, Debug)]
pub struct Autoscale {
    /// What is measured, and how much of it there should be.
    pub signal: Signal,
    /// How often it is decided.
    pub every: Duration,
    /// A difference of up to this share from the target is let be.
    pub tolerance: Share,
    /// How fast it may go up.
    pub up: Step,
    /// How it goes down; none: never by itself.
    pub down: Option<Down>,
    /// Looks ahead, so that what is needed when an instance is ready is begun before; none: it does not.
    pub trend: Option<Trend>,
    /// Who comes first when not everybody can be served.
    pub order: Order,
    /// No dependency may be loaded beyond this share of its capacity by a scale-out or its warm-up; none: nobody looks.
    pub headroom: Option<Share>,
}

/// What the autoscaler measures.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Signal {
    /// Offered concurrency: what is served, shed and queued, as a share of what the instances can have in progress.
    Offered {
        /// The share that there should be.
        target: Share,
        /// What waits shall have been worked off within this time.
        drain: Duration,
    },
    /// Processor time used, as a share of what is reserved.
    Cpu {
        /// The share that there should be.
        target: Share,
    },
}

/// At most so many instances more (or fewer) in a period: the larger of a share and a number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Step {
    /// This share of the instances at the beginning of the period …
    pub share: Share,
    /// … or so many, if that is more.
    pub at_least: u32,
    /// The period.
    pub per: Duration,
}

/// How a service gets smaller.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Down {
    /// How fast.
    pub step: Step,
    /// Only what was not needed at any time in this window is given up.
    pub window: Duration,
    /// Not while more than this share of the calls of the service or of one of its callers is shed or fails; none:
    /// whatever is shed.
    pub frozen: Option<Share>,
}

/// Looks ahead by what demand has done lately.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Trend {
    /// How far: as long as an instance takes from the decision until it is warm.
    pub ahead: Duration,
    /// Over which time the slope is smoothed.
    pub smooth: Duration,
    /// A prediction is at most so many times what there is now.
    pub at_most: f64,
}

/// Who comes first when not everybody can be served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// By importance, then who has the smallest part of what it needs. A service that waits for such a one waits.
    BottleneckFirst,
    /// Each service for itself, in the order in which they are listed.
    Alone,
}

impl Default for Fleet {
    /// What ships.
    fn default() -> Fleet {
        Fleet {
            autoscale: Some(Autoscale::default()),
            reservation: Some(Reservation::default()),
            placement: Placement::default(),
            watchdog: Some(Watchdog::default()),
        }
    }
}

impl Default for Autoscale {
    /// Offered concurrency, as CPU time cannot exceed what there is and is low when threads are what is short. 70 %
    /// leaves room for the seconds until an instance is warm. Up at once, at most twofold in 15 s (Kubernetes' rate);
    /// every second, as a surge of a flash sale takes three minutes in all. 80 % of a dependency is what a store with
    /// one worker a connection bears before its queue grows without bound.
    fn default() -> Autoscale {
        Autoscale {
            signal: Signal::Offered { target: Share::percent(70), drain: s(30) },
            every: s(1),
            tolerance: Share::percent(5),
            up: Step { share: Share::ALL, at_least: 1, per: s(15) },
            down: Some(Down::default()),
            trend: Some(Trend::default()),
            order: Order::BottleneckFirst,
            headroom: Some(Share::percent(80)),
        }
    }
}

impl Default for Down {
    /// 300 s as Kubernetes; a tenth a minute, as each step shows whether the one before was a mistake; frozen above 1 %,
    /// as traffic that fails is missing and comes back.
    fn default() -> Down {
        Down {
            step: Step { share: Share::percent(10), at_least: 1, per: s(60) },
            window: s(300),
            frozen: Some(Share::percent(1)),
        }
    }
}

impl Default for Trend {
    /// Two minutes: a minute to start and a minute to warm up. Smoothed over one, which forgets a blip. Twice at most,
    /// so that a jump is not taken for the beginning of an endless climb.
    fn default() -> Trend {
        Trend { ahead: s(120), smooth: s(60), at_most: 2.0 }
    }
}

impl Autoscale {
    /// The Horizontal Pod Autoscaler of Kubernetes with its defaults: 80 % of the requested CPU, tolerance 10 %, every
    /// 15 s, up by the larger of 100 % and 4 pods in 15 s, down to the highest of 300 s.
    pub fn kubernetes() -> Autoscale {
        Autoscale {
            signal: Signal::Cpu { target: Share::percent(80) },
            every: s(15),
            tolerance: Share::percent(10),
            up: Step { share: Share::ALL, at_least: 4, per: s(15) },
            down: Some(Down {
                step: Step { share: Share::ALL, at_least: 0, per: s(15) },
                window: s(300),
                frozen: None,
            }),
            trend: None,
            order: Order::Alone,
            headroom: None,
        }
    }

    /// A slow autoscaler on CPU as assumed for 2018: above 75 %, a tenth more in 240 s; that it gives nothing back within
    /// an hour is assumed too.
    pub fn slow() -> Autoscale {
        Autoscale {
            signal: Signal::Cpu { target: Share::percent(75) },
            every: s(15),
            tolerance: Share::NONE,
            up: Step { share: Share::percent(10), at_least: 1, per: s(240) },
            down: None,
            ..Autoscale::kubernetes()
        }
    }
}

/// What is reserved for an instance.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reservation {
    /// Nothing is changed before a service has been seen for so long.
    pub after: Duration,
    /// This share of the processor time was used in moments in which an instance used no more than what is reserved …
    pub cpu: Share,
    /// … where what was seen so long ago counts half.
    pub cpu_half_life: Duration,
    /// Memory: this share of the peaks was no higher …
    pub memory: Share,
    /// … where what was seen so long ago counts half.
    pub memory_half_life: Duration,
    /// More than that by this share.
    pub margin: Share,
    /// The highest of this time counts, so that it goes up at once and down slowly. At most two hours.
    pub hold: Duration,
    /// At most so many times what was declared.
    pub at_most: f64,
    /// Shrinks reservations at once when somebody is refused a place; none: never.
    pub reclaim: Option<Reclaim>,
}

/// Shrinks reservations in place when somebody is refused a place.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reclaim {
    /// Never below the mean of the last ten minutes and so many standard deviations …
    pub sigma: f64,
    /// … nor below what was enough for this share of those minutes' samples …
    pub share: Share,
    /// … each with this much more; and never below what is used now.
    pub margin: Share,
}

impl Default for Reservation {
    /// Autopilot's moving window (EuroSys 2020): p95 of load-adjusted processor time with a half-life of 12 h, p98 of
    /// memory's peaks with 48 h, 15 % more, the highest of an hour. A day first, as a night says nothing of a noon.
    /// Twice the declared at most: whoever needs more has a leak or a wrong manifest, and should hear of it.
    fn default() -> Reservation {
        Reservation {
            after: Duration::from_secs(24 * 3600),
            cpu: Share::percent(95),
            cpu_half_life: Duration::from_secs(12 * 3600),
            memory: Share::percent(98),
            memory_half_life: Duration::from_secs(48 * 3600),
            margin: Share::percent(15),
            hold: HOUR,
            at_most: 2.0,
            reclaim: Some(Reclaim::default()),
        }
    }
}

impl Default for Reclaim {
    /// The larger of N-sigma and a percentile, as in "Take it to the limit" (EuroSys 2021). Half-lives of hours cannot
    /// help in a flash sale: this is seconds.
    fn default() -> Reclaim {
        Reclaim { sigma: 3.0, share: Share::percent(98), margin: Share::percent(15) }
    }
}

/// Where an instance runs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Placement {
    /// Which of the nodes that have room.
    pub fit: Fit,
    /// Other compartments that lend may be used when the own one is full; they keep this share of themselves free. None:
    /// never.
    pub borrow: Option<Share>,
    /// Services of this importance or below stop when a more important one has no room; none: nobody does.
    pub gives_way: Option<Importance>,
}

/// Which of the nodes that have room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fit {
    /// Where the least is left, so that a large instance finds a place later.
    Best,
    /// Where the fewest of the same service are, then where most is left.
    Spread,
}

impl Default for Placement {
    /// Best fit: in an outage it is the large instance that finds no place. A fifth stays with the lender. Best effort and
    /// bulk give way, which is what operators did by hand in 2018.
    fn default() -> Placement {
        Placement {
            fit: Fit::Best,
            borrow: Some(Share::percent(20)),
            gives_way: Some(Importance::BestEffort),
        }
    }
}

impl Placement {
    /// Each compartment for itself, spread over its nodes, nobody gives way.
    pub fn plain() -> Placement {
        Placement { fit: Fit::Spread, borrow: None, gives_way: None }
    }
}

/// Who is killed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Watchdog {
    /// Who answers a probe.
    pub answers: Answers,
    /// How long from one probe to the next.
    pub every: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// So many failures in a row count.
    pub failures: u32,
    /// And nothing was completed for so long, neither a request nor a probe; none: that is not looked at.
    pub silence: Option<Duration>,
    /// After so long without anything completed new requests are kept away first; none: they are not.
    pub shed: Option<Duration>,
    /// Patience when many are ill; none: always the same.
    pub panic: Option<Panic>,
    /// How many may be killed; none: all.
    pub budget: Option<KillBudget>,
    /// Failures do not count before the first success, but at most for so long.
    pub grace: Duration,
}

/// Who answers a probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answers {
    /// The sidecar, on a slot that it keeps free for that, so that a probe never waits behind requests.
    Sidecar,
    /// The app, in the same pool and queue as its requests.
    App,
}

/// Patience when many are ill: what many have is in the air, and killing does not cure it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Panic {
    /// When more than this share of all instances is unhealthy …
    pub above: Share,
    /// … only who has completed nothing for so long, while others of its service have, is killed.
    pub silence: Duration,
}

/// How many instances of one service may be killed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct KillBudget {
    /// This share of its instances …
    pub share: Share,
    /// … or so many, if that is more …
    pub at_least: u32,
    /// … within this time.
    pub per: Duration,
}

impl Default for Watchdog {
    /// Nothing completed in 30 s *and* the process does not answer. 29 s, as a second may pass between two plans, and who
    /// truly hangs shall be found within 30. Probes every 5 s with 2 s and 3 failures are through by 17 s; half of the
    /// silence without new requests shows whether they were the cause. At most 10 % or one of a service in a minute, and
    /// patience for twice as long above 30 % unhealthy: a kill sheds the load of one onto the others.
    fn default() -> Watchdog {
        Watchdog {
            answers: Answers::Sidecar,
            every: s(5),
            timeout: s(2),
            failures: 3,
            silence: Some(s(29)),
            shed: Some(s(15)),
            panic: Some(Panic { above: Share::percent(30), silence: s(59) }),
            budget: Some(KillBudget { share: Share::percent(10), at_least: 1, per: s(60) }),
            grace: s(600),
        }
    }
}

impl Watchdog {
    /// Kubernetes' liveness probe with its defaults: every 10 s, 1 s, 3 failures, no grace.
    pub const fn kubernetes() -> Watchdog {
        Watchdog {
            answers: Answers::App,
            every: s(10),
            timeout: s(1),
            failures: 3,
            silence: None,
            shed: None,
            panic: None,
            budget: None,
            grace: ms(0),
        }
    }

    /// Marathon's health checks with their defaults: every 60 s, 20 s, 3 failures, 300 s of grace.
    pub const fn marathon() -> Watchdog {
        Watchdog { every: s(60), timeout: s(20), grace: s(300), ..Watchdog::kubernetes() }
    }
}

/// A named set of the fleet's settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FleetPreset {
    /// What ships.
    #[default]
    Default,
    /// Nobody scales, kills or reclaims; reservations as declared.
    Off,
    /// Kubernetes' autoscaler and liveness probe with their defaults.
    KubernetesHpa,
    /// What is assumed for 2018: a slow autoscaler on CPU, Marathon's health checks, reservations as declared.
    Allegro2018,
}

impl FleetPreset {
    /// Every preset.
    pub const ALL: [FleetPreset; 4] =
        [FleetPreset::Default, FleetPreset::Off, FleetPreset::KubernetesHpa, FleetPreset::Allegro2018];

    /// The word in scenarios and flags.
    pub const fn word(self) -> &'static str {
        match self {
            FleetPreset::Default => "default",
            FleetPreset::Off => "off",
            FleetPreset::KubernetesHpa => "kubernetes-hpa",
            FleetPreset::Allegro2018 => "allegro-2018",
        }
    }

    /// The preset that `word` names. `marathon` is another word for `allegro-2018`.
    pub fn from_word(word: &str) -> Option<FleetPreset> {
        let word = if word == "marathon" { "allegro-2018" } else { word };
        FleetPreset::ALL.into_iter().find(|p| p.word() == word)
    }

    /// The settings that it stands for.
    pub fn settings(self) -> Fleet {
        let off = Fleet { autoscale: None, reservation: None, placement: Placement::plain(), watchdog: None };
        match self {
            FleetPreset::Default => Fleet::default(),
            FleetPreset::Off => off,
            FleetPreset::KubernetesHpa => Fleet {
                autoscale: Some(Autoscale::kubernetes()),
                watchdog: Some(Watchdog::kubernetes()),
                ..off
            },
            FleetPreset::Allegro2018 => {
                Fleet { autoscale: Some(Autoscale::slow()), watchdog: Some(Watchdog::marathon()), ..off }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_named_and_differ_in_what_they_say() {
        for preset in FleetPreset::ALL {
            assert_eq!(FleetPreset::from_word(preset.word()), Some(preset));
        }
        assert_eq!(FleetPreset::from_word("marathon"), Some(FleetPreset::Allegro2018));
        assert_eq!(FleetPreset::Off.settings().watchdog, None);
        let hpa = FleetPreset::KubernetesHpa.settings();
        assert_eq!(hpa.autoscale.map(|a| a.up.at_least), Some(4));
        let old = FleetPreset::Allegro2018.settings();
        assert_eq!(old.watchdog.map(|w| (w.every, w.grace)), Some((s(60), s(300))));
        assert_eq!(old.reservation, None);
    }

    #[test]
    fn amounts_saturate_and_fit_by_the_scarcer_of_both() {
        let node = Resources::new(32_000, 64 << 30);
        assert_eq!(node.fits(Resources::new(10_000, 8 << 30)), 3);
        assert_eq!(node.fits(Resources::new(1_000, 32 << 30)), 2);
        assert_eq!(node.fits(Resources::NONE), u64::MAX);
        assert_eq!(Resources::new(1, 1).minus(node), Resources::NONE);
        assert_eq!(node.times(u64::MAX).plus(node), Resources::new(u64::MAX, u64::MAX));
        assert_eq!(Resources::new(1000, 3).scaled(1.15), Resources::new(1150, 4));
        assert_eq!(Resources::new(1000, 3).scaled(f64::NAN), Resources::NONE);
    }
}
