//! At most so many series a sidecar: which services stand for themselves, and which stand together as `_other`.
//!
//! Those that come first have series of their own, the app beside us before all; the rest is summed up. A service that
//! was never called has no histogram: most of a large environment is never called from most of its sidecars.

use crate::record::{Counted, Counts};
use policy::Census;

/// The name under which stands what has no series of its own.
pub(crate) const OTHERS: &str = "_other";
/// All series of a page.
const AT_MOST: usize = 2000;
/// What a page holds beside services.
const BESIDE: usize = 50;

/// How many of `all`, from the first, have series of their own.
pub(crate) fn named(all: &[Counted<'_>]) -> usize {
    let room = AT_MOST - BESIDE;
    if all.iter().map(Counted::series).sum::<usize>() <= room {
        return all.len();
    }
    let room = room - Counted::SERIES_AT_MOST;
    let mut sum = 0;
    let fits = |of: &&Counted<'_>| {
        sum += of.series();
        sum <= room
    };
    all.iter().take_while(fits).count()
}

/// What was counted for `rest` together. Of the retry budgets it is the smallest that is told.
pub(crate) fn merged(rest: &[Counted<'_>]) -> (Counts, Census) {
    let counts = Counts::default();
    rest.iter().for_each(|of| counts.add(of.counts));
    let sum = rest.iter().filter_map(|of| of.census).reduce(|a, b| Census {
        admitting: a.admitting + b.admitting,
        slow_start: a.slow_start + b.slow_start,
        resting: a.resting + b.resting,
        probing: a.probing + b.probing,
        ejected: a.ejected + b.ejected,
        panic: a.panic || b.panic,
        in_flight: a.in_flight + b.in_flight,
        pending: a.pending + b.pending,
        limit: a.limit.zip(b.limit).map(|(a, b)| a.saturating_add(b)),
        queue: a.queue + b.queue,
        retry_budget: a.retry_budget.min(b.retry_budget),
    });
    (counts, sum.unwrap_or_default())
}
