//! An instance of a service: workers, a queue in order of arrival, a service time, spells in which it is slow, and
//! deaths.

use crate::first::chance::Chance;
use model::Moment;
use policy::Attempt;
use std::collections::VecDeque;
use std::time::Duration;

/// How an instance serves.
#[derive(Clone, Debug)]
pub struct Service {
    /// Requests at the same time; the others queue.
    pub workers: u32,
    /// The mean of the service time.
    pub mean: Duration,
    /// Its standard deviation; the distribution is normal, cut at zero.
    pub deviation: Duration,
    /// This share of its answers is a failure (status 500).
    pub failures: f64,
    /// When it is slower.
    pub slowdowns: Vec<Slowdown>,
}

/// A spell in which every request that begins takes this long.
#[derive(Clone, Copy, Debug)]
pub struct Slowdown {
    /// From here …
    pub from: Moment,
    /// … to here.
    pub to: Moment,
    /// The service time.
    pub takes: Duration,
}

/// One attempt of one call, at an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Job {
    pub(crate) call: u64,
    pub(crate) attempt: Attempt,
}

/// A job that has begun, and when it will be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) job: Job,
    pub(crate) done: Moment,
    pub(crate) status: u16,
}

/// One instance.
#[derive(Debug)]
pub(crate) struct Instance {
    service: Service,
    chance: Chance,
    running: Vec<Job>,
    waiting: VecDeque<Job>,
    up: bool,
    /// Counts its deaths, so that what an earlier life began is not taken for the present one's.
    pub(crate) life: u32,
    /// The calls that it has carried out, one entry for each time.
    pub(crate) executed: Vec<u64>,
}

impl Instance {
    pub(crate) fn new(service: Service, chance: Chance) -> Instance {
        let (running, waiting) = (Vec::new(), VecDeque::new());
        Instance { service, chance, running, waiting, up: true, life: 0, executed: Vec::new() }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up
    }

    /// A request has come.
    pub(crate) fn arrive(&mut self, job: Job, now: Moment) -> Option<Begun> {
        self.waiting.push_back(job);
        self.begin(now)
    }

    /// A request is done; perhaps the next begins.
    pub(crate) fn done(&mut self, job: Job, now: Moment) -> Option<Begun> {
        self.running.retain(|running| *running != job);
        self.executed.push(job.call);
        self.begin(now)
    }

    /// The connection was closed. What runs runs on: an app does not notice.
    pub(crate) fn abandon(&mut self, job: Job) {
        self.waiting.retain(|waiting| *waiting != job);
    }

    /// It dies; gives the jobs that die with it.
    pub(crate) fn kill(&mut self) -> Vec<Job> {
        self.up = false;
        self.life += 1;
        // What runs may have been carried out, nobody knows: it counts as if it had been.
        self.executed.extend(self.running.iter().map(|job| job.call));
        self.running.drain(..).chain(self.waiting.drain(..)).collect()
    }

    /// It is back.
    pub(crate) fn restart(&mut self) {
        self.up = true;
    }

    fn begin(&mut self, now: Moment) -> Option<Begun> {
        if self.running.len() as u64 >= u64::from(self.service.workers) {
            return None;
        }
        let job = self.waiting.pop_front()?;
        self.running.push(job);
        let usual = self.chance.normal(self.service.mean, self.service.deviation);
        let slow = self.service.slowdowns.iter().find(|s| s.from <= now && now < s.to);
        let status = if self.chance.happens(self.service.failures) { 500 } else { 200 };
        Some(Begun { job, done: now.after(slow.map_or(usual, |s| s.takes)), status })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    fn job(call: u64) -> Job {
        Job { call, attempt: Attempt::First }
    }

    fn instance(workers: u32) -> Instance {
        let slowdown = Slowdown { from: at(100), to: at(200), takes: Duration::from_secs(2) };
        let mean = Duration::from_millis(10);
        let slowdowns = vec![slowdown];
        let service = Service { workers, mean, deviation: Duration::ZERO, failures: 0.0, slowdowns };
        Instance::new(service, Chance::new(1, 1))
    }

    #[test]
    fn a_second_request_waits_for_the_only_worker() {
        let mut instance = instance(1);
        assert_eq!(instance.arrive(job(1), at(0)).map(|b| b.done), Some(at(10)));
        assert!(instance.arrive(job(2), at(1)).is_none());
        assert!(instance.arrive(job(3), at(2)).is_none());
        instance.abandon(job(2));
        assert_eq!(instance.done(job(1), at(10)).map(|b| (b.job, b.done)), Some((job(3), at(20))));
        assert_eq!(instance.executed, [1]);
    }

    #[test]
    fn a_request_that_begins_in_a_slow_spell_is_slow() {
        let mut instance = instance(9);
        let mut done = |ms| instance.arrive(job(ms), at(ms)).map(|b| b.done);
        assert_eq!(done(99), Some(at(109)));
        assert_eq!(done(100), Some(at(2_100)));
        assert_eq!(done(200), Some(at(210)));
    }

    #[test]
    fn what_it_had_dies_with_it() {
        let mut instance = instance(1);
        instance.arrive(job(1), at(0));
        instance.arrive(job(2), at(0));
        assert_eq!(instance.kill(), [job(1), job(2)]);
        assert!(!instance.is_up());
        assert_eq!((instance.life, instance.executed.as_slice()), (1, [1].as_slice()));
    }
}
