//! What is seen of this machine.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is seen of this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Machine {
    /// How many files a process of this user may open.
    pub(crate) descriptors: u64,
    /// Whether two ends at 127.0.0.1 understand each other, or what failed.
    pub(crate) loopback: Result<(), String>,
    /// The folder for state, and what failed when something was written there.
    pub(crate) state: (PathBuf, Result<(), String>),
}

/// Looks. `state` is the state folder of the environment that answers.
pub(crate) fn look(state: Option<&str>) -> Machine {
    let folder = state.filter(|path| !path.is_empty()).map(PathBuf::from).filter(|path| path.is_dir());
    let folder = folder.map_or_else(usual_folder, Ok);
    Machine {
        descriptors: net::limits::raise_descriptors(),
        loopback: loopback().map_err(|why| why.to_string()),
        state: match folder {
            Ok(folder) => (folder.clone(), writes(&folder).map_err(|why| why.to_string())),
            Err(why) => (PathBuf::from("?"), Err(why.to_string())),
        },
    }
}

/// The folder in which environments have theirs, or the nearest above it that is there.
fn usual_folder() -> Result<PathBuf, agent::StateError> {
    let folder = agent::default_folder("any")?;
    Ok(folder.ancestors().skip(1).find(|path| path.is_dir()).unwrap_or(Path::new("/")).to_owned())
}

fn loopback() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut near = TcpStream::connect_timeout(&listener.local_addr()?, Duration::from_secs(2))?;
    let (mut far, _) = listener.accept()?;
    near.write_all(b"x")?;
    far.set_read_timeout(Some(Duration::from_secs(2)))?;
    far.read_exact(&mut [0])
}

/// Writes and removes a file of a few bytes.
fn writes(folder: &Path) -> std::io::Result<()> {
    let file = folder.join(format!(".outrigger-check-{}", std::process::id()));
    let written = std::fs::write(&file, [b'x'; 4096]);
    // Where it could not be written there may be nothing to remove, or a part of it.
    let removed = std::fs::remove_file(&file);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_machine_that_runs_tests_is_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let seen = look(folder.path().to_str());
        assert_eq!(seen.loopback, Ok(()));
        assert_eq!(seen.state, (folder.path().to_owned(), Ok(())));
        assert!(seen.descriptors > 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_seen() {
        assert!(writes(Path::new("/proc/self")).is_err());
        assert!(usual_folder().unwrap().is_dir());
    }
}
