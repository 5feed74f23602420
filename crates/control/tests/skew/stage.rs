//! A control plane of today in this process, and followers whose bytes it is given.

use super::bytes::{framed, piece, posted, take_message};
use super::tape::{from_hex, to_hex};
use control::delivery::{Hub, Publisher};
use control::desk::{Desk, Worker};
use control::registry::{Command, Owner, Rules};
use control::store::Memory;
use hyper::body::{Body as HttpBody, Bytes, Frame};
use model::{AgentName, InstanceName, Preset, Registration, ServiceName};
use net::clock::Clock;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use wire::xds::grpc::{self, Body};
use wire::xds::resource::{decode_policy, encode_policy};

/// Long enough for anything that happens at all.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Stage {
    desk: Desk,
    pub(crate) hub: Arc<Hub>,
    _worker: Worker,
}

impl Stage {
    pub(crate) fn new() -> Stage {
        let clock = Clock::start();
        let hub = Hub::new(clock, |_| ());
        let publisher = Publisher::new(hub.clone(), |_| ());
        let (desk, worker) = Desk::open(Memory::default(), Rules::default(), publisher, clock).unwrap();
        Stage { desk, hub, _worker: worker }
    }

    /// Does what a line of a recording says: `register INSTANCE ADDRESS INCARNATION`, `deregister INSTANCE`,
    /// `declare SERVICE POLICY-IN-HEX`.
    pub(crate) async fn act(&self, act: &str) {
        let owner = Owner { agent: AgentName::new("agent").unwrap(), session: 1 };
        let instance = |name: &str| InstanceName::new(name).unwrap();
        let words: Vec<&str> = act.split(' ').collect();
        let command = match words[..] {
            ["register", name, address, incarnation] => {
                let (service, _) = name.rsplit_once('-').unwrap();
                let service = ServiceName::new(service).unwrap();
                let (address, incarnation) = (address.parse().unwrap(), incarnation.parse().unwrap());
                let instance = Registration { name: instance(name), service, address, incarnation };
                Command::Register { owner, instance }
            }
            ["deregister", name] => Command::Deregister { owner, name: instance(name) },
            ["declare", service, policy] => {
                let settings = Box::new(decode_policy(&from_hex(policy)).unwrap());
                let service = ServiceName::new(service).unwrap();
                Command::Declare { service, settings, author: "ada".into() }
            }
            _ => panic!("no act: {act}"),
        };
        self.desk.ask(command).await.unwrap();
    }

    /// Takes the bytes of a follower from now on.
    pub(crate) async fn talk(&self) -> Talk {
        let (say, said) = unbounded_channel();
        let hub = self.hub.clone();
        let answer = grpc::answer(posted(Said(said)), |requests| hub.join(requests)).await;
        Talk { say, answer: answer.into_body(), read: Vec::new() }
    }
}

/// The act by which `service` gets the settings of `preset`: with all of them, as presets change from release to release.
pub(crate) fn declare(service: &str, preset: &str) -> String {
    let preset = Preset::ALL.into_iter().find(|known| known.word() == preset).expect("a preset");
    format!("declare {service} {}", to_hex(&encode_policy(&preset.settings())))
}

/// What a follower says, as the body of its request.
struct Said(UnboundedReceiver<Bytes>);

impl HttpBody for Said {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// One follower's stream, as bytes.
pub(crate) struct Talk {
    say: UnboundedSender<Bytes>,
    answer: Body,
    read: Vec<u8>,
}

impl Talk {
    pub(crate) fn say(&self, message: &[u8]) {
        self.say.send(framed(message)).unwrap();
    }

    /// The next message of the control plane.
    pub(crate) async fn hear(&mut self) -> Vec<u8> {
        let listen = async {
            loop {
                if let Some(message) = take_message(&mut self.read) {
                    return message;
                }
                self.read.extend_from_slice(&piece(&mut self.answer).await.expect("the stream has ended"));
            }
        };
        tokio::time::timeout(PATIENCE, listen).await.expect("nothing is said")
    }

    /// Whether the control plane has nothing to say to all that was said so far.
    pub(crate) fn is_silent(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.read.is_empty() && Pin::new(&mut self.answer).poll_frame(&mut cx).is_pending()
    }
}
