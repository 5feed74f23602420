//! What is played: known situations, each with its source, and random ones for swarms of seeds.

use crate::first::chance::Chance;
use crate::first::instance::{Service, Slowdown};
use crate::first::report::Report;
use crate::first::world::{Incident, Plan, play};
use model::{Hedge, Limit, Moment, Preset, Settings};
use std::time::Duration;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// One of eleven back ends is slow for half of a minute.
///
/// 1,000 requests a second for 60 s; each back end answers in 167 ms ± 5 (normal) whatever its load; from 15 s to 45 s
/// the first takes 2 s. Callers hang up after 1 s and do not say so before. Published: 95 % succeed with round robin,
/// 99 % with least loaded, 99.9 % with peak EWMA (Finagle's and linkerd's test of balancers, 2016).
pub fn slow_back_end(preset: Preset, seed: u64) -> Report {
    slow_back_end_with(preset.settings(), preset.word(), seed)
}

/// [`slow_back_end`] with any settings.
pub fn slow_back_end_with(settings: Settings, name: &str, seed: u64) -> Report {
    play(slow_back_end_plan(settings), name, seed).report
}

/// The plan of [`slow_back_end`].
pub fn slow_back_end_plan(settings: Settings) -> Plan {
    let usual =
        Service { workers: u32::MAX, mean: ms(167), deviation: ms(5), failures: 0.0, slowdowns: vec![] };
    let spell =
        Slowdown { from: Moment::from_millis(15_000), to: Moment::from_millis(45_000), takes: ms(2_000) };
    let mut services = vec![usual; 11];
    services[0].slowdowns.push(spell);
    Plan {
        settings,
        services,
        gap: ms(1),
        end: Moment::from_millis(60_000),
        patience: ms(1_000),
        tells_deadline: false,
        posts: 0.0,
        incidents: Vec::new(),
        record: false,
    }
}

/// Anything: up to eight instances with few workers and odd service times, slow spells, deaths and returns, reloads,
/// any policies. For checks over many seeds.
pub fn anything(seed: u64) -> Plan {
    let mut chance = Chance::new(seed, u64::MAX);
    let n = 1 + chance.below(8) as usize;
    let end = 4_000 + chance.below(20_000);
    let mut settings = Preset::ALL[chance.below(5) as usize].settings();
    settings.hedge = chance.happens(0.3).then(|| Hedge { after: ms(5 + chance.below(100)) });
    settings.limit = chance
        .happens(0.4)
        .then(|| Limit { in_flight: 1 + chance.below(40) as u32, queue: chance.below(40) as u32 });
    Plan {
        settings,
        services: (0..n).map(|_| any_service(&mut chance, end)).collect(),
        gap: Duration::from_micros(500 + chance.below(20_000)),
        end: Moment::from_millis(end),
        patience: ms(20 + chance.below(2_000)),
        tells_deadline: chance.happens(0.5),
        posts: 0.3,
        incidents: any_incidents(&mut chance, n, end),
        record: false,
    }
}

fn any_service(chance: &mut Chance, end: u64) -> Service {
    let from = chance.below(end);
    let slowdown = Slowdown {
        from: Moment::from_millis(from),
        to: Moment::from_millis(from + chance.below(5_000)),
        takes: ms(chance.below(3_000)),
    };
    Service {
        workers: 1 + chance.below(16) as u32,
        mean: ms(1 + chance.below(80)),
        deviation: ms(chance.below(20)),
        failures: if chance.happens(0.2) { 0.3 } else { 0.0 },
        slowdowns: if chance.happens(0.3) { vec![slowdown] } else { vec![] },
    }
}

fn any_incidents(chance: &mut Chance, n: usize, end: u64) -> Vec<(Moment, Incident)> {
    let mut incidents = Vec::new();
    for _ in 0..chance.below(8) {
        let at = chance.below(end);
        let instance = chance.below(n as u64) as usize;
        if chance.happens(0.5) {
            incidents.push((Moment::from_millis(at), Incident::Kill(instance)));
            let back = at + chance.below(3_000);
            incidents.push((Moment::from_millis(back), Incident::Restart(instance)));
        } else {
            let handles = (0..n as u32).filter(|_| chance.happens(0.7)).collect();
            incidents.push((Moment::from_millis(at), Incident::Follow(handles)));
        }
    }
    incidents
}
