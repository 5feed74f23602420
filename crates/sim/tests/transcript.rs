//! A small run, word for word: what the policies decide cannot change unseen. After a wanted change, look at the
//! difference, then `BLESS=1 cargo test -p sim --test transcript` writes the file anew.

use model::scenario::{Fault, Scenario, Spread, Those, Trouble};
use model::{Moment, Share};
use sim::scenario::{NOTHING, empty, people, route, service};
use sim::{Choice, play_with_tape};
use std::time::Duration;

/// Two instances, a request each 40 ms; one instance dies at 100 ms and another is there at 300 ms, one request in four
/// is a POST.
fn scenario() -> Scenario {
    let ms = Duration::from_millis;
    let mut scenario = empty("transcript", ms(600));
    scenario.network.delay = Duration::from_micros(100);
    let routes = vec![route(NOTHING, Spread::Normal(ms(30), ms(3)), Vec::new())];
    let mut two = service("two", (2, 1.0), routes);
    two.threads = 4;
    two.start.takes = ms(200);
    scenario.services.push(two);
    let mut callers = people(25.0, ms(500));
    callers.demand =
        vec![(Moment::ZERO, 25.0), (Moment::from_millis(480), 25.0), (Moment::from_millis(480), 0.0)];
    callers.even = true;
    callers.tells_deadline = true;
    callers.posts = Share::percent(25);
    scenario.clients.push(callers);
    let one = Those { service: 0, count: Some(1) };
    scenario.faults.push(Fault { at: Moment::from_millis(100), lasts: None, what: Trouble::Kill(one) });
    scenario
}

#[test]
fn a_small_run_word_for_word() {
    let scenario = scenario();
    let tape = play_with_tape(&scenario, &Choice::own(&scenario), 7).1;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/two_instances.tape");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &tape).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(path).expect("the golden file is there");
    for (i, (is, was)) in tape.lines().zip(golden.lines()).enumerate() {
        assert_eq!(is, was, "line {} of {path}", i + 1);
    }
    assert_eq!(tape.lines().count(), golden.lines().count());
}
