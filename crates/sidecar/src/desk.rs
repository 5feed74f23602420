//! The books of one service and direction behind one lock, shared by all workers, so that a limit, a budget and a
//! rate mean what they say.

use crate::tape::Tape;
use model::{Endpoint, Moment, Settings};
use policy::{Ask, Books, Call, CallId, Census, EndpointView, Event, Note, Step, Streams};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// The books, the dice that belong to them, and the addresses behind the handles that the books know.
#[derive(Debug)]
pub(crate) struct Desk {
    state: Mutex<State>,
    recorded: bool,
}

#[derive(Debug)]
struct State {
    books: Books,
    dice: Streams,
    /// By handle. A handle whose endpoint was removed is used again only after a later change, so that the books
    /// never take a new endpoint for an old one.
    endpoints: Vec<Option<Endpoint>>,
    /// What was followed last.
    followed: Option<(Vec<Endpoint>, Settings)>,
    wakers: HashMap<CallId, Waker>,
    /// Woken by another worker before it could say how: between its question and its wait.
    woken_early: Vec<CallId>,
    tape: Option<Tape>,
    /// The latest notes, for people.
    notes: VecDeque<Note>,
}

/// So many notes are kept.
const NOTES_KEPT: usize = 32;

/// What is to be done next, with the address where one is needed, and how many attempts the call has made with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) step: Step,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) attempts: u8,
}

/// Orders that are given together: all that there is to do until the call waits, so that one lock is enough.
#[derive(Debug)]
pub(crate) struct Orders {
    list: [Order; 3],
    next: u8,
    len: u8,
}

impl Orders {
    /// None yet.
    pub(crate) fn none() -> Orders {
        let nothing = Order { step: Step::Settled, address: None, attempts: 0 };
        Orders { list: [nothing; 3], next: 0, len: 0 }
    }

    /// Goes on to the next of them. False: there is none.
    #[inline]
    pub(crate) fn go_on(&mut self) -> bool {
        self.next += 1;
        self.next < self.len
    }

    /// The one that is to be carried out.
    #[inline]
    pub(crate) fn current(&self) -> &Order {
        let [first, second, third] = &self.list;
        match self.next {
            0 => first,
            1 => second,
            _ => third,
        }
    }
}

impl Desk {
    /// A desk without endpoints. `seed` decides every draw; with a tape all that happens is recorded.
    pub(crate) fn new(settings: &Settings, seed: u64, tape: Option<Tape>, now: Moment) -> Desk {
        if let Some(tape) = &tape {
            tape.seed(seed);
        }
        let books = Books::new(settings, now);
        let (dice, endpoints, wakers) = (Streams::new(seed), Vec::new(), HashMap::new());
        let woken_early = Vec::new();
        let recorded = tape.is_some();
        let notes = VecDeque::new();
        let state = State { books, dice, endpoints, followed: None, wakers, woken_early, tape, notes };
        Desk { state: Mutex::new(state), recorded }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere while the lock was held leaves counters off by one, which is better than no service.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the books follow a new list of endpoints. Those that stay keep all that was learned of them.
    pub(crate) fn follow(&self, endpoints: &[Endpoint], settings: &Settings, now: Moment) {
        let state = &mut *self.lock();
        // Most changes of a world concern one service of many.
        if state.followed.as_ref().is_some_and(|(e, s)| e == endpoints && s == settings) {
            return;
        }
        state.followed = Some((endpoints.to_vec(), settings.clone()));
        let reusable: Vec<usize> = (0..state.endpoints.len())
            .filter(|i| state.endpoints.get(*i).is_some_and(Option::is_none))
            .collect();
        for known in &mut state.endpoints {
            if known.as_ref().is_some_and(|e| !endpoints.contains(e)) {
                *known = None;
            }
        }
        let mut free = reusable.into_iter();
        for endpoint in endpoints {
            if state.endpoints.iter().flatten().any(|e| e == endpoint) {
                continue;
            }
            match free.next().and_then(|i| state.endpoints.get_mut(i)) {
                Some(place) => *place = Some(endpoint.clone()),
                None => state.endpoints.push(Some(endpoint.clone())),
            }
        }
        let held = state.endpoints.iter().enumerate().filter(|(_, e)| e.is_some());
        let handles: Vec<u32> = held.map(|(i, _)| i as u32).collect();
        if let Some(tape) = &state.tape {
            tape.follow(&handles, settings, now);
        }
        state.books.follow(&handles, settings, now);
        state.wake();
    }

    /// Begins a call.
    pub(crate) fn begin(&self, ask: Ask, now: Moment) -> Call {
        if self.recorded
            && let Some(tape) = &self.lock().tape
        {
            tape.begin(ask, now);
        }
        Call::begin(ask, now)
    }

    /// Asks the call for its next step.
    pub(crate) fn next(&self, id: CallId, call: &mut Call, now: Moment) -> Order {
        let state = &mut *self.lock();
        let order = state.next(id, call, now);
        state.wake();
        order
    }

    /// Tells the call what happened.
    pub(crate) fn on(&self, id: CallId, call: &mut Call, event: Event, now: Moment) {
        let state = &mut *self.lock();
        state.on(id, call, event, now);
        state.wake();
    }

    /// Tells the call what happened, if anything did, and asks for its next steps up to the one that waits.
    pub(crate) fn orders(
        &self,
        id: CallId,
        call: &mut Call,
        event: Option<Event>,
        now: Moment,
        orders: &mut Orders,
    ) {
        let state = &mut *self.lock();
        if let Some(event) = event {
            state.on(id, call, event, now);
        }
        (orders.next, orders.len) = (0, 0);
        for place in &mut orders.list {
            *place = state.next(id, call, now);
            orders.len += 1;
            if matches!(place.step, Step::Idle { .. } | Step::Settled) {
                break;
            }
        }
        state.wake();
    }

    /// Wakes this task when the books wake that call. Says whether they have done so since it was last `waiting`.
    pub(crate) fn wake_with(&self, id: CallId, waker: &Waker, waiting: bool) -> bool {
        let state = &mut *self.lock();
        let early = state.woken_early.iter().position(|woken| *woken == id);
        if let Some(at) = early {
            state.woken_early.swap_remove(at);
            return true;
        }
        if waiting && !state.wakers.contains_key(&id) {
            return true;
        }
        state.wakers.insert(id, waker.clone());
        false
    }

    /// The call no longer waits.
    pub(crate) fn stop_waking(&self, id: CallId) {
        self.lock().forget_waker(id);
    }

    /// Counts for the metrics.
    pub(crate) fn census(&self, now: Moment) -> Census {
        self.lock().books.census(now)
    }

    /// What is known of each endpoint.
    pub(crate) fn endpoints(&self, now: Moment) -> Vec<(Endpoint, EndpointView)> {
        let state = &*self.lock();
        let named = |view: EndpointView| {
            let endpoint = state.endpoints.get(view.handle as usize)?.clone()?;
            Some((endpoint, view))
        };
        state.books.endpoints(now).filter_map(named).collect()
    }

    /// The latest of what happened to endpoints, with their names.
    pub(crate) fn recent_notes(&self) -> Vec<(Option<Endpoint>, Note)> {
        let state = &mut *self.lock();
        state.gather_notes();
        let named = |note: &Note| {
            let handle = note.handle.and_then(|h| usize::try_from(h).ok());
            (handle.and_then(|h| state.endpoints.get(h).cloned().flatten()), *note)
        };
        state.notes.iter().map(named).collect()
    }

    /// Whether nothing is in flight, pending or queued.
    pub(crate) fn is_quiet(&self) -> bool {
        self.lock().books.is_quiet()
    }

    /// Writes what the tape holds to its file.
    pub(crate) fn flush_tape(&self) {
        if let Some(tape) = &self.lock().tape {
            tape.flush();
        }
    }
}

impl State {
    fn address(&self, to: policy::EndpointKey) -> Option<SocketAddr> {
        let handle = self.books.handle(to)?;
        self.endpoints.get(handle as usize)?.as_ref().map(|e| e.address)
    }

    fn gather_notes(&mut self) {
        for note in self.books.take_notes() {
            if self.notes.len() == NOTES_KEPT {
                self.notes.pop_front();
            }
            self.notes.push_back(note);
        }
    }

    fn next(&mut self, id: CallId, call: &mut Call, now: Moment) -> Order {
        let step = call.next(&mut self.books, now, &mut self.dice);
        if let Some(tape) = &self.tape {
            tape.next(id, now, step);
        }
        let address = match step {
            Step::Open { to, .. } => self.address(to),
            _ => None,
        };
        // A call that goes on waits no more, whether or not it was woken in time.
        if !self.woken_early.is_empty() && !matches!(step, Step::Idle { .. }) {
            self.forget_waker(id);
        }
        Order { step, address, attempts: call.attempts() }
    }

    fn on(&mut self, id: CallId, call: &mut Call, event: Event, now: Moment) {
        if let Some(tape) = &self.tape {
            tape.on(id, now, event);
        }
        call.on(event, &mut self.books, now);
    }

    fn wake(&mut self) {
        for id in self.books.take_woken() {
            match self.wakers.remove(&id) {
                Some(waker) => waker.wake(),
                None => self.woken_early.push(id),
            }
        }
    }

    #[cold]
    fn forget_waker(&mut self, id: CallId) {
        self.wakers.remove(&id);
        self.woken_early.retain(|woken| *woken != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Importance, InstanceName, Limit};

    fn ask(id: u64) -> Ask {
        Ask {
            id: CallId(id),
            idempotent: true,
            has_body: false,
            remaining: None,
            attempt: 1,
            importance: Importance::Critical,
            timeouts: model::Timeouts::default(),
        }
    }

    #[test]
    fn a_call_that_is_woken_before_it_waits_does_not_sleep() {
        let settings = Settings { limit: Some(Limit { in_flight: 1, queue: 2 }), ..Settings::default() };
        let now = Moment::from_millis(1000);
        let desk = Desk::new(&settings, 1, None, now);
        let name = InstanceName::new("item-1").expect("it is a name");
        desk.follow(&[Endpoint { name, address: SocketAddr::from(([127, 0, 0, 1], 1)) }], &settings, now);
        let [mut first, mut second, mut third] = [1, 2, 3].map(|id| desk.begin(ask(id), now));
        assert!(matches!(desk.next(CallId(1), &mut first, now).step, Step::Open { .. }));
        for (id, call) in [(2, &mut second), (3, &mut third)] {
            assert!(matches!(desk.next(CallId(id), call, now).step, Step::Idle { .. }));
        }
        // The third waits as it should; the second is only about to when the first goes, on another thread.
        assert!(!desk.wake_with(CallId(3), Waker::noop(), false));
        desk.on(CallId(1), &mut first, Event::CallerGone, now);
        assert!(desk.wake_with(CallId(2), Waker::noop(), false), "nobody will wake it again");
        assert!(matches!(desk.next(CallId(2), &mut second, now).step, Step::Open { .. }));
        assert!(!desk.wake_with(CallId(3), Waker::noop(), true));
        // One that has heard of its slot in another way leaves nothing behind.
        desk.on(CallId(2), &mut second, Event::CallerGone, now);
        assert!(matches!(desk.next(CallId(3), &mut third, now).step, Step::Open { .. }));
        desk.on(CallId(3), &mut third, Event::CallerGone, now);
        let state = desk.lock();
        assert!(state.woken_early.is_empty() && state.wakers.is_empty());
    }
}
