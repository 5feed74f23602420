//! The control plane as agents, people and sidecars meet it: over real sockets, in one process.
#![allow(clippy::unwrap_used)]

#[path = "../streams/follower.rs"]
mod follower;
mod stage;
mod store;
mod tokens;

use api::{ClientError, Problem, Query, SidecarState, ask};
use follower::Follower;
use model::ServiceName;
use stage::{PATIENCE, Stage, registration};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use wire::xds::Kind;
use wire::xds::resource::endpoints_of;

/// Why a request was refused.
fn problem<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> Problem {
    match answer.unwrap_err() {
        ClientError::Refused(problem) => problem,
        other => panic!("{other}"),
    }
}

#[test]
fn an_agent_joins_registers_lists_beats_and_leaves() {
    let stage = Stage::begin();
    let node = stage.join("node", 1);
    let settled =
        node.send(&ask::register("node", "offers-1", &registration(1, "offers", 9001), PATIENCE)).unwrap();
    assert!(settled.settled, "nobody follows it: {settled:?}");
    let services = stage.client().services().unwrap().services;
    assert_eq!((services.len(), services[0].name.as_str(), services[0].in_rotation), (1, "offers", 1));
    let listed = |name: &str, port: u16| api::ListedInstance {
        name: name.into(),
        service: "offers".into(),
        address: format!("127.0.0.1:{port}"),
        incarnation: 1,
    };
    let instances = vec![listed("offers-1", 9001), listed("offers-2", 9002), listed("offers-3", 0)];
    let answer = node.send(&ask::list("node", &api::List { session: 1, instances })).unwrap();
    let refused: Vec<_> = answer.refused.iter().map(|r| (r.name.as_str(), r.problem.as_str())).collect();
    assert_eq!(refused, [("offers-3", "bad-address")]);
    node.send(&ask::beat("node", 1)).unwrap();
    let gone = node.send(&ask::deregister("node", "offers-2", 1, PATIENCE)).unwrap();
    assert!(gone.settled);
    let again = node.send(&ask::deregister("node", "offers-2", 1, PATIENCE)).unwrap();
    assert!(again.settled, "what is out is out");
    let names: Vec<_> = stage.client().instances().unwrap().instances.into_iter().map(|i| i.name).collect();
    assert_eq!(names, ["offers-1"]);
    let since = stage.client().instances().unwrap().instances.remove(0).since;
    let registered = stage.client().events(Query::default()).unwrap().events;
    let registered = registered.into_iter().find(|event| event.kind == "instance-registered");
    assert_eq!(registered.map(|event| event.time), Some(since));
    node.send(&ask::leave("node", 1)).unwrap();
    assert!(stage.client().instances().unwrap().instances.is_empty());
    let agents = stage.client().send(&ask::agents()).unwrap().agents;
    assert_eq!((agents[0].name.as_str(), agents[0].state.word()), ("node", "away"));
    let kinds: Vec<_> =
        stage.client().events(Query::default()).unwrap().events.into_iter().map(|e| e.kind).collect();
    for kind in ["agent-joined", "instance-registered", "instance-deregistered"] {
        assert!(kinds.iter().any(|known| known == kind), "{kind} in {kinds:?}");
    }
    stage.end();
}

#[test]
fn what_is_refused_says_why_in_a_word_and_a_sentence() {
    let stage = Stage::begin();
    let node = stage.join("node", 7);
    let register = |name: &str, said: &api::Registration| {
        problem(node.send(&ask::register("node", name, said, Duration::ZERO)))
    };
    assert_eq!(register("offers-1", &registration(6, "offers", 9001)).problem, "superseded");
    assert_eq!(register("Offers", &registration(7, "offers", 9001)).problem, "bad-request");
    assert_eq!(register("offers-1", &registration(7, "Offers", 9001)).problem, "bad-request");
    let nowhere = api::Registration { address: "nowhere".into(), ..registration(7, "offers", 9001) };
    assert!(register("offers-1", &nowhere).text.contains("ADDRESS:PORT"));
    node.send(&ask::register("node", "offers-1", &registration(7, "offers", 9001), Duration::ZERO)).unwrap();
    node.send(&ask::deregister("node", "offers-1", 7, Duration::ZERO)).unwrap();
    let stale = register("offers-1", &registration(7, "offers", 9001));
    assert_eq!((stale.problem.as_str(), stale.known), ("stale", Some(1)));
    let other = stage.join("other", 1);
    other
        .send(&ask::register("other", "offers-2", &registration(1, "offers", 9002), Duration::ZERO))
        .unwrap();
    assert_eq!(register("offers-2", &registration(7, "offers", 9003)).problem, "name-taken");
    assert_eq!(register("offers-3", &registration(7, "offers", 9002)).problem, "address-taken");
    let ahead = api::Registration { incarnation: u64::MAX, ..registration(7, "offers", 9004) };
    assert_eq!(register("offers-4", &ahead).problem, "bad-incarnation");
    let listed = api::ListedInstance {
        name: "offers-4".into(),
        service: "offers".into(),
        address: "127.0.0.1:9004".into(),
        incarnation: u64::MAX,
    };
    let answer = node.send(&ask::list("node", &api::List { session: 7, instances: vec![listed] })).unwrap();
    assert_eq!(answer.refused[0].problem, "bad-incarnation");
    // An agent speaks for itself only.
    let foreign = problem(other.send(&ask::beat("node", 7)));
    assert_eq!(foreign.problem, "not-permitted");
    assert_eq!(stage.raw("PUT", "/v1/agents/node/instances/x-1", None, "{}").0, 401);
    assert_eq!(stage.raw("GET", "/v1/agents/node/instances/x-1", None, "").0, 405);
    assert_eq!(stage.raw("GET", "/v1/nothing", None, "").0, 404);
    stage.end();
}

#[test]
fn what_manifests_say_is_declared_or_every_mistake_is_named() {
    let stage = Stage::begin();
    let node = stage.join("node", 1);
    let good = api::decode(&wire::files::encode_settings(&model::Preset::Off.settings())).unwrap();
    let declaration = |service: &str, settings| api::Declaration {
        service: service.into(),
        settings,
        author: "ada".into(),
    };
    let bad = api::decode(r#"{"balancing": "luck"}"#).unwrap();
    let services = vec![declaration("offers", good), declaration("search", bad)];
    let declared = api::Declarations { session: 1, services };
    let refused = problem(node.send(&ask::declare("node", &declared)));
    assert!(refused.text.contains("search") && refused.text.contains("luck"), "{}", refused.text);
    assert!(stage.client().services().unwrap().services.is_empty(), "nothing of it is taken");
    let good = api::Declarations { services: declared.services[..1].to_vec(), ..declared };
    node.send(&ask::declare("node", &good)).unwrap();
    assert_eq!(stage.client().services().unwrap().services[0].name, "offers");
    stage.end();
}

/// A follower of `offers`, with everything that it was told first.
async fn follow(stage: &Stage, name: &str) -> Follower {
    let mut follower = Follower::connect(stage.delivery, name, 1 << 20).await.unwrap();
    let service = ServiceName::new("offers").unwrap();
    follower.subscribe(Kind::Service, &["offers".to_owned()], &BTreeMap::new());
    follower.subscribe(Kind::Endpoint, &[endpoints_of(&service)], &BTreeMap::new());
    for _ in 0..2 {
        let update = hear(&mut follower).await;
        follower.accept(&update);
    }
    follower
}

async fn hear(follower: &mut Follower) -> wire::xds::Update {
    tokio::time::timeout(PATIENCE, follower.hear()).await.unwrap().unwrap().expect("the stream goes on")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_settled_when_every_follower_has_accepted_it() {
    let stage = Stage::begin();
    let node = stage.join("node", 1);
    let mut quick = follow(&stage, "shop-1").await;
    let mut slow = follow(&stage, "shop-2").await;
    let register = ask::register("node", "offers-1", &registration(1, "offers", 9001), PATIENCE);
    let asked = tokio::task::spawn_blocking({
        let node = node.clone();
        move || node.send(&register).unwrap()
    });
    // The service itself, which nobody had declared, and its endpoint.
    for follower in [&mut quick, &mut slow] {
        for _ in 0..2 {
            let update = hear(follower).await;
            follower.accept(&update);
        }
    }
    assert!(asked.await.unwrap().settled);

    // One does not say that it has let go: it is waited for, and named when the time is over.
    let deregister = ask::deregister("node", "offers-1", 1, Duration::from_millis(200));
    let asked = tokio::task::spawn_blocking({
        let node = node.clone();
        move || node.send(&deregister).unwrap()
    });
    let update = hear(&mut quick).await;
    assert_eq!(update.removed, ["offers/offers-1"]);
    quick.accept(&update);
    let removal = hear(&mut slow).await;
    let answer = asked.await.unwrap();
    assert_eq!((answer.settled, answer.waiting), (false, vec!["shop-2".to_owned()]));
    let behind = stage.sidecar("shop-2");
    assert_eq!((behind.state, behind.behind), (SidecarState::Behind, 1));
    assert!(behind.behind_ms.is_some_and(|ms| ms >= 100), "{behind:?}");

    // Asked again, it is waited for again, until it has said so.
    let again = ask::deregister("node", "offers-1", 1, PATIENCE);
    let asked = tokio::task::spawn_blocking(move || node.send(&again).unwrap());
    slow.accept(&removal);
    assert!(asked.await.unwrap().settled);
    assert_eq!(stage.sidecar("shop-1").state, SidecarState::InStep);
    stage.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_went_away_with_what_is_removed_is_waited_for_when_it_is_back() {
    let stage = Stage::begin();
    let node = stage.join("node", 1);
    let say = |ask: api::Ask<api::Settled>| {
        let node = node.clone();
        tokio::task::spawn_blocking(move || node.send(&ask).unwrap())
    };
    say(ask::register("node", "offers-1", &registration(1, "offers", 9001), PATIENCE)).await.unwrap();
    let mut follower = follow(&stage, "shop-1").await;
    assert!(follower.held.contains_key(&(Kind::Endpoint, "offers/offers-1".to_owned())));
    let held = follower.held.clone();
    // The control plane restarts; the follower comes back before the farewell is over, with what it held.
    drop(follower);
    let stage = stage.restart();
    let node = stage.client().with_bearer(stage.credential("node"));
    let asked = {
        let ask = ask::deregister("node", "offers-1", 1, PATIENCE);
        tokio::task::spawn_blocking(move || node.send(&ask).unwrap())
    };
    follower = Follower::connect(stage.delivery, "shop-1", 1 << 20).await.unwrap();
    follower.subscribe(Kind::Endpoint, &["offers/*".to_owned()], &held);
    let update = hear(&mut follower).await;
    // Nothing of what was there before, or the removal, whichever came first.
    assert!(update.resources.is_empty(), "{update:?}");
    let update = if update.removed.iter().any(|name| name == "offers/offers-1") {
        update
    } else {
        follower.accept(&update);
        hear(&mut follower).await
    };
    assert!(update.removed.iter().any(|name| name == "offers/offers-1"), "{update:?}");
    assert!(!asked.is_finished(), "it is not settled before the follower has said so");
    follower.accept(&update);
    assert!(asked.await.unwrap().settled);
    stage.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_refuses_what_and_why_is_told() {
    let stage = Stage::begin();
    let node = stage.join("node", 1);
    let mut follower = follow(&stage, "shop-1").await;
    let asked = tokio::task::spawn_blocking(move || {
        node.send(&ask::register("node", "offers-1", &registration(1, "offers", 9001), Duration::ZERO))
            .unwrap()
    });
    loop {
        let update = hear(&mut follower).await;
        if update.type_url != Kind::Endpoint.url() {
            follower.accept(&update);
            continue;
        }
        let (type_url, nonce) = (update.type_url.clone(), update.nonce.clone());
        let error = Some("no such port".to_owned());
        follower.say(wire::xds::Request { type_url, nonce, error, ..Default::default() });
        break;
    }
    asked.await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    let sync = loop {
        let sync = stage.client().send(&ask::sync()).unwrap();
        if !sync.refused.is_empty() && !sync.sidecars[0].refuses.is_empty() {
            break sync;
        }
        assert!(Instant::now() < deadline, "it is never told: {sync:?}");
    };
    assert_eq!(sync.sidecars[0].state, SidecarState::Refuses);
    assert_eq!(sync.sidecars[0].refuses[0].why, "no such port");
    let contested = &sync.refused[0];
    assert_eq!((contested.kind.as_str(), contested.name.as_str()), ("endpoint", "offers/offers-1"));
    assert_eq!((contested.count, contested.by[0].sidecar.as_str()), (1, "shop-1"));
    let events = stage.client().events(Query::default()).unwrap().events;
    assert!(
        events.iter().any(|event| event.kind == "resource-refused" && event.text.contains("no such port"))
    );
    stage.end();
}

#[test]
fn every_path_of_the_served_document_is_answered_and_what_is_waited_for_ends_with_the_plane() {
    let stage = Stage::begin();
    let (status, body) = stage.raw("GET", "/openapi.json", None, "");
    assert_eq!(status, 200);
    let document: api::Document = api::decode(&body).unwrap();
    assert_eq!(document.openapi, "3.1.0");
    assert!(document.paths.len() > 8);
    let mut methods = BTreeSet::new();
    for (path, item) in &document.paths {
        let real = path.replace("{agent}", "node").replace("{name}", "offers-1").replace("{id}", "0");
        for method in item.keys() {
            let (status, body) = stage.raw(&method.to_uppercase(), &real, None, "");
            let unknown = body.contains("unknown-path");
            assert!(!unknown && status != 405, "{method} {path}: {status} {body}");
            methods.insert(method.clone());
        }
    }
    assert_eq!(methods.into_iter().collect::<Vec<_>>(), ["delete", "get", "post", "put"]);

    let client = stage.client();
    let next = client.events(Query::default()).unwrap().next;
    let waiting = std::thread::spawn(move || client.events(Query::after(next, Duration::from_secs(60))));
    // The request is under way when the plane says how many there are.
    let deadline = Instant::now() + PATIENCE;
    while stage.under_way() == 0 {
        assert!(Instant::now() < deadline, "it is never asked");
        std::thread::yield_now();
    }
    let begun = Instant::now();
    stage.end();
    assert!(waiting.join().unwrap().unwrap().events.is_empty());
    assert!(begun.elapsed() < Duration::from_secs(30));
}
