//! `outrigger man`: manual pages from the same declarations that read the command line.

use super::{Outcome, command};
use anyhow::Context;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write the manual pages.
#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// Write one page per command into this folder instead of the main page to stdout.
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

pub(crate) fn run(args: &ManArgs) -> Outcome {
    match &args.into {
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(command(), folder))
                .with_context(|| format!("manual pages cannot be written into {}", folder.display()))?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command()).render(&mut page)?;
            std::io::stdout().write_all(&page)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
