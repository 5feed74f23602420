//! The roll of followers: who follows what, who has what was removed, and who does not have what is awaited. It knows
//! followers by number; the lock that it lies behind is its owner's business.

use super::super::conversation::folder_of;
use super::Seat;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::oneshot;
use wire::xds::Kind;

pub(super) type Topics = HashMap<(Kind, Arc<str>), BTreeSet<u64>>;

#[derive(Default)]
pub(super) struct Roll {
    pub(super) entered: u64,
    pub(super) tickets: u64,
    pub(super) followers: BTreeMap<u64, Arc<Seat>>,
    pub(super) topics: Topics,
    /// For each resource that was removed: who may have it still, and who waits to hear that nobody has.
    pub(super) farewells: HashMap<(Kind, Arc<str>), Farewell>,
    /// For each resource that somebody waits for: which of those who followed it then do not have it yet.
    pub(super) arrivals: HashMap<(Kind, Arc<str>), Vec<Arrival>>,
}

#[derive(Default)]
pub(super) struct Farewell {
    pub(super) having: BTreeSet<u64>,
    pub(super) waiting: Vec<oneshot::Sender<()>>,
}

pub(super) struct Arrival {
    pub(super) ticket: u64,
    pub(super) lacking: BTreeSet<u64>,
    /// Dropped when nobody lacks it any more: that is the message.
    pub(super) _over: oneshot::Sender<()>,
}

impl Roll {
    pub(super) fn concerned(&self, kind: Kind, name: &Arc<str>) -> BTreeSet<u64> {
        let folder = folder_of(name).map(Arc::from);
        let topics = [Some(name.clone()), folder, Some("*".into())];
        let followers = topics.into_iter().flatten().filter_map(|topic| self.topics.get(&(kind, topic)));
        followers.flatten().copied().collect()
    }

    #[must_use]
    pub(super) fn react(
        &mut self,
        number: u64,
        follow: Vec<(Kind, Arc<str>)>,
        unfollow: Vec<(Kind, Arc<str>)>,
        gone: Vec<(Kind, Arc<str>)>,
    ) -> Vec<Farewell> {
        for topic in follow {
            self.topics.entry(topic).or_default().insert(number);
        }
        for topic in unfollow {
            if let Some(followers) = self.topics.get_mut(&topic) {
                followers.remove(&number);
                if followers.is_empty() {
                    self.topics.remove(&topic);
                }
            }
        }
        gone.into_iter().filter_map(|(kind, name)| self.gone(number, kind, name)).collect()
    }

    /// This follower certainly does not have that any more. The farewell, where it was the last one.
    #[must_use]
    pub(super) fn gone(&mut self, number: u64, kind: Kind, name: Arc<str>) -> Option<Farewell> {
        let key = (kind, name);
        let farewell = self.farewells.get_mut(&key)?;
        farewell.having.remove(&number);
        if farewell.having.is_empty() { self.farewells.remove(&key) } else { None }
    }

    pub(super) fn seats(&self, numbers: &BTreeSet<u64>) -> Vec<Arc<Seat>> {
        numbers.iter().filter_map(|number| self.followers.get(number).cloned()).collect()
    }

    /// This follower has what is awaited, or does not want it any more.
    pub(super) fn arrived(&mut self, number: u64, key: &(Kind, Arc<str>)) {
        for arrival in self.arrivals.get_mut(key).into_iter().flatten() {
            arrival.lacking.remove(&number);
        }
        self.end_arrivals(key);
    }

    /// Tells those who wait for what nobody lacks any more.
    pub(super) fn end_arrivals(&mut self, key: &(Kind, Arc<str>)) {
        if let Some(all) = self.arrivals.get_mut(key) {
            all.retain(|arrival| !arrival.lacking.is_empty());
            if all.is_empty() {
                self.arrivals.remove(key);
            }
        }
    }

    /// Of what this follower does not follow any more it has no arrival.
    pub(super) fn forget_arrivals(&mut self, number: u64) {
        let keys: Vec<_> = self.arrivals.keys().cloned().collect();
        for key in keys {
            if !self.concerned(key.0, &key.1).contains(&number) {
                self.arrived(number, &key);
            }
        }
    }
}

impl Farewell {
    pub(super) fn end(self) {
        for waiting in self.waiting {
            // Whoever waited may have given up.
            let _ = waiting.send(());
        }
    }
}
