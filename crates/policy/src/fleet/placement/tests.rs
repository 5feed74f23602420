//! Places, loans, refusals and who gives way, on a few nodes.

#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

const GIB: u64 = 1 << 30;

fn node(key: u32, compartment: u32, reserved: u64, runs: &[Running]) -> Node<'_> {
    Node {
        node: NodeKey(key),
        compartment: CompartmentKey(compartment),
        capacity: Resources::new(16_000, 64 * GIB),
        reserved: Resources::new(reserved, GIB),
        lends: compartment == 9,
        runs,
    }
}

fn want(service: u32, importance: Importance, millicores: u64) -> Want {
    Want {
        service: ServiceKey(service),
        importance,
        compartment: CompartmentKey(0),
        need: Resources::new(millicores, GIB),
        again: false,
    }
}

fn runs(instance: u32, importance: Importance, reserved: u64, used: u64) -> Running {
    let service = ServiceKey(100 + instance / 10);
    let (reserved, used) = (Resources::new(reserved, GIB), Resources::new(used, GIB / 2));
    Running { instance: InstanceKey(instance), service, importance, reserved, used }
}

use Importance::{BestEffort, Bulk, Critical, Degraded};

#[test]
fn the_most_important_goes_first() {
    let wants = [want(1, Bulk, 10_000), want(2, Critical, 10_000)];
    let plan = plan(&Placement::default(), &[node(5, 0, 0, &[])], &wants);
    assert_eq!((plan[0].want, plan[0].verdict), (1, Verdict::Place { node: NodeKey(5) }));
    assert_eq!((plan[1].want, plan[1].reason), (0, Reason::CompartmentFull));
}

#[test]
fn spread_looks_for_the_fewest_of_the_same_service() {
    let here = [Running { service: ServiceKey(1), ..runs(1, Critical, 100, 100) }];
    let nodes = [node(0, 0, 100, &here), node(1, 0, 8_000, &[]), node(2, 0, 4_000, &[])];
    let wants = [want(1, Critical, 1_000); 4];
    let placed: Vec<_> = plan(&Placement::plain(), &nodes, &wants).iter().map(|p| p.verdict).collect();
    let on = |key| Verdict::Place { node: NodeKey(key) };
    assert_eq!(placed, [on(2), on(1), on(0), on(2)]);
}

#[test]
fn a_refusal_names_what_is_stranded_and_by_whom() {
    let one = [runs(1, Critical, 8_000, 2_000), runs(11, Critical, 4_000, 3_000)];
    let two = [runs(12, Critical, 12_000, 9_000)];
    let nodes = [node(0, 0, 12_000, &one), node(1, 0, 12_000, &two)];
    let wants = [want(1, Critical, 6_000), want(1, Critical, 9_000), want(1, Critical, 20_000)];
    let plan = plan(&Placement::default(), &nodes, &wants);
    let stranded = Resources::new(6_000 + 1_000 + 3_000, 3 * (GIB / 2));
    assert_eq!(plan[0].verdict, Verdict::Refuse { stranded, by: Some(ServiceKey(100)) });
    let reasons: Vec<_> = plan.iter().map(|p| p.reason).collect();
    assert_eq!(reasons, [Reason::Fragmented, Reason::CompartmentFull, Reason::LargerThanAnyNode]);
    let nowhere = Want { compartment: CompartmentKey(77), ..want(1, Critical, 1) };
    assert_eq!(super::plan(&Placement::default(), &nodes, &[nowhere])[0].reason, Reason::NoSuchCompartment);
}

#[test]
fn another_compartment_lends_until_a_fifth_is_left() {
    // Two nodes of 16 cores lend; 6.4 stay.
    let nodes = [node(0, 0, 16_000, &[]), node(1, 9, 0, &[]), node(2, 9, 0, &[])];
    let wants = [want(1, Critical, 5_000); 6];
    let borrowed = plan(&Placement::default(), &nodes, &wants);
    assert_eq!(borrowed.iter().filter(|p| p.reason == Reason::Borrowed).count(), 5);
    let alone = plan(&Placement::plain(), &nodes, &wants);
    assert!(alone.iter().all(|p| p.reason == Reason::CompartmentFull));
}

#[test]
fn the_least_important_give_way_and_only_when_asked_again() {
    let one = [runs(1, BestEffort, 8_000, 1), runs(2, Critical, 8_000, 1)];
    let two = [runs(3, Bulk, 4_000, 1), runs(4, Bulk, 4_000, 1), runs(5, Degraded, 8_000, 1)];
    let nodes = [node(0, 0, 16_000, &one), node(1, 0, 16_000, &two)];
    let first = want(1, Critical, 7_000);
    assert_eq!(plan(&Placement::default(), &nodes, &[first])[0].reason, Reason::CompartmentFull);
    let again = Want { again: true, ..first };
    let acts: Vec<_> = plan(&Placement::default(), &nodes, &[again; 3]).iter().map(|p| p.verdict).collect();
    let stop = |instance, node| Verdict::Stop { instance: InstanceKey(instance), node: NodeKey(node) };
    let on = |key| Verdict::Place { node: NodeKey(key) };
    assert_eq!(acts[..5], [stop(3, 1), stop(4, 1), on(1), stop(1, 0), on(0)]);
    assert!(matches!(acts[5], Verdict::Refuse { .. }), "a degraded instance does not give way");
    assert!(matches!(
        plan(&Placement::default(), &nodes, &[Want { importance: Bulk, ..again }])[0].verdict,
        Verdict::Refuse { .. }
    ));
    assert_eq!(plan(&Placement::plain(), &nodes, &[again])[0].reason, Reason::CompartmentFull);
}

proptest! {
    #[test]
    fn no_node_is_ever_above_its_capacity_and_nobody_is_refused_for_nothing(
        nodes in prop::collection::vec((0u32..3, 0u64..20_000, 0u64..70), 1..12),
        wants in prop::collection::vec((0u32..4, 0u8..4, 1u64..9_000, 1u64..40, any::<bool>()), 0..60),
        best in any::<bool>(),
    ) {
        let running: Vec<Vec<Running>> = nodes
            .iter()
            .enumerate()
            .map(|(n, (_, reserved, _))| {
                (0..4).map(|i| runs(n as u32 * 4 + i, Importance::ALL[i as usize], reserved / 4, 1)).collect()
            })
            .collect();
        let nodes: Vec<Node<'_>> = nodes
            .iter()
            .enumerate()
            .map(|(i, (pool, reserved, gib))| Node {
                reserved: Resources::new(*reserved, gib * GIB),
                lends: *pool == 2,
                ..node(i as u32, *pool, 0, &running[i])
            })
            .collect();
        let wants: Vec<Want> = wants
            .into_iter()
            .map(|(pool, importance, millicores, gib, again)| Want {
                compartment: CompartmentKey(pool),
                need: Resources::new(millicores, gib * GIB),
                again,
                ..want(pool, Importance::ALL[usize::from(importance)], 0)
            })
            .collect();
        let rule = if best { Placement::default() } else { Placement::plain() };
        let placed = plan(&rule, &nodes, &wants);
        prop_assert_eq!(&placed, &plan(&rule, &nodes, &wants));
        let mut reserved: Vec<Resources> = nodes.iter().map(|n| n.reserved).collect();
        let mut answers = vec![0; wants.len()];
        let mut stops = false;
        for p in &placed {
            match p.verdict {
                Verdict::Place { node } => {
                    let at = node.0 as usize;
                    reserved[at] = reserved[at].plus(wants[p.want].need);
                    prop_assert!(nodes[at].capacity.holds(reserved[at]));
                    answers[p.want] += 1;
                }
                Verdict::Stop { instance, node } => {
                    stops = true;
                    let victim = running[node.0 as usize].iter().find(|r| r.instance == instance).unwrap();
                    prop_assert!(victim.importance > wants[p.want].importance);
                    prop_assert!(victim.importance >= BestEffort);
                    reserved[node.0 as usize] = reserved[node.0 as usize].minus(victim.reserved);
                }
                Verdict::Refuse { .. } => answers[p.want] += 1,
            }
        }
        prop_assert!(answers.iter().all(|count| *count == 1));
        for p in placed.iter().filter(|p| matches!(p.verdict, Verdict::Refuse { .. }) && !stops) {
            let fits = |i: usize| nodes[i].capacity.minus(reserved[i]).holds(wants[p.want].need);
            let own = |i: &usize| nodes[*i].compartment == wants[p.want].compartment;
            prop_assert!(!(0..nodes.len()).filter(own).any(fits));
        }
    }
}
