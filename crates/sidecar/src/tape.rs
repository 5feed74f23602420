//! `--record FILE`: every decision about every call, as `policy::tape` writes them, so that another build can be asked
//! to decide again.
//!
//! Lines that begin with `#` say which books are whose. A recording that cannot be written ends with what could be: it
//! must not stop requests.

use model::{Direction, Moment, Settings};
use policy::tape::{Line, encode};
use policy::{Ask, CallId, Event, Step};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// So many bytes are gathered before they are written.
const GATHER: usize = 64 << 10;

/// The recording of one sidecar.
#[derive(Debug)]
pub(crate) struct Tapes {
    reel: Option<Arc<Mutex<Reel>>>,
    books: u32,
}

/// The recording as one set of books sees it.
#[derive(Debug)]
pub(crate) struct Tape {
    reel: Arc<Mutex<Reel>>,
    books: u32,
}

#[derive(Debug)]
struct Reel {
    /// None once it could not be written.
    file: Option<File>,
    text: String,
}

impl Tapes {
    /// Opens `path` to record to; without one nothing is recorded.
    pub(crate) fn open(path: Option<&Path>) -> std::io::Result<Tapes> {
        let file = path.map(File::create).transpose()?;
        let reel = file.map(|file| Arc::new(Mutex::new(Reel { file: Some(file), text: String::new() })));
        Ok(Tapes { reel, books: 0 })
    }

    /// The tape of the next books.
    pub(crate) fn tape(&mut self, direction: Direction, service: &str) -> Option<Tape> {
        let reel = self.reel.clone()?;
        let books = self.books;
        self.books += 1;
        let head = format!("# books {books}: {} {service}\n", direction.word());
        reel.lock().unwrap_or_else(PoisonError::into_inner).text.push_str(&head);
        Some(Tape { reel, books })
    }
}

impl Tape {
    pub(crate) fn seed(&self, seed: u64) {
        self.add(&Line::Seed { seed });
    }

    pub(crate) fn follow(&self, handles: &[u32], settings: &Settings, now: Moment) {
        self.add(&Line::Follow { now, handles: handles.to_vec(), settings: Box::new(settings.clone()) });
    }

    #[cold]
    pub(crate) fn begin(&self, ask: Ask, now: Moment) {
        self.add(&Line::Begin { now, ask });
    }

    #[cold]
    pub(crate) fn next(&self, id: CallId, now: Moment, step: Step) {
        self.add(&Line::Next { now, id, step });
    }

    #[cold]
    pub(crate) fn on(&self, id: CallId, now: Moment, event: Event) {
        self.add(&Line::On { now, id, event });
    }

    /// Writes what was gathered.
    pub(crate) fn flush(&self) {
        self.reel.lock().unwrap_or_else(PoisonError::into_inner).write();
    }

    fn add(&self, line: &Line) {
        let mut reel = self.reel.lock().unwrap_or_else(PoisonError::into_inner);
        if reel.file.is_some() {
            encode(self.books, line, &mut reel.text);
            if reel.text.len() >= GATHER {
                reel.write();
            }
        }
    }
}

impl Reel {
    fn write(&mut self) {
        let written = self.file.as_mut().map(|file| file.write_all(self.text.as_bytes()));
        if let Some(Err(error)) = written {
            eprintln!("outrigger: the recording ends here: {error}");
            self.file = None;
        }
        self.text.clear();
    }
}
