//! What a run found, for people and for programs.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// The result of a run; as JSON this is what `-o json` prints.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of this shape.
    pub schema: u32,
    /// What was asked for.
    pub url: String,
    /// Requests per second that were asked for; none in a closed loop.
    pub rate: Option<f64>,
    /// Length of the run, in seconds: what the throughput is divided by.
    pub seconds: f64,
    /// Requests that were meant to leave.
    pub sent: u64,
    /// Requests with a whole answer below 400, in time.
    pub ok: u64,
    /// All others.
    pub failed: u64,
    /// `ok` of `sent`, from 0 to 1.
    pub success_share: f64,
    /// Failed requests by class.
    pub failures: BTreeMap<String, u64>,
    /// Whole answers by status.
    pub answers: BTreeMap<u16, u64>,
    /// Successful requests per second.
    pub throughput_per_s: f64,
    /// Latency of the successful requests, in microseconds, from the moment at
    /// which each was meant to leave (in a closed loop: at which it left).
    pub latency_us: Percentiles,
    /// How much later than meant requests got a connection: large values mean
    /// that the load itself was too slow or ran out of connections.
    pub send_lag_us: Percentiles,
    /// Requests sent once more because a kept connection was closed.
    pub stale_retries: u64,
    /// Connections that were made.
    pub connections_made: u64,
    /// The most that were open or being opened at one time.
    pub most_connections: usize,
    /// Processor time of the load itself, in seconds.
    pub processor_seconds: f64,
}

/// Percentiles of a distribution; all zero when it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half are below.
    pub p50: u64,
    /// 90 % are below.
    pub p90: u64,
    /// 99 % are below.
    pub p99: u64,
    /// 99.9 % are below.
    pub p999: u64,
    /// The largest.
    pub max: u64,
    /// The mean.
    pub mean: f64,
}

impl Percentiles {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
            mean: histogram.mean(),
        }
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |us: u64| us as f64 / 1e3;
        write!(
            f,
            "p50 {:.3} ms, p90 {:.3} ms, p99 {:.3} ms, p999 {:.3} ms, max {:.3} ms",
            ms(self.p50),
            ms(self.p90),
            ms(self.p99),
            ms(self.p999),
            ms(self.max)
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} for {:.1} s", self.url, self.seconds)?;
        writeln!(
            f,
            "requests    {} sent, {} ok, {} failed ({:.4} % ok), {:.0}/s",
            self.sent,
            self.ok,
            self.failed,
            self.success_share * 100.0,
            self.throughput_per_s
        )?;
        writeln!(f, "latency     {}", self.latency_us)?;
        writeln!(f, "send lag    {}", self.send_lag_us)?;
        writeln!(f, "connections {} made, at most {} open", self.connections_made, self.most_connections)?;
        for (class, count) in &self.failures {
            writeln!(f, "failed      {count} {class}")?;
        }
        Ok(())
    }
}
