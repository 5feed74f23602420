//! What a run came to, in a few figures: what a table beside another run shows.

use super::curve::Curve;
use super::words::{count, percent, seconds, times};
use model::Moment;
use model::scenario::Scenario;
use sim::ablate::Measures;
use sim::report::{Outcome, Report};

/// What a run came to.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Figures {
    /// Share of people's requests that got a useful answer, over the window of trouble.
    pub(crate) availability: f64,
    /// The lowest of that over ten seconds.
    pub(crate) worst: f64,
    /// Minutes in which it was below one half.
    pub(crate) minutes_below_half: f64,
    /// The 99th percentile of useful answers to people, the highest of the window in seconds.
    pub(crate) p99: f64,
    /// Attempts for each call over the window.
    pub(crate) attempts: f64,
    /// Kills by the watchdog.
    pub(crate) kills: u64,
    /// Of them, instances that had made progress a moment before.
    pub(crate) progressing_killed: u64,
    /// Instances that found no room, the most at once.
    pub(crate) unplaced: u64,
    /// Breakers that began to rest.
    pub(crate) rests: f64,
    /// Used by reserved, over the window, the compartments together.
    pub(crate) used_of_reserved: f64,
}

/// The part of a run that figures are about: the scenario's window of trouble, or all of it.
pub(crate) fn window(scenario: &Scenario) -> (Moment, Moment) {
    scenario.trouble.unwrap_or((Moment::ZERO, Moment::ZERO.after(scenario.lasts)))
}

impl Figures {
    /// The figures of `run`, which played `scenario`.
    pub(crate) fn of(run: &Report, scenario: &Scenario) -> Figures {
        let window = window(scenario);
        let measures = Measures::of(run, scenario);
        let least = |c: &Curve, from, to| c.lowest(from, to).map_or(f64::NAN, |(_, v)| v);
        let most = |c: &Curve, from, to| c.highest(from, to).map_or(f64::NAN, |(_, v)| v);
        Figures {
            availability: measures.availability.part(),
            worst: within(run, "site.success", window, least),
            minutes_below_half: measures.minutes_below_half,
            p99: within(run, "site.p99", window, most),
            attempts: measures.attempts,
            kills: measures.kills,
            progressing_killed: progressing(run),
            unplaced: measures.unplaced,
            rests: Curve::of(run, "site.rests").map_or(0.0, |c| c.count()),
            used_of_reserved: mean_of_compartments(run, "used", window)
                / mean_of_compartments(run, "reserved", window),
        }
    }

    /// The rows of a table: what, and the figure in words.
    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        vec![
            ("people served", percent(self.availability)),
            ("worst ten seconds", percent(self.worst)),
            ("minutes below one half", format!("{:.1}", self.minutes_below_half)),
            ("slowest p99", seconds(self.p99)),
            ("attempts for each call", times(self.attempts)),
            ("kills by the watchdog", count(self.kills as f64)),
            ("  of instances that made progress", count(self.progressing_killed as f64)),
            ("instances without room, at most", count(self.unplaced as f64)),
            ("breakers that rested", count(self.rests)),
            ("used of what is reserved", percent(self.used_of_reserved)),
        ]
    }
}

fn within(
    run: &Report,
    name: &str,
    window: (Moment, Moment),
    of: impl Fn(&Curve, usize, usize) -> f64,
) -> f64 {
    Curve::of(run, name)
        .map_or(f64::NAN, |c| of(&c, c.index(window.0), c.index(window.1).max(c.index(window.0) + 1)))
}

fn mean_of_compartments(run: &Report, what: &str, window: (Moment, Moment)) -> f64 {
    let means =
        run.compartments.iter().map(|c| within(run, &format!("{c}.{what}"), window, |c, a, b| c.mean(a, b)));
    means.filter(|m| m.is_finite()).sum()
}

fn progressing(run: &Report) -> u64 {
    let of = |s: &String| Curve::of(run, &format!("{s}.progressing-killed")).map_or(0.0, |c| c.count());
    run.services.iter().map(of).sum::<f64>() as u64
}

/// Requests that Outrigger refused, by reason, the most frequent first.
pub(crate) fn refusals(run: &Report) -> Vec<(&'static str, u64)> {
    let of = |(outcome, n): (&Outcome, &u64)| match outcome {
        Outcome::Success | Outcome::Unfinished => None,
        other => Some((other.word(), *n)),
    };
    let mut all: Vec<_> = run.outcomes.iter().filter_map(of).filter(|(_, n)| *n > 0).collect();
    all.sort_by_key(|(word, n)| (u64::MAX - n, *word));
    all
}
