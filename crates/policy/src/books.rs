//! Everything that outlives a call, for one service and direction: endpoints with what was learned of them, the retry
//! budget, the limit with its queue, and what there is to tell people.
//!
//! The books compose the policies; each policy has a page of its own. They hold no lock (the driver does) and read no
//! clock. What depends on time alone (a rest is over, a newcomer has grown) happens in [`Books::refresh`], which every
//! [`crate::Call::next`] asks for and which does nothing until the next moment at which something changes.
//!
//! An endpoint is *available* while it admits, a newcomer or not. When the available ones are fewer than the panic
//! share of all, health is ignored and all are asked.

mod endpoint;
mod judge;
mod view;

use crate::admit::Queue;
use crate::health::{Breaker, RAMP, usual};
use crate::pick::{UNKNOWN, part, part_at_least, two_choices};
use crate::retry::Budget;
use crate::{CallId, Cause, Change, Dice, EndpointKey, Note, Purpose};
use endpoint::Endpoint;
use model::{Balancing, Moment, Reason, Retry, Settings};
use std::collections::VecDeque;
use std::time::Duration;

pub(crate) use judge::{Meaning, Outcome, Tried};
pub use view::{Census, EndpointView, State};

/// So many notes are kept for a driver that does not take them.
const NOTES: usize = 256;
/// Means and medians are refreshed so often.
const STATISTICS: Duration = Duration::from_secs(1);
/// An endpoint that is being probed is asked at least so often, however small its share of few calls.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// An endpoint with a capped share: `upto` is the running sum of the parts of all calls.
#[derive(Clone, Copy, Debug)]
struct Capped {
    slot: u32,
    part: f64,
    upto: f64,
}

/// Who can be asked now.
#[derive(Clone, Debug, Default)]
struct Pool {
    /// Those with a full share; all of them in panic.
    steady: Vec<u32>,
    newcomers: Vec<Capped>,
    probing: Vec<Capped>,
    available: usize,
    ejected: usize,
    panic: bool,
}

/// Everything that outlives a call, for one service and direction. It holds no lock: the driver does.
#[derive(Clone, Debug)]
pub struct Books {
    settings: Settings,
    endpoints: Vec<Endpoint>,
    /// Slots in use, in the order of the handles that the books follow.
    order: Vec<u32>,
    free: Vec<u32>,
    pool: Pool,
    /// Whether the pool must be drawn up again, and when it must be at the latest.
    stale: bool,
    wake: Moment,
    pending: u32,
    turn: u32,
    /// The mean of the endpoints' latencies; what an unknown one is taken for.
    mean: Option<Duration>,
    /// What 95 of 100 answers usually stay below.
    usual: Option<Duration>,
    scratch: Vec<Duration>,
    /// When the service last refused a call for overload.
    shed: Option<Moment>,
    budget: Budget,
    queue: Queue,
    notes: VecDeque<Note>,
}

impl Books {
    /// What each endpoint takes here.
    pub const BYTES_PER_ENDPOINT: usize = size_of::<Endpoint>();

    /// Books without endpoints; [`Books::follow`] adds them.
    pub fn new(settings: &Settings, now: Moment) -> Books {
        Books {
            settings: settings.clone(),
            endpoints: Vec::new(),
            order: Vec::new(),
            free: Vec::new(),
            pool: Pool::default(),
            stale: true,
            wake: now,
            pending: 0,
            turn: 0,
            mean: None,
            usual: None,
            scratch: Vec::new(),
            shed: None,
            budget: Budget::new(&settings.retry.unwrap_or_default(), now),
            queue: Queue::default(),
            notes: VecDeque::new(),
        }
    }

    /// Makes the books follow a new snapshot. Endpoints that stay (the same handle) keep all that was learned; new ones
    /// begin in slow start, unless there was none before; removed ones free their slot, and calls that are under way
    /// there end without a trace in the books. A handle that is named twice counts once. Where there is no breaker any
    /// more, nobody rests.
    pub fn follow(&mut self, handles: &[u32], settings: &Settings, now: Moment) {
        self.settings = settings.clone();
        let mut before: Vec<(u32, u32)> =
            self.order.iter().map(|&s| (self.endpoints[s as usize].handle, s)).collect();
        before.sort_unstable();
        let mut wanted: Vec<u32> = handles.to_vec();
        wanted.sort_unstable();
        for &(handle, slot) in &before {
            if wanted.binary_search(&handle).is_err() {
                self.remove(slot);
            }
        }
        let grown = match settings.slow_start {
            Some(rule) if !before.is_empty() => now.after(rule.window),
            _ => Moment::ZERO,
        };
        let mut order = Vec::with_capacity(handles.len());
        let mut placed = vec![false; wanted.len()];
        for &handle in handles {
            let rank = wanted.partition_point(|&w| w < handle);
            if std::mem::replace(&mut placed[rank], true) {
                continue;
            }
            let known = before.binary_search_by_key(&handle, |b| b.0).ok().map(|i| before[i].1);
            order.push(known.unwrap_or_else(|| self.add(handle, grown)));
        }
        self.order = order;
        if settings.breaker.is_none() {
            // Nobody would hear of probes any more: who rests or is probed now would stay so for ever.
            for &slot in &self.order {
                self.endpoints[slot as usize].breaker = Breaker::default();
            }
        }
        // Attempts under way may end before the next call: who is gone is no other by then, and is not counted.
        self.draw_up(now);
        self.stale = true;
        self.queue.grant(self.settings.limit, now);
    }

    fn add(&mut self, handle: u32, grown: Moment) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.endpoints.push(Endpoint::default());
            self.endpoints.len() as u32 - 1
        });
        let endpoint = &mut self.endpoints[slot as usize];
        *endpoint = Endpoint { handle, grown, generation: endpoint.generation, ..Endpoint::default() };
        slot
    }

    fn remove(&mut self, slot: u32) {
        let endpoint = &mut self.endpoints[slot as usize];
        self.pending -= endpoint.pending;
        endpoint.pending = 0;
        endpoint.generation = endpoint.generation.wrapping_add(1);
        self.free.push(slot);
    }

    /// The driver's handle of an endpoint; none if it has been removed.
    pub fn handle(&self, key: EndpointKey) -> Option<u32> {
        self.endpoint(key).map(|e| e.handle)
    }

    fn endpoint(&self, key: EndpointKey) -> Option<&Endpoint> {
        self.endpoints.get(key.slot as usize).filter(|e| e.generation == key.generation)
    }

    fn endpoint_mut(&mut self, key: EndpointKey) -> Option<&mut Endpoint> {
        self.endpoints.get_mut(key.slot as usize).filter(|e| e.generation == key.generation)
    }

    fn key(&self, slot: u32) -> EndpointKey {
        EndpointKey { slot, generation: self.endpoints[slot as usize].generation }
    }

    /// Calls that the driver must wake ([`crate::Event::Woken`]) because of what another call did.
    pub fn take_woken(&mut self) -> impl Iterator<Item = CallId> + '_ {
        self.queue.take_woken()
    }

    /// What happened since they were last taken; the oldest are forgotten when nobody takes them.
    pub fn take_notes(&mut self) -> impl Iterator<Item = Note> + '_ {
        self.notes.drain(..)
    }

    /// The books in numbers.
    pub fn census(&self, now: Moment) -> Census {
        let mut census = Census {
            panic: self.pool.panic,
            in_flight: self.queue.in_flight(),
            pending: self.pending,
            limit: self.settings.limit.map(|l| l.in_flight),
            queue: self.queue.len() as u32,
            retry_budget: self.settings.retry.map_or(0.0, |rule| self.budget.left(&rule)),
            ..Census::default()
        };
        for view in self.endpoints(now) {
            *match view.state {
                State::Admitting => &mut census.admitting,
                State::SlowStart => &mut census.slow_start,
                State::Resting => &mut census.resting,
                State::Probing => &mut census.probing,
                State::Ejected => &mut census.ejected,
            } += 1;
        }
        census
    }

    /// Each endpoint, in the order of the handles that the books follow.
    pub fn endpoints(&self, now: Moment) -> impl Iterator<Item = EndpointView> + '_ {
        self.order.iter().map(move |&slot| {
            let e = &self.endpoints[slot as usize];
            let (state, until) = e.state(now);
            EndpointView {
                handle: e.handle,
                state,
                until,
                latency: e.latency.estimate(now),
                pending: e.pending,
            }
        })
    }

    /// Whether nothing is under way: in flight, pending and queue are all zero.
    pub fn is_quiet(&self) -> bool {
        self.queue.is_empty() && self.pending == 0
    }

    /// What 95 of 100 answers usually stay below, the median over the endpoints; none before there are enough of
    /// them.
    pub fn usual(&self) -> Option<Duration> {
        self.usual
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn queue(&mut self) -> &mut Queue {
        &mut self.queue
    }

    pub(crate) fn shed(&self) -> Option<Moment> {
        self.shed
    }

    /// A call has come: it earns its part of the budget.
    pub(crate) fn on_call(&mut self, now: Moment) {
        self.budget.on_call(&self.extra_rule(), now);
    }

    /// Takes one extra attempt out of the budget.
    pub(crate) fn withdraw(&mut self, now: Moment) -> bool {
        self.budget.withdraw(&self.extra_rule(), now)
    }

    /// Retries and hedges live on one budget; where only hedges are on, on the default one.
    fn extra_rule(&self) -> Retry {
        self.settings.retry.unwrap_or_default()
    }

    fn note(&mut self, at: Moment, slot: Option<u32>, change: Change, cause: Cause, until: Option<Moment>) {
        if self.notes.len() == NOTES {
            self.notes.pop_front();
        }
        let handle = slot.map(|slot| self.endpoints[slot as usize].handle);
        self.notes.push_back(Note { at, handle, change, cause, until });
    }

    /// Lets happen what time alone decides and draws up who can be asked. Does nothing while nothing has changed.
    pub(crate) fn refresh(&mut self, now: Moment, dice: &mut impl Dice) {
        if !self.stale && now < self.wake {
            return;
        }
        for i in 0..self.order.len() {
            self.on_time(self.order[i], now, dice);
        }
        self.refresh_statistics(now);
        self.draw_up(now);
        self.stale = false;
        let changes = self.order.iter().filter_map(|&s| self.endpoints[s as usize].next_wakeup(now));
        self.wake = changes.min().unwrap_or(Moment::NEVER).min(now.after(STATISTICS));
    }

    fn on_time(&mut self, slot: u32, now: Moment, dice: &mut impl Dice) {
        let endpoint = &mut self.endpoints[slot as usize];
        if endpoint.outlier.on_time(now) {
            let probes = self.settings.breaker.is_some();
            if probes {
                endpoint.breaker.probe(now);
            }
            self.note(now, Some(slot), Change::Returned, Cause::Time, None);
            if probes {
                self.note(now, Some(slot), Change::Probing, Cause::Time, None);
            }
        }
        while let Some((change, cause)) = self.endpoints[slot as usize].breaker.on_time(now, dice) {
            let until = self.endpoints[slot as usize].breaker.next_wakeup();
            self.note(now, Some(slot), change, cause, until);
        }
        if self.endpoints[slot as usize].breaker.admits_again(now) {
            self.note(now, Some(slot), Change::Admitting, Cause::ProbesWentWell, None);
        }
    }

    fn refresh_statistics(&mut self, now: Moment) {
        let (mut sum, mut known) = (0u128, 0u32);
        self.scratch.clear();
        for &slot in &self.order {
            let endpoint = &self.endpoints[slot as usize];
            if let Some(latency) = endpoint.latency.estimate(now) {
                (sum, known) = (sum + latency.as_nanos(), known + 1);
            }
            self.scratch.extend(endpoint.usual.value());
        }
        self.mean = (known > 0).then(|| Duration::from_nanos((sum / u128::from(known)) as u64));
        self.usual = usual(&mut self.scratch);
    }

    fn draw_up(&mut self, now: Moment) {
        let pool = &mut self.pool;
        pool.steady.clear();
        pool.newcomers.clear();
        pool.probing.clear();
        pool.ejected = 0;
        for &slot in &self.order {
            let capped = Capped { slot, part: 0.0, upto: 0.0 };
            match self.endpoints[slot as usize].state(now).0 {
                State::Admitting => pool.steady.push(slot),
                State::SlowStart => pool.newcomers.push(capped),
                State::Probing => pool.probing.push(capped),
                State::Ejected => pool.ejected += 1,
                State::Resting => {}
            }
        }
        pool.available = pool.steady.len() + pool.newcomers.len();
        let was = pool.panic;
        pool.panic = (pool.available as f64) < self.settings.panic.part() * self.order.len() as f64;
        if pool.panic {
            pool.steady.clone_from(&self.order);
            pool.newcomers.clear();
            pool.probing.clear();
        } else if pool.steady.is_empty() {
            // When all are new nobody is a newcomer.
            pool.steady.extend(pool.newcomers.drain(..).map(|c| c.slot));
        }
        let panic = pool.panic;
        self.share_out(now);
        if panic != was {
            let change = if panic { Change::Panic } else { Change::PanicOver };
            self.note(now, None, change, Cause::Availability, None);
        }
    }

    /// Gives those with a capped share their parts.
    fn share_out(&mut self, now: Moment) {
        let pool = &mut self.pool;
        let (old, all) = (pool.steady.len(), pool.available.max(1) as f64);
        let least = part_at_least(old, pool.available);
        let mut upto = 0.0;
        for capped in &mut pool.newcomers {
            let grown = self.endpoints[capped.slot as usize].grown;
            let grows = self.settings.slow_start.map_or(1.0, |rule| part(&rule, grown, now));
            capped.part = grows.max(least);
            upto += capped.part / all;
            capped.upto = upto;
        }
        let all = self.order.len().max(1) as f64;
        let mut upto = 0.0;
        for capped in &mut pool.probing {
            let verdict = self.endpoints[capped.slot as usize].breaker.verdict(now);
            capped.part = if let crate::health::Verdict::Probe { part } = verdict { part } else { RAMP[0] };
            upto += capped.part / all;
            capped.upto = upto;
        }
    }

    /// Chooses an endpoint for a first attempt, or for a further one that must not go to `not`, and counts it as
    /// pending there.
    pub(crate) fn pick(
        &mut self,
        now: Moment,
        dice: &mut impl Dice,
        not: Option<EndpointKey>,
    ) -> Option<EndpointKey> {
        let slot = match not {
            None => self
                .pick_probe(now, dice)
                .or_else(|| self.pick_newcomer(dice))
                .or_else(|| self.pick_steady(now, dice, None)),
            // A further attempt has to succeed: it goes to those who are known to, if there are any.
            Some(key) => {
                let not = self.endpoint(key).map(|_| key.slot);
                self.pick_steady(now, dice, not).or_else(|| self.other(not))
            }
        }?;
        Some(self.open(slot))
    }

    /// Counts another attempt at an endpoint that stays.
    pub(crate) fn pick_again(&mut self, key: EndpointKey) -> Option<EndpointKey> {
        self.endpoint(key)?;
        Some(self.open(key.slot))
    }

    fn open(&mut self, slot: u32) -> EndpointKey {
        self.endpoints[slot as usize].pending += 1;
        self.pending += 1;
        self.key(slot)
    }

    fn pick_steady(&mut self, now: Moment, dice: &mut impl Dice, not: Option<u32>) -> Option<u32> {
        let (steady, endpoints) = (&self.pool.steady, &self.endpoints);
        match self.settings.balancing {
            Balancing::RoundRobin => self.pick_in_turn(not),
            Balancing::LeastLoaded => two_choices(steady, dice.draw(Purpose::Pick), not, |slot| {
                f64::from(endpoints[slot as usize].pending)
            }),
            Balancing::PeakEwma => {
                let unknown = self.mean.unwrap_or(UNKNOWN);
                two_choices(steady, dice.draw(Purpose::Pick), not, |slot| {
                    let e = &endpoints[slot as usize];
                    e.latency.cost(now, e.pending, unknown)
                })
            }
        }
    }

    #[inline(never)]
    fn pick_in_turn(&mut self, not: Option<u32>) -> Option<u32> {
        let (steady, n) = (&self.pool.steady, self.pool.steady.len());
        let start = self.turn as usize;
        let i = (0..n).map(|i| (start + i) % n).find(|&i| Some(steady[i]) != not)?;
        self.turn = (i as u32 + 1) % n as u32;
        Some(steady[i])
    }

    /// A newcomer whose turn it is and that has few waiting calls.
    fn pick_newcomer(&self, dice: &mut impl Dice) -> Option<u32> {
        if self.pool.newcomers.is_empty() { None } else { self.pick_grown_newcomer(dice) }
    }

    #[inline(never)]
    fn pick_grown_newcomer(&self, dice: &mut impl Dice) -> Option<u32> {
        let newcomers = &self.pool.newcomers;
        let lot = dice.part(Purpose::SlowStart);
        let chosen = newcomers.get(newcomers.partition_point(|c| c.upto <= lot))?;
        let mean = f64::from(self.pending) / self.pool.available.max(1) as f64;
        let room =
            f64::from(self.endpoints[chosen.slot as usize].pending) < (2.0 * chosen.part * mean).max(1.0);
        room.then_some(chosen.slot)
    }

    /// An endpoint that is being probed and whose turn it is, or that has not been asked for a while.
    fn pick_probe(&mut self, now: Moment, dice: &mut impl Dice) -> Option<u32> {
        if self.pool.probing.is_empty() { None } else { self.pick_due_probe(now, dice) }
    }

    #[inline(never)]
    fn pick_due_probe(&mut self, now: Moment, dice: &mut impl Dice) -> Option<u32> {
        let probing = &self.pool.probing;
        let lot = dice.part(Purpose::Probe);
        let due = |c: &&Capped| {
            let e = &self.endpoints[c.slot as usize];
            e.pending == 0 && now.since(e.probed) >= PROBE_EVERY
        };
        let by_lot = || probing.get(probing.partition_point(|c| c.upto <= lot));
        let slot = probing.iter().find(due).or_else(by_lot)?.slot;
        self.endpoints[slot as usize].probed = now;
        Some(slot)
    }

    /// Whoever else can be asked at all: newcomers before those who are being probed, and before the call fails those
    /// who rest or are out. They may be well again, and the budget bounds how often they are asked.
    fn other(&self, not: Option<u32>) -> Option<u32> {
        let pool = &self.pool;
        let capped = pool.newcomers.iter().chain(&pool.probing).map(|c| c.slot);
        capped.chain(self.order.iter().copied()).find(|&slot| Some(slot) != not)
    }

    /// Whether somebody else than `key` is fit to be asked: enough for a hedge, which is a luxury.
    pub(crate) fn has_fit_other(&self, key: EndpointKey) -> bool {
        let not = self.endpoint(key).map(|_| key.slot);
        let capped = self.pool.newcomers.iter().map(|c| c.slot);
        self.pool.steady.iter().copied().chain(capped).any(|slot| Some(slot) != not)
    }

    /// Whether somebody else than `key` can be asked.
    pub(crate) fn has_other(&self, key: EndpointKey) -> bool {
        let not = self.endpoint(key).map(|_| key.slot);
        self.pool.steady.iter().any(|&slot| Some(slot) != not) || self.other(not).is_some()
    }

    /// Why nobody can be asked, and when to try again.
    pub(crate) fn nobody(&self, now: Moment) -> (Reason, Duration) {
        let second = Duration::from_secs(1);
        if self.order.is_empty() {
            return (Reason::NoInstances, second);
        }
        let back = self.order.iter().filter_map(|&slot| self.endpoints[slot as usize].state(now).1).min();
        (Reason::AllResting, back.map_or(second, |at| now.until(at)).max(second))
    }
}

#[cfg(test)]
mod tests;
