//! Visitors of the shop: pages and purchases, sent when they are due whether or not others have been answered.
//!
//! Each request has a connection of its own, so that a failure is the shop's and not that of a connection which a
//! client kept for too long.

use super::http;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// As many requests may be under way: enough for 200/s of which each takes a second.
const THREADS: usize = 256;

/// What the visitors do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Visit {
    /// GET of the page.
    Page,
    /// POST of a purchase with an id that is never used again.
    Buy,
}

/// One request and what became of it.
#[derive(Debug)]
pub(crate) struct Done {
    /// The id of a purchase; empty for a page.
    pub(crate) id: String,
    /// When it was due.
    pub(crate) due: Instant,
    pub(crate) ended: Instant,
    /// Why it failed; none: it was answered with 200.
    pub(crate) failure: Option<String>,
}

/// Visitors at a steady rate, from `start` until they are stopped.
pub(crate) struct Visitors {
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    done: Arc<Mutex<Vec<Done>>>,
}

impl Visitors {
    /// Sends `per_second` requests a second to the shop's edge.
    pub(crate) fn start(edge: SocketAddr, visit: Visit, per_second: u32) -> Visitors {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(Mutex::new(Vec::new()));
        let turn = Arc::new(Mutex::new(0_u32));
        let began = Instant::now();
        let gap = Duration::from_secs(1) / per_second;
        let visitor = |_| {
            let (stop, done, turn) = (stop.clone(), done.clone(), turn.clone());
            std::thread::spawn(move || {
                while let Some((number, due)) = take_turn(&turn, &stop, began, gap) {
                    let one = once(edge, visit, number, due);
                    if let Ok(mut done) = done.lock() {
                        done.push(one);
                    }
                }
            })
        };
        let threads = (0..THREADS).map(visitor).collect();
        Visitors { threads, stop, done }
    }

    /// How many requests have ended so far.
    #[cfg(test)]
    pub(crate) fn ended(&self) -> usize {
        self.done.lock().map_or(0, |done| done.len())
    }

    /// No further requests; waits for those that are on their way.
    pub(crate) fn stop(self) -> Vec<Done> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            // A thread that panicked has lost its request; the count of requests shows it.
            let _ = thread.join();
        }
        self.done.lock().map(|mut done| std::mem::take(&mut *done)).unwrap_or_default()
    }
}

/// Waits until the next request is due: one visitor at a time, the others stand behind it. None: no more.
fn take_turn(turn: &Mutex<u32>, stop: &AtomicBool, began: Instant, gap: Duration) -> Option<(u32, Instant)> {
    let mut next = turn.lock().ok()?;
    let due = began + gap * *next;
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
    if stop.load(Ordering::Relaxed) {
        return None;
    }
    *next += 1;
    Some((*next - 1, due))
}

fn once(edge: SocketAddr, visit: Visit, number: u32, due: Instant) -> Done {
    let host = edge.to_string();
    let (id, answer) = match visit {
        Visit::Page => (String::new(), http::request(edge, "GET", "/", &host, "")),
        Visit::Buy => {
            let id = format!("prove-{}-{number}", std::process::id());
            let order = serde_json::json!({ "id": id, "item": "today", "quantity": 1 }).to_string();
            let answer = http::request(edge, "POST", "/buy", &host, &order);
            (id, answer)
        }
    };
    let failure = match answer {
        Ok(answer) if answer.status == 200 => None,
        Ok(answer) => {
            Some(format!("{}: {}", answer.status, answer.text.chars().take(200).collect::<String>()))
        }
        Err(error) => Some(format!("{error:#}")),
    };
    Done { id, due, ended: Instant::now(), failure }
}

/// How often each id was executed, over all instances and their predecessors.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    executed: BTreeMap<String, usize>,
}

impl Ledger {
    /// Adds up the files `INSTANCE.ids` of `folder`, one line each execution.
    pub(crate) fn read(folder: &Path) -> Result<Ledger> {
        let mut ledger = Ledger::default();
        let entries = std::fs::read_dir(folder).with_context(|| {
            format!("no ledger in {}: the shop did not get SHOP_LEDGER_DIR", folder.display())
        })?;
        for entry in entries.flatten() {
            for id in std::fs::read_to_string(entry.path())?.lines() {
                *ledger.executed.entry(id.to_owned()).or_default() += 1;
            }
        }
        Ok(ledger)
    }

    /// How often `id` was executed.
    pub(crate) fn times(&self, id: &str) -> usize {
        self.executed.get(id).copied().unwrap_or(0)
    }

    /// Ids that were executed more than once.
    pub(crate) fn twice(&self) -> usize {
        self.executed.values().filter(|&&times| times > 1).count()
    }
}

#[cfg(test)]
mod tests {
    use super::super::process::wait_until;
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// Answers every connection with `status`, and every tenth with nothing at all.
    fn server(status: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let address = listener.local_addr().expect("it is bound");
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let Ok(mut stream) = stream else { return };
                let mut head = [0; 4096];
                let read = stream.read(&mut head).unwrap_or(0);
                if read > 0 && number % 10 != 9 {
                    let _ = stream
                        .write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok").as_bytes());
                }
            }
        });
        address
    }

    #[test]
    fn failures_are_counted() {
        let visitors = Visitors::start(server("200 OK"), Visit::Buy, 500);
        assert!(wait_until(Duration::from_secs(20), || visitors.ended() >= 100));
        let done = visitors.stop();
        let failed = done.iter().filter(|one| one.failure.is_some()).count();
        assert_eq!(failed, done.len() / 10);
        let ids: std::collections::BTreeSet<&str> = done.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids.len(), done.len());
    }

    #[test]
    fn any_other_status_is_a_failure() {
        let visitors = Visitors::start(server("503 Service Unavailable"), Visit::Page, 100);
        assert!(wait_until(Duration::from_secs(20), || visitors.ended() >= 5));
        assert!(visitors.stop().iter().all(|one| one.failure.is_some()));
    }

    #[test]
    fn a_ledger_adds_up_over_instances() {
        let folder = std::env::temp_dir().join(format!("outrigger-ledger-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the system has a folder for temporary files");
        std::fs::write(folder.join("a.ids"), "x\ny\n").expect("the folder is ours");
        std::fs::write(folder.join("b.ids"), "x\n").expect("the folder is ours");
        let ledger = Ledger::read(&folder).expect("it is there");
        assert_eq!((ledger.times("x"), ledger.times("y"), ledger.times("z"), ledger.twice()), (2, 1, 0, 1));
        std::fs::remove_dir_all(&folder).expect("it is ours");
        assert!(Ledger::read(&folder).is_err());
    }
}
