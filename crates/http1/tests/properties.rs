//! What holds for any bytes: no panic, the same verdict however they arrive, and the same reading of
//! what is passed on. (A panic fails these tests by itself.)
#![allow(clippy::unwrap_used)]

mod messages;

use http1::corpus::{self, Direction, Outcome};
use http1::{Asked, Limits};
use proptest::collection::vec;
use proptest::prelude::*;

/// Either something like a message, or anything.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => messages::requests(),
        4 => messages::responses(),
        1 => vec(any::<u8>(), 0..200),
    ]
}

fn directions() -> impl Strategy<Value = Direction> {
    prop_oneof![
        Just(Direction::Request),
        (any::<bool>(), any::<bool>())
            .prop_map(|(head, upgrade)| Direction::Response(Asked::new(head, upgrade))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_verdict_does_not_depend_on_the_pieces(
        bytes in streams(),
        direction in directions(),
        sizes in vec(1..30usize, 1..20),
    ) {
        let limits = Limits { head_bytes: 200, fields: 6 };
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, more) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        let whole = corpus::read(&direction, &limits, [&bytes[..]]);
        prop_assert_eq!(corpus::read(&direction, &limits, pieces), whole);
    }

    #[test]
    fn what_is_passed_on_reads_the_same(bytes in streams(), direction in directions()) {
        let Outcome::Accepted(first) = corpus::read(&direction, &Limits::default(), [&bytes[..]]) else {
            return Ok(());
        };
        if first.upgraded {
            return Ok(());
        }
        let again = first.passed_on(&direction);
        let Outcome::Accepted(second) = corpus::read(&direction, &Limits::default(), [&again[..]]) else {
            return Err(TestCaseError::fail(format!("refused: {}", again.escape_ascii())));
        };
        prop_assert_eq!(&second.body, &first.body);
        prop_assert_eq!(second.framing, first.framing);
        prop_assert_eq!(second.keep_alive, first.keep_alive);
        prop_assert_eq!(&second.authority, &first.authority);
        prop_assert!(second.rest.is_empty());
        // Written twice it does not change any more.
        prop_assert_eq!(second.passed_on(&direction), again);
    }
}
