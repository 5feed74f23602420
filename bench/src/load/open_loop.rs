//! The open loop: requests leave when they are meant to, whatever became of the
//! ones before.

use super::connection::{Census, Connection, Seat};
use super::failure::{Failure, Phase};
use super::options::Options;
use super::report::Report;
use super::request::Target;
use super::tally::Tally;
use crate::draw::Draws;
use crate::pace::Pacer;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How long the end of a run waits between looks at what is still on its way.
const DRAIN_LOOK: Duration = Duration::from_millis(2);

struct Load {
    options: Options,
    target: Rc<Target>,
    census: Rc<Census>,
    idle: RefCell<Vec<Connection>>,
    backlog: RefCell<VecDeque<Call>>,
    flights: RefCell<VecDeque<Flight>>,
    tally: RefCell<Tally>,
}

#[derive(Clone, Copy)]
struct Call {
    number: u64,
    intended: Instant,
}

/// A call on its way. They are kept in the order of their deadlines, so that one
/// look at the front finds those whose time is over; no timer per request.
struct Flight {
    call: Call,
    task: JoinHandle<()>,
    phase: Rc<Cell<Phase>>,
}

enum Place {
    Kept(Box<Connection>),
    New(Seat),
}

pub(super) async fn run(options: Options, target: Rc<Target>, rate: f64) -> anyhow::Result<Report> {
    let tally = RefCell::new(Tally::new(&options)?);
    let load = Rc::new(Load {
        options,
        target,
        census: Rc::default(),
        idle: RefCell::default(),
        backlog: RefCell::default(),
        flights: RefCell::default(),
        tally,
    });
    load.open_first().await;
    let mut pacer = Pacer::new()?;
    let mut gaps = Gaps::new(&load.options, rate);
    let start = Instant::now();
    load.tally.borrow_mut().begin(start);
    let mut due = Duration::ZERO;
    for number in 0.. {
        if due >= load.options.duration {
            break;
        }
        let call = Call { number, intended: start + due };
        load.attend_until(&mut pacer, call.intended).await?;
        load.enter(call);
        due += gaps.next();
    }
    while !load.is_done() {
        load.attend_until(&mut pacer, Instant::now() + DRAIN_LOOK).await?;
    }
    let seconds = load.options.duration.as_secs_f64();
    load.tally.borrow_mut().report(&load.options, &load.census, seconds)
}

impl Load {
    /// Connections that fail here are left to the calls, which count them.
    async fn open_first(&self) {
        for _ in 0..self.options.connections.min(self.options.max_connections) {
            let made = tokio::time::timeout(
                self.options.timeout,
                Connection::open(&self.target, Seat::take(&self.census)),
            );
            match made.await {
                Ok(Ok(connection)) => self.idle.borrow_mut().push(connection),
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }

    /// Ends what is over until `moment` comes.
    async fn attend_until(self: &Rc<Self>, pacer: &mut Pacer, moment: Instant) -> anyhow::Result<()> {
        loop {
            let wake = self.next_deadline().map_or(moment, |deadline| deadline.min(moment));
            if wake <= Instant::now() {
                // Late: let the answers be read before more is sent.
                tokio::task::yield_now().await;
            }
            pacer.until(wake).await?;
            let now = Instant::now();
            self.end_overdue(now);
            self.pump();
            if now >= moment {
                return Ok(());
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let flights = self.flights.borrow();
        let backlog = self.backlog.borrow();
        let first = [flights.front().map(|flight| flight.call), backlog.front().copied()];
        let intended = first.into_iter().flatten().map(|call| call.intended).min();
        intended.map(|intended| intended + self.options.timeout)
    }

    fn is_done(&self) -> bool {
        self.flights.borrow().is_empty() && self.backlog.borrow().is_empty()
    }

    fn end_overdue(&self, now: Instant) {
        let over = |call: &Call| now >= call.intended + self.options.timeout;
        let mut flights = self.flights.borrow_mut();
        while let Some(flight) =
            flights.pop_front_if(|flight| flight.task.is_finished() || over(&flight.call))
        {
            if !flight.task.is_finished() {
                flight.task.abort();
                self.settle(flight.call, Err(Failure::Timeout(flight.phase.get())));
            }
        }
        let mut backlog = self.backlog.borrow_mut();
        while let Some(call) = backlog.pop_front_if(|call| over(call)) {
            self.settle(call, Err(Failure::Timeout(Phase::Queued)));
        }
    }

    fn settle(&self, call: Call, outcome: Result<super::connection::Answer, Failure>) {
        self.tally.borrow_mut().settle(|| self.target.id_of(call.number), call.intended, &outcome);
    }

    /// A call's moment has come: it leaves, behind those that could not.
    fn enter(self: &Rc<Self>, call: Call) {
        self.backlog.borrow_mut().push_back(call);
        self.pump();
    }

    /// Lets calls leave while there are connections for them.
    fn pump(self: &Rc<Self>) {
        while !self.backlog.borrow().is_empty() {
            let Some(place) = self.place() else { return };
            let Some(call) = self.backlog.borrow_mut().pop_front() else { return };
            self.tally.borrow_mut().left(call.intended.elapsed());
            let phase = Rc::new(Cell::new(Phase::Connecting));
            let task = tokio::task::spawn_local(fly(self.clone(), call, place, phase.clone()));
            self.flights.borrow_mut().push_back(Flight { call, task, phase });
        }
    }

    fn place(&self) -> Option<Place> {
        while let Some(connection) = self.idle.borrow_mut().pop() {
            if !connection.is_stale() {
                return Some(Place::Kept(Box::new(connection)));
            }
        }
        let room = self.census.open.get() < self.options.max_connections;
        room.then(|| Place::New(Seat::take(&self.census)))
    }
}

async fn fly(load: Rc<Load>, call: Call, place: Place, phase: Rc<Cell<Phase>>) {
    let (outcome, connection) = load.attempt(call, place, &phase).await;
    load.settle(call, outcome);
    if let Some(connection) = connection {
        load.idle.borrow_mut().push(connection);
    }
    load.pump();
}

impl Load {
    async fn attempt(
        &self,
        call: Call,
        place: Place,
        phase: &Cell<Phase>,
    ) -> (Result<super::connection::Answer, Failure>, Option<Connection>) {
        let mut connection = match place {
            Place::Kept(kept) => *kept,
            Place::New(seat) => match Connection::open(&self.target, seat).await {
                Ok(connection) => connection,
                Err(failure) => return (Err(failure), None),
            },
        };
        phase.set(Phase::Sent);
        let (mut outcome, mut keep) = connection.exchange(call.number).await;
        if outcome == Err(Failure::ClosedReused) && self.options.retry_stale {
            self.tally.borrow_mut().retried_stale();
            drop(connection);
            connection = match Connection::open(&self.target, Seat::take(&self.census)).await {
                Ok(connection) => connection,
                Err(failure) => return (Err(failure), None),
            };
            (outcome, keep) = connection.exchange(call.number).await;
        }
        (outcome, keep.then_some(connection))
    }
}

/// The gaps between the moments of sending.
struct Gaps {
    mean: f64,
    poisson: bool,
    draws: Draws,
    sent: f64,
    due: Duration,
}

impl Gaps {
    fn new(options: &Options, rate: f64) -> Self {
        Self {
            mean: 1.0 / rate,
            poisson: options.poisson,
            draws: Draws::new(options.seed),
            sent: 0.0,
            due: Duration::ZERO,
        }
    }

    fn next(&mut self) -> Duration {
        let before = self.due;
        // Even moments are multiples of the gap, not sums: no rounding adds up.
        self.sent += 1.0;
        self.due = match self.poisson {
            true => before + Duration::from_secs_f64(self.mean * self.draws.exponential()),
            false => Duration::from_secs_f64(self.mean * self.sent),
        };
        self.due - before
    }
}
