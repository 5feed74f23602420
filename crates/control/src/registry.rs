//! What is registered: which instances each service has, who answers for them, and which services are declared.
//!
//! Pure: it is told the time and what somebody wants ([`Command`]), and answers with what changed ([`Change`]), what
//! is worth telling ([`Event`]) and what to say back. Whoever drives it writes the changes to a store before it says
//! anything back, and takes them back with [`Registry::undo`] where they could not be written.
//!
//! The rules:
//! * **Leases belong to agents, not to instances.** An agent with a hundred instances says one word every few
//!   seconds, and nothing is written for it. (40,000 leases of 20 s were more than etcd could keep alive,
//!   etcd-io/etcd#11886.)
//! * **What an owner says goodbye to is gone at once.** What merely falls silent, or is missing from a list, is
//!   *damped*: see below. A tombstone keeps a late message from bringing back what was taken out.
//! * **One address, one instance.** Whoever registers an address later has it, and the other one is a ghost: where
//!   both are of the same agent, or nobody answers for the other one any more. What a living agent runs nobody else takes
//!   out.
//!
//! Damping, with numbers: of ten instances four fall silent, then six answer: the four leave at once, since losing
//! machines is usual. Of ten instances six fall silent within the grace of 30 s: more than half would be gone, which
//! is more often a broken network than six broken machines. The six stay, an event says so, and they leave when the
//! grace is over and they have still not been heard of. (Eureka calls it self-preservation; a watcher of Consul that
//! took an empty answer after the loss of a leader for the truth is the classic outage.)

mod command;
mod damp;
mod event;
pub mod keys;
mod record;
#[cfg(test)]
mod tests;

pub use command::{Command, Done, Owner, Refused};
pub use damp::Grace;
pub use event::Event;
pub use keys::{Admission, Agent, Credential, Hash, Shown, Token};
pub use record::{Change, Declared, Instance, Key, Record, Tombstone};

use damp::{Losses, Verdict};
use keys::Keys;
use model::{AgentName, InstanceName, Moment, Registration, ServiceName, Settings};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// How the registry behaves; the defaults are what ships.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rules {
    /// How long an agent may be silent before its lease lapses, unless it asks for another time.
    pub lease: Duration,
    /// What is damped, and for how long.
    pub grace: Grace,
    /// How long a tombstone stands.
    pub tombstone: Duration,
    /// So many tombstones at most; the oldest go first.
    pub tombstones: usize,
    /// How long the credential of a passing agent stays good while nothing is heard of it.
    pub absence: Duration,
    /// So many instances one agent may have.
    pub of_agent: usize,
    /// So many instances there may be.
    pub instances: usize,
    /// So many services may be known.
    pub services: usize,
}

impl Default for Rules {
    /// 10 s: three lost heartbeats of 3 s. An hour: longer than any message is late. 100,000 tombstones are some
    /// 10 MB. A day: a machine that sleeps overnight goes on in the morning.
    /// 200,000 is what one follower may hold of a type.
    fn default() -> Rules {
        Rules {
            lease: Duration::from_secs(10),
            grace: Grace::default(),
            tombstone: Duration::from_secs(3600),
            tombstones: 100_000,
            absence: Duration::from_secs(24 * 3600),
            of_agent: 50_000,
            instances: 200_000,
            services: 50_000,
        }
    }
}

/// Leases are no shorter and no longer than this, whatever an agent asks for.
pub const LEASE_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// No author is longer, in bytes.
pub const AUTHOR: usize = 1_024;

/// What came of a command, or of time.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outcome {
    /// What is to be written, in this order.
    pub changes: Vec<Change>,
    /// What is worth telling.
    pub events: Vec<Event>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Lease {
    session: u64,
    length: Duration,
    /// None once it has lapsed.
    until: Option<Moment>,
    /// Whether this session has joined, or listed all that it runs, since the lease began. Before that a heartbeat is
    /// not enough: instances may have been taken out while nothing was heard, and the agent would not know.
    joined: bool,
}

/// All that is registered.
#[derive(Debug, Default)]
pub struct Registry {
    rules: Rules,
    members: BTreeMap<InstanceName, Instance>,
    /// Members that have not been heard of, with the moment until which they are kept. Never written.
    held: BTreeMap<InstanceName, Moment>,
    services: BTreeMap<ServiceName, Declared>,
    tombs: BTreeMap<InstanceName, Tombstone>,
    /// When each tombstone goes, oldest first. An entry whose tombstone was replaced meanwhile is passed over.
    burials: VecDeque<(Moment, InstanceName, u64)>,
    leases: BTreeMap<AgentName, Lease>,
    of_service: BTreeMap<ServiceName, BTreeSet<InstanceName>>,
    of_agent: BTreeMap<AgentName, BTreeSet<InstanceName>>,
    at: BTreeMap<SocketAddr, InstanceName>,
    losses: BTreeMap<ServiceName, Losses>,
    keys: Keys,
    revision: u64,
}

impl Registry {
    /// A registry that knows `records`, as a store kept them. Every owner among them has a whole lease from now on,
    /// and every tombstone its whole time: times are not kept.
    pub fn load(rules: Rules, now: Moment, records: impl IntoIterator<Item = (Key, Record)>) -> Registry {
        let mut registry = Registry { rules, ..Registry::default() };
        for (key, record) in records {
            registry.revision = registry.revision.max(record.revision());
            registry.set(now, key, Some(record));
        }
        for agent in registry.of_agent.keys() {
            let length = registry.keys.lease(agent).unwrap_or(rules.lease);
            let lease = Lease { session: 0, length, until: Some(now.after(length)), joined: false };
            registry.leases.insert(agent.clone(), lease);
        }
        registry.held.clear();
        registry
    }

    /// Carries out `command`, or says why not. Nothing is changed where it is refused, but that the agent was heard.
    pub fn on(&mut self, now: Moment, command: Command) -> (Result<Done, Refused>, Outcome) {
        let mut outcome = Outcome::default();
        let done = self.carry_out(now, command, &mut outcome);
        (done, outcome)
    }

    fn carry_out(&mut self, now: Moment, command: Command, out: &mut Outcome) -> Result<Done, Refused> {
        match command {
            Command::Join { owner, lease } => self.join(now, &owner, lease, out).map(|()| Done::Unchanged),
            Command::Beat { owner } => self.beat(now, &owner, out),
            Command::Register { owner, instance } => {
                self.heard(now, &owner, None, out)?;
                self.register(now, &owner.agent, instance, out)
            }
            Command::Deregister { owner, name } => {
                self.heard(now, &owner, None, out)?;
                let known = self.members.get(&name).ok_or_else(|| Refused::NoInstance(name.clone()))?;
                if known.owner != owner.agent {
                    return Err(Refused::NameTaken { name, by: known.owner.clone() });
                }
                self.bury(now, &name, out);
                Ok(Done::Changed)
            }
            Command::List { owner, instances } => {
                self.join(now, &owner, None, out)?;
                Ok(self.list(now, &owner.agent, instances, out))
            }
            Command::Leave { owner } => {
                self.heard(now, &owner, None, out)?;
                self.leases.remove(&owner.agent);
                let names = self.of_agent.get(&owner.agent).cloned().unwrap_or_default();
                for name in &names {
                    self.bury(now, name, out);
                }
                let passing = self.keys.is_passing(&owner.agent);
                if passing {
                    self.write(now, Key::Credential(owner.agent), None, out);
                }
                Ok(if names.is_empty() && !passing { Done::Unchanged } else { Done::Changed })
            }
            Command::Declare { service, settings, author } => {
                if author.len() > AUTHOR {
                    return Err(Refused::LongAuthor(author.len()));
                }
                self.room_for_service(&service)?;
                Ok(self.declare(now, service, *settings, author, out))
            }
            Command::Withdraw { service } => self.withdraw(now, service, out),
            Command::Admit(admission) => self.admit(now, admission, out),
            Command::Mint { id, token, wall } => self.mint(now, wall, id, token, out),
            Command::Revoke { id } => self.revoke(now, id, out),
        }
    }

    /// An agent says that it is there, and will say what it runs, or does so now.
    fn join(
        &mut self,
        now: Moment,
        owner: &Owner,
        length: Option<Duration>,
        out: &mut Outcome,
    ) -> Result<(), Refused> {
        self.heard(now, owner, length, out)?;
        if let Some(lease) = self.leases.get_mut(&owner.agent) {
            lease.joined = true;
        }
        Ok(())
    }

    /// An agent goes on. One that was taken for dead meanwhile has to say again what it runs.
    fn beat(&mut self, now: Moment, owner: &Owner, out: &mut Outcome) -> Result<Done, Refused> {
        let known = self.leases.get(&owner.agent);
        let goes_on = |lease: &&Lease| {
            lease.session > owner.session
                || lease.joined && lease.session == owner.session && lease.until.is_some()
        };
        if known.filter(goes_on).is_none() {
            return Err(Refused::NotJoined(owner.agent.clone()));
        }
        self.heard(now, owner, None, out).map(|()| Done::Unchanged)
    }

    /// An agent spoke: its lease begins anew, and those of its instances that were held because of its silence are
    /// in good standing again.
    fn heard(
        &mut self,
        now: Moment,
        owner: &Owner,
        length: Option<Duration>,
        out: &mut Outcome,
    ) -> Result<(), Refused> {
        let known = self.leases.get(&owner.agent);
        if known.is_some_and(|lease| lease.session > owner.session) {
            return Err(Refused::Superseded(owner.agent.clone()));
        }
        let had_lapsed = known.is_some_and(|lease| lease.until.is_none());
        let (least, most) = LEASE_BOUNDS;
        let length =
            length.or(known.map(|lease| lease.length)).unwrap_or(self.rules.lease).clamp(least, most);
        let goes_on = |lease: &Lease| lease.joined && lease.session == owner.session && !had_lapsed;
        let joined = known.is_some_and(goes_on);
        let lease = Lease { session: owner.session, length, until: Some(now.after(length)), joined };
        self.leases.insert(owner.agent.clone(), lease);
        self.keys.heard(&owner.agent);
        if had_lapsed {
            for name in self.of_agent.get(&owner.agent).cloned().unwrap_or_default() {
                self.release(&name, out);
            }
        }
        Ok(())
    }

    fn register(
        &mut self,
        now: Moment,
        agent: &AgentName,
        wanted: Registration,
        out: &mut Outcome,
    ) -> Result<Done, Refused> {
        let Registration { name, service, address, incarnation } = wanted;
        if address.port() == 0 || address.ip().is_unspecified() {
            return Err(Refused::BadAddress(name));
        }
        let buried = self.tombs.get(&name).map(|tomb| tomb.incarnation);
        if let Some(known) = buried.filter(|known| *known >= incarnation) {
            return Err(Refused::Stale { name, known });
        }
        if let Some(known) = self.members.get(&name) {
            if known.owner != *agent && self.is_alive(&known.owner) {
                return Err(Refused::NameTaken { name, by: known.owner.clone() });
            }
            if known.owner == *agent && known.incarnation > incarnation {
                return Err(Refused::Stale { name, known: known.incarnation });
            }
            let same = (&known.owner, &known.service, known.address, known.incarnation);
            if same == (agent, &service, address, incarnation) {
                self.release(&name, out);
                return Ok(Done::Unchanged);
            }
        }
        self.room_for(&name, &service, agent)?;
        if let Some(ghost) = self.at.get(&address).filter(|ghost| **ghost != name).cloned() {
            let by = self.members.get(&ghost).map(|known| &known.owner);
            if let Some(by) = by.filter(|by| *by != agent && self.is_alive(by)).cloned() {
                return Err(Refused::AddressTaken { name, address, held: ghost, by });
            }
            out.events.push(Event::AddressReused { ghost: ghost.clone(), by: name.clone(), address });
            self.bury(now, &ghost, out);
        }
        let instance = Instance { name, service, address, owner: agent.clone(), incarnation, revision: 0 };
        out.events
            .push(Event::Registered { instance: instance.name.clone(), service: instance.service.clone() });
        if !self.services.contains_key(&instance.service) {
            // Known from now on, so that a service whose last instance restarts has no instances, and is not unknown.
            let known = Some(Record::Service(Box::default()));
            self.write(now, Key::Service(instance.service.clone()), known, out);
        }
        let (name, buried) = (instance.name.clone(), buried.is_some());
        self.write(now, Key::Instance(name.clone()), Some(Record::Instance(instance)), out);
        if buried {
            self.write(now, Key::Tombstone(name), None, out);
        }
        Ok(Done::Changed)
    }

    /// Whether an instance more may be registered, where it is not there yet.
    fn room_for(&self, name: &InstanceName, service: &ServiceName, agent: &AgentName) -> Result<(), Refused> {
        self.room_for_service(service)?;
        let mine = self.of_agent.get(agent);
        let (all, own) = (self.members.len(), mine.map_or(0, BTreeSet::len));
        if all >= self.rules.instances && !self.members.contains_key(name) {
            return Err(Refused::TooManyInstances(self.rules.instances));
        }
        if own >= self.rules.of_agent && mine.is_none_or(|mine| !mine.contains(name)) {
            return Err(Refused::TooManyOfAgent(agent.clone(), self.rules.of_agent));
        }
        Ok(())
    }

    fn room_for_service(&self, service: &ServiceName) -> Result<(), Refused> {
        if self.services.len() >= self.rules.services && !self.services.contains_key(service) {
            return Err(Refused::TooManyServices(self.rules.services));
        }
        Ok(())
    }

    fn list(
        &mut self,
        now: Moment,
        agent: &AgentName,
        instances: Vec<Registration>,
        out: &mut Outcome,
    ) -> Done {
        let mut refused = Vec::new();
        let mut listed = BTreeSet::new();
        for instance in instances {
            let name = instance.name.clone();
            listed.insert(name.clone());
            if let Err(why) = self.register(now, agent, instance, out) {
                refused.push((name, why));
            }
        }
        let mine = self.of_agent.get(agent).cloned().unwrap_or_default();
        self.miss(now, mine.difference(&listed).cloned().collect(), out);
        Done::Listed(refused)
    }

    fn declare(
        &mut self,
        now: Moment,
        name: ServiceName,
        settings: Settings,
        author: String,
        out: &mut Outcome,
    ) -> Done {
        let known = self.services.get(&name);
        if known.is_some_and(|known| known.settings.as_ref() == Some(&settings) && known.author == author) {
            return Done::Unchanged;
        }
        let declared = Declared { settings: Some(settings), author, revision: 0 };
        self.write(now, Key::Service(name), Some(Record::Service(Box::new(declared))), out);
        Done::Changed
    }

    fn withdraw(&mut self, now: Moment, name: ServiceName, out: &mut Outcome) -> Result<Done, Refused> {
        let known = self.services.get(&name).ok_or_else(|| Refused::NoService(name.clone()))?;
        let lives = self.of_service.contains_key(&name);
        if lives && known.settings.is_none() {
            return Ok(Done::Unchanged);
        }
        let after = lives.then(|| Record::Service(Box::default()));
        self.write(now, Key::Service(name), after, out);
        Ok(Done::Changed)
    }

    /// Time has passed: leases lapse, graces end, tombstones go. Never refused, and never taken back: what could not
    /// be written is written later.
    pub fn tick(&mut self, now: Moment) -> Outcome {
        let mut out = Outcome::default();
        let mut missed = Vec::new();
        for (agent, lease) in &mut self.leases {
            if lease.until.is_some_and(|until| until <= now) {
                lease.until = None;
                let names = self.of_agent.get(agent).cloned().unwrap_or_default();
                out.events.push(Event::LeaseLapsed { agent: agent.clone(), instances: names.len() });
                self.keys.miss(agent, now.after(self.rules.absence));
                missed.extend(names);
            }
        }
        self.leases.retain(|agent, lease| lease.until.is_some() || self.of_agent.contains_key(agent));
        self.miss(now, missed, &mut out);
        self.end_graces(now, &mut out);
        self.end_tombstones(now, &mut out);
        self.end_absences(now, &mut out);
        self.losses.retain(|service, _| self.of_service.contains_key(service));
        out
    }

    /// For so long nobody could be heard, through no fault of theirs: leases and graces last that much longer.
    pub fn excuse(&mut self, delay: Duration) {
        let lives = self.leases.values_mut().filter_map(|lease| lease.until.as_mut());
        for until in lives.chain(self.held.values_mut()) {
            *until = until.after(delay);
        }
    }

    /// When [`Registry::tick`] has something to do; never before that.
    pub fn next_wakeup(&self) -> Option<Moment> {
        let leases = self.leases.values().filter_map(|lease| lease.until);
        let graces = self.held.values().copied();
        let tombs = self.burials.front().map(|(until, ..)| *until);
        leases.chain(graces).chain(tombs).chain(self.keys.next_wakeup()).min()
    }

    /// These instances fell silent or were missing from a list: each service decides whether to believe it.
    fn miss(&mut self, now: Moment, names: Vec<InstanceName>, out: &mut Outcome) {
        let mut by_service: BTreeMap<ServiceName, Vec<InstanceName>> = BTreeMap::new();
        for name in names {
            let member = self.members.get(&name).filter(|_| !self.held.contains_key(&name));
            if let Some(member) = member {
                by_service.entry(member.service.clone()).or_default().push(name);
            }
        }
        for (service, names) in by_service {
            let of_service = self.of_service.get(&service);
            let members = of_service.map_or(0, BTreeSet::len);
            let is_held = |name: &&InstanceName| self.held.contains_key(*name);
            let held = of_service.map_or(0, |all| all.iter().filter(is_held).count());
            let remaining = members.saturating_sub(held + names.len());
            let losses = self.losses.entry(service.clone()).or_default();
            match losses.verdict(now, self.rules.grace, members, remaining) {
                Verdict::Believe => {
                    losses.on_loss(now, names.len());
                    for name in &names {
                        out.events.push(Event::Lost { instance: name.clone(), service: service.clone() });
                        self.write(now, Key::Instance(name.clone()), None, out);
                    }
                }
                Verdict::Hold { until } => {
                    let missing = held + names.len();
                    out.events.push(Event::MembershipHeld { service, missing, members });
                    self.held.extend(names.into_iter().map(|name| (name, until)));
                }
            }
        }
    }

    fn end_graces(&mut self, now: Moment, out: &mut Outcome) {
        let over = self.held.iter().filter(|(_, until)| **until <= now);
        let names: Vec<InstanceName> = over.map(|(name, _)| name.clone()).collect();
        let mut dropped: BTreeMap<ServiceName, usize> = BTreeMap::new();
        for name in names {
            if let Some(member) = self.members.get(&name) {
                *dropped.entry(member.service.clone()).or_default() += 1;
            }
            self.write(now, Key::Instance(name), None, out);
        }
        for (service, missing) in dropped {
            // What the grace has let go is the new truth: the next loss is measured against it.
            self.losses.remove(&service);
            let members = self.of_service.get(&service).map_or(0, BTreeSet::len);
            out.events.push(Event::MembershipDropped { service, missing, members });
        }
    }

    fn end_tombstones(&mut self, now: Moment, out: &mut Outcome) {
        while let Some((until, name, revision)) = self.burials.front().cloned() {
            let stands = self.tombs.get(&name).is_some_and(|tomb| tomb.revision == revision);
            if stands && until > now && self.tombs.len() <= self.rules.tombstones {
                break;
            }
            self.burials.pop_front();
            if stands {
                self.write(now, Key::Tombstone(name), None, out);
            }
        }
    }

    /// A held instance has been heard of again.
    fn release(&mut self, name: &InstanceName, out: &mut Outcome) {
        let was_held = self.held.remove(name).is_some();
        if let Some(member) = self.members.get(name).filter(|_| was_held) {
            let service = member.service.clone();
            out.events.push(Event::Restored { instance: name.clone(), service });
        }
    }

    /// Takes an instance out because somebody said so, and remembers it.
    fn bury(&mut self, now: Moment, name: &InstanceName, out: &mut Outcome) {
        let Some(member) = self.members.get(name) else { return };
        let incarnation = member.incarnation;
        let service = member.service.clone();
        out.events.push(Event::Deregistered { instance: name.clone(), service });
        self.write(now, Key::Instance(name.clone()), None, out);
        let tomb = Tombstone { incarnation, revision: 0 };
        self.write(now, Key::Tombstone(name.clone()), Some(Record::Tombstone(tomb)), out);
    }

    fn is_alive(&self, agent: &AgentName) -> bool {
        self.leases.get(agent).is_some_and(|lease| lease.until.is_some())
    }

    /// Makes a change and notes it.
    fn write(&mut self, now: Moment, key: Key, after: Option<Record>, out: &mut Outcome) {
        self.revision += 1;
        let after = after.map(|record| record.at(self.revision));
        let before = self.set(now, key.clone(), after.clone());
        out.changes.push(Change { key, before, after });
    }

    /// Takes back `changes` that could not be written. They must be the latest ones.
    pub fn undo(&mut self, now: Moment, changes: &[Change]) {
        for change in changes.iter().rev() {
            self.set(now, change.key.clone(), change.before.clone());
        }
    }

    /// Puts `record` in place, keeps the indexes in step, and gives back what was there.
    fn set(&mut self, now: Moment, key: Key, record: Option<Record>) -> Option<Record> {
        match (key, record) {
            (Key::Instance(name), Some(Record::Instance(instance))) => {
                self.set_instance(now, &name, Some(instance)).map(Record::Instance)
            }
            (Key::Instance(name), _) => self.set_instance(now, &name, None).map(Record::Instance),
            (Key::Service(name), Some(Record::Service(declared))) => {
                self.services.insert(name, *declared).map(|old| Record::Service(Box::new(old)))
            }
            (Key::Service(name), _) => self.services.remove(&name).map(|old| Record::Service(Box::new(old))),
            (Key::Tombstone(name), Some(Record::Tombstone(tomb))) => {
                let until = now.after(self.rules.tombstone);
                self.burials.push_back((until, name.clone(), tomb.revision));
                self.tombs.insert(name, tomb).map(Record::Tombstone)
            }
            (Key::Tombstone(name), _) => self.tombs.remove(&name).map(Record::Tombstone),
            (Key::Token(id), Some(Record::Token(token))) => {
                self.keys.tokens.insert(id, token).map(Record::Token)
            }
            (Key::Token(id), _) => self.keys.tokens.remove(&id).map(Record::Token),
            (Key::Credential(agent), Some(Record::Credential(known))) => {
                let old = self.keys.credentials.insert(agent.clone(), known);
                // One that was kept, or comes back by an undo, may be of an agent that is silent.
                if !self.is_alive(&agent) {
                    self.keys.miss(&agent, now.after(self.rules.absence));
                }
                old.map(Record::Credential)
            }
            (Key::Credential(agent), _) => self.keys.forget(&agent).map(Record::Credential),
        }
    }

    fn set_instance(
        &mut self,
        now: Moment,
        name: &InstanceName,
        instance: Option<Instance>,
    ) -> Option<Instance> {
        let old = self.members.remove(name);
        self.held.remove(name);
        if let Some(old) = &old {
            forget(&mut self.of_service, &old.service, name);
            forget(&mut self.of_agent, &old.owner, name);
            if self.at.get(&old.address) == Some(name) {
                self.at.remove(&old.address);
            }
        }
        if let Some(new) = instance {
            self.of_service.entry(new.service.clone()).or_default().insert(name.clone());
            self.of_agent.entry(new.owner.clone()).or_default().insert(name.clone());
            self.at.insert(new.address, name.clone());
            // One that comes back by an undo may have an owner that is silent: then it is as missing as before.
            if !self.is_alive(&new.owner) {
                self.held.insert(name.clone(), now.after(self.rules.grace.time));
            }
            self.members.insert(name.clone(), new);
        }
        old
    }

    /// The instances of `service`, by name.
    pub fn instances_of(&self, service: &ServiceName) -> impl Iterator<Item = &Instance> {
        let names = self.of_service.get(service).into_iter().flatten();
        names.filter_map(|name| self.members.get(name))
    }

    /// All instances, by name, and whether each one is kept only for the sake of the grace.
    pub fn instances(&self) -> impl Iterator<Item = (&Instance, bool)> {
        self.members.iter().map(|(name, member)| (member, self.held.contains_key(name)))
    }

    /// The instance of this name.
    pub fn instance(&self, name: &InstanceName) -> Option<&Instance> {
        self.members.get(name)
    }

    /// The services that are declared, or had an instance, by name.
    pub fn services(&self) -> impl Iterator<Item = (&ServiceName, &Declared)> {
        self.services.iter()
    }

    /// What is known of `service` beside its instances.
    pub fn service(&self, service: &ServiceName) -> Option<&Declared> {
        self.services.get(service)
    }

    /// The record of `key`, as it is to be kept.
    pub fn record(&self, key: &Key) -> Option<Record> {
        match key {
            Key::Instance(name) => self.members.get(name).cloned().map(Record::Instance),
            Key::Service(name) => self.services.get(name).map(|s| Record::Service(Box::new(s.clone()))),
            Key::Tombstone(name) => self.tombs.get(name).copied().map(Record::Tombstone),
            Key::Token(id) => self.keys.tokens.get(id).cloned().map(Record::Token),
            Key::Credential(agent) => self.keys.credentials.get(agent).cloned().map(Record::Credential),
        }
    }

    /// How it behaves.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The number of the last change.
    pub fn revision(&self) -> u64 {
        self.revision
    }
}

fn forget<K: Ord>(index: &mut BTreeMap<K, BTreeSet<InstanceName>>, key: &K, name: &InstanceName) {
    if let Some(names) = index.get_mut(key) {
        names.remove(name);
        if names.is_empty() {
            index.remove(key);
        }
    }
}
