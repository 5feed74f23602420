//! Whom agents and authors talk to: one thread that decides, writes, tells and answers, in this order.
//!
//! What arrives while a write is under way is decided together afterwards and written in one go, so that a thousand
//! registrations at once are a few writes. Nothing is answered or told to followers before it is written; what cannot
//! be written is taken back and refused. Only what time itself decided (a silent instance is taken out) holds without
//! the store: it is written as soon as there is room again.

use crate::registry::{Change, Command, Done, Event, Key, Outcome, Record, Refused, Registry, Rules};
use crate::store::{Store, StoreError};
use model::Moment;
use net::clock::Clock;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// So many commands are decided together at most: an answer waits for no more than this.
const BATCH: usize = 512;

/// There is a turn at least this often, so that a longer while between two is known to be a standstill.
const TURN: Duration = Duration::from_secs(1);

/// A turn that begins or ends so much later than it should is one too. Whoever spoke meanwhile has not been heard.
const STANDSTILL: Duration = Duration::from_secs(1);

/// Time alone decides nothing while there are more commands than a turn takes, as heartbeats may be among them: for so
/// many turns at most.
const TURNS_BEHIND: usize = 20;

/// How often a write that failed is tried again when nothing else is to be written.
const AGAIN: Duration = Duration::from_secs(1);

/// What there is to tell.
#[derive(Clone, PartialEq, Debug)]
pub enum News {
    /// Something happened in the registry.
    Registry(Event),
    /// The store does not keep. Told once, until it keeps again.
    StoreFailed(StoreError),
    /// The store keeps again.
    StoreBack,
}

/// Who is told what changed, on the desk's thread. What it does delays every answer.
pub trait Audience: Send {
    /// These `changes` are written, or hold anyway; `registry` has them.
    fn on(&mut self, registry: &Registry, changes: &[Change], news: &[News]);
}

/// Why a command was not carried out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failed {
    /// The registry refused it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It could not be written. Nothing has changed.
    #[error("not carried out, as it could not be kept: {0}")]
    Store(#[from] StoreError),
    /// The desk is closed.
    #[error("the control plane is stopping: ask again when it is back")]
    Closed,
}

/// The registry with its store. Copies are the same desk.
#[derive(Clone, Debug)]
pub struct Desk {
    orders: Sender<Order>,
    ended: watch::Receiver<()>,
}

/// The desk's thread. When this and every [`Desk`] are gone, it ends.
#[derive(Debug)]
pub struct Worker(JoinHandle<()>);

impl Worker {
    /// Waits until the thread has ended.
    pub fn join(self) {
        // A panic of the thread has been printed by it; there is nothing to add.
        let _ = self.0.join();
    }
}

type Answer = oneshot::Sender<Result<Done, Failed>>;
type Look = Box<dyn FnOnce(&Registry) + Send>;

enum Order {
    Ask(Command, Answer),
    Look(Look),
    Close,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Order::Ask(..) => "Ask",
            Order::Look(_) => "Look",
            Order::Close => "Close",
        })
    }
}

impl Desk {
    /// Loads the registry from `store` and opens. `audience` is told everything that was loaded, then every change.
    ///
    /// # Errors
    /// [`StoreError`]: what is registered cannot be read, so nothing may be served.
    pub fn open(
        mut store: impl Store + 'static,
        rules: Rules,
        mut audience: impl Audience + 'static,
        clock: Clock,
    ) -> Result<(Desk, Worker), StoreError> {
        let records = load(&mut store)?;
        let registry = Registry::load(rules, clock.now(), records.iter().cloned());
        let loaded = |(key, record)| Change { key, before: None, after: Some(record) };
        let changes: Vec<Change> = records.into_iter().map(loaded).collect();
        audience.on(&registry, &changes, &[]);
        let (orders, inbox) = channel();
        let office = Office {
            registry,
            store: Box::new(store),
            audience: Box::new(audience),
            clock,
            backlog: BTreeSet::new(),
            failing: false,
        };
        let (alive, ended) = watch::channel(());
        let work = move || {
            // Dropped with the thread's end, however that comes: that is the message.
            let _alive = alive;
            office.work(&inbox);
        };
        let thread = std::thread::Builder::new().name("registry".into()).spawn(work);
        let thread = thread.map_err(|why| StoreError::Broken {
            place: "the thread of the registry".into(),
            why: why.to_string(),
        })?;
        Ok((Desk { orders, ended }, Worker(thread)))
    }

    /// Carries out `command`. When this returns, it is kept, and followers have been told.
    ///
    /// # Errors
    /// [`Failed`] says why not.
    pub async fn ask(&self, command: Command) -> Result<Done, Failed> {
        self.order(command)?.await.map_err(|_| Failed::Closed)?
    }

    /// Carries out all of `commands`, together where there is room in a batch, so that they are written in one go.
    ///
    /// # Errors
    /// The first [`Failed`], in their order. The others are carried out all the same.
    pub async fn ask_all(&self, commands: impl IntoIterator<Item = Command>) -> Result<(), Failed> {
        let asked: Result<Vec<_>, Failed> = commands.into_iter().map(|command| self.order(command)).collect();
        let mut all = Ok(());
        for answered in asked? {
            all = all.and(answered.await.unwrap_or(Err(Failed::Closed)).map(|_| ()));
        }
        all
    }

    fn order(&self, command: Command) -> Result<oneshot::Receiver<Result<Done, Failed>>, Failed> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(Order::Ask(command, answer)).map_err(|_| Failed::Closed)?;
        Ok(answered)
    }

    /// What `read` sees in the registry. It delays every answer, so it must be quick.
    ///
    /// # Errors
    /// [`Failed::Closed`] when the desk is closed.
    pub async fn look<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Registry) -> T + Send + 'static,
    ) -> Result<T, Failed> {
        let (answer, answered) = oneshot::channel();
        let look = move |registry: &Registry| {
            // Whoever asked may have gone.
            let _ = answer.send(read(registry));
        };
        self.orders.send(Order::Look(Box::new(look))).map_err(|_| Failed::Closed)?;
        answered.await.map_err(|_| Failed::Closed)
    }

    /// Waits until its thread has ended: it was closed, or it has failed, and nothing is decided any more.
    pub async fn ended(&self) {
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }

    /// Closes the desk after what was asked before.
    pub fn close(&self) {
        // A desk that is closed already is closed.
        let _ = self.orders.send(Order::Close);
    }
}

/// What the store kept. A file of which pages are damaged may make what reads it panic: that is an error like others.
fn load(store: &mut impl Store) -> Result<Vec<(Key, Record)>, StoreError> {
    // What it leaves half done is the store alone, which is not used any more then.
    catch_unwind(AssertUnwindSafe(|| store.load())).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let why = said.or(panic.downcast_ref::<&str>().copied()).unwrap_or("its reader failed");
        Err(StoreError::Broken { place: "what was kept".into(), why: why.to_owned() })
    })
}

struct Office {
    registry: Registry,
    store: Box<dyn Store>,
    audience: Box<dyn Audience>,
    clock: Clock,
    /// Records that the store may not have as the registry has them.
    backlog: BTreeSet<Key>,
    failing: bool,
}

/// Whether an answer holds when its batch could not be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// It does: nothing is ever written for such a command.
    Always,
    /// It may have been decided on the strength of what could not be written.
    OnceWritten,
}

/// Commands that were decided together.
#[derive(Default)]
struct Batch {
    answers: Vec<(Answer, Stands, Result<Done, Refused>)>,
    outcome: Outcome,
    looks: Vec<Look>,
    close: bool,
}

impl Office {
    fn work(mut self, inbox: &Receiver<Order>) {
        let mut behind = 0;
        loop {
            let (began, patience) = (self.clock.now(), self.patience());
            let first = match inbox.recv_timeout(patience) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let now = self.clock.now();
            self.excuse(began.after(patience), now);
            let is_behind = behind > 0 && behind < TURNS_BEHIND;
            let ticked = if is_behind { Outcome::default() } else { self.registry.tick(now) };
            let mut batch = Batch::default();
            let mut count = 0;
            for order in first.into_iter().chain(inbox.try_iter()).take(BATCH) {
                self.decide(now, order, &mut batch);
                count += 1;
                if batch.close {
                    break;
                }
            }
            behind = if count < BATCH { 0 } else { behind % TURNS_BEHIND + 1 };
            let close = batch.close;
            self.settle(now, ticked, batch);
            if close {
                return;
            }
            // A store that hangs holds up whoever speaks meanwhile.
            self.excuse(now, self.clock.now());
        }
    }

    /// What was to happen at `due` happens only `now`: where that is much later, leases last longer by as much.
    fn excuse(&mut self, due: Moment, now: Moment) {
        let delay = now.since(due);
        if delay > STANDSTILL {
            self.registry.excuse(delay);
        }
    }

    /// How long there is nothing to do if nobody comes.
    fn patience(&self) -> Duration {
        let now = self.clock.now();
        let wakeup =
            self.registry.next_wakeup().map_or(Duration::from_secs(3600), |at| now.until(at).min(TURN));
        if self.backlog.is_empty() { wakeup } else { wakeup.min(AGAIN) }
    }

    fn decide(&mut self, now: Moment, order: Order, batch: &mut Batch) {
        match order {
            Order::Ask(command, answer) => {
                let stands = match command {
                    Command::Beat { .. } | Command::Join { .. } => Stands::Always,
                    _ => Stands::OnceWritten,
                };
                let (done, outcome) = self.registry.on(now, command);
                batch.outcome.changes.extend(outcome.changes);
                batch.outcome.events.extend(outcome.events);
                batch.answers.push((answer, stands, done));
            }
            Order::Look(look) => batch.looks.push(look),
            Order::Close => batch.close = true,
        }
    }

    /// Writes, tells, answers.
    fn settle(&mut self, now: Moment, ticked: Outcome, batch: Batch) {
        let mut changes = self.owed();
        changes.extend(ticked.changes.iter().cloned());
        changes.extend(batch.outcome.changes.iter().cloned());
        let written = if changes.is_empty() { Ok(()) } else { self.store.commit(&changes) };
        let mut news: Vec<News> = ticked.events.into_iter().map(News::Registry).collect();
        let mut told = ticked.changes;
        let undone = written.is_err() && !batch.outcome.changes.is_empty();
        match &written {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    news.push(News::StoreBack);
                }
                self.backlog.clear();
                told.extend(batch.outcome.changes);
                news.extend(batch.outcome.events.into_iter().map(News::Registry));
            }
            Err(why) => {
                // Some of it may have reached the store all the same: each record is written again as it now is.
                self.registry.undo(now, &batch.outcome.changes);
                self.backlog.extend(changes.into_iter().map(|change| change.key));
                if !std::mem::replace(&mut self.failing, true) {
                    news.push(News::StoreFailed(why.clone()));
                }
            }
        }
        if !(told.is_empty() && news.is_empty()) {
            self.audience.on(&self.registry, &told, &news);
        }
        for (answer, stands, done) in batch.answers {
            let done = match &written {
                Err(why) if undone && stands == Stands::OnceWritten => Err(Failed::Store(why.clone())),
                _ => done.map_err(Failed::Refused),
            };
            // Whoever asked may have gone.
            let _ = answer.send(done);
        }
        for look in batch.looks {
            look(&self.registry);
        }
    }

    /// The records that the store may not have, as the registry has them.
    fn owed(&self) -> Vec<Change> {
        let change = |key: &Key| Change { key: key.clone(), before: None, after: self.registry.record(key) };
        self.backlog.iter().map(change).collect()
    }
}

#[cfg(test)]
mod tests;
