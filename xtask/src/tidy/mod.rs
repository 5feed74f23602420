//! House rules that a machine can check: fences between crates, sizes, and the text of every file.
//!
//! All problems are found in one go and printed one a line as `file:line: rule: how to mend it`.
//! The rules are plain functions over a [`Tree`] and a [`fence::Graph`], so that the tests can feed
//! them bad samples and see them fail.

mod fence;
mod rust;
mod size;
#[cfg(test)]
mod tests;
mod text;

use anyhow::{Context, Result};
use std::fmt;
use std::path::Path;
use std::process::Command;

/// Where today's exceptions to the size rules are kept, relative to the repository's root.
pub(crate) const RATCHET: &str = "xtask/tidy-ratchet.txt";

/// One finding, ready to be printed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    file: String,
    line: usize,
    rule: &'static str,
    mend: String,
}

impl Problem {
    fn new(file: &str, line: usize, rule: &'static str, mend: impl Into<String>) -> Problem {
        Problem { file: file.to_owned(), line: line.max(1), rule, mend: mend.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}: {}", self.file, self.line, self.rule, self.mend)
    }
}

/// One text file of the repository, its path relative to the root with forward slashes.
#[derive(Debug)]
pub(crate) struct File {
    path: String,
    text: String,
}

impl File {
    fn ends_with(&self, suffixes: &[&str]) -> bool {
        suffixes.iter().any(|suffix| self.path.ends_with(suffix))
    }

    /// Whether line `line` (from 1), or the one above it, is exempted from `rule` with a reason:
    /// `tidy-allow: RULE, why`.
    fn allows(&self, line: usize, rule: &str) -> bool {
        let marker = format!("tidy-allow: {rule}, ");
        let mut lines = self.text.lines().skip(line.saturating_sub(2)).take(if line < 2 { 1 } else { 2 });
        lines.any(|text| text.split_once(&marker).is_some_and(|(_, why)| !why.trim().is_empty()))
    }
}

/// Every text file that git knows or would add.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: Vec<File>,
    /// Files that are no text, pictures for example: links may lead to them.
    others: Vec<String>,
    /// Absolute paths of this checkout, which no file may name.
    machine_paths: Vec<String>,
}

impl Tree {
    /// Reads the repository at `root`. Files that are not UTF-8 are no text and are passed over.
    fn read(root: &Path) -> Result<Tree> {
        let listing = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("could not run git: tidy asks it which files belong to the repository")?;
        anyhow::ensure!(listing.status.success(), "git ls-files failed: run tidy inside a git checkout");
        let names = String::from_utf8(listing.stdout).context("a file name is not UTF-8: rename it")?;
        let (mut files, mut others) = (Vec::new(), Vec::new());
        for path in names.split('\0').filter(|name| !name.is_empty()) {
            // A file that is deleted but not yet committed is still listed: it has no text.
            match std::fs::read_to_string(root.join(path)) {
                Ok(text) => files.push(File { path: path.to_owned(), text }),
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => others.push(path.to_owned()),
                Err(_) => {}
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
        Ok(Tree { files, others, machine_paths: text::machine_paths(root) })
    }

    fn text_of(&self, path: &str) -> &str {
        self.files.iter().find(|file| file.path == path).map_or("", |file| &file.text)
    }
}

/// Checks the repository at `root` and returns every problem, sorted by file and line.
///
/// # Errors
/// When git or cargo cannot be asked, not when there are problems.
pub(crate) fn check(root: &Path) -> Result<Vec<Problem>> {
    let tree = Tree::read(root)?;
    let graph = fence::Graph::of(root)?;
    Ok(check_tree(&tree, &graph))
}

fn check_tree(tree: &Tree, graph: &fence::Graph) -> Vec<Problem> {
    let (sources, mut problems) = rust::parse_all(tree);
    problems.extend(fence::dependencies(graph, tree));
    problems.extend(fence::sources(&sources));
    problems.extend(size::check(tree, &sources));
    problems.extend(text::check(tree, &sources));
    problems.sort();
    problems.dedup();
    problems
}

/// Rewrites the ratchet so that it holds no more than today's sizes; it never admits a new exception.
/// Returns the sentence to print.
///
/// # Errors
/// When git cannot be asked or the file cannot be written.
pub(crate) fn bless(root: &Path) -> Result<String> {
    let tree = Tree::read(root)?;
    let (sources, _) = rust::parse_all(&tree);
    let text = size::tightened(&tree, &sources);
    std::fs::write(root.join(RATCHET), &text).with_context(|| format!("could not write {RATCHET}"))?;
    let entries = text.lines().filter(|line| !line.starts_with('#')).count();
    Ok(format!("{RATCHET}: {entries} exceptions"))
}
