//! What many followers cost: `cargo run --profile quick -p control --example followers [STREAMS] [CHANGES] [PER SECOND]`.
//!
//! A control plane in a process of its own, with a store in a file; the followers in this one, over loopback. It
//! measures how long a change takes from its registration to each follower, what that costs in bytes and in the control
//! plane's memory and processor, and what it costs when all followers come back. Progress goes to stderr, the figures
//! as one line of JSON to stdout: `cargo xtask bench control` makes a table of them.
#![allow(clippy::unwrap_used)]

mod crowd;
mod figures;
#[path = "../../tests/streams/follower.rs"]
mod follower;
mod plane;

use crowd::{Crowd, Delivered, Held, follows};
use figures::{Figures, Spread};
use plane::Remote;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::UnboundedReceiver;

const SERVICES: u64 = 1000;
const FOLLOWS: u64 = 10;
const INSTANCES: u32 = 2;
const WINDOW: u32 = 64 << 10;

/// A change that has not reached all of its followers by then never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// One clock for both processes.
fn nanos() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == plane::WORD) {
        return plane::serve_orders().await;
    }
    let number = |at: usize, default: u32| arguments.get(at).map_or(default, |text| text.parse().unwrap());
    let load = Load { followers: number(0, 2000).into(), changes: number(1, 1000), rate: number(2, 100) };
    println!("{}", measure(&load).await.to_json());
}

/// How many there are, and what happens to them.
struct Load {
    followers: u64,
    changes: u32,
    /// Changes a second, open loop.
    rate: u32,
}

async fn measure(load: &Load) -> Figures {
    let mut figures = Figures::default();
    figures.number("followers", load.followers as f64);
    figures.number("changes", load.changes.into());
    figures.number("changes_per_second", load.rate.into());
    let mut remote = Remote::start().await;
    let (crowd, heard) = come(&mut remote, load, &mut figures).await;
    deliver(&mut remote, heard, load, &mut figures).await;
    come_back(&mut remote, crowd.leave().await, &mut figures).await;
    remote.end().await;
    figures
}

/// Everybody comes for the first time.
async fn come(
    remote: &mut Remote,
    load: &Load,
    figures: &mut Figures,
) -> (Crowd, UnboundedReceiver<Delivered>) {
    let alone = remote.state().await;
    figures.number("plane_alone_kib", alone.kib as f64);
    let begun = Instant::now();
    let nothing = (0..load.followers).map(|_| Held::new()).collect();
    let (crowd, heard) = Crowd::come(remote.address, nothing).await;
    figures.number("come_seconds", begun.elapsed().as_secs_f64());
    let with = remote.state().await;
    figures.number("memory_kib_per_follower", (with.kib - alone.kib) as f64 / load.followers as f64);
    (crowd, heard)
}

/// When a change was asked for, and when it was kept, by its number.
type Asked = BTreeMap<u32, (u64, u64)>;

/// Moves one instance after the other, and takes the time until each of its followers has it.
async fn deliver(
    remote: &mut Remote,
    mut heard: UnboundedReceiver<Delivered>,
    load: &Load,
    figures: &mut Figures,
) {
    let before = remote.state().await;
    let (asked, expected) = move_instances(remote, load).await;
    let (mut from_asked, mut from_kept) = (Vec::new(), Vec::new());
    while from_asked.len() < expected {
        let next = tokio::time::timeout(PATIENCE, heard.recv()).await;
        let delivered = next.expect("not everybody has heard of everything").unwrap();
        let (at, kept) = asked[&delivered.change];
        from_asked.push(delivered.at.saturating_sub(at));
        from_kept.push(delivered.at.saturating_sub(kept));
    }
    let after = remote.state().await;
    figures.spread("kept_ms", Spread::of(asked.values().map(|(asked, kept)| kept - asked).collect()));
    figures.spread("delivered_ms", Spread::of(from_asked));
    figures.spread("kept_to_delivered_ms", Spread::of(from_kept));
    let deliveries = expected as f64;
    figures.number("deliveries", deliveries);
    figures.number("bytes_per_delivery", (after.bytes - before.bytes) as f64 / deliveries);
    figures.number("responses", (after.responses - before.responses) as f64);
    // A tick is 10 ms.
    figures.number("processor_us_per_delivery", (after.ticks - before.ticks) as f64 * 10_000.0 / deliveries);
}

/// Each at its time; how many deliveries they make.
async fn move_instances(remote: &mut Remote, load: &Load) -> (Asked, usize) {
    let mut asked = Asked::new();
    let mut expected = 0;
    let mut pace = tokio::time::interval(Duration::from_secs(1) / load.rate);
    for change in 2..load.changes + 2 {
        pace.tick().await;
        let number = u64::from(change) * 7 % SERVICES;
        asked.insert(change, remote.move_instance(number, change).await);
        expected += (0..load.followers).filter(|follower| follows(*follower).contains(&number)).count();
    }
    (asked, expected)
}

/// Everybody connects again with what it holds, and nothing has changed.
async fn come_back(remote: &mut Remote, held: Vec<Held>, figures: &mut Figures) {
    let followers = held.len() as f64;
    let before = remote.all_gone().await;
    let begun = Instant::now();
    let (crowd, _heard) = Crowd::come(remote.address, held).await;
    figures.number("back_seconds", begun.elapsed().as_secs_f64());
    let after = remote.state().await;
    let said = crowd.said().await;
    let sent = after.bytes - before.bytes;
    figures.number("back_bytes_per_follower", (sent + said) as f64 / followers);
    figures.number("back_bytes_sent_per_follower", sent as f64 / followers);
    let ticks = after.ticks - before.ticks;
    figures.number("back_processor_us_per_follower", ticks as f64 * 10_000.0 / followers);
    figures.number("plane_at_most_kib", after.kib_at_most as f64);
}
