//! Processes and what they started, read from `/proc`: so that a stop leaves nobody behind.
//!
//! A process may leave its group and its session, and its parent may end before it; none of these alone finds all.
//! So three signs are put together, and whatever one of them finds is searched further: the process group that the
//! agent made, descent, and a mark in the environment that every child inherits unless it clears it.
//! Process numbers are used again, so each is held together with its start time and checked before it is killed.

use rustix::process::{Pid, Signal};
use std::fs;
use std::io;

/// The variable that marks every process of a run.
pub(crate) const RUN: &str = "OUTRIGGER_RUN";
/// The variable that marks every process of an instance's app.
pub(crate) const INSTANCE: &str = "OUTRIGGER_INSTANCE";

/// A process, told from a later one of the same number by its start.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Id {
    /// Its number.
    pub(crate) pid: i32,
    /// When it began, in ticks since the machine's start.
    pub(crate) start: u64,
}

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Process {
    id: Id,
    parent: i32,
    group: i32,
    zombie: bool,
}

/// Where to look for processes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signs {
    /// Processes that lead a group of their own; they, their groups and their descendants belong.
    pub(crate) leaders: Vec<Id>,
    /// `NAME=VALUE` pairs: processes that have all of them in their environment belong, with their descendants.
    /// Empty: nobody belongs by this.
    pub(crate) marks: Vec<String>,
}

/// What this machine is called, in a form that fits into names; empty if it has no such name.
pub fn machine() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().to_lowercase();
    let first = name.trim().split('.').next().unwrap_or_default();
    let fits = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    let fitted: String = first.chars().map(fits).take(20).collect();
    fitted.trim_matches('-').to_owned()
}

/// The process `pid`, if it exists.
pub(crate) fn identify(pid: u32) -> Option<Id> {
    let pid = i32::try_from(pid).ok()?;
    read(pid).map(|process| process.id)
}

/// All living processes that belong, but for this one. Zombies do not count: they are dead.
pub(crate) fn members(signs: &Signs) -> Vec<Id> {
    let all = processes();
    let led = |p: &Process| signs.leaders.iter().any(|leader| belongs_to(p, leader, &all));
    let found = all.iter().filter(|p| led(p) || is_marked(p, &signs.marks)).copied().collect();
    with_descendants(found, &all)
}

/// All living processes below this one, but for the children `but` and what is below those. Where orphans come to this
/// process that is whatever it ever started, and needs no other sign: a daemon may leave group, session and parent,
/// and write over the environment that it was given.
pub(crate) fn offspring(but: &[u32]) -> Vec<Id> {
    let all = processes();
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let counts = |p: &Process| p.parent == own && !but.iter().any(|pid| i32::try_from(*pid) == Ok(p.id.pid));
    let found = all.iter().filter(|p| counts(p)).copied().collect();
    with_descendants(found, &all)
}

fn with_descendants(mut found: Vec<Process>, all: &[Process]) -> Vec<Id> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let mut from = 0;
    while let Some(parent) = found.get(from).copied() {
        from += 1;
        let born_of = |p: &&Process| p.parent == parent.id.pid && !found.iter().any(|f| f.id == p.id);
        let children: Vec<Process> = all.iter().filter(born_of).copied().collect();
        found.extend(children);
    }
    found.iter().filter(|p| !p.zombie && p.id.pid != own).map(|p| p.id).collect()
}

/// Whether `process` is the leader or in its group. The group's number can belong to another group only once its
/// leader is gone and its number was given out again, which the leader's start tells.
fn belongs_to(process: &Process, leader: &Id, all: &[Process]) -> bool {
    let reused = || all.iter().any(|p| p.id.pid == leader.pid && p.id.start != leader.start);
    process.id == *leader || (process.group == leader.pid && process.id.start >= leader.start && !reused())
}

fn is_marked(process: &Process, marks: &[String]) -> bool {
    if marks.is_empty() || process.zombie {
        return false;
    }
    // The environment of another user's process cannot be read: it is none of ours.
    let Ok(environment) = fs::read(format!("/proc/{}/environ", process.id.pid)) else { return false };
    marks.iter().all(|mark| environment.split(|b| *b == 0).any(|pair| pair == mark.as_bytes()))
}

/// Sends `signal` to exactly this process: not to a later one of the same number.
pub(crate) fn signal(id: Id, signal: Signal) -> io::Result<()> {
    let Some(pid) = Pid::from_raw(id.pid) else { return Ok(()) };
    // The descriptor names the process that has the number now; if that one has the right start, the signal
    // cannot reach another.
    let Ok(descriptor) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else {
        return Ok(());
    };
    if read(id.pid).is_some_and(|process| process.id == id) {
        match rustix::process::pidfd_send_signal(&descriptor, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Sends `signal` to the group that `leader` made. Nothing happens if there is no such group any more.
pub(crate) fn signal_group(leader: Id, signal: Signal) {
    let reused = read(leader.pid).is_some_and(|process| process.id != leader);
    if let (Some(pid), false) = (Pid::from_raw(leader.pid), reused) {
        // No such group: it has ended, which is what was wanted.
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

/// Takes the exit status of every orphan that has come to this process and ended, so that none stays a zombie.
/// `known` are children that somebody else waits for.
pub(crate) fn reap_orphans(known: &[u32]) {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    for process in processes().iter().filter(|p| p.zombie && p.parent == own) {
        let waited_for = known.iter().any(|pid| i32::try_from(*pid) == Ok(process.id.pid));
        if let (Some(pid), false) = (Pid::from_raw(process.id.pid), waited_for) {
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG);
        }
    }
}

fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pid = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    entries.filter_map(pid).filter_map(read).collect()
}

fn read(pid: i32) -> Option<Process> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads a line of `/proc/PID/stat` (proc(5)). The program's name stands in parentheses and may itself contain
/// blanks and parentheses, so the fields are counted from the last one that closes.
fn parse(stat: &str) -> Option<Process> {
    let (pid, _) = stat.split_once(' ')?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    // The 22nd field of the line, the 20th after the name; three are read.
    let start = fields.nth(16)?.parse().ok()?;
    let zombie = matches!(state, "Z" | "X");
    Some(Process { id: Id { pid: pid.parse().ok()?, start }, parent, group, zombie })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    #[test]
    fn a_line_of_proc_is_read_whatever_the_programs_name() {
        let line =
            "42 (a) b (c) S 7 40 40 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1000 2 18446744073709551615";
        let want = Process { id: Id { pid: 42, start: 12345 }, parent: 7, group: 40, zombie: false };
        assert_eq!(parse(line), Some(want));
        assert_eq!(parse("42 (x) S"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn this_process_is_found_and_a_later_one_of_its_number_is_not_mistaken_for_it() {
        let own = identify(std::process::id()).unwrap();
        assert!(own.start > 0);
        // A signal to a process of our number that began at another time reaches nobody: or this test would end.
        signal(Id { start: own.start + 1, ..own }, Signal::KILL).unwrap();
    }

    #[test]
    fn a_child_is_found_without_any_sign_of_ours_unless_it_is_to_be_left_alone() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & wait"]).env_clear().env("PATH", "/bin:/usr/bin").process_group(0);
        let mut child = command.spawn().unwrap();
        let id = identify(child.id()).unwrap();
        let below =
            |found: &[Id]| found.iter().any(|found| read(found.pid).is_some_and(|p| p.parent == id.pid));
        while !below(&offspring(&[])) {
            std::thread::yield_now();
        }
        assert!(offspring(&[]).contains(&id));
        let others = offspring(&[child.id()]);
        assert!(!others.contains(&id) && !below(&others));
        signal_group(id, Signal::KILL);
        child.wait().unwrap();
        assert!(!offspring(&[]).contains(&id));
    }

    #[test]
    fn who_left_group_session_and_parent_is_found_by_its_mark() {
        let mark = format!("tree-test-{}", std::process::id());
        let script = "setsid sleep 60 & setsid sh -c 'sleep 60 & wait' & echo up; wait";
        let mut child =
            Command::new("sh").args(["-c", script]).env(RUN, &mark).stdout(Stdio::piped()).spawn().unwrap();
        let mut up = [0; 3];
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
        let signs = Signs { leaders: vec![], marks: vec![format!("{RUN}={mark}")] };
        // The shell itself is there from the start; its children appear in their own time.
        while members(&signs).len() < 4 {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(members(&signs).len() >= 3, "they outlive their parent");
        while let Some(id) = members(&signs).first() {
            signal(*id, Signal::KILL).unwrap();
        }
    }
}
