//! Lives of instances, played without a process: what is planned is applied, and what the world would answer is told.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::desired::tests::{environment, service};
use crate::desired::{Liveness, Probe};
use crate::exit::Exit;
use crate::observed::{Ended, Fact, PlaneState};
use model::Settled;

mod change;

/// An environment and the time.
struct Play {
    desired: Desired,
    observed: Observed,
    now: Moment,
    /// Units whose sidecar does not adopt that others leave.
    deaf: Vec<usize>,
    /// Whether the control plane does not answer.
    away: bool,
    /// Units whose app does not heed SIGTERM.
    stubborn: Vec<usize>,
    /// Units whose app never answers its startup probe.
    mute: Vec<usize>,
}

const TERM: Exit = Exit::Signal(15);

impl Play {
    fn begin(services: Vec<Service>) -> Play {
        let desired = environment(services);
        let observed = Observed::begin(&desired);
        let now = Moment::from_millis(1000);
        let mut play =
            Play { desired, observed, now, deaf: vec![], away: false, stubborn: vec![], mute: vec![] };
        play.tell(Fact::Joined);
        play
    }

    /// Everything has come into rotation.
    fn up(services: Vec<Service>) -> Play {
        let mut play = Play::begin(services);
        play.run();
        assert!(play.observed.ready, "{:?}", play.observed);
        play.observed.notes.clear();
        play
    }

    fn tell(&mut self, fact: Fact) {
        self.observed.on(fact, &self.desired, self.now);
    }

    /// Plans and applies until nothing is to be done; says what was done, in words.
    fn turn(&mut self) -> Vec<Action> {
        let mut done = Vec::new();
        loop {
            let plan = plan(&self.desired, &self.observed, self.now);
            if plan.actions.is_empty() {
                return done;
            }
            for action in plan.actions {
                if let Action::Renew(at) = action
                    && self.observed.is_turn_of(at)
                {
                    self.desired.renew(at);
                }
                self.observed.apply(&action, &self.desired, self.now);
                done.push(action);
            }
            assert!(done.len() < 1000, "it never comes to rest: {done:?}");
        }
    }

    /// Turns, and answers each action as the world would at once, until nothing happens any more.
    fn run(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        loop {
            let actions = self.turn();
            if actions.is_empty() {
                return words;
            }
            for action in actions {
                words.push(self.word(&action));
                self.answers(&action).into_iter().for_each(|fact| self.tell(fact));
            }
            let end = words.len().saturating_sub(20);
            assert!(words.len() < 2_000, "it goes on for ever: {:?}", &words[end..]);
        }
    }

    fn after(&mut self, millis: u64) -> Vec<String> {
        self.now = self.now.after(Duration::from_millis(millis));
        self.run()
    }

    fn answers(&self, action: &Action) -> Vec<Fact> {
        let sidecar = |at: usize| self.observed.units[at].sidecar_run;
        let app = |at: usize| self.observed.units[at].app_run;
        let wish = |at: usize| self.observed.units[at].wish;
        match *action {
            Action::Enter(_) | Action::Leave(..) if self.away => vec![],
            Action::Enter(at) => vec![Fact::Registered(at, wish(at), Settled::Everywhere)],
            Action::Leave(at, _) => {
                let deaf = self.deaf.iter().filter(|deaf| self.observed.units[**deaf].serves());
                let waiting: Vec<String> =
                    deaf.map(|deaf| self.desired.units[*deaf].name.to_string()).collect();
                match waiting.is_empty() {
                    true => vec![Fact::Deregistered(at, wish(at), Settled::Everywhere)],
                    false => vec![Fact::Waiting(at, wish(at), waiting)],
                }
            }
            Action::StartSidecar(at) => vec![Fact::SidecarReady(at, sidecar(at))],
            Action::StopSidecar(at) => {
                vec![Fact::SidecarExited(at, sidecar(at), Exit::Code(0), String::new())]
            }
            Action::KillSidecar(at, _) => {
                vec![Fact::SidecarExited(at, sidecar(at), Exit::Signal(9), String::new())]
            }
            Action::StartApp(at) if self.mute.contains(&at) => vec![Fact::AppStarted(at, app(at), 7)],
            Action::StartApp(at) => vec![Fact::AppStarted(at, app(at), 7), Fact::StartupPassed(at, app(at))],
            Action::StopApp(at, _) if !self.stubborn.contains(&at) => {
                vec![Fact::AppExited(at, app(at), TERM)]
            }
            Action::KillApp(at) => vec![Fact::AppExited(at, app(at), Exit::Signal(9))],
            Action::Publish(at) => {
                vec![Fact::Acked(at, sidecar(at), self.observed.units[at].sent.unwrap())]
            }
            Action::Drain(at) => vec![Fact::Drained(at, sidecar(at), 0)],
            _ => vec![],
        }
    }

    /// An action with the name of its unit; those of operations with their number.
    fn word(&self, action: &Action) -> String {
        let text = format!("{action:?}");
        let verb = text.split('(').next().unwrap();
        let number: usize = text.split(['(', ')', ',']).nth(1).unwrap().parse().unwrap();
        match action {
            Action::Begin(..) | Action::Await(..) | Action::Advance(_) | Action::Abandon(..) => {
                format!("{verb} #{number}")
            }
            _ => format!("{verb} {}", self.desired.units[number].name),
        }
    }

    fn unit(&self, name: &str) -> usize {
        self.desired.units.iter().position(|unit| unit.name.as_str() == name).unwrap()
    }

    fn there(&self, name: &str) -> bool {
        self.observed.in_rotation(self.unit(name))
    }

    fn exits(&mut self, name: &str, exit: Exit) {
        let at = self.unit(name);
        self.tell(Fact::AppExited(at, self.observed.units[at].app_run, exit));
    }

    fn fails_liveness(&mut self, name: &str, times: u32) {
        let at = self.unit(name);
        for _ in 0..times {
            self.tell(Fact::NotAlive(at, self.observed.units[at].app_run, "no answer".into()));
        }
    }

    fn notes(&mut self) -> Vec<(&'static str, Option<String>)> {
        std::mem::take(&mut self.observed.notes).into_iter().map(|n| (n.kind, n.reason)).collect()
    }
}

fn hanging(name: &str, instances: u32) -> Service {
    let probe = Probe::Tcp;
    let every = Duration::from_secs(10);
    let liveness = Liveness { probe, every, timeout: Duration::from_secs(1), failures: 3 };
    Service { liveness: Some(liveness), ..service(name, instances, &[]) }
}

fn job(name: &str) -> Service {
    Service { kind: Kind::Job, ..service(name, 1, &[]) }
}

#[test]
fn a_life_goes_in_order() {
    let mut play = Play::begin(vec![service("a", 1, &[])]);
    assert_eq!(play.run(), ["StartSidecar edge", "StartSidecar a-1", "StartApp a-1", "Enter a-1"]);
    assert!(play.there("a-1") && play.observed.ready);
    play.tell(Fact::Stop("asked".into()));
    let end = ["StopSidecar edge", "Halt a-1", "Leave a-1", "Drain a-1", "StopApp a-1", "StopSidecar a-1"];
    assert_eq!(play.run(), end);
    assert!(play.observed.all_gone());
}

#[test]
fn callers_start_after_those_they_call_and_stop_before_them() {
    let mut play = Play::begin(vec![service("front", 1, &["back"]), service("back", 2, &[])]);
    play.mute = vec![play.unit("back-1"), play.unit("back-2")];
    let words = play.run();
    assert!(!words.contains(&"StartApp front-1".into()), "{words:?}");
    play.tell(Fact::StartupPassed(play.unit("back-2"), 1));
    let words = play.run();
    assert!(words.contains(&"StartApp front-1".into()), "one that answers is enough: {words:?}");
    play.tell(Fact::StartupPassed(play.unit("back-1"), 1));
    play.run();
    play.tell(Fact::Stop("asked".into()));
    let words = play.run();
    let at = |word: &str| words.iter().position(|w| w == word).unwrap_or_else(|| panic!("{word}: {words:?}"));
    assert!(at("StopSidecar front-1") < at("Leave back-1"), "{words:?}");
    assert!(at("StopSidecar front-1") < at("StopApp back-2"), "{words:?}");
}

#[test]
fn a_later_start_does_not_wait_for_those_it_calls() {
    let mut play = Play::up(vec![service("front", 1, &["back"]), service("back", 1, &[])]);
    play.exits("back-1", Exit::Code(1));
    play.exits("front-1", Exit::Code(1));
    play.mute = vec![play.unit("back-1")];
    assert!(play.after(500).contains(&"StartApp front-1".into()));
    assert!(play.there("front-1"));
}

#[test]
fn nothing_starts_before_the_control_plane_is_known() {
    let mut play = Play::begin(vec![service("a", 1, &[])]);
    play.observed.plane = PlaneState::Unknown;
    assert!(play.run().is_empty());
    play.tell(Fact::PlaneAway("connection refused".into()));
    assert!(play.run().is_empty() && play.notes().contains(&("plane-away", None)));
    play.tell(Fact::Joined);
    assert!(!play.run().is_empty() && play.there("a-1"));
}

#[test]
fn who_is_not_admitted_does_not_start_but_who_was_goes_on() {
    let mut play = Play::begin(vec![service("a", 1, &[])]);
    play.observed.plane = PlaneState::Unknown;
    play.tell(Fact::NotAdmitted("the token is not known".into()));
    assert!(play.run().is_empty());
    assert_eq!(play.observed.failed_start(&play.desired), Some((None, "the token is not known".into())));
    let mut play = Play::up(vec![service("a", 1, &[])]);
    play.tell(Fact::NotAdmitted("the token is not known".into()));
    assert!(play.run().is_empty() && play.there("a-1"));
    assert!(play.notes().contains(&("plane-away", Some("not-admitted".into()))));
}

#[test]
fn an_instance_that_the_plane_refuses_thrice_fails_the_start_only() {
    for ready in [false, true] {
        let mut play = Play::begin(vec![service("a", 1, &[])]);
        play.away = true;
        play.run();
        play.observed.ready = ready;
        for round in 0..3 {
            assert!(play.observed.failed_start(&play.desired).is_none(), "{round}");
            play.tell(Fact::RegistrationRefused(1, 1, "name-taken".into(), "b runs it".into()));
            play.run();
        }
        let failed = play.observed.failed_start(&play.desired);
        let why = "the control plane does not take a-1 (name-taken)".to_owned();
        assert_eq!(failed, (!ready).then_some((None, why)));
        play.tell(Fact::Registered(1, 1, Settled::Everywhere));
        assert!(play.there("a-1") && play.observed.failed_start(&play.desired).is_none());
    }
}

#[test]
fn nobody_is_stopped_before_every_caller_knows() {
    let mut play = Play::up(vec![service("front", 2, &["back"]), service("back", 2, &[])]);
    play.deaf = vec![play.unit("front-2")];
    let (back, deaf) = (play.unit("back-1"), play.unit("front-2"));
    play.tell(Fact::Restart(1, vec![back]));
    let words = play.run();
    assert_eq!(
        words,
        ["Begin #0", "Halt back-1", "Leave back-1", "Ask front-2"],
        "the deaf one is asked whether it lives"
    );
    // It does not answer and is replaced; then nobody is left who does not know.
    play.tell(Fact::ReloadLate(deaf, play.observed.units[deaf].sidecar_run));
    assert!(!play.run().contains(&"Drain back-1".into()));
    assert!(play.notes().contains(&("killed", Some("reload-late".into()))));
    play.deaf.clear();
    let wish = play.observed.units[back].wish;
    play.tell(Fact::Deregistered(back, wish, Settled::Everywhere));
    assert!(play.run().contains(&"Drain back-1".into()));
    play.tell(Fact::SidecarExited(deaf, 1, Exit::Signal(9), String::new()));
    play.run();
    assert!(play.there("front-2") && play.there("back-1"));
}

#[test]
fn who_lives_but_does_not_follow_is_left_alone_and_waited_for_until_half_of_the_grace() {
    let mut play = Play::up(vec![service("front", 1, &["back"]), service("back", 2, &[])]);
    let (front, back) = (play.unit("front-1"), play.unit("back-1"));
    play.deaf = vec![front];
    play.tell(Fact::Restart(1, vec![back]));
    play.run();
    play.tell(Fact::Answers(front, 1));
    assert!(play.after(2_499).is_empty());
    assert_eq!(play.after(1)[..2], ["Drain back-1", "StopApp back-1"]);
    assert!(play.observed.units[front].serves());
    // What the plane says after that is of no interest any more.
    play.tell(Fact::Deregistered(back, 2, Settled::NotYet { waiting: vec!["front-1".into()] }));
    assert!(play.after(10_000).is_empty() && play.there("back-1"));
}

#[test]
fn a_stop_goes_on_without_the_control_plane_and_keeps_its_one_deadline() {
    let mut play = Play::up(vec![service("a", 1, &[])]);
    play.stubborn = vec![1];
    play.away = true;
    play.tell(Fact::PlaneAway("gone".into()));
    play.tell(Fact::Stop("asked".into()));
    assert_eq!(play.run(), ["StopSidecar edge", "Halt a-1", "Leave a-1"]);
    // Its grace is 5 s. Requests are in flight, and the sidecar does not say when they are over.
    play.now = play.now.after(Duration::from_millis(2_500));
    assert_eq!(play.turn(), [Action::Drain(1)]);
    assert_eq!(
        drain_time(Duration::from_secs(5), play.observed.units[1].halt.unwrap(), play.now).as_millis(),
        1_250
    );
    play.now = play.now.after(Duration::from_millis(1_874));
    assert!(play.turn().is_empty());
    assert_eq!(play.after(1), ["StopApp a-1"]);
    assert!(play.after(624).is_empty());
    assert_eq!(play.after(1), ["KillApp a-1", "StopSidecar a-1"], "5 s after the decision");
}

#[test]
fn a_rolling_restart_does_not_go_on_while_the_plane_does_not_take_who_is_back() {
    let mut play = Play::up(vec![service("a", 2, &[])]);
    play.away = true;
    play.tell(Fact::Restart(1, vec![1, 2]));
    for _ in 0..10 {
        play.after(5_000);
    }
    assert!(play.there("a-2") && !play.there("a-1"), "the other one still takes requests");
    let wish = play.observed.units[1].wish;
    play.tell(Fact::Registered(1, wish, Settled::Everywhere));
    play.away = false;
    play.run();
    assert!(play.there("a-1") && play.there("a-2"));
    assert_eq!(play.observed.operations[0].ended, Some(Ended::Done));
}

#[test]
fn answers_to_earlier_wishes_mean_nothing() {
    let mut play = Play::up(vec![service("a", 2, &[])]);
    play.exits("a-1", Exit::Code(1));
    play.run();
    play.tell(Fact::Registered(1, 1, Settled::Everywhere));
    assert!(!play.there("a-1"));
    play.after(500);
    assert!(play.there("a-1"));
    play.tell(Fact::Deregistered(1, 2, Settled::Everywhere));
    play.tell(Fact::RegistrationRefused(1, 2, "late".into(), String::new()));
    play.tell(Fact::Deregistered(99, 2, Settled::Everywhere));
    assert!(play.there("a-1") && play.run().is_empty());
}

#[test]
fn an_app_whose_end_is_the_end_of_all_is_not_started_again() {
    let mut play = Play::up(vec![Service { end: crate::desired::End::Stop, ..service("a", 1, &[]) }]);
    play.exits("a-1", Exit::Code(3));
    assert_eq!(play.run(), ["Leave a-1"]);
    assert_eq!(play.observed.ended, Some(Exit::Code(3)));
    assert!(play.after(60_000).is_empty());
    // One that ends because it is asked to says how it ended, too.
    let mut play = Play::up(vec![Service { end: crate::desired::End::Stop, ..service("a", 1, &[]) }]);
    play.tell(Fact::Stop("interrupted".into()));
    play.run();
    assert_eq!(play.observed.ended, Some(TERM));
    assert!(play.observed.all_gone());
}

#[test]
fn a_sidecar_that_cannot_read_its_new_file_holds_nobody_up() {
    let mut play = Play::up(vec![service("a", 1, &[])]);
    play.observed.units[1].new_ports = true;
    play.exits("a-1", Exit::Code(1));
    play.now = play.now.after(Duration::from_millis(500));
    let actions = play.turn();
    assert!(actions.contains(&Action::Publish(1)), "{actions:?}");
    play.tell(Fact::StartupPassed(1, 2));
    assert!(play.turn().is_empty(), "callers come when its sidecar knows where it is");
    let sent = play.observed.units[1].sent.unwrap();
    play.tell(Fact::ReloadRefused(1, 1, sent, "line 1: no".into()));
    assert!(play.run().contains(&"Enter a-1".into()));
    assert!(play.notes().contains(&("reload-refused", Some("refused".into()))));
}

#[test]
fn a_killed_app_is_out_at_once_and_comes_back_after_a_while() {
    let mut play = Play::up(vec![service("front", 1, &["a"]), service("a", 2, &[])]);
    play.exits("a-1", Exit::Signal(9));
    assert_eq!(play.run(), ["Leave a-1"]);
    assert!(play.after(499).is_empty());
    assert_eq!(plan(&play.desired, &play.observed, play.now).wake, play.now.after(Duration::from_millis(1)));
    assert_eq!(play.after(1)[..2], ["StartApp a-1", "Enter a-1"]);
    assert!(play.there("a-1"));
    let notes = play.notes();
    let seen: Vec<_> = notes.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(seen, ["exited", "out-of-rotation", "restarted", "started", "ready", "in-rotation"]);
    assert_eq!(notes[1].1.as_deref(), Some("sigkill"));
}

#[test]
fn news_of_an_earlier_run_mean_nothing() {
    let mut play = Play::up(vec![service("a", 1, &[])]);
    play.exits("a-1", Exit::Code(1));
    play.after(500);
    let at = play.unit("a-1");
    for late in [
        Fact::AppExited(at, 1, Exit::Code(1)),
        Fact::NotAlive(at, 1, "late".into()),
        Fact::SidecarExited(at, 0, Exit::Code(1), String::new()),
        Fact::Acked(99, 1, 5),
        Fact::ReloadLate(at, 9),
    ] {
        play.tell(late);
    }
    assert!(play.run().is_empty() && play.there("a-1"));
}

#[test]
fn a_crash_loop_is_never_busy_and_a_start_that_loops_is_given_up() {
    let mut play = Play::begin(vec![service("a", 1, &[])]);
    play.mute = vec![play.unit("a-1")];
    play.run();
    let mut waits = Vec::new();
    for _ in 0..9 {
        assert_eq!(play.observed.failed_start(&play.desired).is_some(), waits.len() >= 3, "{waits:?}");
        play.exits("a-1", Exit::Code(1));
        play.run();
        let due = plan(&play.desired, &play.observed, play.now).wake;
        let wait = u64::try_from(play.now.until(due).as_millis()).unwrap();
        waits.push(wait);
        assert!(play.after(wait).contains(&"StartApp a-1".into()));
    }
    assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
}

#[test]
fn on_a_node_one_that_does_not_start_leaves_the_others_to_themselves() {
    let mut play = Play::begin(vec![service("a", 1, &["b"]), service("b", 1, &[]), service("c", 1, &[])]);
    play.observed.goes_on = true;
    play.mute = vec![play.unit("b-1")];
    play.run();
    assert!(play.there("c-1"));
    for _ in 0..3 {
        assert!(!play.there("a-1"), "it waits for whom it calls");
        play.exits("b-1", Exit::Code(1));
        play.after(2_000);
    }
    assert!(play.there("a-1"), "no more: others may run it elsewhere");
    assert!(play.observed.failed_start(&play.desired).is_none());
    let (_, why) = play.observed.does_not_start(play.unit("b-1"), &play.desired).unwrap();
    assert_eq!(why, "b-1 does not start (exit-1)");
    play.mute.clear();
    play.exits("b-1", Exit::Code(1));
    play.after(60_000);
    assert!(play.there("b-1") && play.observed.ready, "it is tried again and again");
}

#[test]
fn an_app_that_does_not_answer_in_time_is_stopped_and_the_start_failed() {
    let mut play = Play::begin(vec![service("a", 1, &[])]);
    play.mute = vec![play.unit("a-1")];
    play.run();
    assert!(play.after(9_999).is_empty());
    assert_eq!(play.after(1), ["StopApp a-1"]);
    let (_, why) = play.observed.failed_start(&play.desired).unwrap();
    assert_eq!(why, "a-1 does not start (startup-too-slow)");
    // The next time it breaks, and that is what is told then.
    assert_eq!(play.after(500), ["StartApp a-1"]);
    play.exits("a-1", Exit::Code(4));
    assert_eq!(play.observed.units[play.unit("a-1")].reason.as_deref(), Some("exit-4"));
}

#[test]
fn an_app_that_does_not_answer_for_long_is_told_of_once_each_start() {
    let patient = |name| {
        let mut service = service(name, 1, &[]);
        service.startup.within = Duration::from_secs(60);
        service
    };
    let mut play = Play::begin(vec![patient("a")]);
    play.mute = vec![1];
    play.run();
    assert!(play.after(9_999).is_empty());
    assert_eq!(play.after(1), ["Hint a-1"]);
    assert!(play.after(49_999).is_empty());
    assert!(play.notes().contains(&("not-answering", None)));
    assert_eq!(play.after(1), ["StopApp a-1"]);
    play.after(1_000);
    assert_eq!(play.after(10_000), ["Hint a-1"]);
}

#[test]
fn what_was_ready_once_is_never_given_up() {
    let mut play = Play::up(vec![service("a", 1, &[])]);
    for _ in 0..5 {
        play.exits("a-1", Exit::Code(1));
        play.after(60_000);
    }
    assert!(play.observed.failed_start(&play.desired).is_none() && play.there("a-1"));
}

#[test]
fn a_long_good_run_forgets_earlier_ends() {
    let mut play = Play::up(vec![service("a", 1, &[])]);
    for _ in 0..4 {
        play.exits("a-1", Exit::Code(1));
        play.after(60_000);
        play.now = play.now.after(Duration::from_secs(60));
    }
    assert_eq!(play.observed.units[play.unit("a-1")].app_failures, 1);
}

#[test]
fn who_ignores_sigterm_is_killed_after_its_grace() {
    let mut play = Play::up(vec![service("a", 1, &[])]);
    play.stubborn = vec![play.unit("a-1")];
    play.tell(Fact::Stop("asked".into()));
    assert!(play.run().contains(&"StopApp a-1".into()));
    assert!(play.after(4_999).is_empty());
    assert_eq!(play.after(1), ["KillApp a-1", "StopSidecar a-1"]);
    assert!(play.observed.all_gone());
    assert!(play.notes().contains(&("killed", Some("grace-over".into()))));
}

#[test]
fn a_stop_goes_past_an_app_that_cannot_be_killed() {
    let mut play = Play::up(vec![service("a", 1, &[])]);
    play.tell(Fact::Restart(1, vec![1]));
    for stop in [false, true] {
        play.stubborn = vec![1];
        let run = play.observed.units[1].app_run;
        if stop {
            play.tell(Fact::Stop("asked".into()));
        }
        play.run();
        play.now = play.now.after(Duration::from_secs(5));
        assert!(play.turn().contains(&Action::KillApp(1)));
        assert!(play.after(30_000).is_empty(), "it is waited for");
        play.notes();
        play.tell(Fact::Undead(1, run, 77, "no permission".into()));
        let told = play.observed.notes.iter().find(|note| note.kind == "not-ending").unwrap();
        assert_eq!(told.text, "process 77 cannot be ended: no permission; end it by hand");
        play.stubborn.clear();
        play.run();
        assert_eq!((play.observed.all_gone(), play.there("a-1")), (stop, !stop));
        // Somebody has ended it by hand.
        play.tell(Fact::AppExited(1, run, Exit::Signal(9)));
        assert_eq!((play.observed.all_gone(), play.there("a-1")), (stop, !stop));
    }
}

#[test]
fn a_sidecar_that_dies_is_replaced_and_its_app_runs_on() {
    let mut play = Play::up(vec![service("a", 2, &[])]);
    let at = play.unit("a-1");
    play.tell(Fact::SidecarExited(at, 1, Exit::Signal(9), String::new()));
    let words = play.run();
    assert_eq!(words[..2], ["Leave a-1", "StartSidecar a-1"]);
    assert!(words.contains(&"Enter a-1".into()) && play.there("a-1"));
    assert_eq!((play.observed.units[at].app_run, play.observed.units[at].sidecar_run), (1, 2));
}

#[test]
fn a_sidecar_that_cannot_come_back_beside_its_app_takes_it_along() {
    let mut play = Play::up(vec![service("a", 1, &[])]);
    let at = play.unit("a-1");
    play.tell(Fact::SidecarExited(at, 1, Exit::Signal(9), String::new()));
    for _ in 0..20 {
        let actions = play.turn();
        if actions.iter().any(|action| matches!(action, Action::StopApp(..))) {
            break;
        }
        let run = play.observed.units[at].sidecar_run;
        play.tell(Fact::SidecarExited(at, run, Exit::Code(1), "address in use".into()));
        play.now = play.now.after(Duration::from_secs(5));
    }
    play.exits("a-1", TERM);
    play.turn();
    assert!(play.observed.units[at].new_ports, "it gets other ports");
}

#[test]
fn a_sidecar_that_never_serves_is_killed_and_the_start_given_up() {
    let mut play = Play::begin(vec![]);
    let mut kills = 0;
    for _ in 0..20 {
        if play.observed.failed_start(&play.desired).is_some() {
            break;
        }
        for action in play.turn() {
            if action == Action::KillSidecar(0, "startup-too-slow") {
                kills += 1;
                let run = play.observed.units[0].sidecar_run;
                play.tell(Fact::SidecarExited(0, run, Exit::Signal(9), "stuck".into()));
            }
        }
        play.now = play.now.after(SIDECAR_START);
    }
    assert_eq!(kills, 3);
}

#[test]
fn a_job_runs_to_its_end_and_is_never_called() {
    let mut play = Play::begin(vec![job("seed")]);
    assert_eq!(play.run(), ["StartSidecar edge", "StartSidecar seed-1", "StartApp seed-1"]);
    assert!(!play.observed.ready);
    play.exits("seed-1", Exit::Code(0));
    assert!(play.after(60_000).is_empty() && play.observed.ready);
    play.tell(Fact::Stop("asked".into()));
    assert_eq!(play.run(), ["StopSidecar edge", "StopSidecar seed-1"]);
}

#[test]
fn a_job_that_fails_is_tried_again_and_given_up_in_the_end() {
    let mut play = Play::begin(vec![job("seed")]);
    play.run();
    for _ in 0..3 {
        assert!(play.observed.failed_start(&play.desired).is_none());
        play.exits("seed-1", Exit::Code(2));
        play.after(10_000);
    }
    let (_, why) = play.observed.failed_start(&play.desired).unwrap();
    assert_eq!(why, "the job seed-1 failed (exit-2)");
    assert_eq!(play.observed.units[1].app, App::Failed);
}

#[test]
fn who_hangs_is_restarted_one_at_a_time() {
    let mut play = Play::up(vec![hanging("a", 3)]);
    play.stubborn = vec![play.unit("a-1")];
    for name in ["a-1", "a-2", "a-3"] {
        play.fails_liveness(name, 2);
    }
    assert!(play.run().is_empty(), "twice is not yet hanging");
    for name in ["a-1", "a-2", "a-3"] {
        play.fails_liveness(name, 1);
    }
    let words = play.run();
    assert!(words.contains(&"Leave a-1".into()), "{words:?}");
    assert!(words.contains(&"Spare a-2".into()) && words.contains(&"Spare a-3".into()), "{words:?}");
    assert!(play.there("a-2") && play.there("a-3"));
    assert!(play.run().is_empty(), "each is spared once, not for ever anew");
    // Back in rotation, and the next one's turn has come.
    assert!(play.after(5_000).contains(&"Leave a-2".into()));
}

#[test]
fn who_answers_in_between_does_not_hang() {
    let mut play = Play::up(vec![hanging("a", 2)]);
    play.fails_liveness("a-1", 2);
    play.tell(Fact::Alive(play.unit("a-1"), 1));
    play.fails_liveness("a-1", 2);
    assert!(play.run().is_empty());
}

#[test]
fn the_only_instance_is_given_more_patience() {
    let mut play = Play::up(vec![hanging("a", 1)]);
    play.fails_liveness("a-1", 8);
    assert!(play.run().is_empty());
    play.fails_liveness("a-1", 1);
    assert!(play.run().contains(&"StopApp a-1".into()));
    assert!(play.there("a-1"));
}

#[test]
fn a_rolling_restart_takes_one_at_a_time() {
    let mut play = Play::up(vec![service("a", 3, &[])]);
    play.stubborn = (1..4).collect();
    play.tell(Fact::Restart(1, vec![1, 2, 3]));
    play.tell(Fact::Restart(2, vec![1]));
    for name in ["a-1", "a-2", "a-3", "a-1"] {
        play.run();
        let away: Vec<_> = ["a-1", "a-2", "a-3"].into_iter().filter(|n| !play.there(n)).collect();
        assert_eq!(away, [name]);
        play.after(5_000);
    }
    let ended: Vec<_> = play.observed.operations.iter().map(|o| (o.done, o.ended)).collect();
    assert_eq!(ended, [(3, Some(Ended::Done)), (1, Some(Ended::Done))]);
    assert!(["a-1", "a-2", "a-3"].into_iter().all(|name| play.there(name)));
}

#[test]
fn operations_that_are_over_are_forgotten_in_the_end() {
    let mut play = Play::up(vec![service("a", 1, &[])]);
    for id in 0..150 {
        play.tell(Fact::Restart(id, vec![1]));
        play.run();
    }
    assert_eq!(play.observed.operations.len(), 100);
    assert!(play.observed.operations.iter().all(|operation| operation.ended == Some(Ended::Done)));
}

#[test]
fn a_rolling_restart_ends_where_an_instance_does_not_come_back() {
    let mut play = Play::up(vec![service("a", 2, &[])]);
    play.mute = vec![1];
    play.tell(Fact::Restart(1, vec![1, 2]));
    play.run();
    for _ in 0..3 {
        play.exits("a-1", Exit::Code(1));
        play.after(4_000);
    }
    let operation = &play.observed.operations[0];
    assert_eq!((operation.done, operation.ended), (0, Some(Ended::Failed)));
    assert!(play.there("a-2"), "the other one was never touched");
}

#[test]
fn a_rolling_restart_waits_while_a_neighbour_is_away() {
    let mut play = Play::up(vec![service("a", 2, &[])]);
    play.exits("a-2", Exit::Signal(9));
    play.run();
    play.tell(Fact::Restart(1, vec![1]));
    assert!(!play.run().iter().any(|word| word.starts_with("Begin")));
    assert!(play.after(500).contains(&"Begin #0".into()));
}

#[test]
fn who_is_out_of_rotation_anyway_is_restarted_first() {
    let mut play = Play::up(vec![service("a", 3, &[])]);
    // It does not come up any more, and its neighbours would wait for it for ever.
    play.mute = vec![2];
    play.exits("a-2", Exit::Code(1));
    play.run();
    play.tell(Fact::Restart(1, vec![1, 2, 3]));
    assert_eq!(play.run()[0], "Begin #0");
    assert_eq!(play.observed.operations[0].current.unwrap().0, 2);
    play.tell(Fact::StartupPassed(2, play.observed.units[2].app_run));
    play.mute.clear();
    play.run();
    let operation = &play.observed.operations[0];
    assert_eq!((operation.done, operation.ended), (3, Some(Ended::Done)));
}

#[test]
fn a_restart_says_whom_it_waits_for_and_does_not_wait_for_ever() {
    let mut play = Play::up(vec![service("a", 2, &[])]);
    play.mute = vec![2];
    play.exits("a-2", Exit::Code(1));
    play.run();
    play.tell(Fact::Restart(1, vec![1]));
    play.run();
    for _ in 0..74 {
        play.after(1_000);
    }
    let operation = &play.observed.operations[0];
    let told: Vec<&str> = operation.progress.iter().map(|(_, text)| text.as_str()).collect();
    let waits = "a-1 has its turn when a-2 is in rotation: waiting for it";
    assert_eq!((told.len(), told[1], operation.ended), (2, waits, None), "said once");
    play.after(1_000);
    let operation = &play.observed.operations[0];
    assert_eq!(operation.ended, Some(Ended::Failed));
    let (_, last) = operation.progress.last().unwrap();
    assert_eq!(last, "given up: a-1 had no turn, as a-2 was not in rotation in time");
    assert!(play.there("a-1"));
    // Whoever asks next is heard.
    play.mute.clear();
    play.tell(Fact::StartupPassed(2, play.observed.units[2].app_run));
    play.after(30_000);
    play.tell(Fact::Restart(2, vec![1]));
    play.run();
    assert_eq!(play.observed.operations[1].ended, Some(Ended::Done));
}

#[test]
fn a_restarted_job_takes_as_long_as_it_takes_and_is_not_done_when_it_failed() {
    let mut play = Play::begin(vec![job("seed")]);
    play.run();
    play.exits("seed-1", Exit::Code(0));
    play.run();
    play.tell(Fact::Restart(1, vec![1]));
    play.run();
    play.after(3_600_000);
    assert_eq!(play.observed.operations[0].ended, None);
    play.exits("seed-1", Exit::Code(0));
    play.run();
    assert_eq!(play.observed.operations[0].ended, Some(Ended::Done));
    play.tell(Fact::Restart(2, vec![1]));
    play.run();
    for _ in 0..3 {
        assert_eq!(play.observed.operations[1].ended, None);
        play.exits("seed-1", Exit::Code(2));
        play.after(10_000);
    }
    let operation = &play.observed.operations[1];
    assert_eq!((operation.done, operation.ended), (0, Some(Ended::Failed)));
    assert_eq!(operation.progress.last().unwrap().1, "given up: the job seed-1 failed (exit-2)");
    // One that cannot even begin is not waited for.
    play.tell(Fact::Restart(3, vec![1]));
    while !play.turn().contains(&Action::StartSidecar(1)) {
        let run = play.observed.units[1].sidecar_run;
        play.tell(Fact::SidecarExited(1, run, Exit::Code(0), String::new()));
    }
    for _ in 0..80 {
        let run = play.observed.units[1].sidecar_run;
        play.tell(Fact::SidecarExited(1, run, Exit::Code(1), "no".into()));
        play.now = play.now.after(Duration::from_secs(1));
        play.turn();
    }
    assert_eq!(play.observed.operations[2].ended, Some(Ended::Failed));
}

#[test]
fn a_stop_in_the_middle_of_anything_ends_all() {
    for millis in [0, 100, 600] {
        let mut play = Play::begin(vec![hanging("a", 2), service("b", 1, &["a"]), job("c")]);
        play.run();
        play.stubborn = vec![1];
        play.tell(Fact::Restart(1, vec![1, 2]));
        play.exits("b-1", Exit::Code(1));
        play.after(millis);
        play.tell(Fact::Stop("asked".into()));
        play.tell(Fact::Stop("asked again".into()));
        play.run();
        play.after(5_000);
        play.after(5_000);
        assert!(play.observed.all_gone(), "{:?}", play.observed.units);
    }
}

/// A small generator of numbers, so that a failing seed can be played again.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// Whatever happens, turns come to rest, a restart that was asked for takes one at a time, and a stop ends all.
#[test]
fn whatever_happens_it_comes_to_rest_and_stops() {
    for seed in 0..100 {
        let mut numbers = Numbers(seed);
        let mut play = Play::begin(vec![hanging("a", 3), service("b", 2, &["a"]), job("c")]);
        for step in 0..200 {
            let at = numbers.below(play.desired.units.len());
            let unit = &play.observed.units[at];
            let (sidecar, app) = (unit.sidecar_run, unit.app_run);
            let alive = unit.app_runs();
            match numbers.below(9) {
                0 if alive => {
                    play.tell(Fact::AppExited(at, app, Exit::Code(i32::from(at.is_multiple_of(2)))))
                }
                1 if unit.serves() => play.tell(Fact::SidecarExited(at, sidecar, TERM, "x".into())),
                2 => play.tell(Fact::NotAlive(at, app, "x".into())),
                3 if at > 0 => play.tell(Fact::Restart(step, vec![at])),
                4 if unit.serves() => play.tell(Fact::ReloadLate(at, sidecar)),
                5 => play.deaf = vec![at],
                6 => play.deaf.clear(),
                7 => play.away = !play.away,
                _ => play.stubborn = vec![at],
            }
            play.after(u64::try_from(numbers.below(2_000)).unwrap());
            for unit in 0..play.desired.units.len() {
                // The late ones' processes were killed with the news; here that is told.
                let run = play.observed.units[unit].sidecar_run;
                if matches!(play.observed.units[unit].sidecar, Sidecar::Stopping(_, Killed::Yes)) {
                    play.tell(Fact::SidecarExited(unit, run, Exit::Signal(9), String::new()));
                }
            }
        }
        play.tell(Fact::Stop("over".into()));
        for _ in 0..8 {
            play.after(10_000);
        }
        assert!(play.observed.all_gone(), "seed {seed}: {:?}", play.observed.units);
    }
}
