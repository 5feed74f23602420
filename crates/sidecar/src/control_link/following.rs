//! What a sidecar follows, and the protocol with the control plane from its side: updates in, requests out, nothing
//! else. The other side of it is `Conversation` in `control`.
//!
//! Of each service three things are followed: that it can be called, its policy, and its instances (`listing/*`).
//! *Declared* services are those of the local file. *Observed* ones are those that the app has called although nobody
//! declared them: the first request for such a name waits while the control plane is asked. A name that turns out to be
//! nobody's is followed all the same, so that it can be called as soon as it is somebody's.
//!
//! What is said is computed, never remembered: the difference between what is wanted and what this stream has been
//! told is wanted. An answer to an update is held back until what the update said is *adopted*, so that an accepted
//! removal means that nothing is sent there any more. What is known is kept when a stream ends; only the control plane
//! takes it away, or the end of the interest in it.

use super::knowledge::Knowledge;
use model::{Moment, Peer, Service, ServiceName, Settings, Snapshot};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use wire::files::{Known, KnownService};
use wire::xds::resource::endpoints_of;
use wire::xds::{Kind, Node, Request, Update};

/// So many services are followed without having been declared. An app that calls more of them should declare them.
pub(crate) const OBSERVED: usize = 256;
/// An observed service that nobody has called for so long is forgotten.
pub(crate) const IDLE: Duration = Duration::from_secs(600);
/// So long a request waits at most while the control plane is asked.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// How it stands with a name that a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It can be called: it is in what was adopted, or will be with the next adoption.
    Known,
    /// The control plane says that there is no such service.
    Absent,
    /// The control plane is being asked.
    Asked,
    /// Too many names are followed already.
    TooMany,
}

/// What was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counted {
    /// Updates that were heard.
    pub(crate) updates: u64,
    /// Resources that could not be used.
    pub(crate) rejected: u64,
    /// Updates of types that are not known here.
    pub(crate) unknown_types: u64,
}

/// What a stream to a control plane has been told, and what it is owed.
#[derive(Debug, Default)]
struct Stream {
    channels: [Channel; Kind::ALL.len()],
    /// Answers to updates, said once the updates are adopted.
    answers: VecDeque<Request>,
    adopted: bool,
}

#[derive(Debug, Default)]
struct Channel {
    begun: bool,
    heard: bool,
    told: BTreeSet<String>,
}

const fn slot(kind: Kind) -> usize {
    match kind {
        Kind::Service => 0,
        Kind::Policy => 1,
        Kind::Endpoint => 2,
    }
}

/// All that is followed.
#[derive(Debug)]
pub(crate) struct Following {
    node: Node,
    declared: BTreeSet<ServiceName>,
    /// With the moment at which each was last called.
    observed: BTreeMap<ServiceName, Moment>,
    knowledge: Knowledge,
    /// Names and folders that the control plane has said something about, if only that they do not exist.
    answered: BTreeSet<(Kind, String)>,
    /// What could not be used, and why.
    rejected: BTreeMap<(Kind, String), String>,
    stream: Option<Stream>,
    /// When what is known was last known to be current, if it is not now: then, and how old it was at that time.
    stale: Option<(Moment, Duration)>,
    counted: Counted,
}

impl Following {
    /// Follows what `local` declares. Nothing is known yet.
    pub(crate) fn new(local: &Snapshot, now: Moment) -> Following {
        let mut following = Following {
            node: Node {
                id: local.instance.as_ref().map_or("edge", |name| name.as_str()).to_owned(),
                cluster: local.service.as_ref().map_or("", |name| name.as_str()).to_owned(),
            },
            declared: BTreeSet::new(),
            observed: BTreeMap::new(),
            knowledge: Knowledge::default(),
            answered: BTreeSet::new(),
            rejected: BTreeMap::new(),
            stream: None,
            stale: Some((now, Duration::ZERO)),
            counted: Counted::default(),
        };
        following.on_local(local);
        following
    }

    /// The local file says something else from now on.
    pub(crate) fn on_local(&mut self, local: &Snapshot) {
        self.declared = local.services.iter().map(|service| service.name.clone()).collect();
        self.observed.retain(|name, _| !self.declared.contains(name));
        self.prune();
    }

    /// Knows what was kept in a file, which is `age` old. What nobody declares was observed.
    pub(crate) fn restore(&mut self, known: Known, age: Duration, now: Moment) {
        for KnownService { name, exists, settings, endpoints } in known.services {
            if !self.declared.contains(&name) {
                if self.observed.len() >= OBSERVED {
                    continue;
                }
                self.observed.insert(name.clone(), now);
            }
            for topic in topics_of(&name) {
                self.answered.insert(topic);
            }
            self.knowledge.restore(&name, exists, settings, endpoints);
        }
        self.stale = Some((now, age));
    }

    /// What is worth keeping in a file: every service of which all is known that there is to know.
    pub(crate) fn keep(&self) -> Vec<KnownService> {
        let complete = self.followed().filter(|name| self.is_answered(name));
        let known = |name: &ServiceName| KnownService {
            name: name.clone(),
            exists: self.knowledge.has(name),
            settings: self.knowledge.settings(name).cloned(),
            endpoints: self.knowledge.endpoints(name),
        };
        complete.map(known).collect()
    }

    /// A stream to a control plane begins. What was said on another one counts no more; what was heard does.
    pub(crate) fn on_connected(&mut self) {
        self.stream = Some(Stream { adopted: true, ..Stream::default() });
    }

    /// The stream has ended.
    pub(crate) fn on_lost(&mut self, now: Moment) {
        self.stream = None;
        self.stale.get_or_insert((now, Duration::ZERO));
    }

    /// The control plane says this. It is answered after the next adoption.
    pub(crate) fn on_update(&mut self, update: &Update) {
        self.counted.updates += 1;
        let mut answer =
            Request { type_url: update.type_url.clone(), nonce: update.nonce.clone(), ..Request::default() };
        match Kind::from_url(&update.type_url) {
            Some(kind) => {
                answer.error = self.hear(kind, update);
                if kind == Kind::Service {
                    // A service may name another policy now.
                    self.prune();
                }
                if let Some(stream) = &mut self.stream {
                    stream.channels[slot(kind)].heard = true;
                }
            }
            None => self.counted.unknown_types += 1,
        }
        if let Some(stream) = &mut self.stream {
            stream.answers.push_back(answer);
            stream.adopted = false;
        }
    }

    /// Takes over what `update` says; why some of it cannot be used, if so.
    fn hear(&mut self, kind: Kind, update: &Update) -> Option<String> {
        let mut problems = Vec::new();
        for given in &update.resources {
            if !self.wants(kind, &given.name) {
                continue;
            }
            self.answered.insert((kind, topic(&given.name)));
            let key = (kind, given.name.clone());
            match self.knowledge.hear(kind, given) {
                Ok(()) => drop(self.rejected.remove(&key)),
                Err(why) => {
                    problems.push(format!("{} {}: {why}", kind.word(), given.name));
                    self.rejected.insert(key, why.to_string());
                }
            }
        }
        for name in &update.removed {
            if self.wants(kind, name) {
                self.answered.insert((kind, topic(name)));
                self.rejected.remove(&(kind, name.clone()));
                self.knowledge.forget(kind, name);
            }
        }
        self.counted.rejected += problems.len() as u64;
        (!problems.is_empty()).then(|| problems.join("; "))
    }

    /// What was heard up to now is used for every request from now on.
    pub(crate) fn on_adopted(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.adopted = true;
            if stream.channels.iter().all(|channel| channel.heard) {
                self.stale = None;
            }
        }
    }

    /// A request is for `name`, which is not in what was adopted.
    pub(crate) fn on_ask(&mut self, name: &ServiceName, now: Moment) -> Standing {
        if self.observed.contains_key(name) {
            self.observed.insert(name.clone(), now);
        } else if !self.declared.contains(name) {
            if self.observed.len() >= OBSERVED && !self.make_room(now) {
                return Standing::TooMany;
            }
            self.observed.insert(name.clone(), now);
        }
        self.standing(name)
    }

    /// How it stands with a name that was asked for.
    pub(crate) fn standing(&self, name: &ServiceName) -> Standing {
        if self.declared.contains(name) {
            return Standing::Known;
        }
        match (self.observed.contains_key(name), self.is_answered(name)) {
            (false, _) => Standing::TooMany,
            (true, false) => Standing::Asked,
            (true, true) if self.knowledge.has(name) => Standing::Known,
            (true, true) => Standing::Absent,
        }
    }

    /// Forgets the name that was asked for the longest ago, of those that are nobody's or that nobody waits for.
    fn make_room(&mut self, now: Moment) -> bool {
        let useless = |(name, at): &(&ServiceName, &Moment)| match self.standing(name) {
            Standing::Absent => true,
            Standing::Asked => now.since(**at) >= PATIENCE,
            _ => false,
        };
        let oldest = self.observed.iter().filter(useless).min_by_key(|(_, at)| **at);
        let Some(oldest) = oldest.map(|(name, _)| name.clone()) else { return false };
        self.observed.remove(&oldest);
        self.prune();
        true
    }

    /// Observed services that are `used` are so now; those that have not been for long are forgotten.
    pub(crate) fn on_tick(&mut self, used: impl Fn(&ServiceName) -> bool, now: Moment) {
        for (name, at) in &mut self.observed {
            if used(name) {
                *at = now;
            }
        }
        let before = self.observed.len();
        self.observed.retain(|_, at| now.since(*at) < IDLE);
        if self.observed.len() < before {
            self.prune();
        }
    }

    /// The next thing to say. Nothing is said of updates that are not adopted.
    pub(crate) fn next(&mut self) -> Option<Request> {
        let stream = self.stream.as_mut()?;
        if !stream.adopted {
            return None;
        }
        if let Some(answer) = stream.answers.pop_front() {
            return Some(answer);
        }
        Kind::ALL.into_iter().find_map(|kind| self.say(kind))
    }

    /// What a stream has not been told yet of what is wanted of a type.
    fn say(&mut self, kind: Kind) -> Option<Request> {
        let wanted = self.topics(kind);
        let channel = &mut self.stream.as_mut()?.channels[slot(kind)];
        let mut request = Request { type_url: kind.url().to_owned(), ..Request::default() };
        request.subscribe = wanted.difference(&channel.told).cloned().collect();
        request.unsubscribe = channel.told.difference(&wanted).cloned().collect();
        if !std::mem::replace(&mut channel.begun, true) {
            request.node = Some(self.node.clone());
            request.initial = self.knowledge.versions(kind);
            if wanted.is_empty() {
                // To name nothing would mean to want everything; this is how nothing is said (ztunnel says it so too).
                request.subscribe.push("*".to_owned());
                request.unsubscribe.push("*".to_owned());
            }
        } else if request.subscribe.is_empty() && request.unsubscribe.is_empty() {
            return None;
        }
        channel.told = wanted;
        Some(request)
    }

    /// The services to use: those of the local file with what the control plane says of them, then the observed ones.
    pub(crate) fn services(&self, local: &[Service]) -> Vec<Service> {
        let declared = local.iter().map(|service| {
            let told = self.answered.contains(&(Kind::Endpoint, endpoints_of(&service.name)));
            Service {
                name: service.name.clone(),
                // What is registered is where a sidecar listens.
                peer: if told { Peer::Sidecar } else { service.peer },
                endpoints: match told {
                    true => self.knowledge.endpoints(&service.name),
                    false => service.endpoints.clone(),
                },
                settings: self.knowledge.settings(&service.name).unwrap_or(&service.settings).clone(),
            }
        });
        let callable = self.observed.keys().filter(|name| self.standing(name) == Standing::Known);
        let observed = callable.map(|name| Service {
            name: name.clone(),
            endpoints: self.knowledge.endpoints(name),
            peer: Peer::Sidecar,
            settings: self.knowledge.settings(name).cloned().unwrap_or_else(Settings::default),
        });
        declared.chain(observed).collect()
    }

    /// Declared services of which the control plane has not said yet how it stands with them.
    pub(crate) fn missing(&self) -> Vec<&ServiceName> {
        self.declared.iter().filter(|name| !self.is_answered(name)).collect()
    }

    /// Whether this service is followed without having been declared.
    pub(crate) fn is_observed(&self, name: &ServiceName) -> bool {
        self.observed.contains_key(name)
    }

    /// The services that are followed without having been declared.
    pub(crate) fn observed(&self) -> impl Iterator<Item = &ServiceName> {
        self.observed.keys()
    }

    /// What could not be used and is still wanted otherwise: type, name, why.
    pub(crate) fn rejected(&self) -> impl Iterator<Item = (Kind, &str, &str)> {
        self.rejected.iter().map(|((kind, name), why)| (*kind, name.as_str(), why.as_str()))
    }

    /// Whether there is a stream to a control plane.
    pub(crate) fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// Whether there is no control plane that could be asked, and has not been for longer than a request waits.
    pub(crate) fn is_hopeless(&self, now: Moment) -> bool {
        self.stream.is_none() && self.stale.is_some_and(|(since, _)| now.since(since) >= PATIENCE)
    }

    /// For how long it has not been known whether what is known is current; zero while it is.
    pub(crate) fn age(&self, now: Moment) -> Duration {
        self.stale.map_or(Duration::ZERO, |(since, age)| now.since(since) + age)
    }

    /// What was counted so far.
    pub(crate) fn counted(&self) -> Counted {
        self.counted
    }

    fn followed(&self) -> impl Iterator<Item = &ServiceName> {
        self.declared.iter().chain(self.observed.keys())
    }

    fn follows(&self, name: &ServiceName) -> bool {
        self.declared.contains(name) || self.observed.contains_key(name)
    }

    fn is_answered(&self, name: &ServiceName) -> bool {
        topics_of(name).iter().all(|topic| self.answered.contains(topic))
    }

    /// The names and folders of a type that are wanted.
    fn topics(&self, kind: Kind) -> BTreeSet<String> {
        match kind {
            Kind::Service => self.followed().map(ToString::to_string).collect(),
            Kind::Endpoint => self.followed().map(endpoints_of).collect(),
            Kind::Policy => {
                let policies = |name| [name, self.knowledge.policy_of(name)];
                self.followed().flat_map(policies).map(ToString::to_string).collect()
            }
        }
    }

    /// Whether what is said of a resource of this name is for us.
    fn wants(&self, kind: Kind, name: &str) -> bool {
        let service = name.split_once('/').map_or(name, |(service, _)| service);
        let Ok(service) = ServiceName::new(service) else { return false };
        self.wants_of(kind, &service)
    }

    fn wants_of(&self, kind: Kind, service: &ServiceName) -> bool {
        let named =
            || kind == Kind::Policy && self.followed().any(|s| self.knowledge.policy_of(s) == service);
        self.follows(service) || named()
    }

    /// Forgets what is not wanted any more.
    fn prune(&mut self) {
        let mut policies = BTreeSet::new();
        for name in self.followed() {
            policies.insert(name.clone());
            policies.insert(self.knowledge.policy_of(name).clone());
        }
        let (declared, observed) = (&self.declared, &self.observed);
        let wanted = |kind: Kind, name: &ServiceName| match kind {
            Kind::Policy => policies.contains(name),
            _ => declared.contains(name) || observed.contains_key(name),
        };
        self.knowledge.retain(wanted);
        let named = |kind: Kind, name: &str| {
            let service = name.split_once('/').map_or(name, |(service, _)| service);
            ServiceName::new(service).is_ok_and(|service| wanted(kind, &service))
        };
        self.answered.retain(|(kind, name)| named(*kind, name));
        self.rejected.retain(|(kind, name), _| named(*kind, name));
    }
}

/// What is followed of a service.
fn topics_of(name: &ServiceName) -> [(Kind, String); 3] {
    [
        (Kind::Service, name.to_string()),
        (Kind::Policy, name.to_string()),
        (Kind::Endpoint, endpoints_of(name)),
    ]
}

/// The name or folder under which the resource `name` is followed.
fn topic(name: &str) -> String {
    name.split_once('/').map_or_else(|| name.to_owned(), |(service, _)| format!("{service}/*"))
}
