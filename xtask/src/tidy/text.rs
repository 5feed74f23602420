//! Rules about text: what a file begins with, what it may not hold, and links that must lead somewhere.

use super::rust::Source;
use super::{File, Problem, Tree};
use std::path::Path;

/// Words that say nothing about what a thing is.
const VAGUE: &[&str] = &["common", "core", "utils", "util", "manager", "inner", "helpers", "misc"];

/// Marks of work left undone. Split in two here, so that this file does not carry them.
const UNDONE: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("HA", "CK"), concat!("XX", "X")];

/// Settings that choose a package mirror: that choice is the user's, not the repository's.
const MIRRORS: &[&str] = &[
    concat!("--index", "-url"),
    concat!("--extra-index", "-url"),
    concat!("replace", "-with"),
    concat!("set ", "registry"),
    concat!("--reg", "istry"),
];

/// Absolute paths of one machine: homes, and where this checkout lies.
pub(crate) fn machine_paths(root: &Path) -> Vec<String> {
    const SHARED: &[&str] = &["/tmp", "/usr", "/var", "/opt", "/srv", "/mnt", "/home", "/root"];
    let mut paths = vec![concat!("/ro", "ot/").to_owned(), concat!("/ho", "me/").to_owned()];
    for ancestor in root.ancestors().filter(|path| path.components().count() > 1) {
        let text = ancestor.to_string_lossy().into_owned();
        if !SHARED.contains(&text.as_str()) {
            paths.push(format!("{text}/"));
        }
    }
    paths
}

/// Whether a crate or module of this name should be named after what it is instead.
pub(crate) fn is_vague(name: &str) -> bool {
    VAGUE.contains(&name)
}

/// All text rules over all files.
pub(crate) fn check(tree: &Tree, sources: &[Source<'_>]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.files.iter().filter(|file| !is_data(&file.path)) {
        lines(file, tree, &mut problems);
        if file.ends_with(&[".md"]) {
            links(file, tree, &mut problems);
            places(file, tree, &mut problems);
        }
    }
    for source in sources {
        rust(source, &mut problems);
    }
    problems
}

/// Files whose bytes are somebody's input, or a text that is not ours to word.
fn is_data(path: &str) -> bool {
    path == "LICENSE"
        || path.ends_with("Cargo.lock")
        || path.split('/').any(|folder| matches!(folder, "corpus" | "bad" | "golden"))
}

fn lines(file: &File, tree: &Tree, problems: &mut Vec<Problem>) {
    let spaced = file.ends_with(&[".rs", ".md", ".toml"]);
    for (index, text) in file.text.lines().enumerate() {
        let mut report = |rule: &'static str, mend: String| {
            if !file.allows(index + 1, rule) {
                problems.push(Problem::new(&file.path, index + 1, rule, mend));
            }
        };
        if spaced && text.ends_with([' ', '\t']) {
            report("trailing-space", "remove the white space at the end of the line".into());
        }
        if spaced && text.contains('\t') {
            report("tab", "indent with spaces, write \\t in a string".into());
        }
        if let Some(word) = UNDONE.iter().find(|word| has_word(text, word)) {
            report("undone", format!("do it now or leave it out: {word} does neither"));
        }
        if let Some(path) = tree.machine_paths.iter().find(|path| text.contains(path.as_str())) {
            report("machine-path", format!("{path} exists on one machine only, use a relative path"));
        }
        if let Some(option) = MIRRORS.iter().find(|option| text.contains(*option)) {
            report("mirror", format!("leave {option} to the user's own configuration"));
        }
    }
    if spaced && !file.text.is_empty() && !file.text.ends_with('\n') {
        let last = file.text.lines().count();
        problems.push(Problem::new(&file.path, last, "last-line", "end the last line with a line feed"));
    }
}

/// Whether `word` stands in `text` by itself, not as a part of a longer word.
fn has_word(text: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(joins);
        let after = text[at + word.len()..].chars().next().is_some_and(joins);
        !before && !after
    })
}

fn rust(source: &Source<'_>, problems: &mut Vec<Problem>) {
    let file = source.file;
    let mut report = |line: usize, rule: &'static str, mend: String| {
        if !file.allows(line, rule) {
            problems.push(Problem::new(&file.path, line, rule, mend));
        }
    };
    if !file.text.starts_with("//!") {
        report(1, "first-line", "begin with //! and one sentence: what is in this file".into());
    }
    for (name, line) in &source.macros {
        let last = name.rsplit("::").next().unwrap_or(name);
        if matches!(last, "todo" | "unimplemented" | "dbg") {
            report(*line, "unfinished", format!("{last}! is for a draft: finish it or leave it out"));
        }
    }
    for (_, line) in source.attributes.iter().filter(|(name, _)| name == "ignore") {
        report(*line, "ignored-test", "run the test or remove it".into());
    }
    for (path, line) in &source.paths {
        let sleeps = path.ends_with("thread::sleep") || path.ends_with("time::sleep");
        if sleeps && source.in_test(*line) {
            report(*line, "sleep", "wait for an event with a deadline, or pass literal times in".into());
        }
    }
    let stem = module_name(&file.path);
    if is_vague(stem) {
        report(1, "name", format!("name the module {stem} after what it holds"));
    }
    for (name, line) in source.modules.iter().filter(|(name, _)| is_vague(name)) {
        report(*line, "name", format!("name the module {name} after what it holds"));
    }
}

/// `a/b/c.rs` is module `c`, `a/b/mod.rs` is module `b`.
fn module_name(path: &str) -> &str {
    let mut parts = path.rsplit('/');
    match parts.next().and_then(|name| name.strip_suffix(".rs")) {
        Some("mod") => parts.next().unwrap_or(""),
        Some(stem) => stem,
        None => "",
    }
}

/// Links to files and to headings must lead somewhere. Links to the web are not followed.
fn links(file: &File, tree: &Tree, problems: &mut Vec<Problem>) {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    for (line, target) in link_targets(&file.text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (path, anchor) =
            target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
        let Some(path) = (if path.is_empty() { Some(file.path.clone()) } else { join(folder, path) }) else {
            problems.push(Problem::new(
                &file.path,
                line,
                "link",
                format!("{target} leads out of the repository"),
            ));
            continue;
        };
        let here = tree.files.iter().find(|other| other.path == path);
        let is_folder = tree.files.iter().any(|other| other.path.starts_with(&format!("{path}/")));
        let is_there = here.is_some() || is_folder || tree.others.contains(&path);
        if !is_there && !path.is_empty() {
            problems.push(Problem::new(
                &file.path,
                line,
                "link",
                format!("there is no {path}: correct the link"),
            ));
        }
        if let (Some(anchor), Some(other)) = (anchor, here)
            && other.ends_with(&[".md"])
            && !headings(&other.text).any(|heading| heading == anchor)
        {
            problems.push(Problem::new(&file.path, line, "link", format!("{path} has no heading #{anchor}")));
        }
    }
}

/// A path in code marks that begins at one of our folders must exist: a map that has rotted is worse than none.
fn places(file: &File, tree: &Tree, problems: &mut Vec<Problem>) {
    const FOLDERS: &[&str] = &["crates/", "bench/", "examples/", "fuzz/", "xtask/"];
    for (line, text) in prose(&file.text) {
        let spans = text.split('`').skip(1).step_by(2);
        for path in spans.filter(|span| FOLDERS.iter().any(|folder| span.starts_with(folder))) {
            // What follows the path on a command line is not part of it.
            let path = path.split([' ', ':', '#']).next().unwrap_or(path).trim_end_matches('/');
            let is_there = |other: &File| {
                other.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            // `fuzz/corpus/TARGET` and `target/*` stand for many places.
            let stands_for_many = |part: &str| part == "*" || part.chars().all(|c| c.is_ascii_uppercase());
            if !path.split('/').any(stands_for_many) && !tree.files.iter().any(is_there) {
                problems.push(Problem::new(
                    &file.path,
                    line,
                    "place",
                    format!("there is no {path}: correct it"),
                ));
            }
        }
    }
}

/// The lines of a Markdown text that are not in a fenced block, from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((index + 1, line))
    })
}

fn link_targets(text: &str) -> Vec<(usize, &str)> {
    let mut targets = Vec::new();
    for (number, line) in prose(text) {
        let mut code = false;
        let mut rest = line;
        while let Some(at) = rest.find(['`', ']']) {
            let (mark, after) = (rest.as_bytes()[at], &rest[at + 1..]);
            rest = after;
            if mark == b'`' {
                code = !code;
            } else if !code
                && let Some(inside) = after.strip_prefix('(')
                && let Some(end) = inside.find(')')
            {
                targets.push((number, inside[..end].split(' ').next().unwrap_or("")));
                rest = &inside[end..];
            }
        }
    }
    targets
}

/// Headings as anchors: lower case, spaces to hyphens, punctuation left out.
fn headings(text: &str) -> impl Iterator<Item = String> {
    prose(text).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

/// `path` seen from `folder`, or nothing when it climbs out of the repository.
fn join(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}
