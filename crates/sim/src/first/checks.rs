//! What may never happen, whatever is played.

use crate::first::world::Played;
use std::collections::BTreeMap;

/// Every promise that the run broke, in words; none is what we want.
pub fn broken_promises(played: &Played) -> Vec<String> {
    let mut broken = Vec::new();
    let mut check = |holds: bool, promise: &str, found: &dyn std::fmt::Debug| {
        if !holds {
            broken.push(format!("{promise}: {found:?}"));
        }
    };
    check(played.astray.is_empty(), "every request has one outcome", &played.astray);
    check(played.unruly.is_empty(), "two attempts, none after the answer", &played.unruly);
    let ended = played.report.requests();
    check(ended == played.sent, "as many outcomes as requests", &(ended, played.sent));
    let twice = executed_twice(played);
    check(twice.is_empty(), "what must not be carried out twice is not", &twice);
    check(played.quiet, "nothing is left in flight, pending or waiting", &"something is");
    broken
}

fn executed_twice(played: &Played) -> Vec<u64> {
    let mut times: BTreeMap<u64, u32> = played.posts.iter().map(|post| (*post, 0)).collect();
    for request in &played.executed {
        if let Some(times) = times.get_mut(request) {
            *times += 1;
        }
    }
    times.into_iter().filter(|(_, times)| *times > 1).map(|(post, _)| post).collect()
}
