//! wrk: the closed-loop load for processor time and throughput.

use super::install;
use super::process::{LOAD_CORE, pinned};
use super::workshop::Workshop;
use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Workload {
    /// GET with 12 realistic headers, 1 KiB answer, 32 connections.
    #[serde(rename = "get-32")]
    Get32,
    /// The same on 128 connections.
    #[serde(rename = "get-128")]
    Get128,
    /// POST of 4 KiB, 1 KiB answer, 32 connections.
    #[serde(rename = "post-32")]
    Post32,
}

impl Workload {
    /// All of them, in the order of the tables.
    pub(crate) const ALL: [Self; 3] = [Self::Get32, Self::Get128, Self::Post32];

    /// What tables call it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Get32 => "GET 1 KiB, 32 connections",
            Self::Get128 => "GET 1 KiB, 128 connections",
            Self::Post32 => "POST 4 KiB, 32 connections",
        }
    }

    fn connections(self) -> &'static str {
        match self {
            Self::Get32 | Self::Post32 => "32",
            Self::Get128 => "128",
        }
    }

    fn script(self, workshop: &Workshop) -> PathBuf {
        let name = match self {
            Self::Get32 | Self::Get128 => "get.lua",
            Self::Post32 => "post.lua",
        };
        workshop.root().join("bench/peers").join(name)
    }
}

/// What wrk counted in one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    pub(super) requests: u64,
    pub(super) per_second: f64,
    pub(super) errors: u64,
}

/// Sends `workload` to `address` for some seconds, as fast as the answers come.
pub(super) fn run(
    workshop: &Workshop,
    workload: Workload,
    address: SocketAddr,
    seconds: u32,
) -> Result<Window> {
    let output = pinned(LOAD_CORE, &install::system("wrk")?)
        .args(["-t1", "-c", workload.connections(), "-d", &format!("{seconds}s"), "-s"])
        .arg(workload.script(workshop))
        .arg(format!("http://{address}"))
        .output()
        .context("cannot run wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "wrk failed: {text}{}", String::from_utf8_lossy(&output.stderr));
    parse(&text).with_context(|| format!("wrk printed no figures: {text}"))
}

fn parse(text: &str) -> Option<Window> {
    let requests = text.lines().find(|line| line.contains(" requests in "))?;
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"))?;
    let refused = text.lines().find_map(|line| line.trim().strip_prefix("Non-2xx or 3xx responses:"));
    let broken = text.lines().find_map(|line| line.trim().strip_prefix("Socket errors:"));
    let broken = broken.unwrap_or_default().split([' ', ',']).filter_map(|word| word.parse::<u64>().ok());
    Some(Window {
        requests: requests.split_whitespace().next()?.parse().ok()?,
        per_second: rate.trim().parse().ok()?,
        errors: refused.map_or(Some(0), |count| count.trim().parse().ok())? + broken.sum::<u64>(),
    })
}

/// The headers that the scripts send, as `Name: value`.
pub(super) fn headers(script: &str) -> Vec<String> {
    let header = |line: &str| {
        let (name, value) = line.strip_prefix("wrk.headers[\"")?.split_once("\"]=\"")?;
        Some(format!("{name}: {}", value.strip_suffix('"')?))
    };
    script.lines().filter_map(header).collect()
}

/// The path that the scripts ask for.
pub(super) fn path(script: &str) -> Option<&str> {
    script.lines().find_map(|line| line.strip_prefix("wrk.path=\"")?.strip_suffix('"'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GOOD: &str = "Running 2s test @ http://127.0.0.1:19001\n  1 threads and 32 connections\n  \
        115490 requests in 2.00s, 122.48MB read\nRequests/sec:  57706.97\nTransfer/sec:     61.20MB\n";

    #[test]
    fn reads_what_wrk_prints() {
        let window = Window { requests: 115_490, per_second: 57_706.97, errors: 0 };
        assert_eq!(parse(GOOD), Some(window));
        assert_eq!(parse("unable to connect"), None);
    }

    #[test]
    fn answers_that_are_errors_are_counted() {
        let broken = GOOD.to_owned()
            + "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\n";
        assert_eq!(parse(&broken).unwrap().errors, 15);
    }

    #[test]
    fn the_scripts_give_their_headers_and_path() {
        let folder = crate::root().unwrap().join("bench/peers");
        for name in ["get.lua", "post.lua"] {
            let script = std::fs::read_to_string(folder.join(name)).unwrap();
            assert!(headers(&script).len() >= 10, "{name}");
            assert!(headers(&script).contains(&"X-Tenant: acme-corp".to_owned()), "{name}");
            assert_eq!(path(&script), Some("/api/v1/users/12345/orders?limit=20&offset=40"), "{name}");
        }
    }
}
