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
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";
const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nab";

/// A worker with one inbound listener and no app: it answers everything alone.
struct Bench {
    runtime: Runtime,
    local: LocalSet,
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let local = LocalSet::new();
        local.spawn_local(work(0, shared.clone(), vec![(address, socket)], receive));
        let bench = Bench { runtime, local, shared, orders, address };
        bench.order(Order::Report);
        bench
    }

    /// Lets the worker go on until it has carried an order out.
    fn order(&self, order: Order) {
        let (tell, told) = oneshot::channel();
        assert!(self.orders.send((order, tell)).is_ok());
        self.local.block_on(&self.runtime, told).unwrap();
    }

    fn drain(&self) {
        self.shared.drain(crate::worker::Draining::All);
        self.order(Order::Drain);
    }

    /// Lets the worker go on until no connection is open.
    fn comes_to_rest(&self) {
        let within = Duration::from_secs(10);
        let quiet = || self.shared.connections.load(Relaxed) == 0;
        let ended = crate::run::wait_until(&self.shared, within, quiet);
        assert!(self.local.block_on(&self.runtime, ended), "connections stay open");
    }

    fn connect(&self) -> std::net::TcpStream {
        let stream = std::net::TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// Lets the worker go on until the next answer, which is a refusal with `reason`, has come.
    fn answer(&self, stream: &std::net::TcpStream, reason: &str) {
        let mut stream = stream.try_clone().unwrap();
        let (tell, told) = oneshot::channel();
        let reading = std::thread::spawn(move || {
            let mut room = [0; 4096];
            let count = stream.read(&mut room);
            let _ = tell.send(());
            String::from_utf8(room[..count.expect("no reset")].to_vec()).unwrap()
        });
        self.local.block_on(&self.runtime, told).unwrap();
        let text = reading.join().unwrap();
        assert!(text.contains(&format!("outrigger-reason: {reason}\r\n")), "{text:?}");
    }
}

#[test]
fn a_request_that_is_here_when_a_drain_begins_is_answered() {
    let bench = Bench::new(Bounds::default());
    let mut kept = bench.connect();
    kept.write_all(GET).unwrap();
    bench.answer(&kept, "unknown-service");
    let silent = bench.connect();
    kept.write_all(POST).unwrap();
    bench.drain();
    bench.answer(&kept, "draining");
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
    waiting.iter().for_each(|stream| bench.answer(stream, "draining"));
    drop(waiting);
    bench.comes_to_rest();
}
