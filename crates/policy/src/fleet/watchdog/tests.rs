//! Who is killed, who is spared, and when, second by second.

#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

const fn at(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

fn probe(failures: u32, answered: Option<u64>) -> Probe {
    Probe { due: at(0), failures, answered: answered.map(at) }
}

fn seen(instance: u32, completed: u64, failures: u32) -> Seen {
    let (service, instance) = (ServiceKey(1), InstanceKey(instance));
    let probe = probe(failures, Some(completed));
    Seen { service, instance, started: at(0), completed: Some(at(completed)), probe, shed: true }
}

fn kills(acts: &[Act]) -> usize {
    acts.iter().filter(|act| act.verdict == Verdict::Kill).count()
}

#[test]
fn who_completes_requests_is_never_killed_however_often_its_probe_fails() {
    let mut watchdog = Kills::default();
    let busy = Seen { shed: false, ..seen(1, 99_000, 50) };
    let acts = watchdog.plan(&Watchdog::default(), at(100_000), &[busy]);
    assert_eq!((acts[0].verdict, acts[0].reason), (Verdict::Spare, Reason::Progressing));
    // The same instance under the rule of others.
    let acts = watchdog.plan(&Watchdog::kubernetes(), at(100_000), &[busy]);
    assert_eq!((acts[0].verdict, acts[0].reason), (Verdict::Kill, Reason::ProbeFailed));
}

/// Plays probes and plans, a second apart, against an instance that hangs at `hangs`; answers when it is killed.
fn killed_at(rule: &Watchdog, hangs: u64, idle: bool) -> Option<u64> {
    let mut watchdog = Kills::default();
    let mut it = Seen { shed: false, ..seen(1, 0, 0) };
    it.probe = Probe::begin(at(3_300));
    let mut waits: Option<u64> = None;
    for ms in (0..hangs + 400_000).step_by(100) {
        let now = at(ms);
        if ms < hangs && !idle {
            it.completed = Some(now);
        }
        if now >= it.probe.next_wakeup() {
            it.probe.on_sent(rule, now);
            if ms < hangs {
                it.probe.on_answer(now);
            } else {
                waits = Some(ms + rule.timeout.as_millis() as u64);
            }
        }
        if waits.is_some_and(|until| ms >= until) {
            it.probe.on_failure(rule, it.started, now);
            waits = None;
        }
        if ms % 1000 == 700 {
            for act in watchdog.plan(rule, now, &[it]) {
                match act.verdict {
                    Verdict::Kill => return Some(ms),
                    Verdict::Shed => it.shed = true,
                    Verdict::Readmit => it.shed = false,
                    Verdict::Spare => {}
                }
            }
        }
    }
    None
}

#[test]
fn who_truly_hangs_is_found_within_thirty_seconds() {
    let ours = Watchdog::default();
    for hangs in (20_000..30_000).step_by(700) {
        for idle in [false, true] {
            let killed = killed_at(&ours, hangs, idle).unwrap();
            assert!((20_000..=30_000).contains(&(killed - hangs)), "{hangs} {idle}: {killed}");
        }
    }
    let killed = killed_at(&Watchdog::marathon(), 20_000, false).unwrap();
    assert!((140_000..=200_000).contains(&(killed - 20_000)), "three probes a minute apart: {killed}");
}

#[test]
fn new_requests_are_kept_away_first_and_come_back_with_the_first_answer() {
    let (mut watchdog, rule) = (Kills::default(), Watchdog::default());
    let stuck = Seen { shed: false, ..seen(1, 10_000, 1) };
    assert_eq!(watchdog.plan(&rule, at(24_900), &[stuck]), []);
    assert_eq!(watchdog.plan(&rule, at(25_000), &[stuck])[0].verdict, Verdict::Shed);
    let again = Seen { completed: Some(at(30_000)), shed: true, ..stuck };
    let act = watchdog.plan(&rule, at(30_500), &[again])[0];
    assert_eq!((act.verdict, act.reason), (Verdict::Readmit, Reason::ProgressAgain));
}

#[test]
fn before_its_first_success_nobody_is_killed_for_ten_minutes() {
    let (mut watchdog, rule) = (Kills::default(), Watchdog::default());
    let mut new = Seen { completed: None, probe: Probe::begin(at(5_000)), shed: false, ..seen(1, 0, 0) };
    for failed in (5_000..599_000).step_by(5_000) {
        new.probe.on_failure(&rule, new.started, at(failed));
        assert_eq!(watchdog.plan(&rule, at(failed), &[new]), []);
    }
    for failed in [600_000, 605_000, 610_000] {
        new.probe.on_failure(&rule, new.started, at(failed));
    }
    let act = watchdog.plan(&rule, at(610_000), &[new])[0];
    assert_eq!((act.verdict, act.reason), (Verdict::Kill, Reason::NeverStarted));
    // Marathon's grace ends with the first success.
    let rule = Watchdog::marathon();
    new.probe = probe(0, Some(60_000));
    new.probe.on_failure(&rule, new.started, at(120_000));
    assert_eq!(new.probe.failures(), 1);
}

#[test]
fn a_service_loses_a_tenth_in_a_minute_and_those_silent_for_longest_first() {
    let (mut watchdog, rule) = (Kills::default(), Watchdog::default());
    let all: Vec<Seen> = (0..200)
        .map(|i| if i < 40 { seen(i, 50_000 - u64::from(i), 3) } else { seen(i, 99_999, 0) })
        .map(|s| Seen { shed: s.probe.failures > 0, ..s })
        .collect();
    let acts = watchdog.plan(&rule, at(100_000), &all);
    assert_eq!(kills(&acts), 20);
    assert_eq!((acts[0].instance, acts[0].verdict), (InstanceKey(39), Verdict::Kill));
    assert_eq!(acts.iter().filter(|a| a.reason == Reason::KillBudget).count(), 20);
    assert_eq!(kills(&watchdog.plan(&rule, at(159_999), &all)), 0);
    assert_eq!(kills(&watchdog.plan(&rule, at(160_000), &all)), 20);
}

#[test]
fn in_a_panic_patience_is_twice_as_long_and_what_all_have_is_not_killed() {
    let (mut watchdog, rule) = (Kills::default(), Watchdog::default());
    let mut all: Vec<Seen> = (0..10).map(|i| seen(i, 50_000, 3)).collect();
    for healthy in &mut all[..6] {
        *healthy = Seen { shed: false, ..seen(healthy.instance.0, 100_000, 0) };
    }
    // Four of ten are silent.
    let acts = watchdog.plan(&rule, at(108_999), &all);
    assert!(acts.iter().all(|a| a.reason == Reason::ClusterPanic), "{acts:?}");
    assert_eq!(kills(&watchdog.plan(&rule, at(109_000), &all)), 1);
    // All of them.
    let all: Vec<Seen> = (0..10).map(|i| seen(i, 50_000, 3)).collect();
    assert_eq!(kills(&Kills::default().plan(&rule, at(900_000), &all)), 0);
    // Two services of one instance each, both hung, are no panic.
    let two = [all[0], Seen { service: ServiceKey(2), ..all[1] }];
    assert_eq!(kills(&Kills::default().plan(&rule, at(80_000), &two)), 2);
}

proptest! {
    #[test]
    fn never_more_kills_than_allowed_and_never_one_that_progresses(
        fleet in prop::collection::vec((0u32..4, 0u64..120_000, 0u32..6, any::<bool>()), 1..80),
        seconds in 1u64..200,
    ) {
        let rule = Watchdog::default();
        let (mut one, mut two) = (Kills::default(), Kills::default());
        let fleet: Vec<Seen> = fleet
            .into_iter()
            .enumerate()
            .map(|(i, (service, completed, failures, shed))| {
                Seen { service: ServiceKey(service), shed, ..seen(i as u32, completed, failures) }
            })
            .collect();
        let mut killed: Vec<(u64, ServiceKey)> = Vec::new();
        for second in 0..seconds {
            let now = at(100_000 + second * 1000);
            let acts = one.plan(&rule, now, &fleet);
            prop_assert_eq!(&acts, &two.plan(&rule, now, &fleet));
            for act in acts.iter().filter(|a| a.verdict == Verdict::Kill) {
                let dead = fleet.iter().find(|s| s.instance == act.instance).unwrap();
                prop_assert!(now.since(dead.completed.unwrap()) >= Duration::from_secs(29));
                killed.push((second, act.service));
            }
            for service in 0..4 {
                let service = ServiceKey(service);
                let of = fleet.iter().filter(|s| s.service == service).count();
                let lately = killed.iter().filter(|(at, s)| *s == service && second - at < 60).count();
                prop_assert!(lately <= (of / 10).max(1));
            }
        }
    }
}
