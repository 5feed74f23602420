//! A disk that is full: what would change something is refused, everything else goes on.

use crate::problem;
use crate::stage::{Stage, registration};
use api::ask;
use control::registry::{Change, Key, Record};
use control::store::{Memory, Store, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A store that can be full.
struct Disk {
    memory: Memory,
    full: Arc<AtomicBool>,
}

impl Store for Disk {
    fn load(&mut self) -> Result<Vec<(Key, Record)>, StoreError> {
        self.memory.load()
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        if self.full.load(Ordering::SeqCst) {
            let (place, why) = ("the disk".to_owned(), "no space left".to_owned());
            return Err(StoreError::Full { place, why });
        }
        self.memory.commit(changes)
    }
}

#[test]
fn while_the_disk_is_full_changes_are_refused_and_beats_and_reads_go_on() {
    let full = Arc::new(AtomicBool::new(false));
    let stage = Stage::with_store(Disk { memory: Memory::default(), full: full.clone() });
    let node = stage.join("node", 1);
    let register = |name: &str, port| {
        node.send(&ask::register("node", name, &registration(1, "offers", port), Duration::ZERO))
    };
    register("offers-1", 9001).unwrap();
    full.store(true, Ordering::SeqCst);
    let refused = problem(register("offers-2", 9002));
    assert_eq!(refused.problem, "store-full");
    assert!(refused.text.contains("the disk"), "{}", refused.text);
    let body = r#"{"session":1,"service":"offers","address":"127.0.0.1:9002","incarnation":1}"#;
    let path = "/v1/agents/node/instances/offers-2";
    assert_eq!(stage.raw("PUT", path, Some(&stage.credential("node")), body).0, 503);
    let minted = stage.client().send(&ask::mint(&api::TokenWish::default()));
    assert_eq!(problem(minted).problem, "store-full");
    // Nothing is written for any of these.
    node.send(&ask::beat("node", 1)).unwrap();
    stage.join_with("node", 1, &stage.credential("node")).unwrap();
    register("offers-1", 9001).unwrap();
    let names: Vec<_> = stage.client().instances().unwrap().instances.into_iter().map(|i| i.name).collect();
    assert_eq!(names, ["offers-1"], "what was refused is not there");
    full.store(false, Ordering::SeqCst);
    register("offers-2", 9002).unwrap();
    let events = stage.client().events(api::Query::default()).unwrap().events;
    let of_store: Vec<_> = events.iter().filter(|event| event.kind.starts_with("store-")).collect();
    let words: Vec<_> = of_store.iter().map(|event| (event.kind.as_str(), event.reason.as_deref())).collect();
    assert_eq!(words, [("store-failed", Some("store-full")), ("store-back", None)]);
    stage.end();
}
