//! Without file descriptors left a sidecar refuses by name and recovers. Alone in its process, whose limit it changes.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, dead_code)]

#[path = "component/harness.rs"]
mod harness;

use harness::{Instance, OK, Sidecar, edge, service};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};

/// A helper that sets this process's soft limit: it is started while there are descriptors to start it with.
struct Limiter {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Limiter {
    fn start() -> Limiter {
        let script = "while read n; do prlimit --pid $PPID --nofile=$n:; echo $?; done";
        let child =
            Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Limiter { child, said }
    }

    fn set(&mut self, limit: u64) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{limit}").unwrap();
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "0", "prlimit (util-linux) sets the limit");
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Every descriptor from here on is free.
fn next_descriptor() -> u64 {
    let probe = std::fs::File::open("/dev/null").unwrap();
    u64::try_from(probe.as_raw_fd()).unwrap()
}

#[test]
fn without_descriptors_requests_are_refused_by_name_and_later_served_again() {
    let mut limiter = Limiter::start();
    let instance = Instance::start(|peer| while peer.request().is_some() && peer.try_send(OK.as_bytes()) {});
    let mut two = service("item", &[instance.address, instance.address]);
    two.settings.timeouts.total = std::time::Duration::from_secs(5);
    let sidecar = Sidecar::start(edge(vec![two]));
    // All that the test itself needs is open before the limit comes down.
    let mut caller = sidecar.caller("edge");
    let unheard = sidecar.caller("edge");
    assert_eq!(sidecar.page("/ready").status, 200);
    drop(unheard);
    sidecar.comes_to_rest();
    limiter.set(next_descriptor());
    for _ in 0..20 {
        let answer = caller.get("/");
        assert_eq!((answer.status, answer.reason()), (503, "out-of-descriptors"));
        assert!(answer.field("retry-after").is_some());
    }
    limiter.set(1000);
    // Nobody holds it against the instances.
    assert_eq!(caller.get("/").status, 200);
    let clusters = sidecar.page("/clusters").text();
    assert!(!clusters.contains("ejected") && !clusters.contains("resting"), "{clusters}");

    // Callers that knock meanwhile wait, and are served when there is room: nobody spins or dies.
    let held: Vec<std::net::TcpStream> =
        (0..20).map(|_| std::net::TcpStream::connect(sidecar.at("edge")).unwrap()).collect();
    drop(held);
    assert_eq!(sidecar.caller("edge").get("/").status, 200);
    sidecar.comes_to_rest();
}
