//! What is told to the recorder stands in the report, in its second.

use super::*;
use crate::samples::scenario;

fn recorder(services: usize) -> Recorder {
    let scenario = scenario(services);
    Recorder::new(&scenario, &Choice::own(&scenario), 7)
}

fn tick(recorder: &mut Recorder) {
    let gauges = ServiceGauges { queue: 4, ready: 2, ..Default::default() };
    recorder.tick(|_| gauges, |_| CompartmentGauges::default());
}

fn ms(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

#[test]
fn success_belongs_to_the_second_of_sending() {
    let mut recorder = recorder(1);
    recorder.on_request(ms(500), 0, Coming::First);
    recorder.on_request(ms(600), 0, Coming::Again);
    recorder.on_request(ms(700), 1, Coming::First);
    tick(&mut recorder);
    recorder.on_outcome(ms(1500), 0, ms(500), Outcome::Success);
    recorder.on_outcome(ms(1500), 0, ms(600), Outcome::TimedOut);
    recorder.on_outcome(ms(1500), 1, ms(700), Outcome::Success);
    for _ in 0..11 {
        tick(&mut recorder);
    }
    let report = recorder.finish();
    assert_eq!(report.broken, Vec::<String>::new());
    assert_eq!(report.series["site.demand"][..2], [2.0, 0.0]);
    assert_eq!(report.series["site.goodput"][..2], [0.0, 1.0]);
    assert_eq!(report.series["site.useful"][..2], [1.0, 0.0]);
    assert_eq!(report.series["site.success"][0], 0.5);
    assert_eq!(report.series["site.success"][9], 0.5, "ten seconds are remembered");
    assert!(report.series["site.success"][10].is_nan());
    assert_eq!(report.series["bots.success"][0], 1.0);
    assert_eq!((report.series["humans.demand"][0], report.series["humans.reloads"][0]), (1.0, 1.0));
    assert!((report.series["site.p50"][1] - 1.0).abs() < 0.03);
    assert_eq!(report.outcomes, BTreeMap::from([(Outcome::Success, 2), (Outcome::TimedOut, 1)]));
}

#[test]
fn every_series_that_is_promised_is_there() {
    let mut recorder = recorder(1);
    recorder.compartments.push(Default::default());
    recorder.report.compartments.push("main".to_owned());
    tick(&mut recorder);
    let report = recorder.finish();
    for (name, _) in crate::report::SERIES {
        let name = name.replace("SERVICE", "s0").replace("COMPARTMENT", "main").replace("CLIENTS", "bots");
        assert_eq!(report.series.get(&name).map(Vec::len), Some(1), "{name}");
    }
    assert_eq!(report.series.len(), crate::report::SERIES.len() + 5, "clients come twice");
}

#[test]
fn attempts_are_counted_for_each_call() {
    let mut recorder = recorder(2);
    for at in [1, 2, 3, 4] {
        recorder.on_call(ms(at), 0);
        recorder.on_attempt(ms(at), 0);
    }
    recorder.on_attempt(ms(9), 0);
    recorder.on_call_ended(ms(10), 0, Duration::from_millis(9));
    recorder.on_note(ms(10), None, 0, (Change::Resting, Cause::Slowness));
    recorder.on_note(ms(20), None, 0, (Change::Resting, Cause::Slowness));
    tick(&mut recorder);
    tick(&mut recorder);
    let report = recorder.finish();
    assert_eq!(report.series["s0.calls"], [4.0, 0.0]);
    assert_eq!(report.series["s0.attempts"], [1.25, 1.25]);
    assert_eq!(report.series["site.attempts"], [1.25, 1.25]);
    assert!(report.series["s1.attempts"][0].is_nan());
    assert!((report.series["s0.p99"][0] - 0.009).abs() < 0.0003);
    assert_eq!((report.series["s0.queue"][0], report.series["s0.ready"][0]), (4.0, 2.0));
    assert_eq!(report.series["site.rests"], [2.0, 0.0]);
    assert_eq!(report.log.len(), 1, "the first note of a minute");
}

#[test]
fn a_kill_is_counted_by_what_its_victim_was_like() {
    let mut recorder = recorder(1);
    let victim = |seconds, progressing| Victim { healthy_for: Duration::from_secs(seconds), progressing };
    recorder.on_kill(ms(1), 0, 3, "unresponsive", victim(59, true));
    recorder.on_kill(ms(1), 0, 4, "unresponsive", victim(60, false));
    tick(&mut recorder);
    let report = recorder.finish();
    let of = |name: &str| report.series[name][0];
    assert_eq!((of("s0.kills"), of("s0.killed-young"), of("s0.progressing-killed")), (2.0, 1.0, 1.0));
    assert_eq!(report.log.len(), 2);
}

#[test]
fn what_is_lost_is_a_broken_promise() {
    let mut recorder = recorder(1);
    recorder.on_request(ms(1), 0, Coming::First);
    let report = recorder.finish();
    assert_eq!(report.broken, ["every request has one outcome: 1 were sent, 0 ended"]);
}

#[test]
fn a_large_scenario_has_series_of_a_few() {
    let recorder = recorder(10_000);
    assert_eq!(recorder.services.len(), 1);
    let mut recorder = recorder;
    recorder.on_call(ms(1), 9_999);
    tick(&mut recorder);
    let report = recorder.finish();
    assert_eq!(report.series["site.calls"], [1.0]);
    assert!(!report.series.contains_key("s9999.calls"));
}

#[test]
fn the_hash_sees_times_and_order() {
    let hash = |events: &[(u64, usize)]| {
        let mut recorder = recorder(2);
        events.iter().for_each(|(at, service)| recorder.on_attempt(ms(*at), *service));
        recorder.finish().hash
    };
    assert_eq!(hash(&[(1, 0), (1, 1)]), hash(&[(1, 0), (1, 1)]));
    assert_ne!(hash(&[(1, 0), (1, 1)]), hash(&[(1, 1), (1, 0)]));
    assert_ne!(hash(&[(1, 0)]), hash(&[(2, 0)]));
}
