//! A sidecar in this process, instances that play a script, callers that send exact bytes. Everything listens on a
//! loopback port that the system chose; whoever waits, waits for an event and not for longer than [`PATIENCE`].

use model::{
    App, Bounds, EdgeRoute, Endpoint, InstanceName, Listener, Peer as Answers, Role, Service, ServiceName,
    Settings, Snapshot,
};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Nothing here takes longer unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

pub fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// An address at which nobody listens, and nobody will: its port is held by a socket that does not listen.
pub fn nobody() -> SocketAddr {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(any_port()).unwrap();
    let address = socket.local_addr().unwrap();
    std::mem::forget(socket);
    address
}

/// An address at which nobody listens yet; no other test takes it, as all others use 127.0.0.1.
pub fn free() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 77], nobody().port()))
}

/// A service of these instances, which speak as sidecars do, with the settings that ship.
pub fn service(name: &str, to: &[SocketAddr]) -> Service {
    let name = ServiceName::new(name).unwrap();
    let endpoint = |(i, address): (usize, &SocketAddr)| Endpoint {
        name: name.instance(u32::try_from(i + 1).unwrap()),
        address: *address,
    };
    let endpoints = to.iter().enumerate().map(endpoint).collect();
    Service { endpoints, peer: Answers::Sidecar, settings: Settings::default(), name }
}

/// An edge that sends everything to the first service; an outbound side for all of them; a listener named after each.
pub fn edge(services: Vec<Service>) -> Snapshot {
    let listener = |name: &str, role| Listener { name: name.to_owned(), address: any_port(), role };
    let route = |s: &Service| EdgeRoute { prefix: "/".to_owned(), service: s.name.clone() };
    let mut listeners = vec![
        listener("edge", Role::Edge(services.first().map(route).into_iter().collect())),
        listener("outbound", Role::Outbound),
    ];
    for service in &services {
        listeners.push(listener(service.name.as_str(), Role::Service(service.name.clone())));
    }
    Snapshot {
        version: "1".to_owned(),
        environment: "test".to_owned(),
        service: None,
        instance: None,
        listeners,
        app: None,
        services,
        bounds: Bounds { drain: Duration::from_secs(5), ..Bounds::default() },
    }
}

/// The sidecar of an app: inbound beside what [`edge`] has.
pub fn beside(app: SocketAddr, services: Vec<Service>) -> Snapshot {
    let mut snapshot = edge(services);
    snapshot.listeners.retain(|l| l.name != "edge");
    snapshot.listeners.push(Listener {
        name: "inbound".to_owned(),
        address: any_port(),
        role: Role::Inbound,
    });
    snapshot.service = Some(ServiceName::new("shop").unwrap());
    snapshot.instance = Some(InstanceName::new("shop-1").unwrap());
    snapshot.app = Some(App { address: app, settings: Settings::default() });
    snapshot
}

fn options(snapshot: Snapshot) -> sidecar::Options {
    sidecar::Options {
        snapshot,
        file: None,
        control: None,
        workers: 1,
        admin: Some(any_port()),
        access_log: None,
        record: None,
        seed: Some(1),
        lifeline: false,
    }
}

/// A sidecar that runs until this is dropped.
pub struct Sidecar {
    listeners: Vec<(String, SocketAddr)>,
    pub admin: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sidecar {
    pub fn start(snapshot: Snapshot) -> Sidecar {
        Sidecar::start_with(snapshot, None, 1)
    }

    pub fn start_with(snapshot: Snapshot, file: Option<PathBuf>, workers: usize) -> Sidecar {
        Sidecar::start_as(snapshot, file, None, workers)
    }

    /// One that follows the control plane at this address.
    pub fn following(snapshot: Snapshot, plane: SocketAddr) -> Sidecar {
        let address = plane.to_string();
        let control = sidecar::Control { address, credential: None, last_known_good: None };
        Sidecar::start_as(snapshot, None, Some(control), 1)
    }

    pub fn start_as(
        snapshot: Snapshot,
        file: Option<PathBuf>,
        control: Option<sidecar::Control>,
        workers: usize,
    ) -> Sidecar {
        Sidecar::run(sidecar::Options { file, control, workers, ..options(snapshot) })
    }

    /// One with an access log.
    pub fn logged(snapshot: Snapshot, log: PathBuf) -> Sidecar {
        Sidecar::run(sidecar::Options { access_log: Some(log), ..options(snapshot) })
    }

    fn run(options: sidecar::Options) -> Sidecar {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let ready = |ready: &sidecar::Ready| {
                tell.send((ready.listeners.clone(), ready.admin.unwrap())).unwrap();
            };
            let until = async move {
                let _ = stopped.await;
            };
            sidecar::run_until(options, ready, until).unwrap();
        });
        let (listeners, admin) = told.recv_timeout(PATIENCE).expect("the sidecar starts");
        Sidecar { listeners, admin, stop: Some(stop), thread: Some(thread) }
    }

    /// Where the listener of that name listens.
    pub fn at(&self, name: &str) -> SocketAddr {
        self.listeners.iter().find(|(n, _)| n == name).expect("there is such a listener").1
    }

    /// A new connection to the listener of that name.
    pub fn caller(&self, name: &str) -> Peer {
        Peer::connect(self.at(name))
    }

    /// A page of the administration.
    pub fn page(&self, path: &str) -> Answer {
        self.admin("GET", path)
    }

    pub fn admin(&self, method: &str, path: &str) -> Answer {
        let mut peer = Peer::connect(self.admin);
        peer.send(&format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        peer.answer()
    }

    /// The sum of the metric's values whose labels hold all of `with`.
    pub fn metric(&self, name: &str, with: &[&str]) -> f64 {
        let page = self.page("/metrics");
        metrics(&page.text())
            .into_iter()
            .filter(|(n, labels, _)| n == name && with.iter().all(|w| labels.contains(w)))
            .map(|(_, _, value)| value)
            .sum()
    }

    /// Waits until nothing is in flight, pending or held, and says what is if that does not happen.
    pub fn comes_to_rest(&self) {
        let mut seen = String::new();
        let quiet = eventually(|| {
            let clusters = self.page("/clusters").text();
            let busy = clusters.lines().any(|line| {
                let counts = line.split(' ').filter_map(|w| w.split_once('='));
                counts.filter(|(k, _)| matches!(*k, "in-flight" | "queue" | "pending")).any(|(_, v)| v != "0")
            });
            let buffers = self.metric("outrigger_buffer_bytes", &[]);
            seen = format!("{clusters}\nbuffer_bytes={buffers}");
            !busy && buffers == 0.0
        });
        assert!(quiet, "it does not come to rest:\n{seen}");
    }

    /// Orders it to stop, and returns before it has.
    pub fn begin_to_stop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }

    pub fn has_stopped(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.begin_to_stop();
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(matches!(ended, None | Some(Ok(()))), "the sidecar panicked");
        }
    }
}

/// Name, labels and value of each line of a page of metrics; panics where it is not one.
pub fn metrics(page: &str) -> Vec<(String, String, f64)> {
    let mut all = Vec::new();
    let mut kinds = std::collections::HashMap::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type line has a name and a kind");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "a second {line}");
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
            let (name, labels) = series.split_once('{').map_or((series, ""), |(n, l)| {
                (n, l.strip_suffix('}').unwrap_or_else(|| panic!("no closing brace: {line}")))
            });
            for label in labels.split("\",").filter(|l| !l.is_empty()) {
                let (_, text) = label.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
                assert!(!text.trim_end_matches('"').contains('"'), "{line}");
            }
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s));
            let known = kinds.contains_key(name)
                || base.is_some_and(|b| kinds.get(b).is_some_and(|k| k == "histogram"));
            assert!(known, "no type for {line}");
            let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            all.push((name.to_owned(), labels.to_owned(), value));
        }
    }
    all
}

/// Asks until the answer is yes, for as long as our patience lasts. What is asked takes a round trip, so that this
/// does not spin.
pub fn eventually(mut question: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if question() {
            return true;
        }
        std::thread::yield_now();
    }
    question()
}

/// One end of a connection.
pub struct Peer {
    pub stream: TcpStream,
    buffer: Vec<u8>,
    /// Which connection of its instance this is, from 0.
    pub number: usize,
    heads: Option<mpsc::Sender<String>>,
}

/// How a message that was read ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Where its framing says.
    Whole,
    /// The connection ended before that.
    Truncated,
    /// The connection was reset.
    Reset,
}

/// A message that was read.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    pub trailers: String,
    pub end: End,
}

impl Answer {
    pub fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn reason(&self) -> &str {
        self.field("outrigger-reason").unwrap_or("")
    }
}

/// The value of a field in a head; panics if it stands there twice.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let named = |line: &'a str| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name));
    let mut all = head.lines().filter_map(named).map(|(_, value)| value);
    let first = all.next();
    assert_eq!(all.next(), None, "{name} stands twice in {head}");
    first
}

impl Peer {
    pub fn connect(to: SocketAddr) -> Peer {
        Peer::new(TcpStream::connect_timeout(&to, PATIENCE).unwrap(), 0, None)
    }

    fn new(stream: TcpStream, number: usize, heads: Option<mpsc::Sender<String>>) -> Peer {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Peer { stream, buffer: Vec::new(), number, heads }
    }

    pub fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Says that nothing more will be sent.
    pub fn shut(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Closes the connection with a reset.
    pub fn reset(self) {
        reset_on_close(&self.stream);
    }

    /// Reads more; the end or its error.
    fn more(&mut self) -> Result<(), End> {
        let mut room = [0u8; 16 << 10];
        match self.stream.read(&mut room) {
            Ok(0) => Err(End::Truncated),
            Ok(count) => {
                self.buffer.extend_from_slice(room.get(..count).unwrap());
                Ok(())
            }
            Err(e) if e.kind() == ErrorKind::ConnectionReset => Err(End::Reset),
            Err(e) => panic!("nothing came: {e}; so far {:?}", String::from_utf8_lossy(&self.buffer)),
        }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        self.buffer.drain(..count).collect()
    }

    /// A head with its empty line; none if the connection ends before one begins.
    pub fn head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = String::from_utf8(self.take(at + 4)).unwrap();
                if let Some(heads) = &self.heads {
                    let _ = heads.send(head.clone());
                }
                return Some(head);
            }
            self.more().ok()?;
        }
    }

    pub fn exactly(&mut self, count: usize) -> Result<Vec<u8>, End> {
        while self.buffer.len() < count {
            self.more()?;
        }
        Ok(self.take(count))
    }

    fn line(&mut self) -> Result<String, End> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                let line = self.take(at + 2);
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.more()?;
        }
    }

    /// Everything until the connection ends.
    pub fn rest(&mut self) -> (Vec<u8>, End) {
        loop {
            if let Err(end) = self.more() {
                return (std::mem::take(&mut self.buffer), end);
            }
        }
    }

    /// Whether the connection ended, and nothing came before that.
    pub fn is_over(&mut self) -> bool {
        self.rest().0.is_empty()
    }

    fn body(&mut self, head: &str, message: &mut Answer, until_close: bool) {
        let length = field(head, "content-length").and_then(|n| n.parse().ok());
        let ended = if field(head, "transfer-encoding").is_some() {
            self.chunks(message)
        } else if let Some(length) = length {
            while self.buffer.len() < length {
                if let Err(end) = self.more() {
                    message.body = std::mem::take(&mut self.buffer);
                    message.end = end;
                    return;
                }
            }
            message.body = self.take(length);
            Ok(())
        } else if until_close {
            let (body, end) = self.rest();
            message.body = body;
            if end == End::Reset { Err(end) } else { Ok(()) }
        } else {
            Ok(())
        };
        message.end = ended.err().unwrap_or(End::Whole);
    }

    fn chunks(&mut self, message: &mut Answer) -> Result<(), End> {
        loop {
            let size = usize::from_str_radix(&self.line()?, 16).unwrap();
            if size == 0 {
                break;
            }
            let chunk = self.exactly(size + 2)?;
            assert!(chunk.ends_with(b"\r\n"));
            message.body.extend_from_slice(chunk.get(..size).unwrap());
        }
        loop {
            match self.line()?.as_str() {
                "" => return Ok(()),
                line => message.trailers.push_str(&format!("{line}\n")),
            }
        }
    }

    /// The next response.
    pub fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    /// The next response, to a request with that method.
    pub fn answer_to(&mut self, method: &str) -> Answer {
        let head = self.head().expect("an answer comes");
        let status: u16 = head.get(9..12).and_then(|s| s.parse().ok()).expect("a status");
        let mut answer = Answer { status, head, body: Vec::new(), trailers: String::new(), end: End::Whole };
        if status >= 200 && !matches!(status, 204 | 304) && method != "HEAD" {
            let head = answer.head.clone();
            self.body(&head, &mut answer, true);
        }
        answer
    }

    pub fn ask(&mut self, request: &str) -> Answer {
        self.send(request);
        self.answer_to(request.split(' ').next().unwrap())
    }

    /// `GET path` on a connection that stays.
    pub fn get(&mut self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"))
    }

    pub fn post(&mut self, path: &str, body: &str) -> Answer {
        let length = body.len();
        self.ask(&format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n{body}"))
    }

    /// The next request with its body; none if the connection ends.
    pub fn request(&mut self) -> Option<Answer> {
        let head = self.head()?;
        let mut request =
            Answer { status: 0, head, body: Vec::new(), trailers: String::new(), end: End::Whole };
        let head = request.head.clone();
        self.body(&head, &mut request, false);
        Some(request)
    }
}

/// Closing then sends a reset and not an end.
fn reset_on_close(stream: &TcpStream) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let _guard = runtime.enter();
    let copy = stream.try_clone().unwrap();
    copy.set_nonblocking(true).unwrap();
    let copy = tokio::net::TcpStream::from_std(copy).unwrap();
    copy.set_zero_linger().unwrap();
}

/// An instance that plays a script on each connection.
pub struct Instance {
    pub address: SocketAddr,
    /// The head of each request as it comes.
    pub heads: mpsc::Receiver<String>,
    pub connections: Arc<AtomicUsize>,
    /// Bodies and whatever else a script wants to tell.
    pub told: Arc<Mutex<Vec<String>>>,
}

impl Instance {
    /// Plays `script` on each connection, in a thread of its own.
    pub fn start(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Instance {
        Instance::telling(move |peer, _| script(peer))
    }

    pub fn telling(script: impl Fn(&mut Peer, &Mutex<Vec<String>>) + Send + Sync + 'static) -> Instance {
        let listener = TcpListener::bind(any_port()).unwrap();
        let address = listener.local_addr().unwrap();
        let (send, heads) = mpsc::channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let told = Arc::new(Mutex::new(Vec::new()));
        let (script, counted, tell) = (Arc::new(script), connections.clone(), told.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let number = counted.fetch_add(1, Ordering::SeqCst);
                let mut peer = Peer::new(stream, number, Some(send.clone()));
                // An idle connection may wait for its next request for as long as a test takes.
                peer.stream.set_read_timeout(None).unwrap();
                let (script, tell) = (script.clone(), tell.clone());
                std::thread::spawn(move || script(&mut peer, &tell));
            }
        });
        Instance { address, heads, connections, told }
    }

    /// Answers every request with the same.
    pub fn answering(answer: &'static str) -> Instance {
        Instance::start(move |peer| {
            while peer.request().is_some() {
                peer.send(answer);
            }
        })
    }

    /// Answers the first request on each connection with `answer` and closes.
    pub fn once(answer: &'static str) -> Instance {
        Instance::start(move |peer| {
            if peer.request().is_some() {
                peer.send(answer);
            }
        })
    }

    /// Waits for the head of the next request.
    pub fn next_head(&self) -> String {
        self.heads.recv_timeout(PATIENCE).expect("a request comes")
    }

    /// How many requests have come that were not taken by [`Instance::next_head`].
    pub fn pending_heads(&self) -> usize {
        self.heads.try_iter().count()
    }

    pub fn connected(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}
