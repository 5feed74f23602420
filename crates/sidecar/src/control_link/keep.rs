//! The last-known-good file: read at a start, written when something has changed.

use model::Snapshot;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::files::{Known, decode_known, encode_known};

/// Reads what was kept for the environment of `local`, and how old it is. A file that is of no use is set aside, and the
/// operator is told; the start goes on.
pub(super) fn read(file: &Path, local: &Snapshot) -> Option<(Known, Duration)> {
    let name = file.display().to_string();
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return None,
        // Bytes that are no text were not written by us.
        Err(why) => return set_aside(file, &format!("cannot be read: {why}")),
    };
    let known = match decode_known(&text, &name) {
        Ok(known) => known,
        Err(problems) => return set_aside(file, &format!("is of no use:\n{problems}")),
    };
    if known.environment != local.environment {
        let why = format!("is of the environment {:?}, not {:?}", known.environment, local.environment);
        return set_aside(file, &why);
    }
    let age = Duration::from_millis(net::clock::unix_millis().saturating_sub(known.at));
    Some((known, age))
}

fn set_aside<T>(file: &Path, why: &str) -> Option<T> {
    let aside = beside(file, "set-aside");
    let done = match fs::rename(file, &aside) {
        Ok(()) => format!("is now {}", aside.display()),
        Err(error) => format!("could not be renamed to {} ({error})", aside.display()),
    };
    let (file, why) = (file.display(), why.trim_end());
    eprintln!("outrigger: what was known last is not used: {file} {done}, since it {why}");
    None
}

/// Writes what is known, whole or not at all. What has not reached the disk when the machine loses power is noticed by
/// its sum: a wait for the disk would cost more than starting without the file once.
pub(super) fn write(file: &Path, known: &Known) -> std::io::Result<()> {
    let new = beside(file, "new");
    fs::write(&new, encode_known(known))?;
    fs::rename(&new, file)
}

fn beside(file: &Path, what: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    PathBuf::from(name)
}
