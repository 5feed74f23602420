//! The one binary: reads the command line, does what it says, and answers with 0 (fine), 1 (finding) or 2 (usage).
//!
//! Text for people goes to stderr, data to stdout, so that every command can stand in a pipe.

mod cli;
mod drill;
mod plane;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => {
            // A reader of our stdout that has gone away (`| head`) is no failure of ours to report.
            if cli::is_broken_pipe(&error) {
                return ExitCode::SUCCESS;
            }
            eprintln!("outrigger: {error:#}");
            ExitCode::FAILURE
        }
    }
}
