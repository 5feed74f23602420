//! The journey of real requests: their recording replays to equal steps, and the table of ARCHITECTURE.md says what
//! really happens.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

/// Answers every request but some, which it breaks off, until it is told to end.
fn back_end(broken: u32, end: Arc<AtomicBool>) -> (std::net::SocketAddr, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let count = Arc::new(AtomicU32::new(0));
        for stream in listener.incoming() {
            if end.load(SeqCst) {
                return;
            }
            let (mut stream, count) = (stream.unwrap(), count.clone());
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                loop {
                    let mut line = String::new();
                    while line != "\r\n" {
                        line.clear();
                        if reader.read_line(&mut line).unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    if broken > 0 && count.fetch_add(1, SeqCst) % broken == 0 {
                        return;
                    }
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
                }
            });
        }
    });
    (address, thread)
}

/// A running proxy.
struct Proxy {
    child: Child,
    address: String,
    admin: String,
}

impl Proxy {
    /// Starts `outrigger proxy` in front of `to`.
    fn start(to: &str, more: &[&std::ffi::OsStr]) -> Proxy {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
        command.args(["proxy", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--to", to]);
        let mut child = command.args(more).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut after = |word: &str| {
            let line = said.next().unwrap().unwrap();
            line.strip_prefix(word).unwrap_or_else(|| panic!("{line}")).trim_end_matches('/').to_owned()
        };
        let (address, admin) = (after("ready: http://"), after("admin: http://"));
        Proxy { child, address, admin }
    }

    /// A page of administration.
    fn page(&self, path: &str) -> String {
        get(&self.admin, path)
    }

    /// Stops it as an operator would.
    fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What shows that a step of the table was taken, or that it does not exist yet.
struct Evidence {
    tape: String,
    log: String,
    metrics: String,
    answer: String,
}

impl Evidence {
    fn line(text: &str, with: &str) -> String {
        text.lines()
            .find(|line| line.contains(with) && !line.starts_with("# "))
            .unwrap_or_default()
            .chars()
            .take(72)
            .collect()
    }

    /// By the step's name in the table.
    fn of(&self, step: &str) -> String {
        match step {
            "accept" => Self::line(&self.metrics, "outrigger_connections{side=\"callers\"}"),
            "pin" => Self::line(&self.metrics, "outrigger_snapshot_info"),
            "begin" => Self::line(&self.tape, " begin "),
            "route" => {
                self.log.split(',').find(|part| part.contains("service")).unwrap_or_default().to_owned()
            }
            "queue" => Self::line(&self.metrics, "outrigger_queue_length"),
            "pick" => Self::line(&self.tape, " open 1 "),
            "send" => Self::line(&self.metrics, "outrigger_connections_opened_total "),
            "judge" => Self::line(&self.tape, " head 1 "),
            "respond" => Self::line(&self.answer, "HTTP/1.1 "),
            "settle" => Self::line(&self.tape, " settled"),
            _ => String::new(),
        }
    }
}

#[test]
fn the_table_of_the_architecture_says_what_a_real_request_does() {
    let folder = tempfile::tempdir().unwrap();
    let (tape, log) = (folder.path().join("tape"), folder.path().join("log"));
    let end = Arc::new(AtomicBool::new(false));
    let (sound, thread) = back_end(0, end.clone());
    let more = ["--record".as_ref(), tape.as_os_str(), "--access-log".as_ref(), log.as_os_str()];
    let mut proxy = Proxy::start(&sound.to_string(), &more);
    let answer = get(&proxy.address, "/journey");
    let metrics = proxy.page("/metrics");
    proxy.stop();
    end.store(true, SeqCst);
    drop(TcpStream::connect(sound));
    thread.join().unwrap();
    let read = |path| std::fs::read_to_string(path).unwrap();
    let evidence = Evidence { tape: read(&tape), log: read(&log), metrics, answer };

    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = read(&root.join("ARCHITECTURE.md"));
    let rows: Vec<Vec<&str>> = document
        .lines()
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>())
        .filter(|cells| cells.len() == 4 && cells[0].parse::<u32>().is_ok())
        .collect();
    assert_eq!(rows.len(), 13, "the table has a row for each of the thirteen steps");
    for row in rows {
        let (step, place) = (row[1], row[3]);
        let seen = evidence.of(step);
        println!("{:>2} {step:<14} {seen}", row[0]);
        if place.starts_with("not yet") {
            assert_eq!(seen, "", "{step} is taken by now: say where");
            continue;
        }
        assert_ne!(seen, "", "nothing shows that a request takes the step `{step}`");
        for path in place.split(',').map(|path| path.trim().trim_matches('`')) {
            assert!(root.join(path).exists(), "{step} is said to be in {path}, which does not exist");
        }
    }
}

#[test]
fn the_guide_has_every_metric() {
    let end = Arc::new(AtomicBool::new(false));
    let (sound, thread) = back_end(0, end.clone());
    let mut proxy = Proxy::start(&sound.to_string(), &[]);
    get(&proxy.address, "/");
    let page = proxy.page("/metrics");
    proxy.stop();
    end.store(true, SeqCst);
    drop(TcpStream::connect(sound));
    thread.join().unwrap();
    let mut table = "\n| metric | kind | meaning |\n|---|---|---|\n".to_owned();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        let kind = lines.peek().and_then(|line| line.strip_prefix(&format!("# TYPE {name} "))).unwrap();
        table.push_str(&format!("| `{name}` | {kind} | {help} |\n"));
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/metrics.md");
    let guide = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- metrics: made by a test -->\n", "<!-- end of metrics -->\n");
    let (front, rest) = guide.split_once(begin).unwrap();
    let (_, back) = rest.split_once(end).unwrap();
    let want = format!("{front}{begin}{table}\n{end}{back}");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &want).unwrap();
    }
    let told = std::fs::read_to_string(&path).unwrap() == want;
    assert!(told, "docs/guide/metrics.md differs; with BLESS=1 it is written anew");
}

#[test]
fn a_recording_of_a_real_proxy_replays_to_equal_steps() {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("tape");
    let end = Arc::new(AtomicBool::new(false));
    let (sound, sound_thread) = back_end(0, end.clone());
    let (broken, broken_thread) = back_end(3, end.clone());
    let mut proxy = Proxy::start(&format!("{sound},{broken}"), &["--record".as_ref(), tape.as_os_str()]);
    let at = &proxy.address;

    for i in 0..300 {
        let mut stream = TcpStream::connect(at).unwrap();
        let method = if i % 5 == 0 { "POST" } else { "GET" };
        write!(stream, "{method} /{i} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        // Every tenth caller does not wait for its answer.
        if i % 10 != 9 {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
        }
    }
    proxy.stop();
    end.store(true, SeqCst);
    for (address, thread) in [(sound, sound_thread), (broken, broken_thread)] {
        drop(TcpStream::connect(address));
        thread.join().unwrap();
    }

    let text = std::fs::read_to_string(&tape).unwrap();
    let lines = || text.lines().filter(|line| !line.starts_with('#'));
    let steps = policy::tape::replay(lines()).unwrap();
    assert!(steps > 300 * 3, "only {steps} steps were recorded");
    assert!(text.contains(" drop ") || text.contains("open 2"), "no attempt was made twice:\n{text}");
    // A tape that was bent does not replay.
    let bent: Vec<String> = lines().map(|line| line.replace(" forward 1 ", " forward 2 ")).collect();
    assert!(policy::tape::replay(bent.iter().map(String::as_str)).is_err());
}
