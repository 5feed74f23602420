//! A scenario whose fitted parameters are each a little off: does what it shows hang on a lucky number?
//!
//! Sizes, times and shares are fitted; the times of faults, of operators' actions and of the demand's turns are facts,
//! as is what the operators did. The shape of a demand stays: all its points are off by the same factor.

use model::Share;
use model::scenario::{CallTo, Clients, Reload, Scenario, Service, Spread};
use policy::{Dice, Purpose, Streams};
use std::time::Duration;

/// `scenario` with every fitted parameter multiplied by a factor between `1 - share` and `1 + share`, each drawn by
/// itself from `seed`.
pub fn shuffle(scenario: &Scenario, share: Share, seed: u64) -> Scenario {
    // Another stream than those of the run with the same seed.
    let mut hand = Hand { dice: Streams::new(seed ^ 0x5348_5546_464c_4521), share: share.part() };
    let mut shuffled = scenario.clone();
    hand.time(&mut shuffled.network.delay);
    hand.time(&mut shuffled.network.jitter);
    for compartment in &mut shuffled.compartments {
        hand.number(&mut compartment.cores);
    }
    shuffled.services.iter_mut().for_each(|s| hand.service(s));
    for cache in &mut shuffled.caches {
        hand.count(&mut cache.holds);
    }
    for limit in &mut shuffled.limits {
        hand.number(&mut limit.rate);
    }
    shuffled.clients.iter_mut().for_each(|c| hand.clients(c));
    shuffled
}

struct Hand {
    dice: Streams,
    share: f64,
}

impl Hand {
    fn factor(&mut self) -> f64 {
        1.0 + self.share * (2.0 * self.dice.part(Purpose::Pick) - 1.0)
    }

    fn number(&mut self, number: &mut f64) {
        *number *= self.factor();
    }

    fn time(&mut self, time: &mut Duration) {
        *time = Duration::from_nanos((time.as_nanos() as f64 * self.factor()) as u64);
    }

    /// At least one, and what has no end keeps none.
    fn count(&mut self, count: &mut u32) {
        let factor = self.factor();
        if *count != u32::MAX {
            *count = ((f64::from(*count) * factor).round() as u32).max((*count).min(1));
        }
    }

    /// Nothing stays nothing and all stays all: they are meant so.
    fn part(&mut self, part: &mut Share) {
        let factor = self.factor();
        if *part < Share::ALL {
            *part = Share::new((part.part() * factor).min(1.0)).unwrap_or(*part);
        }
    }

    fn spread(&mut self, spread: &mut Spread) {
        match spread {
            Spread::Fixed(mean) | Spread::Exponential(mean) => self.time(mean),
            Spread::Normal(mean, deviation) => {
                self.time(mean);
                self.time(deviation);
            }
        }
    }

    fn service(&mut self, service: &mut Service) {
        self.count(&mut service.instances);
        if let Some((least, most)) = service.range {
            service.instances = service.instances.clamp(least, most.max(least));
        }
        self.number(&mut service.declared_cores);
        self.number(&mut service.cores);
        self.number(&mut service.idle_cores);
        self.count(&mut service.threads);
        self.count(&mut service.backlog);
        self.time(&mut service.start.takes);
        self.part(&mut service.start.cold_speed);
        self.time(&mut service.start.cold_for);
        for route in &mut service.routes {
            self.spread(&mut route.cpu);
            self.spread(&mut route.wait);
            route.calls.iter_mut().for_each(|c| self.call(c));
        }
        service.start.warm_up.iter_mut().for_each(|c| self.call(c));
    }

    fn call(&mut self, call: &mut CallTo) {
        // Once is how it is built, and no figure.
        if call.times != 1.0 {
            self.number(&mut call.times);
        }
        if let Some(pool) = &mut call.pool {
            self.count(pool);
        }
    }

    fn clients(&mut self, clients: &mut Clients) {
        let factor = self.factor();
        clients.demand.iter_mut().for_each(|(_, rate)| *rate *= factor);
        for visit in &mut clients.visits {
            let factor = self.factor();
            visit.weight.iter_mut().for_each(|(_, weight)| *weight *= factor);
        }
        self.time(&mut clients.patience);
        for reload in [&mut clients.reload, &mut clients.after_limit].into_iter().flatten() {
            self.reload(reload);
        }
    }

    fn reload(&mut self, reload: &mut Reload) {
        self.part(&mut reload.share);
        self.time(&mut reload.after);
        self.number(&mut reload.ceiling);
    }
}

#[cfg(test)]
mod tests;
