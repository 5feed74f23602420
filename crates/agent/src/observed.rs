//! What is known of an environment: how far each sidecar and app is, who knows of whom, what was asked for.
//!
//! It changes in two ways only: by a [`Fact`] from outside (`on`), and by an [`Action`] that was decided (`apply`).
//! Both are pure, so that a test can play a whole life without a process. What people should hear of is left in
//! `notes`, which the agent turns into events.

use crate::desired::{BackOff, Desired, Kind};
use crate::exit::Exit;
use crate::plan::Action;
use model::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// So many starts in a row that came to nothing end the attempt to start an environment.
pub const FAILED_STARTS: u32 = 3;

/// So many operations are remembered, for whoever still asks how they ended.
const OPERATIONS_KEPT: usize = 100;

/// What is known of an environment.
#[derive(Clone, Debug)]
pub struct Observed {
    /// One for each unit of [`Desired`].
    pub units: Vec<Unit>,
    /// Counts the changes of who is in rotation. A sidecar that has confirmed this number knows all.
    pub generation: u64,
    /// Since when everything is to stop.
    pub stopping: Option<Moment>,
    /// Whether everything has been there once.
    pub ready: bool,
    /// What was asked for, oldest first.
    pub operations: Vec<Operation>,
    /// What people should hear of; taken out by the agent.
    pub notes: Vec<Note>,
}

/// A sidecar and the app beside it.
#[derive(Clone, Debug)]
pub struct Unit {
    /// How far the sidecar is.
    pub sidecar: Sidecar,
    /// Its process.
    pub sidecar_pid: Option<u32>,
    /// Counts its starts, so that news of an earlier one are known as such.
    pub sidecar_run: u64,
    /// Starts in a row that came to nothing.
    pub sidecar_failures: u32,
    /// How far the app is.
    pub app: App,
    /// Its process.
    pub app_pid: Option<u32>,
    /// Counts its starts.
    pub app_run: u64,
    /// Ends in a row that nobody wanted.
    pub app_failures: u32,
    /// Starts after an end, wanted or not.
    pub app_restarts: u64,
    /// Failed liveness probes in a row.
    pub liveness_failures: u32,
    /// Whether callers are told of it.
    pub published: bool,
    /// The generation at which that last changed.
    pub changed: u64,
    /// The generation that its sidecar has confirmed.
    pub acked: u64,
    /// The generation that its sidecar is being told.
    pub sent: Option<u64>,
    /// Whether its last requests are being finished.
    pub drain: Drain,
    /// What is to become of it.
    pub wanted: Wanted,
    /// Whether it has been in rotation once, or, as a job, is done.
    pub been_ready: bool,
    /// Why it is not in rotation, in one word.
    pub reason: Option<String>,
    /// The liveness restart that was held back has been told.
    pub spared: bool,
    /// It needs other ports than last time.
    pub new_ports: bool,
}

/// How far a sidecar is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sidecar {
    /// No process; may be started from then on.
    Absent(Moment),
    /// Started then, does not say `ready` yet.
    Starting(Moment),
    /// It serves, since then.
    Ready(Moment),
    /// Told to end then; killed or not.
    Stopping(Moment, Killed),
}

/// How far an app is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum App {
    /// There is none: the edge.
    None,
    /// No process; may be started from then on.
    Absent(Moment),
    /// Started then, has not passed its startup probe yet.
    Starting(Moment),
    /// It answers, since then. A job: it runs.
    Up(Moment),
    /// Told to end then; killed or not.
    Stopping(Moment, Killed),
    /// A job that ended well.
    Done,
    /// A job that ended badly too often.
    Failed,
}

/// Whether what was told to end has been killed since.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Killed {
    /// It may still end by itself.
    No,
    /// It was killed.
    Yes,
}

/// Whether an app's last requests are being finished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drain {
    /// Not asked for.
    No,
    /// Asked for.
    Asked,
    /// Nothing is in flight any more, or the time for it is over.
    Over,
}

/// What is to become of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// It is to run.
    Run,
    /// It is to stop and then to run again.
    Restart,
}

/// A rolling restart.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its number.
    pub id: u64,
    /// Units that wait for their turn.
    pub queue: VecDeque<usize>,
    /// The unit whose turn it is, and since when.
    pub current: Option<(usize, Moment)>,
    /// Units that are through.
    pub done: u32,
    /// Units in all.
    pub total: u32,
    /// Ended, and how.
    pub ended: Option<Ended>,
    /// What happened, for whoever asked for it.
    pub progress: Vec<(Moment, String)>,
}

/// How an operation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// All units are through.
    Done,
    /// One did not come back.
    Failed,
}

/// Something that people should hear of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// What, in one word.
    pub kind: &'static str,
    /// Of which unit.
    pub unit: Option<usize>,
    /// Why, in one word.
    pub reason: Option<String>,
    /// A sentence.
    pub text: String,
}

/// News from outside. The numbers are the unit and, where processes are concerned, the run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// The sidecar's process exists.
    SidecarStarted(usize, u64, u32),
    /// The sidecar serves.
    SidecarReady(usize, u64),
    /// The sidecar's process has ended; what it last said.
    SidecarExited(usize, u64, Exit, String),
    /// The app's process exists.
    AppStarted(usize, u64, u32),
    /// The app has passed its startup probe.
    StartupPassed(usize, u64),
    /// A liveness probe passed.
    Alive(usize, u64),
    /// A liveness probe did not pass, and why.
    NotAlive(usize, u64, String),
    /// The app and all that it started have ended.
    AppExited(usize, u64, Exit),
    /// The sidecar knows this generation.
    Acked(usize, u64, u64),
    /// The sidecar refuses this generation, and why.
    ReloadRefused(usize, u64, u64, String),
    /// The sidecar did not answer in time.
    ReloadLate(usize, u64),
    /// So many requests are left in flight, now that the drain is over.
    Drained(usize, u64, u32),
    /// Everything is to stop, and why.
    Stop(String),
    /// These units are to be restarted one after the other, under this number.
    Restart(u64, Vec<usize>),
}

impl Observed {
    /// Nothing runs yet.
    pub fn begin(desired: &Desired) -> Observed {
        let unit = |at: usize| Unit::begin(desired.service(at).is_some());
        Observed {
            units: (0..desired.units.len()).map(unit).collect(),
            generation: 1,
            stopping: None,
            ready: false,
            operations: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Whether callers are sent to `unit`, and every sidecar that calls it knows.
    pub fn in_rotation(&self, desired: &Desired, unit: usize) -> bool {
        self.units[unit].published && self.settled(desired, unit)
    }

    /// Whether every sidecar that calls `unit` knows whether it is in rotation. A sidecar that is away does not
    /// count: it starts with what is known then.
    pub fn settled(&self, desired: &Desired, unit: usize) -> bool {
        let changed = self.units[unit].changed;
        let knows = |(at, f): (usize, &Unit)| {
            !f.serves() || f.acked >= changed || !(desired.follows(at, unit) || at == unit)
        };
        self.units.iter().enumerate().all(knows)
    }

    /// Whether the sidecar `follower` has to be told of something.
    pub fn behind(&self, desired: &Desired, follower: usize) -> bool {
        let acked = self.units[follower].acked;
        let news =
            |(at, u): (usize, &Unit)| u.changed > acked && (desired.follows(follower, at) || at == follower);
        self.units.iter().enumerate().any(news)
    }

    /// Whether nothing of `unit` runs.
    pub fn gone(&self, unit: usize) -> bool {
        let unit = &self.units[unit];
        matches!(unit.sidecar, Sidecar::Absent(_)) && !unit.app_runs()
    }

    /// Whether nothing runs.
    pub fn all_gone(&self) -> bool {
        (0..self.units.len()).all(|unit| self.gone(unit))
    }

    /// Why the environment could not be started, if that is so: which unit, and a sentence.
    pub fn failed_start(&self, desired: &Desired) -> Option<(usize, String)> {
        if self.ready {
            return None;
        }
        self.units.iter().enumerate().find_map(|(at, unit)| {
            let name = &desired.units[at].name;
            let why = unit.reason.as_deref().unwrap_or("no-reason");
            if unit.app == App::Failed {
                return Some((at, format!("the job {name} failed ({why})")));
            }
            let too_slow = why == "startup-too-slow" && unit.app_failures > 0;
            if unit.app_failures >= FAILED_STARTS || too_slow {
                return Some((at, format!("{name} does not start ({why})")));
            }
            let failed = unit.sidecar_failures >= FAILED_STARTS;
            failed.then(|| (at, format!("the sidecar of {name} does not start ({why})")))
        })
    }

    /// What the news mean.
    pub fn on(&mut self, fact: Fact, desired: &Desired, now: Moment) {
        match fact {
            Fact::Stop(why) => self.on_stop(why, now),
            Fact::Restart(id, units) => self.on_restart(id, units, now),
            Fact::SidecarStarted(at, run, pid) => {
                if let Some(unit) = self.sidecar(at, run) {
                    unit.sidecar_pid = Some(pid);
                }
            }
            Fact::SidecarReady(at, run) => self.on_sidecar_ready(at, run, now),
            Fact::SidecarExited(at, run, exit, words) => self.on_sidecar_exit(at, run, exit, &words, now),
            Fact::AppStarted(at, run, pid) => self.on_app_started(at, run, pid, desired, now),
            Fact::StartupPassed(at, run) => self.on_startup(at, run, now),
            Fact::Alive(at, run) => {
                if let Some(unit) = self.app(at, run) {
                    unit.liveness_failures = 0;
                    unit.spared = false;
                }
            }
            Fact::NotAlive(at, run, why) => self.on_not_alive(at, run, why),
            Fact::AppExited(at, run, exit) => self.on_app_exit(at, run, exit, desired, now),
            Fact::Acked(at, run, generation) => {
                if let Some(unit) = self.sidecar(at, run) {
                    unit.acked = unit.acked.max(generation);
                    unit.sent = None;
                }
            }
            Fact::ReloadRefused(at, run, generation, why) => self.on_refused(at, run, generation, why),
            Fact::ReloadLate(at, run) => self.on_late(at, run, now),
            Fact::Drained(at, run, left) => self.on_drained(at, run, left),
        }
        self.note_arrivals(desired);
    }

    fn sidecar(&mut self, at: usize, run: u64) -> Option<&mut Unit> {
        self.units.get_mut(at).filter(|unit| unit.sidecar_run == run)
    }

    fn app(&mut self, at: usize, run: u64) -> Option<&mut Unit> {
        self.units.get_mut(at).filter(|unit| unit.app_run == run)
    }

    fn note(&mut self, kind: &'static str, unit: usize, reason: Option<&str>, text: impl Into<String>) {
        let reason = reason.map(str::to_owned);
        self.notes.push(Note { kind, unit: Some(unit), reason, text: text.into() });
    }

    fn on_stop(&mut self, why: String, now: Moment) {
        if self.stopping.is_none() {
            self.stopping = Some(now);
            let text = "everything is being stopped, callers before those that they call".into();
            self.notes.push(Note { kind: "environment-stopping", unit: None, reason: Some(why), text });
        }
    }

    fn on_restart(&mut self, id: u64, units: Vec<usize>, now: Moment) {
        let total = u32::try_from(units.len()).unwrap_or(u32::MAX);
        let progress = vec![(now, format!("{total} to restart, one after the other"))];
        let queue = units.into();
        if self.operations.len() >= OPERATIONS_KEPT
            && let Some(over) = self.operations.iter().position(|operation| operation.ended.is_some())
        {
            self.operations.remove(over);
        }
        self.operations.push(Operation { id, queue, current: None, done: 0, total, ended: None, progress });
    }

    fn on_sidecar_ready(&mut self, at: usize, run: u64, now: Moment) {
        let Some(unit) = self.sidecar(at, run) else { return };
        if matches!(unit.sidecar, Sidecar::Starting(_)) {
            unit.sidecar = Sidecar::Ready(now);
            // The edge has nothing but its sidecar.
            if unit.app == App::None {
                unit.been_ready = true;
                unit.reason = None;
            }
            self.note("sidecar-ready", at, None, "its sidecar serves");
        }
    }

    fn on_sidecar_exit(&mut self, at: usize, run: u64, exit: Exit, words: &str, now: Moment) {
        let stopping = self.stopping.is_some();
        let Some(unit) = self.sidecar(at, run) else { return };
        let was = std::mem::replace(&mut unit.sidecar, Sidecar::Absent(now));
        unit.sidecar_pid = None;
        unit.sent = None;
        match was {
            Sidecar::Stopping(_, _) if unit.wanted == Wanted::Restart || stopping => return,
            // It served for a while: what ended it is not what it was started with.
            Sidecar::Ready(since) if since.until(now) > Duration::from_secs(10) => unit.sidecar_failures = 0,
            _ => unit.sidecar_failures += 1,
        }
        let wait = BackOff::SIDECAR.wait(unit.sidecar_failures.saturating_sub(1));
        unit.sidecar = Sidecar::Absent(now.after(wait));
        unit.reason = Some("sidecar-gone".into());
        // Where it could not even begin, somebody else may have its ports.
        unit.new_ports |= !matches!(was, Sidecar::Ready(_)) && !unit.app_runs();
        let words = if words.is_empty() { String::new() } else { format!(": {words}") };
        self.note("sidecar-exited", at, Some(&exit.word()), format!("its sidecar ended by {exit}{words}"));
    }

    fn on_app_started(&mut self, at: usize, run: u64, pid: u32, desired: &Desired, now: Moment) {
        let job = desired.service(at).is_some_and(|s| s.kind == Kind::Job);
        let Some(unit) = self.app(at, run) else { return };
        unit.app_pid = Some(pid);
        if job && matches!(unit.app, App::Starting(_)) {
            unit.app = App::Up(now);
        }
        self.note("started", at, None, format!("its app runs as process {pid}"));
    }

    fn on_startup(&mut self, at: usize, run: u64, now: Moment) {
        let Some(unit) = self.app(at, run) else { return };
        if let App::Starting(since) = unit.app {
            unit.app = App::Up(now);
            unit.liveness_failures = 0;
            let took = since.until(now).as_millis();
            self.note("ready", at, None, format!("its app answers, {took} ms after its start"));
        }
    }

    fn on_not_alive(&mut self, at: usize, run: u64, why: String) {
        let Some(unit) = self.app(at, run) else { return };
        unit.liveness_failures = unit.liveness_failures.saturating_add(1);
        let text = format!("liveness probe failed, {} in a row: {why}", unit.liveness_failures);
        self.note("probe-failed", at, Some("liveness"), text);
    }

    fn on_app_exit(&mut self, at: usize, run: u64, exit: Exit, desired: &Desired, now: Moment) {
        let (Some(service), stopping) = (desired.service(at), self.stopping.is_some()) else { return };
        let Some(unit) = self.app(at, run) else { return };
        let was = std::mem::replace(&mut unit.app, App::Absent(now));
        unit.app_pid = None;
        unit.liveness_failures = 0;
        unit.spared = false;
        let told = matches!(was, App::Stopping(_, _));
        let asked = told && (unit.wanted == Wanted::Restart || stopping);
        // Nobody asked for its end, but it was told to: it did not pass its startup probe.
        let too_slow = told && !asked;
        if asked {
            self.note("stopped", at, Some(&exit.word()), format!("its app ended by {exit}, as asked"));
            return;
        }
        if service.kind == Kind::Job && exit == Exit::Code(0) {
            unit.app = App::Done;
            unit.been_ready = true;
            unit.reason = None;
            self.note("done", at, Some(&exit.word()), "the job is done");
            return;
        }
        // Whoever ran well for long enough begins to count anew.
        if let App::Up(since) = was
            && since.until(now) > service.back_off.at_most.max(Duration::from_secs(10))
        {
            unit.app_failures = 0;
        }
        unit.app_failures += 1;
        if !too_slow {
            unit.reason = Some(exit.word());
        }
        // An app that never answered may have found its port taken: another one next time.
        unit.new_ports |= matches!(was, App::Starting(_));
        let wait = service.back_off.wait(unit.app_failures);
        let end = format!("its app ended by {exit}");
        let text = if service.kind == Kind::Job && unit.app_failures >= service.attempts {
            unit.app = App::Failed;
            format!("{end}; the job is given up after {} attempts", unit.app_failures)
        } else {
            unit.app = App::Absent(now.after(wait));
            format!("{end}; started again in {} ms", wait.as_millis())
        };
        let kind = if unit.app == App::Failed { "failed" } else { "exited" };
        self.note(kind, at, Some(&exit.word()), text);
    }

    fn on_refused(&mut self, at: usize, run: u64, generation: u64, why: String) {
        let Some(unit) = self.sidecar(at, run) else { return };
        // It keeps what it had; the same again would be refused again, so nobody waits for it.
        unit.acked = unit.acked.max(generation);
        unit.sent = None;
        let text = format!("its sidecar refuses what it was told and keeps what it had: {why}");
        self.note("reload-refused", at, Some("refused"), text);
    }

    fn on_late(&mut self, at: usize, run: u64, now: Moment) {
        let Some(unit) = self.sidecar(at, run) else { return };
        if unit.serves() {
            // The act has killed it with this news; its end is told by itself.
            unit.sidecar = Sidecar::Stopping(now, Killed::Yes);
            unit.sent = None;
            self.note(
                "killed",
                at,
                Some("reload-late"),
                "its sidecar did not confirm in time and is replaced",
            );
        }
    }

    fn on_drained(&mut self, at: usize, run: u64, left: u32) {
        let Some(unit) = self.sidecar(at, run) else { return };
        if unit.drain == Drain::Asked {
            unit.drain = Drain::Over;
            let (reason, text) = match left {
                0 => (None, "its last request is answered".to_owned()),
                _ => (Some("time-over"), format!("{left} requests were not answered in time")),
            };
            self.note("drained", at, reason, text);
        }
    }

    /// Notes who has come into rotation, in the eyes of all, by the latest news.
    fn note_arrivals(&mut self, desired: &Desired) {
        for at in 0..self.units.len() {
            if self.units[at].reason.as_deref() == Some("entering") && self.in_rotation(desired, at) {
                self.units[at].reason = None;
                self.units[at].been_ready = true;
                self.note("in-rotation", at, None, "every caller knows of it");
            }
        }
        if !self.ready && self.stopping.is_none() && self.units.iter().all(|u| u.been_ready) {
            self.ready = true;
            let text = "every instance has been in rotation, every job is done".into();
            self.notes.push(Note { kind: "environment-ready", unit: None, reason: None, text });
        }
    }

    /// What a decided action changes here, before it is carried out.
    pub fn apply(&mut self, action: &Action, desired: &Desired, now: Moment) {
        match action {
            Action::StartSidecar(at) => self.apply_start_sidecar(*at, now),
            Action::StopSidecar(at) => self.units[*at].sidecar = Sidecar::Stopping(now, Killed::No),
            Action::KillSidecar(at, why) => {
                self.units[*at].sidecar = Sidecar::Stopping(now, Killed::Yes);
                self.note("killed", *at, Some(why), "its sidecar was killed");
            }
            Action::StartApp(at) => self.apply_start_app(*at, now),
            Action::StopApp(at, why) => {
                self.units[*at].app = App::Stopping(now, Killed::No);
                self.units[*at].reason = Some((*why).into());
                self.note("stopping", *at, Some(why), "its app was told to end");
            }
            Action::KillApp(at) => {
                let was = std::mem::replace(&mut self.units[*at].app, App::Stopping(now, Killed::Yes));
                let since = if let App::Stopping(since, _) = was { since } else { now };
                let text =
                    format!("its app did not end within {} ms of SIGTERM", since.until(now).as_millis());
                self.note("killed", *at, Some("grace-over"), text);
            }
            Action::Enter(at) => {
                self.publish(*at, true);
                self.units[*at].reason = Some("entering".into());
                self.note_arrivals(desired);
            }
            Action::Leave(at, why) => {
                self.publish(*at, false);
                self.units[*at].reason = Some(why.clone());
                self.note("out-of-rotation", *at, Some(why), "callers are told not to use it");
            }
            Action::Publish(at) => self.units[*at].sent = Some(self.generation),
            Action::Drain(at) => self.units[*at].drain = Drain::Asked,
            Action::Restart(at, why) => {
                self.units[*at].wanted = Wanted::Restart;
                self.note("restarting", *at, Some(why), "it is taken out, stopped and started again");
            }
            Action::Spare(at) => {
                self.units[*at].spared = true;
                let text = "it hangs, but no other instance could take its requests: it is left alone";
                self.note("spared", *at, Some("last-instance"), text);
            }
            Action::Renew(at) => {
                let unit = &mut self.units[*at];
                unit.wanted = Wanted::Run;
                unit.drain = Drain::No;
                if unit.app != App::None {
                    unit.app = App::Absent(now);
                }
                unit.sidecar = Sidecar::Absent(now);
                // A sidecar that could not come back beside its running app may have lost its ports.
                unit.new_ports |= unit.sidecar_failures >= FAILED_STARTS;
            }
            Action::Begin(op) => self.apply_begin(*op, desired, now),
            Action::Advance(op) => self.apply_advance(*op, desired, now),
            Action::Abandon(op, why) => self.apply_abandon(*op, why, now),
        }
    }

    fn publish(&mut self, at: usize, published: bool) {
        self.generation += 1;
        self.units[at].published = published;
        self.units[at].changed = self.generation;
    }

    fn apply_start_sidecar(&mut self, at: usize, now: Moment) {
        let generation = self.generation;
        let unit = &mut self.units[at];
        unit.sidecar = Sidecar::Starting(now);
        unit.sidecar_run += 1;
        unit.acked = generation;
        unit.sent = None;
        unit.drain = Drain::No;
        if unit.sidecar_run > 1 {
            self.note("restarted", at, None, "its sidecar was started again");
        }
    }

    fn apply_start_app(&mut self, at: usize, now: Moment) {
        if self.units[at].new_ports {
            // Its own sidecar has to learn where the app is now.
            self.publish(at, false);
        }
        let unit = &mut self.units[at];
        unit.app = App::Starting(now);
        unit.app_run += 1;
        if unit.app_run > 1 {
            unit.app_restarts += 1;
            self.note("restarted", at, None, "its app is started again");
        }
    }

    fn apply_begin(&mut self, op: usize, desired: &Desired, now: Moment) {
        let operation = &mut self.operations[op];
        let Some(at) = operation.queue.pop_front() else { return };
        operation.current = Some((at, now));
        operation.progress.push((now, format!("{} is restarted", desired.units[at].name)));
        self.apply(&Action::Restart(at, "asked"), desired, now);
    }

    fn apply_advance(&mut self, op: usize, desired: &Desired, now: Moment) {
        let operation = &mut self.operations[op];
        if let Some((at, since)) = operation.current.take() {
            operation.done += 1;
            let took = since.until(now).as_millis();
            let (done, total, name) = (operation.done, operation.total, &desired.units[at].name);
            operation.progress.push((now, format!("{name} is back after {took} ms ({done}/{total})")));
        }
        if operation.queue.is_empty() {
            operation.ended = Some(Ended::Done);
        }
    }

    fn apply_abandon(&mut self, op: usize, why: &str, now: Moment) {
        let operation = &mut self.operations[op];
        operation.ended = Some(Ended::Failed);
        operation.progress.push((now, format!("given up: {why}")));
        let text = format!("the restart was given up: {why}");
        let note = Note { kind: "operation-failed", unit: None, reason: Some("given-up".into()), text };
        self.notes.push(note);
    }
}

impl Unit {
    fn begin(has_app: bool) -> Unit {
        Unit {
            sidecar: Sidecar::Absent(Moment::ZERO),
            sidecar_pid: None,
            sidecar_run: 0,
            sidecar_failures: 0,
            app: if has_app { App::Absent(Moment::ZERO) } else { App::None },
            app_pid: None,
            app_run: 0,
            app_failures: 0,
            app_restarts: 0,
            liveness_failures: 0,
            published: false,
            changed: 0,
            acked: 0,
            sent: None,
            drain: Drain::No,
            wanted: Wanted::Run,
            been_ready: false,
            reason: None,
            spared: false,
            new_ports: false,
        }
    }

    /// Whether its sidecar serves.
    pub fn serves(&self) -> bool {
        matches!(self.sidecar, Sidecar::Ready(_))
    }

    /// Whether its app's process exists, however far it is.
    pub fn app_runs(&self) -> bool {
        matches!(self.app, App::Starting(_) | App::Up(_) | App::Stopping(..))
    }
}
