//! The guard: a small process that outlives a killed agent for as long as it takes to end what that one started.
//!
//! `kill -9` of the agent lets it do nothing more, and apps know nothing of it. The guard holds the read end of a pipe
//! whose write end only the agent has; when the pipe ends, however that came about, it ends every process of the run:
//! SIGTERM, two seconds, SIGKILL. It leads a session of its own, so that a Ctrl-C in the agent's terminal is not for it.

use crate::child::{Input, Launch, Spawned, Words, spawn};
use crate::state::{self, Keep, StateFolder};
use crate::tree::{self, Id, RUN, Signs};
use rustix::process::Signal;
use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};

/// From SIGTERM to SIGKILL: short, because nobody is left who could answer for the rest.
const GRACE: Duration = Duration::from_secs(2);
/// So long for the processes to vanish after SIGKILL.
const END: Duration = Duration::from_secs(2);

/// What a guard is there for.
#[derive(Clone, Debug)]
pub(crate) struct Ward {
    folder: PathBuf,
    run: String,
    keep: Keep,
}

impl Ward {
    /// The run that has `state`.
    pub(crate) fn of(state: &StateFolder) -> Ward {
        Ward { folder: state.path.clone(), run: state.run.clone(), keep: state.keep }
    }
}

/// The agent's end: tells the guard who belongs to the run.
#[derive(Debug)]
pub(crate) struct Guard {
    child: Child,
    lifeline: ChildStdin,
    /// Its process.
    pub(crate) pid: u32,
}

impl Guard {
    /// Starts a guard and waits until it is there.
    ///
    /// # Errors
    /// Those of starting a process; `UnexpectedEof` when it ends at once.
    pub(crate) async fn begin(program: &Path, ward: Ward) -> io::Result<Guard> {
        let Ward { folder, run, keep } = ward;
        let mut arguments: Vec<OsString> = vec!["guard".into(), "--state-dir".into(), folder.into()];
        arguments.extend(["--run".into(), run.into()]);
        if keep == Keep::Never {
            arguments.push("--passing".into());
        }
        let launch = Launch {
            program: program.to_owned(),
            arguments,
            folder: PathBuf::from("/"),
            variables: vec![],
            input: Input::Pipe,
            words: Words::Kept,
        };
        let Spawned { mut child, id, output } = spawn(&launch)?;
        let mut output = output.ok_or(io::ErrorKind::BrokenPipe)?;
        let pid = u32::try_from(id.pid).unwrap_or_default();
        let lifeline = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        // It says `ok` once it leads its own session.
        let mut word = [0u8; 3];
        output.read_exact(&mut word).await?;
        Ok(Guard { child, lifeline, pid })
    }

    /// This process, its group and its descendants belong to the run.
    ///
    /// # Errors
    /// Those of the pipe: the guard is gone.
    pub(crate) async fn add(&mut self, id: Id) -> io::Result<()> {
        self.lifeline.write_all(format!("+{} {}\n", id.pid, id.start).as_bytes()).await
    }

    /// This process and all that it started have ended.
    ///
    /// # Errors
    /// Those of the pipe: the guard is gone.
    pub(crate) async fn remove(&mut self, id: Id) -> io::Result<()> {
        self.lifeline.write_all(format!("-{} {}\n", id.pid, id.start).as_bytes()).await
    }

    /// Waits until the guard has ended, which it does not before it is dismissed.
    pub(crate) async fn ended(&mut self) {
        // Whether its status can be read or not, it is gone.
        let _ = self.child.wait().await;
    }

    /// Everything has ended as it should: the guard may go.
    pub(crate) async fn dismiss(mut self) {
        if self.lifeline.write_all(b"bye\n").await.is_ok() {
            drop(self.lifeline);
            let _ = self.child.wait().await;
        }
    }
}

/// The guard's life: waits for the end of standard input, then ends the run marked `run` and clears its folder, or
/// removes it.
///
/// # Errors
/// Those of standard output.
pub fn stand_guard(folder: &Path, run: &str, keep: Keep) -> io::Result<()> {
    // Where it leads a group already there is no terminal to leave.
    let _ = rustix::process::setsid();
    let mut out = io::stdout();
    out.write_all(b"ok\n")?;
    out.flush()?;
    let mut signs = Signs { leaders: vec![], marks: vec![format!("{RUN}={run}")] };
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        match line.split_at_checked(1) {
            Some(("+", id)) => signs.leaders.extend(parse(id)),
            Some(("-", id)) => signs.leaders.retain(|leader| Some(*leader) != parse(id)),
            _ if line == "bye" => return Ok(()),
            _ => {}
        }
    }
    end_all(&signs);
    state::clear_after(folder, run);
    if keep == Keep::Never {
        // What cannot be removed is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(folder);
    }
    Ok(())
}

fn end_all(signs: &Signs) {
    signs.leaders.iter().for_each(|leader| tree::signal_group(*leader, Signal::TERM));
    for id in tree::members(signs) {
        // Who cannot be told will be killed.
        let _ = tree::signal(id, Signal::TERM);
    }
    let deadline = Instant::now() + GRACE;
    while !tree::members(signs).is_empty() && Instant::now() < deadline {
        // They are not our children: nothing tells of their end but a look.
        std::thread::sleep(Duration::from_millis(20));
    }
    state::kill_all(|| tree::members(signs), END);
}

fn parse(id: &str) -> Option<Id> {
    let (pid, start) = id.split_once(' ')?;
    Some(Id { pid: pid.parse().ok()?, start: start.parse().ok()? })
}
