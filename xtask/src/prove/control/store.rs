//! The store: on a file system that fills up, and killed in the middle of writes.

use super::instance::Instance;
use super::mount::Mount;
use super::stage::{Agent, Plane, Said, Sidecar, time_until};
use crate::prove::Line;
use crate::prove::site::{self, Site};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// 1 MiB, or the smallest that a control plane starts in.
const KIB: u32 = 1024;
/// So many registrations fill that for certain.
const AT_MOST: u32 = 20_000;
/// How long everything may take to go on once there is space again.
const RECOVERY: Duration = Duration::from_secs(10);

/// Instances that were acknowledged, with their addresses.
type Kept = BTreeMap<String, String>;

/// Registers until the disk is full, looks at what goes on, gives space back, and looks at what is there.
pub(super) fn full(site: &Site) -> Result<Vec<Line>> {
    let folder = site.folder("full")?;
    let mount = Mount::new(&folder, KIB)?;
    let mut plane = Plane::start_in(site, folder.join("state"), mount.words())?;
    let agent = plane.join("agent-1")?;
    let shop = Instance::start("shop-1")?;
    agent.must_register("shop-1", shop.address)?;
    let mut kept = Kept::from([("shop-1".to_owned(), shop.address.to_string())]);
    let sidecar = Sidecar::start(site, &plane, "web", &["shop"])?;
    let (status, text) = fill(&agent, &mut kept)?;
    eprintln!("store-full: after {} registrations: {status} {text}", kept.len());
    let says_why = ["full", "space"].iter().any(|word| text.to_lowercase().contains(word));
    let mut lines = vec![
        Line::new(
            "store-full-answer",
            format!("{status} {text}"),
            "503 that names the disk",
            status == 503 && says_why,
        ),
        Line::at_least("store-full-acknowledged", kept.len() as f64, 100.0, ""),
        Line::none("store-full-missing-in-memory", missing(&plane, &kept)?),
    ];
    let (calls, _) = sidecar.call("shop")?;
    lines.push(Line::new("store-full-callers-go-on", calls, "200", calls == 200));
    let late = Sidecar::start(site, &plane, "late", &["shop"])?;
    let is_told = late.endpoints()?.get("shop").is_some_and(|shop| shop.len() == 1);
    lines.push(Line::new("store-full-newcomers-are-told", is_told, "true", is_told));
    mount.resize(16 * KIB)?;
    lines.extend(recovered(&agent, &plane, &mut kept)?);
    plane.kill()?;
    plane.begin()?;
    plane.wait_until_it_answers()?;
    lines.push(Line::none("store-full-lost-after-kill", missing(&plane, &kept)?));
    Ok(lines)
}

/// Registers one instance after the other until that is refused; what was said then.
fn fill(agent: &Agent, kept: &mut Kept) -> Result<(u16, String)> {
    for number in 1..=AT_MOST {
        let (name, address) = filler(number)?;
        match agent.register(&name, address, 1, "0s")? {
            Said::Kept { .. } => kept.insert(name, address.to_string()),
            Said::Refused(status, text) => return Ok((status, text)),
        };
    }
    anyhow::bail!("{AT_MOST} registrations did not fill {KIB} KiB")
}

/// An instance of one of many services, at an address that nobody else has.
fn filler(number: u32) -> Result<(String, SocketAddr)> {
    let [_, a, b, c] = number.to_be_bytes();
    let name = format!("a-rather-long-name-of-a-service-so-that-it-takes-space-{}-{number}", number % 100);
    Ok((name, SocketAddr::from(([10, a, b, c], 8080))))
}

/// There is space again: registrations are accepted, and everybody is told.
fn recovered(agent: &Agent, plane: &Plane, kept: &mut Kept) -> Result<Vec<Line>> {
    let (name, address) = filler(AT_MOST + 1)?;
    let again = || matches!(agent.register(&name, address, 1, "0s"), Ok(Said::Kept { .. }));
    let took = time_until(RECOVERY, again);
    if took.is_some() {
        kept.insert(name, address.to_string());
    }
    let value = took.map_or_else(|| "never".to_owned(), |took| format!("{:.3} s", took.as_secs_f64()));
    Ok(vec![
        Line::new("store-full-recovers", value, format!("within {RECOVERY:?}"), took.is_some()),
        Line::none("store-full-missing-after-recovery", missing(plane, kept)?),
    ])
}

/// How many of those that were acknowledged are not there, or at another address.
fn missing(plane: &Plane, kept: &Kept) -> Result<usize> {
    let there = plane.instances()?;
    Ok(kept.iter().filter(|(name, address)| there.get(*name) != Some(address)).count())
}

/// `kill -9` during writes, a hundred times, as the test of the crate does it.
pub(super) fn killed(site: &Site) -> Result<Vec<Line>> {
    let mut test = site::cargo();
    test.args(["test", "--locked", "--package", "control", "--test", "kill"]);
    let said = site::output_of(test.current_dir(site.root()))?;
    let line =
        said.lines().find(|line| line.contains("none lost")).context("it does not say that none was lost")?;
    let number =
        |at: usize| line.split(' ').nth(at).and_then(|word| word.trim_matches(',').parse::<f64>().ok());
    let (times, changes) = (number(1).context("how often?")?, number(3).context("how many changes?")?);
    ensure!(changes > 0.0, "nothing was acknowledged: {line}");
    Ok(vec![
        Line::at_least("store-killed-times", times, 100.0, ""),
        Line::printed("store-killed-acknowledged-changes", changes),
        Line::none("store-killed-lost", 0),
    ])
}
