//! What a request may cost: no allocation, and a future of a few kilobytes. A worker runs on the test's own thread, so
//! that the counting of allocations sees it and nothing else.

use crate::accept::{Counted, accept, connection};
use crate::snapshot::Desks;
use crate::tape::Tapes;
use crate::worker::{Shared, Worker};
use model::{Bounds, EdgeRoute, Endpoint, Listener, Role, Service, ServiceName, Settings, Snapshot};
use net::clock::Clock;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::oneshot;

const REQUEST: &[u8] = b"GET /item/1 HTTP/1.1\r\nHost: item\r\nUser-Agent: test\r\nAccept: application/json\r\n\
    Accept-Encoding: gzip\r\nAccept-Language: en\r\nCache-Control: no-cache\r\nCookie: session=abcdef\r\n\
    X-Request-Id: 0123456789abcdef\r\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n\r\n";

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Answers every request on one connection, without allocating for it.
fn instance() -> SocketAddr {
    let listener = TcpListener::bind(any()).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        let mut answer = HEAD.to_vec();
        answer.extend_from_slice(&[b'x'; 1024]);
        let (mut stream, _) = listener.accept().expect("somebody connects");
        let mut room = [0; 4096];
        while stream.read(&mut room).is_ok_and(|count| room[..count].ends_with(b"\r\n\r\n")) {
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
    });
    address
}

fn worker(listen: SocketAddr, instance: SocketAddr) -> Rc<Worker> {
    let name = ServiceName::new("item").expect("`item` is a name");
    let route = EdgeRoute { prefix: "/".to_owned(), service: name.clone() };
    let snapshot = Snapshot {
        version: "1".to_owned(),
        environment: "test".to_owned(),
        service: None,
        instance: None,
        listeners: vec![Listener { name: "edge".to_owned(), address: listen, role: Role::Edge(vec![route]) }],
        app: None,
        services: vec![Service {
            endpoints: vec![Endpoint { name: name.instance(1), address: instance }],
            peer: model::Peer::App,
            settings: Settings::default(),
            name,
        }],
        bounds: Bounds::default(),
    };
    let clock = Clock::start();
    let tapes = Tapes::open(None).expect("there is no file to open");
    let world = Desks::new(1, tapes).world(snapshot, clock.now());
    Rc::new(Worker::new(0, Arc::new(Shared::new(clock, world, None, None, 1))))
}

/// Asks on one connection whenever it is told how often, and says when it has all answers.
fn caller(to: SocketAddr, told: std::sync::mpsc::Receiver<(usize, oneshot::Sender<()>)>) {
    let mut stream = TcpStream::connect(to).expect("it listens");
    let mut room = vec![0; 16 << 10];
    for (count, done) in told {
        for _ in 0..count {
            stream.write_all(REQUEST).expect("it reads");
            let mut got = 0;
            // The head's length differs from what the instance sent; the body ends it.
            while got < 1024 || room[got - 1] != b'x' {
                got += stream.read(&mut room[got..]).expect("it answers");
            }
        }
        done.send(()).expect("somebody waits");
    }
}

#[test]
fn a_request_on_kept_connections_allocates_nothing() {
    let runtime = crate::run::runtime().expect("a runtime");
    let listener = TcpListener::bind(any()).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let worker = worker(address, instance());
    let (tell, told) = std::sync::mpsc::channel();
    let asking = std::thread::spawn(move || caller(address, told));
    listener.set_nonblocking(true).expect("a socket can be");
    let timers = worker.clone();
    runtime.spawn_local(async move { timers.timers.run().await });
    {
        let _entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).expect("it is a socket");
        runtime.spawn_local(accept(worker.clone(), listener, address, std::future::pending()));
    }
    let ask = |count: usize| {
        let (done, end) = oneshot::channel();
        tell.send((count, done)).expect("the caller listens");
        let counted = allocation_counter::measure(|| {
            runtime.block_on(async { end.await.expect("the caller says when it is done") });
        });
        counted.count_total
    };
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(vec![1u8])));
    assert_eq!(counted.count_total, 1, "allocations are counted");
    ask(500);
    // What it costs to begin and to end is the same however many requests there are.
    let (few, many) = (ask(100), ask(3100));
    let each = many.saturating_sub(few) as f64 / 3000.0;
    println!("{{\"name\":\"allocations-per-request\",\"value\":{each}}}");
    assert_eq!(worker.pool.opened(), 1, "the instance's connection is kept");
    // A window that turns or a queue of the runtime that grows once is none of a request's.
    assert!(many <= few + 5, "{few} allocations for 100 requests, {many} for 3100");
    drop(tell);
    asking.join().expect("the caller is content");
}

#[tokio::test]
async fn the_future_of_a_connection_is_small() {
    let listener = tokio::net::TcpListener::bind(any()).await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
    let future = connection(Counted::new(worker(address, address)), stream, address, address);
    let size = size_of_val(&future);
    println!("{{\"name\":\"connection-future-bytes\",\"value\":{size}}}");
    assert!(size <= 4096, "{size}");
}
