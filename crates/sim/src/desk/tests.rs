//! A draw more in one policy changes the runs in which that policy decides something, and no others.
#![allow(clippy::unwrap_used)]

use crate::{Choice, play};
use model::scenario::{Fault, Scenario, Those, Trouble};
use model::{Moment, Preset, Share};
use policy::{Dice, Purpose, Streams};
use std::cell::Cell;
use std::time::Duration;

thread_local! {
    /// The policy that draws once more than it does today, on this thread.
    static ONE_MORE: Cell<Option<Purpose>> = const { Cell::new(None) };
}

/// What new dice have been used for before a policy gets them: nothing, unless a test wants it.
pub(super) fn draw_before(dice: &mut Streams) {
    if let Some(purpose) = ONE_MORE.get() {
        dice.draw(purpose);
    }
}

fn hash(scenario: &Scenario, preset: Preset, one_more: Option<Purpose>) -> u64 {
    ONE_MORE.set(one_more);
    let report = play(scenario, &Choice::preset(scenario, preset, scenario.fleet), 3);
    ONE_MORE.set(None);
    assert_eq!(report.broken, [] as [String; 0]);
    report.hash
}

/// The published test of balancers, shorter.
fn short() -> Scenario {
    let text = include_str!("../../../../scenarios/slow-back-end.toml");
    let mut scenario = wire::files::decode_scenario(text, "slow-back-end.toml").unwrap();
    scenario.lasts = Duration::from_secs(20);
    scenario
}

/// One instance fails now and then, so that there is something to try again after a wait.
fn failing() -> Scenario {
    let mut scenario = short();
    let one = Those { service: 0, count: Some(1) };
    let what = Trouble::Fail(one, Share::percent(60));
    scenario.faults = vec![Fault { at: Moment::ZERO, lasts: None, what }];
    scenario
}

/// One instance dies and another takes its place.
fn newcomer() -> Scenario {
    let mut scenario = short();
    scenario.services[0].start.takes = Duration::from_secs(2);
    let what = Trouble::Kill(Those { service: 0, count: Some(1) });
    scenario.faults = vec![Fault { at: Moment::from_millis(3_000), lasts: None, what }];
    scenario
}

/// Each policy with a run in which it draws, and one in which it does not.
#[test]
fn a_draw_more_in_one_policy_leaves_the_other_hashes_alone() {
    let cases = [
        (Purpose::Pick, (short(), Preset::Pick), (short(), Preset::RoundRobin)),
        (Purpose::BackOff, (newcomer(), Preset::Default), (short(), Preset::Default)),
        (Purpose::Probe, (failing(), Preset::Default), (short(), Preset::Pick)),
        (Purpose::SlowStart, (newcomer(), Preset::Default), (short(), Preset::Default)),
    ];
    for (purpose, (with, uses), (without, does_not)) in cases {
        assert_eq!(hash(&without, does_not, None), hash(&without, does_not, Some(purpose)), "{purpose:?}");
        assert_ne!(hash(&with, uses, None), hash(&with, uses, Some(purpose)), "{purpose:?} is never drawn");
    }
}
