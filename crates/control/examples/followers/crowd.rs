//! Many followers in this process, each with a connection of its own.

use super::follower::Follower;
use super::plane::service;
use super::{FOLLOWS, INSTANCES, SERVICES, WINDOW, nanos};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wire::xds::resource::{decode_endpoint, endpoints_of};
use wire::xds::{Kind, Update};

/// What a follower holds: payload and version by type and name.
pub(crate) type Held = BTreeMap<(Kind, String), (Vec<u8>, String)>;

/// A change has reached a follower.
pub(crate) struct Delivered {
    pub(crate) change: u32,
    pub(crate) at: u64,
}

/// Which services follower `number` follows: spread by a multiplication, the same in every run.
pub(crate) fn follows(number: u64) -> Vec<u64> {
    (0..FOLLOWS).map(|k| (number * 7919 + k * 104_729 + number * k * 31) % SERVICES).collect()
}

/// All of them.
pub(crate) struct Crowd {
    tasks: Vec<JoinHandle<(Held, usize)>>,
    halt: watch::Sender<bool>,
}

impl Crowd {
    /// Connects one for each entry of `held`, which is what it has from before, and waits until all are in step. What
    /// reaches them after that can be read.
    pub(crate) async fn come(address: SocketAddr, held: Vec<Held>) -> (Crowd, UnboundedReceiver<Delivered>) {
        let (heard, deliveries) = unbounded_channel();
        let (halt, stop) = watch::channel(false);
        let (ready, mut are_ready) = unbounded_channel();
        let wanted = held.len();
        let begin = |(number, held)| {
            let member = Member { address, number, ready: ready.clone(), heard: heard.clone() };
            tokio::spawn(member.follow(held, stop.clone()))
        };
        let tasks = (0..).zip(held).map(begin).collect();
        for _ in 0..wanted {
            are_ready.recv().await.expect("one of them would say so still");
        }
        (Crowd { tasks, halt }, deliveries)
    }

    /// All go; what each held.
    pub(crate) async fn leave(self) -> Vec<Held> {
        self.end().await.into_iter().map(|(held, _)| held).collect()
    }

    /// All go; how many bytes they have said in all.
    pub(crate) async fn said(self) -> u64 {
        self.end().await.into_iter().map(|(_, said)| said as u64).sum()
    }

    async fn end(self) -> Vec<(Held, usize)> {
        self.halt.send(true).unwrap();
        let mut ends = Vec::new();
        for task in self.tasks {
            ends.push(task.await.unwrap());
        }
        ends
    }
}

struct Member {
    address: SocketAddr,
    number: u64,
    ready: UnboundedSender<()>,
    heard: UnboundedSender<Delivered>,
}

impl Member {
    /// Follows until told to stop, and gives back what it held then and how much it said.
    async fn follow(self, held: Held, mut stop: watch::Receiver<bool>) -> (Held, usize) {
        let name = format!("follower-{}", self.number);
        let mut follower = self.connect(&name).await;
        self.subscribe(&mut follower, &held);
        let is_back = !held.is_empty();
        follower.held = held;
        let mut answers = 0;
        let mut is_ready = false;
        loop {
            let update = tokio::select! {
                update = follower.hear() => update.unwrap().unwrap(),
                _ = stop.changed() => return (follower.held, follower.said),
            };
            let at = nanos();
            answers += 1;
            follower.accept(&update);
            if is_ready {
                self.report(&update, at);
            } else if if is_back { answers == Kind::ALL.len() } else { self.has_all(&follower) } {
                is_ready = true;
                self.ready.send(()).expect("somebody waits for it");
            }
        }
    }

    /// Connects; again after a while where the kernel refuses, as it does when thousands come at the same moment.
    async fn connect(&self, name: &str) -> Follower {
        loop {
            match Follower::connect(self.address, name, WINDOW).await {
                Ok(follower) => return follower,
                // As a sidecar does at first.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn subscribe(&self, follower: &mut Follower, held: &Held) {
        let services: Vec<String> =
            follows(self.number).into_iter().map(|n| service(n).to_string()).collect();
        let folders: Vec<String> =
            follows(self.number).into_iter().map(|n| endpoints_of(&service(n))).collect();
        follower.subscribe(Kind::Service, &services, held);
        follower.subscribe(Kind::Policy, &services, held);
        follower.subscribe(Kind::Endpoint, &folders, held);
    }

    fn has_all(&self, follower: &Follower) -> bool {
        let followed: BTreeSet<u64> = follows(self.number).into_iter().collect();
        follower.held.len() == followed.len() * (2 + INSTANCES as usize)
    }

    fn report(&self, update: &Update, at: u64) {
        if update.type_url != Kind::Endpoint.url() {
            return;
        }
        for given in &update.resources {
            let (_, endpoint) = decode_endpoint(&given.name, &given.payload).unwrap();
            let SocketAddr::V4(address) = endpoint.address else { continue };
            let [_, a, b, c] = address.ip().octets();
            // Whoever counts may have finished.
            let _ = self.heard.send(Delivered { change: u32::from_be_bytes([0, a, b, c]), at });
        }
    }
}
