//! Deadline, importance and attempt pass through an app that knows nothing of them.

use crate::harness::{Instance, OK, Peer, Sidecar, beside, field, service};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// An app that calls `item` and forwards the fields with these names, in front of it a sidecar.
fn app_that_forwards(names: &'static [&'static str], item: &Instance) -> Sidecar {
    let to: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
    let known = to.clone();
    let app = Instance::start(move |peer| {
        while let Some(request) = peer.request() {
            let mut ask = "GET /item HTTP/1.1\r\nHost: x\r\n".to_owned();
            for name in names {
                ask.push_str(&format!("{name}: {}\r\n", request.field(name).unwrap()));
            }
            let to = to.lock().unwrap().unwrap();
            let answer = Peer::connect(to).ask(&format!("{ask}\r\n"));
            let body = answer.reason().to_owned();
            peer.send(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        }
    });
    let sidecar = Sidecar::start(beside(app.address, vec![service("item", &[item.address])]));
    *known.lock().unwrap() = Some(sidecar.at("item"));
    sidecar
}

const ASK: &str = "GET / HTTP/1.1\r\nHost: shop\r\noutrigger-deadline-ms: 4000\r\noutrigger-importance: bulk\r\n\
                   outrigger-attempt: 3\r\n";

#[test]
fn either_id_carries_all_of_it_whether_or_not_the_caller_sent_one() {
    for names in [&["traceparent"][..], &["x-request-id"], &["traceparent", "x-request-id"]] {
        let item = Instance::answering(OK);
        let sidecar = app_that_forwards(names, &item);
        let trace =
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nx-request-id: r1\r\n";
        for sent in ["", trace] {
            assert_eq!(sidecar.caller("inbound").ask(&format!("{ASK}{sent}\r\n")).status, 200);
            let head = item.next_head();
            assert_eq!(field(&head, "outrigger-importance"), Some("bulk"), "{names:?}");
            assert_eq!(field(&head, "outrigger-attempt"), Some("3"), "{names:?}");
            let left: u64 = field(&head, "outrigger-deadline-ms").unwrap().parse().unwrap();
            assert!((1..=4000).contains(&left), "{left}");
        }
        assert_eq!(sidecar.metric("outrigger_context_lost_total", &[]), 0.0);
    }
}

#[test]
fn an_app_that_forwards_neither_starts_afresh_and_that_is_counted() {
    let item = Instance::answering(OK);
    let sidecar = app_that_forwards(&[], &item);
    for _ in 0..3 {
        assert_eq!(sidecar.caller("inbound").ask(&format!("{ASK}\r\n")).status, 200);
        let head = item.next_head();
        assert_eq!(field(&head, "outrigger-attempt"), Some("1"));
        assert_eq!(field(&head, "outrigger-importance"), Some("critical"));
    }
    assert_eq!(sidecar.metric("outrigger_context_lost_total", &[]), 3.0);
}

#[test]
fn a_context_ends_with_its_request_and_its_deadline_binds_what_the_app_calls() {
    let silent = Instance::start(|peer| {
        let _ = peer.head();
        let _ = peer.rest();
    });
    let sidecar = app_that_forwards(&["x-request-id"], &silent);
    let ask = "GET / HTTP/1.1\r\nHost: shop\r\noutrigger-deadline-ms: 800\r\nx-request-id: r9\r\n\r\n";
    // Both ends of the app give up at the same moment; either may be heard first.
    let answer = sidecar.caller("inbound").ask(ask);
    assert!(answer.status == 504 || answer.text() == "response-timeout", "{}", answer.head);
    sidecar.comes_to_rest();
    let mut late = sidecar.caller("item");
    late.send("GET / HTTP/1.1\r\nHost: x\r\nx-request-id: r9\r\n\r\n");
    let first = silent.next_head();
    let second = silent.next_head();
    let left = |head: &str| field(head, "outrigger-deadline-ms").unwrap().parse::<u64>().unwrap();
    assert!(left(&first) <= 800 && left(&second) > 5000, "{first}\n{second}");
    assert_eq!(sidecar.metric("outrigger_context_lost_total", &[]), 1.0);
}
