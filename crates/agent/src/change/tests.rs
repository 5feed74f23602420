//! What the books say after a change, whether it came through or not.

#![allow(clippy::unwrap_used)]
use super::*;
use model::{Restart, Run, ServiceKind, Settings, Startup};
use std::time::Duration;

fn service(name: &str, command: &str, instances: u32) -> EnvironmentService {
    let manifest = ServiceManifest {
        name: ServiceName::new(name).unwrap(),
        description: String::new(),
        kind: ServiceKind::Service,
        importance: model::Importance::default(),
        run: Run {
            command: vec![command.into()],
            build: vec![],
            stop_grace: Duration::from_secs(5),
            environment: BTreeMap::new(),
        },
        startup: Startup::default(),
        liveness: None,
        restart: Restart::default(),
        outgoing: vec![],
        settings: Settings::default(),
    };
    let (environment, settings) = (BTreeMap::new(), Settings::default());
    EnvironmentService { manifest, folder: "/".into(), instances, environment, settings }
}

fn environment(services: Vec<EnvironmentService>) -> Environment {
    Environment { name: ServiceName::new("shop").unwrap(), edge: None, services }
}

/// Books and what is desired, with a change from `before` to `after` under way.
fn under_way(before: &Environment, after: &Environment) -> (Books, Desired, crate::adopt::Steps) {
    let mut books = Books::begin(before);
    let mut desired = Desired::of(before, "/".into());
    let steps = desired.adopt(&Desired::of(after, "/".into()));
    books.pending = Some(after.clone());
    (books, desired, steps)
}

fn planned(books: &Books, desired: &Desired, after: &Environment) -> Vec<String> {
    let mut trial = desired.clone();
    let steps = trial.adopt(&Desired::of(after, "/".into()));
    let mut restarts = BTreeMap::new();
    for at in &steps.restarts {
        *restarts.entry(trial.service(*at).unwrap().name.clone()).or_default() += 1;
    }
    let difference = books.difference(after, &restarts);
    let count = |c: &model::Change| c.effect.instances().map_or(String::new(), |n| format!(" {n}"));
    difference.changes.iter().map(|c| format!("{} {}{}", c.path(), c.effect.word(), count(c))).collect()
}

#[test]
fn a_change_that_came_through_is_what_runs() {
    let before = environment(vec![service("a", "old", 2)]);
    let after = environment(vec![service("a", "new", 1), service("b", "x", 1)]);
    let (mut books, mut desired, steps) = under_way(&before, &after);
    steps.restarts.iter().for_each(|at| desired.renew(*at));
    steps.retires.iter().for_each(|at| desired.retire(*at));
    books.settle(Ended::Done, &desired, true);
    assert_eq!(books.running, after);
    assert!(planned(&books, &desired, &after).is_empty());
}

#[test]
fn a_change_that_was_given_up_halfway_can_be_planned_forth_and_back() {
    let before = environment(vec![service("a", "old", 3)]);
    let after = environment(vec![service("a", "new", 3)]);
    let (mut books, mut desired, steps) = under_way(&before, &after);
    desired.renew(steps.restarts[0]);
    books.settle(Ended::Failed, &desired, true);
    assert_eq!(planned(&books, &desired, &after), ["services.a.run.command restart 2"], "on: the other two");
    assert_eq!(planned(&books, &desired, &before), ["services.a.run.command restart 1"], "back: the one");
    assert_eq!(what_is_where(&desired), ["a: a-1 changed; a-2, a-3 as before"]);
    let third = environment(vec![service("a", "third", 3)]);
    assert_eq!(planned(&books, &desired, &third), ["services.a.run.command restart 3"]);
}

#[test]
fn what_a_change_did_not_reach_is_what_it_was_but_for_its_policies() {
    let before = environment(vec![service("a", "old", 1), service("gone", "x", 1)]);
    let mut changed = service("a", "new", 1);
    changed.settings.panic = model::Share::ALL;
    let after = environment(vec![changed, service("broken", "y", 1)]);
    let (mut books, desired, _) = under_way(&before, &after);
    books.settle(Ended::Failed, &desired, true);
    let names: Vec<&str> = books.running.services.iter().map(|s| s.manifest.name.as_str()).collect();
    assert_eq!(
        names,
        ["a", "broken", "gone"],
        "who was to go is still there, who was to come stays for a look"
    );
    let a = &books.running.services[0];
    assert_eq!((&a.manifest.run.command[0][..], a.settings.panic), ("old", model::Share::ALL));
    assert_eq!(what_is_where(&desired), ["a is what it was"]);
    let back = ["services.a.policies.panic in-place", "services.broken stop 1"];
    assert_eq!(planned(&books, &desired, &before), back);
}

#[test]
fn a_plan_is_another_when_what_runs_or_what_is_wanted_is() {
    let before = environment(vec![service("a", "old", 3)]);
    let after = environment(vec![service("a", "new", 3)]);
    let books = Books::begin(&before);
    let id = books.plan_id(&after);
    assert_eq!((id.len(), &id), (16, &Books::begin(&before).plan_id(&after)));
    assert_ne!(id, books.plan_id(&before));
    assert_ne!(id, Books::begin(&after).plan_id(&after));
}
