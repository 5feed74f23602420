//! The closed loop: each connection sends when its last answer has come.

use super::connection::{Answer, Census, Connection, Seat};
use super::failure::{Failure, Phase};
use super::options::Options;
use super::report::Report;
use super::request::Target;
use super::tally::Tally;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Between two attempts to connect where the last one failed.
const CONNECT_PAUSE: Duration = Duration::from_millis(10);

struct Load {
    options: Options,
    target: Rc<Target>,
    census: Rc<Census>,
    tally: RefCell<Tally>,
    number: Cell<u64>,
    end: Instant,
}

pub(super) async fn run(options: Options, target: Rc<Target>) -> anyhow::Result<Report> {
    let tally = RefCell::new(Tally::new(&options)?);
    let start = Instant::now();
    let end = start + options.duration;
    let connections = options.connections;
    let load = Rc::new(Load { options, target, census: Rc::default(), tally, number: Cell::new(0), end });
    let tasks: Vec<_> = (0..connections).map(|_| tokio::task::spawn_local(caller(load.clone()))).collect();
    for task in tasks {
        task.await?;
    }
    let seconds = start.elapsed().as_secs_f64();
    load.tally.borrow_mut().report(&load.options, &load.census, seconds)
}

async fn caller(load: Rc<Load>) {
    let mut kept = None;
    while Instant::now() < load.end {
        let number = load.number.replace(load.number.get() + 1);
        let begun = Instant::now();
        let phase = Cell::new(Phase::Connecting);
        let answer =
            tokio::time::timeout(load.options.timeout, load.attempt(&mut kept, number, &phase)).await;
        let outcome = answer.unwrap_or(Err(Failure::Timeout(phase.get())));
        if outcome.is_err() && kept.is_none() {
            tokio::time::sleep(CONNECT_PAUSE).await;
        }
        load.tally.borrow_mut().settle(|| load.target.id_of(number), begun, &outcome);
    }
}

impl Load {
    /// Takes the kept connection out while it is used: a time-out drops it.
    async fn attempt(
        &self,
        kept: &mut Option<Connection>,
        number: u64,
        phase: &Cell<Phase>,
    ) -> Result<Answer, Failure> {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => Connection::open(&self.target, Seat::take(&self.census)).await?,
        };
        phase.set(Phase::Sent);
        let (outcome, keep) = connection.exchange(number).await;
        *kept = keep.then_some(connection);
        outcome
    }
}
