//! What a sidecar costs: CPU beside other proxies, allocations, memory, wake-ups, time to start.

use super::process::{self, Running};
use super::shop::Shop;
use super::site::{self, Site};
use super::{Line, http};
use crate::ports::free_address;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Our CPU per request as a share of a peer's, at most: the relay, and the peers with features like ours.
const RATIOS: &[(&str, f64)] = &[("relay", 1.25), ("haproxy-features", 0.65), ("envoy-features", 0.25)];
/// One window scatters by a tenth on a virtual machine: so many that a ratio does by less than 2 %.
const ROUNDS: &str = "21";
/// For which loads the ratios are asked: GET of 1 KiB at 32 and at 128 connections.
const WORKLOADS: &[&str] = &["get-32", "get-128"];
/// Ourselves among the contestants: all default policies and metrics on, access log off.
const OURS: &str = "outrigger";
/// How many connections the busy sidecar holds.
const MANY: usize = 1000;
/// How often the start is timed.
const STARTS: usize = 20;
/// How long an idle sidecar is watched.
const IDLE: Duration = Duration::from_secs(10);
/// After a start, until nothing of it is still under way.
const SETTLE: Duration = Duration::from_secs(2);

/// CPU per request beside the peers, from `cargo xtask bench proxy`.
pub(crate) fn proxy(site: &Site) -> Result<Vec<Line>> {
    let contestants: Vec<&str> = RATIOS.iter().map(|(peer, _)| *peer).chain([OURS]).collect();
    let figures = bench(site, &["proxy", "--runs", ROUNDS, "--only", &contestants.join(",")])?;
    let mut lines = Vec::new();
    for &workload in WORKLOADS {
        let ours = figure(
            &figures,
            &[("figure", "cpu_us_per_request"), ("contestant", OURS), ("workload", workload)],
        )?;
        let failed = ours["errors"].as_u64().context("the figure does not say how many requests failed")?;
        lines.push(Line::printed(format!("cpu-us-per-request-{workload}"), ours["median"].clone()));
        lines.push(Line::none(format!("cpu-requests-failed-{workload}"), usize::try_from(failed)?));
        for &(peer, most) in RATIOS {
            let name = format!("cpu-ratio-to-{peer}-{workload}");
            let ratio = figure(
                &figures,
                &[("figure", "cpu_ratio"), ("of", OURS), ("to", peer), ("workload", workload)],
            );
            let ratio = ratio.and_then(|ratio| ratio["value"].as_f64().context("the ratio has no value"));
            lines.push(match ratio {
                Ok(ratio) => Line::at_most(name, ratio, most, "x"),
                Err(error) => Line::new(name, format!("{error:#}"), format!("<= {most} x"), false),
            });
        }
    }
    Ok(lines)
}

/// Runs `cargo xtask bench ARGUMENTS -o json` and reads its lines. What it says meanwhile is shown.
pub(crate) fn bench(site: &Site, arguments: &[&str]) -> Result<Vec<Value>> {
    let ourselves = std::env::current_exe().context("this program has no path")?;
    let mut command = Command::new(ourselves);
    command
        .arg("bench")
        .args(arguments)
        .args(["-o", "json"])
        .current_dir(site.root())
        .stderr(Stdio::inherit());
    site::output_of(&mut command)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// The line among `figures` in which all `wanted` fields have these values.
pub(crate) fn figure<'a>(figures: &'a [Value], wanted: &[(&str, &str)]) -> Result<&'a Value> {
    let found = figures.iter().find(|line| wanted.iter().all(|(field, value)| line[*field] == *value));
    found.with_context(|| format!("no figure was printed with {wanted:?}"))
}

/// Heap allocations per request and the size of the request's future, as the sidecar's own tests count them.
pub(crate) fn request(site: &Site) -> Result<Vec<Line>> {
    let mut test = site::cargo();
    test.args(["test", "--locked", "--package", "sidecar", "--lib", "--", "cost::", "--nocapture"]);
    let said = site::output_of(test.current_dir(site.root()))?;
    let figures: Vec<Value> =
        said.lines().filter_map(|line| serde_json::from_str(line.get(line.find('{')?..)?).ok()).collect();
    let number = |name: &str| -> Result<f64> {
        figure(&figures, &[("name", name)])?["value"].as_f64().with_context(|| format!("{name} is no number"))
    };
    Ok(vec![
        Line::at_most("allocations-per-request", number("allocations-per-request")?, 0.0, ""),
        Line::at_most("request-future-bytes", number("connection-future-bytes")?, 4096.0, "bytes"),
    ])
}

/// Memory and wake-ups of an idle sidecar, and memory with a thousand connections.
pub(crate) fn idle(site: &Site) -> Result<Vec<Line>> {
    let snapshot = snapshot_of_the_shop(site)?;
    let outrigger = site.outrigger()?;
    let (sidecar, _) = sidecar(&outrigger, &snapshot)?;
    std::thread::sleep(SETTLE);
    let before = process::wake_ups(sidecar.pid())?;
    std::thread::sleep(IDLE);
    let woken = process::wake_ups(sidecar.pid())?.saturating_sub(before);
    let resident = mebibytes(process::status(sidecar.pid(), "VmRSS")?);
    drop(sidecar);
    let (held, most) = with_connections(site, &outrigger)?;
    Ok(vec![
        Line::at_most("idle-rss-mib", resident, 10.0, "MiB"),
        Line::at_most("idle-wake-ups-per-second", woken as f64 / IDLE.as_secs_f64(), 2.0, "/s"),
        Line::at_most("rss-mib-with-1000-connections-held", held, 40.0, "MiB"),
        Line::at_most("rss-mib-with-1000-connections-busy", most, 40.0, "MiB"),
    ])
}

/// What a proxy takes with a thousand connections that have nothing under way, and the most that it took while each
/// had a request under way at the same time, several times.
fn with_connections(site: &Site, outrigger: &Path) -> Result<(f64, f64)> {
    let mut backend = Command::new(site.binary("bench", "backend")?);
    let mut backend = Running::start(backend.args(["--listen", "127.0.0.1:0", "--fast"]))?;
    let to = backend.wait_for(Duration::from_secs(10), listen_in)?;
    let listen = free_address()?;
    let mut command = Command::new(outrigger);
    command.args(["proxy", "--listen", &listen.to_string(), "--to", &to.to_string()]);
    let proxy = Running::start(&mut command)?;
    let connected = process::wait_until(Duration::from_secs(10), || TcpStream::connect(listen).is_ok());
    ensure!(connected, "the proxy does not listen: {}", proxy.said());
    let request = format!("GET / HTTP/1.1\r\nHost: {to}\r\n\r\n");
    let mut streams = Vec::new();
    for _ in 0..MANY {
        let stream = TcpStream::connect(listen).context("a connection was refused")?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        streams.push(stream);
    }
    for _ in 0..10 {
        for stream in &mut streams {
            stream.write_all(request.as_bytes())?;
        }
        for stream in &mut streams {
            http::read_answer_of_length(stream)?;
        }
    }
    // The high-water mark: nothing that happened in between is missed.
    let most = mebibytes(process::status(proxy.pid(), "VmHWM")?);
    std::thread::sleep(SETTLE);
    Ok((mebibytes(process::status(proxy.pid(), "VmRSS")?), most))
}

fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}

/// The first address in the line `{"listen":["127.0.0.1:9000"]}` with which the tools of `bench` begin.
fn listen_in(line: &str) -> Option<SocketAddr> {
    let value: Value = serde_json::from_str(line).ok()?;
    value["listen"][0].as_str()?.parse().ok()
}

/// From the start of the program to `/ready`, from a snapshot of the shop; the median of twenty.
pub(crate) fn start(site: &Site) -> Result<Vec<Line>> {
    let snapshot = snapshot_of_the_shop(site)?;
    let outrigger = site.outrigger()?;
    let mut millis = Vec::new();
    for _ in 0..STARTS {
        let (running, took) = sidecar(&outrigger, &snapshot)?;
        millis.push(took.as_secs_f64() * 1000.0);
        drop(running);
    }
    millis.sort_by(f64::total_cmp);
    Ok(vec![
        Line::at_most("start-to-ready-ms", millis[STARTS / 2], 50.0, "ms"),
        Line::printed("start-to-ready-worst-ms", super::rounded(millis[STARTS - 1])),
    ])
}

/// Starts a sidecar on `snapshot` and waits for `/ready`; how long that took.
fn sidecar(outrigger: &Path, snapshot: &Path) -> Result<(Running, Duration)> {
    let admin = free_address()?;
    let mut command = Command::new(outrigger);
    command.arg("sidecar").arg("--snapshot").arg(snapshot).args(["--admin", &admin.to_string()]);
    let began = Instant::now();
    let running = Running::start(&mut command)?;
    while began.elapsed() < Duration::from_secs(10) {
        if http::get(admin, "/ready").is_ok_and(|answer| answer.status == 200) {
            return Ok((running, began.elapsed()));
        }
        // Short beside what is measured, long enough to leave the processor to the sidecar.
        std::thread::sleep(Duration::from_micros(200));
    }
    anyhow::bail!("the sidecar is not ready after 10 s: {}", running.said())
}

/// The snapshot that an instance of the shop was started from, taken while the shop ran. Its ports are free now.
fn snapshot_of_the_shop(site: &Site) -> Result<PathBuf> {
    let shop = Shop::start(site)?;
    let snapshot = site.folder("snapshot")?.join("opbox.json");
    let found = shop.snapshot("opbox")?;
    std::fs::copy(&found, &snapshot).with_context(|| format!("could not copy {}", found.display()))?;
    Ok(snapshot)
}
