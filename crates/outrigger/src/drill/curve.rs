//! One series of a report, and the questions that a transcript and a picture ask of it.

use model::Moment;
use sim::report::Report;
use std::time::Duration;

/// A series over time. Values that are not numbers (nothing was seen in that second) are passed over.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    values: Vec<f64>,
    every: f64,
}

impl Curve {
    /// The series of this name, if the report has it and anything is in it.
    pub(crate) fn of(report: &Report, name: &str) -> Option<Curve> {
        let values: Vec<f64> = report.series.get(name)?.iter().map(|v| f64::from(*v)).collect();
        let every = report.every.as_secs_f64();
        let seen = every > 0.0 && values.iter().any(|v| v.is_finite());
        seen.then_some(Curve { values, every })
    }

    /// The sum of the series `names`, as long as the longest.
    pub(crate) fn sum(report: &Report, names: impl Iterator<Item = String>) -> Option<Curve> {
        let mut sum: Option<Curve> = None;
        for curve in names.filter_map(|name| Curve::of(report, &name)) {
            let to = sum.get_or_insert_with(|| Curve { values: Vec::new(), every: curve.every });
            to.values.resize(to.values.len().max(curve.values.len()), 0.0);
            to.values
                .iter_mut()
                .zip(&curve.values)
                .for_each(|(to, v)| *to += if v.is_finite() { *v } else { 0.0 });
        }
        sum
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The moment that value `at` begins.
    pub(crate) fn moment(&self, at: usize) -> Moment {
        Moment::from_nanos((at as f64 * self.every * 1e9) as u64)
    }

    /// The value that is in force at `moment`.
    pub(crate) fn index(&self, moment: Moment) -> usize {
        ((moment.as_nanos() as f64 / 1e9 / self.every) as usize).min(self.values.len().saturating_sub(1))
    }

    /// The value at an index; not a number beyond the end.
    pub(crate) fn at(&self, index: usize) -> f64 {
        self.values.get(index).copied().unwrap_or(f64::NAN)
    }

    /// So many values as fit into `time`, at least one.
    pub(crate) fn span(&self, time: Duration) -> usize {
        ((time.as_secs_f64() / self.every).round() as usize).max(1)
    }

    /// The mean of the values from `from` to `to`.
    pub(crate) fn mean(&self, from: usize, to: usize) -> f64 {
        let to = to.min(self.values.len());
        mean(self.values.get(from.min(to)..to).unwrap_or_default())
    }

    /// The sum of the plain values: what happened was counted.
    pub(crate) fn count(&self) -> f64 {
        self.values.iter().filter(|v| v.is_finite()).sum()
    }

    /// Each value as the mean of the last `width`.
    pub(crate) fn smooth(&self, width: Duration) -> Curve {
        let width = self.span(width);
        let window = |i: usize| &self.values[(i + 1).saturating_sub(width)..=i];
        let values = (0..self.values.len()).map(|i| mean(window(i))).collect();
        Curve { values, every: self.every }
    }

    /// The median of the first `count` values.
    pub(crate) fn usual(&self, count: usize) -> f64 {
        let mut first: Vec<f64> =
            self.values.iter().take(count.max(1)).copied().filter(|v| v.is_finite()).collect();
        first.sort_by(f64::total_cmp);
        first.get(first.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Where `holds` is first true from `from` on, and then for at least `stays` values.
    pub(crate) fn first(&self, from: usize, stays: usize, holds: impl Fn(f64) -> bool) -> Option<usize> {
        let mut run = 0;
        for i in from..self.values.len() {
            run = if holds(self.values[i]) { run + 1 } else { 0 };
            if run >= stays {
                return Some(i + 1 - run);
            }
        }
        None
    }

    /// The highest value between two places and where it is.
    pub(crate) fn highest(&self, from: usize, to: usize) -> Option<(usize, f64)> {
        self.extreme(from, to, |a, b| a > b)
    }

    /// The lowest value between two places and where it is.
    pub(crate) fn lowest(&self, from: usize, to: usize) -> Option<(usize, f64)> {
        self.extreme(from, to, |a, b| a < b)
    }

    fn extreme(&self, from: usize, to: usize, better: impl Fn(f64, f64) -> bool) -> Option<(usize, f64)> {
        let to = to.min(self.values.len());
        let seen = (from..to).map(|i| (i, self.values[i])).filter(|(_, v)| v.is_finite());
        seen.reduce(|best, next| if better(next.1, best.1) { next } else { best })
    }

    /// Exactly `count` values: the means of equal stretches.
    pub(crate) fn columns(&self, count: usize) -> Vec<f64> {
        let stretch = |i: usize| {
            let from = i * self.values.len() / count;
            let to = ((i + 1) * self.values.len() / count).max(from + 1);
            self.mean(from, to)
        };
        (0..count).map(stretch).collect()
    }

    /// At most `count` points (seconds, value): the mean of each stretch, or its peak.
    pub(crate) fn points(&self, count: usize, each: Each) -> Vec<(f64, f64)> {
        let stretch = self.values.len().div_ceil(count.max(1)).max(1);
        let middle = |i: usize, len: usize| (i * stretch) as f64 * self.every + len as f64 * self.every / 2.0;
        let value = |chunk: &[f64]| match each {
            Each::Mean => mean(chunk),
            Each::Sum => chunk.iter().filter(|v| v.is_finite()).sum(),
        };
        let points = self.values.chunks(stretch).enumerate();
        points.map(|(i, chunk)| (middle(i, chunk.len()), value(chunk))).collect()
    }
}

/// What is made of the values that become one point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Each {
    /// Their mean.
    Mean,
    /// Their sum.
    Sum,
}

fn mean(values: &[f64]) -> f64 {
    let seen = values.iter().filter(|v| v.is_finite());
    let (sum, count) = seen.fold((0.0, 0_u32), |(sum, count), v| (sum + v, count + 1));
    sum / f64::from(count)
}
