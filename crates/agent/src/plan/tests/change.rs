//! Lives of environments whose manifests change.

use super::*;
use crate::observed::Stage;

impl Play {
    /// The manifests say this by now.
    fn change(&mut self, services: Vec<Service>) -> u64 {
        let id = u64::try_from(self.observed.operations.len()).unwrap() + 1;
        self.observed.begin_change(id, self.now);
        let steps = self.desired.adopt(&environment(services));
        self.observed.adopt(id, &steps, &self.desired, self.now);
        id
    }

    fn ended(&self, id: u64) -> Option<Ended> {
        self.observed.operations.iter().find(|o| o.id == id).unwrap().ended
    }

    fn told(&self, id: u64) -> Vec<String> {
        let operation = self.observed.operations.iter().find(|o| o.id == id).unwrap();
        operation.progress.iter().map(|(_, text)| text.clone()).collect()
    }
}

/// The words about stops, starts and rotation, in order.
fn gist(words: &[String]) -> Vec<&str> {
    let verbs = ["StartApp", "StopApp", "Enter", "Leave", "Retire", "Begin", "Advance", "Abandon", "Publish"];
    let fits = |word: &&String| verbs.iter().any(|verb| word.split(' ').next() == Some(verb));
    words.iter().filter(fits).map(String::as_str).collect()
}

#[test]
fn what_comes_is_there_first_then_callers_restart_then_the_rest_goes() {
    let mut play = Play::up(vec![service("front", 1, &["old"]), service("old", 2, &[])]);
    let id = play.change(vec![service("front", 1, &["new"]), service("new", 1, &[])]);
    let words = play.run();
    let want = [
        "StartApp new-1",
        "Enter new-1",
        "Begin #0",
        "Leave front-1",
        "StopApp front-1",
        "StartApp front-1",
        "Enter front-1",
        "Advance #0",
        "Retire old-1",
        "Retire old-2",
        "Leave old-1",
        "Leave old-2",
        "StopApp old-1",
        "StopApp old-2",
        "Advance #0",
    ];
    assert_eq!(gist(&words), want, "{words:?}");
    assert_eq!(play.ended(id), Some(Ended::Done));
    assert!(["old-1", "old-2"].iter().all(|name| play.observed.gone(play.unit(name))));
    assert!(play.run().is_empty(), "who is retired is left alone");
}

#[test]
fn policies_are_published_and_nobody_restarts() {
    let mut play = Play::up(vec![service("a", 2, &[])]);
    let mut changed = service("a", 2, &[]);
    changed.for_app.panic = model::Share::ALL;
    let id = play.change(vec![changed]);
    let words = play.run();
    assert_eq!(gist(&words), ["Publish a-1", "Publish a-2", "Advance #0"]);
    assert_eq!(play.ended(id), Some(Ended::Done));
    assert!(play.told(id).iter().any(|text| text.contains("in place")), "{:?}", play.told(id));
}

#[test]
fn the_first_that_does_not_start_ends_the_change_and_the_others_stay_what_they_are() {
    let mut play = Play::up(vec![service("a", 3, &[])]);
    let (first, second) = (play.unit("a-1"), play.unit("a-2"));
    let mut broken = service("a", 3, &[]);
    broken.command = vec!["broken".into()];
    play.mute.push(first);
    let id = play.change(vec![broken]);
    play.run();
    for _ in 0..200 {
        play.after(1_000);
    }
    assert_eq!(play.ended(id), Some(Ended::Failed), "{:?}", play.told(id));
    assert!(play.told(id).last().unwrap().contains("a-1"), "{:?}", play.told(id));
    for name in ["a-2", "a-3"] {
        let at = play.unit(name);
        assert!(play.observed.in_rotation(at), "{name}");
        assert_eq!(play.desired.service(at).unwrap().command, ["app"], "{name} is what it was");
    }
    // Also when it has to be started again: what worked goes on working.
    let run = play.observed.units[second].app_run;
    play.tell(Fact::AppExited(second, run, Exit::Code(1)));
    play.after(60_000);
    assert!(play.observed.in_rotation(second));
    assert_eq!(play.desired.service(second).unwrap().command, ["app"]);
    // Back to what ran: only the one that had changed restarts.
    play.mute.clear();
    let id = play.change(vec![service("a", 3, &[])]);
    let words = play.run();
    assert_eq!(words.iter().filter(|w| w.starts_with("Begin")).count(), 1, "{words:?}");
    play.after(60_000);
    assert_eq!(play.ended(id), Some(Ended::Done), "{:?}", play.told(id));
    assert!(play.observed.in_rotation(first));
}

#[test]
fn a_change_that_broke_the_second_of_two_can_be_taken_back() {
    let mut play = Play::up(vec![service("a", 2, &[])]);
    let second = play.unit("a-2");
    let mut broken = service("a", 2, &[]);
    broken.command = vec!["broken".into()];
    play.mute.push(second);
    let id = play.change(vec![broken]);
    play.run();
    for _ in 0..3 {
        play.exits("a-2", Exit::Code(1));
        play.after(1_000);
    }
    assert_eq!(play.ended(id), Some(Ended::Failed), "{:?}", play.told(id));
    play.exits("a-2", Exit::Code(1));
    let id = play.change(vec![service("a", 2, &[])]);
    play.run();
    assert!(play.observed.is_turn_of(second), "{:?}", play.told(id));
    play.mute.clear();
    play.tell(Fact::StartupPassed(second, play.observed.units[second].app_run));
    play.run();
    assert_eq!(play.ended(id), Some(Ended::Done), "{:?}", play.told(id));
    assert!(play.there("a-1") && play.there("a-2"));
}

#[test]
fn a_new_service_that_does_not_come_leaves_its_callers_as_they_are() {
    let mut play = Play::up(vec![service("front", 1, &[])]);
    let id = play.change(vec![service("front", 1, &["new"]), service("new", 1, &[])]);
    play.mute.push(play.unit("new-1"));
    play.run();
    for _ in 0..200 {
        play.after(1_000);
    }
    assert_eq!(play.ended(id), Some(Ended::Failed));
    let front = play.unit("front-1");
    assert_eq!(play.observed.units[front].app_run, 1, "it was never restarted");
    assert!(play.observed.in_rotation(front));
}

#[test]
fn instances_that_went_come_again_under_their_names() {
    let mut play = Play::up(vec![service("a", 3, &[])]);
    let id = play.change(vec![service("a", 1, &[])]);
    play.run();
    assert_eq!(play.ended(id), Some(Ended::Done));
    play.observed.take_ended_change().unwrap().2.iter().for_each(|at| play.desired.retire(*at));
    assert_eq!(play.desired.instances(0).count(), 1);
    assert_eq!(play.desired.named("all").len(), 1);
    let id = play.change(vec![service("a", 2, &[])]);
    let words = play.run();
    assert!(words.contains(&"StartApp a-2".into()), "{words:?}");
    assert_eq!(play.ended(id), Some(Ended::Done));
    assert!(play.observed.in_rotation(play.unit("a-2")));
    assert_eq!(play.desired.units.len(), 4, "its place was taken again");
}

#[test]
fn a_stop_in_the_middle_of_a_change_stops_everything() {
    let mut play = Play::up(vec![service("a", 2, &[])]);
    let mut changed = service("a", 2, &[]);
    changed.command = vec!["other".into()];
    play.change(vec![changed, service("b", 1, &[])]);
    play.turn();
    play.tell(Fact::Stop("asked".into()));
    for _ in 0..60 {
        play.after(1_000);
    }
    assert!(play.observed.all_gone());
}

#[test]
fn while_something_is_built_nothing_changes() {
    let mut play = Play::up(vec![service("a", 1, &[])]);
    play.observed.begin_change(1, play.now);
    assert!(play.observed.is_changing());
    assert!(play.run().is_empty());
    play.observed.drop_change(1, "the build of a failed", play.now);
    assert!(!play.observed.is_changing());
    assert_eq!(play.ended(1), Some(Ended::Failed));
    assert_eq!(play.observed.operations[0].stage, Stage::Building, "there is nothing for the books");
}
