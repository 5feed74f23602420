//! `outrigger run` and `outrigger agent`, joined to the control plane of an `outrigger up`.

use crate::stage::{self, Stage, Up, server};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// An environment with the service `b`, which others join.
fn environment() -> Stage {
    let stage = Stage::new("[services.b]\n");
    stage.service("b", &server("b", ""));
    stage
}

/// A program that has joined, or tries to.
struct Guest {
    child: Option<Child>,
    out: Option<ChildStdout>,
    said: std::path::PathBuf,
}

impl Guest {
    fn start(stage: &Stage, name: &str, words: &[&str]) -> Guest {
        let said = stage.path(&format!("{name}.err"));
        let child = Command::new(env!("CARGO_BIN_EXE_outrigger"))
            .args(words)
            .env("TMPDIR", stage.path(""))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&said).unwrap())
            .spawn();
        let mut child = child.unwrap();
        Guest { out: child.stdout.take(), child: Some(child), said }
    }

    /// Waits until it has said this to people.
    fn says(&self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let said = fs::read_to_string(&self.said).unwrap();
            if said.contains(text) {
                return said;
            }
            assert!(Instant::now() < deadline, "it does not say {text:?}: {said}");
            std::thread::yield_now();
        }
    }

    fn signal(&self, signal: &str) {
        stage::kill(signal, self.child.as_ref().unwrap().id());
    }

    /// Waits for its end: its status.
    fn ended(mut self) -> i32 {
        stage::wait(self.child.take().unwrap())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // A test that failed leaves nothing either.
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The words of `run` for the instance `c-1` of the service `c`.
fn run_words(stage: &Stage, api: &str, more: &[&str], command: &[&str]) -> Vec<String> {
    let token = stage.path("state/join-token");
    let words = ["run", "--service", "c", "--instance", "c-1", "--control", api, "--join-token-file"];
    let words = words.into_iter().map(str::to_owned).chain([token.display().to_string()]);
    let state = ["--state-dir".to_owned(), stage.path("guest").display().to_string()];
    let rest = more.iter().chain(&["--"]).chain(command).map(|word| (*word).to_owned());
    words.chain(state).chain(rest).collect()
}

fn run(stage: &Stage, api: &str, more: &[&str], command: &[&str]) -> Guest {
    let words = run_words(stage, api, more, command);
    Guest::start(stage, "run", &words.iter().map(String::as_str).collect::<Vec<_>>())
}

fn app(stage: &Stage) -> [String; 2] {
    ["python3".into(), stage.path("b/serve.py").display().to_string()]
}

/// What `up`'s mesh answers to a request to `url`.
fn in_mesh(up: &Up, url: &str) -> String {
    let outbound = up.client.environment().unwrap().outbound.unwrap();
    let (status, out, err) = stage::command("curl", &["-fsS", "-x", &outbound, url]);
    assert_eq!(status, 0, "{url}: {err}");
    out
}

/// An address at which nobody listens now.
fn free() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn an_app_joins_is_called_calls_others_and_leaves() {
    let stage = environment();
    let up = stage.up(&[]);
    let app = app(&stage);
    let mut guest = run(&stage, &up.api, &["--calls", "b", "--health", "/name"], &[&app[0], &app[1]]);
    guest.says("c-1 is in rotation: others in stage call it by the name c");
    assert_eq!(in_mesh(&up, "http://c/name"), "c-1\n");
    assert_eq!(in_mesh(&up, "http://c/call/B_URL/name"), "b-1\n");
    let variables = in_mesh(&up, "http://c/env");
    for want in ["OUTRIGGER_SERVICE=c\n", "OUTRIGGER_INSTANCE=c-1\n", "PORT=", "HTTP_PROXY=http://127.0.0.1:"]
    {
        assert!(variables.contains(want), "{want}: {variables}");
    }
    let (_, out, _) = stage::outrigger(&["services", "--api", &up.api]);
    assert!(out.lines().any(|line| line.starts_with("c ") && line.contains("1/1")), "{out}");
    assert!(up.instance("c-1").inbound.is_some());
    // A request that is in flight is answered before the app ends.
    let (outbound, file) = (up.client.environment().unwrap().outbound.unwrap(), stage.path("release"));
    let url = format!("http://c/hold{}", file.display());
    let caller = std::thread::spawn(move || stage::command("curl", &["-fsS", "-x", &outbound, &url]));
    let mut lines = BufReader::new(guest.out.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "holding"), "what an app writes comes untouched");
    guest.signal("-TERM");
    up.event("instance-deregistered", "c-1");
    fs::write(file, "").unwrap();
    assert_eq!(caller.join().unwrap().1, "held");
    assert_eq!(guest.ended(), 128 + 15, "the status of the app, which SIGTERM ended");
    up.stop();
    assert!(stage.nothing_is_left());
}

#[test]
fn the_status_of_the_app_is_returned_and_the_instance_is_gone() {
    let stage = environment();
    let up = stage.up(&[]);
    for (command, status) in [(&["sh", "-c", "exit 7"][..], 7), (&["no-such-program"], 127)] {
        assert_eq!(run(&stage, &up.api, &[], command).ended(), status, "{command:?}");
    }
    up.stop();
    assert!(stage.nothing_is_left());
}

#[test]
fn what_is_kept_of_a_run_without_a_name_goes_with_it() {
    let stage = environment();
    let up = stage.up(&[]);
    let token = stage.path("state/join-token").display().to_string();
    let nameless = ["run", "--service", "c", "--control", &up.api, "--join-token-file", &token, "--", "true"];
    assert_eq!(Guest::start(&stage, "run", &nameless).ended(), 0);
    assert_eq!(run(&stage, &up.api, &[], &["true"]).ended(), 0);
    let known = up.client.send(&api::ask::agents()).unwrap().agents;
    let known: Vec<&str> = known.iter().map(|agent| &*agent.name).filter(|name| *name != "up").collect();
    assert_eq!(known, ["c-1"], "it may come back, and needs no token then");
    up.stop();
}

#[test]
fn an_app_that_dies_is_taken_out_at_once() {
    let stage = environment();
    let up = stage.up(&[]);
    let app = app(&stage);
    let guest = run(&stage, &up.api, &["--address", "127.0.0.2"], &[&app[0], &app[1]]);
    guest.says("c-1 is in rotation");
    assert!(up.instance("c-1").inbound.unwrap().starts_with("127.0.0.2:"));
    assert_eq!(in_mesh(&up, "http://c/name"), "c-1\n");
    let server = stage.process_of("c-1").unwrap();
    stage::kill("-KILL", server);
    up.event("instance-deregistered", "c-1");
    assert_eq!(guest.ended(), 128 + 9);
    up.stop();
    assert!(stage.nothing_is_left());
}

#[test]
fn a_killed_run_leaves_no_process_and_no_folder() {
    let stage = environment();
    let up = stage.up(&[]);
    let token = stage.path("state/join-token").display().to_string();
    let app = app(&stage);
    let words =
        ["run", "--service", "c", "--control", &up.api, "--join-token-file", &token, "--", &app[0], &app[1]];
    let guest = Guest::start(&stage, "run", &words);
    let said = guest.says("is in rotation");
    let name = said.split_whitespace().next().unwrap().to_owned();
    assert!(name.starts_with("c-") && name.len() > 5, "{name}");
    let folder = stage.path(&format!("outrigger-{name}"));
    let run = fs::read_to_string(folder.join("run")).unwrap();
    let mark = run.lines().nth(1).unwrap().to_owned();
    assert!(stage::marked(&mark) >= 2, "an app and its sidecar");
    guest.signal("-KILL");
    guest.ended();
    let killed = Instant::now();
    while stage::marked(&mark) > 0 || folder.exists() {
        assert!(killed.elapsed() < Duration::from_secs(6), "{} are left", stage::marked(&mark));
        std::thread::yield_now();
    }
    up.stop();
}

#[test]
fn a_control_plane_that_is_away_is_waited_for_and_found_again() {
    let stage = environment();
    let api = free();
    let up = stage.up(&["--api", &api]);
    // Somebody is expected: the control plane keeps what it knows, also while it is down.
    let (status, _, err) = stage::outrigger(&["token", "--api", &api]);
    assert_eq!(status, 0, "{err}");
    up.stop();
    let app = app(&stage);
    let guest = run(&stage, &api, &[], &[&app[0], &app[1]]);
    guest.says("waiting for it, as nothing can be started before it has answered once");
    let up = stage.up(&["--api", &api]);
    guest.says("the control plane answers");
    guest.says("c-1 is in rotation");
    assert_eq!(in_mesh(&up, "http://c/name"), "c-1\n");
    // It goes away under way; everything goes on, and the next one hears of it within a second.
    up.signal("-KILL");
    up.ended();
    guest.says("everything goes on with what is known");
    let up = stage.up(&["--api", &api]);
    assert_eq!(in_mesh(&up, "http://c/name"), "c-1\n");
    guest.signal("-INT");
    guest.ended();
    up.stop();
}

#[test]
fn a_stop_before_the_app_was_started_is_no_success() {
    let stage = environment();
    stage.file("state/join-token", "of a control plane that is not there\n");
    for (signal, want) in [("-INT", 130), ("-TERM", 143)] {
        let guest = run(&stage, &free(), &[], &["true"]);
        guest.says("waiting for it, as nothing can be started before it has answered once");
        guest.signal(signal);
        assert_eq!(guest.ended(), want);
    }
}

#[test]
fn who_has_no_good_token_does_not_start_and_hears_why() {
    let stage = environment();
    let up = stage.up(&[]);
    let words = ["run", "--service", "c", "--control", &up.api, "--", "echo", "it ran"];
    let (status, out, err) = stage::outrigger(&words);
    assert_eq!((status, &*out), (1, ""));
    assert!(err.contains("--join-token-file"), "{err}");
    stage.file("bad-token", "not a token\n");
    let bad = stage.path("bad-token").display().to_string();
    let words =
        ["run", "--service", "c", "--control", &up.api, "--join-token-file", &bad, "--", "echo", "it ran"];
    let (status, out, _) = stage::outrigger(&words);
    assert_eq!((status, &*out), (1, ""));
    up.stop();
}

#[test]
fn a_node_runs_its_share_and_starts_again_without_token_and_control_plane() {
    let stage = Stage::new("[edge.routes]\n\"/\" = \"a\"\n[services.a]\n[services.b]\n");
    stage.service("a", &server("a", "[outgoing]\nservices = [\"b\"]\n"));
    stage.service("b", &server("b", ""));
    let api = free();
    let up = stage.up(&["--api", &api]);
    let (folder, state) = (stage.path("").display().to_string(), stage.path("node").display().to_string());
    let token = stage.path("state/join-token").display().to_string();
    let words = ["agent", &folder, "--control", &api, "--only", "a=2", "--no-edge", "--name", "n"];
    let words = [&words[..], &["--state-dir", &state, "--quiet"]].concat();
    let node = Guest::start(&stage, "node", &[&words[..], &["--join-token-file", &token]].concat());
    for instance in ["a-n-1", "a-n-2"] {
        up.event("instance-registered", instance);
    }
    node.says("2 in rotation");
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 3 {
        seen.insert(stage::get(&up.edge, "/name").1);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["a-1\n", "a-n-1\n", "a-n-2\n"]);
    node.signal("-TERM");
    assert_eq!(node.ended(), 0);
    up.stop();
    // The control plane is away, and the token too.
    let node = Guest::start(&stage, "node-again", &words);
    node.says("everything goes on with what is known");
    let log = stage.path("node/logs/a-n-1.log");
    stage::await_file(&log);
    let up = stage.up(&["--api", &api]);
    node.says("2 in rotation");
    assert!(up.instance("a-n-1").inbound.is_some());
    node.signal("-TERM");
    assert_eq!(node.ended(), 0);
    up.stop();
    assert!(stage.nothing_is_left());
}

#[test]
fn on_a_node_one_that_does_not_start_takes_nobody_down_and_manifests_are_not_followed() {
    let stage = Stage::new("[services.a]\n[services.b]\n");
    stage.service("a", &server("a", "[outgoing]\nservices = [\"b\"]\n"));
    stage.service("b", &server("b", ""));
    let up = stage.up(&[]);
    let broken =
        "[run]\ncommand = [\"sh\", \"-c\", \"echo no luck; exit 3\"]\n[restart]\nback-off = \"10ms\"\n";
    stage.service("b", broken);
    let (folder, state) = (stage.path("").display().to_string(), stage.path("node").display().to_string());
    let token = stage.path("state/join-token").display().to_string();
    let words = ["agent", &folder, "--control", &up.api, "--no-edge", "--name", "n", "--api", "127.0.0.1:0"];
    let words = [&words[..], &["--state-dir", &state, "--quiet", "--join-token-file", &token]].concat();
    let node = Guest::start(&stage, "node", &words);
    let said = node.says("b-n-1 does not start (exit-3): it is tried again, and the others go on");
    assert!(said.contains("no luck"), "{said}");
    up.event("instance-registered", "a-n-1");
    let run = fs::read_to_string(stage.path("node/run")).unwrap();
    let api = run.lines().nth(2).unwrap();
    for command in ["plan", "apply"] {
        let (_, _, err) = stage::outrigger(&[command, &folder, "--api", api]);
        assert!(err.contains("this agent runs a part of an environment"), "{err}");
    }
    node.signal("-TERM");
    assert_eq!(node.ended(), 0);
    up.stop();
    assert!(stage.nothing_is_left());
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_starts() {
    let stage = environment();
    stage.file("c/service.toml", "name = \"c\"\n[run]\ncommand = [\"true\"]\n");
    let manifest = stage.path("c/service.toml").display().to_string();
    let folder = stage.path("").display().to_string();
    for (words, why) in [
        (&["run", "--service", "c"][..], "say after -- what is to be run"),
        (&["run", "--", "true"], "--service"),
        (&["run", "--service", "C", "--", "true"], "lower-case"),
        (&["run", "--service", "d", "--manifest", &manifest], "leave one out"),
        (&["run", "--service", "c", "--control", "here", "--", "true"], "HOST:PORT"),
        (&["run", "--service", "c", "--health", "health", "--", "true"], "begins with /"),
        (&["run", "--service", "c", "--address", "192.0.2.1", "--", "true"], "--allow-plaintext"),
        (&["agent", &folder, "--address", "0.0.0.0"], "no address that others could connect to"),
        (&["agent", &folder, "--only", "z"], "there is no service z here, but b"),
        (&["agent", &folder, "--only", "b=x"], "no number of instances"),
    ] {
        let (status, _, err) = stage::outrigger(words);
        assert_eq!(status, 2, "{words:?}: {err}");
        assert!(err.contains(why), "{words:?}: {err}");
    }
}
