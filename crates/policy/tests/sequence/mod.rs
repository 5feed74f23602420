//! Turns any bytes into a sequence of events for many calls over shared books, drives the real conductor with it, and
//! checks each step against a naive model. Shared by the property test and the fuzzer.

use model::{Breaker, Hedge, Importance, Limit, Moment, Preset, Reason, Retry, Settings, Share, Timeouts};
use policy::tape::{self, Line};
use policy::{
    Answer, Ask, Attempt, Books, Call, CallId, Ending, EndpointKey, Event, Reached, Step, Streams, Why,
};
use std::time::Duration;

const REACHED: [Reached; 4] = [Reached::Nothing, Reached::Connection, Reached::Bytes, Reached::Head];
const STATUS: [u16; 4] = [200, 404, 500, 503];
const CALLS: usize = 12;

/// What a run was like, so that a test can see that it was not an idle one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    /// Calls that began.
    pub(crate) calls: u32,
    /// Further attempts.
    pub(crate) seconds: u32,
    /// Those among them that were not the second.
    pub(crate) thirds: u32,
    /// Attempts that had their time.
    pub(crate) timed_out: u32,
    /// Answers and tunnels that were passed on.
    pub(crate) answers: u32,
    /// Refusals.
    pub(crate) refusals: u32,
    /// Calls that waited in the queue.
    pub(crate) queued: u32,
    /// Reloads.
    pub(crate) reloads: u32,
    /// All of it, to be played again.
    pub(crate) tape: String,
}

/// What the model knows of one attempt: where it goes, and whether an event of it can still come.
#[derive(Clone, Copy)]
struct Opened {
    to: EndpointKey,
    began: Moment,
    live: bool,
    /// It was answered with a refusal; the call may abandon it.
    refused: bool,
}

struct Client {
    call: Call,
    ask: Ask,
    deadline: Moment,
    attempts: Vec<Opened>,
    spilled: bool,
    /// When the body was whole.
    whole: Moment,
    /// Another attempt would not be safe any more.
    unsafe_now: bool,
    answered: Option<Attempt>,
    tunnel: bool,
    over: bool,
    gone: bool,
    /// An event was told, and the next step not yet asked for.
    unasked: bool,
}

impl Client {
    /// Whether it should hold a slot, when it has been asked for its next step.
    fn holds_slot(&self) -> bool {
        !self.attempts.is_empty() && !self.over && !self.tunnel
    }

    fn waits_for_slot(&self) -> bool {
        self.attempts.is_empty() && !self.over
    }

    /// The latest attempt in this place.
    fn at(&mut self, place: Attempt) -> Option<&mut Opened> {
        let here = |(n, _): &(usize, &mut Opened)| n % 2 == place as usize;
        self.attempts.iter_mut().enumerate().rfind(here).map(|(_, opened)| opened)
    }

    /// When an attempt has had its time.
    fn over_at(&self, opened: &Opened, settings: &Settings) -> Moment {
        match settings.retry.and_then(|rule| rule.try_timeout) {
            Some(time) if !self.spilled => opened.began.max(self.whole).after(time),
            _ => Moment::NEVER,
        }
    }
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn or_zero(&mut self) -> usize {
        self.take().map_or(0, usize::from)
    }
}

struct World {
    books: Books,
    dice: Streams,
    settings: Settings,
    now: Moment,
    clients: Vec<Option<Client>>,
    tally: Tally,
    limit_lowered: bool,
}

/// Runs the sequence that `bytes` stand for.
///
/// # Panics
/// When the conductor or the books break one of their promises.
pub(crate) fn run(bytes: &[u8]) -> Tally {
    let mut bytes = Bytes(bytes);
    let settings = settings(bytes.or_zero(), bytes.or_zero(), bytes.or_zero());
    let mut books = Books::new(&settings, Moment::ZERO);
    let handles: Vec<u32> = (0..bytes.or_zero() as u32 % 6).collect();
    books.follow(&handles, &settings, Moment::ZERO);
    let seed = bytes.or_zero() as u64;
    let dice = Streams::new(seed);
    let clients = (0..CALLS).map(|_| None).collect();
    let mut world = World {
        books,
        dice,
        settings,
        now: Moment::ZERO,
        clients,
        tally: Tally::default(),
        limit_lowered: false,
    };
    world.record(Line::Seed { seed });
    let settings = Box::new(world.settings.clone());
    world.record(Line::Follow { now: Moment::ZERO, handles, settings });
    while let Some(operation) = bytes.take() {
        world.operate(operation, &mut bytes);
        world.check();
    }
    world.finish()
}

fn settings(flags: usize, limit: usize, retry: usize) -> Settings {
    let mut settings = Preset::ALL[flags % 8].settings();
    if retry != 0 {
        settings.retry = Some(Retry {
            tries: 2 + retry as u8 % 9,
            try_timeout: (retry & 16 != 0).then(|| Duration::from_millis(1 + retry as u64 / 8)),
            budget: (retry & 32 == 0).then(|| Share::percent(10)),
            back_off: Duration::from_millis(if retry & 64 != 0 { 25 } else { 0 }),
            stacked: retry & 128 != 0,
            ..Retry::default()
        });
    }
    if flags & 8 != 0 {
        settings.hedge = Some(Hedge { after: Duration::from_millis(30) });
    }
    if flags & 16 != 0 {
        settings.panic = Share::NONE;
    }
    if flags & 32 != 0 {
        settings.breaker = Some(Breaker { minimum_calls: 2, ..Breaker::default() });
    }
    let slots = Limit { in_flight: limit as u32 % 4, queue: limit as u32 / 4 % 4 };
    settings.limit = (flags & 64 != 0).then_some(slots);
    settings
}

impl World {
    fn operate(&mut self, operation: u8, bytes: &mut Bytes<'_>) {
        let place = usize::from(operation >> 4) % CALLS;
        match operation & 15 {
            0..=2 => self.begin(place, bytes.or_zero()),
            3 => self.pass(bytes.or_zero(), bytes.or_zero()),
            4 => self.broke(place, bytes.or_zero()),
            5 => self.reload(bytes.or_zero(), bytes.or_zero()),
            6 => self.tell(place, Event::CallerGone),
            7 => self.tell(place, Event::BodyEnded),
            8 => self.tell(place, Event::Spilled),
            9 => self.tell(place, Event::Due),
            10 | 11 => self.head(place, bytes.or_zero(), bytes.or_zero()),
            12 | 13 => self.broke(place, bytes.or_zero()),
            14 => {
                let ending = [
                    Ending::Complete,
                    Ending::Truncated,
                    Ending::Stalled,
                    Ending::Tunnel,
                    Ending::CallerStalled,
                ];
                self.tell(place, Event::Ended(ending[bytes.or_zero() % 5]));
            }
            _ => self.leave_unasked(place, bytes.or_zero()),
        }
        for place in 0..CALLS {
            self.ask(place);
        }
    }

    /// Mostly a few milliseconds, now and then enough for rests and deadlines.
    fn pass(&mut self, millis: usize, long: usize) {
        let scale = if long > 240 { 250 } else { 1 };
        self.now = self.now.after(Duration::from_millis((millis * scale) as u64 / 8));
    }

    fn begin(&mut self, place: usize, flags: usize) {
        if self.clients[place].as_ref().is_some_and(|c| !c.over) {
            return;
        }
        self.tally.calls += 1;
        let ask = Ask {
            id: CallId(u64::from(self.tally.calls)),
            idempotent: flags & 1 == 0,
            has_body: flags & 2 != 0,
            remaining: (flags & 4 != 0).then(|| Duration::from_millis(flags as u64 * 4)),
            attempt: if flags & 24 == 24 { 2 } else { 1 },
            importance: Importance::ALL[flags >> 6],
            timeouts: Timeouts::default(),
        };
        let call = Call::begin(ask, self.now);
        self.record(Line::Begin { now: self.now, ask });
        let deadline = call.deadline();
        self.clients[place] = Some(Client {
            call,
            ask,
            deadline,
            attempts: Vec::new(),
            spilled: false,
            whole: if ask.has_body { Moment::NEVER } else { Moment::ZERO },
            unsafe_now: false,
            answered: None,
            tunnel: false,
            over: false,
            gone: false,
            unasked: true,
        });
    }

    fn reload(&mut self, endpoints: usize, limit: usize) {
        self.tally.reloads += 1;
        let handles: Vec<u32> = (0..8).filter(|h| endpoints >> h & 1 == 1).collect();
        if self.settings.limit.is_some() && limit & 128 != 0 {
            self.settings.limit = Some(Limit { in_flight: limit as u32 % 4, queue: limit as u32 / 4 % 4 });
            self.limit_lowered = true;
        }
        self.books.follow(&handles, &self.settings, self.now);
        let settings = Box::new(self.settings.clone());
        self.record(Line::Follow { now: self.now, handles, settings });
    }

    fn head(&mut self, place: usize, flags: usize, refusal: usize) {
        let attempt = if flags & 1 == 0 { Attempt::First } else { Attempt::Second };
        let refusal = (flags & 6 == 6).then(|| Reason::ALL[refusal % Reason::ALL.len()]);
        let upgraded = flags & 120 == 120 && refusal.is_none();
        let status = if upgraded { 101 } else { STATUS[flags >> 3 & 3] };
        let answer = Answer { status, upgraded, refusal, long: flags & 128 != 0 };
        self.tell(place, Event::Head { attempt, answer });
    }

    fn broke(&mut self, place: usize, flags: usize) {
        let attempt = if flags & 1 == 0 { Attempt::First } else { Attempt::Second };
        let reached = REACHED[flags >> 1 & 3];
        let reason = match reached {
            Reached::Nothing if flags & 8 == 0 => Reason::ConnectFailed,
            Reached::Nothing => Reason::ConnectTimeout,
            _ => Reason::InstanceBroke,
        };
        self.tell(place, Event::Broke { attempt, reached, reason });
    }

    /// Tells a call of an event that a driver could tell it of now.
    fn tell(&mut self, place: usize, event: Event) {
        let Some(client) = &mut self.clients[place] else { return };
        if client.over || client.gone || (client.unasked && event != Event::CallerGone) {
            return;
        }
        match event {
            Event::Head { attempt, answer } => {
                let Some(opened) = client.at(attempt).filter(|o| o.live) else { return };
                opened.live = false;
                opened.refused = answer.refusal.is_some();
                let seen = answer.refusal.is_none_or(|r| {
                    use model::Retryable::{Elsewhere, Yes};
                    !matches!(r.retryable(), Yes | Elsewhere)
                });
                client.unsafe_now |= seen && !client.ask.idempotent;
            }
            Event::Broke { attempt, reached, .. } => {
                let Some(opened) = client.at(attempt).filter(|o| o.live) else { return };
                opened.live = false;
                client.unsafe_now |= reached >= Reached::Bytes && !client.ask.idempotent;
            }
            Event::Ended(_) if client.answered.is_none() => return,
            Event::Spilled if client.ask.has_body => client.spilled = true,
            Event::Spilled => return,
            // A body ends once.
            Event::BodyEnded if client.whole != Moment::NEVER => return,
            Event::BodyEnded => client.whole = self.now,
            Event::CallerGone => client.gone = true,
            _ => {}
        }
        client.call.on(event, &mut self.books, self.now);
        client.unasked = true;
        let id = client.ask.id;
        self.record(Line::On { now: self.now, id, event });
    }

    /// A driver that has been told and is dropped before it asks; or just one that is slow to ask.
    fn leave_unasked(&mut self, place: usize, flags: usize) {
        self.head(place, flags & 7, flags);
        if flags & 64 != 0 {
            self.tell(place, Event::CallerGone);
        }
    }

    /// Asks for steps until the call waits or is settled, as a driver does.
    fn ask(&mut self, place: usize) {
        let Some(mut client) = self.clients[place].take() else { return };
        if client.unasked {
            client.unasked = false;
            self.ask_on(&mut client);
        }
        self.clients[place] = Some(client);
        self.wake();
    }

    fn ask_on(&mut self, client: &mut Client) {
        for _ in 0..8 {
            let step = client.call.next(&mut self.books, self.now, &mut self.dice);
            self.record(Line::Next { now: self.now, id: client.ask.id, step });
            match step {
                Step::Open { attempt, to, give_up } => self.opened(client, attempt, to, give_up),
                Step::Drop { attempt, why } => self.dropped(client, attempt, why),
                Step::Forward { attempt, .. } | Step::Tunnel { attempt } => {
                    assert!(client.answered.is_none() && !client.over && !client.gone);
                    assert!(client.attempts.iter().all(|a| !a.live), "an answer while another attempt lives");
                    client.answered = Some(attempt);
                    client.tunnel = matches!(step, Step::Tunnel { .. });
                    self.tally.answers += 1;
                }
                Step::Refuse { reason, retry_after } => {
                    assert!(client.answered.is_none() && !client.over && !client.gone);
                    assert!(client.attempts.iter().all(|a| !a.live));
                    assert_eq!(reason.has_retry_after(), retry_after.is_some());
                    client.over = true;
                    self.tally.refusals += 1;
                }
                Step::Idle { until } => {
                    assert!(until > self.now, "a driver would spin");
                    assert!(!client.over && !client.gone);
                    if client.answered.is_none() {
                        let live = client.attempts.iter().filter(|o| o.live);
                        let over = live.map(|o| client.over_at(o, &self.settings)).min();
                        assert!(over.is_none_or(|over| until <= over), "an attempt outlives its time");
                    }
                    self.tally.queued += u32::from(client.waits_for_slot());
                    return;
                }
                Step::Settled => {
                    client.over = true;
                    return;
                }
            }
        }
        panic!("the call neither waits nor settles");
    }

    fn opened(&mut self, client: &mut Client, attempt: Attempt, to: EndpointKey, give_up: Moment) {
        assert!(client.answered.is_none() && !client.over && !client.gone, "an attempt after the answer");
        let made = client.attempts.len();
        assert_eq!(attempt as usize, made % 2, "the wrong place");
        assert!(self.now < client.deadline && give_up > self.now && give_up <= client.deadline);
        assert!(self.books.handle(to).is_some(), "an endpoint that is gone");
        if let Some(last) = client.attempts.last() {
            self.opened_again(client, *last, to);
        }
        client.attempts.push(Opened { to, began: self.now, live: true, refused: false });
    }

    fn opened_again(&mut self, client: &Client, last: Opened, to: EndpointKey) {
        let (made, rule) = (client.attempts.len(), self.settings.retry);
        assert!(!client.unsafe_now && !client.spilled, "another attempt that is not safe");
        assert!(client.ask.attempt == 1 || rule.is_some_and(|r| r.stacked), "a retry of a retry");
        assert!(made < rule.map_or(2, |r| usize::from(r.tries)), "too many attempts");
        let hedge = client.attempts.iter().any(|a| a.live);
        assert!(!hedge || (made == 1 && self.settings.hedge.is_some()), "two at once");
        let only = self.books.endpoints(self.now).count() == 1;
        assert!(last.to != to || (only && !hedge), "there was somewhere else");
        self.tally.seconds += 1;
        self.tally.thirds += u32::from(made > 1);
    }

    fn dropped(&mut self, client: &mut Client, attempt: Attempt, why: Why) {
        let (now, settings) = (self.now, self.settings.clone());
        let Some(opened) = client.at(attempt).copied() else { panic!("abandoned what never began") };
        let answered = why == Why::CallerGone && !opened.live;
        assert!(opened.live || opened.refused || answered, "abandoned what was over: {attempt:?} {why:?}");
        if why == Why::TryTimeout {
            assert!(opened.live && now >= client.over_at(&opened, &settings), "abandoned before its time");
            client.unsafe_now |= !client.ask.idempotent;
            self.tally.timed_out += 1;
        }
        if let Some(opened) = client.at(attempt) {
            (opened.live, opened.refused) = (false, false);
        }
    }

    fn wake(&mut self) {
        let woken: Vec<CallId> = self.books.take_woken().collect();
        for id in woken {
            let place = self.clients.iter().position(|c| c.as_ref().is_some_and(|c| c.ask.id == id));
            if let Some(place) = place {
                self.tell(place, Event::Woken);
                self.ask(place);
            }
        }
    }

    fn record(&mut self, line: Line) {
        tape::encode(0, &line, &mut self.tally.tape);
    }

    /// The books against the model: slots, waiting calls, pending attempts, budget.
    fn check(&mut self) {
        self.wake();
        let census = self.books.census(self.now);
        let clients = || self.clients.iter().flatten();
        assert_eq!(census.in_flight as usize, clients().filter(|c| c.holds_slot()).count());
        assert_eq!(census.queue as usize, clients().filter(|c| c.waits_for_slot()).count());
        let known = |o: &&Opened| o.live && self.books.handle(o.to).is_some();
        let pending = clients().flat_map(|c| &c.attempts).filter(known).count();
        assert_eq!(census.pending as usize, pending);
        assert_eq!(self.books.endpoints(self.now).map(|e| e.pending).sum::<u32>(), census.pending);
        if let Some(limit) = self.settings.limit.filter(|_| !self.limit_lowered) {
            assert!(census.in_flight <= limit.in_flight);
        }
        let seconds = self.now.as_nanos() as f64 / 1e9;
        let budget = f64::from(self.tally.calls) * 0.1 + seconds + 10.0;
        let bound = self.settings.retry.is_none_or(|rule| rule.budget.is_some());
        assert!(!bound || f64::from(self.tally.seconds) <= budget + 1e-6, "the budget is exceeded");
        assert!((0.0..=1.0).contains(&census.retry_budget));
    }

    /// All drivers are dropped; nothing may be left.
    fn finish(mut self) -> Tally {
        for place in 0..CALLS {
            if self.clients[place].is_some() {
                self.tell(place, Event::CallerGone);
                self.ask(place);
                self.check();
            }
        }
        assert!(self.books.is_quiet(), "{:?}", self.books.census(self.now));
        self.tally
    }
}
