//! The agent's state in one place: what should be, what is, the hands, the books for people; and one turn of its loop.

use crate::act::{Hands, News};
use crate::change::Books;
use crate::desired::Desired;
use crate::events::Events;
use crate::logs::Logs;
use crate::observed::{Fact, Note, Observed};
use crate::plan::{Action, plan};
use crate::view;
use api::{Happening, InstanceState};
use model::Moment;
use net::clock::Clock;
use std::rc::Rc;
use std::time::SystemTime;
use tokio::sync::Notify;

/// All that the agent knows and holds.
#[derive(Debug)]
pub(crate) struct Agent {
    /// What should be.
    pub(crate) desired: Desired,
    /// What is.
    pub(crate) observed: Observed,
    /// What happened.
    pub(crate) events: Events,
    /// What apps wrote.
    pub(crate) logs: Logs,
    /// Processes, files and addresses.
    pub(crate) hands: Hands,
    /// The clock of the plan.
    pub(crate) clock: Clock,
    /// The state of each unit in the words of the API, and since when.
    pub(crate) states: Vec<(InstanceState, SystemTime)>,
    /// When the environment was started.
    pub(crate) since: SystemTime,
    /// Where the API answers; none if there is none.
    pub(crate) api: Option<std::net::SocketAddr>,
    /// Wakes those who wait for events, lines or operations.
    pub(crate) changed: Rc<Notify>,
    /// Numbers of operations.
    pub(crate) operations: u64,
    /// Which manifests run; none: it was not started from a folder of them alone.
    pub(crate) books: Option<Books>,
}

impl Agent {
    /// Nothing has been started yet.
    pub(crate) fn begin(
        desired: Desired,
        hands: Hands,
        logs: Logs,
        events: Events,
        api: Option<std::net::SocketAddr>,
    ) -> Agent {
        let now = SystemTime::now();
        let observed = Observed::begin(&desired);
        let states = vec![(InstanceState::Stopped, now); desired.units.len()];
        let (clock, changed) = (Clock::start(), Rc::default());
        let books = desired.manifests.as_deref().map(Books::begin);
        Agent {
            desired,
            observed,
            events,
            logs,
            hands,
            clock,
            states,
            since: now,
            api,
            changed,
            operations: 0,
            books,
        }
    }

    /// Takes in what a task brought. True if the plan may be another one now.
    pub(crate) fn on(&mut self, news: News) -> bool {
        match news {
            News::Fact(fact) => {
                self.observed.on(fact, &self.desired, self.clock.now());
                true
            }
            News::Joined(joined) => {
                self.hands.joined = Some(joined);
                self.observed.on(Fact::Joined, &self.desired, self.clock.now());
                true
            }
            News::Told(told) => {
                self.happen(told);
                false
            }
            News::Line(name, text, show) => {
                self.logs.add(&name, text, show);
                self.changed.notify_waiters();
                false
            }
            News::Came(_) => false,
            News::Went(id) => {
                self.hands.forget(id);
                false
            }
        }
    }

    /// Plans and acts until nothing is left to do now; says when to look again at the latest, and what happened.
    pub(crate) fn turn(&mut self) -> (Moment, Vec<api::Event>) {
        let mut happened = self.take_notes();
        loop {
            let now = self.clock.now();
            let next = plan(&self.desired, &self.observed, now);
            if next.actions.is_empty() {
                self.take_states();
                return (next.wake, happened);
            }
            for action in &next.actions {
                if let Action::Renew(at) = action {
                    self.renew(*at);
                }
                self.observed.apply(action, &self.desired, now);
                happened.extend(self.take_notes());
                self.hands.act(action, &self.desired, &mut self.observed, now);
                self.settle_change();
            }
        }
    }

    /// Asks for a rolling restart of these units; answers with its number.
    pub(crate) fn restart(&mut self, units: Vec<usize>) -> u64 {
        self.operations += 1;
        self.observed.on(Fact::Restart(self.operations, units), &self.desired, self.clock.now());
        self.operations
    }

    /// Puts what happened into the books.
    pub(crate) fn happen(&mut self, happening: Happening) -> api::Event {
        self.changed.notify_waiters();
        self.events.add(happening).clone()
    }

    fn take_notes(&mut self) -> Vec<api::Event> {
        let notes = std::mem::take(&mut self.observed.notes);
        notes.into_iter().map(|note| self.note(note)).collect()
    }

    fn note(&mut self, note: Note) -> api::Event {
        let unit = note.unit.and_then(|at| self.desired.units.get(at));
        let service = note.unit.and_then(|at| self.desired.service(at));
        self.happen(Happening {
            kind: note.kind.into(),
            service: service.map(|s| s.name.to_string()),
            instance: unit.map(|u| u.name.to_string()),
            reason: note.reason,
            text: note.text,
        })
    }

    fn take_states(&mut self) {
        let now = SystemTime::now();
        for at in 0..self.states.len() {
            let state = view::state(&self.desired, &self.observed, at);
            if self.states[at].0 != state {
                self.states[at] = (state, now);
                self.changed.notify_waiters();
            }
        }
        // Operations have no notes of their own for each step.
        if !self.observed.operations.is_empty() {
            self.changed.notify_waiters();
        }
    }
}
