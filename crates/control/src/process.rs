//! A control plane as a process of its own: its listeners, its signals, its end.

use crate::plane::{OpenError, Options, Plane};
use api::{Problem, encode};
use net::admin::{Hosts, Request, Response, Takes};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::LocalSet;
use tokio::time::timeout;

/// What is under way at the end is given so long to be answered.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where followers are served: they say little, and there may be ten thousand.
const WORKERS: usize = 2;

/// A control plane that answers.
#[derive(Debug)]
pub struct Ready {
    /// Where the API answers.
    pub api: SocketAddr,
    /// Where sidecars learn of changes.
    pub delivery: SocketAddr,
    /// What is kept, and where.
    pub state: PathBuf,
    /// The file with a join token, or why there is none.
    pub join_token: io::Result<PathBuf>,
}

/// Why a control plane did not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not begin.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The operating system does not let it run.
    #[error("the control plane cannot run: {0}")]
    System(#[from] io::Error),
}

/// Runs a control plane until SIGTERM or Ctrl-C: then streams and requests are ended politely and the store is closed. A
/// second signal ends it at once. `ready` is told when it answers.
///
/// # Errors
/// As [`RunError`] says.
pub fn run(
    options: Options,
    api: TcpListener,
    delivery: TcpListener,
    ready: impl FnOnce(Ready),
) -> Result<(), RunError> {
    // Every follower is a descriptor, and the usual soft limit is 1,024 of them.
    net::limits::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let entered = runtime.enter();
    let mut signals = Signals::begin()?;
    let plane = Plane::open(options)?;
    drop(entered);
    let served = LocalSet::new().block_on(&runtime, serve(&plane, api, delivery, &mut signals, ready));
    runtime.shutdown_timeout(FAREWELL);
    Ok(served?)
}

async fn serve(
    plane: &Plane,
    api: TcpListener,
    delivery: TcpListener,
    signals: &mut Signals,
    ready: impl FnOnce(Ready),
) -> io::Result<()> {
    let addresses = (api.local_addr()?, delivery.local_addr()?);
    plane.set_api(addresses.0);
    plane.set_delivery(addresses.1);
    api.set_nonblocking(true)?;
    // After a restart all agents come back at once.
    net::listen::lengthen(&api)?;
    let api = tokio::net::TcpListener::from_std(api)?;
    let hosts = if addresses.0.ip().is_loopback() { Hosts::Loopback } else { Hosts::Any };
    let takes = Takes { body: api::BODY_AT_MOST, hosts, ..Takes::default() };
    let followed = plane.clone();
    let mut followers = tokio::spawn(async move { followed.serve_delivery(delivery).await });
    let (guard, asked, stopped) = (plane.clone(), plane.clone(), plane.clone());
    let may = move |request| {
        let plane = guard.clone();
        async move { plane.may_say_much(&request).await }
    };
    let answers =
        net::admin::serve_guarded(api, takes, async move { stopped.stopped().await }, may, move |request| {
            let plane = asked.clone();
            async move { answer(&plane, request).await }
        });
    let mut answers = tokio::task::spawn_local(answers);
    let join_token = plane.join_token().await;
    ready(Ready { api: addresses.0, delivery: addresses.1, state: plane.state().to_owned(), join_token });
    tokio::select! {
        () = signals.next() => {}
        // Followers are served until the end, or cannot be.
        served = &mut followers => return served.unwrap_or_else(|why| Err(io::Error::other(why))),
        // Better gone than there and of no use: whoever runs it starts it again, and nothing that was acknowledged is lost.
        () = plane.desk().ended() => return Err(io::Error::other(
            "the registry has failed (see above); what was acknowledged is kept: start it again",
        )),
    }
    let end = async {
        plane.stop().await;
        // How they ended is of no consequence any more.
        let _ = (&mut followers).await;
        let _ = (&mut answers).await;
    };
    tokio::select! {
        // Who does not take the answer in time has had the time.
        _ = timeout(FAREWELL, end) => {}
        () = signals.next() => {}
    }
    followers.abort();
    answers.abort();
    Ok(())
}

async fn answer(plane: &Plane, request: Request) -> Response {
    let path = request.path.clone();
    match plane.answer(request).await {
        Some(answer) => answer,
        None => {
            let text = format!("there is nothing at {path}; what there is stands in /openapi.json");
            Response::json(404, encode(&Problem::new("unknown-path", text)))
        }
    }
}

/// The orders to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn begin() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
