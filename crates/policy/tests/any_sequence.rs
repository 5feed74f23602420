//! After any sequence of events, dropped drivers and reloads included, nothing is left in flight, pending or waiting;
//! and on the way no call makes more attempts than its rule and the budget allow, answers twice, or repeats what is not
//! safe to repeat.

mod sequence;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_left_and_no_promise_is_broken(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let tally = sequence::run(&bytes);
        // Played again from its tape it goes the same way.
        let steps = policy::tape::replay(tally.tape.lines());
        prop_assert_eq!(steps, Ok(tally.tape.matches(" next ").count()));
    }
}

/// The sequences are worth something only if they get everywhere.
#[test]
fn the_sequences_get_everywhere() {
    let mut sum = sequence::Tally::default();
    let mut state = 1u64;
    for _ in 0..300 {
        let bytes: Vec<u8> = (0..600)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as u8
            })
            .collect();
        let tally = sequence::run(&bytes);
        sum.calls += tally.calls;
        sum.seconds += tally.seconds;
        sum.thirds += tally.thirds;
        sum.timed_out += tally.timed_out;
        sum.answers += tally.answers;
        sum.refusals += tally.refusals;
        sum.queued += tally.queued;
        sum.reloads += tally.reloads;
    }
    assert!(sum.calls > 5_000 && sum.answers > 1_000 && sum.refusals > 1_000, "{sum:?}");
    assert!(sum.thirds > 100 && sum.timed_out > 100, "{sum:?}");
    assert!(sum.seconds > 100 && sum.queued > 200 && sum.reloads > 1_000, "{sum:?}");
}
