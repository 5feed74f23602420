//! Administration of one sidecar: readiness, metrics, what it knows, reload and drain. Loopback only.

use crate::accesslog::UNKNOWN;
use crate::control_link::Link;
use crate::record::{Counted, Page};
use crate::run::{Order, Workers, bind, drain_all, share, wait_until};
use crate::series;
use crate::snapshot::{Desks, World};
use crate::worker::{Draining, Shared};
use model::{Bounds, Direction, Listener, Moment, Snapshot};
use net::admin::{Request, Response};
use policy::Census;
use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How long `POST /drain` waits when it is not told.
const DRAIN_AT_MOST: Duration = Duration::from_secs(10);

/// How long the end waits for whoever takes the access log.
const LOG_AT_MOST: Duration = Duration::from_secs(1);

/// Said when a snapshot that is read again has other bounds.
const BOUNDS_LATER: &str = "the bounds stay as they were, but for drain: others take a start of the sidecar";

/// A snapshot that was read again, and is used.
pub(crate) struct Reloaded {
    version: String,
    /// What of it is not used before the sidecar is started again.
    pub(crate) later: Option<&'static str>,
}

/// Everything that is needed to change a running sidecar.
pub(crate) struct Steering {
    pub(crate) shared: Arc<Shared>,
    workers: Workers,
    desks: RefCell<Desks>,
    /// What the file says, with the addresses where it really listens.
    local: RefCell<Snapshot>,
    file: Option<PathBuf>,
    link: Option<Rc<Link>>,
    count: usize,
    listener: RefCell<Option<TcpListener>>,
    /// How often something was adopted, and when the last time.
    adopted: Cell<(u64, Moment)>,
    reloading: tokio::sync::Mutex<()>,
}

/// What a sidecar is made of when it begins.
pub(crate) struct Parts {
    pub(crate) shared: Arc<Shared>,
    pub(crate) workers: Workers,
    pub(crate) desks: Desks,
    pub(crate) local: Snapshot,
    pub(crate) file: Option<PathBuf>,
    pub(crate) link: Option<Rc<Link>>,
    pub(crate) count: usize,
    pub(crate) listener: Option<TcpListener>,
}

impl Steering {
    pub(crate) fn new(parts: Parts) -> Steering {
        let Parts { shared, workers, desks, local, file, link, count, listener } = parts;
        let adopted = Cell::new((0, shared.clock.now()));
        let (desks, local, listener) = (RefCell::new(desks), RefCell::new(local), RefCell::new(listener));
        let reloading = tokio::sync::Mutex::default();
        Steering { shared, workers, desks, local, file, link, count, listener, adopted, reloading }
    }

    /// Begins to answer.
    pub(crate) fn serve(self: &Rc<Self>) -> std::io::Result<()> {
        let Some(listener) = self.listener.borrow_mut().take() else { return Ok(()) };
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let steering = self.clone();
        tokio::task::spawn_local(net::admin::serve(listener, move |request| {
            let steering = steering.clone();
            async move { steering.answer(request).await }
        }));
        Ok(())
    }

    /// Begins to follow the control plane, where there is one.
    pub(crate) fn follow(self: &Rc<Self>) {
        if let Some(link) = &self.link {
            link.start(self);
        }
    }

    async fn answer(&self, request: Request) -> Response {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/ready") => self.ready(),
            ("GET", "/metrics") => self.metrics().await,
            ("GET", "/config_dump") => {
                Response::json(200, wire::files::encode_snapshot(&self.shared.world().snapshot))
            }
            ("GET", "/clusters") => Response::text(200, self.clusters()),
            ("GET", "/control") => match &self.link {
                Some(link) => Response::text(200, link.page(self.shared.clock.now())),
                None => Response::text(404, "this sidecar follows no control plane\n"),
            },
            ("POST", "/reload") => match self.reload().await {
                Ok(Reloaded { version, later: None }) => Response::text(200, format!("{version}\n")),
                Ok(Reloaded { version, later: Some(later) }) => {
                    Response::text(200, format!("{version}\n{later}\n"))
                }
                Err(problem) => Response::text(400, format!("{problem}\n")),
            },
            ("POST", "/drain") => self.drain(&request).await,
            ("GET", "/") => Response::text(
                200,
                "GET /ready /metrics /config_dump /clusters /control\nPOST /reload /drain\n",
            ),
            (_, "/ready" | "/metrics" | "/config_dump" | "/clusters" | "/control" | "/reload" | "/drain") => {
                Response::text(405, "this page is read with GET; reload and drain are ordered with POST\n")
            }
            _ => Response::text(404, "there is no such page; GET / lists them\n"),
        }
    }

    fn ready(&self) -> Response {
        if self.shared.draining() != Draining::No {
            return Response::text(503, "draining\n");
        }
        match self.link.as_ref().and_then(|link| link.not_ready()) {
            None => Response::text(200, format!("ready {}\n", self.shared.world().snapshot.version)),
            Some(why) => Response::text(503, format!("{why}\n")),
        }
    }

    /// Reads the snapshot file again. What is wrong with it leaves everything as it is.
    pub(crate) async fn reload(&self) -> Result<Reloaded, String> {
        let _one_at_a_time = self.reloading.lock().await;
        let Some(file) = &self.file else {
            return Err("this sidecar was started without a snapshot file".to_owned());
        };
        // A large file takes milliseconds to read; the worker may share this thread.
        let file = file.clone();
        let read = tokio::task::spawn_blocking(move || read_snapshot(&file)).await;
        let mut snapshot = read.map_err(|broken| broken.to_string())??;
        let before = self.shared.world();
        keep_ports(&mut snapshot.listeners, &before.snapshot.listeners);
        let known: Vec<SocketAddr> = before.entrances.iter().map(|(address, _)| *address).collect();
        let bound = bind(&mut snapshot, self.count, &known).map_err(|fault| fault.to_string())?;
        if let Some(link) = &self.link {
            link.on_local(&snapshot);
        }
        let now = Bounds { drain: self.shared.bounds.drain, ..snapshot.bounds };
        let later = (now != self.shared.bounds).then_some(BOUNDS_LATER);
        let version = self.adopt(snapshot);
        let addresses: Vec<SocketAddr> =
            self.shared.world().entrances.iter().map(|(address, _)| *address).collect();
        let mut shares = share(bound, self.count);
        self.workers
            .order(|index| Order::Listen(shares.get_mut(index).map(std::mem::take).unwrap_or_default()))
            .await;
        self.workers.order(|_| Order::Follow(addresses.clone())).await;
        Ok(Reloaded { version, later })
    }

    /// Uses from now on what the file says, together with what the control plane has told.
    fn adopt(&self, local: Snapshot) -> String {
        let now = self.shared.clock.now();
        let count = self.adopted.get().0 + 1;
        let mut snapshot = local.clone();
        if let Some(link) = &self.link {
            snapshot.services = link.following.borrow().services(&local.services);
            snapshot.version = format!("{}+{count}", local.version);
        }
        *self.local.borrow_mut() = local;
        let version = snapshot.version.clone();
        let world = self.desks.borrow_mut().world(snapshot, now);
        self.shared.adopt(world);
        self.adopted.set((count, now));
        version
    }

    /// Uses what the control plane has told, if that is news. After this no request that begins goes by what it took
    /// back.
    pub(crate) fn adopt_known(&self) -> bool {
        let Some(link) = &self.link else { return false };
        let local = self.local.borrow().clone();
        let services = link.following.borrow().services(&local.services);
        let is_news = services != self.shared.world().snapshot.services;
        if is_news {
            self.adopt(local);
        }
        link.following.borrow_mut().on_adopted();
        is_news
    }

    /// Closes idle connections to instances that are gone.
    pub(crate) async fn sweep(&self) {
        self.workers.order(|_| Order::Sweep).await;
    }

    /// Writes what is known of services for the next start.
    pub(crate) fn keep(&self) {
        if let Some(link) = &self.link {
            link.keep_now(self.shared.clock.now());
        }
    }

    /// Refuses new requests for the app, and waits until none is in flight.
    async fn drain(&self, request: &Request) -> Response {
        let within = match request.query_value("within").map(seconds) {
            None => DRAIN_AT_MOST,
            Some(Some(within)) => within,
            Some(None) => return Response::text(400, "write `within` as seconds: ?within=10s\n"),
        };
        self.shared.drain(Draining::Inbound);
        let world = self.shared.world();
        let inbound: Vec<_> = world.targets().filter(|t| t.direction == Direction::Inbound).collect();
        let quiet = || inbound.iter().all(|target| target.desk.is_quiet());
        if wait_until(&self.shared, within, quiet).await {
            return Response::text(200, "drained\n");
        }
        let now = self.shared.clock.now();
        let left: u32 = inbound.iter().map(|target| target.desk.census(now).in_flight).sum();
        Response::text(200, format!("{left} left after {} s\n", within.as_secs_f64()))
    }

    /// Writes what is gathered.
    pub(crate) fn flush(&self) {
        if let Some(log) = &self.shared.log {
            log.flush();
        }
    }

    /// Drains it as far as the bounds allow.
    pub(crate) async fn stop(&self) {
        // Whoever loses patience with us must not find less than there was.
        self.keep();
        let within = self.shared.world().snapshot.bounds.drain;
        drain_all(&self.shared, &self.workers, within).await;
    }

    /// Ends it: what is known and gathered is written, what is still open is cut.
    pub(crate) fn end(&self) {
        self.keep();
        if let Some(log) = &self.shared.log {
            let left = log.finish(LOG_AT_MOST);
            if left > 0 {
                eprintln!("outrigger: {left} lines of the access log were not written: nobody takes them");
            }
        }
        self.shared.world().targets().for_each(|target| target.desk.flush_tape());
        self.workers.join();
    }

    fn clusters(&self) -> String {
        let now = self.shared.clock.now();
        let mut text = String::new();
        for target in self.shared.world().targets() {
            let service = &target.name;
            let census = target.desk.census(now);
            let _ = writeln!(
                text,
                "{} {service} in-flight={} queue={} retry-budget={:.2}{}",
                target.direction.word(),
                census.in_flight,
                census.queue,
                census.retry_budget,
                if census.panic { " panic" } else { "" }
            );
            for (endpoint, view) in target.desk.endpoints(now) {
                let latency =
                    view.latency.map_or("unknown".to_owned(), |l| format!("{:.1} ms", l.as_secs_f64() * 1e3));
                let _ = writeln!(
                    text,
                    "  {} {} {} latency={latency} pending={}",
                    endpoint.name,
                    endpoint.address,
                    view.state.word(),
                    view.pending
                );
            }
            for (endpoint, note) in target.desk.recent_notes() {
                let name = endpoint.as_ref().map_or("-".to_owned(), |e| e.name.to_string());
                let ago = now.since(note.at).as_secs_f64();
                let _ = writeln!(
                    text,
                    "    {ago:.1} s ago: {name} {} ({})",
                    note.change.word(),
                    note.cause.word()
                );
            }
        }
        text
    }

    async fn metrics(&self) -> Response {
        self.workers.order(|_| Order::Report).await;
        let shared = &self.shared;
        let now = shared.clock.now();
        let world = shared.world();
        let mut page = Page::default();
        // What was refused before its service was known has come from a caller, through any listener.
        let (direction, counts) = (Direction::Inbound, &shared.strays);
        let mut all = vec![Counted { direction, service: UNKNOWN, counts, census: None }];
        all.extend(world.targets().map(|target| {
            let (service, census) = (target.name.as_str(), Some(target.desk.census(now)));
            Counted { direction: target.direction, service, counts: &target.counts, census }
        }));
        all.sort_by_key(|of| of.direction);
        let rest = all.split_off(series::named(&all));
        let (counts, census) = series::merged(&rest);
        if !rest.is_empty() {
            let (direction, census) = (Direction::Outbound, Some(census));
            all.push(Counted { direction, service: series::OTHERS, counts: &counts, census });
        }
        page.requests(&all);
        states(&mut page, &all);
        self.resources(&mut page, &world);
        Response {
            status: 200,
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            body: page.finish(),
        }
    }

    fn resources(&self, page: &mut Page, world: &World) {
        let shared = &self.shared;
        let bounds = &shared.bounds;
        let sum = |of: fn(&crate::worker::Gauges) -> u64| shared.gauges.iter().map(of).sum::<u64>();
        page.family("connections", "gauge", "Open connections.");
        page.value("connections", "side=\"callers\"", shared.connections.load(Relaxed));
        page.value("connections", "side=\"instances\"", sum(|g| g.idle_upstream.load(Relaxed)));
        page.family("connections_limit", "gauge", "How many connections may be open.");
        page.value("connections_limit", "side=\"callers\"", bounds.connections);
        page.family("connections_opened_total", "counter", "Connections that were opened to instances.");
        page.value("connections_opened_total", "", sum(|g| g.opened_upstream.load(Relaxed)));
        page.family("buffer_bytes", "gauge", "Bytes in buffers that are in use.");
        page.value("buffer_bytes", "", sum(|g| g.buffer_bytes.load(Relaxed)));
        page.family("buffer_bytes_limit", "gauge", "How many bytes may be in buffers.");
        page.value("buffer_bytes_limit", "", bounds.buffer_bytes);
        if let Some(open) = net::limits::open_descriptors() {
            page.family("descriptors", "gauge", "Open file descriptors.");
            page.value("descriptors", "", open);
        }
        page.family("descriptors_limit", "gauge", "How many file descriptors may be open.");
        page.value("descriptors_limit", "", net::limits::raise_descriptors());
        self.knowledge(page);
        page.family("snapshot_info", "gauge", "Which snapshot is in use.");
        let version = world.snapshot.version.replace(['"', '\\', '\n'], "_");
        page.value("snapshot_info", &format!("version=\"{version}\""), 1);
        page.family(
            "context_lost_total",
            "counter",
            "Calls of the app that carried no id of the request they are for.",
        );
        page.value("context_lost_total", "", shared.context_lost.load(Relaxed));
        page.family("panics_total", "counter", "Connections that ended in a panic.");
        page.value("panics_total", "", shared.panics.load(Relaxed));
        page.family(
            "log_lines_dropped_total",
            "counter",
            "Lines of the access log that could not be written.",
        );
        page.value("log_lines_dropped_total", "", shared.log.as_ref().map_or(0, |l| l.dropped()));
        page.family("build_info", "gauge", "What was built.");
        page.value("build_info", &format!("version=\"{}\"", env!("CARGO_PKG_VERSION")), 1);
    }

    /// How it stands with the control plane.
    fn knowledge(&self, page: &mut Page) {
        let now = self.shared.clock.now();
        let link = self.link.as_ref();
        let age =
            link.map_or_else(|| now.since(self.adopted.get().1), |link| link.following.borrow().age(now));
        page.family(
            "snapshot_age_seconds",
            "gauge",
            "For how long it has not been certain that what is known is current; without a control plane, since the file was read.",
        );
        page.value("snapshot_age_seconds", "", age.as_secs_f64());
        let counted = link.map(|link| link.following.borrow().counted());
        page.family("control_connected", "gauge", "Whether a control plane is followed at this moment.");
        if let Some(link) = link {
            page.value("control_connected", "", u8::from(link.following.borrow().is_connected()));
        }
        page.family("control_updates_total", "counter", "Updates that the control plane has sent.");
        counted.iter().for_each(|counted| page.value("control_updates_total", "", counted.updates));
        page.family(
            "control_rejected_total",
            "counter",
            "Resources that the control plane has sent and that could not be used.",
        );
        counted.iter().for_each(|counted| page.value("control_rejected_total", "", counted.rejected));
        page.family(
            "control_unknown_types_total",
            "counter",
            "Updates of a type that this release does not know.",
        );
        counted
            .iter()
            .for_each(|counted| page.value("control_unknown_types_total", "", counted.unknown_types));
    }
}

/// One gauge of the books: its name, its help, its value.
type Gauge = (&'static str, &'static str, fn(&Census) -> f64);

fn states(page: &mut Page, all: &[Counted<'_>]) {
    let all: Vec<_> = all.iter().filter_map(|of| of.census.map(|census| (of, census))).collect();
    let gauges: [Gauge; 3] = [
        ("in_flight", "Requests that hold a slot.", |c| f64::from(c.in_flight)),
        ("queue_length", "Requests that wait for a slot.", |c| f64::from(c.queue)),
        ("limit", "How many requests may hold a slot.", |c| c.limit.map_or(f64::INFINITY, f64::from)),
    ];
    for (name, help, value) in gauges {
        page.family(name, "gauge", help);
        for (of, census) in &all {
            let labels = of.labels();
            match value(census) {
                f64::INFINITY => page.value(name, &labels, "+Inf"),
                number => page.value(name, &labels, number),
            }
        }
    }
    page.family("endpoint_state", "gauge", "Endpoints by state.");
    for (of, census) in all.iter().filter(|(of, _)| of.direction == Direction::Outbound) {
        for (state, count) in [
            ("admitting", census.admitting),
            ("slow-start", census.slow_start),
            ("resting", census.resting),
            ("probing", census.probing),
            ("ejected", census.ejected),
        ] {
            page.value("endpoint_state", &format!("service=\"{}\",state=\"{state}\"", of.service), count);
        }
    }
    page.family("retry_budget_ratio", "gauge", "How much of the retry budget is left, from 0 to 1.");
    for (of, census) in all.iter().filter(|(of, _)| of.direction == Direction::Outbound) {
        page.value("retry_budget_ratio", &format!("service=\"{}\"", of.service), census.retry_budget);
    }
}

/// A listener that may have any port keeps the one that it got.
fn keep_ports(listeners: &mut [Listener], before: &[Listener]) {
    for listener in listeners.iter_mut().filter(|listener| listener.address.port() == 0) {
        let same = |old: &&Listener| old.name == listener.name && old.address.ip() == listener.address.ip();
        if let Some(old) = before.iter().find(same) {
            listener.address = old.address;
        }
    }
}

fn read_snapshot(file: &Path) -> Result<Snapshot, String> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|e| format!("cannot read {name}: {e}"))?;
    wire::files::decode_snapshot(&text, &name).map_err(|problems| problems.to_string())
}

/// `10s`, `0.5s` or `10`.
fn seconds(text: &str) -> Option<Duration> {
    let number: f64 = text.strip_suffix('s').unwrap_or(text).parse().ok()?;
    (0.0..=3600.0).contains(&number).then(|| Duration::from_secs_f64(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_wait_is_read() {
        assert_eq!(seconds("10s"), Some(Duration::from_secs(10)));
        assert_eq!(seconds("0.5"), Some(Duration::from_millis(500)));
        for bad in ["", "s", "-1s", "soon", "NaN", "1e9"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
