//! The fleet in a world of few machines: who is placed where, who is killed and why, and what operators change.

#![allow(clippy::unwrap_used)]

use super::nodes::{Node, Seat, resources};
use super::*;
use crate::choice::{Choice, Source};
use crate::scenario::{NOTHING, call, empty, people, route, service};
use crate::{Component, Report, play};
use model::fleet::Resources;
use model::scenario::{Action, Compartment, Fault, Spread, Those, Trouble};
use model::{FleetPreset, Preset};
use std::time::Duration;

const fn s(second: u64) -> Moment {
    Moment::from_millis(second * 1000)
}

fn compartment(nodes: u32, cores: f64) -> Compartment {
    Compartment { name: "main".to_owned(), nodes, cores, memory_mib: 65_536.0, may_borrow_from: Vec::new() }
}

/// People who ask `app` for 50 ms of work, so many a second, for so many seconds; four machines of four cores.
fn scenario(instances: u32, rate: f64, seconds: u64) -> Scenario {
    let mut scenario = empty("fleet", Duration::from_secs(seconds));
    scenario.compartments.push(compartment(4, 4.0));
    let work = route(Spread::Exponential(Duration::from_millis(50)), NOTHING, Vec::new());
    let mut app = service("app", (instances, 1.0), vec![work]);
    app.compartment = Some(0);
    app.threads = 20;
    app.backlog = 400;
    scenario.services.push(app);
    scenario.clients.push(people(rate, Duration::from_secs(3)));
    scenario
}

fn with(scenario: &Scenario, fleet: FleetPreset) -> Report {
    play(scenario, &Choice::preset(scenario, Preset::Default, fleet).with_operators(true), 1)
}

fn order(at: u64, what: Deed) -> Action {
    Action { at: s(at), what }
}

fn last(report: &Report, series: &str) -> f32 {
    *report.series[series].last().unwrap()
}

fn at(report: &Report, series: &str, second: usize) -> f32 {
    report.series[series][second]
}

fn total(report: &Report, series: &str) -> f32 {
    report.series[series].iter().sum()
}

fn fine(report: &Report) {
    assert_eq!(report.broken, Vec::<String>::new());
}

#[test]
fn what_is_reserved_comes_and_goes_and_never_exceeds_a_machine() {
    let mut nodes = Nodes::new(&[compartment(2, 4.0)]);
    let seat = |node, cores| Seat { node: Some(node), reserved: resources(cores, 1.0) };
    assert!(nodes.sit(1, 0, seat(0, 3.0)) && nodes.sit(2, 0, seat(0, 1.0)));
    assert!(!nodes.sit(3, 0, seat(0, 0.001)), "it is full");
    assert!(nodes.sit(3, 0, seat(1, 4.0)));
    assert_eq!(nodes.reserved(0), 1.0);
    assert!(nodes.resize(1, resources(2.0, 1.0)) && !nodes.resize(2, resources(2.5, 1.0)));
    assert!(nodes.has_room(0, resources(1.0, 1.0)) && !nodes.has_room(0, resources(1.1, 1.0)));
    nodes.leave(3);
    nodes.leave(3);
    assert_eq!(nodes.reserved(0), 3.0 / 8.0);
    assert_eq!(nodes.lose(0, 1), Vec::<u32>::new(), "the last one, which is empty");
    assert_eq!(nodes.reserved(0), 3.0 / 4.0);
    assert_eq!(nodes.lose(0, 5), [1, 2]);
    assert!(!nodes.has_room(0, Resources::NONE) && nodes.reserved(0) == 0.0);
    assert!(nodes.all().iter().all(|n: &Node| n.room() == Resources::NONE));
}

#[test]
fn who_finds_no_room_waits_for_a_machine() {
    let mut scenario = scenario(14, 20.0, 60);
    scenario.operators =
        vec![order(10, Deed::Scale(0, 4)), order(30, Deed::AddNodes(0, 1)), order(50, Deed::Scale(0, -8))];
    let report = with(&scenario, FleetPreset::Off);
    fine(&report);
    assert_eq!(at(&report, "app.unplaced", 8), 0.0);
    assert_eq!(at(&report, "app.unplaced", 20), 2.0);
    assert_eq!(at(&report, "main.reserved", 20), 1.0);
    assert_eq!(at(&report, "app.unplaced", 40), 0.0);
    assert_eq!((at(&report, "app.ready", 40), last(&report, "app.ready")), (18.0, 10.0));
    let refused = report.log.iter().find_map(|e| match e.what {
        Occurrence::Unplaced { count, reason, .. } => Some((e.at, count, reason)),
        _ => None,
    });
    assert_eq!(refused, Some((s(10), 2, "compartment-full")));
}

#[test]
fn who_is_not_critical_is_stopped_by_people_or_gives_way() {
    let mut scenario = scenario(8, 20.0, 60);
    let mut batch = service("batch", (8, 1.0), vec![route(NOTHING, NOTHING, Vec::new())]);
    batch.compartment = Some(0);
    batch.critical = false;
    scenario.services.push(batch);
    scenario.operators = vec![order(10, Deed::Scale(0, 4))];
    let plain = with(&scenario, FleetPreset::Off);
    fine(&plain);
    assert_eq!((last(&plain, "app.unplaced"), last(&plain, "batch.ready")), (4.0, 8.0));
    let ours = with(&scenario, FleetPreset::Default);
    fine(&ours);
    assert_eq!((last(&ours, "app.unplaced"), last(&ours, "app.ready")), (0.0, 12.0));
    scenario.operators.push(order(30, Deed::StopNonCritical(0, Share::percent(30))));
    let by_hand = with(&scenario, FleetPreset::Off);
    fine(&by_hand);
    assert_eq!(
        (last(&by_hand, "app.ready"), last(&by_hand, "batch.ready")),
        (11.0, 5.0),
        "3 of 8, rounded up"
    );
}

#[test]
fn what_a_lost_machine_carried_is_started_elsewhere() {
    let mut scenario = scenario(12, 20.0, 40);
    scenario.faults.push(Fault { at: s(10), lasts: None, what: Trouble::LoseNodes(0, 1) });
    let report = with(&scenario, FleetPreset::Off);
    fine(&report);
    assert_eq!((at(&report, "app.ready", 8), last(&report, "app.ready")), (12.0, 12.0));
    assert_eq!((at(&report, "main.reserved", 8), last(&report, "main.reserved")), (0.75, 1.0));
    let starts = report.log.iter().filter(|e| matches!(e.what, Occurrence::Starting { .. })).count();
    assert_eq!(starts, 3);
}

/// Twice what the instances can do, for two minutes; one hangs before that.
fn overload() -> Scenario {
    let mut scenario = scenario(8, 60.0, 240);
    scenario.services[0].start.takes = Duration::from_secs(10);
    scenario.clients[0].demand = vec![(s(60), 60.0), (s(61), 320.0), (s(200), 320.0), (s(201), 60.0)];
    let hang = Trouble::Hang(Those { service: 0, count: Some(1) });
    scenario.faults.push(Fault { at: s(20), lasts: None, what: hang });
    scenario
}

#[test]
fn who_hangs_is_killed_and_who_is_busy_is_not() {
    let ours = with(&overload(), FleetPreset::Default);
    fine(&ours);
    assert_eq!((total(&ours, "app.kills"), total(&ours, "app.progressing-killed")), (1.0, 0.0));
    let killed = ours.log.iter().find_map(|e| match e.what {
        Occurrence::Killed { instance, reason, .. } => Some((e.at, instance, reason)),
        _ => None,
    });
    let (at, instance, reason) = killed.unwrap();
    assert!(at <= s(51) && (instance, reason) == (0, "hung"), "{at:?}");
}

#[test]
fn probes_through_the_app_kill_the_busy() {
    let others = with(&overload(), FleetPreset::KubernetesHpa);
    fine(&others);
    assert!(total(&others, "app.progressing-killed") > 8.0);
    let nobody = with(&overload(), FleetPreset::Off);
    fine(&nobody);
    assert_eq!(total(&nobody, "app.kills"), 0.0);
}

#[test]
fn the_autoscaler_follows_what_is_offered() {
    let mut scenario = scenario(4, 40.0, 300);
    scenario.services[0].range = Some((2, 12));
    scenario.services[0].start.takes = Duration::from_secs(10);
    scenario.clients[0].demand = vec![(s(100), 40.0), (s(130), 120.0)];
    let report = with(&scenario, FleetPreset::Default);
    fine(&report);
    let ready = last(&report, "app.ready");
    assert!((8.0..=12.0).contains(&ready), "120/s at 20/s each: {ready}");
    let up = report.log.iter().find(|e| matches!(e.what, Occurrence::Scaled { from, to, .. } if to > from));
    assert!(up.is_some_and(|e| e.at > s(100) && e.at < s(135)), "{up:?}");
    assert!(last(&report, "site.success") > 0.99);
}

#[test]
fn components_of_the_fleet_are_swapped_one_by_one() {
    let mut scenario = overload();
    scenario.fleet = FleetPreset::KubernetesHpa;
    let swapped = Choice::own(&scenario).with(Component::Watchdog, Source::DEFAULT);
    assert_eq!(swapped.fleet().watchdog, Some(fleet::Watchdog::default()));
    assert_eq!(swapped.fleet().autoscale, Some(fleet::Autoscale::kubernetes()));
    let report = play(&scenario, &swapped, 1);
    fine(&report);
    assert_eq!(total(&report, "app.progressing-killed"), 0.0);
}

#[test]
fn a_seed_gives_one_history() {
    let mut scenario = overload();
    scenario.lasts = Duration::from_secs(80);
    let hash = |seed| play(&scenario, &Choice::from(&scenario, Source::DEFAULT), seed).hash;
    assert_eq!(hash(3), hash(3));
    assert_ne!(hash(3), hash(4));
}

/// An instance that warms up reads a hundred times for 8 ms from a store with one thread, with 32 ms between two.
fn warm_ups() -> Scenario {
    let mut scenario = scenario(2, 10.0, 60);
    let works = |millis| Spread::Fixed(Duration::from_millis(millis));
    scenario.services.push(service("store", (1, 1.0), vec![route(works(8), NOTHING, Vec::new())]));
    scenario.services[1].threads = 1;
    scenario.services.push(service("cache", (1, 8.0), vec![route(NOTHING, works(32), Vec::new())]));
    scenario.services[0].start.warm_up = (0..100).flat_map(|_| [call(1), call(2)]).collect();
    scenario.operators = vec![order(5, Deed::Scale(0, 12))];
    scenario
}

#[test]
fn instances_that_warm_up_take_turns() {
    let scenario = warm_ups();
    let busiest = |report: &Report| report.series["store.cpu"].iter().copied().fold(0.0, f32::max);
    let report = with(&scenario, FleetPreset::Default);
    fine(&report);
    // A fifth of the store each, and four of them fit into four fifths.
    assert!((0.7..=0.81).contains(&busiest(&report)), "{}", busiest(&report));
    assert_eq!((at(&report, "app.ready", 12), last(&report, "app.ready")), (6.0, 14.0));
    let begun = |e: &crate::report::Entry| match e.what {
        Occurrence::WarmUps { begin, waiting, reason, .. } => Some((begin, waiting, reason)),
        _ => None,
    };
    let first = report.log.iter().find_map(begun);
    assert_eq!(first, Some((4, 8, "dependency-headroom")));
    // Nobody counts them out where nobody looks at headroom.
    let report = with(&scenario, FleetPreset::Allegro2018);
    fine(&report);
    assert!(busiest(&report) > 0.99 && last(&report, "app.ready") == 14.0);
    assert_eq!(report.log.iter().find_map(begun), None);
}
