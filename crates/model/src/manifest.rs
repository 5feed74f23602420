//! Manifests, checked: what an environment consists of, and how each service is run, watched and called.
//!
//! Every default of a manifest that is no policy stands here with its reason; the policies' stand with their types.

use crate::{EdgeRoute, Importance, Preset, ServiceName, Settings, Share};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Variables of a process, by name.
pub type Variables = BTreeMap<String, String>;

/// `environment.toml`: which services there are and how many instances of each.
#[derive(Clone, PartialEq, Debug)]
pub struct EnvironmentManifest {
    /// The environment's name.
    pub name: ServiceName,
    /// The way in from outside; none: services can only be called from within.
    pub edge: Option<Edge>,
    /// The preset of services that name none.
    pub policies: Preset,
    /// The services, in the order of the file.
    pub services: Vec<Member>,
}

/// The way in from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edge {
    /// Where it listens; `None`: at [`Edge::LISTEN`], or at the next free port.
    pub listen: Option<SocketAddr>,
    /// Which requests go where, the longest prefix first.
    pub routes: Vec<EdgeRoute>,
}

impl Edge {
    /// Loopback: what is to be reached from elsewhere should be said. 8080 is what people try first.
    pub const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
}

/// A service as its environment sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its name.
    pub name: ServiceName,
    /// The folder with its `service.toml`, below the environment's own, with `/`.
    pub path: String,
    /// How many instances of it run.
    pub instances: u32,
    /// Replaces all policies of its `service.toml`.
    pub policies: Option<Preset>,
    /// Added to the variables of its `service.toml`; these win.
    pub environment: Variables,
}

impl Member {
    /// One: more is a decision.
    pub const INSTANCES: u32 = 1;
    /// More on one machine is a mistake of the keyboard.
    pub const MOST_INSTANCES: u32 = 1000;
}

/// `service.toml`: a service's description, kept with the service.
#[derive(Clone, PartialEq, Debug)]
pub struct ServiceManifest {
    /// Its name, the same as its key in `environment.toml`.
    pub name: ServiceName,
    /// What it is for, for people; may be empty.
    pub description: String,
    /// Whether it runs on or to its end.
    pub kind: ServiceKind,
    /// How important its own calls are when they begin here.
    pub importance: Importance,
    /// How it is started and stopped.
    pub run: Run,
    /// When it counts as ready.
    pub startup: Startup,
    /// How it is seen that it lives; none: while its process does.
    pub liveness: Option<Liveness>,
    /// How it is started again.
    pub restart: Restart,
    /// The services that it calls.
    pub outgoing: Vec<ServiceName>,
    /// How callers treat it, and its own limit: the preset that applies with the differences of this manifest.
    pub settings: Settings,
}

/// Whether a service runs on or to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ServiceKind {
    /// It runs on; an exit is a failure.
    #[default]
    Service,
    /// It runs to its end; exit status 0 is success, and it is not started again then.
    Job,
}

impl ServiceKind {
    /// The word in manifests and output.
    pub const fn word(self) -> &'static str {
        match self {
            ServiceKind::Service => "service",
            ServiceKind::Job => "job",
        }
    }
}

/// How a service is started and stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// The program and its arguments, at least the program; no shell reads them.
    pub command: Vec<String>,
    /// Run once in the service's folder before its first instance; empty: nothing.
    pub build: Vec<String>,
    /// How long an instance has between SIGTERM and SIGKILL.
    pub stop_grace: Duration,
    /// Variables for it.
    pub environment: Variables,
}

impl Run {
    /// 10 s: what container runtimes give, so that what stops well there stops well here.
    pub const STOP_GRACE: Duration = Duration::from_secs(10);
}

/// What is asked of an instance to see how it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Probe {
    /// A GET of this path is answered with 200 to 299.
    Http(String),
    /// A connection to its port is accepted.
    Tcp,
}

/// When an instance counts as ready.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Startup {
    /// What is asked.
    pub probe: Probe,
    /// How long from one question to the next.
    pub period: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// The instance has failed to start when it is not ready within this.
    pub within: Duration,
}

impl Default for Startup {
    /// A connection to its port is asked for five times a second: quick enough not to be felt in a start of seconds,
    /// cheap enough not to slow it. A minute lets a virtual machine start on a busy laptop.
    fn default() -> Startup {
        Startup {
            probe: Probe::Tcp,
            period: Duration::from_millis(200),
            timeout: Duration::from_secs(1),
            within: Duration::from_secs(60),
        }
    }
}

/// How it is seen that an instance lives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Liveness {
    /// What is asked.
    pub probe: Probe,
    /// How long from one question to the next.
    pub period: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// After so many failures in a row it is killed and started again.
    pub failures: u32,
}

impl Default for Liveness {
    /// Kubernetes' numbers (10 s, 1 s, 3): an overloaded instance is not a dead one, so three in a row, and half a
    /// minute before anything is killed.
    fn default() -> Liveness {
        Liveness {
            probe: Probe::Tcp,
            period: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            failures: 3,
        }
    }
}

/// How an instance that ended is started again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restart {
    /// The wait before the second start in a row; each further one is twice as long …
    pub back_off: Duration,
    /// … up to this.
    pub at_most: Duration,
}

impl Default for Restart {
    /// A second is short for a stumble, half a minute is long enough for a crash loop to leave the machine usable.
    fn default() -> Restart {
        Restart { back_off: Duration::from_secs(1), at_most: Duration::from_secs(30) }
    }
}

/// An environment with everything that its services' manifests say: all that is needed to run it.
#[derive(Clone, PartialEq, Debug)]
pub struct Environment {
    /// Its name.
    pub name: ServiceName,
    /// The way in from outside.
    pub edge: Option<Edge>,
    /// Its services, in the order of the file.
    pub services: Vec<EnvironmentService>,
}

impl Environment {
    /// How many instances there are of all services together.
    pub fn instances(&self) -> u64 {
        self.services.iter().map(|s| u64::from(s.instances)).sum()
    }

    /// The service of this name.
    pub fn service(&self, name: &ServiceName) -> Option<&EnvironmentService> {
        self.services.iter().find(|s| s.manifest.name == *name)
    }
}

/// A service with its place in an environment.
#[derive(Clone, PartialEq, Debug)]
pub struct EnvironmentService {
    /// What its own manifest says.
    pub manifest: ServiceManifest,
    /// Its folder: absolute, links followed.
    pub folder: PathBuf,
    /// How many instances of it run.
    pub instances: u32,
    /// Its variables: its manifest's, and over these its environment's.
    pub environment: Variables,
    /// Its policies as they apply here.
    pub settings: Settings,
}

impl EnvironmentService {
    /// The policies of sidecars that call it. The limit is not theirs to keep.
    pub fn for_callers(&self) -> Settings {
        Settings { limit: None, ..self.settings.clone() }
    }

    /// The policies of its own sidecars for requests to the app: its limit and its timeouts. There is one app, so
    /// there is nothing to choose, and callers do the retrying and resting.
    pub fn for_app(&self) -> Settings {
        Settings {
            retry: None,
            hedge: None,
            breaker: None,
            ejection: None,
            slow_start: None,
            panic: Share::NONE,
            ..self.settings.clone()
        }
    }
}
