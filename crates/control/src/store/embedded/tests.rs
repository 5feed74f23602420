//! The file store: what is kept is there, a full disk is said so and passed.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::registry::{Record, Tombstone};
use model::InstanceName;
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex};

fn change(number: u32, incarnation: Option<u64>) -> Change {
    let key = Key::Tombstone(InstanceName::new(&format!("i-{number}")).unwrap());
    let record = |incarnation| Record::Tombstone(Tombstone { incarnation, revision: 1 });
    Change { key, before: None, after: incarnation.map(record) }
}

/// A disk in memory with a bound that can be moved.
#[derive(Debug)]
struct Disk {
    bytes: Vec<u8>,
    room: usize,
}

#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Disk>>);

impl StorageBackend for Shared {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.0.lock().unwrap();
        let from = usize::try_from(offset).unwrap();
        out.copy_from_slice(&disk.bytes[from..from + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let len = usize::try_from(len).unwrap();
        if len > disk.room.max(disk.bytes.len()) {
            return Err(ErrorKind::StorageFull.into());
        }
        disk.bytes.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let from = usize::try_from(offset).unwrap();
        disk.bytes[from..from + data.len()].copy_from_slice(data);
        Ok(())
    }
}

#[test]
fn what_was_kept_is_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry");
    let mut store = Embedded::open(&path).unwrap();
    store.commit(&[change(1, Some(1)), change(2, Some(2))]).unwrap();
    store.commit(&[change(1, None), change(3, Some(3))]).unwrap();
    let in_use = Embedded::open(&path).unwrap_err();
    assert_eq!(in_use.word(), "store-in-use");
    drop(store);
    let kept = Embedded::open(&path).unwrap().load().unwrap();
    let expected = [change(2, Some(2)), change(3, Some(3))].map(|c| (c.key, c.after.unwrap()));
    assert_eq!(kept, expected);
}

#[test]
fn a_full_disk_is_said_and_passed() {
    let disk = Arc::new(Mutex::new(Disk { bytes: Vec::new(), room: usize::MAX }));
    let shared = Shared(disk.clone());
    let open = move || Database::builder().set_cache_size(CACHE).create_with_backend(shared.clone());
    let mut store = Embedded::with("the disk".into(), Box::new(open)).unwrap();
    {
        let mut disk = disk.lock().unwrap();
        disk.room = disk.bytes.len() + 100_000;
    }
    let mut kept = 0;
    let why = loop {
        match store.commit(&(0..50).map(|n| change(kept * 50 + n, Some(7))).collect::<Vec<_>>()) {
            Ok(()) => kept += 1,
            Err(why) => break why,
        }
        assert!(kept < 10_000, "it is never full");
    };
    assert!(kept > 3);
    assert_eq!(why.word(), "store-full", "{why}");
    assert!(why.to_string().starts_with("no room is left for the disk: make some"), "{why}");
    // It is asked again and again; what was kept can be read all the same.
    for _ in 0..3 {
        let again = store.commit(&(0..200).map(|n| change(900_000 + n, Some(7))).collect::<Vec<_>>());
        assert_eq!(again.unwrap_err().word(), "store-full");
    }
    assert!(store.load().unwrap().len() >= kept as usize * 50);
    disk.lock().unwrap().room = usize::MAX;
    store.commit(&[change(1_000_000, Some(1))]).unwrap();
    let all = store.load().unwrap();
    assert!(all.iter().any(|(key, _)| *key == change(1_000_000, None).key));
    assert!(all.iter().any(|(key, _)| *key == change(kept * 50 - 1, None).key));
}

#[test]
fn a_record_that_is_not_understood_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry");
    let store = Embedded::open(&path).unwrap();
    let writing = store.database.as_ref().unwrap().begin_write().unwrap();
    writing.open_table(RECORDS).unwrap().insert("instance/a-1", &b"\xff"[..]).unwrap();
    writing.commit().unwrap();
    drop(store);
    let why = Embedded::open(&path).unwrap().load().unwrap_err();
    assert_eq!(why.word(), "store-unreadable");
    assert!(why.to_string().contains("instance/a-1"), "{why}");
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry");
    std::fs::write(&path, "this is a diary").unwrap();
    assert_eq!(Embedded::open(&path).unwrap_err().word(), "store-broken");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "this is a diary");
}
