//! Does what was planned: the one place where the agent touches processes and tells sidecars.
//!
//! Nothing here waits. Whatever takes time is a task of its own that brings its outcome back as [`News`]; each carries
//! the run that it belongs to, so that what comes too late is known as such.

use crate::ask::ask;
use crate::child::{self, Input, Launch, Spawned, Words};
use crate::desired::{Desired, Kind};
use crate::exit::Exit;
use crate::health;
use crate::logs::Show;
use crate::observed::{Fact, Observed};
use crate::plan::{Action, drain_time, settle_time};
use crate::plane::Joined;
use crate::ports::{NoPort, Ports};
use crate::registrar::Registrar;
use crate::snapshots::{Addresses, snapshot};
use crate::state::StateFolder;
use crate::tree::{self, INSTANCE, Id, RUN, Signs};
use api::Happening;
use model::{Moment, Registration};
use rustix::process::Signal;
use std::cell::Cell;
use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::process::{Child, ChildStdin};
use tokio::sync::mpsc::Sender;
use tokio::task::{AbortHandle, JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, timeout};

/// A sidecar confirms what it is told within this, or is replaced: on loopback it takes milliseconds.
const RELOAD: Duration = Duration::from_secs(2);
/// A sidecar waits no longer than this for its last requests.
const LONGEST_DRAIN: Duration = Duration::from_secs(3600);
/// How long what an ended app left behind may take to follow it before it is killed.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

/// Followers may take so long to adopt that a dead instance is gone before nobody waits for them any more.
const LAST_WORD: Duration = Duration::from_secs(5);
/// A sidecar that serves but does not know yet all that it should is waited for so long: then its app is started all
/// the same, as what it does not know it asks for when it is needed.
const READY_PATIENCE: Duration = Duration::from_secs(5);

/// After so long a killed process is stuck in the kernel, and waiting does not help.
const SWEEP: Duration = Duration::from_secs(5);

/// What a task brings back.
#[derive(Debug)]
pub(crate) enum News {
    /// Something that the plan should know.
    Fact(Fact),
    /// The control plane knows this agent: where sidecars find it.
    Joined(Joined),
    /// Something happened elsewhere in the environment.
    Told(Happening),
    /// `name` wrote a line.
    Line(String, String, Show),
    /// A process of a run is there and is to be guarded.
    Came(Id),
    /// It and all that it started are gone.
    Went(Id),
}

/// The hands of the agent.
#[derive(Debug)]
pub(crate) struct Hands {
    /// The binary that is also the sidecar.
    pub(crate) program: PathBuf,
    /// Where files go.
    pub(crate) state: StateFolder,
    /// The addresses of each unit.
    pub(crate) addresses: Vec<Addresses>,
    /// Processes that somebody here waits for.
    pub(crate) children: Vec<u32>,
    /// Where the control plane is; none: never reached.
    pub(crate) joined: Option<Joined>,
    /// Whom to tell who may be called.
    pub(crate) registrar: Registrar,
    /// The file by which sidecars are known to the control plane.
    credential: Option<PathBuf>,
    /// Where what apps write goes.
    words: Words,
    reached_at: IpAddr,
    ports: Ports,
    processes: Vec<Processes>,
    /// Where the edge is to listen from its next start on, if elsewhere than now.
    pub(crate) next_edge: Option<Option<SocketAddr>>,
    /// Where news go.
    pub(crate) news: Sender<News>,
}

/// What hands need beside what is desired.
#[derive(Debug)]
pub(crate) struct Tools {
    /// The binary that is also the sidecar.
    pub(crate) program: PathBuf,
    /// Where files go.
    pub(crate) state: StateFolder,
    /// Where the edge is to listen.
    pub(crate) edge: Option<SocketAddr>,
    /// The address at which the sidecars of other machines reach ours.
    pub(crate) reached_at: IpAddr,
    /// Whom to tell who may be called.
    pub(crate) registrar: Registrar,
    /// The file by which sidecars are known to the control plane.
    pub(crate) credential: Option<PathBuf>,
    /// Where what apps write goes.
    pub(crate) words: Words,
}

/// The processes of a unit.
#[derive(Debug, Default)]
struct Processes {
    sidecar: Option<Id>,
    lifeline: Option<ChildStdin>,
    app: Option<Id>,
    asked: Rc<Cell<bool>>,
    watch: Option<AbortHandle>,
}

impl Hands {
    /// Chooses addresses for every unit of `desired`; nothing is started yet.
    ///
    /// # Errors
    /// [`NoPort`] when there are not enough free ports.
    pub(crate) fn begin(tools: Tools, desired: &Desired, news: Sender<News>) -> Result<Hands, NoPort> {
        let Tools { program, state, edge, reached_at, registrar, credential, words } = tools;
        // Two environments that start at the same time begin their search at different ports.
        let seed = state.run.bytes().fold(0u64, |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(b)));
        let mut ports = Ports::begin(seed);
        let choose = |at| choose(&mut ports, desired, at, edge, reached_at);
        let addresses = (0..desired.units.len()).map(choose).collect::<Result<_, _>>()?;
        let processes = (0..desired.units.len()).map(|_| Processes::default()).collect();
        let (children, joined) = (Vec::new(), None);
        Ok(Hands {
            program,
            state,
            addresses,
            children,
            joined,
            registrar,
            credential,
            words,
            reached_at,
            ports,
            processes,
            next_edge: None,
            news,
        })
    }

    /// Chooses addresses for the units of `desired` that are not known yet.
    ///
    /// # Errors
    /// [`NoPort`] when there are not enough free ports; nothing has changed then.
    pub(crate) fn extend(&mut self, desired: &Desired) -> Result<(), NoPort> {
        let new = self.addresses.len()..desired.units.len();
        let reached_at = self.reached_at;
        let choose = |at| choose(&mut self.ports, desired, at, None, reached_at);
        let new = new.map(choose).collect::<Result<Vec<_>, _>>()?;
        self.processes.extend(new.iter().map(|_| Processes::default()));
        self.addresses.extend(new);
        self.registrar.extend(desired.units.len());
        Ok(())
    }

    /// Does it. `observed` has been told already.
    pub(crate) fn act(&mut self, action: &Action, desired: &Desired, observed: &mut Observed, now: Moment) {
        match action {
            Action::StartSidecar(at) => self.start_sidecar(*at, desired, observed),
            Action::StopSidecar(at) => self.signal_sidecar(*at, Signal::TERM),
            Action::KillSidecar(at, _) => self.signal_sidecar(*at, Signal::KILL),
            Action::StartApp(at) => self.start_app(*at, desired, observed),
            Action::StopApp(at, _) => {
                self.processes[*at].asked.set(true);
                if let Some(id) = self.processes[*at].app {
                    tree::signal_group(id, Signal::TERM);
                }
            }
            Action::KillApp(at) => self.kill_app(*at, desired, observed.units[*at].app_run),
            Action::Enter(at) => self.enter(*at, desired, observed),
            Action::Leave(at, _) => self.leave(*at, desired, observed, now),
            Action::Publish(at) => self.publish(*at, desired, observed),
            Action::Ask(at) => self.ask_late(*at, observed),
            Action::Drain(at) => self.drain(*at, desired, observed, now),
            Action::Halt(_)
            | Action::Hint(_)
            | Action::Restart(..)
            | Action::Spare(_)
            | Action::Renew(_)
            | Action::Retire(_)
            | Action::Begin(..)
            | Action::Await(..)
            | Action::Advance(_)
            | Action::Abandon(..) => {}
        }
    }

    /// Kills everything at once, also what has no sign of ours but that it came to this process when its parent ended.
    /// The children `but` are left alone. The answer is whoever cannot be ended.
    pub(crate) fn kill_all(&self, but: &[u32]) -> Option<Id> {
        let signs = Signs { leaders: self.running(), marks: vec![self.mark()] };
        let look = || {
            let mut all = tree::members(&signs);
            let more = tree::offspring(but);
            all.extend(more.into_iter().filter(|id| !signs.leaders.contains(id)));
            all
        };
        crate::state::kill_all(look, Duration::from_secs(2))
    }

    /// The processes that belong to the run now, for a guard that begins late.
    pub(crate) fn running(&self) -> Vec<Id> {
        self.processes.iter().flat_map(|p| [p.sidecar, p.app]).flatten().collect()
    }

    fn mark(&self) -> String {
        format!("{RUN}={}", self.state.run)
    }

    fn tell(&self, news: News) {
        let sender = self.news.clone();
        spawn_local(async move {
            // Nobody listens any more: the environment has ended.
            let _ = sender.send(news).await;
        });
    }

    fn write_snapshot(&self, at: usize, desired: &Desired, observed: &Observed) -> io::Result<PathBuf> {
        let version = format!("{}.{}", self.state.run, observed.generation);
        let mut snapshot = snapshot(desired, &self.addresses[at], at, version);
        if let Some(joined) = &self.joined {
            snapshot.environment.clone_from(&joined.environment);
        }
        let path = self.state.snapshot(desired.units[at].name.as_str());
        let beside = path.with_extension("new");
        std::fs::write(&beside, wire::files::encode_snapshot(&snapshot))?;
        // A sidecar that reads at this moment sees the old file or the new one, never a part.
        std::fs::rename(&beside, &path)?;
        Ok(path)
    }

    fn start_sidecar(&mut self, at: usize, desired: &Desired, observed: &mut Observed) {
        let run = observed.units[at].sidecar_run;
        if std::mem::take(&mut observed.units[at].new_ports) {
            self.choose_again(at, desired);
        }
        let name = format!("{}.sidecar", desired.units[at].name);
        let spawned = self.write_snapshot(at, desired, observed).and_then(|snapshot| {
            let launch = self.sidecar_launch(at, &snapshot, desired.units[at].name.as_str());
            child::spawn(&launch)
        });
        let Spawned { mut child, id, output } = match spawned {
            Ok(spawned) => spawned,
            Err(error) => {
                return self.tell(News::Fact(Fact::SidecarExited(
                    at,
                    run,
                    Exit::NotStarted,
                    error.to_string(),
                )));
            }
        };
        self.processes[at].lifeline = child.stdin.take();
        self.processes[at].sidecar = Some(id);
        let pid = self.adopt(id);
        self.tell(News::Fact(Fact::SidecarStarted(at, run, pid)));
        let reader = read(output, name, Show::No, self.news.clone());
        let admin = self.addresses[at].admin;
        let ready = spawn_local(await_ready(admin, at, run, self.news.clone()));
        spawn_local(watch_sidecar(child, id, reader, ready, (at, run), self.news.clone()));
    }

    fn sidecar_launch(&self, at: usize, snapshot: &std::path::Path, name: &str) -> Launch {
        let mut arguments: Vec<OsString> = vec!["sidecar".into(), "--lifeline".into()];
        let mut flag = |name: &str, value: OsString| arguments.extend([name.into(), value]);
        flag("--snapshot", snapshot.into());
        flag("--admin", self.addresses[at].admin.to_string().into());
        if let Some(joined) = &self.joined {
            flag("--control", joined.delivery.to_string().into());
            flag("--last-known-good", self.state.known(name).into());
            if let Some(credential) = &self.credential {
                flag("--credential", credential.into());
            }
        }
        Launch {
            program: self.program.clone(),
            arguments,
            folder: self.state.path.clone(),
            variables: vec![(RUN.into(), self.state.run.clone().into())],
            input: Input::Pipe,
            words: Words::Kept,
        }
    }

    fn choose_again(&mut self, at: usize, desired: &Desired) {
        let old = &self.addresses[at];
        // Where no other port is to be had the old one may still come free.
        if let Ok(new) = choose(&mut self.ports, desired, at, old.edge, self.reached_at) {
            let old = std::mem::replace(&mut self.addresses[at], new);
            let services = old.services.iter().map(|(_, address)| *address);
            let given =
                old.app.into_iter().chain(old.inbound).chain([old.outbound, old.admin]).chain(services);
            given.for_each(|address| self.ports.give_back(address));
        }
    }

    fn signal_sidecar(&self, at: usize, signal: Signal) {
        if let Some(id) = self.processes[at].sidecar {
            // It has ended by itself, then; its end is news of its own.
            let _ = tree::signal(id, signal);
        }
    }

    fn adopt(&mut self, id: Id) -> u32 {
        let pid = u32::try_from(id.pid).unwrap_or_default();
        self.children.push(pid);
        self.tell(News::Came(id));
        pid
    }

    /// Forgets a process that is gone.
    pub(crate) fn forget(&mut self, id: Id) {
        self.children.retain(|pid| i32::try_from(*pid) != Ok(id.pid));
        for processes in &mut self.processes {
            if processes.sidecar == Some(id) {
                processes.sidecar = None;
                processes.lifeline = None;
            }
            if processes.app == Some(id) {
                processes.app = None;
                if let Some(watch) = processes.watch.take() {
                    watch.abort();
                }
            }
        }
    }

    fn start_app(&mut self, at: usize, desired: &Desired, observed: &mut Observed) {
        let Some(service) = desired.service(at) else { return };
        let run = observed.units[at].app_run;
        if std::mem::take(&mut observed.units[at].new_ports) {
            self.choose_app_port_again(at);
        }
        let name = desired.units[at].name.to_string();
        let launch = Launch {
            program: service.command.first().map(PathBuf::from).unwrap_or_default(),
            arguments: service.command.iter().skip(1).map(OsString::from).collect(),
            folder: service.folder.clone(),
            variables: self.variables(at, desired),
            input: Input::Nothing,
            words: self.words,
        };
        let Spawned { child, id, output } = match child::spawn(&launch) {
            Ok(spawned) => spawned,
            Err(error) => {
                let command = launch.program.display();
                let text = format!("`{command}` in {} cannot be started: {error}", launch.folder.display());
                self.tell(News::Line(name, text, Show::Yes));
                return self.tell(News::Fact(Fact::AppExited(at, run, Exit::NotStarted)));
            }
        };
        let signs = Signs { leaders: vec![id], marks: vec![self.mark(), format!("{INSTANCE}={name}")] };
        self.processes[at].app = Some(id);
        let asked = Rc::new(Cell::new(false));
        self.processes[at].asked = asked.clone();
        let pid = self.adopt(id);
        self.tell(News::Fact(Fact::AppStarted(at, run, pid)));
        let reader = read(output, name, Show::Yes, self.news.clone());
        spawn_local(watch_app(child, (id, asked), signs, reader, (at, run), self.news.clone()));
        if let (Kind::Service, Some(address)) = (service.kind, self.addresses[at].app) {
            let probes = (service.startup.clone(), service.liveness.clone());
            let watch = spawn_local(ask_app(probes, address, (at, run), self.news.clone()));
            self.processes[at].watch = Some(watch.abort_handle());
        }
    }

    fn choose_app_port_again(&mut self, at: usize) {
        if let (Some(old), Ok(new)) = (self.addresses[at].app, self.ports.take()) {
            self.ports.give_back(old);
            self.addresses[at].app = Some(new);
        }
    }

    fn variables(&self, at: usize, desired: &Desired) -> Vec<(String, OsString)> {
        let addresses = &self.addresses[at];
        let mut variables: Vec<(String, String)> = vec![(RUN.into(), self.state.run.clone())];
        variables.extend(mesh_variables(addresses.outbound));
        if let Some(service) = desired.service(at) {
            variables.push(("OUTRIGGER_SERVICE".into(), service.name.to_string()));
            variables.push((INSTANCE.into(), desired.units[at].name.to_string()));
            variables.extend(service.variables.iter().cloned());
        }
        // After the manifest's own: an app that listens elsewhere than it is told would never be found.
        variables.extend(addresses.app.map(|app| ("PORT".into(), app.port().to_string())));
        for (name, address) in &addresses.services {
            variables.push((format!("{}_URL", name.variable()), format!("http://{address}")));
        }
        variables.into_iter().map(|(name, value)| (name, value.into())).collect()
    }

    fn kill_app(&self, at: usize, desired: &Desired, run: u64) {
        let leaders = self.processes[at].app.into_iter().collect();
        let name = format!("{INSTANCE}={}", desired.units[at].name);
        let (signs, news) = (Signs { leaders, marks: vec![self.mark(), name] }, self.news.clone());
        let asked = self.processes[at].asked.clone();
        spawn_local(async move {
            if let Some((id, why)) = sweep(signs).await {
                // Nobody has to look any more whether it ends.
                asked.set(false);
                let pid = u32::try_from(id.pid).unwrap_or_default();
                let _ = news.send(News::Fact(Fact::Undead(at, run, pid, why))).await;
            }
        });
    }

    fn enter(&self, at: usize, desired: &Desired, observed: &Observed) {
        let (Some(service), Some(address)) = (desired.service(at), self.addresses[at].inbound) else {
            return;
        };
        let (name, service) = (desired.units[at].name.clone(), service.name.clone());
        let registration = Registration { name, service, address, incarnation: 0 };
        self.registrar.enter(at, observed.units[at].wish, registration);
    }

    fn leave(&self, at: usize, desired: &Desired, observed: &Observed, now: Moment) {
        let unit = &observed.units[at];
        let grace = desired.service(at).map_or(Duration::ZERO, |service| service.stop_grace);
        let within = unit.halt.map_or(LAST_WORD, |halt| settle_time(grace, halt, now));
        self.registrar.leave(at, unit.wish, desired.units[at].name.clone(), within);
    }

    fn publish(&self, at: usize, desired: &Desired, observed: &Observed) {
        let (run, generation) = (observed.units[at].sidecar_run, observed.generation);
        if let Err(error) = self.write_snapshot(at, desired, observed) {
            let fact =
                Fact::ReloadRefused(at, run, generation, format!("its file cannot be written: {error}"));
            return self.tell(News::Fact(fact));
        }
        let (admin, id, sender) = (self.addresses[at].admin, self.processes[at].sidecar, self.news.clone());
        spawn_local(async move {
            let fact = match ask(admin, "POST", "/reload", RELOAD).await {
                Ok(answer) if answer.status == 200 => Fact::Acked(at, run, generation),
                Ok(answer) => Fact::ReloadRefused(at, run, generation, answer.body.trim().to_owned()),
                Err(_) => late(at, run, id),
            };
            let _ = sender.send(News::Fact(fact)).await;
        });
    }

    /// A sidecar does not follow the control plane: one that answers has lost touch with it and will be back, one
    /// that does not is stuck.
    fn ask_late(&self, at: usize, observed: &Observed) {
        let run = observed.units[at].sidecar_run;
        let (admin, id, sender) = (self.addresses[at].admin, self.processes[at].sidecar, self.news.clone());
        spawn_local(async move {
            let fact = match ask(admin, "GET", "/ready", RELOAD).await {
                Ok(_) => Fact::Answers(at, run),
                Err(_) => late(at, run, id),
            };
            let _ = sender.send(News::Fact(fact)).await;
        });
    }

    fn drain(&self, at: usize, desired: &Desired, observed: &Observed, now: Moment) {
        let unit = &observed.units[at];
        let (run, halt) = (unit.sidecar_run, unit.halt.unwrap_or(now));
        let grace = desired.service(at).map_or(Duration::ZERO, |service| service.stop_grace);
        let within = drain_time(grace, halt, now).min(LONGEST_DRAIN);
        let (admin, sender) = (self.addresses[at].admin, self.news.clone());
        spawn_local(async move {
            let target = format!("/drain?within={:.3}s", within.as_secs_f64());
            // Whoever does not answer has nothing in flight that could be waited for.
            let left = match ask(admin, "POST", &target, within + RELOAD).await {
                Ok(answer) if answer.status == 200 => first_number(&answer.body),
                Ok(_) | Err(_) => 0,
            };
            let _ = sender.send(News::Fact(Fact::Drained(at, run, left))).await;
        });
    }
}

/// A sidecar that does not answer is dead or stuck: in both cases another one takes its place.
fn late(at: usize, run: u64, id: Option<Id>) -> Fact {
    let _ = id.map(|id| tree::signal(id, Signal::KILL));
    Fact::ReloadLate(at, run)
}

/// What lets a program call services by name: the outbound side as a proxy for all that honour the usual variables.
pub(crate) fn mesh_variables(outbound: SocketAddr) -> [(String, String); 5] {
    let proxy = format!("http://{outbound}");
    // Loopback addresses are reached directly, or NAME_URL would go through the proxy too. Names of services are no
    // loopback addresses, so they do not bypass it.
    let direct = "localhost,127.0.0.1,::1";
    [
        ("OUTRIGGER_OUTBOUND", &*proxy),
        ("HTTP_PROXY", &proxy),
        ("http_proxy", &proxy),
        ("NO_PROXY", direct),
        ("no_proxy", direct),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
}

fn choose(
    ports: &mut Ports,
    desired: &Desired,
    at: usize,
    edge: Option<SocketAddr>,
    reached_at: IpAddr,
) -> Result<Addresses, NoPort> {
    let service = desired.service(at);
    let mut called = service.map(|s| s.dependencies.clone()).unwrap_or_default();
    called.sort();
    let is_called = service.is_some_and(|s| s.kind == Kind::Service);
    Ok(Addresses {
        app: is_called.then(|| ports.take()).transpose()?,
        inbound: is_called
            .then(|| ports.take().map(|taken| SocketAddr::new(reached_at, taken.port())))
            .transpose()?,
        outbound: ports.take()?,
        admin: ports.take()?,
        services: called.into_iter().map(|name| Ok((name, ports.take()?))).collect::<Result<_, _>>()?,
        edge: if service.is_none() { edge } else { None },
    })
}

/// Brings every line that comes out of `output`.
pub(crate) fn read(
    output: Option<tokio::net::unix::pipe::Receiver>,
    name: String,
    show: Show,
    news: Sender<News>,
) -> JoinHandle<Option<String>> {
    spawn_local(async move {
        let last = std::rc::Rc::new(std::cell::RefCell::new(None));
        let line = |text: String| {
            *last.borrow_mut() = Some(text.clone());
            let (news, name) = (news.clone(), name.clone());
            async move {
                let _ = news.send(News::Line(name, text, show)).await;
            }
        };
        if let Some(output) = output {
            child::read_lines(output, line).await;
        }
        last.take()
    })
}

/// Asks the sidecar until it says that it serves, or for long enough that it is there but does not know everything.
async fn await_ready(admin: SocketAddr, at: usize, run: u64, news: Sender<News>) {
    // It tells nobody when it is ready, it only answers; so it is asked, seldom enough not to slow it.
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let patience = Instant::now() + READY_PATIENCE;
    loop {
        ticks.tick().await;
        let answer = ask(admin, "GET", "/ready", RELOAD).await;
        if answer.is_ok_and(|answer| answer.status == 200 || Instant::now() > patience) {
            let _ = news.send(News::Fact(Fact::SidecarReady(at, run))).await;
            return;
        }
    }
}

async fn watch_sidecar(
    mut child: Child,
    id: Id,
    reader: JoinHandle<Option<String>>,
    ready: JoinHandle<()>,
    (at, run): (usize, u64),
    news: Sender<News>,
) {
    let exit = child::exit(child.wait().await);
    ready.abort();
    // Its last words explain its end; they are in the pipe by now.
    let words = timeout(Duration::from_millis(500), reader).await;
    let words = words.ok().and_then(Result::ok).flatten().unwrap_or_default();
    let _ = news.send(News::Went(id)).await;
    let _ = news.send(News::Fact(Fact::SidecarExited(at, run, exit, words))).await;
}

/// Waits for the app's end and for that of everything that it started. What an app that was asked to stop left behind
/// has the rest of its grace, which the plan keeps; what a broken app left behind is in the way of the next one.
async fn watch_app(
    mut child: Child,
    (id, asked): (Id, Rc<Cell<bool>>),
    signs: Signs,
    reader: JoinHandle<Option<String>>,
    (at, run): (usize, u64),
    news: Sender<News>,
) {
    let exit = child::exit(child.wait().await);
    if !asked.get() {
        tree::signal_group(id, Signal::TERM);
    }
    let deadline = Instant::now() + LEFT_BEHIND;
    while !tree::members(&signs).is_empty() && (asked.get() || Instant::now() < deadline) {
        // They may be nobody's children by now: nothing tells of their end but a look.
        sleep(Duration::from_millis(20)).await;
    }
    if let Some((id, why)) = sweep(signs).await {
        let pid = u32::try_from(id.pid).unwrap_or_default();
        let _ = news.send(News::Fact(Fact::Undead(at, run, pid, why))).await;
    }
    // All that held the pipe are gone, so its end is near; its last lines should come before the news of its end.
    let _ = timeout(Duration::from_millis(500), reader).await;
    let _ = news.send(News::Went(id)).await;
    let _ = news.send(News::Fact(Fact::AppExited(at, run, exit))).await;
}

/// Kills all that belong until none is left; or who is left, and why.
async fn sweep(signs: Signs) -> Option<(Id, String)> {
    let deadline = Instant::now() + SWEEP;
    loop {
        let mut left = None;
        for id in tree::members(&signs) {
            let why = match tree::signal(id, Signal::KILL) {
                Ok(()) => "the kernel does not let go of it".to_owned(),
                Err(error) => error.to_string(),
            };
            left.get_or_insert((id, why));
        }
        if left.is_none() || Instant::now() >= deadline {
            return left;
        }
        // Between the signal and the end of a process that is not our child there is nothing to wait on.
        sleep(Duration::from_millis(10)).await;
    }
}

async fn ask_app(
    (startup, liveness): (crate::desired::Startup, Option<crate::desired::Liveness>),
    app: SocketAddr,
    (at, run): (usize, u64),
    news: Sender<News>,
) {
    health::await_startup(&startup, app).await;
    let _ = news.send(News::Fact(Fact::StartupPassed(at, run))).await;
    let Some(liveness) = liveness else { return };
    let tell = |answer: Result<(), String>| {
        let fact = match answer {
            Ok(()) => Fact::Alive(at, run),
            Err(why) => Fact::NotAlive(at, run, why),
        };
        // With a full channel this one answer is lost, and the next comes.
        let _ = news.try_send(News::Fact(fact));
    };
    health::watch(&liveness, app, tell).await;
}

/// The first number in `text`; zero if there is none.
fn first_number(text: &str) -> u32 {
    let digits = text.split(|c: char| !c.is_ascii_digit()).find(|part| !part.is_empty());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
