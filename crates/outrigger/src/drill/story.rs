//! What a drill gave, before it is rendered: one run or two side by side, and what was asked for beside them.

use super::figures::Figures;
use super::words::percent;
use model::scenario::Scenario;
use sim::report::{Report, Row, Verdict};
use std::time::Duration;

/// What a drill gave.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Story {
    /// What was played, at the scale at which it was played.
    pub(crate) scenario: Scenario,
    /// The run that the drill is about.
    pub(crate) run: Report,
    /// The run beside it.
    pub(crate) beside: Option<Report>,
    /// Policies compared over all seeds: these two, and with `--ablate` each part of them.
    pub(crate) rows: Vec<Row>,
    /// Lists of pass lines held against all seeds.
    pub(crate) verdicts: Vec<Verdict>,
    /// The first seed and how many there are.
    pub(crate) seeds: (u64, u64),
    /// How long all of it took.
    pub(crate) took: Duration,
    /// What is typed to see the same again.
    pub(crate) command: String,
}

impl Story {
    /// The runs, the one that it is about first.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Report> {
        std::iter::once(&self.run).chain(&self.beside)
    }

    /// The figures of the runs, in the same order.
    pub(crate) fn figures(&self) -> Vec<Figures> {
        self.runs().map(|run| Figures::of(run, &self.scenario)).collect()
    }

    /// The part of the day that figures are about, in words.
    pub(crate) fn window(&self) -> String {
        let (from, to) = super::figures::window(&self.scenario);
        format!("{} to {}", self.scenario.starts.at(from), self.scenario.starts.at(to))
    }

    /// What a run played with, in a few words: the policies, and whether people acted where they could.
    pub(crate) fn title(&self, run: &Report) -> String {
        let acted = if run.operators { "operators act" } else { "nobody acts" };
        if self.scenario.operators.is_empty() {
            run.policies.clone()
        } else {
            format!("{}, {acted}", run.policies)
        }
    }

    /// The same within a sentence.
    pub(crate) fn played(&self, run: &Report) -> String {
        let acted = if run.operators { "operators acting" } else { "nobody acting" };
        let policies = format!("the policies {}", run.policies);
        if self.scenario.operators.is_empty() { policies } else { format!("{policies} and {acted}") }
    }

    /// The run that the drill is about, in a line.
    pub(crate) fn heading(&self) -> String {
        let size = if self.run.scale == 1.0 {
            String::new()
        } else {
            format!(", at {} of its size", percent(self.run.scale))
        };
        format!("{}: {}; seed {}{size}", self.run.scenario, self.title(&self.run), self.run.seed)
    }

    /// Whether everything is as it should be: lists of pass lines hold, and no run broke a promise.
    pub(crate) fn is_well(&self) -> bool {
        self.verdicts.iter().all(|v| v.passed() >= v.must_pass as usize)
            && self.runs().all(|r| r.broken.is_empty())
    }
}
