//! What is known of an environment: how far each sidecar and app is, who is in rotation, what was asked for.
//!
//! It changes in two ways only: by a [`Fact`] from outside (`on`), and by an [`Action`](crate::plan::Action) that was
//! decided (`apply`). Both are pure, so that a test can play a whole life without a process. What people should hear of
//! is left in `notes`, which the agent turns into events.

use crate::desired::Desired;
use crate::exit::Exit;
use model::{Moment, Settled};
use std::collections::VecDeque;

mod adopt;
mod apply;
mod plane;
mod processes;

/// So many starts in a row that came to nothing end the attempt to start an environment.
pub const FAILED_STARTS: u32 = 3;

/// So many operations are remembered, for whoever still asks how they ended.
const OPERATIONS_KEPT: usize = 100;

/// What is known of an environment.
#[derive(Clone, Debug)]
pub struct Observed {
    /// One for each unit of [`Desired`].
    pub units: Vec<Unit>,
    /// Counts the changes that sidecars read from their own files.
    pub generation: u64,
    /// How this agent stands with its control plane.
    pub plane: PlaneState,
    /// Since when everything is to stop.
    pub stopping: Option<Moment>,
    /// Whether everything has been there once.
    pub ready: bool,
    /// Whether one that does not start leaves the others to themselves: the start is not given up for it.
    pub goes_on: bool,
    /// How an app ended whose end is that of everything.
    pub ended: Option<Exit>,
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
    /// How far the control plane and its followers are with it.
    pub rotation: Rotation,
    /// Counts what the control plane is asked to do with it, so that late answers are known as such.
    pub wish: u64,
    /// Refusals of the control plane in a row.
    pub refusals: u32,
    /// Its sidecar was named among those that have not adopted a change; to be asked whether it lives.
    pub late: bool,
    /// The generation at which its sidecar's own file last changed.
    pub changed: u64,
    /// The generation that its sidecar has confirmed.
    pub acked: u64,
    /// The generation that its sidecar is being told.
    pub sent: Option<u64>,
    /// When it was decided to stop it: the one deadline of its stop counts from here.
    pub halt: Option<Moment>,
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
    /// It has been told that its app does not answer.
    pub hinted: bool,
    /// It needs other ports than last time.
    pub new_ports: bool,
}

/// How an agent stands with its control plane.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum PlaneState {
    /// It has never been reached, and nothing is known of it: nothing can be started.
    #[default]
    Unknown,
    /// It does not admit this agent, and why; it never has.
    Closed(String),
    /// It answers.
    There,
    /// It does not answer now. What is known of it is enough to go on.
    Away,
}

/// How far the control plane and its followers are with an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rotation {
    /// Callers are not sent to it.
    Out,
    /// The plane is being asked to register it.
    Entering,
    /// It is registered, and followers know.
    In,
    /// The plane is being asked to take it out: followers may still send requests.
    Leaving,
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
    /// It is to stop for good.
    Retire,
}

/// A rolling restart, or a change of what is wanted, of which a rolling restart is a part.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its number.
    pub id: u64,
    /// How far it is.
    pub stage: Stage,
    /// Since when it is that far.
    pub since: Moment,
    /// Units that have to be there before the first restart.
    pub starts: Vec<usize>,
    /// Units to be stopped for good after the last one.
    pub retires: Vec<usize>,
    /// Units that wait for their turn.
    pub queue: VecDeque<usize>,
    /// The unit whose turn it is, and since when.
    pub current: Option<(usize, Moment)>,
    /// Since when the next unit has no turn, as another one is away; told.
    pub waits: Option<Moment>,
    /// Units that are through.
    pub done: u32,
    /// Units in all.
    pub total: u32,
    /// Ended, and how.
    pub ended: Option<Ended>,
    /// What happened, for whoever asked for it.
    pub progress: Vec<(Moment, String)>,
}

/// How far an operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// It is a rolling restart and nothing else.
    Restarting,
    /// A change: something is built, and nothing has changed yet.
    Building,
    /// A change: what is wanted is another now, and what runs follows.
    Changing,
    /// A change that has ended and is in the books.
    Over,
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
    /// This process of the app cannot be killed, and why.
    Undead(usize, u64, u32, String),
    /// The control plane knows this agent, or what is known of the plane from an earlier run is enough to begin with.
    Joined,
    /// The control plane does not admit this agent, and why.
    NotAdmitted(String),
    /// The control plane does not answer, and why.
    PlaneAway(String),
    /// The control plane answers again.
    PlaneBack,
    /// The control plane has kept the instance, under this wish, and followers have adopted it as far as is said.
    Registered(usize, u64, Settled),
    /// The control plane has taken the instance out, under this wish, and no follower has it as far as is said.
    Deregistered(usize, u64, Settled),
    /// These followers have not adopted a change of the instance within a second.
    Waiting(usize, u64, Vec<String>),
    /// The control plane refuses the instance, under this wish: the word and the sentence.
    RegistrationRefused(usize, u64, String, String),
    /// The sidecar knows this generation of its own file.
    Acked(usize, u64, u64),
    /// The sidecar refuses this generation, and why.
    ReloadRefused(usize, u64, u64, String),
    /// The sidecar did not answer in time.
    ReloadLate(usize, u64),
    /// The sidecar that was late answers: it lives.
    Answers(usize, u64),
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
            plane: PlaneState::default(),
            stopping: None,
            ready: false,
            goes_on: false,
            ended: None,
            operations: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Whether callers are sent to `unit`.
    pub fn in_rotation(&self, unit: usize) -> bool {
        self.units[unit].rotation == Rotation::In
    }

    /// Whether the sidecar of `unit` has to read its own file again.
    pub fn behind(&self, unit: usize) -> bool {
        self.units[unit].changed > self.units[unit].acked
    }

    /// Whether sidecars can be started: they need to know where the control plane is.
    pub fn may_begin(&self) -> bool {
        matches!(self.plane, PlaneState::There | PlaneState::Away)
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

    /// Why the environment could not be started, if that is so: by which unit, if by one, and a sentence.
    pub fn failed_start(&self, desired: &Desired) -> Option<(Option<usize>, String)> {
        if self.ready {
            return None;
        }
        match &self.plane {
            PlaneState::Closed(why) => Some((None, why.clone())),
            _ if self.goes_on => None,
            _ => (0..self.units.len()).find_map(|at| self.does_not_start(at, desired)),
        }
    }

    /// Why a unit has not been started yet, though that was tried: whose words tell more, if anybody's, and a sentence.
    pub fn does_not_start(&self, at: usize, desired: &Desired) -> Option<(Option<usize>, String)> {
        let (unit, name) = (&self.units[at], &desired.units[at].name);
        let why = unit.reason.as_deref().unwrap_or("no-reason");
        if unit.app == App::Failed {
            return Some((Some(at), format!("the job {name} failed ({why})")));
        }
        let too_slow = why == "startup-too-slow" && unit.app_failures > 0;
        if unit.app_failures >= FAILED_STARTS || too_slow {
            return Some((Some(at), format!("{name} does not start ({why})")));
        }
        if unit.refusals >= FAILED_STARTS {
            return Some((None, format!("the control plane does not take {name} ({why})")));
        }
        let failed = unit.sidecar_failures >= FAILED_STARTS;
        failed.then(|| (Some(at), format!("the sidecar of {name} does not start ({why})")))
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
            Fact::Undead(at, run, pid, why) => self.on_undead(at, run, (pid, &why), desired, now),
            Fact::Joined => self.on_joined(),
            Fact::NotAdmitted(why) => self.on_not_admitted(why),
            Fact::PlaneAway(why) => self.on_plane_away(why),
            Fact::PlaneBack => self.on_plane_back(),
            Fact::Registered(at, wish, settled) => self.on_registered(at, wish, &settled),
            Fact::Deregistered(at, wish, settled) => self.on_deregistered(at, wish, &settled),
            Fact::Waiting(at, wish, waiting) => self.on_waiting(at, wish, &waiting, desired),
            Fact::RegistrationRefused(at, wish, word, text) => {
                self.on_registration_refused(at, wish, &word, text);
            }
            Fact::Acked(at, run, generation) => {
                if let Some(unit) = self.sidecar(at, run) {
                    unit.acked = unit.acked.max(generation);
                    unit.sent = None;
                }
            }
            Fact::ReloadRefused(at, run, generation, why) => self.on_refused(at, run, generation, why),
            Fact::ReloadLate(at, run) => self.on_late(at, run, now),
            Fact::Answers(at, run) => {
                if let Some(unit) = self.sidecar(at, run) {
                    unit.late = false;
                }
            }
            Fact::Drained(at, run, left) => self.on_drained(at, run, left),
        }
        self.note_ready();
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
        self.forget_old_operations();
        self.operations.push(Operation {
            id,
            stage: Stage::Restarting,
            since: now,
            starts: Vec::new(),
            retires: Vec::new(),
            queue: units.into(),
            current: None,
            waits: None,
            done: 0,
            total,
            ended: None,
            progress,
        });
    }

    fn forget_old_operations(&mut self) {
        if self.operations.len() >= OPERATIONS_KEPT
            && let Some(over) = self.operations.iter().position(|operation| operation.ended.is_some())
        {
            self.operations.remove(over);
        }
    }

    /// Notes that everything has been there once.
    fn note_ready(&mut self) {
        if !self.ready && self.stopping.is_none() && self.units.iter().all(|u| u.been_ready) {
            self.ready = true;
            let text = "every instance has been in rotation, every job is done".into();
            self.notes.push(Note { kind: "environment-ready", unit: None, reason: None, text });
        }
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
            rotation: Rotation::Out,
            wish: 0,
            refusals: 0,
            late: false,
            changed: 0,
            acked: 0,
            sent: None,
            halt: None,
            drain: Drain::No,
            wanted: Wanted::Run,
            been_ready: false,
            reason: None,
            spared: false,
            hinted: false,
            new_ports: false,
        }
    }

    /// Whether callers are sent to it, or are about to be.
    pub fn published(&self) -> bool {
        matches!(self.rotation, Rotation::Entering | Rotation::In)
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
