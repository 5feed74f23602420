//! A scenario made ready to be played: policies resolved by the choice, calls numbered, durations as nanoseconds.

use crate::chance::Chance;
use crate::choice::Choice;
use crate::service::processor::Coarse;
use model::scenario::{self, CallTo, Scenario, Spread};
use model::{Settings, Timeouts};
use std::rc::Rc;
use std::time::Duration;

/// What is played.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) services: Vec<ServiceLayout>,
    pub(crate) clients: Vec<ClientsLayout>,
}

/// A service, ready to be played.
#[derive(Debug)]
pub(crate) struct ServiceLayout {
    pub(crate) threads: u32,
    pub(crate) backlog: u32,
    pub(crate) descriptors: u32,
    /// Requests that the processor works on at once, at full scale …
    pub(crate) servers: u32,
    /// … each at this speed.
    pub(crate) speed: f64,
    /// What it is like below full scale.
    pub(crate) coarse: Option<Coarse>,
    /// What work grows by for each request beyond `crowd`.
    pub(crate) drag: f64,
    pub(crate) crowd: u32,
    pub(crate) cold_speed: f64,
    pub(crate) cold_for: u64,
    pub(crate) routes: Vec<RouteLayout>,
    /// What it does before it is open, and what it does for a probe: the last two routes.
    pub(crate) warm_up: u16,
    pub(crate) probe: u16,
    /// Whom it calls, with which policies: one set of books each.
    pub(crate) links: Vec<Link>,
    /// How many of its calls have a pool.
    pub(crate) pools: Vec<u32>,
}

/// Whom a service or clients call, and with which policies.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) service: u32,
    pub(crate) settings: Rc<Settings>,
}

/// A route, ready to be played.
#[derive(Debug)]
pub(crate) struct RouteLayout {
    pub(crate) cpu: Draw,
    pub(crate) wait: Draw,
    pub(crate) failing: f64,
    pub(crate) calls: Vec<CallLayout>,
}

impl RouteLayout {
    const EMPTY: RouteLayout =
        RouteLayout { cpu: Draw::Fixed(0.0), wait: Draw::Fixed(0.0), failing: 0.0, calls: Vec::new() };
}

/// A call, ready to be played.
#[derive(Clone, Debug)]
pub(crate) struct CallLayout {
    pub(crate) service: u32,
    pub(crate) route: u16,
    pub(crate) link: u16,
    pub(crate) times: f64,
    pub(crate) beside: bool,
    pub(crate) optional: bool,
    /// Its pool, by its place in the instance's.
    pub(crate) pool: Option<u16>,
    pub(crate) cache: Option<u16>,
    pub(crate) timeouts: Timeouts,
}

/// Clients, ready to be played.
#[derive(Debug)]
pub(crate) struct ClientsLayout {
    pub(crate) links: Vec<Link>,
    /// The link of each visit.
    pub(crate) link_of: Vec<u16>,
    pub(crate) timeouts: Timeouts,
}

/// A duration that differs from time to time, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Draw {
    Fixed(f64),
    Exponential(f64),
    Normal(f64, f64),
}

impl Draw {
    fn new(spread: Spread) -> Draw {
        let nanos = |d: Duration| d.as_nanos() as f64;
        match spread {
            Spread::Fixed(d) => Draw::Fixed(nanos(d)),
            Spread::Exponential(mean) => Draw::Exponential(nanos(mean)),
            Spread::Normal(mean, deviation) => Draw::Normal(nanos(mean), nanos(deviation)),
        }
    }

    /// Whether it is always zero.
    pub(crate) fn is_nothing(self) -> bool {
        matches!(self, Draw::Fixed(0.0) | Draw::Exponential(0.0) | Draw::Normal(0.0, 0.0))
    }

    fn mean(self) -> f64 {
        let (Draw::Fixed(mean) | Draw::Exponential(mean) | Draw::Normal(mean, _)) = self;
        mean
    }

    /// Nanoseconds; a distribution that is always the same costs no draw.
    pub(crate) fn draw(self, chance: &mut Chance) -> f64 {
        match self {
            Draw::Fixed(nanos) => nanos,
            Draw::Exponential(0.0) => 0.0,
            Draw::Exponential(mean) => mean * chance.exponential(),
            Draw::Normal(mean, deviation) => (mean + deviation * chance.normal()).max(0.0),
        }
    }
}

impl Layout {
    /// `scenario` as `choice` has it.
    pub(crate) fn new(scenario: &Scenario, choice: &Choice) -> Layout {
        Layout {
            services: scenario.services.iter().map(|s| service(s, scenario.scale, choice)).collect(),
            clients: scenario.clients.iter().map(|c| clients(c, scenario.scale, choice)).collect(),
        }
    }
}

fn service(service: &scenario::Service, scale: f64, choice: &Choice) -> ServiceLayout {
    // A larger scale has more servers; a smaller one has coarse processors.
    let cores = service.cores * scale.max(1.0);
    let servers = (cores.round() as u32).max(1);
    let speed = cores / f64::from(servers);
    let works: Vec<f64> =
        service.routes.iter().map(|r| Draw::new(r.cpu).mean()).filter(|m| *m > 0.0).collect();
    let mean = works.iter().sum::<f64>() / works.len().max(1) as f64 / speed;
    let mut laid = ServiceLayout {
        threads: service.threads,
        backlog: service.backlog,
        descriptors: service.descriptors,
        servers,
        speed,
        coarse: Coarse::new(scale, servers, mean),
        drag: service.drag / scale,
        crowd: service.threads / 2,
        cold_speed: service.start.cold_speed.part(),
        cold_for: service.start.cold_for.as_nanos() as u64,
        routes: Vec::new(),
        warm_up: service.routes.len() as u16,
        probe: service.routes.len() as u16 + 1,
        links: Vec::new(),
        pools: Vec::new(),
    };
    for route in &service.routes {
        let calls = route.calls.iter().map(|c| call(&mut laid, c, scale, choice)).collect();
        let (cpu, wait) = (Draw::new(route.cpu), Draw::new(route.wait));
        laid.routes.push(RouteLayout { cpu, wait, failing: route.failing.part(), calls });
    }
    let calls = service.start.warm_up.iter().map(|c| call(&mut laid, c, scale, choice)).collect();
    laid.routes.push(RouteLayout { calls, ..RouteLayout::EMPTY });
    laid.routes.push(RouteLayout::EMPTY);
    laid
}

fn call(laid: &mut ServiceLayout, call: &CallTo, scale: f64, choice: &Choice) -> CallLayout {
    let settings = scaled(choice.settings(&call.policies), scale);
    let timeouts = settings.timeouts;
    let pool = call.pool.map(|size| {
        laid.pools.push(size);
        laid.pools.len() as u16 - 1
    });
    CallLayout {
        service: call.service as u32,
        route: call.route as u16,
        link: link(&mut laid.links, call.service as u32, settings),
        times: call.times,
        beside: call.beside,
        optional: call.optional,
        pool,
        cache: call.cache.map(|c| c as u16),
        timeouts,
    }
}

/// Retries that a budget always allows are so many a second for each caller, however much there is to do: below full
/// scale they would be a multiple of what they are. They stay a whole number, so that few become none.
fn scaled(mut settings: Settings, scale: f64) -> Settings {
    if let Some(retry) = settings.retry.as_mut().filter(|_| scale < 1.0) {
        retry.floor_per_second = (f64::from(retry.floor_per_second) * scale).round() as u32;
    }
    settings
}

/// The place of the link with these policies. Timeouts belong to the call and not to the books.
fn link(links: &mut Vec<Link>, service: u32, settings: Settings) -> u16 {
    let same = |l: &Link| {
        l.service == service && Settings { timeouts: settings.timeouts, ..(*l.settings).clone() } == settings
    };
    let place = links.iter().position(same).unwrap_or_else(|| {
        links.push(Link { service, settings: Rc::new(settings.clone()) });
        links.len() - 1
    });
    place as u16
}

fn clients(clients: &scenario::Clients, scale: f64, choice: &Choice) -> ClientsLayout {
    let settings = scaled(choice.settings(&clients.policies), scale);
    let mut links = Vec::new();
    let link_of =
        clients.visits.iter().map(|v| link(&mut links, v.service as u32, settings.clone())).collect();
    ClientsLayout { links, link_of, timeouts: settings.timeouts }
}
