//! The control plane of one environment as one thing: the registry with its store, the hub of its followers, what
//! happened, and the answers of its API.

use crate::delivery::serve::{self, Gate, Guard};
use crate::delivery::{Hub, Publisher, Trouble};
use crate::desk::{Desk, Worker};
use crate::events::{Events, Tell};
use crate::registry::{Command, Hash, Registry, Rules, Token};
use crate::secret;
use crate::store::{Embedded, Store, StoreError};
use api::{Happening, Query, rfc3339};
use model::{InstanceName, Moment, ServiceName, Settled};
use net::admin::{Request, Response};
use net::clock::{Clock, unix_millis};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use wire::xds::Kind;
use wire::xds::resource::endpoint_name;

mod agents;
mod answer;
mod change;
mod view;

/// After a restart followers come back within this: they try every half second at the latest. Until then it is not
/// known who has what.
const COMING_BACK: Duration = Duration::from_secs(1);
/// So many of those that are waited for are named.
const NAMED: usize = 20;
/// Files of the folder: what is known, and the token that is made unasked.
const REGISTRY: &str = "registry.redb";
const JOIN_TOKEN: &str = "join-token";

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
    /// Whether an agent answers beside it at the same address, so that the document of the API tells of both.
    pub beside_agent: bool,
    /// Whether followers must show the credential of an agent.
    pub require_credentials: bool,
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
            beside_agent: false,
            require_credentials: false,
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
    /// Somebody else could change what is in its folder.
    #[error("the state folder {0} {1}: mend that (chown, chmod o-w), or give another with --state-dir")]
    Foreign(PathBuf, String),
    /// What it keeps cannot be read, or its process is not the only one.
    #[error("{0}; if another control plane is meant, give it another --state-dir")]
    Store(#[from] StoreError),
}

/// A control plane. Copies are the same one.
#[derive(Clone, Debug)]
pub struct Plane(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    environment: String,
    state: PathBuf,
    since: SystemTime,
    rules: Rules,
    clock: Clock,
    /// Until then followers are coming back.
    gathered: Moment,
    beside_agent: bool,
    require_credentials: bool,
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
        make_folder(&options.state)?;
        let store = Embedded::open(&options.state.join(REGISTRY))?;
        Plane::open_with(options, store)
    }

    /// The same with another store than the file in the folder.
    ///
    /// # Errors
    /// As [`OpenError`] says: nothing is served then.
    pub fn open_with(options: Options, store: impl Store + 'static) -> Result<Plane, OpenError> {
        make_folder(&options.state)?;
        let Options { environment, state, rules, keeps_events, beside_agent, require_credentials, tell } =
            options;
        let state = state.canonicalize().map_err(|why| OpenError::Folder(state.clone(), why))?;
        let clock = Clock::start();
        let file = keeps_events.then(|| state.join("events.jsonl"));
        let events = Arc::new(Events::open(file.as_deref(), tell));
        let log = events.clone();
        let hub = Hub::new(clock, move |trouble| log.add(Happening::from(&trouble)));
        let log = events.clone();
        let publisher = Publisher::new(hub.clone(), move |news| log.add(Happening::from(news)));
        let (desk, worker) = Desk::open(store, rules, publisher, clock)?;
        // Nobody can have anything of a registry that was empty.
        let gathered = if hub.is_empty() { Moment::ZERO } else { clock.now().after(COMING_BACK) };
        Ok(Plane(Arc::new(Shared {
            environment,
            state,
            since: SystemTime::now(),
            rules,
            clock,
            gathered,
            beside_agent,
            require_credentials,
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

    /// Says where sidecars will be served, before they are.
    pub fn set_delivery(&self, address: SocketAddr) {
        // Served at two addresses, agents are told of the first.
        let _ = self.0.delivery.set(address);
    }

    /// The folder in which it keeps what it knows.
    pub fn state(&self) -> &Path {
        &self.0.state
    }

    /// Waits until it is to stop.
    pub async fn stopped(&self) {
        serve::stopped(&mut self.0.stopping.subscribe()).await;
    }

    /// Serves followers at `listener` until the control plane is stopped. Runs within a runtime.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub async fn serve_delivery(&self, listener: std::net::TcpListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        // After a restart all sidecars come back at once.
        net::listen::lengthen(&listener)?;
        let address = listener.local_addr()?;
        self.set_delivery(address);
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let gate = if self.0.require_credentials || !address.ip().is_loopback() {
            Gate::Guarded(self.guard())
        } else {
            Gate::Open
        };
        serve::serve_until(listener, self.0.hub.clone(), gate, self.0.stopping.subscribe()).await;
        Ok(())
    }

    /// Lets in whoever shows the credential of an agent.
    fn guard(&self) -> Guard {
        let desk = self.0.desk.clone();
        Arc::new(move |bearer| {
            let shown = bearer.map_or(secret::Shown::Other, secret::read);
            let desk = desk.clone();
            Box::pin(async move {
                let secret::Shown::Agent(agent, hash) = shown else { return false };
                desk.look(move |registry| registry.identify(&agent, &hash).is_ok()).await.unwrap_or(false)
            })
        })
    }

    /// The answer to a request of the API; none where there is nothing at its path.
    pub async fn answer(&self, request: Request) -> Option<Response> {
        answer::answer(self, request).await
    }

    /// Whether a long body is read of whoever sends `request`, which has none yet.
    ///
    /// # Errors
    /// The answer that says why not.
    pub async fn may_say_much(&self, request: &Request) -> Result<(), Response> {
        answer::may_say_much(self, request).await
    }

    /// Waits until everybody who follows this resource now has accepted it.
    pub async fn arrived(&self, kind: Kind, name: &str, within: Duration) -> Settled {
        let mut stopping = self.0.stopping.subscribe();
        tokio::select! {
            biased;
            // Streams that we end ourselves say nothing of what followers have.
            () = serve::stopped(&mut stopping) => Settled::NotYet { waiting: Vec::new() },
            arrived = self.0.hub.arrived(kind, name, within) => match arrived {
                Ok(()) => Settled::Everywhere,
                Err(waiting) => not_yet(&waiting),
            },
        }
    }

    /// Waits until no follower has this resource any more that was removed.
    pub async fn farewell(&self, kind: Kind, name: &str, within: Duration) -> Settled {
        let mut stopping = self.0.stopping.subscribe();
        let over = async {
            if let Some(gathered) = self.0.clock.instant(self.0.gathered) {
                tokio::time::sleep_until(gathered.into()).await;
            }
            self.0.hub.farewell(kind, name).await;
        };
        tokio::select! {
            biased;
            () = serve::stopped(&mut stopping) => Settled::NotYet { waiting: Vec::new() },
            over = tokio::time::timeout(within, over) => match over {
                Ok(()) => Settled::Everywhere,
                Err(_) => not_yet(&self.0.hub.having(kind, name)),
            },
        }
    }

    /// Waits until everybody who follows `service` knows it, and that `instance` is to be called.
    pub async fn is_known(
        &self,
        service: &ServiceName,
        instance: &InstanceName,
        within: Duration,
    ) -> Settled {
        let endpoint = endpoint_name(service, instance);
        let (service, endpoint) = tokio::join!(
            self.arrived(Kind::Service, service.as_str(), within),
            self.arrived(Kind::Endpoint, &endpoint, within),
        );
        shortened(service.and(endpoint))
    }

    /// Waits until nobody has `instance` any more, which was taken out, of whatever service it was.
    pub async fn is_forgotten(
        &self,
        instance: &InstanceName,
        service: Option<&ServiceName>,
        within: Duration,
    ) -> Settled {
        let mut names: BTreeSet<String> =
            service.map(|service| endpoint_name(service, instance)).into_iter().collect();
        let leaving = self.0.hub.leaving(Kind::Endpoint, &format!("/{instance}"));
        names.extend(leaving.iter().map(ToString::to_string));
        let deadline = tokio::time::Instant::now() + within;
        let mut all = Settled::Everywhere;
        for name in names {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            all = all.and(self.farewell(Kind::Endpoint, &name, left).await);
        }
        shortened(all)
    }

    /// What happened, as asked; where that is waited for, no longer than until the control plane stops.
    async fn happened(&self, query: Query) -> api::Events {
        let mut stopping = self.0.stopping.subscribe();
        let now = Query { wait: Duration::ZERO, ..query };
        tokio::select! {
            events = self.0.events.answer(query) => events,
            () = serve::stopped(&mut stopping) => self.0.events.answer(now).await,
        }
    }

    /// Makes a join token for agents that may register instances of `services`; of none: of any.
    ///
    /// # Errors
    /// The answer that says why not.
    async fn mint(
        &self,
        services: BTreeSet<ServiceName>,
        ttl: Option<Duration>,
        uses: Option<u32>,
    ) -> Result<api::Token, Response> {
        let made = secret::make_token().map_err(|why| answer::no_randomness(&why))?;
        let wall = unix_millis();
        let expires = ttl.map(|ttl| wall.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)));
        let token = Token { hash: made.hash, services: services.clone(), expires, uses, revision: 0 };
        self.ask(Command::Mint { id: made.name.clone(), token, wall }).await?;
        Ok(api::Token {
            version: api::VERSION,
            id: made.name.to_string(),
            token: Some(made.text),
            services: services.iter().map(ToString::to_string).collect(),
            expires: expires.map(|at| rfc3339(UNIX_EPOCH + Duration::from_millis(at))),
            uses,
        })
    }

    /// The file with a join token for any service, which is made with the first start.
    ///
    /// # Errors
    /// The token cannot be kept, or its file cannot be written.
    pub async fn join_token(&self) -> io::Result<PathBuf> {
        let path = self.0.state.join(JOIN_TOKEN);
        if let Some((id, hash)) = written_token(&path) {
            let good = move |registry: &Registry| {
                registry.tokens().any(|(known, token)| *known == id && token.hash == hash)
            };
            if self.0.desk.look(good).await.is_ok_and(|good| good) {
                return Ok(path);
            }
        }
        let made = self.mint(BTreeSet::new(), None, None).await;
        let made = made.map_err(|why| io::Error::other(format!("no join token is made: {}", why.body)))?;
        net::private::write(&path, &format!("{}\n", made.token.unwrap_or_default()))?;
        Ok(path)
    }

    /// Whether somebody may come back to it: an agent that has joined, or one for which a token was made.
    pub async fn is_awaited(&self) -> bool {
        // One token is made unasked, and stands in a file.
        let unasked = written_token(&self.0.state.join(JOIN_TOKEN)).map(|(id, _)| id);
        let awaited = move |registry: &Registry| {
            let joined = registry.agents().any(|agent| agent.services.is_some() || agent.instances > 0);
            joined || registry.tokens().any(|(id, _)| Some(id) != unasked.as_ref())
        };
        self.0.desk.look(awaited).await.unwrap_or(true)
    }

    /// Removes what it has kept, once it has stopped. What cannot be removed is as good the next time.
    pub fn forget(&self) {
        for file in [REGISTRY, JOIN_TOKEN] {
            let _ = std::fs::remove_file(self.0.state.join(file));
        }
    }

    /// Ends every stream politely and closes the store after what was asked before. Runs within a runtime.
    pub async fn stop(&self) {
        // First those who wait for followers are told: what they would see next are streams that we end.
        self.0.stopping.send_replace(true);
        self.0.hub.stop();
        self.0.desk.close();
        let worker = self.0.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(worker) = worker {
            // A runtime that is shut down meanwhile has nobody who waits.
            let _ = tokio::task::spawn_blocking(move || worker.join()).await;
        }
    }
}

/// The join token in the file at `path`, as it is known by; none if it holds none.
fn written_token(path: &Path) -> Option<(Arc<str>, Hash)> {
    match secret::read(std::fs::read_to_string(path).unwrap_or_default().trim()) {
        secret::Shown::Join(id, hash) => Some((id, hash)),
        secret::Shown::Agent(..) | secret::Shown::Other => None,
    }
}

/// What is known of a change when the time for it is over. Whoever was missing may have gone meanwhile.
fn not_yet(waiting: &[Arc<str>]) -> Settled {
    if waiting.is_empty() {
        return Settled::Everywhere;
    }
    Settled::NotYet { waiting: waiting.iter().map(ToString::to_string).collect() }
}

/// The same with the first few of those that are waited for, and how many others there are: thousands may follow a
/// service, and all names would be read by nobody.
fn shortened(settled: Settled) -> Settled {
    let Settled::NotYet { mut waiting } = settled else { return settled };
    let others = waiting.len().saturating_sub(NAMED);
    if others > 0 {
        waiting.truncate(NAMED);
        waiting.push(format!("and {others} others"));
    }
    Settled::NotYet { waiting }
}

/// Makes the folder where there is none, for its owner only. One that is there must be nobody else's to change.
fn make_folder(path: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    let foreign = made.and_then(|()| net::private::foreign(path));
    match foreign.map_err(|why| OpenError::Folder(path.to_owned(), why))? {
        None => Ok(()),
        Some(why) => Err(OpenError::Foreign(path.to_owned(), why)),
    }
}

impl From<&Trouble> for Happening {
    fn from(trouble: &Trouble) -> Happening {
        match trouble {
            Trouble::Refused { kind, name, follower, why, withdrawn } => {
                let what = kind.word();
                let then = if *withdrawn { "; the last good one is served in its place" } else { "" };
                Happening {
                    kind: "resource-refused".into(),
                    service: Some(view::service_of(name).to_owned()),
                    instance: Some(follower.to_string()),
                    reason: None,
                    text: format!("{follower} refuses {what} {name}: {why}{then}"),
                }
            }
            Trouble::TooMuch { follower, why } => Happening {
                kind: "follower-refused".into(),
                service: None,
                instance: Some(follower.to_string()),
                reason: None,
                text: format!("the stream of {follower} was ended: {why}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_anybody_can_change_is_no_place_for_state() {
        use std::os::unix::fs::PermissionsExt;
        let above = tempfile::tempdir().expect("a folder");
        let state = above.path().join("control");
        make_folder(&state).expect("it is made");
        make_folder(&state).expect("it is ours");
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o777)).expect("it is ours");
        let error = make_folder(&state).expect_err("anybody can write there").to_string();
        assert!(error.contains("can be written by anybody") && error.contains("--state-dir"), "{error}");
    }

    #[test]
    fn of_many_that_are_waited_for_the_first_are_named_and_the_others_counted() {
        let names = |count: usize| (0..count).map(|at| format!("shop-{at}")).collect::<Vec<_>>();
        let Settled::NotYet { waiting } = shortened(Settled::NotYet { waiting: names(2_500) }) else {
            panic!("not yet is not everywhere")
        };
        assert_eq!((waiting.len(), waiting.last().map(String::as_str)), (21, Some("and 2480 others")));
        let few = Settled::NotYet { waiting: names(20) };
        assert_eq!(shortened(few.clone()), few);
        assert_eq!(shortened(Settled::Everywhere), Settled::Everywhere);
    }
}
