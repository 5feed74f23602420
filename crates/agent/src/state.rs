//! The folder in which an environment keeps its logs, events and snapshots, and by which a second one notices it.

use crate::tree::{self, RUN, Signs};
use rustix::process::Signal;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A guard that still ends an earlier run is given so long.
const GUARD_TIME: Duration = Duration::from_secs(6);

/// An environment's folder, held by this process alone.
#[derive(Debug)]
pub(crate) struct StateFolder {
    /// The folder.
    pub(crate) path: PathBuf,
    /// The mark of this run: every process of it has it in its environment.
    pub(crate) run: String,
    /// Whether it outlives the run.
    pub(crate) keep: Keep,
    /// What was found of an earlier run that did not end well, for people.
    pub(crate) found: Option<String>,
    // The lock is held as long as this is open, and no longer than this process lives.
    _lock: File,
}

/// Whether a state folder outlives its run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// It does, with logs, events and credential.
    Always,
    /// It goes with the run.
    Never,
}

/// Why the folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another `up` has it.
    #[error(
        "the environment is already up (process {pid}, API at {api}): stop it, or give this one another \
         --state-dir, in which case it must not have the same fixed ports"
    )]
    Taken {
        /// Its process.
        pid: String,
        /// Where it answers.
        api: String,
    },
    /// The folder or a file in it cannot be made.
    #[error("the state folder {0} cannot be used: {1}; give another with --state-dir")]
    Unusable(PathBuf, io::Error),
    /// Somebody else could change what is in it.
    #[error("the state folder {0} {1}: mend that (chown, chmod o-w), or give another with --state-dir")]
    Foreign(PathBuf, String),
    /// Nobody says where it could be.
    #[error("neither XDG_STATE_HOME nor HOME is set: say with --state-dir where state is to be kept")]
    NoHome,
    /// Processes of an earlier run do not end.
    #[error("process {0} of an earlier run does not end; end it by hand")]
    Undead(i32),
}

/// The folder of the environment `name` unless another is given: under `XDG_STATE_HOME`, else `~/.local/state`; for
/// root without either, as a unit of systemd has none, `/var/lib`.
///
/// # Errors
/// [`StateError::NoHome`]: a folder that anybody could guess and make before us is none.
pub fn default_folder(name: &str) -> Result<PathBuf, StateError> {
    let set = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    let above = above(set("XDG_STATE_HOME"), set("HOME"), rustix::process::geteuid().is_root());
    above.map(|above| above.join("outrigger").join(name)).ok_or(StateError::NoHome)
}

fn above(state: Option<PathBuf>, home: Option<PathBuf>, root: bool) -> Option<PathBuf> {
    let whole = |path: Option<PathBuf>| path.filter(|path| path.is_absolute());
    let home = whole(home).map(|home| home.join(".local/state"));
    whole(state).or(home).or_else(|| root.then(|| PathBuf::from("/var/lib")))
}

/// Refuses a folder that somebody else could change under our feet: sidecars and credentials are read from it.
fn check_owner(path: &Path) -> Result<(), StateError> {
    match net::private::foreign(path) {
        Ok(None) => Ok(()),
        Ok(Some(why)) => Err(StateError::Foreign(path.to_owned(), why)),
        Err(error) => Err(StateError::Unusable(path.to_owned(), error)),
    }
}

impl StateFolder {
    /// Takes the folder at `path`, and ends what an earlier run left behind.
    ///
    /// # Errors
    /// As [`StateError`] says.
    pub(crate) fn take(path: &Path, run: String, keep: Keep) -> Result<StateFolder, StateError> {
        let unusable = |error| StateError::Unusable(path.to_owned(), error);
        fs::create_dir_all(path).map_err(unusable)?;
        check_owner(path)?;
        for folder in ["snapshots", "logs", "known"] {
            fs::create_dir_all(path.join(folder)).map_err(unusable)?;
        }
        let path = path.canonicalize().map_err(unusable)?;
        let lock = await_lock(&path)?;
        let found = end_earlier_run(&path)?;
        clear(&path).map_err(unusable)?;
        Ok(StateFolder { path, run, keep, found, _lock: lock })
    }

    /// Tells others who has the folder and where it answers.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn tell(&self, api: &str) -> io::Result<()> {
        let mut file = File::create(self.path.join("run"))?;
        writeln!(file, "{}\n{}\n{api}", std::process::id(), self.run)
    }

    /// The file of a unit's snapshot.
    pub(crate) fn snapshot(&self, unit: &str) -> PathBuf {
        self.path.join("snapshots").join(format!("{unit}.json"))
    }

    /// The file of what a unit's sidecar last knew of others.
    pub(crate) fn known(&self, unit: &str) -> PathBuf {
        self.path.join("known").join(format!("{unit}.json"))
    }

    /// Removes what sidecars of an earlier run knew of others.
    pub(crate) fn forget_known(&self) {
        // What cannot be removed a sidecar sets right as soon as it hears of the control plane.
        for entry in fs::read_dir(self.path.join("known")).into_iter().flatten().flatten() {
            let _ = fs::remove_file(entry.path());
        }
    }

    /// The folder of the logs.
    pub(crate) fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }
}

impl Drop for StateFolder {
    /// Removes what only a running environment needs. Logs and events stay.
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next start.
        let _ = clear(&self.path).and_then(|()| fs::remove_file(self.path.join("lock")));
        if self.keep == Keep::Never {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// What the guard does to the folder once everything of the run `run` is gone: nothing if another run has it by now.
pub(crate) fn clear_after(path: &Path, run: &str) {
    let Ok(lock) = open_lock(path) else { return };
    if lock.try_lock().is_ok() && read_run(path).is_some_and(|earlier| earlier.run == run) {
        let _ = clear(path).and_then(|()| fs::remove_file(path.join("lock")));
    }
}

struct EarlierRun {
    pid: String,
    run: String,
    api: String,
}

fn read_run(path: &Path) -> Option<EarlierRun> {
    let text = fs::read_to_string(path.join("run")).ok()?;
    let mut lines = text.lines().map(str::to_owned);
    Some(EarlierRun { pid: lines.next()?, run: lines.next()?, api: lines.next().unwrap_or_default() })
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(path.join("lock"))
}

/// Whether the open file is the one that others find by its name: its holder removes it when it leaves.
fn is_current(lock: &File, path: &Path) -> bool {
    let named = fs::metadata(path.join("lock")).map(|m| (m.dev(), m.ino()));
    let held = lock.metadata().map(|m| (m.dev(), m.ino()));
    named.is_ok_and(|named| held.is_ok_and(|held| held == named))
}

/// Takes the lock. A holder whose agent is dead is its guard, which is about to end: it is waited for.
fn await_lock(path: &Path) -> Result<File, StateError> {
    let unusable = |error| StateError::Unusable(path.to_owned(), error);
    let deadline = Instant::now() + GUARD_TIME;
    loop {
        let lock = open_lock(path).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) if is_current(&lock, path) => return Ok(lock),
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
            Ok(()) | Err(TryLockError::WouldBlock) => {}
        }
        let earlier = read_run(path);
        let pid = earlier.as_ref().map_or("–", |run| &run.pid);
        let alive = pid.parse().ok().and_then(tree::identify).is_some();
        if alive || Instant::now() > deadline {
            let api = earlier.as_ref().map_or("–", |run| &run.api);
            return Err(StateError::Taken { pid: pid.into(), api: api.into() });
        }
        // The file system does not tell when a lock is given back, other than by holding us up without a bound.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ends the processes of a run that was killed together with its guard.
fn end_earlier_run(path: &Path) -> Result<Option<String>, StateError> {
    let Some(earlier) = read_run(path) else { return Ok(None) };
    let signs = Signs { leaders: vec![], marks: vec![format!("{RUN}={}", earlier.run)] };
    let left = tree::members(&signs).len();
    if let Some(id) = kill_all(|| tree::members(&signs), GUARD_TIME) {
        return Err(StateError::Undead(id.pid));
    }
    Ok(Some(format!(
        "the last run (process {}) did not end well; {left} processes of it were ended",
        earlier.pid
    )))
}

/// Kills all that `look` finds until none is left. Who is left after `within` is the answer.
pub(crate) fn kill_all(look: impl Fn() -> Vec<tree::Id>, within: Duration) -> Option<tree::Id> {
    let deadline = Instant::now() + within;
    loop {
        let members = look();
        let first = *members.first()?;
        if Instant::now() > deadline {
            return Some(first);
        }
        for id in members {
            // Who may not be killed by us is still there the next time, and in the end told.
            let _ = tree::signal(id, Signal::KILL);
        }
        // Between the signal and the end of a process there is nothing to wait on for one who is not its parent.
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn clear(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path.join("snapshots"))? {
        fs::remove_file(entry?.path())?;
    }
    match fs::remove_file(path.join("run")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Stdio;

    #[test]
    fn a_folder_has_one_holder_who_is_named_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let held = StateFolder::take(folder.path(), "one".into(), Keep::Always).unwrap();
        held.tell("127.0.0.1:7700").unwrap();
        let error = StateFolder::take(folder.path(), "two".into(), Keep::Always).unwrap_err().to_string();
        assert!(
            error.contains(&std::process::id().to_string()) && error.contains("127.0.0.1:7700"),
            "{error}"
        );
        fs::write(held.snapshot("a-1"), "{}").unwrap();
        clear_after(&held.path, "one");
        assert!(held.snapshot("a-1").exists(), "the guard of a run leaves the folder to whoever has it");
        drop(held);
        assert!(!folder.path().join("lock").exists() && !folder.path().join("run").exists());
        let next = StateFolder::take(folder.path(), "three".into(), Keep::Always).unwrap();
        assert!(next.found.is_none() && !next.snapshot("a-1").exists());
    }

    #[test]
    fn what_a_killed_run_left_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let run = format!("state-test-{}", std::process::id());
        // It is heard of before it is looked for: for a moment after its start it has no environment to be read.
        let mut child = std::process::Command::new("sh");
        child.args(["-c", "echo here; read line"]).env(RUN, &run);
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 5]).unwrap();
        let held = StateFolder::take(folder.path(), run, Keep::Always).unwrap();
        held.tell("").unwrap();
        // As if it had been killed: the lock is given back, the files stay.
        let text = fs::read_to_string(folder.path().join("run")).unwrap();
        drop(held);
        fs::write(folder.path().join("run"), text).unwrap();
        let next = StateFolder::take(folder.path(), "next".into(), Keep::Always).unwrap();
        assert!(next.found.as_ref().unwrap().contains("1 processes"));
        assert!(child.wait().unwrap().signal().is_some());
    }

    #[test]
    fn a_folder_that_others_can_change_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = StateFolder::take(folder.path(), "x".into(), Keep::Always).unwrap_err().to_string();
        assert!(error.contains("can be written by anybody") && error.contains("--state-dir"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was put into it");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o775)).unwrap();
        StateFolder::take(folder.path(), "x".into(), Keep::Always).unwrap();
        // Only root can give a folder away.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(folder.path(), Some(65_534), None).unwrap();
            let error = StateFolder::take(folder.path(), "x".into(), Keep::Always).unwrap_err().to_string();
            assert!(error.contains("belongs to another user (number 65534)"), "{error}");
        }
    }

    #[test]
    fn without_a_home_there_is_no_folder_but_for_root() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(above(path("/s"), path("/h"), false), path("/s"));
        assert_eq!(above(path("relative"), path("/h"), true), path("/h/.local/state"));
        assert_eq!(above(path(""), None, true), path("/var/lib"));
        assert_eq!(above(None, path(""), false), None);
        assert!(StateError::NoHome.to_string().contains("--state-dir"));
    }

    #[test]
    fn a_folder_that_cannot_be_made_says_so() {
        let error =
            StateFolder::take(Path::new("/proc/no"), "x".into(), Keep::Always).unwrap_err().to_string();
        assert!(error.contains("/proc/no") && error.contains("--state-dir"), "{error}");
    }
}
