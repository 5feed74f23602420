//! What the conductor costs: `cargo run --release -p policy --example cost_of_a_call`.
//!
//! The plain path of a request: an attempt, its head, the answer passed on; 11 endpoints, all default policies, answers
//! in 200 µs one after the other. Counted is the processor's time, so that a busy machine does not count.

use model::{Importance, Moment, Settings, Timeouts};
use policy::{Answer, Ask, Attempt, Books, Call, CallId, Ending, Event, Streams};
use std::hint::black_box;
use std::sync::Mutex;
use std::time::Duration;

const CALLS: u64 = 2_000_000;
const ANSWER: Answer = Answer { status: 200, upgraded: false, refusal: None, long: false };
const HEAD: Event = Event::Head { attempt: Attempt::First, answer: ANSWER };

struct Shared {
    books: Books,
    dice: Streams,
}

fn ask(id: u64) -> Ask {
    Ask {
        id: CallId(id),
        idempotent: true,
        has_body: false,
        remaining: None,
        attempt: 1,
        importance: Importance::Critical,
        timeouts: Timeouts::default(),
    }
}

fn shared() -> Shared {
    let settings = Settings::default();
    let mut books = Books::new(&settings, Moment::ZERO);
    books.follow(&(0..11).collect::<Vec<_>>(), &settings, Moment::ZERO);
    Shared { books, dice: Streams::new(1) }
}

/// Asks for steps until the call waits or is settled: `steps` of them.
fn ask_on(call: &mut Call, shared: &mut Shared, now: Moment, steps: usize) {
    for _ in 0..steps {
        black_box(call.next(&mut shared.books, now, &mut shared.dice));
    }
}

fn tell(call: &mut Call, shared: &mut Shared, now: Moment, event: Event, steps: usize) {
    call.on(black_box(event), &mut shared.books, now);
    ask_on(call, shared, now, steps);
}

fn without_lock() {
    let mut shared = shared();
    let mut now = Moment::from_millis(1);
    for id in 0..CALLS {
        let mut call = Call::begin(ask(id), now);
        ask_on(&mut call, &mut shared, now, 2);
        now = now.after(Duration::from_micros(200));
        tell(&mut call, &mut shared, now, HEAD, 2);
        tell(&mut call, &mut shared, now, Event::Ended(Ending::Complete), 1);
    }
}

/// As the sidecar does it: the lock is taken for each step and for each event.
fn with_lock() {
    let shared = Mutex::new(shared());
    let locked = || shared.lock().expect("nobody panics with the lock");
    let mut now = Moment::from_millis(1);
    for id in 0..CALLS {
        let mut call = Call::begin(ask(id), now);
        ask_on(&mut call, &mut locked(), now, 1);
        ask_on(&mut call, &mut locked(), now, 1);
        now = now.after(Duration::from_micros(200));
        tell(&mut call, &mut locked(), now, HEAD, 1);
        ask_on(&mut call, &mut locked(), now, 1);
        tell(&mut call, &mut locked(), now, Event::Ended(Ending::Complete), 1);
    }
}

/// The time that this thread has had a processor.
fn cpu_nanos() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default()
}

fn measure(name: &str, run: impl Fn()) {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let begin = cpu_nanos();
        run();
        best = best.min((cpu_nanos() - begin) / CALLS as f64);
    }
    println!("{name}: {best:.0} ns a request (best of five)");
}

fn main() {
    let (call, books) = (size_of::<Call>(), size_of::<Books>());
    println!("sizes in bytes: Call {call}, Books {books} and {} an endpoint", Books::BYTES_PER_ENDPOINT);
    measure("conductor", without_lock);
    measure("with a lock taken five times", with_lock);
}
