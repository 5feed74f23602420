//! What keeps the registry over a restart. The truth is in memory; a store is there so that nothing that was
//! acknowledged is lost.
//!
//! One trait, and behind it today a file on this machine ([`Embedded`]), and memory for tests. A store shared by
//! several control planes joins here: it takes the same records under the same keys.

mod bytes;
mod embedded;

pub use embedded::Embedded;

use crate::registry::{Change, Key, Record};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps records. Only state is kept, never a heartbeat.
pub trait Store: Send {
    /// Everything that is kept.
    ///
    /// # Errors
    /// [`StoreError`]: nothing may be served, as what is registered is not known.
    fn load(&mut self) -> Result<Vec<(Key, Record)>, StoreError>;

    /// Keeps `changes`, all or none. They survive the end of the process, and of the machine, once this returns.
    ///
    /// # Errors
    /// [`StoreError`]: it is not known whether they were kept. The store can be asked again, and takes up work by
    /// itself when the cause is gone.
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError>;
}

/// Why a store does not keep.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no room.
    #[error("no room is left for {place}: make some, and what is asked then is taken again ({why})")]
    Full {
        /// Where.
        place: String,
        /// What the system said.
        why: String,
    },
    /// Another process has it.
    #[error("another process uses {place}: stop it, or give this one a place of its own")]
    InUse {
        /// Where.
        place: String,
    },
    /// It cannot be read or written.
    #[error("cannot use {place}: {why}")]
    Broken {
        /// Where.
        place: String,
        /// What the system said.
        why: String,
    },
    /// A record cannot be understood.
    #[error("record {key} in {place} cannot be understood, a newer release may have written it: {why}")]
    Unreadable {
        /// Where.
        place: String,
        /// The record's key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
}

impl StoreError {
    /// What is wrong, in one word.
    pub const fn word(&self) -> &'static str {
        match self {
            StoreError::Full { .. } => "store-full",
            StoreError::InUse { .. } => "store-in-use",
            StoreError::Broken { .. } => "store-broken",
            StoreError::Unreadable { .. } => "store-unreadable",
        }
    }
}

/// A store that forgets all when the last copy of it goes: for tests, and for environments of a few minutes.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    records: Arc<Mutex<BTreeMap<Key, Record>>>,
}

impl Store for Memory {
    fn load(&mut self) -> Result<Vec<(Key, Record)>, StoreError> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(records.iter().map(|(key, record)| (key.clone(), record.clone())).collect())
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match &change.after {
                Some(record) => records.insert(change.key.clone(), record.clone()),
                None => records.remove(&change.key),
            };
        }
        Ok(())
    }
}
