//! The control plane of one environment as one thing: the registry with its store, the hub of its followers, what
//! happened, and the answers of its API.

use crate::delivery::{Hub, Publisher, Trouble, serve};
use crate::desk::{Desk, Worker};
use crate::events::{Events, Happening, Tell};
use crate::registry::Rules;
use crate::store::{Embedded, StoreError};
use net::admin::{Request, Response};
use net::clock::Clock;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use wire::xds::Kind;

mod answer;
mod view;

/// What a control plane is to be.
pub struct Options {
    /// The environment's name.
    pub environment: String,
    /// The folder in which it keeps what it knows; made where there is none.
    pub state: PathBuf,
    /// How the registry behaves.
    pub rules: Rules,
    /// Whether events are written to `events.jsonl` in the folder.
    pub keeps_events: bool,
    /// Who else is told of each event, at once. It must be quick.
    pub tell: Option<Tell>,
}

impl Options {
    /// A control plane with the usual rules, which keeps its events in its folder.
    pub fn new(environment: impl Into<String>, state: impl Into<PathBuf>) -> Options {
        Options {
            environment: environment.into(),
            state: state.into(),
            rules: Rules::default(),
            keeps_events: true,
            tell: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Options");
        shown.field("environment", &self.environment).field("state", &self.state).finish_non_exhaustive()
    }
}

/// Why a control plane does not begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its folder cannot be made or used.
    #[error("the state folder {0} cannot be used: {1}; give another with --state-dir")]
    Folder(PathBuf, io::Error),
    /// What it keeps cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far followers are with a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Settled {
    /// All who were there have it.
    Everywhere,
    /// These do not have it yet, by name.
    NotYet {
        /// The followers.
        waiting: Vec<String>,
    },
}

/// A control plane. Copies are the same one.
#[derive(Clone, Debug)]
pub struct Plane(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    environment: String,
    state: PathBuf,
    since: SystemTime,
    desk: Desk,
    worker: Mutex<Option<Worker>>,
    hub: Arc<Hub>,
    events: Arc<Events>,
    api: OnceLock<SocketAddr>,
    delivery: OnceLock<SocketAddr>,
    stopping: watch::Sender<bool>,
}

impl Plane {
    /// Loads what the folder keeps, and begins.
    ///
    /// # Errors
    /// As [`OpenError`] says: nothing is served then.
    pub fn open(options: Options) -> Result<Plane, OpenError> {
        let Options { environment, state, rules, keeps_events, tell } = options;
        let folder = |why| OpenError::Folder(state.clone(), why);
        std::fs::create_dir_all(&state).map_err(folder)?;
        let state = state.canonicalize().map_err(folder)?;
        let clock = Clock::start();
        let file = keeps_events.then(|| state.join("events.jsonl"));
        let store = Embedded::open(&state.join("registry.redb"))?;
        let events = Arc::new(Events::open(file.as_deref(), tell));
        let log = events.clone();
        let hub = Hub::new(clock, move |trouble| log.add(Happening::from(&trouble)));
        let log = events.clone();
        let publisher = Publisher::new(hub.clone(), move |news| log.add(Happening::from(news)));
        let (desk, worker) = Desk::open(store, rules, publisher, clock)?;
        Ok(Plane(Arc::new(Shared {
            environment,
            state,
            since: SystemTime::now(),
            desk,
            worker: Mutex::new(Some(worker)),
            hub,
            events,
            api: OnceLock::new(),
            delivery: OnceLock::new(),
            stopping: watch::Sender::new(false),
        })))
    }

    /// Whom agents and authors talk to.
    pub fn desk(&self) -> &Desk {
        &self.0.desk
    }

    /// Everything that can be followed, with everybody who does.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.0.hub
    }

    /// Says where the API answers, so that the environment can be told about.
    pub fn set_api(&self, address: SocketAddr) {
        // Said twice, the first one holds.
        let _ = self.0.api.set(address);
    }

    /// Serves followers at `listener` until the control plane is stopped. Runs within a runtime.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub async fn serve_delivery(&self, listener: std::net::TcpListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let _ = self.0.delivery.set(listener.local_addr()?);
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut stopping = self.0.stopping.subscribe();
        tokio::select! {
            () = serve::serve(listener, self.0.hub.clone()) => {}
            // The sender is a part of ourselves.
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        Ok(())
    }

    /// The answer to a request of the API; none where there is nothing at its path.
    pub async fn answer(&self, request: Request) -> Option<Response> {
        answer::answer(self, request).await
    }

    /// Waits until everybody who follows this resource now has accepted it.
    pub async fn arrived(&self, kind: Kind, name: &str, within: Duration) -> Settled {
        match self.0.hub.arrived(kind, name, within).await {
            Ok(()) => Settled::Everywhere,
            Err(waiting) => Settled::NotYet { waiting: waiting.iter().map(ToString::to_string).collect() },
        }
    }

    /// Waits until no follower has this resource any more that was removed.
    pub async fn farewell(&self, kind: Kind, name: &str, within: Duration) -> Settled {
        let over = tokio::time::timeout(within, self.0.hub.farewell(kind, name)).await;
        let having = if over.is_ok() { Vec::new() } else { self.0.hub.having(kind, name) };
        if having.is_empty() {
            return Settled::Everywhere;
        }
        Settled::NotYet { waiting: having.iter().map(ToString::to_string).collect() }
    }

    /// Ends every stream politely and closes the store after what was asked before. Runs within a runtime.
    pub async fn stop(&self) {
        self.0.hub.stop();
        self.0.stopping.send_replace(true);
        self.0.desk.close();
        let worker = self.0.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(worker) = worker {
            // A runtime that is shut down meanwhile has nobody who waits.
            let _ = tokio::task::spawn_blocking(move || worker.join()).await;
        }
    }
}

impl From<&Trouble> for Happening {
    fn from(trouble: &Trouble) -> Happening {
        match trouble {
            Trouble::Refused { kind, name, follower, why, withdrawn } => {
                let what = view::word(*kind);
                let then = if *withdrawn { "; the last good one is served in its place" } else { "" };
                Happening {
                    kind: "resource-refused",
                    service: Some(view::service_of(name).to_owned()),
                    instance: Some(follower.to_string()),
                    reason: None,
                    text: format!("{follower} refuses {what} {name}: {why}{then}"),
                }
            }
            Trouble::TooMuch { follower, why } => Happening {
                kind: "follower-refused",
                service: None,
                instance: Some(follower.to_string()),
                reason: None,
                text: format!("the stream of {follower} was ended: {why}"),
            },
        }
    }
}
