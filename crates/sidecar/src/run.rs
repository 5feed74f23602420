//! The process: one thread that administers, and the worker's; several workers have a thread each.

use crate::accept::accept;
use crate::accesslog::AccessLog;
use crate::admin;
use crate::control_link::ask::Counter;
use crate::control_link::{Control, Link};
use crate::snapshot::Desks;
use crate::tape::Tapes;
use crate::worker::{Draining, Shared, Worker};
use model::Snapshot;
use net::clock::Clock;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

/// The access log is written at least so often while it has lines.
const LOG_PERIOD: Duration = Duration::from_millis(200);

/// How a sidecar is to run.
#[derive(Debug)]
pub struct Options {
    /// What it begins with.
    pub snapshot: Snapshot,
    /// The file that [`Options::snapshot`] was read from and that a reload reads again.
    pub file: Option<PathBuf>,
    /// Who tells what is new of the services; none: the snapshot is all there is.
    pub control: Option<Control>,
    /// Worker threads; at least one.
    pub workers: usize,
    /// Where administration listens; loopback.
    pub admin: Option<SocketAddr>,
    /// Where the access log goes; `-` is standard output.
    pub access_log: Option<PathBuf>,
    /// Where every step of every call is recorded.
    pub record: Option<PathBuf>,
    /// Decides every draw of the policies; none: the operating system's randomness.
    pub seed: Option<u64>,
    /// Whether standard input is a pipe whose end means that we are to stop at once.
    pub lifeline: bool,
}

/// What there is once a sidecar serves.
#[derive(Debug)]
pub struct Ready {
    /// Every listener's name and real address.
    pub listeners: Vec<(String, SocketAddr)>,
    /// Where administration really listens.
    pub admin: Option<SocketAddr>,
}

/// Why a sidecar could not start.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// An address could not be listened at.
    #[error("cannot listen at {address} for `{name}`: {error}; choose another address or stop what uses it")]
    Listen {
        /// The listener's name.
        name: String,
        /// Its address.
        address: SocketAddr,
        /// What the operating system said.
        error: io::Error,
    },
    /// A file could not be opened.
    #[error("cannot open {path}: {error}")]
    Open {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// A thread or a runtime could not be made.
    #[error("cannot start a worker: {0}")]
    Start(#[from] io::Error),
}

/// What a worker is told.
pub(crate) enum Order {
    /// Accept connections here too.
    Listen(Vec<(SocketAddr, TcpListener)>),
    /// Accept no more connections at addresses other than these, and forget connections to instances that left.
    Follow(Vec<SocketAddr>),
    /// Close idle connections to instances that are gone.
    Sweep,
    /// Say what is in use.
    Report,
    /// Close what is idle and accept nothing more.
    Drain,
}

/// The workers, as the administration sees them.
pub(crate) struct Workers {
    orders: RefCell<Vec<Sender>>,
    threads: RefCell<Vec<std::thread::JoinHandle<()>>>,
}

pub(crate) type Sender = mpsc::UnboundedSender<(Order, oneshot::Sender<()>)>;

impl Workers {
    /// Gives an order to every worker and waits until all have carried it out.
    pub(crate) async fn order(&self, mut make: impl FnMut(usize) -> Order) {
        let mut done = Vec::new();
        let workers = self.orders.borrow().clone();
        for (index, worker) in workers.into_iter().enumerate() {
            let (tell, told) = oneshot::channel();
            if worker.send((make(index), tell)).is_ok() {
                done.push(told);
            }
        }
        for told in done {
            // A worker that is gone has nothing left to carry out.
            let _ = told.await;
        }
    }
}

/// Runs a sidecar until it is told to stop. `ready` is called once everything listens. A second signal, or the end of
/// whoever holds the lifeline, ends it at once.
///
/// # Errors
/// [`Fault`] if it cannot start; once it serves it does not fail.
pub fn run(options: Options, ready: impl FnOnce(&Ready)) -> Result<(), Fault> {
    run_until(options, ready, std::future::pending())
}

/// [`run`] that also stops, drained as on a signal, when `stop` ends.
///
/// # Errors
/// As [`run`].
pub fn run_until(
    options: Options,
    ready: impl FnOnce(&Ready),
    stop: impl Future<Output = ()>,
) -> Result<(), Fault> {
    net::limits::raise_descriptors();
    let clock = Clock::start();
    let workers = options.workers.max(1);
    let mut snapshot = options.snapshot;
    let bound = bind(&mut snapshot, workers, &[])?;
    let log = options
        .access_log
        .as_deref()
        .map(|path| AccessLog::open(path).map_err(|error| Fault::Open { path: path.to_owned(), error }));
    let log = log.transpose()?;
    let seed = options.seed.unwrap_or_else(net::random::seed);
    let tapes = Tapes::open(options.record.as_deref())
        .map_err(|error| Fault::Open { path: options.record.clone().unwrap_or_default(), error })?;
    let mut desks = Desks::new(seed, tapes);
    let listeners = snapshot.listeners.iter().map(|l| (l.name.clone(), l.address)).collect();
    let local = snapshot.clone();
    let (link, counter) = link(options.control, &mut snapshot, clock).unzip();
    let world = desks.world(snapshot, clock.now());
    let shared = Arc::new(Shared::new(clock, world, log, counter, workers));
    count_panics(&shared);
    let admin_listener = options.admin.map(listen_admin).transpose()?;
    let admin = admin_listener.as_ref().and_then(|l| l.local_addr().ok());
    let runtime = runtime()?;
    let pool = start_workers(&shared, workers, bound, &runtime)?;
    let steering = admin::Steering::new(admin::Parts {
        shared,
        workers: pool,
        desks,
        local,
        file: options.file,
        link,
        count: workers,
        listener: admin_listener,
    });
    runtime.block_on(async {
        let steering = Rc::new(steering);
        steering.serve()?;
        steering.follow();
        ready(&Ready { listeners, admin });
        let (tell, told) = oneshot::channel();
        let hearing = hear(&steering, options.lifeline, tell);
        tokio::pin!(hearing);
        let ended = tokio::select! {
            biased;
            ended = &mut hearing => Some(ended),
            Ok(()) = told => None,
            () = stop => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            // Whoever told us may tell us once more, or be gone before all that is open has ended.
            None => tokio::select! {
                biased;
                ended = &mut hearing => ended,
                () = steering.stop() => Ok(()),
            },
        };
        steering.end();
        ended
    })
}

/// The link to the control plane, with what is known from the last time put into `snapshot`.
fn link(control: Option<Control>, snapshot: &mut Snapshot, clock: Clock) -> Option<(Rc<Link>, Counter)> {
    let (counter, questions) = Counter::open();
    let link = Link::open(control?, snapshot, questions, clock.now());
    snapshot.services = link.following.borrow().services(&snapshot.services);
    snapshot.version.push_str("+0");
    Some((Rc::new(link), counter))
}

fn listen_admin(address: SocketAddr) -> Result<TcpListener, Fault> {
    let bound =
        net::listen::bind(address, 1).and_then(|mut all| all.pop().ok_or(io::ErrorKind::Other.into()));
    bound.map_err(|error| Fault::Listen { name: "admin".to_owned(), address, error })
}

/// Binds the snapshot's listeners, but for those at addresses that are `known`, and writes the real addresses into
/// it.
pub(crate) fn bind(
    snapshot: &mut Snapshot,
    workers: usize,
    known: &[SocketAddr],
) -> Result<Vec<(SocketAddr, Vec<TcpListener>)>, Fault> {
    let mut bound = Vec::new();
    for listener in &mut snapshot.listeners {
        if known.contains(&listener.address) {
            continue;
        }
        let fault = |error| Fault::Listen { name: listener.name.clone(), address: listener.address, error };
        let sockets = net::listen::bind(listener.address, workers).map_err(fault)?;
        if let Some(address) = sockets.first().and_then(|s| s.local_addr().ok()) {
            listener.address = address;
        }
        bound.push((listener.address, sockets));
    }
    Ok(bound)
}

/// Hands each worker its own socket of every address.
pub(crate) fn share(
    bound: Vec<(SocketAddr, Vec<TcpListener>)>,
    workers: usize,
) -> Vec<Vec<(SocketAddr, TcpListener)>> {
    let mut shares: Vec<_> = (0..workers).map(|_| Vec::new()).collect();
    for (address, sockets) in bound {
        for (share, socket) in shares.iter_mut().zip(sockets) {
            share.push((address, socket));
        }
    }
    shares
}

/// A worker alone shares the thread of administration: in a process of one thread every system call is cheaper, as
/// the kernel need not count who uses a descriptor. Several have a thread each.
fn start_workers(
    shared: &Arc<Shared>,
    count: usize,
    bound: Vec<(SocketAddr, Vec<TcpListener>)>,
    here: &LocalRuntime,
) -> Result<Workers, Fault> {
    let workers = Workers { orders: RefCell::default(), threads: RefCell::default() };
    for (index, listeners) in share(bound, count).into_iter().enumerate() {
        let (send, receive) = mpsc::unbounded_channel();
        let shared = shared.clone();
        workers.orders.borrow_mut().push(send);
        if count == 1 {
            here.spawn_local(work(index, shared, listeners, receive));
            continue;
        }
        // Its runtime cannot be made here, but why it could not be made is to be told here.
        let (tell, told) = std::sync::mpsc::channel();
        let life = move || {
            let made = runtime().map(|runtime| {
                let _ = tell.send(Ok(()));
                runtime.block_on(work(index, shared, listeners, receive));
            });
            let _ = tell.send(made);
        };
        let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(life)?;
        told.recv().map_err(io::Error::other)??;
        workers.threads.borrow_mut().push(thread);
    }
    Ok(workers)
}

/// What the tasks of one thread run in: none of them ever goes to another.
pub(crate) fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread().enable_all().build_local(LocalOptions::default())
}

/// One worker's life: carries out orders until nobody gives any.
pub(crate) async fn work(
    index: usize,
    shared: Arc<Shared>,
    listeners: Vec<(SocketAddr, TcpListener)>,
    mut orders: mpsc::UnboundedReceiver<(Order, oneshot::Sender<()>)>,
) {
    let worker = Rc::new(Worker::new(index, shared));
    let mut accepting = HashMap::new();
    listen(&worker, &mut accepting, listeners);
    let alarm = worker.clone();
    tokio::task::spawn_local(async move { alarm.timers.run().await });
    tokio::task::spawn_local(sweep(worker.clone()));
    while let Some((order, done)) = orders.recv().await {
        match order {
            Order::Listen(more) => listen(&worker, &mut accepting, more),
            Order::Follow(addresses) => {
                let removed = accepting.extract_if(|address, _| !addresses.contains(address));
                stop_accepting(removed).await;
                sweep_now(&worker);
                worker.timers.wake_all();
            }
            Order::Sweep => drop(sweep_now(&worker)),
            Order::Report => worker.report(),
            Order::Drain => {
                stop_accepting(accepting.drain()).await;
                worker.pool.clear();
                worker.timers.wake_all();
            }
        }
        let _ = done.send(());
    }
}

/// A listener in use.
struct Accepting {
    /// Dropped: it is to end.
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

/// Ends listeners; afterwards they are closed.
async fn stop_accepting(listeners: impl Iterator<Item = (SocketAddr, Accepting)>) {
    let stopped = listeners.map(|(_, Accepting { stop, task })| {
        drop(stop);
        task
    });
    for task in stopped.collect::<Vec<_>>() {
        // One that panicked has ended too.
        let _ = task.await;
    }
}

fn listen(
    worker: &Rc<Worker>,
    accepting: &mut HashMap<SocketAddr, Accepting>,
    listeners: Vec<(SocketAddr, TcpListener)>,
) {
    for (address, listener) in listeners {
        // Only a socket that is not a socket could fail here.
        if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
            let (stop, stopped) = oneshot::channel();
            let stopped = async move {
                let _ = stopped.await;
            };
            let task = tokio::task::spawn_local(accept(worker.clone(), listener, address, stopped));
            accepting.insert(address, Accepting { stop, task });
        }
    }
}

fn sweep_now(worker: &Worker) -> model::Moment {
    let world = worker.world();
    let known: std::collections::HashSet<SocketAddr> = world.addresses().collect();
    worker.pool.sweep(worker.look_at_clock(), |address| known.contains(address))
}

/// Closes connections to instances that have been idle for too long.
async fn sweep(worker: Rc<Worker>) {
    let slot = worker.timers.take_slot();
    std::future::poll_fn(|cx| {
        worker.pool.set_sweeper(cx.waker());
        let next = sweep_now(&worker);
        worker.timers.set(slot, next, cx);
        Poll::<()>::Pending
    })
    .await;
}

/// Carries out signals. The first to stop is told; this ends with a second one, or with the end of whoever started us:
/// then there is nothing to wait for.
async fn hear(
    steering: &Rc<admin::Steering>,
    lifeline: bool,
    tell: oneshot::Sender<()>,
) -> Result<(), Fault> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut log = tokio::time::interval(LOG_PERIOD);
    let has_log = steering.shared.log.is_some();
    let mut tell = Some(tell);
    let end = net::lifeline::wait_for_end_of_input();
    tokio::pin!(end);
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {
                match steering.reload().await {
                    Ok(admin::Reloaded { later, .. }) => {
                        later.iter().for_each(|later| eprintln!("outrigger: {later}"));
                    }
                    Err(problem) => eprintln!("outrigger: not reloaded: {problem}"),
                }
                continue;
            }
            _ = log.tick(), if has_log => {
                steering.flush();
                continue;
            }
            // Whoever started us is gone and so is everything that we work for: nothing to drain for.
            () = &mut end, if lifeline => return Ok(()),
        }
        // Nobody who listens: it is stopping already.
        if tell.take().is_none_or(|tell| tell.send(()).is_err()) {
            return Ok(());
        }
    }
}

/// Counts panics beside what the default hook prints. A panic ends the connection that it happens on, no more.
fn count_panics(shared: &Arc<Shared>) {
    let shared = Arc::downgrade(shared);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if let Some(shared) = shared.upgrade() {
            shared.panics.fetch_add(1, Relaxed);
        }
        before(info);
    }));
}

impl Workers {
    /// Lets the workers end and waits for them.
    pub(crate) fn join(&self) {
        self.orders.borrow_mut().clear();
        for thread in self.threads.borrow_mut().drain(..) {
            // A worker that panicked has ended too.
            let _ = thread.join();
        }
    }
}

/// Waits until `done` or until `within` has passed; says which.
pub(crate) async fn wait_until(shared: &Shared, within: Duration, done: impl Fn() -> bool) -> bool {
    let deadline = tokio::time::Instant::now() + within;
    loop {
        let ended = shared.ended.notified();
        tokio::pin!(ended);
        ended.as_mut().enable();
        if done() {
            return true;
        }
        if tokio::time::timeout_at(deadline, ended).await.is_err() {
            return done();
        }
    }
}

/// Stops: lets what is in flight end, then cuts what is left.
pub(crate) async fn drain_all(shared: &Shared, workers: &Workers, within: Duration) -> bool {
    shared.drain(Draining::All);
    workers.order(|_| Order::Drain).await;
    wait_until(shared, within, || shared.connections.load(Relaxed) == 0).await
}
