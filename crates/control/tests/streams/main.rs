//! Delivery over real sockets: registered here, held there.
#![allow(clippy::unwrap_used)]

mod follower;

use control::delivery::{Hub, Publisher, Trouble, serve};
use control::desk::Desk;
use control::registry::{Command, Grace, Owner, Rules};
use control::store::Memory;
use follower::Follower;
use model::{AgentName, Preset, Registration, ServiceName};
use net::clock::Clock;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use wire::xds::resource::{encode_policy, endpoints_of};
use wire::xds::{Kind, Request, Update};

/// Long enough for anything that happens at all.
const PATIENCE: Duration = Duration::from_secs(20);
const WINDOW: u32 = 1 << 20;

struct Stage {
    desk: Desk,
    hub: Arc<Hub>,
    address: SocketAddr,
    trouble: mpsc::UnboundedReceiver<Trouble>,
}

async fn stage() -> Stage {
    stage_with(Rules::default()).await
}

async fn stage_with(rules: Rules) -> Stage {
    let (tell, trouble) = mpsc::unbounded_channel();
    let clock = Clock::start();
    let hub = Hub::new(clock, move |what| tell.send(what).unwrap_or_default());
    let (desk, _worker) =
        Desk::open(Memory::default(), rules, Publisher::new(hub.clone(), |_| ()), clock).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve::serve(listener, hub.clone()));
    Stage { desk, hub, address, trouble }
}

fn owner() -> Owner {
    Owner { agent: AgentName::new("agent").unwrap(), session: 1 }
}

fn service(name: &str) -> ServiceName {
    ServiceName::new(name).unwrap()
}

impl Stage {
    async fn register(&self, of: &str, number: u16) {
        let instance = Registration {
            name: service(of).instance(number.into()),
            service: service(of),
            address: ([10, 0, of.len() as u8, of.as_bytes()[0]], 1000 + number).into(),
            incarnation: 1,
        };
        self.desk.ask(Command::Register { owner: owner(), instance }).await.unwrap();
    }

    async fn deregister(&self, of: &str, number: u16) {
        let name = service(of).instance(number.into());
        self.desk.ask(Command::Deregister { owner: owner(), name }).await.unwrap();
    }

    async fn declare(&self, of: &str, preset: Preset) {
        let (settings, author) = (Box::new(preset.settings()), "ada".to_owned());
        self.desk.ask(Command::Declare { service: service(of), settings, author }).await.unwrap();
    }

    async fn follow(&self, name: &str, services: &[&str]) -> Follower {
        let mut follower = Follower::connect(self.address, name, WINDOW).await.unwrap();
        subscribe(&mut follower, services, &BTreeMap::new());
        follower
    }
}

fn subscribe(follower: &mut Follower, services: &[&str], held: &BTreeMap<(Kind, String), (Vec<u8>, String)>) {
    let names: Vec<String> = services.iter().map(|name| (*name).to_owned()).collect();
    let folders: Vec<String> = services.iter().map(|name| endpoints_of(&service(name))).collect();
    follower.subscribe(Kind::Service, &names, held);
    follower.subscribe(Kind::Policy, &names, held);
    follower.subscribe(Kind::Endpoint, &folders, held);
}

fn endpoints(follower: &Follower) -> Vec<&str> {
    let endpoints = follower.held.keys().filter(|(kind, _)| *kind == Kind::Endpoint);
    endpoints.map(|(_, name)| name.as_str()).collect()
}

/// Hears, keeps and accepts until `enough` is.
async fn until(follower: &mut Follower, enough: impl Fn(&Follower) -> bool) {
    let listen = async {
        while !enough(follower) {
            let update = follower.hear().await.unwrap().expect("the stream has ended");
            follower.accept(&update);
        }
    };
    timeout(PATIENCE, listen).await.expect("it never comes");
}

fn refuse(follower: &mut Follower, update: &Update, why: &str) {
    let (type_url, nonce) = (update.type_url.clone(), update.nonce.clone());
    follower.say(Request { type_url, nonce, error: Some(why.to_owned()), ..Request::default() });
}

#[tokio::test]
async fn what_is_registered_is_delivered_to_those_who_follow_it() {
    let stage = stage().await;
    stage.declare("shop", Preset::Off).await;
    stage.register("shop", 1).await;
    stage.register("search", 1).await;
    let mut shop = stage.follow("web-1", &["shop"]).await;
    until(&mut shop, |f| f.held.len() == 3).await;
    let policy = &shop.held[&(Kind::Policy, "shop".to_owned())];
    assert_eq!(policy.0, encode_policy(&Preset::Off.settings()));
    stage.register("shop", 2).await;
    until(&mut shop, |f| endpoints(f) == ["shop/shop-1", "shop/shop-2"]).await;
    stage.deregister("shop", 1).await;
    until(&mut shop, |f| endpoints(f) == ["shop/shop-2"]).await;
}

#[tokio::test]
async fn nothing_is_served_before_the_registry_is_loaded() {
    let clock = Clock::start();
    let hub = Hub::new(clock, |_| ());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve::serve(listener, hub.clone()));
    let mut follower = Follower::connect(address, "web-1", WINDOW).await.unwrap();
    let held = BTreeMap::from([((Kind::Endpoint, "shop/shop-1".to_owned()), (vec![], "0".repeat(16)))]);
    follower.subscribe(Kind::Endpoint, &["shop/*".to_owned()], &held);
    // The server has read the request (it is entered as a follower of the folder), and says nothing to it.
    let read = || hub.followers().iter().any(|f| f.lag.iter().any(|lag| lag.follows == 1));
    timeout(PATIENCE, async {
        while !read() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(hub.sent(), (0, 0));
    hub.publish([(Kind::Endpoint, "shop/shop-2", Some(&b"x"[..]))]);
    assert_eq!(hub.sent(), (0, 0));
    hub.open();
    let first = timeout(PATIENCE, follower.hear()).await.unwrap().unwrap().unwrap();
    assert_eq!(first.resources[0].name, "shop/shop-2");
    assert_eq!(first.removed, ["shop/shop-1"]);
}

#[tokio::test]
async fn a_control_plane_that_has_lost_everything_takes_nothing_away_before_agents_are_back() {
    let grace = Grace { time: Duration::from_secs(2), ..Grace::default() };
    let stage = stage_with(Rules { grace, ..Rules::default() }).await;
    let mut follower = Follower::connect(stage.address, "web-1", WINDOW).await.unwrap();
    let held = ["shop/shop-1", "shop/shop-2"]
        .map(|name| ((Kind::Endpoint, name.to_owned()), (vec![], "0".repeat(16))));
    let held = BTreeMap::from(held);
    follower.held.clone_from(&held);
    subscribe(&mut follower, &["shop"], &held);
    stage.register("shop", 2).await;
    stage.register("shop", 3).await;
    // Everything that is known is there, and nothing is gone.
    until(&mut follower, |f| endpoints(f).contains(&"shop/shop-3")).await;
    assert_eq!(endpoints(&follower), ["shop/shop-1", "shop/shop-2", "shop/shop-3"]);
    // Who has said goodbye meanwhile is gone at once; who has not come back, when the grace is over.
    stage.deregister("shop", 3).await;
    until(&mut follower, |f| !endpoints(f).contains(&"shop/shop-3")).await;
    assert_eq!(endpoints(&follower), ["shop/shop-1", "shop/shop-2"]);
    until(&mut follower, |f| endpoints(f) == ["shop/shop-2"]).await;
}

#[tokio::test]
async fn a_farewell_is_over_when_every_follower_has_let_go() {
    let stage = stage().await;
    stage.register("shop", 1).await;
    stage.register("shop", 2).await;
    let mut one = stage.follow("web-1", &["shop"]).await;
    let mut two = stage.follow("web-2", &["shop"]).await;
    let mut stranger = stage.follow("web-3", &["search"]).await;
    for follower in [&mut one, &mut two] {
        until(follower, |f| endpoints(f).len() == 2).await;
    }
    until(&mut stranger, |f| f.said > 0).await;
    stage.deregister("shop", 1).await;
    let hub = stage.hub.clone();
    let farewell = tokio::spawn(async move { hub.farewell(Kind::Endpoint, "shop/shop-1").await });
    until(&mut one, |f| endpoints(f).len() == 1).await;
    // One has heard and not answered, the other has answered.
    let heard = timeout(PATIENCE, async {
        loop {
            let update = two.hear().await.unwrap().unwrap();
            if update.removed == ["shop/shop-1"] {
                return update;
            }
            two.accept(&update);
        }
    });
    let heard = heard.await.unwrap();
    assert!(!farewell.is_finished());
    two.accept(&heard);
    timeout(PATIENCE, farewell).await.unwrap().unwrap();
    // One that goes has let go too.
    stage.deregister("shop", 2).await;
    until(&mut one, |f| endpoints(f).is_empty()).await;
    drop(two);
    timeout(PATIENCE, stage.hub.farewell(Kind::Endpoint, "shop/shop-2")).await.unwrap();
}

#[tokio::test]
async fn a_refused_policy_is_withdrawn_and_its_author_is_told() {
    let mut stage = stage().await;
    stage.declare("shop", Preset::Off).await;
    let mut good = stage.follow("web-1", &["shop"]).await;
    let policy = |f: &Follower| f.held.get(&(Kind::Policy, "shop".to_owned())).map(|(said, _)| said.clone());
    until(&mut good, |f| policy(f).is_some()).await;
    // The answer has arrived when nobody is behind.
    timeout(PATIENCE, async {
        while stage.hub.followers().iter().any(|f| f.lag.iter().any(|lag| lag.behind > 0)) {
            let update = timeout(Duration::from_millis(5), good.hear()).await;
            if let Ok(Ok(Some(update))) = update {
                good.accept(&update);
            }
        }
    })
    .await
    .unwrap();
    stage.declare("shop", Preset::Pick).await;
    let bad = loop {
        let update = timeout(PATIENCE, good.hear()).await.unwrap().unwrap().unwrap();
        if update.type_url == Kind::Policy.url() {
            break update;
        }
        good.accept(&update);
    };
    refuse(&mut good, &bad, "slow-start: too slow for me");
    let trouble = timeout(PATIENCE, stage.trouble.recv()).await.unwrap().unwrap();
    let expected = Trouble::Refused {
        kind: Kind::Policy,
        name: "shop".into(),
        follower: "web-1".into(),
        why: "slow-start: too slow for me".into(),
        withdrawn: true,
    };
    assert_eq!(trouble, expected);
    assert_eq!(stage.hub.refusals().len(), 1);
    // Newcomers are given the last good one, and so is the one who refused.
    let mut late = stage.follow("web-2", &["shop"]).await;
    until(&mut late, |f| policy(f).is_some()).await;
    assert_eq!(policy(&late), Some(encode_policy(&Preset::Off.settings())));
    good.held.clear();
    until(&mut good, |f| policy(f).is_some()).await;
    assert_eq!(policy(&good), policy(&late));
}

#[tokio::test]
async fn a_reconnect_costs_what_has_changed() {
    let stage = stage().await;
    let services: Vec<String> = (10..20).map(|number| format!("service-number-{number}")).collect();
    let services: Vec<&str> = services.iter().map(String::as_str).collect();
    for service in &services {
        stage.declare(service, Preset::Default).await;
        for number in [1, 2] {
            let instance = Registration {
                name: self::service(service).instance(number),
                service: self::service(service),
                address: SocketAddr::from(([10, 0, number as u8, service.as_bytes()[service.len() - 1]], 80)),
                incarnation: 1,
            };
            stage.desk.ask(Command::Register { owner: owner(), instance }).await.unwrap();
        }
    }
    let mut first = stage.follow("web-1", &services).await;
    until(&mut first, |f| f.held.len() == 40).await;
    let held = first.held.clone();
    drop(first);
    stage.deregister(services[0], 1).await;
    let (_, before) = stage.hub.sent();
    let mut again = Follower::connect(stage.address, "web-1", WINDOW).await.unwrap();
    subscribe(&mut again, &services, &held);
    again.held = held;
    until(&mut again, |f| f.held.len() == 39).await;
    let (_, after) = stage.hub.sent();
    let bytes = after - before + again.said as u64;
    assert!(bytes < 4096, "{bytes} bytes");
}

#[tokio::test]
async fn a_follower_that_does_not_read_costs_little_and_catches_up() {
    let stage = stage().await;
    // A window so small that not even one response fits.
    let mut slow = Follower::connect(stage.address, "slow-1", 1 << 10).await.unwrap();
    slow.subscribe(Kind::Endpoint, &["*".to_owned()], &BTreeMap::new());
    for number in 1..=300 {
        stage.register("shop", number).await;
    }
    for round in 0..20 {
        for number in 1..=300 {
            stage.deregister("shop", number).await;
        }
        for number in 1..=300 {
            let instance = Registration {
                name: service("shop").instance(number),
                service: service("shop"),
                address: ([10, 0, 0, 1], 1000 + number as u16).into(),
                incarnation: round + 2,
            };
            stage.desk.ask(Command::Register { owner: owner(), instance }).await.unwrap();
        }
    }
    let (responses, bytes) = stage.hub.sent();
    assert!(
        responses <= 3 && bytes < 128 << 10,
        "{responses} responses, {bytes} bytes for one who does not read"
    );
    let lag = stage.hub.followers()[0].lag[0].clone();
    assert!(lag.behind <= 2 * 301, "{lag:?}");
    let now = stage.desk.look(|registry| registry.instances().count()).await.unwrap();
    until(&mut slow, |f| endpoints(f).len() == now).await;
    timeout(PATIENCE, async {
        while stage.hub.followers()[0].lag[0].behind > 0 {
            let update = timeout(Duration::from_millis(5), slow.hear()).await;
            if let Ok(Ok(Some(update))) = update {
                slow.accept(&update);
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(endpoints(&slow).len(), now);
}

#[tokio::test]
async fn rounds_of_comings_and_goings_end_in_exact_sets() {
    let stage = stage().await;
    let services = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let mut follower = stage.follow("web-1", &services).await;
    for round in 0..20u64 {
        for (step, number) in [(0, 1), (1, 2), (2, 1), (3, 2)] {
            for of in services {
                if step < 2 {
                    let instance = Registration {
                        name: service(of).instance(number),
                        service: service(of),
                        address: ([10, 0, number as u8, of.as_bytes()[0]], 1000 + round as u16).into(),
                        incarnation: round + 1,
                    };
                    stage.desk.ask(Command::Register { owner: owner(), instance }).await.unwrap();
                } else {
                    stage.deregister(of, number as u16).await;
                }
            }
            let expected: Vec<String> = services
                .iter()
                .flat_map(|of| {
                    let numbers: &[u32] = [&[1][..], &[1, 2], &[2], &[]][step];
                    numbers.iter().map(move |number| format!("{of}/{of}-{number}"))
                })
                .collect();
            until(&mut follower, |f| endpoints(f) == expected).await;
        }
    }
}

#[tokio::test]
async fn who_asks_for_too_much_is_told_and_let_go() {
    let mut stage = stage().await;
    let mut follower = Follower::connect(stage.address, "greedy-1", WINDOW).await.unwrap();
    follower.say(Request {
        type_url: Kind::Service.url().into(),
        subscribe: vec!["x".repeat(1000)],
        ..Request::default()
    });
    let why = timeout(PATIENCE, follower.hear()).await.unwrap().unwrap_err();
    assert!(why.to_string().contains("names have at most 512"), "{why}");
    assert!(matches!(
        timeout(PATIENCE, stage.trouble.recv()).await.unwrap().unwrap(),
        Trouble::TooMuch { .. }
    ));
}

#[tokio::test]
async fn a_control_plane_that_stops_ends_its_streams() {
    let stage = stage().await;
    let mut follower = stage.follow("web-1", &["shop"]).await;
    stage.hub.stop();
    let end = timeout(PATIENCE, async {
        loop {
            match follower.hear().await {
                Ok(Some(update)) => follower.accept(&update),
                Ok(None) => return String::new(),
                Err(why) => return why.to_string(),
            }
        }
    });
    assert!(end.await.unwrap().contains("connect again"));
}
