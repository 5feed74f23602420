//! The load against servers of a few lines, on real sockets.
#![allow(clippy::unwrap_used)]

use super::*;
use clap::Parser as _;
use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A server that gives each request of each connection to `answer`, with its
/// number on the connection; `None` closes.
fn server(answer: impl Fn(usize, &str) -> Option<String> + Send + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            std::thread::spawn(move || serve(stream.unwrap(), answer));
        }
    });
    address
}

fn serve(mut stream: TcpStream, answer: impl Fn(usize, &str) -> Option<String>) {
    let mut bytes = [0u8; 4096];
    for number in 0.. {
        let read = stream.read(&mut bytes).unwrap_or(0);
        let request = String::from_utf8_lossy(&bytes[..read]).into_owned();
        let Some(reply) = answer(number, &request).filter(|_| read > 0) else {
            return;
        };
        stream.write_all(reply.as_bytes()).unwrap_or(());
        if reply.contains("x-cut") {
            return;
        }
    }
}

fn load(address: SocketAddr, words: &str) -> Report {
    let url = format!("http://{address}/path");
    let words = ["load", "--url", &url].into_iter().chain(words.split_whitespace());
    let options = Options::try_parse_from(words).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, run(options)).unwrap()
}

#[test]
fn sends_as_many_as_the_rate_says_each_with_its_own_id() {
    let (heard, ids) = mpsc::channel();
    let address = server(move |_, request| {
        let id = request.lines().find_map(|line| line.strip_prefix("x-key: "));
        heard.send(id.unwrap().to_owned()).unwrap();
        Some(OK.to_owned())
    });
    let report = load(address, "--rate 200 --duration 500ms --connections 4 --id-header x-key");
    assert_eq!((report.sent, report.ok, report.failed), (100, 100, 0));
    let ids: HashSet<String> = ids.try_iter().collect();
    assert_eq!(ids.len(), 100);
}

#[test]
fn a_stall_counts_for_the_requests_behind_it() {
    // One connection; its first answer takes 200 ms. Requests are meant to leave
    // every 10 ms, so the one meant for 10 ms waits about 190 ms.
    let address = server(|number, _| {
        if number == 0 {
            // tidy-allow: sleep, a slow answer is what is tested
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        Some(OK.to_owned())
    });
    let report = load(address, "--rate 100 --duration 300ms --connections 1 --max-connections 1");
    assert_eq!((report.sent, report.ok), (30, 30));
    assert!(report.latency_us.max >= 200_000);
    assert!(report.latency_us.p50 >= 50_000, "most requests waited: {:?}", report.latency_us);
    assert!(report.send_lag_us.max >= 150_000);
}

#[test]
fn opens_more_connections_while_all_are_busy() {
    let address = server(|_, _| {
        // tidy-allow: sleep, a slow answer is what is tested
        std::thread::sleep(std::time::Duration::from_millis(100));
        Some(OK.to_owned())
    });
    let report = load(address, "--rate 100 --duration 300ms --connections 1");
    assert_eq!((report.sent, report.ok), (30, 30));
    assert!(report.most_connections >= 8, "{}", report.most_connections);
}

#[test]
fn a_late_answer_is_a_timeout() {
    let address = server(|_, _| {
        // tidy-allow: sleep, a slow answer is what is tested
        std::thread::sleep(std::time::Duration::from_millis(300));
        Some(OK.to_owned())
    });
    let report = load(address, "--rate 50 --duration 200ms --timeout 50ms --connections 1");
    assert_eq!((report.sent, report.ok), (10, 0));
    assert_eq!(report.failures["timeout"], 10);
}

#[test]
fn waiting_for_a_connection_in_vain_is_a_class_of_its_own() {
    let address = server(|_, _| Some(OK.to_owned()));
    let words = "--rate 50 --duration 100ms --timeout 100ms --connections 0 --max-connections 0";
    let report = load(address, words);
    assert_eq!(report.failures["timeout-no-connection"], 5);
}

fn failures_of(address: SocketAddr, patience: &str) -> Vec<(String, u64)> {
    let words = format!("--rate 50 --duration 100ms --timeout {patience} --connections 0");
    load(address, &words).failures.into_iter().collect()
}

#[test]
fn failures_are_counted_by_class() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(failures_of(free, "5s"), [("connect-refused".to_owned(), 5)]);
    assert_eq!(failures_of(server(|_, _| None), "5s"), [("closed".to_owned(), 5)]);
    let reason = "HTTP/1.1 503 No\r\nOutrigger-Reason: queue-full\r\nContent-Length: 0\r\n\r\n";
    for (reply, class) in [
        ("nonsense\r\n\r\n", "malformed-answer"),
        ("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "status-500"),
        (reason, "status-503:queue-full"),
        ("HTTP/1.1 200 OK\r\nx-cut: 1\r\nContent-Length: 9\r\n\r\nshort", "short-answer"),
    ] {
        let address = server(|_, _| Some(reply.to_owned()));
        assert_eq!(failures_of(address, "5s"), [(class.to_owned(), 5)]);
    }
    let half = server(|_, _| Some("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort".into()));
    assert_eq!(failures_of(half, "50ms"), [("timeout".to_owned(), 5)]);
}

#[test]
fn a_kept_connection_that_closes_is_told_apart_and_retried_on_request() {
    let once = || server(|number, _| (number == 0).then(|| OK.to_owned()));
    // The server closes when the second request arrives: no idle look sees it.
    let report = load(once(), "--rate 50 --duration 200ms --connections 1 --max-connections 1");
    assert_eq!((report.ok, report.failures.get("closed-reused")), (5, Some(&5)));
    let report = load(once(), "--rate 50 --duration 200ms --connections 1 --max-connections 1 --retry-stale");
    assert_eq!((report.ok, report.failed), (10, 0));
    assert!(report.stale_retries >= 5);
}

#[test]
fn reads_chunked_and_closing_answers() {
    let chunked = server(|_, _| {
        Some("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".into())
    });
    let closing = server(|number, _| {
        (number == 0).then(|| "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok".into())
    });
    assert_eq!(
        load(chunked, "--rate 50 --duration 100ms --connections 1 --max-connections 1").connections_made,
        1
    );
    let report = load(closing, "--rate 50 --duration 100ms --connections 1");
    assert_eq!((report.ok, report.connections_made), (5, 5));
}

#[test]
fn to_a_proxy_the_whole_url_is_sent() {
    let (heard, lines) = mpsc::channel();
    let address = server(move |_, request| {
        heard.send(request.lines().take(2).collect::<Vec<_>>().join("|")).unwrap();
        Some(OK.to_owned())
    });
    let words = format!("load --url http://opbox/a?b --proxy {address} --rate 20 --duration 50ms");
    let options = Options::try_parse_from(words.split_whitespace()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = tokio::task::LocalSet::new().block_on(&runtime, run(options)).unwrap();
    assert_eq!(report.failed, 0);
    assert_eq!(lines.try_recv().unwrap(), "GET http://opbox/a?b HTTP/1.1|Host: opbox");
}

#[test]
fn the_closed_loop_sends_one_at_a_time_on_each_connection() {
    let address = server(|_, _| Some(OK.to_owned()));
    let report = load(address, "--closed --connections 2 --duration 100ms");
    assert!(report.ok > 2 && report.failed == 0);
    assert_eq!(report.connections_made, 2);
}

#[test]
fn failures_are_written_down() {
    let path = std::env::temp_dir().join(format!("load-errors-{}", std::process::id()));
    let address = server(|_, _| None);
    let words = format!("--rate 50 --duration 60ms --connections 0 --errors {}", path.display());
    load(address, &words);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((text.lines().count(), &first["class"]), (3, &"closed".into()));
}

#[test]
fn contradictions_are_refused() {
    let parse = |words: &str| Options::try_parse_from(words.split_whitespace());
    assert!(parse("load --url http://a --rate 1 --closed").is_err());
    assert!(parse("load --url http://a").unwrap().mode().is_err());
    assert!(parse("load --url http://a --rate=-1").unwrap().mode().is_err());
    for url in ["a", "https://127.0.0.1", "http://", "http:///path"] {
        let options = parse(&format!("load --closed --url {url}")).unwrap();
        assert!(options.target().is_err(), "{url}");
    }
}
