//! Instances are killed and restarted under load: no visitor notices, no purchase is executed twice.

use super::open_loop::{Done, Visit, Visitors};
use super::shop::{Instance, Shop};
use super::site::Site;
use super::{Line, process};
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Pages a second, open loop.
const PAGES: u32 = 100;
/// Purchases a second: few, each with an id of its own.
const BUYS: u32 = 10;
/// How long the load lasts at least.
const LOAD: Duration = Duration::from_secs(60);
/// How long the undisturbed shop must carry twice the rate before.
const ALONE: Duration = Duration::from_secs(10);
/// How long a killed instance may take to be back.
const BACK: Duration = Duration::from_secs(30);

/// A `kill -9`, and when it was.
struct Kill {
    instance: Instance,
    at: Instant,
}

/// Twice the rate undisturbed; then kills in turn and a rolling restart of everything, under load.
pub(crate) fn run(site: &Site) -> Result<Vec<Line>> {
    let shop = Shop::start(site)?;
    let alone = visited(&shop, Visit::Page, 2 * PAGES, ALONE);
    let failed = failures(&alone);
    let mut lines = vec![
        Line::none("shop-alone-200-per-second-failed", failed),
        Line::at_least(
            "shop-alone-pages",
            alone.len() as f64,
            0.99 * f64::from(2 * PAGES) * ALONE.as_secs_f64(),
            "",
        ),
    ];
    let began = Instant::now();
    let pages = Visitors::start(shop.edge(), Visit::Page, PAGES);
    let buys = Visitors::start(shop.edge(), Visit::Buy, BUYS);
    let disturbed = disturb(&shop);
    std::thread::sleep(LOAD.saturating_sub(began.elapsed()));
    let (pages, buys) = (pages.stop(), buys.stop());
    let lasted = began.elapsed();
    let kills = disturbed?;
    lines.extend(judge_pages(&pages, lasted));
    lines.extend(judge_buys(&shop, &buys, &kills)?);
    lines.extend(judge_events(&shop, &kills)?);
    Ok(lines)
}

fn visited(shop: &Shop, visit: Visit, per_second: u32, lasting: Duration) -> Vec<Done> {
    let visitors = Visitors::start(shop.edge(), visit, per_second);
    std::thread::sleep(lasting);
    visitors.stop()
}

/// Kills one instance of each service, each once the one before is back, then restarts everything.
fn disturb(shop: &Shop) -> Result<Vec<Kill>> {
    let mut by_service: BTreeMap<String, Instance> = BTreeMap::new();
    for instance in shop.instances()? {
        by_service.entry(instance.service.clone()).or_insert(instance);
    }
    let mut kills = Vec::new();
    for (service, instance) in &by_service {
        eprintln!("kills: kill -9 {} ({})", instance.pid, instance.name);
        let at = Instant::now();
        process::kill(instance.pid).with_context(|| format!("could not kill an instance of {service}"))?;
        kills.push(Kill { instance: instance.clone(), at });
        shop.wait_replaced(instance, BACK)?;
    }
    for service in by_service.keys() {
        eprintln!("kills: restart {service}");
        shop.restart(service)?;
    }
    Ok(kills)
}

fn failures(done: &[Done]) -> usize {
    let failed: Vec<&Done> = done.iter().filter(|one| one.failure.is_some()).collect();
    for one in failed.iter().take(10) {
        eprintln!("failed {}: {}", one.id, one.failure.as_deref().unwrap_or_default());
    }
    failed.len()
}

fn judge_pages(pages: &[Done], lasted: Duration) -> Vec<Line> {
    let due = f64::from(PAGES) * lasted.as_secs_f64();
    let mut latencies: Vec<Duration> = pages.iter().map(|one| one.ended - one.due).collect();
    latencies.sort();
    let p99 = latencies.get(latencies.len() * 99 / 100).copied().unwrap_or_default();
    vec![
        Line::none("kills-gets-failed", failures(pages)),
        Line::at_least("kills-gets-sent", pages.len() as f64, (0.99 * due).floor(), ""),
        Line::printed("kills-gets-p99-ms", p99.as_millis().min(u128::from(u64::MAX)) as u64),
        Line::at_least("kills-seconds", super::rounded(lasted.as_secs_f64()), LOAD.as_secs_f64(), "s"),
    ]
}

fn judge_buys(shop: &Shop, buys: &[Done], kills: &[Kill]) -> Result<Vec<Line>> {
    let ledger = shop.ledger()?;
    let in_flight = |kill: &Kill| buys.iter().filter(|one| (one.due..=one.ended).contains(&kill.at)).count();
    let cut_off: usize = kills.iter().map(in_flight).sum();
    let failed = failures(buys);
    let lost = buys.iter().filter(|one| one.failure.is_none() && ledger.times(&one.id) != 1).count();
    let mut bar =
        Line::at_most("kills-posts-failed", failed as f64, cut_off as f64, "in flight at the kills");
    bar.value = failed.into();
    Ok(vec![
        Line::none("kills-posts-executed-twice", ledger.twice()),
        Line::none("kills-posts-answered-but-not-executed", lost),
        bar,
        Line::at_least(
            "kills-posts-sent",
            buys.len() as f64,
            f64::from(BUYS) * LOAD.as_secs_f64() * 0.99,
            "",
        ),
    ])
}

/// Each kill and each restart stands on the log with a reason.
fn judge_events(shop: &Shop, kills: &[Kill]) -> Result<Vec<Line>> {
    let events = shop.events()?;
    let told = |name: &str, reason: &dyn Fn(&str) -> bool| {
        events.iter().any(|event| event["instance"] == name && event["reason"].as_str().is_some_and(reason))
    };
    let untold =
        kills.iter().filter(|kill| !told(&kill.instance.name, &|reason| reason == "sigkill")).count();
    let restarted = shop.instances()?;
    let unexplained =
        restarted.iter().filter(|it| !told(&it.name, &|reason| reason.contains("restart"))).count();
    let reasons: BTreeMap<&str, usize> = events.iter().fold(BTreeMap::new(), |mut counts, event: &Value| {
        *counts.entry(event["reason"].as_str().unwrap_or("(none)")).or_default() += 1;
        counts
    });
    eprintln!("kills: events by reason: {reasons:?}");
    Ok(vec![
        Line::none("kills-not-on-the-log-with-a-reason", untold),
        Line::none("restarts-not-on-the-log-with-a-reason", unexplained),
    ])
}
