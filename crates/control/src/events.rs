//! What happened: a bounded list in memory for those who ask, and a file of JSON lines that outlives the process.
//!
//! A number counts up from event to event, over restarts too where the file can be read, so that who asks for what
//! came `after` the last number seen misses nothing and hears nothing twice.

use crate::desk::News;
use crate::registry::Event as Registered;
use api::{Event, Events as Answer, Happening, Op, Query, RecentEvents, decode, encode};
use net::bounded_file::{BoundedFile, aside};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// Who else is told of each event, at once. It must be quick.
pub type Tell = Box<dyn Fn(&Event) + Send + Sync>;

/// All events of a control plane.
pub(crate) struct Events {
    list: Mutex<List>,
    last: watch::Sender<u64>,
    tell: Option<Tell>,
}

struct List {
    recent: RecentEvents,
    file: Option<BoundedFile>,
    /// When it was last told that somebody was not let in.
    refused: Option<Instant>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("last", &*self.last.borrow()).finish_non_exhaustive()
    }
}

impl Events {
    /// Goes on with the events in the file at `path`, where one is given.
    pub(crate) fn open(path: Option<&Path>, tell: Option<Tell>) -> Events {
        let recent = RecentEvents::resume(path.map_or_else(VecDeque::new, read));
        let last = recent.last();
        let file = path.map(BoundedFile::new);
        let list = List { recent, file, refused: None };
        Events { list: Mutex::new(list), last: watch::Sender::new(last), tell }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what happened.
    pub(crate) fn add(&self, happening: Happening) {
        let event = self.list().add(happening);
        // Two at once may get here in the other order: a number that goes back would leave somebody waiting.
        self.last.send_if_modified(|last| {
            let is_later = event.seq > *last;
            *last = event.seq.max(*last);
            is_later
        });
        if let Some(tell) = &self.tell {
            tell(&event);
        }
    }

    /// When each instance was registered last, as far as that is still known.
    pub(crate) fn registered(&self) -> BTreeMap<String, String> {
        let list = self.list();
        let registered = list.recent.iter().filter(|event| event.kind == "instance-registered");
        registered.filter_map(|event| Some((event.instance.clone()?, event.time.clone()))).collect()
    }

    /// Somebody was not let in. Told once a second at most, so that nobody can fill the list from outside.
    pub(crate) fn refused(&self, op: Op, why: &str) {
        let mut list = self.list();
        let now = Instant::now();
        if list.refused.is_some_and(|last| now.duration_since(last) < Duration::from_secs(1)) {
            return;
        }
        list.refused = Some(now);
        drop(list);
        let text = format!("a request ({}) was refused: {why}", op.row().path);
        self.add(Happening {
            kind: "request-refused".into(),
            reason: Some("not-identified".into()),
            text,
            ..Happening::default()
        });
    }

    /// What is asked for, as far as it is still known; waits for it as long as `query` says.
    pub(crate) async fn answer(&self, query: Query) -> Answer {
        let mut last = self.last.subscribe();
        let answer = self.list().recent.answer(query);
        if !answer.events.is_empty() || query.wait.is_zero() {
            return answer;
        }
        let after = query.after.unwrap_or(0);
        // The time that is over is no error: then there is nothing yet.
        let _ = tokio::time::timeout(query.wait, last.wait_for(|last| *last > after)).await;
        self.list().recent.answer(query)
    }
}

impl List {
    fn add(&mut self, happening: Happening) -> Event {
        let event = self.recent.add(happening, SystemTime::now());
        if let Some(file) = &mut self.file {
            file.append(encode(event).as_bytes());
        }
        event.clone()
    }
}

impl From<&News> for Happening {
    fn from(news: &News) -> Happening {
        match news {
            News::Registry(event) => Happening::from(event),
            News::StoreFailed(why) => Happening {
                kind: "store-failed".into(),
                reason: Some(why.word().into()),
                text: format!("what is asked from now on is refused, what is known is served: {why}"),
                ..Happening::default()
            },
            News::StoreBack => Happening {
                kind: "store-back".into(),
                text: "the store keeps again: what is asked is taken again".into(),
                ..Happening::default()
            },
        }
    }
}

impl From<&Registered> for Happening {
    fn from(event: &Registered) -> Happening {
        let (instance, service) = match event {
            Registered::Registered { instance, service }
            | Registered::Deregistered { instance, service }
            | Registered::Lost { instance, service }
            | Registered::Restored { instance, service } => (Some(instance), Some(service)),
            Registered::AddressReused { ghost, .. } => (Some(ghost), None),
            Registered::MembershipHeld { service, .. } | Registered::MembershipDropped { service, .. } => {
                (None, Some(service))
            }
            Registered::LeaseLapsed { .. }
            | Registered::Joined { .. }
            | Registered::TokenMade { .. }
            | Registered::TokenRevoked { .. } => (None, None),
        };
        Happening {
            kind: event.word().into(),
            service: service.map(ToString::to_string),
            instance: instance.map(ToString::to_string),
            reason: None,
            text: event.to_string(),
        }
    }
}

/// The last events in the file at `path`, and in the one that was put aside where that is needed.
fn read(path: &Path) -> VecDeque<Event> {
    let mut recent = VecDeque::new();
    for path in [path.to_owned(), aside(path)] {
        // The files are bounded, and are read once, at a start.
        let Ok(bytes) = fs::read(path) else { continue };
        for line in bytes.rsplit(|byte| *byte == b'\n') {
            // A line may have been cut by the end of the machine.
            let event: Option<Event> = std::str::from_utf8(line).ok().and_then(|line| decode(line).ok());
            // A file of another run, from which this one did not go on, is another story.
            let next = recent.front().map(|event: &Event| event.seq);
            if let Some(event) = event.filter(|event| next.is_none_or(|next| event.seq < next)) {
                recent.push_front(event);
            }
            if recent.len() >= RecentEvents::KEPT {
                return recent;
            }
        }
    }
    recent
}

#[cfg(test)]
mod tests;
