//! Fitted parameters move within their share, and facts stay.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::samples;
use model::Moment;
use model::scenario::Fault;
use model::scenario::{Those, Trouble};

fn scenario() -> Scenario {
    let mut scenario = samples::scenario(2);
    scenario.services[0].instances = 40;
    scenario.services[0].range = Some((40, 200));
    scenario.services[1].backlog = u32::MAX;
    scenario.clients[0].demand = vec![(Moment::ZERO, 1000.0), (Moment::from_millis(1), 1500.0)];
    scenario.faults.push(Fault {
        at: Moment::from_millis(15_000),
        lasts: None,
        what: Trouble::Kill(Those { service: 0, count: None }),
    });
    scenario
}

#[test]
fn a_seed_gives_one_scenario_and_another_another() {
    let (scenario, share) = (scenario(), Share::percent(20));
    assert_eq!(shuffle(&scenario, share, 1), shuffle(&scenario, share, 1));
    assert_ne!(shuffle(&scenario, share, 1), shuffle(&scenario, share, 2));
    assert_eq!(shuffle(&scenario, Share::NONE, 1), scenario);
}

#[test]
fn figures_are_off_by_the_share_at_most() {
    let scenario = scenario();
    let (mut least, mut most) = (f64::MAX, 0.0f64);
    for seed in 0..200 {
        let shuffled = shuffle(&scenario, Share::percent(20), seed);
        let patience = shuffled.clients[0].patience.as_secs_f64() / 8.0;
        (least, most) = (least.min(patience), most.max(patience));
    }
    assert!((0.8..0.82).contains(&least) && most > 1.18 && most <= 1.2, "{least} {most}");
}

#[test]
fn what_is_no_figure_stays() {
    let scenario = scenario();
    for seed in 0..50 {
        let shuffled = shuffle(&scenario, Share::percent(20), seed);
        assert_eq!((&shuffled.faults, &shuffled.acceptance), (&scenario.faults, &scenario.acceptance));
        assert_eq!((shuffled.starts, shuffled.lasts), (scenario.starts, scenario.lasts));
        assert_eq!(shuffled.services[1].backlog, u32::MAX);
        assert_eq!(shuffled.services[0].start.cold_speed, Share::ALL);
        assert!((40..=48).contains(&shuffled.services[0].instances), "within its range");
        let demand = &shuffled.clients[0].demand;
        assert!((demand[1].1 / demand[0].1 - 1.5).abs() < 1e-9, "its shape stays");
    }
}
