//! Policies: their keys, the same in a manifest (where a preset answers what is absent) and in a snapshot (where
//! everything is said).

use super::declare::{Field, Kind, between_ms, field, preset, whole};
use super::decoder::{Decoder, View};
use super::scalar::duration_text;
use model::{
    Balancing, Breaker, Ejection, Hedge, Limit, Preset, Retry, Settings, Share, SlowStart, Timeouts,
};
use serde::Serialize;
use std::time::Duration;

/// A day: longer waits are mistakes of the unit.
const DAY: u64 = 86_400_000;

/// The words of [`Balancing`].
pub(crate) const BALANCING: [&str; 3] = ["peak-ewma", "least-loaded", "round-robin"];

/// The words of [`Preset`].
pub(crate) static PRESETS: [&str; Preset::ALL.len()] = {
    let mut words = [""; Preset::ALL.len()];
    let mut at = 0;
    while at < words.len() {
        words[at] = Preset::ALL[at].word();
        at += 1;
    }
    words
};

/// The keys of all policies.
pub(crate) static POLICIES: [Field; 9] = policies();

/// [`POLICIES`], to be put beside other keys.
pub(crate) const fn policies() -> [Field; 9] {
    [
        preset("balancing", Kind::Word(&BALANCING), "How an instance is chosen."),
        preset("timeouts", Kind::Table(&TIMEOUTS), "How long things may take."),
        preset("retry", Kind::OffOr(&RETRY), "Further attempts where that is safe; `false`: never."),
        preset("hedge", Kind::OffOr(&HEDGE), "A second attempt beside a slow first one; `false`: never."),
        preset("breaker", Kind::OffOr(&BREAKER), "Rests an instance that fails or is slow; `false`: never."),
        preset(
            "ejection",
            Kind::OffOr(&EJECTION),
            "Takes an instance out after failures in a row; `false`: never.",
        ),
        preset(
            "slow-start",
            Kind::OffOr(&SLOW_START),
            "Keeps a newcomer's share of requests small at first; `false`: it gets a full share at once.",
        ),
        preset(
            "panic",
            Kind::Share,
            "When fewer than this share of the instances are available, health is ignored and all are used; \
         `0`: health is never ignored.",
        )
        .example("\"50%\""),
        preset(
            "limit",
            Kind::OffOr(&LIMIT),
            "How many requests each instance takes at once; `false`: as many as come.",
        ),
    ]
}

static TIMEOUTS: [Field; 4] = [
    preset(
        "total",
        between_ms(1, DAY),
        "From the request's head to the response's head, all attempts together. A caller's remaining time wins \
         when it is shorter.",
    )
    .example("\"15s\""),
    preset("connect", between_ms(1, DAY), "Until a connection is established; never more than `total`.")
        .example("\"1s\""),
    preset("idle", between_ms(1, DAY), "Between two bytes of a body, once the response has begun.")
        .example("\"60s\""),
    preset(
        "pass-on",
        Kind::Flag,
        "Whether the instance is told how much of `total` is left, so that neither it nor those whom it calls in turn \
         work on for nobody. What a caller tells is obeyed in any case. `false` is for comparison.",
    )
    .example("true"),
];

static RETRY: [Field; 6] = [
    preset(
        "tries",
        Kind::Whole { least: Retry::TRIES_AT_LEAST as u64, most: Retry::TRIES_AT_MOST as u64 },
        "How many attempts a request makes at most, the first one and a hedge included. With more than two, or with \
         a `try-timeout`, a service's only instance is asked again as well.",
    )
    .example("3"),
    preset(
        "try-timeout",
        Kind::FalseOr(&TRY_TIMEOUT),
        "How long one attempt has until its response's head; then it is abandoned, and the next one begins if the \
         request may be carried out twice. Counted from the request's last byte; a body longer than its copy is not \
         timed. `false`: all the time that there is.",
    )
    .example("\"3s\""),
    preset(
        "budget",
        Kind::FalseOr(&Kind::Share),
        "Retries and hedges may be this share of requests …; `false`: as many as it takes, which is how one slow \
         service becomes an outage.",
    )
    .example("\"10%\""),
    preset(
        "floor-per-second",
        whole(0),
        "… plus so many a second, so that a service with few requests can be retried at all.",
    ),
    preset(
        "back-off",
        between_ms(0, DAY),
        "The longest wait before the second attempt, twice that before the third, and so on.",
    )
    .example("\"25ms\""),
    preset(
        "stacked",
        Kind::Flag,
        "Whether to try again also when a layer above does. Tries of layers multiply: three at each of two layers are \
         nine.",
    )
    .example("false"),
];

static TRY_TIMEOUT: Kind = between_ms(1, DAY);

static HEDGE: [Field; 1] = [field(
    "after",
    between_ms(1, DAY),
    "How long the first attempt has before the second begins, from the request's last byte; only for requests that may \
     be carried out twice.",
)
.required()
.example("\"200ms\"")];

static BREAKER: [Field; 7] = [
    preset("failures", Kind::Share, "An instance rests when more than this share of its calls failed …")
        .example("\"50%\""),
    preset("slow", Kind::Share, "… or more than this share was slow.").example("\"50%\""),
    preset(
        "slow-factor",
        whole(1),
        "A call is slow when it takes this many times the service's usual 95th percentile (at least 20 ms), or the \
         whole timeout if that is shorter.",
    )
    .example("5"),
    preset("window", between_ms(1, DAY), "Over this window …").example("\"10s\""),
    preset("minimum-calls", whole(1), "… and not before so many calls, at most 262136.").example("20"),
    preset("rest", between_ms(1, DAY), "The first rest; each further one is twice as long …").example("\"5s\""),
    preset("rest-at-most", between_ms(1, DAY), "… up to this; never less than `rest`.").example("\"60s\""),
];

static EJECTION: [Field; 4] = [
    preset("failures-in-a-row", whole(1), "So many failures in a row, at most 65535, take an instance out.")
        .example("5"),
    preset("base", between_ms(1, DAY), "The first absence; the n-th is n times as long …").example("\"5s\""),
    preset("at-most", between_ms(1, DAY), "… up to this; never less than `base`.").example("\"5m\""),
    preset(
        "share-at-most",
        Kind::Share,
        "At most this share of the instances is out at once: one at least may be, and never the last.",
    ),
];

static SLOW_START: [Field; 2] = [
    preset("window", between_ms(1, DAY), "How long it takes to a full share.").example("\"60s\""),
    preset("from", Kind::Share, "The share of a full one that a newcomer begins with."),
];

static LIMIT: [Field; 2] = [
    field("in-flight", whole(1), "So many requests at once.").required().example("64"),
    field("queue", whole(0), "So many wait beyond that; `0`: none waits.").required().example("64"),
];

/// Reads policies as differences from `base`.
pub(crate) fn decode(decoder: &mut Decoder<'_>, view: &View<'_>, base: &Settings) -> Settings {
    Settings {
        balancing: view.text("balancing").and_then(balancing).unwrap_or(base.balancing),
        timeouts: view.table("timeouts").map_or(base.timeouts, |v| timeouts(decoder, &v, base.timeouts)),
        retry: part(view, "retry", base.retry, |v, base| retry(&v, base)),
        hedge: part(view, "hedge", base.hedge, |v, _: Option<Hedge>| Hedge {
            after: v.duration("after").unwrap_or_default(),
        }),
        breaker: part(view, "breaker", base.breaker, |v, base| breaker(decoder, &v, base)),
        ejection: part(view, "ejection", base.ejection, |v, base| ejection(decoder, &v, base)),
        slow_start: part(view, "slow-start", base.slow_start, |v, base| slow_start(&v, base)),
        panic: view.share("panic").unwrap_or(base.panic),
        limit: part(view, "limit", base.limit, |v, _: Option<Limit>| Limit {
            in_flight: v.whole32("in-flight").unwrap_or(1),
            queue: v.whole32("queue").unwrap_or_default(),
        }),
    }
}

/// A policy that can be off: absent, it is the base's; `false`, it is off; a table says how it differs.
fn part<T>(
    view: &View<'_>,
    key: &str,
    base: Option<T>,
    read: impl FnOnce(View<'_>, Option<T>) -> T,
) -> Option<T> {
    match view.table(key) {
        Some(table) => Some(read(table, base)),
        None if view.is_off(key) => None,
        None => base,
    }
}

/// A value that can be `false`: absent, it is the base's.
fn or_none<'a, T>(
    view: &View<'a>,
    key: &str,
    base: Option<T>,
    read: impl FnOnce(&View<'a>, &str) -> Option<T>,
) -> Option<T> {
    if view.is_off(key) { None } else { read(view, key).or(base) }
}

fn balancing(word: &str) -> Option<Balancing> {
    [Balancing::PeakEwma, Balancing::LeastLoaded, Balancing::RoundRobin]
        .into_iter()
        .find(|b| balancing_word(*b) == word)
}

pub(crate) fn balancing_word(balancing: Balancing) -> &'static str {
    match balancing {
        Balancing::PeakEwma => "peak-ewma",
        Balancing::LeastLoaded => "least-loaded",
        Balancing::RoundRobin => "round-robin",
    }
}

fn timeouts(decoder: &mut Decoder<'_>, view: &View<'_>, base: Timeouts) -> Timeouts {
    let (connect, total) = ordered(decoder, view, ("connect", base.connect), ("total", base.total));
    Timeouts {
        total,
        connect,
        idle: view.duration("idle").unwrap_or(base.idle),
        pass_on: view.flag("pass-on").unwrap_or(base.pass_on),
    }
}

fn retry(view: &View<'_>, base: Option<Retry>) -> Retry {
    let base = base.unwrap_or_default();
    let tries = view.whole("tries").and_then(|tries| u8::try_from(tries).ok());
    Retry {
        tries: tries.unwrap_or(base.tries),
        try_timeout: or_none(view, "try-timeout", base.try_timeout, View::duration),
        budget: or_none(view, "budget", base.budget, View::share),
        floor_per_second: view.whole32("floor-per-second").unwrap_or(base.floor_per_second),
        back_off: view.duration("back-off").unwrap_or(base.back_off),
        stacked: view.flag("stacked").unwrap_or(base.stacked),
    }
}

fn breaker(decoder: &mut Decoder<'_>, view: &View<'_>, base: Option<Breaker>) -> Breaker {
    let base = base.unwrap_or_default();
    let (rest, rest_at_most) =
        ordered(decoder, view, ("rest", base.rest), ("rest-at-most", base.rest_at_most));
    let failures = view.share("failures").unwrap_or(base.failures);
    let slow = view.share("slow").unwrap_or(base.slow);
    if failures == Share::ALL && slow == Share::ALL {
        decoder.report_at(
            view,
            "failures",
            "this breaker can never trip: no more than all calls can fail or be slow".to_owned(),
            "lower `failures` or `slow`, or write breaker = false".to_owned(),
        );
    }
    let minimum_calls = counted(
        decoder,
        (view, "minimum-calls"),
        Breaker::MINIMUM_CALLS_AT_MOST,
        "this breaker may never trip: so many calls are not certain to be counted in one window",
        "breaker = false",
    );
    Breaker {
        failures,
        slow,
        slow_factor: view.whole32("slow-factor").unwrap_or(base.slow_factor),
        window: view.duration("window").unwrap_or(base.window),
        minimum_calls: minimum_calls.unwrap_or(base.minimum_calls),
        rest,
        rest_at_most,
    }
}

fn ejection(decoder: &mut Decoder<'_>, view: &View<'_>, base: Option<Ejection>) -> Ejection {
    let default = base.unwrap_or_default();
    let (base, at_most) = ordered(decoder, view, ("base", default.base), ("at-most", default.at_most));
    let in_a_row = counted(
        decoder,
        (view, "failures-in-a-row"),
        Ejection::IN_A_ROW_AT_MOST,
        "nobody would ever be taken out: so many failures in a row are not counted",
        "ejection = false",
    );
    Ejection {
        failures_in_a_row: in_a_row.unwrap_or(default.failures_in_a_row),
        base,
        at_most,
        share_at_most: view.share("share-at-most").unwrap_or(default.share_at_most),
    }
}

/// A number that is waited for while something is counted, up to `most`; beyond that it would wait for ever.
fn counted(
    decoder: &mut Decoder<'_>,
    (view, key): (&View<'_>, &str),
    most: u32,
    problem: &str,
    off: &str,
) -> Option<u32> {
    let number = view.whole32(key);
    if decoder.is_by_hand() && number.is_some_and(|number| number > most) {
        decoder.report_at(view, key, problem.to_owned(), format!("write {key} = {most} or less, or {off}"));
    }
    number
}

fn slow_start(view: &View<'_>, base: Option<SlowStart>) -> SlowStart {
    let base = base.unwrap_or_default();
    SlowStart {
        window: view.duration("window").unwrap_or(base.window),
        from: view.share("from").unwrap_or(base.from),
    }
}

/// Reads two durations of which the first may not be longer. Where one of them is written and the other is a
/// default, the default gives way; where both are, it is a problem.
pub(crate) fn ordered(
    decoder: &mut Decoder<'_>,
    view: &View<'_>,
    (short_key, short): (&str, Duration),
    (long_key, long): (&str, Duration),
) -> (Duration, Duration) {
    match (view.duration(short_key), view.duration(long_key)) {
        (None, None) => (short, long),
        (Some(short), None) => (short, long.max(short)),
        (None, Some(long)) => (short.min(long), long),
        (Some(short), Some(long)) => {
            if short > long {
                let (a, b) = (duration_text(short), duration_text(long));
                let message = format!("{a} is longer than `{long_key}`, which is {b}");
                decoder.report_at(
                    view,
                    short_key,
                    message,
                    format!("write at most \"{b}\", or raise `{long_key}`"),
                );
            }
            (short, long)
        }
    }
}

/// `false`, or what a policy says.
#[derive(Serialize)]
#[serde(untagged)]
enum OffOr<T> {
    Off(bool),
    On(T),
}

fn off_or<T, U>(value: Option<T>, shape: impl FnOnce(T) -> U) -> OffOr<U> {
    value.map_or(OffOr::Off(false), |value| OffOr::On(shape(value)))
}

/// Settings as they are written in full.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct SettingsShape {
    balancing: &'static str,
    timeouts: TimeoutsShape,
    retry: OffOr<RetryShape>,
    hedge: OffOr<HedgeShape>,
    breaker: OffOr<BreakerShape>,
    ejection: OffOr<EjectionShape>,
    slow_start: OffOr<SlowStartShape>,
    panic: f64,
    limit: OffOr<LimitShape>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct TimeoutsShape {
    total: String,
    connect: String,
    idle: String,
    pass_on: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct RetryShape {
    tries: u8,
    try_timeout: OffOr<String>,
    budget: OffOr<f64>,
    floor_per_second: u32,
    back_off: String,
    stacked: bool,
}

#[derive(Serialize)]
struct HedgeShape {
    after: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct BreakerShape {
    failures: f64,
    slow: f64,
    slow_factor: u32,
    window: String,
    minimum_calls: u32,
    rest: String,
    rest_at_most: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct EjectionShape {
    failures_in_a_row: u32,
    base: String,
    at_most: String,
    share_at_most: f64,
}

#[derive(Serialize)]
struct SlowStartShape {
    window: String,
    from: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct LimitShape {
    in_flight: u32,
    queue: u32,
}

/// `settings` as they are written.
pub(crate) fn encode(settings: &Settings) -> SettingsShape {
    let Timeouts { total, connect, idle, pass_on } = settings.timeouts;
    SettingsShape {
        balancing: balancing_word(settings.balancing),
        timeouts: TimeoutsShape {
            total: duration_text(total),
            connect: duration_text(connect),
            idle: duration_text(idle),
            pass_on,
        },
        retry: off_or(settings.retry, |r| RetryShape {
            tries: r.tries,
            try_timeout: off_or(r.try_timeout, duration_text),
            budget: off_or(r.budget, Share::part),
            floor_per_second: r.floor_per_second,
            back_off: duration_text(r.back_off),
            stacked: r.stacked,
        }),
        hedge: off_or(settings.hedge, |h| HedgeShape { after: duration_text(h.after) }),
        breaker: off_or(settings.breaker, |b| BreakerShape {
            failures: b.failures.part(),
            slow: b.slow.part(),
            slow_factor: b.slow_factor,
            window: duration_text(b.window),
            minimum_calls: b.minimum_calls,
            rest: duration_text(b.rest),
            rest_at_most: duration_text(b.rest_at_most),
        }),
        ejection: off_or(settings.ejection, |e| EjectionShape {
            failures_in_a_row: e.failures_in_a_row,
            base: duration_text(e.base),
            at_most: duration_text(e.at_most),
            share_at_most: e.share_at_most.part(),
        }),
        slow_start: off_or(settings.slow_start, |s| SlowStartShape {
            window: duration_text(s.window),
            from: s.from.part(),
        }),
        panic: settings.panic.part(),
        limit: off_or(settings.limit, |l| LimitShape { in_flight: l.in_flight, queue: l.queue }),
    }
}
