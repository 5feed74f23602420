//! From the registration of an instance to the first request that reaches it through another sidecar.

use super::instance::Instance;
use super::stage::{Plane, Sidecar, time_until};
use crate::prove::Line;
use crate::prove::site::Site;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

const TIMES: usize = 20;

/// Each time a service that had no instance gets its first one, so that no choice between several blurs the time.
pub(super) fn run(site: &Site) -> Result<Vec<Line>> {
    let plane = Plane::start(site)?;
    let agent = plane.join("agent-1")?;
    let names: Vec<String> = (1..=TIMES).map(|number| format!("service{number}")).collect();
    let services: Vec<&str> = names.iter().map(String::as_str).collect();
    let sidecar = Sidecar::start(site, &plane, "web", &services)?;
    let mut millis = Vec::new();
    for service in services {
        let name = format!("{service}-1");
        let instance = Instance::start(&name)?;
        let (before, _) = sidecar.call(service)?;
        ensure!(before == 503, "{service} has no instance, and answers {before}");
        let began = Instant::now();
        agent.must_register(&name, instance.address)?;
        let reached = || sidecar.call(service).is_ok_and(|answer| answer == (200, name.clone()));
        time_until(Duration::from_secs(10), reached).with_context(|| format!("{name} is never reached"))?;
        millis.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    millis.sort_by(f64::total_cmp);
    Ok(vec![
        Line::at_most("routable-ms-worst-of-20", millis[TIMES - 1], 100.0, "ms"),
        Line::printed("routable-ms-median-of-20", crate::prove::rounded(millis[TIMES / 2])),
    ])
}
