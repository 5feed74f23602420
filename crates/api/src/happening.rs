//! What happens, on its way into a list of events: it is numbered, dated, and kept for a while for those who ask.

use crate::{Event, Events, Query, VERSION, rfc3339};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::SystemTime;

/// What happened, before it has a number and a time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Happening {
    /// What, in one word.
    pub kind: Cow<'static, str>,
    /// Of which service.
    pub service: Option<String>,
    /// Of which instance.
    pub instance: Option<String>,
    /// Why, in one word.
    pub reason: Option<String>,
    /// A sentence for people.
    pub text: String,
}

impl From<&Event> for Happening {
    /// The same, for a list that has numbers of its own.
    fn from(event: &Event) -> Happening {
        Happening {
            kind: event.kind.clone().into(),
            service: event.service.clone(),
            instance: event.instance.clone(),
            reason: event.reason.clone(),
            text: event.text.clone(),
        }
    }
}

/// The newest events of a process. What is older is in its file.
#[derive(Debug, Default)]
pub struct RecentEvents {
    events: VecDeque<Event>,
    last: u64,
}

impl RecentEvents {
    /// So many are kept at most.
    pub const KEPT: usize = 5_000;

    /// Goes on after `events`, oldest first, which are [`RecentEvents::KEPT`] at most.
    pub fn resume(events: VecDeque<Event>) -> RecentEvents {
        let last = events.back().map_or(0, |event| event.seq);
        RecentEvents { events, last }
    }

    /// Keeps what happened at `now`, and gives it the next number.
    pub fn add(&mut self, happening: Happening, now: SystemTime) -> &Event {
        let Happening { kind, service, instance, reason, text } = happening;
        self.last += 1;
        let event = Event {
            seq: self.last,
            time: rfc3339(now),
            kind: kind.into_owned(),
            service,
            instance,
            reason,
            text,
        };
        if self.events.len() >= RecentEvents::KEPT {
            self.events.pop_front();
        }
        self.events.push_back(event);
        self.events.back().expect("one was pushed just now")
    }

    /// The number of the newest; 0 before the first.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// All that are kept, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }

    /// What is asked for, as far as it is still known.
    pub fn answer(&self, query: Query) -> Events {
        let after = query.after.unwrap_or(0);
        let oldest = self.events.front().map_or(self.last + 1, |event| event.seq);
        let asked: Vec<&Event> = self.events.iter().filter(|event| event.seq > after).collect();
        let tail = query.tail.and_then(|tail| usize::try_from(tail).ok()).unwrap_or(usize::MAX);
        let events = asked.iter().skip(asked.len().saturating_sub(tail)).map(|e| (*e).clone()).collect();
        let lost = if query.after.is_some() { oldest.saturating_sub(after.saturating_add(1)) } else { 0 };
        Events { version: VERSION, events, next: self.last, lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn happening(text: &str) -> Happening {
        Happening { kind: "started".into(), text: text.into(), ..Happening::default() }
    }

    fn numbers(events: &Events) -> Vec<u64> {
        events.events.iter().map(|event| event.seq).collect()
    }

    #[test]
    fn events_are_numbered_dated_and_bounded() {
        let mut recent = RecentEvents::default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        for number in 0..RecentEvents::KEPT + 10 {
            recent.add(happening(&number.to_string()), now);
        }
        let all = recent.answer(Query::after(0, Duration::ZERO));
        assert_eq!((all.events.len(), all.lost, all.next), (RecentEvents::KEPT, 10, 5010));
        let newest = recent.answer(Query::tail(2));
        assert_eq!(numbers(&newest), [5009, 5010]);
        assert_eq!(newest.events[1].time, "1970-01-01T00:00:01.500Z");
        assert!(recent.answer(Query::after(all.next, Duration::ZERO)).events.is_empty());
    }

    #[test]
    fn a_number_beyond_all_is_answered_too() {
        let mut recent = RecentEvents::default();
        recent.add(happening("one"), SystemTime::UNIX_EPOCH);
        let answer = recent.answer(Query::after(u64::MAX, Duration::ZERO));
        assert_eq!((answer.events.len(), answer.next, answer.lost), (0, 1, 0));
    }

    #[test]
    fn numbers_go_on_after_what_is_known() {
        let mut before = RecentEvents::default();
        before.add(happening("one"), SystemTime::UNIX_EPOCH);
        let mut recent = RecentEvents::resume(before.iter().cloned().collect());
        recent.add(happening("two"), SystemTime::UNIX_EPOCH);
        assert_eq!(numbers(&recent.answer(Query::default())), [1, 2]);
    }

    #[test]
    fn what_is_told_on_is_the_same_under_another_number() {
        let mut recent = RecentEvents::default();
        let told = Happening {
            kind: "instance-lost".into(),
            service: Some("a".into()),
            instance: Some("a-1".into()),
            reason: Some("silent".into()),
            text: "a-1 is gone".into(),
        };
        let event = recent.add(told.clone(), SystemTime::UNIX_EPOCH);
        assert_eq!(Happening::from(event), told);
    }
}
