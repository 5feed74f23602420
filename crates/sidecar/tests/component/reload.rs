//! What changes while requests are served: the snapshot, and the end.

use crate::harness::{Instance, OK, Sidecar, beside, edge, eventually, service};
use model::{Listener, Role, Snapshot};
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

/// Answers when it is told to.
fn held() -> (Instance, mpsc::Sender<()>) {
    let (go, gone) = mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    let instance = Instance::start(move |peer| {
        while peer.request().is_some() {
            if gone.lock().unwrap().recv().is_err() || !peer.try_send(OK.as_bytes()) {
                return;
            }
        }
    });
    (instance, go)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

#[test]
fn a_new_snapshot_is_followed_and_a_bad_one_is_not() {
    let (one, two) = (Instance::answering(OK), Instance::answering(OK));
    let (slow, go) = held();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("snapshot.json");
    let snapshot = edge(vec![service("item", &[one.address]), service("slow", &[slow.address])]);
    let sidecar = Sidecar::start_with(snapshot.clone(), Some(file.clone()), 2);
    let write = |snapshot: &Snapshot| std::fs::write(&file, wire::files::encode_snapshot(snapshot)).unwrap();
    let mut snapshot = snapshot;
    for listener in &mut snapshot.listeners {
        listener.address = sidecar.at(&listener.name);
    }
    let mut caller = sidecar.caller("edge");
    assert_eq!(caller.get("/").status, 200);
    let mut waits = sidecar.caller("slow");
    waits.send(GET);
    let _ = slow.next_head();
    // Another instance, another listener; one listener less and one service less, on which a request is in flight.
    snapshot.version = "2".to_owned();
    snapshot.services = vec![service("item", &[two.address])];
    snapshot.listeners.retain(|l| l.name != "slow");
    let new = crate::harness::free();
    let role = Role::Service(snapshot.services[0].name.clone());
    snapshot.listeners.push(Listener { name: "new".to_owned(), address: new, role });
    write(&snapshot);
    let answer = sidecar.admin("POST", "/reload");
    assert_eq!((answer.status, answer.text().as_str()), (200, "2\n"));
    assert!(sidecar.page("/ready").text().contains('2'));
    let before = one.pending_heads();
    for _ in 0..10 {
        assert_eq!(caller.get("/").status, 200);
        assert_eq!(crate::harness::Peer::connect(new).get("/").status, 200);
    }
    assert_eq!((before, one.pending_heads(), two.pending_heads()), (1, 0, 20));
    assert!(std::net::TcpStream::connect(sidecar.at("slow")).is_err(), "a removed listener still listens");
    go.send(()).unwrap();
    assert_eq!(waits.answer().status, 200);
    // What cannot be read, understood or listened at changes nothing and says why.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut busy = snapshot.clone();
    busy.version = "3".to_owned();
    busy.listeners[0].address = taken.local_addr().unwrap();
    for (text, why) in [
        ("{\"version\": ".to_owned(), "snapshot.json"),
        (wire::files::encode_snapshot(&busy), "cannot listen"),
        (wire::files::encode_snapshot(&snapshot).replace("\"item\"", "\"no such\""), "snapshot.json"),
    ] {
        std::fs::write(&file, text).unwrap();
        let answer = sidecar.admin("POST", "/reload");
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(why), "{}", answer.text());
        assert!(sidecar.page("/ready").text().contains('2'));
        assert_eq!(caller.get("/").status, 200);
    }
    std::fs::remove_file(&file).unwrap();
    assert!(sidecar.admin("POST", "/reload").text().contains("cannot read"));
    sidecar.comes_to_rest();
}

#[test]
fn a_reload_moves_no_listener_and_says_what_waits_for_a_start() {
    let one = Instance::answering(OK);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("snapshot.json");
    let mut snapshot = edge(vec![service("item", &[one.address])]);
    assert!(snapshot.listeners.iter().all(|listener| listener.address.port() == 0));
    let sidecar = Sidecar::start_with(snapshot.clone(), Some(file.clone()), 1);
    let bounds = snapshot.bounds;
    snapshot.bounds.drain /= 2;
    for (connections, said) in [(bounds.connections, "2\n"), (7, "2\nthe bounds stay as they were")] {
        snapshot.version = "2".to_owned();
        snapshot.bounds.connections = connections;
        std::fs::write(&file, wire::files::encode_snapshot(&snapshot)).unwrap();
        let answer = sidecar.admin("POST", "/reload");
        assert_eq!(answer.status, 200);
        assert!(answer.text().starts_with(said) && answer.text().lines().count() == said.lines().count());
        assert_eq!(sidecar.caller("edge").get("/").status, 200);
        let limit = format!("outrigger_connections_limit{{side=\"callers\"}} {}\n", bounds.connections);
        assert!(sidecar.page("/metrics").text().contains(&limit));
    }
    sidecar.comes_to_rest();
}

#[test]
fn a_drain_refuses_what_comes_in_and_waits_for_what_is_there() {
    let (app, go) = held();
    let item = Instance::answering(OK);
    let sidecar = Sidecar::start(beside(app.address, vec![service("item", &[item.address])]));
    let mut waits = sidecar.caller("inbound");
    waits.send(GET);
    let _ = app.next_head();
    let admin = sidecar.admin;
    let drained = std::thread::spawn(move || {
        let mut peer = crate::harness::Peer::connect(admin);
        peer.ask("POST /drain?within=8s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    });
    assert!(eventually(|| sidecar.page("/ready").status == 503));
    let refused = sidecar.caller("inbound").get("/");
    assert_eq!((refused.status, refused.reason()), (503, "draining"));
    assert_eq!(refused.field("connection"), Some("close"));
    // The app may still call others.
    assert_eq!(sidecar.caller("item").get("/").status, 200);
    assert!(!drained.is_finished());
    go.send(()).unwrap();
    assert_eq!(waits.answer().status, 200);
    assert_eq!(drained.join().unwrap().text(), "drained\n");
}

#[test]
fn a_stop_lets_what_is_in_flight_end_and_closes_what_is_at_rest() {
    let (item, go) = held();
    let mut sidecar = Sidecar::start(edge(vec![service("item", &[item.address])]));
    let mut idle = sidecar.caller("edge");
    let mut waits = sidecar.caller("edge");
    go.send(()).unwrap();
    assert_eq!(idle.get("/").status, 200);
    let _ = item.next_head();
    waits.send(GET);
    let _ = item.next_head();
    sidecar.begin_to_stop();
    assert!(idle.is_over(), "a connection at rest is closed");
    assert!(std::net::TcpStream::connect_timeout(&sidecar.at("edge"), Duration::from_secs(1)).is_err());
    assert!(!sidecar.has_stopped());
    go.send(()).unwrap();
    let answer = waits.answer();
    assert_eq!((answer.status, answer.field("connection")), (200, Some("close")));
    assert!(waits.is_over());
    drop(waits);
    assert!(eventually(|| sidecar.has_stopped()));
}

#[test]
fn a_stop_cuts_what_does_not_end_in_its_time() {
    let (item, _go) = held();
    let mut snapshot = edge(vec![service("item", &[item.address])]);
    snapshot.bounds.drain = Duration::from_millis(200);
    let mut sidecar = Sidecar::start(snapshot);
    let mut waits = sidecar.caller("edge");
    waits.send(GET);
    let _ = item.next_head();
    sidecar.begin_to_stop();
    assert!(eventually(|| sidecar.has_stopped()));
    assert!(waits.is_over());
}
