//! What is counted of every request, and how Prometheus reads it.
//!
//! Counters are arrays of atomics that exist before the first request: counting allocates nothing, and a label never
//! carries what a client chose. A scrape prints only what is not zero.

use http1::Method;
use model::{Direction, Reason};
use policy::Census;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the duration histogram in seconds: those of OpenTelemetry's HTTP conventions.
const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const BOUNDS_NANOS: [u64; 14] = [
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    75_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    750_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    7_500_000_000,
    10_000_000_000,
];

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "_OTHER"];
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
const REASONS: usize = Reason::ALL.len();

fn method_index(method: Method) -> usize {
    match method {
        Method::Get => 0,
        Method::Head => 1,
        Method::Post => 2,
        Method::Put => 3,
        Method::Delete => 4,
        Method::Options => 5,
        Method::Patch => 6,
        Method::Trace => 7,
        Method::Other => 8,
    }
}

fn zeros<const N: usize>() -> [AtomicU64; N] {
    std::array::from_fn(|_| AtomicU64::new(0))
}

/// What is counted for one service and direction.
#[derive(Debug)]
pub(crate) struct Counts {
    answers: [[AtomicU64; CLASSES.len()]; METHODS.len()],
    refusals: [[AtomicU64; REASONS]; METHODS.len()],
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
    attempts: [AtomicU64; 3],
}

/// How a request ended, as far as counting goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Outcome {
    /// The status that the caller got; none where it went away before one.
    pub(crate) status: Option<u16>,
    /// The reason, if it was a refusal.
    pub(crate) reason: Option<Reason>,
    /// From the end of the request's head to the end of the answer.
    pub(crate) took: Duration,
}

/// Why an attempt was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AttemptKind {
    First,
    Retry,
    Hedge,
}

impl Default for Counts {
    fn default() -> Counts {
        Counts {
            answers: std::array::from_fn(|_| zeros()),
            refusals: std::array::from_fn(|_| zeros()),
            buckets: zeros(),
            nanos: AtomicU64::new(0),
            attempts: zeros(),
        }
    }
}

impl Counts {
    /// Counts a request that has ended.
    pub(crate) fn settle(&self, method: Method, outcome: &Outcome) {
        let method = method_index(method);
        let cell = match outcome.reason {
            Some(reason) => self.refusals.get(method).and_then(|row| row.get(reason as usize)),
            None => {
                let class = outcome.status.map_or(0, |status| usize::from(status / 100).min(5));
                self.answers.get(method).and_then(|row| row.get(class))
            }
        };
        add(cell, 1);
        let nanos = u64::try_from(outcome.took.as_nanos()).unwrap_or(u64::MAX);
        add(self.buckets.get(bucket_of(nanos)), 1);
        self.nanos.fetch_add(nanos, Relaxed);
    }

    /// Counts an attempt that begins.
    pub(crate) fn attempt(&self, kind: AttemptKind) {
        add(self.attempts.get(kind as usize), 1);
    }

    /// Counts all that `other` has counted.
    pub(crate) fn add(&self, other: &Counts) {
        self.cells().zip(other.cells()).for_each(|(to, from)| add(Some(to), from.load(Relaxed)));
    }

    fn cells(&self) -> impl Iterator<Item = &AtomicU64> {
        let requests = self.answers.iter().flatten().chain(self.refusals.iter().flatten());
        requests.chain(&self.buckets).chain([&self.nanos]).chain(&self.attempts)
    }

    fn attempted(&self) -> bool {
        self.attempts.iter().any(|count| count.load(Relaxed) > 0)
    }

    /// Requests that have ended, however they did.
    pub(crate) fn total(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Relaxed)).sum()
    }

    /// Refusals for `reason`.
    pub(crate) fn refused(&self, reason: Reason) -> u64 {
        self.refusals.iter().filter_map(|row| row.get(reason as usize)).map(|c| c.load(Relaxed)).sum()
    }
}

#[inline(never)]
fn bucket_of(nanos: u64) -> usize {
    BOUNDS_NANOS.iter().position(|bound| nanos <= *bound).unwrap_or(BOUNDS.len())
}

fn add(cell: Option<&AtomicU64>, count: u64) {
    if let Some(cell) = cell {
        cell.fetch_add(count, Relaxed);
    }
}

/// A text page of metrics in the format that Prometheus reads.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
}

/// A service and direction with what was counted for it.
pub(crate) struct Counted<'a> {
    pub(crate) direction: Direction,
    pub(crate) service: &'a str,
    pub(crate) counts: &'a Counts,
    /// How its books stand, where it has some.
    pub(crate) census: Option<Census>,
}

impl Page {
    /// Begins a metric.
    pub(crate) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP outrigger_{name} {help}\n# TYPE outrigger_{name} {kind}");
    }

    /// One value; `labels` as they stand between the braces.
    pub(crate) fn value(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = match labels {
            "" => writeln!(self.text, "outrigger_{name} {value}"),
            _ => writeln!(self.text, "outrigger_{name}{{{labels}}} {value}"),
        };
    }

    /// The page.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// All that is counted per request.
    pub(crate) fn requests(&mut self, all: &[Counted<'_>]) {
        self.family("requests_total", "counter", "Requests that ended, by what they ended with.");
        for of in all {
            self.requests_of(of);
        }
        self.family("refusals_total", "counter", "Requests that were refused here, by reason.");
        for of in all {
            for reason in Reason::ALL {
                let count = of.counts.refused(reason);
                if count > 0 {
                    let labels = format!("{},reason=\"{}\"", of.labels(), reason.word());
                    self.value("refusals_total", &labels, count);
                }
            }
        }
        self.family("attempts_total", "counter", "Attempts at instances.");
        for of in all.iter().filter(|of| of.counts.attempted()) {
            for (outcome, count) in ["first", "retry", "hedge"].into_iter().zip(&of.counts.attempts) {
                let labels = format!("service=\"{}\",outcome=\"{outcome}\"", of.service);
                if of.direction == Direction::Outbound {
                    self.value("attempts_total", &labels, count.load(Relaxed));
                }
            }
        }
        self.family(
            "request_duration_seconds",
            "histogram",
            "From a request's head to the end of its answer.",
        );
        for of in all.iter().filter(|of| of.counts.total() > 0) {
            self.durations_of(of);
        }
    }

    fn requests_of(&mut self, of: &Counted<'_>) {
        let rows = METHODS.iter().zip(of.counts.answers.iter().zip(&of.counts.refusals));
        for (method, (answers, refusals)) in rows {
            for (class, count) in CLASSES.iter().zip(answers) {
                self.request_line(of, method, class, "", count.load(Relaxed));
            }
            for (reason, count) in Reason::ALL.iter().zip(refusals) {
                let class = CLASSES.get(usize::from(reason.status() / 100)).unwrap_or(&"none");
                self.request_line(of, method, class, reason.word(), count.load(Relaxed));
            }
        }
    }

    fn request_line(&mut self, of: &Counted<'_>, method: &str, class: &str, reason: &str, count: u64) {
        if count > 0 {
            let labels = format!(
                "{},route=\"default\",method=\"{method}\",code_class=\"{class}\",reason=\"{reason}\"",
                of.labels()
            );
            self.value("requests_total", &labels, count);
        }
    }

    fn durations_of(&mut self, of: &Counted<'_>) {
        let labels = format!("{},route=\"default\"", of.labels());
        let mut sum = 0;
        for (i, bucket) in of.counts.buckets.iter().enumerate() {
            sum += bucket.load(Relaxed);
            let bound = BOUNDS.get(i).map_or("+Inf".to_owned(), f64::to_string);
            self.value("request_duration_seconds_bucket", &format!("{labels},le=\"{bound}\""), sum);
        }
        let seconds = of.counts.nanos.load(Relaxed) as f64 / 1e9;
        self.value("request_duration_seconds_sum", &labels, seconds);
        self.value("request_duration_seconds_count", &labels, sum);
    }
}

impl Counted<'_> {
    /// Of a histogram: the buckets, sum and count.
    const DURATIONS: usize = BOUNDS.len() + 3;
    /// Of the books: slots, queue and limit, the states of endpoints, the retry budget.
    const BOOKS: usize = 9;
    const ATTEMPTS: usize = 3;
    /// If all happened to it that can.
    pub(crate) const SERIES_AT_MOST: usize = METHODS.len() * (CLASSES.len() + REASONS)
        + REASONS
        + Counted::DURATIONS
        + Counted::BOOKS
        + Counted::ATTEMPTS;

    /// How many series it has at most, as it stands.
    pub(crate) fn series(&self) -> usize {
        let counts = self.counts;
        let requests = counts.answers.iter().flatten().chain(counts.refusals.iter().flatten());
        let requests = requests.filter(|count| count.load(Relaxed) > 0).count();
        let refusals = Reason::ALL.into_iter().filter(|reason| counts.refused(*reason) > 0).count();
        let durations = if counts.total() > 0 { Counted::DURATIONS } else { 0 };
        let attempts = if counts.attempted() { Counted::ATTEMPTS } else { 0 };
        let books = if self.census.is_some() { Counted::BOOKS } else { 0 };
        requests + refusals + durations + attempts + books
    }

    pub(crate) fn labels(&self) -> String {
        format!("direction=\"{}\",service=\"{}\"", self.direction.word(), self.service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_tables_of_bounds_agree() {
        for (seconds, nanos) in BOUNDS.iter().zip(BOUNDS_NANOS) {
            assert_eq!((seconds * 1e9).round() as u64, nanos);
        }
    }

    #[test]
    fn a_page_tells_answers_refusals_and_durations_apart() {
        let counts = Counts::default();
        let took = Duration::from_millis(30);
        counts.settle(Method::Get, &Outcome { status: Some(200), reason: None, took });
        let reason = Some(Reason::NoInstances);
        counts.settle(Method::Post, &Outcome { status: Some(503), reason, took });
        counts.settle(Method::Get, &Outcome { status: None, reason: None, took });
        let mut page = Page::default();
        page.requests(&[Counted {
            direction: Direction::Outbound,
            service: "item",
            counts: &counts,
            census: None,
        }]);
        let text = page.finish();
        let base = "direction=\"outbound\",service=\"item\",route=\"default\"";
        for line in [
            format!("outrigger_requests_total{{{base},method=\"GET\",code_class=\"2xx\",reason=\"\"}} 1"),
            format!("outrigger_requests_total{{{base},method=\"GET\",code_class=\"none\",reason=\"\"}} 1"),
            format!("{base},method=\"POST\",code_class=\"5xx\",reason=\"no-instances\"}} 1"),
            format!("outrigger_request_duration_seconds_bucket{{{base},le=\"0.025\"}} 0"),
            format!("outrigger_request_duration_seconds_bucket{{{base},le=\"0.05\"}} 3"),
            format!("outrigger_request_duration_seconds_count{{{base}}} 3"),
        ] {
            assert!(text.contains(&line), "{line}\nis missing in\n{text}");
        }
    }
}
