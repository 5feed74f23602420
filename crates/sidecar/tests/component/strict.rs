//! What is no HTTP is refused by name, and nobody is led to read one message as two.

use crate::harness::{End, Instance, OK, Sidecar, edge, service};

fn edge_to(instance: &Instance) -> Sidecar {
    Sidecar::start(edge(vec![service("item", &[instance.address])]))
}

#[test]
fn malformed_requests_are_refused_by_name_and_closed() {
    let instance = Instance::answering(OK);
    let sidecar = edge_to(&instance);
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: the-spanish-inquisition\r\n\r\n", 417),
    ] {
        let mut caller = sidecar.caller("edge");
        caller.send(request);
        caller.send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = caller.answer();
        assert_eq!(answer.status, status, "{request:?}");
        assert!(!answer.reason().is_empty() && answer.head.contains("details=\""), "{}", answer.head);
        assert!(caller.is_over(), "{request:?}");
    }
    assert_eq!(instance.pending_heads(), 0);
    sidecar.comes_to_rest();
}

#[test]
fn a_body_whose_framing_breaks_is_refused_and_nothing_behind_it_is_served() {
    let instance = Instance::start(|peer| while peer.request().is_some() && peer.try_send(OK.as_bytes()) {});
    let sidecar = edge_to(&instance);
    let mut caller = sidecar.caller("edge");
    assert_eq!(caller.get("/first").status, 200);
    caller.send("POST /broken HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    caller.send("3\r\nabcGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = caller.answer();
    assert_eq!((answer.status, answer.reason()), (400, "malformed-request"));
    assert!(answer.text().contains("chunk-data-overrun"), "{}", answer.text());
    assert!(caller.is_over());
    assert_eq!(sidecar.caller("edge").get("/after").status, 200);
    let heads: Vec<String> = instance.heads.try_iter().collect();
    let paths: Vec<&str> =
        heads.iter().filter_map(|h| h.split(' ').nth(1)).filter(|p| *p != "/broken").collect();
    assert_eq!(paths, ["/first", "/after"]);
    assert_eq!(instance.connected(), 2, "the connection with half a body on it was used again");
    sidecar.comes_to_rest();
}

#[test]
fn what_comes_after_an_answer_is_never_the_answer_to_another_request() {
    let instance = Instance::start(|peer| {
        while let Some(request) = peer.request() {
            let path = request.head.split(' ').nth(1).unwrap().to_owned();
            peer.send(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()));
            if path == "/a" {
                peer.try_send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled");
            }
        }
    });
    // In one write, so that the garbage is there when the answer ends.
    let split = Instance::start(|peer| {
        while peer.request().is_some() {
            peer.send(&format!("{OK}HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"));
        }
    });
    let sidecar = edge_to(&instance);
    let mut caller = sidecar.caller("edge");
    for path in ["/a", "/b", "/a", "/c"] {
        assert_eq!(caller.get(path).text(), path);
        // Time for what is out of turn to arrive.
        sidecar.comes_to_rest();
    }
    let sidecar = edge_to(&split);
    let mut caller = sidecar.caller("edge");
    for _ in 0..3 {
        assert_eq!(caller.get("/").text(), "ok");
    }
    assert_eq!(split.connected(), 3);
}

#[test]
fn malformed_answers_are_refused_and_their_connection_is_closed() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    ] {
        let instance = Instance::answering(answer);
        let sidecar = edge_to(&instance);
        let mut caller = sidecar.caller("edge");
        let got = caller.post("/", "x");
        assert_eq!((got.status, got.reason()), (502, "malformed-response"), "{answer:?}");
        assert!(got.head.contains("details=\""), "{}", got.head);
        assert_eq!((instance.pending_heads(), got.end), (1, End::Whole));
        // The caller's connection is not to blame.
        assert_eq!(caller.post("/", "x").status, 502);
        assert_eq!(instance.connected(), 2, "{answer:?}");
    }
}
