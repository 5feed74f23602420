//! Control planes of other releases: what they said, byte by byte as it was recorded (`crates/wire/tests/fixtures`), is
//! followed to the same end.

use crate::harness::{Sidecar, edge, eventually, service};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// What a control plane said on each stream, message by message, and what its follower held in the end.
struct Recording {
    name: String,
    streams: VecDeque<Vec<Vec<u8>>>,
    holds: String,
}

fn recordings() -> Vec<Recording> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../wire/tests/fixtures/xds");
    let list = |folder: &PathBuf| -> Vec<PathBuf> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let files = list(&folder).iter().flat_map(list).collect::<Vec<_>>();
    files.iter().map(|file| read(file.to_str().unwrap(), &std::fs::read_to_string(file).unwrap())).collect()
}

fn read(name: &str, text: &str) -> Recording {
    let mut recording = Recording { name: name.to_owned(), streams: VecDeque::new(), holds: String::new() };
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "stream" => recording.streams.push_back(Vec::new()),
            "plane" => {
                let hex = lines.next().unwrap().trim();
                let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
                recording.streams.back_mut().unwrap().push((0..hex.len()).step_by(2).map(byte).collect());
            }
            "holds" => recording.holds = rest.to_owned(),
            _ => {}
        }
    }
    recording
}

/// The endpoints of `shop` among what the follower held, by name.
fn endpoints_of_shop(holds: &str) -> BTreeMap<String, String> {
    let endpoints = holds.split("endpoint shop/").skip(1);
    let endpoint = |text: &str| {
        let (name, rest) = text.split_once(" = ").unwrap();
        (name.to_owned(), rest.split(", ").next().unwrap().to_owned())
    };
    endpoints.map(endpoint).collect()
}

/// One message after the other, and the end when nobody says more.
struct Told(UnboundedReceiver<Vec<u8>>);

impl Body for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|message| {
            let message = message?;
            let length = u32::try_from(message.len()).unwrap().to_be_bytes();
            let framed: Vec<u8> = [&[0], &length[..], &message].concat();
            Some(Ok(Frame::data(framed.into())))
        })
    }
}

/// A control plane that says what is recorded, whatever it is asked.
struct Player {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Player {
    fn start(streams: VecDeque<Vec<Vec<u8>>>) -> Player {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let streams = Arc::new(Mutex::new(streams));
        runtime.spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let streams = streams.clone();
                let serve = service_fn(move |request| answer(request, streams.clone()));
                let connection = TokioIo::new(connection);
                tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(connection, serve));
            }
        });
        Player { address, _runtime: runtime }
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    streams: Arc<Mutex<VecDeque<Vec<Vec<u8>>>>>,
) -> Result<hyper::Response<Told>, Infallible> {
    let mut asks = request.into_body();
    let (say, told) = unbounded_channel();
    tokio::spawn(async move {
        // Whoever asks is answered, not before.
        let _ = poll_fn(|cx| Pin::new(&mut asks).poll_frame(cx)).await;
        let (messages, is_last) = {
            let mut streams = streams.lock().unwrap();
            (streams.pop_front().unwrap_or_default(), streams.is_empty())
        };
        for message in messages {
            // A sidecar that has gone hears nothing.
            let _ = say.send(message);
        }
        // What else it says is read, so that it can say it; a stream that is not the last one ends here.
        while is_last && matches!(poll_fn(|cx| Pin::new(&mut asks).poll_frame(cx)).await, Some(Ok(_))) {}
    });
    Ok(hyper::Response::builder().header("content-type", "application/grpc").body(Told(told)).unwrap())
}

/// The endpoints of `shop` that the sidecar routes to, by name.
fn routes_of_shop(sidecar: &Sidecar) -> BTreeMap<String, String> {
    let dump = wire::files::decode_snapshot(&sidecar.page("/config_dump").text(), "dump").unwrap();
    let shop = dump.services.into_iter().find(|service| service.name.as_str() == "shop").unwrap();
    shop.endpoints.into_iter().map(|it| (it.name.to_string(), it.address.to_string())).collect()
}

#[test]
fn a_sidecar_of_today_follows_every_recorded_control_plane() {
    let mut played = 0;
    for recording in recordings() {
        let Recording { name, streams, holds } = recording;
        // The others leave out a type that was not asked for there.
        if !["start.stream", "change.stream", "reconnect.stream"].iter().any(|it| name.ends_with(it)) {
            continue;
        }
        let unknown = name.contains("newer");
        let player = Player::start(streams);
        let services = ["late", "nowhere", "shop"].map(|name| service(name, &[])).to_vec();
        let sidecar = Sidecar::following(edge(services), player.address);
        let expected = endpoints_of_shop(&holds);
        assert!(expected.len() >= 2, "{name}");
        assert!(
            eventually(|| routes_of_shop(&sidecar) == expected),
            "{name}: {:?} in place of {expected:?}",
            routes_of_shop(&sidecar)
        );
        assert_eq!(sidecar.metric("outrigger_control_rejected_total", &[]), 0.0, "{name}");
        let strange = sidecar.metric("outrigger_control_unknown_types_total", &[]);
        assert_eq!(strange > 0.0, unknown, "{name}: {strange} messages of a type that is not known");
        played += 1;
    }
    assert!(played >= 6, "only {played} recordings were played");
}
