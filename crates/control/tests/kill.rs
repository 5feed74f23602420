//! `kill -9` in the middle of writes, again and again: every change that was acknowledged is there afterwards.
//!
//! This program is both sides. As the child it opens the store, registers one instance after the other from several
//! tasks at once, and says each one that was acknowledged, once it was. As the parent it lets the child write for a while, kills
//! it, and looks.

use control::desk::{Audience, Desk, News};
use control::registry::{Change, Command, Key, Owner, Registry, Rules};
use control::store::{Embedded, Store};
use model::{AgentName, InstanceName, Registration, ServiceName};
use net::clock::Clock;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The child is told where its store is, and how many rounds there were before, in these.
const STORE: &str = "OUTRIGGER_TEST_STORE";
const ROUND: &str = "OUTRIGGER_TEST_ROUND";

const ROUNDS: u64 = 100;
/// How many registrations are under way at once.
const WRITERS: u16 = 8;
/// Each writer goes round so many names, so that records are replaced and removed as well as added.
const NAMES: u64 = 20;

fn main() -> Result<()> {
    match std::env::var(STORE) {
        Ok(store) => child(Path::new(&store), std::env::var(ROUND)?.parse()?),
        Err(_) => parent(),
    }
}

struct Nobody;

impl Audience for Nobody {
    fn on(&mut self, _: &Registry, _: &[Change], _: &[News]) {}
}

#[tokio::main]
async fn child(store: &Path, round: u64) -> Result<()> {
    let (desk, _worker) = Desk::open(Embedded::open(store)?, Rules::default(), Nobody, Clock::start())?;
    let writers = (0..WRITERS).map(|writer| tokio::spawn(write(desk.clone(), writer, round)));
    for writer in writers.collect::<Vec<_>>() {
        writer.await?;
    }
    Ok(())
}

/// Registers and deregisters without end, and says `NAME INCARNATION here` or `… gone` for what is acknowledged.
async fn write(desk: Desk, writer: u16, round: u64) {
    let owner = Owner { agent: AgentName::new("agent").expect("a name"), session: 1 };
    let service = ServiceName::new(&format!("s{writer}")).expect("a name");
    for count in 0.. {
        let number = count % NAMES;
        let name = service.instance(u32::try_from(number).expect("it is small"));
        let incarnation = round * 1_000_000 + count;
        let address = ([10, 0, u8::try_from(writer).expect("it is small"), 1], 1000 + number as u16).into();
        let instance = Registration { name: name.clone(), service: service.clone(), address, incarnation };
        let done = desk.ask(Command::Register { owner: owner.clone(), instance }).await;
        let mut said = done.is_ok().then(|| format!("{name} {incarnation} here\n"));
        if count % 3 == 0 {
            say(said.take());
            let done = desk.ask(Command::Deregister { owner: owner.clone(), name: name.clone() }).await;
            said = done.is_ok().then(|| format!("{name} {incarnation} gone\n"));
        }
        say(said);
    }
}

/// One write, so that a line is there whole or not at all.
fn say(line: Option<String>) {
    if let Some(line) = line {
        let mut out = std::io::stdout().lock();
        let written = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        written.expect("the parent reads until it has killed us");
    }
}

/// What was acknowledged last of an instance.
#[derive(Debug)]
struct Last {
    incarnation: u64,
    gone: bool,
}

fn parent() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("registry");
    let mut known: BTreeMap<String, Last> = BTreeMap::new();
    let mut acknowledged = 0;
    for round in 1..=ROUNDS {
        let mut child = std::process::Command::new(std::env::current_exe()?)
            .env(STORE, &path)
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut out = BufReader::new(child.stdout.take().ok_or("the child has no output")?);
        // Killed at another point each time: after so many acknowledgements, wherever the writers are then.
        for _ in 0..(round * 7) % 61 + 1 {
            acknowledged += u64::from(learn(&mut out, &mut known)?);
        }
        kill(&mut child)?;
        while learn(&mut out, &mut known)? {
            acknowledged += 1;
        }
        check(&path, &known).map_err(|why| format!("after round {round}: {why}"))?;
    }
    println!("killed {ROUNDS} times, {acknowledged} acknowledged changes, none lost");
    Ok(())
}

fn kill(child: &mut Child) -> Result<()> {
    // `kill` of a child is SIGKILL: nothing is flushed or closed by it.
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// Reads one line of what the child says. Whether there was a whole one.
fn learn(out: &mut BufReader<ChildStdout>, known: &mut BTreeMap<String, Last>) -> Result<bool> {
    let mut line = String::new();
    out.by_ref().read_line(&mut line)?;
    let Some(line) = line.strip_suffix('\n') else { return Ok(false) };
    let [name, incarnation, state] = line.split(' ').collect::<Vec<_>>()[..] else {
        return Err(format!("the child says {line:?}").into());
    };
    known.insert(name.to_owned(), Last { incarnation: incarnation.parse()?, gone: state == "gone" });
    Ok(true)
}

/// What was acknowledged last of each instance is so, or something later that was on its way.
fn check(path: &Path, known: &BTreeMap<String, Last>) -> Result<()> {
    let records: BTreeMap<_, _> = Embedded::open(path)?.load()?.into_iter().collect();
    for (text, state) in known {
        let name = InstanceName::new(text)?;
        let live = match records.get(&Key::Instance(name.clone())) {
            Some(control::registry::Record::Instance(instance)) => Some(instance.incarnation),
            _ => None,
        };
        let buried = match records.get(&Key::Tombstone(name)) {
            Some(control::registry::Record::Tombstone(tomb)) => Some(tomb.incarnation),
            _ => None,
        };
        let later = live.max(buried) > Some(state.incarnation);
        let exactly = Some(state.incarnation);
        let there = later
            || if state.gone {
                live.is_none() && buried == exactly
            } else {
                live == exactly || buried == exactly
            };
        if !there {
            return Err(format!("{text} was acknowledged as {state:?}, and is {live:?}, {buried:?}").into());
        }
        if live.is_some() && buried.is_some() {
            return Err(format!("{text} is both there and taken out: half a change was kept").into());
        }
    }
    Ok(())
}
