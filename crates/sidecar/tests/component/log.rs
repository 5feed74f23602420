//! The access log: one line a request, whatever became of it.

use crate::harness::{Instance, OK, Peer, Sidecar, edge, eventually, service};
use model::Snapshot;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What `ask` leaves in the log of a sidecar with `snapshot`, and its counts of requests.
fn log_of(snapshot: Snapshot, ask: impl FnOnce(&Sidecar)) -> (Vec<String>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let sidecar = Sidecar::logged(snapshot, file.clone());
    ask(&sidecar);
    sidecar.comes_to_rest();
    let page = sidecar.page("/metrics").text();
    drop(sidecar);
    let lines = std::fs::read_to_string(&file).unwrap();
    let counted = page.lines().filter(|line| line.starts_with("outrigger_requests_total{"));
    (lines.lines().map(str::to_owned).collect(), counted.map(str::to_owned).collect())
}

/// Checks that each of `texts` stands in a line.
#[track_caller]
fn says(line: &str, texts: &[&str]) {
    for text in texts {
        assert!(line.contains(text), "{text} is missing in {line}");
    }
}

#[test]
fn what_is_refused_before_its_service_is_known_stands_in_it() {
    let instance = Instance::answering(OK);
    let mut snapshot = edge(vec![service("item", &[instance.address])]);
    snapshot.bounds.head_bytes = 1000;
    snapshot.bounds.head_time = Duration::from_millis(100);
    let long = format!("GET / HTTP/1.1\r\nHost: test\r\nX: {}\r\n\r\n", "y".repeat(2000));
    let asked = [
        ("edge", "GET / HTTP/1.1\r\nHost: test\r\n\r\n", 200, ""),
        ("outbound", "GET /a HTTP/1.1\r\nHost: nobody\r\nx-request-id: r1\r\n\r\n", 503, "unknown-service"),
        ("edge", "GET / HTTP/1.1\r\nHost test\r\n\r\n", 400, "malformed-request"),
        ("edge", long.as_str(), 431, "head-too-large"),
        ("edge", "GET / HTTP/1.1\r\nHo", 408, "head-too-slow"),
        ("edge", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501, "method-refused"),
        ("edge", "TRACE / HTTP/1.1\r\nHost: test\r\nMax-Forwards: 0\r\n\r\n", 501, "method-refused"),
        ("edge", "OPTIONS * HTTP/1.1\r\nHost: test\r\nMax-Forwards: 0\r\n\r\n", 204, ""),
    ];
    let (lines, counted) = log_of(snapshot, |sidecar| {
        for (listener, request, status, reason) in &asked {
            let answer = sidecar.caller(listener).ask(request);
            assert_eq!((answer.status, answer.reason()), (*status, *reason), "{request}");
        }
    });
    assert_eq!(lines.len(), asked.len(), "{lines:#?}");
    for (line, (_, request, status, reason)) in lines.iter().zip(&asked) {
        says(line, &[&format!("\"status\":{status},")]);
        match *reason {
            "" => assert!(!line.contains("\"reason\""), "{line}"),
            word => says(line, &[&format!("\"reason\":\"{word}\"")]),
        }
        let own = request.contains("test\r\n\r\n") && !request.contains("Host test");
        says(line, &[if own { "\"service\":\"item\"" } else { "\"service\":\"_unknown\"" }]);
    }
    says(
        &lines[1],
        &["\"path\":\"/a\"", "\"authority\":\"nobody\"", "\"request_id\":\"r1\"", "\"peer\":\"127"],
    );
    says(&lines[2], &["\"rule\":\""]);
    let strays = counted.iter().filter(|line| line.contains("service=\"_unknown\""));
    assert_eq!(strays.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u32>().unwrap()).sum::<u32>(), 7);
}

#[test]
fn a_body_that_breaks_a_rule_is_one_line_and_counts_once() {
    let instance = Instance::start(|peer| {
        let _ = peer.request();
    });
    let snapshot = edge(vec![service("item", &[instance.address])]);
    let (lines, counted) = log_of(snapshot, |sidecar| {
        let request = "POST /b HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
        let answer = sidecar.caller("edge").ask(request);
        assert_eq!((answer.status, answer.reason()), (400, "malformed-request"));
    });
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    says(
        line,
        &["\"service\":\"item\"", "\"path\":\"/b\"", "\"status\":400,", "\"reason\":\"malformed-request\""],
    );
    says(line, &["\"rule\":\"chunk-size-invalid\""]);
    let [count] = counted.as_slice() else { panic!("{counted:#?}") };
    says(count, &["service=\"item\"", "reason=\"malformed-request\"", "method=\"POST\""]);
    assert!(count.ends_with(" 1"), "{count}");
}

/// The first request breaks a rule of HTTP; the next attempt gets `then`.
fn first_breaks_a_rule(then: impl Fn(&mut Peer) + Send + Sync + 'static) -> [Instance; 2] {
    let (count, then) = (Arc::new(AtomicUsize::new(0)), Arc::new(then));
    [(), ()].map(|()| {
        let (count, then) = (count.clone(), then.clone());
        Instance::start(move |peer| {
            while peer.request().is_some() {
                match count.fetch_add(1, Ordering::SeqCst) {
                    0 => peer.send("HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok"),
                    _ => then(peer),
                }
            }
        })
    })
}

#[test]
fn the_rule_that_an_attempt_broke_is_not_said_of_the_next() {
    let log = |then: fn(&mut Peer), ask: fn(&Sidecar)| {
        let both = first_breaks_a_rule(then);
        log_of(edge(vec![service("item", &both.each_ref().map(|i| i.address))]), ask)
    };
    let (lines, _) =
        log(|peer| peer.send(OK), |sidecar| assert_eq!(sidecar.caller("edge").get("/").status, 200));
    says(&lines[0], &["\"status\":200,", "\"attempts\":2"]);
    assert!(!lines[0].contains("\"rule\""), "{}", lines[0]);

    let (lines, _) = log(
        |peer| drop(peer.stream.shutdown(std::net::Shutdown::Both)),
        |sidecar| {
            let answer = sidecar.caller("edge").get("/");
            assert_eq!((answer.status, answer.reason()), (502, "instance-broke"));
            assert!(!answer.head.contains("bare-lf"), "{}", answer.head);
        },
    );
    says(&lines[0], &["\"reason\":\"instance-broke\"", "\"attempts\":2"]);
    assert!(!lines[0].contains("\"rule\""), "{}", lines[0]);

    // The caller leaves while the second attempt is under way: it has broken no rule.
    let (lines, counted) = log(
        |peer| drop(peer.rest()),
        |sidecar| {
            let mut caller = sidecar.caller("edge");
            caller.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
            assert!(eventually(|| sidecar.metric("outrigger_attempts_total", &["outcome=\"retry\""]) == 1.0));
        },
    );
    assert!(!lines[0].contains("\"rule\""), "{}", lines[0]);
    assert!(!counted.concat().contains("malformed-request"), "{counted:?}");
}
