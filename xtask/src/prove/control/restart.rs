//! A rolling restart of the whole shop under load, one instance after the other: no visitor notices.

use crate::prove::Line;
use crate::prove::open_loop::{Done, Visit, Visitors};
use crate::prove::shop::Shop;
use crate::prove::site::Site;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Pages a second, open loop.
const PAGES: u32 = 100;
/// The load goes on for so long before and after.
const AROUND: Duration = Duration::from_secs(3);

pub(super) fn run(site: &Site) -> Result<Vec<Line>> {
    let shop = Shop::start(site)?;
    let before: BTreeMap<String, u32> = shop.instances()?.into_iter().map(|it| (it.name, it.pid)).collect();
    let services: BTreeSet<String> = shop.instances()?.into_iter().map(|it| it.service).collect();
    let visitors = Visitors::start(shop.edge(), Visit::Page, PAGES);
    std::thread::sleep(AROUND);
    let began = Instant::now();
    let restarted: Result<()> = services.iter().try_for_each(|service| shop.restart(service));
    let took = began.elapsed();
    std::thread::sleep(AROUND);
    let done = visitors.stop();
    restarted?;
    let after = shop.instances()?;
    let as_before = after.iter().filter(|it| before.get(&it.name) == Some(&it.pid)).count();
    let failed: Vec<&Done> = done.iter().filter(|one| one.failure.is_some()).collect();
    for one in failed.iter().take(5) {
        eprintln!("restart: failed: {}", one.failure.as_deref().unwrap_or_default());
    }
    let due = f64::from(PAGES) * (took + 2 * AROUND).as_secs_f64();
    Ok(vec![
        Line::none("restart-pages-failed", failed.len()),
        Line::at_least("restart-pages-sent", done.len() as f64, (0.99 * due).floor(), ""),
        Line::none("restart-instances-that-are-the-same-process", as_before),
        Line::at_least("restart-instances", after.len() as f64, before.len() as f64, ""),
        Line::printed("restart-seconds", crate::prove::rounded(took.as_secs_f64())),
    ])
}
