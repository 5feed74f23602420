//! Makes the control plane know what the plan wants: one task for each instance that does not rest before the plane
//! has what was last wished, and one that keeps the agent joined.
//!
//! A wish replaces the one before it, also while that one is under way: an app that dies while it is being registered
//! is taken out at once. Messages about one instance are never in flight beside each other, so that an old one cannot
//! undo a new one; a lost one is mended by the list of all, which is sent after each join and every minute.

use crate::act::News;
use crate::observed::Fact;
use crate::plane::{Declaration, Joined, Plane, PlaneError};
use api::Happening;
use model::{InstanceName, Registration, Settled};
use net::back_off::BackOff;
use net::clock::unix_millis;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

/// Followers are waited for in slices of this: after each it is told who has not followed.
const SLICE: Duration = Duration::from_secs(1);
/// A registered instance counts as in rotation after this, whoever has not followed: callers that have may come.
const SETTLE: Duration = Duration::from_secs(5);
/// What the plane refuses is offered again after this: whoever is in the way may have gone.
const REFUSED: Duration = Duration::from_secs(5);
/// How often all instances are listed.
const LIST: Duration = Duration::from_secs(60);
/// A plane that is told goodbye has so long to hear it.
const GOODBYE: Duration = Duration::from_secs(1);

/// The agent's side of its control plane.
#[derive(Debug)]
pub(crate) struct Registrar {
    shared: Rc<Shared>,
    orders: Vec<watch::Sender<Order>>,
    tasks: Vec<AbortHandle>,
    /// Tells the plane what manifests say by now.
    declaring: RefCell<Option<AbortHandle>>,
}

/// What the plane is to know of an instance.
#[derive(Clone, Debug)]
enum Order {
    /// Nothing was wished yet.
    Nothing,
    /// It is to be called.
    In(u64),
    /// It is not; followers are waited for until then.
    Out(u64, InstanceName, Instant),
}

/// What this agent says of itself when it joins.
#[derive(Debug)]
pub(crate) struct Introduction {
    /// What its manifests say.
    pub(crate) services: Vec<Declaration>,
    /// The environment that it belongs to; none: whichever the plane steers.
    pub(crate) environment: Option<String>,
    /// Whether there may have been earlier runs of this agent.
    pub(crate) comes_back: bool,
}

#[derive(Debug)]
struct Shared {
    plane: Rc<dyn Plane>,
    news: Sender<News>,
    introduction: Introduction,
    /// For each unit the wish's number and what is registered, while that is wished.
    wanted: RefCell<Vec<Option<(u64, Registration)>>>,
    /// Counts the changes of `wanted`.
    changes: Cell<u64>,
    joined: watch::Sender<bool>,
    /// A call failed: the plane may be away.
    doubt: Notify,
}

impl Registrar {
    /// Joins `plane`, and goes on trying; it is asked for nothing yet.
    pub(crate) fn begin(
        plane: Rc<dyn Plane>,
        introduction: Introduction,
        units: usize,
        news: Sender<News>,
    ) -> Registrar {
        let shared = Rc::new(Shared {
            plane,
            news,
            introduction,
            wanted: RefCell::default(),
            changes: Cell::new(0),
            joined: watch::Sender::new(false),
            doubt: Notify::new(),
        });
        let tasks = vec![spawn_local(keep(shared.clone())).abort_handle()];
        let mut registrar = Registrar { shared, orders: Vec::new(), tasks, declaring: RefCell::default() };
        registrar.extend(units);
        registrar
    }

    /// There are so many units by now.
    pub(crate) fn extend(&mut self, units: usize) {
        for at in self.orders.len()..units {
            self.shared.wanted.borrow_mut().push(None);
            let (sender, receiver) = watch::channel(Order::Nothing);
            self.orders.push(sender);
            self.tasks.push(spawn_local(follow(self.shared.clone(), at, receiver)).abort_handle());
        }
    }

    /// The plane is to know what manifests say by now. What was to be said before is not said any more.
    pub(crate) fn declare(&self, services: Vec<Declaration>) {
        let task = spawn_local(declare(self.shared.clone(), services)).abort_handle();
        if let Some(earlier) = self.declaring.replace(Some(task)) {
            earlier.abort();
        }
    }

    /// Callers are to be sent to this unit, by wish number `wish`.
    pub(crate) fn enter(&self, at: usize, wish: u64, mut registration: Registration) {
        let before = self.shared.wanted.borrow()[at].as_ref().map_or(0, |(_, known)| known.incarnation);
        registration.incarnation = later_than(before.max(registration.incarnation));
        self.shared.want(at, Some((wish, registration)));
        self.orders[at].send_replace(Order::In(wish));
    }

    /// Callers are not to be sent to it; followers have `within` to adopt that.
    pub(crate) fn leave(&self, at: usize, wish: u64, name: InstanceName, within: Duration) {
        self.shared.want(at, None);
        self.orders[at].send_replace(Order::Out(wish, name, Instant::now() + within));
    }

    /// Says goodbye, if anybody listens. Nothing else is said from now on.
    pub(crate) fn goodbye(&self) -> impl Future<Output = ()> + use<> {
        self.tasks.iter().for_each(AbortHandle::abort);
        let shared = self.shared.clone();
        async move {
            if *shared.joined.borrow() {
                // Whoever does not hear it misses this agent in a few seconds.
                let _ = timeout(GOODBYE, shared.plane.leave()).await;
            }
            // What it could not put away is found by the next run.
            let _ = shared.plane.close().await;
        }
    }
}

/// A number for a life: higher than all before it, also than those of earlier runs, whose clock was no later.
fn later_than(known: u64) -> u64 {
    unix_millis().max(known.saturating_add(1))
}

impl Shared {
    fn want(&self, at: usize, wanted: Option<(u64, Registration)>) {
        self.wanted.borrow_mut()[at] = wanted;
        self.changes.set(self.changes.get() + 1);
    }

    fn all(&self) -> Vec<Registration> {
        self.wanted.borrow().iter().flatten().map(|(_, registration)| registration.clone()).collect()
    }

    async fn tell(&self, fact: Fact) {
        // Nobody listens any more: the environment has ended.
        let _ = self.news.send(News::Fact(fact)).await;
    }

    /// Joins and says all that the plane should know.
    async fn introduce(&self, first: bool) -> Result<Joined, PlaneError> {
        let mut joined = self.plane.join().await?;
        if let Some(own) = self.introduction.environment.as_ref().filter(|own| **own != joined.environment) {
            let text = format!(
                "the control plane steers the environment {}, but this folder is of {own}: see --control",
                joined.environment
            );
            return Err(PlaneError::Refused { word: "other-environment".into(), text });
        }
        if first {
            // A run of this agent that was killed may have left instances behind. None of them lives.
            if self.introduction.comes_back {
                self.plane.leave().await?;
                joined = self.plane.join().await?;
            }
            if !self.introduction.services.is_empty() {
                self.plane.declare(self.introduction.services.clone()).await?;
            }
        }
        self.list().await?;
        Ok(joined)
    }

    async fn list(&self) -> Result<(), PlaneError> {
        loop {
            let changes = self.changes.get();
            for (name, why) in self.plane.list(self.all()).await? {
                self.refused(&name, why).await;
            }
            // What was wished meanwhile may have reached the plane before a list without it.
            if self.changes.get() == changes {
                return Ok(());
            }
        }
    }

    async fn refused(&self, name: &InstanceName, why: String) {
        let refused =
            |slot: &Option<(u64, Registration)>| slot.as_ref().is_some_and(|(_, r)| r.name == *name);
        let at = self.wanted.borrow().iter().position(refused);
        let wish = at.and_then(|at| self.wanted.borrow()[at].as_ref().map(|(wish, _)| *wish));
        if let (Some(at), Some(wish)) = (at, wish) {
            self.tell(Fact::RegistrationRefused(at, wish, "not-listed".into(), why)).await;
        }
    }

    /// Stays in touch until that fails, and says by what.
    async fn stay(&self, lease: Duration) -> PlaneError {
        let mut beats = interval((lease / 3).max(Duration::from_millis(10)));
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut lists = interval(LIST);
        lists.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first ticks are at once, when the plane has just been told everything.
        beats.tick().await;
        lists.tick().await;
        loop {
            let said = tokio::select! {
                _ = beats.tick() => self.plane.beat().await,
                () = self.doubt.notified() => self.plane.beat().await,
                _ = lists.tick() => self.list().await,
            };
            if let Err(error) = said {
                return error;
            }
        }
    }
}

/// Keeps the agent joined, for ever.
async fn keep(shared: Rc<Shared>) {
    let (mut first, mut told, mut back_off) = (true, None::<String>, BackOff::begin());
    loop {
        let error = match shared.introduce(first).await {
            Ok(joined) => {
                first = false;
                back_off.reset();
                let lease = joined.lease;
                // Before the fact: what is planned with it needs to know where the plane is.
                let _ = shared.news.send(News::Joined(joined)).await;
                if told.take().is_some() {
                    shared.tell(Fact::PlaneBack).await;
                }
                shared.joined.send_replace(true);
                let error = shared.stay(lease).await;
                shared.joined.send_replace(false);
                error
            }
            Err(error) => {
                sleep(back_off.wait()).await;
                error
            }
        };
        // Once for each cause: an hour's outage is one event, not ten thousand.
        match error {
            PlaneError::Refused { text, .. } => {
                if told.as_ref() != Some(&text) {
                    shared.tell(Fact::NotAdmitted(text.clone())).await;
                }
                told = Some(text);
                sleep(REFUSED / 5).await;
            }
            PlaneError::NotJoined(_) => {}
            error @ (PlaneError::Away(_) | PlaneError::Stale { .. }) => {
                if told.is_none() {
                    shared.tell(Fact::PlaneAway(error.to_string())).await;
                    told = Some(error.to_string());
                }
            }
        }
    }
}

/// Makes the plane know the newest order about one unit, for ever.
async fn follow(shared: Rc<Shared>, at: usize, mut orders: watch::Receiver<Order>) {
    loop {
        let order = orders.borrow_and_update().clone();
        let pursue = async {
            match order {
                Order::Nothing => {}
                Order::In(wish) => register(&shared, at, wish).await,
                Order::Out(wish, name, until) => deregister(&shared, at, wish, name, until).await,
            }
        };
        tokio::select! {
            biased;
            changed = orders.changed() => {
                if changed.is_err() {
                    return;
                }
                continue;
            }
            () = pursue => {}
        }
        if orders.changed().await.is_err() {
            return;
        }
    }
}

/// Says what manifests say, until the plane has it or refuses it.
async fn declare(shared: Rc<Shared>, services: Vec<Declaration>) {
    let mut back_off = BackOff::begin();
    loop {
        joined(&shared).await;
        match shared.plane.declare(services.clone()).await {
            Ok(()) => return,
            Err(PlaneError::Refused { word, text }) => {
                let told = Happening {
                    kind: "declaration-refused".into(),
                    service: None,
                    instance: None,
                    reason: Some(word),
                    text: format!("the control plane refuses policies, and keeps those it had: {text}"),
                };
                // Nobody listens any more: the environment has ended.
                let _ = shared.news.send(News::Told(told)).await;
                return;
            }
            Err(error) => mend(&shared, &error, &mut back_off).await,
        }
    }
}

/// Waits until the plane knows this agent.
async fn joined(shared: &Shared) {
    // The sender lives as long as what is borrowed here.
    let _ = shared.joined.subscribe().wait_for(|joined| *joined).await;
}

/// What a failed call means for the next one, which comes after a while.
async fn mend(shared: &Shared, error: &PlaneError, back_off: &mut BackOff) {
    match error {
        PlaneError::Away(_) | PlaneError::NotJoined(_) => {
            shared.doubt.notify_one();
            sleep(back_off.wait()).await;
        }
        PlaneError::Refused { .. } => sleep(REFUSED).await,
        PlaneError::Stale { .. } => sleep(back_off.wait()).await,
    }
}

async fn register(shared: &Shared, at: usize, wish: u64) {
    let (mut back_off, mut deadline, mut failures) = (BackOff::begin(), None, 0u32);
    loop {
        joined(shared).await;
        let Some((_, registration)) = shared.wanted.borrow()[at].clone() else { return };
        match shared.plane.register(registration, SLICE).await {
            Ok(Settled::Everywhere) => {
                return shared.tell(Fact::Registered(at, wish, Settled::Everywhere)).await;
            }
            Ok(Settled::NotYet { waiting }) => {
                shared.tell(Fact::Waiting(at, wish, waiting.clone())).await;
                // It is kept: from here on only followers are waited for.
                if Instant::now() >= *deadline.get_or_insert(Instant::now() + SETTLE - SLICE) {
                    return shared.tell(Fact::Registered(at, wish, Settled::NotYet { waiting })).await;
                }
            }
            Err(error) => {
                failures += 1;
                match &error {
                    PlaneError::Stale { known } => {
                        if let Some((_, registration)) = &mut shared.wanted.borrow_mut()[at] {
                            let known = known.unwrap_or(registration.incarnation);
                            registration.incarnation = later_than(known.max(registration.incarnation));
                        }
                    }
                    PlaneError::Refused { word, text } => {
                        let fact = Fact::RegistrationRefused(at, wish, word.clone(), text.clone());
                        shared.tell(fact).await;
                    }
                    PlaneError::Away(why) if failures == 3 && *shared.joined.borrow() => {
                        let fact = Fact::RegistrationRefused(at, wish, "not-kept".into(), why.clone());
                        shared.tell(fact).await;
                    }
                    PlaneError::Away(_) | PlaneError::NotJoined(_) => {}
                }
                mend(shared, &error, &mut back_off).await;
            }
        }
    }
}

async fn deregister(shared: &Shared, at: usize, wish: u64, name: InstanceName, until: Instant) {
    let mut back_off = BackOff::begin();
    let mut told = false;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let attempt = async {
            joined(shared).await;
            shared.plane.deregister(name.clone(), left.min(SLICE)).await
        };
        // While it is waited for, the plane may be away; afterwards it is told whenever it is back.
        let answer = match told {
            false => timeout(left + SLICE, attempt).await,
            true => Ok(attempt.await),
        };
        let is_over = Instant::now() >= until;
        let over = match answer {
            Ok(Ok(Settled::Everywhere)) => Some(Settled::Everywhere),
            Ok(Ok(Settled::NotYet { waiting })) if is_over => Some(Settled::NotYet { waiting }),
            Ok(Ok(Settled::NotYet { waiting })) => {
                shared.tell(Fact::Waiting(at, wish, waiting)).await;
                continue;
            }
            Ok(Err(error)) => {
                if !is_over || told {
                    mend(shared, &error, &mut back_off).await;
                }
                None
            }
            Err(_) => None,
        };
        if let Some(settled) = over {
            if !told {
                shared.tell(Fact::Deregistered(at, wish, settled)).await;
            }
            return;
        }
        if is_over && !told {
            told = true;
            let waiting = Vec::new();
            shared.tell(Fact::Deregistered(at, wish, Settled::NotYet { waiting })).await;
        }
    }
}

#[cfg(test)]
mod tests;
