//! Delivery over sockets: HTTP/2 without TLS, one stream of gRPC per follower.

use super::Hub;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use net::strangers::{Stranger, Strangers};
use std::convert::Infallible;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
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

/// So many connections may be there of which no stream was let in yet: as many sidecars come back at once after a
/// restart. Where there are more, the oldest go and come again.
const STRANGERS: usize = 8_192;

/// A stream is to be let in within this, or the connection goes. Ten thousand that come at once need seconds.
const LET_IN: Duration = Duration::from_secs(20);

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
pub async fn serve_until(listener: TcpListener, hub: Arc<Hub>, gate: Gate, stop: watch::Receiver<bool>) {
    serve_within(listener, hub, gate, (STRANGERS, LET_IN), stop).await;
}

async fn serve_within(
    listener: TcpListener,
    hub: Arc<Hub>,
    gate: Gate,
    (most, let_in): (usize, Duration),
    mut stop: watch::Receiver<bool>,
) {
    let strangers = Strangers::new(most);
    let mut connections = JoinSet::new();
    let told = stop.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // A response is small and waited for: it does not wait for others to travel with.
                    let _ = stream.set_nodelay(true);
                    let stranger = strangers.enter();
                    let number = stranger.number();
                    let task = converse_until(stream, hub.clone(), gate.clone(), (stranger, let_in), told.clone());
                    strangers.serve(number, connections.spawn(task));
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
    converse_until(stream, hub, Gate::Open, (Strangers::new(1).enter(), LET_IN), stop).await;
}

async fn converse_until(
    stream: TcpStream,
    hub: Arc<Hub>,
    gate: Gate,
    (stranger, let_in): (Stranger, Duration),
    mut stop: watch::Receiver<bool>,
) {
    let stranger = Arc::new(stranger);
    let known = Arc::new(Notify::new());
    let is_let_in = known.clone();
    let service = service_fn(move |request| {
        let (hub, gate, stranger, known) = (hub.clone(), gate.clone(), stranger.clone(), known.clone());
        async move {
            if !may_follow(&gate, &request).await {
                return Ok(grpc::not_identified("show the credential of an agent"));
            }
            stranger.is_known();
            known.notify_one();
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
    let too_late = async {
        if timeout(let_in, is_let_in.notified()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    // How a follower's connection ends is its own affair: it comes back, or not.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = too_late => return,
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use net::clock::Clock;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Whether the other side ends `stream` within a time that is long enough.
    async fn ends(stream: &mut TcpStream) -> bool {
        let mut bytes = Vec::new();
        timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await.is_ok()
    }

    async fn begin(most: usize, let_in: Duration) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hub = Hub::new(Clock::start(), |_| ());
        tokio::spawn(async move {
            let (_never, stop) = watch::channel(false);
            serve_within(listener, hub, Gate::Open, (most, let_in), stop).await;
        });
        address
    }

    #[tokio::test]
    async fn who_does_not_follow_is_not_waited_for() {
        let address = begin(10, Duration::from_millis(50)).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        assert!(ends(&mut silent).await);
        // One that has spoken HTTP/2, but asked for nothing.
        let mut polite = TcpStream::connect(address).await.unwrap();
        polite.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        assert!(ends(&mut polite).await);
    }

    #[tokio::test]
    async fn of_too_many_strangers_the_oldest_goes() {
        let address = begin(2, Duration::from_secs(3600)).await;
        let mut silent = Vec::new();
        for _ in 0..3 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        assert!(ends(&mut silent[0]).await);
    }
}
