//! The access log: one line of JSON a request, written by hand, off by default.
//!
//! Lines are gathered and written together; one that cannot be written is dropped and counted, as a full disk must
//! not stop requests.

use crate::exchange::Finished;
use model::Direction;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// So many bytes are gathered before they are written out of turn.
const GATHER: usize = 32 << 10;

/// The log of one sidecar.
#[derive(Debug)]
pub(crate) struct AccessLog {
    state: Mutex<(File, String)>,
    dropped: AtomicU64,
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
        let file = if path == Path::new("-") {
            File::from(std::os::fd::AsFd::as_fd(&std::io::stdout()).try_clone_to_owned()?)
        } else {
            File::options().append(true).create(true).open(path)?
        };
        Ok(AccessLog { state: Mutex::new((file, String::new())), dropped: AtomicU64::new(0) })
    }

    /// Adds a line.
    #[inline(never)]
    pub(crate) fn add(&self, served: &Served<'_>) {
        let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        line(&mut state.1, served);
        if state.1.len() >= GATHER {
            self.write(state);
        }
    }

    /// Writes what was gathered.
    pub(crate) fn flush(&self) {
        let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.1.is_empty() {
            self.write(state);
        }
    }

    /// Lines that could not be written.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    fn write(&self, (file, text): &mut (File, String)) {
        if file.write_all(text.as_bytes()).is_err() {
            self.dropped.fetch_add(text.lines().count() as u64, Relaxed);
        }
        text.clear();
    }
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
        line(
            &mut out,
            &Served {
                entry: &entry,
                direction: Direction::Outbound,
                service: "item",
                peer: ([127, 0, 0, 1], 5).into(),
                finished: &finished,
                took: Duration::from_micros(1500),
                attempts: 1,
            },
        );
        assert!(out.contains(r#""path":"/\"\\\u0001é""#), "{out}");
        assert!(out.contains(r#""reason":"no-instances","flags":"UH","duration_ms":1.500,"#), "{out}");
        assert!(out.ends_with("\"peer\":\"127.0.0.1:5\"}\n"), "{out}");
    }
}
