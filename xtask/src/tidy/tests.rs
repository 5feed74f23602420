//! Bad samples: every rule must fail where it should, and stay quiet where it should not.

use super::fence::Graph;
use super::*;

fn tree(files: &[(&str, &str)]) -> Tree {
    let files =
        files.iter().map(|(path, text)| File { path: (*path).into(), text: (*text).into() }).collect();
    let others = vec!["docs/picture.png".to_owned()];
    Tree { files, others, machine_paths: text::machine_paths(Path::new("/build/nightly/outrigger")) }
}

fn graph(edges: &[(&str, &[&str])]) -> Graph {
    let mut graph = Graph::default();
    for (from, to) in edges {
        if let Some(room) = from.strip_prefix("crates/") {
            graph.rooms.insert(room.into(), (*from).into());
        }
        let name = from.strip_prefix("crates/").unwrap_or(from);
        graph.edges.insert(name.into(), to.iter().map(|name| (*name).to_owned()).collect());
    }
    graph
}

/// The rules that one file breaks, each with its line.
fn broken(path: &str, text: &str) -> Vec<(usize, &'static str)> {
    let problems = check_tree(&tree(&[(path, text)]), &Graph::default());
    problems.into_iter().map(|problem| (problem.line, problem.rule)).collect()
}

fn rules(edges: &[(&str, &[&str])]) -> Vec<String> {
    check_tree(&Tree::default(), &graph(edges)).iter().map(ToString::to_string).collect()
}

#[test]
fn a_pure_crate_may_not_reach_a_runtime_by_any_way() {
    let found = rules(&[("crates/policy", &["model", "nice"]), ("nice", &["deep"]), ("deep", &["tokio"])]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("policy -> nice -> deep -> tokio"), "{found:?}");
    for bad in ["mio", "rand", "getrandom", "socket2"] {
        assert_eq!(rules(&[("crates/http1", &[bad])]).len(), 1, "{bad}");
    }
    assert!(rules(&[("crates/policy", &["model", "libm"]), ("crates/net", &["tokio"])]).is_empty());
}

#[test]
fn model_has_no_dependency_at_all() {
    assert_eq!(rules(&[("crates/model", &["libm"])]).len(), 1);
    assert!(rules(&[("crates/model", &[])]).is_empty());
}

#[test]
fn only_wire_api_and_the_binary_know_formats() {
    for bad in ["serde", "serde_json", "toml", "prost-types"] {
        assert_eq!(rules(&[("crates/sidecar", &[bad])]).len(), 1, "{bad}");
    }
    assert!(
        rules(&[("crates/wire", &["serde"]), ("crates/api", &["prost"]), ("crates/outrigger", &["toml"])])
            .is_empty()
    );
}

#[test]
fn rooms_open_into_the_rooms_of_the_plan_only() {
    let found = rules(&[("crates/sim", &["policy", "net"]), ("crates/policy", &[]), ("crates/net", &[])]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("fence-room"), "{found:?}");
}

#[test]
fn vague_names_are_refused() {
    assert_eq!(rules(&[("crates/common", &[])]).len(), 1);
    assert_eq!(broken("crates/net/src/utils.rs", "//! x\n"), [(1, "name")]);
    assert_eq!(broken("crates/net/src/manager/mod.rs", "//! x\n"), [(1, "name")]);
    assert_eq!(broken("crates/net/src/a.rs", "//! x\nmod inner {}\n"), [(2, "name")]);
}

#[test]
fn a_dependency_is_reported_at_its_line() {
    let manifest = "[dependencies]\nlibm = \"1\"\ntokio.workspace = true\n";
    let files = tree(&[("crates/policy/Cargo.toml", manifest)]);
    let found = check_tree(&files, &graph(&[("crates/policy", &["libm", "tokio"])]));
    assert_eq!((found.len(), found[0].line), (1, 3), "{found:?}");
}

#[test]
fn a_pure_source_may_not_name_clock_socket_file_or_thread() {
    for bad in [
        "fn f() { std::time::Instant::now(); }",
        "use std::time::{Duration, Instant};",
        "use std::time; fn f() { time::SystemTime::now(); }",
        "use std::time::*;",
        "use std as s; fn f() { s::thread::yield_now(); }",
        "use std::collections::{BTreeMap, HashMap as Map};",
        "fn f() { println!(\"{:?}\", std::env::var(\"X\")); }",
        "use std::{fs, fmt};",
        "use std::net::{IpAddr, TcpStream};",
        "#[cfg(any(test, feature = \"x\"))] use std::fs;",
    ] {
        assert_eq!(
            broken("crates/policy/src/a.rs", &format!("//! x\n{bad}\n")),
            [(2, "fence-pure")],
            "{bad}"
        );
        assert!(broken("crates/net/src/a.rs", &format!("//! x\n{bad}\n")).is_empty(), "{bad}");
    }
    for good in [
        "use std::time::Duration;",
        "use std::net::IpAddr;",
        "use model::time; fn f() { time::Instant::x(); }",
        "const A: &str = \"std::time::Instant\"; // std::fs",
        "#[cfg(test)] mod t { use std::time::Instant; }",
    ] {
        assert!(broken("crates/policy/src/a.rs", &format!("//! x\n{good}\n")).is_empty(), "{good}");
    }
    assert!(broken("crates/http1/tests/a.rs", "//! x\nuse std::fs;\n").is_empty());
}

#[test]
fn transcendental_floats_go_through_libm() {
    for bad in [
        "fn f(x: f64) -> f64 { x.exp() }",
        "fn f(x: f64) -> f64 { f64::powf(x, 2.0) }",
        "fn f(x: f64, base: &S) -> f64 { x.log(base.of(1, 2),) }",
        "fn f(x: f64) -> f64 { [x.powi(2), 1.0][0] }",
    ] {
        assert_eq!(broken("crates/sim/src/a.rs", &format!("//! x\n{bad}\n")), [(2, "fence-pure")], "{bad}");
    }
    for good in [
        "fn f(x: f64) -> f64 { libm::exp(x).sqrt() }",
        "fn f(x: &S) -> f64 { x.exp }",
        "fn f(diary: &mut Diary) { diary.log(now, Entry { x, y }) }",
    ] {
        assert!(broken("crates/sim/src/a.rs", &format!("//! x\n{good}\n")).is_empty(), "{good}");
    }
}

#[test]
fn drafts_do_not_land() {
    let path = "crates/net/src/a.rs";
    assert_eq!(broken(path, "fn f() {}\n"), [(1, "first-line")]);
    assert_eq!(broken(path, "//! x\nfn f() { todo!() }\n"), [(2, "unfinished")]);
    assert_eq!(broken(path, "//! x\nfn f() { std::dbg!(1); }\n"), [(2, "unfinished")]);
    assert_eq!(broken(path, "//! x\n#[test]\n#[ignore = \"slow\"]\nfn f() {}\n"), [(3, "ignored-test")]);
    assert_eq!(broken(path, concat!("//! x\n// TO", "DO: later\n")), [(2, "undone")]);
    assert!(broken(path, concat!("//! x\nconst TO", "DOS: u8 = 1;\n")).is_empty());
    assert_eq!(broken(path, "//! x\nfn f( {\n"), [(2, "syntax")]);
}

#[test]
fn tests_do_not_sleep() {
    let bad = "//! x\nuse std::thread::sleep;\nfn f() { sleep(D); }\n";
    assert_eq!(broken("crates/net/tests/a.rs", bad), [(2, "sleep"), (3, "sleep")]);
    let bad = "//! x\nuse tokio::time;\n#[cfg(test)]\nmod tests {\n fn f() { super::time::sleep(D); }\n}\n";
    assert_eq!(broken("crates/net/src/a.rs", bad), [(5, "sleep")]);
    assert!(broken("crates/net/src/a.rs", "//! x\nfn f() { tokio::time::sleep(D); }\n").is_empty());
}

#[test]
fn an_exemption_needs_a_reason() {
    let with = |comment: &str| format!("//! x\n{comment}\nfn f() {{ std::thread::sleep(D); }}\n");
    assert_eq!(broken("a/tests/a.rs", &with("// tidy-allow: sleep, the delay is what is measured")), []);
    assert_eq!(
        broken("a/tests/a.rs", &with("// tidy-allow: sleep, ")),
        [(2, "trailing-space"), (3, "sleep")]
    );
    assert_eq!(broken("a/tests/a.rs", &with("// tidy-allow: tab, why")), [(3, "sleep")]);
}

#[test]
fn white_space_paths_and_mirrors() {
    assert_eq!(broken("a.md", "x \n\ty\nz"), [(1, "trailing-space"), (2, "tab"), (3, "last-line")]);
    assert_eq!(broken("run.sh", "cd /build/nightly/x\n"), [(1, "machine-path")]);
    assert_eq!(broken("run.sh", concat!("cd /ho", "me/me\n")), [(1, "machine-path")]);
    assert_eq!(broken("run.sh", concat!("pip install --index", "-url x\n")), [(1, "mirror")]);
    assert!(broken("crates/http1/corpus/a.txt", "cd /build/nightly/x \n").is_empty());
    assert!(broken("run.sh", "cd /tmp/x && ls /usr/bin\n").is_empty());
}

#[test]
fn links_lead_somewhere() {
    let found = |text: &str| {
        let files = tree(&[("docs/a.md", text), ("docs/b.md", "# One Word\n"), ("src/x.rs", "//! x\n")]);
        check_tree(&files, &Graph::default()).len()
    };
    assert_eq!(found("[b](b.md), [d](../src/), [w](https://example.org/x), [h](b.md#one-word)\n"), 0);
    assert_eq!(found("![p](picture.png)\n"), 0);
    assert_eq!(found("[c](c.md)\n"), 1);
    assert_eq!(found("[h](b.md#two)\n"), 1);
    assert_eq!(found("[up](../../x)\n"), 1);
    assert_eq!(found("`[c](c.md)`\n\n```\n[c](c.md)\n```\n"), 0);
}

#[test]
fn places_in_documents_exist() {
    let found = |text: &str| {
        let files = tree(&[("a.md", text), ("crates/x/src/a.rs", "//! x\n")]);
        check_tree(&files, &Graph::default()).len()
    };
    assert_eq!(
        found("see `crates/x/src/a.rs`, `crates/x/`, `src/a.rs`, `fuzz/corpus/TARGET` and `cargo test`\n"),
        0
    );
    assert_eq!(found("see `crates/x/src/b.rs`\n"), 1);
    assert_eq!(found("see `crates/xy`\n"), 1);
}

/// A file with one function of `lines` lines.
fn long(lines: usize) -> String {
    format!("//! x\nimpl A {{\nfn f() {{\n{}}}\n}}\n", "    x();\n".repeat(lines - 2))
}

#[test]
fn long_functions_need_an_entry_that_only_shrinks() {
    let found = |lines: usize, ratchet: &str| -> Vec<String> {
        let text = long(lines);
        let files = tree(&[("a/src/a.rs", &text), (RATCHET, ratchet)]);
        check_tree(&files, &Graph::default()).iter().map(ToString::to_string).collect()
    };
    assert!(found(70, "").is_empty());
    assert!(found(71, "")[0].contains("a/src/a.rs:3: size: A::f has 71 lines"));
    assert!(found(80, "80 a/src/a.rs A::f\n").is_empty());
    assert!(found(81, "80 a/src/a.rs A::f\n")[0].contains("grew from 80 to 81"));
    assert!(found(79, "# head\n80 a/src/a.rs A::f\n")[0].contains("tidy-ratchet.txt:2: size"));
    assert!(found(10, "80 a/src/a.rs A::f\n")[0].contains("--bless"));
    assert!(found(10, "many a/src/a.rs\n")[0].contains("LINES PATH"));
}

#[test]
fn a_table_counts_by_its_rows() {
    let function =
        |row: &str, rows: usize| format!("//! x\nfn f() {{\nmatch a {{\n{}}}\n}}\n", row.repeat(rows));
    let table = "A::B =>\n (1,\n 2),\n";
    assert!(broken("a/src/a.rs", &function(table, 68)).is_empty());
    assert_eq!(broken("a/src/a.rs", &function(table, 69)), [(2, "size")]);
    assert_eq!(broken("a/src/a.rs", &function("A => {\n b();\n}\n", 30)), [(2, "size")]);
}

#[test]
fn a_list_of_literals_counts_one_line() {
    let function = |row: &str| format!("//! x\nfn f() {{\nlet a = [\n{}];\na\n}}\n", row.repeat(80));
    assert!(broken("a/src/a.rs", &function("(1, &[\"x\"]),\n")).is_empty());
    assert_eq!(broken("a/src/a.rs", &function("b(),\n")), [(2, "size")]);
}

#[test]
fn long_files_count_without_their_tests() {
    let head = "//! x\n".to_owned() + &"// y\n".repeat(699);
    assert!(broken("a/src/a.rs", &(head.clone() + "#[cfg(test)]\nmod tests {\n}\n")).is_empty());
    assert_eq!(broken("a/src/a.rs", &(head.clone() + "// z\n")), [(1, "size")]);
    assert!(broken("a/tests/a.rs", &(head + "// z\n")).is_empty());
}

#[test]
fn bless_tightens_and_admits_nothing_new() {
    let (text, other) = (long(75), long(90));
    let files = |ratchet: &str| {
        let files = tree(&[("a.rs", &text), ("b.rs", &other), (RATCHET, ratchet)]);
        let (sources, _) = rust::parse_all(&files);
        size::tightened(&files, &sources)
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect::<Vec<_>>()
            .join("|")
    };
    assert_eq!(files("80 a.rs A::f\n99 gone.rs f\n"), "75 a.rs A::f");
    assert_eq!(files("72 a.rs A::f\n"), "72 a.rs A::f");
    assert_eq!(files(""), "75 a.rs A::f|90 b.rs A::f");
}
