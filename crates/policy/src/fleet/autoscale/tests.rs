//! Fleets of a few services, second by second.

#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

const fn at(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

const CORE: Resources = Resources::new(1_000, 1 << 30);

/// A service whose instances serve 50 calls a second of 200 ms each: 10 in progress, 7 by target.
fn service(key: u32, ready: u32, arrivals: f64) -> Service<'static> {
    Service {
        ready,
        arrivals,
        in_flight: arrivals * 0.2,
        unloaded: Duration::from_millis(200),
        per_instance: 10.0,
        need: CORE,
        ..Service::new(ServiceKey(key))
    }
}

fn room(cores: u64) -> [Room; 1] {
    [Room { compartment: CompartmentKey(0), free: CORE.times(cores) }]
}

fn plan_at(scaler: &mut Autoscaler, rule: &Autoscale, now: Moment, services: &[Service<'_>]) -> Vec<Scale> {
    let observed = Observed { services, dependencies: &[], compartments: &room(1_000_000) };
    scaler.plan(rule, now, &observed)
}

fn once(services: &[Service<'_>], dependencies: &[Dependency], cores: u64) -> Vec<(u32, u32, u32, Reason)> {
    let observed = Observed { services, dependencies, compartments: &room(cores) };
    let plan = Autoscaler::default().plan(&Autoscale::default(), at(0), &observed);
    plan.iter().map(|s| (s.service.0, s.from, s.to, s.reason)).collect()
}

#[test]
fn what_is_shed_counts_as_what_is_served() {
    // 350/s · 0.2 s / 7 = 10.
    assert_eq!(once(&[service(1, 10, 350.0)], &[], 100), []);
    let shed = Service { shed: Share::percent(50), in_flight: 35.0, ..service(1, 5, 350.0) };
    assert_eq!(once(&[shed], &[], 100), [(1, 5, 10, Reason::OfferedConcurrency)]);
    // 2,000 wait: 2,000 · 0.2 s / 30 s = 13.3 more in progress, two instances.
    let waits = Service { queued: 2_000.0, ..service(1, 10, 350.0) };
    assert_eq!(once(&[waits], &[], 100), [(1, 10, 12, Reason::OfferedConcurrency)]);
    // A pool that is full of calls that wait inside the app is a backlog too.
    let stuffed = Service { in_flight: 2_070.0, ..service(1, 10, 350.0) };
    assert_eq!(once(&[stuffed], &[], 100), [(1, 10, 12, Reason::OfferedConcurrency)]);
    // Nothing else says so, yet calls are shed: a tenth more, when all are ready.
    let wrong = Service { shed: Share::percent(5), ..service(1, 20, 350.0) };
    assert_eq!(once(&[wrong], &[], 100), [(1, 20, 22, Reason::StillShedding)]);
    assert_eq!(once(&[Service { ready: 19, starting: 1, ..wrong }], &[], 100), [(1, 20, 20, Reason::Frozen)]);
}

#[test]
fn up_at_once_but_at_most_twofold_in_fifteen_seconds() {
    let (rule, mut scaler) = (Autoscale::default(), Autoscaler::default());
    let mut have = 4;
    let mut trail = Vec::new();
    for second in 0..40 {
        let now = Service { starting: have - 4, ..service(1, 4, 10_000.0) };
        if let Some(scale) = plan_at(&mut scaler, &rule, at(second * 1000), &[now]).first()
            && scale.to != have
        {
            have = scale.to;
            trail.push((second, have));
        }
    }
    assert_eq!(trail, [(0, 8), (16, 16), (32, 32)], "the period begins when the instances are seen");
}

#[test]
fn down_to_the_highest_of_five_minutes_and_a_tenth_a_minute() {
    let (rule, mut scaler) = (Autoscale::default(), Autoscaler::default());
    let mut have = 20;
    let mut trail = Vec::new();
    for second in 0..600 {
        let arrivals = if second == 100 { 350.0 } else { 35.0 };
        for scale in plan_at(&mut scaler, &rule, at(second * 1000), &[service(1, have, arrivals)]) {
            assert_eq!(scale.reason, Reason::NotNeeded);
            have = scale.to;
            trail.push((second, have));
        }
    }
    // Until 300 s somebody had wanted 20.
    assert_eq!(trail[..4], [(301, 18), (362, 16), (423, 14), (484, 12)], "{trail:?}");
}

#[test]
fn nothing_is_given_up_while_the_service_or_its_caller_fails() {
    let calls = [Calls { callee: ServiceKey(2), per_call: 1.0, waiting: 0.0 }];
    for (shed, errors) in [(2, 0), (0, 2)] {
        let (rule, mut scaler) = (Autoscale::default(), Autoscaler::default());
        for second in 0..1_000 {
            let (shed, errors) = (Share::percent(shed), Share::percent(errors));
            let front = Service { calls: &calls, starting: 1, shed, errors, ..service(1, 10, 350.0) };
            let plan = plan_at(&mut scaler, &rule, at(second * 1000), &[front, service(2, 20, 35.0)]);
            let back = plan.iter().find(|s| s.service == ServiceKey(2)).unwrap();
            assert_eq!((back.to, back.reason), (20, Reason::Frozen));
        }
    }
}

#[test]
fn what_a_caller_sheds_would_have_come_to_its_callee() {
    let calls = [Calls { callee: ServiceKey(2), per_call: 2.0, waiting: 0.0 }];
    let front = Service { calls: &calls, shed: Share::percent(50), in_flight: 35.0, ..service(1, 5, 350.0) };
    // 350/s came, 175/s were served and made 350/s at the callee, which will be 700.
    let plan = once(&[front, service(2, 10, 350.0)], &[], 100);
    assert_eq!(plan, [(1, 5, 10, Reason::OfferedConcurrency), (2, 10, 20, Reason::OfferedConcurrency)]);
}

#[test]
fn who_waits_for_a_callee_is_not_scaled_for_that() {
    // 300 of its requests wait for the callee, where 70 would in a quiet hour.
    let calls = [Calls { callee: ServiceKey(2), per_call: 1.0, waiting: 300.0 }];
    let front = Service { calls: &calls, in_flight: 305.0, ..service(1, 10, 350.0) };
    let back = Service { in_flight: 100.0, queued: 200.0, ..service(2, 5, 350.0) };
    assert_eq!(
        once(&[front, back], &[], 100),
        [(1, 10, 10, Reason::WaitingForCallee), (2, 5, 10, Reason::OfferedConcurrency)]
    );
    // Both are short of their own: with room for three, the callee, of which less is there, comes first …
    let front = Service { ready: 8, ..front };
    assert_eq!(
        once(&[front, back], &[], 3),
        [(1, 8, 8, Reason::WaitingForCallee), (2, 5, 8, Reason::CompartmentFull)]
    );
    // … whatever is said of its importance, as the one that waits for it is critical.
    let humble = Service { importance: Importance::Bulk, ..back };
    assert_eq!(once(&[front, humble], &[], 3)[1].2, 8);
    // Each for itself, nobody looks at the room.
    let alone = Autoscale { order: Order::Alone, ..Autoscale::default() };
    let observed = Observed { services: &[front, back], dependencies: &[], compartments: &room(3) };
    let plan = Autoscaler::default().plan(&alone, at(0), &observed);
    assert_eq!(plan.iter().map(|s| s.to).collect::<Vec<_>>(), [11, 10]);
}

#[test]
fn the_important_come_first_then_those_who_lack_most() {
    let bulk = Service { importance: Importance::Bulk, ..service(1, 1, 350.0) };
    let plan = once(&[bulk, service(2, 5, 350.0), service(3, 8, 350.0)], &[], 6);
    assert_eq!(
        plan,
        [
            (1, 1, 1, Reason::CompartmentFull),
            (2, 5, 10, Reason::OfferedConcurrency),
            (3, 8, 9, Reason::CompartmentFull)
        ],
        "ten and nine of ten, as the first in the list is asked first"
    );
}

#[test]
fn bounds_are_kept() {
    let few = Service { at_least: 3, ..service(1, 1, 1.0) };
    assert_eq!(once(&[few], &[], 100), [(1, 1, 2, Reason::AtMinimum)]);
    let most = Service { at_most: 7, ..service(1, 5, 350.0) };
    assert_eq!(once(&[most], &[], 100), [(1, 5, 7, Reason::AtMaximum)]);
    let most = Service { at_most: 5, ..most };
    assert_eq!(once(&[most], &[], 100), [(1, 5, 5, Reason::AtMaximum)]);
    let less = Service { at_most: 2, shed: Share::ALL, ..most };
    assert_eq!(once(&[less], &[], 100), [(1, 5, 2, Reason::AtMaximum)]);
    let unknown = Service { per_instance: 0.0, ..service(1, 5, 350.0) };
    assert_eq!(once(&[unknown], &[], 100), []);
}

#[test]
fn a_climb_is_met_before_it_arrives() {
    let (rule, mut scaler) = (Autoscale::default(), Autoscaler::default());
    for second in 0..120u64 {
        // From 350/s, 1 % of that more each second.
        let arrivals = 350.0 + 3.5 * second as f64;
        let plan = plan_at(&mut scaler, &rule, at(second * 1000), &[service(1, 22, arrivals)]);
        if let Some(scale) = plan.iter().find(|s| s.to > s.from) {
            assert_eq!(scale.reason, Reason::Trend);
            assert!(arrivals < 700.0, "22 are enough for 770, and it has {arrivals} when that is asked for");
            return;
        }
    }
    panic!("nothing was foreseen");
}

#[test]
fn a_scale_out_stops_where_a_dependency_would_be_overloaded() {
    let uses = [Uses { dependency: DependencyKey(1), per_call: 2.0, warm_up: 0.0, waits: true }];
    let base = Service { uses: &uses, shed: Share::percent(50), in_flight: 35.0, ..service(1, 5, 350.0) };
    // 80 % of 640 are 512: 162 a second beyond the 350 of now, and each instance adds 70.
    let store = [Dependency { dependency: DependencyKey(1), capacity: 640.0, used: 350.0 }];
    assert_eq!(once(&[base], &store, 100), [(1, 5, 7, Reason::DependencyHeadroom)]);
    assert_eq!(once(&[base], &[], 100), [(1, 5, 10, Reason::OfferedConcurrency)], "nothing is known of it");
    // Warm-ups that begin by themselves are part of it: 20 each, 5 at once.
    let uses = [Uses { dependency: DependencyKey(1), per_call: 0.0, warm_up: 20.0, waits: false }];
    let shard = [Dependency { dependency: DependencyKey(1), capacity: 125.0, used: 0.0 }];
    let base = Service { uses: &uses, ready: 10, ..service(1, 10, 1_400.0) };
    assert_eq!(once(&[base], &shard, 100), [(1, 10, 15, Reason::DependencyHeadroom)]);
    let base = Service { ready: 10, starting: 3, warming: 2, ..base };
    assert_eq!(once(&[base], &shard, 100), [(1, 15, 15, Reason::DependencyHeadroom)]);
}

#[test]
fn warm_ups_are_counted_out_so_that_the_shard_stays_below_its_share() {
    let rule = Autoscale::default();
    let uses = [Uses { dependency: DependencyKey(1), per_call: 0.0, warm_up: 20.0, waits: true }];
    let gateway = Service { uses: &uses, ready: 10, starting: 30, ..service(1, 10, 350.0) };
    let tokens = |services: &[Service<'_>], used: f64, capacity: f64| -> Vec<u32> {
        let shard = [Dependency { dependency: DependencyKey(1), capacity, used }];
        let observed = Observed { services, dependencies: &shard, compartments: &[] };
        warm_ups(&rule, &observed).iter().map(|w| w.at_once).collect()
    };
    assert_eq!(tokens(&[gateway], 0.0, 125.0), [5]);
    assert_eq!(tokens(&[gateway], 45.0, 125.0), [2]);
    let warming = Service { starting: 27, warming: 3, ..gateway };
    assert_eq!(tokens(&[warming], 0.0, 125.0), [5]);
    assert_eq!(tokens(&[warming], 45.0, 125.0), [3], "nobody is asked to stop");
    // One alone may, as it would never start otherwise; but not beside others, nor when nothing is left.
    assert_eq!(tokens(&[gateway], 0.0, 20.0), [1]);
    assert_eq!(tokens(&[Service { starting: 29, warming: 1, ..gateway }], 0.0, 20.0), [1]);
    assert_eq!(tokens(&[gateway], 100.0, 125.0), [0]);
    let other = Service { importance: Importance::Bulk, ..gateway };
    let first = Service { service: ServiceKey(2), starting: 3, ..gateway };
    assert_eq!(tokens(&[other, first], 0.0, 125.0), [3, 2], "the important one first");
}

#[test]
fn kubernetes_reckons_as_its_documentation_says() {
    let rule = Autoscale::kubernetes();
    let scaled = |cpu: f64, ready: u32, starting: u32| {
        let it = Service { cpu, starting, ..service(1, ready, 0.0) };
        let plan = plan_at(&mut Autoscaler::default(), &rule, at(0), &[it]);
        plan.first().map(|s| (s.to, s.reason))
    };
    assert_eq!(scaled(1.2, 10, 0), Some((15, Reason::CpuAboveTarget)));
    assert_eq!(scaled(0.88, 10, 0), None, "within a tenth");
    assert_eq!(scaled(4.0, 10, 0), Some((20, Reason::CpuAboveTarget)), "at most twice");
    assert_eq!(scaled(4.0, 1, 0), Some((5, Reason::CpuAboveTarget)), "or four more");
    assert_eq!(scaled(1.2, 10, 5), None, "those that start count as idle");
    assert_eq!(scaled(1.6, 10, 5), Some((20, Reason::CpuAboveTarget)));
    // Every 15 s, and down to the highest of 300 s.
    let mut scaler = Autoscaler::default();
    let quiet = |have| Service { cpu: 0.2, ..service(1, have, 0.0) };
    for second in 0..=300 {
        assert_eq!(plan_at(&mut scaler, &rule, at(second * 1000), &[quiet(10)]), []);
    }
    assert_eq!(scaler.next_wakeup(), at(315_000));
    assert_eq!(plan_at(&mut scaler, &rule, at(315_000), &[quiet(10)])[0].to, 3);
}

#[test]
fn the_slow_autoscaler_adds_a_tenth_in_four_minutes() {
    let (rule, mut scaler) = (Autoscale::slow(), Autoscaler::default());
    let mut have = 20;
    let mut trail = Vec::new();
    for second in 0..1_000 {
        let it = Service { cpu: 1.0, ..service(1, have, 0.0) };
        if let Some(scale) =
            plan_at(&mut scaler, &rule, at(second * 1000), &[it]).iter().find(|s| s.to > s.from)
        {
            have = scale.to;
            trail.push((second, have));
        }
    }
    assert_eq!(trail, [(0, 22), (255, 25), (510, 28), (765, 31)]);
    let idle = Service { cpu: 0.1, ..service(1, have, 0.0) };
    assert!((1_000..3_000).all(|s| plan_at(&mut scaler, &rule, at(s * 1000), &[idle]).is_empty()));
}

/// A fleet of made-up services: `raw` gives each its numbers.
type Raw = (u32, u32, u32, u32, u32, u8, u8, u8, u64);

fn raw() -> impl Strategy<Value = Raw> {
    (0u32..9, 0u32..9, 0u32..40, 0u32..3_000, 0u32..2_000, 0u8..101, 0u8..101, 0u8..4, 1u64..4)
}

proptest! {
    #[test]
    fn never_above_the_room_never_down_while_shedding_never_more_than_twice(
        rounds in prop::collection::vec(prop::collection::vec(raw(), 6), 1..12),
        cores in 0u64..40,
    ) {
        let rule = Autoscale::default();
        let (mut one, mut two) = (Autoscaler::default(), Autoscaler::default());
        let calls: Vec<[Calls; 2]> = (0..6u32)
            .map(|i| [i + 1, (i * 2) % 6].map(|c| {
                Calls { callee: ServiceKey(c % 6), per_call: 1.5, waiting: f64::from(i * 40) }
            }))
            .collect();
        let uses = [Uses { dependency: DependencyKey(3), per_call: 0.5, warm_up: 9.0, waits: false }];
        let stores = [Dependency { dependency: DependencyKey(3), capacity: 4_000.0, used: 100.0 }];
        for (round, raws) in rounds.iter().enumerate() {
            let services: Vec<Service<'_>> = raws
                .iter()
                .enumerate()
                .map(|(i, (starting, warming, ready, arrivals, flight, shed, errors, importance, need))| Service {
                    starting: *starting,
                    warming: *warming,
                    importance: Importance::ALL[usize::from(*importance)],
                    in_flight: f64::from(*flight),
                    queued: f64::from(*flight / 3),
                    shed: Share::percent(*shed),
                    errors: Share::percent(*errors / 30),
                    need: CORE.times(*need),
                    calls: &calls[i],
                    uses: if i % 2 == 0 { &uses } else { &[] },
                    ..service(i as u32, *ready, f64::from(*arrivals))
                })
                .collect();
            let rooms = room(cores);
            let observed = Observed { services: &services, dependencies: &stores, compartments: &rooms };
            let plan = one.plan(&rule, at(round as u64 * 4_000), &observed);
            prop_assert_eq!(&plan, &two.plan(&rule, at(round as u64 * 4_000), &observed));
            let mut taken = Resources::NONE;
            for scale in &plan {
                let it = &services[scale.service.0 as usize];
                prop_assert_eq!(scale.from, it.instances());
                prop_assert!(scale.to >= scale.from || it.shed.part() <= 0.01, "{:?}", scale);
                prop_assert!(scale.to <= (scale.from * 2).max(scale.from + 1), "{:?}", scale);
                taken = taken.plus(it.need.times(u64::from(scale.to.saturating_sub(scale.from))));
            }
            prop_assert!(CORE.times(cores).holds(taken));
        }
    }
}

#[test]
fn no_number_from_outside_makes_it_panic() {
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e300, 1e-300] {
        let calls = [1, 1, 9].map(|c| Calls { callee: ServiceKey(c), per_call: odd, waiting: odd });
        let uses = [Uses { dependency: DependencyKey(1), per_call: odd, warm_up: odd, waits: true }];
        let store = [Dependency { dependency: DependencyKey(1), capacity: odd, used: odd }; 2];
        let it = Service {
            arrivals: odd,
            in_flight: odd,
            queued: odd,
            per_instance: odd,
            cpu: odd,
            calls: &calls,
            uses: &uses,
            starting: 1,
            ..service(1, 3, 1.0)
        };
        for unloaded in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            let services = [Service { unloaded, ..it }, Service { starting: u32::MAX, unloaded, ..it }];
            let observed = Observed { services: &services, dependencies: &store, compartments: &room(9) };
            for rule in [Autoscale::default(), Autoscale::kubernetes(), Autoscale::slow()] {
                let mut scaler = Autoscaler::default();
                for second in 0..40 {
                    scaler.plan(&rule, at(second * 1000), &observed);
                }
                warm_ups(&rule, &observed);
            }
        }
    }
}
