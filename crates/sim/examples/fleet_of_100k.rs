//! How large a fleet fits, and how fast it is played: 10,000 services with ten instances each, in five layers that call
//! one another, with all default policies.
//!
//! `cargo run --release -p sim --example fleet_of_100k -- [SERVICES] [INSTANCES OF EACH] [REQUESTS A SECOND] [SECONDS]`
//!
//! An event is an entry taken from the agenda. Counted is the processor's time, so that a busy machine does not count.

use model::scenario::{Scenario, Spread, Visit};
use model::{Moment, Preset};
use sim::scenario::{call, empty, people, route, service};
use sim::{Choice, play};
use std::time::Duration;

const LAYERS: usize = 5;

/// A fleet in layers: each service calls two of the next layer.
fn fleet(services: usize, instances: u32, rate: f64, seconds: u64) -> Scenario {
    let mut scenario = empty("fleet", Duration::from_secs(seconds));
    scenario.network.delay = Duration::from_micros(250);
    let width = services / LAYERS;
    for i in 0..width * LAYERS {
        let (layer, place) = (i / width, i % width);
        let below = |step: usize| (layer + 1) * width + (place * 7 + step) % width;
        let calls = if layer + 1 < LAYERS { vec![call(below(1)), call(below(3))] } else { vec![] };
        let work = Spread::Exponential(Duration::from_millis(2));
        let mut one = service(&format!("s{i}"), (instances, 2.0), vec![route(work, NOTHING, calls)]);
        (one.threads, one.backlog, one.descriptors) = (200, 1_000, 10_000);
        scenario.services.push(one);
    }
    let mut all = people(rate, Duration::from_secs(8));
    let visit = |service: usize| Visit {
        name: format!("v{service}"),
        weight: vec![(Moment::ZERO, 1.0)],
        service,
        route: 0,
        limit: None,
    };
    all.visits = (0..width).map(visit).collect();
    scenario.clients.push(all);
    scenario
}

const NOTHING: Spread = Spread::Fixed(Duration::ZERO);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<u64> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let number = |i: usize, default| given.get(i).copied().unwrap_or(default);
    let (services, instances) = (number(0, 10_000) as usize, number(1, 10) as u32);
    let scenario = fleet(services, instances, number(2, 15_000) as f64, number(3, 10));
    let choice = Choice::preset(&scenario, Preset::Default, scenario.fleet);
    let before = processor_time();
    let report = play(&scenario, &choice, 1);
    let took = processor_time() - before;
    println!(
        "{services} services, {} instances: {} events in {took:.2} s, {:.2} million a second, peak {} MiB; {:?} {:?} {:016x}",
        services * instances as usize,
        report.events,
        report.events as f64 / took / 1e6,
        peak_mib(),
        report.outcomes,
        report.broken,
        report.hash,
    );
    Ok(())
}

/// Seconds of processor time that this thread has used (Linux; elsewhere not a number).
fn processor_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse::<f64>().ok()).map_or(f64::NAN, |nanos| nanos / 1e9)
}

/// The most memory that this process has held (Linux; elsewhere nothing).
fn peak_mib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().split(' ').next())
        .and_then(|n| n.parse::<u64>().ok())
        .map_or(0, |kib| kib / 1024)
}
