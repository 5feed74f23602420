//! Two reports made by hand, an outage and the same day without one: what rendering is tested with.

use super::story::Story;
use model::scenario::{Action, Deed, Network, Scenario};
use model::{FleetPreset, Moment, Preset, Reason, Share, TimeOfDay};
use sim::report::{Entry, Occurrence, Outcome, Report};
use std::time::Duration;

const SECONDS: usize = 40 * 60;

/// An outage of twenty minutes with two services in one compartment.
pub(crate) fn outage() -> Report {
    let mut report = calm();
    report.policies = "allegro-2018".into();
    report.operators = true;
    let bad = |t: usize| (600..1500).contains(&t);
    series(&mut report, "site.success", |t| if bad(t) { 0.3 } else { 1.0 });
    series(&mut report, "site.goodput", |t| demand(t) * if bad(t) { 0.3 } else { 1.0 });
    series(&mut report, "site.useful", |t| demand(t) * if bad(t) { 0.3 } else { 1.0 });
    series(&mut report, "site.attempts", |t| if bad(t) { 2.7 } else { 1.01 });
    series(&mut report, "site.p99", |t| if bad(t) { 7.8 } else { 0.4 });
    series(&mut report, "people.reloads", |t| if bad(t) { 60.0 } else { 0.0 });
    series(&mut report, "search.p99", |t| if (540..1500).contains(&t) { 1.0 } else { 0.12 });
    series(&mut report, "search.threads", |t| if bad(t) { 1.0 } else { 0.4 });
    series(&mut report, "search.queue", |t| if bad(t) { 900.0 } else { 0.0 });
    series(&mut report, "main.reserved", |t| if t >= 560 { 0.985 } else { 0.9 });
    series(&mut report, "opbox.kills", |t| if (700..1200).contains(&t) && t % 30 == 0 { 1.0 } else { 0.0 });
    for (t, instance) in (700..1200).step_by(30).zip(0..) {
        let young = if instance > 8 { 12 } else { 3000 };
        let healthy_for = Duration::from_secs(young);
        log(&mut report, t, Occurrence::Killed { service: 0, instance, reason: "unresponsive", healthy_for });
    }
    log(&mut report, 500, Occurrence::Scaled { service: 1, from: 20, to: 22, reason: "cpu-above-target" });
    log(&mut report, 610, Occurrence::Unplaced { service: 1, count: 2, reason: "no-room" });
    log(&mut report, 900, Occurrence::Unplaced { service: 1, count: 3, reason: "no-room" });
    log(&mut report, 300, Occurrence::Operator("ask for 8 more instances of search".into()));
    log(&mut report, 1400, Occurrence::Operator("add 9 machines to main".into()));
    log(&mut report, 1400, Occurrence::Operator("stop 75 % of what is not critical in main".into()));
    log(
        &mut report,
        620,
        Occurrence::Note { caller: Some(0), service: 1, change: "ejected", cause: "failures-in-a-row" },
    );
    report.outcomes.insert(Outcome::Success, 100_000);
    report.outcomes.insert(Outcome::TimedOut, 80_000);
    report.outcomes.insert(Outcome::Refused(Reason::NoInstances), 1_200);
    report.log.sort_by_key(|entry| entry.at);
    report.hash = 0x1234_5678_9abc_def0;
    report
}

/// The same demand, and nothing happens but two steps of the autoscaler.
pub(crate) fn calm() -> Report {
    let mut report = Report {
        scenario: "sample".into(),
        policies: "default".into(),
        seed: 1,
        scale: 0.1,
        starts: TimeOfDay::new(11, 50, 0).unwrap_or_default(),
        every: Duration::from_secs(1),
        services: vec!["opbox".into(), "search".into()],
        compartments: vec!["main".into()],
        clients: vec!["people".into()],
        events: 1_000_000,
        hash: 0x0fed_cba9_8765_4321,
        ..Report::default()
    };
    series(&mut report, "site.demand", demand);
    series(&mut report, "people.demand", demand);
    series(&mut report, "site.goodput", demand);
    series(&mut report, "site.success", |_| 0.999);
    series(&mut report, "site.useful", |t| demand(t) * 0.999);
    series(&mut report, "site.calls", |t| demand(t) * 2.0);
    series(&mut report, "site.attempts", |_| 1.01);
    series(&mut report, "site.p50", |_| 0.2);
    series(&mut report, "site.p99", |_| 0.4);
    for (service, p99) in [("opbox", 0.3), ("search", 0.12)] {
        series(&mut report, &format!("{service}.p50"), |_| p99 / 3.0);
        series(&mut report, &format!("{service}.p99"), |t| p99 * demand(t) / 100.0);
        series(&mut report, &format!("{service}.cpu"), |t| 0.004 * demand(t));
        series(&mut report, &format!("{service}.ready"), |t| if t < 640 { 20.0 } else { 26.0 });
        series(
            &mut report,
            &format!("{service}.starting"),
            |t| if (560..620).contains(&t) { 6.0 } else { 0.0 },
        );
        series(&mut report, &format!("{service}.cold"), |t| if (620..640).contains(&t) { 6.0 } else { 0.0 });
        series(&mut report, &format!("{service}.arrivals"), demand);
    }
    series(&mut report, "main.reserved", |t| if t < 300 { 0.9 } else { 0.5 });
    series(&mut report, "main.used", |t| 0.002 * demand(t));
    log(&mut report, 300, Occurrence::Resized { service: 0, from: 6.0, to: 2.4, reason: "measured-use" });
    log(&mut report, 560, Occurrence::Scaled { service: 0, from: 20, to: 26, reason: "cpu-above-target" });
    log(&mut report, 561, Occurrence::Scaled { service: 1, from: 20, to: 26, reason: "cpu-above-target" });
    report.outcomes.insert(Outcome::Success, 200_000);
    report
}

/// Requests a second: 100, twice as many after ten minutes.
fn demand(t: usize) -> f64 {
    100.0 * (1.0 + (t as f64 - 300.0).clamp(0.0, 300.0) / 300.0)
}

fn series(report: &mut Report, name: &str, of: impl Fn(usize) -> f64) {
    report.series.insert(name.into(), (0..SECONDS).map(|t| of(t) as f32).collect());
}

fn log(report: &mut Report, second: u64, what: Occurrence) {
    report.log.push(Entry { at: Moment::from_millis(second * 1000), what });
}

/// Both, as a drill gives them.
pub(crate) fn story() -> Story {
    told(outage(), Some(calm()))
}

/// Runs as a drill gives them.
pub(crate) fn told(run: Report, beside: Option<Report>) -> Story {
    Story {
        scenario: scenario(),
        run,
        beside,
        rows: Vec::new(),
        verdicts: Vec::new(),
        seeds: (1, 1),
        took: Duration::from_millis(1234),
        command: "outrigger drill sample --seed 1".into(),
    }
}

fn scenario() -> Scenario {
    let starts = TimeOfDay::new(11, 50, 0).unwrap_or_default();
    Scenario {
        name: "sample".into(),
        about: "A <sample> made by hand.\nNothing in it was played.".into(),
        starts,
        lasts: Duration::from_secs(SECONDS as u64),
        scale: 0.1,
        policies: Preset::Default,
        fleet: FleetPreset::Default,
        network: Network { delay: Duration::ZERO, jitter: Duration::ZERO, loss: Share::NONE },
        compartments: Vec::new(),
        services: Vec::new(),
        caches: Vec::new(),
        limits: Vec::new(),
        clients: Vec::new(),
        faults: Vec::new(),
        operators: vec![Action { at: Moment::ZERO, what: Deed::Scale(1, 8) }],
        trouble: Some((Moment::from_millis(600_000), Moment::from_millis(1_500_000))),
        acceptance: Vec::new(),
    }
}
