//! What a back end is told on its command line.

use crate::draw::ServiceTime;
use crate::span;
use clap::Parser;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// An HTTP/1.1 back end with fixed replies: as cheap as possible, or with
/// workers, a queue and a service time.
#[derive(Parser, Debug, Clone)]
pub struct Options {
    /// An address to listen on: 127.0.0.1:9000, a range 127.0.0.1:9000-9010, or
    /// port 0 for a free one. Each is an instance of its own; may be repeated.
    #[arg(long, required = true)]
    pub listen: Vec<String>,
    /// With a listen address of port 0: this many free ports.
    #[arg(long, default_value_t = 1)]
    pub instances: usize,
    /// Answer at once, count nothing: for measuring a proxy's processor time.
    #[arg(long)]
    pub fast: bool,
    /// Requests that one instance serves at the same time; others queue.
    #[arg(long, default_value_t = 16)]
    pub workers: usize,
    /// How many may queue at one instance; one more is answered 503.
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    pub queue: usize,
    /// Time one request takes: 167ms, 167ms±5ms (uniform; +- works too) or
    /// 167ms~5ms (normal).
    #[arg(long, default_value = "10ms", value_parser = ServiceTime::parse)]
    pub service_time: ServiceTime,
    /// A spell of slowness: INSTANCE:AT:FOR:TIME, such as 0:15s:30s:2s. AT counts
    /// from the first request. May be repeated.
    #[arg(long, value_parser = Slow::parse)]
    pub slow: Vec<Slow>,
    /// Size of a reply's body, in bytes.
    #[arg(long, default_value_t = 1024)]
    pub body_bytes: usize,
    /// Count how often each request id was executed; see GET /__counts.
    #[arg(long)]
    pub count_ids: bool,
    /// The header that carries a request's id.
    #[arg(long, default_value = "x-request-key")]
    pub id_header: String,
    /// Seed of the drawn service times.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl Options {
    /// The addresses to listen on, ranges and `--instances` written out.
    ///
    /// # Errors
    /// Names the address that cannot be read.
    pub fn addresses(&self) -> anyhow::Result<Vec<SocketAddr>> {
        let mut all = Vec::new();
        for text in &self.listen {
            all.extend(range(text).map_err(|why| anyhow::anyhow!("--listen {text}: {why}"))?);
        }
        if let [only] = all.as_slice()
            && only.port() == 0
        {
            return Ok(vec![*only; self.instances]);
        }
        anyhow::ensure!(
            self.instances == 1,
            "--instances counts free ports: give it with one --listen ADDRESS:0, or write a range"
        );
        Ok(all)
    }
}

fn range(text: &str) -> Result<Vec<SocketAddr>, String> {
    let usage = "write 127.0.0.1:9000 or 127.0.0.1:9000-9010";
    let (host, ports) = text.rsplit_once(':').ok_or(usage)?;
    let host: IpAddr = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .map_err(|_| format!("{host:?} is no IP address; {usage}"))?;
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let port = |text: &str| text.parse::<u16>().map_err(|_| format!("{text:?} is no port; {usage}"));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(format!("{first} is above {last}; {usage}"));
    }
    Ok((first..=last).map(|port| SocketAddr::new(host, port)).collect())
}

/// A spell in which one instance takes another time for every request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slow {
    /// Which instance, counted from 0 in the order of the addresses.
    pub instance: usize,
    /// When it starts, after the first request of all.
    pub at: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// The service time meanwhile.
    pub time: ServiceTime,
}

impl Slow {
    fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let [instance, at, lasts, time] = parts.as_slice() else {
            return Err("write INSTANCE:AT:FOR:TIME, such as 0:15s:30s:2s".to_owned());
        };
        Ok(Self {
            instance: instance
                .parse()
                .map_err(|_| format!("{instance:?} is no instance: they count from 0"))?,
            at: span::parse(at)?,
            lasts: span::parse(lasts)?,
            time: ServiceTime::parse(time)?,
        })
    }

    /// True while the spell lasts, `since` the first request.
    #[must_use]
    pub fn covers(&self, since: Duration) -> bool {
        (self.at..self.at + self.lasts).contains(&since)
    }
}
