//! How `outrigger proxy` and `outrigger sidecar` end: drained, and at once when they are told twice or left alone.
#![allow(clippy::unwrap_used, missing_docs)]

use model::{Bounds, EdgeRoute, Endpoint, Listener, Peer, Role, Service, ServiceName, Settings, Snapshot};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A drain may take 30 s; whoever ends within this did not wait for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers `GET /`, and nothing else ever.
fn instance() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut room = [0; 4096];
                while stream.read(&mut room).is_ok_and(|count| count > 0) {
                    if room.starts_with(b"GET / ") {
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
                    }
                }
            });
        }
    });
    address
}

fn begin(args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OUTRIGGER_"))
    {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Asks until the answer is yes.
fn eventually(mut question: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !question() {
        assert!(Instant::now() < until, "it does not happen");
        std::thread::yield_now();
    }
}

fn send(to: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).unwrap();
    stream
}

/// One request is answered; of another there never is an answer.
fn serve_one_and_hold_one(at: SocketAddr) -> TcpStream {
    let mut answered = send(at, "/");
    let mut room = [0; 4096];
    let count = answered.read(&mut room).unwrap();
    assert!(room[..count].starts_with(b"HTTP/1.1 200"));
    send(at, "/held")
}

fn drains(at: SocketAddr) {
    eventually(|| TcpStream::connect(at).is_err());
}

/// Waits for its end, and that it ended well.
fn ends(mut child: Child) {
    let (tell, told) = mpsc::channel();
    let id = Pid::from_child(&child);
    std::thread::spawn(move || tell.send(child.wait().unwrap()));
    match told.recv_timeout(PATIENCE) {
        Ok(status) => assert_eq!(status.code(), Some(0)),
        Err(_) => {
            kill_process(id, Signal::KILL).unwrap();
            panic!("it goes on");
        }
    }
}

/// What was gathered is written: a line for the request that ended, and the recording from its beginning.
fn is_written(log: &Path, tape: &Path) {
    let text = std::fs::read_to_string(log).unwrap();
    assert_eq!(text.lines().filter(|line| line.contains("\"status\":200")).count(), 1, "{text}");
    assert!(std::fs::read_to_string(tape).unwrap().starts_with("# books 0: outbound"));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (log, tape) = (folder.path().join("log"), folder.path().join("tape"));
    let (to, files) = (instance().to_string(), [&log, &tape].map(|path| path.to_str().unwrap()));
    let args =
        ["proxy", "--listen", "127.0.0.1:0", "--to", &to, "--access-log", files[0], "--record", files[1]];
    let mut child = begin(&args);
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    let at = line.trim().strip_prefix("ready: http://").and_then(|rest| rest.strip_suffix('/')).unwrap();
    let at = at.parse().unwrap();
    let _held = serve_one_and_hold_one(at);
    signal(&child, Signal::INT);
    drains(at);
    assert_eq!(child.try_wait().unwrap(), None, "it waits for the request that is held");
    signal(&child, Signal::INT);
    ends(child);
    is_written(&log, &tape);
}

/// A sidecar with a lifeline, in front of [`instance`].
fn sidecar(folder: &Path, log: &Path, tape: &Path) -> (Child, ChildStdin, SocketAddr) {
    let name = ServiceName::new("item").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // Others listen at 127.0.0.1: this one stays free.
    let address = SocketAddr::from(([127, 0, 0, 78], port));
    let route = EdgeRoute { prefix: "/".to_owned(), service: name.clone() };
    let endpoints = vec![Endpoint { name: name.instance(1), address: instance() }];
    let item = Service { endpoints, settings: Settings::default(), peer: Peer::App, name };
    let snapshot = Snapshot {
        version: "1".to_owned(),
        environment: "test".to_owned(),
        service: None,
        instance: None,
        listeners: vec![Listener { name: "edge".to_owned(), address, role: Role::Edge(vec![route]) }],
        app: None,
        services: vec![item],
        bounds: Bounds::default(),
    };
    let file: PathBuf = folder.join("snapshot.json");
    std::fs::write(&file, wire::files::encode_snapshot(&snapshot)).unwrap();
    let [file, log, tape] = [&file, log, tape].map(|path| path.to_str().unwrap());
    let args = ["sidecar", "--snapshot", file, "--lifeline", "--access-log", log, "--record", tape];
    let mut child = begin(&args);
    let lifeline = child.stdin.take().unwrap();
    eventually(|| TcpStream::connect(address).is_ok());
    (child, lifeline, address)
}

#[test]
fn a_cut_lifeline_ends_it_at_once_also_while_it_drains() {
    for drain in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (log, tape) = (folder.path().join("log"), folder.path().join("tape"));
        let (mut child, lifeline, at) = sidecar(folder.path(), &log, &tape);
        let _held = serve_one_and_hold_one(at);
        if drain {
            signal(&child, Signal::TERM);
            drains(at);
            assert_eq!(child.try_wait().unwrap(), None, "it waits for the request that is held");
        }
        drop(lifeline);
        ends(child);
        is_written(&log, &tape);
    }
}
