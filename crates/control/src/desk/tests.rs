//! The desk: what is answered is kept, what cannot be kept is refused and does not show, and time goes on.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::registry::Owner;
use crate::store::Memory;
use model::{AgentName, Registration, ServiceName};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

/// A store that has room only while the switch says so.
#[derive(Clone, Default)]
struct Moody {
    memory: Memory,
    full: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
    commits: Arc<Mutex<Vec<usize>>>,
}

impl Store for Moody {
    fn load(&mut self) -> Result<Vec<(Key, Record)>, StoreError> {
        assert!(!self.panics.load(Ordering::SeqCst), "a page is damaged");
        self.memory.load()
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        assert!(!self.panics.load(Ordering::SeqCst), "a page is damaged");
        if self.full.load(Ordering::SeqCst) {
            return Err(StoreError::Full { place: "here".into(), why: "no space".into() });
        }
        self.commits.lock().unwrap().push(changes.len());
        self.memory.commit(changes)
    }
}

/// Passes on what it is told: how many changes, and the words of the news.
struct Ear(mpsc::Sender<(usize, Vec<&'static str>)>);

impl Audience for Ear {
    fn on(&mut self, _: &Registry, changes: &[Change], news: &[News]) {
        let word = |news: &News| match news {
            News::Registry(event) => event.word(),
            News::StoreFailed(why) => why.word(),
            News::StoreBack => "store-back",
        };
        // A test that has heard enough has gone.
        let _ = self.0.send((changes.len(), news.iter().map(word).collect()));
    }
}

fn register(number: u16) -> Command {
    let service = ServiceName::new("shop").unwrap();
    let owner = Owner { agent: AgentName::new("a").unwrap(), session: 1 };
    let instance = Registration {
        name: service.instance(number.into()),
        service,
        address: ([10, 0, 0, 1], number).into(),
        incarnation: 1,
    };
    Command::Register { owner, instance }
}

fn beat() -> Command {
    Command::Beat { owner: Owner { agent: AgentName::new("a").unwrap(), session: 1 } }
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_and_taken_back() {
    let store = Moody::default();
    let (tell, heard) = mpsc::channel();
    let (desk, worker) = Desk::open(store.clone(), Rules::default(), Ear(tell), Clock::start()).unwrap();
    assert_eq!(heard.recv().unwrap(), (0, vec![]));
    let owner = Owner { agent: AgentName::new("a").unwrap(), session: 1 };
    desk.ask(Command::Join { owner, lease: None }).await.unwrap();
    assert_eq!(desk.ask(register(1)).await, Ok(Done::Changed));
    assert_eq!(heard.recv().unwrap(), (2, vec!["instance-registered"]));
    store.full.store(true, Ordering::SeqCst);
    for number in [2, 3] {
        let why = desk.ask(register(number)).await.unwrap_err();
        assert!(matches!(&why, Failed::Store(StoreError::Full { .. })), "{why}");
    }
    assert_eq!(desk.ask(beat()).await, Ok(Done::Unchanged), "who only says to be there is heard");
    assert_eq!(heard.recv().unwrap(), (0, vec!["store-full"]), "said once");
    assert_eq!(desk.look(|registry| registry.instances().count()).await, Ok(1));
    assert_eq!(store.clone().load().unwrap().len(), 2, "the service and its instance");
    store.full.store(false, Ordering::SeqCst);
    assert_eq!(desk.ask(register(2)).await, Ok(Done::Changed));
    let (changes, mut news) = heard.recv().unwrap();
    let mut all = changes;
    if news == ["store-back"] {
        // The backlog was tried by itself before we asked.
        let (changes, more) = heard.recv().unwrap();
        all += changes;
        news.extend(more);
    }
    assert_eq!((all, news), (1, vec!["store-back", "instance-registered"]));
    assert_eq!(store.clone().load().unwrap().len(), 3);
    desk.close();
    worker.join();
    assert_eq!(desk.ask(beat()).await, Err(Failed::Closed));
}

#[tokio::test]
async fn what_arrives_together_is_written_together() {
    let store = Moody::default();
    let (tell, _heard) = mpsc::channel();
    let (desk, worker) = Desk::open(store.clone(), Rules::default(), Ear(tell), Clock::start()).unwrap();
    // While the desk is held up here, a hundred registrations arrive.
    let (release, gate) = mpsc::channel::<()>();
    let done = tokio::join!(
        biased;
        desk.look(move |_| gate.recv().is_ok()),
        desk.ask_all((1..=100).map(register)),
        async { release.send(()).unwrap() },
    );
    assert_eq!(done, (Ok(true), Ok(()), ()));
    let commits = store.commits.lock().unwrap().clone();
    assert_eq!(commits.iter().sum::<usize>(), 101);
    assert!(commits.len() <= 2, "{commits:?}");
    desk.close();
    worker.join();
}

#[tokio::test]
async fn one_of_many_that_is_refused_keeps_none_of_the_others_back() {
    let (tell, _heard) = mpsc::channel();
    let (desk, worker) = Desk::open(Moody::default(), Rules::default(), Ear(tell), Clock::start()).unwrap();
    let twice = Command::Withdraw { service: ServiceName::new("nobody").unwrap() };
    let refused = desk.ask_all([register(1), twice.clone(), register(2), twice, register(3)]).await;
    let why = Refused::NoService(ServiceName::new("nobody").unwrap());
    assert_eq!(refused, Err(Failed::Refused(why)));
    assert_eq!(desk.look(|registry| registry.instances().count()).await, Ok(3));
    desk.close();
    worker.join();
    assert_eq!(desk.ask_all([register(4)]).await, Err(Failed::Closed));
}

#[tokio::test]
async fn who_spoke_while_everything_stood_still_is_heard() {
    let (tell, _heard) = mpsc::channel();
    let (desk, worker) = Desk::open(Moody::default(), Rules::default(), Ear(tell), Clock::start()).unwrap();
    let owner = Owner { agent: AgentName::new("a").unwrap(), session: 1 };
    let lease = Some(Duration::from_secs(1));
    desk.ask(Command::Join { owner, lease }).await.unwrap();
    desk.ask(register(1)).await.unwrap();
    // The desk is held up for longer than the lease and longer than a standstill; a heartbeat waits before it.
    let (_never, gate) = mpsc::channel::<()>();
    let held = move |_: &Registry| gate.recv_timeout(Duration::from_millis(1_500)).is_err();
    let (held, beaten) = tokio::join!(biased; desk.look(held), desk.ask(beat()));
    assert_eq!((held, beaten), (Ok(true), Ok(Done::Unchanged)));
    let standing = |registry: &Registry| registry.instances().map(|(_, held)| held).collect::<Vec<_>>();
    assert_eq!(desk.look(standing).await, Ok(vec![false]));
    desk.close();
    worker.join();
}

#[tokio::test]
async fn a_desk_whose_thread_fails_is_closed_and_says_so() {
    let store = Moody::default();
    let (tell, _heard) = mpsc::channel();
    let (desk, _worker) = Desk::open(store.clone(), Rules::default(), Ear(tell), Clock::start()).unwrap();
    store.panics.store(true, Ordering::SeqCst);
    assert_eq!(desk.ask(register(1)).await, Err(Failed::Closed));
    desk.ended().await;
    let (tell, _heard) = mpsc::channel();
    let broken = Desk::open(store, Rules::default(), Ear(tell), Clock::start()).map(|_| ()).unwrap_err();
    assert!(matches!(&broken, StoreError::Broken { why, .. } if why == "a page is damaged"), "{broken}");
}

#[tokio::test]
async fn time_goes_on_without_the_store() {
    let store = Moody::default();
    let (tell, heard) = mpsc::channel();
    let rules = Rules {
        grace: crate::registry::Grace { time: Duration::ZERO, ..Default::default() },
        ..Rules::default()
    };
    let (desk, worker) = Desk::open(store.clone(), rules, Ear(tell), Clock::start()).unwrap();
    let owner = Owner { agent: AgentName::new("a").unwrap(), session: 1 };
    let lease = Some(Duration::from_millis(1));
    desk.ask(Command::Join { owner, lease }).await.unwrap();
    desk.ask(register(1)).await.unwrap();
    store.full.store(true, Ordering::SeqCst);
    let words: Vec<&str> = heard.iter().flat_map(|(_, words)| words).take(4).collect();
    assert_eq!(words, ["instance-registered", "lease-lapsed", "membership-held", "membership-dropped"]);
    assert_eq!(desk.look(|registry| registry.instances().count()).await, Ok(0));
    assert_eq!(store.clone().load().unwrap().len(), 2, "the store does not know yet");
    store.full.store(false, Ordering::SeqCst);
    assert!(heard.iter().flat_map(|(_, words)| words).any(|word| word == "store-back"));
    assert_eq!(store.clone().load().unwrap().len(), 1, "the service is known still");
    desk.close();
    worker.join();
}
