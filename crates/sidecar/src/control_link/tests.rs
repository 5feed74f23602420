//! What is followed, known and said, with literal values.
#![allow(clippy::unwrap_used)]

mod played;

use super::following::{Counted, Following, IDLE, OBSERVED, PATIENCE, Standing};
use model::{Bounds, Endpoint, Moment, Peer, Preset, Service, ServiceName, Settings, Snapshot};
use std::net::SocketAddr;
use std::time::Duration;
use wire::files::{Known, KnownService};
use wire::xds::resource::{encode_endpoint, encode_policy, encode_service, version_of};
use wire::xds::{Given, Kind, Request, Update};

const fn ms(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

/// The local file of `shop-1`, which depends on these.
fn local(services: &[&str]) -> Snapshot {
    let service = |of: &&str| Service {
        name: name(of),
        endpoints: vec![],
        peer: Peer::App,
        settings: Preset::Off.settings(),
    };
    Snapshot {
        version: "1".to_owned(),
        environment: "test".to_owned(),
        service: Some(name("shop")),
        instance: Some(name("shop").instance(1)),
        listeners: vec![],
        app: None,
        services: services.iter().map(service).collect(),
        bounds: Bounds::default(),
    }
}

fn given(kind: Kind, of: &str, payload: &[u8]) -> (Kind, Given) {
    let version = format!("{:016x}", version_of(payload));
    (kind, Given { name: of.to_owned(), version, payload: payload.to_vec().into() })
}

fn endpoint(of: &str, port: u16) -> (Kind, Given) {
    given(Kind::Endpoint, of, &encode_endpoint(address(port)))
}

/// An update of what is given, all of one type, and of what is removed.
fn update(nonce: &str, resources: Vec<(Kind, Given)>, removed: &[(Kind, &str)]) -> Update {
    let kind = resources.iter().map(|(kind, _)| *kind).chain(removed.iter().map(|(kind, _)| *kind)).next();
    Update {
        type_url: kind.unwrap().url().to_owned(),
        nonce: nonce.to_owned(),
        resources: resources.into_iter().map(|(_, given)| given).collect(),
        removed: removed.iter().map(|(_, name)| (*name).to_owned()).collect(),
    }
}

fn all(following: &mut Following) -> Vec<Request> {
    std::iter::from_fn(|| following.next()).collect()
}

/// One that follows `services` on a stream that has been told so.
fn connected(services: &[&str]) -> Following {
    let mut following = Following::new(&local(services), ms(0));
    following.on_connected();
    assert_eq!(all(&mut following).len(), 3);
    following
}

/// Hears and adopts; what is answered.
fn hear(following: &mut Following, update: &Update) -> Vec<Request> {
    following.on_update(update);
    following.on_adopted();
    all(following)
}

/// Tells all there is of a service: that it is there, that it has no policy, and its instances.
fn tell(following: &mut Following, of: &str, ports: &[u16]) {
    hear(following, &update("1", vec![given(Kind::Service, of, &encode_service())], &[]));
    hear(following, &update("2", vec![], &[(Kind::Policy, of)]));
    let endpoints: Vec<_> = ports.iter().map(|p| endpoint(&format!("{of}/{of}-{p}"), *p)).collect();
    let folder = format!("{of}/*");
    let removed = [(Kind::Endpoint, folder.as_str())];
    hear(following, &update("3", endpoints, if ports.is_empty() { &removed } else { &[] }));
}

/// A service's instances as ports; none where it is not there.
fn ports(following: &Following, services: &[&str], of: &str) -> Option<Vec<u16>> {
    let services = following.services(&local(services).services);
    let service = services.iter().find(|service| service.name.as_str() == of)?;
    Some(service.endpoints.iter().map(|e| e.address.port()).collect())
}

#[test]
fn a_stream_begins_with_what_is_wanted_of_each_type() {
    let mut following = Following::new(&local(&["item", "user"]), ms(0));
    assert_eq!(following.next(), None, "there is nobody to say it to");
    following.on_connected();
    let said = all(&mut following);
    let wanted = [
        (Kind::Service, ["item", "user"]),
        (Kind::Policy, ["item", "user"]),
        (Kind::Endpoint, ["item/*", "user/*"]),
    ];
    assert_eq!(said.len(), wanted.len());
    for (request, (kind, names)) in said.iter().zip(wanted) {
        let node = request.node.as_ref().unwrap();
        assert_eq!((node.id.as_str(), node.cluster.as_str()), ("shop-1", "shop"));
        assert_eq!(
            (request.type_url.as_str(), &request.subscribe[..]),
            (kind.url(), &names.map(String::from)[..])
        );
        assert!(request.unsubscribe.is_empty() && request.initial.is_empty() && request.nonce.is_empty());
    }
    assert_eq!(following.next(), None, "it is said once");
}

#[test]
fn who_wants_nothing_does_not_ask_for_everything() {
    let mut following = Following::new(&local(&[]), ms(0));
    following.on_connected();
    for request in all(&mut following) {
        assert_eq!(
            (&request.subscribe[..], &request.unsubscribe[..]),
            (&["*".to_owned()][..], &["*".to_owned()][..])
        );
    }
    assert!(following.missing().is_empty());
}

#[test]
fn an_update_is_accepted_once_it_is_adopted() {
    let mut following = connected(&["item"]);
    following.on_update(&update("7", vec![endpoint("item/item-1", 80)], &[]));
    assert_eq!(ports(&following, &["item"], "item"), Some(vec![80]));
    assert_eq!(following.next(), None, "nothing is routed by it yet");
    following.on_adopted();
    let said = all(&mut following);
    assert_eq!(said.len(), 1);
    assert_eq!((said[0].nonce.as_str(), &said[0].error), ("7", &None));
    assert_eq!((said[0].type_url.as_str(), &said[0].node), (Kind::Endpoint.url(), &None));
}

#[test]
fn what_cannot_be_used_is_refused_by_name_and_its_last_good_version_stays() {
    let mut following = connected(&["item", "user"]);
    let good = Preset::Default.settings();
    hear(&mut following, &update("1", vec![given(Kind::Policy, "item", &encode_policy(&good))], &[]));
    let bad = given(Kind::Policy, "item", b"\xff");
    let other = given(Kind::Policy, "user", &encode_policy(&good));
    let answer = hear(&mut following, &update("2", vec![bad, other], &[]));
    let error = answer[0].error.clone().unwrap();
    assert!(error.starts_with("policy item: the bytes are no message") && !error.contains("user"), "{error}");
    let services = following.services(&local(&["item", "user"]).services);
    assert!(services.iter().all(|service| service.settings == good));
    assert_eq!(following.rejected().map(|(_, name, _)| name).collect::<Vec<_>>(), ["item"]);
    assert_eq!(following.counted(), Counted { updates: 2, rejected: 1, unknown_types: 0 });
    // A new stream claims the version that is held, not the one that was refused.
    following.on_lost(ms(1));
    following.on_connected();
    let held = format!("{:016x}", version_of(&encode_policy(&good)));
    assert_eq!(all(&mut following)[1].initial.get("item"), Some(&held));
    hear(&mut following, &update("1", vec![given(Kind::Policy, "item", &encode_policy(&good))], &[]));
    assert_eq!(following.rejected().count(), 0);
}

#[test]
fn everything_out_of_range_is_refused() {
    let (_, sound) = endpoint("item/item-1", 80);
    for (kind, of, payload) in [
        (Kind::Endpoint, "item/item-1", &b"\x10\x50"[..]),
        (Kind::Endpoint, "item/", &sound.payload[..]),
        (Kind::Endpoint, "item/Item", &sound.payload[..]),
        (Kind::Endpoint, "item", &sound.payload[..]),
        (Kind::Policy, "item", b""),
        (Kind::Service, "item", b"\x0a\x03NO!"),
    ] {
        let mut following = connected(&["item"]);
        let answer = hear(&mut following, &update("1", vec![given(kind, of, payload)], &[]));
        assert!(answer[0].error.is_some(), "{of} {payload:?}");
        assert_eq!(ports(&following, &["item"], "item"), Some(vec![]));
    }
}

#[test]
fn what_nobody_asked_for_is_passed_over() {
    let mut following = connected(&["item"]);
    let answer =
        hear(&mut following, &update("1", vec![endpoint("user/user-1", 80), endpoint("NO", 1)], &[]));
    assert_eq!(answer[0].error, None);
    let strange =
        Update { type_url: "type.googleapis.com/of.Tomorrow".into(), nonce: "2".into(), ..Update::default() };
    let answer = hear(&mut following, &strange);
    assert_eq!((answer[0].nonce.as_str(), &answer[0].error), ("2", &None));
    assert_eq!(answer[0].type_url, strange.type_url);
    assert_eq!(following.counted().unknown_types, 1);
    assert_eq!(following.services(&local(&["item"]).services), local(&["item"]).services);
}

#[test]
fn the_file_is_what_there_is_until_something_else_is_said() {
    let mut file = local(&["item"]);
    file.services[0].endpoints = vec![Endpoint { name: name("item").instance(9), address: address(9) }];
    let mut following = Following::new(&file, ms(0));
    following.on_connected();
    let shown = |following: &Following| {
        let service = following.services(&file.services).remove(0);
        (service.endpoints.iter().map(|e| e.address.port()).collect::<Vec<_>>(), service.settings)
    };
    let gold = Preset::Default.settings();
    assert_eq!(shown(&following), (vec![9], Preset::Off.settings()));
    hear(&mut following, &update("1", vec![given(Kind::Policy, "item", &encode_policy(&gold))], &[]));
    assert_eq!(shown(&following), (vec![9], gold.clone()));
    hear(&mut following, &update("2", vec![endpoint("item/item-1", 1)], &[]));
    assert_eq!(shown(&following), (vec![1], gold));
    hear(&mut following, &update("3", vec![], &[(Kind::Policy, "item")]));
    hear(&mut following, &update("4", vec![], &[(Kind::Endpoint, "item/item-1")]));
    assert_eq!(shown(&following), (vec![], Preset::Off.settings()));
}

#[test]
fn a_service_may_name_another_policy() {
    let mut following = connected(&["item"]);
    let own = Preset::Pick.settings();
    hear(&mut following, &update("1", vec![given(Kind::Policy, "item", &encode_policy(&own))], &[]));
    let answer = hear(&mut following, &update("2", vec![given(Kind::Service, "item", b"\x0a\x04gold")], &[]));
    assert_eq!(
        (answer[1].type_url.as_str(), &answer[1].subscribe[..]),
        (Kind::Policy.url(), &["gold".to_owned()][..])
    );
    let settings = |following: &Following| following.services(&local(&["item"]).services)[0].settings.clone();
    assert_eq!(settings(&following), own, "its own goes on until the other has come");
    let gold = Preset::Default.settings();
    hear(&mut following, &update("3", vec![given(Kind::Policy, "gold", &encode_policy(&gold))], &[]));
    assert_eq!(settings(&following), gold);
    let answer = hear(&mut following, &update("4", vec![given(Kind::Service, "item", b"")], &[]));
    assert_eq!(answer[1].unsubscribe, ["gold"]);
    assert_eq!(settings(&following), own);
}

#[test]
fn a_sidecar_is_not_ready_until_it_was_told_of_all_that_it_depends_on() {
    let mut following = connected(&["item", "user"]);
    tell(&mut following, "item", &[80]);
    assert_eq!(following.missing(), [&name("user")]);
    hear(&mut following, &update("1", vec![], &[(Kind::Service, "user")]));
    hear(&mut following, &update("2", vec![], &[(Kind::Policy, "user")]));
    assert_eq!(following.missing(), [&name("user")]);
    hear(&mut following, &update("3", vec![], &[(Kind::Endpoint, "user/*")]));
    assert!(following.missing().is_empty(), "that there is none is an answer");
}

#[test]
fn a_name_that_is_asked_for_is_somebodys_or_nobodys_once_all_is_said() {
    let mut following = connected(&["item"]);
    assert_eq!(following.on_ask(&name("item"), ms(1)), Standing::Known);
    assert_eq!(following.on_ask(&name("user"), ms(1)), Standing::Asked);
    let said = all(&mut following);
    let subscribed: Vec<_> = said.iter().flat_map(|request| request.subscribe.clone()).collect();
    assert_eq!(subscribed, ["user", "user", "user/*"]);
    hear(&mut following, &update("1", vec![given(Kind::Service, "user", &encode_service())], &[]));
    assert_eq!(following.standing(&name("user")), Standing::Asked, "where it is has not been said");
    assert_eq!(ports(&following, &["item"], "user"), None);
    tell(&mut following, "user", &[80]);
    assert_eq!(following.standing(&name("user")), Standing::Known);
    assert_eq!(ports(&following, &["item"], "user"), Some(vec![80]));
    let user = following.services(&local(&["item"]).services).remove(1);
    assert_eq!(user.settings, Settings::default(), "nobody declared settings for it");
    assert!(!following.missing().contains(&&name("user")), "nobody waits for it to be ready");
}

#[test]
fn a_name_that_is_nobodys_is_followed_until_it_is_somebodys() {
    let mut following = connected(&[]);
    following.on_ask(&name("user"), ms(1));
    all(&mut following);
    for (kind, of) in [(Kind::Service, "user"), (Kind::Policy, "user"), (Kind::Endpoint, "user/*")] {
        hear(&mut following, &update("1", vec![], &[(kind, of)]));
    }
    assert_eq!(following.on_ask(&name("user"), ms(2)), Standing::Absent);
    assert!(all(&mut following).is_empty(), "it is not asked again");
    hear(&mut following, &update("2", vec![endpoint("user/user-1", 80)], &[]));
    assert_eq!(following.standing(&name("user")), Standing::Known);
    hear(&mut following, &update("3", vec![], &[(Kind::Endpoint, "user/user-1")]));
    assert_eq!(following.standing(&name("user")), Standing::Absent);
    assert_eq!(ports(&following, &[], "user"), None);
}

#[test]
fn names_that_nobody_uses_make_room_for_others() {
    let mut following = connected(&[]);
    let of = |number: usize| name(&format!("user-{number}"));
    for number in 0..OBSERVED {
        assert_eq!(following.on_ask(&of(number), ms(number as u64)), Standing::Asked);
    }
    all(&mut following);
    let now = ms(OBSERVED as u64);
    assert_eq!(following.on_ask(&of(1000), now), Standing::TooMany, "all of them are being asked for");
    tell(&mut following, "user-0", &[80]);
    tell(&mut following, "user-1", &[80]);
    for (kind, gone) in [(Kind::Service, "user-1"), (Kind::Endpoint, "user-1/*")] {
        hear(&mut following, &update("9", vec![], &[(kind, gone)]));
    }
    assert_eq!(following.on_ask(&of(1000), now), Standing::Asked, "in place of one that is nobody's");
    let said = all(&mut following);
    let unsubscribed: Vec<_> = said.iter().flat_map(|request| request.unsubscribe.clone()).collect();
    assert_eq!(unsubscribed, ["user-1", "user-1", "user-1/*"]);
    let later = now.after(PATIENCE);
    assert_eq!(following.on_ask(&of(1001), later), Standing::Asked, "nobody waits any more for the oldest");
    assert_eq!(following.standing(&of(0)), Standing::Known, "what can be called is kept");
    assert_eq!(following.standing(&of(2)), Standing::TooMany);
    assert_eq!(following.observed().count(), OBSERVED);
}

#[test]
fn an_observed_service_that_is_idle_for_long_is_forgotten() {
    let mut following = connected(&["item"]);
    for of in ["user", "cart"] {
        following.on_ask(&name(of), ms(0));
        tell(&mut following, of, &[80]);
    }
    let minute = |n: u64| ms(n * 60_000);
    following.on_tick(|of| of.as_str() == "user", minute(9));
    assert!(all(&mut following).is_empty());
    following.on_tick(|_| false, ms(0).after(IDLE));
    assert_eq!(ports(&following, &["item"], "cart"), None);
    let said = all(&mut following);
    let unsubscribed: Vec<_> = said.iter().flat_map(|request| request.unsubscribe.clone()).collect();
    assert_eq!(unsubscribed, ["cart", "cart", "cart/*"]);
    assert_eq!(ports(&following, &["item"], "user"), Some(vec![80]));
    following.on_tick(|_| false, minute(19));
    assert_eq!(ports(&following, &["item"], "user"), None);
}

#[test]
fn nothing_is_forgotten_when_the_control_plane_is_away() {
    let mut following = connected(&["item"]);
    tell(&mut following, "item", &[80, 81]);
    following.on_ask(&name("user"), ms(1));
    tell(&mut following, "user", &[90]);
    let before = following.services(&local(&["item"]).services);
    following.on_lost(ms(5));
    assert_eq!(following.services(&local(&["item"]).services), before);
    following.on_connected();
    let said = all(&mut following);
    assert_eq!(following.services(&local(&["item"]).services), before);
    let names = |request: &Request| request.initial.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        said.iter().map(names).collect::<Vec<_>>(),
        [
            vec!["item".to_owned(), "user".to_owned()],
            vec![],
            vec!["item/item-80".to_owned(), "item/item-81".to_owned(), "user/user-90".to_owned()],
        ]
    );
    // An answer to what was heard on the old stream is not said on the new one.
    assert!(said.iter().all(|request| request.nonce.is_empty()));
}

#[test]
fn knowledge_has_an_age_while_it_may_be_old() {
    let second = Duration::from_secs(1);
    let mut following = Following::new(&local(&["item"]), ms(1000));
    assert_eq!(following.age(ms(3000)), 2 * second);
    assert!(!following.is_hopeless(ms(1999)) && following.is_hopeless(ms(2000)));
    following.on_connected();
    assert!(!following.is_hopeless(ms(5000)));
    tell(&mut following, "item", &[80]);
    assert_eq!(following.age(ms(6000)), Duration::ZERO);
    following.on_lost(ms(7000));
    assert_eq!(following.age(ms(10_000)), 3 * second);
    following.on_connected();
    following.on_lost(ms(11_000));
    assert_eq!(following.age(ms(12_000)), 5 * second, "a stream that says nothing makes nothing younger");
    assert!(following.is_hopeless(ms(12_000)));
}

fn kept() -> Known {
    let known = |of: &str, exists, ports: &[u16]| KnownService {
        name: name(of),
        exists,
        settings: Some(Preset::Default.settings()),
        endpoints: ports
            .iter()
            .map(|port| Endpoint { name: name(of).instance((*port).into()), address: address(*port) })
            .collect(),
    };
    let services =
        vec![known("item", true, &[80, 81]), known("user", true, &[90]), known("cart", false, &[])];
    Known { environment: "test".to_owned(), at: 0, services }
}

#[test]
fn what_was_kept_is_enough_to_begin_with() {
    let mut following = Following::new(&local(&["item"]), ms(1000));
    following.restore(kept(), Duration::from_secs(60), ms(1000));
    assert!(following.missing().is_empty());
    assert_eq!(ports(&following, &["item"], "item"), Some(vec![80, 81]));
    assert_eq!(ports(&following, &["item"], "user"), Some(vec![90]), "it was observed");
    assert_eq!(following.standing(&name("cart")), Standing::Absent);
    assert_eq!(following.age(ms(2000)), Duration::from_secs(61));
    let mut again = following.keep();
    let mut before = kept().services;
    again.sort_by(|a, b| a.name.cmp(&b.name));
    before.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(again, before, "what was kept is kept again");
    // The control plane calls the same things by the same versions: it has nothing to say.
    following.on_connected();
    let said = all(&mut following);
    let same = |payload: &[u8]| format!("{:016x}", version_of(payload));
    assert_eq!(said[0].initial.get("item"), Some(&same(&encode_service())));
    assert_eq!(said[1].initial.get("item"), Some(&same(&encode_policy(&Preset::Default.settings()))));
    assert_eq!(said[2].initial.get("item/item-81"), Some(&same(&encode_endpoint(address(81)))));
    assert_eq!(said[0].initial.get("cart"), None);
}

#[test]
fn who_was_not_in_the_file_is_still_missing() {
    let mut following = Following::new(&local(&["item", "new"]), ms(0));
    following.restore(kept(), Duration::ZERO, ms(0));
    assert_eq!(following.missing(), [&name("new")]);
    assert_eq!(following.keep().len(), 3, "half of what there is to know is not kept");
}

#[test]
fn another_local_file_changes_what_is_followed_and_keeps_what_is_known() {
    let mut following = connected(&["item", "user"]);
    tell(&mut following, "item", &[80]);
    tell(&mut following, "user", &[90]);
    following.on_local(&local(&["user", "cart"]));
    let said = all(&mut following);
    let names =
        |of: fn(&Request) -> &Vec<String>| said.iter().flat_map(|r| of(r).clone()).collect::<Vec<_>>();
    assert_eq!(names(|r| &r.subscribe), ["cart", "cart", "cart/*"]);
    assert_eq!(names(|r| &r.unsubscribe), ["item", "item", "item/*"]);
    assert_eq!(following.missing(), [&name("cart")]);
    assert_eq!(ports(&following, &["user", "cart"], "user"), Some(vec![90]));
    // One that is declared again is not taken to be where it was.
    following.on_local(&local(&["item", "user"]));
    assert_eq!(ports(&following, &["item", "user"], "item"), Some(vec![]));
    assert_eq!(following.missing(), [&name("item")]);
}
