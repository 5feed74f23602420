//! What the agenda costs beside a binary heap: `cargo run --release -p sim --example agenda`.
//!
//! So many entries under way, as in a busy run: nine of ten a network's way or an answer ahead, one a timer of seconds.
//! Each turn takes the next one and enters another. Counted is the processor's time.

use model::Moment;
use policy::{Dice, Purpose, Streams};
use sim::clock::Agenda;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const TURNS: u64 = 10_000_000;
/// As large as what the simulator enters.
type What = [u32; 4];

fn ahead(dice: &mut Streams) -> u64 {
    match dice.below(Purpose::Pick, 10) {
        0 => 3_000_000_000 + dice.below(Purpose::Pick, 5_000_000_000),
        1..=5 => 250_000,
        _ => dice.below(Purpose::Pick, 100_000_000),
    }
}

fn buckets(under_way: u64) {
    let (mut dice, mut agenda) = (Streams::new(1), Agenda::<What>::default());
    for _ in 0..under_way {
        agenda.at(Moment::from_nanos(ahead(&mut dice)), [1; 4]);
    }
    for _ in 0..TURNS {
        let what = agenda.next_before(Moment::NEVER).unwrap_or_default();
        let at = agenda.now().as_nanos() + ahead(&mut dice);
        agenda.at(Moment::from_nanos(at), what);
    }
}

fn heap(under_way: u64) {
    let (mut dice, mut heap) = (Streams::new(1), BinaryHeap::<Reverse<(u64, u64, What)>>::new());
    (0..under_way).for_each(|number| heap.push(Reverse((ahead(&mut dice), number, [1; 4]))));
    for number in under_way..under_way + TURNS {
        let Some(Reverse((now, _, what))) = heap.pop() else { return };
        heap.push(Reverse((now + ahead(&mut dice), number, what)));
    }
}

/// The time that this thread has had a processor (Linux).
fn cpu_nanos() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default()
}

fn measure(name: &str, under_way: u64, run: impl Fn(u64)) {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let begin = cpu_nanos();
        run(under_way);
        best = best.min((cpu_nanos() - begin) / TURNS as f64);
    }
    println!("{name} with {under_way} under way: {best:.0} ns a turn (best of three)");
}

fn main() {
    for under_way in [1_000, 50_000, 1_000_000] {
        measure("agenda", under_way, buckets);
        measure("binary heap", under_way, heap);
    }
}
