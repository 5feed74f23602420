//! What became of the requests.

use super::connection::{Answer, Census};
use super::failure::Failure;
use super::options::Options;
use super::report::{Percentiles, Report};
use anyhow::Context as _;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::time::{Duration, Instant};

/// The longest time that the histograms tell apart, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;

/// Counts of a run.
pub(super) struct Tally {
    start: Instant,
    sent: u64,
    ok: u64,
    stale_retries: u64,
    answers: BTreeMap<u16, u64>,
    failures: BTreeMap<String, u64>,
    latency: Histogram<u64>,
    lag: Histogram<u64>,
    errors: Option<BufWriter<File>>,
}

impl Tally {
    pub(super) fn new(options: &Options) -> anyhow::Result<Self> {
        let file = |path: &std::path::PathBuf| {
            File::create(path).with_context(|| format!("--errors {}: cannot write", path.display()))
        };
        Ok(Self {
            start: Instant::now(),
            sent: 0,
            ok: 0,
            stale_retries: 0,
            answers: BTreeMap::new(),
            failures: BTreeMap::new(),
            latency: Histogram::new_with_bounds(1, LONGEST, 3)?,
            lag: Histogram::new_with_bounds(1, LONGEST, 3)?,
            errors: options.errors.as_ref().map(file).transpose()?.map(BufWriter::new),
        })
    }

    /// Starts the clock that the error file's times count from.
    pub(super) fn begin(&mut self, start: Instant) {
        self.start = start;
    }

    /// A request got a connection, `lag` after it was meant to leave.
    pub(super) fn left(&mut self, lag: Duration) {
        self.lag.saturating_record(micros(lag));
    }

    pub(super) fn retried_stale(&mut self) {
        self.stale_retries += 1;
    }

    /// A request that was meant to leave at `intended` is over.
    pub(super) fn settle(
        &mut self,
        id: impl FnOnce() -> String,
        intended: Instant,
        outcome: &Result<Answer, Failure>,
    ) {
        self.sent += 1;
        let took = intended.elapsed();
        match outcome {
            Ok(answer) => {
                self.ok += 1;
                *self.answers.entry(answer.status).or_default() += 1;
                self.latency.saturating_record(micros(took));
            }
            Err(failure) => self.settle_failure(&id(), intended, took, failure),
        }
    }

    fn settle_failure(&mut self, id: &str, intended: Instant, took: Duration, failure: &Failure) {
        if let Failure::Status(status, _) = failure {
            *self.answers.entry(*status).or_default() += 1;
        }
        let class = failure.class();
        if let Some(errors) = &mut self.errors {
            let line = serde_json::json!({
                "at_s": intended.saturating_duration_since(self.start).as_secs_f64(),
                "took_s": took.as_secs_f64(),
                "class": class,
                "id": id,
            });
            // A full disk must not end the run: the counts remain.
            let _ = writeln!(errors, "{line}");
        }
        *self.failures.entry(class).or_default() += 1;
    }

    pub(super) fn report(
        &mut self,
        options: &Options,
        census: &Census,
        seconds: f64,
    ) -> anyhow::Result<Report> {
        if let Some(errors) = &mut self.errors {
            errors.flush().context("--errors: cannot write")?;
        }
        Ok(Report {
            schema: 1,
            url: options.url.clone(),
            rate: options.rate,
            seconds,
            sent: self.sent,
            ok: self.ok,
            failed: self.sent - self.ok,
            success_share: if self.sent == 0 { 0.0 } else { self.ok as f64 / self.sent as f64 },
            failures: self.failures.clone(),
            answers: self.answers.clone(),
            throughput_per_s: if seconds > 0.0 { self.ok as f64 / seconds } else { 0.0 },
            latency_us: Percentiles::of(&self.latency),
            send_lag_us: Percentiles::of(&self.lag),
            stale_retries: self.stale_retries,
            connections_made: census.made.get(),
            most_connections: census.most.get(),
            processor_seconds: crate::limits::processor_seconds(),
        })
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1)
}
