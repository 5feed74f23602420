//! Each rule of the registry with literal milliseconds.
#![allow(clippy::unwrap_used)]

use super::*;

const fn ms(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

fn owner(agent: &str) -> Owner {
    Owner { agent: AgentName::new(agent).unwrap(), session: 1 }
}

fn name(text: &str) -> InstanceName {
    InstanceName::new(text).unwrap()
}

fn service(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

/// Instance `SERVICE-NUMBER` at port 1000 + `number`.
fn instance(of: &str, number: u16, incarnation: u64) -> Registration {
    Registration {
        name: service(of).instance(number.into()),
        service: service(of),
        address: SocketAddr::from(([10, 0, 0, 1], 1000 + number)),
        incarnation,
    }
}

fn register(registry: &mut Registry, now: u64, agent: &str, what: Registration) -> Result<Done, Refused> {
    registry.on(ms(now), Command::Register { owner: owner(agent), instance: what }).0
}

fn beat(registry: &mut Registry, now: u64, agent: &str) -> Outcome {
    let (done, outcome) = registry.on(ms(now), Command::Beat { owner: owner(agent) });
    assert_eq!(done, Ok(Done::Unchanged));
    outcome
}

fn join(registry: &mut Registry, now: u64, agent: &str) -> Outcome {
    registry.on(ms(now), Command::Join { owner: owner(agent), lease: None }).1
}

fn members(registry: &Registry, of: &str) -> Vec<String> {
    registry.instances_of(&service(of)).map(|instance| instance.name.to_string()).collect()
}

fn words(outcome: &Outcome) -> Vec<&'static str> {
    outcome.events.iter().map(Event::word).collect()
}

#[test]
fn a_heartbeat_writes_nothing_and_keeps_all_instances_of_its_agent() {
    let mut registry = Registry::default();
    join(&mut registry, 0, "a");
    for number in 1..=3 {
        register(&mut registry, 0, "a", instance("shop", number, 1)).unwrap();
    }
    for now in (0..60_000).step_by(3000) {
        assert_eq!(beat(&mut registry, now, "a"), Outcome::default());
        assert_eq!(registry.tick(ms(now)), Outcome::default());
    }
    assert_eq!(members(&registry, "shop").len(), 3);
    assert_eq!(registry.next_wakeup(), Some(ms(57_000 + 10_000)));
}

#[test]
fn a_silent_agent_loses_its_instances_when_its_lease_is_over() {
    let mut registry = Registry::default();
    register(&mut registry, 0, "a", instance("shop", 1, 1)).unwrap();
    join(&mut registry, 0, "b");
    register(&mut registry, 0, "b", instance("shop", 2, 1)).unwrap();
    beat(&mut registry, 9_000, "b");
    assert_eq!(registry.tick(ms(9_999)), Outcome::default());
    let lapsed = registry.tick(ms(10_000));
    assert_eq!(words(&lapsed), ["lease-lapsed", "instance-lost"]);
    assert_eq!(lapsed.changes.len(), 1);
    assert_eq!(members(&registry, "shop"), ["shop-2"]);
    // It left no tombstone: the same process may be back any moment.
    assert_eq!(register(&mut registry, 11_000, "a", instance("shop", 1, 1)), Ok(Done::Changed));
}

#[test]
fn a_collapse_is_held_for_the_grace_and_says_so() {
    let mut registry = Registry::default();
    for (agent, number) in [("a", 1), ("b", 2), ("c", 3)] {
        register(&mut registry, 0, agent, instance("shop", number, 1)).unwrap();
    }
    // One after the other: each loss is small beside the one before, all three are not.
    let first = registry.tick(ms(10_000));
    assert_eq!(words(&first)[3..], ["membership-held"]);
    assert_eq!(members(&registry, "shop").len(), 3);
    assert!(first.changes.is_empty());
    assert_eq!(registry.instances().filter(|(_, held)| *held).count(), 3);
    // One comes back and is in good standing.
    assert_eq!(words(&join(&mut registry, 20_000, "b")), ["instance-restored"]);
    beat(&mut registry, 29_000, "b");
    beat(&mut registry, 38_000, "b");
    assert_eq!(registry.next_wakeup(), Some(ms(40_000)));
    let over = registry.tick(ms(40_000));
    assert_eq!(words(&over), ["membership-dropped"]);
    assert_eq!(members(&registry, "shop"), ["shop-2"]);
}

#[test]
fn a_trickle_of_small_losses_is_a_collapse_too() {
    let mut registry = Registry::default();
    for number in 1..=10 {
        let agent = format!("a{number}");
        register(&mut registry, 100 * u64::from(number), &agent, instance("shop", number, 1)).unwrap();
    }
    for number in 1..=10 {
        registry.tick(ms(10_000 + 100 * number));
    }
    assert_eq!(members(&registry, "shop").len(), 5, "half went at once, the rest is held");
    registry.tick(ms(60_000));
    assert_eq!(members(&registry, "shop").len(), 0);
}

#[test]
fn an_empty_list_does_not_replace_a_good_one() {
    let mut registry = Registry::default();
    let all = vec![instance("shop", 1, 1), instance("shop", 2, 1)];
    let list = |instances| Command::List { owner: owner("a"), instances };
    assert_eq!(registry.on(ms(0), list(all.clone())).0, Ok(Done::Listed(vec![])));
    let (_, empty) = registry.on(ms(1000), list(vec![]));
    assert_eq!(words(&empty), ["membership-held"]);
    assert!(empty.changes.is_empty());
    let (_, back) = registry.on(ms(2000), list(all));
    assert_eq!(words(&back), ["instance-restored", "instance-restored"]);
    let (_, one) = registry.on(ms(3000), list(vec![instance("shop", 1, 1)]));
    assert_eq!(words(&one), ["instance-lost"], "one of two is believed");
}

#[test]
fn goodbyes_are_believed_at_once_and_remembered() {
    let mut registry = Registry::default();
    register(&mut registry, 0, "a", instance("shop", 1, 5)).unwrap();
    let goodbye = Command::Deregister { owner: owner("a"), name: name("shop-1") };
    let (done, outcome) = registry.on(ms(1), goodbye.clone());
    assert_eq!((done, words(&outcome)), (Ok(Done::Changed), vec!["instance-deregistered"]));
    assert_eq!(registry.on(ms(2), goodbye).0, Err(Refused::NoInstance(name("shop-1"))));
    // A late message does not bring it back; a later process of the name does.
    let late = register(&mut registry, 3, "a", instance("shop", 1, 5));
    assert_eq!(late, Err(Refused::Stale { name: name("shop-1"), known: 5 }));
    assert_eq!(register(&mut registry, 4, "a", instance("shop", 1, 6)), Ok(Done::Changed));
    registry.on(ms(5), Command::Leave { owner: owner("a") }).0.unwrap();
    assert_eq!(members(&registry, "shop").len(), 0);
    assert!(!registry.leases.contains_key(&owner("a").agent));
    let after = registry.tick(ms(5 + 3_600_000));
    assert_eq!(after.changes.len(), 1, "the tombstone goes after an hour");
    assert_eq!(register(&mut registry, 3_600_006, "a", instance("shop", 1, 5)), Ok(Done::Changed));
    assert!(registry.burials.is_empty());
}

#[test]
fn tombstones_are_bounded() {
    let mut registry = Registry { rules: Rules { tombstones: 2, ..Rules::default() }, ..Registry::default() };
    for number in 1..=5 {
        register(&mut registry, 0, "a", instance("shop", number, 1)).unwrap();
        let name = service("shop").instance(number.into());
        registry.on(ms(0), Command::Deregister { owner: owner("a"), name }).0.unwrap();
    }
    registry.tick(ms(1));
    let left: Vec<_> = registry.tombs.keys().map(ToString::to_string).collect();
    assert_eq!(left, ["shop-4", "shop-5"]);
}

#[test]
fn an_address_belongs_to_whoever_registered_it_last() {
    let mut registry = Registry::default();
    register(&mut registry, 0, "a", instance("shop", 1, 1)).unwrap();
    let mut other = instance("search", 9, 1);
    other.address = instance("shop", 1, 1).address;
    let (done, outcome) = registry.on(ms(1), Command::Register { owner: owner("a"), instance: other });
    assert_eq!(done, Ok(Done::Changed));
    assert_eq!(words(&outcome), ["address-reused", "instance-deregistered", "instance-registered"]);
    assert_eq!((members(&registry, "shop").len(), members(&registry, "search").len()), (0, 1));
    let again = register(&mut registry, 2, "a", instance("shop", 1, 1));
    assert_eq!(
        again,
        Err(Refused::Stale { name: name("shop-1"), known: 1 }),
        "they do not oust each other for ever"
    );
}

#[test]
fn the_address_of_a_living_agents_instance_is_nobody_elses() {
    let mut registry = Registry::default();
    register(&mut registry, 0, "a", instance("shop", 1, 1)).unwrap();
    let mut other = instance("search", 9, 1);
    other.address = instance("shop", 1, 1).address;
    let (address, held, by) = (other.address, name("shop-1"), owner("a").agent);
    let taken = Refused::AddressTaken { name: name("search-9"), address, held, by };
    assert_eq!(register(&mut registry, 1, "b", other.clone()), Err(taken.clone()));
    let list = Command::List { owner: owner("b"), instances: vec![other.clone()] };
    assert_eq!(registry.on(ms(2), list).0, Ok(Done::Listed(vec![(name("search-9"), taken)])));
    assert_eq!(members(&registry, "shop"), ["shop-1"]);
    registry.tick(ms(10_000));
    let (done, outcome) = registry.on(ms(10_001), Command::Register { owner: owner("b"), instance: other });
    assert_eq!(done, Ok(Done::Changed));
    assert_eq!(words(&outcome), ["address-reused", "instance-deregistered", "instance-registered"]);
}

#[test]
fn a_name_belongs_to_one_living_agent() {
    let mut registry = Registry::default();
    register(&mut registry, 0, "a", instance("shop", 1, 1)).unwrap();
    let taken = Refused::NameTaken { name: name("shop-1"), by: owner("a").agent };
    let mut elsewhere = instance("shop", 1, 9);
    elsewhere.address = SocketAddr::from(([10, 0, 0, 2], 1));
    assert_eq!(register(&mut registry, 1, "b", elsewhere.clone()), Err(taken.clone()));
    let not_mine = Command::Deregister { owner: owner("b"), name: name("shop-1") };
    assert_eq!(registry.on(ms(1), not_mine).0, Err(taken));
    // The only instance is held when its agent falls silent: now another may have the name.
    registry.tick(ms(10_000));
    assert_eq!(register(&mut registry, 10_001, "b", elsewhere), Ok(Done::Changed));
    assert_eq!(registry.instance(&name("shop-1")).unwrap().owner, owner("b").agent);
}

#[test]
fn an_earlier_run_of_an_agent_is_not_listened_to() {
    let mut registry = Registry::default();
    let run = |session| Owner { session, ..owner("a") };
    let register = |registry: &mut Registry, session, number| {
        let instance = instance("shop", number, 1);
        registry.on(ms(0), Command::Register { owner: run(session), instance }).0
    };
    register(&mut registry, 2, 1).unwrap();
    let over = Err(Refused::Superseded(owner("a").agent));
    assert_eq!(register(&mut registry, 1, 2), over);
    assert_eq!(registry.on(ms(0), Command::Leave { owner: run(1) }).0, over);
    assert_eq!(register(&mut registry, 3, 2), Ok(Done::Changed));
}

#[test]
fn saying_the_same_twice_writes_once() {
    let mut registry = Registry::default();
    register(&mut registry, 0, "a", instance("shop", 1, 1)).unwrap();
    assert_eq!(register(&mut registry, 1, "a", instance("shop", 1, 1)), Ok(Done::Unchanged));
    let mut moved = instance("shop", 1, 1);
    moved.address.set_port(7);
    assert_eq!(register(&mut registry, 2, "a", moved.clone()), Ok(Done::Changed));
    assert_eq!(registry.instance(&name("shop-1")).unwrap().address, moved.address);
    moved.address.set_port(0);
    assert_eq!(register(&mut registry, 3, "a", moved), Err(Refused::BadAddress(name("shop-1"))));
    let declare =
        Command::Declare { service: service("shop"), settings: Box::default(), author: "ada".into() };
    assert_eq!(registry.on(ms(4), declare.clone()).0, Ok(Done::Changed));
    assert_eq!(registry.on(ms(5), declare).0, Ok(Done::Unchanged));
    let withdraw = Command::Withdraw { service: service("shop") };
    assert_eq!(registry.on(ms(6), withdraw.clone()).0, Ok(Done::Changed));
    assert_eq!(registry.on(ms(7), withdraw.clone()).0, Ok(Done::Unchanged), "it stays with its instance");
    registry.on(ms(8), Command::Leave { owner: owner("a") }).0.unwrap();
    assert!(registry.service(&service("shop")).is_some(), "known, with no instances");
    assert_eq!(registry.on(ms(9), withdraw.clone()).0, Ok(Done::Changed));
    assert_eq!(registry.on(ms(9), withdraw).0, Err(Refused::NoService(service("shop"))));
}

#[test]
fn what_could_not_be_written_is_taken_back() {
    let mut registry = Registry::default();
    register(&mut registry, 0, "a", instance("shop", 1, 1)).unwrap();
    registry.tick(ms(10_000));
    let mut other = instance("search", 9, 1);
    other.address = instance("shop", 1, 1).address;
    let (done, outcome) = registry.on(ms(11_000), Command::Register { owner: owner("b"), instance: other });
    assert_eq!((done, outcome.changes.len()), (Ok(Done::Changed), 4));
    registry.undo(ms(11_000), &outcome.changes);
    assert_eq!((members(&registry, "shop").len(), members(&registry, "search").len()), (1, 0));
    // Its agent is still silent, so it does not stay for ever.
    registry.tick(ms(41_000));
    assert_eq!(members(&registry, "shop").len(), 0);
}

#[test]
fn after_a_restart_everybody_has_a_whole_lease() {
    let mut before = Registry::default();
    register(&mut before, 0, "a", instance("shop", 1, 1)).unwrap();
    let key = Key::Instance(name("shop-1"));
    let records = [(key.clone(), before.record(&key).unwrap())];
    let mut registry = Registry::load(Rules::default(), ms(500), records);
    assert_eq!(registry.revision(), before.revision());
    assert_eq!(registry.next_wakeup(), Some(ms(10_500)));
    assert_eq!(words(&join(&mut registry, 10_000, "a")), [""; 0]);
    assert_eq!(registry.tick(ms(10_500)), Outcome::default());
}

#[test]
fn whoever_was_taken_for_dead_is_told_so_by_its_next_heartbeat() {
    let mut registry = Registry::default();
    let not_joined = Err(Refused::NotJoined(owner("a").agent));
    let beat = |registry: &mut Registry, now| registry.on(ms(now), Command::Beat { owner: owner("a") }).0;
    assert_eq!(beat(&mut registry, 0), not_joined);
    join(&mut registry, 0, "a");
    join(&mut registry, 0, "b");
    for number in 1..=3 {
        let agent = if number < 3 { "b" } else { "a" };
        register(&mut registry, 0, agent, instance("shop", number, 1)).unwrap();
    }
    self::beat(&mut registry, 9_000, "b");
    assert_eq!(words(&registry.tick(ms(10_000))), ["lease-lapsed", "instance-lost"]);
    // It was paused and has nothing left here, though it believes so.
    assert_eq!(beat(&mut registry, 10_001), not_joined);
    // One instance that it registers anew is not all that it runs.
    register(&mut registry, 10_002, "a", instance("shop", 4, 1)).unwrap();
    assert_eq!(beat(&mut registry, 10_003), not_joined);
    let instances = vec![instance("shop", 3, 1), instance("shop", 4, 1)];
    let list = Command::List { owner: owner("a"), instances };
    assert_eq!(registry.on(ms(10_004), list).0, Ok(Done::Listed(vec![])));
    assert_eq!(beat(&mut registry, 10_005), Ok(Done::Unchanged));
    // A run that has not joined goes on for none that has.
    let next = Owner { session: 2, ..owner("a") };
    assert_eq!(registry.on(ms(10_006), Command::Beat { owner: next.clone() }).0, not_joined);
    let elsewhere = Command::Register { owner: next, instance: instance("shop", 5, 1) };
    registry.on(ms(10_007), elsewhere).0.unwrap();
    assert_eq!(beat(&mut registry, 10_008), Err(Refused::Superseded(owner("a").agent)));
}

#[test]
fn after_a_restart_a_heartbeat_is_not_enough() {
    let mut before = Registry::default();
    register(&mut before, 0, "a", instance("shop", 1, 1)).unwrap();
    let key = Key::Instance(name("shop-1"));
    let records = [(key.clone(), before.record(&key).unwrap())];
    let mut registry = Registry::load(Rules::default(), ms(500), records);
    let said = registry.on(ms(501), Command::Beat { owner: owner("a") }).0;
    assert_eq!(said, Err(Refused::NotJoined(owner("a").agent)));
    assert_eq!(registry.instances().filter(|(_, held)| *held).count(), 0);
}

#[test]
fn instances_services_and_authors_are_bounded() {
    let rules = Rules { of_agent: 2, instances: 3, services: 2, ..Rules::default() };
    let mut registry = Registry { rules, ..Registry::default() };
    register(&mut registry, 0, "a", instance("shop", 1, 1)).unwrap();
    register(&mut registry, 0, "a", instance("shop", 2, 1)).unwrap();
    let of_agent = Refused::TooManyOfAgent(owner("a").agent, 2);
    assert_eq!(register(&mut registry, 0, "a", instance("shop", 3, 1)), Err(of_agent));
    register(&mut registry, 0, "b", instance("search", 3, 1)).unwrap();
    assert_eq!(register(&mut registry, 0, "b", instance("search", 4, 1)), Err(Refused::TooManyInstances(3)));
    assert_eq!(register(&mut registry, 0, "a", instance("shop", 2, 2)), Ok(Done::Changed), "it is there");
    let declare = |service: &str, author: &str| Command::Declare {
        service: self::service(service),
        settings: Box::default(),
        author: author.into(),
    };
    let mut say = |command| registry.on(ms(0), command).0;
    assert_eq!(say(declare("third", "ada")), Err(Refused::TooManyServices(2)));
    assert_eq!(say(declare("shop", "ada")), Ok(Done::Changed));
    assert_eq!(say(declare("shop", &"a".repeat(1025))), Err(Refused::LongAuthor(1025)));
}

#[test]
fn leases_are_bounded_whatever_is_asked_for() {
    let mut registry = Registry::default();
    for (asked, given) in [(1, 1000), (7000, 7000), (u64::MAX, 300_000)] {
        let lease = Some(Duration::from_millis(asked));
        registry.on(ms(0), Command::Join { owner: owner("a"), lease }).0.unwrap();
        assert_eq!(registry.next_wakeup(), Some(ms(given)));
    }
}
