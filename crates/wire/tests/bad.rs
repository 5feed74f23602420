//! A corpus of wrong manifests, each beside the text that a user reads.
#![allow(clippy::unwrap_used, missing_docs)]

use model::Preset;
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use wire::files::{Problems, decode_environment, decode_scenario, decode_service, load};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad")
}

fn problems(kind: &str, text: &str, file: &str) -> Option<Problems> {
    match kind {
        "environment" => decode_environment(text, file).err(),
        "scenario" => decode_scenario(text, file).err(),
        _ => decode_service(text, file, Preset::Default).err(),
    }
}

/// Compares with the text beside; with `BLESS` in the environment it is written instead.
fn compare(golden: &Path, text: &str, differing: &mut Vec<String>) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(golden, text).unwrap();
    }
    if fs::read_to_string(golden).unwrap_or_default() != text {
        differing.push(format!("{}, where now it says:\n{text}", golden.display()));
    }
}

#[test]
fn each_mistake_is_told_as_written_beside_it() {
    let mut differing = Vec::new();
    let mut files: Vec<PathBuf> = fs::read_dir(corpus()).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    let mut mistakes = 0;
    for path in &files {
        let file = path.file_name().unwrap().to_str().unwrap();
        let kind = file.split('-').next().unwrap();
        let text = fs::read_to_string(path).unwrap();
        let problems = problems(kind, &text, file).unwrap_or_else(|| panic!("{file} is taken for good"));
        mistakes += problems.all().len();
        for problem in problems.all() {
            assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
        }
        compare(&path.with_extension("txt"), &problems.to_string(), &mut differing);
    }
    assert!(
        differing.is_empty(),
        "{} differ; BLESS=1 writes them anew:\n{}",
        differing.len(),
        differing.join("\n")
    );
    assert!(files.len() >= 30 && mistakes >= 100, "{} files, {mistakes} mistakes", files.len());
}

#[test]
fn the_files_of_an_environment_are_checked_together() {
    let problems = load(&corpus().join("fleet")).unwrap_err();
    let here = format!("{}/", corpus().display());
    let mut differing = Vec::new();
    compare(&corpus().join("fleet.txt"), &problems.to_string().replace(&here, ""), &mut differing);
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        for kind in ["environment", "service", "scenario"] {
            let _ = problems(kind, &text, "random.toml").map(|p| p.to_string());
        }
    }

    #[test]
    fn no_damage_makes_it_panic(
        file in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        cut in 0..20usize,
        with in prop::sample::select(vec!["", "\"", "'''", "[", "]", "{", "}", "=", ".", "\n", "\0", "\u{feff}", "é", "1e999", "[[", "-"]),
    ) {
        let files: Vec<PathBuf> = fs::read_dir(corpus()).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
        let mut bytes = fs::read(file.get(&files)).unwrap();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, with.bytes());
        }
        let text = String::from_utf8_lossy(&bytes);
        for kind in ["environment", "service", "scenario"] {
            let _ = problems(kind, &text, "damaged.toml").map(|p| p.to_string());
        }
    }
}
