//! Processes as a proof sees them: started with a mark, ended by id, looked at through `/proc`.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// The environment variable by which a started process and all that it starts are found again.
const MARK: &str = "PROVE_MARK";
/// So long after its end a process may still be heard.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a process that we have asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(20);

/// Every line that a process wrote so far, on stdout and stderr.
#[derive(Default)]
struct Said {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

/// A process that we started, in a process group of its own as a terminal would make it. Dropped, it is ended.
pub(crate) struct Running {
    child: Child,
    mark: String,
    said: Arc<Said>,
}

impl Running {
    /// Starts `command` and listens to what it writes.
    pub(crate) fn start(command: &mut Command) -> Result<Running> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mark = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut child = command
            .env(MARK, &mark)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("could not start {command:?}"))?;
        let said = Arc::new(Said::default());
        if let Some(stdout) = child.stdout.take() {
            listen(stdout, said.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            listen(stderr, said.clone());
        }
        Ok(Running { child, mark, said })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        self.said.lines.lock().map(|lines| lines.join("\n")).unwrap_or_default()
    }

    /// The first thing that `find` sees in a line, waiting for it until `within` has passed.
    pub(crate) fn wait_for<T>(&mut self, within: Duration, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let until = Instant::now() + within;
        let mut last_words = None;
        let mut read = 0;
        loop {
            let ended = self.child.try_wait()?;
            let lines = self.said.lines.lock().expect("no reader panics while it holds the lines");
            if let Some(found) = lines[read..].iter().find_map(|line| find(line)) {
                return Ok(found);
            }
            read = lines.len();
            // What it has written before its end may be read a moment after it.
            let over =
                ended.filter(|_| *last_words.get_or_insert(Instant::now() + LAST_WORDS) <= Instant::now());
            if let Some(status) = over {
                bail!(
                    "it ended with {status} after saying: {}",
                    super::site::last_lines(&lines.join("\n"), 8)
                );
            }
            if Instant::now() >= until {
                let so_far = super::site::last_lines(&lines.join("\n"), 8);
                bail!("it did not say what was waited for within {within:?}, but: {so_far}");
            }
            // Woken by each line; the bound is there to notice an end without a line.
            let _ = self.said.more.wait_timeout(lines, Duration::from_millis(50));
        }
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let ended = wait_until(within, || matches!(self.child.try_wait(), Ok(Some(_))));
        anyhow::ensure!(ended, "process {} did not end within {within:?}", self.pid());
        Ok(self.child.wait()?)
    }

    /// Ctrl-C: SIGINT to its whole process group.
    pub(crate) fn interrupt(&self) -> Result<()> {
        Ok(rustix::process::kill_process_group(pid(self.pid())?, Signal::INT)?)
    }

    /// SIGTERM to the process alone.
    pub(crate) fn terminate(&self) -> Result<()> {
        signal(self.pid(), Signal::TERM)
    }

    /// `kill -9` of the process alone.
    pub(crate) fn kill(&self) -> Result<()> {
        signal(self.pid(), Signal::KILL)
    }

    /// Every living process that carries this one's mark, itself included.
    pub(crate) fn marked(&self) -> Vec<u32> {
        marked(&self.mark)
    }

    /// The TCP ports on which it, or what it started, listens.
    pub(crate) fn ports(&self) -> BTreeSet<u16> {
        let sockets: BTreeSet<u64> = self.marked().into_iter().flat_map(sockets_of).collect();
        listening().into_iter().filter(|(_, inode)| sockets.contains(inode)).map(|(port, _)| port).collect()
    }

    /// A word for its mark that outlives it.
    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let _ = self.terminate();
        if self.wait(GRACE).is_err() {
            for process in self.marked() {
                let _ = signal(process, Signal::KILL);
            }
            let _ = self.child.wait();
        }
    }
}

fn listen(pipe: impl Read + Send + 'static, said: Arc<Said>) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(|line| line.ok()) {
            let line = String::from_utf8_lossy(&line).into_owned();
            if let Ok(mut lines) = said.lines.lock() {
                lines.push(line);
            }
            said.more.notify_all();
        }
    });
}

fn pid(id: u32) -> Result<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw).context("0 is no process")
}

/// Sends `signal` to one process.
pub(crate) fn signal(id: u32, signal: Signal) -> Result<()> {
    rustix::process::kill_process(pid(id)?, signal).with_context(|| format!("could not signal process {id}"))
}

/// `kill -9`.
pub(crate) fn kill(id: u32) -> Result<()> {
    signal(id, Signal::KILL)
}

/// Asks `done` ten times a second until it says yes; false when `within` has passed first.
pub(crate) fn wait_until(within: Duration, mut done: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + within;
    while !done() {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    true
}

/// Living processes that were started under `mark`. A zombie has ended and holds nothing.
pub(crate) fn marked(mark: &str) -> Vec<u32> {
    let wanted = format!("{MARK}={mark}");
    let carries = |id: &u32| {
        let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|entry| entry == wanted.as_bytes())
    };
    processes().into_iter().filter(carries).collect()
}

/// Living processes whose working folder or program lies under `folder`.
pub(crate) fn working_under(folder: &std::path::Path) -> Vec<u32> {
    let lies_there = |id: &u32| {
        ["cwd", "exe"].iter().any(|link| {
            std::fs::read_link(format!("/proc/{id}/{link}")).is_ok_and(|target| target.starts_with(folder))
        })
    };
    processes().into_iter().filter(lies_there).collect()
}

fn processes() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// A process's own command line, for a message.
pub(crate) fn command_line(id: u32) -> String {
    let raw = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&raw).replace('\0', " ").trim().to_owned()
}

fn sockets_of(id: u32) -> Vec<u64> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{id}/fd")) else { return Vec::new() };
    let inode = |target: String| target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
    entries
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .filter_map(|target| inode(target.to_string_lossy().into_owned()))
        .collect()
}

/// Every listening TCP port of this machine with the inode of its socket.
pub(crate) fn listening() -> Vec<(u16, u64)> {
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(listener).collect()
}

fn listener(row: &str) -> Option<(u16, u64)> {
    const LISTEN: &str = "0A";
    let words: Vec<&str> = row.split_whitespace().collect();
    let (_, port) = words.get(1)?.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    (words.get(3) == Some(&LISTEN)).then_some((port, words.get(9)?.parse().ok()?))
}

/// A number from `/proc/ID/status`, such as `VmRSS` in KiB.
pub(crate) fn status(id: u32, field: &str) -> Result<u64> {
    number_in(&format!("/proc/{id}/status"), field)
}

fn number_in(path: &str, field: &str) -> Result<u64> {
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read {path}"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("{path} has no number {field}"))
}

/// How often the threads of a process have gone to sleep by themselves, each of which is followed by a wake-up.
pub(crate) fn wake_ups(id: u32) -> Result<u64> {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task")).context("the process has ended")?;
    let mut sum = 0;
    for task in tasks.flatten() {
        let status = task.path().join("status");
        sum += number_in(&status.to_string_lossy(), "voluntary_ctxt_switches").unwrap_or(0);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn a_process_that_is_left_behind_is_seen_until_it_is_gone() {
        let mut shell = Command::new("sh");
        // The child waits on a pipe that ends with this test at the latest.
        let mut running =
            Running::start(shell.args(["-c", "sleep 60 >&2 & echo left $!"])).expect("sh is there");
        let left = running.wait_for(SOON, |line| line.strip_prefix("left ")?.parse::<u32>().ok());
        let left = left.expect("the shell says what it left");
        running.wait(SOON).expect("the shell ends");
        assert_eq!(marked(running.mark()), [left]);
        kill(left).expect("it is alive");
        assert!(wait_until(SOON, || marked(running.mark()).is_empty()));
    }

    #[test]
    fn an_end_without_the_awaited_line_is_told_with_what_was_said() {
        let mut shell = Command::new("sh");
        let mut running = Running::start(shell.args(["-c", "echo no >&2; exit 3"])).expect("sh is there");
        let error =
            running.wait_for(SOON, |line| (line == "yes").then_some(())).expect_err("it never says so");
        assert!(error.to_string().contains("exit status: 3"), "{error}");
    }

    #[test]
    fn a_port_that_is_listened_on_is_seen_with_its_owner() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let port = listener.local_addr().expect("it is bound").port();
        let inode = listening().into_iter().find(|&(other, _)| other == port).expect("it is listed").1;
        assert!(sockets_of(std::process::id()).contains(&inode));
        drop(listener);
        assert!(!listening().contains(&(port, inode)));
    }

    #[test]
    fn figures_of_this_process_are_read() {
        assert!(status(std::process::id(), "VmRSS").is_ok_and(|kib| kib > 100));
        assert!(wake_ups(std::process::id()).is_ok());
        assert!(status(std::process::id(), "NoSuchField").is_err());
    }
}
