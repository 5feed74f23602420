//! A control plane with its listeners on a thread of its own.

use api::{Client, Registration, ask};
use control::store::Store;
use control::{Options, Plane};
use net::admin::{Response, Takes, serve_until};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

/// Long enough for anything that happens at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Stage {
    pub(crate) plane: Plane,
    pub(crate) api: SocketAddr,
    pub(crate) delivery: SocketAddr,
    pub(crate) folder: TempDir,
    credentials: RefCell<BTreeMap<String, String>>,
    asked: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

/// An instance on this machine.
pub(crate) fn registration(session: u64, service: &str, port: u16) -> Registration {
    Registration { session, service: service.into(), address: format!("127.0.0.1:{port}"), incarnation: 1 }
}

impl Stage {
    pub(crate) fn begin() -> Stage {
        Stage::in_folder(tempfile::tempdir().unwrap(), |options| options)
    }

    pub(crate) fn in_folder(folder: TempDir, change: impl FnOnce(Options) -> Options) -> Stage {
        let options = change(Options::new("test", folder.path()));
        Stage::of(folder, Plane::open(options).unwrap())
    }

    pub(crate) fn with_store(store: impl Store + 'static) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let plane = Plane::open_with(Options::new("test", folder.path()), store).unwrap();
        Stage::of(folder, plane)
    }

    fn of(folder: TempDir, plane: Plane) -> Stage {
        let api = TcpListener::bind("127.0.0.1:0").unwrap();
        let delivery = TcpListener::bind("127.0.0.1:0").unwrap();
        let (at, delivered) = (api.local_addr().unwrap(), delivery.local_addr().unwrap());
        plane.set_delivery(delivered);
        let asked = Arc::new(AtomicUsize::new(0));
        let (served, count) = (plane.clone(), asked.clone());
        let thread = std::thread::spawn(move || serve(&served, api, delivery, &count));
        let credentials = RefCell::default();
        Stage { plane, api: at, delivery: delivered, folder, credentials, asked, thread }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.api)
    }

    /// The join token that the plane makes at its first start.
    pub(crate) fn first_token(&self) -> String {
        let path: PathBuf = runtime().block_on(self.plane.join_token()).unwrap();
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }

    /// An agent that has joined, as a client with its credential.
    pub(crate) fn join(&self, agent: &str, session: u64) -> Client {
        let token = self.token(&api::TokenWish::default());
        let credential = self.join_with(agent, session, &token).unwrap().credential.unwrap();
        self.credentials.borrow_mut().insert(agent.into(), credential.clone());
        self.client().with_bearer(credential)
    }

    /// A new join token.
    pub(crate) fn token(&self, wish: &api::TokenWish) -> String {
        self.client().send(&ask::mint(wish)).unwrap().token.unwrap()
    }

    pub(crate) fn join_with(
        &self,
        agent: &str,
        session: u64,
        bearer: &str,
    ) -> Result<api::Joined, api::ClientError> {
        let join = api::Join { session, lease_ms: None, passing: false };
        self.client().with_bearer(bearer).send(&ask::join(agent, &join))
    }

    /// The credential of an agent that has joined.
    pub(crate) fn credential(&self, agent: &str) -> String {
        self.credentials.borrow()[agent].clone()
    }

    pub(crate) fn sidecar(&self, name: &str) -> api::Sidecar {
        let sync = self.client().send(&ask::sync()).unwrap();
        sync.sidecars.into_iter().find(|sidecar| sidecar.name == name).unwrap()
    }

    /// How many requests have no answer yet.
    pub(crate) fn under_way(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Status and body of the answer to a request as one writes it.
    pub(crate) fn raw(&self, method: &str, path: &str, bearer: Option<&str>, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.api).unwrap();
        let bearer = bearer.map_or(String::new(), |bearer| format!("Authorization: Bearer {bearer}\r\n"));
        let (host, length) = (self.api, body.len());
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{bearer}Connection: close\r\n");
        stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Ends the plane politely.
    pub(crate) fn end(self) -> TempDir {
        let plane = self.plane.clone();
        std::thread::spawn(move || runtime().block_on(plane.stop())).join().unwrap();
        self.thread.join().unwrap();
        self.folder
    }

    /// Ends the plane and opens it again with what it kept.
    pub(crate) fn restart(self) -> Stage {
        let credentials = self.credentials.clone();
        let stage = Stage::in_folder(self.end(), |options| options);
        Stage { credentials, ..stage }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn serve(plane: &Plane, api: TcpListener, delivery: TcpListener, count: &Arc<AtomicUsize>) {
    tokio::task::LocalSet::new().block_on(&runtime(), async {
        api.set_nonblocking(true).unwrap();
        let api = tokio::net::TcpListener::from_std(api).unwrap();
        let (asked, count) = (plane.clone(), count.clone());
        let answers = serve_until(api, Takes::default(), plane.stopped(), move |request| {
            let (plane, count) = (asked.clone(), count.clone());
            async move {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = plane.answer(request).await;
                count.fetch_sub(1, Ordering::SeqCst);
                answer.unwrap_or_else(|| Response::text(404, "unknown-path"))
            }
        });
        let (served, ()) = tokio::join!(plane.serve_delivery(delivery), answers);
        served.unwrap();
    });
}
