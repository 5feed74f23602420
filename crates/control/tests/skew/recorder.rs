//! Plays a script of a conversation between a follower and a control plane of today, and takes down every byte.

use super::bytes::{read_update, write_request};
use super::meaning::{Held, of_request, of_update};
use super::stage::{Stage, Talk, declare};
use super::tape::{Entry, Side, Tape};
use std::collections::{BTreeMap, BTreeSet};
use wire::xds::{Kind, Node, Request, Update};

/// The conversations. `*` is done to the registry; `=` connects; `>` the follower says, `<` it hears.
const SCRIPTS: &[(&str, &str)] = &[
    ("start", START),
    ("change", CHANGE),
    ("removal", REMOVAL),
    ("refusal", REFUSAL),
    ("reconnect", RECONNECT),
    ("unknown-type", UNKNOWN_TYPE),
];

const START: &str = "
# A sidecar starts: one dependency with two instances, and one that does not exist.
* declare shop default
* register shop-1 10.0.0.1:1001 1
* register shop-2 [2001:db8::2]:1002 7
= web-1 web
> follow service nowhere shop
<
> accept
> follow policy nowhere shop
<
> accept
> follow endpoint nowhere/* shop/*
<
> accept";

const CHANGE: &str = "
# An instance comes, one moves, the policy changes, and a service appears that was asked for in vain.
* declare shop default
* register shop-1 10.0.0.1:1001 1
= web-1 web
> follow service late shop
<
> accept
> follow policy late shop
<
> accept
> follow endpoint late/* shop/*
<
> accept
* register shop-3 10.0.0.3:1003 1
<
> accept
* register shop-1 10.0.9.1:1901 2
<
> accept
* declare shop off
<
> accept
* register late-1 10.0.0.4:1004 1
<
> accept
<
> accept
> leave endpoint late/*
* register late-2 10.0.0.5:1005 1
* register shop-4 10.0.0.6:1006 1
<
> accept";

const REMOVAL: &str = "
# Instances leave, one by one.
* register shop-1 10.0.0.1:1001 1
* register shop-2 10.0.0.2:1002 1
= web-1 web
> follow service shop
<
> accept
> follow endpoint shop/*
<
> accept
* deregister shop-1
<
> accept
* deregister shop-2
<
> accept";

const REFUSAL: &str = "
# A policy is refused: the last good one is told again, and stays in use.
* declare shop off
* register shop-1 10.0.0.1:1001 1
= web-1 web
> follow policy shop
<
> accept
> follow endpoint shop/*
<
> accept
* declare shop default
<
> refuse shop: `retry.tries` is out of range
<
> accept";

const RECONNECT: &str = "
# A stream breaks; while it is away one instance leaves, one comes, and one moves.
* declare shop default
* register shop-1 10.0.0.1:1001 1
* register shop-2 10.0.0.2:1002 1
* register shop-3 10.0.0.3:1003 1
= web-1 web
> follow service shop
<
> accept
> follow policy shop
<
> accept
> follow endpoint shop/*
<
> accept
* deregister shop-1
* register shop-2 10.0.9.2:1902 2
* register shop-4 10.0.0.4:1004 1
= web-1 web
> follow service shop
<
> accept
> follow policy shop
<
> accept
> follow endpoint shop/*
<
> accept";

const UNKNOWN_TYPE: &str = "
# A follower of a later release asks for a type that is not known here, and goes on with the others.
* register shop-1 10.0.0.1:1001 1
= web-1 web
> ask type.googleapis.com/outrigger.v9.Weather shop
<
> accept
> follow endpoint shop/*
<
> accept";

/// Every script, played and taken down.
pub(crate) async fn record_all() -> BTreeMap<String, Tape> {
    let mut tapes = BTreeMap::new();
    for (name, script) in SCRIPTS {
        tapes.insert((*name).to_owned(), record(script).await);
    }
    tapes
}

struct Recorder {
    stage: Stage,
    talk: Option<Talk>,
    node: Option<Node>,
    /// Types that were asked for on this stream.
    begun: BTreeSet<String>,
    last: Update,
    held: Held,
    tape: Tape,
}

async fn record(script: &str) -> Tape {
    let mut recorder = Recorder {
        stage: Stage::new(),
        talk: None,
        node: None,
        begun: BTreeSet::new(),
        last: Update::default(),
        held: Held::default(),
        tape: Tape::default(),
    };
    for line in script.trim().lines() {
        let (sign, rest) = line.split_once(' ').unwrap_or((line, ""));
        match sign {
            "#" => recorder.tape.0.push(Entry::Note(rest.to_owned())),
            "*" => recorder.act(rest).await,
            "=" => recorder.connect(rest).await,
            ">" => recorder.say(rest).await,
            "<" => recorder.hear().await,
            _ => panic!("no line of a script: {line}"),
        }
    }
    assert!(recorder.talk.expect("it connects").is_silent(), "the script ends too early: {script}");
    recorder.tape.0.push(Entry::Holds(recorder.held.to_string()));
    recorder.tape
}

impl Recorder {
    async fn act(&mut self, act: &str) {
        let act = match act.split(' ').collect::<Vec<_>>()[..] {
            ["declare", service, preset] => declare(service, preset),
            _ => act.to_owned(),
        };
        self.stage.act(&act).await;
        self.tape.0.push(Entry::Act(act));
    }

    async fn connect(&mut self, name: &str) {
        let (id, cluster) = name.split_once(' ').unwrap();
        self.node = Some(Node { id: id.to_owned(), cluster: cluster.to_owned() });
        self.begun.clear();
        self.talk = Some(self.stage.talk().await);
        self.tape.0.push(Entry::Stream);
    }

    async fn say(&mut self, what: &str) {
        let request = self.request(what);
        self.held.leave(&request);
        let (meaning, bytes) = (of_request(&request), write_request(request).await);
        self.talk.as_ref().unwrap().say(&bytes);
        self.tape.0.push(Entry::Message { side: Side::Follower, meaning, bytes });
    }

    fn request(&mut self, what: &str) -> Request {
        let (verb, rest) = what.split_once(' ').unwrap_or((what, ""));
        let (of, names) = rest.split_once(' ').unwrap_or((rest, ""));
        let names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
        let kind = Kind::ALL.into_iter().find(|kind| kind.word() == of);
        let type_url = kind.map_or(of, |kind| kind.url()).to_owned();
        let (last, nonce) = (self.last.type_url.clone(), self.last.nonce.clone());
        match verb {
            "follow" | "ask" => {
                let held = kind.map(|kind| self.held.versions(kind)).unwrap_or_default();
                let initial = if self.begun.insert(of.to_owned()) { held } else { BTreeMap::new() };
                let node = self.node.take();
                Request { node, type_url, subscribe: names, initial, ..Request::default() }
            }
            "leave" => Request { type_url, unsubscribe: names, ..Request::default() },
            "accept" => {
                self.held.apply(&self.last);
                Request { type_url: last, nonce, ..Request::default() }
            }
            "refuse" => Request { type_url: last, nonce, error: Some(rest.to_owned()), ..Request::default() },
            _ => panic!("nobody says {what}"),
        }
    }

    async fn hear(&mut self) {
        let bytes = self.talk.as_mut().unwrap().hear().await;
        self.last = read_update(&bytes).await.unwrap();
        self.tape.0.push(Entry::Message { side: Side::Plane, meaning: of_update(&self.last), bytes });
    }
}
