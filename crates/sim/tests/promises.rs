//! Many seeds of anything: nothing is lost, nothing is answered twice, nothing unsafe is carried out twice; and the
//! published test of balancers comes out as published.

#![allow(clippy::unwrap_used)]

use model::scenario::{Fault, Scenario, Those, Trouble};
use model::{Moment, Preset, Share};
use sim::report::Outcome;
use sim::scenario::anything;
use sim::{Choice, Report, play, play_with_tape};

fn requests(report: &Report) -> u64 {
    report.outcomes.values().sum()
}

/// The share of those that have ended.
fn successes(report: &Report) -> f64 {
    let unfinished = report.outcomes.get(&Outcome::Unfinished).copied().unwrap_or(0);
    report.outcomes[&Outcome::Success] as f64 / (requests(report) - unfinished) as f64
}

/// The published test of balancers.
fn slow_back_end() -> Scenario {
    let text = include_str!("../../../scenarios/slow-back-end.toml");
    wire::files::decode_scenario(text, "slow-back-end.toml").unwrap()
}

#[test]
fn a_swarm_of_seeds_breaks_no_promise() {
    let (mut sent, mut events, mut refused, mut late) = (0, 0, 0, 0);
    for seed in 0..60 {
        let (scenario, choice) = anything(seed);
        let report = play(&scenario, &choice, seed);
        assert_eq!(report.broken, [] as [String; 0], "sim::scenario::anything({seed})");
        sent += requests(&report);
        events += report.events;
        refused += report
            .outcomes
            .iter()
            .filter(|(o, _)| matches!(o, Outcome::Refused(_)))
            .map(|o| o.1)
            .sum::<u64>();
        late += report.outcomes.get(&Outcome::TimedOut).copied().unwrap_or(0);
    }
    // The swarm is worth something only if it was busy and not everything went well.
    assert!(
        sent > 50_000 && events > 4 * sent && refused > 3_000 && late > 3_000,
        "{sent} {events} {refused} {late}"
    );
}

#[test]
fn the_same_seed_is_the_same_run_and_its_tape_plays_again() {
    for seed in 0..12 {
        let (scenario, choice) = anything(seed);
        let (one, tape) = play_with_tape(&scenario, &choice, seed);
        let (two, same) = play_with_tape(&scenario, &choice, seed);
        assert_eq!((one.hash, one.events, &one.outcomes), (two.hash, two.events, &two.outcomes));
        assert!(tape == same, "the tapes of seed {seed} differ");
        assert_eq!(play(&scenario, &choice, seed).hash, one.hash, "who listens changes nothing");
        let steps = tape.matches(" next ").count();
        assert!(steps > 100, "{steps}");
        assert_eq!(policy::tape::replay(tape.lines()), Ok(steps), "seed {seed}");
    }
}

fn with(scenario: &Scenario, preset: Preset) -> Report {
    let report = play(scenario, &Choice::preset(scenario, preset, scenario.fleet), 1);
    assert_eq!(report.broken, [] as [String; 0]);
    report
}

#[test]
fn one_of_eleven_slow() {
    let presets = [Preset::RoundRobin, Preset::Pick, Preset::PickAndBreaker, Preset::Default];
    let shares = presets.map(|preset| successes(&with(&slow_back_end(), preset)));
    // Published: 95 % and 99.9 %; ours with all defaults must be above that.
    assert!((0.953..0.957).contains(&shares[0]), "{shares:?}");
    assert!((0.998..1.0).contains(&shares[1]), "{shares:?}");
    assert!(shares[2] >= 0.9995 && shares[3] >= 0.9995, "{shares:?}");
}

/// Instances that fail at once look idle: without a defence they would get every second call or more.
#[test]
fn one_that_fails_fast_is_taken_out() {
    let mut scenario = slow_back_end();
    let one = Those { service: 0, count: Some(1) };
    let fault = |what| Fault { at: Moment::ZERO, lasts: None, what };
    scenario.faults = vec![
        fault(Trouble::Delay(one, std::time::Duration::from_millis(1))),
        fault(Trouble::Fail(one, Share::percent(60))),
    ];
    let report = with(&scenario, Preset::Default);
    assert!(successes(&report) > 0.995, "{:?}", report.outcomes);
    let failed: f32 = report.series["back-end.failed"].iter().sum();
    assert!((5.0..400.0).contains(&failed), "{failed}");
}
