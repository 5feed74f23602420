//! What an agent needs of a control plane, whether that runs in this process or is reached over HTTP.
//!
//! The agent owns this trait and does not depend on the control plane: the binary puts the two together. Each call is
//! one message, made within a task of its own, so that none keeps the agent's loop waiting. None is tried again here:
//! that is the caller's decision, by what a [`PlaneError`] says.

use api::Happening;
use model::{InstanceName, Registration, ServiceName, Settings, Settled};
use net::admin::{Request, Response};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

mod remote;

pub use remote::{Remote, RemoteOptions};

/// What comes of a call. It runs on the agent's own thread.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, PlaneError>> + 'a>>;

/// A control plane, as an agent sees it.
pub trait Plane: fmt::Debug {
    /// Says that this run of the agent is there. Everything else comes after it.
    fn join(&self) -> Answer<'_, Joined>;

    /// Keeps `instance`, tells every follower of its service, and returns when all that are there have adopted it, or
    /// `within` is over.
    fn register(&self, instance: Registration, within: Duration) -> Answer<'_, Settled>;

    /// Takes `name` out, and returns when no follower sends anybody there any more, or `within` is over. An instance
    /// that is not registered is out already.
    fn deregister(&self, name: InstanceName, within: Duration) -> Answer<'_, Settled>;

    /// All that this agent runs: what a plane has lost or missed is mended. Answers with what it does not take, and
    /// why.
    fn list(&self, all: Vec<Registration>) -> Answer<'_, Vec<(InstanceName, String)>>;

    /// The agent is alive. Said a few times within each lease.
    fn beat(&self) -> Answer<'_, ()>;

    /// The agent and all that it runs go.
    fn leave(&self) -> Answer<'_, ()>;

    /// What the manifests say of these services.
    fn declare(&self, services: Vec<Declaration>) -> Answer<'_, ()>;

    /// Nothing more is asked: a plane of this process gives back what it has in the agent's folder.
    fn close(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Opens the plane, in the folder in which the agent keeps its state, once that folder is the agent's own.
pub type OpenPlane = Box<dyn FnOnce(&Path) -> Result<Seat, Box<dyn std::error::Error + Send + Sync>>>;

/// Answers a request, or says that it has nothing at that path.
pub type More = Rc<dyn Fn(Request) -> Pin<Box<dyn Future<Output = Option<Response>>>>>;

/// A plane, with what comes with it.
pub struct Seat {
    /// The plane.
    pub plane: Rc<dyn Plane>,
    /// What an earlier run of this agent has learnt: enough to begin with while the plane is away.
    pub known: Option<Joined>,
    /// The file by which sidecars are known to the plane; none: nothing of that kind is needed.
    pub credential: Option<PathBuf>,
    /// Answers requests for which the agent's own API has no route.
    pub more: Option<More>,
    /// What happens at the plane, for the agent's list of events.
    pub news: Option<UnboundedReceiver<Happening>>,
    /// Something that people should hear at once.
    pub remark: Option<String>,
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("plane", &self.plane).finish_non_exhaustive()
    }
}

/// An agent is known to its plane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Joined {
    /// Where sidecars learn of changes.
    pub delivery: SocketAddr,
    /// The environment's name.
    pub environment: String,
    /// An agent that is silent for so long is taken for dead.
    pub lease: Duration,
    /// By which this agent and its sidecars are known from now on; none: nothing of that kind is needed.
    pub credential: Option<String>,
}

/// What a manifest says of a service.
#[derive(Clone, PartialEq, Debug)]
pub struct Declaration {
    /// Which.
    pub service: ServiceName,
    /// The policies of its callers' sidecars for requests to it.
    pub settings: Settings,
    /// Whom to tell when a sidecar refuses it.
    pub author: String,
}

/// Why a call came to nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlaneError {
    /// The plane cannot be reached, does not answer, or cannot keep anything now.
    #[error("{0}")]
    Away(String),
    /// The plane does not know this agent any more, or not yet: it has to join (again).
    #[error("{0}")]
    NotJoined(String),
    /// A later life of this instance was known: a higher incarnation is needed.
    #[error("a later life of this instance was known to the control plane")]
    Stale {
        /// The one that was known, where the plane says so.
        known: Option<u64>,
    },
    /// The plane says no; the same again would be refused again, until somebody changes something.
    #[error("{text}")]
    Refused {
        /// Why, in one word.
        word: String,
        /// Why, and what to do, in a sentence.
        text: String,
    },
}
