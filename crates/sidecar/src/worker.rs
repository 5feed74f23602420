//! What one worker thread owns, and what it shares with the others.

use crate::accesslog::{AccessLog, Entry, Served, UNKNOWN};
use crate::buffers::Buffers;
use crate::context::Notes;
use crate::control_link::ask::Counter;
use crate::exchange::Finished;
use crate::record::{Counts, Outcome};
use crate::snapshot::World;
use crate::timers::Timers;
use crate::upstream::pool::Pool;
use http1::{Limits, Method, RequestHead, ResponseHead, Rule};
use model::{Bounds, Direction, Moment};
use net::clock::Clock;
use policy::CallId;
use std::cell::{Cell, Ref, RefCell};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// How far a sidecar is on its way out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
#[repr(u8)]
pub(crate) enum Draining {
    /// It serves.
    No,
    /// New requests for the app are refused; the app may still call others.
    Inbound,
    /// All connections are closed as soon as nothing is in flight on them.
    All,
}

/// What the workers of one sidecar share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    /// What may be used at most: fixed at the start, as pools and sockets were made by it.
    pub(crate) bounds: Bounds,
    world: Mutex<Arc<World>>,
    version: AtomicU64,
    draining: AtomicU8,
    pub(crate) connections: AtomicU32,
    /// Told, while draining, whenever a request or a connection has ended.
    pub(crate) ended: Notify,
    pub(crate) notes: Notes,
    pub(crate) context_lost: AtomicU64,
    pub(crate) panics: AtomicU64,
    /// Requests that were refused before it was known which service they are for.
    pub(crate) strays: Counts,
    pub(crate) log: Option<AccessLog>,
    /// Where names that are not known are asked for; none without a control plane.
    pub(crate) counter: Option<Counter>,
    /// Filled by each worker for the scrape: bytes lent, idle and opened connections to instances.
    pub(crate) gauges: Vec<Gauges>,
}

/// A request that was answered before it was known which service it is for, as far as it was read.
pub(crate) struct Stray<'a> {
    pub(crate) method: Method,
    pub(crate) entry: &'a Entry,
    pub(crate) peer: SocketAddr,
    /// The rule of HTTP that it breaks.
    pub(crate) rule: Option<Rule>,
}

/// What a worker tells of itself.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) buffer_bytes: AtomicU64,
    pub(crate) idle_upstream: AtomicU64,
    pub(crate) opened_upstream: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        clock: Clock,
        world: World,
        log: Option<AccessLog>,
        counter: Option<Counter>,
        workers: usize,
    ) -> Shared {
        Shared {
            clock,
            bounds: world.snapshot.bounds,
            world: Mutex::new(Arc::new(world)),
            version: AtomicU64::new(1),
            draining: AtomicU8::new(Draining::No as u8),
            connections: AtomicU32::new(0),
            ended: Notify::new(),
            notes: Notes::default(),
            context_lost: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            strays: Counts::default(),
            log,
            counter,
            gauges: (0..workers).map(|_| Gauges::default()).collect(),
        }
    }

    /// The world as it is now.
    pub(crate) fn world(&self) -> Arc<World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts and logs a request that was answered before it was known which service it is for. It has come from a
    /// caller, through any listener.
    #[cold]
    pub(crate) fn settle_stray(&self, stray: &Stray<'_>, outcome: &Outcome) {
        self.strays.settle(stray.method, outcome);
        if let Some(log) = &self.log {
            let Outcome { status, reason, took } = *outcome;
            let finished = &Finished { status, reason, rule: stray.rule, bytes_in: 0, bytes_out: 0 };
            let (direction, peer, entry) = (Direction::Inbound, stray.peer, stray.entry);
            log.add(&Served { entry, direction, service: UNKNOWN, peer, finished, took, attempts: 0 });
        }
    }

    /// Replaces the world. Requests in flight keep theirs.
    pub(crate) fn adopt(&self, world: World) {
        *self.world.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(world);
        self.version.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn draining(&self) -> Draining {
        match self.draining.load(Ordering::Relaxed) {
            0 => Draining::No,
            1 => Draining::Inbound,
            _ => Draining::All,
        }
    }

    /// Something has ended: whoever waits for the last looks again.
    pub(crate) fn tell_drain(&self) {
        if self.draining() != Draining::No {
            self.tell();
        }
    }

    #[cold]
    fn tell(&self) {
        self.ended.notify_waiters();
    }

    /// Goes on to drain; there is no way back.
    pub(crate) fn drain(&self, how: Draining) {
        self.draining.fetch_max(how as u8, Ordering::Relaxed);
    }
}

/// What one worker thread owns. Nothing here is locked.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) buffers: Buffers,
    pub(crate) timers: Timers,
    pub(crate) pool: Pool,
    pub(crate) limits: Limits,
    /// Room for the head at hand: parsed and rewritten before anybody else gets a turn.
    pub(crate) request_head: RefCell<RequestHead>,
    pub(crate) response_head: RefCell<ResponseHead>,
    now: Cell<Moment>,
    world: RefCell<(u64, Arc<World>)>,
    calls: Cell<u64>,
    random: Cell<u64>,
    date: RefCell<(u64, [u8; 29])>,
}

impl Worker {
    pub(crate) fn new(index: usize, shared: Arc<Shared>) -> Worker {
        let world = shared.world();
        let bounds = shared.bounds;
        Worker {
            index,
            buffers: Buffers::new(bounds.buffer_bytes / shared.gauges.len().max(1) as u64),
            timers: Timers::new(shared.clock),
            pool: Pool::default(),
            limits: Limits { head_bytes: bounds.head_bytes as usize, fields: bounds.head_fields as usize },
            request_head: RefCell::default(),
            response_head: RefCell::default(),
            now: Cell::new(shared.clock.now()),
            world: RefCell::new((shared.version.load(Ordering::Acquire), world)),
            calls: Cell::new(0),
            random: Cell::new(net::random::seed() | 1),
            date: RefCell::new((u64::MAX, [0; 29])),
            shared,
        }
    }

    /// The present, as it was when this worker's turn at a connection began.
    pub(crate) fn now(&self) -> Moment {
        self.now.get()
    }

    /// Looks at the clock. A turn takes microseconds, so that once at its beginning is enough.
    pub(crate) fn look_at_clock(&self) -> Moment {
        let now = self.shared.clock.now();
        self.now.set(now);
        now
    }

    /// What all workers together may use at most.
    pub(crate) fn bounds(&self) -> &Bounds {
        &self.shared.bounds
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.shared.draining() == Draining::All
    }

    /// The world that a request which begins now lives in. Not to be held across a wait: what a request needs of it
    /// later it takes along in its route.
    pub(crate) fn world(&self) -> Ref<'_, World> {
        let version = self.shared.version.load(Ordering::Acquire);
        if self.world.borrow().0 != version {
            self.follow(version);
        }
        Ref::map(self.world.borrow(), |(_, world)| &**world)
    }

    #[cold]
    fn follow(&self, version: u64) {
        *self.world.borrow_mut() = (version, self.shared.world());
    }

    /// A number for a call that no other call of this sidecar has.
    pub(crate) fn next_call(&self) -> CallId {
        let number = self.calls.get() + 1;
        self.calls.set(number);
        CallId((self.index as u64) << 48 | number)
    }

    /// 64 random bits for identifiers (xorshift64*, Vigna 2016); not for secrets.
    pub(crate) fn random(&self) -> u64 {
        let mut x = self.random.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.random.set(x);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// The time of day for a `Date` field, written anew once a second.
    pub(crate) fn date(&self) -> [u8; 29] {
        let now = net::clock::unix_seconds();
        let mut date = self.date.borrow_mut();
        if date.0 != now {
            *date = (now, net::clock::http_date(now));
        }
        date.1
    }

    /// Keeps a connection for the next request to the same instance.
    pub(crate) fn keep(&self, address: SocketAddr, stream: TcpStream, until: Moment) {
        if !self.is_draining() {
            self.pool.give(address, stream, until, self.bounds().idle_per_endpoint);
        }
    }

    /// Tells the scrape how much is in use.
    pub(crate) fn report(&self) {
        if let Some(gauges) = self.shared.gauges.get(self.index) {
            gauges.buffer_bytes.store(self.buffers.lent_bytes(), Ordering::Relaxed);
            gauges.idle_upstream.store(self.pool.len(), Ordering::Relaxed);
            gauges.opened_upstream.store(self.pool.opened(), Ordering::Relaxed);
        }
    }
}
