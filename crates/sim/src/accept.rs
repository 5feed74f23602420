//! Pass lines held against a run: what was seen, and whether that is right.
//!
//! A value of a series is about the time from its second to the next, so a window has the seconds that begin in it, and
//! the one that it begins in. What is not a number (a share of nothing) is left out of sums and means, and is neither
//! above nor below anything. A series that the run does not have passes nothing.

use crate::report::{Finding, Report, Value};
use model::Moment;
use model::scenario::{Acceptance, Bound, PassLine, Take};
use std::ops::Range;
use std::time::Duration;

/// What was found for each line of `list`, in its order. Each line is held against the report of a run in which the
/// operators acted, or did not, as the line wants it; [`runs`] says which runs that takes. A line whose run is not
/// among `reports` does not pass.
pub fn judge(list: &Acceptance, reports: &[Report]) -> Vec<Finding> {
    list.lines.iter().map(|line| find(line, reports, line.operators.unwrap_or(list.operators))).collect()
}

/// Whether the operators act, for each of the one or two runs that `list` is held against: its own way first.
pub fn runs(list: &Acceptance) -> Vec<bool> {
    let other = list.lines.iter().any(|line| line.operators == Some(!list.operators));
    if other { vec![list.operators, !list.operators] } else { vec![list.operators] }
}

fn find(line: &PassLine, reports: &[Report], operators: bool) -> Finding {
    let series = reports.iter().find(|r| r.operators == operators).and_then(|r| Series::of(r, line));
    let value = series.as_ref().and_then(|s| s.take(line.take));
    let passed = series.is_some() && within(value, line.bound);
    Finding { name: line.name.clone(), says: line.says.clone(), value, passed }
}

/// Series are kept with seven digits: equal to a bound within that is within the bound.
fn within(value: Option<Value>, bound: Bound) -> bool {
    match (value, bound) {
        (Some(Value::Number(n)), Bound::Number(from, to)) => {
            let slack = n.abs() * 1e-6;
            from <= n + slack && n - slack <= to
        }
        (Some(Value::Time(at)), Bound::Time(from, to)) => from <= at && at <= to,
        (Some(Value::Time(at)), Bound::NotBefore(from)) => at >= from,
        (None, Bound::NotBefore(_)) => true,
        _ => false,
    }
}

/// A series as its line looks at it.
struct Series {
    values: Vec<f64>,
    every: Duration,
}

impl Series {
    /// None if there is no such series, or nothing in the window that it is relative to.
    fn of(report: &Report, line: &PassLine) -> Option<Series> {
        let values = report.series.get(&line.series)?.iter().map(|v| f64::from(*v)).collect();
        let mut series = Series { values, every: report.every };
        if let Some((from, to)) = line.relative_to {
            let usual = series.mean(from, to).filter(|mean| *mean > 0.0)?;
            series.values.iter_mut().for_each(|v| *v /= usual);
        }
        Some(series)
    }

    fn take(&self, take: Take) -> Option<Value> {
        let number = |n: Option<f64>| n.map(Value::Number);
        match take {
            Take::At(at) => number(self.values.get(self.place(at)).copied().filter(|v| !v.is_nan())),
            Take::Most(from, to) => number(self.numbers(from, to).reduce(f64::max)),
            Take::Least(from, to) => number(self.numbers(from, to).reduce(f64::min)),
            Take::Mean(from, to) => number(self.mean(from, to)),
            Take::Total(from, to) => number(Some(self.numbers(from, to).sum())),
            Take::Fall(from, to) => number(self.fall(from, to)),
            Take::Above(bar, stays) => self.time(self.first(0, stays, |v| v > bar)),
            Take::Below(bar, stays) => self.time(self.first(0, stays, |v| v < bar)),
            Take::BackAbove(bar, stays) => self.time(self.back_above(bar, stays)),
        }
    }

    fn mean(&self, from: Moment, to: Moment) -> Option<f64> {
        let (sum, count) = self.numbers(from, to).fold((0.0, 0u32), |(sum, n), v| (sum + v, n + 1));
        (count > 0).then(|| sum / f64::from(count))
    }

    /// Which share of its highest mean over a minute is lost after it: single seconds rise and fall by chance.
    fn fall(&self, from: Moment, to: Moment) -> Option<f64> {
        let numbers: Vec<f64> = self.numbers(from, to).collect();
        let minute = self.length(Duration::from_secs(60)).clamp(1, numbers.len().max(1));
        let mean = |some: &[f64]| some.iter().sum::<f64>() / minute as f64;
        let values: Vec<f64> = numbers.windows(minute).map(mean).collect();
        let top = values.iter().copied().reduce(f64::max).filter(|top| *top > 0.0)?;
        let least = values.into_iter().skip_while(|v| *v < top).reduce(f64::min)?;
        Some((top - least) / top)
    }

    fn back_above(&self, bar: f64, stays: Duration) -> Option<usize> {
        let long = self.length(stays);
        let below = |range: Range<usize>| range.into_iter().all(|i| self.values[i] < bar);
        let last = (0..=self.values.len().checked_sub(long)?).rev().find(|i| below(*i..*i + long))?;
        self.first(last + long, stays, |v| v > bar)
    }

    /// The first place from `from` on where all values hold for as long as `stays`; one at least.
    fn first(&self, from: usize, stays: Duration, holds: impl Fn(f64) -> bool) -> Option<usize> {
        let long = self.length(stays);
        let mut held = 0;
        for (place, value) in self.values.iter().enumerate().skip(from) {
            held = if holds(*value) { held + 1 } else { 0 };
            if held == long {
                return Some(place + 1 - long);
            }
        }
        None
    }

    fn length(&self, stays: Duration) -> usize {
        stays.as_nanos().div_ceil(self.every.as_nanos().max(1)).max(1) as usize
    }

    fn numbers(&self, from: Moment, to: Moment) -> impl Iterator<Item = f64> + '_ {
        let end = to.as_nanos().div_ceil(self.nanos()) as usize;
        let begin = self.place(from).min(self.values.len());
        // A window without length is the second that it is in.
        let end = end.max(begin + 1).min(self.values.len());
        self.values[begin.min(end)..end].iter().copied().filter(|v| !v.is_nan())
    }

    fn place(&self, at: Moment) -> usize {
        (at.as_nanos() / self.nanos()) as usize
    }

    fn nanos(&self) -> u64 {
        (self.every.as_nanos() as u64).max(1)
    }

    fn time(&self, place: Option<usize>) -> Option<Value> {
        place.map(|place| Value::Time(Moment::from_nanos(place as u64 * self.nanos())))
    }
}

#[cfg(test)]
mod tests;
