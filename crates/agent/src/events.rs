//! What happened: a bounded list in memory for those who ask, and a file of JSON lines that outlives the environment.

use api::{Event, Events as Answer, Happening, Query, RecentEvents, encode};
use net::bounded_file::BoundedFile;
use std::path::Path;
use std::time::SystemTime;

/// All events of a run.
#[derive(Debug)]
pub(crate) struct Events {
    recent: RecentEvents,
    file: BoundedFile,
}

impl Events {
    /// No events yet; they will be appended to `file`.
    pub(crate) fn begin(file: &Path) -> Events {
        Events { recent: RecentEvents::default(), file: BoundedFile::new(file) }
    }

    /// Keeps what happened.
    pub(crate) fn add(&mut self, happening: Happening) -> &Event {
        let event = self.recent.add(happening, SystemTime::now());
        self.file.append(encode(event).as_bytes());
        event
    }

    /// What is asked for, as far as it is still known.
    pub(crate) fn answer(&self, query: Query) -> Answer {
        self.recent.answer(query)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn events_are_written_down() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut events = Events::begin(&path);
        for text in ["one", "two"] {
            events.add(Happening { kind: "started".into(), text: text.into(), ..Happening::default() });
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let written: Vec<Event> = text.lines().map(|line| api::decode(line).unwrap()).collect();
        assert_eq!(written, events.answer(Query::default()).events);
        assert_eq!((written[1].seq, written[1].text.as_str()), (2, "two"));
    }
}
