//! The policies together: what calls teach, who is asked then, what a reload keeps.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::pick::UNKNOWN;
use crate::{Ending, Streams};
use model::{Settings, Share};

const fn at(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

const TOTAL: Duration = Duration::from_secs(1);

struct Scene {
    books: Books,
    dice: Streams,
    settings: Settings,
}

impl Scene {
    fn new(n: u32, settings: Settings) -> Scene {
        let mut books = Books::new(&settings, at(0));
        books.follow(&(0..n).collect::<Vec<_>>(), &settings, at(0));
        Scene { books, dice: Streams::new(1), settings }
    }

    fn pick(&mut self, ms: u64) -> EndpointKey {
        self.books.refresh(at(ms), &mut self.dice);
        self.books.pick(at(ms), &mut self.dice, None).unwrap()
    }

    /// `calls` calls, one each `gap` ms, each ending `took(handle)` ms later by `outcome(handle)`; all ends come in
    /// order. Gives how many went to each handle.
    fn run(
        &mut self,
        from: u64,
        calls: u64,
        gap: u64,
        took: impl Fn(u32) -> u64,
        outcome: impl Fn(u32) -> Outcome,
    ) -> Vec<u32> {
        let mut ends: Vec<(u64, u64, EndpointKey, u32)> = Vec::new();
        let mut counts = vec![0; 64];
        for i in 0..calls {
            let now = from + i * gap;
            ends.sort_by_key(|e| e.0);
            while ends.first().is_some_and(|e| e.0 <= now) {
                let (end, began, key, handle) = ends.remove(0);
                settle(&mut self.books, key, at(began), at(end), outcome(handle));
            }
            let key = self.pick(now);
            let handle = self.books.handle(key).unwrap();
            counts[handle as usize] += 1;
            ends.push((now + took(handle), now, key, handle));
        }
        for (end, began, key, handle) in ends {
            settle(&mut self.books, key, at(began), at(end), outcome(handle));
        }
        counts
    }

    fn states(&self, ms: u64) -> Vec<State> {
        self.books.endpoints(at(ms)).map(|e| e.state).collect()
    }

    fn notes(&mut self) -> Vec<(Option<u32>, Change, Cause)> {
        self.books.take_notes().map(|n| (n.handle, n.change, n.cause)).collect()
    }
}

/// An attempt without a body that has ended so; one that was answered comes whole.
fn settle(books: &mut Books, key: EndpointKey, began: Moment, now: Moment, outcome: Outcome) {
    let tried = Tried { to: key, began, asked: began };
    let heard = books.settle(&tried, TOTAL, now, outcome);
    books.on_ended(&tried, now, heard, Ending::Complete);
}

fn good(_: u32) -> Outcome {
    Outcome::Answered { failed: false, long: false }
}

fn failed(_: u32) -> Outcome {
    Outcome::Answered { failed: true, long: false }
}

#[test]
fn equal_endpoints_get_equal_shares() {
    let mut scene = Scene::new(4, Settings::default());
    let counts = scene.run(0, 4_000, 1, |_| 20, good);
    assert!(counts[..4].iter().all(|c| (900..1_100).contains(c)), "{counts:?}");
}

#[test]
fn an_endpoint_that_is_ten_times_slower_gets_few_calls() {
    let settings = Settings { breaker: None, ..Settings::default() };
    let mut scene = Scene::new(4, settings);
    let counts = scene.run(0, 4_000, 1, |h| if h == 0 { 200 } else { 20 }, good);
    assert!(counts[0] < 200, "{counts:?}");
}

#[test]
fn an_endpoint_that_fails_fast_does_not_attract_calls() {
    // One in three fails, so that neither breaker nor ejection acts.
    let mut scene = Scene::new(4, Settings::default());
    let turn = std::cell::Cell::new(0);
    let outcome = |h| {
        turn.set(turn.get() + 1);
        if h == 0 && turn.get() % 3 == 0 { failed(h) } else { good(h) }
    };
    let counts = scene.run(0, 8_000, 1, |h| if h == 0 { 10 } else { 20 }, outcome);
    assert_eq!(scene.states(8_000), [State::Admitting; 4]);
    assert!(counts[0] < 1_000, "{counts:?}");
}

#[test]
fn five_failures_in_a_row_eject_and_a_breaker_probes_on_return() {
    let mut scene = Scene::new(3, Settings::default());
    for i in 0..200 {
        let key = scene.pick(i);
        let handle = scene.books.handle(key).unwrap();
        let outcome = if handle == 2 { Outcome::Broke(Reason::ConnectFailed) } else { good(handle) };
        settle(&mut scene.books, key, at(i), at(i), outcome);
    }
    assert_eq!(scene.states(200), [State::Admitting, State::Admitting, State::Ejected]);
    assert_eq!(scene.notes(), [(Some(2), Change::Ejected, Cause::InARow)]);
    let until = scene.books.endpoints(at(200)).nth(2).unwrap().until.unwrap();
    assert!((at(5_000)..at(5_200)).contains(&until));
    scene.books.refresh(until, &mut scene.dice);
    assert_eq!(scene.states(6_000)[2], State::Probing);
    assert_eq!(
        scene.notes(),
        [(Some(2), Change::Returned, Cause::Time), (Some(2), Change::Probing, Cause::Time)]
    );
}

#[test]
fn only_one_of_eleven_is_ejected_and_never_the_last() {
    for n in [1, 2, 11] {
        let mut scene = Scene::new(n, Settings { breaker: None, ..Settings::default() });
        scene.run(0, 1_000, 1, |_| 1, failed);
        let out = scene.states(1_000).iter().filter(|s| **s == State::Ejected).count();
        assert_eq!(out, usize::from(n > 1), "of {n}");
    }
}

#[test]
fn refusals_for_overload_count_neither_for_ejection_nor_for_the_breaker() {
    for reason in [Reason::QueueFull, Reason::ShedByImportance, Reason::Draining, Reason::OutOfMemory] {
        let mut scene = Scene::new(3, Settings::default());
        scene.run(0, 500, 1, |_| 1, |_| Outcome::Refused(reason));
        assert_eq!(scene.states(500), [State::Admitting; 3], "{}", reason.word());
    }
    let mut scene = Scene::new(3, Settings::default());
    scene.run(0, 500, 1, |_| 1, |_| Outcome::Refused(Reason::InstanceBroke));
    assert_ne!(scene.states(500), [State::Admitting; 3]);
}

#[test]
fn an_endpoint_that_drains_is_asked_less() {
    let mut scene = Scene::new(2, Settings::default());
    scene.run(0, 100, 10, |_| 5, good);
    let refuse = |h| if h == 0 { Outcome::Refused(Reason::Draining) } else { good(h) };
    let counts = scene.run(1_000, 1_000, 10, |h| if h == 0 { 1 } else { 5 }, refuse);
    assert!(counts[0] < 60, "{counts:?}");
}

#[test]
fn a_slow_endpoint_rests_and_comes_back() {
    // The balancer would leave too few calls there for the breaker to judge.
    let settings = Settings { ejection: None, balancing: Balancing::LeastLoaded, ..Settings::default() };
    let mut scene = Scene::new(4, settings);
    scene.run(0, 4_000, 1, |_| 20, good);
    scene.notes();
    assert!(scene.books.usual().is_some_and(|u| u < Duration::from_millis(30)));
    scene.run(4_000, 5_000, 1, |h| if h == 1 { 400 } else { 20 }, good);
    assert_eq!(scene.notes(), [(Some(1), Change::Resting, Cause::Slowness)]);
    assert_eq!(scene.states(9_000)[1], State::Resting);
    // Still slow when it is probed: it rests again. Then it is well.
    scene.run(9_000, 4_000, 1, |h| if h == 1 { 400 } else { 20 }, good);
    scene.run(13_000, 30_000, 1, |_| 20, good);
    assert_eq!(scene.states(43_000), [State::Admitting; 4]);
    let notes = scene.notes();
    assert_eq!(notes.first(), Some(&(Some(1), Change::Probing, Cause::Time)));
    assert_eq!(notes.last(), Some(&(Some(1), Change::Admitting, Cause::ProbesWentWell)));
    assert!(notes.contains(&(Some(1), Change::Resting, Cause::ProbeFailed)), "{notes:?}");
}

#[test]
fn a_quick_first_answer_makes_nobody_slow() {
    let settings = Settings { balancing: Balancing::LeastLoaded, ..Settings::default() };
    for quick in [1, 5, 10] {
        // Ten calls a second, the first ones of each instance answered at once.
        let mut scene = Scene::new(2, settings.clone());
        scene.run(0, 2 * quick, 100, |_| 2, good);
        let from = quick * 200;
        scene.run(from, 600, 100, |_| 100, good);
        assert_eq!(scene.notes(), [], "after {quick} quick answers");
        // And what is slow is seen all the same.
        scene.run(from + 61_000, 1_000, 20, |h| if h == 1 { 900 } else { 100 }, good);
        assert_eq!(scene.notes().first(), Some(&(Some(1), Change::Resting, Cause::Slowness)), "{quick}");
    }
}

#[test]
fn the_last_one_is_not_rested_unless_health_is_never_ignored() {
    for (panic, state) in [(50, State::Admitting), (0, State::Resting)] {
        let mut scene = Scene::new(1, Settings { panic: Share::percent(panic), ..Settings::default() });
        for i in 0..100 {
            scene.books.refresh(at(i), &mut scene.dice);
            let Some(key) = scene.books.pick(at(i), &mut scene.dice, None) else {
                assert_eq!(scene.books.nobody(at(i)).0, Reason::AllResting);
                continue;
            };
            settle(&mut scene.books, key, at(i), at(i), failed(0));
        }
        assert_eq!(scene.states(100), [state]);
    }
}

#[test]
fn two_endpoints_that_die_in_turn_cost_no_call_its_second_attempt() {
    let mut scene = Scene::new(2, Settings::default());
    let mut play = |from: u64, dead: u32| {
        let mut both_failed = 0;
        for i in from..from + 800 {
            let first = scene.pick(i);
            let dies = |key| scene.books.handle(key) == Some(dead);
            let outcome = |dead| if dead { Outcome::Broke(Reason::ConnectFailed) } else { good(0) };
            let failed = dies(first);
            settle(&mut scene.books, first, at(i), at(i), outcome(failed));
            if failed {
                assert!(scene.books.has_other(first));
                let second = scene.books.pick(at(i), &mut scene.dice, Some(first)).unwrap();
                let failed = scene.books.handle(second) == Some(dead);
                both_failed += u32::from(failed);
                settle(&mut scene.books, second, at(i), at(i), outcome(failed));
            }
        }
        both_failed
    };
    // The first dies, is ejected, comes back unnoticed; then the second dies.
    assert_eq!([play(0, 0), play(2_000, 1)], [0, 0]);
    assert!(scene.books.census(at(2_800)).panic);
}

#[test]
fn in_panic_all_are_asked_and_it_is_said() {
    let mut scene = Scene::new(4, Settings { ejection: None, ..Settings::default() });
    let counts = scene.run(0, 4_000, 1, |_| 5, |h| if h == 3 { good(h) } else { failed(h) });
    assert_eq!(scene.states(4_000)[3], State::Admitting);
    assert!(scene.books.census(at(4_000)).panic);
    assert!(scene.notes().contains(&(None, Change::Panic, Cause::Availability)));
    assert!(counts[..3].iter().all(|&c| c > 50), "{counts:?}");
}

#[test]
fn a_probed_endpoint_is_asked_once_a_second_even_when_calls_are_few() {
    let mut scene = Scene::new(3, Settings::default());
    scene.books.endpoints[0].breaker.probe(at(0));
    scene.books.stale = true;
    let counts = scene.run(1_000, 40, 500, |_| 5, good);
    // Three probes at 1 % and three at 5 % take a second each, then a quarter, then a full share.
    assert!((9..20).contains(&counts[0]), "{counts:?}");
    assert_eq!(scene.states(21_000), [State::Admitting; 3]);
}

#[test]
fn a_newcomer_gets_a_tenth_of_its_share_at_first_and_the_full_one_after_a_minute() {
    let mut scene = Scene::new(10, Settings::default());
    scene.run(0, 1_000, 1, |_| 20, good);
    scene.books.follow(&(0..11).collect::<Vec<_>>(), &scene.settings.clone(), at(1_000));
    assert_eq!(scene.books.census(at(1_000)).slow_start, 1);
    // An endpoint that answers at once would be the cheapest of all.
    let quick = |h| if h == 10 { 1 } else { 20 };
    let counts = scene.run(1_000, 5_500, 1, quick, good);
    assert!((20..=90).contains(&counts[10]), "{counts:?}");
    let counts = scene.run(31_000, 5_500, 1, quick, good);
    assert!((200..=330).contains(&counts[10]), "{counts:?}");
    let counts = scene.run(61_000, 5_500, 1, quick, good);
    assert!(counts[10] > 500, "{counts:?}");
}

#[test]
fn when_all_are_new_nobody_is_and_few_old_ones_are_not_crushed() {
    let mut scene = Scene::new(2, Settings::default());
    scene.run(0, 200, 1, |_| 20, good);
    scene.books.follow(&[10, 11, 12], &scene.settings.clone(), at(1_000));
    let counts = scene.run(1_000, 3_000, 1, |_| 20, good);
    assert!(counts[10..13].iter().all(|c| (900..1_100).contains(c)), "{counts:?}");
    let mut scene = Scene::new(1, Settings::default());
    scene.run(0, 200, 1, |_| 20, good);
    scene.books.follow(&(0..10).collect::<Vec<_>>(), &scene.settings.clone(), at(1_000));
    let counts = scene.run(1_000, 10_000, 1, |_| 20, good);
    // Twice a fair share is 2,000; what newcomers decline as too many wait there comes on top.
    assert!(counts[0] < 2_600, "{counts:?}");
}

#[test]
fn a_reload_keeps_what_was_learned_and_frees_what_is_gone() {
    let mut scene = Scene::new(3, Settings::default());
    scene.run(0, 300, 1, |h| 10 * (u64::from(h) + 1), good);
    let before = scene.books.endpoints(at(400)).map(|e| e.latency).collect::<Vec<_>>();
    let gone = loop {
        let key = scene.pick(400);
        if scene.books.handle(key) == Some(1) {
            break key;
        }
    };
    scene.books.follow(&[2, 7, 0, 2], &scene.settings.clone(), at(500));
    let views: Vec<_> = scene.books.endpoints(at(400)).collect();
    assert_eq!(views.iter().map(|v| v.handle).collect::<Vec<_>>(), [2, 7, 0]);
    assert_eq!([views[0].latency, views[1].latency, views[2].latency], [before[2], None, before[0]]);
    assert_eq!(scene.books.handle(gone), None);
    // Its end reaches neither the books nor the endpoint that has its slot now.
    let pending = scene.books.pending;
    settle(&mut scene.books, gone, at(400), at(600), failed(1));
    assert_eq!(scene.books.pending, pending);
    assert_eq!(scene.books.endpoints(at(600)).nth(1).unwrap().pending, 0);
}

#[test]
fn switching_the_breaker_off_lets_everybody_in_again() {
    let mut scene = Scene::new(4, Settings { ejection: None, ..Settings::default() });
    scene.books.endpoints[1].breaker.rest(&model::Breaker::default(), at(0), Cause::Failures);
    scene.books.endpoints[2].breaker.probe(at(0));
    assert_eq!(scene.states(1)[1..3], [State::Resting, State::Probing]);
    let off = Settings { breaker: None, ..scene.settings.clone() };
    scene.books.follow(&[0, 1, 2, 3], &off, at(2));
    assert_eq!(scene.states(2), [State::Admitting; 4]);
    let counts = scene.run(10, 4_000, 1, |_| 20, good);
    assert!(counts[..4].iter().all(|c| (900..1_100).contains(c)), "{counts:?}");
}

#[test]
fn who_was_removed_is_no_other_and_leaves_the_last_one_in() {
    let mut scene = Scene::new(3, Settings { breaker: None, ..Settings::default() });
    let keys: Vec<_> = (0..20).map(|i| scene.pick(i)).collect();
    // Until the next call comes only what is under way is heard of.
    scene.books.follow(&[1], &scene.settings.clone(), at(20));
    let last = keys.iter().copied().find(|key| scene.books.handle(*key) == Some(1)).unwrap();
    assert!(!scene.books.has_other(last) && !scene.books.has_fit_other(last));
    for key in keys {
        settle(&mut scene.books, key, at(20), at(21), failed(0));
    }
    assert_eq!(scene.states(21), [State::Admitting]);
    // One who comes in the same breath is an other, and the first may be ejected.
    scene.books.follow(&[1, 7], &scene.settings.clone(), at(22));
    assert!(scene.books.has_other(last));
}

#[test]
fn a_newcomer_costs_what_its_peers_cost() {
    let mut scene = Scene::new(2, Settings { slow_start: None, ..Settings::default() });
    scene.run(0, 2_000, 1, |_| 40, good);
    assert!(scene.books.mean.is_some_and(|m| (30..50).contains(&(m.as_millis() as u64))));
    assert_eq!(Scene::new(2, Settings::default()).books.mean.unwrap_or(UNKNOWN), UNKNOWN);
}

#[test]
fn impatient_callers_do_not_rest_an_endpoint() {
    let mut scene = Scene::new(2, Settings::default());
    scene.run(0, 1_000, 1, |_| 100, good);
    scene.run(2_000, 2_000, 1, |_| 50, |_| Outcome::Unheard);
    assert_eq!(scene.states(4_000), [State::Admitting; 2]);
    // Beyond five times the usual it is no impatience.
    scene.run(
        5_000,
        2_000,
        1,
        |h| if h == 0 { 600 } else { 100 },
        |h| if h == 0 { Outcome::Unheard } else { good(h) },
    );
    assert_eq!(scene.states(7_600)[0], State::Ejected);
}

#[test]
fn long_calls_are_no_latency_samples() {
    let mut scene = Scene::new(2, Settings::default());
    scene.run(0, 1_000, 1, |_| 10, good);
    scene.books.refresh(at(2_000), &mut scene.dice);
    let before = scene.books.usual();
    scene.run(2_000, 1_000, 1, |_| 900, |_| Outcome::Answered { failed: false, long: true });
    assert_eq!(scene.books.usual(), before);
    assert_eq!(scene.states(4_000), [State::Admitting; 2]);
    assert!(scene.books.endpoints(at(4_000)).all(|e| e.latency.unwrap() < Duration::from_millis(11)));
}

#[test]
fn notes_that_nobody_takes_are_bounded() {
    let mut scene = Scene::new(1, Settings::default());
    for i in 0..10_000 {
        scene.books.note(at(i), None, Change::Panic, Cause::Availability, None);
    }
    let notes: Vec<_> = scene.books.take_notes().collect();
    assert_eq!((notes.len(), notes[255].at), (256, at(9_999)));
}

#[test]
fn each_in_turn_leaves_out_the_first_attempt_s_endpoint() {
    let mut scene = Scene::new(3, model::Preset::RoundRobin.settings());
    let keys: Vec<u32> = (0..6).map(|i| scene.pick(i).slot).collect();
    assert_eq!(keys, [0, 1, 2, 0, 1, 2]);
    let not = EndpointKey { slot: 0, generation: 0 };
    let next = scene.books.pick(at(9), &mut scene.dice, Some(not)).unwrap();
    assert_eq!(next.slot, 1);
}
