//! The way to a control plane: one connection of HTTP/2, one stream on it.

use super::Control;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use wire::xds::Request;
use wire::xds::grpc::{self, Body, Broken, Updates};

/// From the first packet to the head of the answer; a control plane that takes longer is as good as none.
const WITHIN: Duration = Duration::from_secs(2);
/// How often a control plane that says nothing is asked whether it is there, and how long it has to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// What may be under way to us unread, in bytes.
const WINDOW: u32 = 1 << 20;

/// A stream to a control plane: requests go in, updates come out.
pub(super) struct Line {
    pub(super) say: UnboundedSender<Request>,
    pub(super) updates: Updates,
}

/// Connects, and begins a stream.
pub(super) async fn connect(control: &Control) -> Result<Line, Broken> {
    let late = |_| Broken(format!("no answer within {} s", WITHIN.as_secs()));
    tokio::time::timeout(WITHIN, begin(control)).await.map_err(late)?
}

async fn begin(control: &Control) -> Result<Line, Broken> {
    let broken = |why: &dyn std::fmt::Display| Broken(why.to_string());
    let credential = control.credential.as_deref().map(read_credential).transpose()?;
    let stream = TcpStream::connect(&control.address).await.map_err(|why| broken(&why))?;
    stream.set_nodelay(true).map_err(|why| broken(&why))?;
    let mut http2 = Builder::new(TokioExecutor::new());
    http2
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    let (sender, connection) = http2.handshake(TokioIo::new(stream)).await.map_err(|why| broken(&why))?;
    // It ends with the stream: how is told there.
    tokio::spawn(connection);
    let (say, said) = unbounded_channel();
    let authority = control.address.as_str();
    let updates =
        grpc::follow_as(Connection(sender), authority, credential.as_deref(), Requests(said)).await?;
    Ok(Line { say, updates })
}

/// The credential's one line. The file is read at each connection, so that it can be replaced.
fn read_credential(file: &Path) -> Result<String, Broken> {
    let broken = |why: &dyn std::fmt::Display| {
        Broken(format!("the credential cannot be read from {}: {why}", file.display()))
    };
    let text = std::fs::read_to_string(file).map_err(|why| broken(&why))?;
    match text.trim() {
        "" => Err(broken(&"the file is empty")),
        line => Ok(line.to_owned()),
    }
}

struct Connection(SendRequest<Body>);

impl tower_service::Service<hyper::Request<Body>> for Connection {
    type Response = hyper::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: hyper::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

struct Requests(UnboundedReceiver<Request>);

impl grpc::Stream for Requests {
    type Item = Request;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Request>> {
        self.0.poll_recv(cx)
    }
}
