//! Whatever changes, is asked for, refused, left unanswered or broken off, in whatever order: in the end a follower
//! holds exactly what it follows, as it is now, but for versions that it refuses, of which it keeps the one before.
#![allow(clippy::unwrap_used)]

use control::delivery::Conversation;
use control::delivery::table::{RefusedBy, Table, version_text};
use model::Moment;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use wire::xds::resource::version_of;
use wire::xds::{Kind, Request, Response};

const KIND: Kind = Kind::Endpoint;
const NAMES: [&str; 6] = ["a/1", "a/2", "a/3", "b/1", "b/2", "c"];
const TOPICS: [&str; 9] = ["a/1", "a/2", "a/3", "b/1", "b/2", "c", "a/*", "b/*", "*"];

/// Payloads are numbers; this one is refused.
const BAD: u8 = 3;

#[derive(Clone, Debug)]
enum Step {
    Change(usize, Option<u8>),
    Subscribe(usize),
    Unsubscribe(usize),
    /// Reads a response, if there is one, and answers it.
    Read,
    /// Reads a response and does not answer yet.
    Lag,
    /// The stream breaks, and the follower comes back with what it holds.
    Reconnect,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..NAMES.len(), proptest::option::of(0..4u8)).prop_map(|(name, to)| Step::Change(name, to)),
        3 => (0..TOPICS.len()).prop_map(Step::Subscribe),
        2 => (0..TOPICS.len()).prop_map(Step::Unsubscribe),
        6 => Just(Step::Read),
        1 => Just(Step::Lag),
        1 => Just(Step::Reconnect),
    ];
    proptest::collection::vec(step, 1..80)
}

#[derive(Default)]
struct World {
    table: Table,
    conversation: Conversation,
    now: u64,
    /// What each packed resource says, as only a reader of bytes would know.
    known: Vec<(wire::xds::Packed, &'static str, u8)>,
    follows: BTreeSet<&'static str>,
    held: BTreeMap<String, u8>,
    unanswered: Vec<Response>,
    begun: bool,
}

impl World {
    fn change(&mut self, name: &'static str, to: Option<u8>) {
        if self.table.set(KIND, name, to.map(|to| [to]).as_ref().map(|to| &to[..])) {
            self.conversation.on_change(KIND, &name.into());
        }
        if let (Some(to), Some(body)) = (to, self.table.get(KIND, name)) {
            self.known.push((body.packed().clone(), name, to));
        }
    }

    fn say(&mut self, request: Request) {
        let request = Request { type_url: KIND.url().into(), ..request };
        let reaction = self.conversation.on_request(request).unwrap();
        for refusal in reaction.refused {
            let by = RefusedBy { follower: "f".into(), why: refusal.why };
            assert!(!self.table.refuse(KIND, &refusal.name, refusal.version, by), "a fact is not withdrawn");
        }
    }

    /// The first request of a stream says that nothing is followed, lest it be taken to follow all.
    fn begin(&mut self, request: Request) {
        let nothing = vec!["*".to_owned()];
        if !self.begun && request.subscribe.is_empty() {
            self.say(Request { subscribe: nothing.clone(), unsubscribe: nothing, ..Request::default() });
        }
        self.begun = true;
        self.say(request);
    }

    fn does_follow(&self, name: &str) -> bool {
        let folder = name.split_once('/').map(|(folder, _)| format!("{folder}/*"));
        ["*", name].iter().any(|topic| self.follows.contains(topic))
            || folder.is_some_and(|folder| self.follows.contains(&*folder))
    }

    fn hear(&mut self) -> bool {
        self.now += 100;
        let next = self.conversation.next(Moment::from_millis(self.now), &self.table, &mut Vec::new());
        let Some(response) = next else { return false };
        self.unanswered.push(response);
        assert_eq!(self.unanswered.len(), 1, "one response at a time");
        true
    }

    /// Applies what was heard as a whole, or refuses it as a whole.
    fn answer(&mut self) {
        let Some(response) = self.unanswered.pop() else { return };
        let read = |packed| self.known.iter().rev().find(|(known, ..)| known == packed).unwrap();
        let said: Vec<(&str, u8)> = response.resources.iter().map(read).map(|(_, n, to)| (*n, *to)).collect();
        let bad = said.iter().any(|(_, to)| *to == BAD);
        if !bad {
            self.held.extend(said.into_iter().map(|(name, to)| (name.to_owned(), to)));
            for name in &response.removed {
                self.held.remove(&**name);
            }
            self.forget();
        }
        let error = bad.then(|| "three is bad".to_owned());
        self.say(Request { nonce: response.nonce, error, ..Request::default() });
    }

    /// A follower drops what it does not follow.
    fn forget(&mut self) {
        let kept: Vec<String> = self.held.keys().filter(|name| self.does_follow(name)).cloned().collect();
        self.held.retain(|name, _| kept.contains(name));
    }

    fn reconnect(&mut self) {
        self.conversation = Conversation::default();
        self.unanswered.clear();
        self.begun = false;
        let version = |(name, to): (&String, &u8)| (name.clone(), version_text(version_of(&[*to])));
        let initial = self.held.iter().map(version).collect();
        let subscribe = self.follows.iter().map(|topic| (*topic).to_owned()).collect();
        self.begin(Request { subscribe, initial, ..Request::default() });
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Change(name, to) => self.change(NAMES[name], to),
            Step::Subscribe(topic) => {
                self.follows.insert(TOPICS[topic]);
                self.begin(Request { subscribe: vec![TOPICS[topic].into()], ..Request::default() });
            }
            Step::Unsubscribe(topic) => {
                self.follows.remove(TOPICS[topic]);
                // What is wanted as one of many still is dropped and told again.
                self.held.remove(TOPICS[topic]);
                self.forget();
                self.begin(Request { unsubscribe: vec![TOPICS[topic].into()], ..Request::default() });
            }
            Step::Read => {
                self.answer();
                if self.hear() {
                    self.answer();
                }
            }
            Step::Lag => {
                if self.unanswered.is_empty() {
                    self.hear();
                }
            }
            Step::Reconnect => self.reconnect(),
        }
    }
}

/// Plays `steps` until there is nothing more to say, and compares.
fn play(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut world = World::default();
    for step in steps {
        world.step(step);
    }
    let mut rounds = 0;
    world.answer();
    while world.hear() {
        world.answer();
        rounds += 1;
        prop_assert!(rounds < 100, "it never comes to rest");
    }
    for name in NAMES {
        let now = world.table.get(KIND, name).map(|body| body.version());
        let now = now.map(|version| (0..4u8).find(|to| version_of(&[*to]) == version).unwrap());
        let expected = now.filter(|_| world.does_follow(name));
        let held = world.held.get(name).copied();
        match expected {
            Some(BAD) => prop_assert_ne!(held, Some(BAD)),
            _ => prop_assert_eq!(held, expected, "{}", name),
        }
    }
    prop_assert!(world.conversation.lag().iter().all(|lag| lag.behind == 0));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn in_the_end_a_follower_holds_what_it_follows(steps in steps()) {
        play(&steps)?;
    }
}

/// It was dropped by itself, and its removal was refused because of another resource: that it is back as it was is
/// news all the same.
#[test]
fn what_comes_back_after_its_removal_was_refused_is_told() {
    let steps = [
        Step::Subscribe(7),
        Step::Change(0, Some(1)),
        Step::Subscribe(6),
        Step::Read,
        Step::Change(0, None),
        Step::Unsubscribe(0),
        Step::Change(1, Some(BAD)),
        Step::Read,
        Step::Change(0, Some(1)),
    ];
    play(&steps).unwrap();
}
