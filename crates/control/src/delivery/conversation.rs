//! The protocol with one follower: requests in, responses out, nothing else. Delta xDS, as Envoy's
//! `xds_protocol.rst` tells it, with the cases that its servers got wrong.
//!
//! For each type there is a *channel*: what the follower wants, what it holds as far as it has said, what it is owed,
//! and at most one response that it has not answered yet. As the next one waits for that answer, and what is owed are
//! names and not messages, a slow follower costs a bounded amount of memory however much changes meanwhile, and gets
//! the latest state of each resource once it reads on.
//!
//! What is easy to get wrong, and holds here:
//! * A nonce pairs answers with responses, nothing more: subscriptions in a request with a stale one count
//!   (Istio drops them).
//! * Whether all of a type is wanted is said, never guessed from an empty list (cilium/cilium#45288,
//!   envoyproxy/go-control-plane#559).
//! * Who subscribes to a name is answered even if it should hold the resource: it may have dropped it
//!   (go-control-plane#431). A name that does not exist is answered as removed, and followed all the same
//!   (go-control-plane#488, #565).
//! * `service/*` follows all names of one folder, as collections of the xDS Transport Protocol do; an empty one is
//!   answered as removed under that name.
//! * Who unsubscribes from a name that it follows as one of many still is told it again, whether or not it had named it.
//! * After a reconnect only differences travel, removals among them: where the table is to be trusted. A control plane
//!   that came back with nothing does not say at once that all that a follower brought along is gone.
//! * A refused version is not sent again to the one who refused it. Which of several resources was meant is found out
//!   by sending each alone.

use super::Pace;
use super::table::{Body, Table, version_from};
use model::Moment;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use wire::xds::{Kind, Node, Request, Response};

/// The name that stands for all of a type.
const ALL: &str = "*";

/// A response is not made longer than this, in bytes, if it can be several: it is what a slow follower holds up in
/// our memory.
const RESPONSE: usize = 64 << 10;

/// So many names may be followed, and held from before, for one type.
const NAMES: usize = 200_000;

/// No name is longer, in bytes: two DNS labels and a stroke are 127.
const NAME: usize = 512;

/// So many names of a type that is not known here are answered.
const STRANGE: usize = 64;

/// A follower that owes an answer for so long does not follow.
const OWES: Duration = Duration::from_secs(60);

/// So much of a follower's reason is kept, in bytes.
const WHY: usize = 1024;

/// A follower asks for more than anybody may.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TooMuch(String);

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TooMuch {}

/// What follows from a request, for those outside of the conversation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reaction {
    /// Of these it wants to hear.
    pub follow: Vec<(Kind, Arc<str>)>,
    /// Of these no longer.
    pub unfollow: Vec<(Kind, Arc<str>)>,
    /// These resources it certainly does not have any more.
    pub gone: Vec<(Kind, Arc<str>)>,
    /// These versions it has accepted.
    pub took: Vec<(Kind, Arc<str>, u64)>,
    /// These it refuses.
    pub refused: Vec<Refusal>,
}

/// A version of a resource that a follower refuses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Its type.
    pub kind: Kind,
    /// Its name.
    pub name: Arc<str>,
    /// The version.
    pub version: u64,
    /// What the follower said.
    pub why: String,
}

/// How far a follower is behind, in one type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lag {
    /// The type.
    pub kind: Kind,
    /// Names and folders that it follows.
    pub follows: usize,
    /// Resources that it holds.
    pub holds: usize,
    /// Resources that it has not accepted yet.
    pub behind: usize,
    /// Since when it has owed us an answer.
    pub waiting_since: Option<Moment>,
    /// What it refuses, by name.
    pub refuses: Vec<Refusal>,
}

/// Whether something is sent to somebody who has it already.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Answer {
    IfNews,
    Always,
}

/// What the follower has of a resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Held {
    Version(u64),
    /// Some version of it: it has refused one since, or claims one that is not ours.
    Unsure,
}

/// What one response says: each name with what it is now, or that it is gone.
type Said = Vec<(Arc<str>, Option<Arc<Body>>)>;

#[derive(Debug)]
struct Flight {
    nonce: u64,
    since: Moment,
    sent: Said,
    /// Names in it that were unsubscribed from while it was under way.
    left: BTreeSet<Arc<str>>,
}

#[derive(Debug, Default)]
struct Channel {
    begun: bool,
    /// It has never had a response, and may wait for one.
    greet: bool,
    /// Names, folders (`a/*`) and `*`.
    topics: BTreeSet<Arc<str>>,
    held: BTreeMap<Arc<str>, Held>,
    /// To be told now.
    owed: BTreeMap<Arc<str>, Answer>,
    /// Folders whose resources are to be told now.
    unfold: BTreeMap<Arc<str>, Answer>,
    /// To be told when the pace allows.
    changed: BTreeSet<Arc<str>>,
    /// To be told one by one, as one of them was refused.
    alone: VecDeque<Arc<str>>,
    /// Of these, which it holds from before, nothing is known here. Their removal is told when the table is trusted.
    withheld: BTreeSet<Arc<str>>,
    /// When that is.
    trusted: Moment,
    in_flight: Option<Flight>,
    refused: BTreeMap<Arc<str>, (u64, String)>,
    pace: Pace,
}

/// The protocol with one follower.
#[derive(Debug)]
pub struct Conversation {
    follower: Arc<str>,
    cluster: Arc<str>,
    channels: [Channel; Kind::ALL.len()],
    nonce: u64,
    /// Requests for types that are not known here.
    strange: u64,
    /// What is answered to them.
    strangers: VecDeque<Response>,
}

impl Default for Conversation {
    fn default() -> Conversation {
        Conversation {
            follower: "".into(),
            cluster: "".into(),
            channels: Default::default(),
            nonce: 0,
            strange: 0,
            strangers: VecDeque::new(),
        }
    }
}

const fn slot(kind: Kind) -> usize {
    match kind {
        Kind::Service => 0,
        Kind::Policy => 1,
        Kind::Endpoint => 2,
    }
}

/// The folder that follows all that lie beside `name`.
pub(super) fn folder_of(name: &str) -> Option<String> {
    name.rsplit_once('/').map(|(folder, _)| format!("{folder}/*"))
}

impl Conversation {
    /// The follower said this.
    ///
    /// # Errors
    /// [`TooMuch`]: the conversation is to be ended.
    pub fn on_request(&mut self, request: Request) -> Result<Reaction, TooMuch> {
        check(&request)?;
        if let Some(Node { id, cluster }) = request.node.as_ref().filter(|_| self.follower.is_empty()) {
            self.follower = id.as_str().into();
            self.cluster = cluster.as_str().into();
        }
        let Some(kind) = Kind::from_url(&request.type_url) else {
            self.on_strange(request);
            return Ok(Reaction::default());
        };
        let mut reaction = Reaction::default();
        let channel = &mut self.channels[slot(kind)];
        channel.on_answer(kind, &request, &mut reaction);
        channel.on_names(kind, request, &mut reaction);
        if channel.topics.len().max(channel.held.len()) > NAMES {
            return Err(TooMuch(format!("at most {NAMES} names of one type are followed on one stream")));
        }
        Ok(reaction)
    }

    /// A type that this release does not know: whatever is asked for does not exist.
    fn on_strange(&mut self, request: Request) {
        self.strange += 1;
        let asks = request.nonce.is_empty() && !request.subscribe.is_empty();
        // Bounded: a follower that asks on without reading is not answered every time.
        if asks && self.strangers.len() < 8 {
            self.nonce += 1;
            self.strangers.push_back(Response {
                type_url: request.type_url.as_str().into(),
                nonce: self.nonce.to_string(),
                resources: Vec::new(),
                removed: request.subscribe.iter().take(STRANGE).map(|name| name.as_str().into()).collect(),
            });
        }
    }

    /// A resource has changed, appeared or gone. Whether the follower may care.
    pub fn on_change(&mut self, kind: Kind, name: &Arc<str>) -> bool {
        let channel = &mut self.channels[slot(kind)];
        let cares = channel.follows(name) || channel.held.contains_key(name);
        if cares {
            channel.changed.insert(name.clone());
        }
        cares
    }

    /// What is to be sent now, if anything. What turns out to be gone from the follower already is added to `gone`.
    pub fn next(&mut self, now: Moment, table: &Table, gone: &mut Vec<(Kind, Arc<str>)>) -> Option<Response> {
        if let Some(response) = self.strangers.pop_front() {
            return Some(response);
        }
        for kind in Kind::ALL {
            let channel = &mut self.channels[slot(kind)];
            let mut left = |name| gone.push((kind, name));
            if let Some(sent) = channel.next(kind, now, table, &mut left) {
                self.nonce += 1;
                let response = response(kind, self.nonce, &sent);
                let (nonce, left) = (self.nonce, BTreeSet::new());
                channel.in_flight = Some(Flight { nonce, since: now, sent, left });
                return Some(response);
            }
        }
        None
    }

    /// Whether the follower goes on: not, where it has owed an answer for too long while there is more to be told.
    ///
    /// # Errors
    /// [`TooMuch`]: the conversation is to be ended.
    pub fn verdict(&self, now: Moment) -> Result<(), TooMuch> {
        let late = |c: &&Channel| !c.changed.is_empty() && c.answer_by().is_some_and(|by| by <= now);
        match self.channels.iter().find(late) {
            Some(_) => Err(TooMuch(format!("an answer has been owed for {} s", OWES.as_secs()))),
            None => Ok(()),
        }
    }

    /// When [`Conversation::next`] may have something to send although nobody said anything.
    pub fn next_wakeup(&self) -> Option<Moment> {
        let idle = || self.channels.iter().filter(|c| c.in_flight.is_none());
        let told = idle().filter(|c| !c.changed.is_empty()).map(|channel| channel.pace.next());
        let withheld = idle().filter(|c| !c.withheld.is_empty()).map(|channel| channel.trusted);
        let owed = self.channels.iter().filter(|c| !c.changed.is_empty()).filter_map(Channel::answer_by);
        told.chain(withheld).chain(owed).min()
    }

    /// All that the follower follows: names, folders, and `*`.
    pub fn topics(&self) -> impl Iterator<Item = (Kind, &Arc<str>)> {
        let kinds = Kind::ALL.into_iter().zip(&self.channels);
        kinds.flat_map(|(kind, channel)| channel.topics.iter().map(move |topic| (kind, topic)))
    }

    /// The follower's name, as it gave it.
    pub fn follower(&self) -> &Arc<str> {
        &self.follower
    }

    /// The service that the follower belongs to, as it said.
    pub fn cluster(&self) -> &Arc<str> {
        &self.cluster
    }

    /// How many requests were for types that are not known here.
    pub fn strange(&self) -> u64 {
        self.strange
    }

    /// Whether the follower has accepted `version` of resource `name`, or does not want to hear of it.
    pub fn is_served(&self, kind: Kind, name: &Arc<str>, version: u64) -> bool {
        let channel = &self.channels[slot(kind)];
        !channel.follows(name) || channel.held.get(name) == Some(&Held::Version(version))
    }

    /// Whether the follower may have some version of resource `name`.
    pub fn holds(&self, kind: Kind, name: &str) -> bool {
        self.channels[slot(kind)].held.contains_key(name)
    }

    /// How far the follower is behind, for each type that it has asked for.
    pub fn lag(&self) -> Vec<Lag> {
        let kinds = Kind::ALL.into_iter().zip(&self.channels);
        kinds.filter(|(_, channel)| channel.begun).map(|(kind, channel)| channel.lag(kind)).collect()
    }
}

fn check(request: &Request) -> Result<(), TooMuch> {
    let names = || request.subscribe.iter().chain(&request.unsubscribe).chain(request.initial.keys());
    let count = request.subscribe.len() + request.unsubscribe.len() + request.initial.len();
    if count > 2 * NAMES {
        return Err(TooMuch(format!("{count} names in one request: there are at most {}", 2 * NAMES)));
    }
    let node = request.node.iter().flat_map(|node| [&node.id, &node.cluster]);
    let all = names().chain(node).chain([&request.type_url]);
    let Some(long) = all.map(String::len).find(|length| *length > NAME) else { return Ok(()) };
    Err(TooMuch(format!("a name of {long} bytes: names have at most {NAME}")))
}

fn response(kind: Kind, nonce: u64, sent: &[(Arc<str>, Option<Arc<Body>>)]) -> Response {
    let removed = sent.iter().filter(|(_, body)| body.is_none());
    Response {
        type_url: kind.url().into(),
        nonce: nonce.to_string(),
        resources: sent.iter().filter_map(|(_, body)| Some(body.as_ref()?.packed().clone())).collect(),
        removed: removed.map(|(name, _)| name.clone()).collect(),
    }
}

impl Channel {
    /// Until when an answer that is owed has to come.
    fn answer_by(&self) -> Option<Moment> {
        self.in_flight.as_ref().map(|flight| flight.since.after(OWES))
    }

    fn follows(&self, name: &str) -> bool {
        let in_folder = || folder_of(name).is_some_and(|folder| self.topics.contains(&*folder));
        self.topics.contains(ALL) || self.topics.contains(name) || in_folder()
    }

    /// The part of a request that accepts or refuses a response.
    fn on_answer(&mut self, kind: Kind, request: &Request, reaction: &mut Reaction) {
        let nonce = request.nonce.parse().ok();
        let Some(flight) = self.in_flight.take_if(|flight| Some(flight.nonce) == nonce) else { return };
        match &request.error {
            None => self.on_accepted(kind, flight, reaction),
            Some(why) => self.on_refused(kind, flight, why, reaction),
        }
    }

    fn on_accepted(&mut self, kind: Kind, flight: Flight, reaction: &mut Reaction) {
        for (name, body) in flight.sent {
            match body {
                Some(body) => {
                    body.accept();
                    self.refused.remove(&name);
                    reaction.took.push((kind, name.clone(), body.version()));
                    // What it has unsubscribed from meanwhile it has dropped.
                    if self.follows(&name) {
                        // One that it dropped and took up again meanwhile may have gone in between.
                        if flight.left.contains(&name) {
                            self.owed.entry(name.clone()).or_insert(Answer::IfNews);
                        }
                        self.held.insert(name, Held::Version(body.version()));
                    } else {
                        self.let_go(kind, name, reaction);
                    }
                }
                None => self.let_go(kind, name, reaction),
            }
        }
    }

    fn on_refused(&mut self, kind: Kind, flight: Flight, why: &str, reaction: &mut Reaction) {
        let resources = flight.sent.iter().filter(|(_, body)| body.is_some()).count();
        for (name, body) in flight.sent {
            match body {
                Some(body) if resources == 1 => {
                    let (version, why) = (body.version(), shortened(why));
                    if self.follows(&name) {
                        // Whatever it had of this before, the next change is sent even if it goes back to that.
                        self.held.insert(name.clone(), Held::Unsure);
                        self.refused.insert(name.clone(), (version, why.clone()));
                    } else {
                        self.let_go(kind, name.clone(), reaction);
                    }
                    reaction.refused.push(Refusal { kind, name, version, why });
                }
                _ if !self.follows(&name) => self.let_go(kind, name, reaction),
                Some(_) => {
                    // It may use the sound ones among them: if one goes before it is sent again, that is told too.
                    self.held.insert(name.clone(), Held::Unsure);
                    self.alone.push_back(name);
                }
                // The removals of a refused response are said again; nobody can refuse one that comes by itself. It may
                // have dropped what it had, or not: if that comes back before, even as it was, it is told too.
                None if resources > 0 => {
                    self.held.entry(name.clone()).and_modify(|held| *held = Held::Unsure);
                    self.owed.entry(name).or_insert(Answer::IfNews);
                }
                None => self.let_go(kind, name, reaction),
            }
        }
    }

    fn let_go(&mut self, kind: Kind, name: Arc<str>, reaction: &mut Reaction) {
        self.held.remove(&name);
        self.refused.remove(&name);
        reaction.gone.push((kind, name));
    }

    /// The part of a request that says what is wanted.
    fn on_names(&mut self, kind: Kind, request: Request, reaction: &mut Reaction) {
        let first = !std::mem::replace(&mut self.begun, true);
        let mut follow = |topics: &mut BTreeSet<Arc<str>>, topic: &Arc<str>| {
            if topics.insert(topic.clone()) {
                reaction.follow.push((kind, topic.clone()));
            }
        };
        if first {
            self.greet = true;
            if request.subscribe.is_empty() {
                // All of a type, as it was said before there was a name for it. It goes on until `*` is unsubscribed.
                follow(&mut self.topics, &ALL.into());
                self.unfold.insert(ALL.into(), Answer::IfNews);
            }
        }
        for name in &request.subscribe {
            let topic: Arc<str> = name.as_str().into();
            follow(&mut self.topics, &topic);
            let held = first && (topic.ends_with(ALL) || request.initial.contains_key(name));
            let answer = if held { Answer::IfNews } else { Answer::Always };
            let due = if topic.ends_with(ALL) { &mut self.unfold } else { &mut self.owed };
            let known = due.entry(topic).or_insert(answer);
            *known = answer.max(*known);
        }
        for name in &request.unsubscribe {
            self.unsubscribe(kind, name, reaction);
        }
        if first {
            for (name, version) in request.initial {
                if self.follows(&name) {
                    let held = version_from(&version).map_or(Held::Unsure, Held::Version);
                    let name: Arc<str> = name.into();
                    self.owed.entry(name.clone()).or_insert(Answer::IfNews);
                    self.held.insert(name, held);
                }
            }
        }
    }

    fn unsubscribe(&mut self, kind: Kind, topic: &str, reaction: &mut Reaction) {
        let topic: Arc<str> = topic.into();
        if self.topics.remove(&topic) {
            reaction.unfollow.push((kind, topic.clone()));
        }
        self.unfold.remove(&topic);
        if self.follows(&topic) {
            // Wanted as one of many still. The follower has dropped it by itself, so it is told again.
            let due = if topic.ends_with(ALL) { &mut self.unfold } else { &mut self.owed };
            due.insert(topic, Answer::Always);
            return;
        }
        if let Some(mut flight) = self.in_flight.take() {
            let left = flight.sent.iter().map(|(name, _)| name).filter(|name| !self.follows(name));
            flight.left.extend(left.cloned());
            self.in_flight = Some(flight);
        }
        let known = self.held.keys().chain(self.owed.keys()).chain(&self.changed).chain(self.refused.keys());
        let dropped: BTreeSet<Arc<str>> = known.filter(|name| !self.follows(name)).cloned().collect();
        for name in dropped {
            self.owed.remove(&name);
            self.changed.remove(&name);
            self.alone.retain(|other| *other != name);
            // What is under way may be read after all that was said here: only its answer says that it is dropped.
            match &self.in_flight {
                Some(flight) if flight.left.contains(&name) => {
                    self.held.remove(&name);
                    self.refused.remove(&name);
                }
                _ => self.let_go(kind, name, reaction),
            }
        }
    }

    fn next(
        &mut self,
        kind: Kind,
        now: Moment,
        table: &Table,
        gone: &mut impl FnMut(Arc<str>),
    ) -> Option<Said> {
        if self.in_flight.is_some() {
            return None;
        }
        let mut sent = Vec::new();
        while let Some(name) = self.alone.pop_front() {
            self.owed.remove(&name);
            self.changed.remove(&name);
            if let Some(body) = table.get(kind, &name) {
                sent.push((name, Some(body.clone())));
                return Some(sent);
            }
            self.owed.insert(name, Answer::IfNews);
        }
        self.unfold_into(kind, table, &mut sent);
        self.trusted = table.trusted();
        if now >= self.trusted {
            for name in std::mem::take(&mut self.withheld) {
                self.owed.entry(name).or_insert(Answer::IfNews);
            }
        }
        let mut due = std::mem::take(&mut self.owed);
        let told = !self.changed.is_empty() && (!due.is_empty() || self.pace.next() <= now);
        if told {
            for name in std::mem::take(&mut self.changed) {
                due.entry(name).or_insert(Answer::IfNews);
            }
        }
        self.pick(kind, (now, table), due, &mut sent, gone);
        if sent.is_empty() && !self.greet {
            return None;
        }
        if told {
            self.pace.on_told(now);
        }
        self.greet = false;
        Some(sent)
    }

    /// Names what lies in the folders that were asked for. An empty folder is told as removed.
    fn unfold_into(&mut self, kind: Kind, table: &Table, sent: &mut Said) {
        for (topic, answer) in std::mem::take(&mut self.unfold) {
            let prefix = topic.strip_suffix(ALL).unwrap_or(&topic);
            let inside = |name: &&Arc<str>| *topic == *ALL || folder_of(name).as_deref() == Some(&*topic);
            let mut names = table.names(kind, prefix).filter(inside).peekable();
            if names.peek().is_none() && *topic != *ALL {
                sent.push((topic.clone(), None));
            }
            for name in names {
                let known = self.owed.entry(name.clone()).or_insert(answer);
                *known = answer.max(*known);
            }
        }
    }

    /// Decides for each name that is due whether it is sent, as what, or later.
    fn pick(
        &mut self,
        kind: Kind,
        (now, table): (Moment, &Table),
        due: BTreeMap<Arc<str>, Answer>,
        sent: &mut Said,
        gone: &mut impl FnMut(Arc<str>),
    ) {
        let mut size = 0;
        let mut removed = Vec::new();
        for (name, answer) in due {
            match table.get(kind, &name) {
                Some(body) if answer == Answer::IfNews && self.knows(&name, body.version()) => {
                    // Also what it brought from before a restart of ours: it has accepted that once.
                    if self.held.get(&name) == Some(&Held::Version(body.version())) {
                        body.accept();
                    }
                }
                Some(_) if size >= RESPONSE => {
                    self.owed.insert(name, answer);
                }
                Some(body) => {
                    size += body.packed().len();
                    sent.push((name, Some(body.clone())));
                }
                None if self.held.contains_key(&name)
                    && answer == Answer::IfNews
                    && now < table.trusted()
                    && !table.was_removed(kind, &name) =>
                {
                    self.withheld.insert(name);
                }
                None if self.held.contains_key(&name) || answer == Answer::Always => {
                    removed.push((name, answer));
                }
                None => gone(name),
            }
        }
        // What replaces something travels before the removal of what it replaces.
        if self.owed.is_empty() {
            sent.extend(removed.into_iter().map(|(name, _)| (name, None)));
        } else {
            self.owed.extend(removed);
        }
    }

    fn knows(&self, name: &Arc<str>, version: u64) -> bool {
        let refused = self.refused.get(name).is_some_and(|(known, _)| *known == version);
        refused || self.held.get(name) == Some(&Held::Version(version))
    }

    fn lag(&self, kind: Kind) -> Lag {
        let in_flight = self.in_flight.as_ref();
        let due = self.owed.len() + self.unfold.len() + self.changed.len() + self.alone.len();
        let refusal = |(name, (version, why)): (&Arc<str>, &(u64, String))| Refusal {
            kind,
            name: name.clone(),
            version: *version,
            why: why.clone(),
        };
        Lag {
            kind,
            follows: self.topics.len(),
            holds: self.held.len(),
            behind: due + in_flight.map_or(0, |flight| flight.sent.len()),
            waiting_since: in_flight.map(|flight| flight.since),
            refuses: self.refused.iter().map(refusal).collect(),
        }
    }
}

/// The beginning of `why`, cut where a character ends.
fn shortened(why: &str) -> String {
    let end = (0..=WHY.min(why.len())).rev().find(|end| why.is_char_boundary(*end));
    why[..end.unwrap_or(0)].to_owned()
}

#[cfg(test)]
mod tests;
