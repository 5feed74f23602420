//! One thing wrong at a time, and which line says so.

#![allow(clippy::unwrap_used)]
use super::*;
use api::{Environment, Event, Instances, Services};
use std::collections::BTreeSet;

fn service(name: &str, kind: &str, instances: u32, in_rotation: u32) -> Service {
    Service {
        name: name.into(),
        kind: kind.into(),
        instances,
        in_rotation,
        restarts: 0,
        dependencies: vec![],
    }
}

fn instance(name: &str, service: Option<&str>) -> Instance {
    Instance {
        name: name.into(),
        service: service.map(str::to_owned),
        state: InstanceState::InRotation,
        reason: None,
        since: String::new(),
        pid: Some(7),
        sidecar_pid: Some(8),
        app: None,
        inbound: None,
        outbound: None,
        admin: Some("127.0.0.1:9".into()),
        restarts: 0,
        sidecar_restarts: 0,
    }
}

/// An environment in which all is well.
fn well() -> Seen {
    let environment = Environment {
        version: 1,
        name: "shop".into(),
        state: EnvironmentState::Ready,
        folder: String::new(),
        state_folder: "/var/lib/shop".into(),
        pid: 1,
        since: String::new(),
        api: String::new(),
        edge: None,
        outbound: None,
    };
    let mut job = instance("once-1", Some("once"));
    job.state = InstanceState::Done;
    let instances = vec![
        instance("edge", None),
        instance("front-1", Some("front")),
        instance("front-2", Some("front")),
        job,
    ];
    let services = vec![service("front", "service", 2, 2), service("once", "job", 1, 1)];
    let connected = ["edge", "front-1", "front-2"].map(str::to_owned).to_vec();
    Seen {
        machine: Machine { descriptors: 1 << 20, loopback: Ok(()), state: ("/var/lib".into(), Ok(())) },
        plane: Ok(Answers {
            address: "127.0.0.1:7700".parse().unwrap(),
            environment,
            services: Services { version: 1, services },
            instances: Instances { version: 1, instances },
            events: Vec::new(),
            next_event: 0,
            ahead: Some(0),
            sync: Some(Sync { connected, ..Sync::default() }),
            silent: Some((Vec::new(), 1)),
        }),
    }
}

fn happened(kind: &str, instance: Option<&str>) -> Event {
    Event {
        seq: 1,
        time: api::rfc3339(SystemTime::now()),
        kind: kind.into(),
        service: None,
        instance: instance.map(str::to_owned),
        reason: None,
        text: "the disk is full".into(),
    }
}

fn at(seen: &mut Seen) -> &mut Answers {
    seen.plane.as_mut().unwrap()
}

fn front(seen: &mut Seen) -> &mut Instance {
    &mut at(seen).instances.instances[2]
}

type Spoil = fn(&mut Seen);

/// What is made wrong, and the line that tells of it.
const ROWS: &[(Spoil, &str, CheckState, &str)] = &[
    (|s| s.machine.descriptors = 1024, "OR101", Warning, "1024 files"),
    (|s| s.machine.descriptors = 64, "OR101", Broken, "64 files"),
    (|s| s.machine.loopback = Err("refused".into()), "OR102", Broken, "127.0.0.1 cannot be used: refused"),
    (|s| s.machine.state.1 = Err("read-only".into()), "OR103", Broken, "/var/lib: read-only"),
    (|s| s.plane = Err("nobody".into()), "OR201", Broken, "nobody"),
    (|s| at(s).environment.state = EnvironmentState::Starting, "OR202", Warning, "starting"),
    (|s| at(s).environment.state = EnvironmentState::Failed, "OR202", Broken, "could not be started"),
    (|s| at(s).events.push(happened("store-failed", None)), "OR203", Broken, "the disk is full"),
    (|s| at(s).ahead = Some(-90), "OR204", Warning, "90 s behind"),
    (|s| at(s).silent = Some((vec!["north".into()], 2)), "OR301", Broken, "agent north"),
    (|s| front(s).sidecar_pid = None, "OR401", Broken, "front-2 has no sidecar"),
    (
        |s| at(s).sync.as_mut().unwrap().behind.push(("front-1".into(), Duration::from_secs(9))),
        "OR402",
        Warning,
        "front-1 has not confirmed the latest for 9 s",
    ),
    (
        |s| at(s).sync.as_mut().unwrap().refused.push("policy front is refused".into()),
        "OR403",
        Broken,
        "policy front is refused",
    ),
    (|s| drop(at(s).sync.as_mut().unwrap().connected.pop()), "OR404", Warning, "front-2 is not connected"),
    (
        |s| {
            at(s).services.services[0].in_rotation = 1;
            front(s).state = InstanceState::Starting;
        },
        "OR501",
        Warning,
        "1 of 2 instances of front are in rotation: front-2 is starting",
    ),
    (|s| at(s).services.services[0].in_rotation = 0, "OR502", Broken, "none of 2 instances of front"),
    (
        |s| at(s).services.services.push(service("new", "service", 0, 0)),
        "OR502",
        Warning,
        "no instance of new is registered",
    ),
    (
        |s| {
            front(s).state = InstanceState::BackingOff;
            front(s).reason = Some("exit-1".into());
        },
        "OR503",
        Warning,
        "is backing-off (exit-1)",
    ),
    (
        |s| (0..3).for_each(|_| at(s).events.push(happened("exited", Some("front-2")))),
        "OR503",
        Warning,
        "front-2 has ended 3 times",
    ),
    (
        |s| {
            front(s).state = InstanceState::OutOfRotation;
            front(s).reason = Some("entering".into());
        },
        "OR504",
        Warning,
        "front-2 answers, and not every caller knows",
    ),
    (
        |s| at(s).instances.instances[3].state = InstanceState::Failed,
        "OR505",
        Broken,
        "the job once-1 failed",
    ),
    (|s| front(s).reason = Some("membership-held".into()), "OR506", Warning, "front-2 is missing"),
];

#[test]
fn where_all_is_well_every_line_says_so() {
    let checks = examine(&well());
    assert!(checks.iter().all(|c| c.state == Fine && c.mend.is_none()), "{checks:#?}");
    let ids: BTreeSet<&str> = checks.iter().map(|c| c.id.as_str()).collect();
    let known: BTreeSet<&str> = catalogue::ALL.iter().map(|entry| entry.id).collect();
    assert_eq!(ids, known, "every check has a line");
    assert_eq!(checks.len(), known.len());
    let sorted: Vec<_> = checks.iter().map(|c| &c.id).collect();
    assert!(sorted.is_sorted(), "{sorted:?}");
}

#[test]
fn one_thing_that_is_wrong_is_told_by_its_own_line() {
    for (spoil, id, state, words) in ROWS {
        let mut seen = well();
        spoil(&mut seen);
        let checks = examine(&seen);
        let told: Vec<_> = checks.iter().filter(|c| c.state != Fine).collect();
        let found = told.iter().find(|c| c.id == *id && c.text.contains(words));
        let found = found.unwrap_or_else(|| panic!("{id} does not say {words:?}: {told:#?}"));
        assert_eq!(found.state, *state, "{id}");
        assert!(found.mend.is_some(), "{id}");
    }
    for entry in &catalogue::ALL {
        assert!(ROWS.iter().any(|(_, id, ..)| *id == entry.id), "{} is never seen to fail", entry.id);
    }
}

#[test]
fn a_store_that_is_back_and_a_sidecar_that_is_just_being_told_are_fine() {
    let mut seen = well();
    at(&mut seen).events.extend([happened("store-failed", None), happened("store-back", None)]);
    at(&mut seen).sync.as_mut().unwrap().behind.push(("front-1".into(), Duration::from_millis(20)));
    at(&mut seen).events.push(happened("exited", Some("front-2")));
    assert!(examine(&seen).iter().all(|c| c.state == Fine));
}

#[test]
fn an_environment_without_a_control_plane_is_not_judged_by_one() {
    let mut seen = well();
    (at(&mut seen).sync, at(&mut seen).silent) = (None, None);
    let checks = examine(&seen);
    assert!(checks.iter().all(|c| c.state == Fine), "{checks:#?}");
    for id in [catalogue::SILENT, catalogue::IN_STEP, catalogue::REFUSED, catalogue::OLD, catalogue::HELD] {
        assert!(checks.iter().all(|c| c.id != id), "{id}");
    }
}
