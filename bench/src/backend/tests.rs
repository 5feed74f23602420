//! Back ends on real sockets.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::message;
use clap::Parser as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn options(words: &str) -> Options {
    Options::try_parse_from(std::iter::once("backend").chain(words.split_whitespace())).unwrap()
}

/// Starts instances and gives `test` their addresses.
fn with_backend<F: Future<Output = ()>>(words: &str, test: impl FnOnce(Vec<std::net::SocketAddr>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let options = options(words);
        let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
        for address in options.addresses().unwrap() {
            let listener = TcpListener::bind(address).await.unwrap();
            addresses.push(listener.local_addr().unwrap());
            listeners.push(listener);
        }
        let instances = (0..listeners.len()).map(|index| Instance::new(index, "here", &options)).collect();
        let site = Rc::new(Site::new(options, instances));
        for (index, listener) in listeners.into_iter().enumerate() {
            tokio::task::spawn_local(serve::accept(site.clone(), index, listener));
        }
        test(addresses).await;
    });
}

async fn ask(stream: &mut TcpStream, request: &str) -> (String, String) {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = message::head_end(&bytes) {
            let length = message::fields(&bytes[..end]).length.unwrap() as usize;
            if bytes.len() >= end + length {
                let text = |part: &[u8]| String::from_utf8(part.to_vec()).unwrap();
                return (text(&bytes[..end]), text(&bytes[end..]));
            }
        }
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "closed early");
    }
}

const POST: &str = "POST /a HTTP/1.1\r\nHost: b\r\nx-request-key: one\r\nContent-Length: 4\r\n\r\nbody";

#[test]
fn a_fast_back_end_answers_get_and_post_on_one_connection() {
    with_backend("--fast --listen 127.0.0.1:0", |addresses| async move {
        let mut stream = TcpStream::connect(addresses[0]).await.unwrap();
        for request in ["GET / HTTP/1.1\r\nHost: b\r\n\r\n", POST, "GET / HTTP/1.1\r\nHost: b\r\n\r\n"] {
            let (head, body) = ask(&mut stream, request).await;
            assert!(head.starts_with("HTTP/1.1 200"));
            assert_eq!(body.len(), 1024);
        }
    });
}

#[test]
fn ids_that_were_executed_twice_are_counted() {
    with_backend(
        "--listen 127.0.0.1:0 --instances 2 --service-time 0ms --count-ids",
        |addresses| async move {
            for address in addresses.iter().chain(&addresses[..1]) {
                ask(&mut TcpStream::connect(address).await.unwrap(), POST).await;
            }
            let mut stream = TcpStream::connect(addresses[0]).await.unwrap();
            let (_, counts) = ask(&mut stream, "GET /__counts HTTP/1.1\r\nHost: b\r\n\r\n").await;
            let counts: serde_json::Value = serde_json::from_str(&counts).unwrap();
            assert_eq!(counts["ids"], 1);
            assert_eq!(counts["ids_executed_more_than_once"], 1);
            assert_eq!(counts["such_ids"][0], "one");
            assert_eq!(counts["instances"][0]["executed"], 2);
            assert_eq!(counts["instances"][1]["executed"], 1);
        },
    );
}

#[test]
fn a_full_queue_is_refused() {
    let words = "--listen 127.0.0.1:0 --workers 1 --queue 0 --service-time 60s";
    with_backend(words, |addresses| async move {
        let mut busy = TcpStream::connect(addresses[0]).await.unwrap();
        busy.write_all(POST.as_bytes()).await.unwrap();
        // The second connection is accepted after the first, so its request is
        // read after the first one took the worker.
        let mut second = TcpStream::connect(addresses[0]).await.unwrap();
        let (head, _) = ask(&mut second, POST).await;
        assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    });
}

#[test]
fn a_slow_spell_covers_its_own_time_only() {
    let slow = options("--listen 127.0.0.1:0 --slow 3:15s:30s:2s").slow[0];
    let covered = |seconds| slow.covers(std::time::Duration::from_secs(seconds));
    assert_eq!(slow.instance, 3);
    assert!(!covered(14) && covered(15) && covered(44) && !covered(45));
}

#[test]
fn addresses_are_written_out() {
    let ports = |words: &str| -> Vec<u16> {
        options(words).addresses().unwrap().iter().map(std::net::SocketAddr::port).collect()
    };
    assert_eq!(ports("--listen 127.0.0.1:9000-9003"), [9000, 9001, 9002, 9003]);
    assert_eq!(ports("--listen [::1]:80 --listen 127.0.0.1:81"), [80, 81]);
    assert_eq!(ports("--listen 127.0.0.1:0 --instances 3"), [0, 0, 0]);
    for wrong in [
        "--listen here:1",
        "--listen 127.0.0.1",
        "--listen 127.0.0.1:9-1",
        "--listen 127.0.0.1:1 --instances 2",
    ] {
        assert!(options(wrong).addresses().is_err(), "{wrong}");
    }
}
