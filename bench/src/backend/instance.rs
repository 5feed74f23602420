//! One back end: its workers, its queue and its counts.

use super::options::{Options, Slow};
use crate::draw::{Draws, ServiceTime};
use std::cell::{Cell, RefCell};
use std::time::Duration;
use tokio::sync::Semaphore;

/// One back end. All of it lives on one thread.
pub(super) struct Instance {
    index: usize,
    address: String,
    workers: Semaphore,
    queue_limit: usize,
    usual: ServiceTime,
    slow: Vec<Slow>,
    draws: RefCell<Draws>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    executed: Cell<u64>,
    refused: Cell<u64>,
    queued: Cell<usize>,
    longest_queue: Cell<usize>,
    busy: Cell<usize>,
    most_busy: Cell<usize>,
}

/// The queue was full.
pub(super) struct Full;

impl Instance {
    pub(super) fn new(index: usize, address: &str, options: &Options) -> Self {
        let slow = options.slow.iter().filter(|slow| slow.instance == index);
        Self {
            index,
            address: address.to_owned(),
            workers: Semaphore::new(options.workers.clamp(1, Semaphore::MAX_PERMITS)),
            queue_limit: options.queue,
            usual: options.service_time,
            slow: slow.copied().collect(),
            draws: RefCell::new(Draws::new(options.seed.wrapping_add(index as u64) << 20)),
            counts: Counts::default(),
        }
    }

    /// Waits for a worker, then calls `begin` and works for one service time.
    /// `since` tells the time since the first request, at the moment of asking.
    pub(super) async fn execute(
        &self,
        since: impl Fn() -> Duration,
        begin: impl FnOnce(),
    ) -> Result<(), Full> {
        let worker = match self.workers.try_acquire() {
            Ok(worker) => worker,
            Err(_) => self.wait_for_worker().await?,
        };
        raise(&self.counts.busy, &self.counts.most_busy);
        self.counts.executed.set(self.counts.executed.get() + 1);
        begin();
        tokio::time::sleep(self.draw(since())).await;
        self.counts.busy.set(self.counts.busy.get() - 1);
        drop(worker);
        Ok(())
    }

    async fn wait_for_worker(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Full> {
        if self.counts.queued.get() >= self.queue_limit {
            self.counts.refused.set(self.counts.refused.get() + 1);
            return Err(Full);
        }
        raise(&self.counts.queued, &self.counts.longest_queue);
        let worker = self.workers.acquire().await.map_err(|_| Full);
        self.counts.queued.set(self.counts.queued.get() - 1);
        worker
    }

    fn draw(&self, since: Duration) -> Duration {
        let spell = self.slow.iter().find(|slow| slow.covers(since));
        let time = spell.map_or(self.usual, |slow| slow.time);
        time.draw(&mut self.draws.borrow_mut())
    }

    pub(super) fn counts(&self) -> serde_json::Value {
        serde_json::json!({
            "instance": self.index,
            "address": self.address,
            "executed": self.counts.executed.get(),
            "refused": self.counts.refused.get(),
            "most_busy": self.counts.most_busy.get(),
            "longest_queue": self.counts.longest_queue.get(),
        })
    }
}

fn raise(now: &Cell<usize>, most: &Cell<usize>) {
    now.set(now.get() + 1);
    most.set(most.get().max(now.get()));
}
