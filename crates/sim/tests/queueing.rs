//! The world against queueing theory: stations wait as the closed forms say, Little's law holds, and a scaled scenario
//! is used as much as the full one.

use model::scenario::{Scenario, Spread};
use sim::scenario::{call, empty, people, route, service};
use sim::{Choice, Report, play};
use std::time::Duration;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const NOTHING: Spread = Spread::Fixed(Duration::ZERO);

/// One instance with so many cores; each request takes 10 ms of processor time on average.
fn station(cores: f64, rate: f64, seconds: u64) -> Scenario {
    let mut scenario = empty("station", Duration::from_secs(seconds));
    let routes = vec![route(Spread::Exponential(ms(10)), NOTHING, vec![])];
    scenario.services.push(service("station", (1, cores), routes));
    scenario.clients.push(people(rate, Duration::from_secs(60)));
    scenario.policies = model::Preset::Off;
    scenario
}

fn played(scenario: &Scenario, seed: u64) -> Report {
    let report = play(scenario, &Choice::preset(scenario, model::Preset::Off, scenario.fleet), seed);
    assert_eq!(report.broken, [] as [String; 0]);
    report
}

fn mean(report: &Report, series: &str) -> f64 {
    let values: Vec<f64> =
        report.series[series].iter().skip(10).filter(|v| !v.is_nan()).map(|v| f64::from(*v)).collect();
    values.iter().sum::<f64>() / values.len() as f64
}

fn near(is: f64, should: f64, within: f64) {
    assert!((is - should).abs() <= within * should, "{is} instead of {should}");
}

/// The mean number that waits, by Erlang's formula: C(c, a) ρ / (1 − ρ).
fn erlang(servers: u32, load: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 0.0);
    for k in 0..servers {
        sum += term;
        term *= load / f64::from(k + 1);
    }
    let rho = load / f64::from(servers);
    let last = term / (1.0 - rho);
    last / (sum + last) * rho / (1.0 - rho)
}

/// M/M/1 at 70 %: response times are exponential with mean 10 ms / (1 − 0.7); the median is ln 2 of that.
#[test]
fn one_server_answers_as_mm1_does() {
    let report = played(&station(1.0, 70.0, 2_000), 1);
    near(mean(&report, "station.cpu"), 0.7, 0.02);
    near(mean(&report, "station.p50"), 0.010 / 0.3 * 2f64.ln(), 0.05);
    near(mean(&report, "station.threads") * f64::from(u32::MAX), 0.7 / 0.3, 0.06);
}

/// M/M/4 at 80 %: Little's law, with Erlang's C for those who wait.
#[test]
fn several_servers_wait_as_mmc_does() {
    let report = played(&station(4.0, 320.0, 2_000), 1);
    near(mean(&report, "station.cpu"), 0.8, 0.02);
    let inside = mean(&report, "station.threads") * f64::from(u32::MAX);
    near(inside, 3.2 + erlang(4, 3.2), 0.06);
}

/// With one thread, who waits does so in the backlog and not for the processor: the same queue at another place.
#[test]
fn a_thread_is_held_during_calls_and_waits() {
    let mut scenario = station(1.0, 40.0, 2_000);
    scenario.services[0].threads = 1;
    scenario.services[0].routes[0] =
        route(Spread::Exponential(ms(5)), Spread::Exponential(ms(5)), vec![call(1)]);
    let disk = route(NOTHING, Spread::Exponential(ms(5)), vec![]);
    scenario.services.push(service("disk", (1, 1.0), vec![disk]));
    let report = played(&scenario, 3);
    near(mean(&report, "station.threads"), 0.6, 0.02);
    // Three stages of 5 ms: an Erlang-3 service time, whose squared variation is a third (Pollaczek and Khinchine).
    near(mean(&report, "station.queue"), 0.6 * 0.6 * (1.0 + 1.0 / 3.0) / 2.0 / 0.4, 0.08);
    near(mean(&report, "disk.threads") * f64::from(u32::MAX), 40.0 * 0.005, 0.04);
}

/// Used as much, as quick, and overwhelmed by as much.
#[test]
fn a_scaled_scenario_is_like_the_full_one() {
    let mut full = station(10.0, 700.0, 150);
    full.services[0].threads = 100;
    for scale in [1.0, 0.1, 0.04] {
        let report = played(&full.scaled(scale), 1);
        near(mean(&report, "station.cpu"), 0.7, 0.05);
        near(mean(&report, "people.demand"), 700.0 * scale, 0.05);
        near(mean(&report, "station.p50"), 0.007, 0.15);
        near(mean(&report, "station.p99"), 0.047, 0.15);
    }
    full.clients[0].demand[0].1 = 1_300.0;
    full.services[0].backlog = 200;
    for scale in [1.0, 0.1] {
        let report = played(&full.scaled(scale), 1);
        near(mean(&report, "people.goodput"), 1_000.0 * scale, 0.06);
        near(mean(&report, "station.queue"), 200.0 * scale, 0.25);
    }
}

#[test]
fn equal_seeds_are_equal_runs() {
    let scenario = station(2.0, 100.0, 20);
    let [one, same, other] = [1, 1, 2].map(|seed| played(&scenario, seed).hash);
    assert_eq!(one, same);
    assert_ne!(one, other);
}
