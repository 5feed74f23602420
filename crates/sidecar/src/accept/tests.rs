//! One thread is both caller and runtime: what it sends before it lets the worker go on has arrived before anything
//! else happens.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::run::{Order, Sender, work};
use crate::snapshot::Desks;
use crate::tape::Tapes;
use crate::worker::Shared;
use model::{Bounds, Listener, Role, Snapshot};
use net::clock::Clock;
use std::io::{Read, Write};
use std::sync::Arc;
use tokio::runtime::LocalRuntime;
use tokio::sync::{mpsc, oneshot};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";
const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nab";

/// A worker with one inbound listener and no app: it answers everything alone.
struct Bench {
    runtime: LocalRuntime,
    shared: Arc<Shared>,
    orders: Sender,
    address: SocketAddr,
}

impl Bench {
    fn new(bounds: Bounds) -> Bench {
        let socket = net::listen::bind(SocketAddr::from(([127, 0, 0, 1], 0)), 1).unwrap().remove(0);
        let address = socket.local_addr().unwrap();
        let listener = Listener { name: "inbound".to_owned(), address, role: Role::Inbound };
        let snapshot = Snapshot {
            version: "1".to_owned(),
            environment: "test".to_owned(),
            service: None,
            instance: None,
            listeners: vec![listener],
            app: None,
            services: vec![],
            bounds,
        };
        let clock = Clock::start();
        let world = Desks::new(1, Tapes::open(None).unwrap()).world(snapshot, clock.now());
        let shared = Arc::new(Shared::new(clock, world, None, None, 1));
        let (orders, receive) = mpsc::unbounded_channel();
        let runtime = crate::run::runtime().unwrap();
        runtime.spawn_local(work(0, shared.clone(), vec![(address, socket)], receive));
        let bench = Bench { runtime, shared, orders, address };
        bench.order(Order::Report);
        bench
    }

    /// Lets the worker go on until it has carried an order out.
    fn order(&self, order: Order) {
        let (tell, told) = oneshot::channel();
        assert!(self.orders.send((order, tell)).is_ok());
        self.runtime.block_on(told).unwrap();
    }

    fn drain(&self) {
        self.shared.drain(crate::worker::Draining::All);
        self.order(Order::Drain);
    }

    /// Lets the worker go on, while it drains, until no connection is open.
    fn comes_to_rest(&self) {
        let within = Duration::from_secs(10);
        let quiet = || self.shared.connections.load(Relaxed) == 0;
        let ended = crate::run::wait_until(&self.shared, within, quiet);
        assert!(self.runtime.block_on(ended), "connections stay open");
    }

    fn connect(&self) -> std::net::TcpStream {
        let stream = std::net::TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// Lets the worker go on until something has come from it, or the end.
    fn read(&self, stream: &std::net::TcpStream) -> String {
        let mut stream = stream.try_clone().unwrap();
        let (tell, told) = oneshot::channel();
        let reading = std::thread::spawn(move || {
            let mut room = [0; 4096];
            let count = stream.read(&mut room);
            let _ = tell.send(());
            String::from_utf8(room[..count.expect("no reset")].to_vec()).unwrap()
        });
        self.runtime.block_on(told).unwrap();
        reading.join().unwrap()
    }

    /// The next that comes is a refusal with this reason.
    fn refuses(&self, stream: &std::net::TcpStream, reason: &str) {
        let text = self.read(stream);
        assert!(text.contains(&format!("outrigger-reason: {reason}\r\n")), "{text:?}");
    }
}

#[test]
fn a_request_that_is_here_when_a_drain_begins_is_answered() {
    let bench = Bench::new(Bounds::default());
    let mut kept = bench.connect();
    kept.write_all(GET).unwrap();
    bench.refuses(&kept, "unknown-service");
    let silent = bench.connect();
    kept.write_all(POST).unwrap();
    bench.drain();
    bench.refuses(&kept, "draining");
    drop((kept, silent));
    bench.comes_to_rest();
}

#[test]
fn whoever_waits_to_be_accepted_when_a_drain_begins_is_answered() {
    let bench = Bench::new(Bounds::default());
    let mut waiting: Vec<_> = (0..100).map(|_| bench.connect()).collect();
    waiting.iter_mut().for_each(|stream| stream.write_all(POST).unwrap());
    bench.drain();
    assert!(std::net::TcpStream::connect(bench.address).is_err(), "it still listens");
    waiting.iter().for_each(|stream| bench.refuses(stream, "draining"));
    drop(waiting);
    bench.comes_to_rest();
}

#[test]
fn a_caller_whose_requests_ask_nobody_leaves_others_their_turns() {
    const MANY: usize = 200;
    let bench = Bench::new(Bounds::default());
    let mut greedy = bench.connect();
    greedy.write_all(&GET.repeat(MANY)).unwrap();
    greedy.set_nonblocking(true).unwrap();
    let mut room = [0; 64 << 10];
    // How often somebody else had a turn while the answers came.
    let turns = bench.runtime.block_on(async {
        let (mut got, mut turns) = (Vec::new(), 0);
        while got.windows(8).filter(|text| text == b"HTTP/1.1").count() < MANY {
            if let Ok(count) = greedy.read(&mut room) {
                got.extend_from_slice(&room[..count]);
            }
            turns += usize::from(!got.is_empty());
            tokio::task::yield_now().await;
        }
        turns
    });
    assert!(turns >= MANY / 2, "{turns} turns");
}

#[test]
fn a_head_that_began_in_idle_time_has_its_own() {
    let bounds = Bounds {
        caller_idle: Duration::from_millis(20),
        head_time: Duration::from_millis(100),
        ..Bounds::default()
    };
    let bench = Bench::new(bounds);
    let mut slow = bench.connect();
    slow.write_all(&GET[..10]).unwrap();
    bench.refuses(&slow, "head-too-slow");
    assert_eq!(bench.read(&bench.connect()), "", "nothing is said to whoever has said nothing");
}
