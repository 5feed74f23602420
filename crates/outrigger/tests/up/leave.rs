//! How a stop is asked for, what it answers, and that it leaves nobody behind.

use crate::stage::{self, Stage, outrigger, server};

#[test]
fn what_a_build_leaves_behind_holds_nothing_up_and_ends_with_the_environment() {
    let stage = Stage::new("[services.a]\n");
    let built = |what: &str| {
        let build = format!("[run]\nbuild = [\"sh\", \"-c\", \"sleep 1000 & echo {what} >built\"]");
        server("a", "").replace("[run]", &build)
    };
    stage.service("a", &built("first"));
    let up = stage.up(&[]);
    stage.service("a", &built("second"));
    let folder = stage.path("").display().to_string();
    let (status, _, err) = outrigger(&["apply", &folder, "--api", &up.api]);
    assert_eq!(status, 0, "{err}");
    assert_eq!(std::fs::read_to_string(stage.path("a/built")).unwrap(), "second\n");
    up.stop();
    assert!(stage.nothing_is_left());
}

#[test]
fn a_daemon_without_any_sign_of_ours_ends_with_the_environment() {
    let stage = Stage::new("[services.a]\n");
    stage.service("a", &server("a", "").replace("[\"python3\", \"serve.py\"]", "[\"sh\", \"run.sh\"]"));
    // Its own session, no parent, no environment: as daemons are that write their title over it.
    stage.file("a/run.sh", "(setsid env -i sleep 1000 &)\nexec python3 serve.py\n");
    stage.up(&[]).stop();
    assert!(stage.nothing_is_left());
}

#[test]
fn a_stop_before_the_command_has_run_is_no_success() {
    let slow = "[run]\ncommand = [\"sh\", \"-c\", \"echo >../begun; exec sleep 1000\"]\n";
    let building =
        server("a", "").replace("[run]", "[run]\nbuild = [\"sh\", \"-c\", \"echo >../begun; sleep 1000\"]");
    for (manifest, signal, command, want) in [
        (slow, "-INT", &["--", "true"][..], 130),
        (slow, "-TERM", &["--", "true"], 143),
        (slow, "-TERM", &[], 0),
        (&*building, "-INT", &["--", "true"], 130),
        (&*building, "-INT", &[], 0),
    ] {
        let stage = Stage::new("[services.a]\n");
        stage.service("a", manifest);
        let running = stage.start(command);
        stage::await_file(&stage.path("begun"));
        stage::kill(signal, running.id());
        let (status, _, err) = stage::finish(running);
        assert_eq!(status, want, "{signal} {command:?} {manifest}: {err}");
        assert!(stage.nothing_is_left());
    }
}

#[test]
fn a_terminal_that_is_closed_does_not_ask_twice() {
    let stage = Stage::new("[services.a]\n");
    stage.service("a", &server("a", "").replace("[run]", "[run]\nstop-grace = \"60s\""));
    let slow_end = "import os, signal, time\n\
                    def end(*_):\n    while not os.path.exists('../go'):\n        time.sleep(0.01)\n    os._exit(0)\n\
                    signal.signal(signal.SIGTERM, end)\n";
    stage.file("a/serve.py", &format!("{slow_end}{}", stage::SERVER));
    let up = stage.up(&[]);
    up.signal("-TERM");
    up.event("stopping", "a-1");
    up.signal("-HUP");
    up.signal("-HUP");
    // What is asked now is answered after the signals were heard.
    for _ in 0..3 {
        assert!(up.instance("a-1").pid.is_some());
    }
    stage.file("go", "");
    let (status, events) = up.ended();
    assert_eq!(status, 0);
    assert!(
        events.iter().any(|e| e.kind == "stopped" && e.reason.as_deref() == Some("exit-0")),
        "{events:?}"
    );
    assert!(stage.nothing_is_left());
}
