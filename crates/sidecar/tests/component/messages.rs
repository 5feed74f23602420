//! Messages as HTTP has them: framing both ways, versions, interim answers, tunnels, rewriting.

use crate::harness::{End, Instance, OK, Peer, Sidecar, beside, edge, eventually, field, service};
use model::{EdgeRoute, Role};
use std::time::Duration;

fn edge_to(instance: &Instance) -> Sidecar {
    Sidecar::start(edge(vec![service("item", &[instance.address])]))
}

#[test]
fn a_plain_get_a_head_and_a_post_pass_on_one_connection_each_way() {
    let instance = Instance::telling(|peer, told| {
        while let Some(request) = peer.request() {
            told.lock().unwrap().push(request.text());
            let head = request.head.starts_with("HEAD");
            peer.send("HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nX-Own: a\r\n\r\n");
            if !head {
                peer.send("hello");
            }
        }
    });
    let sidecar = edge_to(&instance);
    let mut caller = sidecar.caller("edge");
    let answer = caller.get("/a?b=c");
    assert_eq!((answer.status, answer.text().as_str(), answer.end), (200, "hello", End::Whole));
    assert!(answer.head.starts_with("HTTP/1.1 200 Fine\r\n"), "{}", answer.head);
    assert_eq!(answer.field("x-own"), Some("a"));
    assert!(instance.next_head().starts_with("GET /a?b=c HTTP/1.1\r\n"));
    let answer = caller.ask("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(answer.field("content-length"), Some("5"));
    assert_eq!(caller.post("/", "body").text(), "hello");
    assert_eq!(*instance.told.lock().unwrap(), ["", "", "body"]);
    assert_eq!(instance.connected(), 1);
    sidecar.comes_to_rest();
}

#[test]
fn chunks_and_trailers_pass_both_ways() {
    let instance = Instance::telling(|peer, told| {
        while let Some(request) = peer.request() {
            told.lock().unwrap().push(format!("{}|{}", request.text(), request.trailers));
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
            peer.send("4;x=1\r\ndefg\r\n0\r\nX-Sum: 7\r\n\r\n");
        }
    });
    let sidecar = edge_to(&instance);
    let mut caller = sidecar.caller("edge");
    for _ in 0..2 {
        let answer = caller.ask(
            "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\nX-T: 1\r\n\r\n",
        );
        assert_eq!(
            (answer.text().as_str(), answer.trailers.to_lowercase().as_str()),
            ("abcdefg", "x-sum: 7\n")
        );
        assert_eq!(answer.end, End::Whole);
    }
    let told = instance.told.lock().unwrap().clone();
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|t| t.to_lowercase() == "abcde|x-t: 1\n"), "{told:?}");
    assert_eq!(instance.connected(), 1);
}

#[test]
fn what_an_outsider_writes_into_trailers_does_not_speak_in_our_name() {
    let instance = Instance::answering(OK);
    let sidecar = edge_to(&instance);
    let answer = sidecar.caller("edge").ask(
        "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\noutrigger-caller: root\r\n\r\n",
    );
    assert_eq!(answer.status, 400);
}

#[test]
fn a_large_body_streams_both_ways_past_a_slow_reader_within_bounded_memory() {
    const SIZE: usize = 24 << 20;
    let pattern = |i: usize| (i % 251) as u8;
    let body: Vec<u8> = (0..SIZE).map(pattern).collect();
    let back = body.clone();
    let instance = Instance::telling(move |peer, told| {
        let Some(head) = peer.head() else { return };
        assert_eq!(field(&head, "content-length"), Some(SIZE.to_string().as_str()));
        let got = peer.exactly(SIZE).unwrap();
        told.lock().unwrap().push((got == back).to_string());
        peer.send(&format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"));
        let sent = peer.try_send(&back);
        told.lock().unwrap().push(sent.to_string());
    });
    let sidecar = edge_to(&instance);
    let mut caller = sidecar.caller("edge");
    caller.send(&format!("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: {SIZE}\r\n\r\n"));
    caller.send_bytes(&body);
    // The answer has begun to come; now the reader is slow: the sidecar holds little, whatever the size.
    let head = caller.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let before = memory();
    let mut got = Vec::with_capacity(SIZE);
    while got.len() < SIZE {
        let piece = caller.exactly((SIZE - got.len()).min(100_000)).unwrap();
        got.extend_from_slice(&piece);
        assert!(sidecar.metric("outrigger_buffer_bytes", &[]) < 600_000.0);
    }
    assert!(got == body, "the answer's bytes differ");
    // `got` itself grows into memory that was reserved and not touched.
    let grown = memory().saturating_sub(before);
    assert!(grown < SIZE + (8 << 20), "grown by {grown}");
    assert_eq!(*instance.told.lock().unwrap(), ["true", "true"]);
    sidecar.comes_to_rest();
}

/// Resident bytes of this process.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap() * 4096
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let instance = Instance::start(|peer| {
        while let Some(request) = peer.request() {
            let path = request.head.split(' ').nth(1).unwrap().to_owned();
            let body = format!("{path}={}", request.text());
            peer.send(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        }
    });
    let sidecar = edge_to(&instance);
    let mut caller = sidecar.caller("edge");
    let mut all = String::new();
    for i in 0..200 {
        all.push_str(&format!("POST /{i} HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc"));
        all.push_str(&format!("GET /get{i} HTTP/1.1\r\nHost: test\r\n\r\n"));
    }
    caller.send(&all);
    for i in 0..200 {
        assert_eq!(caller.answer().text(), format!("/{i}=abc"));
        assert_eq!(caller.answer().text(), format!("/get{i}="));
    }
    sidecar.comes_to_rest();
}

#[test]
fn an_old_caller_gets_neither_chunks_nor_interim_answers() {
    let instance = Instance::start(|peer| {
        while let Some(request) = peer.request() {
            peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
            match request.head.split(' ').nth(1).unwrap() {
                "/chunks" => peer.send(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: y\r\n\r\n",
                ),
                "/close" => {
                    peer.send("HTTP/1.0 200 OK\r\n\r\nab");
                    return;
                }
                _ => peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"),
            }
        }
    });
    let sidecar = edge_to(&instance);
    for path in ["/chunks", "/close"] {
        let mut caller = sidecar.caller("edge");
        let answer = caller.ask(&format!("GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        assert_eq!((answer.status, answer.text().as_str(), answer.end), (200, "ab", End::Whole), "{path}");
        assert_eq!(answer.field("connection"), Some("close"));
        assert_eq!(answer.field("transfer-encoding"), None);
    }
    let mut caller = sidecar.caller("edge");
    for _ in 0..2 {
        let answer = caller.ask("GET /length HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!((answer.text().as_str(), answer.field("connection")), ("ab", Some("keep-alive")));
    }
    let answer = caller.ask("GET /length HTTP/1.0\r\n\r\n");
    assert_eq!((answer.text().as_str(), answer.field("connection")), ("ab", Some("close")));
    assert!(caller.is_over());
}

#[test]
fn an_answer_until_close_becomes_chunks_and_the_callers_connection_stays() {
    let instance = Instance::once("HTTP/1.0 200 OK\r\n\r\nall of it");
    let sidecar = edge_to(&instance);
    let mut caller = sidecar.caller("edge");
    for _ in 0..2 {
        let answer = caller.get("/");
        assert_eq!((answer.text().as_str(), answer.end), ("all of it", End::Whole));
        assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    }
    assert_eq!(instance.connected(), 2);
}

#[test]
fn answers_without_a_body_leave_the_connections_usable() {
    let instance = Instance::start(|peer| {
        while let Some(request) = peer.request() {
            match request.head.split(' ').nth(1).unwrap() {
                "/204" => peer.send("HTTP/1.1 204 No Content\r\n\r\n"),
                "/304" => peer.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"a\"\r\n\r\n"),
                _ => peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            }
        }
    });
    let sidecar = edge_to(&instance);
    let mut caller = sidecar.caller("edge");
    for path in ["/204", "/304", "/200", "/204"] {
        assert_eq!(caller.get(path).status.to_string(), path[1..]);
    }
    assert_eq!(instance.connected(), 1);
}

#[test]
fn interim_answers_are_passed_on_and_100_only_to_whom_asked() {
    let instance = Instance::start(|peer| {
        while let Some(head) = peer.head() {
            peer.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
            if let Some(length) = field(&head, "content-length") {
                peer.exactly(length.parse().unwrap()).unwrap();
            }
            peer.send(OK);
        }
    });
    let sidecar = edge_to(&instance);
    let mut caller = sidecar.caller("edge");
    caller.send("POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    assert_eq!(caller.answer().status, 100);
    assert_eq!(caller.answer().status, 103);
    caller.send("abc");
    assert_eq!(caller.answer().status, 200);
    let early = caller.get("/");
    assert_eq!((early.status, early.field("link")), (103, Some("</a>")));
    assert_eq!(caller.answer().status, 200);
    assert!(instance.next_head().to_lowercase().contains("expect: 100-continue\r\n"));
}

#[test]
fn too_many_interim_answers_are_no_answer() {
    let instance = Instance::start(|peer| {
        let _ = peer.request();
        while peer.try_send(b"HTTP/1.1 102 Processing\r\n\r\n") {}
    });
    let sidecar = edge_to(&instance);
    let mut caller = sidecar.caller("edge");
    caller.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    let last = (0..40).map(|_| caller.answer()).find(|a| a.status >= 200).expect("an end of it");
    assert_eq!((last.status, last.reason()), (502, "malformed-response"));
}

#[test]
fn an_early_answer_to_an_unfinished_upload_arrives_and_both_connections_end() {
    let instance = Instance::start(|peer| {
        while let Some(head) = peer.head() {
            if head.starts_with("POST") {
                peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
            } else {
                peer.send(OK);
            }
        }
    });
    let sidecar = edge_to(&instance);
    let mut caller = sidecar.caller("edge");
    caller.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\nonly this");
    let answer = caller.answer();
    assert_eq!((answer.status, answer.text().as_str()), (413, "big"));
    assert_eq!(answer.field("connection"), Some("close"));
    assert!(caller.is_over());
    assert_eq!(sidecar.caller("edge").get("/").status, 200);
    assert_eq!(instance.connected(), 2);
    sidecar.comes_to_rest();
}

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[test]
fn an_upgrade_becomes_a_tunnel_both_ways() {
    let instance = Instance::start(|peer| {
        let head = peer.head().unwrap();
        assert_eq!(field(&head, "upgrade"), Some("websocket"));
        // The first frames ride with the head.
        peer.send(&format!("{SWITCHED}hello"));
        while let Ok(bytes) = peer.exactly(5) {
            peer.send_bytes(&bytes);
        }
    });
    let sidecar = edge_to(&instance);
    let mut caller = sidecar.caller("edge");
    caller.send(&format!("{UPGRADE}early"));
    let switched = caller.answer();
    assert_eq!((switched.status, switched.field("upgrade")), (101, Some("websocket")));
    assert_eq!(caller.exactly(10).unwrap(), b"helloearly");
    for word in ["one..", "two.."] {
        caller.send(word);
        assert_eq!(caller.exactly(5).unwrap(), word.as_bytes());
    }
    // A tunnel is no request in flight: its slot is free.
    assert!(sidecar.page("/clusters").text().contains("in-flight=0"));
    drop(caller);
    sidecar.comes_to_rest();
}

#[test]
fn what_either_side_sends_last_is_delivered_when_it_closes_its_half() {
    const LAST: usize = 3 << 20;
    let instance = Instance::telling(|peer, told| {
        let by_caller = peer.head().unwrap().contains("/caller");
        peer.send(SWITCHED);
        if by_caller {
            // The caller ends first: all that it sent comes, then its end, and it still gets an answer.
            let (bytes, _) = peer.rest();
            told.lock().unwrap().push(bytes.len().to_string());
            peer.send("and good bye");
        } else {
            peer.send_bytes(&vec![b'x'; LAST]);
        }
    });
    let sidecar = edge_to(&instance);
    let mut caller = sidecar.caller("edge");
    caller.send(UPGRADE);
    assert_eq!(caller.answer().status, 101);
    let (bytes, end) = caller.rest();
    assert_eq!((bytes.len(), end), (LAST, End::Truncated));
    let mut caller = sidecar.caller("edge");
    caller.send(&UPGRADE.replace("/ws", "/caller"));
    assert_eq!(caller.answer().status, 101);
    caller.send_bytes(&vec![b'y'; LAST]);
    caller.shut();
    assert_eq!(caller.rest(), (b"and good bye".to_vec(), End::Truncated));
    assert_eq!(*instance.told.lock().unwrap(), [LAST.to_string()]);
    sidecar.comes_to_rest();
}

#[test]
fn a_switch_that_nobody_asked_for_is_refused() {
    let sidecar = edge_to(&Instance::once(SWITCHED));
    let answer = sidecar.caller("edge").get("/");
    assert_eq!((answer.status, answer.reason()), (502, "malformed-response"));
}

#[test]
fn connect_and_max_forwards_are_for_us() {
    let instance = Instance::answering(OK);
    let sidecar = edge_to(&instance);
    let answer = sidecar.caller("edge").ask("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
    assert_eq!((answer.status, answer.reason()), (501, "method-refused"));
    let mut caller = sidecar.caller("edge");
    let answer = caller.ask("OPTIONS / HTTP/1.1\r\nHost: test\r\nMax-Forwards: 0\r\n\r\n");
    assert_eq!(answer.status, 204);
    assert!(answer.field("allow").is_some());
    assert_eq!(instance.pending_heads(), 0);
    assert_eq!(caller.ask("OPTIONS / HTTP/1.1\r\nHost: test\r\nMax-Forwards: 3\r\n\r\n").status, 200);
    assert_eq!(field(&instance.next_head(), "max-forwards"), Some("2"));
}

#[test]
fn outbound_goes_where_the_authority_says() {
    let (item, search) = (Instance::answering(OK), Instance::answering(OK));
    let services = vec![service("item", &[item.address]), service("search", &[search.address])];
    let sidecar = Sidecar::start(edge(services));
    let mut caller = sidecar.caller("outbound");
    assert_eq!(caller.ask("GET /a HTTP/1.1\r\nHost: SEARCH:80\r\n\r\n").status, 200);
    assert_eq!(field(&search.next_head(), "host"), Some("SEARCH:80"));
    // As a forward proxy is asked; the target overrules Host (RFC 9112 §3.2.2).
    assert_eq!(caller.ask("GET http://item/b?c HTTP/1.1\r\nHost: search\r\n\r\n").status, 200);
    let head = item.next_head();
    assert!(head.starts_with("GET /b?c HTTP/1.1\r\n"), "{head}");
    assert_eq!(field(&head, "host"), Some("item"));
    let answer = caller.ask("GET / HTTP/1.1\r\nHost: nobody\r\n\r\n");
    assert_eq!((answer.status, answer.reason()), (503, "unknown-service"));
    // The connection is still good.
    assert_eq!(caller.ask("GET / HTTP/1.1\r\nHost: item\r\n\r\n").status, 200);
    let long = "a".repeat(300);
    assert_eq!(caller.ask(&format!("GET / HTTP/1.1\r\nHost: {long}\r\n\r\n")).reason(), "unknown-service");
}

#[test]
fn a_services_own_listener_writes_its_name_as_host() {
    let item = Instance::answering(OK);
    let sidecar = Sidecar::start(edge(vec![service("item", &[item.address])]));
    assert_eq!(sidecar.caller("item").get("/").status, 200);
    assert_eq!(field(&item.next_head(), "host"), Some("item"));
}

#[test]
fn the_edge_routes_by_the_longest_prefix() {
    let (shop, item) = (Instance::answering(OK), Instance::answering(OK));
    let mut snapshot = edge(vec![service("shop", &[shop.address]), service("item", &[item.address])]);
    let route = |prefix: &str, to: usize| EdgeRoute {
        prefix: prefix.to_owned(),
        service: snapshot.services[to].name.clone(),
    };
    let routes = vec![route("/shop", 0), route("/shop/item", 1)];
    snapshot.listeners[0].role = Role::Edge(routes);
    let sidecar = Sidecar::start(snapshot);
    let mut caller = sidecar.caller("edge");
    for (path, reason) in [("/shop?x", ""), ("/shop/x", ""), ("/shopping", "unknown-service")] {
        assert_eq!(caller.get(path).reason(), reason, "{path}");
    }
    assert_eq!((shop.pending_heads(), item.pending_heads()), (2, 0));
    assert_eq!(caller.get("/shop/item/1").status, 200);
    assert_eq!((shop.pending_heads(), item.pending_heads()), (0, 1));
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn nobody_outside_speaks_in_our_name() {
    let instance = Instance::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\noutrigger-level: 9\r\noutrigger_load: 1\r\n\r\nok",
    );
    let sidecar = edge_to(&instance);
    let mut caller = sidecar.caller("edge");
    let answer = caller.ask(
        "GET / HTTP/1.1\r\nHost: test\r\nOutrigger-Caller: root\r\noutrigger_importance: bulk\r\n\
         outrigger-attempt: 2\r\noutrigger-deadline-ms: 1\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n\
         traceparent: garbage\r\nx-request-id: mine\r\n\r\n",
    );
    assert_eq!(answer.status, 200);
    assert!(!answer.head.to_lowercase().contains("outrigger"), "{}", answer.head);
    let head = instance.next_head();
    assert_eq!(field(&head, "outrigger-caller"), None);
    assert_eq!(field(&head, "outrigger_importance"), None);
    assert_eq!(field(&head, "outrigger-attempt"), Some("1"));
    assert_eq!(field(&head, "outrigger-importance"), Some("critical"));
    assert_eq!(field(&head, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(field(&head, "forwarded"), None);
    assert_eq!(field(&head, "x-request-id"), Some("mine"));
    let left: u64 = field(&head, "outrigger-deadline-ms").unwrap().parse().unwrap();
    assert!((14_000..=15_000).contains(&left), "{left}");
    let trace = field(&head, "traceparent").unwrap();
    assert!(trace.len() == TRACE.len() && trace.starts_with("00-") && trace != "garbage", "{trace}");
    assert!(trace.ends_with("-01"), "tracers that go by their parent would record nothing: {trace}");
    // What is sound is kept; what is missing is made, and not twice the same.
    caller.ask(&format!("GET / HTTP/1.1\r\nHost: test\r\ntraceparent: {TRACE}\r\ntracestate: a=b\r\n\r\n"));
    let one = instance.next_head();
    assert_eq!((field(&one, "traceparent"), field(&one, "tracestate")), (Some(TRACE), Some("a=b")));
    let unsampled = TRACE.replace("-01", "-00");
    caller.ask(&format!("GET / HTTP/1.1\r\nHost: test\r\ntraceparent: {unsampled}\r\n\r\n"));
    assert_eq!(
        field(&instance.next_head(), "traceparent"),
        Some(&*unsampled),
        "that is for the caller to say"
    );
    caller.get("/");
    let two = instance.next_head();
    assert_ne!(field(&one, "x-request-id").unwrap(), field(&two, "x-request-id").unwrap());
    assert_eq!(field(&two, "x-request-id").unwrap().len(), 32);
}

#[test]
fn nobody_outside_says_who_he_is_or_where_he_came_in() {
    let instance = Instance::answering(OK);
    let sidecar = edge_to(&instance);
    let claims = "X-Forwarded-For: 1.2.3.4\r\nX_Forwarded_For: 1.2.3.4\r\nx-forwarded_proto: 1.2.3.4\r\n\
                  X-Forwarded-Host: 1.2.3.4\r\nX-FORWARDED-PORT: 1.2.3.4\r\nX-Forwarded-Prefix: 1.2.3.4\r\n\
                  X-Forwarded: 1.2.3.4\r\nX-Forwarded-: 1.2.3.4\r\nX_Forwarded: 1.2.3.4\r\n\
                  X-Real-IP: 1.2.3.4\r\nx_real_ip: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n";
    let others = "X-Forwardedness: a\r\nX-Real-Ipa: a\r\nX: a\r\nXForwarded-For: a\r\n";
    sidecar.caller("edge").ask(&format!("GET / HTTP/1.1\r\nHost: test\r\n{claims}{others}\r\n"));
    let head = instance.next_head();
    assert!(!head.contains("1.2.3.4"), "{head}");
    assert_eq!(field(&head, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(field(&head, "x-forwarded-proto"), Some("http"));
    assert_eq!(head.matches(": a\r\n").count(), 4, "{head}");
    // Within the environment they are what the edge has said.
    let app = Instance::answering(OK);
    let sidecar = Sidecar::start(beside(app.address, vec![]));
    sidecar.caller("inbound").ask(&format!("GET / HTTP/1.1\r\nHost: shop\r\n{claims}\r\n"));
    assert_eq!(app.next_head().matches("1.2.3.4").count(), 12);
}

#[test]
fn an_app_hears_its_attempt_and_cannot_speak_in_our_name() {
    // The app pretends that its sidecar could not reach it: that must neither be believed nor tried again.
    let app = Instance::answering(
        "HTTP/1.1 503 No\r\nContent-Length: 2\r\noutrigger-reason: connect-failed\r\n\r\nno",
    );
    let sidecar = Sidecar::start(beside(app.address, vec![]));
    let answer = sidecar.caller("inbound").ask(
        "POST / HTTP/1.1\r\nHost: shop\r\noutrigger-attempt: 1\r\noutrigger-importance: critical\r\n\
         outrigger-caller: x\r\nContent-Length: 1\r\n\r\nb",
    );
    assert_eq!((answer.status, answer.reason()), (503, ""));
    let head = app.next_head();
    assert_eq!(field(&head, "outrigger-attempt"), Some("1"));
    assert_eq!(field(&head, "outrigger-importance"), None);
    assert_eq!(field(&head, "outrigger-caller"), None);
    assert_eq!(field(&head, "outrigger-deadline-ms"), None);
    assert_eq!(app.pending_heads(), 0, "the app was asked again");
    assert_eq!(sidecar.metric("outrigger_refusals_total", &[]), 0.0);
}

#[test]
fn fields_of_one_hop_stay_on_it() {
    let instance = Instance::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nX-End: 2\r\n\r\nok",
    );
    let sidecar = edge_to(&instance);
    let answer = sidecar.caller("edge").ask(
        "GET / HTTP/1.1\r\nHost: test\r\nConnection: X-One, keep-alive\r\nX-One: 1\r\nProxy-Connection: x\r\nX-Two: 2\r\n\r\n",
    );
    assert_eq!(
        (answer.field("x-hop"), answer.field("keep-alive"), answer.field("x-end")),
        (None, None, Some("2"))
    );
    let head = instance.next_head();
    assert_eq!(
        (field(&head, "x-one"), field(&head, "proxy-connection"), field(&head, "x-two")),
        (None, None, Some("2"))
    );
}

#[test]
fn a_refusal_comes_in_the_form_that_the_caller_reads() {
    let sidecar = Sidecar::start(edge(vec![service("item", &[])]));
    let mut caller = sidecar.caller("edge");
    let line = caller.get("/");
    assert_eq!((line.status, line.reason()), (503, "no-instances"));
    assert_eq!(line.field("proxy-status"), Some("outrigger; error=destination_unavailable"));
    assert!(line.field("retry-after").is_some());
    assert!(line.text().starts_with("no-instances: "), "{}", line.text());
    let problem = caller.ask("GET / HTTP/1.1\r\nHost: test\r\nAccept: application/json\r\n\r\n");
    assert_eq!(problem.field("content-type"), Some("application/problem+json"));
    assert!(problem.text().contains("\"reason\":\"no-instances\""), "{}", problem.text());
    let grpc = caller
        .ask("POST / HTTP/1.1\r\nHost: test\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((grpc.status, grpc.field("grpc-status"), grpc.reason()), (200, Some("14"), "no-instances"));
    let head = caller.ask("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!((head.status, head.reason()), (503, "no-instances"));
    assert_eq!(caller.get("/").status, 503);
}

#[test]
fn a_body_for_nobody_is_not_taken_for_the_next_request() {
    let sidecar = Sidecar::start(edge(vec![service("item", &[])]));
    let mut caller = sidecar.caller("outbound");
    let smuggled = "GET /x HTTP/1.1\r\nHost: test\r\n\r\n";
    let length = smuggled.len();
    caller.send(&format!("POST / HTTP/1.1\r\nHost: nobody\r\nContent-Length: {length}\r\n\r\n{smuggled}"));
    let answer = caller.answer();
    assert_eq!((answer.reason(), answer.field("connection")), ("unknown-service", Some("close")));
    assert!(caller.is_over());
}

#[test]
fn a_connection_stays_open_across_refusals_and_an_idle_one_holds_no_buffers() {
    let instance = Instance::answering(OK);
    let sidecar = edge_to(&instance);
    let mut callers: Vec<Peer> = (0..50).map(|_| sidecar.caller("edge")).collect();
    for caller in &mut callers {
        assert_eq!(caller.get("/").status, 200);
    }
    assert!(eventually(|| sidecar.metric("outrigger_connections", &["callers"]) == 50.0));
    assert!(eventually(|| sidecar.metric("outrigger_buffer_bytes", &[]) == 0.0));
    drop(callers);
    assert!(eventually(|| sidecar.metric("outrigger_connections", &["callers"]) == 0.0));
}

#[test]
fn a_stream_of_events_arrives_piece_by_piece() {
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let instance = Instance::start(move |peer| {
        let _ = peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        let gone = gone.lock().unwrap();
        for i in 0..3 {
            peer.send(&format!("3\r\nn={i}\r\n"));
            gone.recv_timeout(Duration::from_secs(10)).unwrap();
        }
        peer.send("0\r\n\r\n");
    });
    let sidecar = edge_to(&instance);
    let mut caller = sidecar.caller("edge");
    caller.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert!(caller.head().is_some());
    for i in 0..3 {
        assert_eq!(caller.exactly(8).unwrap(), format!("3\r\nn={i}\r\n").as_bytes());
        go.send(()).unwrap();
    }
    assert_eq!(caller.exactly(5).unwrap(), b"0\r\n\r\n");
    sidecar.comes_to_rest();
}
