//! One started program: ended when it is dropped, and asked meanwhile what it uses.

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The processor that the measured proxy has for itself.
pub(super) const PROXY_CORE: &str = "0";
/// The processor that load and back end share.
pub(super) const LOAD_CORE: &str = "1";

const START_PATIENCE: Duration = Duration::from_secs(15);
const STOP_PATIENCE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(10);

/// A program that runs on one processor and ends with this value, or with this process.
pub(super) struct Process {
    child: Child,
    /// Kept open: a program whose output is closed fails when it says good-bye.
    output: Option<BufReader<ChildStdout>>,
    name: String,
    log: String,
}

/// A command for `program` on one processor, which the kernel ends should this process die first.
pub(super) fn pinned(core: &str, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "taskset", "-c", core]).arg(program);
    command
}

impl Process {
    /// Starts a program; what it says on stderr goes to a file of its name in `folder`.
    pub(super) fn start(name: &str, folder: &Path, command: &mut Command) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file).spawn().with_context(|| {
                format!("cannot start {name}: are setpriv and taskset (util-linux) installed?")
            })?;
        let output = child.stdout.take().map(BufReader::new);
        Ok(Self { child, output, name: name.to_owned(), log: log.display().to_string() })
    }

    /// The first line that the program prints: our own tools say there that they are ready.
    pub(super) fn first_line(&mut self) -> Result<serde_json::Value> {
        let mut line = String::new();
        self.output.as_mut().context("its output is not read")?.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("{} did not start; see {}", self.name, self.log))
    }

    /// Waits until the program accepts connections.
    pub(super) fn wait_for(&mut self, address: SocketAddr) -> Result<()> {
        let end = Instant::now() + START_PATIENCE;
        while Instant::now() < end {
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at once ({status}); see {}", self.name, self.log);
            }
            sleep(LOOK);
        }
        bail!("{} does not listen on {address} after {START_PATIENCE:?}; see {}", self.name, self.log)
    }

    /// What the program and its children have used so far.
    pub(super) fn used(&self) -> Result<Used> {
        let family = self.family()?;
        let used = family.iter().map(|process| Used::of(*process)).collect::<Result<Vec<_>>>()?;
        Ok(used.into_iter().fold(Used::default(), |sum, one| sum.plus(one)))
    }

    /// Resident memory of the program and its children, in MiB. Pages that they share count for each.
    pub(super) fn resident_mib(&self) -> Result<f64> {
        let family = self.family()?;
        let sizes = family.iter().map(|process| resident_kib(*process)).collect::<Result<Vec<_>>>()?;
        Ok(sizes.iter().sum::<u64>() as f64 / 1024.0)
    }

    fn family(&self) -> Result<Vec<u32>> {
        let mut family = vec![self.child.id()];
        let all = parents()?;
        let mut at = 0;
        while let Some(&parent) = family.get(at) {
            family.extend(all.iter().filter(|(_, of)| *of == parent).map(|(process, _)| process));
            at += 1;
        }
        Ok(family)
    }

    fn ended(&mut self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            sleep(LOOK);
        }
        false
    }
}

impl Drop for Process {
    /// Asks first, since nginx's master ends its worker only when asked; then ends what the program leaves behind,
    /// as a shell does not pass on what it is told.
    fn drop(&mut self) {
        let family = self.family().unwrap_or_default();
        let started: Vec<_> = family.into_iter().skip(1).map(|id| (id, started(id))).collect();
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        if !self.ended(STOP_PATIENCE) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        for (id, began) in started {
            // The number may belong to a program of somebody else by now: then it began later.
            let left =
                Pid::from_raw(id.cast_signed()).filter(|_| began.is_some() && self::started(id) == began);
            let _ = left.map(|left| kill_process(left, Signal::KILL));
        }
    }
}

/// Processor time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Used {
    /// All of it, as the scheduler counts it, in nanoseconds.
    pub(super) nanoseconds: u64,
    /// Time in which a thread was ready to run and another program had the processor, in nanoseconds.
    pub(super) waited: u64,
    /// The part outside the kernel, in ticks of 10 ms.
    pub(super) user_ticks: u64,
    /// The part inside the kernel, in ticks of 10 ms.
    pub(super) kernel_ticks: u64,
}

impl Used {
    fn of(process: u32) -> Result<Self> {
        let (mut nanoseconds, mut waited, folder) = (0, 0, format!("/proc/{process}/task"));
        for thread in fs::read_dir(&folder).with_context(|| format!("process {process} has ended"))? {
            // A thread may end between the listing and the reading.
            let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            let mut numbers = text.split_whitespace().map_while(first_number);
            nanoseconds += numbers.next().unwrap_or(0);
            waited += numbers.next().unwrap_or(0);
        }
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        let field = |at| after_name(&stat).split_whitespace().nth(at).and_then(first_number).unwrap_or(0);
        Ok(Self { nanoseconds, waited, user_ticks: field(11), kernel_ticks: field(12) })
    }

    fn plus(self, other: Self) -> Self {
        Self {
            nanoseconds: self.nanoseconds + other.nanoseconds,
            waited: self.waited + other.waited,
            user_ticks: self.user_ticks + other.user_ticks,
            kernel_ticks: self.kernel_ticks + other.kernel_ticks,
        }
    }

    /// What was used since `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            nanoseconds: self.nanoseconds.saturating_sub(earlier.nanoseconds),
            waited: self.waited.saturating_sub(earlier.waited),
            user_ticks: self.user_ticks.saturating_sub(earlier.user_ticks),
            kernel_ticks: self.kernel_ticks.saturating_sub(earlier.kernel_ticks),
        }
    }
}

/// Every process with its parent.
fn parents() -> Result<Vec<(u32, u32)>> {
    let processes = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(processes.filter_map(|process: u32| Some((process, parent(process)?))).collect())
}

fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    after_name(&stat).split_whitespace().nth(1)?.parse().ok()
}

/// When a process began, in ticks since the machine did.
fn started(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    after_name(&stat).split_whitespace().nth(19).and_then(first_number)
}

/// A program's name stands in brackets and may hold anything, so fields count from behind the last bracket.
fn after_name(stat: &str) -> &str {
    stat.rsplit_once(')').map_or("", |(_, rest)| rest)
}

fn resident_kib(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(first_number).with_context(|| format!("process {process} has no resident memory"))
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Instant;

    fn process(words: &str) -> Process {
        let mut command = pinned(PROXY_CORE, Path::new("sh"));
        Process::start("test", &std::env::temp_dir(), command.args(["-c", words])).unwrap()
    }

    /// A shell whose child counts for some seconds, and would not hear that its parent was ended.
    const BUSY: &str = "echo '{}'; (i=0; while [ $i -lt 9999999 ]; do i=$((i+1)); done); :";

    #[test]
    fn counts_the_time_of_children_too() {
        let mut busy = process(BUSY);
        busy.first_line().unwrap();
        let (begun, before) = (Instant::now(), busy.used().unwrap());
        while busy.used().unwrap().since(before).nanoseconds < 20_000_000 {
            assert!(begun.elapsed() < Duration::from_secs(30), "a busy loop must use time");
        }
        assert!(busy.resident_mib().unwrap() > 0.1);
    }

    #[test]
    fn dropping_ends_the_children_too() {
        let mut busy = process(BUSY);
        busy.first_line().unwrap();
        let begun = Instant::now();
        let family = loop {
            match busy.family().unwrap() {
                family if family.len() == 2 => break family,
                _ => assert!(begun.elapsed() < Duration::from_secs(30), "the shell must start its child"),
            }
        };
        let before: Vec<_> = family.iter().map(|id| started(*id)).collect();
        drop(busy);
        // Whoever adopts the child may leave it unburied for a moment: it is dead all the same.
        while family.iter().zip(&before).any(|(id, began)| started(*id) == *began && !is_dead(*id)) {
            assert!(begun.elapsed() < Duration::from_secs(30), "{family:?} must end");
        }
    }

    fn is_dead(process: u32) -> bool {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        matches!(after_name(&stat).split_whitespace().next(), None | Some("Z" | "X"))
    }

    #[test]
    fn a_program_that_ends_at_once_is_told_apart_from_a_slow_one() {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let problem = process("exit 3").wait_for(nowhere).unwrap_err().to_string();
        assert!(problem.contains("ended at once"), "{problem}");
        assert!(process("exit 3").first_line().is_err());
    }

    #[test]
    fn dropping_ends_the_program() {
        let mut sleeper = process("echo '{}'; exec sleep 100");
        sleeper.first_line().unwrap();
        let folder = format!("/proc/{}", sleeper.child.id());
        drop(sleeper);
        assert!(!Path::new(&folder).exists());
    }
}
