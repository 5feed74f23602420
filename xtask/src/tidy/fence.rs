//! The two fences: pure crates reach no clock, socket or OS randomness; few crates know a file format.
//!
//! Each fence is checked twice: by the dependency graph that cargo resolved, and by the paths that
//! the sources name, since the standard library needs no dependency to reach a clock.

use super::rust::Source;
use super::{Problem, Tree};
use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Crates whose every input is passed in: same input, same output, on every machine.
const PURE: &[&str] = &["model", "policy", "http1", "sim", "contract"];

/// Packages that bring a runtime, a socket, a clock or OS randomness.
const IMPURE: &[&str] = &[
    "tokio",
    "mio",
    "hyper",
    "socket2",
    "rustix",
    "libc",
    "async-std",
    "smol",
    "async-io",
    "rand",
    "rand_core",
    "getrandom",
    "fastrand",
    "chrono",
    "time",
];

/// Packages that know a file or wire format; a trailing `*` stands for any ending.
const FORMATS: &[&str] =
    &["serde", "serde_core", "serde_derive", "serde_json", "toml", "toml_edit", "tonic", "prost", "prost-*"];

/// Crates that may know a format. `bench` and `xtask` are tools and ship in no binary.
const FORMAT_CRATES: &[&str] = &["wire", "api", "outrigger", "bench", "xtask"];

/// Which rooms of the house each crate may look into. A crate that is not listed may use all.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("policy", &["model"]),
    ("http1", &[]),
    ("wire", &["model"]),
    ("api", &["model"]),
    ("net", &["model", "http1"]),
    ("sidecar", &["model", "policy", "wire", "net", "http1", "api"]),
    ("agent", &["model", "policy", "wire", "net", "api"]),
    ("control", &["model", "policy", "wire", "net", "api"]),
    ("sim", &["model", "policy"]),
    ("contract", &["model"]),
    ("bench", &[]),
    ("xtask", &["api", "http1"]),
];

/// Standard library items that no pure crate may name. A trailing `*` stands for any ending.
const IMPURE_PATHS: &[(&str, &str)] = &[
    ("std::time::Instant", "take a model::Moment as an argument"),
    ("std::time::SystemTime", "take a model::Moment as an argument"),
    ("std::time::UNIX_EPOCH", "take a model::Moment as an argument"),
    (
        "std::collections::HashMap",
        "it draws OS randomness: use a BTreeMap, or hashbrown with a seed passed in",
    ),
    (
        "std::collections::HashSet",
        "it draws OS randomness: use a BTreeSet, or hashbrown with a seed passed in",
    ),
    (
        "std::collections::hash_map",
        "it draws OS randomness: use a BTreeMap, or hashbrown with a seed passed in",
    ),
    (
        "std::collections::hash_set",
        "it draws OS randomness: use a BTreeSet, or hashbrown with a seed passed in",
    ),
    ("std::hash::RandomState", "it draws OS randomness: pass a seed in"),
    ("std::net::Tcp*", "sockets belong in net"),
    ("std::net::Udp*", "sockets belong in net"),
    ("std::net::ToSocketAddrs", "it asks DNS: resolve in net and pass the address in"),
    ("std::os", "the operating system belongs in net"),
    ("std::fs", "read the file in the binary and pass its text in"),
    ("std::env", "read the environment in the binary and pass the value in"),
    ("std::thread", "pure code owns no threads"),
    ("std::process", "pure code starts and ends no processes"),
];

/// Crates in which results must be the same bits on every machine.
const BITWISE: &[&str] = &["policy", "sim"];

/// Float methods whose last bits differ between platforms, by how many arguments they take beside the float: a
/// `log(when, what)` of our own is none of them. `sqrt` and `mul_add` are exact and allowed.
const TRANSCENDENTAL: [&[&str]; 2] = [
    &[
        "exp", "exp2", "exp_m1", "ln", "ln_1p", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan",
        "sin_cos", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "cbrt",
    ],
    &["log", "powf", "powi", "atan2", "hypot"],
];

/// Who depends on whom in what ships: normal and build dependencies, not those of tests.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// Names of the packages in this workspace, with the folder of each relative to the root.
    pub(crate) rooms: BTreeMap<String, String>,
    /// Direct dependencies by package name. Several versions of a package are one.
    pub(crate) edges: BTreeMap<String, Vec<String>>,
}

impl Graph {
    /// Asks cargo, without the network and without touching the lock file.
    pub(crate) fn of(root: &Path) -> Result<Graph> {
        let metadata = MetadataCommand::new()
            .current_dir(root)
            .other_options(vec!["--locked".into(), "--offline".into(), "--filter-platform".into(), host()?])
            .exec()
            .context("cargo metadata failed: run `cargo build` once so that Cargo.lock is in step")?;
        let name_of: BTreeMap<_, _> =
            metadata.packages.iter().map(|package| (&package.id, package.name.to_string())).collect();
        let mut graph = Graph::default();
        for package in metadata.workspace_packages() {
            let folder = package.manifest_path.parent().context("a manifest lies in a folder")?;
            let folder = folder.strip_prefix(&metadata.workspace_root).unwrap_or(folder);
            graph.rooms.insert(package.name.to_string(), folder.to_string());
        }
        for node in metadata.resolve.context("cargo metadata gave no graph")?.nodes {
            let shipped = node.deps.iter().filter(|dep| {
                dep.dep_kinds
                    .iter()
                    .any(|kind| matches!(kind.kind, DependencyKind::Normal | DependencyKind::Build))
            });
            let names = shipped.map(|dep| name_of[&dep.pkg].clone());
            graph.edges.entry(name_of[&node.id].clone()).or_default().extend(names);
        }
        Ok(graph)
    }

    fn direct(&self, name: &str) -> &[String] {
        self.edges.get(name).map_or(&[], Vec::as_slice)
    }

    /// The shortest way from `from` to a package that is `wanted`, both ends included.
    fn way(&self, from: &str, wanted: impl Fn(&str) -> bool) -> Option<Vec<String>> {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut frontier = std::collections::VecDeque::from([from]);
        while let Some(at) = frontier.pop_front() {
            if at != from && wanted(at) {
                let mut way = vec![at.to_owned()];
                let mut step = at;
                while let Some(&before) = came_from.get(step) {
                    way.push(before.to_owned());
                    step = before;
                }
                way.reverse();
                return Some(way);
            }
            for next in self.direct(at) {
                if next != from && !came_from.contains_key(next.as_str()) {
                    came_from.insert(next, at);
                    frontier.push_back(next);
                }
            }
        }
        None
    }
}

fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("could not run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .context("rustc -vV names no host")
}

/// The fences as far as the dependency graph shows them.
pub(crate) fn dependencies(graph: &Graph, tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, folder) in &graph.rooms {
        let manifest = format!("{folder}/Cargo.toml");
        let mut report = |to: &str, rule, mend: String| {
            problems.push(Problem::new(&manifest, line_of(tree.text_of(&manifest), to), rule, mend));
        };
        if PURE.contains(&name.as_str())
            && let Some(way) = graph.way(name, |package| IMPURE.contains(&package))
        {
            report(
                &way[1],
                "fence-pure",
                format!("{name} must stay pure, drop the dependency {}", way.join(" -> ")),
            );
        }
        if name == "model" {
            for dependency in graph.direct(name) {
                report(
                    dependency,
                    "fence-model",
                    format!("model needs the standard library only, drop {dependency}"),
                );
            }
        }
        if !FORMAT_CRATES.contains(&name.as_str()) {
            for dependency in graph.direct(name).iter().filter(|dependency| is_format(dependency)) {
                let mend =
                    format!("only wire, api and the binary know formats, move what needs {dependency} there");
                report(dependency, "fence-format", mend);
            }
        }
        if let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| room == name) {
            let rooms = graph.direct(name).iter().filter(|dependency| graph.rooms.contains_key(*dependency));
            for dependency in rooms.filter(|dependency| !allowed.contains(&dependency.as_str())) {
                report(
                    dependency,
                    "fence-room",
                    format!("{name} may not depend on {dependency}, see ARCHITECTURE.md"),
                );
            }
        }
        if super::text::is_vague(name) {
            problems.push(Problem::new(
                &manifest,
                1,
                "name",
                format!("name the crate {name} after what it is"),
            ));
        }
    }
    problems
}

fn is_format(package: &str) -> bool {
    FORMATS.iter().any(|format| match format.strip_suffix('*') {
        Some(family) => package.starts_with(family),
        None => package == *format,
    })
}

fn line_of(manifest: &str, dependency: &str) -> usize {
    let is_it = |line: &str| line.split(['=', '.', ' ']).next() == Some(dependency);
    manifest.lines().position(is_it).map_or(1, |index| index + 1)
}

/// The fence around the pure crates as far as the sources show it. Test code may do as it likes.
pub(crate) fn sources(sources: &[Source<'_>]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for source in sources {
        let Some(room) = pure_room(&source.file.path) else { continue };
        let mut report = |line: usize, mend: String| {
            if !source.in_test(line) && !source.file.allows(line, "fence-pure") {
                problems.push(Problem::new(&source.file.path, line, "fence-pure", mend));
            }
        };
        for (path, line) in &source.paths {
            if let Some((item, mend)) = IMPURE_PATHS.iter().find(|(item, _)| names(path, item)) {
                report(*line, format!("{item}: {mend}"));
            }
        }
        if BITWISE.contains(&room) {
            let by_path = source.paths.iter().filter_map(|(path, line)| {
                let method = path.strip_prefix("f64::").or_else(|| path.strip_prefix("f32::"))?;
                TRANSCENDENTAL.iter().any(|names| names.contains(&method)).then_some((method, *line))
            });
            let by_call = source.methods.iter().filter_map(|call| {
                let names = TRANSCENDENTAL.get(call.arguments)?;
                names.contains(&call.name.as_str()).then_some((call.name.as_str(), call.line))
            });
            for (method, line) in by_path.chain(by_call) {
                report(line, format!("{method}() differs between machines, call it through libm"));
            }
        }
    }
    problems
}

/// The pure crate whose shipped sources hold this file, if any.
fn pure_room(path: &str) -> Option<&'static str> {
    PURE.iter().copied().find(|room| path.starts_with(&format!("crates/{room}/src/")))
}

/// Whether `path` is, lies within, or imports by `*` the forbidden `item`.
fn names(path: &str, item: &str) -> bool {
    if let Some(module) = path.strip_suffix("::*") {
        return item.starts_with(module) && item[module.len()..].starts_with("::") || within(module, item);
    }
    match item.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => within(path, item),
    }
}

fn within(path: &str, item: &str) -> bool {
    path.strip_prefix(item).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}
