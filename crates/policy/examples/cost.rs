//! What the conductor costs: `cargo run --release -p policy --example cost`.

use model::{Importance, Moment, Settings, Timeouts};
use policy::{Answer, Ask, Attempt, Books, Call, CallId, Ending, Event, Step, Streams};
use std::hint::black_box;
use std::sync::Mutex;
use std::time::Duration;

const CALLS: u64 = 2_000_000;
const ANSWER: Answer = Answer { status: 200, upgraded: false, refusal: None, long: false };

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

/// The plain path: open, wait, head, forward, end; 11 endpoints, all default policies.
fn request(id: u64, books: &Mutex<(Books, Streams)>, locked: bool, now: &mut Moment) {
    let mut call = Call::begin(ask(id), *now);
    let mut guard = books.lock().expect("nobody panics with the lock");
    let mut step = |guard: &mut (Books, Streams), now: Moment| -> Step {
        let (books, dice) = guard;
        black_box(call.next(books, now, dice))
    };
    step(&mut guard, *now);
    step(&mut guard, *now);
    *now = now.after(Duration::from_micros(200));
    let head = Event::Head { attempt: Attempt::First, answer: black_box(ANSWER) };
    if locked {
        drop(guard);
        guard = books.lock().expect("nobody panics with the lock");
    }
    call.on(head, &mut guard.0, *now);
    let (b, d) = &mut *guard;
    black_box(call.next(b, *now, d));
    black_box(call.next(b, *now, d));
    if locked {
        drop(guard);
        guard = books.lock().expect("nobody panics with the lock");
    }
    call.on(Event::Ended(Ending::Complete), &mut guard.0, *now);
    let (b, d) = &mut *guard;
    black_box(call.next(b, *now, d));
    black_box(b.take_woken().count());
}

/// The time that this thread has had a processor, so that a busy machine does not count.
fn cpu_nanos() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default()
}

fn measure(name: &str, locked: bool) {
    let settings = Settings::default();
    let mut books = Books::new(&settings, Moment::ZERO);
    books.follow(&(0..11).collect::<Vec<_>>(), &settings, Moment::ZERO);
    let books = Mutex::new((books, Streams::new(1)));
    let mut now = Moment::from_millis(1);
    let begin = cpu_nanos();
    for id in 0..CALLS {
        request(id, &books, locked, &mut now);
    }
    let nanos = (cpu_nanos() - begin) / CALLS as f64;
    println!("{name}: {nanos:.0} ns a request");
}

fn main() {
    println!(
        "sizes in bytes: Call {}, Step {}, Event {}, Books {} and {} an endpoint",
        size_of::<Call>(),
        size_of::<Step>(),
        size_of::<Event>(),
        size_of::<Books>(),
        Books::BYTES_PER_ENDPOINT,
    );
    measure("conductor, the lock taken once", false);
    measure("conductor, the lock taken for each wait", true);
}
