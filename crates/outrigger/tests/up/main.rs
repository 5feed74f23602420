//! `outrigger up` and the commands that ask it, with the real binary, real sidecars and small scripts as apps.
//!
//! Every test has a folder, ports and a state folder of its own, and waits for events, never for time to pass.

#![allow(clippy::unwrap_used)]

mod change;
mod join;
mod leave;
mod stage;

use api::InstanceState;
use stage::{Stage, server};
use std::time::{Duration, Instant};

#[test]
fn a_command_runs_in_the_mesh_and_its_status_is_returned_twice_in_a_row() {
    let stage = Stage::new("[edge.routes]\n\"/\" = \"hello\"\n[services.hello]\n");
    stage.service("hello", &server("hello", ""));
    for _ in 0..2 {
        let script = "curl -fsS http://hello/name && env && exit 7";
        let (status, out, err) = stage.run(&["--", "sh", "-c", script]);
        assert_eq!(status, 7, "{err}");
        assert!(out.starts_with("hello-1\n"), "{out}{err}");
        let value = |name: &str| out.lines().find_map(|l| l.strip_prefix(&format!("{name}="))).unwrap_or("");
        assert!(value("OUTRIGGER_OUTBOUND").starts_with("http://127.0.0.1:"), "{out}");
        assert_eq!(value("http_proxy"), value("OUTRIGGER_OUTBOUND"));
        assert_eq!(value("HTTP_PROXY"), value("OUTRIGGER_OUTBOUND"));
        assert_eq!(value("NO_PROXY"), "localhost,127.0.0.1,::1");
        assert!(stage.nothing_is_left());
        assert_eq!(stage.kept(), ["events.jsonl", "hello-1.log"]);
    }
}

#[test]
fn an_app_gets_its_variables_and_calls_others_by_their_url() {
    let stage = Stage::new("[services.front]\n[services.back-end]\ninstances = 2\n");
    let calls = "[outgoing]\nservices = [\"back-end\"]\n[run.environment]\nCOLOUR = \"blue\"\n";
    stage.service("front", &server("front", calls));
    stage.service("back-end", &server("back-end", ""));
    let (status, out, err) = stage.run(&["--", "curl", "-fsS", "http://front/env"]);
    assert_eq!(status, 0, "{err}");
    for want in ["OUTRIGGER_SERVICE=front\n", "OUTRIGGER_INSTANCE=front-1\n", "COLOUR=blue\n", "PORT="] {
        assert!(out.contains(want), "{want}: {out}");
    }
    assert!(out.contains("BACK_END_URL=http://127.0.0.1:"), "{out}");
    let (status, out, err) = stage.run(&["--", "curl", "-fsS", "http://front/call/BACK_END_URL/name"]);
    assert_eq!(status, 0, "{err}");
    assert!(["back-end-1\n", "back-end-2\n"].contains(&&*out), "{out}");
}

#[test]
fn a_killed_app_costs_no_caller_an_error_and_comes_back() {
    let stage = Stage::new("[edge.routes]\n\"/\" = \"a\"\n[services.a]\ninstances = 2\n");
    stage.service("a", &server("a", "[restart]\nback-off = \"100ms\"\n"));
    let up = stage.up(&[]);
    let victim = up.instance("a-1");
    let (edge, (over, is_over)) = (up.edge.clone(), std::sync::mpsc::channel::<()>());
    let caller = std::thread::spawn(move || {
        let mut statuses = Vec::new();
        while is_over.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            statuses.push(stage::get(&edge, "/name").0);
        }
        statuses
    });
    stage::kill("-KILL", victim.pid.unwrap());
    let gone = up.event("out-of-rotation", "a-1");
    assert_eq!(gone.reason.as_deref(), Some("sigkill"));
    up.event_after("in-rotation", "a-1", gone.seq);
    drop(over);
    let statuses = caller.join().unwrap();
    assert!(!statuses.is_empty() && statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let again = up.instance("a-1");
    assert_eq!((again.state, again.restarts), (InstanceState::InRotation, 1));
    assert_eq!(again.sidecar_pid, victim.sidecar_pid, "its sidecar ran on");
    up.stop();
}

#[test]
fn a_request_in_flight_is_answered_before_its_instance_stops() {
    let stage = Stage::new("[edge.routes]\n\"/\" = \"a\"\n[services.a]\n");
    stage.service("a", &server("a", ""));
    let up = stage.up(&[]);
    let (edge, file) = (up.edge.clone(), stage.path("release"));
    let path = format!("/hold{}", file.display());
    let caller = std::thread::spawn(move || stage::get(&edge, &path));
    up.line("a-1", "holding");
    let api = up.api.clone();
    let restart = std::thread::spawn(move || stage::outrigger(&["restart", "a-1", "--api", &api]));
    let out = up.event("out-of-rotation", "a-1");
    std::fs::write(file, "").unwrap();
    assert_eq!(caller.join().unwrap(), (200, "held".into()));
    assert_eq!(up.event_after("drained", "a-1", out.seq).reason, None);
    assert_eq!(restart.join().unwrap().0, 0);
    up.stop();
}

#[test]
fn an_interrupt_ends_the_command_first() {
    let stage = Stage::new("[services.a]\n");
    stage.service("a", &server("a", ""));
    let ready = stage.path("command-runs");
    let script =
        format!("trap 'curl -fsS http://a/name; exit 9' TERM; echo >{}; sleep 60 & wait", ready.display());
    let running = stage.start(&["--", "sh", "-c", &script]);
    stage::await_file(&ready);
    stage::kill("-TERM", running.id());
    let (status, out, err) = stage::finish(running);
    assert_eq!((status, &*out), (9, "a-1\n"), "the mesh is there as long as the command is: {err}");
    assert!(stage.nothing_is_left());
}

#[test]
fn a_killed_sidecar_is_replaced_and_its_app_runs_on() {
    let stage = Stage::new("[services.a]\ninstances = 2\n");
    stage.service("a", &server("a", ""));
    let up = stage.up(&[]);
    let before = up.instance("a-2");
    stage::kill("-KILL", before.sidecar_pid.unwrap());
    let gone = up.event("out-of-rotation", "a-2");
    up.event_after("in-rotation", "a-2", gone.seq);
    let after = up.instance("a-2");
    assert_eq!((after.pid, after.sidecar_restarts), (before.pid, 1));
    assert_ne!(after.sidecar_pid, before.sidecar_pid);
    up.stop();
}

#[test]
fn a_sidecar_that_hangs_is_replaced_and_holds_no_restart_up() {
    let stage = Stage::new("[services.front]\ninstances = 2\n[services.back]\ninstances = 2\n");
    stage.service("front", &server("front", "[outgoing]\nservices = [\"back\"]\n"));
    stage.service("back", &server("back", ""));
    let up = stage.up(&[]);
    let stuck = up.instance("front-1");
    stage::kill("-STOP", stuck.sidecar_pid.unwrap());
    let (status, _, err) = stage::outrigger(&["restart", "back", "--api", &up.api]);
    assert_eq!(status, 0, "{err}");
    let killed = up.event("killed", "front-1");
    assert_eq!(killed.reason.as_deref(), Some("reload-late"));
    up.event_after("in-rotation", "front-1", killed.seq);
    assert_eq!(up.instance("front-1").pid, stuck.pid, "its app ran on");
    up.stop();
    assert!(stage.nothing_is_left());
}

#[test]
fn a_killed_guard_is_replaced_and_does_its_work() {
    let stage = Stage::new("[services.a]\n");
    stage.service("a", &server("a", ""));
    let up = stage.up(&[]);
    stage::kill("-KILL", stage.guard().unwrap());
    up.event("guard-exited", "");
    let run = up.run_mark();
    let killed = Instant::now();
    up.signal("-KILL");
    up.ended();
    while stage::marked(&run) > 0 {
        assert!(killed.elapsed() < Duration::from_secs(5), "{} are left", stage::marked(&run));
        std::thread::yield_now();
    }
}

#[test]
fn who_ignores_sigterm_is_killed_with_all_that_it_started() {
    let stage = Stage::new("[services.a]\n");
    let script =
        "trap '' TERM\nsetsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' &\nexec python3 serve.py";
    stage.service("a", "[run]\ncommand = [\"sh\", \"run.sh\"]\nstop-grace = \"300ms\"\n");
    stage.file("a/run.sh", script);
    stage.file(
        "a/serve.py",
        &format!("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{}", stage::SERVER),
    );
    let up = stage.up(&[]);
    up.signal("-TERM");
    let (status, events) = up.ended();
    assert_eq!(status, 0);
    assert!(
        events.iter().any(|e| e.kind == "killed" && e.reason.as_deref() == Some("grace-over")),
        "{events:?}"
    );
    assert!(stage.nothing_is_left());
}

#[test]
fn an_interrupt_stops_callers_before_those_they_call() {
    let stage = Stage::new("[edge.routes]\n\"/\" = \"front\"\n[services.front]\n[services.back]\n");
    stage.service("front", &server("front", "[outgoing]\nservices = [\"back\"]\n"));
    stage.service("back", &server("back", ""));
    let up = stage.up(&[]);
    up.signal("-INT");
    let (status, events) = up.ended();
    assert_eq!(status, 0);
    let at = |kind: &str, who: &str| {
        let found = events.iter().position(|e| e.kind == kind && e.instance.as_deref() == Some(who));
        found.unwrap_or_else(|| panic!("{kind} of {who}: {events:?}"))
    };
    assert!(at("started", "back-1") < at("started", "front-1"));
    assert!(at("stopped", "front-1") < at("out-of-rotation", "back-1"));
    assert!(at("out-of-rotation", "back-1") < at("drained", "back-1"));
    assert!(at("drained", "back-1") < at("stopped", "back-1"));
    assert_eq!(events[at("drained", "back-1")].reason, None, "nothing was left in flight");
    assert_eq!(events.last().unwrap().kind, "environment-stopped");
    assert!(stage.nothing_is_left());
}

#[test]
fn a_second_interrupt_kills_at_once() {
    let stage = Stage::new("[services.a]\n");
    stage.service("a", "[run]\ncommand = [\"python3\", \"serve.py\"]\nstop-grace = \"1h\"\n");
    stage.file(
        "a/serve.py",
        &format!("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{}", stage::SERVER),
    );
    let up = stage.up(&[]);
    up.signal("-INT");
    up.event("stopping", "a-1");
    up.signal("-INT");
    assert_eq!(up.ended().0, 130);
    assert!(stage.nothing_is_left());
}

#[test]
fn a_killed_agent_leaves_nothing_and_the_next_start_is_clean() {
    let stage = Stage::new("[services.a]\ninstances = 2\n");
    stage.service("a", "[run]\ncommand = [\"sh\", \"run.sh\"]\n");
    stage.file(
        "a/run.sh",
        "setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' &\nexec python3 serve.py",
    );
    stage.file(
        "a/serve.py",
        &format!("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{}", stage::SERVER),
    );
    let up = stage.up(&[]);
    let run = up.run_mark();
    assert!(stage::marked(&run) >= 8, "two sidecars and the edge's, two apps with two processes each");
    assert!(!stage.nothing_is_left());
    up.signal("-KILL");
    let killed = Instant::now();
    up.ended();
    while stage::marked(&run) > 0 {
        assert!(killed.elapsed() < Duration::from_secs(5), "{} are left", stage::marked(&run));
        std::thread::yield_now();
    }
    let (status, _, err) = stage.run(&["--", "curl", "-fsS", "http://a/name"]);
    assert_eq!(status, 0, "{err}");
    assert!(stage.nothing_is_left());
}

#[test]
fn a_start_that_fails_runs_no_command_and_shows_the_apps_last_words() {
    let stage = Stage::new("[services.a]\n");
    let manifest = "[run]\ncommand = [\"sh\", \"-c\", \"echo I am not well; exec sleep 60\"]\n\
                    [probes.startup]\ntcp = true\nwithin = \"300ms\"\n";
    stage.service("a", manifest);
    let (status, out, err) = stage.run(&["--", "echo", "it ran"]);
    assert_eq!((status, &*out), (1, ""));
    assert!(err.contains("a-1 does not start (startup-too-slow)") && err.contains("I am not well"), "{err}");
    assert!(stage.nothing_is_left());
}

#[test]
fn a_crash_loop_and_a_program_that_is_not_there_end_the_start() {
    for (command, why) in
        [("[\"sh\", \"-c\", \"exit 3\"]", "exit-3"), ("[\"no-such-program\"]", "not-started")]
    {
        let stage = Stage::new("[services.a]\n");
        stage.service("a", &format!("[run]\ncommand = {command}\n[restart]\nback-off = \"10ms\"\n"));
        let (status, _, err) = stage.run(&["--", "true"]);
        assert_eq!(status, 1);
        assert!(err.contains(&format!("a-1 does not start ({why})")), "{err}");
        assert!(stage.nothing_is_left());
    }
}

#[test]
fn what_is_to_be_built_is_built_first_and_a_failed_build_ends_the_start() {
    let stage = Stage::new("[services.a]\n");
    stage.service("a", &server("a", "").replace("[run]", "[run]\nbuild = [\"sh\", \"-c\", \"echo >built\"]"));
    let (status, _, err) = stage.run(&["--", "test", "-f", stage.path("a/built").to_str().unwrap()]);
    assert_eq!(status, 0, "{err}");
    let broken = "[run]\nbuild = [\"sh\", \"-c\", \"echo no compiler >&2; exit 2\"]";
    stage.service("a", &server("a", "").replace("[run]", broken));
    let (status, _, err) = stage.run(&["--", "true"]);
    assert_eq!(status, 1);
    assert!(err.contains("the build of a failed") && err.contains("no compiler"), "{err}");
    assert!(stage.nothing_is_left());
}

#[test]
fn a_job_runs_to_its_end_before_the_command() {
    let stage = Stage::new("[services.seed]\n[services.a]\n");
    let marker = stage.path("seeded");
    let script = format!("curl -fsS http://a/name >{}", marker.display());
    let job = format!(
        "kind = \"job\"\n[run]\ncommand = [\"sh\", \"-c\", \"{script}\"]\n[outgoing]\nservices = [\"a\"]\n"
    );
    stage.service("seed", &job);
    stage.service("a", &server("a", ""));
    let (status, out, err) = stage.run(&["--", "cat", marker.to_str().unwrap()]);
    assert_eq!((status, &*out), (0, "a-1\n"), "{err}");
    stage.service("seed", "kind = \"job\"\n[run]\ncommand = [\"false\"]\n[restart]\nback-off = \"1ms\"\n");
    let (status, _, err) = stage.run(&["--", "true"]);
    assert_eq!(status, 1);
    assert!(err.contains("the job seed-1 failed (exit-1)"), "{err}");
}

#[test]
fn who_hangs_is_restarted() {
    let stage = Stage::new("[services.a]\ninstances = 2\n");
    let probe = "[probes.liveness]\npath = \"/name\"\nperiod = \"50ms\"\ntimeout = \"200ms\"\nfailures = 2\n";
    stage.service("a", &server("a", probe).replace("[run]", "[run]\nstop-grace = \"200ms\""));
    let up = stage.up(&[]);
    stage::kill("-STOP", up.instance("a-1").pid.unwrap());
    let restarting = up.event("restarting", "a-1");
    assert_eq!(restarting.reason.as_deref(), Some("liveness"));
    up.event_after("in-rotation", "a-1", restarting.seq);
    assert_eq!(up.instance("a-2").restarts, 0);
    up.stop();
}

#[test]
fn the_commands_tell_what_goes_on() {
    let stage = Stage::new("[edge.routes]\n\"/\" = \"a\"\n[services.a]\ninstances = 2\n");
    stage.service("a", &server("a", ""));
    let up = stage.up(&[]);
    let api = up.api.clone();
    let ask = |words: &[&str]| stage::outrigger(&[words, &["--api", &api]].concat());
    let (status, out, _) = ask(&["services"]);
    assert_eq!(status, 0);
    assert!(out.contains("a     service  2/2"), "{out}");
    let (_, out, _) = ask(&["instances", "-o", "json"]);
    let instances: api::Instances = api::decode(&out).unwrap();
    assert_eq!(instances.version, 1);
    assert!(
        instances.instances[1..]
            .iter()
            .all(|i| i.pid.is_some() && i.sidecar_pid.is_some() && i.app.is_some())
    );
    let (_, out, _) = ask(&["logs", "a-1"]);
    assert!(out.contains("a-1 listens\n"), "{out}");
    let (_, out, _) = ask(&["logs", "a"]);
    assert!(out.contains("a-1 │ a-1 listens\n") && out.contains("a-2 │ a-2 listens\n"), "{out}");
    let pids = (up.instance("a-1").pid, up.instance("a-2").pid);
    let (status, _, err) = ask(&["restart", "a"]);
    assert_eq!(status, 0, "{err}");
    assert!(err.contains("a-2 is back") && err.contains("(2/2)"), "{err}");
    assert!(up.instance("a-1").pid != pids.0 && up.instance("a-2").pid != pids.1);
    let (_, out, _) = ask(&["events", "-o", "json"]);
    let events: api::Events = api::decode(&out).unwrap();
    let numbers: Vec<u64> = events.events.iter().map(|e| e.seq).collect();
    assert_eq!(numbers, (1..=events.next).collect::<Vec<_>>());
    for (words, text) in
        [(&["logs", "b"][..], "no service or instance is called b"), (&["restart", "b"], "called b")]
    {
        let (status, _, err) = ask(words);
        assert_eq!(status, 1);
        assert!(err.contains(text), "{err}");
    }
    let (status, _, err) = stage.run(&["--", "true"]);
    assert_eq!(status, 1);
    assert!(err.contains("already up") && err.contains(&api), "{err}");
    up.stop();
}

#[test]
fn a_page_of_a_browser_cannot_restart_anything() {
    let stage = Stage::new("[services.a]\n");
    stage.service("a", &server("a", ""));
    let up = stage.up(&[]);
    for header in ["Origin: http://evil.example", "Host: evil.example"] {
        let url = format!("http://{}/v1/restart/a", up.api);
        let (_, out, _) =
            stage::command("curl", &["-sS", "-o/dev/null", "-w%{http_code}", "-XPOST", "-H", header, &url]);
        assert_eq!(out, "403", "{header}");
    }
    let (_, out, _) = stage::command(
        "curl",
        &["-sS", "-o/dev/null", "-w%{http_code}", &format!("http://{}/v1/restart/a", up.api)],
    );
    assert_eq!(out, "405", "a restart is no question");
    up.stop();
}

#[test]
fn an_address_that_was_asked_for_and_is_taken_is_an_error() {
    let stage = Stage::new("[services.a]\n");
    stage.service("a", &server("a", ""));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (status, _, err) = stage.run(&["--api", &address, "--", "true"]);
    assert_eq!(status, 1);
    assert!(err.contains(&format!("the API cannot listen at {address}")), "{err}");
}

#[test]
fn without_an_environment_the_way_out_is_told() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (status, out, err) = stage::outrigger(&["instances", "--api", &free]);
    assert_eq!((status, &*out), (1, ""));
    assert!(
        err.contains(&format!("no environment answers at {free}: start one with `outrigger up DIR`")),
        "{err}"
    );
}

#[test]
fn usage_and_findings_have_their_own_statuses() {
    assert_eq!(stage::outrigger(&["up"]).0, 2);
    assert_eq!(stage::outrigger(&["up", "/no/such/folder"]).0, 2);
    assert_eq!(stage::outrigger(&["no-such-command"]).0, 2);
    let stage = Stage::new("[services.a]\n");
    let (status, _, err) = stage.run(&["--", "true"]);
    assert_eq!(status, 1);
    assert!(err.contains("service.toml"), "{err}");
    for words in [&["--version"][..], &["completions", "bash"], &["man"]] {
        let (status, out, _) = stage::outrigger(words);
        assert_eq!(status, 0, "{words:?}");
        assert!(out.contains("outrigger"), "{words:?}");
    }
}
