//! Writes `crates/wire/src/generated` from `proto/*.proto`, with nothing but Rust. `--check` writes nothing and fails
//! where the files are not what would be written.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What is compiled, with the package and the module that comes of it.
const SOURCES: [(&str, &str, &str); 2] =
    [("xds.proto", "xds", "xds"), ("outrigger.proto", "outrigger.v1", "outrigger")];

/// A generated file's head. A test of `wire` holds the number against the source as it is.
fn head(source: &str, text: &[u8]) -> String {
    let number = fnv(text);
    format!(
        "//! Written by `cargo run --manifest-path proto/generate/Cargo.toml` from `proto/{source}`: edit that.\n\
         //! Source {number:016x}.\n"
    )
}

/// FNV-1a, as `wire` has it.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn main() -> Result<()> {
    let check = std::env::args().any(|argument| argument == "--check");
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("this crate lies in proto/")?;
    let target = proto.join("../crates/wire/src/generated");
    let files = protox::compile(SOURCES.map(|(source, ..)| source), [proto])?;
    let written = tempdir()?;
    let mut config = prost_build::Config::new();
    // An ordered map: the same message is the same bytes, wherever and however often it is encoded.
    config.btree_map(["."]).bytes([".xds.Any"]).disable_comments(["."]).out_dir(&written);
    config.compile_fds(files)?;
    for (source, package, module) in SOURCES {
        let text = fs::read_to_string(written.join(format!("{package}.rs")))?;
        let head = head(source, &fs::read(proto.join(source))?);
        let text = formatted(&format!("{head}{}\n", text.trim_end()), proto)?;
        let file = target.join(format!("{module}.rs"));
        if check {
            let known = fs::read_to_string(&file).unwrap_or_default();
            ensure!(known == text, "{} is not what proto/ says: run this without --check", file.display());
        } else {
            fs::create_dir_all(&target)?;
            fs::write(&file, text)?;
        }
    }
    Ok(())
}

/// `text` in the shape that `cargo fmt` gives it, so that the two do not undo each other.
fn formatted(text: &str, proto: &Path) -> Result<String> {
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--edition", "2024", "--config-path"]).arg(proto.join("../rustfmt.toml"));
    let mut child = rustfmt.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("no rustfmt")?;
    child.stdin.take().context("rustfmt reads nothing")?.write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "rustfmt does not understand what prost wrote");
    Ok(String::from_utf8(output.stdout)?)
}

/// A folder below `target`, which nobody else writes to.
fn tempdir() -> Result<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/written");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
