//! A world: callers who send requests whatever happens to the earlier ones, one sidecar with the books that ship, and
//! instances.

use crate::first::chance::Chance;
use crate::first::clock::Agenda;
use crate::first::drive::{drive, resume};
use crate::first::instance::{Begun, Instance, Job, Service};
use crate::first::report::{Outcome, Report};
use model::{Importance, Moment, Reason, Settings};
use policy::tape::{self, Line};
use policy::{
    Answer, Ask, Attempt, Books, Call, CallId, Ending, EndpointKey, Event, Reached, Step, Streams, Why,
};
use std::time::Duration;

/// What is played.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The policies.
    pub settings: Settings,
    /// The instances at the start.
    pub services: Vec<Service>,
    /// The time between two requests.
    pub gap: Duration,
    /// When the last request is sent.
    pub end: Moment,
    /// How long a caller waits before it hangs up.
    pub patience: Duration,
    /// Whether callers tell the sidecar how long they will wait.
    pub tells_deadline: bool,
    /// This share of requests must not be carried out twice.
    pub posts: f64,
    /// What happens to instances, and when.
    pub incidents: Vec<(Moment, Incident)>,
    /// Whether to record a tape.
    pub record: bool,
}

/// Something that happens to instances.
#[derive(Clone, Debug)]
pub enum Incident {
    /// It dies with all that it was doing.
    Kill(usize),
    /// It is back.
    Restart(usize),
    /// The sidecar follows another list of instances.
    Follow(Vec<u32>),
}

/// A finished run: what it was like, and what the checks need to know.
#[derive(Debug)]
pub struct Played {
    /// What it was like.
    pub report: Report,
    /// Requests that were sent.
    pub sent: u64,
    /// Requests that must not be carried out twice.
    pub posts: Vec<u64>,
    /// Every carrying out of a request at any instance, by the request's number.
    pub executed: Vec<u64>,
    /// Requests without an outcome, or with two.
    pub astray: Vec<u64>,
    /// Requests that began another attempt after their answer, or a third one.
    pub unruly: Vec<u64>,
    /// Whether nothing was left in the books.
    pub quiet: bool,
    /// The tape, if it was asked for.
    pub tape: String,
}

/// The way to an instance and back.
const NETWORK: Duration = Duration::from_micros(100);

#[derive(Clone, Debug)]
enum Happening {
    Request(u64),
    Due(u64, Moment),
    Arrived(usize, u32, Job),
    Done(usize, u32, Begun),
    Broke(Job, Reached, Reason),
    Ended(u64),
    Woken(u64),
    Patience(u64),
    Incident(Incident),
}

/// A request on its way.
struct Flight {
    call: Call,
    state: State,
}

/// What is known of a request besides its call.
struct State {
    id: u64,
    sent: Moment,
    /// The instances that its attempts are at.
    at: [Option<usize>; 2],
    opened: u8,
    due: Moment,
    status: u16,
    outcome: Option<Outcome>,
    astray: bool,
    settled: bool,
}

/// All but the flights: what the driver of one may touch.
struct Scene {
    agenda: Agenda<Happening>,
    books: Books,
    dice: Streams,
    instances: Vec<Instance>,
    report: Report,
    unruly: Vec<u64>,
    tape: Option<String>,
}

/// What the sidecar's exchange is for one request, here.
pub(crate) struct Exchange<'a> {
    scene: &'a mut Scene,
    state: &'a mut State,
}

/// Plays a plan to its end.
pub fn play(plan: Plan, name: &str, seed: u64) -> Played {
    World::new(plan, name, seed).play()
}

struct World {
    plan: Plan,
    scene: Scene,
    flights: Vec<Option<Box<Flight>>>,
    chance: Chance,
    posts: Vec<u64>,
    astray: Vec<u64>,
}

impl World {
    fn new(plan: Plan, name: &str, seed: u64) -> World {
        let handles: Vec<u32> = (0..plan.services.len() as u32).collect();
        let mut books = Books::new(&plan.settings, Moment::ZERO);
        books.follow(&handles, &plan.settings, Moment::ZERO);
        let source = |i: usize| Chance::new(seed, i as u64 + 1);
        let instances = plan.services.iter().enumerate().map(|(i, s)| Instance::new(s.clone(), source(i)));
        let report = Report {
            name: name.to_owned(),
            seed,
            attempts_at: vec![0; plan.services.len()],
            ..Report::default()
        };
        let mut scene = Scene {
            agenda: Agenda::new(),
            books,
            dice: Streams::new(seed),
            instances: instances.collect(),
            report,
            unruly: Vec::new(),
            tape: plan.record.then(String::new),
        };
        scene.record(|_| Line::Seed { seed });
        scene.record(|now| Line::Follow { now, handles, settings: Box::new(plan.settings.clone()) });
        for (at, incident) in &plan.incidents {
            scene.agenda.at(*at, Happening::Incident(incident.clone()));
        }
        scene.agenda.at(Moment::ZERO, Happening::Request(0));
        let chance = Chance::new(seed, 0);
        World { plan, scene, flights: Vec::new(), chance, posts: Vec::new(), astray: Vec::new() }
    }

    fn play(mut self) -> Played {
        while let Some(happening) = self.scene.agenda.next() {
            self.happen(happening);
            let now = self.scene.agenda.now();
            for id in self.scene.books.take_woken() {
                self.scene.agenda.at(now, Happening::Woken(id.0));
            }
            self.scene.report.notes.extend(self.scene.books.take_notes());
        }
        let mut report = self.scene.report;
        report.latencies.sort_unstable();
        self.astray.extend(self.flights.iter().flatten().map(|f| f.state.id));
        Played {
            report,
            sent: self.flights.len() as u64,
            posts: self.posts,
            executed: self.scene.instances.into_iter().flat_map(|i| i.executed).collect(),
            astray: self.astray,
            unruly: self.scene.unruly,
            quiet: self.scene.books.is_quiet(),
            tape: self.scene.tape.unwrap_or_default(),
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Request(id) => self.request(id),
            Happening::Due(id, at) => self.tell(id, Event::Due, |state| state.due == at),
            Happening::Woken(id) => self.tell(id, Event::Woken, |_| true),
            Happening::Ended(id) => self.tell(id, Event::Ended(Ending::Complete), |_| true),
            Happening::Patience(id) => {
                self.tell(id, Event::CallerGone, |state| {
                    let waits = state.outcome.is_none();
                    if waits {
                        state.end(Outcome::TimedOut);
                    }
                    waits
                });
            }
            Happening::Arrived(instance, life, job) => self.arrived(instance, life, job),
            Happening::Done(instance, life, begun) => self.done(instance, life, begun),
            Happening::Broke(job, reached, reason) => {
                let event = Event::Broke { attempt: job.attempt, reached, reason };
                self.tell(job.call, event, |state| state.at[job.attempt as usize].take().is_some());
            }
            Happening::Incident(incident) => self.incident(incident),
        }
    }

    fn request(&mut self, id: u64) {
        let now = self.scene.agenda.now();
        let post = self.chance.happens(self.plan.posts);
        if post {
            self.posts.push(id);
        }
        let ask = Ask {
            id: CallId(id),
            idempotent: !post,
            has_body: false,
            remaining: self.plan.tells_deadline.then_some(self.plan.patience),
            attempt: 1,
            importance: Importance::Critical,
            timeouts: self.plan.settings.timeouts,
        };
        self.scene.record(|now| Line::Begin { now, ask });
        let state = State {
            id,
            sent: now,
            at: [None; 2],
            opened: 0,
            due: Moment::NEVER,
            status: 0,
            outcome: None,
            astray: false,
            settled: false,
        };
        self.scene.agenda.at(now.after(self.plan.patience), Happening::Patience(id));
        let next = now.after(self.plan.gap);
        if next < self.plan.end {
            self.scene.agenda.at(next, Happening::Request(id + 1));
        }
        self.flights.push(None);
        let mut flight = Box::new(Flight { call: Call::begin(ask, now), state });
        drive(&mut Exchange { scene: &mut self.scene, state: &mut flight.state }, &mut flight.call);
        self.put_back(flight);
    }

    /// Tells a request's call of an event, if it is still there and `concerns` it.
    fn tell(&mut self, id: u64, event: Event, concerns: impl FnOnce(&mut State) -> bool) {
        let Some(mut flight) = self.flights.get_mut(id as usize).and_then(Option::take) else { return };
        if concerns(&mut flight.state) {
            let mut io = Exchange { scene: &mut self.scene, state: &mut flight.state };
            resume(&mut io, &mut flight.call, event);
        }
        self.put_back(flight);
    }

    fn put_back(&mut self, flight: Box<Flight>) {
        let (state, id) = (&flight.state, flight.state.id);
        if !state.settled {
            self.flights[id as usize] = Some(flight);
            return;
        }
        match state.outcome.filter(|_| !state.astray) {
            Some(outcome) => *self.scene.report.outcomes.entry(outcome).or_default() += 1,
            None => self.astray.push(id),
        }
    }

    fn arrived(&mut self, instance: usize, life: u32, job: Job) {
        let now = self.scene.agenda.now();
        let here = &mut self.scene.instances[instance];
        if here.life != life {
            self.happen(Happening::Broke(job, Reached::Bytes, Reason::InstanceBroke));
            return;
        }
        let still = self.flights[job.call as usize].as_ref().map(|f| f.state.at[job.attempt as usize]);
        if still.flatten() != Some(instance) {
            return;
        }
        if let Some(begun) = here.arrive(job, now) {
            self.scene.agenda.at(begun.done, Happening::Done(instance, life, begun));
        }
    }

    fn done(&mut self, instance: usize, life: u32, begun: Begun) {
        let now = self.scene.agenda.now();
        let here = &mut self.scene.instances[instance];
        if here.life != life {
            return;
        }
        if let Some(next) = here.done(begun.job, now) {
            self.scene.agenda.at(next.done, Happening::Done(instance, life, next));
        }
        let attempt = begun.job.attempt;
        let answer = Answer { status: begun.status, upgraded: false, refusal: None, long: false };
        self.tell(begun.job.call, Event::Head { attempt, answer }, |state| {
            state.status = begun.status;
            state.at[attempt as usize].take_if(|at| *at == instance).is_some()
        });
    }

    fn incident(&mut self, incident: Incident) {
        let now = self.scene.agenda.now();
        match incident {
            Incident::Kill(instance) => {
                for job in self.scene.instances[instance].kill() {
                    self.happen(Happening::Broke(job, Reached::Bytes, Reason::InstanceBroke));
                }
            }
            Incident::Restart(instance) => self.scene.instances[instance].restart(),
            Incident::Follow(handles) => {
                self.scene.books.follow(&handles, &self.plan.settings, now);
                let settings = Box::new(self.plan.settings.clone());
                self.scene.record(|now| Line::Follow { now, handles, settings });
            }
        }
    }
}

impl Scene {
    fn record(&mut self, line: impl FnOnce(Moment) -> Line) {
        if let Some(tape) = &mut self.tape {
            tape::encode(0, &line(self.agenda.now()), tape);
        }
    }
}

impl State {
    fn end(&mut self, outcome: Outcome) {
        self.astray |= self.outcome.replace(outcome).is_some();
    }
}

impl Exchange<'_> {
    pub(crate) fn next(&mut self, call: &mut Call) -> Step {
        let (scene, id) = (&mut *self.scene, CallId(self.state.id));
        let step = call.next(&mut scene.books, scene.agenda.now(), &mut scene.dice);
        scene.record(|now| Line::Next { now, id, step });
        step
    }

    pub(crate) fn on(&mut self, call: &mut Call, event: Event) {
        let (scene, id) = (&mut *self.scene, CallId(self.state.id));
        call.on(event, &mut scene.books, scene.agenda.now());
        scene.record(|now| Line::On { now, id, event });
    }

    pub(crate) fn open(&mut self, attempt: Attempt, to: EndpointKey, _give_up: Moment) {
        let Some(instance) = self.scene.books.handle(to).map(|handle| handle as usize) else { return };
        self.state.opened += 1;
        if self.state.opened > 2 || self.state.outcome.is_some() {
            self.scene.unruly.push(self.state.id);
        }
        self.state.at[attempt as usize] = Some(instance);
        self.scene.report.attempts += 1;
        self.scene.report.attempts_at[instance] += 1;
        let job = Job { call: self.state.id, attempt };
        let here = &self.scene.instances[instance];
        let then = if here.is_up() {
            Happening::Arrived(instance, here.life, job)
        } else {
            Happening::Broke(job, Reached::Nothing, Reason::ConnectFailed)
        };
        let at = self.scene.agenda.now().after(NETWORK);
        self.scene.agenda.at(at, then);
    }

    pub(crate) fn drop_attempt(&mut self, attempt: Attempt, _why: Why) {
        if let Some(instance) = self.state.at[attempt as usize].take() {
            self.scene.instances[instance].abandon(Job { call: self.state.id, attempt });
        }
    }

    /// The answer is small: it is passed on whole at once.
    pub(crate) fn forward(&mut self, _attempt: Attempt, _idle: Duration) {
        let now = self.scene.agenda.now();
        let success = self.state.status < 500;
        self.state.end(if success { Outcome::Success } else { Outcome::Failure });
        if success {
            self.scene.report.latencies.push(now.since(self.state.sent));
        }
        self.scene.agenda.at(now, Happening::Ended(self.state.id));
    }

    /// No instance here asks for one; it would end at once.
    pub(crate) fn tunnel(&mut self, attempt: Attempt) {
        self.forward(attempt, Duration::ZERO);
    }

    pub(crate) fn refuse(&mut self, reason: Reason, _retry_after: Option<Duration>) {
        self.state.end(Outcome::Refused(reason));
    }

    pub(crate) fn event(&mut self, until: Moment) {
        if until != Moment::NEVER && self.state.due != until {
            self.scene.agenda.at(until, Happening::Due(self.state.id, until));
        }
        self.state.due = until;
    }

    pub(crate) fn settle(&mut self) {
        self.state.settled = true;
    }
}
