//! A sidecar that follows a control plane: what is said there is used here, and nothing is lost when nobody says it.

use crate::harness::{Instance, OK, PATIENCE, Peer, Sidecar, any_port, edge, eventually, nobody, service};
use crate::plane::Plane;
use control::delivery::Trouble;
use model::{Preset, Settings, Snapshot, Timeouts};
use sidecar::Control;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use wire::xds::Kind;

/// The addresses of a service's instances, as the sidecar shows them.
fn endpoints(sidecar: &Sidecar, of: &str) -> Vec<SocketAddr> {
    let services = snapshot(sidecar).services;
    let found = services.iter().find(|service| service.name.as_str() == of);
    let mut all: Vec<_> = found.iter().flat_map(|s| s.endpoints.iter().map(|e| e.address)).collect();
    all.sort();
    all
}

fn snapshot(sidecar: &Sidecar) -> Snapshot {
    wire::files::decode_snapshot(&sidecar.page("/config_dump").text(), "dump").unwrap()
}

fn is_ready(sidecar: &Sidecar) -> bool {
    sidecar.page("/ready").status == 200
}

#[test]
fn what_is_registered_is_called_and_what_has_left_is_not() {
    let plane = Plane::start();
    let [one, two] = [Instance::answering(OK), Instance::answering(OK)];
    plane.declare("item", Settings::default());
    plane.register("item", 1, one.address);
    let sidecar = Sidecar::following(edge(vec![service("item", &[])]), plane.address);
    assert!(eventually(|| is_ready(&sidecar)), "{}", sidecar.page("/ready").text());
    assert_eq!(sidecar.caller("edge").get("/").status, 200);
    assert_eq!(one.pending_heads(), 1);
    plane.register("item", 2, two.address);
    assert!(eventually(|| endpoints(&sidecar, "item").len() == 2));
    plane.deregister("item", 1);
    // Everybody has let go: no request goes there from now on, and that needs no further waiting.
    plane.farewell("item", 1);
    let mut caller = sidecar.caller("edge");
    for _ in 0..20 {
        assert_eq!(caller.get("/").status, 200);
    }
    assert_eq!((one.pending_heads(), two.pending_heads()), (0, 20));
    assert_eq!(sidecar.metric("outrigger_control_connected", &[]), 1.0);
    assert_eq!(sidecar.metric("outrigger_control_rejected_total", &[]), 0.0);
    assert!(sidecar.metric("outrigger_control_updates_total", &[]) >= 3.0);
    assert!(eventually(|| sidecar.metric("outrigger_snapshot_age_seconds", &[]) == 0.0));
}

#[test]
fn nobody_is_ready_before_the_control_plane_has_said_where_things_are() {
    let sidecar = Sidecar::following(edge(vec![service("item", &[]), service("user", &[])]), nobody());
    let answer = sidecar.page("/ready");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("item, user"), "{}", answer.text());
    assert!(eventually(|| sidecar.page("/ready").text().contains("refused")), "the cause is told");
    let alone = Sidecar::following(edge(vec![]), nobody());
    assert!(is_ready(&alone), "who depends on nobody waits for nobody");
}

/// Answers when it is told to.
fn held() -> (Instance, mpsc::Sender<()>) {
    let (go, gone) = mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let instance = Instance::start(move |peer| {
        while peer.request().is_some() {
            if gone.lock().unwrap().recv().is_err() || !peer.try_send(OK.as_bytes()) {
                return;
            }
        }
    });
    (instance, go)
}

fn total(total: Duration) -> Settings {
    let timeouts = Timeouts { total, connect: total, ..Timeouts::default() };
    Settings { timeouts, ..Preset::Off.settings() }
}

fn ask_for(sidecar: &Sidecar, of: &str) -> crate::harness::Answer {
    sidecar.caller("outbound").ask(&format!("GET / HTTP/1.1\r\nHost: {of}\r\n\r\n"))
}

#[test]
fn another_policy_is_for_requests_that_begin_after_it() {
    let plane = Plane::start();
    let (slow, go) = held();
    plane.declare("item", total(Duration::from_secs(60)));
    plane.register("item", 1, slow.address);
    let sidecar = Sidecar::following(edge(vec![service("item", &[])]), plane.address);
    assert!(eventually(|| is_ready(&sidecar)));
    let mut before = sidecar.caller("edge");
    before.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let _ = slow.next_head();
    plane.declare("item", total(Duration::from_millis(100)));
    let short = |sidecar: &Sidecar| {
        snapshot(sidecar).services[0].settings.timeouts.total == Duration::from_millis(100)
    };
    assert!(eventually(|| short(&sidecar)));
    let after = sidecar.caller("edge").get("/");
    assert_eq!((after.status, after.reason()), (504, "response-timeout"));
    go.send(()).unwrap();
    assert_eq!(before.answer().status, 200, "it goes by the policy that it began with");
}

#[test]
fn what_cannot_be_read_is_refused_and_everything_else_is_used() {
    let plane = Plane::start();
    let one = Instance::answering(OK);
    for of in ["item", "user"] {
        plane.declare(of, total(Duration::from_secs(20)));
    }
    plane.register("item", 1, one.address);
    let sidecar = Sidecar::following(edge(vec![service("item", &[]), service("user", &[])]), plane.address);
    assert!(eventually(|| is_ready(&sidecar)));
    let in_step = || plane.hub.followers()[0].lag.iter().all(|lag| lag.behind == 0);
    assert!(eventually(in_step));
    let better = wire::xds::resource::encode_policy(&total(Duration::from_secs(7)));
    plane
        .hub
        .publish([(Kind::Policy, "item", Some(&b"\xff"[..])), (Kind::Policy, "user", Some(&better[..]))]);
    let refused = plane.trouble.recv_timeout(PATIENCE).unwrap();
    let Trouble::Refused { kind, name, follower, why, withdrawn } = refused else { panic!("{refused:?}") };
    assert_eq!((kind, &*name, &*follower, withdrawn), (Kind::Policy, "item", "edge", true));
    assert!(why.starts_with("policy item: "), "{why}");
    let totals = || snapshot(&sidecar).services.iter().map(|s| s.settings.timeouts.total.as_secs()).collect();
    assert!(eventually(|| {
        let now: Vec<u64> = totals();
        now == [20, 7]
    }));
    assert!(sidecar.metric("outrigger_control_rejected_total", &[]) >= 1.0);
    assert!(eventually(in_step));
    assert_eq!(sidecar.caller("edge").get("/").status, 200);
}

#[test]
fn without_a_control_plane_all_goes_on_and_with_it_what_is_new_comes() {
    let mut plane = Plane::start();
    let [one, two] = [Instance::answering(OK), Instance::answering(OK)];
    plane.register("item", 1, one.address);
    let sidecar = Sidecar::following(edge(vec![service("item", &[])]), plane.address);
    assert!(eventually(|| is_ready(&sidecar)));
    let mut caller = sidecar.caller("edge");
    for round in 0..3u64 {
        plane.vanish();
        assert!(eventually(|| sidecar.metric("outrigger_control_connected", &[]) == 0.0));
        for _ in 0..20 {
            assert_eq!(caller.get("/").status, 200);
        }
        assert!(sidecar.metric("outrigger_snapshot_age_seconds", &[]) > 0.0);
        assert!(is_ready(&sidecar));
        assert!(sidecar.page("/control").text().contains("not connected"));
        match round % 2 {
            0 => plane.register("item", 2, two.address),
            _ => plane.deregister("item", 2),
        }
        plane.deliver();
        let count = if round % 2 == 0 { 2 } else { 1 };
        assert!(eventually(|| endpoints(&sidecar, "item").len() == count));
        assert!(eventually(|| sidecar.metric("outrigger_snapshot_age_seconds", &[]) == 0.0));
        assert!(sidecar.page("/control").text().contains("in step"));
    }
}

/// Passes bytes on to `to`, but cuts each connection from there after as many bytes as `cuts` says, in turn; later
/// ones not at all.
fn cutting(to: SocketAddr, cuts: Vec<usize>) -> SocketAddr {
    let listener = TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut cuts = cuts.into_iter();
        for near in listener.incoming() {
            let (mut near, cut) = (near.unwrap(), cuts.next().unwrap_or(usize::MAX));
            let Ok(mut far) = TcpStream::connect(to) else { continue };
            let (mut back, mut forth) = (far.try_clone().unwrap(), near.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut forth, &mut back));
            std::thread::spawn(move || {
                let (mut room, mut left) = ([0; 4096], cut);
                while let Ok(count @ 1..) = far.read(&mut room) {
                    let passed = count.min(left);
                    left -= passed;
                    if near.write_all(&room[..passed]).is_err() || left == 0 {
                        break;
                    }
                }
                let _ = (near.shutdown(Shutdown::Both), far.shutdown(Shutdown::Both));
            });
        }
    });
    address
}

#[test]
fn a_stream_that_is_cut_anywhere_leaves_nothing_half() {
    let plane = Plane::start();
    let instances: Vec<Instance> = (0..3).map(|_| Instance::answering(OK)).collect();
    plane.declare("item", Preset::Pick.settings());
    for (number, instance) in instances.iter().enumerate() {
        plane.register("item", number as u32, instance.address);
    }
    let cuts = [0, 1, 9, 30, 60, 80, 100, 130, 170, 200, 230, 260, 300, 330, 360, 400, 450, 500].to_vec();
    let address = cutting(plane.address, cuts);
    let sidecar = Sidecar::following(edge(vec![service("item", &[])]), address);
    let mut expected: Vec<SocketAddr> = instances.iter().map(|i| i.address).collect();
    expected.sort();
    assert!(eventually(|| {
        let known = endpoints(&sidecar, "item");
        assert!(known.iter().all(|address| expected.contains(address)), "{known:?}");
        sidecar.metric("outrigger_snapshot_age_seconds", &[]) == 0.0
    }));
    assert_eq!(endpoints(&sidecar, "item"), expected);
    assert_eq!(snapshot(&sidecar).services[0].settings, Preset::Pick.settings());
}

/// A sidecar that keeps what it knows in `file`.
fn keeping(snapshot: Snapshot, plane: SocketAddr, file: &Path) -> Sidecar {
    let last_known_good = Some(file.to_owned());
    let control = Control { address: plane.to_string(), credential: None, last_known_good };
    Sidecar::start_as(snapshot, None, Some(control), 1)
}

#[test]
fn what_was_known_last_is_enough_to_start_without_a_control_plane() {
    let plane = Plane::start();
    let [one, two] = [Instance::answering(OK), Instance::answering(OK)];
    plane.declare("item", Preset::Pick.settings());
    plane.register("item", 1, one.address);
    plane.register("user", 1, two.address);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known.json");
    let local = || edge(vec![service("item", &[])]);
    let before = {
        let sidecar = keeping(local(), plane.address, &file);
        assert!(eventually(|| is_ready(&sidecar)));
        assert!(eventually(|| file.exists()), "it is written without waiting for the end");
        assert_eq!(ask_for(&sidecar, "user").status, 200);
        snapshot(&sidecar).services
    };
    let began = Instant::now();
    let sidecar = keeping(local(), nobody(), &file);
    assert!(is_ready(&sidecar), "at once");
    println!("{:?} from start to ready", began.elapsed());
    assert_eq!(snapshot(&sidecar).services, before);
    assert_eq!(sidecar.caller("edge").get("/").status, 200);
    assert_eq!(ask_for(&sidecar, "user").status, 200);
    assert!(sidecar.metric("outrigger_snapshot_age_seconds", &[]) > 0.0);
    drop(sidecar);
    // The control plane has gone on meanwhile; it has to say only that.
    plane.deregister("item", 1);
    plane.register("item", 2, two.address);
    let sidecar = keeping(local(), plane.address, &file);
    assert!(eventually(|| endpoints(&sidecar, "item") == [two.address]));
}

#[test]
fn a_file_that_is_of_no_use_is_set_aside() {
    let plane = Plane::start();
    let one = Instance::answering(OK);
    plane.register("item", 1, one.address);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known.json");
    let aside = folder.path().join("known.json.set-aside");
    let local = || edge(vec![service("item", &[])]);
    drop_when_written(keeping(local(), plane.address, &file), &file);
    let good = std::fs::read_to_string(&file).unwrap();
    let port = one.address.port().to_string();
    let foreign = wire::files::decode_known(&good, "good").unwrap();
    let foreign =
        wire::files::encode_known(&wire::files::Known { environment: "other".to_owned(), ..foreign });
    for bad in [
        good.replace(&port, "1").into_bytes(),
        good.as_bytes()[..good.len() / 2].to_vec(),
        foreign.into_bytes(),
        vec![0xff; 100],
        vec![],
    ] {
        std::fs::write(&file, &bad).unwrap();
        let sidecar = keeping(local(), nobody(), &file);
        assert_eq!(sidecar.page("/ready").status, 503, "nothing of it is believed");
        assert_eq!(endpoints(&sidecar, "item"), []);
        drop(sidecar);
        assert_eq!(std::fs::read(&aside).unwrap(), bad);
        assert!(!file.exists());
    }
    // It is written anew once there is something to write.
    drop_when_written(keeping(local(), plane.address, &file), &file);
    let sidecar = keeping(local(), nobody(), &file);
    assert!(is_ready(&sidecar));
}

fn drop_when_written(sidecar: Sidecar, file: &Path) {
    assert!(eventually(|| is_ready(&sidecar) && file.exists()));
}

#[test]
fn a_name_that_nobody_declared_is_asked_for_when_it_is_called() {
    let mut plane = Plane::start();
    let [one, two, three] = [(); 3].map(|()| Instance::answering(OK));
    plane.register("user", 1, one.address);
    let control = Control { address: plane.address.to_string(), credential: None, last_known_good: None };
    let sidecar = Sidecar::start_as(edge(vec![]), None, Some(control), 2);
    assert!(eventually(|| sidecar.metric("outrigger_control_connected", &[]) == 1.0));
    // All of the first ones wait and are answered, a body among them.
    let mut callers: Vec<Peer> = (0..50).map(|_| sidecar.caller("outbound")).collect();
    for (number, caller) in callers.iter_mut().enumerate() {
        match number % 2 {
            0 => caller.send("GET /a HTTP/1.1\r\nHost: User:80\r\n\r\n"),
            _ => caller.send("POST /b HTTP/1.1\r\nHost: user\r\nContent-Length: 5\r\n\r\nhello"),
        }
    }
    for caller in &mut callers {
        assert_eq!(caller.answer().status, 200);
    }
    let heads: Vec<String> = one.heads.try_iter().collect();
    assert_eq!(heads.iter().filter(|head| head.starts_with("GET /a ")).count(), 25);
    assert_eq!(heads.iter().filter(|head| head.starts_with("POST /b ")).count(), 25);
    assert!(sidecar.page("/control").text().contains("observed user"));
    // Nobody's, until it is somebody's.
    let nobodys = ask_for(&sidecar, "cart");
    assert_eq!((nobodys.status, nobodys.reason()), (503, "unknown-service"));
    plane.register("cart", 1, two.address);
    assert!(eventually(|| endpoints(&sidecar, "cart") == [two.address]), "it is followed by itself");
    assert_eq!(ask_for(&sidecar, "cart").status, 200);
    // What cannot be a service is nobody's business.
    let began = Instant::now();
    assert_eq!(ask_for(&sidecar, "www.example.com").reason(), "unknown-service");
    // With nobody to ask it is refused in time; what is known goes on.
    plane.vanish();
    assert!(eventually(|| sidecar.metric("outrigger_control_connected", &[]) == 0.0));
    assert_eq!(ask_for(&sidecar, "late").reason(), "unknown-service");
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(ask_for(&sidecar, "user").status, 200);
    plane.register("late", 1, three.address);
    plane.deliver();
    assert!(eventually(|| endpoints(&sidecar, "late") == [three.address]), "it was not forgotten");
    sidecar.comes_to_rest();
}

#[test]
fn a_hundred_rounds_of_comings_and_goings_end_in_exact_sets() {
    let plane = Plane::start();
    let services = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let local = edge(services.iter().map(|of| service(of, &[])).collect());
    let sidecars: Vec<Sidecar> = (0..2).map(|_| Sidecar::following(local.clone(), plane.address)).collect();
    let at = |of: usize, number: u32, round: u16| {
        SocketAddr::from(([10, 0, of as u8, number as u8], 1000 + round))
    };
    for round in 0..100 {
        for (numbers, coming, number) in
            [(&[1][..], true, 1), (&[1, 2], true, 2), (&[2], false, 1), (&[], false, 2)]
        {
            for (of, name) in services.iter().enumerate() {
                match coming {
                    true => plane.register(name, number, at(of, number, round)),
                    false => plane.deregister(name, number),
                }
            }
            if coming == (number == 1) {
                continue;
            }
            let expected: Vec<Vec<SocketAddr>> = (0..services.len())
                .map(|of| numbers.iter().map(|number| at(of, *number, round)).collect())
                .collect();
            for sidecar in &sidecars {
                let exact = || {
                    let known = snapshot(sidecar).services;
                    let addresses =
                        |s: &model::Service| s.endpoints.iter().map(|e| e.address).collect::<Vec<_>>();
                    known.iter().map(addresses).collect::<Vec<_>>() == expected
                };
                assert!(eventually(exact), "round {round}: {expected:?}");
            }
        }
    }
    assert_eq!(sidecars[0].metric("outrigger_control_rejected_total", &[]), 0.0);
}

#[test]
fn a_reload_reads_the_local_part_and_keeps_what_was_told() {
    let plane = Plane::start();
    let [one, two] = [Instance::answering(OK), Instance::answering(OK)];
    plane.declare("item", Preset::Pick.settings());
    plane.register("item", 1, one.address);
    plane.register("user", 1, two.address);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("snapshot.json");
    let mut local = edge(vec![service("item", &[])]);
    let control = Control { address: plane.address.to_string(), credential: None, last_known_good: None };
    let sidecar = Sidecar::start_as(local.clone(), Some(file.clone()), Some(control), 2);
    assert!(eventually(|| is_ready(&sidecar)));
    for listener in &mut local.listeners {
        listener.address = sidecar.at(&listener.name);
    }
    local.version = "2".to_owned();
    local.services.push(service("user", &[]));
    std::fs::write(&file, wire::files::encode_snapshot(&local)).unwrap();
    let answer = sidecar.admin("POST", "/reload");
    assert_eq!(answer.status, 200);
    assert!(answer.text().starts_with("2+"), "{}", answer.text());
    assert_eq!(endpoints(&sidecar, "item"), [one.address]);
    assert_eq!(snapshot(&sidecar).services[0].settings, Preset::Pick.settings());
    assert!(eventually(|| is_ready(&sidecar) && endpoints(&sidecar, "user") == [two.address]));
    let version = snapshot(&sidecar).version;
    plane.deregister("item", 1);
    assert!(eventually(|| endpoints(&sidecar, "item").is_empty()));
    assert_ne!(snapshot(&sidecar).version, version);
}

#[test]
fn a_credential_is_shown_at_each_connection_as_the_file_says_it_then() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind(any_port())).unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tell = tell.clone();
            let answer = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let said = request.headers().get("authorization").map(|v| v.to_str().unwrap().to_owned());
                tell.send(said).unwrap();
                async { Err::<hyper::Response<String>, _>("go away") }
            });
            let executor = hyper_util::rt::TokioExecutor::new();
            let http2 = hyper::server::conn::http2::Builder::new(executor);
            let _ = http2.serve_connection(hyper_util::rt::TokioIo::new(stream), answer).await;
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credential");
    std::fs::write(&file, "first secret\n").unwrap();
    let control =
        Control { address: address.to_string(), credential: Some(file.clone()), last_known_good: None };
    let sidecar = Sidecar::start_as(edge(vec![service("item", &[])]), None, Some(control), 1);
    let next = || told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(next().as_deref(), Some("Bearer first secret"));
    std::fs::write(&file, "second").unwrap();
    assert!(eventually(|| next().as_deref() == Some("Bearer second")));
    std::fs::write(&file, "").unwrap();
    assert!(eventually(|| sidecar.page("/ready").text().contains("the file is empty")));
    std::fs::write(&file, "\u{1}").unwrap();
    assert!(eventually(|| sidecar.page("/ready").text().contains("characters that no header has")));
}
