//! What many followers cost: `cargo run --profile quick -p control --example followers [STREAMS] [CHANGES] [PER SECOND]`.
//!
//! A control plane in a process of its own, with a store in a file; the followers in this one, over loopback. It
//! prints how long a change takes from its registration to each follower, what that costs in bytes and in the control
//! plane's memory, and what it costs when all followers come back.
#![allow(clippy::unwrap_used)]

#[path = "../tests/streams/follower.rs"]
mod follower;

use control::delivery::{Hub, Publisher, serve};
use control::desk::Desk;
use control::registry::{Command, Owner, Registration, Rules};
use control::store::Embedded;
use follower::Follower;
use model::{AgentName, Preset, ServiceName};
use net::clock::Clock;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, watch};
use wire::xds::Kind;
use wire::xds::resource::{decode_endpoint, endpoints_of};

const SERVICES: u64 = 1000;
const FOLLOWS: u64 = 10;
const INSTANCES: u32 = 2;
const WINDOW: u32 = 64 << 10;

type Held = BTreeMap<(Kind, String), (Vec<u8>, String)>;

/// One clock for both processes.
fn nanos() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

fn service(number: u64) -> ServiceName {
    ServiceName::new(&format!("service-{number}")).unwrap()
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "control-plane") {
        return control_plane().await;
    }
    let number = |at: usize, default: u32| arguments.get(at).map_or(default, |text| text.parse().unwrap());
    measure(number(0, 2000).into(), number(1, 1000), number(2, 100)).await;
}

async fn control_plane() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::start();
    let hub = Hub::new(clock, |_| ());
    let store = Embedded::open(&folder.path().join("registry")).unwrap();
    let rules = Rules { lease: Duration::from_secs(300), ..Rules::default() };
    let (desk, _worker) = Desk::open(store, rules, Publisher::new(hub.clone(), |_| ()), clock).unwrap();
    let mut writing = Vec::new();
    for number in 0..SERVICES {
        let (settings, author) = (Box::new(Preset::Default.settings()), "ada".to_owned());
        let declare = Command::Declare { service: service(number), settings, author };
        let desk = desk.clone();
        writing.push(tokio::spawn(async move {
            desk.ask(declare).await.unwrap();
            for instance in 1..=INSTANCES {
                desk.ask(register(number, instance, 1)).await.unwrap();
            }
        }));
    }
    for writing in writing {
        writing.await.unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    tokio::spawn(serve::serve(listener, hub.clone()));
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await.unwrap() {
        let words: Vec<&str> = order.split(' ').collect();
        match words[..] {
            ["move", number, to] => {
                let (number, to) = (number.parse().unwrap(), to.parse().unwrap());
                let asked = nanos();
                desk.ask(register(number, 1, to)).await.unwrap();
                println!("{} {to} {asked} {}", service(number), nanos());
            }
            _ => {
                let (responses, bytes) = hub.sent();
                let (now, most) = memory();
                let cpu = processor();
                println!("{responses} {bytes} {now} {most} {cpu} {}", hub.followers().len());
            }
        }
    }
}

/// An instance whose address says which change it was: the last three bytes of its address are `to`.
fn register(number: u64, instance: u32, to: u32) -> Command {
    let [_, a, b, c] = to.to_be_bytes();
    // Two instances of one service differ by port, services by name, so that no address is used twice.
    let port = u16::try_from(number * 2 + u64::from(instance)).unwrap();
    let instance = Registration {
        name: service(number).instance(instance),
        service: service(number),
        address: SocketAddr::from(([10, a, b, c], port)),
        incarnation: u64::from(to),
    };
    Command::Register { owner: Owner { agent: AgentName::new("agent").unwrap(), session: 1 }, instance }
}

/// Resident memory now and at most, in KiB.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    let kib = |text: String| text.trim().trim_end_matches(" kB").parse().unwrap();
    (kib(line("VmRSS:")), kib(line("VmHWM:")))
}

/// Processor time of this process so far, in clock ticks of 10 ms.
fn processor() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// What the control plane says of itself.
#[derive(Clone, Copy)]
struct State {
    responses: u64,
    bytes: u64,
    kib: u64,
    ticks: u64,
}

struct Remote {
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Remote {
    async fn ask(&mut self, order: &str) -> Vec<String> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await.unwrap();
        let line = self.answers.next_line().await.unwrap().unwrap();
        line.split(' ').map(str::to_owned).collect()
    }

    async fn state(&mut self) -> State {
        let words = self.ask("state").await;
        let number = |at: usize| words[at].parse().unwrap();
        State { responses: number(0), bytes: number(1), kib: number(2), ticks: number(4) }
    }
}

/// Which services follower `number` follows: spread by a multiplication, the same in every run.
fn follows(number: u64) -> Vec<u64> {
    (0..FOLLOWS).map(|k| (number * 7919 + k * 104_729 + number * k * 31) % SERVICES).collect()
}

fn subscribe(follower: &mut Follower, number: u64, held: &Held) {
    let services: Vec<String> = follows(number).into_iter().map(|n| service(n).to_string()).collect();
    let folders: Vec<String> = follows(number).into_iter().map(|n| endpoints_of(&service(n))).collect();
    follower.subscribe(Kind::Service, &services, held);
    follower.subscribe(Kind::Policy, &services, held);
    follower.subscribe(Kind::Endpoint, &folders, held);
}

struct Delivered {
    to: u32,
    at: u64,
}

/// Follows until told to stop, and gives back what it held then and what it said.
async fn follow(
    address: SocketAddr,
    number: u64,
    held: Held,
    ready: Arc<AtomicUsize>,
    heard: mpsc::UnboundedSender<Delivered>,
    mut stop: watch::Receiver<bool>,
) -> (Held, usize) {
    let mut follower = Follower::connect(address, &format!("follower-{number}"), WINDOW).await.unwrap();
    subscribe(&mut follower, number, &held);
    let known: std::collections::BTreeSet<u64> = follows(number).into_iter().collect();
    let whole = known.len() * (2 + INSTANCES as usize);
    let again = !held.is_empty();
    follower.held = held;
    let mut answers = 0;
    let mut is_ready = false;
    loop {
        let update = tokio::select! {
            update = follower.hear() => update.unwrap().unwrap(),
            _ = stop.changed() => return (follower.held, follower.said),
        };
        let at = nanos();
        answers += 1;
        follower.accept(&update);
        // Ready when it holds all, or, where it came back, when each type has been answered.
        if !is_ready && if again { answers == 3 } else { follower.held.len() == whole } {
            is_ready = true;
            ready.fetch_add(1, Ordering::SeqCst);
        } else if is_ready && update.type_url == Kind::Endpoint.url() {
            for given in &update.resources {
                let (_, endpoint) = decode_endpoint(&given.name, &given.payload).unwrap();
                let SocketAddr::V4(address) = endpoint.address else { continue };
                let [_, a, b, c] = address.ip().octets();
                // Whoever counts may have finished.
                let _ = heard.send(Delivered { to: u32::from_be_bytes([0, a, b, c]), at });
            }
        }
    }
}

fn percentiles(what: &str, mut samples: Vec<u64>) {
    samples.sort_unstable();
    let at = |share: f64| samples[((samples.len() - 1) as f64 * share) as usize] as f64 / 1e6;
    println!(
        "{what}: p50 {:.2} ms, p99 {:.2} ms, worst {:.2} ms of {}",
        at(0.5),
        at(0.99),
        at(1.0),
        samples.len()
    );
}

async fn measure(streams: u64, changes: u32, rate: u32) {
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .arg("control-plane")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut remote = Remote { orders: child.stdin.take().unwrap(), answers };
    let address: SocketAddr = remote.answers.next_line().await.unwrap().unwrap().parse().unwrap();
    let alone = remote.state().await;
    println!("{SERVICES} services of {INSTANCES}, no follower: {} KiB", alone.kib);

    let (tell, heard) = mpsc::unbounded_channel();
    let (halt, stop) = watch::channel(false);
    let begun = tokio::time::Instant::now();
    let tasks = everybody(address, vec![Held::new(); streams as usize], &tell, &stop).await;
    let with = remote.state().await;
    println!("{streams} followers came and hold all after {:.2} s", begun.elapsed().as_secs_f64());
    println!("memory: {:.1} KiB a follower", (with.kib - alone.kib) as f64 / streams as f64);
    deliver(&mut remote, heard, streams, changes, rate).await;

    halt.send(true).unwrap();
    let mut held = Vec::new();
    for task in tasks {
        held.push(task.await.unwrap().0);
    }
    come_back(&mut remote, address, held, &tell).await;
    drop(remote);
    child.wait().await.unwrap();
}

/// Moves one instance after the other, and prints how long it takes until its followers have it.
async fn deliver(
    remote: &mut Remote,
    mut heard: mpsc::UnboundedReceiver<Delivered>,
    streams: u64,
    changes: u32,
    rate: u32,
) {
    let before = remote.state().await;
    let mut registered = BTreeMap::new();
    let mut expected = 0;
    let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
    for change in 2..changes + 2 {
        pace.tick().await;
        let number = u64::from(change) * 7 % SERVICES;
        let said = remote.ask(&format!("move {number} {change}")).await;
        registered.insert(change, (said[2].parse::<u64>().unwrap(), said[3].parse::<u64>().unwrap()));
        expected += (0..streams).filter(|follower| follows(*follower).contains(&number)).count();
    }
    let (mut from_asked, mut from_kept) = (Vec::new(), Vec::new());
    while from_asked.len() < expected {
        let next = tokio::time::timeout(Duration::from_secs(20), heard.recv()).await;
        let delivered = next.expect("not everybody has heard of everything").unwrap();
        let (asked, kept) = registered[&delivered.to];
        from_asked.push(delivered.at.saturating_sub(asked));
        from_kept.push(delivered.at.saturating_sub(kept));
    }
    let after = remote.state().await;
    percentiles("asked → kept and answered", registered.values().map(|(asked, kept)| kept - asked).collect());
    percentiles("asked → delivered", from_asked);
    percentiles("kept → delivered", from_kept);
    let (responses, bytes) = (after.responses - before.responses, after.bytes - before.bytes);
    println!("{:.0} bytes a change and follower, {responses} responses", bytes as f64 / expected as f64);
    let ticks = (after.ticks - before.ticks) as f64;
    println!("control plane's processor: {:.0} µs a delivery", ticks * 10_000.0 / expected as f64);
}

/// Everybody connects again with what it holds, and nothing has changed.
async fn come_back(
    remote: &mut Remote,
    address: SocketAddr,
    held: Vec<Held>,
    tell: &mpsc::UnboundedSender<Delivered>,
) {
    let streams = held.len() as f64;
    let before = gone(remote).await;
    let (halt, stop) = watch::channel(false);
    let begun = tokio::time::Instant::now();
    let tasks = everybody(address, held, tell, &stop).await;
    let took = begun.elapsed().as_secs_f64();
    let back = remote.state().await;
    halt.send(true).unwrap();
    let mut said = 0;
    for task in tasks {
        said += task.await.unwrap().1;
    }
    let sent = back.bytes - before.bytes;
    println!(
        "all came back after {took:.2} s: {:.0} bytes each, {:.0} of them from the control plane",
        (sent + said as u64) as f64 / streams,
        sent as f64 / streams
    );
    println!("memory: {} KiB with all of them, {} KiB without", back.kib, before.kib);
}

/// Waits until the control plane has noticed that everybody has gone.
async fn gone(remote: &mut Remote) -> State {
    loop {
        let words = remote.ask("state").await;
        if words[5] == "0" {
            return remote.state().await;
        }
        tokio::task::yield_now().await;
    }
}

async fn everybody(
    address: SocketAddr,
    held: Vec<Held>,
    heard: &mpsc::UnboundedSender<Delivered>,
    stop: &watch::Receiver<bool>,
) -> Vec<tokio::task::JoinHandle<(Held, usize)>> {
    let ready = Arc::new(AtomicUsize::new(0));
    let streams = held.len();
    let tasks = held.into_iter().enumerate().map(|(number, held)| {
        let (ready, heard, stop) = (ready.clone(), heard.clone(), stop.clone());
        tokio::spawn(follow(address, number as u64, held, ready, heard, stop))
    });
    let tasks = tasks.collect();
    while ready.load(Ordering::SeqCst) < streams {
        tokio::task::yield_now().await;
    }
    tasks
}
