//! What is tried again, where, and what never is.

use crate::harness::{End, Instance, OK, Sidecar, beside, edge, nobody, service};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const REFUSED: &str = "HTTP/1.1 503 No\r\noutrigger-reason: connect-failed\r\nContent-Length: 0\r\n\r\n";
const BROKE: &str = "HTTP/1.1 502 No\r\noutrigger-reason: instance-broke\r\nContent-Length: 0\r\n\r\n";

/// Two instances of a service. Whichever gets the first request says `first` and closes; all else is answered well.
fn first_fails(first: &'static str) -> ([Instance; 2], Sidecar) {
    let count = Arc::new(AtomicUsize::new(0));
    let instance = || {
        let count = count.clone();
        Instance::start(move |peer| {
            while peer.request().is_some() {
                if count.fetch_add(1, Ordering::SeqCst) == 0 {
                    peer.send(first);
                    return;
                }
                peer.send(OK);
            }
        })
    };
    let both = [instance(), instance()];
    let sidecar = Sidecar::start(edge(vec![service("item", &[both[0].address, both[1].address])]));
    (both, sidecar)
}

/// How many requests came to either.
fn came(both: &[Instance; 2]) -> usize {
    both.iter().map(Instance::pending_heads).sum()
}

fn attempts(sidecar: &Sidecar, outcome: &str) -> f64 {
    sidecar.metric("outrigger_attempts_total", &[&format!("outcome=\"{outcome}\"")])
}

#[test]
fn a_kept_connection_that_the_instance_was_closing_costs_a_get_nothing_and_a_post_is_not_repeated() {
    let instance = Instance::start(|peer| {
        // Every connection but the last one takes a second request and closes on it.
        if peer.request().is_some() {
            peer.send(OK);
            let _ = peer.request();
        }
    });
    let sidecar = Sidecar::start(edge(vec![service("item", &[instance.address])]));
    let mut caller = sidecar.caller("edge");
    for _ in 0..3 {
        assert_eq!(caller.get("/").status, 200);
    }
    assert_eq!((attempts(&sidecar, "first"), attempts(&sidecar, "retry")), (3.0, 0.0));
    assert_eq!(instance.pending_heads(), 5);
    let answer = caller.post("/", "x");
    assert_eq!((answer.status, answer.reason()), (502, "instance-broke"));
    assert_eq!(instance.pending_heads(), 1, "the POST was carried out twice");
    assert_eq!(caller.get("/").status, 200);
    sidecar.comes_to_rest();
}

#[test]
fn a_post_that_was_not_begun_is_sent_on_a_new_connection() {
    let (close, closed) = std::sync::mpsc::channel();
    let close = std::sync::Mutex::new(close);
    let instance = Instance::start(move |peer| {
        if peer.request().is_some() {
            peer.send(OK);
            // Closed while idle: the sidecar can know before it sends.
            peer.stream.shutdown(std::net::Shutdown::Both).unwrap();
            close.lock().unwrap().send(()).unwrap();
        }
    });
    let sidecar = Sidecar::start(edge(vec![service("item", &[instance.address])]));
    let mut caller = sidecar.caller("edge");
    for i in 1..20 {
        assert_eq!(caller.post("/", "x").status, 200, "after {i}");
        closed.recv().unwrap();
        // A turn of the worker in between sees the end.
        assert_eq!(sidecar.page("/ready").status, 200);
        let _ = sidecar.metric("outrigger_connections", &[]);
    }
    assert_eq!(instance.pending_heads(), 19);
}

#[test]
fn a_death_between_head_and_body_of_a_small_answer_is_made_good_for_a_get_only() {
    const DEATH: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let (both, sidecar) = first_fails(DEATH);
    assert_eq!(sidecar.caller("edge").get("/").text(), "ok");
    assert_eq!((came(&both), attempts(&sidecar, "retry")), (2, 1.0));
    let (both, sidecar) = first_fails(DEATH);
    let answer = sidecar.caller("edge").post("/", "x");
    assert_eq!((answer.status, answer.reason(), came(&both)), (502, "instance-broke", 1));
    sidecar.comes_to_rest();
}

#[test]
fn a_second_attempt_says_that_it_is_one() {
    let (both, sidecar) = first_fails("");
    assert_eq!(sidecar.caller("edge").get("/").status, 200);
    let mut seen: Vec<String> = both.iter().flat_map(|i| i.heads.try_iter()).collect();
    seen.sort_by_key(|head| head.contains("outrigger-attempt: 2"));
    assert!(seen[0].contains("outrigger-attempt: 1\r\n") && seen[1].contains("outrigger-attempt: 2\r\n"));
    let id = |head: &str| crate::harness::field(head, "x-request-id").map(str::to_owned);
    assert_eq!(id(&seen[0]), id(&seen[1]), "one request keeps its id");
}

#[test]
fn a_death_in_the_middle_of_a_stream_never_looks_whole() {
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(50_000));
    for answer in [
        Box::leak(large.into_boxed_str()),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX",
    ] {
        let instance = Instance::once(answer);
        let sidecar = Sidecar::start(edge(vec![service("item", &[instance.address])]));
        let mut caller = sidecar.caller("edge");
        let got = caller.get("/");
        assert_eq!((got.status, got.end), (200, End::Truncated), "{:.60}", answer);
        let got = sidecar.caller("edge").ask("GET / HTTP/1.0\r\n\r\n");
        assert_ne!(got.end, End::Whole, "{answer:.60}");
        sidecar.comes_to_rest();
    }
}

#[test]
fn who_does_not_accept_is_passed_over_for_every_method() {
    for method in ["GET", "POST", "PATCH", "BREW"] {
        let instance = Instance::answering(OK);
        let mut retried = 0.0;
        // The same draw hits the dead one in one of the two orders.
        for to in [[nobody(), instance.address], [instance.address, nobody()]] {
            let sidecar = Sidecar::start(edge(vec![service("item", &to)]));
            let ask = format!("{method} / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx");
            assert_eq!(sidecar.caller("edge").ask(&ask).status, 200);
            retried += attempts(&sidecar, "retry");
        }
        assert_eq!((retried, instance.pending_heads()), (1.0, 2), "{method}");
    }
}

#[test]
fn a_refusal_of_the_peers_sidecar_is_taken_elsewhere_where_that_is_safe() {
    let (both, sidecar) = first_fails(REFUSED);
    assert_eq!(sidecar.caller("edge").post("/", "x").status, 200);
    assert_eq!(came(&both), 2);
    let (both, sidecar) = first_fails(BROKE);
    assert_eq!(sidecar.caller("edge").get("/").status, 200);
    assert_eq!(came(&both), 2);
    let (both, sidecar) = first_fails(BROKE);
    let answer = sidecar.caller("edge").post("/", "x");
    assert_eq!((answer.status, answer.reason(), came(&both)), (502, "instance-broke", 1));
    // Somebody below has tried again already.
    let (both, sidecar) = first_fails(
        "HTTP/1.1 503 No\r\noutrigger-reason: connect-failed\r\noutrigger-attempt: 2\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(sidecar.caller("edge").get("/").status, 503);
    assert_eq!(came(&both), 1);
}

#[test]
fn what_an_app_says_in_our_name_is_no_refusal() {
    let ok = "HTTP/1.1 200 OK\r\noutrigger-reason: no-instances\r\nContent-Length: 2\r\n\r\nok";
    let busy = "HTTP/1.1 503 No\r\noutrigger-reason: queue-full\r\nContent-Length: 0\r\n\r\n";
    for (said, status) in [(ok, 200), (busy, 503)] {
        let both = [Instance::once(said), Instance::once(said)];
        let mut item = service("item", &[both[0].address, both[1].address]);
        item.peer = model::Peer::App;
        let sidecar = Sidecar::start(edge(vec![item]));
        let answer = sidecar.caller("edge").post("/", "x");
        assert_eq!((answer.status, answer.reason(), came(&both)), (status, "", 1));
        assert_eq!(sidecar.metric("outrigger_refusals_total", &[]), 0.0);
        sidecar.comes_to_rest();
    }
}

#[test]
fn a_reason_beside_another_status_is_no_refusal() {
    let grpc = |length| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\noutrigger-reason: queue-full";
        format!("{head}\r\ngrpc-status: 14\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length))
    };
    let ok = "HTTP/1.1 200 OK\r\noutrigger-reason: queue-full\r\nContent-Length: 2\r\n\r\nok";
    for (said, requests) in [(ok.to_owned(), 1), (grpc(2), 1), (grpc(0), 2)] {
        let (both, sidecar) = first_fails(Box::leak(said.into_boxed_str()));
        assert_eq!(sidecar.caller("edge").post("/", "x").status, 200);
        assert_eq!(came(&both), requests);
        assert_eq!(sidecar.metric("outrigger_refusals_total", &[]), 0.0);
    }
}

#[test]
fn a_body_that_outgrew_its_copy_is_sent_once() {
    for (length, status, requests) in [(900, 200, 2), (200_000, 502, 1)] {
        let count = Arc::new(AtomicUsize::new(0));
        let instance = || {
            let count = count.clone();
            Instance::start(move |peer| {
                while let Some(request) = peer.request() {
                    assert_eq!(request.body.len(), length);
                    if count.fetch_add(1, Ordering::SeqCst) == 0 {
                        return;
                    }
                    peer.send(OK);
                }
            })
        };
        let both = [instance(), instance()];
        let mut snapshot = edge(vec![service("item", &[both[0].address, both[1].address])]);
        snapshot.bounds.body_copy = 1000;
        let sidecar = Sidecar::start(snapshot);
        let ask =
            format!("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length));
        assert_eq!(sidecar.caller("edge").ask(&ask).status, status, "{length}");
        assert_eq!(came(&both), requests);
        sidecar.comes_to_rest();
    }
}

#[test]
fn over_two_hops_a_dead_app_costs_no_request_and_a_dying_one_no_get() {
    let alive = Instance::answering(OK);
    let dying = Instance::start(|peer| {
        let _ = peer.request();
    });
    let good = Sidecar::start(beside(alive.address, vec![]));
    let dead = Sidecar::start(beside(nobody(), vec![]));
    let sick = Sidecar::start(beside(dying.address, vec![]));
    for bad in [&dead, &sick] {
        for to in [[bad.at("inbound"), good.at("inbound")], [good.at("inbound"), bad.at("inbound")]] {
            let front = Sidecar::start(edge(vec![service("shop", &to)]));
            assert_eq!(front.caller("edge").get("/").status, 200);
            if std::ptr::eq(bad, &raw const dead) {
                assert_eq!(front.caller("edge").post("/", "x").status, 200);
            }
            front.comes_to_rest();
        }
    }
    let front = Sidecar::start(edge(vec![service("shop", &[sick.at("inbound")])]));
    let _ = dying.pending_heads();
    let answer = front.caller("edge").post("/", "x");
    assert_eq!((answer.status, answer.reason(), dying.pending_heads()), (502, "instance-broke", 1));
    for sidecar in [&good, &dead, &sick] {
        sidecar.comes_to_rest();
    }
}

#[test]
fn a_hedge_overtakes_a_silent_first_and_leaves_nothing_behind() {
    let count = Arc::new(AtomicUsize::new(0));
    let instance = || {
        let count = count.clone();
        Instance::start(move |peer| {
            while peer.request().is_some() {
                if count.fetch_add(1, Ordering::SeqCst) == 0 {
                    // Silent until it is abandoned.
                    assert!(peer.is_over());
                    return;
                }
                peer.send(OK);
            }
        })
    };
    let both = [instance(), instance()];
    let mut item = service("item", &[both[0].address, both[1].address]);
    item.settings.hedge = Some(model::Hedge { after: std::time::Duration::from_millis(50) });
    let sidecar = Sidecar::start(edge(vec![item]));
    let mut caller = sidecar.caller("edge");
    assert_eq!(caller.get("/").text(), "ok");
    assert_eq!((attempts(&sidecar, "hedge"), came(&both)), (1.0, 2));
    sidecar.comes_to_rest();
    assert_eq!(caller.get("/").text(), "ok");
}

/// A service that is retried like this, without a wait and without a bound.
fn retried(to: &[std::net::SocketAddr], tries: u8, try_timeout: Option<u64>) -> model::Service {
    let mut item = service("item", to);
    item.settings.retry = Some(model::Retry {
        tries,
        try_timeout: try_timeout.map(Duration::from_millis),
        budget: None,
        back_off: Duration::ZERO,
        ..model::Retry::default()
    });
    item
}

/// Which attempts came, as they say of themselves.
fn numbers(instances: &[Instance]) -> Vec<String> {
    let heads = instances.iter().flat_map(|i| i.heads.try_iter());
    let mut all: Vec<String> =
        heads.map(|head| crate::harness::field(&head, "outrigger-attempt").unwrap().to_owned()).collect();
    all.sort();
    all
}

#[test]
fn a_third_try_is_made_where_it_is_asked_for_and_says_that_it_is_one() {
    for (tries, status, came) in
        [(2, 502, &["1", "2"][..]), (3, 200, &["1", "2", "3"]), (4, 200, &["1", "2", "3"])]
    {
        let count = Arc::new(AtomicUsize::new(0));
        let instance = || {
            let count = count.clone();
            Instance::start(move |peer| {
                while let Some(request) = peer.request() {
                    assert_eq!(request.body.len(), 900, "each try sends the whole body");
                    if count.fetch_add(1, Ordering::SeqCst) < 2 {
                        return;
                    }
                    peer.send(OK);
                }
            })
        };
        let both = [instance(), instance()];
        let sidecar = Sidecar::start(edge(vec![retried(&[both[0].address, both[1].address], tries, None)]));
        let ask = format!("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 900\r\n\r\n{}", "x".repeat(900));
        assert_eq!(sidecar.caller("edge").ask(&ask).status, status, "{tries} tries");
        assert_eq!(numbers(&both), came, "{tries} tries");
        assert_eq!(
            (attempts(&sidecar, "first"), attempts(&sidecar, "retry")),
            (1.0, came.len() as f64 - 1.0)
        );
        assert_eq!(attempts(&sidecar, "hedge"), 0.0);
        sidecar.comes_to_rest();
    }
}

#[test]
fn a_try_that_has_had_its_time_is_abandoned_and_the_next_one_answers() {
    for instances in [1, 2] {
        let count = Arc::new(AtomicUsize::new(0));
        let instance = || {
            let count = count.clone();
            Instance::start(move |peer| {
                while peer.request().is_some() {
                    if count.fetch_add(1, Ordering::SeqCst) < 2 {
                        // Silent until it is abandoned.
                        assert!(peer.is_over());
                        return;
                    }
                    peer.send(OK);
                }
            })
        };
        let all: Vec<Instance> = (0..instances).map(|_| instance()).collect();
        let to: Vec<_> = all.iter().map(|i| i.address).collect();
        let sidecar = Sidecar::start(edge(vec![retried(&to, 3, Some(60))]));
        let mut caller = sidecar.caller("edge");
        let begun = Instant::now();
        assert_eq!(caller.get("/").text(), "ok", "{instances} instances");
        assert!(begun.elapsed() >= Duration::from_millis(120), "{:?}", begun.elapsed());
        assert_eq!(numbers(&all), ["1", "2", "3"]);
        assert_eq!((attempts(&sidecar, "retry"), attempts(&sidecar, "hedge")), (2.0, 0.0));
        sidecar.comes_to_rest();
        assert_eq!(caller.post("/", "x").text(), "ok");
    }
}

#[test]
fn a_post_that_has_had_its_time_is_not_sent_again_and_a_slow_caller_is_no_timeout() {
    let instance = Instance::start(|peer| {
        while let Some(request) = peer.request() {
            if request.head.starts_with("POST") {
                assert!(peer.is_over());
                return;
            }
            peer.send(OK);
        }
    });
    let sidecar = Sidecar::start(edge(vec![retried(&[instance.address], 3, Some(60))]));
    let answer = sidecar.caller("edge").post("/", "x");
    assert_eq!((answer.status, answer.reason()), (504, "response-timeout"));
    assert_eq!(instance.pending_heads(), 1);
    // A body that comes slowly: it takes longer than a try may, and is still sent once only.
    let mut caller = sidecar.caller("edge");
    caller.send("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nha");
    let begun = Instant::now();
    assert!(crate::harness::eventually(
        || begun.elapsed() > Duration::from_millis(150) && sidecar.page("/ready").status == 200
    ));
    caller.send("lf");
    assert_eq!(caller.answer().text(), "ok");
    assert_eq!(instance.pending_heads(), 1);
    sidecar.comes_to_rest();
}
