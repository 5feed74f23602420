//! `cargo xtask record-streams VERSION`: the recordings of a wire version, and those that look like the next one's.

use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;

/// Where the recordings of all versions lie.
const FOLDER: &str = "crates/wire/tests/fixtures/xds";

/// Which version.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Its name: v2 after v1.
    version: String,
    /// Record a version that is there already. Only for one that was never released.
    #[arg(long)]
    again: bool,
}

/// Records.
///
/// # Errors
/// When there are recordings of that version, or it cannot be recorded.
pub(crate) fn record(root: &Path, options: &Options) -> Result<()> {
    let number = options.version.strip_prefix('v').and_then(|number| number.parse::<u32>().ok());
    ensure!(number.is_some_and(|number| number > 0), "a version is called v1, v2 and so on");
    let folder = Path::new(FOLDER).join(&options.version);
    ensure!(
        options.again || !root.join(&folder).exists(),
        "{} is there: what a release has said is never changed. Take the next number, or --again before a release",
        folder.display()
    );
    // What looks newer is made of the newest.
    for version in [options.version.as_str(), "newer"] {
        let test = ["test", "--locked", "--package", "control", "--test", "skew", "the_wire_is"];
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let status = cargo.args(test).current_dir(root).env("RECORD_STREAMS", version).status();
        ensure!(status.context("could not run cargo")?.success(), "{version} could not be recorded");
    }
    eprintln!("written to {} and {FOLDER}/newer: read them, and commit them", folder.display());
    Ok(())
}
