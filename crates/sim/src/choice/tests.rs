//! What a choice of policies resolves to, and what it is called.

#![allow(clippy::unwrap_used)]

use super::*;
use std::time::Duration;

fn of(policies: Preset, base: Source) -> Choice {
    Choice { own: (policies, FleetPreset::Default), base, swaps: Vec::new(), operators: false, shuffle: None }
}

#[test]
fn it_says_what_it_is() {
    let own = of(Preset::LeastLoaded, Source::Own);
    assert_eq!(own.to_string(), "least-loaded + default fleet");
    assert_eq!(
        own.with(Component::Watchdog, Source::DEFAULT).to_string(),
        "least-loaded + default fleet with watchdog"
    );
    let ours = of(Preset::Allegro2018, Source::DEFAULT);
    assert_eq!(ours.to_string(), "default");
    assert_eq!(ours.clone().with(Component::Retry, Source::Own).to_string(), "default without retry");
    let two = ours.with(Component::Retry, Source::Own).with(Component::Pick, Source::Own);
    assert_eq!(two.to_string(), "default without retry and without pick");
}

#[test]
fn a_swap_changes_its_component_and_no_other() {
    let own = Preset::Allegro2018.settings();
    let ours = of(Preset::Allegro2018, Source::DEFAULT);
    assert_eq!(ours.settings(&own), Settings::default());
    let swapped = ours.clone().with(Component::Pick, Source::Own).settings(&own);
    assert_eq!((swapped.balancing, swapped.panic), (own.balancing, own.panic));
    assert_eq!(
        Settings { balancing: Default::default(), panic: Share::percent(50), ..swapped },
        Settings::default()
    );
    let fleet = ours.with(Component::Watchdog, Source::Own);
    assert_eq!(fleet.settings(&own), Settings::default());
    assert_eq!(fleet.source(Component::Watchdog), Source::Own);
    assert_eq!(fleet.source(Component::Autoscale), Source::DEFAULT);
}

#[test]
fn a_swap_back_is_none() {
    let ours = of(Preset::Allegro2018, Source::DEFAULT);
    let back = ours.clone().with(Component::Retry, Source::Own).with(Component::Retry, Source::DEFAULT);
    assert_eq!(back, ours);
}

#[test]
fn a_retry_that_is_swapped_in_keeps_the_time_of_a_try() {
    let s = Duration::from_secs;
    let mut own = Preset::Allegro2018.settings();
    own.retry.as_mut().unwrap().try_timeout = Some(s(1));
    own.timeouts.total = s(8);
    let added = of(Preset::Allegro2018, Source::Own).with(Component::Retry, Source::DEFAULT).settings(&own);
    assert_eq!(added.timeouts.total, s(8));
    let retry = added.retry.unwrap();
    assert_eq!((retry.tries, retry.try_timeout, retry.budget), (2, Some(s(1)), Some(Share::percent(10))));
    let dropped = of(Preset::Allegro2018, Source::DEFAULT).with(Component::Retry, Source::Own).settings(&own);
    assert_eq!(dropped.timeouts.total, s(15));
    assert_eq!(dropped.retry.unwrap().try_timeout, Some(s(1)));
}

#[test]
fn words_name_components() {
    for component in Component::ALL {
        assert_eq!(Component::from_word(component.word()), Some(component));
    }
    assert_eq!(Component::from_word("luck"), None);
}
