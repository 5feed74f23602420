//! An environment's life on this machine: take the folder, start the guard, build, run until stopped, leave nothing.

use crate::act::{Hands, News, Tools, mesh_variables};
use crate::agent::Agent;
use crate::build;
use crate::change::declarations;
use crate::child::{self, Words};
use crate::desired::{Desired, Service};
use crate::events::Events;
use crate::exit::Exit;
use crate::guard::{Guard, Ward};
use crate::logs::Logs;
use crate::observed::Fact;
use crate::plane::OpenPlane;
use crate::ports;
use crate::progress::Progress;
use crate::registrar::{Introduction, Registrar};
use crate::serve;
use crate::state::{Keep, StateError, StateFolder};
use crate::terminal::Terminal;
use crate::tree::{self, Id, Signs};
use api::Happening;
use net::clock::Clock;
use rustix::process::Signal;
use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Arrivals, SignalKind, signal};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver, channel};
use tokio::task::LocalSet;

/// A command that was told to end with the environment has so long before it is killed.
const COMMAND_GRACE: Duration = Duration::from_secs(5);
/// So many lines of an app are shown when it is what the start failed by.
const LAST_LINES: usize = 20;

/// How to bring an environment up.
pub struct Options {
    /// The binary that is also sidecar and guard.
    pub program: PathBuf,
    /// Where logs, events and snapshots are kept.
    pub state: PathBuf,
    /// Whether that folder outlives the run.
    pub keep: Keep,
    /// Where the API is to answer; none: nowhere.
    pub api: Option<Wish>,
    /// Where requests from outside are to come in; only if the environment has an edge.
    pub edge: Option<Wish>,
    /// The address of this machine at which the sidecars of others reach ours.
    pub reached_at: IpAddr,
    /// Run when all is ready; empty: run until stopped.
    pub command: Vec<String>,
    /// Whether to show what apps write.
    pub show_apps: bool,
    /// Opens the control plane that is told who may be called.
    pub plane: OpenPlane,
    /// What this is all for.
    pub purpose: Purpose,
}

/// What an agent is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// A whole environment, with its control plane in this process.
    Environment,
    /// A node's part of an environment that a control plane elsewhere steers.
    Node,
    /// One app of such an environment.
    App,
}

/// An address that is wished for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Exactly this one.
    Exactly(SocketAddr),
    /// This one, or the next free port.
    OrNext(SocketAddr),
}

/// Why an environment could not even begin to start.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// Its folder cannot be had.
    #[error(transparent)]
    State(#[from] StateError),
    /// There are no ports.
    #[error(transparent)]
    Port(#[from] ports::NoPort),
    /// An address that was given is taken.
    #[error("{what} cannot listen at {address}, which was asked for: {why}")]
    Taken {
        /// Who.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the operating system said.
        why: io::Error,
    },
    /// The control plane cannot be opened.
    #[error("{0}")]
    Plane(Box<dyn std::error::Error + Send + Sync>),
    /// The guard does not start.
    #[error("the guard `{0} guard` does not start: {1}")]
    Guard(PathBuf, io::Error),
    /// A step of the operating system failed that never does.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
}

/// Brings `desired` up, runs it, and returns the exit status: that of the command, 0 after a stop that was asked for,
/// 1 when the environment did not start; 128 and the signal's number where a stop came before the command, or the one
/// app, was started.
///
/// # Errors
/// As [`UpError`] says; nothing runs then.
pub fn up(desired: Desired, options: Options) -> Result<u8, UpError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| UpError::System("the runtime does not start", e))?;
    let width = desired.units.iter().map(|unit| unit.name.as_str().len()).max().unwrap_or(0);
    let (terminal, writer) = Terminal::begin(width);
    let local = LocalSet::new();
    let ended = local.block_on(&runtime, live(desired, options, terminal));
    // Tasks that are left hold the terminal, whose writer would wait for them.
    drop(local);
    drop(runtime);
    writer.finish();
    ended
}

async fn live(desired: Desired, options: Options, terminal: Terminal) -> Result<u8, UpError> {
    let signals = Signals::begin().map_err(|e| UpError::System("signals cannot be heard", e))?;
    let others = tree::offspring(&[]).iter().filter_map(|id| u32::try_from(id.pid).ok()).collect();
    // Orphans of apps come to us, and so can be found and ended.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|e| UpError::System("orphans cannot be taken in", e.into()))?;
    let Options { program, state, keep, api, edge, reached_at, command, show_apps, plane, purpose } = options;
    let run = format!("{:016x}", net::random::seed());
    let state = StateFolder::take(&state, run, keep)?;
    state.found.iter().for_each(|found| terminal.say(found));
    if purpose == Purpose::Environment {
        // The control plane starts with it: what sidecars knew of an earlier run is of no use.
        state.forget_known();
    }
    let seat = plane(&state.path).map_err(UpError::Plane)?;
    seat.remark.iter().for_each(|remark| terminal.say(remark));
    let listener = match api {
        Some(wish) => Some(listen(wish, &terminal).await?),
        None => None,
    };
    let api = listener.as_ref().map(|(_, address)| *address);
    let edge = desired.edge.as_ref().map(|known| edge.unwrap_or(Wish::OrNext(known.listen)));
    let edge = edge.map(|wish| place(wish, "the edge", &terminal)).transpose()?;
    let told = api.map_or("–".into(), |api| api.to_string());
    state.tell(&told).map_err(|e| StateError::Unusable(state.path.clone(), e))?;
    let guard = Guard::begin(&program, Ward::of(&state)).await;
    let guard = guard.map_err(|e| UpError::Guard(program.clone(), e))?;
    let (sender, news) = channel(1024);
    let logs = Logs::begin(&state.logs(), terminal.clone(), show_apps);
    let events = Events::begin(&state.path.join("events.jsonl"));
    let introduction = introduction(&desired, purpose, keep);
    let registrar = Registrar::begin(seat.plane, introduction, desired.units.len(), sender.clone());
    let words = if purpose == Purpose::App { Words::Passed } else { Words::Kept };
    let credential = seat.credential;
    let tools = Tools { program: program.clone(), state, edge, reached_at, registrar, credential, words };
    let hands = Hands::begin(tools, &desired, sender.clone())?;
    let progress = Progress::begin(terminal, purpose, &command);
    let mut agent = Agent::begin(desired, hands, logs, events, api);
    if let Some(known) = seat.known {
        agent.on(News::Joined(known));
    }
    if let Some(told) = seat.news {
        tokio::task::spawn_local(pass_on(told, sender.clone()));
    }
    let agent = Rc::new(RefCell::new(agent));
    let poke = Rc::new(Notify::new());
    if let Some((listener, _)) = listener {
        let (shared, poked, more) = (agent.clone(), poke.clone(), seat.more);
        let handler = move |request| serve::answer(shared.clone(), poked.clone(), more.clone(), request);
        tokio::task::spawn_local(net::admin::serve(listener, handler));
    }
    let returns = !command.is_empty() || purpose == Purpose::App;
    let (command_asked, hung_up, status) = (false, false, 0);
    let mut life = Life {
        agent,
        guard,
        signals,
        news,
        sender,
        poke,
        progress,
        command: None,
        command_asked,
        hung_up,
        returns,
        others,
        status,
    };
    let status = life.run(&program, &command).await;
    let goodbye = life.agent.borrow().hands.registrar.goodbye();
    goodbye.await;
    if purpose == Purpose::Environment {
        life.agent.borrow().hands.state.forget_known();
    }
    life.guard.dismiss().await;
    Ok(status)
}

/// What this agent says of itself when it joins.
fn introduction(desired: &Desired, purpose: Purpose, keep: Keep) -> Introduction {
    Introduction {
        services: declarations(desired),
        environment: (purpose == Purpose::Node).then(|| desired.name.clone()),
        comes_back: keep == Keep::Always,
    }
}

/// What happens at the control plane goes into the agent's list of events.
async fn pass_on(mut told: UnboundedReceiver<Happening>, to: Sender<News>) {
    while let Some(told) = told.recv().await {
        if to.send(News::Told(told)).await.is_err() {
            return;
        }
    }
}

async fn listen(wish: Wish, terminal: &Terminal) -> Result<(TcpListener, SocketAddr), UpError> {
    let address = place(wish, "the API", terminal)?;
    let taken = |why| UpError::Taken { what: "the API", address, why };
    let listener = TcpListener::bind(address).await.map_err(taken)?;
    let address = listener.local_addr().map_err(taken)?;
    Ok((listener, address))
}

/// The address that is wished for, or the next free one, said aloud.
fn place(wish: Wish, what: &'static str, terminal: &Terminal) -> Result<SocketAddr, UpError> {
    let (Wish::Exactly(address) | Wish::OrNext(address)) = wish;
    // Port 0 is any; which one must be known before the sidecar listens there.
    let why = match std::net::TcpListener::bind(address).and_then(|listener| listener.local_addr()) {
        Ok(address) => return Ok(address),
        Err(why) => why,
    };
    let next = if let Wish::OrNext(_) = wish { ports::next_free(address) } else { None };
    let Some(next) = next else { return Err(UpError::Taken { what, address, why }) };
    terminal.say(&format!("{what} listens at {next}, as {address} is taken"));
    Ok(next)
}

/// What asks us to stop, and what tells of ended children.
struct Signals {
    stop: Stops,
    child: Arrivals,
}

/// What asks us to stop.
struct Stops {
    interrupt: Arrivals,
    terminate: Arrivals,
    hangup: Option<Arrivals>,
}

impl Signals {
    fn begin() -> io::Result<Signals> {
        // Who was started to outlive its terminal (nohup) goes on doing so.
        let hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) };
        let stop = Stops {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup,
        };
        Ok(Signals { stop, child: signal(SignalKind::child())? })
    }
}

impl Stops {
    async fn next(&mut self) -> Asked {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Interrupted,
            _ = self.terminate.recv() => Asked::Terminated,
            _ = hangup => Asked::TerminalClosed,
        }
    }
}

/// How a stop was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// SIGHUP.
    TerminalClosed,
}

impl Asked {
    /// The word in events.
    const fn word(self) -> &'static str {
        match self {
            Asked::Interrupted => "interrupted",
            Asked::Terminated => "terminated",
            Asked::TerminalClosed => "terminal-closed",
        }
    }

    /// What shells make of a program that such a signal ended.
    const fn status(self) -> u8 {
        match self {
            Asked::Interrupted => 130,
            Asked::Terminated => 143,
            Asked::TerminalClosed => 129,
        }
    }
}

/// Whether SIGHUP was ignored when this process began (proc(5): a mask whose lowest bit is signal 1).
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// A running environment.
struct Life {
    agent: Rc<RefCell<Agent>>,
    guard: Guard,
    signals: Signals,
    news: Receiver<News>,
    sender: Sender<News>,
    poke: Rc<Notify>,
    progress: Progress,
    command: Option<(Child, Id)>,
    command_asked: bool,
    /// The stop under way was begun by a terminal that was closed.
    hung_up: bool,
    /// Something is to be run whose exit status is returned.
    returns: bool,
    /// Children that this process had when it began: whoever started them minds them.
    others: Vec<u32>,
    status: u8,
}

/// What the loop wakes up for.
enum Wake {
    News(News),
    Poked,
    Stop(Asked),
    ChildEnded,
    GuardEnded,
    CommandEnded(io::Result<std::process::ExitStatus>),
    Time,
}

impl Life {
    async fn run(&mut self, program: &Path, command: &[String]) -> u8 {
        self.happen("environment-starting", None, "the environment is being started");
        self.progress.starting(&self.agent.borrow());
        if !self.build().await {
            return self.status;
        }
        let mut began = false;
        loop {
            let (wake, happened) = self.agent.borrow_mut().turn();
            happened.iter().for_each(|event| self.progress.event(&self.agent.borrow(), event));
            if self.agent.borrow().observed.stopping.is_some() && self.agent.borrow().observed.all_gone() {
                self.kill_all();
                self.happen("environment-stopped", None, "nothing of it runs any more");
                return self.status;
            }
            if let Some(exit) = self.agent.borrow().observed.ended {
                self.status = status_of(exit);
            }
            if self.is_over() {
                self.stop("app-ended");
                continue;
            }
            if !began {
                began = self.began(command).await;
                if began && self.agent.borrow().observed.stopping.is_some() {
                    // The turn above knew nothing of it: what is to be done now is planned in the next.
                    continue;
                }
            }
            match self.next(wake).await {
                Wake::News(news) => self.take(news).await,
                Wake::Poked | Wake::Time => {}
                Wake::Stop(asked) => {
                    if self.on_signal(asked) {
                        return 130;
                    }
                }
                Wake::ChildEnded => self.reap(),
                Wake::GuardEnded => self.on_guard_ended(program).await,
                Wake::CommandEnded(status) => self.on_command_ended(status),
            }
        }
    }

    /// Whether an app has ended whose end is that of everything.
    fn is_over(&self) -> bool {
        let observed = &self.agent.borrow().observed;
        observed.ended.is_some() && observed.stopping.is_none()
    }

    async fn next(&mut self, wake: model::Moment) -> Wake {
        let clock: Clock = self.agent.borrow().clock;
        let time = async {
            match clock.instant(wake) {
                // Far away, or never: something else will happen first.
                Some(instant) => tokio::time::sleep_until(instant.into()).await,
                None => std::future::pending().await,
            }
        };
        let command = async {
            match &mut self.command {
                Some((child, _)) => child.wait().await,
                None => std::future::pending().await,
            }
        };
        let Signals { stop, child } = &mut self.signals;
        tokio::select! {
            // A stop is heard however much an app writes.
            biased;
            asked = stop.next() => Wake::Stop(asked),
            _ = child.recv() => Wake::ChildEnded,
            () = self.poke.notified() => Wake::Poked,
            status = command => Wake::CommandEnded(status),
            () = self.guard.ended() => Wake::GuardEnded,
            Some(news) = self.news.recv() => Wake::News(news),
            () = time => Wake::Time,
        }
    }

    /// Takes in what came, and what came with it, before the next plan.
    async fn take(&mut self, news: News) {
        let mut news = Some(news);
        while let Some(next) = news {
            // A guard that is gone is replaced, and told of all who run then.
            match &next {
                News::Came(id) => drop(self.guard.add(*id).await),
                News::Went(id) => drop(self.guard.remove(*id).await),
                News::Fact(_) | News::Line(..) | News::Joined(_) | News::Told(_) => {}
            }
            let may_plan = self.agent.borrow_mut().on(next);
            news = if may_plan { None } else { self.news.try_recv().ok() };
        }
    }

    /// Whether the start is over: ready and told, or failed and being stopped.
    async fn began(&mut self, command: &[String]) -> bool {
        let (ready, failed, stopping) = {
            let agent = self.agent.borrow();
            let observed = &agent.observed;
            (observed.ready, observed.failed_start(&agent.desired), observed.stopping.is_some())
        };
        if let (Some((at, why)), false) = (failed, stopping) {
            self.fail(at, &why);
            return true;
        }
        if ready && !stopping {
            self.progress.ready(&self.agent.borrow());
            if !command.is_empty() {
                self.start_command(command).await;
            }
        }
        ready || stopping
    }

    fn fail(&mut self, at: Option<usize>, why: &str) {
        match at {
            None => self.progress.say(&format!("✗ {why}")),
            Some(at) => {
                let agent = self.agent.borrow();
                let name = agent.desired.units[at].name.to_string();
                let app = agent.logs.tail(&name, LAST_LINES);
                let name = if app.is_empty() { format!("{name}.sidecar") } else { name };
                self.progress.failed(why, &agent.logs.tail(&name, LAST_LINES), &agent.logs.path(&name));
            }
        }
        self.happen("environment-failed", Some("start-failed"), why);
        self.status = 1;
        self.stop("start-failed");
    }

    fn stop(&mut self, why: &str) {
        let mut agent = self.agent.borrow_mut();
        let agent = &mut *agent;
        agent.observed.on(Fact::Stop(why.into()), &agent.desired, agent.clock.now());
    }

    fn happen(&mut self, kind: &'static str, reason: Option<&str>, text: &str) {
        let reason = reason.map(str::to_owned);
        let kind = kind.into();
        let happening = Happening { kind, reason, text: text.into(), ..Happening::default() };
        self.agent.borrow_mut().happen(happening);
    }

    /// The first signal stops in order, a command before the rest; the second kills at once. True if all is over.
    /// A terminal that is closed sends SIGHUP more than once, and others send SIGTERM with it: it asks for a stop, but
    /// is never one of the two.
    fn on_signal(&mut self, asked: Asked) -> bool {
        if self.agent.borrow().observed.stopping.is_some() || self.command_asked {
            if asked == Asked::TerminalClosed || std::mem::take(&mut self.hung_up) {
                return false;
            }
            self.progress.say("asked again: everything is killed at once");
            self.end_command(Signal::KILL);
            self.kill_all();
            self.happen("environment-stopped", Some("killed"), "everything was killed at once");
            return true;
        }
        self.hung_up = asked == Asked::TerminalClosed;
        self.progress.stopping();
        let Some((_, id)) = self.command else {
            self.stop_early(asked);
            return false;
        };
        // Its end stops the rest.
        self.command_asked = true;
        self.end_command(Signal::TERM);
        tokio::task::spawn_local(async move {
            tokio::time::sleep(COMMAND_GRACE).await;
            signal_tree(id, Signal::KILL);
        });
        false
    }

    /// A stop before what was to be run has been started: whoever asked for that must not take it for done.
    fn stop_early(&mut self, asked: Asked) {
        if self.returns {
            self.status = asked.status();
        }
        self.stop(asked.word());
    }

    /// Kills whatever is left of this run, and says who cannot be ended.
    fn kill_all(&self) {
        let but: Vec<u32> = self.others.iter().copied().chain([self.guard.pid]).collect();
        if let Some(id) = self.agent.borrow().hands.kill_all(&but) {
            self.progress.say(&format!("process {} cannot be ended: end it by hand", id.pid));
        }
    }

    fn reap(&self) {
        let mut known = self.agent.borrow().hands.children.clone();
        known.push(self.guard.pid);
        known.extend(self.command.as_ref().and_then(|(_, id)| u32::try_from(id.pid).ok()));
        tree::reap_orphans(&known);
    }

    async fn on_guard_ended(&mut self, program: &Path) {
        let (ward, running) = {
            let hands = &self.agent.borrow().hands;
            (Ward::of(&hands.state), hands.running())
        };
        match Guard::begin(program, ward).await {
            Ok(guard) => {
                self.guard = guard;
                for id in running {
                    drop(self.guard.add(id).await);
                }
                self.happen("guard-exited", None, "the guard ended; another one has taken its place");
            }
            Err(error) => {
                // Without it a `kill -9` would leave orphans: better to stop in order while we can.
                self.progress.say(&format!("no guard can be started ({error}): everything is stopped"));
                self.status = 1;
                self.stop("no-guard");
            }
        }
    }

    async fn start_command(&mut self, words: &[String]) {
        let (program, arguments) = words.split_first().expect("the caller has seen that it is not empty");
        let mut command = Command::new(program);
        child::strip(&mut command);
        command.args(arguments);
        {
            let agent = self.agent.borrow();
            command.envs(
                agent.hands.addresses.first().map(|a| mesh_variables(a.outbound)).into_iter().flatten(),
            );
            command.envs(agent.api.map(|api| ("OUTRIGGER_API", api.to_string())));
            let edge = agent.hands.addresses.first().and_then(|a| a.edge);
            command.envs(edge.map(|edge| ("OUTRIGGER_EDGE_URL", format!("http://{edge}"))));
        }
        // It stays in our group, so that it may use the terminal.
        match command.spawn() {
            Ok(child) => {
                if let Some(id) = child.id().and_then(tree::identify) {
                    drop(self.guard.add(id).await);
                    self.command = Some((child, id));
                }
            }
            Err(error) => {
                self.progress.say(&format!("`{program}` cannot be started: {error}"));
                self.status = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
                self.stop("command-not-started");
            }
        }
    }

    fn on_command_ended(&mut self, status: io::Result<std::process::ExitStatus>) {
        let exit = child::exit(status);
        self.command = None;
        self.status = status_of(exit);
        self.happen("command-ended", Some(&exit.word()), "the command has ended");
        self.stop("command-ended");
    }

    fn end_command(&self, signal: Signal) {
        if let Some((_, id)) = &self.command {
            signal_tree(*id, signal);
        }
    }

    /// Builds what is to be built, one after the other. False if one failed or a stop was asked for.
    async fn build(&mut self) -> bool {
        let services = self.agent.borrow().desired.services.clone();
        for service in services.iter().filter(|service| !service.build.is_empty()) {
            if !self.build_one(service).await {
                return false;
            }
        }
        true
    }

    async fn build_one(&mut self, service: &Service) -> bool {
        let name = format!("{}.build", service.name);
        self.progress.say(&format!("{}: {}", service.name, service.build.join(" ")));
        let launch = build::launch(service, &self.agent.borrow().hands.state.run);
        let spawned = match child::spawn(&launch) {
            Ok(spawned) => spawned,
            Err(error) => return self.build_failed(service, &name, &format!("cannot be started: {error}")),
        };
        let id = spawned.id;
        drop(self.guard.add(id).await);
        let mut outcome = std::pin::pin!(build::outcome(spawned, name.clone(), self.sender.clone()));
        let status = loop {
            tokio::select! {
                status = outcome.as_mut() => break status,
                asked = self.signals.stop.next() => {
                    self.progress.stopping();
                    tree::signal_group(id, Signal::KILL);
                    self.kill_all();
                    self.stop_early(asked);
                    return false;
                }
                Some(news) = self.news.recv() => { self.agent.borrow_mut().on(news); }
            }
        };
        while let Ok(news) = self.news.try_recv() {
            self.agent.borrow_mut().on(news);
        }
        drop(self.guard.remove(id).await);
        if status == Exit::Code(0) {
            return true;
        }
        self.build_failed(service, &name, &format!("ended by {status}"))
    }

    fn build_failed(&mut self, service: &Service, log: &str, why: &str) -> bool {
        let why = format!("the build of {} failed: `{}` {why}", service.name, service.build.join(" "));
        let (lines, path) = {
            let agent = self.agent.borrow();
            (agent.logs.tail(log, LAST_LINES), agent.logs.path(log))
        };
        self.progress.failed(&why, &lines, &path);
        self.happen("environment-failed", Some("build-failed"), &why);
        self.status = 1;
        false
    }
}

/// What shells make of how a program ended.
fn status_of(exit: Exit) -> u8 {
    match exit {
        Exit::Code(code) => u8::try_from(code).unwrap_or(1),
        Exit::Signal(signal) => u8::try_from(128 + signal).unwrap_or(1),
        Exit::NotStarted => 127,
    }
}

/// Sends `signal` to a process and its descendants.
fn signal_tree(id: Id, signal: Signal) {
    for member in tree::members(&Signs { leaders: vec![id], marks: vec![] }) {
        // Who has ended by itself needs no signal.
        let _ = tree::signal(member, signal);
    }
}
