//! The way to a control plane: one connection of HTTP/2, one stream on it.

use super::Control;
use hyper::client::conn::http2::Builder;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use wire::xds::Request;
use wire::xds::grpc::{self, Broken, UnboundedReceiverStream, Updates};

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
    let (mut sender, connection) = http2.handshake(TokioIo::new(stream)).await.map_err(|why| broken(&why))?;
    // It ends with the stream: how is told there.
    tokio::spawn(connection);
    let (say, said) = unbounded_channel();
    let authority = control.address.as_str();
    let said = UnboundedReceiverStream::new(said);
    let send = move |request| sender.send_request(request);
    let updates = grpc::follow_as(send, authority, credential.as_deref(), said).await?;
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
