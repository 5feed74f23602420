//! Times: total, connect, idle, head, rest; and callers that go away in every phase.

use crate::harness::{End, Instance, OK, Sidecar, beside, edge, eventually, field, service};
use model::{Limit, Snapshot, Timeouts};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Reads what comes and never answers.
fn silent() -> Instance {
    Instance::start(|peer| {
        let _ = peer.head();
        let _ = peer.rest();
    })
}

fn with_timeouts(instance: &Instance, change: impl FnOnce(&mut Timeouts)) -> Snapshot {
    let mut item = service("item", &[instance.address]);
    change(&mut item.settings.timeouts);
    edge(vec![item])
}

#[test]
fn an_instance_that_does_not_answer_is_given_up_after_the_total_timeout() {
    let instance = silent();
    let sidecar = Sidecar::start(with_timeouts(&instance, |t| t.total = ms(150)));
    let mut caller = sidecar.caller("edge");
    let begun = Instant::now();
    let answer = caller.get("/");
    assert_eq!((answer.status, answer.reason()), (504, "response-timeout"));
    assert!(begun.elapsed() >= ms(150));
    // The next request on the same connection has a time of its own.
    let begun = Instant::now();
    assert_eq!(caller.get("/").status, 504);
    assert!(begun.elapsed() >= ms(150));
    sidecar.comes_to_rest();
}

#[test]
fn what_the_caller_has_left_shortens_it() {
    let app = silent();
    let sidecar = Sidecar::start(beside(app.address, vec![]));
    for said in ["outrigger-deadline-ms: 80", "grpc-timeout: 80m", "x-envoy-expected-rq-timeout-ms: 80"] {
        let begun = Instant::now();
        let answer =
            sidecar.caller("inbound").ask(&format!("GET / HTTP/1.1\r\nHost: shop\r\n{said}\r\n\r\n"));
        assert_eq!((answer.status, answer.reason()), (504, "response-timeout"), "{said}");
        assert!((ms(80)..ms(5000)).contains(&begun.elapsed()), "{said}");
    }
    let answer =
        sidecar.caller("inbound").ask("GET / HTTP/1.1\r\nHost: shop\r\noutrigger-deadline-ms: 0\r\n\r\n");
    assert_eq!((answer.status, answer.reason()), (504, "deadline-passed"));
    // Numbers that are none, or too large, count as none.
    let app = Instance::answering(OK);
    let sidecar = Sidecar::start(beside(app.address, vec![]));
    for said in ["99999999999999999999999", "18446744073709551615", "-1", ""] {
        let ask = format!("GET / HTTP/1.1\r\nHost: shop\r\noutrigger-deadline-ms: {said}\r\n\r\n");
        assert_eq!(sidecar.caller("inbound").ask(&ask).status, 200, "{said}");
    }
}

#[test]
fn what_is_left_is_told_unless_the_settings_keep_it() {
    let instance = Instance::answering(OK);
    for pass_on in [true, false] {
        let sidecar = Sidecar::start(with_timeouts(&instance, |t| t.pass_on = pass_on));
        for entrance in ["edge", "item"] {
            assert_eq!(sidecar.caller(entrance).get("/").status, 200);
            let head = instance.next_head();
            assert_eq!(field(&head, "outrigger-deadline-ms").is_some(), pass_on, "{entrance}: {head}");
        }
    }
}

#[test]
fn what_is_told_is_obeyed_by_those_who_do_not_pass_it_on() {
    let app = silent();
    let mut snapshot = beside(app.address, vec![]);
    if let Some(app) = &mut snapshot.app {
        app.settings.timeouts.pass_on = false;
    }
    let sidecar = Sidecar::start(snapshot);
    let begun = Instant::now();
    let ask = "GET / HTTP/1.1\r\nHost: shop\r\noutrigger-deadline-ms: 80\r\n\r\n";
    let answer = sidecar.caller("inbound").ask(ask);
    assert_eq!((answer.status, answer.reason()), (504, "response-timeout"));
    assert!((ms(80)..ms(5000)).contains(&begun.elapsed()));
}

#[test]
fn a_body_that_falls_silent_is_cut_and_looks_cut_to_every_caller() {
    let instance = Instance::start(|peer| {
        while let Some(request) = peer.request() {
            peer.send(match request.head.split(' ').nth(1).unwrap() {
                "/length" => "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nbegin",
                _ => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n",
            });
        }
    });
    let sidecar = Sidecar::start(with_timeouts(&instance, |t| t.idle = ms(100)));
    for path in ["/length", "/chunks"] {
        let mut caller = sidecar.caller("edge");
        let answer = caller.get(path);
        assert_eq!((answer.status, answer.text().as_str(), answer.end), (200, "begin", End::Truncated));
    }
    // Without framing only a reset tells.
    let answer = sidecar.caller("edge").ask("GET /chunks HTTP/1.0\r\n\r\n");
    assert_eq!((answer.status, answer.end), (200, End::Reset));
    sidecar.comes_to_rest();
}

#[test]
fn a_body_that_keeps_coming_may_take_longer_than_any_single_silence() {
    let instance = Instance::start(|peer| {
        let _ = peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n");
        let (_tell, told) = mpsc::channel::<()>();
        for _ in 0..10 {
            // Nobody tells: this waits.
            let _ = told.recv_timeout(ms(120));
            peer.send(&"x".repeat(2000));
        }
    });
    let timeouts = |t: &mut Timeouts| (t.idle, t.total) = (ms(800), ms(600));
    let sidecar = Sidecar::start(with_timeouts(&instance, timeouts));
    let begun = Instant::now();
    let answer = sidecar.caller("edge").get("/");
    assert_eq!((answer.end, answer.body.len()), (End::Whole, 20_000));
    assert!(begun.elapsed() > ms(800));
}

#[test]
fn a_connection_that_does_not_come_about_is_given_up() {
    // A listener whose queue is full drops what knocks.
    let full = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = full.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&to, ms(200)) {
        held.push(stream);
        assert!(held.len() < 10_000, "this system never says that a queue is full");
    }
    let mut item = service("item", &[to]);
    item.settings.timeouts.connect = ms(100);
    let sidecar = Sidecar::start(edge(vec![item]));
    let answer = sidecar.caller("edge").get("/");
    assert_eq!((answer.status, answer.reason()), (504, "connect-timeout"));
    sidecar.comes_to_rest();
}

#[test]
fn heads_must_come_in_time_and_idle_connections_are_closed() {
    let instance = Instance::answering(OK);
    let mut snapshot = edge(vec![service("item", &[instance.address])]);
    snapshot.bounds.head_time = ms(150);
    snapshot.bounds.caller_idle = ms(400);
    let sidecar = Sidecar::start(snapshot);
    let mut slow = sidecar.caller("edge");
    slow.send("GET / HTTP/1.1\r\nHost:");
    let answer = slow.answer();
    assert_eq!((answer.status, answer.reason()), (408, "head-too-slow"));
    assert_eq!(answer.field("connection"), Some("close"));
    let begun = Instant::now();
    let mut idle = sidecar.caller("edge");
    assert_eq!(idle.get("/").status, 200);
    assert!(idle.is_over());
    assert!((ms(400)..ms(5000)).contains(&begun.elapsed()));
    // One that never says anything ends without an answer too.
    assert!(sidecar.caller("edge").is_over());
    sidecar.comes_to_rest();
}

#[test]
fn a_caller_that_goes_away_leaves_nothing_behind_in_any_phase() {
    let instance = silent();
    let mut item = service("item", &[instance.address]);
    item.settings.limit = Some(Limit { in_flight: 1, queue: 5 });
    let sidecar = Sidecar::start(edge(vec![item]));
    let get = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    // While the instance works; with more pipelined behind it; in the middle of a body.
    let phases = [
        get.to_owned(),
        // Behind more than is read ahead an end cannot be seen; then the total timeout ends it.
        get.repeat(5),
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nabc".to_owned(),
        "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab".to_owned(),
    ];
    for (i, phase) in phases.iter().enumerate() {
        for reset in [false, true] {
            let mut caller = sidecar.caller("edge");
            caller.send(phase);
            let _ = instance.next_head();
            if reset {
                caller.reset();
            } else {
                drop(caller);
            }
            let begun = Instant::now();
            sidecar.comes_to_rest();
            assert!(begun.elapsed() < Duration::from_secs(5), "phase {i}, reset: {reset}");
        }
    }
    // In the queue.
    let mut first = sidecar.caller("edge");
    first.send(get);
    let _ = instance.next_head();
    let mut second = sidecar.caller("edge");
    second.send(get);
    assert!(eventually(|| sidecar.page("/clusters").text().contains("queue=1")));
    drop(second);
    assert!(eventually(|| sidecar.page("/clusters").text().contains("queue=0")));
    drop(first);
    sidecar.comes_to_rest();
}

#[test]
fn a_caller_that_goes_away_during_the_answer_leaves_nothing_behind() {
    let (tell, told) = mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let instance = Instance::start(move |peer| {
        let _ = peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while peer.try_send(chunk.as_bytes()) {}
        tell.lock().unwrap().send(()).unwrap();
    });
    let sidecar = Sidecar::start(edge(vec![service("item", &[instance.address])]));
    let mut caller = sidecar.caller("edge");
    caller.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let _ = caller.exactly(100_000);
    drop(caller);
    told.recv_timeout(Duration::from_secs(10)).expect("the instance is told");
    sidecar.comes_to_rest();
}

#[test]
fn who_waits_in_the_queue_is_served_in_turn_or_refused_by_name() {
    let instance = Instance::start(|peer| {
        while peer.request().is_some() {
            let (_tell, told) = mpsc::channel::<()>();
            let _ = told.recv_timeout(ms(2));
            peer.send(OK);
        }
    });
    for workers in [1, 3] {
        let mut item = service("item", &[instance.address]);
        item.settings.limit = Some(Limit { in_flight: 2, queue: 100 });
        let sidecar = Sidecar::start_with(edge(vec![item]), None, workers);
        // Many hands, so that a call is woken while it is just about to wait.
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    let mut caller = sidecar.caller("edge");
                    for _ in 0..50 {
                        let begun = Instant::now();
                        assert_eq!(caller.get("/").status, 200);
                        assert!(begun.elapsed() < Duration::from_secs(5), "it was not woken");
                    }
                });
            }
        });
        sidecar.comes_to_rest();
    }
    let silent = silent();
    let mut item = service("item", &[silent.address]);
    item.settings.limit = Some(Limit { in_flight: 1, queue: 1 });
    item.settings.timeouts.total = ms(600);
    let sidecar = Sidecar::start(edge(vec![item]));
    let mut callers: Vec<_> = (0..3).map(|_| sidecar.caller("edge")).collect();
    for (caller, wait) in callers.iter_mut().zip(["in-flight=1", "queue=1", ""]) {
        caller.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        assert!(eventually(|| sidecar.page("/clusters").text().contains(wait)));
    }
    let reasons: Vec<_> = callers.iter_mut().rev().map(|c| c.answer().reason().to_owned()).collect();
    assert_eq!(reasons[0], "queue-full");
    assert!(["queue-too-slow", "response-timeout"].contains(&reasons[1].as_str()), "{reasons:?}");
    assert_eq!(reasons[2], "response-timeout");
    sidecar.comes_to_rest();
}

#[test]
fn a_long_upload_may_take_longer_than_a_silence_once_the_answer_has_begun() {
    let instance = Instance::start(|peer| {
        let head = peer.head().unwrap();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n");
        let length = field(&head, "content-length").unwrap().parse().unwrap();
        peer.exactly(length).unwrap();
        peer.send(&"x".repeat(20_000));
    });
    let sidecar = Sidecar::start(with_timeouts(&instance, |t| t.idle = ms(800)));
    let mut caller = sidecar.caller("edge");
    caller.send("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n");
    let head = caller.head().unwrap();
    assert!(head.contains("connection: close"), "{head}");
    let (_tell, told) = mpsc::channel::<()>();
    for _ in 0..10 {
        let _ = told.recv_timeout(ms(120));
        caller.send(&"y".repeat(100));
    }
    assert_eq!(caller.exactly(20_000).map(|b| b.len()), Ok(20_000));
}
