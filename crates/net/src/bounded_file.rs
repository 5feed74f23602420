//! A file of lines that only grows, up to a bound: then it becomes the one before, and a new one begins.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A file is put aside when it has reached this many bytes; one that was put aside is kept.
const BOUND: u64 = 10 << 20;

/// Lines appended to a file. A disk that is full or gone stops the writing, nothing else.
#[derive(Debug)]
pub struct BoundedFile {
    path: PathBuf,
    bound: u64,
    open: Option<(File, u64)>,
}

impl BoundedFile {
    /// Appends to the file at `path`, which appears with its first line.
    pub fn new(path: &Path) -> BoundedFile {
        BoundedFile { path: path.to_owned(), bound: BOUND, open: None }
    }

    /// Appends a line.
    pub fn append(&mut self, line: &[u8]) {
        // What cannot be written is lost in the file only: whoever writes it has told it elsewhere.
        if self.try_append(line).is_err() {
            self.open = None;
        }
    }

    fn try_append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|(_, size)| *size >= self.bound) {
            self.open = None;
            fs::rename(&self.path, aside(&self.path))?;
        }
        if self.open.is_none() {
            let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
            let size = file.metadata()?.len();
            self.open = Some((file, size));
            self.end_line()?;
        }
        let Some((file, size)) = &mut self.open else { return Ok(()) };
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        *size += bytes.len() as u64;
        file.write_all(&bytes)
    }

    /// Ends a line that was cut when the machine, or the room on the disk, ended.
    fn end_line(&mut self) -> io::Result<()> {
        let Some((file, size)) = self.open.as_mut().filter(|(_, size)| *size > 0) else { return Ok(()) };
        let mut last = [0];
        File::open(&self.path)?.read_exact_at(&mut last, *size - 1)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            *size += 1;
        }
        Ok(())
    }
}

/// Where the file at `path` is put when it is full.
pub fn aside(path: &Path) -> PathBuf {
    let mut aside = path.to_owned().into_os_string();
    aside.push(".1");
    aside.into()
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
    fn a_line_that_was_cut_is_ended_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        fs::write(&path, "one\ntw").unwrap();
        BoundedFile::new(&path).append(b"three");
        BoundedFile::new(&path).append(b"four");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntw\nthree\nfour\n");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_no_panic() {
        let mut file = BoundedFile::new(Path::new("/proc/no/such/folder/app.log"));
        file.append(b"lost");
        assert!(file.open.is_none());
    }
}
