//! Delivery over sockets: HTTP/2 without TLS, one stream of gRPC per follower.

use super::Hub;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use wire::xds::grpc;

/// How often a follower that says nothing is asked whether it is there, and how long it has to answer.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(10));

/// A follower's unread requests, in bytes.
const WINDOW: u32 = 64 << 10;

/// So much of a response waits in one stream for a slow reader, in bytes; the rest of it waits to be asked for.
const SEND_BUFFER: usize = 64 << 10;

/// What a follower may say in the head of its request, in bytes.
const HEAD: u32 = 8 << 10;

/// So many streams a connection may have. One would do.
const STREAMS: u32 = 8;

/// Who may follow.
#[derive(Clone)]
pub enum Gate {
    /// Anybody who gets here.
    Open,
    /// Whoever shows a bearer that this finds good.
    Guarded(Guard),
}

/// Whether what a follower shows (`Authorization: Bearer …`, if it does) is good.
pub type Guard = Arc<dyn Fn(Option<&str>) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Gate::Open) { "Open" } else { "Guarded" })
    }
}

/// Accepts followers at `listener` for as long as this is polled.
pub async fn serve(listener: TcpListener, hub: Arc<Hub>) {
    let (_never, stop) = watch::channel(false);
    serve_until(listener, hub, Gate::Open, stop).await;
}

/// Accepts followers at `listener` until `stop` is true, and returns when all their connections have ended. What ends
/// their streams is [`Hub::stop`].
pub async fn serve_until(listener: TcpListener, hub: Arc<Hub>, gate: Gate, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let told = stop.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // A response is small and waited for: it does not wait for others to travel with.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(converse_until(stream, hub.clone(), gate.clone(), told.clone()));
                }
                // No descriptors, or a peer that was gone before we looked: others may have gone in a moment.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            // Those that have ended are let go of as they end.
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stop) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves one connection until it ends.
pub async fn converse(stream: TcpStream, hub: Arc<Hub>) {
    let (_never, stop) = watch::channel(false);
    converse_until(stream, hub, Gate::Open, stop).await;
}

async fn converse_until(stream: TcpStream, hub: Arc<Hub>, gate: Gate, mut stop: watch::Receiver<bool>) {
    let service = service_fn(move |request| {
        let (hub, gate) = (hub.clone(), gate.clone());
        async move {
            if !may_follow(&gate, &request).await {
                return Ok(grpc::not_identified("show the credential of an agent"));
            }
            Ok::<_, Infallible>(grpc::answer(request, |requests| hub.join(requests)).await)
        }
    });
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    http2
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE.0)
        .keep_alive_timeout(KEEP_ALIVE.1)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(HEAD)
        .max_concurrent_streams(STREAMS);
    let mut connection = pin!(http2.serve_connection(TokioIo::new(stream), service));
    // How a follower's connection ends is its own affair: it comes back, or not.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopped(&mut stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Waits until `stop` is true; for ever, where nobody is left who could say so.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn may_follow<B>(gate: &Gate, request: &hyper::Request<B>) -> bool {
    let Gate::Guarded(guard) = gate else { return true };
    let shown = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let bearer = shown.and_then(|shown| shown.split_once(' '));
    guard(bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, rest)| rest.trim()))
        .await
}
