//! What a connected sidecar takes, and that recorded conversations of every released version are understood.

use super::instance::Instance;
use super::stage::{PATIENCE, Plane, Sidecar, time_until};
use crate::prove::site::{self, Site};
use crate::prove::{Line, process, rounded};
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// After a start, until nothing of it is still under way.
const SETTLE: Duration = Duration::from_secs(3);

/// Memory of a sidecar that follows ten services and has nothing to do.
pub(super) fn idle(site: &Site) -> Result<Vec<Line>> {
    let plane = Plane::start(site)?;
    let agent = plane.join("agent-1")?;
    let names: Vec<String> = (1..=10).map(|number| format!("service{number}")).collect();
    let mut instances = Vec::new();
    for service in &names {
        for number in [1, 2] {
            let name = format!("{service}-{number}");
            let instance = Instance::start(&name)?;
            agent.must_register(&name, instance.address)?;
            instances.push(instance);
        }
    }
    let services: Vec<&str> = names.iter().map(String::as_str).collect();
    let sidecar = Sidecar::start(site, &plane, "web", &services)?;
    let is_connected = || sidecar.metric("outrigger_control_connected").is_ok_and(|value| value == 1.0);
    time_until(PATIENCE, is_connected).context("the sidecar is not connected")?;
    for service in &services {
        let (status, _) = sidecar.call(service)?;
        ensure!(status == 200, "{service} answers {status}");
    }
    std::thread::sleep(SETTLE);
    let mebibytes = |pid: u32| Ok::<_, anyhow::Error>(process::status(pid, "VmRSS")? as f64 / 1024.0);
    Ok(vec![
        Line::at_most("cost-idle-rss-mib-connected", mebibytes(sidecar.pid()?)?, 10.0, "MiB"),
        Line::printed("cost-idle-rss-mib-of-the-control-plane", rounded(mebibytes(plane.pid()?)?)),
        Line::printed("cost-cpu", "proved by: cargo xtask prove spine --only cost-proxy"),
    ])
}

/// The tests that replay them.
pub(super) fn skew(site: &Site) -> Result<Vec<Line>> {
    let mut test = site::cargo();
    test.args(["test", "--locked", "--package", "control", "--test", "skew"]);
    let said = site::output_of(test.current_dir(site.root()))?;
    let passed =
        said.lines().find_map(|line| line.strip_prefix("test result: ok. ")?.split(' ').next()?.parse().ok());
    let passed: f64 = passed.context("no test ran")?;
    Ok(vec![Line::at_least("skew-tests-passed", passed, 4.0, "")])
}
