//! What was measured, as data.

use super::peers::Contestant;
use super::wrk::Workload;
use serde_json::{Value, json};
use std::fs;

/// All figures of one interleaved run.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(super) machine: Machine,
    pub(super) runs: usize,
    pub(super) seconds: u32,
    /// Requests per second at which the latencies were taken.
    pub(super) rate: f64,
    pub(super) rows: Vec<Row>,
}

/// The figures of one contestant.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) contestant: Contestant,
    pub(super) version: String,
    /// One for each of `Workload::ALL`.
    pub(super) closed: [Closed; 3],
    pub(super) latency: Latency,
    pub(super) idle_mib: f64,
    pub(super) held_mib: f64,
    /// Requests that failed, over all windows: figures with failures are no figures.
    pub(super) errors: u64,
}

/// One workload in a closed loop, a sample for each run.
#[derive(Debug, Default)]
pub(super) struct Closed {
    pub(super) cpu_us: Samples,
    /// Time waited for the processor while another program had it, of the time in which it was wanted.
    pub(super) waited_share: Samples,
    pub(super) user_share: Samples,
    pub(super) per_second: Samples,
}

/// Percentiles at the fixed rate, in microseconds, a sample for each run.
#[derive(Debug, Default)]
pub(super) struct Latency {
    pub(super) p50: Samples,
    pub(super) p99: Samples,
    pub(super) p999: Samples,
}

/// One value for each run.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples(pub(super) Vec<f64>);

impl Samples {
    fn sorted(&self) -> Vec<f64> {
        let mut values = self.0.clone();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The middle one; of an even number the mean of the two in the middle.
    pub(super) fn median(&self) -> f64 {
        let values = self.sorted();
        let middle = |at: usize| values.get(at).copied().unwrap_or(f64::NAN);
        let half = values.len() / 2;
        if values.len() % 2 == 1 { middle(half) } else { (middle(half.wrapping_sub(1)) + middle(half)) / 2.0 }
    }

    pub(super) fn min(&self) -> f64 {
        self.sorted().first().copied().unwrap_or(f64::NAN)
    }

    pub(super) fn max(&self) -> f64 {
        self.sorted().last().copied().unwrap_or(f64::NAN)
    }
}

/// One contestant's processor time per request against another's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ratio {
    /// The median of the ratios within one round: what changes slowly on the machine is the same for both then, and
    /// scatters it less than a ratio of medians.
    pub(crate) value: f64,
    /// The smallest ratio within one round.
    pub(crate) min: f64,
    /// The largest ratio within one round.
    pub(crate) max: f64,
}

impl Figures {
    /// Processor time per request of one contestant against another's; `None` when either was not measured.
    pub(crate) fn ratio(&self, of: Contestant, to: Contestant, workload: Workload) -> Option<Ratio> {
        let (of, to) = (self.row(of)?.closed(workload), self.row(to)?.closed(workload));
        let pairs = of.cpu_us.0.iter().zip(&to.cpu_us.0);
        let within = Samples(pairs.map(|(of, to)| of / to).collect());
        Some(Ratio { value: within.median(), min: within.min(), max: within.max() })
    }

    /// How much of its time the most disturbed contestant had to wait for other programs: a figure of above a few
    /// percent means that something else ran on its core.
    pub(super) fn disturbed(&self) -> f64 {
        let windows = self.rows.iter().flat_map(|row| &row.closed);
        windows.map(|closed| closed.waited_share.median()).filter(|share| !share.is_nan()).fold(0.0, f64::max)
    }

    pub(super) fn row(&self, contestant: Contestant) -> Option<&Row> {
        self.rows.iter().find(|row| row.contestant == contestant)
    }

    /// The figures as JSON lines: one for each, with its name.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let mut lines = vec![json!({
            "figure": "machine", "schema": 1, "processor": self.machine.processor,
            "cores": self.machine.cores, "kernel": self.machine.kernel,
            "disturbed_share": self.disturbed(), "runs": self.runs, "seconds": self.seconds,
        })];
        for row in &self.rows {
            lines.extend(row.lines(self.rate));
        }
        for (of, to) in self.compared() {
            for workload in Workload::ALL {
                if let Some(ratio) = self.ratio(of, to, workload) {
                    lines.push(json!({
                        "figure": "cpu_ratio", "of": of, "to": to, "workload": workload,
                        "value": ratio.value, "min": ratio.min, "max": ratio.max,
                    }));
                }
            }
        }
        lines
    }

    /// Which ratios are shown: everyone's to the relay, ours to the peers with like features.
    pub(super) fn compared(&self) -> Vec<(Contestant, Contestant)> {
        use Contestant::{EnvoyFeatures, HaproxyFeatures, Outrigger, OutriggerBare, Relay};
        let everyone = self.rows.iter().map(|row| (row.contestant, Relay)).filter(|(of, _)| *of != Relay);
        let ours = [Outrigger, OutriggerBare]
            .into_iter()
            .flat_map(|ours| [HaproxyFeatures, EnvoyFeatures].map(|peer| (ours, peer)));
        everyone.chain(ours.filter(|(ours, _)| self.row(*ours).is_some())).collect()
    }
}

impl Row {
    pub(super) fn new(contestant: Contestant, version: String) -> Self {
        let (closed, latency) = (Default::default(), Latency::default());
        Self { contestant, version, closed, latency, idle_mib: 0.0, held_mib: 0.0, errors: 0 }
    }

    pub(super) fn closed(&self, workload: Workload) -> &Closed {
        let [get_32, get_128, post_32] = &self.closed;
        match workload {
            Workload::Get32 => get_32,
            Workload::Get128 => get_128,
            Workload::Post32 => post_32,
        }
    }

    pub(super) fn closed_mut(&mut self, workload: Workload) -> &mut Closed {
        let [get_32, get_128, post_32] = &mut self.closed;
        match workload {
            Workload::Get32 => get_32,
            Workload::Get128 => get_128,
            Workload::Post32 => post_32,
        }
    }

    fn lines(&self, rate: f64) -> Vec<Value> {
        let mut lines = Vec::new();
        for workload in Workload::ALL {
            let closed = self.closed(workload);
            for (name, samples) in
                [("cpu_us_per_request", &closed.cpu_us), ("throughput_per_s", &closed.per_second)]
            {
                lines.push(self.line(name, samples, json!({ "workload": workload })));
            }
        }
        for (name, samples) in
            [("p50_us", &self.latency.p50), ("p99_us", &self.latency.p99), ("p999_us", &self.latency.p999)]
        {
            lines.push(self.line(name, samples, json!({ "rate": rate })));
        }
        for (connections, mib) in [(0, self.idle_mib), (1000, self.held_mib)] {
            lines.push(self.line("rss_mib", &Samples(vec![mib]), json!({ "connections": connections })));
        }
        lines
    }

    fn line(&self, figure: &str, samples: &Samples, mut with: Value) -> Value {
        with["figure"] = figure.into();
        with["contestant"] = json!(self.contestant);
        with["version"] = json!(self.version);
        with["median"] = samples.median().into();
        with["min"] = samples.min().into();
        with["max"] = samples.max().into();
        with["errors"] = self.errors.into();
        with
    }
}

/// Where it was measured.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
}

impl Machine {
    pub(super) fn look() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let models = read("/proc/cpuinfo");
        let models = models.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Self {
            processor: models
                .map(|(_, name)| name.trim().to_owned())
                .next()
                .unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Figures of two runs in which ours costs 12 and 11 and the relay 10 and 10.
    pub(in super::super) fn sample() -> Figures {
        let row = |contestant, values: [f64; 2]| {
            let mut row = Row::new(contestant, "1.0".to_owned());
            for workload in Workload::ALL {
                row.closed_mut(workload).cpu_us = Samples(values.to_vec());
                row.closed_mut(workload).user_share = Samples(vec![0.2, 0.2]);
                row.closed_mut(workload).per_second = Samples(vec![1000.0, 3000.0]);
            }
            row.latency = Latency {
                p50: Samples(vec![100.0, 120.0]),
                p99: Samples(vec![500.0, 700.0]),
                p999: Samples(vec![900.0, 900.0]),
            };
            row
        };
        let rows = vec![row(Contestant::Relay, [10.0, 10.0]), row(Contestant::Outrigger, [12.0, 11.0])];
        let machine = Machine { processor: "P".into(), cores: 2, kernel: "6".into() };
        Figures { machine, runs: 2, seconds: 1, rate: 500.0, rows }
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(Samples(vec![9.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(Samples(vec![9.0, 1.0, 2.0, 4.0]).median(), 3.0);
        assert!(Samples(vec![]).median().is_nan());
    }

    #[test]
    fn a_ratio_is_the_median_of_those_within_rounds() {
        let mut figures = sample();
        for (row, costs) in figures.rows.iter_mut().zip([[10.0, 20.0, 10.0], [12.0, 22.0, 13.0]]) {
            row.closed_mut(Workload::Get32).cpu_us = Samples(costs.to_vec());
        }
        let ratio = figures.ratio(Contestant::Outrigger, Contestant::Relay, Workload::Get32).unwrap();
        assert!((ratio.value - 1.2).abs() < 1e-9);
        assert!((ratio.min - 1.1).abs() < 1e-9 && (ratio.max - 1.3).abs() < 1e-9);
        assert!(figures.ratio(Contestant::Outrigger, Contestant::Nginx, Workload::Get32).is_none());
    }

    #[test]
    fn lines_name_what_they_say() {
        let lines = sample().lines();
        let ratio =
            lines.iter().find(|line| line["figure"] == "cpu_ratio" && line["workload"] == "get-128").unwrap();
        assert_eq!((&ratio["of"], &ratio["to"]), (&json!("outrigger"), &json!("relay")));
        let cpu = lines.iter().find(|line| line["figure"] == "cpu_us_per_request").unwrap();
        assert_eq!((&cpu["contestant"], &cpu["median"]), (&json!("relay"), &json!(10.0)));
    }
}
