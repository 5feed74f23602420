//! What happened: a bounded list in memory for those who ask, and a file of JSON lines that outlives the environment.

use api::{Event, Events as Answer, Query, VERSION, encode, rfc3339};
use net::bounded_file::BoundedFile;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::path::Path;
use std::time::SystemTime;

/// So many events are kept in memory.
const KEPT: usize = 5_000;

/// All events of a run.
#[derive(Debug)]
pub(crate) struct Events {
    recent: VecDeque<Event>,
    last: u64,
    file: BoundedFile,
}

/// What happened, before it has a number and a time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Happening {
    /// What, in one word.
    pub(crate) kind: Cow<'static, str>,
    /// Of which service.
    pub(crate) service: Option<String>,
    /// Of which instance.
    pub(crate) instance: Option<String>,
    /// Why, in one word.
    pub(crate) reason: Option<String>,
    /// A sentence for people.
    pub(crate) text: String,
}

impl Events {
    /// No events yet; they will be appended to `file`.
    pub(crate) fn begin(file: &Path) -> Events {
        Events { recent: VecDeque::new(), last: 0, file: BoundedFile::new(file) }
    }

    /// Keeps what happened.
    pub(crate) fn add(&mut self, happening: Happening) -> &Event {
        self.last += 1;
        let event = Event {
            seq: self.last,
            time: rfc3339(SystemTime::now()),
            kind: happening.kind.into_owned(),
            service: happening.service,
            instance: happening.instance,
            reason: happening.reason,
            text: happening.text,
        };
        self.file.append(encode(&event).as_bytes());
        if self.recent.len() >= KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back(event);
        self.recent.back().expect("one was pushed just now")
    }

    /// What is asked for, as far as it is still known.
    pub(crate) fn answer(&self, query: Query) -> Answer {
        let after = query.after.unwrap_or(0);
        let oldest = self.recent.front().map_or(self.last + 1, |event| event.seq);
        let asked: Vec<&Event> = self.recent.iter().filter(|event| event.seq > after).collect();
        let tail = query.tail.and_then(|tail| usize::try_from(tail).ok()).unwrap_or(usize::MAX);
        let events = asked.iter().skip(asked.len().saturating_sub(tail)).map(|e| (*e).clone()).collect();
        let lost = if query.after.is_some() { oldest.saturating_sub(after + 1) } else { 0 };
        Answer { version: VERSION, events, next: self.last, lost }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    fn happening(text: &str) -> Happening {
        Happening { kind: "started".into(), text: text.into(), ..Happening::default() }
    }

    #[test]
    fn events_are_numbered_bounded_and_written_down() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut events = Events::begin(&path);
        for number in 0..KEPT + 10 {
            events.add(happening(&number.to_string()));
        }
        let all = events.answer(Query::after(0, Duration::ZERO));
        assert_eq!((all.events.len(), all.lost, all.next), (KEPT, 10, 5010));
        let newest = events.answer(Query::tail(2));
        assert_eq!(newest.events.iter().map(|e| e.seq).collect::<Vec<_>>(), [5009, 5010]);
        assert!(events.answer(Query::after(all.next, Duration::ZERO)).events.is_empty());
        let text = std::fs::read_to_string(&path).unwrap();
        let first: Event = api::decode(text.lines().next().unwrap()).unwrap();
        assert_eq!((first.seq, first.text.as_str()), (1, "0"));
    }
}
