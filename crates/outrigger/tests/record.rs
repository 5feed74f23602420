//! A recording of a real proxy, replayed to equal steps.
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

struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_recording_of_a_real_proxy_replays_to_equal_steps() {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("tape");
    let end = Arc::new(AtomicBool::new(false));
    let (sound, sound_thread) = back_end(0, end.clone());
    let (broken, broken_thread) = back_end(3, end.clone());
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.args(["proxy", "--listen", "127.0.0.1:0", "--to", &format!("{sound},{broken}"), "--record"]);
    let mut proxy = Proxy(command.arg(&tape).stderr(Stdio::piped()).spawn().unwrap());
    let mut said = BufReader::new(proxy.0.stderr.take().unwrap());
    let mut ready = String::new();
    said.read_line(&mut ready).unwrap();
    let at = ready.trim().strip_prefix("ready: http://").unwrap().trim_end_matches('/').to_owned();

    for i in 0..300 {
        let mut stream = TcpStream::connect(&at).unwrap();
        let method = if i % 5 == 0 { "POST" } else { "GET" };
        write!(stream, "{method} /{i} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        // Every tenth caller does not wait for its answer.
        if i % 10 != 9 {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
        }
    }
    let pid = rustix::process::Pid::from_child(&proxy.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(proxy.0.wait().unwrap().success());
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
