//! Conversations as the description of the protocol has them, and as servers got them wrong.
#![allow(clippy::unwrap_used)]

use super::super::table::version_text;
use super::*;
use wire::xds::resource::version_of;

/// A follower and a table, with a conversation between them.
#[derive(Default)]
struct Stage {
    table: Table,
    conversation: Conversation,
    now: u64,
    gone: Vec<(Kind, Arc<str>)>,
    refused: Vec<Refusal>,
}

const POLICY: Kind = Kind::Policy;

impl Stage {
    fn with(names: &[(&str, &str)]) -> Stage {
        let mut stage = Stage { now: 1000, ..Stage::default() };
        for (name, payload) in names {
            stage.table.set(POLICY, name, Some(payload.as_bytes()));
        }
        stage
    }

    /// The resource changes (or goes), and the follower's conversation is told.
    fn change(&mut self, name: &str, payload: Option<&str>) {
        if self.table.set(POLICY, name, payload.map(str::as_bytes)) {
            self.conversation.on_change(POLICY, &name.into());
        }
    }

    fn ask(&mut self, request: Request) -> Reaction {
        let request = Request { type_url: POLICY.url().into(), ..request };
        let reaction = self.conversation.on_request(request).unwrap();
        self.gone.extend(reaction.gone.iter().cloned());
        self.refused.extend(reaction.refused.iter().cloned());
        reaction
    }

    fn subscribe(&mut self, names: &[&str]) {
        self.ask(Request { subscribe: texts(names), ..Request::default() });
    }

    fn unsubscribe(&mut self, names: &[&str]) {
        self.ask(Request { unsubscribe: texts(names), ..Request::default() });
    }

    fn accept(&mut self, response: &Response) {
        self.ask(Request { nonce: response.nonce.clone(), ..Request::default() });
    }

    fn refuse(&mut self, response: &Response, why: &str) {
        let (nonce, error) = (response.nonce.clone(), Some(why.to_owned()));
        self.ask(Request { nonce, error, ..Request::default() });
    }

    /// The next response, half a second later.
    fn next(&mut self) -> Option<Response> {
        self.now += 500;
        self.conversation.next(Moment::from_millis(self.now), &self.table, &mut self.gone)
    }

    /// The next response, which must say this, and is accepted: `name=payload`, `-name` for removed ones.
    fn hears(&mut self, said: &[&str]) {
        let response = self.next().unwrap_or_else(|| panic!("nothing, not {said:?}"));
        assert_eq!(self.read(&response), said);
        self.accept(&response);
    }

    fn hears_nothing(&mut self) {
        let next = self.next();
        assert_eq!(next.map(|response| self.read(&response)), None);
    }

    /// What a response says. It says nothing twice, and each version is the hash of what is said.
    fn read(&self, response: &Response) -> Vec<String> {
        let names = self.table.names(POLICY, "");
        let bodies = names.filter_map(|name| Some((name, self.table.get(POLICY, name)?)));
        let known: Vec<_> = bodies.map(|(name, body)| (name, body.packed().clone())).collect();
        let name = |packed| known.iter().find(|(_, known)| known == packed).unwrap().0.to_string();
        let mut said: Vec<String> = response.resources.iter().map(name).collect();
        said.extend(response.removed.iter().map(|name| format!("-{name}")));
        let unique: BTreeSet<_> = said.iter().map(|name| name.trim_start_matches('-')).collect();
        assert_eq!(unique.len(), said.len(), "twice in one response: {said:?}");
        said
    }
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn initial(held: &[(&str, &str)]) -> BTreeMap<String, String> {
    held.iter().map(|(name, said)| ((*name).into(), version_text(version_of(said.as_bytes())))).collect()
}

#[test]
fn who_subscribes_is_told_and_then_told_of_changes() {
    let mut stage = Stage::with(&[("a", "1"), ("b", "1"), ("c", "1")]);
    stage.hears_nothing();
    stage.subscribe(&["a", "b"]);
    stage.hears(&["a", "b"]);
    stage.hears_nothing();
    stage.change("c", Some("2"));
    stage.hears_nothing();
    stage.change("b", Some("2"));
    stage.hears(&["b"]);
    stage.change("b", None);
    stage.hears(&["-b"]);
    assert_eq!(stage.gone, [(POLICY, "b".into())]);
    stage.change("b", Some("3"));
    stage.hears(&["b"]);
}

#[test]
fn a_name_that_does_not_exist_is_answered_and_followed() {
    let mut stage = Stage::with(&[]);
    stage.subscribe(&["a"]);
    stage.hears(&["-a"]);
    stage.hears_nothing();
    stage.change("a", Some("1"));
    stage.hears(&["a"]);
}

#[test]
fn who_subscribes_again_is_answered_again() {
    let mut stage = Stage::with(&[("a", "1"), ("s/1", "1")]);
    stage.subscribe(&["a", "s/*"]);
    stage.hears(&["a", "s/1"]);
    stage.subscribe(&["a"]);
    stage.hears(&["a"]);
    stage.subscribe(&["s/*"]);
    stage.hears(&["s/1"]);
    stage.ask(Request { subscribe: texts(&["a"]), unsubscribe: texts(&["a"]), ..Request::default() });
    stage.hears_nothing();
}

#[test]
fn unsubscribing_needs_no_answer() {
    let mut stage = Stage::with(&[("a", "1"), ("b", "1")]);
    stage.subscribe(&["a", "b"]);
    stage.hears(&["a", "b"]);
    stage.unsubscribe(&["a", "never"]);
    stage.hears_nothing();
    stage.change("a", Some("2"));
    stage.hears_nothing();
    assert_eq!(stage.gone, [(POLICY, "a".into())], "it has dropped it by itself");
    stage.unsubscribe(&["b"]);
    stage.change("c", Some("1"));
    stage.hears_nothing();
    assert_eq!(stage.conversation.lag()[0].follows, 0, "nothing is not all");
}

#[test]
fn a_first_request_without_names_is_for_all() {
    let mut stage = Stage::with(&[("a", "1")]);
    stage.ask(Request::default());
    stage.hears(&["a"]);
    stage.change("b", Some("1"));
    stage.hears(&["b"]);
    // Naming one does not end it; unsubscribing from all does.
    stage.subscribe(&["c"]);
    stage.hears(&["-c"]);
    stage.change("d", Some("1"));
    stage.hears(&["d"]);
    stage.unsubscribe(&["*"]);
    stage.change("d", Some("2"));
    stage.hears_nothing();
    stage.change("c", Some("1"));
    stage.hears(&["c"]);
}

#[test]
fn all_can_be_said_by_name_beside_others() {
    let mut stage = Stage::with(&[("a", "1"), ("b", "1")]);
    stage.subscribe(&["a"]);
    stage.hears(&["a"]);
    stage.subscribe(&["*"]);
    stage.hears(&["a", "b"]);
    // Wanted as one of all still, so that it is told what is with it.
    stage.unsubscribe(&["a"]);
    stage.hears(&["a"]);
    stage.table.set(POLICY, "b", None);
    stage.subscribe(&["b"]);
    stage.hears(&["-b"]);
    stage.unsubscribe(&["b"]);
    stage.hears(&["-b"]);
}

#[test]
fn to_follow_nothing_is_said_by_both_at_once() {
    let mut stage = Stage::with(&[("a", "1")]);
    stage.ask(Request { subscribe: texts(&["*"]), unsubscribe: texts(&["*"]), ..Request::default() });
    let empty = stage.next().unwrap();
    assert!(empty.is_empty());
    stage.accept(&empty);
    stage.change("a", Some("2"));
    stage.hears_nothing();
}

#[test]
fn a_folder_is_followed_as_a_whole() {
    let mut stage = Stage::with(&[("s/1", "1"), ("s/2", "1"), ("s2/1", "1"), ("s", "1")]);
    stage.subscribe(&["s/*"]);
    stage.hears(&["s/1", "s/2"]);
    stage.change("s/3", Some("1"));
    stage.change("s/1", None);
    stage.hears(&["s/3", "-s/1"]);
    stage.change("s2/1", Some("2"));
    stage.change("s", Some("2"));
    stage.hears_nothing();
    stage.subscribe(&["t/*"]);
    stage.hears(&["-t/*"]);
    stage.change("t/1", Some("1"));
    stage.hears(&["t/1"]);
    stage.unsubscribe(&["s/*"]);
    stage.change("s/3", None);
    stage.hears_nothing();
    let gone: Vec<_> = stage.gone.iter().map(|(_, name)| &**name).collect();
    assert_eq!(gone, ["s/1", "t/*", "s/2", "s/3"]);
}

#[test]
fn a_name_in_a_folder_may_be_followed_besides() {
    let mut stage = Stage::with(&[("s/1", "1")]);
    stage.subscribe(&["s/*", "s/1"]);
    stage.hears(&["s/1"]);
    stage.unsubscribe(&["s/1"]);
    stage.hears(&["s/1"]);
    stage.change("s/1", None);
    stage.hears(&["-s/1"]);
}

#[test]
fn after_a_reconnect_only_differences_travel() {
    let mut stage = Stage::with(&[("a", "1"), ("b", "2"), ("s/1", "1"), ("s/3", "1")]);
    stage.ask(Request {
        subscribe: texts(&["a", "b", "c", "d", "s/*"]),
        initial: initial(&[("a", "1"), ("b", "1"), ("c", "1"), ("s/1", "1"), ("s/2", "1"), ("other", "1")]),
        ..Request::default()
    });
    stage.hears(&["b", "s/3", "-c", "-d", "-s/2"]);
    stage.hears_nothing();
    stage.change("a", None);
    stage.hears(&["-a"]);
}

#[test]
fn a_reconnect_without_differences_is_answered_with_nothing_once() {
    let mut stage = Stage::with(&[("a", "1"), ("s/1", "1")]);
    stage.ask(Request {
        subscribe: texts(&["a", "s/*"]),
        initial: initial(&[("a", "1"), ("s/1", "1")]),
        ..Request::default()
    });
    let empty = stage.next().unwrap();
    assert!(empty.is_empty() && empty.len() < 60, "{} bytes", empty.len());
    stage.accept(&empty);
    stage.hears_nothing();
    stage.change("a", Some("2"));
    stage.hears(&["a"]);
}

#[test]
fn versions_of_others_are_replaced() {
    let mut stage = Stage::with(&[("a", "1")]);
    let initial = BTreeMap::from([("a".to_owned(), "v17".to_owned())]);
    stage.ask(Request { subscribe: texts(&["a"]), initial, ..Request::default() });
    stage.hears(&["a"]);
}

#[test]
fn a_subscription_with_a_stale_nonce_counts_and_its_answer_does_not() {
    let mut stage = Stage::with(&[("a", "1"), ("b", "1")]);
    stage.subscribe(&["a"]);
    let first = stage.next().unwrap();
    for nonce in ["77", "", "no number"] {
        stage.ask(Request { nonce: nonce.into(), subscribe: texts(&["b"]), ..Request::default() });
    }
    // The first response is unanswered still, so that nothing more is sent.
    stage.hears_nothing();
    stage.accept(&first);
    stage.hears(&["b"]);
    stage.accept(&first);
    stage.hears_nothing();
}

#[test]
fn what_changes_while_nothing_is_accepted_is_sent_once_as_it_then_is() {
    let mut stage = Stage::with(&[("a", "0"), ("b", "0")]);
    stage.subscribe(&["a", "b"]);
    let first = stage.next().unwrap();
    for number in 1..1000 {
        stage.change("a", Some(&number.to_string()));
        stage.hears_nothing();
    }
    stage.change("b", None);
    let lag = stage.conversation.lag();
    assert_eq!((lag[0].behind, lag[0].waiting_since), (4, Some(Moment::from_millis(1500))));
    stage.accept(&first);
    stage.hears(&["a", "-b"]);
    stage.hears_nothing();
    assert_eq!(stage.conversation.lag()[0].behind, 0);
}

#[test]
fn a_refused_version_is_not_sent_again_but_the_next_one_is() {
    let mut stage = Stage::with(&[("a", "1")]);
    stage.subscribe(&["a"]);
    stage.hears(&["a"]);
    stage.change("a", Some("bad"));
    let response = stage.next().unwrap();
    stage.refuse(&response, "I do not like it");
    stage.hears_nothing();
    assert_eq!(stage.refused.len(), 1);
    assert_eq!((&*stage.refused[0].name, &*stage.refused[0].why), ("a", "I do not like it"));
    assert_eq!(stage.conversation.lag()[0].refuses, stage.refused);
    // It goes back to what the follower once had. Whether it still has it is its affair: it is sent.
    stage.change("a", Some("1"));
    stage.hears(&["a"]);
    assert_eq!(stage.conversation.lag()[0].refuses, []);
    stage.change("a", Some("bad"));
    let response = stage.next().unwrap();
    stage.refuse(&response, "nor now");
    // Who asks for it by name is given it.
    stage.subscribe(&["a"]);
    stage.hears(&["a"]);
}

#[test]
fn which_of_several_is_refused_is_found_out() {
    let mut stage = Stage::with(&[("a", "1"), ("b", "bad"), ("c", "1"), ("d", "1")]);
    stage.subscribe(&["a", "b", "c", "d", "e"]);
    let response = stage.next().unwrap();
    assert_eq!(stage.read(&response), ["a", "b", "c", "d", "-e"]);
    stage.refuse(&response, "b is bad");
    assert_eq!(stage.refused, []);
    stage.hears(&["a"]);
    let response = stage.next().unwrap();
    assert_eq!(stage.read(&response), ["b"]);
    stage.refuse(&response, "b is bad");
    stage.change("d", None);
    stage.hears(&["c"]);
    // `d` went before its turn, and may be used; that `e` is not there is said again or was understood.
    stage.hears(&["-d"]);
    stage.hears_nothing();
    assert_eq!(stage.refused.iter().map(|refusal| &*refusal.name).collect::<Vec<_>>(), ["b"]);
    stage.change("a", Some("2"));
    stage.hears(&["a"]);
}

#[test]
fn who_drops_and_takes_up_again_what_is_under_way_is_told_what_has_gone_meanwhile() {
    let mut stage = Stage::with(&[("s/1", "1"), ("s/2", "1")]);
    stage.subscribe(&["s/*"]);
    let response = stage.next().unwrap();
    assert_eq!(stage.read(&response), ["s/1", "s/2"]);
    stage.change("s/1", None);
    stage.unsubscribe(&["s/*"]);
    stage.subscribe(&["s/*"]);
    // It reads all of this at once, and cannot know that the response is older than what it has asked for since.
    stage.accept(&response);
    stage.hears(&["s/2", "-s/1"]);
    stage.hears_nothing();
}

#[test]
fn a_removal_cannot_be_refused_for_ever() {
    let mut stage = Stage::with(&[("a", "1"), ("b", "1")]);
    stage.subscribe(&["a", "b"]);
    stage.hears(&["a", "b"]);
    stage.change("a", None);
    stage.change("b", Some("2"));
    let both = stage.next().unwrap();
    stage.refuse(&both, "no");
    assert_eq!(stage.refused.len(), 1, "only b can be meant");
    let response = stage.next().unwrap();
    assert_eq!(stage.read(&response), ["-a"]);
    stage.refuse(&response, "no");
    stage.hears_nothing();
    assert_eq!(stage.gone, [(POLICY, "a".into())]);
}

#[test]
fn changes_are_told_at_once_and_then_in_steps() {
    let mut stage = Stage::with(&[("a", "0")]);
    stage.subscribe(&["a"]);
    stage.hears(&["a"]);
    let mut told = Vec::new();
    for millis in 5000..5045 {
        stage.change("a", Some(&format!("at {millis}")));
        let now = Moment::from_millis(millis);
        if let Some(response) = stage.conversation.next(now, &stage.table, &mut stage.gone) {
            told.push(millis);
            stage.accept(&response);
        }
    }
    assert_eq!(told, [5000, 5010, 5020, 5030, 5040]);
    assert_eq!(stage.conversation.next_wakeup(), Some(Moment::from_millis(5050)));
    // An answer to a question waits for nothing, and takes along what waits.
    stage.subscribe(&["b"]);
    let response = stage.conversation.next(Moment::from_millis(5046), &stage.table, &mut stage.gone).unwrap();
    assert_eq!(stage.read(&response), ["a", "-b"]);
}

#[test]
fn a_long_answer_comes_in_parts_and_removals_come_last() {
    let long = "x".repeat(1000);
    let names: Vec<String> = (100..300).map(|number| format!("s/{number}")).collect();
    let all: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), long.as_str())).collect();
    let mut stage = Stage::with(&all);
    stage.subscribe(&["s/*", "a"]);
    let mut heard = 0;
    let mut parts = 0;
    while let Some(response) = stage.next() {
        assert!(response.len() < RESPONSE + 2000, "{}", response.len());
        heard += response.resources.len();
        parts += 1;
        let last = heard == names.len();
        assert_eq!(response.removed.len(), usize::from(last), "after {heard}");
        stage.accept(&response);
    }
    assert_eq!((heard, parts), (200, 4));
}

#[test]
fn types_are_separate_worlds_and_one_waits_for_no_other() {
    let mut stage = Stage::with(&[("a", "1")]);
    stage.table.set(Kind::Service, "a", Some(b""));
    stage.table.set(Kind::Endpoint, "a/1", Some(b"x"));
    for (kind, name) in [(Kind::Endpoint, "a/*"), (Kind::Policy, "a"), (Kind::Service, "a")] {
        let request =
            Request { type_url: kind.url().into(), subscribe: texts(&[name]), ..Request::default() };
        stage.conversation.on_request(request).unwrap();
    }
    let said: Vec<_> = (0..3).map(|_| stage.next().unwrap()).collect();
    let types: Vec<_> = said.iter().map(|response| &*response.type_url).collect();
    assert_eq!(types, Kind::ALL.map(Kind::url), "what is referred to by others comes first");
    stage.hears_nothing();
    // The nonce of one type says nothing to another.
    stage.ask(Request { nonce: said[0].nonce.clone(), ..Request::default() });
    assert_eq!(stage.conversation.lag()[1].behind, 1);
    stage.accept(&said[1]);
    assert_eq!(stage.conversation.lag()[1].behind, 0);
}

#[test]
fn a_type_of_a_newer_release_does_not_exist_here_and_does_no_harm() {
    let mut stage = Stage::with(&[("a", "1")]);
    let strange = |nonce: &str| Request {
        type_url: "type.googleapis.com/outrigger.v1.Dream".into(),
        subscribe: texts(&["x"]),
        nonce: nonce.into(),
        ..Request::default()
    };
    for _ in 0..100 {
        stage.conversation.on_request(strange("")).unwrap();
    }
    let answers: Vec<_> = std::iter::from_fn(|| stage.next()).collect();
    assert_eq!(answers.len(), 8, "bounded");
    assert_eq!((&*answers[0].type_url, &*answers[0].removed[0]), (strange("").type_url.as_str(), "x"));
    stage.conversation.on_request(strange(&answers[0].nonce)).unwrap();
    stage.hears_nothing();
    assert_eq!(stage.conversation.strange(), 101);
    stage.subscribe(&["a"]);
    stage.hears(&["a"]);
}

#[test]
fn too_much_is_refused() {
    let mut conversation = Conversation::default();
    let request = |subscribe| Request { type_url: POLICY.url().into(), subscribe, ..Request::default() };
    let why = conversation.on_request(request(vec!["x".repeat(513)])).unwrap_err();
    assert_eq!(why.to_string(), "a name of 513 bytes: names have at most 512");
    let long = Some(Node { id: "x".repeat(513), cluster: String::new() });
    assert!(conversation.on_request(Request { node: long, ..request(vec![]) }).is_err());
    let strange = Request { type_url: "x".repeat(513), ..request(vec![]) };
    assert!(conversation.on_request(strange).is_err());
    assert!(conversation.on_request(request(vec![String::new(); 2 * NAMES + 1])).is_err());
    let half = |from: usize| (from..from + NAMES / 2 + 1).map(|n| n.to_string()).collect::<Vec<_>>();
    conversation.on_request(request(half(0))).unwrap();
    assert!(conversation.on_request(request(half(NAMES))).is_err());
}

#[test]
fn of_names_of_an_unknown_type_a_few_are_answered() {
    let mut stage = Stage::default();
    let type_url = "type.googleapis.com/outrigger.v1.Dream".to_owned();
    let subscribe = (0..1_000).map(|n| n.to_string()).collect();
    stage.conversation.on_request(Request { type_url, subscribe, ..Request::default() }).unwrap();
    assert_eq!(stage.next().unwrap().removed.len(), STRANGE);
}

#[test]
fn who_owes_an_answer_for_a_minute_is_let_go_of_where_there_is_more_to_be_told() {
    let mut stage = Stage::with(&[("a", "1")]);
    stage.subscribe(&["a"]);
    let response = stage.next().unwrap();
    let since = stage.now;
    let verdict = |stage: &Stage, at: u64| stage.conversation.verdict(Moment::from_millis(at)).is_ok();
    assert!(verdict(&stage, since + 120_000), "there is nothing that it misses");
    stage.change("a", Some("2"));
    assert_eq!(stage.conversation.next_wakeup(), Some(Moment::from_millis(since + 60_000)));
    assert!(verdict(&stage, since + 59_999) && !verdict(&stage, since + 60_000));
    stage.accept(&response);
    assert!(verdict(&stage, since + 60_000));
    stage.hears(&["a"]);
}

#[test]
fn a_reason_is_kept_up_to_a_length() {
    assert_eq!(shortened("short"), "short");
    let long = shortened(&"ä".repeat(2000));
    assert_eq!(long.len(), WHY);
    assert_eq!(shortened(&format!("x{}", "ä".repeat(2000))).len(), WHY - 1);
}

#[test]
fn what_nobody_knows_yet_is_not_told_to_be_gone() {
    let mut stage = Stage::default();
    stage.table.distrust_until(Moment::from_millis(5_000));
    let version = |payload: &str| version_text(version_of(payload.as_bytes()));
    let initial = [("a", "1"), ("b", "1"), ("c", "1")].map(|(name, said)| (name.to_owned(), version(said)));
    stage.ask(Request {
        subscribe: texts(&["a", "b", "c", "new"]),
        initial: initial.into(),
        ..Request::default()
    });
    stage.hears(&["-new"]);
    stage.hears_nothing();
    assert_eq!(stage.conversation.next_wakeup(), Some(Moment::from_millis(5_000)));
    // What comes back as it was needs no word, what comes back otherwise does, and what then goes is gone.
    stage.change("a", Some("1"));
    stage.hears_nothing();
    stage.change("b", Some("2"));
    stage.hears(&["b"]);
    stage.change("b", None);
    stage.hears(&["-b"]);
    stage.change("a", None);
    stage.hears(&["-a"]);
    stage.now = 5_000;
    stage.hears(&["-c"]);
    stage.hears_nothing();
    assert_eq!(stage.conversation.next_wakeup(), None);
}

#[test]
fn what_is_held_from_before_a_restart_counts_as_accepted() {
    let mut stage = Stage::with(&[("a", "good")]);
    let initial = [("a".to_owned(), version_text(version_of(b"good")))];
    stage.ask(Request { subscribe: texts(&["a"]), initial: initial.into(), ..Request::default() });
    stage.next();
    stage.change("a", Some("bad"));
    let by = super::super::table::RefusedBy { follower: "f".into(), why: "no".into() };
    assert!(stage.table.refuse(POLICY, "a", version_of(b"bad"), by), "the good one is served in its place");
    assert_eq!(stage.table.get(POLICY, "a").unwrap().version(), version_of(b"good"));
}
