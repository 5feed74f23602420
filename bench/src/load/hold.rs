//! Holding: connections that did one request and then stay open.

use super::connection::{Census, Connection, Seat};
use super::options::Options;
use super::report::Report;
use super::request::Target;
use super::tally::Tally;
use std::rc::Rc;
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};

/// Opens all connections, then sends one request on each, all at once. Prints
/// `{"held": N, "failed": M}` when all answers are there and holds until the
/// duration is over or SIGTERM comes.
pub(super) async fn run(options: Options, target: Rc<Target>) -> anyhow::Result<Report> {
    let mut tally = Tally::new(&options)?;
    let census: Rc<Census> = Rc::default();
    let mut connections = Vec::new();
    for _ in 0..options.connections {
        let begun = Instant::now();
        match Connection::open(&target, Seat::take(&census)).await {
            Ok(connection) => connections.push(connection),
            Err(failure) => tally.settle(String::new, begun, &Err(failure)),
        }
    }
    let begun = Instant::now();
    let asked: Vec<_> =
        (0..).zip(connections).map(|(number, connection)| ask(&options, number, connection)).collect();
    let mut held = Vec::new();
    for task in asked {
        let (outcome, connection) = task.await?;
        tally.settle(String::new, begun, &outcome);
        held.extend(connection);
    }
    println!("{}", serde_json::json!({ "held": held.len(), "failed": options.connections - held.len() }));
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminated.recv() => {}
        () = tokio::time::sleep(options.duration) => {}
    }
    tally.report(&options, &census, begun.elapsed().as_secs_f64())
}

type Asked = (Result<super::connection::Answer, super::failure::Failure>, Option<Connection>);

fn ask(options: &Options, number: u64, mut connection: Connection) -> tokio::task::JoinHandle<Asked> {
    let timeout = options.timeout;
    tokio::task::spawn_local(async move {
        let exchanged = tokio::time::timeout(timeout, connection.exchange(number)).await;
        match exchanged {
            Ok((outcome, keep)) => (outcome, keep.then_some(connection)),
            Err(_) => (Err(super::failure::Failure::Timeout(super::failure::Phase::Sent)), None),
        }
    })
}
