//! A file that only grows, up to a bound: then it becomes the one before, and a new one begins.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file is put aside when it has reached this many bytes; one that was put aside is kept.
pub(crate) const BOUND: u64 = 10 << 20;

/// Lines appended to a file. A disk that is full or gone stops the writing, not the environment.
#[derive(Debug)]
pub(crate) struct BoundedFile {
    path: PathBuf,
    bound: u64,
    open: Option<(File, u64)>,
}

impl BoundedFile {
    /// Appends to the file at `path`, which appears with its first line.
    pub(crate) fn new(path: &Path) -> BoundedFile {
        BoundedFile { path: path.to_owned(), bound: BOUND, open: None }
    }

    /// Appends a line.
    pub(crate) fn append(&mut self, line: &[u8]) {
        // What cannot be written is lost in the file only; terminal and API have it.
        if self.try_append(line).is_err() {
            self.open = None;
        }
    }

    fn try_append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|(_, size)| *size >= self.bound) {
            self.open = None;
            let mut aside = self.path.clone().into_os_string();
            aside.push(".1");
            fs::rename(&self.path, aside)?;
        }
        if self.open.is_none() {
            let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
            let size = file.metadata()?.len();
            self.open = Some((file, size));
        }
        let Some((file, size)) = &mut self.open else { return Ok(()) };
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        *size += bytes.len() as u64;
        file.write_all(&bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_full_file_is_put_aside_and_one_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        let mut file = BoundedFile { bound: 10, ..BoundedFile::new(&path) };
        for line in ["one two three", "four", "five six seven", "eight"] {
            file.append(line.as_bytes());
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "eight\n");
        assert_eq!(fs::read_to_string(folder.path().join("app.log.1")).unwrap(), "four\nfive six seven\n");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_no_panic() {
        let mut file = BoundedFile::new(Path::new("/proc/no/such/folder/app.log"));
        file.append(b"lost");
        assert!(file.open.is_none());
    }
}
