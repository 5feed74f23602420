//! Files that only their owner may read, such as credentials, and folders that nobody else can change.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Replaces the file at `path` by one that only this user can read: whole and on the disk, or not at all.
///
/// # Errors
/// What the operating system said; what was there before is there still.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    // One that was left by a start that failed has the rights that it has: it is not written into.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// Who besides this user and root could change what is in the folder at `path`, as the end of a sentence about it; none:
/// nobody. From such a folder neither credentials nor programs may be taken.
///
/// # Errors
/// What the operating system said.
pub fn foreign(path: &Path) -> io::Result<Option<String>> {
    let about = fs::metadata(path)?;
    // What is root's cannot be kept from root anyway.
    let own = [rustix::process::geteuid().as_raw(), 0];
    Ok(if !own.contains(&about.uid()) {
        Some(format!("belongs to another user (number {})", about.uid()))
    } else if about.mode() & 0o002 != 0 {
        Some("can be written by anybody".to_owned())
    } else {
        None
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_there_is_replaced_by_a_file_for_its_owner_alone() {
        let folder = std::env::temp_dir().join(format!("outrigger-private-{:x}", crate::random::seed()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("credential");
        // Others may read both what is replaced and what an earlier attempt left behind.
        fs::write(&path, "old").unwrap();
        fs::write(path.with_extension("new"), "left behind").unwrap();
        write(&path, "new").unwrap();
        let (text, rights) = (fs::read_to_string(&path).unwrap(), fs::metadata(&path).unwrap().permissions());
        let left = fs::read_dir(&folder).unwrap().count();
        // In the way is a folder, which is not removed: the file stays as it was.
        fs::create_dir(path.with_extension("new")).unwrap();
        let refused = write(&path, "newer");
        let kept = fs::read_to_string(&path).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!((text.as_str(), rights.mode() & 0o777, left), ("new", 0o600, 1));
        assert!(refused.is_err());
        assert_eq!(kept, "new");
    }
}
