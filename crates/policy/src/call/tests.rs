//! The conductor's cases as a table: what happens, and what it answers.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::{State, Streams};
use model::{Balancing, Hedge, Limit, Retry, Settings, Share};

const fn at(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

fn ask() -> Ask {
    Ask {
        id: CallId(1),
        idempotent: true,
        has_body: false,
        remaining: Some(Duration::from_millis(1_000)),
        attempt: 1,
        importance: Importance::Critical,
        timeouts: Timeouts::default(),
    }
}

fn post() -> Ask {
    Ask { idempotent: false, has_body: true, ..ask() }
}

fn hedged() -> Settings {
    Settings { hedge: Some(Hedge { after: Duration::from_millis(50) }), ..Settings::default() }
}

/// So many tries of 100 ms, without a wait between them.
fn tries(tries: u8) -> Settings {
    let try_timeout = Some(Duration::from_millis(100));
    let retry = Retry { tries, try_timeout, back_off: Duration::ZERO, ..Retry::default() };
    Settings { retry: Some(retry), ..Settings::default() }
}

fn with_retry(settings: Settings, change: impl FnOnce(&mut Retry)) -> Settings {
    let mut retry = settings.retry.unwrap();
    change(&mut retry);
    Settings { retry: Some(retry), ..settings }
}

fn limited(in_flight: u32, queue: u32) -> Settings {
    Settings { limit: Some(Limit { in_flight, queue }), ..Settings::default() }
}

struct Scene {
    books: Books,
    dice: Streams,
    call: Call,
    now: Moment,
}

impl Scene {
    fn new(endpoints: u32, settings: &Settings, ask: Ask) -> Scene {
        let mut books = Books::new(settings, at(0));
        books.follow(&(0..endpoints).collect::<Vec<_>>(), settings, at(0));
        Scene { books, dice: Streams::new(1), call: Call::begin(ask, at(0)), now: at(0) }
    }

    /// Does what `what` says (`@MS EVENT`), and gives the steps up to the next wait, as words.
    fn play(&mut self, what: &str) -> String {
        let mut words = what.split(' ').peekable();
        if let Some(ms) = words.next_if(|w| w.starts_with('@')) {
            self.now = at(ms[1..].parse().unwrap());
        }
        let words: Vec<&str> = words.filter(|w| !w.is_empty()).collect();
        if let Some(event) = event(&words) {
            self.call.on(event, &mut self.books, self.now);
        }
        let mut steps = Vec::new();
        loop {
            let step = self.call.next(&mut self.books, self.now, &mut self.dice);
            steps.push(word(step));
            if matches!(step, Step::Idle { .. } | Step::Settled) {
                return steps.join(", ");
            }
        }
    }
}

fn attempt(word: &str) -> Attempt {
    if word.ends_with('1') { Attempt::First } else { Attempt::Second }
}

fn answer(status: u16) -> Answer {
    Answer { status, upgraded: status == 101, refusal: None, long: false }
}

fn reason(word: &str) -> Reason {
    Reason::from_word(word.as_bytes()).unwrap()
}

fn event(words: &[&str]) -> Option<Event> {
    Some(match words {
        [] => return None,
        ["due"] => Event::Due,
        ["woken"] => Event::Woken,
        ["body-ended"] => Event::BodyEnded,
        ["spilled"] => Event::Spilled,
        ["gone"] => Event::CallerGone,
        ["complete"] => Event::Ended(Ending::Complete),
        ["truncated"] => Event::Ended(Ending::Truncated),
        ["stalled"] => Event::Ended(Ending::Stalled),
        ["caller-stalled"] => Event::Ended(Ending::CallerStalled),
        [head, status] if head.starts_with("head") => {
            Event::Head { attempt: attempt(head), answer: answer(status.parse().unwrap()) }
        }
        [refused, word] => {
            let refusal = Some(reason(word));
            Event::Head { attempt: attempt(refused), answer: Answer { refusal, ..answer(503) } }
        }
        [broke, reached, word] => {
            let reached = match *reached {
                "nothing" => Reached::Nothing,
                "connection" => Reached::Connection,
                "bytes" => Reached::Bytes,
                _ => Reached::Head,
            };
            Event::Broke { attempt: attempt(broke), reached, reason: reason(word) }
        }
        other => panic!("no event: {other:?}"),
    })
}

fn word(step: Step) -> String {
    match step {
        Step::Open { attempt, .. } => format!("open{}", attempt as u8 + 1),
        Step::Drop { attempt, why } => format!("drop{} {why:?}", attempt as u8 + 1),
        Step::Forward { attempt, .. } => format!("forward{}", attempt as u8 + 1),
        Step::Tunnel { attempt } => format!("tunnel{}", attempt as u8 + 1),
        Step::Refuse { reason, .. } => format!("refuse {}", reason.word()),
        Step::Idle { until } if until == Moment::NEVER => "idle".into(),
        Step::Idle { until } => format!("idle {}", until.as_nanos() / 1_000_000),
        Step::Settled => "settled".into(),
    }
}

/// Plays the events of each case and compares the answers; at the end nothing may be left in the books.
fn check(name: &str, endpoints: u32, settings: &Settings, ask: Ask, lines: &[(&str, &str)]) {
    let mut scene = Scene::new(endpoints, settings, ask);
    for (what, steps) in lines {
        assert_eq!(&scene.play(what), steps, "{name}: after {what:?}");
    }
    assert!(lines.last().is_some_and(|(_, steps)| steps.ends_with("settled")), "{name} does not end");
    assert!(scene.books.is_quiet(), "{name}: {:?}", scene.books.census(scene.now));
}

/// A back-off before a second attempt that is drawn by lot: waits for it to end.
fn check_after_back_off(name: &str, endpoints: u32, ask: Ask, broke: &str, then: &str) {
    let mut scene = Scene::new(endpoints, &Settings::default(), ask);
    assert_eq!(scene.play(""), "open1, idle 1000", "{name}");
    let steps = scene.play(&format!("@100 {broke}"));
    let until: u64 = steps.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((100..=125).contains(&until), "{name}: {steps}");
    assert_eq!(scene.play(&format!("@{} due", until + 1)), then, "{name}");
    scene.play("gone");
    assert!(scene.books.is_quiet(), "{name}");
}

#[test]
fn the_plain_way() {
    let s = Settings::default();
    check(
        "an answer",
        3,
        &s,
        ask(),
        &[("", "open1, idle 1000"), ("@9 head1 200", "forward1, idle"), ("@10 complete", "settled")],
    );
    check(
        "an app's own failure is an answer",
        3,
        &s,
        ask(),
        &[("", "open1, idle 1000"), ("@9 head1 500", "forward1, idle"), ("complete", "settled")],
    );
    check(
        "a tunnel",
        3,
        &s,
        ask(),
        &[("", "open1, idle 1000"), ("@9 head1 101", "tunnel1, idle"), ("complete", "settled")],
    );
    check(
        "broke off while passed on",
        3,
        &s,
        ask(),
        &[("", "open1, idle 1000"), ("@9 head1 200", "forward1, idle"), ("truncated", "settled")],
    );
    check(
        "no answer in time",
        3,
        &s,
        ask(),
        &[("", "open1, idle 1000"), ("@1000 due", "drop1 Deadline, refuse response-timeout, settled")],
    );
}

#[test]
fn a_tunnel_frees_its_slot_at_once() {
    let mut scene = Scene::new(2, &Settings::default(), ask());
    scene.play("");
    assert_eq!(scene.books.census(at(0)).in_flight, 1);
    scene.play("@1 head1 101");
    assert!(scene.books.is_quiet());
}

#[test]
fn nobody_to_ask() {
    let s = Settings::default();
    check("none at all", 0, &s, ask(), &[("", "refuse no-instances, settled")]);
    let late = Ask { remaining: Some(Duration::ZERO), ..ask() };
    check("the time is over", 2, &s, late, &[("", "refuse deadline-passed, settled")]);
}

#[test]
fn what_never_reached_an_instance_is_repeated_elsewhere_at_once() {
    for (ask, broke) in [
        (ask(), "broke1 nothing connect-failed"),
        (post(), "broke1 nothing connect-timeout"),
        (post(), "broke1 connection instance-broke"),
        (post(), "refused1 connect-failed"),
        (post(), "refused1 queue-full"),
        (post(), "refused1 draining"),
        (post(), "refused1 no-instances"),
    ] {
        let drop = if broke.starts_with("refused") { "drop1 Retried, " } else { "" };
        check(
            broke,
            2,
            &Settings::default(),
            ask,
            &[
                ("", "open1, idle 1000"),
                (&format!("@5 {broke}"), &format!("{drop}open2, idle 1000")),
                ("@9 head2 200", "forward2, idle"),
                ("@10 complete", "settled"),
            ],
        );
    }
}

#[test]
fn what_may_have_been_carried_out_is_repeated_only_if_idempotent_and_after_a_wait() {
    for broke in ["broke1 bytes instance-broke", "broke1 head instance-broke"] {
        check_after_back_off(broke, 2, ask(), broke, "open2, idle 1000");
        check(
            broke,
            2,
            &Settings::default(),
            post(),
            &[("", "open1, idle 1000"), (broke, "refuse instance-broke, settled")],
        );
    }
    for refused in ["refused1 instance-broke", "refused1 response-timeout"] {
        let (steps, s) = ("forward1, idle", Settings::default());
        check(refused, 2, &s, post(), &[("", "open1, idle 1000"), (refused, steps), ("gone", "settled")]);
    }
    let mut scene = Scene::new(2, &Settings::default(), ask());
    scene.play("");
    assert!(scene.play("@100 refused1 instance-broke").starts_with("drop1 Retried, idle 1"));
}

#[test]
fn refusals_that_say_later_or_no_are_the_answer() {
    for refused in
        ["shed-by-importance", "rate-over-limit", "all-resting", "not-permitted", "deadline-passed"]
    {
        check(
            refused,
            2,
            &Settings::default(),
            ask(),
            &[
                ("", "open1, idle 1000"),
                (&format!("refused1 {refused}"), "forward1, idle"),
                ("complete", "settled"),
            ],
        );
    }
}

#[test]
fn with_one_endpoint_only_what_was_not_sent_is_repeated_there_and_never_at_once() {
    check_after_back_off("refused", 1, post(), "broke1 nothing connect-failed", "open2, idle 1000");
    check_after_back_off("reset", 1, post(), "broke1 connection instance-broke", "open2, idle 1000");
    let s = Settings::default();
    for (broke, steps) in [
        ("broke1 nothing connect-timeout", "refuse connect-timeout, settled"),
        ("broke1 bytes instance-broke", "refuse instance-broke, settled"),
    ] {
        check(broke, 1, &s, ask(), &[("", "open1, idle 1000"), (broke, steps)]);
    }
    let elsewhere =
        [("", "open1, idle 1000"), ("refused1 queue-full", "forward1, idle"), ("gone", "settled")];
    check("elsewhere, where there is none", 1, &s, ask(), &elsewhere);
}

#[test]
fn no_second_attempt() {
    let none = Settings { retry: None, ..Settings::default() };
    let poor = Settings {
        retry: Some(model::Retry { budget: Some(Share::NONE), floor_per_second: 0, ..Default::default() }),
        ..Settings::default()
    };
    let above = Ask { attempt: 2, ..ask() };
    let late = Ask { remaining: Some(Duration::from_millis(5)), ..ask() };
    let broke = "@5 broke1 nothing connect-failed";
    let steps = "refuse connect-failed, settled";
    check("switched off", 2, &none, ask(), &[("", "open1, idle 1000"), (broke, steps)]);
    check("no budget", 2, &poor, ask(), &[("", "open1, idle 1000"), (broke, steps)]);
    check(
        "somebody above retries",
        2,
        &Settings::default(),
        above,
        &[("", "open1, idle 1000"), (broke, steps)],
    );
    check("past the deadline", 2, &Settings::default(), late, &[("", "open1, idle 5"), (broke, steps)]);
    check(
        "the copy is lost",
        2,
        &Settings::default(),
        post(),
        &[("", "open1, idle 1000"), ("spilled", "idle 1000"), (broke, steps)],
    );
    check(
        "there was one",
        3,
        &Settings::default(),
        ask(),
        &[
            ("", "open1, idle 1000"),
            (broke, "open2, idle 1000"),
            ("@6 broke2 nothing connect-failed", "refuse connect-failed, settled"),
        ],
    );
    check(
        "the second is refused",
        3,
        &Settings::default(),
        ask(),
        &[
            ("", "open1, idle 1000"),
            (broke, "open2, idle 1000"),
            ("@6 refused2 queue-full", "forward2, idle"),
            ("complete", "settled"),
        ],
    );
}

#[test]
fn a_body_that_outgrows_its_copy_during_the_back_off_ends_the_retry() {
    let ask = Ask { has_body: true, ..ask() };
    let mut scene = Scene::new(2, &Settings::default(), ask);
    scene.play("");
    assert!(scene.play("@100 broke1 bytes instance-broke").starts_with("idle 1"));
    scene.play("@100 spilled");
    assert_eq!(scene.play("@126 due"), "refuse instance-broke, settled");
    assert!(scene.books.is_quiet());
}

#[test]
fn a_hedge() {
    let begin = [("", "open1, idle 50"), ("@50 due", "open2, idle 1000")];
    let run = |name, rest: &[(&str, &str)]| check(name, 2, &hedged(), ask(), &[&begin, rest].concat());
    run("wins", &[("@60 head2 200", "drop1 Lost, forward2, idle"), ("complete", "settled")]);
    run("loses", &[("@60 head1 200", "drop2 Lost, forward1, idle"), ("complete", "settled")]);
    run(
        "goes on when the first breaks",
        &[
            ("@60 broke1 bytes instance-broke", "idle 1000"),
            ("@70 head2 200", "forward2, idle"),
            ("complete", "settled"),
        ],
    );
    run(
        "goes on when the first is refused",
        &[
            ("@60 refused1 queue-full", "drop1 Retried, idle 1000"),
            ("@70 broke2 bytes instance-broke", "refuse instance-broke, settled"),
        ],
    );
    run(
        "both are too late",
        &[("@1000 due", "drop1 Deadline, drop2 Deadline, refuse response-timeout, settled")],
    );
    run("the caller goes", &[("@60 gone", "drop1 CallerGone, drop2 CallerGone, settled")]);
}

#[test]
fn a_hedge_needs_the_whole_body_and_a_safe_method() {
    let body = Ask { has_body: true, ..ask() };
    check(
        "waits for the body",
        2,
        &hedged(),
        body,
        &[
            ("", "open1, idle 1000"),
            ("@40 body-ended", "idle 90"),
            ("@90 due", "open2, idle 1000"),
            ("gone", "drop1 CallerGone, drop2 CallerGone, settled"),
        ],
    );
    check(
        "and then as long as without one",
        2,
        &hedged(),
        body,
        &[
            ("", "open1, idle 1000"),
            ("@900 body-ended", "idle 950"),
            ("@950 due", "open2, idle 1000"),
            ("gone", "drop1 CallerGone, drop2 CallerGone, settled"),
        ],
    );
    let gone = ("gone", "drop1 CallerGone, settled");
    check(
        "the body was too long",
        2,
        &hedged(),
        body,
        &[("", "open1, idle 1000"), ("spilled", "idle 1000"), ("@50 body-ended", "idle 1000"), gone],
    );
    let post = Ask { idempotent: false, ..ask() };
    check("a POST", 2, &hedged(), post, &[("", "open1, idle 1000"), ("@50 due", "idle 1000"), gone]);
    let above = Ask { attempt: 2, ..ask() };
    check("a retry", 2, &hedged(), above, &[("", "open1, idle 1000"), ("@50 due", "idle 1000"), gone]);
    check("nowhere else", 1, &hedged(), ask(), &[("", "open1, idle 50"), ("@50 due", "idle 1000"), gone]);
}

/// A hundred calls at two endpoints, one after another, or until the first is not admitted any more: its state then, and
/// its latency. What happens to a call there is `first`, each `@MS` after it began.
fn state_after(settings: &Settings, ask: Ask, first: &[&str]) -> (State, Option<Duration>) {
    let settings = Settings { balancing: Balancing::LeastLoaded, ..settings.clone() };
    let mut scene = Scene::new(2, &settings, ask);
    for _ in 0..100 {
        let start = scene.now.as_nanos() / 1_000_000 + 10;
        scene.call = Call::begin(ask, at(start));
        let step = scene.call.next(&mut scene.books, at(start), &mut scene.dice);
        let Step::Open { to, .. } = step else { panic!("{step:?}") };
        let bad = scene.books.handle(to) == Some(0);
        let good = ["@0 body-ended", "@20 head1 200", "@20 complete"];
        for what in if bad { first } else { &good } {
            let (ms, event) = what[1..].split_once(' ').unwrap();
            scene.play(&format!("@{} {event}", start + ms.parse::<u64>().unwrap()));
        }
        assert!(scene.books.is_quiet(), "{first:?}");
        if scene.books.endpoints(scene.now).next().unwrap().state != State::Admitting {
            break;
        }
    }
    let first = scene.books.endpoints(scene.now).next().unwrap();
    (first.state, first.latency)
}

fn without(breaker: bool, ejection: bool) -> Settings {
    let all = Settings::default();
    Settings {
        breaker: all.breaker.filter(|_| !breaker),
        ejection: all.ejection.filter(|_| !ejection),
        ..all
    }
}

#[test]
fn an_instance_whose_answers_break_off_is_taken_out() {
    for ending in ["@25 truncated", "@90 stalled", "@90 broke1 head instance-broke"] {
        let ends = ["@20 head1 200", ending];
        assert_eq!(state_after(&without(false, true), ask(), &ends).0, State::Resting, "{ending}");
        assert_eq!(state_after(&without(true, false), ask(), &ends).0, State::Ejected, "{ending}");
    }
    for ending in ["@90 caller-stalled", "@25 gone", "@90 complete"] {
        let ends = ["@20 head1 200", ending];
        assert_eq!(state_after(&Settings::default(), ask(), &ends).0, State::Admitting, "{ending}");
    }
    // A failure that comes whole is one all the same.
    let failed = ["@20 head1 500", "@20 complete"];
    assert_eq!(state_after(&without(true, false), ask(), &failed).0, State::Ejected);
}

#[test]
fn a_caller_that_sends_slowly_is_no_fault_of_the_instance() {
    let body = Ask { has_body: true, remaining: None, ..ask() };
    let short = |latency: Option<Duration>| latency.is_none_or(|l| l <= Duration::from_millis(20));
    for slow in [
        &["@8000 body-ended", "@8020 head1 200", "@8020 complete"][..],
        &["@10 spilled", "@8000 body-ended", "@8020 head1 200", "@8020 complete"],
        &["@8000 head1 200", "@8000 body-ended", "@8000 complete"],
        &["@10 spilled", "@8000 head1 200", "@8000 complete"],
        &["@8000 gone"],
        &["@10 spilled", "@15000 due"],
    ] {
        let (state, latency) = state_after(&Settings::default(), body, slow);
        assert!(state == State::Admitting && short(latency), "{slow:?}: {state:?} {latency:?}");
    }
    // One that has had the whole request is waited for as ever.
    for late in [&["@8000 body-ended", "@9000 gone"][..], &["@10 spilled", "@80 body-ended", "@15000 due"]] {
        assert_eq!(state_after(&Settings::default(), body, late).0, State::Ejected, "{late:?}");
    }
}

#[test]
fn nothing_is_hedged_while_the_service_sheds() {
    let mut scene = Scene::new(3, &hedged(), ask());
    scene.play("");
    scene.play("@1 refused1 shed-by-importance");
    scene.play("complete");
    scene.call = Call::begin(ask(), at(100));
    assert_eq!(scene.play("@100"), "open1, idle 1100");
    scene.play("gone");
    scene.call = Call::begin(ask(), at(10_000));
    assert_eq!(scene.play("@10000"), "open1, idle 10050");
}

#[test]
fn waiting_for_a_slot() {
    let s = limited(1, 1);
    let mut scene = Scene::new(2, &s, ask());
    assert_eq!(scene.play(""), "open1, idle 1000");
    let mut second = Call::begin(Ask { id: CallId(2), ..ask() }, at(1));
    let mut third = Call::begin(Ask { id: CallId(3), ..ask() }, at(2));
    let (books, dice) = (&mut scene.books, &mut scene.dice);
    assert_eq!(word(second.next(books, at(1), dice)), "idle 1001");
    assert_eq!(word(third.next(books, at(2), dice)), "refuse queue-full");
    second.on(Event::Due, books, at(3));
    assert_eq!(word(second.next(books, at(3), dice)), "idle 1001");
    scene.play("@5 head1 200");
    scene.play("@6 complete");
    let (books, dice) = (&mut scene.books, &mut scene.dice);
    assert_eq!(books.take_woken().collect::<Vec<_>>(), [CallId(2)]);
    second.on(Event::Woken, books, at(7));
    assert_eq!(word(second.next(books, at(7), dice)), "open1");
    second.on(Event::CallerGone, books, at(8));
    assert_eq!(word(second.next(books, at(8), dice)), "drop1 CallerGone");
    assert!(books.is_quiet());
}

#[test]
fn a_slot_granted_too_late_or_to_one_who_is_gone_is_not_lost() {
    let mut scene = Scene::new(2, &limited(1, 9), ask());
    scene.play("");
    let mut waiting: Vec<Call> =
        (2..5).map(|id| Call::begin(Ask { id: CallId(id), ..ask() }, at(id))).collect();
    let (books, dice) = (&mut scene.books, &mut scene.dice);
    for (i, call) in waiting.iter_mut().enumerate() {
        assert_eq!(word(call.next(books, at(5), dice)), format!("idle {}", 1_002 + i));
    }
    scene.play("@900 head1 200");
    scene.play("complete");
    let (books, dice) = (&mut scene.books, &mut scene.dice);
    // The first has been granted the slot, but comes for it when its time is over.
    assert_eq!(word(waiting[0].next(books, at(1_002), dice)), "refuse queue-too-slow");
    // So the second has it; it is gone, and the third gets it.
    waiting[1].on(Event::CallerGone, books, at(1_002));
    assert_eq!(word(waiting[1].next(books, at(1_002), dice)), "settled");
    assert_eq!(books.take_woken().map(|id| id.0).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(word(waiting[2].next(books, at(1_003), dice)), "open1");
    waiting[2].on(Event::CallerGone, books, at(1_003));
    assert!(books.is_quiet());
}

#[test]
fn the_caller_may_go_at_any_point() {
    let s = limited(1, 1);
    let gone = |name, lines: &[(&str, &str)]| check(name, 2, &s, ask(), lines);
    gone("before anything", &[("gone", "settled")]);
    gone("while waiting", &[("", "open1, idle 1000"), ("gone", "drop1 CallerGone, settled")]);
    gone(
        "while passed on",
        &[("", "open1, idle 1000"), ("head1 200", "forward1, idle"), ("gone", "settled")],
    );
    gone("twice", &[("", "open1, idle 1000"), ("gone", "drop1 CallerGone, settled"), ("gone", "settled")]);
    // Between the head and the step that passes it on the attempt must still be abandoned.
    let mut scene = Scene::new(2, &s, ask());
    scene.play("");
    let head = Event::Head { attempt: Attempt::First, answer: answer(200) };
    scene.call.on(head, &mut scene.books, at(1));
    assert_eq!(scene.play("gone"), "drop1 CallerGone, settled");
}

#[test]
fn the_route_s_connect_time_and_the_deadline_bound_a_connect() {
    for (remaining, give_up) in [(5_000, 1_000), (300, 300)] {
        let ask = Ask { remaining: Some(Duration::from_millis(remaining)), ..ask() };
        let mut scene = Scene::new(2, &Settings::default(), ask);
        let step = scene.call.next(&mut scene.books, at(0), &mut scene.dice);
        assert!(matches!(step, Step::Open { give_up: g, .. } if g == at(give_up)), "{step:?}");
    }
}

#[test]
fn the_second_attempt_goes_to_another_endpoint() {
    for seed in 0..50 {
        let mut scene = Scene::new(2, &Settings::default(), ask());
        scene.dice = Streams::new(seed);
        let to = |step| if let Step::Open { to, .. } = step { to } else { panic!("{step:?}") };
        let first = to(scene.call.next(&mut scene.books, at(0), &mut scene.dice));
        let broke = Event::Broke {
            attempt: Attempt::First,
            reached: Reached::Nothing,
            reason: Reason::ConnectFailed,
        };
        scene.call.on(broke, &mut scene.books, at(1));
        assert_ne!(to(scene.call.next(&mut scene.books, at(1), &mut scene.dice)), first);
        assert!(scene.call.retried_connection());
        assert_eq!(scene.call.attempts(), 2);
    }
}

#[test]
fn more_than_two_tries_take_turns_in_two_places() {
    let mut scene = Scene::new(3, &tries(4), ask());
    let lines = [
        ("", "open1, idle 100", 1),
        ("@5 broke1 nothing connect-failed", "open2, idle 105", 2),
        ("@9 broke2 bytes instance-broke", "open1, idle 109", 3),
        ("@20 refused1 queue-full", "drop1 Retried, open2, idle 120", 4),
        ("@30 broke2 nothing connect-failed", "refuse connect-failed, settled", 4),
    ];
    for (what, steps, attempts) in lines {
        assert_eq!((scene.play(what).as_str(), scene.call.attempts()), (steps, attempts), "{what}");
    }
    assert!(scene.books.is_quiet());
}

#[test]
fn each_try_goes_elsewhere_than_the_one_before() {
    for (seed, endpoints) in (0..50).flat_map(|seed| [(seed, 2), (seed, 3)]) {
        let mut scene = Scene::new(endpoints, &tries(10), ask());
        scene.dice = Streams::new(seed);
        let mut before = None;
        for n in 1..=10u8 {
            let step = scene.call.next(&mut scene.books, at(n.into()), &mut scene.dice);
            let Step::Open { attempt, to, .. } = step else { panic!("{step:?}") };
            assert_ne!(before.replace(to), Some(to), "attempt {n}");
            let broke = Event::Broke { attempt, reached: Reached::Bytes, reason: Reason::InstanceBroke };
            scene.call.on(broke, &mut scene.books, at(n.into()));
        }
        assert_eq!(scene.play("@11"), "refuse instance-broke, settled");
    }
}

#[test]
fn a_try_has_its_time() {
    let refused = "refuse response-timeout, settled";
    let run = |name, settings: &Settings, ask, lines: &[(&str, &str)]| check(name, 2, settings, ask, lines);
    run(
        "each of three",
        &tries(3),
        ask(),
        &[
            ("", "open1, idle 100"),
            ("@99 due", "idle 100"),
            ("@100 due", "drop1 TryTimeout, open2, idle 200"),
            ("@200 due", "drop2 TryTimeout, open1, idle 300"),
            ("@300 due", &format!("drop1 TryTimeout, {refused}")),
        ],
    );
    run(
        "the second answers",
        &tries(2),
        ask(),
        &[
            ("", "open1, idle 100"),
            ("@100 due", "drop1 TryTimeout, open2, idle 200"),
            ("@150 head1 200", "idle 200"),
            ("@200 head2 200", "forward2, idle"),
            ("complete", "settled"),
        ],
    );
    let post = Ask { has_body: false, ..post() };
    run(
        "of a POST",
        &tries(3),
        post,
        &[("", "open1, idle 100"), ("@100 due", &format!("drop1 TryTimeout, {refused}"))],
    );
    let above = Ask { attempt: 2, ..ask() };
    run(
        "below a retry",
        &tries(3),
        above,
        &[("", "open1, idle 100"), ("@100 due", &format!("drop1 TryTimeout, {refused}"))],
    );
    let short = Ask { remaining: Some(Duration::from_millis(150)), ..ask() };
    run(
        "cut by the deadline",
        &tries(3),
        short,
        &[
            ("", "open1, idle 100"),
            ("@100 due", "drop1 TryTimeout, open2, idle 150"),
            ("@150 due", &format!("drop2 Deadline, {refused}")),
        ],
    );
    let mut scene = Scene::new(2, &with_retry(tries(3), |r| r.back_off = Duration::from_millis(20)), ask());
    scene.play("");
    let steps = scene.play("@100 due");
    let until: u64 = steps.strip_prefix("drop1 TryTimeout, idle ").unwrap().parse().unwrap();
    assert!((100..120).contains(&until), "{steps}");
}

#[test]
fn the_time_of_a_try_begins_with_the_whole_body() {
    let body = Ask { has_body: true, ..ask() };
    check(
        "a slow caller",
        2,
        &tries(2),
        body,
        &[
            ("", "open1, idle 1000"),
            ("@500 due", "idle 1000"),
            ("@510 body-ended", "idle 610"),
            ("@610 due", "drop1 TryTimeout, open2, idle 710"),
            ("gone", "drop2 CallerGone, settled"),
        ],
    );
    check(
        "a body that is too long",
        2,
        &tries(2),
        body,
        &[
            ("", "open1, idle 1000"),
            ("@10 spilled", "idle 1000"),
            ("@1000 due", "drop1 Deadline, refuse response-timeout, settled"),
        ],
    );
}

#[test]
fn a_hedge_has_a_time_of_its_own() {
    let settings = Settings { hedge: Some(Hedge { after: Duration::from_millis(50) }), ..tries(3) };
    check(
        "both have had theirs",
        3,
        &settings,
        ask(),
        &[
            ("", "open1, idle 50"),
            ("@50 due", "open2, idle 100"),
            ("@100 due", "drop1 TryTimeout, idle 150"),
            ("@150 due", "drop2 TryTimeout, open1, idle 250"),
            ("@200 head1 200", "forward1, idle"),
            ("complete", "settled"),
        ],
    );
}

#[test]
fn a_connect_has_no_more_time_than_its_try() {
    let mut scene = Scene::new(2, &tries(2), ask());
    let step = scene.call.next(&mut scene.books, at(0), &mut scene.dice);
    assert!(matches!(step, Step::Open { give_up, .. } if give_up == at(100)), "{step:?}");
}

#[test]
fn whoever_insists_asks_the_only_endpoint_again() {
    let unsent = "@5 broke1 nothing connect-timeout";
    for what in [
        unsent,
        "@5 broke1 bytes instance-broke",
        "@5 refused1 instance-broke",
        "@5 refused1 connect-timeout",
    ] {
        let drop = if what.contains("refused") { "drop1 Retried, " } else { "" };
        check(
            what,
            1,
            &tries(2),
            ask(),
            &[
                ("", "open1, idle 100"),
                (what, &format!("{drop}open2, idle 105")),
                ("@105 due", "drop2 TryTimeout, refuse response-timeout, settled"),
            ],
        );
    }
    let plain = with_retry(tries(3), |r| r.try_timeout = None);
    let lines =
        [("", "open1, idle 1000"), (unsent, "open2, idle 1000"), ("gone", "drop2 CallerGone, settled")];
    check("three tries", 1, &plain, ask(), &lines);
    let elsewhere = [("", "open1, idle 100"), ("refused1 queue-full", "forward1, idle"), ("gone", "settled")];
    check("but not after \"elsewhere\"", 1, &tries(3), ask(), &elsewhere);
}

#[test]
fn stacked_retries_do_not_care_who_else_retries() {
    let above = Ask { attempt: 3, ..ask() };
    let stacked = with_retry(tries(2), |r| r.stacked = true);
    check(
        "stacked",
        2,
        &stacked,
        above,
        &[
            ("", "open1, idle 100"),
            ("@100 due", "drop1 TryTimeout, open2, idle 200"),
            ("gone", "drop2 CallerGone, settled"),
        ],
    );
}

#[test]
fn each_further_try_takes_from_the_budget_where_there_is_one() {
    let made = |budget, floor_per_second| {
        let settings = with_retry(tries(5), |r| (r.budget, r.floor_per_second) = (budget, floor_per_second));
        let mut scene = Scene::new(3, &settings, ask());
        let mut made = 0;
        for ms in 0..100u64 {
            scene.call = Call::begin(ask(), at(ms));
            let mut steps = scene.play(&format!("@{ms}"));
            while let Some(place) = steps.strip_prefix("open").and_then(|s| s.get(..1)).map(str::to_owned) {
                steps = scene.play(&format!("broke{place} nothing connect-failed"));
            }
            made += u32::from(scene.call.attempts());
        }
        made
    };
    assert_eq!(made(None, 0), 500);
    assert_eq!(made(Some(Share::NONE), 0), 100);
    // A tenth of the calls (the last one's part is not whole yet), and ten seconds' worth of one a second.
    assert_eq!(made(Some(Share::percent(10)), 1), 119);
}
