//! Scenarios made by lot, for checks over many seeds: odd sizes, every kind of call, fault and policy.

use super::{NOTHING, call, empty, people, route, service};
use crate::chance::Chance;
use crate::choice::Choice;
use model::scenario::{
    Action, Cache, CallTo, Clients, Deed, EdgeLimit, Fault, Neighbours, Network, Reload, Route, Scenario,
    Service, Spread, Those, Trouble,
};
use model::{Hedge, Limit, Moment, Preset, Settings, Share};
use std::time::Duration;

/// Services at most.
const SERVICES: u64 = 5;
/// Caches: so many, always.
const CACHES: usize = 2;

/// Anything, and policies to play it with.
pub fn anything(seed: u64) -> (Scenario, Choice) {
    let mut lot = Lot(Chance::new(seed, u64::MAX));
    let seconds = 4 + lot.0.below(16);
    let mut scenario = empty("anything", Duration::from_secs(seconds));
    scenario.network = lot.network();
    scenario.policies = lot.preset();
    let services = 1 + lot.0.below(SERVICES) as usize;
    scenario.services = (0..services).map(|i| lot.service(i, services)).collect();
    scenario.caches = (0..CACHES).map(|i| lot.cache(i)).collect();
    scenario.limits.push(EdgeLimit { name: "limit".to_owned(), rate: lot.upto(300.0), burst: 5 });
    scenario.clients = (0..1 + lot.0.below(3)).map(|i| lot.clients(i, seconds, services)).collect();
    scenario.faults = (0..lot.0.below(8)).map(|_| lot.fault(seconds, services)).collect();
    scenario.operators = (0..lot.0.below(3)).map(|_| lot.action(seconds, services)).collect();
    let choice = if lot.0.happens(0.5) {
        Choice::own(&scenario)
    } else {
        Choice::preset(&scenario, lot.preset(), scenario.fleet)
    };
    (scenario, choice.with_operators(true))
}

/// Whoever draws.
struct Lot(Chance);

impl Lot {
    fn ms(&mut self, upto: u64) -> Duration {
        Duration::from_micros(self.0.below(upto * 1_000))
    }

    fn at(&mut self, seconds: u64) -> Moment {
        Moment::from_millis(self.0.below(seconds * 1_000))
    }

    fn upto(&mut self, most: f64) -> f64 {
        self.0.part() * most
    }

    /// Often nothing, seldom all.
    fn share(&mut self, most: f64) -> Share {
        let part = if self.0.happens(0.5) { 0.0 } else { self.upto(most) };
        Share::new(part).unwrap_or(Share::NONE)
    }

    fn preset(&mut self) -> Preset {
        Preset::ALL[self.0.below(Preset::ALL.len() as u64) as usize]
    }

    fn settings(&mut self) -> Settings {
        let mut settings = self.preset().settings();
        if self.0.happens(0.3) {
            settings.hedge = Some(Hedge { after: self.ms(100) });
        }
        if self.0.happens(0.4) {
            let (in_flight, queue) = (1 + self.0.below(40) as u32, self.0.below(40) as u32);
            settings.limit = Some(Limit { in_flight, queue });
        }
        settings
    }

    fn network(&mut self) -> Network {
        Network { delay: self.ms(3), jitter: self.ms(3), loss: self.share(0.05) }
    }

    fn spread(&mut self, upto: u64) -> Spread {
        match self.0.below(4) {
            0 => NOTHING,
            1 => Spread::Fixed(self.ms(upto)),
            2 => Spread::Exponential(self.ms(upto)),
            _ => Spread::Normal(self.ms(upto), self.ms(upto / 2)),
        }
    }

    /// Service number `i` calls those after it.
    fn service(&mut self, i: usize, services: usize) -> Service {
        let routes = (0..2).map(|_| self.route(i, services)).collect();
        let size = (1 + self.0.below(6) as u32, 0.3 + self.upto(4.0));
        let mut service = service(&format!("s{i}"), size, routes);
        service.threads = 1 + self.0.below(30) as u32;
        service.backlog = self.0.below(60) as u32;
        service.descriptors = 20 + self.0.below(200) as u32;
        service.drag = if self.0.happens(0.3) { self.upto(0.05) } else { 0.0 };
        service.start.takes = self.ms(3_000);
        service.start.cold_for = self.ms(2_000);
        service.start.cold_speed = Share::percent(35);
        if self.0.happens(0.3) {
            service.start.warm_up = self.calls(i, services);
        }
        if self.0.happens(0.3) {
            let drawn_again = (self.ms(500), self.ms(3_000));
            let drawn_again = (drawn_again.0.min(drawn_again.1), drawn_again.1);
            service.neighbours =
                Some(Neighbours { share: Share::percent(20), speed: Share::percent(30), drawn_again });
        }
        service
    }

    fn route(&mut self, i: usize, services: usize) -> Route {
        let calls = self.calls(i, services);
        let mut route = route(self.spread(10), self.spread(30), calls);
        route.failing = self.share(0.4);
        route
    }

    fn calls(&mut self, i: usize, services: usize) -> Vec<CallTo> {
        let others = (services - i - 1) as u64;
        let calls = if others == 0 { 0 } else { self.0.below(4) };
        (0..calls)
            .map(|_| CallTo {
                route: self.0.below(2) as usize,
                times: if self.0.happens(0.5) { 1.0 } else { self.upto(3.0) },
                beside: self.0.happens(0.4),
                optional: self.0.happens(0.3),
                pool: self.0.happens(0.3).then(|| 1 + self.0.below(8) as u32),
                cache: self.0.happens(0.2).then(|| self.0.below(CACHES as u64) as usize),
                policies: self.settings(),
                ..call(i + 1 + self.0.below(others) as usize)
            })
            .collect()
    }

    fn cache(&mut self, i: usize) -> Cache {
        let (keys, holds) = (1 + self.0.below(500) as u32, self.0.below(300) as u32);
        Cache { name: format!("cache{i}"), keys, skew: self.upto(1.5), holds }
    }

    fn reload(&mut self) -> Option<Reload> {
        self.0.happens(0.4).then(|| Reload {
            share: Share::percent(60),
            after: self.ms(2_000),
            jitter: self.ms(500),
            at_most: 1 + self.0.below(4) as u32,
            ceiling: self.upto(1.0),
        })
    }

    fn clients(&mut self, i: u64, seconds: u64, services: usize) -> Clients {
        let mut clients = people(0.0, self.ms(3_000).max(Duration::from_millis(5)));
        clients.name = format!("clients{i}");
        clients.human = i == 0;
        clients.demand = (0..1 + self.0.below(3))
            .map(|point| (Moment::from_millis(point * seconds * 400), self.upto(150.0)))
            .collect();
        clients.even = self.0.happens(0.3);
        clients.sidecars = 1 + self.0.below(3) as u32;
        clients.tells_deadline = self.0.happens(0.5);
        clients.posts = self.share(0.6);
        clients.reload = self.reload();
        clients.after_limit = self.reload();
        clients.policies = self.settings();
        clients.visits = (0..2)
            .map(|route| model::scenario::Visit {
                name: format!("v{route}"),
                weight: vec![(Moment::ZERO, 1.0), (self.at(seconds), self.upto(2.0))],
                service: self.0.below(services as u64) as usize,
                route,
                limit: self.0.happens(0.3).then_some(0),
            })
            .collect();
        clients
    }

    fn those(&mut self, services: usize) -> Those {
        let count = self.0.happens(0.6).then(|| 1 + self.0.below(3) as u32);
        Those { service: self.0.below(services as u64) as usize, count }
    }

    fn fault(&mut self, seconds: u64, services: usize) -> Fault {
        let those = self.those(services);
        let what = match self.0.below(7) {
            0 => Trouble::Kill(those),
            1 => Trouble::Hang(those),
            2 => Trouble::Slow(those, Share::percent(20)),
            3 => Trouble::Delay(those, self.ms(3_000)),
            4 => Trouble::Fail(those, Share::percent(70)),
            5 => Trouble::Network(self.network()),
            _ => Trouble::Flush(self.0.below(CACHES as u64) as usize, Share::percent(80)),
        };
        let lasts = self.0.happens(0.8).then(|| self.ms(5_000));
        Fault { at: self.at(seconds), lasts, what }
    }

    fn action(&mut self, seconds: u64, services: usize) -> Action {
        let service = self.0.below(services as u64) as usize;
        Action { at: self.at(seconds), what: Deed::Scale(service, self.0.below(5) as i32 - 2) }
    }
}
