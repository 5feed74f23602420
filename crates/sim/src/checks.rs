//! What may never happen, whatever is played: promises that hold in every run, checked against a naive model of each.
//!
//! * *Nothing is lost, nothing is answered twice*: every request has one outcome, and no second has more useful answers
//!   than requests ([`check`]; the recorder counts, the world sees a second answer as it comes).
//! * *Budgets are kept*: whatever happened, one sidecar's extra attempts are no more than its calls have earned
//!   ([`overdrawn`]); kills within any window are no more than the watchdog's budget ([`kills_within`]).
//! * *Reserved is never above capacity*, and an instance that is not placed found no room ([`check`], and the fleet when
//!   it places).
//! * *Everything has a reason*: whatever is refused, killed, stopped, scaled or left unplaced names one.
//! * *An instance lives once*: it starts, opens, and ends, each once and in this order.

use crate::report::{Entry, Occurrence, Report};
use model::{Moment, Retry};
use std::collections::BTreeMap;
use std::time::Duration;

/// The promises that a report shows to be broken, in words.
pub(crate) fn check(report: &Report) -> Vec<String> {
    let mut broken = Vec::new();
    broken.extend(above_capacity(report));
    broken.extend(more_useful_than_sent(report));
    broken.extend(report.log.iter().filter_map(without_reason));
    broken.extend(out_of_order(&report.log));
    broken.extend(lives(&report.log));
    broken
}

fn above_capacity(report: &Report) -> impl Iterator<Item = String> {
    let over = |name: &String| {
        let values = report.series.get(&format!("{name}.reserved"))?;
        let second = values.iter().position(|share| *share > 1.000_001)?;
        Some(format!("reserved is never above capacity: {name} after {second} s: {}", values[second]))
    };
    report.compartments.iter().filter_map(over)
}

fn more_useful_than_sent(report: &Report) -> Option<String> {
    let (useful, demand) = (report.series.get("site.useful")?, report.series.get("site.demand")?);
    let second = useful.iter().zip(demand).position(|(useful, demand)| useful > demand)?;
    Some(format!("no request is answered twice: {} of {} in second {second}", useful[second], demand[second]))
}

/// A reason is a word: small letters, digits and hyphens.
fn without_reason(entry: &Entry) -> Option<String> {
    let reason = match entry.what {
        Occurrence::Scaled { reason, .. }
        | Occurrence::Unplaced { reason, .. }
        | Occurrence::WarmUps { reason, .. }
        | Occurrence::Stopped { reason, .. }
        | Occurrence::Killed { reason, .. }
        | Occurrence::Resized { reason, .. } => reason,
        _ => return None,
    };
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let named = !reason.is_empty() && reason.bytes().all(word);
    (!named).then(|| format!("everything has a reason: {:?}", entry.what))
}

fn out_of_order(log: &[Entry]) -> Option<String> {
    let late = log.windows(2).find(|pair| pair[0].at > pair[1].at)?;
    Some(format!("what happened is told in order: {:?}", late[1]))
}

/// What an instance may do next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Starting,
    Open,
    Over,
}

/// Instances of the beginning are not in the log: one that is heard of first when it opens or ends was there.
fn lives(log: &[Entry]) -> Vec<String> {
    let mut lives: BTreeMap<(usize, u32), Life> = BTreeMap::new();
    let mut broken = Vec::new();
    for entry in log {
        let (service, instance, next) = match entry.what {
            Occurrence::Starting { service, instance } => (service, instance, Life::Starting),
            Occurrence::Open { service, instance } => (service, instance, Life::Open),
            Occurrence::Stopped { service, instance, .. } | Occurrence::Killed { service, instance, .. } => {
                (service, instance, Life::Over)
            }
            _ => continue,
        };
        let before = lives.insert((service, instance), next);
        let right = match next {
            Life::Starting => before.is_none(),
            Life::Open => matches!(before, None | Some(Life::Starting)),
            Life::Over => before != Some(Life::Over),
        };
        if !right {
            broken.push(format!("an instance lives once: {:?} at {} s", entry.what, seconds(entry.at)));
        }
    }
    broken
}

fn seconds(at: Moment) -> f64 {
    at.as_nanos() as f64 / 1e9
}

/// Whether some service lost more instances to the watchdog within `window` than it may: `at_most` of it, by how many
/// instances it had (its position, and when).
pub(crate) fn kills_within(
    log: &[Entry],
    window: Duration,
    at_most: impl Fn(usize, Moment) -> u32,
) -> Option<String> {
    let mut kills: BTreeMap<usize, Vec<Moment>> = BTreeMap::new();
    for entry in log {
        let Occurrence::Killed { service, .. } = entry.what else { continue };
        let times = kills.entry(service).or_default();
        times.push(entry.at);
        let lately = times.iter().rev().take_while(|at| entry.at.since(**at) < window).count();
        let most = at_most(service, entry.at);
        if lately > most as usize {
            let when = seconds(entry.at);
            return Some(format!(
                "kills keep to their budget: {lately} of service {service} at {when} s, {most} may"
            ));
        }
    }
    None
}

/// The naive model of a retry budget: over any time the extra attempts of one sidecar to one service are no more than its
/// calls have earned at all, plus the floor of the time that has passed and of ten seconds before. In words, if there
/// were more.
pub(crate) fn overdrawn(rule: Option<Retry>, (calls, extra): (u32, u32), now: Moment) -> Option<String> {
    let most = match rule {
        None => 0.0,
        Some(rule) => {
            let floor = f64::from(rule.floor_per_second) * (seconds(now) + 10.0);
            f64::from(calls) * rule.budget?.part() + floor + 1e-6
        }
    };
    (f64::from(extra) > most)
        .then(|| format!("budgets are kept: {extra} extra attempts for {calls} calls, {most:.0} may be"))
}

#[cfg(test)]
mod tests;
