//! Both sides of the protocol, played against each other without IO: whatever happens on the way, in the end the one
//! knows what the other says, and what one has let go the other does not use.

use super::{address, all, local, ms};
use crate::control_link::following::{Following, Standing};
use control::delivery::Conversation;
use control::delivery::table::{RefusedBy, Table};
use model::{Moment, Preset, Service, ServiceName, Settings};
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use wire::xds::resource::{encode_endpoint, encode_policy, encode_service};
use wire::xds::{Given, Kind, Request, Response, Update};

const SERVICES: [&str; 4] = ["cart", "item", "user", "zoo"];
const PRESETS: [Preset; 3] = [Preset::Default, Preset::Pick, Preset::Off];

#[derive(Clone, Debug)]
enum Happening {
    /// An instance of a service comes, or moves.
    Register(usize, u32),
    Deregister(usize, u32),
    Declare(usize, usize),
    Withdraw(usize),
    /// A policy that nobody can read.
    Spoil(usize),
    /// A request is for that service.
    Ask(usize),
    /// The local file declares those.
    Local(u8),
    /// So many messages arrive at the follower before it adopts.
    Hear(usize),
    /// So many arrive at the control plane.
    Say(usize),
    /// Time passes.
    Wait(u64),
    Lose,
    Connect,
}

fn happening() -> impl Strategy<Value = Happening> {
    let service = 0..SERVICES.len();
    prop_oneof![
        4 => (service.clone(), 0..4u32).prop_map(|(s, n)| Happening::Register(s, n)),
        4 => (service.clone(), 0..4u32).prop_map(|(s, n)| Happening::Deregister(s, n)),
        2 => (service.clone(), 0..PRESETS.len()).prop_map(|(s, n)| Happening::Declare(s, n)),
        1 => service.clone().prop_map(Happening::Withdraw),
        1 => service.clone().prop_map(Happening::Spoil),
        2 => service.prop_map(Happening::Ask),
        1 => (0..16u8).prop_map(Happening::Local),
        6 => (0..4usize).prop_map(Happening::Hear),
        6 => (0..4usize).prop_map(Happening::Say),
        2 => (1..400_000u64).prop_map(Happening::Wait),
        1 => Just(Happening::Lose),
        2 => Just(Happening::Connect),
    ]
}

/// A follower and a control plane, with what is under way between them.
struct Play {
    now: Moment,
    table: Table,
    conversation: Option<Conversation>,
    following: Following,
    declared: Vec<&'static str>,
    adopted: Vec<Service>,
    to_plane: VecDeque<Request>,
    to_follower: VecDeque<Update>,
    moves: u16,
}

impl Play {
    fn new() -> Play {
        let declared = vec![SERVICES[0], SERVICES[1]];
        Play {
            now: ms(1),
            table: Table::default(),
            conversation: None,
            following: Following::new(&local(&declared), ms(1)),
            adopted: local(&declared).services,
            declared,
            to_plane: VecDeque::new(),
            to_follower: VecDeque::new(),
            moves: 0,
        }
    }

    fn set(&mut self, kind: Kind, name: &str, payload: Option<&[u8]>) {
        if self.table.set(kind, name, payload) {
            self.changed(kind, name);
        }
    }

    fn changed(&mut self, kind: Kind, name: &str) {
        if let Some(conversation) = &mut self.conversation {
            conversation.on_change(kind, &Arc::from(name));
        }
    }

    fn play(&mut self, happening: &Happening) {
        match happening {
            Happening::Register(service, number) => {
                self.moves += 1;
                let name = format!("{0}/{0}-{number}", SERVICES[*service]);
                self.set(Kind::Endpoint, &name, Some(&encode_endpoint(address(1000 + self.moves))));
                self.set(Kind::Service, SERVICES[*service], Some(&encode_service()));
            }
            Happening::Deregister(service, number) => {
                self.set(Kind::Endpoint, &format!("{0}/{0}-{number}", SERVICES[*service]), None);
            }
            Happening::Declare(service, preset) => {
                let payload = encode_policy(&PRESETS[*preset].settings());
                self.set(Kind::Policy, SERVICES[*service], Some(&payload));
                self.set(Kind::Service, SERVICES[*service], Some(&encode_service()));
            }
            Happening::Withdraw(service) => {
                self.set(Kind::Policy, SERVICES[*service], None);
                self.set(Kind::Service, SERVICES[*service], None);
            }
            Happening::Spoil(service) => self.set(Kind::Policy, SERVICES[*service], Some(b"\xff")),
            Happening::Ask(service) => {
                self.following.on_ask(&ServiceName::new(SERVICES[*service]).unwrap(), self.now);
                self.speak();
            }
            Happening::Local(mask) => {
                let chosen = (0..SERVICES.len()).filter(|bit| mask >> bit & 1 == 1);
                self.declared = chosen.map(|bit| SERVICES[bit]).collect();
                self.following.on_local(&local(&self.declared));
                self.adopt();
                self.speak();
            }
            Happening::Hear(count) => self.hear(*count),
            Happening::Say(count) => self.say(*count),
            Happening::Wait(millis) => {
                self.now = ms(self.now.as_nanos() / 1_000_000 + millis);
                self.following.on_tick(|_| false, self.now);
                self.adopt();
                self.speak();
            }
            Happening::Lose => self.lose(),
            Happening::Connect => self.connect(),
        }
    }

    fn lose(&mut self) {
        if self.conversation.take().is_some() {
            self.to_plane.clear();
            self.to_follower.clear();
            self.following.on_lost(self.now);
        }
    }

    fn connect(&mut self) {
        if self.conversation.is_none() {
            self.conversation = Some(Conversation::default());
            self.following.on_connected();
            self.speak();
        }
    }

    /// The follower uses what it knows.
    fn adopt(&mut self) {
        self.adopted = self.following.services(&local(&self.declared).services);
        self.following.on_adopted();
    }

    /// The follower says what there is to say, over the wire if there is one.
    fn speak(&mut self) {
        self.to_plane.extend(all(&mut self.following));
    }

    fn hear(&mut self, count: usize) {
        for _ in 0..count {
            let Some(update) = self.to_follower.pop_front() else { break };
            self.following.on_update(&update);
            assert_eq!(self.following.next(), None, "said before it was adopted");
        }
        self.adopt();
        self.speak();
    }

    fn say(&mut self, count: usize) {
        for _ in 0..count {
            let Some(request) = self.to_plane.pop_front() else { break };
            self.on_request(request);
        }
        let mut gone = Vec::new();
        while let Some(conversation) = &mut self.conversation
            && let Some(response) = conversation.next(self.now, &self.table, &mut gone)
        {
            self.to_follower.push_back(self.update_of(&response));
        }
        self.are_gone(gone);
    }

    fn on_request(&mut self, request: Request) {
        let Some(conversation) = &mut self.conversation else { return };
        let reaction = conversation.on_request(request).unwrap();
        self.are_gone(reaction.gone);
        for refusal in reaction.refused {
            let by = RefusedBy { follower: "shop-1".into(), why: refusal.why };
            if self.table.refuse(refusal.kind, &refusal.name, refusal.version, by) {
                self.changed(refusal.kind, &refusal.name);
            }
        }
    }

    /// What the control plane takes for gone is not used: that is what an instance that stops relies on.
    fn are_gone(&self, gone: Vec<(Kind, Arc<str>)>) {
        for (kind, name) in gone {
            let Some((service, instance)) = name.split_once('/').filter(|_| kind == Kind::Endpoint) else {
                continue;
            };
            let of = self.adopted.iter().filter(|s| s.name.as_str() == service);
            let used = of.flat_map(|s| &s.endpoints).any(|e| e.name.as_str() == instance);
            assert!(!used, "{name} is used");
        }
    }

    /// A response as it is read on the other side.
    fn update_of(&self, response: &Response) -> Update {
        let kind = Kind::from_url(&response.type_url).unwrap();
        let mut update = Update {
            type_url: response.type_url.to_string(),
            nonce: response.nonce.clone(),
            ..Update::default()
        };
        update.removed = response.removed.iter().map(ToString::to_string).collect();
        for packed in &response.resources {
            let known = self
                .table
                .names(kind, "")
                .find(|name| self.table.get(kind, name).unwrap().packed() == packed);
            update.resources.push(self.given(kind, known.unwrap()));
        }
        update
    }

    fn given(&self, kind: Kind, name: &str) -> Given {
        let body = self.table.get(kind, name).unwrap();
        let version = control::delivery::table::version_text(body.version());
        Given { name: name.to_owned(), version, payload: self.payload(kind, name, body.version()).into() }
    }

    /// What a resource says: it is found by its version among all that was ever said here.
    fn payload(&self, kind: Kind, name: &str, version: u64) -> Vec<u8> {
        let mut all: Vec<Vec<u8>> = vec![encode_service(), b"\xff".to_vec()];
        all.extend(PRESETS.map(|preset| encode_policy(&preset.settings())));
        all.extend((0..=self.moves).map(|moves| encode_endpoint(address(1000 + moves))));
        let found = all.into_iter().find(|payload| wire::xds::resource::version_of(payload) == version);
        found.unwrap_or_else(|| panic!("{kind:?} {name}"))
    }

    /// Lets everything arrive that is under way, and all that follows from it.
    fn come_to_rest(&mut self) {
        self.connect();
        for _ in 0..1000 {
            self.now = self.now.after(std::time::Duration::from_millis(100));
            self.say(usize::MAX);
            if self.to_follower.is_empty() && self.to_plane.is_empty() {
                return;
            }
            self.hear(usize::MAX);
        }
        panic!("they never come to rest");
    }

    /// The follower knows what the control plane says.
    fn agrees(&self) {
        let followed: BTreeSet<&str> =
            self.declared.iter().copied().chain(self.following.observed().map(ServiceName::as_str)).collect();
        for of in followed {
            let service = ServiceName::new(of).unwrap();
            let folder = format!("{of}/");
            let said: Vec<String> =
                self.table.names(Kind::Endpoint, &folder).map(ToString::to_string).collect();
            let exists = self.table.get(Kind::Service, of).is_some() || !said.is_empty();
            let used = self.adopted.iter().find(|s| s.name == service);
            let declared = self.declared.contains(&of);
            assert_eq!(used.is_some(), exists || declared, "{of}");
            let standing = if exists || declared { Standing::Known } else { Standing::Absent };
            assert_eq!(self.following.standing(&service), standing, "{of}");
            let Some(used) = used else { continue };
            let given: Vec<_> = said.iter().map(|name| self.given(Kind::Endpoint, name)).collect();
            let known: Vec<_> = used.endpoints.iter().map(|e| encode_endpoint(e.address)).collect();
            assert_eq!(known, given.iter().map(|given| given.payload.to_vec()).collect::<Vec<_>>(), "{of}");
            let policy = self.table.get(Kind::Policy, of).map(|_| self.given(Kind::Policy, of).payload);
            let local = if declared { Preset::Off.settings() } else { Settings::default() };
            match policy {
                None => assert_eq!(used.settings, local, "{of}"),
                // Some version that could be read, or none yet.
                Some(payload) if payload[..] == b"\xff"[..] => {}
                Some(payload) => assert_eq!(encode_policy(&used.settings), payload.to_vec(), "{of}"),
            }
        }
        assert!(self.following.missing().is_empty());
        assert!(self.following.age(self.now).is_zero());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn in_the_end_one_knows_what_the_other_says(story in proptest::collection::vec(happening(), 0..120)) {
        let mut play = Play::new();
        for happening in &story {
            play.play(happening);
        }
        play.come_to_rest();
        play.agrees();
    }
}
