//! `outrigger schema MANIFEST`: the JSON Schema of a manifest, for editors.

use super::Outcome;
use clap::{Args, ValueEnum};
use std::io::{self, Write};
use std::process::ExitCode;
use wire::files::{Manifest, schema};

/// Print the JSON Schema of a manifest, for editors.
#[derive(Args, Debug)]
pub(crate) struct SchemaArgs {
    /// Which manifest.
    #[arg(value_enum)]
    manifest: Which,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// `environment.toml`.
    Environment,
    /// `service.toml`.
    Service,
    /// A scenario's file.
    Scenario,
}

pub(crate) fn run(args: &SchemaArgs) -> Outcome {
    let manifest = match args.manifest {
        Which::Environment => Manifest::Environment,
        Which::Service => Manifest::Service,
        Which::Scenario => Manifest::Scenario,
    };
    write!(io::stdout(), "{}", schema(manifest))?;
    Ok(ExitCode::SUCCESS)
}
