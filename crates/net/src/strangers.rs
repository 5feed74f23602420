//! Connections of which nobody knows yet who is at their other end: so many at most, and where there are more the one
//! that has been silent for longest goes. Who wants something says so within milliseconds, also when thousands come at
//! once; who only holds connections open loses them, and keeps nobody else out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::AbortHandle;

/// All that are there. Copies are the same ones.
#[derive(Clone, Debug)]
pub struct Strangers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    last: u64,
    /// By number, which counts up, so that the first one came first. Without a task: it is not started yet.
    waiting: BTreeMap<u64, Option<AbortHandle>>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Stranger {
    all: Strangers,
    number: u64,
}

impl Strangers {
    /// None yet, and never more than `most`.
    pub fn new(most: usize) -> Strangers {
        Strangers(Arc::new(Shared { most, known: Mutex::default() }))
    }

    /// Another one has come. Whoever serves it says with [`Strangers::serve`] by which task.
    pub fn enter(&self) -> Stranger {
        let mut known = self.known();
        known.last += 1;
        let number = known.last;
        known.waiting.insert(number, None);
        if known.waiting.len() > self.0.most
            && let Some((_, Some(oldest))) = known.waiting.pop_first()
        {
            oldest.abort();
        }
        Stranger { all: self.clone(), number }
    }

    /// The one of this number is served by this task.
    pub fn serve(&self, number: u64, task: AbortHandle) {
        // It may have made itself known already, or be gone.
        if let Some(known) = self.known().waiting.get_mut(&number) {
            *known = Some(task);
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.known().waiting.len()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stranger {
    /// Its number, for [`Strangers::serve`].
    pub fn number(&self) -> u64 {
        self.number
    }

    /// It is none any more. Said as often as one likes.
    pub fn is_known(&self) {
        self.all.known().waiting.remove(&self.number);
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.is_known();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn the_oldest_goes_and_who_is_known_stays() {
        let strangers = Strangers::new(2);
        let begin = || {
            let stranger = strangers.enter();
            let number = stranger.number();
            let (known, told) = tokio::sync::oneshot::channel::<()>();
            let task = tokio::spawn(async move {
                if told.await.is_ok() {
                    stranger.is_known();
                }
                std::future::pending::<()>().await;
            });
            strangers.serve(number, task.abort_handle());
            (task, known)
        };
        let (first, known) = begin();
        known.send(()).unwrap();
        while strangers.count() > 0 {
            tokio::task::yield_now().await;
        }
        let (second, _second) = begin();
        let (third, _third) = begin();
        let (fourth, _fourth) = begin();
        assert!(second.await.unwrap_err().is_cancelled(), "it was the oldest of three");
        assert!(!first.is_finished() && !third.is_finished() && !fourth.is_finished());
        assert_eq!(strangers.count(), 2);
        fourth.abort();
        assert!(fourth.await.is_err());
        assert_eq!(strangers.count(), 1, "who is gone makes room");
    }
}
