//! The access log: one line of JSON a request, written by hand, off by default.
//!
//! Lines are gathered and handed over together to a thread that writes them: whoever reads the log, a full pipe or a
//! slow disk, stops that thread and no request. A line that cannot be written is dropped and counted.

use crate::exchange::Finished;
use model::Direction;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many bytes are gathered before they are handed over out of turn.
const GATHER: usize = 32 << 10;
/// So many pieces may wait to be written: 2 MiB, or about 7,000 lines.
const WAITING: usize = 64;

/// The log of one sidecar.
#[derive(Debug)]
pub(crate) struct AccessLog {
    desk: Arc<Desk>,
}

/// What those who log and the one who writes share. The lock is never held while something is written.
#[derive(Debug, Default)]
struct Desk {
    state: Mutex<State>,
    /// There is something to write.
    more: Condvar,
    /// Something was written.
    less: Condvar,
}

#[derive(Debug, Default)]
struct State {
    gathered: String,
    waiting: VecDeque<String>,
    /// Lines that are being written.
    under_way: u64,
    dropped: u64,
    /// The log is gone: what waits is written, and no more.
    over: bool,
}

/// What a line begins with: known before the request is served.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authority: String,
    pub(crate) request_id: String,
}

/// What a line ends with.
pub(crate) struct Served<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) direction: Direction,
    pub(crate) service: &'a str,
    pub(crate) peer: std::net::SocketAddr,
    pub(crate) finished: &'a Finished,
    pub(crate) took: Duration,
    pub(crate) attempts: u8,
}

/// The service of requests that were answered before it was known which one they are for, here and in metrics.
pub(crate) const UNKNOWN: &str = "_unknown";

impl AccessLog {
    /// Opens `path` to append to; `-` is standard output.
    pub(crate) fn open(path: &Path) -> std::io::Result<AccessLog> {
        AccessLog::to(if path == Path::new("-") {
            File::from(std::os::fd::AsFd::as_fd(&std::io::stdout()).try_clone_to_owned()?)
        } else {
            File::options().append(true).create(true).open(path)?
        })
    }

    fn to(file: File) -> std::io::Result<AccessLog> {
        let desk = Arc::new(Desk::default());
        let writer = desk.clone();
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.write(file))?;
        Ok(AccessLog { desk })
    }

    /// Adds a line.
    #[inline(never)]
    pub(crate) fn add(&self, served: &Served<'_>) {
        let mut state = self.desk.state();
        line(&mut state.gathered, served);
        if state.gathered.len() >= GATHER {
            self.desk.hand_over(&mut state);
        }
    }

    /// Has what was gathered written.
    pub(crate) fn flush(&self) {
        self.desk.hand_over(&mut self.desk.state());
    }

    /// Has what was gathered written, waits for that, but not longer than `within`, and says how many lines were not
    /// written by then.
    pub(crate) fn finish(&self, within: Duration) -> u64 {
        let mut state = self.desk.state();
        self.desk.hand_over(&mut state);
        let busy = |state: &mut State| state.under_way > 0 || !state.waiting.is_empty();
        let waited = self.desk.less.wait_timeout_while(state, within, busy);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.under_way + state.waiting.iter().map(|text| lines(text)).sum::<u64>()
    }

    /// Lines that could not be written.
    pub(crate) fn dropped(&self) -> u64 {
        self.desk.state().dropped
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.desk.state().over = true;
        self.desk.more.notify_one();
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_over(&self, state: &mut State) {
        if state.gathered.is_empty() {
            return;
        }
        if state.waiting.len() >= WAITING {
            state.dropped += lines(&state.gathered);
            state.gathered.clear();
            return;
        }
        let text = std::mem::take(&mut state.gathered);
        state.waiting.push_back(text);
        self.more.notify_one();
    }

    /// The writing thread: ends with the log, once all that waited is written.
    fn write(&self, mut file: File) {
        let mut state = self.state();
        loop {
            let Some(text) = state.waiting.pop_front() else {
                if state.over {
                    return;
                }
                state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.under_way = lines(&text);
            drop(state);
            let written = file.write_all(text.as_bytes());
            state = self.state();
            state.dropped += if written.is_ok() { 0 } else { state.under_way };
            state.under_way = 0;
            self.less.notify_all();
        }
    }
}

fn lines(text: &str) -> u64 {
    text.bytes().filter(|byte| *byte == b'\n').count() as u64
}

fn line(out: &mut String, served: &Served<'_>) {
    let Served { entry, direction, service, peer, finished, took, attempts } = served;
    let time = net::clock::timestamp(net::clock::unix_millis());
    // Writing into memory does not fail.
    let _ = write!(
        out,
        "{{\"time\":\"{time}\",\"direction\":\"{}\",\"service\":\"{service}\",",
        direction.word()
    );
    for (name, text) in [
        ("method", &entry.method),
        ("authority", &entry.authority),
        ("path", &entry.path),
        ("request_id", &entry.request_id),
    ] {
        let _ = write!(out, "\"{name}\":");
        quote(out, text);
        out.push(',');
    }
    match finished.status {
        Some(status) => {
            let _ = write!(out, "\"status\":{status},");
        }
        None => out.push_str("\"status\":null,"),
    }
    if let Some(reason) = finished.reason {
        let _ = write!(out, "\"reason\":\"{}\",\"flags\":\"{}\",", reason.word(), reason.envoy_flag());
    }
    if let Some(rule) = finished.rule {
        let _ = write!(out, "\"rule\":\"{}\",", rule.word());
    }
    let millis = took.as_secs_f64() * 1000.0;
    let (bytes_in, bytes_out) = (finished.bytes_in, finished.bytes_out);
    let _ = writeln!(
        out,
        "\"duration_ms\":{millis:.3},\"attempts\":{attempts},\"bytes_in\":{bytes_in},\"bytes_out\":{bytes_out},\
         \"peer\":\"{peer}\"}}"
    );
}

/// A JSON string (RFC 8259 §7).
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Reason;
    use std::io::Read as _;

    const FINISHED: Finished =
        Finished { status: Some(200), reason: None, rule: None, bytes_in: 0, bytes_out: 0 };

    fn served<'a>(entry: &'a Entry, finished: &'a Finished) -> Served<'a> {
        let (direction, peer) = (Direction::Outbound, ([127, 0, 0, 1], 5).into());
        Served {
            entry,
            direction,
            service: "item",
            peer,
            finished,
            took: Duration::from_micros(1500),
            attempts: 1,
        }
    }

    #[test]
    fn who_does_not_read_it_stops_nobody_and_every_line_is_written_or_counted() {
        let (mut reader, writer) = std::io::pipe().expect("there are descriptors");
        let log = AccessLog::to(File::from(std::os::fd::OwnedFd::from(writer))).expect("a thread starts");
        let (tell, told) = std::sync::mpsc::channel();
        // Four times what fits into the pipe and the queue.
        let entry = Entry { path: "x".repeat(1000), ..Entry::default() };
        let count = 4 * WAITING * GATHER / 1000;
        let adding = std::thread::spawn(move || {
            (0..count).for_each(|_| log.add(&served(&entry, &FINISHED)));
            // Nobody reads: it waits for as long as it may and not longer.
            let left = log.finish(Duration::from_millis(50));
            tell.send((left, log.dropped())).expect("somebody waits");
            log
        });
        let (left, dropped) =
            told.recv_timeout(Duration::from_secs(20)).expect("it is stuck with its reader");
        let log = adding.join().expect("it does not panic");
        assert!(left > 0 && dropped > 0, "{left} {dropped}");
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).expect("it is text");
            text
        });
        assert_eq!(log.finish(Duration::from_secs(20)), 0);
        let dropped = log.dropped();
        drop(log);
        let text = reading.join().expect("it does not panic");
        assert!(text.lines().all(|line| line.starts_with('{') && line.ends_with('}')));
        assert_eq!(lines(&text) + dropped, count as u64);
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        let (reader, writer) = std::io::pipe().expect("there are descriptors");
        let log = AccessLog::to(File::from(std::os::fd::OwnedFd::from(writer))).expect("a thread starts");
        drop(reader);
        log.add(&served(&Entry::default(), &FINISHED));
        assert_eq!((log.finish(Duration::from_secs(20)), log.dropped()), (0, 1));
    }

    #[test]
    fn a_line_is_json_whatever_the_path_holds() {
        let mut out = String::new();
        let entry = Entry { method: "GET".into(), path: "/\"\\\u{1}é".into(), ..Entry::default() };
        let finished = Finished {
            status: Some(503),
            reason: Some(Reason::NoInstances),
            rule: None,
            bytes_in: 0,
            bytes_out: 7,
        };
        line(&mut out, &served(&entry, &finished));
        assert!(out.contains(r#""path":"/\"\\\u0001é""#), "{out}");
        assert!(out.contains(r#""reason":"no-instances","flags":"UH","duration_ms":1.500,"#), "{out}");
        assert!(out.ends_with("\"peer\":\"127.0.0.1:5\"}\n"), "{out}");
    }
}
