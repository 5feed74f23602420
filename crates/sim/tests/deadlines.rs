//! Whether the time that is left is passed on is for the settings of each call to say.

use model::scenario::{Scenario, Spread};
use model::{Preset, Settings};
use policy::tape::{Line, decode};
use sim::choice::Source;
use sim::scenario::{NOTHING, call, empty, people, route, service};
use sim::{Choice, play_with_tape};
use std::collections::BTreeMap;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_millis(800);

/// People who tell how long they wait ask `front`, which asks `middle`, which asks `back`; each works for 20 ms first.
fn scenario() -> Scenario {
    let mut scenario = empty("deadlines", Duration::from_secs(2));
    let works = Spread::Fixed(Duration::from_millis(20));
    for (name, calls) in [("front", vec![call(1)]), ("middle", vec![call(2)]), ("back", vec![])] {
        scenario.services.push(service(name, (1, 4.0), vec![route(works, NOTHING, calls)]));
    }
    let mut people = people(20.0, PATIENCE);
    people.tells_deadline = true;
    scenario.clients.push(people);
    scenario
}

/// The time that calls begin with, none where it is not told, by the books that they are in: those of the people, of
/// `front` and of `middle`, as they are opened in this order.
fn told(scenario: &Scenario, choice: &Choice) -> Vec<Option<Duration>> {
    let tape = play_with_tape(scenario, choice, 5).1;
    let mut longest = BTreeMap::new();
    for line in tape.lines() {
        if let (books, Line::Begin { ask, .. }) = decode(line).expect("a tape can be read") {
            let said = longest.entry(books).or_insert(ask.remaining);
            *said = (*said).max(ask.remaining);
        }
    }
    longest.into_values().collect()
}

#[test]
fn each_layer_has_what_those_before_it_left() {
    let scenario = scenario();
    let left = told(&scenario, &Choice::own(&scenario));
    let left: Vec<Duration> = left.into_iter().map(|left| left.expect("it is told")).collect();
    let worked = |n: u32| PATIENCE - Duration::from_millis(20) * n;
    assert_eq!((left.len(), left[0]), (3, PATIENCE));
    assert!((1..3).all(|n| left[n as usize] <= worked(n)), "{left:?}");
}

#[test]
fn whose_settings_say_so_keeps_it_and_the_next_one_begins_afresh() {
    let kept = |settings: &mut Settings| settings.timeouts.pass_on = false;
    let mut by_people = scenario();
    kept(&mut by_people.clients[0].policies);
    let left = told(&by_people, &Choice::own(&by_people));
    // `front` was not told. Its own sidecar allows the usual time and tells `middle`.
    let usual = Settings::default().timeouts.total;
    assert_eq!(left[..2], [Some(PATIENCE), None]);
    assert!(left[2].is_some_and(|left| left > PATIENCE && left < usual), "{left:?}");

    let mut by_front = scenario();
    kept(&mut by_front.services[0].routes[0].calls[0].policies);
    let left = told(&by_front, &Choice::own(&by_front));
    assert!(left[1].is_some_and(|left| left < PATIENCE), "{left:?}");
    assert_eq!(left[2], None);
}

#[test]
fn nobody_passes_it_on_with_the_policies_of_the_past() {
    let scenario = scenario();
    for preset in Preset::ALL {
        let choice = Choice::from(&scenario, Source::Named(preset, scenario.fleet));
        let passed_on = preset.settings().timeouts.pass_on;
        let left = told(&scenario, &choice);
        assert!(left[1..].iter().all(|left| left.is_some() == passed_on), "{}: {left:?}", preset.word());
    }
}
