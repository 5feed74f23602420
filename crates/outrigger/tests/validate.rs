//! `outrigger validate` and `outrigger schema`, as one types them.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn outrigger(dir: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_outrigger")).current_dir(dir).args(args).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn what_is_in_order_is_said_in_one_line() {
    let (code, out, err) = outrigger(root(), &["validate", "examples/shop"]);
    assert_eq!((code, out.as_str()), (Some(0), ""));
    assert_eq!(err, "examples/shop: 5 services, 10 instances, all in order\n");
    let (code, _, err) = outrigger(root(), &["validate", "examples/shop/opbox"]);
    assert_eq!(code, Some(0));
    assert_eq!(err, "examples/shop/opbox: 1 service, 1 instance, all in order\n");
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let e = "name = \"e\"\n\n[edge.routes]\n\"/\" = \"b\"\n\n[services.a]\ninstances = \"two\"\n";
    fs::create_dir_all(dir.path().join("e/a")).unwrap();
    fs::write(dir.path().join("e/environment.toml"), e).unwrap();
    fs::write(dir.path().join("e/a/service.toml"), "name = \"a\"\n[run]\ncomand = [\"a\"]\n").unwrap();
    let (code, out, err) = outrigger(dir.path(), &["validate", "e"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let want = r#"e/environment.toml:4:7: edge.routes."/": there is no service "b" in this environment
  4 | "/" = "b"
    |       ^^^
  help: did you mean "a"?
e/environment.toml:7:13: services.a.instances: expected a whole number from 1 to 1000, found "two"
  7 | instances = "two"
    |             ^^^^^
  help: write instances = 2
e/a/service.toml:3:1: run.comand: no such key
  3 | comand = ["a"]
    | ^^^^^^
  help: did you mean `command`?
"#;
    assert_eq!(err, want);
    let (code, out, err) = outrigger(dir.path(), &["validate", "e", "-o", "json"]);
    assert_eq!((code, err.as_str()), (Some(1), ""));
    let told: api::Validation = api::decode(&out).unwrap();
    assert_eq!((told.version, told.services, told.mistakes.len()), (api::VERSION, None, 3));
    let place = (told.mistakes[1].line, told.mistakes[1].column, told.mistakes[1].path.as_str());
    assert_eq!(place, (7, 13, "services.a.instances"));
}

#[test]
fn no_folder_is_a_mistake_of_usage_and_an_empty_one_a_finding() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, err) = outrigger(dir.path(), &["validate", "nowhere"]);
    assert_eq!(code, Some(2));
    assert_eq!(err, "outrigger: nowhere is no folder and no file: name the folder with environment.toml\n");
    let (code, _, err) = outrigger(dir.path(), &["validate", "."]);
    assert_eq!(code, Some(1));
    assert!(err.starts_with("./environment.toml: cannot be read: "), "{err}");
    assert_eq!(outrigger(dir.path(), &["validate"]).0, Some(2));
}

#[test]
fn a_scenarios_file_is_checked_as_such() {
    let (code, out, err) = outrigger(root(), &["validate", "scenarios/slow-back-end.toml"]);
    assert_eq!((code, out.as_str()), (Some(0), ""));
    assert_eq!(err, "scenarios/slow-back-end.toml: 1 service, 11 instances, all in order\n");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("s.toml"), "scenario = \"s\"\nlasts = \"1m\"\nservces = {}\n").unwrap();
    let (code, _, err) = outrigger(dir.path(), &["validate", "s.toml"]);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("s.toml:3:1: servces: no such key") && err.contains("did you mean `services`?"),
        "{err}"
    );
    let (code, _, err) = outrigger(root(), &["validate", "examples/shop/environment.toml"]);
    assert_eq!(code, Some(2));
    assert!(err.ends_with("is checked with its folder: name that\n"), "{err}");
}

#[test]
fn the_schemas_that_are_printed_are_those_that_are_published() {
    for manifest in ["environment", "service", "scenario"] {
        let (code, out, _) = outrigger(root(), &["schema", manifest]);
        let published = fs::read_to_string(root().join(format!("docs/schema/{manifest}.json"))).unwrap();
        assert_eq!((code, out), (Some(0), published));
    }
    assert_eq!(outrigger(root(), &["schema", "garden"]).0, Some(2));
}
