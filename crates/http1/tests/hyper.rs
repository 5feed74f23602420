//! A second opinion: whatever we accept, hyper must not read in another way. It may refuse what we
//! accept and accept what we refuse; it may not find other messages, other bodies or other ends, in
//! what came in nor in what we pass on.
#![allow(clippy::unwrap_used)]

mod messages;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Empty};
use http1::corpus::{self, Direction, Outcome};
use http1::{Asked, Limits};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// One message as far as both parsers tell: method or status, and content.
type Seen = (String, Vec<u8>);

/// How our reading of a stream ended.
#[derive(PartialEq, Debug)]
enum End {
    /// Nothing was left.
    Clean,
    /// More came, and we would have closed the connection.
    Closed,
    /// The rest is the beginning of a message.
    Unfinished,
}

struct Ours {
    seen: Vec<Seen>,
    passed_on: Vec<u8>,
    end: End,
}

fn ours(bytes: &[u8]) -> Ours {
    let mut rest = bytes.to_vec();
    let (mut seen, mut passed_on) = (Vec::new(), Vec::new());
    let end = loop {
        if rest.is_empty() {
            break End::Clean;
        }
        match corpus::read(&Direction::Request, &Limits::default(), [&rest[..]]) {
            Outcome::Refused(_) => break End::Closed,
            Outcome::Unfinished => break End::Unfinished,
            Outcome::Accepted(reading) => {
                passed_on.extend(reading.passed_on(&Direction::Request));
                seen.push((word(&reading.forwarded), reading.body));
                rest = reading.rest;
                if !reading.keep_alive {
                    break End::Closed;
                }
            }
        }
    };
    Ours { seen, passed_on, end }
}

fn word(head: &[u8]) -> String {
    let end = head.iter().position(|&byte| byte == b' ').unwrap();
    String::from_utf8(head[..end].to_vec()).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

/// The requests that hyper's server finds; those whose body fails do not count.
fn hypers(bytes: &[u8]) -> Vec<Seen> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let seen = Arc::clone(&seen);
        async move {
            let method = request.method().to_string();
            if let Ok(body) = request.into_body().collect().await {
                seen.lock().unwrap().push((method, body.to_bytes().to_vec()));
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    runtime().block_on(async {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (mut answers, mut asks) = tokio::io::split(far);
        let feed = async {
            asks.write_all(bytes).await.unwrap();
            asks.shutdown().await.unwrap();
            let mut sink = Vec::new();
            answers.read_to_end(&mut sink).await.ok();
        };
        let serve = async {
            let mut server = hyper::server::conn::http1::Builder::new();
            server.half_close(true).serve_connection(TokioIo::new(near), service).await.ok();
        };
        tokio::join!(feed, serve);
    });
    Arc::into_inner(seen).unwrap().into_inner().unwrap()
}

/// The final response that hyper's client finds, if it takes it.
fn hypers_response(bytes: &[u8], method: &str) -> Option<Seen> {
    runtime().block_on(async {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(near)).await;
        let (mut sender, connection) = handshake.unwrap();
        let request = Request::builder().method(method).uri("/").header("host", "a");
        let answer = async move {
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            let response = sender.send_request(request).await.ok()?;
            let status = response.status().as_str().to_owned();
            let body = response.into_body().collect().await.ok()?;
            Some((status, body.to_bytes().to_vec()))
        };
        let feed = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(far.read_u8().await.unwrap());
            }
            far.write_all(bytes).await.ok();
            far.shutdown().await.ok();
        };
        let connection = async { connection.await.ok() };
        let (seen, (), _) = tokio::join!(answer, feed, connection);
        seen
    })
}

/// The final response that we find.
fn our_response(bytes: &[u8], asked: Asked) -> Option<(Seen, Vec<u8>)> {
    let direction = Direction::Response(asked);
    let (mut rest, mut passed_on) = (bytes.to_vec(), Vec::new());
    loop {
        let Outcome::Accepted(reading) = corpus::read(&direction, &Limits::default(), [&rest[..]]) else {
            return None;
        };
        passed_on.extend(reading.passed_on(&direction));
        if !reading.interim {
            let status = String::from_utf8(reading.forwarded[9..12].to_vec()).unwrap();
            return Some(((status, reading.body), passed_on));
        }
        rest = reading.rest;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn hyper_finds_no_other_requests(bytes in messages::requests()) {
        let ours = ours(&bytes);
        let hypers = hypers(&bytes);
        for (index, (our, theirs)) in ours.seen.iter().zip(&hypers).enumerate() {
            prop_assert_eq!(our, theirs, "request {} of {}", index, bytes.escape_ascii());
        }
        if ours.end != End::Closed {
            prop_assert!(hypers.len() <= ours.seen.len(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn hyper_finds_no_other_requests_in_what_is_passed_on(bytes in messages::requests()) {
        let ours = ours(&bytes);
        let hypers = hypers(&ours.passed_on);
        let agreed = ours.seen.get(..hypers.len());
        prop_assert_eq!(agreed, Some(&hypers[..]), "{}", ours.passed_on.escape_ascii());
    }

    #[test]
    fn hyper_finds_no_other_response(bytes in messages::responses(), head in any::<bool>()) {
        let method = if head { "HEAD" } else { "GET" };
        let Some((our, passed_on)) = our_response(&bytes, Asked::new(head, false)) else {
            return Ok(());
        };
        for sent in [&bytes, &passed_on] {
            if let Some(theirs) = hypers_response(sent, method) {
                prop_assert_eq!(&our, &theirs, "{}", sent.escape_ascii());
            }
        }
    }
}

/// The comparison means something: hyper does take most of what we accept of the corpus.
#[test]
fn hyper_takes_most_of_what_we_accept() {
    let (mut accepted, mut taken) = (0, 0);
    for case in corpus::cases().unwrap() {
        if case.direction == Direction::Request {
            let ours = ours(&case.bytes);
            accepted += ours.seen.len();
            taken += hypers(&ours.passed_on).len();
        }
    }
    println!("{taken} of {accepted} requests");
    assert!(accepted > 50 && taken * 10 >= accepted * 9);
}
