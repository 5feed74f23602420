//! Many runs: the same choice with many seeds, pass lines held against each seed, policies compared.
//!
//! Runs share nothing, so each core plays one at a time; results come in the order of the seeds, whoever was first.

use crate::accept;
use crate::choice::{Choice, Component, Source};
use crate::report::{Finding, Occurrence, Report, Row, Verdict};
use model::scenario::{Acceptance, Scenario};
use model::{Moment, Share};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What plays one run.
pub type Play = fn(&Scenario, &Choice, u64) -> Report;

/// How far many runs have come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Runs that are over.
    pub done: usize,
    /// All of them.
    pub of: usize,
}

/// How many runs are played: by what, with which seeds, how many at once, and who is told.
#[derive(Clone, Copy)]
pub struct Runs<'a> {
    /// What plays one.
    pub play: Play,
    /// The seeds, one for each run.
    pub seeds: &'a [u64],
    /// So many at once; one at least.
    pub at_once: usize,
    /// Told after each run, by whichever thread played it.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

impl<'a> Runs<'a> {
    /// With these seeds, as many at once as there are cores, and nobody is told.
    pub fn new(play: Play, seeds: &'a [u64]) -> Runs<'a> {
        // tidy-allow: fence-pure, what a run comes to does not depend on how many are played at once
        let at_once = std::thread::available_parallelism().map_or(1, usize::from);
        Runs { play, seeds, at_once, progress: &|_| {} }
    }

    /// What `work` makes of each task, in their order. `done` counts the runs of one task.
    fn each<T: Sync, R: Send>(
        &self,
        tasks: &[T],
        runs_of_each: usize,
        work: impl Fn(&T) -> R + Sync,
    ) -> Vec<R> {
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let results = Mutex::new(Vec::with_capacity(tasks.len()));
        let worker = || {
            while let Some((number, task)) = take(tasks, &next) {
                let result = work(task);
                results.lock().unwrap_or_else(|e| e.into_inner()).push((number, result));
                let done = done.fetch_add(runs_of_each, Ordering::Relaxed) + runs_of_each;
                (self.progress)(Progress { done, of: tasks.len() * runs_of_each });
            }
        };
        // tidy-allow: fence-pure, runs share nothing, and their results come in the order of the tasks
        std::thread::scope(|scope| {
            for _ in 1..self.at_once.clamp(1, tasks.len().max(1)) {
                scope.spawn(worker);
            }
            worker();
        });
        let mut results = results.into_inner().unwrap_or_else(|e| e.into_inner());
        results.sort_by_key(|(number, _)| *number);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

fn take<'t, T>(tasks: &'t [T], next: &AtomicUsize) -> Option<(usize, &'t T)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    Some((number, tasks.get(number)?))
}

/// The reports of `scenario` played with `choice`, one for each seed.
pub fn swarm(scenario: &Scenario, choice: &Choice, runs: &Runs) -> Vec<Report> {
    runs.each(runs.seeds, 1, |seed| (runs.play)(scenario, choice, *seed))
}

/// What `list` finds with each seed, played with what `alter` makes of the list's own choice. If there are other seeds
/// than the list asks for, as large a share of them must pass.
pub fn verdict(
    scenario: &Scenario,
    list: &Acceptance,
    alter: &(dyn Fn(Choice) -> Choice + Sync),
    runs: &Runs,
) -> Verdict {
    let acts = accept::runs(list);
    let seeds = runs.each(runs.seeds, acts.len(), |seed| {
        let play =
            |operators: &bool| (runs.play)(scenario, &alter(choice(scenario, list, *operators)), *seed);
        let reports: Vec<Report> = acts.iter().map(play).collect();
        let mut found = accept::judge(list, &reports);
        found.extend(broken(&reports));
        (*seed, found)
    });
    let must_pass = u64::from(list.must_pass) * seeds.len() as u64;
    let must_pass = must_pass.div_ceil(u64::from(list.seeds.max(1))) as u32;
    Verdict { name: list.name.clone(), seeds, must_pass }
}

/// The choice that a list of pass lines is about.
pub fn choice(scenario: &Scenario, list: &Acceptance, operators: bool) -> Choice {
    let source = list.policies.map_or(Source::Own, |(policies, fleet)| Source::Named(policies, fleet));
    Choice::from(scenario, source).with_operators(operators)
}

/// A run that broke a promise has shown nothing: a line that does not pass, and says so.
fn broken(reports: &[Report]) -> Option<Finding> {
    let promise = reports.iter().find_map(|r| r.broken.first())?;
    let says = format!("The run keeps its promises; this one did not: {promise}");
    Some(Finding { name: "promises".to_owned(), says, value: None, passed: false })
}

/// The comparison: the scenario's own policies; what ships; what ships with each component taken from the scenario's
/// own; the scenario's own with each component that ships.
pub fn ablate(scenario: &Scenario, operators: bool, runs: &Runs) -> Vec<Row> {
    compare(scenario, &compared(scenario, operators), runs)
}

/// A row for each of `choices`, in their order.
pub fn compare(scenario: &Scenario, choices: &[Choice], runs: &Runs) -> Vec<Row> {
    let tasks: Vec<(&Choice, u64)> =
        choices.iter().flat_map(|choice| runs.seeds.iter().map(move |seed| (choice, *seed))).collect();
    let measures =
        runs.each(&tasks, 1, |(choice, seed)| Measures::of(&(runs.play)(scenario, choice, *seed), scenario));
    let rows = measures.chunks(runs.seeds.len().max(1));
    choices.iter().zip(rows).map(|(choice, measures)| row(choice.to_string(), measures)).collect()
}

/// The choices of [`ablate`], in the order of its rows.
pub fn compared(scenario: &Scenario, operators: bool) -> Vec<Choice> {
    let from = |source| Choice::from(scenario, source).with_operators(operators);
    let swapped = |base, source| Component::ALL.into_iter().map(move |c| from(base).with(c, source));
    [from(Source::Own), from(Source::DEFAULT)]
        .into_iter()
        .chain(swapped(Source::DEFAULT, Source::Own))
        .chain(swapped(Source::Own, Source::DEFAULT))
        .collect()
}

/// What a run came to, over the scenario's window of trouble.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Measures {
    /// The share of people's requests, sent in the window, that got a useful answer; all if none was sent.
    pub availability: Share,
    /// Minutes of the window in which fewer than half of those sent in the last ten seconds did.
    pub minutes_below_half: f64,
    /// Instances that the watchdog killed, in the whole run.
    pub kills: u64,
    /// Attempts for each call in the window; 1 if there was none.
    pub attempts: f64,
    /// Instances that could not be placed: the most at any one time.
    pub unplaced: u64,
}

impl Measures {
    /// What `report` came to; `scenario` says in which window.
    pub fn of(report: &Report, scenario: &Scenario) -> Measures {
        let window = scenario.trouble.unwrap_or((Moment::ZERO, Moment::ZERO.after(scenario.lasts)));
        let series = |name: &str| within(report, name, window);
        let of = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 1.0 };
        let sum = |values: &[f32]| values.iter().copied().map(f64::from).sum::<f64>();
        let calls = series("site.calls");
        let attempts = series("site.attempts").iter().zip(calls).filter(|(_, calls)| **calls > 0.0);
        let attempts: f64 = attempts.map(|(attempts, calls)| f64::from(*attempts) * f64::from(*calls)).sum();
        let availability = of(sum(series("site.useful")), sum(series("site.demand")));
        let below = series("site.success").iter().filter(|success| **success < 0.5).count();
        Measures {
            availability: Share::new(availability.clamp(0.0, 1.0)).unwrap_or(Share::NONE),
            minutes_below_half: below as f64 * report.every.as_secs_f64() / 60.0,
            kills: report.log.iter().filter(|e| matches!(e.what, Occurrence::Killed { .. })).count() as u64,
            attempts: of(attempts, sum(calls)),
            unplaced: most_unplaced(report),
        }
    }
}

fn within<'r>(report: &'r Report, name: &str, (from, to): (Moment, Moment)) -> &'r [f32] {
    let values = report.series.get(name).map_or(&[][..], Vec::as_slice);
    let every = (report.every.as_nanos() as u64).max(1);
    let place = |at: Moment| ((at.as_nanos() / every) as usize).min(values.len());
    let window: Range<usize> = place(from)..place(to).max(place(from));
    &values[window]
}

fn most_unplaced(report: &Report) -> u64 {
    let lacking: Vec<&Vec<f32>> =
        report.series.iter().filter(|(name, _)| name.ends_with(".unplaced")).map(|(_, v)| v).collect();
    let seconds = lacking.iter().map(|v| v.len()).max().unwrap_or(0);
    let at = |second: usize| lacking.iter().filter_map(|v| v.get(second)).map(|n| *n as u64).sum();
    (0..seconds).map(at).max().unwrap_or(0)
}

/// Median (of an even number, the worse of the two in the middle) and worst of each measure.
fn row(policies: String, measures: &[Measures]) -> Row {
    let least = |of: fn(&Measures) -> f64| {
        let (median, worst) = median_and_worst(measures.iter().map(|m| -of(m)));
        let share = |n: f64| Share::new(-n).unwrap_or(Share::NONE);
        (share(median), share(worst))
    };
    let most = |of: fn(&Measures) -> f64| median_and_worst(measures.iter().map(of));
    let count = |of: fn(&Measures) -> f64| {
        let (median, worst) = most(of);
        (median as u64, worst as u64)
    };
    Row {
        policies,
        availability: least(|m| m.availability.part()),
        minutes_below_half: most(|m| m.minutes_below_half),
        kills: count(|m| m.kills as f64),
        attempts: most(|m| m.attempts),
        unplaced: count(|m| m.unplaced as f64),
    }
}

/// Of numbers of which the highest is the worst.
fn median_and_worst(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    (median, sorted.last().copied().unwrap_or(0.0))
}

#[cfg(test)]
mod tests;
