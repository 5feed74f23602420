//! Writes `crates/wire/src/generated` from `proto/*.proto`, with nothing but Rust. `--check` writes nothing and fails
//! where the files are not what would be written.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;

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
        let text = format!("{head}{}\n", text.trim_end());
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

/// A folder below `target`, which nobody else writes to.
fn tempdir() -> Result<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/written");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
