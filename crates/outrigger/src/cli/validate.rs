//! `outrigger validate DIR`: are the manifests right?

use super::Outcome;
use clap::Args;
use std::path::PathBuf;

/// Check the manifests of a folder without running anything.
#[derive(Args, Debug)]
pub(crate) struct ValidateArgs {
    /// The folder with `environment.toml`, or with one `service.toml`.
    dir: PathBuf,
}

pub(crate) fn run(args: ValidateArgs) -> Outcome {
    anyhow::bail!("`validate` is not built yet ({args:?})")
}
