//! Clients: who sends requests, whatever becomes of the earlier ones, and what they do when it becomes nothing.

use crate::chance::{Chance, Source};
use crate::flight::{Caller, Ended, Errand};
use crate::record::Coming;
use crate::report::Outcome;
use crate::service::instance::NO_DESK;
use crate::world::{Happening, World};
use model::scenario::{Clients, Reload};
use model::{Moment, Rate};
use policy::admit::{Allowance, Verdict};
use std::time::Duration;

const SECOND: f64 = 1e9;

/// A line through points in time. Before the first and after the last point it is level.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Seconds and values.
    points: Vec<(f64, f64)>,
}

impl Line {
    pub(crate) fn new(points: &[(Moment, f64)]) -> Line {
        let seconds = |m: Moment| m.as_nanos() as f64 / SECOND;
        Line { points: points.iter().map(|(at, value)| (seconds(*at), *value)).collect() }
    }

    /// Where the piece that holds `at` begins, its value there, its slope, and where it ends.
    fn piece(&self, at: f64) -> (f64, f64, f64, f64) {
        let after = self.points.partition_point(|p| p.0 <= at);
        let first = self.points.first().copied().unwrap_or((0.0, 0.0));
        match (after.checked_sub(1).map(|i| self.points[i]), self.points.get(after)) {
            (None, next) => (at, first.1, 0.0, next.map_or(f64::INFINITY, |n| n.0)),
            (Some(last), None) => (at, last.1, 0.0, f64::INFINITY),
            (Some((from, value)), Some((to, next))) => {
                let slope = (next - value) / (to - from);
                (at, value + slope * (at - from), slope, *to)
            }
        }
    }

    /// The value at `at` seconds.
    pub(crate) fn value(&self, at: f64) -> f64 {
        self.piece(at).1
    }

    /// When the area under the line from `at` on has grown to `area`; none if it never does.
    fn reach(&self, mut at: f64, mut area: f64) -> Option<f64> {
        loop {
            let (from, value, slope, to) = self.piece(at);
            let width = to - from;
            let all =
                if width.is_finite() { value * width + slope * width * width / 2.0 } else { f64::INFINITY };
            if value <= 0.0 && slope <= 0.0 && !width.is_finite() {
                return None;
            }
            if area <= all && (value > 0.0 || slope > 0.0) {
                // value·x + slope·x²/2 = area, in the form that loses no digits when the slope is small.
                let root = libm::sqrt((value * value + 2.0 * slope * area).max(0.0));
                return Some(from + (2.0 * area / (value + root)).min(width));
            }
            (at, area) = (to, area - all.max(0.0));
        }
    }
}

/// How often each visit is asked for.
#[derive(Clone, Debug)]
enum Weights {
    /// Always the same: the running sums.
    Level(Vec<f64>),
    /// It changes with time.
    Lines(Vec<Line>),
}

impl Weights {
    fn new(clients: &Clients) -> Weights {
        let lines: Vec<Line> = clients.visits.iter().map(|v| Line::new(&v.weight)).collect();
        if lines.iter().any(|l| l.points.len() > 1) {
            return Weights::Lines(lines);
        }
        let sums = lines.iter().scan(0.0, |sum, line| {
            *sum += line.value(0.0);
            Some(*sum)
        });
        Weights::Level(sums.collect())
    }

    /// The visit that a lot in `[0, 1)` falls on at `at` seconds.
    fn choose(&self, at: f64, lot: f64) -> usize {
        match self {
            Weights::Level(sums) => {
                let lot = lot * sums.last().copied().unwrap_or(0.0);
                sums.partition_point(|s| *s <= lot).min(sums.len().saturating_sub(1))
            }
            Weights::Lines(lines) => {
                let mut lot = lot * lines.iter().map(|l| l.value(at)).sum::<f64>();
                let drawn = lines.iter().position(|l| {
                    lot -= l.value(at);
                    lot < 0.0
                });
                drawn.unwrap_or(lines.len() - 1)
            }
        }
    }
}

/// How many came in the last ten seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    seconds: [u32; 10],
    now: u64,
    sum: u32,
}

impl Recent {
    fn turn(&mut self, now: Moment) {
        let second = now.as_nanos() / 1_000_000_000;
        for i in 0..(second - self.now).min(10) {
            self.sum -= std::mem::take(&mut self.seconds[((second - i) % 10) as usize]);
        }
        self.now = second;
    }

    fn on_one(&mut self, now: Moment) {
        self.turn(now);
        self.seconds[(self.now % 10) as usize] += 1;
        self.sum += 1;
    }

    fn sum(&mut self, now: Moment) -> u32 {
        self.turn(now);
        self.sum
    }
}

/// Why a client tries again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Again {
    /// Its request failed, or it waited in vain.
    Failed,
    /// It got a limit's page.
    Limited,
}

/// Clients of one kind, as they are at the moment.
#[derive(Debug)]
pub(crate) struct Crowd {
    demand: Line,
    weights: Weights,
    even: bool,
    arrivals: Chance,
    visits: Chance,
    reloads: Chance,
    firsts: Recent,
    again: [Recent; 2],
    /// Their sidecars' books: each sidecar's by link.
    desks: Vec<u32>,
    turn: u32,
}

impl Crowd {
    pub(crate) fn new(clients: &Clients, (seed, number): (u64, u64), links: usize) -> Crowd {
        let stream = |source| Chance::of(seed, source, number);
        Crowd {
            demand: Line::new(&clients.demand),
            weights: Weights::new(clients),
            even: clients.even,
            arrivals: stream(Source::Arrivals),
            visits: stream(Source::Visits),
            reloads: stream(Source::Reloads),
            firsts: Recent::default(),
            again: [Recent::default(); 2],
            desks: vec![NO_DESK; links * clients.sidecars.max(1) as usize],
            turn: 0,
        }
    }

    /// When the next one comes; never, if nobody does.
    fn next(&mut self, now: Moment) -> Moment {
        let wait = if self.even { 1.0 } else { self.arrivals.exponential() };
        let at = self.demand.reach(now.as_nanos() as f64 / SECOND, wait);
        at.map_or(Moment::NEVER, |at| Moment::from_nanos((at * SECOND) as u64).max(now))
    }

    fn visit(&mut self, now: Moment) -> u16 {
        let lot = self.visits.part();
        self.weights.choose(now.as_nanos() as f64 / SECOND, lot) as u16
    }
}

impl World {
    /// The first clients of each kind come.
    pub(crate) fn open_doors(&mut self) {
        for clients in 0..self.crowds.len() {
            self.next_comes(clients as u16);
        }
    }

    fn next_comes(&mut self, clients: u16) {
        let now = self.agenda.now();
        let next = self.crowds[clients as usize].next(now);
        if next != Moment::NEVER {
            self.agenda.at(next, Happening::Comes { clients });
        }
    }

    /// A client comes.
    pub(crate) fn comes(&mut self, clients: u16) {
        let now = self.agenda.now();
        let crowd = &mut self.crowds[clients as usize];
        crowd.firsts.on_one(now);
        let visit = crowd.visit(now);
        self.request(clients, visit, 0);
        self.next_comes(clients);
    }

    /// A client comes once more, unless there are too many of them.
    pub(crate) fn reload(&mut self, clients: u16, visit: u16, reloads: u16, why: Again) {
        let now = self.agenda.now();
        let rule = self.rule(clients, why).map_or(0.0, |r| r.ceiling);
        let crowd = &mut self.crowds[clients as usize];
        let again = &mut crowd.again[why as usize];
        if f64::from(again.sum(now)) < rule * f64::from(crowd.firsts.sum(now)) {
            again.on_one(now);
            self.request(clients, visit, reloads);
        }
    }

    fn rule(&self, clients: u16, why: Again) -> Option<Reload> {
        let clients = &self.scenario.clients[clients as usize];
        match why {
            Again::Failed => clients.reload,
            Again::Limited => clients.after_limit,
        }
    }

    fn request(&mut self, clients: u16, visit: u16, reloads: u16) {
        let now = self.agenda.now();
        let these = &self.scenario.clients[clients as usize];
        let wants = &these.visits[visit as usize];
        let coming = if reloads == 0 { Coming::First } else { Coming::Again };
        self.record.on_request(now, clients as usize, coming);
        if let Some(limit) = wants.limit
            && !self.lets_through(limit, now)
        {
            self.record.on_outcome(now, clients as usize, now, Outcome::Limited);
            return self.tries_again(clients, visit, reloads, Again::Limited);
        }
        let these = &self.scenario.clients[clients as usize];
        let wants = &these.visits[visit as usize];
        let patience = now.after(these.patience);
        let deadline = if these.tells_deadline { patience } else { Moment::NEVER };
        let errand = Errand {
            caller: Caller::Client { clients, visit, reloads },
            desk: 0,
            service: wants.service as u32,
            route: wants.route as u16,
            cache: None,
            idempotent: !self.crowds[clients as usize].visits.happens(these.posts.part()),
            attempt: 1,
            patience,
        };
        let timeouts = self.layout.clients[clients as usize].timeouts;
        let desk = self.desk_of_clients(clients, visit);
        self.begin_flight(Errand { desk, ..errand }, deadline, timeouts);
    }

    fn lets_through(&mut self, limit: usize, now: Moment) -> bool {
        let rule = &self.scenario.limits[limit];
        let rule = Rate { per_second: rule.rate, burst: rule.burst.max(1) };
        self.limits[limit].on_call(&rule, now) == Verdict::Go
    }

    /// The books that carry this visit: those of the next sidecar.
    fn desk_of_clients(&mut self, clients: u16, visit: u16) -> u32 {
        let layout = &self.layout.clients[clients as usize];
        let crowd = &mut self.crowds[clients as usize];
        let sidecars = crowd.desks.len() / layout.links.len();
        let sidecar = crowd.turn as usize % sidecars;
        crowd.turn = crowd.turn.wrapping_add(1);
        let link = layout.link_of[visit as usize] as usize;
        let place = sidecar * layout.links.len() + link;
        if crowd.desks[place] == NO_DESK {
            let entity = 1 << 63 | u64::from(clients) << 32 | place as u64;
            let desk = self.open_desk(None, entity, |layout| &layout.clients[clients as usize].links[link]);
            self.crowds[clients as usize].desks[place] = desk;
        }
        self.crowds[clients as usize].desks[place]
    }

    /// A client's call is over.
    pub(crate) fn client_ended(&mut self, slot: u32) {
        let flight = &self.flights[slot];
        let Caller::Client { clients, visit, reloads } = flight.errand.caller else { return };
        let outcome = match flight.ended {
            Ended::Answered(status) if status < 400 => Outcome::Success,
            Ended::Answered(_) => Outcome::Failure,
            Ended::Refused(reason) => Outcome::Refused(reason),
            Ended::Left | Ended::No => Outcome::TimedOut,
        };
        self.record.on_outcome(self.agenda.now(), clients as usize, flight.began, outcome);
        if outcome != Outcome::Success {
            self.tries_again(clients, visit, reloads, Again::Failed);
        }
    }

    fn tries_again(&mut self, clients: u16, visit: u16, reloads: u16, why: Again) {
        let Some(rule) = self.rule(clients, why) else { return };
        let chance = &mut self.crowds[clients as usize].reloads;
        if u32::from(reloads) >= rule.at_most || !chance.happens(rule.share.part()) {
            return;
        }
        let at = self.agenda.now().after(give_or_take(chance, rule));
        self.agenda.at(at, Happening::Reload { clients, visit, reloads: reloads + 1, why });
    }
}

fn give_or_take(chance: &mut Chance, rule: Reload) -> Duration {
    if rule.jitter.is_zero() {
        return rule.after;
    }
    chance.between(rule.after.saturating_sub(rule.jitter), rule.after + rule.jitter)
}

/// What the limits of a scenario have let through so far: nothing.
pub(crate) fn allowances(limits: usize) -> Vec<Allowance> {
    vec![Allowance::default(); limits]
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[test]
    fn a_line_is_level_outside_and_straight_between() {
        let line = Line::new(&[(at(10_000), 100.0), (at(20_000), 200.0)]);
        assert_eq!([0.0, 10.0, 12.5, 20.0, 99.0].map(|t| line.value(t)), [100.0, 100.0, 125.0, 200.0, 200.0]);
    }

    #[test]
    fn an_area_is_reached_where_it_should_be() {
        let line = Line::new(&[(at(10_000), 100.0), (at(20_000), 200.0)]);
        let near = |a: Option<f64>, b: f64| a.is_some_and(|a| (a - b).abs() < 1e-9);
        assert!(near(line.reach(0.0, 50.0), 0.5));
        // 1000 up to 10 s, then 100 x + 5 x² = 125.
        assert!(near(line.reach(0.0, 1_000.0 + 1.0 * 100.0 + 5.0), 11.0));
        assert!(near(line.reach(0.0, 1_000.0 + 1_500.0 + 20.0), 20.1));
        let step = Line::new(&[(at(1_000), 5.0), (at(1_000), 0.0), (at(3_000), 0.0), (at(3_000), 10.0)]);
        assert!(near(step.reach(0.0, 5.0), 1.0));
        assert!(near(step.reach(0.5, 3.5), 3.1));
        assert_eq!(Line::new(&[(at(1_000), 5.0), (at(1_000), 0.0)]).reach(0.5, 3.0), None);
    }

    #[test]
    fn visits_are_chosen_by_their_weights() {
        let level = Weights::Level(vec![1.0, 1.0, 4.0]);
        assert_eq!([0.0, 0.24, 0.26, 0.99].map(|lot| level.choose(5.0, lot)), [0, 0, 2, 2]);
        let lines = vec![Line::new(&[(at(0), 1.0), (at(10_000), 0.0)]), Line::new(&[(at(0), 1.0)])];
        let lines = Weights::Lines(lines);
        assert_eq!([(0.0, 0.49), (0.0, 0.51), (10.0, 0.0)].map(|(t, lot)| lines.choose(t, lot)), [0, 1, 1]);
    }

    #[test]
    fn the_last_ten_seconds_count() {
        let mut recent = Recent::default();
        recent.on_one(at(500));
        recent.on_one(at(5_500));
        assert_eq!(recent.sum(at(9_999)), 2);
        assert_eq!(recent.sum(at(10_000)), 1);
        assert_eq!(recent.sum(at(60_000)), 0);
    }
}
