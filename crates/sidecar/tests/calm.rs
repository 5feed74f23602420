//! A sidecar that waits uses no processor time. Alone in its process, so that nobody else's time is counted.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, dead_code)]

#[path = "component/harness.rs"]
mod harness;

use harness::{Instance, OK, Peer, Sidecar, edge, service};
use std::sync::mpsc;
use std::time::Duration;

const WATCHED: Duration = Duration::from_millis(600);

/// Processor time of the sidecar's worker threads, in clock ticks of 10 ms.
fn worker_ticks() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let of_workers = stats.filter(|stat| stat.contains("(worker-"));
    let ticks = |stat: String| -> u64 {
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    of_workers.map(ticks).sum()
}

/// Lets time pass: here it is what is measured.
fn wait(time: Duration) {
    let (_tell, told) = mpsc::channel::<()>();
    let _ = told.recv_timeout(time);
}

/// Asserts that the workers do next to nothing for a while.
fn is_calm(while_what: &str) {
    let before = worker_ticks();
    wait(WATCHED);
    let used = worker_ticks() - before;
    assert!(used <= 6, "{} ms of {WATCHED:?} were used {while_what}", used * 10);
}

/// Sends until nobody takes any more.
fn fill(peer: &mut Peer) {
    let chunk = [b'x'; 64 << 10];
    peer.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let sent = (0..4096).take_while(|_| peer.try_send(&chunk)).count();
    assert!(sent < 4096, "somebody took all of it");
}

/// One test, since each of its parts counts what all workers of the process use.
#[test]
fn waiting_costs_nothing_in_any_state() {
    let instance = Instance::start(|peer| {
        while let Some(head) = peer.head() {
            match head.split(' ').nth(1).unwrap() {
                "/quick" => peer.send(OK),
                "/never" => {
                    let _ = peer.rest();
                }
                "/endless" => {
                    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
                    fill(peer);
                    // The caller reads nothing; wait here until it has gone.
                    let _ = peer.rest();
                }
                // Takes nothing of the body, for as long as the test takes.
                "/deaf" => wait(Duration::from_secs(5)),
                _ => {
                    peer.send(
                        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
                    );
                    fill(peer);
                    wait(Duration::from_secs(5));
                }
            }
        }
    });
    let mut item = service("item", &[instance.address]);
    item.settings.timeouts.connect = Duration::from_millis(50);
    let sidecar = Sidecar::start(edge(vec![item]));
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");

    let mut caller = sidecar.caller("edge");
    assert_eq!(caller.get("/quick").status, 200);
    is_calm("by a connection at rest");
    // On a kept connection, for longer than a connection may take to be made.
    caller.send(&get("/never"));
    is_calm("waiting for an answer on a kept connection");
    drop(caller);
    let mut caller = sidecar.caller("edge");
    caller.send(&get("/never"));
    is_calm("waiting for an answer on a new connection");
    caller.send(&get("/more").repeat(2000));
    is_calm("with the caller's input full");
    drop(caller);
    let mut caller = sidecar.caller("edge");
    caller.send(&get("/endless"));
    assert!(caller.head().is_some());
    is_calm("while a reader pauses");
    drop(caller);
    let mut caller = sidecar.caller("edge");
    caller.send("POST /deaf HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000000\r\n\r\n");
    fill(&mut caller);
    is_calm("while an instance takes no more of a body");
    drop(caller);
    let mut caller = sidecar.caller("edge");
    caller.send("GET /ws HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    assert!(caller.head().is_some());
    fill(&mut caller);
    is_calm("in a tunnel that is full both ways");
    caller.shut();
    is_calm("in a full tunnel whose caller has ended");
    drop(caller);
    let mut caller = sidecar.caller("edge");
    caller.send("GET / HTTP/1.1\r\nHost:");
    is_calm("with half a head");
}
