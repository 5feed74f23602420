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
use crate::signals::{Asked, Signals};
use crate::state::{Keep, StateError, StateFolder};
use crate::terminal::Terminal;
use crate::tree::{self, Id, Signs};
use api::Happening;
use net::admin::Takes;
use net::clock::Clock;
use rustix::process::Signal;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
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
    /// One cannot listen at an address.
    #[error("{what} cannot listen at {address}: {why}; {}", advice(.why))]
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
    let edge = desired.edge.as_ref().map(|known| edge.unwrap_or(known.wish()));
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
    // A machine goes on with what it has: others may have the rest.
    agent.observed.goes_on = purpose == Purpose::Node;
    if let Some(known) = seat.known {
        agent.on(News::Joined(known));
    }
    if let Some(told) = seat.news {
        tokio::task::spawn_local(pass_on(told, sender.clone()));
    }
    let agent = Rc::new(RefCell::new(agent));
    let poke = Rc::new(Notify::new());
    if let Some((listener, _)) = listener {
        tokio::task::spawn_local(serve_api(listener, agent.clone(), poke.clone(), seat.more));
    }
    let returns = !command.is_empty() || purpose == Purpose::App;
    let course = Course { returns, others, ..Course::default() };
    let mut life = Life { agent, guard, signals, news, sender, poke, progress, command: None, course };
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

/// Answers whoever asks about the environment. Manifests are longer than other requests: the bound is that of a control
/// plane.
async fn serve_api(
    listener: TcpListener,
    agent: Rc<RefCell<Agent>>,
    poke: Rc<Notify>,
    more: Option<crate::plane::More>,
) {
    let takes = Takes { body: api::BODY_AT_MOST, ..Takes::default() };
    let handler = move |request| serve::answer(agent.clone(), poke.clone(), more.clone(), request);
    net::admin::serve_until(listener, takes, std::future::pending(), handler).await;
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

/// How to get out of it.
pub(crate) fn advice(why: &io::Error) -> &'static str {
    match why.kind() {
        io::ErrorKind::AddrInUse => "end what listens there (`ss -ltnp` shows it), or give another address",
        io::ErrorKind::PermissionDenied => {
            "give a port from 1024 on, or let the program have the lower ones: `setcap cap_net_bind_service=+ep` on \
             it, or AmbientCapabilities=CAP_NET_BIND_SERVICE in its unit"
        }
        io::ErrorKind::AddrNotAvailable => "give an address of this machine",
        _ => "give another address",
    }
}

/// The address that is wished for, or the next free one, said aloud.
fn place(wish: Wish, what: &'static str, terminal: &Terminal) -> Result<SocketAddr, UpError> {
    let (Wish::Exactly(address) | Wish::OrNext(address)) = wish;
    // Port 0 is any; which one must be known before the sidecar listens there.
    let why = match std::net::TcpListener::bind(address).and_then(|listener| listener.local_addr()) {
        Ok(address) => return Ok(address),
        Err(why) => why,
    };
    let is_taken = why.kind() == io::ErrorKind::AddrInUse;
    let next = if is_taken && matches!(wish, Wish::OrNext(_)) { ports::next_free(address) } else { None };
    let Some(next) = next else { return Err(UpError::Taken { what, address, why }) };
    terminal.say(&format!("{what} listens at {next}, as {address} is taken"));
    Ok(next)
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
    course: Course,
}

/// What the loop remembers of its way.
#[derive(Default)]
struct Course {
    /// The command was told to end.
    command_asked: bool,
    /// The stop under way was begun by a terminal that was closed.
    hung_up: bool,
    /// Instances of which it has been said that they do not start.
    absent: BTreeSet<usize>,
    /// Something is to be run whose exit status is returned.
    returns: bool,
    /// Children that this process had when it began: whoever started them minds them.
    others: Vec<u32>,
    /// What is returned in the end.
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
            return self.course.status;
        }
        let mut began = false;
        loop {
            let (wake, happened) = self.agent.borrow_mut().turn();
            happened.iter().for_each(|event| self.progress.event(&self.agent.borrow(), event));
            if self.agent.borrow().observed.stopping.is_some() && self.agent.borrow().observed.all_gone() {
                self.kill_all();
                self.happen("environment-stopped", None, "nothing of it runs any more");
                return self.course.status;
            }
            if let Some(exit) = self.agent.borrow().observed.ended {
                self.course.status = status_of(exit);
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
        self.tell_absent();
        if ready && !stopping {
            self.progress.ready(&self.agent.borrow());
            if !command.is_empty() {
                self.start_command(command).await;
            }
        }
        ready || stopping
    }

    /// Says once of each instance of a node that it does not start; it is tried again and again.
    fn tell_absent(&mut self) {
        let absent: Vec<_> = {
            let agent = self.agent.borrow();
            if !agent.observed.goes_on {
                return;
            }
            let new = (0..agent.desired.units.len()).filter(|at| !self.course.absent.contains(at));
            new.filter_map(|at| Some((at, agent.observed.does_not_start(at, &agent.desired)?))).collect()
        };
        for (at, (blamed, why)) in absent {
            self.course.absent.insert(at);
            let why = format!("{why}: it is tried again, and the others go on");
            self.show_failure(blamed, &why);
            let instance = Some(self.agent.borrow().desired.units[at].name.to_string());
            let kind = "not-starting".into();
            let happening = Happening { kind, instance, text: why, ..Happening::default() };
            self.agent.borrow_mut().happen(happening);
        }
    }

    fn show_failure(&self, at: Option<usize>, why: &str) {
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
    }

    fn fail(&mut self, at: Option<usize>, why: &str) {
        self.show_failure(at, why);
        self.happen("environment-failed", Some("start-failed"), why);
        self.course.status = 1;
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
        if self.agent.borrow().observed.stopping.is_some() || self.course.command_asked {
            if asked == Asked::TerminalClosed || std::mem::take(&mut self.course.hung_up) {
                return false;
            }
            self.progress.say("asked again: everything is killed at once");
            self.end_command(Signal::KILL);
            self.kill_all();
            self.happen("environment-stopped", Some("killed"), "everything was killed at once");
            return true;
        }
        self.course.hung_up = asked == Asked::TerminalClosed;
        self.progress.stopping();
        let Some((_, id)) = self.command else {
            self.stop_early(asked);
            return false;
        };
        // Its end stops the rest.
        self.course.command_asked = true;
        self.end_command(Signal::TERM);
        tokio::task::spawn_local(async move {
            tokio::time::sleep(COMMAND_GRACE).await;
            signal_tree(id, Signal::KILL);
        });
        false
    }

    /// A stop before what was to be run has been started: whoever asked for that must not take it for done.
    fn stop_early(&mut self, asked: Asked) {
        if self.course.returns {
            self.course.status = asked.status();
        }
        self.stop(asked.word());
    }

    /// Kills whatever is left of this run, and says who cannot be ended.
    fn kill_all(&self) {
        let but: Vec<u32> = self.course.others.iter().copied().chain([self.guard.pid]).collect();
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
                self.course.status = 1;
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
                self.course.status = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
                self.stop("command-not-started");
            }
        }
    }

    fn on_command_ended(&mut self, status: io::Result<std::process::ExitStatus>) {
        let exit = child::exit(status);
        self.command = None;
        self.course.status = status_of(exit);
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
        self.course.status = 1;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_next_port_is_for_taken_ones_and_what_was_written_down_is_meant_exactly() {
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = held.local_addr().unwrap();
        let terminal = Terminal::silent();
        let next = place(Wish::OrNext(taken), "the edge", &terminal).unwrap();
        assert!(next.port() > taken.port());
        let why = place(Wish::Exactly(taken), "the edge", &terminal).unwrap_err().to_string();
        assert!(
            why.contains(&format!("the edge cannot listen at {taken}")) && why.contains("end what listens"),
            "{why}"
        );
        // An address of documentation, which no machine has: another port of it would be no better.
        let elsewhere = "192.0.2.1:8080".parse().unwrap();
        let why = place(Wish::OrNext(elsewhere), "the edge", &terminal).unwrap_err().to_string();
        assert!(why.contains("give an address of this machine"), "{why}");
        let edge = |listen| crate::desired::Edge { listen, routes: vec![] };
        assert_eq!(edge(Some(taken)).wish(), Wish::Exactly(taken));
        assert_eq!(edge(None).wish(), Wish::OrNext(model::Edge::LISTEN));
    }
}
