//! The registrar with a control plane that does what the test says. Time is the runtime's and jumps when all wait.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::plane::Answer;
use model::ServiceName;
use std::collections::VecDeque;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::LocalSet;

const TIME: Duration = Duration::from_secs(600);

/// A control plane by script.
#[derive(Debug, Default)]
struct Fake {
    /// What was said, in words.
    said: RefCell<Vec<String>>,
    /// Whether it cannot be reached.
    away: Cell<bool>,
    /// The answers to registrations; when they are used up: everywhere.
    registers: RefCell<VecDeque<Result<Settled, PlaneError>>>,
    /// The answers to deregistrations.
    deregisters: RefCell<VecDeque<Result<Settled, PlaneError>>>,
    /// Whether an answer to a registration never comes.
    silent: Cell<bool>,
    environment: RefCell<String>,
    refuses: Cell<bool>,
    /// Whether nobody of the agent's name was there before.
    passing: Cell<bool>,
}

impl Fake {
    fn hear(&self, word: impl Into<String>) -> Result<(), PlaneError> {
        if self.away.get() {
            return Err(PlaneError::Away("connection refused".into()));
        }
        self.said.borrow_mut().push(word.into());
        Ok(())
    }

    fn said(&self) -> Vec<String> {
        std::mem::take(&mut *self.said.borrow_mut())
    }
}

impl Plane for Fake {
    fn join(&self) -> Answer<'_, Joined> {
        Box::pin(async {
            self.hear("join")?;
            if self.refuses.get() {
                return Err(PlaneError::Refused { word: "not-identified".into(), text: "who?".into() });
            }
            Ok(Joined {
                delivery: "127.0.0.1:7701".parse().unwrap(),
                environment: self.environment.borrow().clone(),
                lease: Duration::from_secs(9),
                credential: None,
            })
        })
    }

    fn register(&self, instance: Registration, _: Duration) -> Answer<'_, Settled> {
        Box::pin(async move {
            self.hear(format!("register {}", instance.name))?;
            if self.silent.get() {
                std::future::pending::<()>().await;
            }
            self.registers.borrow_mut().pop_front().unwrap_or(Ok(Settled::Everywhere))
        })
    }

    fn deregister(&self, name: InstanceName, _: Duration) -> Answer<'_, Settled> {
        Box::pin(async move {
            self.hear(format!("deregister {name}"))?;
            self.deregisters.borrow_mut().pop_front().unwrap_or(Ok(Settled::Everywhere))
        })
    }

    fn list(&self, all: Vec<Registration>) -> Answer<'_, Vec<(InstanceName, String)>> {
        let names: Vec<String> = all.iter().map(|instance| instance.name.to_string()).collect();
        Box::pin(async move { self.hear(format!("list {}", names.join(","))).map(|()| vec![]) })
    }

    fn beat(&self) -> Answer<'_, ()> {
        Box::pin(async { self.hear("beat") })
    }

    fn leave(&self) -> Answer<'_, ()> {
        Box::pin(async { self.hear("leave") })
    }

    fn declare(&self, services: Vec<Declaration>) -> Answer<'_, ()> {
        Box::pin(async move { self.hear(format!("declare {}", services.len())) })
    }
}

struct Play {
    fake: Rc<Fake>,
    registrar: Registrar,
    news: Receiver<News>,
}

impl Play {
    fn begin(fake: Fake) -> Play {
        let (sender, news) = channel(64);
        let fake = Rc::new(fake);
        *fake.environment.borrow_mut() = "shop".into();
        let comes_back = !fake.passing.get();
        let introduction = Introduction { services: vec![], environment: Some("shop".into()), comes_back };
        let registrar = Registrar::begin(fake.clone(), introduction, 2, sender);
        Play { fake, registrar, news }
    }

    async fn joined(fake: Fake) -> Play {
        let mut play = Play::begin(fake);
        assert!(matches!(play.next().await, News::Joined(_)));
        assert_eq!(play.fake.said(), ["join", "leave", "join", "list "]);
        play
    }

    async fn next(&mut self) -> News {
        timeout(TIME, self.news.recv()).await.unwrap().unwrap()
    }

    async fn fact(&mut self) -> Fact {
        match self.next().await {
            News::Fact(fact) => fact,
            other => panic!("{other:?}"),
        }
    }

    fn enter(&self, wish: u64) {
        let registration = Registration {
            name: InstanceName::new("a-1").unwrap(),
            service: ServiceName::new("a").unwrap(),
            address: "127.0.0.1:1".parse().unwrap(),
            incarnation: 0,
        };
        self.registrar.enter(0, wish, registration);
    }

    fn leave(&self, wish: u64, within: Duration) {
        self.registrar.leave(0, wish, InstanceName::new("a-1").unwrap(), within);
    }

    fn incarnation(&self) -> u64 {
        self.registrar.shared.wanted.borrow()[0].as_ref().unwrap().1.incarnation
    }
}

/// Runs a test on a clock that stands still but for jumps to what is waited for.
fn run(test: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

fn not_yet(names: &[&str]) -> Settled {
    Settled::NotYet { waiting: names.iter().map(|name| (*name).to_owned()).collect() }
}

fn away() -> PlaneError {
    PlaneError::Away("no room".into())
}

#[test]
fn an_instance_is_registered_and_taken_out() {
    run(async {
        let mut play = Play::joined(Fake::default()).await;
        play.enter(1);
        assert_eq!(play.fact().await, Fact::Registered(0, 1, Settled::Everywhere));
        play.leave(2, SLICE);
        assert_eq!(play.fact().await, Fact::Deregistered(0, 2, Settled::Everywhere));
        assert_eq!(play.fake.said(), ["register a-1", "deregister a-1"]);
        play.registrar.goodbye().await;
        assert_eq!(play.fake.said(), ["leave"]);
    });
}

#[test]
fn an_agent_that_had_no_earlier_run_leaves_nothing_before_it_begins() {
    run(async {
        let mut play = Play::begin(Fake { passing: Cell::new(true), ..Fake::default() });
        assert!(matches!(play.next().await, News::Joined(_)));
        assert_eq!(play.fake.said(), ["join", "list "]);
    });
}

#[test]
fn what_is_wished_while_the_plane_is_away_comes_when_it_is_back() {
    run(async {
        let mut play = Play::begin(Fake { away: Cell::new(true), ..Fake::default() });
        play.enter(1);
        assert!(matches!(play.fact().await, Fact::PlaneAway(_)), "told once");
        sleep(Duration::from_secs(100)).await;
        assert!(play.news.try_recv().is_err(), "an outage is one event");
        play.fake.away.set(false);
        let back = Instant::now();
        assert!(matches!(play.next().await, News::Joined(_)));
        assert_eq!(play.fact().await, Fact::PlaneBack);
        assert_eq!(play.fact().await, Fact::Registered(0, 1, Settled::Everywhere));
        assert!(back.elapsed() <= Duration::from_secs(1), "{:?}", back.elapsed());
        assert_eq!(play.fake.said(), ["join", "leave", "join", "list a-1", "register a-1"]);
    });
}

#[test]
fn an_outage_is_noticed_by_a_beat_and_all_is_listed_after_it() {
    run(async {
        let mut play = Play::joined(Fake::default()).await;
        play.enter(1);
        play.fact().await;
        sleep(Duration::from_secs(10)).await;
        assert_eq!(play.fake.said(), ["register a-1", "beat", "beat", "beat"], "thrice in a lease of 9 s");
        play.fake.away.set(true);
        assert!(matches!(play.fact().await, Fact::PlaneAway(_)));
        play.fake.away.set(false);
        assert!(matches!(play.next().await, News::Joined(_)));
        assert_eq!(play.fact().await, Fact::PlaneBack);
        assert_eq!(play.fake.said(), ["join", "list a-1"], "nothing is cleared the second time");
        sleep(LIST + SLICE).await;
        assert!(play.fake.said().contains(&"list a-1".into()));
    });
}

#[test]
fn a_wish_replaces_one_that_is_under_way() {
    run(async {
        let mut play = Play::joined(Fake { silent: Cell::new(true), ..Fake::default() }).await;
        play.enter(1);
        tokio::task::yield_now().await;
        sleep(Duration::from_millis(1)).await;
        play.leave(2, SLICE);
        assert_eq!(play.fact().await, Fact::Deregistered(0, 2, Settled::Everywhere));
        assert_eq!(play.fake.said(), ["register a-1", "deregister a-1"]);
        play.fake.silent.set(false);
        play.enter(3);
        assert_eq!(play.fact().await, Fact::Registered(0, 3, Settled::Everywhere));
    });
}

#[test]
fn who_does_not_follow_is_named_and_waited_for_until_the_time_is_over() {
    run(async {
        let deaf = || Ok(not_yet(&["front-1"]));
        let fake = Fake { deregisters: RefCell::new((0..100).map(|_| deaf()).collect()), ..Fake::default() };
        let mut play = Play::joined(fake).await;
        // The fake answers at once, so the rounds are told apart by their own clock.
        play.leave(1, Duration::ZERO);
        assert_eq!(play.fact().await, Fact::Deregistered(0, 1, not_yet(&["front-1"])));
        play.leave(2, SLICE);
        assert_eq!(play.fact().await, Fact::Waiting(0, 2, vec!["front-1".into()]));
    });
}

#[test]
fn a_deregistration_is_waited_for_no_longer_than_its_time_but_made_all_the_same() {
    run(async {
        let mut play = Play::joined(Fake::default()).await;
        play.fake.away.set(true);
        let began = Instant::now();
        play.leave(1, Duration::from_secs(2));
        assert!(matches!(play.fact().await, Fact::PlaneAway(_)));
        assert_eq!(play.fact().await, Fact::Deregistered(0, 1, not_yet(&[])));
        assert!(began.elapsed() <= Duration::from_secs(4), "{:?}", began.elapsed());
        play.fake.away.set(false);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(play.fake.said(), ["join", "list ", "deregister a-1"]);
    });
}

#[test]
fn a_later_life_that_was_known_is_outlived() {
    run(async {
        let known = later_than(0) + 1_000_000_000;
        let stale = Err(PlaneError::Stale { known: Some(known) });
        let fake = Fake { registers: RefCell::new([stale].into()), ..Fake::default() };
        let mut play = Play::joined(fake).await;
        play.enter(1);
        assert_eq!(play.fact().await, Fact::Registered(0, 1, Settled::Everywhere));
        assert_eq!(play.incarnation(), known + 1);
        assert_eq!(play.fake.said(), ["register a-1", "register a-1"]);
    });
}

#[test]
fn what_is_refused_is_told_and_offered_again() {
    run(async {
        let refused = PlaneError::Refused { word: "name-taken".into(), text: "b runs it".into() };
        let fake = Fake { registers: RefCell::new([Err(refused)].into()), ..Fake::default() };
        let mut play = Play::joined(fake).await;
        play.enter(1);
        let want = Fact::RegistrationRefused(0, 1, "name-taken".into(), "b runs it".into());
        assert_eq!(play.fact().await, want);
        assert_eq!(play.fact().await, Fact::Registered(0, 1, Settled::Everywhere));
    });
}

#[test]
fn a_plane_that_is_there_but_keeps_nothing_is_told_of() {
    run(async {
        let full = (0..4).map(|_| Err(away())).collect();
        let mut play = Play::joined(Fake { registers: RefCell::new(full), ..Fake::default() }).await;
        play.enter(1);
        let want = Fact::RegistrationRefused(0, 1, "not-kept".into(), "no room".into());
        assert_eq!(play.fact().await, want);
        assert_eq!(play.fact().await, Fact::Registered(0, 1, Settled::Everywhere));
    });
}

#[test]
fn who_is_not_admitted_hears_why_and_goes_on_asking() {
    run(async {
        let mut play = Play::begin(Fake { refuses: Cell::new(true), ..Fake::default() });
        assert_eq!(play.fact().await, Fact::NotAdmitted("who?".into()));
        play.fake.refuses.set(false);
        assert!(matches!(play.next().await, News::Joined(_)));
    });
}

#[test]
fn the_control_plane_of_another_environment_is_not_joined() {
    run(async {
        let mut play = Play::begin(Fake::default());
        *play.fake.environment.borrow_mut() = "bank".into();
        let Fact::NotAdmitted(why) = play.fact().await else { panic!("it was joined") };
        assert!(why.contains("the environment bank") && why.contains("of shop"), "{why}");
        assert_eq!(play.fake.said(), ["join"]);
    });
}
