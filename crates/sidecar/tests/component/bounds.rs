//! What a sidecar may use, and that all of it comes back.

use crate::harness::{Instance, OK, Sidecar, edge, eventually, metrics, service};

#[test]
fn connections_beyond_the_limit_are_refused_and_room_is_found_again() {
    let instance = Instance::answering(OK);
    let mut snapshot = edge(vec![service("item", &[instance.address])]);
    snapshot.bounds.connections = 3;
    let sidecar = Sidecar::start(snapshot);
    let mut held: Vec<_> = (0..3).map(|_| sidecar.caller("edge")).collect();
    for caller in &mut held {
        assert_eq!(caller.get("/").status, 200);
    }
    let mut more = sidecar.caller("edge");
    let refused = more.answer();
    assert_eq!((refused.status, refused.reason()), (503, "out-of-connections"));
    assert_eq!(refused.field("connection"), Some("close"));
    assert!(more.is_over());
    drop((held, more));
    assert!(eventually(|| {
        let mut caller = sidecar.caller("edge");
        caller.try_send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        caller.answer().status == 200
    }));
}

#[test]
fn a_head_beyond_the_limit_is_refused() {
    let instance = Instance::answering(OK);
    let mut snapshot = edge(vec![service("item", &[instance.address])]);
    snapshot.bounds.head_bytes = 1000;
    snapshot.bounds.head_fields = 10;
    let sidecar = Sidecar::start(snapshot);
    let field = |n: usize| format!("X: {}\r\n", "y".repeat(n));
    for (fields, status) in [
        (field(800), 200),
        (field(1000), 431),
        (field(90_000), 431),
        (field(1).repeat(9), 200),
        (field(1).repeat(11), 431),
    ] {
        let mut caller = sidecar.caller("edge");
        let request = format!("GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n");
        caller.try_send(request.as_bytes());
        let answer = caller.answer();
        assert_eq!(answer.status, status, "{} bytes", request.len());
        assert_eq!(answer.reason(), if status == 431 { "head-too-large" } else { "" });
    }
}

/// Answers in many ways, by the path.
fn instance_of_many_answers() -> Instance {
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
    Instance::start(move |peer| {
        while let Some(request) = peer.request() {
            let sent = match request.head.split(' ').nth(1).unwrap() {
                "/large" => peer.try_send(large.as_bytes()),
                "/chunks" => {
                    peer.try_send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
                }
                "/die" => false,
                _ => peer.try_send(OK.as_bytes()),
            };
            if !sent {
                return;
            }
        }
    })
}

/// A caller that asks in many ways, and now and then goes away or asks what is no request.
fn ask_in_many_ways(sidecar: &Sidecar, thread: usize) {
    let mut caller = sidecar.caller("edge");
    for i in 0..400 {
        match (i + thread) % 8 {
            0 => assert_eq!(caller.get("/large").body.len(), 100_000),
            1 => assert_eq!(caller.get("/chunks").text(), "a"),
            2 => assert_eq!(caller.post("/", &"b".repeat(70_000)).status, 200),
            3 => {
                assert_eq!(
                    caller.ask("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").status,
                    200
                );
                caller = sidecar.caller("edge");
            }
            4 if i % 40 == 0 => {
                assert_eq!(caller.post("/die", "x").status, 502);
            }
            5 => {
                // Goes away in the middle.
                caller.try_send(b"GET /large HTTP/1.1\r\nHost: test\r\n\r\n");
                caller = sidecar.caller("edge");
            }
            6 => {
                let mut broken = sidecar.caller("edge");
                broken.send("GET / HTTP/1.1\r\nHost test\r\n\r\n");
                assert_eq!(broken.answer().status, 400);
            }
            _ => assert_eq!(caller.get("/").status, 200),
        }
    }
}

#[test]
fn counters_add_up_and_gauges_return_to_zero_after_thousands_of_mixed_requests() {
    let instances = [(); 3].map(|()| instance_of_many_answers());
    let sidecar =
        Sidecar::start_with(edge(vec![service("item", &instances.each_ref().map(|i| i.address))]), None, 2);
    let callers = &sidecar;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || ask_in_many_ways(callers, thread));
        }
    });
    sidecar.comes_to_rest();
    let page = sidecar.page("/metrics").text();
    let all = metrics(&page);
    let sum = |name: &str, with: &[&str]| -> f64 {
        let fits =
            |(n, labels, _): &&(String, String, f64)| n == name && with.iter().all(|w| labels.contains(w));
        all.iter().filter(fits).map(|(_, _, value)| value).sum()
    };
    let requests = |with: &[&str]| sum("outrigger_requests_total", with);
    assert_eq!(requests(&["reason=\"malformed-request\""]), 400.0);
    assert_eq!(requests(&["method=\"POST\"", "code_class=\"2xx\""]), 400.0);
    let died = requests(&["reason=\"instance-broke\""]);
    assert_eq!(requests(&["method=\"POST\"", "code_class=\"5xx\""]), died);
    let whole = 3200.0 - 400.0 - 400.0 - died;
    let gets = requests(&["service=\"item\"", "code_class=\"2xx\""]);
    assert!((whole..=whole + 400.0).contains(&gets), "{gets} of {whole}");
    for service in ["item", "_unknown"] {
        let label = format!("service=\"{service}\"");
        assert_eq!(requests(&[&label]), sum("outrigger_request_duration_seconds_count", &[&label]));
        let infinite = sum("outrigger_request_duration_seconds_bucket", &[&label, "le=\"+Inf\""]);
        assert_eq!(requests(&[&label]), infinite);
    }
    assert_eq!(sum("outrigger_refusals_total", &[]), 400.0 + died);
    assert_eq!(sum("outrigger_panics_total", &[]), 0.0);
    let attempts = sum("outrigger_attempts_total", &["outcome=\"first\""]);
    assert_eq!(attempts, requests(&["service=\"item\""]));
}

#[test]
fn a_connection_that_never_said_anything_holds_no_buffers() {
    let instance = Instance::answering(OK);
    let sidecar = Sidecar::start(edge(vec![service("item", &[instance.address])]));
    let held: Vec<_> = (0..10).map(|_| sidecar.caller("edge")).collect();
    assert!(eventually(|| sidecar.metric("outrigger_connections", &["callers"]) == 10.0));
    sidecar.comes_to_rest();
    drop(held);
}

/// Callers that have begun to upload and go on no more.
fn stuck_uploads(sidecar: &Sidecar, count: usize) -> Vec<crate::harness::Peer> {
    let request =
        format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n{}", "x".repeat(60_000));
    let begin = || {
        let mut caller = sidecar.caller("edge");
        caller.try_send(request.as_bytes());
        caller
    };
    (0..count).map(|_| begin()).collect()
}

#[test]
fn buffers_are_counted_as_large_as_they_are() {
    let instance = Instance::answering(OK);
    let sidecar = Sidecar::start(edge(vec![service("item", &[instance.address])]));
    let held = stuck_uploads(&sidecar, 20);
    let lent = || sidecar.metric("outrigger_buffer_bytes", &[]);
    assert!(eventually(|| lent() >= 20.0 * 60_000.0), "{}", lent());
    assert!(lent() < 20.0 * 120_000.0, "{}", lent());
    drop(held);
    sidecar.comes_to_rest();
}

#[test]
fn uploads_share_what_there_is_and_beyond_it_requests_are_refused() {
    const LIMIT: u32 = 1 << 20;
    let instance = Instance::answering(OK);
    let mut snapshot = edge(vec![service("item", &[instance.address])]);
    snapshot.bounds.buffer_bytes = u64::from(LIMIT);
    let sidecar = Sidecar::start(snapshot);
    let lent = || sidecar.metric("outrigger_buffer_bytes", &[]);
    let refused = || sidecar.metric("outrigger_refusals_total", &["out-of-memory"]);
    let mut held = Vec::new();
    while refused() == 0.0 {
        held.extend(stuck_uploads(&sidecar, 20));
        // Beyond it there is what those need who were let in last, and no more.
        assert!(lent() < f64::from(LIMIT) * 1.5, "{}", lent());
        assert!(held.len() < 1000);
    }
    assert!(held.len() > 20, "it is refused although there is room: {}", held.len());
    let answer = sidecar.caller("edge").get("/");
    assert_eq!((answer.status, answer.reason()), (503, "out-of-memory"));
    assert!(answer.field("retry-after").is_some());
    drop(held);
    sidecar.comes_to_rest();
    assert_eq!(sidecar.caller("edge").post("/", &"b".repeat(200_000)).status, 200);
    sidecar.comes_to_rest();
}

#[test]
fn heads_share_it_too() {
    const LIMIT: u32 = 256 << 10;
    let instance = Instance::answering(OK);
    let mut snapshot = edge(vec![service("item", &[instance.address])]);
    snapshot.bounds.buffer_bytes = u64::from(LIMIT);
    let sidecar = Sidecar::start(snapshot);
    let half = format!("GET / HTTP/1.1\r\nHost: test\r\nX: {}", "y".repeat(30_000));
    let begin = |_| {
        let mut caller = sidecar.caller("edge");
        caller.try_send(half.as_bytes());
        caller
    };
    let mut held: Vec<_> = (0..20).map(begin).collect();
    let refused = || sidecar.metric("outrigger_refusals_total", &["out-of-memory"]);
    assert!(eventually(|| refused() > 0.0));
    let lent = sidecar.metric("outrigger_buffer_bytes", &[]);
    assert!(lent < f64::from(LIMIT) + 20.0 * 6144.0, "{lent}");
    let answer = held.pop().map(|mut last| last.answer());
    assert_eq!(answer.map(|a| a.reason().to_owned()).as_deref(), Some("out-of-memory"));
    drop(held);
    sidecar.comes_to_rest();
    assert_eq!(sidecar.caller("edge").get("/").status, 200);
}

#[test]
fn a_page_of_metrics_has_at_most_two_thousand_series_and_loses_no_count() {
    let instance = Instance::answering(OK);
    let services = |count| (0..count).map(|i| service(&format!("item-{i}"), &[instance.address])).collect();
    let mut snapshot: model::Snapshot = edge(services(400));
    snapshot.listeners.retain(|l| matches!(l.name.as_str(), "edge" | "outbound"));
    let sidecar = Sidecar::start(snapshot);
    let page = || metrics(&sidecar.page("/metrics").text());
    let of = |all: &[(String, String, f64)], name: &str, with: &str| -> Vec<f64> {
        let fits = all.iter().filter(|(n, labels, _)| n == name && labels.contains(with));
        fits.map(|(_, _, value)| *value).collect()
    };
    let before = page();
    assert!(before.len() <= 2000, "{}", before.len());
    assert_eq!(of(&before, "outrigger_request_duration_seconds_count", "").len(), 0, "nothing was called");
    assert_eq!(of(&before, "outrigger_endpoint_state", "").iter().sum::<f64>(), 400.0);
    let mut caller = sidecar.caller("outbound");
    for i in 0..400 {
        let answer = caller.ask(&format!("GET / HTTP/1.1\r\nHost: item-{i}\r\n\r\n"));
        assert_eq!(answer.status, 200);
    }
    let after = page();
    assert!((1500..=2000).contains(&after.len()), "{}", after.len());
    for name in ["requests_total", "request_duration_seconds_count", "attempts_total"] {
        let name = format!("outrigger_{name}");
        assert_eq!(of(&after, &name, "").iter().sum::<f64>(), 400.0, "{name}");
        assert!(of(&after, &name, "service=\"_other\"").iter().sum::<f64>() > 100.0, "{name}");
    }
    assert_eq!(of(&after, "outrigger_endpoint_state", "").iter().sum::<f64>(), 400.0);
    // Where all have room, none is among others.
    let sidecar = Sidecar::start(edge(services(3)));
    assert_eq!(sidecar.caller("edge").get("/").status, 200);
    let all = metrics(&sidecar.page("/metrics").text());
    assert_eq!(of(&all, "outrigger_in_flight", "").len(), 3);
    assert_eq!(of(&all, "outrigger_request_duration_seconds_count", "").len(), 1, "one was called");
}
