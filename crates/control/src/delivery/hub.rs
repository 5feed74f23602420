//! Who follows what, and who is to be woken when it changes. A change costs as much as it has followers, not as much
//! as there are.
//!
//! Three locks: the table, the roll of followers, and each conversation. Whoever holds a conversation may take one of
//! the others beside it; nothing else takes two at once. A follower is entered in the roll *before* it looks anything
//! up in the table, and a change is made in the table *before* the roll is asked whom it concerns: whichever comes
//! first, nobody misses it.

mod roll;

use super::conversation::{Conversation, Lag, Reaction, TooMuch};
use super::table::{Refusals, RefusedBy, Table};
use model::Moment;
use net::clock::Clock;
use roll::{Arrival, Farewell, Roll};
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Sleep;
use wire::xds::grpc::{Ending, Requests};
use wire::xds::{Kind, Request, Response};

/// So many requests of one follower are taken before others have their turn.
const TURN: usize = 64;

/// What an author, or an operator, should hear of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// A follower refused a version of a resource.
    Refused {
        /// The resource's type.
        kind: Kind,
        /// The resource's name.
        name: Arc<str>,
        /// The follower.
        follower: Arc<str>,
        /// What it said.
        why: String,
        /// Whether the last good version is served in its place therefore.
        withdrawn: bool,
    },
    /// A follower asked for more than anybody may, and its stream was ended.
    TooMuch {
        /// The follower.
        follower: Arc<str>,
        /// Of what.
        why: String,
    },
}

/// How one follower stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Follower {
    /// Its name, as it gave it.
    pub name: Arc<str>,
    /// The service that it belongs to, as it said.
    pub service: Arc<str>,
    /// How far it is behind, by type.
    pub lag: Vec<Lag>,
    /// How many of its requests were for types that are not known here.
    pub strange: u64,
}

struct Seat {
    number: u64,
    talk: Mutex<Talk>,
}

#[derive(Default)]
struct Talk {
    conversation: Conversation,
    waker: Option<Waker>,
}

const CLOSED: u8 = 0;
const OPEN: u8 = 1;
const STOPPING: u8 = 2;

/// Everything that can be followed, with everybody who does.
pub struct Hub {
    clock: Clock,
    table: RwLock<Table>,
    roll: Mutex<Roll>,
    state: AtomicU8,
    trouble: Box<dyn Fn(Trouble) + Send + Sync>,
    /// When it was last told that somebody asked for too much.
    told: Mutex<Option<Moment>>,
    bytes: AtomicU64,
    responses: AtomicU64,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("state", &self.state).finish_non_exhaustive()
    }
}

/// A panic elsewhere leaves what is behind a lock as good as it was: each change of it is whole or did not begin.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// A hub with nothing in it, which serves nobody before it is opened. `trouble` is told what goes wrong; it must
    /// be quick.
    pub fn new(clock: Clock, trouble: impl Fn(Trouble) + Send + Sync + 'static) -> Arc<Hub> {
        Arc::new(Hub {
            clock,
            table: RwLock::default(),
            roll: Mutex::default(),
            state: AtomicU8::new(CLOSED),
            trouble: Box::new(trouble),
            told: Mutex::default(),
            bytes: AtomicU64::new(0),
            responses: AtomicU64::new(0),
        })
    }

    /// From now on followers are answered: what there is has been published. Before that they wait, as an answer from
    /// an empty table would take everything away from them.
    pub fn open(&self) {
        self.enter(OPEN);
    }

    /// For so long from now on nobody is told that something is gone that was there before this began: nothing is known
    /// yet, which is no proof.
    pub fn distrust(&self, time: Duration) {
        let until = self.clock.now().after(time);
        self.table.write().unwrap_or_else(PoisonError::into_inner).distrust_until(until);
    }

    /// Ends every stream, so that followers go elsewhere or come back.
    pub fn stop(&self) {
        self.enter(STOPPING);
    }

    fn enter(&self, state: u8) {
        if self.state.fetch_max(state, Ordering::SeqCst) >= state {
            return;
        }
        let seats: Vec<Arc<Seat>> = lock(&self.roll).followers.values().cloned().collect();
        for seat in seats {
            seat.wake();
        }
    }

    /// These resources say this from now on; none: they are gone. Their followers are woken.
    pub fn publish<'a>(&self, changes: impl IntoIterator<Item = (Kind, &'a str, Option<&'a [u8]>)>) {
        let mut news = Vec::new();
        {
            let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
            if table.trusted() > Moment::ZERO && table.trusted() <= self.clock.now() {
                table.trust();
            }
            for (kind, name, payload) in changes {
                if table.set(kind, name, payload) {
                    news.push((kind, Arc::from(name), payload.is_none()));
                }
            }
        }
        self.spread(&news);
    }

    fn spread(&self, news: &[(Kind, Arc<str>, bool)]) {
        let mut told: BTreeMap<u64, (Arc<Seat>, Vec<usize>)> = BTreeMap::new();
        let mut done = Vec::new();
        {
            let mut roll = lock(&self.roll);
            for (index, (kind, name, is_gone)) in news.iter().enumerate() {
                let concerned = roll.concerned(*kind, name);
                for number in &concerned {
                    if let Some(seat) = roll.followers.get(number) {
                        told.entry(*number).or_insert_with(|| (seat.clone(), Vec::new())).1.push(index);
                    }
                }
                let key = (*kind, name.clone());
                // What is back needs no farewell any more.
                done.extend(roll.farewells.remove(&key));
                if *is_gone {
                    roll.arrivals.remove(&key);
                }
                if *is_gone && !concerned.is_empty() {
                    roll.farewells.insert(key, Farewell { having: concerned, waiting: Vec::new() });
                }
            }
        }
        let mut without = Vec::new();
        for (number, (seat, indexes)) in told {
            let mut talk = lock(&seat.talk);
            for index in indexes {
                let (kind, name, _) = &news[index];
                if !talk.conversation.on_change(*kind, name) {
                    without.push((number, *kind, name.clone()));
                }
            }
            let waker = talk.waker.take();
            drop(talk);
            waker.into_iter().for_each(Waker::wake);
        }
        if !without.is_empty() {
            let mut roll = lock(&self.roll);
            for (number, kind, name) in without {
                done.extend(roll.gone(number, kind, name));
            }
        }
        done.into_iter().for_each(Farewell::end);
    }

    /// Waits until no follower has this resource any more that was removed: each has said so, or has gone.
    pub async fn farewell(&self, kind: Kind, name: &str) {
        if self.version(kind, name).is_some() {
            return;
        }
        self.find_holders(kind, name);
        let over = {
            let mut roll = lock(&self.roll);
            let Some(farewell) = roll.farewells.get_mut(&(kind, name.into())) else { return };
            let (tell, over) = oneshot::channel();
            farewell.waiting.retain(|waiting| !waiting.is_closed());
            farewell.waiting.push(tell);
            over
        };
        // A farewell is ended by telling, or by being dropped: over is over.
        let _ = over.await;
    }

    /// Who came with a resource that was removed before, or meanwhile, has it until it has said otherwise.
    fn find_holders(&self, kind: Kind, name: &str) {
        let name: Arc<str> = name.into();
        let seats = {
            let roll = lock(&self.roll);
            roll.seats(&roll.concerned(kind, &name))
        };
        let key = (kind, name);
        for seat in seats {
            let talk = lock(&seat.talk);
            if !talk.conversation.holds(kind, &key.1) {
                continue;
            }
            // Under both locks, so that it does not let go in between.
            let mut roll = lock(&self.roll);
            if roll.followers.contains_key(&seat.number) {
                roll.farewells.entry(key.clone()).or_default().having.insert(seat.number);
            }
        }
    }

    /// The resources that end with `end` and were removed, but that somebody may have still.
    pub fn leaving(&self, kind: Kind, end: &str) -> Vec<Arc<str>> {
        let roll = lock(&self.roll);
        let keys = roll.farewells.keys().filter(|(of, name)| *of == kind && name.ends_with(end));
        keys.map(|(_, name)| name.clone()).collect()
    }

    /// Who may have this resource still, of which [`Hub::farewell`] waits for the end.
    pub fn having(&self, kind: Kind, name: &str) -> Vec<Arc<str>> {
        let seats = {
            let roll = lock(&self.roll);
            let farewell = roll.farewells.get(&(kind, name.into()));
            farewell.map(|farewell| roll.seats(&farewell.having)).unwrap_or_default()
        };
        seats.iter().map(|seat| seat.name()).collect()
    }

    /// Waits until everybody who follows this resource now has accepted what it says, or follows it no more, or has
    /// gone. Where `within` is over before that: who is still to do so.
    ///
    /// # Errors
    /// The names of those.
    pub async fn arrived(&self, kind: Kind, name: &str, within: Duration) -> Result<(), Vec<Arc<str>>> {
        let name: Arc<str> = name.into();
        let Some((waiting, over)) = self.await_arrival(kind, &name) else { return Ok(()) };
        match tokio::time::timeout(within, over).await {
            Ok(_) => Ok(()),
            Err(_) => {
                let seats = waiting.lacking();
                if seats.is_empty() { Ok(()) } else { Err(seats.iter().map(|seat| seat.name()).collect()) }
            }
        }
    }

    /// Enters somebody who waits. None: there is nothing to wait for.
    fn await_arrival(&self, kind: Kind, name: &Arc<str>) -> Option<(Waiting<'_>, oneshot::Receiver<()>)> {
        let version = self.version(kind, name)?;
        let key = (kind, name.clone());
        let (over, told) = oneshot::channel();
        let (ticket, seats) = {
            let mut roll = lock(&self.roll);
            let lacking = roll.concerned(kind, name);
            let seats = roll.seats(&lacking);
            roll.tickets += 1;
            let ticket = roll.tickets;
            roll.arrivals.entry(key.clone()).or_default().push(Arrival { ticket, lacking, _over: over });
            (ticket, seats)
        };
        // Entered first and looked at then, so that nobody who accepts meanwhile is missed.
        let waiting = Waiting { hub: self, key, ticket };
        let is_served = |seat: &&Arc<Seat>| lock(&seat.talk).conversation.is_served(kind, name, version);
        let served: Vec<u64> = seats.iter().filter(is_served).map(|seat| seat.number).collect();
        let mut roll = lock(&self.roll);
        served.into_iter().for_each(|number| roll.arrived(number, &waiting.key));
        // Nobody may have followed it to begin with.
        roll.end_arrivals(&waiting.key);
        drop(roll);
        Some((waiting, told))
    }

    fn version(&self, kind: Kind, name: &str) -> Option<u64> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.get(kind, name).map(|body| body.version())
    }

    /// A stream for a follower who says `requests`.
    pub fn join(self: &Arc<Self>, requests: Requests) -> Stream {
        let mut roll = lock(&self.roll);
        roll.entered += 1;
        let seat = Arc::new(Seat { number: roll.entered, talk: Mutex::default() });
        roll.followers.insert(seat.number, seat.clone());
        Stream { hub: self.clone(), seat, requests, timer: None }
    }

    fn leave(&self, seat: &Seat) {
        let topics =
            lock(&seat.talk).conversation.topics().map(|(kind, topic)| (kind, topic.clone())).collect();
        let done = {
            let mut roll = lock(&self.roll);
            roll.followers.remove(&seat.number);
            let awaited: Vec<_> = roll.arrivals.keys().cloned().collect();
            awaited.iter().for_each(|key| roll.arrived(seat.number, key));
            let farewells = roll.farewells.keys().cloned().collect();
            roll.react(seat.number, Vec::new(), topics, farewells)
        };
        done.into_iter().for_each(Farewell::end);
    }

    fn on_request(&self, seat: &Seat, request: Request) -> Result<(), TooMuch> {
        let reaction = lock(&seat.talk).conversation.on_request(request)?;
        let Reaction { follow, unfollow, gone, took, refused } = reaction;
        let unfollows = !unfollow.is_empty();
        let (done, awaited) = {
            let mut roll = lock(&self.roll);
            let done = roll.react(seat.number, follow, unfollow, gone);
            if unfollows {
                roll.forget_arrivals(seat.number);
            }
            let is_awaited = |(kind, name, _): &(Kind, Arc<str>, u64)| {
                !roll.arrivals.is_empty() && roll.arrivals.contains_key(&(*kind, name.clone()))
            };
            (done, took.into_iter().filter(is_awaited).collect::<Vec<_>>())
        };
        done.into_iter().for_each(Farewell::end);
        for (kind, name, version) in awaited {
            // Only what is served now has arrived; what was replaced meanwhile has not.
            if self.version(kind, &name) == Some(version) {
                lock(&self.roll).arrived(seat.number, &(kind, name));
            }
        }
        for refusal in refused {
            let follower = lock(&seat.talk).conversation.follower().clone();
            let by = RefusedBy { follower: follower.clone(), why: refusal.why.clone() };
            let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
            let withdrawn = table.refuse(refusal.kind, &refusal.name, refusal.version, by);
            // Ten thousand sidecars of an older release refuse what one does: they are counted in the table.
            let tells = withdrawn || table.is_first_refusal(refusal.kind, &refusal.name, refusal.version);
            drop(table);
            if withdrawn {
                self.spread(&[(refusal.kind, refusal.name.clone(), false)]);
            }
            let (kind, name, why) = (refusal.kind, refusal.name, refusal.why);
            if tells {
                (self.trouble)(Trouble::Refused { kind, name, follower, why, withdrawn });
            }
        }
        Ok(())
    }

    fn verdict(&self, seat: &Seat) -> Result<(), TooMuch> {
        lock(&seat.talk).conversation.verdict(self.clock.now())
    }

    /// The end of a stream of which too much is asked. Told once a second at most, so that nobody fills the list of
    /// events by coming again and again.
    fn too_much(&self, seat: &Seat, why: &TooMuch) -> Ending {
        let why = why.to_string();
        let now = self.clock.now();
        let is_old = |told: Moment| now.since(told) >= Duration::from_secs(1);
        if lock(&self.told).replace(now).is_none_or(is_old) {
            let follower = lock(&seat.talk).conversation.follower().clone();
            (self.trouble)(Trouble::TooMuch { follower, why: why.clone() });
        }
        Ending::TooMuch(why)
    }

    /// The next response; where there is none, `waker` will be woken when there may be, and the moment is when time
    /// alone may bring one.
    fn next(&self, seat: &Seat, waker: &Waker) -> Result<Response, Option<model::Moment>> {
        let mut gone = Vec::new();
        let next = {
            let mut talk = lock(&seat.talk);
            talk.waker = Some(waker.clone());
            if self.state.load(Ordering::SeqCst) == CLOSED {
                return Err(None);
            }
            let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
            let next = talk.conversation.next(self.clock.now(), &table, &mut gone);
            next.ok_or_else(|| talk.conversation.next_wakeup())
        };
        if !gone.is_empty() {
            let done = lock(&self.roll).react(seat.number, Vec::new(), Vec::new(), gone);
            done.into_iter().for_each(Farewell::end);
        }
        if let Ok(response) = &next {
            self.responses.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(response.len() as u64, Ordering::Relaxed);
        }
        next
    }

    /// How every follower stands, in the order in which they came.
    pub fn followers(&self) -> Vec<Follower> {
        let seats: Vec<Arc<Seat>> = lock(&self.roll).followers.values().cloned().collect();
        let stand = |seat: Arc<Seat>| {
            let talk = lock(&seat.talk);
            Follower {
                name: talk.conversation.follower().clone(),
                service: talk.conversation.cluster().clone(),
                lag: talk.conversation.lag(),
                strange: talk.conversation.strange(),
            }
        };
        seats.into_iter().map(stand).collect()
    }

    /// Whether nothing has been published.
    pub fn is_empty(&self) -> bool {
        self.table.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// What was refused and is still wanted: type, name, and by whom.
    pub fn refusals(&self) -> Vec<(Kind, Arc<str>, Refusals)> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.refusals().map(|(kind, name, refusals)| (kind, name.clone(), refusals.clone())).collect()
    }

    /// How many responses were sent so far, and of how many bytes, without the frames of the stream.
    pub fn sent(&self) -> (u64, u64) {
        (self.responses.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

/// Somebody who waits for an arrival. When this is dropped, it is waited for no more.
struct Waiting<'a> {
    hub: &'a Hub,
    key: (Kind, Arc<str>),
    ticket: u64,
}

impl Waiting<'_> {
    fn lacking(&self) -> Vec<Arc<Seat>> {
        let roll = lock(&self.hub.roll);
        let mine = |arrival: &&Arrival| arrival.ticket == self.ticket;
        let arrival = roll.arrivals.get(&self.key).and_then(|all| all.iter().find(mine));
        arrival.map(|arrival| roll.seats(&arrival.lacking)).unwrap_or_default()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut roll = lock(&self.hub.roll);
        if let Some(all) = roll.arrivals.get_mut(&self.key) {
            all.retain(|arrival| arrival.ticket != self.ticket);
            if all.is_empty() {
                roll.arrivals.remove(&self.key);
            }
        }
    }
}

impl Seat {
    fn name(&self) -> Arc<str> {
        lock(&self.talk).conversation.follower().clone()
    }

    fn wake(&self) {
        let waker = lock(&self.talk).waker.take();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// One follower's stream of responses. What the follower says is read when this is polled, so that one who does not
/// read is not listened to for ever either.
#[derive(Debug)]
pub struct Stream {
    hub: Arc<Hub>,
    seat: Arc<Seat>,
    requests: Requests,
    timer: Option<Pin<Box<Sleep>>>,
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.hub.leave(&self.seat);
    }
}

impl Stream {
    /// Reads what the follower has said. Ready when the stream is over.
    fn listen(&mut self, cx: &mut Context<'_>) -> Poll<Option<Ending>> {
        for _ in 0..TURN {
            match self.requests.poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None | Some(Err(_))) => return Poll::Ready(None),
                Poll::Ready(Some(Ok(request))) => {
                    if let Err(why) = self.hub.on_request(&self.seat, request) {
                        return Poll::Ready(Some(self.hub.too_much(&self.seat, &why)));
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether the moment has come; otherwise the task is woken then.
    fn is_due(&mut self, at: model::Moment, cx: &mut Context<'_>) -> bool {
        let Some(at) = self.hub.clock.instant(at) else { return false };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at.into())));
        if timer.deadline() != at.into() {
            timer.as_mut().reset(at.into());
        }
        timer.as_mut().poll(cx).is_ready()
    }
}

impl wire::xds::grpc::Stream for Stream {
    type Item = Result<Response, Ending>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = &mut *self;
        if let Poll::Ready(ending) = stream.listen(cx) {
            return Poll::Ready(ending.map(Err));
        }
        loop {
            if stream.hub.state.load(Ordering::SeqCst) == STOPPING {
                return Poll::Ready(Some(Err(Ending::Stopping)));
            }
            if let Err(why) = stream.hub.verdict(&stream.seat) {
                return Poll::Ready(Some(Err(stream.hub.too_much(&stream.seat, &why))));
            }
            match stream.hub.next(&stream.seat, cx.waker()) {
                Ok(response) => return Poll::Ready(Some(Ok(response))),
                Err(None) => {
                    stream.timer = None;
                    return Poll::Pending;
                }
                Err(Some(at)) if !stream.is_due(at, cx) => return Poll::Pending,
                // A timer's millisecond may end a little early: then it is asked once more.
                Err(Some(_)) => stream.timer = None,
            }
        }
    }
}
