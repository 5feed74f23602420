//! The registry against a naive model that looks through lists: whatever is said in whatever order, both know the
//! same. And what holds for every sequence: a change that is taken back leaves nothing behind, what is loaded is what
//! was kept, and time before the next wakeup changes nothing.
#![allow(clippy::unwrap_used)]

use control::registry::{Change, Command, Key, Outcome, Owner, Record, Registry, Rules};
use model::{AgentName, InstanceName, Moment, Registration, ServiceName};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const LEASE: u64 = 10_000;
const GRACE: u64 = 30_000;

/// One thing that happens. Agents, names and ports are few, so that they collide.
#[derive(Clone, Debug)]
enum Step {
    Beat(u8),
    Register(u8, What),
    Deregister(u8, u8),
    List(u8, Vec<What>),
    Leave(u8),
    Pass(u64),
}

#[derive(Clone, Copy, Debug)]
struct What {
    name: u8,
    service: u8,
    port: u8,
    incarnation: u8,
}

fn whats() -> impl Strategy<Value = What> {
    (0..12u8, 0..2u8, 1..12u8, 0..3u8).prop_map(|(name, service, port, incarnation)| What {
        name,
        service,
        port,
        incarnation,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0..4u8).prop_map(Step::Beat),
        6 => (0..4u8, whats()).prop_map(|(agent, what)| Step::Register(agent, what)),
        2 => (0..4u8, 0..12u8).prop_map(|(agent, name)| Step::Deregister(agent, name)),
        2 => (0..4u8, proptest::collection::vec(whats(), 0..6)).prop_map(|(agent, all)| Step::List(agent, all)),
        1 => (0..4u8).prop_map(Step::Leave),
        4 => prop_oneof![0..3_000u64, 0..40_000u64].prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..60)
}

fn owner(agent: u8) -> Owner {
    Owner { agent: AgentName::new(&format!("agent-{agent}")).unwrap(), session: 1 }
}

fn name(name: u8) -> InstanceName {
    InstanceName::new(&format!("i-{name}")).unwrap()
}

fn registration(what: What) -> Registration {
    Registration {
        name: name(what.name),
        service: ServiceName::new(&format!("s-{}", what.service)).unwrap(),
        address: ([10, 0, 0, 1], u16::from(what.port)).into(),
        incarnation: what.incarnation.into(),
    }
}

fn command(step: &Step) -> Option<Command> {
    Some(match step {
        Step::Beat(agent) => Command::Beat { owner: owner(*agent) },
        Step::Register(agent, what) => {
            Command::Register { owner: owner(*agent), instance: registration(*what) }
        }
        Step::Deregister(agent, of) => Command::Deregister { owner: owner(*agent), name: name(*of) },
        Step::List(agent, all) => {
            let instances = all.iter().copied().map(registration).collect();
            Command::List { owner: owner(*agent), instances }
        }
        Step::Leave(agent) => Command::Leave { owner: owner(*agent) },
        Step::Pass(_) => return None,
    })
}

#[derive(Clone, Debug)]
struct Known {
    what: What,
    agent: u8,
    held: Option<u64>,
}

/// The rules again, as plainly as they can be said. An hour for tombstones is longer than any sequence here.
#[derive(Default)]
struct Naive {
    now: u64,
    all: Vec<Known>,
    buried: BTreeMap<u8, u8>,
    /// Until when each agent's lease lasts; one that is over stays until its instances are gone.
    leases: BTreeMap<u8, u64>,
    /// Who listed all that it runs, and has not been dead since.
    joined: BTreeSet<u8>,
    lost: Vec<(u8, u64)>,
}

impl Naive {
    fn on(&mut self, step: &Step) {
        match step {
            Step::Beat(agent) if !self.alive(*agent) || !self.joined.contains(agent) => {}
            Step::Beat(agent) => self.heard(*agent),
            Step::Register(agent, what) => {
                self.heard(*agent);
                self.register(*agent, *what);
            }
            Step::Deregister(agent, name) => {
                self.heard(*agent);
                if self.all.iter().any(|known| known.what.name == *name && known.agent == *agent) {
                    self.bury(*name);
                }
            }
            Step::List(agent, all) => {
                self.heard(*agent);
                self.joined.insert(*agent);
                all.iter().for_each(|what| self.register(*agent, *what));
                let listed: Vec<u8> = all.iter().map(|what| what.name).collect();
                self.miss(|known| known.agent == *agent && !listed.contains(&known.what.name));
            }
            Step::Leave(agent) => {
                let mine = self.all.iter().filter(|known| known.agent == *agent);
                let mine: Vec<u8> = mine.map(|known| known.what.name).collect();
                mine.into_iter().for_each(|name| self.bury(name));
                self.leases.remove(agent);
                self.joined.remove(agent);
            }
            Step::Pass(time) => self.now += time,
        }
    }

    fn alive(&self, agent: u8) -> bool {
        self.leases.get(&agent).is_some_and(|until| *until > self.now)
    }

    fn heard(&mut self, agent: u8) {
        if self.leases.contains_key(&agent) && !self.alive(agent) {
            self.all.iter_mut().filter(|known| known.agent == agent).for_each(|known| known.held = None);
        }
        if !self.alive(agent) {
            self.joined.remove(&agent);
        }
        self.leases.insert(agent, self.now + LEASE);
    }

    fn register(&mut self, agent: u8, what: What) {
        let known = self.all.iter().find(|known| known.what.name == what.name);
        let later = |known: &Known| known.agent == agent && known.what.incarnation > what.incarnation;
        let taken = |known: &Known| known.agent != agent && self.alive(known.agent);
        let stale = self.buried.get(&what.name).is_some_and(|buried| *buried >= what.incarnation);
        if stale || known.is_some_and(|known| later(known) || taken(known)) {
            return;
        }
        let ghost = self.all.iter().find(|k| k.what.port == what.port && k.what.name != what.name);
        if ghost.is_some_and(|ghost| ghost.agent != agent && self.alive(ghost.agent)) {
            return;
        }
        if let Some(ghost) = ghost.map(|ghost| ghost.what.name) {
            self.bury(ghost);
        }
        self.buried.remove(&what.name);
        self.all.retain(|known| known.what.name != what.name);
        self.all.push(Known { what, agent, held: None });
    }

    fn bury(&mut self, name: u8) {
        if let Some(at) = self.all.iter().position(|known| known.what.name == name) {
            self.buried.insert(name, self.all.remove(at).what.incarnation);
        }
    }

    fn miss(&mut self, is_missing: impl Fn(&Known) -> bool) {
        let now = self.now;
        for service in 0..2 {
            let of = |known: &&Known| known.what.service == service;
            let new = |known: &Known| known.held.is_none() && is_missing(known);
            let missing = self.all.iter().filter(of).filter(|known| new(known)).count();
            let left =
                self.all.iter().filter(of).filter(|known| known.held.is_none() && !is_missing(known)).count();
            let lost = self.lost.iter().filter(|(of, at)| *of == service && at + GRACE > now).count();
            let had = self.all.iter().filter(of).count() + lost;
            if missing > 0 && left > 0 && left * 2 >= had {
                self.all.retain(|known| known.what.service != service || !new(known));
                self.lost.extend(std::iter::repeat_n((service, now), missing));
            } else {
                let here = self.all.iter_mut().filter(|known| known.what.service == service);
                here.filter(|known| new(known)).for_each(|known| known.held = Some(now + GRACE));
            }
        }
    }

    fn tick(&mut self) {
        let now = self.now;
        let over: Vec<u8> = self.leases.iter().filter(|(_, until)| **until <= now).map(|(a, _)| *a).collect();
        self.miss(|known| over.contains(&known.agent));
        let ended = |known: &Known| known.held.is_some_and(|until| until <= now);
        let dropped: BTreeSet<u8> = self.all.iter().filter(|k| ended(k)).map(|k| k.what.service).collect();
        self.all.retain(|known| !ended(known));
        self.lost.retain(|(service, _)| !dropped.contains(service));
        let services: BTreeSet<u8> = self.all.iter().map(|known| known.what.service).collect();
        self.lost.retain(|(service, _)| services.contains(service));
    }

    fn seen(&self) -> BTreeSet<(String, String, u16, String, bool)> {
        let see = |known: &Known| {
            let it = registration(known.what);
            let agent = owner(known.agent).agent.to_string();
            (it.name.to_string(), it.service.to_string(), it.address.port(), agent, known.held.is_some())
        };
        self.all.iter().map(see).collect()
    }
}

fn seen(registry: &Registry) -> BTreeSet<(String, String, u16, String, bool)> {
    let see = |(it, held): (&control::registry::Instance, bool)| {
        (it.name.to_string(), it.service.to_string(), it.address.port(), it.owner.to_string(), held)
    };
    registry.instances().map(see).collect()
}

/// What a store would have kept.
type Kept = BTreeMap<Key, Record>;

fn keep(kept: &mut Kept, changes: &[Change]) {
    for change in changes {
        let before = match &change.after {
            Some(record) => kept.insert(change.key.clone(), record.clone()),
            None => kept.remove(&change.key),
        };
        assert_eq!(before, change.before, "a change knows what it replaces");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_registry_knows_what_the_naive_model_knows(steps in steps()) {
        let mut naive = Naive::default();
        let mut kept = Kept::new();
        let mut registry = Registry::load(Rules::default(), Moment::ZERO, []);
        for step in &steps {
            // Time wakes it whenever it asked to be woken, as a driver does.
            let end = naive.now + if let Step::Pass(time) = step { *time } else { 0 };
            while let Some(at) = registry.next_wakeup().filter(|at| *at <= Moment::from_millis(end)) {
                let before = Moment::from_nanos(at.as_nanos().saturating_sub(1));
                if before >= Moment::from_millis(naive.now) {
                    prop_assert_eq!(registry.tick(before), Outcome::default());
                }
                naive.now = (at.as_nanos() / 1_000_000).max(naive.now);
                let outcome = registry.tick(Moment::from_millis(naive.now));
                keep(&mut kept, &outcome.changes);
                naive.tick();
                prop_assert_eq!(seen(&registry), naive.seen());
            }
            let now = Moment::from_millis(end);
            match command(step) {
                Some(command) => {
                    naive.on(step);
                    let (_, outcome) = registry.on(now, command);
                    keep(&mut kept, &outcome.changes);
                }
                None => naive.now = end,
            }
            prop_assert_eq!(seen(&registry), naive.seen());
        }
        // A restart knows the same instances, all in good standing.
        let again = Registry::load(Rules::default(), Moment::ZERO, kept);
        let good = seen(&registry).into_iter().map(|mut it| { it.4 = false; it });
        prop_assert_eq!(seen(&again), good.collect());
        prop_assert_eq!(again.revision() <= registry.revision(), true);
    }

    #[test]
    fn what_is_taken_back_leaves_nothing_behind(steps in steps(), refused in 0..60usize) {
        let mut registry = Registry::load(Rules::default(), Moment::ZERO, []);
        let mut kept = Kept::new();
        let mut now = 0;
        for (index, step) in steps.iter().enumerate() {
            if let Step::Pass(time) = step {
                now += time;
            }
            keep(&mut kept, &registry.tick(Moment::from_millis(now)).changes);
            let Some(command) = command(step) else { continue };
            let (_, outcome) = registry.on(Moment::from_millis(now), command);
            // From here on nothing can be kept.
            match index < refused {
                true => keep(&mut kept, &outcome.changes),
                false => registry.undo(Moment::from_millis(now), &outcome.changes),
            }
            let keys: BTreeSet<&Key> = outcome.changes.iter().map(|change| &change.key).collect();
            for key in keys {
                prop_assert_eq!(registry.record(key), kept.get(key).cloned());
            }
            let instances = kept.keys().filter(|key| matches!(key, Key::Instance(_))).count();
            prop_assert_eq!(registry.instances().count(), instances);
        }
        // Whatever happened, everybody who stays silent is gone in the end.
        let mut silent = now;
        while let Some(at) = registry.next_wakeup().filter(|_| silent < now + 200_000) {
            silent = (at.as_nanos() / 1_000_000).max(silent);
            registry.tick(at);
        }
        prop_assert_eq!(registry.instances().count(), 0, "lease {:?}", Duration::from_millis(LEASE));
    }
}
