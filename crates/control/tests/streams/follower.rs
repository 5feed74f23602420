//! A follower as simple as can be: it keeps what it is given, and says what it is told to say.

use hyper_util::rt::{TokioExecutor, TokioIo};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use wire::xds::grpc::{self, Broken, UnboundedReceiverStream, Updates};
use wire::xds::{Kind, Node, Request, Update};

/// A stream to a control plane, and what came of it.
pub(crate) struct Follower {
    say: UnboundedSender<Request>,
    updates: Updates,
    name: String,
    /// What it holds: payload and version by type and name.
    pub(crate) held: BTreeMap<(Kind, String), (Vec<u8>, String)>,
    /// Bytes of all requests, without the frames of the stream.
    pub(crate) said: usize,
}

impl Follower {
    /// Connects to the control plane at `address` as `name`, with a window of so many bytes for what is not read.
    pub(crate) async fn connect(address: SocketAddr, name: &str, window: u32) -> Result<Follower, Broken> {
        Follower::connect_as(address, name, None, window).await
    }

    /// The same, showing `credential`.
    pub(crate) async fn connect_as(
        address: SocketAddr,
        name: &str,
        credential: Option<&str>,
        window: u32,
    ) -> Result<Follower, Broken> {
        let broken = |why: &dyn std::fmt::Display| Broken(why.to_string());
        let stream = TcpStream::connect(address).await.map_err(|why| broken(&why))?;
        stream.set_nodelay(true).map_err(|why| broken(&why))?;
        let mut http2 = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        http2.initial_stream_window_size(window).initial_connection_window_size(window.max(65_535));
        let (mut sender, connection) =
            http2.handshake(TokioIo::new(stream)).await.map_err(|why| broken(&why))?;
        tokio::spawn(connection);
        let (say, said) = unbounded_channel();
        let said = UnboundedReceiverStream::new(said);
        let send = move |request| sender.send_request(request);
        let updates = grpc::follow_as(send, &address.to_string(), credential, said).await?;
        Ok(Follower { say, updates, name: name.to_owned(), held: BTreeMap::new(), said: 0 })
    }

    /// Says `request`.
    pub(crate) fn say(&mut self, request: Request) {
        self.said += request.len();
        // A stream that is over says so when it is read.
        let _ = self.say.send(request);
    }

    /// Subscribes to `names`, and says what it holds of that type.
    pub(crate) fn subscribe(
        &mut self,
        kind: Kind,
        names: &[String],
        held: &BTreeMap<(Kind, String), (Vec<u8>, String)>,
    ) {
        let mine = held.iter().filter(|((of, _), _)| *of == kind);
        let initial = mine.map(|((_, name), (_, version))| (name.clone(), version.clone())).collect();
        let node = Some(Node { id: self.name.clone(), cluster: "test".into() });
        let (type_url, subscribe) = (kind.url().to_owned(), names.to_vec());
        self.say(Request { node, type_url, subscribe, initial, ..Request::default() });
    }

    /// The next update; it is neither kept nor answered.
    pub(crate) async fn hear(&mut self) -> Result<Option<Update>, Broken> {
        self.updates.next().await
    }

    /// Keeps what `update` says, and accepts it.
    pub(crate) fn accept(&mut self, update: &Update) {
        if let Some(kind) = Kind::from_url(&update.type_url) {
            for given in &update.resources {
                let what = (given.payload.to_vec(), given.version.clone());
                self.held.insert((kind, given.name.clone()), what);
            }
            for name in &update.removed {
                self.held.remove(&(kind, name.clone()));
            }
        }
        let (type_url, nonce) = (update.type_url.clone(), update.nonce.clone());
        self.say(Request { type_url, nonce, ..Request::default() });
    }
}
