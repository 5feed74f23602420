//! Starting a process: in a group of its own, with nothing of ours but what it is given, its words through one pipe.

use crate::exit::Exit;
use crate::logs::Splitter;
use crate::tree::{self, Id};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// The program: a path, or a name that is looked for in `PATH`.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Where it runs.
    pub(crate) folder: PathBuf,
    /// What is added to its environment, beside that of the agent without its `OUTRIGGER_*` variables.
    pub(crate) variables: Vec<(String, OsString)>,
    /// What it reads.
    pub(crate) input: Input,
    /// Where what it writes goes.
    pub(crate) words: Words,
}

/// Where what a process writes goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Words {
    /// To us, line by line.
    Kept,
    /// Where our own goes, untouched.
    Passed,
}

/// What a process reads from its standard input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Input {
    /// Nothing.
    Nothing,
    /// A pipe whose other end we keep: it ends with us.
    Pipe,
}

/// A process just started.
#[derive(Debug)]
pub(crate) struct Spawned {
    /// To wait for it.
    pub(crate) child: Child,
    /// To know it again.
    pub(crate) id: Id,
    /// What it writes, to stdout and stderr alike; none if that is passed on.
    pub(crate) output: Option<Receiver>,
}

/// Starts it as the leader of a group of its own, so that a Ctrl-C in our terminal is not for it.
///
/// # Errors
/// Those of the operating system: no such program, no permission, no room.
pub(crate) fn spawn(launch: &Launch) -> io::Result<Spawned> {
    let mut command = Command::new(resolved(launch));
    command.args(&launch.arguments).current_dir(&launch.folder).process_group(0);
    strip(&mut command);
    command.envs(launch.variables.iter().map(|(name, value)| (name, value)));
    let reader = match launch.words {
        Words::Kept => {
            // One pipe for both, so that its lines stay in the order in which they were written.
            let (reader, writer) = io::pipe()?;
            command.stdout(writer.try_clone()?).stderr(writer);
            Some(reader)
        }
        Words::Passed => None,
    };
    command.stdin(match launch.input {
        Input::Nothing => Stdio::null(),
        Input::Pipe => Stdio::piped(),
    });
    let child = command.spawn()?;
    drop(command);
    // It is not waited for yet, so even if it has ended it is there as a zombie.
    let id = child.id().and_then(tree::identify).ok_or(io::ErrorKind::NotFound)?;
    let output = reader.map(|reader| Receiver::from_owned_fd(reader.into())).transpose()?;
    Ok(Spawned { child, id, output })
}

/// A program given by a relative path with a `/` lies in the folder in which it runs.
fn resolved(launch: &Launch) -> PathBuf {
    if launch.program.is_relative() && launch.program.components().count() > 1 {
        return launch.folder.join(&launch.program);
    }
    launch.program.clone()
}

/// Our own settings are not for children.
pub(crate) fn strip(command: &mut Command) {
    let ours = |(name, _): &(OsString, OsString)| name.to_string_lossy().starts_with("OUTRIGGER_");
    for (name, _) in std::env::vars_os().filter(ours) {
        command.env_remove(name);
    }
}

/// Gives `line` every line that comes out of `output`, until nobody holds its other end any more.
pub(crate) async fn read_lines<F: Future<Output = ()>>(
    mut output: Receiver,
    mut line: impl FnMut(String) -> F,
) {
    let mut splitter = Splitter::default();
    let mut bytes = vec![0; 8 << 10];
    let mut whole = Vec::new();
    // An error of reading ends it as an end does: there is nothing more to be had.
    while let Ok(count @ 1..) = output.read(&mut bytes).await {
        splitter.add(&bytes[..count], |text| whole.push(text));
        for text in whole.drain(..) {
            line(text).await;
        }
    }
    if let Some(text) = splitter.finish() {
        line(text).await;
    }
}

/// How a process ended.
pub(crate) fn exit(status: io::Result<ExitStatus>) -> Exit {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::NotStarted,
        },
        Err(_) => Exit::NotStarted,
    }
}
