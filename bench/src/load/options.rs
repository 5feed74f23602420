//! What the load is told on its command line.

use super::request::Target;
use crate::span;
use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;

/// Sends HTTP/1.1 requests at a fixed rate and counts latency from the moment at
/// which each was meant to leave.
#[derive(Parser, Debug, Clone)]
pub struct Options {
    /// What to ask for: http://HOST[:PORT]/PATH.
    #[arg(long)]
    pub url: String,
    /// Open loop: requests per second.
    #[arg(long, conflicts_with_all = ["closed", "hold"])]
    pub rate: Option<f64>,
    /// Closed loop: each connection sends when its last answer has come.
    #[arg(long, conflicts_with = "hold")]
    pub closed: bool,
    /// Send one request on each connection, print a line, then stay idle.
    #[arg(long)]
    pub hold: bool,
    /// How long to send (or to hold).
    #[arg(long, default_value = "10s", value_parser = span::parse)]
    pub duration: Duration,
    /// Connections opened before the first request; in the closed loop all.
    #[arg(long, default_value_t = 32)]
    pub connections: usize,
    /// Open loop: as many connections may be open when all are busy.
    #[arg(long, default_value_t = 4096)]
    pub max_connections: usize,
    /// Time for one request, from the moment at which it was meant to leave.
    #[arg(long, default_value = "1s", value_parser = span::parse)]
    pub timeout: Duration,
    /// The request's method.
    #[arg(long, default_value = "GET")]
    pub method: String,
    /// Send a body of this many bytes.
    #[arg(long)]
    pub body_bytes: Option<usize>,
    /// Send a header, as "Name: value"; may be repeated. A Host replaces the
    /// URL's.
    #[arg(long)]
    pub header: Vec<String>,
    /// Send a new id with each request, in the header of this name.
    #[arg(long)]
    pub id_header: Option<String>,
    /// Connect to this address and send the whole URL in the request line, as to
    /// an HTTP proxy.
    #[arg(long)]
    pub proxy: Option<String>,
    /// Exponential gaps between requests (independent callers).
    #[arg(long, conflicts_with = "even")]
    pub poisson: bool,
    /// Equal gaps between requests (the default).
    #[arg(long)]
    pub even: bool,
    /// Seed of the Poisson gaps.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Send a request once more, on a new connection, when the kept one turns
    /// out to be closed before any byte of an answer (RFC 9112 §9.3.1).
    #[arg(long)]
    pub retry_stale: bool,
    /// Write a JSON line to this file for each request that failed.
    #[arg(long)]
    pub errors: Option<PathBuf>,
    /// What to print: text or json.
    #[arg(short, long, default_value = "text", value_parser = ["text", "json"])]
    pub output: String,
}

/// How the moments of sending are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// At a rate, in requests per second.
    Open {
        /// Requests per second.
        rate: f64,
    },
    /// When the last answer has come.
    Closed,
    /// Once, then never.
    Hold,
}

impl Options {
    /// Which loop was asked for.
    ///
    /// # Errors
    /// When none was, or the rate is no positive number.
    pub fn mode(&self) -> anyhow::Result<Mode> {
        match (self.rate, self.closed, self.hold) {
            (Some(rate), ..) if rate.is_finite() && rate > 0.0 => Ok(Mode::Open { rate }),
            (Some(rate), ..) => {
                anyhow::bail!("--rate {rate}: write a number above 0, in requests per second")
            }
            (None, true, _) => Ok(Mode::Closed),
            (None, _, true) => Ok(Mode::Hold),
            (None, false, false) => {
                anyhow::bail!("say how to send: --rate R (open loop), --closed or --hold")
            }
        }
    }

    /// The request to send and where to send it.
    pub(super) fn target(&self) -> anyhow::Result<Target> {
        Target::new(self)
    }
}
