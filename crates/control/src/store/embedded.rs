//! A store in one file on this machine: redb, a B-tree that is copied on write, so that the end of the process or of
//! the power at any moment leaves either the old state or the new one.
//!
//! A database of redb that met an error of its file answers nothing more until it is opened again. So each failure
//! closes it, and the next commit opens it.

use super::bytes::{decode, encode, key_text};
use super::{Store, StoreError};
use crate::registry::{Change, Key, Record};
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

/// All records in one table, by their key as text.
const RECORDS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("records");

/// The registry of 10,000 instances is some 2 MB: a cache of this size holds it, and redb's own of 1 GiB would be the
/// one thing in this process that grows without a need.
const CACHE: usize = 4 << 20;

type Open = Box<dyn FnMut() -> Result<Database, DatabaseError> + Send>;

/// A store in one file.
pub struct Embedded {
    place: String,
    open: Open,
    database: Option<Database>,
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Embedded {
    /// The store in the file at `path`, which is made where there is none.
    ///
    /// # Errors
    /// [`StoreError`]: it cannot be opened.
    pub fn open(path: &Path) -> Result<Embedded, StoreError> {
        let file = path.to_owned();
        let open = move || Database::builder().set_cache_size(CACHE).create(&file);
        Embedded::with(path.display().to_string(), Box::new(open))
    }

    pub(crate) fn with(place: String, open: Open) -> Result<Embedded, StoreError> {
        let mut store = Embedded { place, open, database: None };
        store.write(&[])?;
        Ok(store)
    }

    fn write(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => (self.open)().map_err(|why| self.failed(why))?,
        };
        // Only a database that did its work is kept.
        keep(&database, changes).map_err(|why| self.failed(why))?;
        self.database = Some(database);
        Ok(())
    }

    fn read(&mut self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => (self.open)().map_err(|why| self.failed(why))?,
        };
        let all = read_all(&database).map_err(|why| self.failed(why))?;
        self.database = Some(database);
        Ok(all)
    }

    fn failed(&self, why: impl Into<redb::Error>) -> StoreError {
        let (place, why) = (self.place.clone(), why.into());
        let full = match &why {
            redb::Error::DatabaseAlreadyOpen => return StoreError::InUse { place },
            redb::Error::Io(io) => matches!(
                io.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
            ),
            _ => false,
        };
        let why = why.to_string();
        if full { StoreError::Full { place, why } } else { StoreError::Broken { place, why } }
    }
}

fn keep(database: &Database, changes: &[Change]) -> Result<(), redb::Error> {
    let writing = database.begin_write()?;
    {
        let mut records = writing.open_table(RECORDS)?;
        for change in changes {
            let key = key_text(&change.key);
            match &change.after {
                Some(record) => records.insert(&*key, &*encode(record))?,
                None => records.remove(&*key)?,
            };
        }
    }
    writing.commit()?;
    Ok(())
}

fn read_all(database: &Database) -> Result<Vec<(String, Vec<u8>)>, redb::Error> {
    let reading = database.begin_read()?;
    let records = match reading.open_table(RECORDS) {
        Ok(records) => records,
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(why) => return Err(why.into()),
    };
    let mut all = Vec::new();
    for record in records.iter()? {
        let (key, bytes) = record?;
        all.push((key.value().to_owned(), bytes.value().to_owned()));
    }
    Ok(all)
}

impl Store for Embedded {
    fn load(&mut self) -> Result<Vec<(Key, Record)>, StoreError> {
        let place = self.place.clone();
        let read = |(key, bytes): (String, Vec<u8>)| {
            let unreadable = |why| StoreError::Unreadable { place: place.clone(), key: key.clone(), why };
            decode(&key, &bytes).map_err(unreadable)
        };
        self.read()?.into_iter().map(read).collect()
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.write(changes)
    }
}

#[cfg(test)]
mod tests;
