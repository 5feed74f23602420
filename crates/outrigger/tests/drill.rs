//! `outrigger drill`, as one types it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn outrigger(args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    let Output { status, stdout, stderr } = command.current_dir(here()).args(args).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The folder of these tests.
fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// A scenario so small that a build without optimisation plays it in a moment.
const SMALL: &str = "scenarios/two-services.toml";

/// Holds `text` against `golden/NAME`; with BLESS=1 it is written anew.
fn hold(name: &str, text: &str) {
    let path = here().join("golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let want = fs::read_to_string(&path).unwrap_or_default();
    assert!(want == text, "golden/{name} differs; with BLESS=1 it is written anew. It is now:\n{text}");
}

fn played(args: &[&str]) -> api::Drill {
    let (_, out, err) = outrigger(&[&["drill", SMALL, "-o", "json"], args].concat());
    api::decode(&out).unwrap_or_else(|e| panic!("{e}\n{out}\n{err}"))
}

#[test]
fn what_is_built_in_is_listed_in_lines() {
    let (code, out, err) = outrigger(&["drill", "--list"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.lines().any(|line| line.starts_with("slow-back-end  ")), "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    assert_eq!(outrigger(&["drill"]).1, out);
    let (code, out, _) = outrigger(&["drill", "--list", "-o", "json"]);
    let told: api::Scenarios = api::decode(&out).unwrap();
    assert_eq!((code, told.version), (Some(0), api::VERSION));
    assert!(told.scenarios.iter().all(|s| !s.about.is_empty()), "{out}");
}

#[test]
fn a_wrong_name_is_a_mistake_of_usage_with_the_right_one_beside() {
    let (code, out, err) = outrigger(&["drill", "slow-backend"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert_eq!(err, "outrigger: there is no scenario \"slow-backend\": did you mean \"slow-back-end\"?\n");
    let (code, _, err) = outrigger(&["drill", "slow-back-end", "--policies", "defualt"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("did you mean \"default\"?"), "{err}");
    let (code, _, err) = outrigger(&["drill", SMALL, "--accept", "Z"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("no pass lines \"Z\": it has served, impossible"), "{err}");
}

#[test]
fn a_wrong_file_is_told_with_all_its_mistakes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.toml");
    fs::write(&file, "scenario = \"bad\"\nabout = \"\"\nlasts = \"soon\"\nscala = 2\n").unwrap();
    let (code, out, err) = outrigger(&["drill", file.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains(":3:") && err.contains(":4:") && err.contains("did you mean `scale`?"), "{err}");
    let (code, _, err) = outrigger(&["drill", "nowhere.toml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("nowhere.toml"), "{err}");
}

#[test]
fn the_transcript_is_the_same_each_time() {
    let (code, out, err) = outrigger(&["drill", SMALL]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    assert!(!out.contains('\x1b'), "colour where nobody looks");
    hold("two-services.txt", &out);
    assert!(err.contains("next: outrigger drill scenarios/two-services.toml --html drill.html"), "{err}");
}

#[test]
fn json_is_the_same_each_time_but_for_the_time_it_took() {
    let mut told = played(&[]);
    assert_eq!((told.version, told.runs.len(), told.scenario.as_str()), (api::VERSION, 2, "two-services"));
    assert!(told.runs.iter().all(|run| run.events > 1000 && run.hash.len() == 16 && run.broken.is_empty()));
    told.wall_ms = 0;
    let mut again = played(&[]);
    again.wall_ms = 0;
    assert_eq!(told, again);
    let other = played(&["--seed", "2"]);
    assert_ne!(told.runs[0].hash, other.runs[0].hash);
    // What others read: no field of it may go.
    let names =
        |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    let json: serde_json::Value = serde_json::from_str(&api::encode(&told)).unwrap();
    hold("fields.txt", &format!("{}\nruns: {}\n", names(&json), names(&json["runs"][0])));
}

#[test]
fn pass_lines_are_judged_and_decide_the_exit_status() {
    let (code, out, err) = outrigger(&["drill", SMALL, "--accept", "served", "-o", "json"]);
    let told: api::Drill = api::decode(&out).unwrap();
    let served = &told.acceptance["served"];
    assert_eq!((code, served.passed, served.of, served.holds), (Some(0), 2, 2, true), "{err}");
    assert_eq!(served.seeds[0].lines.len(), 2);
    let (code, out, _) =
        outrigger(&["drill", SMALL, "--accept", "impossible", "--first-seed", "7", "--seeds", "1"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("Acceptance impossible: 0 of 1 seeds pass"), "{out}");
    assert!(out.contains("with seed 7"), "{out}");
}

#[test]
fn two_policies_stand_side_by_side_over_seeds() {
    let told = played(&["--compare", "own", "default,retry=off", "--seeds", "2"]);
    assert_eq!(told.compared.len(), 2);
    assert!(told.compared[1].policies.contains("retry"), "{}", told.compared[1].policies);
    assert!(told.command.contains("--compare own default,retry=off"), "{}", told.command);
    let alone = played(&["--policies", "default", "--no-operators"]);
    assert_eq!(alone.runs.len(), 1, "what ships is not compared with itself");
}

#[test]
fn files_are_written_and_stand_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (html, svg, tape) = (file("a.html"), file("a.svg"), file("a.tape"));
    let (code, _, err) = outrigger(&["drill", SMALL, "--html", &html, "--svg", &svg, "--tape", &tape]);
    assert_eq!(code, Some(0), "{err}");
    let page = fs::read_to_string(&html).unwrap();
    assert!(
        page.starts_with("<!doctype html>") && page.contains("two-services") && !page.contains("<script")
    );
    assert!(fs::read_to_string(&svg).unwrap().starts_with("<svg "));
    assert!(fs::metadata(&tape).unwrap().len() > 0);
    assert!(err.contains(&format!("written: {html}")), "{err}");
    let (code, _, err) = outrigger(&["drill", SMALL, "--html", "/nowhere/a.html"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("/nowhere/a.html cannot be written"), "{err}");
}
