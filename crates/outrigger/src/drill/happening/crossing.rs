//! Crossings: moments at which a series passes a line that people care about.

use super::Happening;
use crate::drill::curve::Curve;
use crate::drill::words::{count, counted, figure, grown, list, percent, seconds, span, times};
use model::Moment;
use sim::report::Report;
use std::time::Duration;

/// How long something must stay beyond a line before it is told.
const STAYS: Duration = Duration::from_secs(10);

/// What things are like at the beginning.
pub(super) fn opening(report: &Report) -> Vec<Happening> {
    Look::begin(report).opening().into_iter().collect()
}

/// Everything that the series of a report tell after it.
pub(super) fn found(report: &Report) -> Vec<Happening> {
    let look = Look::begin(report);
    let mut told = Vec::new();
    look.demand(&mut told);
    look.compartments(&mut told);
    look.services(&mut told);
    look.attempts(&mut told);
    look.reloads(&mut told);
    look.success(&mut told);
    told
}

/// How a report is looked at: rates as means over `width`, the usual from the first `usual` of it.
struct Look<'a> {
    report: &'a Report,
    /// The series are noisy: rates are means over this long.
    width: Duration,
    /// How much of the beginning is taken for usual.
    usual: Duration,
    /// How long something must stay.
    stays: Duration,
}

impl<'a> Look<'a> {
    fn begin(report: &'a Report) -> Look<'a> {
        let values = report.series.values().map(Vec::len).max().unwrap_or(0);
        let lasts = report.every * values as u32;
        let between = |part: u32, least: u64, most: u64| {
            (lasts / part).clamp(Duration::from_secs(least), Duration::from_secs(most))
        };
        Look { report, width: between(60, 2, 20), usual: between(10, 5, 300), stays: STAYS.min(lasts / 20) }
    }

    fn curve(&self, name: &str) -> Option<Curve> {
        Curve::of(self.report, name).map(|c| c.smooth(self.width))
    }

    fn plain(&self, name: &str) -> Option<Curve> {
        Curve::of(self.report, name)
    }

    /// What things are like at the beginning: the median of the first while.
    fn usual(&self, curve: &Curve) -> f64 {
        curve.usual(curve.span(self.usual))
    }

    /// Where `holds` begins and stays.
    fn when(&self, curve: &Curve, from: usize, holds: impl Fn(f64) -> bool) -> Option<usize> {
        curve.first(from, curve.span(self.stays), holds)
    }

    fn opening(&self) -> Option<Happening> {
        let demand = self.curve("site.demand")?;
        let ready = |s: &String| self.plain(&format!("{s}.ready")).map_or(0.0, |c| c.at(0));
        let instances: f64 = self.report.services.iter().map(ready).filter(|v| v.is_finite()).sum();
        let mut text = format!(
            "{} requests a second; {} of {}.",
            figure(self.usual(&demand)),
            counted(instances as u64, "warm instance"),
            counted(self.report.services.len() as u64, "service")
        );
        for name in &self.report.compartments {
            if let (Some(reserved), Some(used)) = self.compartment(name) {
                let (reserved, used) = (reserved.at(0), self.usual(&used));
                text += &format!(
                    " {} of the cores of {name} are reserved, {} used.",
                    percent(reserved),
                    percent(used)
                );
            }
        }
        Some(Happening::note(demand.moment(0), text))
    }

    fn compartment(&self, name: &str) -> (Option<Curve>, Option<Curve>) {
        (self.plain(&format!("{name}.reserved")), self.curve(&format!("{name}.used")))
    }

    fn demand(&self, told: &mut Vec<Happening>) {
        let Some(demand) = self.curve("site.demand") else { return };
        let usual = self.usual(&demand);
        for (factor, at) in self.steps(&demand, &[1.5, 2.0, 3.0, 4.0].map(|f| f * usual)) {
            let (factor, rate) = (factor / usual, figure(demand.at(at)));
            let text =
                format!("Demand is {} at the beginning: {rate} requests a second.", as_high_as(factor));
            told.push(Happening::note(demand.moment(at), text));
        }
        let first = told.iter_mut().find(|h| h.text.starts_with("Demand is "));
        first.into_iter().for_each(|h| h.mark = Some("demand rises".into()));
    }

    /// Where a curve rises above each of `lines` for a while, leaving out those that it passes on the way to the next.
    fn steps(&self, curve: &Curve, lines: &[f64]) -> Vec<(f64, usize)> {
        let mut steps: Vec<(f64, usize)> = Vec::new();
        let apart = curve.span(self.width * 2);
        for line in lines.iter().filter(|line| line.is_finite() && **line > 0.0) {
            let Some(at) = self.when(curve, 0, |v| v >= *line) else { break };
            if steps.last().is_some_and(|(_, last)| at < last + apart) {
                steps.pop();
            }
            steps.push((*line, at));
        }
        steps
    }

    fn compartments(&self, told: &mut Vec<Happening>) {
        for name in &self.report.compartments {
            let (Some(reserved), Some(used)) = self.compartment(name) else { continue };
            let full = |v: f64| v >= 0.97;
            // A cluster that is full from the beginning is told there.
            let Some(at) = self.when(&reserved, 0, full).filter(|at| *at > 0) else { continue };
            let (is, of) = (percent(reserved.at(at)), percent(used.at(at)));
            let text = format!(
                "{is} of the cores of {name} are reserved, and {of} are used: there is hardly room for another instance."
            );
            told.push(Happening::mark(reserved.moment(at), format!("{name} is reserved"), text));
        }
    }

    fn services(&self, told: &mut Vec<Happening>) {
        let mut slow: Vec<Happening> = Vec::new();
        for service in &self.report.services {
            slow.extend(self.slow(service));
            told.extend(self.taken(service));
        }
        // Who is called is mostly named after who calls: of two at the same moment the later name is nearer the cause.
        slow.reverse();
        slow.sort_by_key(|h| h.at.as_nanos() / 1_000_000_000);
        // The first service that slows down is where it began; only it is marked.
        slow.iter_mut().skip(1).for_each(|h| h.mark = None);
        told.extend(slow);
        self.all_deserted(told);
    }

    fn slow(&self, service: &str) -> Option<Happening> {
        let p99 = self.plain(&format!("{service}.p99"))?;
        let usual = self.usual(&p99);
        let at = self.when(&p99, p99.span(self.usual), |v| v > 3.0 * usual)?;
        let (now, before) = (seconds(p99.at(at)), seconds(usual));
        let text =
            format!("{service} takes three times as long as it did: p99 {now}, at the beginning {before}.");
        Some(Happening::mark(p99.moment(at), format!("{service} slows down"), text))
    }

    /// When the threads of a service are all taken, and whether its processors are.
    fn taken(&self, service: &str) -> Option<Happening> {
        let threads = self.curve(&format!("{service}.threads"))?;
        let at = self.when(&threads, 0, |v| v >= 0.98)?;
        let cpu = self.curve(&format!("{service}.cpu")).map_or(f64::NAN, |c| c.at(at));
        let queue = self.curve(&format!("{service}.queue")).map_or(f64::NAN, |c| c.at(at));
        let mut text = format!("All threads of {service} are taken");
        if cpu.is_finite() {
            text += &format!(", {} of its processor time is used", percent(cpu));
        }
        if queue >= 1.0 {
            text += &format!(", and {} requests wait", count(queue));
        }
        Some(Happening::note(threads.moment(at), text + "."))
    }

    /// Services that are asked for much less than shortly before; those within a minute are told together.
    fn all_deserted(&self, told: &mut Vec<Happening>) {
        let deserted =
            self.report.services.iter().filter_map(|service| Some((self.deserted(service)?, service)));
        let mut all: Vec<_> = deserted.collect();
        all.sort_by_key(|((at, _), _)| *at);
        for some in all.chunk_by(|((a, _), _), ((b, _), _)| b.since(*a) <= Duration::from_secs(60)) {
            let word =
                |((_, lost), service): &((Moment, f64), &String)| format!("{service} by {}", percent(*lost));
            let words: Vec<String> = some.iter().map(word).collect();
            let text = format!(
                "Fewer requests arrive than at the peak, though people want no less: {}. Those who call fail before they do.",
                list(&words, 5)
            );
            told.extend(some.first().map(|((at, _), _)| Happening::note(*at, text)));
        }
    }

    /// When a service is asked for much less than shortly before although people want no less, and how much less.
    fn deserted(&self, service: &str) -> Option<(Moment, f64)> {
        let arrivals = self.curve(&format!("{service}.arrivals"))?;
        let demand = self.curve("site.demand")?;
        let back = arrivals.span(Duration::from_secs(300));
        let fallen = |i: usize| {
            let (peak, was) = arrivals.highest(i.saturating_sub(back), i)?;
            // Few requests come and go by chance: six times what chance does, as the peak is the highest of many.
            let requests = was * self.width.as_secs_f64();
            let by_chance = 6.0 * requests.sqrt() > (was - arrivals.at(i)) * self.width.as_secs_f64();
            let less = !by_chance && arrivals.at(i) < 0.75 * was && demand.at(i) > 0.95 * demand.at(peak);
            less.then_some((arrivals.moment(i), 1.0 - arrivals.at(i) / was))
        };
        (arrivals.span(self.usual)..arrivals.len()).find_map(fallen)
    }

    fn attempts(&self, told: &mut Vec<Happening>) {
        let Some(attempts) = self.curve("site.attempts") else { return };
        let lines: Vec<f64> =
            [1.5, 2.0, 3.0].into_iter().filter(|line| self.usual(&attempts) < *line).collect();
        for (n, (_, at)) in self.steps(&attempts, &lines).into_iter().enumerate() {
            let (is, more) = (times(attempts.at(at)), percent(1.0 - 1.0 / attempts.at(at)));
            let text =
                format!("Each call is tried {is} times on average: {more} of all attempts are retries.");
            let at = attempts.moment(at);
            told.push(if n == 0 {
                Happening::mark(at, "retries pile up", text)
            } else {
                Happening::note(at, text)
            });
        }
    }

    fn reloads(&self, told: &mut Vec<Happening>) {
        for clients in &self.report.clients {
            let names = (self.curve(&format!("{clients}.reloads")), self.curve(&format!("{clients}.demand")));
            let (Some(reloads), Some(demand)) = names else { continue };
            let Some(at) = (0..reloads.len()).find(|i| reloads.at(*i) > 0.2 * demand.at(*i)) else {
                continue;
            };
            let text = format!(
                "Those whose page stayed empty try again: {clients} reload {} times a second, beside {} first requests.",
                figure(reloads.at(at)),
                figure(demand.at(at))
            );
            told.push(Happening::note(reloads.moment(at), text));
        }
    }

    fn success(&self, told: &mut Vec<Happening>) {
        let Some(success) = self.curve("site.success") else { return };
        let Some(began) = self.when(&success, 0, |v| v < 0.95) else { return };
        let half = self.when(&success, began, |v| v < 0.5);
        if half.is_none_or(|half| half > began + success.span(self.width * 2)) {
            let text = "Success falls below 95 %: more than one in twenty requests of people fails.";
            told.push(Happening::note(success.moment(began), text));
        }
        if let Some(at) = half {
            let text = "Success falls below one half.";
            told.push(Happening::mark(success.moment(at), "success below 50 %", text));
        }
        let back = last_below(&success, 0.95, success.span(self.stays));
        let end = back.unwrap_or(success.len());
        if let Some((at, worst)) = success.lowest(began, end) {
            told.push(Happening::note(
                success.moment(at),
                format!("Success is at its lowest: {}.", percent(worst)),
            ));
        }
        if let Some(at) = back {
            let took = span(success.moment(at).since(success.moment(began)));
            let text = format!("Success is back above 95 %, and stays there: {took} after it fell below.");
            told.push(Happening::mark(success.moment(at), "recovered", text));
        } else {
            let last = success.len().saturating_sub(1);
            let text =
                format!("The run ends with success at {}: it has not recovered.", percent(success.at(last)));
            told.push(Happening::note(success.moment(last), text));
        }
    }
}

/// Where a curve is above `line` for good, after the last time that it was below it for `stays` values; none if it ends
/// below.
fn last_below(curve: &Curve, line: f64, stays: usize) -> Option<usize> {
    let mut after = None;
    let mut from = 0;
    while let Some(down) = curve.first(from, stays, |v| v < line) {
        let up = curve.first(down, stays, |v| v >= line)?;
        after = Some(up);
        from = up + 1;
    }
    after
}

fn as_high_as(factor: f64) -> String {
    let words = grown(factor);
    if words.ends_with(" as") { words } else { format!("{words} what it was") }
}
