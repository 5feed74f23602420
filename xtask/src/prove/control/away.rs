//! The control plane is frozen, stopped and killed under load: nobody who calls a known service notices.

use super::instance::Instance;
use super::stage::{Agent, PATIENCE, Plane, Said, Sidecar, time_until};
use crate::prove::open_loop::{Done, Visit, Visitors};
use crate::prove::site::Site;
use crate::prove::{Line, rounded};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// Requests a second, open loop.
const RATE: u32 = 200;
/// How long it is away.
const AWAY: Duration = Duration::from_secs(20);
/// The load goes on for so long before and after.
const AROUND: Duration = Duration::from_secs(2);

/// What happens to the control plane.
#[derive(Clone, Copy)]
enum Blow {
    Frozen,
    Stopped,
    Killed,
}

impl Blow {
    const ALL: [Blow; 3] = [Blow::Frozen, Blow::Stopped, Blow::Killed];

    fn word(self) -> &'static str {
        match self {
            Blow::Frozen => "frozen",
            Blow::Stopped => "stopped",
            Blow::Killed => "killed",
        }
    }
}

pub(super) fn run(site: &Site) -> Result<Vec<Line>> {
    let mut plane = Plane::start(site)?;
    let agent = plane.join("agent-1")?;
    let known: Vec<Instance> =
        ["shop-1", "shop-2"].into_iter().map(|name| enter(&agent, name)).collect::<Result<_>>()?;
    let caller = Sidecar::start(site, &plane, "web", &["shop", "late"])?;
    let mut other = Sidecar::start(site, &plane, "other", &["shop"])?;
    for sidecar in [&caller, &other] {
        let reached =
            || sidecar.endpoints().is_ok_and(|all| all.get("shop").is_some_and(|shop| shop.len() == 2));
        time_until(PATIENCE, reached).context("a sidecar does not learn of the shop")?;
    }
    let mut lines = Vec::new();
    for blow in Blow::ALL {
        lines.extend(judge(blow, &mut plane, &agent, &caller, &mut other)?);
    }
    drop(known);
    Ok(lines)
}

fn enter(agent: &Agent, name: &str) -> Result<Instance> {
    let instance = Instance::start(name)?;
    agent.must_register(name, instance.address)?;
    Ok(instance)
}

/// One time away, under load.
fn judge(
    blow: Blow,
    plane: &mut Plane,
    agent: &Agent,
    caller: &Sidecar,
    other: &mut Sidecar,
) -> Result<Vec<Line>> {
    eprintln!("away: {}", blow.word());
    let visitors = Visitors::start(caller.address_of("shop")?, Visit::Page, RATE);
    std::thread::sleep(AROUND);
    let began = Instant::now();
    match blow {
        Blow::Frozen => plane.freeze()?,
        Blow::Stopped => plane.stop()?,
        Blow::Killed => plane.kill()?,
    }
    let started = restarted(other);
    let age = caller.metric("outrigger_snapshot_age_seconds");
    std::thread::sleep(AWAY.saturating_sub(began.elapsed()));
    let age_after = caller.metric("outrigger_snapshot_age_seconds");
    let back = come_back(blow, plane, agent, caller);
    std::thread::sleep(AROUND);
    let done = visitors.stop();
    let (ready, reaches) = started?;
    let (age, age_after) = (age?, age_after?);
    let name = |what: &str| format!("away-{}-{what}", blow.word());
    let due = f64::from(RATE) * (AWAY + 2 * AROUND).as_secs_f64();
    Ok(vec![
        Line::none(name("requests-failed"), failures(&done)),
        Line::at_least(name("requests-sent"), done.len() as f64, (0.99 * due).floor(), ""),
        Line::at_most(name("sidecar-start-to-ready-ms"), ready.as_secs_f64() * 1000.0, 50.0, "ms"),
        Line::new(name("restarted-sidecar-reaches"), reaches, "200", reaches == 200),
        Line::at_most(name("new-instance-routable-s"), back?.as_secs_f64(), 1.0, "s after the return"),
        Line::new(
            name("knowledge-age-s"),
            format!("{age:.1}, then {age_after:.1}"),
            "grows to about 20 s",
            age_after - age > AWAY.as_secs_f64() * 0.5,
        ),
    ])
}

/// A sidecar is killed and started again while the control plane is away: when it is ready, and what it answers then.
fn restarted(other: &mut Sidecar) -> Result<(Duration, u16)> {
    other.kill()?;
    let ready = other.begin()?;
    let (status, _) = other.call("shop")?;
    Ok((ready, status))
}

/// The control plane returns, and an instance that nobody knows registers as soon as it can; how long until it is
/// reached through a sidecar.
fn come_back(blow: Blow, plane: &mut Plane, agent: &Agent, caller: &Sidecar) -> Result<Duration> {
    let name = format!("late-{}", Blow::ALL.iter().position(|it| it.word() == blow.word()).unwrap_or(0) + 1);
    let instance = Instance::start(&name)?;
    let returned = Instant::now();
    match blow {
        Blow::Frozen => plane.thaw()?,
        Blow::Stopped | Blow::Killed => plane.begin()?,
    }
    let registered = || matches!(agent.register(&name, instance.address, 1, "0s"), Ok(Said::Kept { .. }));
    time_until(PATIENCE, registered)
        .with_context(|| format!("{name} is not registered: {}", plane.said()))?;
    let asked = returned.elapsed();
    let reached = || caller.call("late").is_ok_and(|answer| answer == (200, name.clone()));
    time_until(PATIENCE, reached).with_context(|| format!("{name} is never reached"))?;
    let took = returned.elapsed();
    eprintln!("away: {} registered {:?} after the return, reached after {took:?}", blow.word(), asked);
    // Out again, so that the next one is alone in the service too.
    let gone = agent.deregister(&name, "10s")?;
    ensure!(matches!(gone, Said::Kept { settled: true }), "{name} does not leave: {gone:?}");
    Ok(Duration::from_secs_f64(rounded(took.as_secs_f64())))
}

fn failures(done: &[Done]) -> usize {
    let failed: Vec<&Done> = done.iter().filter(|one| one.failure.is_some()).collect();
    for one in failed.iter().take(5) {
        eprintln!("away: failed: {}", one.failure.as_deref().unwrap_or_default());
    }
    failed.len()
}
