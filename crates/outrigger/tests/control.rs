//! `outrigger control`, `token` and `sync`, as one types them.
#![allow(clippy::unwrap_used, missing_docs)]

use api::{Client, ask};
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

fn outrigger() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    // What the one who runs the tests has set for an environment of theirs is not meant for ours.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OUTRIGGER_"))
    {
        command.env_remove(name);
    }
    command
}

fn once(args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = outrigger().args(args).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A control plane in a process of its own, killed when it is dropped.
struct Plane {
    child: Child,
    api: SocketAddr,
}

impl Plane {
    fn begin(state: &Path) -> Plane {
        let args = ["control", "--environment", "test", "--api", "127.0.0.1:0", "--delivery", "127.0.0.1:0"];
        let mut command = outrigger();
        command.args(args).arg("--state-dir").arg(state).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("ready: http://").and_then(|rest| rest.strip_suffix('/'));
        let api = address.unwrap_or_else(|| panic!("it is not ready: {line:?}")).parse().unwrap();
        Plane { child, api }
    }

    fn client(&self) -> Client {
        Client::new(self.api)
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).unwrap();
    }

    /// Its exit status and what it wrote to stderr.
    fn wait(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        (code, text)
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        once(&[args, &["--api", &self.api.to_string()]].concat())
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn join(plane: &Plane, agent: &str, bearer: &str) -> Result<api::Joined, api::ClientError> {
    let join = api::Join { session: 1, lease_ms: None, passing: false };
    plane.client().with_bearer(bearer).send(&ask::join(agent, &join))
}

#[test]
fn it_says_where_it_listens_where_the_token_is_and_what_to_type_next_and_ends_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("a/b");
    let plane = Plane::begin(&state);
    let api = plane.api;
    let (code, out, _) = plane.run(&["sync", "-o", "json"]);
    let sync: api::Sync = api::decode(&out).unwrap();
    assert_eq!((code, sync.sidecars.len()), (Some(0), 0));
    plane.signal(rustix::process::Signal::TERM);
    let (code, told) = plane.wait();
    assert_eq!(code, Some(0), "{told}");
    let token = state.canonicalize().unwrap().join("join-token");
    let next = format!(
        "next: outrigger run --service NAME --control {api} --join-token-file {} -- CMD",
        token.display()
    );
    for line in [&*next, &format!("API         http://{api}/"), "environment test"] {
        assert!(told.contains(line), "{line}\n{told}");
    }
}

#[test]
fn it_takes_all_the_descriptors_that_the_hard_limit_allows() {
    let folder = tempfile::tempdir().unwrap();
    let control = env!("CARGO_BIN_EXE_outrigger");
    let script = format!("ulimit -S -n 128; exec {control} \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh", "control", "--environment", "test", "--api", "127.0.0.1:0"]);
    command.args(["--delivery", "127.0.0.1:0", "--state-dir"]).arg(folder.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let files: Vec<&str> =
        limits.lines().find(|line| line.starts_with("Max open files")).unwrap().split_whitespace().collect();
    assert_eq!(files[3], files[4], "{line} {limits}");
}

#[test]
fn after_kill_nine_everybody_is_still_known() {
    let folder = tempfile::tempdir().unwrap();
    let plane = Plane::begin(folder.path());
    let token = std::fs::read_to_string(folder.path().join("join-token")).unwrap();
    let credential = join(&plane, "node", token.trim()).unwrap().credential.unwrap();
    let (code, once_only, _) = plane.run(&["token", "--uses", "1", "--service", "offers"]);
    assert_eq!(code, Some(0));
    join(&plane, "other", once_only.trim()).unwrap();
    let node = plane.client().with_bearer(&*credential);
    let registration = |port: u16| api::Registration {
        session: 1,
        service: "offers".into(),
        address: format!("127.0.0.1:{port}"),
        incarnation: 1,
    };
    for number in 1..=20u16 {
        let name = format!("offers-{number}");
        let ask = ask::register("node", &name, &registration(9_000 + number), Duration::ZERO);
        node.send(&ask).unwrap();
    }
    plane.signal(rustix::process::Signal::KILL);
    plane.wait();
    let plane = Plane::begin(folder.path());
    let instances = plane.client().instances().unwrap().instances;
    assert_eq!(instances.len(), 20, "whatever was acknowledged is there");
    let node = plane.client().with_bearer(&*credential);
    let beat = || node.send(&ask::beat("node", 1)).map(|_| ()).map_err(|why| why.to_string());
    assert!(beat().unwrap_err().contains("join, and list all instances"), "what it runs may have been lost");
    assert_eq!(join(&plane, "node", &credential).unwrap().credential, None);
    assert_eq!(beat(), Ok(()));
    let replayed = join(&plane, "third", once_only.trim()).unwrap_err().to_string();
    assert!(replayed.contains("used up"), "{replayed}");
    let events = plane.client().events(api::Query::default()).unwrap().events;
    assert_eq!(events.iter().filter(|event| event.kind == "instance-registered").count(), 20);
    assert!(events.is_sorted_by_key(|event| event.seq));
}

#[test]
fn tokens_are_made_listed_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let plane = Plane::begin(folder.path());
    let (code, out, err) = plane.run(&["token", "--service", "offers,search", "--uses", "3", "--ttl", "30m"]);
    assert_eq!((code, out.lines().count()), (Some(0), 1));
    assert!(out.starts_with("outrigger-join-") && err.contains("offers search"), "{out}{err}");
    let (_, out, _) = plane.run(&["token", "--list", "-o", "json"]);
    let tokens: api::Tokens = api::decode(&out).unwrap();
    assert_eq!(tokens.tokens.len(), 2, "that of the first start, and this one");
    let made = tokens.tokens.iter().find(|token| token.uses == Some(3)).unwrap();
    assert_eq!((made.token.as_deref(), made.services.len(), made.expires.is_some()), (None, 2, true));
    let (_, out, _) = plane.run(&["token", "--list"]);
    assert!(out.starts_with("ID") && out.contains("any service") && out.contains(&made.id), "{out}");
    let (code, out, _) = plane.run(&["token", "--revoke", &made.id, "-o", "json"]);
    assert_eq!((code, api::decode::<api::Heard>(&out).unwrap().version), (Some(0), api::VERSION));
    let (code, _, err) = plane.run(&["token", "--revoke", &made.id]);
    assert_eq!(code, Some(1));
    assert!(err.contains(&made.id), "{err}");
    for wrong in [&["token", "--uses", "0"][..], &["token", "--ttl", "soon"], &["token", "--service", "No"]] {
        assert_eq!(plane.run(wrong).0, Some(2), "{wrong:?}");
    }
}

#[test]
fn wrong_flags_are_told_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let state_dir = state.to_str().unwrap();
    for (args, says) in [
        (&["--api", "0.0.0.0:0"][..], "--allow-plaintext"),
        (&["--delivery", "192.0.2.1:1"], "--allow-plaintext"),
        (&["--delivery", "0.0.0.0:0", "--allow-plaintext"], "the address that they reach"),
        (&["--api", "127.0.0.1:9", "--delivery", "127.0.0.1:9"], "its own"),
        (&["--api", "nowhere"], "--api"),
        (&["--environment", "../x"], "lower-case"),
    ] {
        let (code, out, err) = once(&[&["control", "--state-dir", state_dir], args].concat());
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?} {err}");
        assert!(err.contains(says), "{args:?}: {err}");
    }
    assert!(!state.exists());
}

#[test]
fn a_port_that_was_asked_for_is_used_or_refused_and_a_folder_has_one_control_plane() {
    let folder = tempfile::tempdir().unwrap();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let state: PathBuf = folder.path().join("other");
    let args = ["control", "--api", &taken, "--delivery", "127.0.0.1:0", "--state-dir"];
    let (code, _, err) = once(&[&args[..], &[state.to_str().unwrap()]].concat());
    assert_eq!(code, Some(1));
    assert!(err.contains("--api") && err.contains(&taken), "{err}");
    let plane = Plane::begin(folder.path());
    let args = ["control", "--api", "127.0.0.1:0", "--delivery", "127.0.0.1:0", "--state-dir"];
    let (code, _, err) = once(&[&args[..], &[folder.path().to_str().unwrap()]].concat());
    assert_eq!(code, Some(1));
    assert!(err.contains("another process") && err.contains("--state-dir"), "{err}");
    drop(plane);
    let (code, _, err) = once(&["sync", "--api", "127.0.0.1:1"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("127.0.0.1:1"), "{err}");
}
