//! Manifests that change while the environment runs: `plan`, `apply`, and what `check` says meanwhile.

use crate::stage::{Stage, Up, get, outrigger, server};
use api::{CheckState, Checks, InstanceState, Plan};

fn folder(stage: &Stage) -> String {
    stage.path("").to_str().unwrap().trim_end_matches('/').to_owned()
}

/// Runs `plan` or `apply` for the folder of `stage`.
fn ask(up: &Up, stage: &Stage, command: &str, more: &[&str]) -> (i32, String, String) {
    let folder = folder(stage);
    outrigger(&[&[command, &folder, "--api", &up.api], more].concat())
}

fn names(up: &Up) -> Vec<String> {
    up.client.instances().unwrap().instances.into_iter().map(|i| i.name).collect()
}

/// Calls through the edge until it is told to stop, and says which answers were no 200.
fn load(edge: &str) -> (std::sync::mpsc::Sender<()>, std::thread::JoinHandle<(usize, Vec<u16>)>) {
    let (over, is_over) = std::sync::mpsc::channel::<()>();
    let edge = edge.to_owned();
    let caller = std::thread::spawn(move || {
        let (mut all, mut bad) = (0, Vec::new());
        while is_over.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            let status = get(&edge, "/name").0;
            all += 1;
            bad.extend((status != 200).then_some(status));
        }
        (all, bad)
    });
    (over, caller)
}

#[test]
fn changed_manifests_are_planned_applied_and_cost_no_caller_an_error() {
    let environment = |back: u32, more: &str| {
        format!(
            "name = \"stage\"\n[edge.routes]\n\"/\" = \"front\"\n[services.front]\ninstances = 2\n[services.back]\ninstances = {back}\n{more}"
        )
    };
    let stage = Stage::new("");
    stage.file("environment.toml", &environment(2, "[services.old]\n"));
    for name in ["front", "back", "old"] {
        stage.service(name, &server(name, ""));
    }
    let up = stage.up(&[]);
    let (status, out, err) = ask(&up, &stage, "plan", &[]);
    assert_eq!(status, 0, "{out}{err}");
    assert!(out.contains("nothing to do"), "{out}");
    let before = up.instance("back-1");

    stage.file("environment.toml", &environment(3, "[services.new]\n"));
    stage.service(
        "front",
        &server("front", "[run.environment]\nCOLOUR = \"blue\"\n[outgoing]\nservices = [\"new\"]\n"),
    );
    stage.service("back", &server("back", "[policies.timeouts]\ntotal = \"5s\"\n"));
    stage.service("new", &server("new", ""));
    let (status, out, err) = ask(&up, &stage, "plan", &[]);
    assert_eq!(status, 1, "{out}{err}");
    for line in [
        "~ policies.timeouts.total  \"15s\" → \"5s\"  (in place)",
        "~ instances                2 → 3  (starts 1 instance)",
        "+ environment.COLOUR  \"blue\"  (rolling restart of 2 instances)",
        "~ outgoing.services   [] → [\"new\"]  (rolling restart of 2 instances)",
        "+ service new: 1 instance of `python3 serve.py` (starts 1 instance)",
        "- service old: 1 instance of `python3 serve.py` (stops 1 instance)",
        "1 service changes in place, 1 restarts (2 instances), 1 added, 1 removed",
    ] {
        assert!(out.contains(line), "{line} is not in\n{out}");
    }
    let (_, json, _) = ask(&up, &stage, "plan", &["-o", "json"]);
    let plan: Plan = api::decode(&json).unwrap();
    let (status, _, err) = ask(&up, &stage, "apply", &["--plan", "0123456789abcdef"]);
    assert!(status == 1 && err.contains("plan again"), "{err}");

    let (over, caller) = load(&up.edge);
    let (status, _, err) = ask(&up, &stage, "apply", &["--plan", &plan.id]);
    drop(over);
    let (all, bad) = caller.join().unwrap();
    assert_eq!(status, 0, "{err}");
    assert!(all > 0 && bad.is_empty(), "{} of {all} failed: {bad:?}", bad.len());
    assert!(err.contains("front-1 is back") && err.contains("front-2 is back"), "{err}");

    let mut now = names(&up);
    now.sort();
    assert_eq!(now, ["back-1", "back-2", "back-3", "edge", "front-1", "front-2", "new-1"]);
    let after = up.instance("back-1");
    assert_eq!((after.pid, after.sidecar_pid), (before.pid, before.sidecar_pid), "in place is in place");
    let (_, env) = get(&up.edge, "/env");
    assert!(env.contains("COLOUR=blue") && env.contains("NEW_URL=http://"), "{env}");
    assert_eq!(get(&up.edge, "/call/NEW_URL/name"), (200, "new-1\n".into()));
    let (status, out, err) = ask(&up, &stage, "plan", &[]);
    assert_eq!(status, 0, "{out}{err}");

    let (status, json, err) = outrigger(&["check", "--api", &up.api, "--wait", "30s", "-o", "json"]);
    let checks: Checks = api::decode(&json).unwrap();
    assert_eq!((status, checks.broken), (0, 0), "{json}{err}");
    let fine = |id: &str| checks.checks.iter().filter(|c| c.id == id).all(|c| c.state == CheckState::Fine);
    assert!(["OR201", "OR202", "OR401", "OR402", "OR403", "OR501", "OR502"].into_iter().all(fine), "{json}");
    up.stop();
    assert!(stage.nothing_is_left());
}

#[test]
fn a_command_that_does_not_start_ends_the_change_and_the_way_back_is_short() {
    let stage = Stage::new("[edge.routes]\n\"/\" = \"a\"\n[services.a]\ninstances = 2\n");
    let good = server("a", "[restart]\nback-off = \"50ms\"\nat-most = \"50ms\"\n");
    stage.service("a", &good);
    let up = stage.up(&[]);
    let survivor = up.instance("a-2");
    stage.service("a", &good.replace("\"serve.py\"", "\"no-such-file.py\""));
    let (over, caller) = load(&up.edge);
    let (status, _, err) = ask(&up, &stage, "apply", &[]);
    assert_eq!(status, 1, "{err}");
    assert!(err.contains("given up: a-1 does not start") && err.contains("to go back"), "{err}");
    assert!(err.contains("a: a-1 changed; a-2 as before"), "{err}");
    let still = up.instance("a-2");
    assert_eq!((still.state, still.pid), (InstanceState::InRotation, survivor.pid), "it was not touched");
    let (_, out, _) = ask(&up, &stage, "plan", &[]);
    assert!(out.contains("rolling restart of 1 instance"), "on: {out}");

    stage.service("a", &good);
    let (status, out, _) = ask(&up, &stage, "plan", &[]);
    assert!(status == 1 && out.contains("rolling restart of 1 instance"), "back: {out}");
    let (status, _, err) = ask(&up, &stage, "apply", &[]);
    assert_eq!(status, 0, "{err}");
    drop(over);
    let (all, bad) = caller.join().unwrap();
    assert!(all > 0 && bad.is_empty(), "{} of {all} failed: {bad:?}", bad.len());
    assert_eq!(up.instance("a-1").state, InstanceState::InRotation);
    assert_eq!(up.instance("a-2").pid, survivor.pid);
    assert_eq!(ask(&up, &stage, "plan", &[]).0, 0);
    up.stop();
}

#[test]
fn what_differs_nothing_is_answered_too_and_long_manifests_are_read() {
    let stage = Stage::new("[services.a]\n[services.b]\n");
    // Together they are longer than what other requests may be.
    let comment = format!("# {}\n", "x".repeat(600 << 10));
    for name in ["a", "b"] {
        stage.service(name, &server(name, &comment));
    }
    let up = stage.up(&[]);
    let (status, out, err) = ask(&up, &stage, "apply", &["-o", "json"]);
    assert_eq!(status, 0, "{err}");
    let operation: api::Operation = api::decode(&out).unwrap();
    assert_eq!((operation.state, operation.done, operation.total), (api::OperationState::Done, 0, 0));
    let files = [("environment.toml".to_owned(), "x".repeat(9 << 20))].into();
    let too_long = api::Wanted { folder: folder(&stage), files, plan: None };
    let error = up.client.send(&api::ask::plan(&too_long)).unwrap_err().to_string();
    assert!(error.contains("longer than the 8 MiB"), "{error}");
    up.stop();
}

#[test]
fn wrong_manifests_and_failed_builds_change_nothing() {
    let stage = Stage::new("[services.a]\n[edge.routes]\n\"/\" = \"a\"\n");
    stage.service("a", &server("a", ""));
    let up = stage.up(&[]);
    let before = up.instance("a-1");
    stage.file("a/service.toml", "name = \"a\"\n[run]\ncommnad = [\"x\"]\nstop-grace = 5\n");
    let (status, out, err) = ask(&up, &stage, "plan", &[]);
    assert!(status == 2 && out.is_empty(), "{status} {out}");
    assert!(
        err.contains("service.toml:3:1") && err.contains("service.toml:4:"),
        "all mistakes at once: {err}"
    );
    assert_eq!(ask(&up, &stage, "apply", &[]).0, 1);

    let build =
        server("a", "").replace("[run]\n", "[run]\nbuild = [\"sh\", \"-c\", \"echo no luck; exit 3\"]\n");
    stage.service("a", &build);
    let (status, _, err) = ask(&up, &stage, "apply", &[]);
    assert_eq!(status, 1, "{err}");
    assert!(err.contains("ended by exit status 3") || err.contains("exit-3") || err.contains("3"), "{err}");
    assert!(err.contains("no luck") && err.contains("nothing has changed"), "{err}");
    let after = up.instance("a-1");
    assert_eq!((after.pid, after.state), (before.pid, InstanceState::InRotation));
    stage.file("environment.toml", "name = \"other\"\n[services.a]\n");
    stage.service("a", &server("a", ""));
    let (status, _, err) = ask(&up, &stage, "apply", &[]);
    assert!(status == 1 && err.contains("cannot change while the environment runs"), "{err}");
    up.stop();
}
