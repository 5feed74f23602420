//! Snapshots survive being written and read; what does not fit is named with its place.
#![allow(clippy::unwrap_used)]

use super::*;
use model::{
    Balancing, Breaker, Ejection, Hedge, Limit, Preset, Retry, ServiceName, Share, SlowStart, Timeouts,
};
use proptest::prelude::*;
use std::net::SocketAddr;
use std::time::Duration;

fn name() -> impl Strategy<Value = ServiceName> {
    "[a-z]([a-z0-9-]{0,8}[a-z0-9])?".prop_map(|text| ServiceName::new(&text).unwrap())
}

fn address() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<u16>()).prop_map(SocketAddr::from),
        (any::<[u16; 8]>(), any::<u16>()).prop_map(SocketAddr::from),
    ]
}

fn wait() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (1_000_000..86_400_000_000_000u64).prop_map(Duration::from_nanos),
        (1..86_400u64).prop_map(Duration::from_secs),
    ]
}

fn two_waits() -> impl Strategy<Value = (Duration, Duration)> {
    (wait(), wait()).prop_map(|(a, b)| (a.min(b), a.max(b)))
}

fn share() -> impl Strategy<Value = Share> {
    (0.0..=1.0).prop_map(|part| Share::new(part).unwrap())
}

fn breaker() -> impl Strategy<Value = Breaker> {
    (0.0..1.0, share(), 1u32.., wait(), 1u32.., two_waits()).prop_map(
        |(failures, slow, slow_factor, window, minimum_calls, (rest, rest_at_most))| Breaker {
            failures: Share::new(failures).unwrap(),
            slow,
            slow_factor,
            window,
            minimum_calls,
            rest,
            rest_at_most,
        },
    )
}

fn ejection() -> impl Strategy<Value = Ejection> {
    (1u32.., two_waits(), share()).prop_map(|(failures_in_a_row, (base, at_most), share_at_most)| Ejection {
        failures_in_a_row,
        base,
        at_most,
        share_at_most,
    })
}

fn settings() -> impl Strategy<Value = Settings> {
    let balancing =
        prop::sample::select(vec![Balancing::PeakEwma, Balancing::LeastLoaded, Balancing::RoundRobin]);
    let timeouts = (two_waits(), wait(), any::<bool>())
        .prop_map(|((connect, total), idle, pass_on)| Timeouts { total, connect, idle, pass_on });
    let budget = prop::option::of(share());
    let retry = (2u8..=10, prop::option::of(wait()), budget, any::<u32>(), wait(), any::<bool>()).prop_map(
        |(tries, try_timeout, budget, floor_per_second, back_off, stacked)| Retry {
            tries,
            try_timeout,
            budget,
            floor_per_second,
            back_off,
            stacked,
        },
    );
    let hedge = wait().prop_map(|after| Hedge { after });
    let slow_start = (wait(), share()).prop_map(|(window, from)| SlowStart { window, from });
    let limit = (1u32.., any::<u32>()).prop_map(|(in_flight, queue)| Limit { in_flight, queue });
    (
        balancing,
        timeouts,
        prop::option::of(retry),
        prop::option::of(hedge),
        prop::option::of(breaker()),
        prop::option::of(ejection()),
        prop::option::of(slow_start),
        share(),
        prop::option::of(limit),
    )
        .prop_map(|(balancing, timeouts, retry, hedge, breaker, ejection, slow_start, panic, limit)| {
            Settings { balancing, timeouts, retry, hedge, breaker, ejection, slow_start, panic, limit }
        })
}

fn services() -> impl Strategy<Value = Vec<Service>> {
    let endpoints = prop::collection::btree_map(name(), address(), 0..4);
    prop::collection::btree_map(name(), (endpoints, settings(), any::<bool>()), 1..4).prop_map(|services| {
        services
            .into_iter()
            .map(|(name, (endpoints, settings, beside))| {
                let endpoint = |(name, address): (ServiceName, SocketAddr)| Endpoint {
                    name: InstanceName::new(name.as_str()).unwrap(),
                    address,
                };
                let peer = if beside { Peer::Sidecar } else { Peer::App };
                Service { name, endpoints: endpoints.into_iter().map(endpoint).collect(), peer, settings }
            })
            .collect()
    })
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (1u32.., any::<u32>(), any::<u64>(), 1u32.., wait(), wait()).prop_map(
        |(connections, idle_per_endpoint, buffer_bytes, head_bytes, head_time, drain)| Bounds {
            connections,
            idle_per_endpoint,
            buffer_bytes,
            head_bytes,
            head_time,
            drain,
            ..Bounds::default()
        },
    )
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    let app =
        prop::option::of((address(), settings()).prop_map(|(address, settings)| App { address, settings }));
    let listeners = prop::collection::vec((0..4usize, address(), any::<prop::sample::Index>()), 0..5);
    (services(), app, listeners, bounds(), ".{0,20}", prop::option::of(name())).prop_map(
        |(services, app, listeners, bounds, version, service)| {
            let version = version.replace('\0', "");
            let role = |kind: usize, at: prop::sample::Index| {
                let name = at.get(&services).name.clone();
                match kind {
                    0 if app.is_some() => Role::Inbound,
                    1 => Role::Service(name),
                    2 => Role::Edge(vec![EdgeRoute { prefix: "/a".into(), service: name }]),
                    _ => Role::Outbound,
                }
            };
            let listener = |(n, (kind, address, at)): (usize, (usize, SocketAddr, prop::sample::Index))| {
                Listener { name: format!("listener {n}"), address, role: role(kind, at) }
            };
            let listeners = listeners.into_iter().enumerate().map(listener).collect();
            Snapshot {
                environment: version.chars().rev().collect(),
                version,
                instance: service.as_ref().map(|s| s.instance(1)),
                service,
                listeners,
                app,
                services,
                bounds,
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(snapshot in snapshot()) {
        let text = encode_snapshot(&snapshot);
        match decode_snapshot(&text, "snapshot.json") {
            Ok(read) => prop_assert_eq!(read, snapshot),
            Err(problems) => prop_assert!(false, "{}\n{}", problems, text),
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}") {
        let _ = decode_snapshot(&text, "snapshot.json");
    }

    #[test]
    fn no_damage_makes_it_panic(at in any::<prop::sample::Index>(), with in "\\PC{0,3}") {
        let mut text = encode_snapshot(&small());
        let at = at.index(text.len());
        text.replace_range(at..=at, &with);
        if let Err(problems) = decode_snapshot(&text, "snapshot.json") {
            let _ = problems.to_string();
        }
    }
}

fn small() -> Snapshot {
    let search = ServiceName::new("search").unwrap();
    let listener = |name: &str, port: u16, role| Listener {
        name: name.into(),
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        role,
    };
    Snapshot {
        version: "1".into(),
        environment: "shop".into(),
        service: Some(ServiceName::new("listing").unwrap()),
        instance: Some(InstanceName::new("listing-1").unwrap()),
        listeners: vec![
            listener("inbound", 15_001, Role::Inbound),
            listener("outbound", 15_002, Role::Outbound),
            listener("to-search", 15_003, Role::Service(search.clone())),
            listener(
                "edge",
                8080,
                Role::Edge(vec![EdgeRoute { prefix: "/".into(), service: search.clone() }]),
            ),
        ],
        app: Some(App {
            address: SocketAddr::from(([127, 0, 0, 1], 9000)),
            settings: Preset::Off.settings(),
        }),
        services: vec![Service {
            endpoints: vec![Endpoint {
                name: search.instance(1),
                address: SocketAddr::from(([127, 0, 0, 1], 9001)),
            }],
            name: search,
            peer: Peer::Sidecar,
            settings: Settings { limit: Some(Limit { in_flight: 8, queue: 0 }), ..Settings::default() },
        }],
        bounds: Bounds::default(),
    }
}

#[test]
fn the_written_form_is_this() {
    let text = encode_snapshot(&small());
    // A change of this file means that old files may no longer fit: then raise the format's number.
    crate::files::golden("src/files/snapshot/golden.json", &text);
    assert_eq!(decode_snapshot(&text, "golden.json").unwrap(), small());
}

#[test]
fn every_preset_is_read_back() {
    for preset in Preset::ALL {
        let mut snapshot = small();
        snapshot.services[0].settings = preset.settings();
        assert_eq!(decode_snapshot(&encode_snapshot(&snapshot), "s.json").unwrap(), snapshot, "{preset:?}");
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let text = encode_snapshot(&small())
        .replace("\"format\": 1", "\"format\": 2")
        .replace("127.0.0.1:15002", "localhost:15002")
        .replace("\"name\": \"outbound\"", "\"name\": \"inbound\"")
        .replace("\"role\": \"service\",\n      \"service\": \"search\"", "\"role\": \"service\"")
        .replace(
            "\"prefix\": \"/\",\n          \"service\": \"search\"",
            "\"prefix\": \"\", \"service\": \"serach\"",
        )
        .replace("\"drain\": \"30s\"", "\"drian\": \"30s\"")
        .replace("\"total\": \"15s\",\n        \"connect\": \"1s\"", "\"total\": 15, \"connect\": \"1s\"");
    let problems = decode_snapshot(&text, "s.json").unwrap_err();
    let said: Vec<String> = problems.all().iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
    for want in [
        "format: expected 1, found 2",
        "listeners[1].address: expected an address and a port such as \"127.0.0.1:8080\", found \"localhost:15002\"",
        "listeners[1].name: there are two of this listener: \"inbound\"",
        "listeners[2].service: the role \"service\" needs `service`",
        "listeners[3].routes[0].service: no service \"serach\" in `services`",
        "bounds.drian: no such key",
    ] {
        assert!(said.iter().any(|s| s == want), "{want}\n{said:#?}");
    }
}

#[test]
fn an_inbound_listener_needs_an_app() {
    let snapshot = Snapshot { app: None, ..small() };
    let problems = decode_snapshot(&encode_snapshot(&snapshot), "s.json").unwrap_err();
    assert_eq!(problems.all().len(), 1, "{problems}");
    assert_eq!(problems.all()[0].path, "listeners[0].role");
}

#[test]
fn a_setting_that_is_absent_is_missed() {
    let text = encode_snapshot(&small()).replace("\"panic\": 0.5,", "");
    let problems = decode_snapshot(&text, "s.json").unwrap_err();
    assert_eq!(problems.all().len(), 1, "{problems}");
    assert_eq!(problems.all()[0].path, "services[0].settings.panic");
}

#[test]
fn settings_alone_come_through_and_mistakes_in_them_are_named() {
    for preset in model::Preset::ALL {
        let settings = preset.settings();
        assert_eq!(decode_settings(&encode_settings(&settings), "x").unwrap(), settings, "{preset:?}");
    }
    let problems =
        decode_settings(r#"{"balancing":"luck","retry":false}"#, "offers").unwrap_err().to_string();
    assert!(
        problems.contains("offers") && problems.contains("luck") && problems.contains("timeouts"),
        "{problems}"
    );
}
