//! Delivery over sockets: HTTP/2 without TLS, one stream of gRPC per follower.

use super::Hub;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
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

/// Accepts followers at `listener` for as long as this is polled.
pub async fn serve(listener: TcpListener, hub: Arc<Hub>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // A response is small and waited for: it does not wait for others to travel with.
                let _ = stream.set_nodelay(true);
                tokio::spawn(converse(stream, hub.clone()));
            }
            // No descriptors, or a peer that was gone before we looked: others may have gone in a moment.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Serves one connection until it ends.
pub async fn converse(stream: TcpStream, hub: Arc<Hub>) {
    let service = service_fn(move |request| {
        let hub = hub.clone();
        async move { Ok::<_, Infallible>(grpc::answer(request, |requests| hub.join(requests)).await) }
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
    // How a follower's connection ends is its own affair: it comes back, or not.
    let _ = http2.serve_connection(TokioIo::new(stream), service).await;
}
