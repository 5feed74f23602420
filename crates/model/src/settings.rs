//! Every setting of the data path with its default and the reason for it: this one file.

use crate::Share;
use std::time::Duration;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The policies of one service as seen from one sidecar and direction.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// How an endpoint is chosen.
    pub balancing: Balancing,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Further attempts where that is safe; none: never.
    pub retry: Option<Retry>,
    /// A second attempt beside a slow first; none: never.
    pub hedge: Option<Hedge>,
    /// Rests an endpoint that fails or is slow; none: never.
    pub breaker: Option<Breaker>,
    /// Takes an endpoint out after failures in a row; none: never.
    pub ejection: Option<Ejection>,
    /// Keeps a newcomer's share small at first; none: it gets a full share at once.
    pub slow_start: Option<SlowStart>,
    /// When fewer than this share of the endpoints are available, health is ignored and all of them are used:
    /// the last few would not survive the load of all. Zero: health is never ignored.
    pub panic: Share,
    /// How many requests may be in flight at once; none: as many as come.
    pub limit: Option<Limit>,
}

/// How an endpoint is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Balancing {
    /// The cheaper of two at random by peak-sensitive latency × requests in flight.
    #[default]
    PeakEwma,
    /// The one of two at random with fewer requests in flight from here.
    LeastLoaded,
    /// Each in turn. For comparison.
    RoundRobin,
}

/// How long things may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// From the request's head to the response's head, all attempts together. A caller's remaining time wins when
    /// it is shorter.
    pub total: Duration,
    /// Until a connection is established.
    pub connect: Duration,
    /// Between two bytes of a body, once the response has begun.
    pub idle: Duration,
    /// Whether the instance is told how much of `total` is left, so that neither it nor those whom it calls in turn work
    /// on for nobody. What a caller tells is obeyed in any case. False is for comparison: instances that are not told
    /// go on with work that nobody waits for any more, and that keeps an outage going.
    pub pass_on: bool,
}

/// Further attempts, one after the other.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Retry {
    /// How many attempts a call makes at most, the first one and a hedge included: from [`Retry::TRIES_AT_LEAST`] to
    /// [`Retry::TRIES_AT_MOST`].
    pub tries: u8,
    /// How long one attempt has until its response's head; when that is over it is abandoned as if its instance had
    /// broken it. It is counted from when the request's body is whole in the copy, as a slow caller is no fault of the
    /// instance. None: an attempt has all the time that the call has.
    pub try_timeout: Option<Duration>,
    /// Retries and hedges may be this share of requests …; none: as many as it takes, which is how one slow service
    /// becomes an outage.
    pub budget: Option<Share>,
    /// … plus so many a second, so that a service with few requests can be retried at all.
    pub floor_per_second: u32,
    /// The longest wait before the second attempt, twice that before the third, and so on; the wait is drawn evenly
    /// from zero to this (full jitter). An attempt that never reached an instance is repeated elsewhere at once.
    pub back_off: Duration,
    /// Whether to try again also when a layer above does (the request is its second attempt or a later one). Tries of
    /// layers multiply: three at each of two layers are nine.
    pub stacked: bool,
}

impl Retry {
    /// Fewer would be no retry.
    pub const TRIES_AT_LEAST: u8 = 2;
    /// More never help: each one waits longer than all before it.
    pub const TRIES_AT_MOST: u8 = 10;

    /// Whether somebody wants more than the cautious default: then a request may go again to the endpoint where it was,
    /// where there is no other.
    pub const fn insists(&self) -> bool {
        self.tries > Retry::TRIES_AT_LEAST || self.try_timeout.is_some()
    }
}

/// A second attempt beside a slow first one, for requests that may be carried out twice.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Hedge {
    /// How long the first attempt has before the second begins.
    pub after: Duration,
}

/// Rests an endpoint that fails or is slow.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Breaker {
    /// It rests when more than this share of its calls failed …
    pub failures: Share,
    /// … or more than this share was slow.
    pub slow: Share,
    /// A call is slow when it takes this many times the service's usual 95th percentile (and never less than
    /// [`Breaker::SLOW_FLOOR`]), or the whole timeout if that is shorter.
    pub slow_factor: u32,
    /// Over this window …
    pub window: Duration,
    /// … and not before so many calls.
    pub minimum_calls: u32,
    /// The first rest; each further one is twice as long …
    pub rest: Duration,
    /// … up to this.
    pub rest_at_most: Duration,
}

impl Breaker {
    /// Below this no call is called slow, however quick the service usually is.
    pub const SLOW_FLOOR: Duration = ms(20);

    /// More [`Breaker::minimum_calls`] than this may never be reached: each eighth of a window is counted in 16 bits and
    /// halved when they are full.
    pub const MINIMUM_CALLS_AT_MOST: u32 = 8 * (u16::MAX / 2) as u32;
}

/// Takes an endpoint out after failures in a row.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ejection {
    /// So many failures in a row.
    pub failures_in_a_row: u32,
    /// The first absence; the n-th is n times as long …
    pub base: Duration,
    /// … up to this.
    pub at_most: Duration,
    /// At most this share of the endpoints is out at once: one at least may be, and never the last.
    pub share_at_most: Share,
}

impl Ejection {
    /// More [`Ejection::failures_in_a_row`] than this are never reached: they are counted in 16 bits.
    pub const IN_A_ROW_AT_MOST: u32 = u16::MAX as u32;
}

/// Keeps a newcomer's share of requests small at first.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SlowStart {
    /// How long it takes to a full share.
    pub window: Duration,
    /// The share of a full one that it begins with.
    pub from: Share,
}

/// How many requests may be in flight at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// In flight.
    pub in_flight: u32,
    /// Waiting beyond that.
    pub queue: u32,
}

/// How many requests one key (an identity, a route, an edge) may send: so many a second, and so many at once.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rate {
    /// Lasting, on average; what is not above 0: none at all.
    pub per_second: f64,
    /// At once, by somebody who was quiet before: at least 1.
    pub burst: u32,
}

/// A named set of settings: the name says what it is for, and settings are given as differences from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Preset {
    /// What a service gets when its manifest says nothing.
    #[default]
    Default,
    /// The bare path: each in turn, no retry, no breaker, no ejection, no word of the time that is left. For
    /// conformance runs and comparison.
    Off,
    /// [`Preset::Off`], named for what it compares.
    RoundRobin,
    /// Balancing alone, with slow start.
    Pick,
    /// Balancing, breaker and ejection, no retry.
    PickAndBreaker,
    /// [`Preset::Off`] with the endpoint that has fewest of our own requests in flight. For comparison: what a client
    /// counts alone says little when there are many clients (the row "LeastLoaded" of Prequal's table, NSDI 2024).
    LeastLoaded,
    /// What the services of the outage of 2018-07-18 did, as far as its post-mortem says (Allegro's technical blog,
    /// "Postmortem — why Allegro went down", 2018): requests that time out are repeated after a short delay, two times
    /// and without a bound, at each layer; the threshold of the breaker is so high that it is never reached; nothing is
    /// said of slow start, ejection, panic or deadlines. The figures are assumed, as none are published: 3 s for each try, and up
    /// to 25 ms between two. For comparison, and a warning.
    Allegro2018,
    /// A client that tries again up to four times, each after 3 s, without a budget: the retry storm of Huang et al.,
    /// "Metastable failures in the wild" (OSDI 2022, section 5.2). For comparison, and a warning.
    Retries4,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Preset; 8] = [
        Preset::Default,
        Preset::Off,
        Preset::RoundRobin,
        Preset::Pick,
        Preset::PickAndBreaker,
        Preset::LeastLoaded,
        Preset::Allegro2018,
        Preset::Retries4,
    ];

    /// The word in manifests and flags.
    pub const fn word(self) -> &'static str {
        match self {
            Preset::Default => "default",
            Preset::Off => "off",
            Preset::RoundRobin => "round-robin",
            Preset::Pick => "pick",
            Preset::PickAndBreaker => "pick+breaker",
            Preset::LeastLoaded => "least-loaded",
            Preset::Allegro2018 => "allegro-2018",
            Preset::Retries4 => "retries-4",
        }
    }

    /// The preset that `word` names.
    pub fn from_word(word: &str) -> Option<Preset> {
        Preset::ALL.into_iter().find(|p| p.word() == word)
    }

    /// The settings that it stands for.
    pub fn settings(self) -> Settings {
        let all = Settings::default();
        let off = Settings {
            balancing: Balancing::RoundRobin,
            retry: None,
            hedge: None,
            breaker: None,
            ejection: None,
            slow_start: None,
            panic: Share::NONE,
            timeouts: Timeouts { pass_on: false, ..all.timeouts },
            ..all.clone()
        };
        match self {
            Preset::Default => all,
            Preset::Off | Preset::RoundRobin => off,
            Preset::Pick => Settings { retry: None, breaker: None, ejection: None, ..all },
            Preset::PickAndBreaker => Settings { retry: None, ..all },
            Preset::LeastLoaded => Settings { balancing: Balancing::LeastLoaded, ..off },
            Preset::Allegro2018 => Settings {
                retry: Some(Retry { tries: 3, back_off: ms(25), ..UNBOUNDED }),
                // It waits for more calls than ever come.
                breaker: Some(Breaker { minimum_calls: u32::MAX, ..Breaker::default() }),
                ..off
            },
            Preset::Retries4 => Settings {
                retry: Some(Retry { tries: 5, ..UNBOUNDED }),
                // Five tries of 3 s have their time.
                timeouts: Timeouts { total: s(20), ..off.timeouts },
                ..off
            },
        }
    }
}

/// Retries as they were before there were budgets: every 3 s, whoever else retries, at once.
const UNBOUNDED: Retry = Retry {
    tries: 3,
    try_timeout: Some(s(3)),
    budget: None,
    floor_per_second: 0,
    back_off: Duration::ZERO,
    stacked: true,
};

impl Default for Settings {
    /// What ships. Each value is a proposal that the simulator may improve.
    fn default() -> Settings {
        Settings {
            balancing: Balancing::PeakEwma,
            timeouts: Timeouts::default(),
            retry: Some(Retry::default()),
            hedge: None,
            breaker: Some(Breaker::default()),
            ejection: Some(Ejection::default()),
            slow_start: Some(SlowStart::default()),
            // Envoy's panic threshold: below half, the rest would be crushed by the load of all.
            panic: Share::percent(50),
            limit: None,
        }
    }
}

impl Default for Timeouts {
    /// 15 s to the head: longer hides every failure. 1 s to connect: on a local network a second is an outage.
    /// 60 s between bytes: a stream that is silent for a minute has lost its sender.
    fn default() -> Timeouts {
        Timeouts { total: s(15), connect: s(1), idle: s(60), pass_on: true }
    }
}

impl Default for Retry {
    /// 10 % + 1 a second: the load that retries add stays below a tenth whatever fails (Finagle's and Linkerd's
    /// budgets are 20 % + 10/s; stacked over five layers 20 % makes 2.49 ×, 10 % makes 1.61 ×). One further try: what
    /// fails twice at two endpoints fails everywhere. No time for one try: what is slow today would be a failure.
    fn default() -> Retry {
        Retry {
            tries: 2,
            try_timeout: None,
            budget: Some(Share::percent(10)),
            floor_per_second: 1,
            back_off: ms(25),
            stacked: false,
        }
    }
}

impl Default for Breaker {
    /// 20 calls in 10 s can be reached by two calls a second, so that it can trip at all; the slow share is what
    /// the breaker of 2018 lacked: its limit of 60 s could not be reached behind a timeout of 3 s.
    fn default() -> Breaker {
        Breaker {
            failures: Share::percent(50),
            slow: Share::percent(50),
            slow_factor: 5,
            window: s(10),
            minimum_calls: 20,
            rest: s(5),
            rest_at_most: s(60),
        }
    }
}

impl Default for Ejection {
    /// Five in a row, at most 300 s and at most 10 % out at once, as in Envoy's outlier detection; but 5 s × times where
    /// Envoy has 30 s. A process that died is often back in two seconds, the breaker probes whoever returns so that
    /// being early costs one call, and with two instances 30 s is long enough for the other one to die too.
    fn default() -> Ejection {
        Ejection { failures_in_a_row: 5, base: s(5), at_most: s(300), share_at_most: Share::percent(10) }
    }
}

impl Default for SlowStart {
    /// A minute lets a virtual machine compile its hot paths; a tenth keeps it from idling.
    fn default() -> SlowStart {
        SlowStart { window: s(60), from: Share::percent(10) }
    }
}

/// What a sidecar may use at most, so that it refuses with a reason before the machine does without one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Connections from callers.
    pub connections: u32,
    /// Idle connections kept per endpoint and worker.
    pub idle_per_endpoint: u32,
    /// Bytes in buffers.
    pub buffer_bytes: u64,
    /// Bytes of a request's body that are kept for a retry.
    pub body_copy: u32,
    /// Bytes of a message's head.
    pub head_bytes: u32,
    /// Fields of a message's head.
    pub head_fields: u32,
    /// How long a head may take to arrive once its first byte has.
    pub head_time: Duration,
    /// How long a caller's connection may be idle.
    pub caller_idle: Duration,
    /// How long a connection to an instance is kept idle: below the 60 s that many servers allow, as the one who
    /// closes second sees a broken request.
    pub instance_idle: Duration,
    /// How long a drain may take before what is left is cut.
    pub drain: Duration,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            connections: 8192,
            idle_per_endpoint: 256,
            buffer_bytes: 256 << 20,
            body_copy: 64 << 10,
            head_bytes: 32 << 10,
            head_fields: 100,
            head_time: s(10),
            caller_idle: s(300),
            instance_idle: s(50),
            drain: s(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_named_and_differ_in_what_they_say() {
        for preset in Preset::ALL {
            assert_eq!(Preset::from_word(preset.word()), Some(preset));
        }
        assert!(Preset::Default.settings().retry.is_some());
        let bare = Preset::Off.settings();
        assert!(bare.retry.is_none() && bare.breaker.is_none() && bare.ejection.is_none());
        assert!(!bare.timeouts.pass_on);
        assert!(
            [Preset::Default, Preset::Pick, Preset::PickAndBreaker]
                .iter()
                .all(|p| p.settings().timeouts.pass_on)
        );
        assert!(Preset::PickAndBreaker.settings().breaker.is_some());
        assert!(Preset::Pick.settings().breaker.is_none());
        let baselines = [Preset::LeastLoaded, Preset::Allegro2018, Preset::Retries4].map(Preset::settings);
        for s in &baselines {
            let none = (s.hedge, s.ejection, s.slow_start, s.panic, s.limit);
            assert_eq!(none, (None, None, None, Share::NONE, None));
            assert!(!s.timeouts.pass_on);
        }
        let [least, of_2018, storm] = baselines;
        assert_eq!((least.balancing, least.retry, least.breaker), (Balancing::LeastLoaded, None, None));
        let retry = of_2018.retry.expect("2018 was made of retries");
        assert_eq!((retry.tries, retry.budget, retry.stacked), (3, None, true));
        assert!(of_2018.breaker.is_some_and(|b| b.minimum_calls == u32::MAX));
        let retry = storm.retry.expect("a storm of retries");
        assert_eq!(retry.tries, 5);
        assert!(storm.timeouts.total > retry.try_timeout.expect("each try has its time") * 5);
    }
}
