//! The settings of a service as a message. What is left out of a message is switched off, never a default: a sidecar
//! of another release has other defaults.

use super::resource::Unreadable;
use crate::generated::outrigger as raw;
use model::{Balancing, Breaker, Ejection, Hedge, Limit, Retry, Settings, Share, SlowStart, Timeouts};
use std::time::Duration;

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Encodes all of `settings`.
pub(crate) fn encode_policy(settings: &Settings) -> raw::Policy {
    let Settings { balancing, timeouts, retry, hedge, breaker, ejection, slow_start, panic, limit } =
        settings;
    let balancing = match balancing {
        Balancing::PeakEwma => raw::Balancing::PeakEwma,
        Balancing::LeastLoaded => raw::Balancing::LeastLoaded,
        Balancing::RoundRobin => raw::Balancing::RoundRobin,
    };
    raw::Policy {
        balancing: balancing.into(),
        timeouts: Some(raw::Timeouts {
            total: nanos(timeouts.total),
            connect: nanos(timeouts.connect),
            idle: nanos(timeouts.idle),
            pass_on: timeouts.pass_on,
        }),
        retry: retry.as_ref().map(|r| raw::Retry {
            tries: u32::from(r.tries),
            try_timeout: r.try_timeout.map(nanos),
            budget: r.budget.map(Share::part),
            floor_per_second: r.floor_per_second,
            back_off: nanos(r.back_off),
            stacked: r.stacked,
        }),
        hedge: hedge.as_ref().map(|h| raw::Hedge { after: nanos(h.after) }),
        breaker: breaker.as_ref().map(|b| raw::Breaker {
            failures: b.failures.part(),
            slow: b.slow.part(),
            slow_factor: b.slow_factor,
            window: nanos(b.window),
            minimum_calls: b.minimum_calls,
            rest: nanos(b.rest),
            rest_at_most: nanos(b.rest_at_most),
        }),
        ejection: ejection.as_ref().map(|e| raw::Ejection {
            failures_in_a_row: e.failures_in_a_row,
            base: nanos(e.base),
            at_most: nanos(e.at_most),
            share_at_most: e.share_at_most.part(),
        }),
        slow_start: slow_start
            .as_ref()
            .map(|s| raw::SlowStart { window: nanos(s.window), from: s.from.part() }),
        panic: panic.part(),
        limit: limit.as_ref().map(|l| raw::Limit { in_flight: l.in_flight, queue: l.queue }),
    }
}

fn share(part: f64, field: &'static str) -> Result<Share, Unreadable> {
    Share::new(part).map_err(|_| Unreadable::Value(field))
}

/// Decodes what [`encode_policy`] encoded.
pub(crate) fn decode_policy(policy: &raw::Policy) -> Result<Settings, Unreadable> {
    let timeouts = policy.timeouts.as_ref().ok_or(Unreadable::Value("timeouts"))?;
    Ok(Settings {
        // A way of balancing that this release does not know is the default one: every way is correct.
        balancing: match policy.balancing() {
            raw::Balancing::PeakEwma => Balancing::PeakEwma,
            raw::Balancing::LeastLoaded => Balancing::LeastLoaded,
            raw::Balancing::RoundRobin => Balancing::RoundRobin,
        },
        timeouts: Timeouts {
            total: Duration::from_nanos(timeouts.total),
            connect: Duration::from_nanos(timeouts.connect),
            idle: Duration::from_nanos(timeouts.idle),
            pass_on: timeouts.pass_on,
        },
        retry: policy.retry.as_ref().map(retry).transpose()?,
        hedge: policy.hedge.as_ref().map(|h| Hedge { after: Duration::from_nanos(h.after) }),
        breaker: policy.breaker.as_ref().map(breaker).transpose()?,
        ejection: policy.ejection.as_ref().map(ejection).transpose()?,
        slow_start: policy.slow_start.as_ref().map(slow_start).transpose()?,
        panic: share(policy.panic, "panic")?,
        limit: policy.limit.as_ref().map(|l| Limit { in_flight: l.in_flight, queue: l.queue }),
    })
}

fn retry(raw: &raw::Retry) -> Result<Retry, Unreadable> {
    let tries = u8::try_from(raw.tries).ok();
    let tries = tries.filter(|tries| (Retry::TRIES_AT_LEAST..=Retry::TRIES_AT_MOST).contains(tries));
    Ok(Retry {
        tries: tries.ok_or(Unreadable::Value("retry.tries"))?,
        try_timeout: raw.try_timeout.map(Duration::from_nanos),
        budget: raw.budget.map(|part| share(part, "retry.budget")).transpose()?,
        floor_per_second: raw.floor_per_second,
        back_off: Duration::from_nanos(raw.back_off),
        stacked: raw.stacked,
    })
}

fn breaker(raw: &raw::Breaker) -> Result<Breaker, Unreadable> {
    Ok(Breaker {
        failures: share(raw.failures, "breaker.failures")?,
        slow: share(raw.slow, "breaker.slow")?,
        slow_factor: raw.slow_factor,
        window: Duration::from_nanos(raw.window),
        minimum_calls: raw.minimum_calls,
        rest: Duration::from_nanos(raw.rest),
        rest_at_most: Duration::from_nanos(raw.rest_at_most),
    })
}

fn ejection(raw: &raw::Ejection) -> Result<Ejection, Unreadable> {
    Ok(Ejection {
        failures_in_a_row: raw.failures_in_a_row,
        base: Duration::from_nanos(raw.base),
        at_most: Duration::from_nanos(raw.at_most),
        share_at_most: share(raw.share_at_most, "ejection.share-at-most")?,
    })
}

fn slow_start(raw: &raw::SlowStart) -> Result<SlowStart, Unreadable> {
    Ok(SlowStart { window: Duration::from_nanos(raw.window), from: share(raw.from, "slow-start.from")? })
}
