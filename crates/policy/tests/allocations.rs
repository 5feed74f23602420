//! The plain path of a request allocates nothing once the books are warm.

use model::{Importance, Limit, Moment, Retry, Settings, Timeouts};
use policy::{Answer, Ask, Attempt, Books, Call, CallId, Ending, Event, Reached, Step, Streams};
use std::time::Duration;

struct Desk {
    books: Books,
    dice: Streams,
    now: Moment,
    calls: u64,
}

impl Desk {
    fn ask_on(&mut self, call: &mut Call) {
        loop {
            let step = call.next(&mut self.books, self.now, &mut self.dice);
            if matches!(step, Step::Idle { .. } | Step::Settled) {
                return;
            }
        }
    }

    fn tell(&mut self, call: &mut Call, event: Event) {
        call.on(event, &mut self.books, self.now);
        self.ask_on(call);
    }

    /// A request whose attempts are refused a connection so many times before one is answered.
    fn request(&mut self, refused: usize) {
        self.calls += 1;
        let ask = Ask {
            id: CallId(self.calls),
            idempotent: true,
            has_body: false,
            remaining: None,
            attempt: 1,
            importance: Importance::Critical,
            timeouts: Timeouts::default(),
        };
        let mut call = Call::begin(ask, self.now);
        self.ask_on(&mut call);
        self.now = self.now.after(Duration::from_millis(1));
        let mut attempt = Attempt::First;
        for _ in 0..refused {
            let (reached, reason) = (Reached::Nothing, model::Reason::ConnectFailed);
            self.tell(&mut call, Event::Broke { attempt, reached, reason });
            attempt = attempt.other();
        }
        assert_eq!(usize::from(call.attempts()), refused + 1);
        let answer = Answer { status: 200, upgraded: false, refusal: None, long: false };
        self.tell(&mut call, Event::Head { attempt, answer });
        self.tell(&mut call, Event::Ended(Ending::Complete));
        assert_eq!(self.books.take_woken().count(), 0);
    }
}

#[test]
fn nothing_is_allocated_for_a_request() {
    let retry = Some(Retry { tries: 3, try_timeout: Some(Duration::from_secs(1)), ..Retry::default() });
    let limit = Some(Limit { in_flight: 64, queue: 64 });
    let settings = Settings { limit, retry, ..Settings::default() };
    let mut books = Books::new(&settings, Moment::ZERO);
    books.follow(&(0..11).collect::<Vec<_>>(), &settings, Moment::ZERO);
    let mut desk = Desk { books, dice: Streams::new(1), now: Moment::from_millis(1), calls: 0 };
    let warm = allocation_counter::measure(|| (0..2_000).for_each(|_| desk.request(0)));
    assert!(warm.count_total > 0, "the counter counts");
    // More than a second passes, so that means and medians are refreshed within.
    let counted = allocation_counter::measure(|| {
        (0..5_000).for_each(|i| desk.request(if i % 100 == 0 { 2 } else { 0 }))
    });
    assert_eq!(counted.count_total, 0);
    assert!(desk.books.is_quiet());
}
