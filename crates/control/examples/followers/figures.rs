//! What was measured, and its line of JSON.

/// Names and values, in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Figures(Vec<(String, f64)>);

/// Times in milliseconds.
pub(crate) struct Spread {
    p50: f64,
    p99: f64,
    worst: f64,
}

impl Spread {
    /// Of times in nanoseconds, of which there is one at least.
    pub(crate) fn of(mut nanos: Vec<u64>) -> Spread {
        nanos.sort_unstable();
        let at = |share: f64| nanos[((nanos.len() - 1) as f64 * share) as usize] as f64 / 1e6;
        Spread { p50: at(0.5), p99: at(0.99), worst: at(1.0) }
    }
}

impl Figures {
    pub(crate) fn number(&mut self, name: &str, value: f64) {
        eprintln!("{name}: {value:.3}");
        self.0.push((name.to_owned(), value));
    }

    pub(crate) fn spread(&mut self, name: &str, spread: Spread) {
        for (which, value) in [("p50", spread.p50), ("p99", spread.p99), ("worst", spread.worst)] {
            self.number(&format!("{name}_{which}"), value);
        }
    }

    pub(crate) fn to_json(&self) -> String {
        // Names are ours and need no escape; every value is a finite number.
        let members: Vec<String> = self.0.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    }
}
