//! What must pass from inbound to outbound *through an app that knows nothing of us*.
//!
//! Inbound notes deadline, importance and attempt of each request under its trace id and its request id while the app
//! works on it. An app that forwards `traceparent` or `x-request-id`, and nothing else, thereby passes all of it on:
//! outbound finds the note again. Without either, outbound starts afresh and counts it.

use model::{Importance, Moment};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};

/// So many requests are noted at once; beyond that a request's context is lost (and counted), not the request.
const NOTES_AT_MOST: usize = 16_384;

/// What is passed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Context {
    /// When the caller gives up.
    pub(crate) deadline: Moment,
    /// How important the request is.
    pub(crate) importance: Importance,
    /// The caller's attempt; above 1 nobody below retries, unless its retries are stacked.
    pub(crate) attempt: u8,
    /// Whether a call on behalf of this request was retried already.
    pub(crate) retried: bool,
}

/// Names a note: a hash of a trace id or of a request id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct NoteKey(u64);

/// The notes of one sidecar, shared by its workers.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    table: Mutex<HashMap<NoteKey, Note, BuildHasherDefault<AsItIs>>>,
}

#[derive(Debug)]
struct Note {
    context: Context,
    /// Requests in flight under this key; the newest one's context counts.
    holders: u32,
}

/// A key is a hash already.
#[derive(Debug, Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

impl NoteKey {
    /// Whether `value` begins as a `traceparent` does (W3C Trace Context §3.2): a trace id of 32 hexadecimal digits,
    /// not all zero, between dashes.
    pub(crate) fn is_traceparent(value: &[u8]) -> bool {
        let Some(id) = value.get(3..35) else { return false };
        let dashes = value.get(2) == Some(&b'-') && value.get(35) == Some(&b'-');
        dashes && id.iter().all(u8::is_ascii_hexdigit) && id.iter().any(|b| *b != b'0')
    }

    /// The key of a `traceparent`'s trace id.
    pub(crate) fn of_traceparent(value: &[u8]) -> Option<NoteKey> {
        let id = value.get(3..35).filter(|_| NoteKey::is_traceparent(value))?;
        Some(NoteKey(hash(1, id)))
    }

    /// The key of an `x-request-id`.
    pub(crate) fn of_request_id(value: &[u8]) -> Option<NoteKey> {
        (!value.is_empty()).then(|| NoteKey(hash(2, value)))
    }
}

/// FNV-1a with a final mix. A forged collision swaps contexts of two requests to one app at worst: a deadline, an
/// importance; never an identity or a permission.
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut h = 0xcbf2_9ce4_8422_2325 ^ seed;
    for byte in bytes {
        h = (h ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0000_0100_0000_01b3);
    }
    h ^= h >> 32;
    h = h.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    h ^ (h >> 29)
}

impl Notes {
    /// Notes a request under its keys and returns those under which it now stands, for [`Notes::forget`]. A full
    /// table takes no new keys.
    #[inline(never)]
    pub(crate) fn keep(&self, keys: [Option<NoteKey>; 2], context: Context) -> [Option<NoteKey>; 2] {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        keys.map(|key| {
            let key = key?;
            if table.len() >= NOTES_AT_MOST && !table.contains_key(&key) {
                return None;
            }
            let note = table.entry(key).or_insert(Note { context, holders: 0 });
            note.context = context;
            note.holders += 1;
            Some(key)
        })
    }

    /// The request is done.
    #[inline(never)]
    pub(crate) fn forget(&self, keys: [Option<NoteKey>; 2]) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys.into_iter().flatten() {
            if let Some(note) = table.get_mut(&key) {
                note.holders -= 1;
                if note.holders == 0 {
                    table.remove(&key);
                }
            }
        }
    }

    /// What was noted under either key.
    #[inline(never)]
    pub(crate) fn find(&self, keys: [Option<NoteKey>; 2]) -> Option<Context> {
        if let [None, None] = keys {
            return None;
        }
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        keys.into_iter().flatten().find_map(|key| table.get(&key)).map(|note| note.context)
    }

    /// A call on behalf of the noted request was retried: nobody above needs to.
    #[inline(never)]
    pub(crate) fn mark_retried(&self, keys: [Option<NoteKey>; 2]) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys.into_iter().flatten() {
            if let Some(note) = table.get_mut(&key) {
                note.context.retried = true;
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn context(ms: u64) -> Context {
        Context {
            deadline: Moment::from_millis(ms),
            importance: Importance::Critical,
            attempt: 1,
            retried: false,
        }
    }

    #[test]
    fn either_id_finds_the_note_and_the_last_holder_removes_it() {
        let notes = Notes::default();
        let keys = [NoteKey::of_traceparent(TRACE), NoteKey::of_request_id(b"r-1")];
        notes.keep(keys, context(1));
        notes.keep(keys, context(2));
        // The app makes a span of its own: only the trace id stays.
        let other_span = b"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00";
        let found = notes.find([NoteKey::of_traceparent(other_span), None]);
        assert_eq!(found, Some(context(2)));
        assert_eq!(notes.find([None, NoteKey::of_request_id(b"r-1")]), Some(context(2)));
        notes.forget(keys);
        notes.mark_retried(keys);
        assert!(notes.find(keys).is_some_and(|c| c.retried));
        notes.forget(keys);
        assert_eq!(notes.len(), 0);
    }

    #[test]
    fn what_is_no_trace_id_is_no_key() {
        for bad in [
            &b""[..],
            b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
            b"00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            b"00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
        ] {
            assert_eq!(NoteKey::of_traceparent(bad), None);
        }
    }

    #[test]
    fn the_table_is_bounded() {
        let notes = Notes::default();
        for i in 0..NOTES_AT_MOST as u64 + 10 {
            notes.keep([NoteKey::of_request_id(i.to_string().as_bytes()), None], context(1));
        }
        assert_eq!(notes.len(), NOTES_AT_MOST);
    }
}
