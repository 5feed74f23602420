//! A small run, word for word: what the policies decide cannot change unseen. After a wanted change, look at the
//! difference, then `BLESS=1 cargo test -p sim --test transcript` writes the file anew.

use model::{Moment, Settings};
use sim::first::Service;
use sim::first::world::{Incident, Plan, play};
use std::time::Duration;

/// Two instances, a request each 40 ms; one instance dies at 100 ms and is back at 300 ms, one request in four is a POST.
fn plan() -> Plan {
    let ms = Duration::from_millis;
    let service =
        Service { workers: 4, mean: ms(30), deviation: ms(3), failures: 0.0, slowdowns: Vec::new() };
    Plan {
        settings: Settings::default(),
        services: vec![service; 2],
        gap: ms(40),
        end: Moment::from_millis(480),
        patience: ms(500),
        tells_deadline: true,
        posts: 0.25,
        incidents: vec![
            (Moment::from_millis(100), Incident::Kill(0)),
            (Moment::from_millis(300), Incident::Restart(0)),
            (Moment::from_millis(400), Incident::Follow(vec![1, 0])),
        ],
        record: true,
    }
}

#[test]
fn a_small_run_word_for_word() {
    let tape = play(plan(), "transcript", 7).tape;
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
