//! Writes `crates/wire/src/generated` from `proto/*.proto`, with nothing but Rust. `--check` writes nothing and fails
//! where the files are not what would be written.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;

const HEAD: &str = "\
//! Written by `cargo run --manifest-path proto/generate/Cargo.toml` from the files in `proto/`: edit those.
";

fn main() -> Result<()> {
    let check = std::env::args().any(|argument| argument == "--check");
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("this crate lies in proto/")?;
    let target = proto.join("../crates/wire/src/generated");
    let files = protox::compile(["xds.proto", "outrigger.proto"], [proto])?;
    let written = tempdir()?;
    let mut config = prost_build::Config::new();
    // An ordered map: the same message is the same bytes, wherever and however often it is encoded.
    config.btree_map(["."]).bytes([".xds.Any"]).disable_comments(["."]).out_dir(&written);
    config.compile_fds(files)?;
    for (package, module) in [("xds", "xds"), ("outrigger.v1", "outrigger")] {
        let text = fs::read_to_string(written.join(format!("{package}.rs")))?;
        let text = format!("{HEAD}{}\n", text.trim_end());
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
