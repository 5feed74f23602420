//! The signals that an environment heeds: what asks it to stop, and what tells of ended children.

use std::io;
use tokio::signal::unix::{Signal as Arrivals, SignalKind, signal};

/// What asks us to stop, and what tells of ended children.
pub(crate) struct Signals {
    /// What asks us to stop.
    pub(crate) stop: Stops,
    /// A child has ended.
    pub(crate) child: Arrivals,
}

/// What asks us to stop.
pub(crate) struct Stops {
    interrupt: Arrivals,
    terminate: Arrivals,
    hangup: Option<Arrivals>,
}

impl Signals {
    /// Signals are heard from now on.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn begin() -> io::Result<Signals> {
        // Who was started to outlive its terminal (nohup) goes on doing so.
        let hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) };
        let stop = Stops {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup,
        };
        Ok(Signals { stop, child: signal(SignalKind::child())? })
    }
}

impl Stops {
    /// Waits for the next request.
    pub(crate) async fn next(&mut self) -> Asked {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Interrupted,
            _ = self.terminate.recv() => Asked::Terminated,
            _ = hangup => Asked::TerminalClosed,
        }
    }
}

/// How a stop was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// SIGHUP.
    TerminalClosed,
}

impl Asked {
    /// The word in events.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Asked::Interrupted => "interrupted",
            Asked::Terminated => "terminated",
            Asked::TerminalClosed => "terminal-closed",
        }
    }

    /// What shells make of a program that such a signal ended.
    pub(crate) const fn status(self) -> u8 {
        match self {
            Asked::Interrupted => 130,
            Asked::Terminated => 143,
            Asked::TerminalClosed => 129,
        }
    }
}

/// Whether SIGHUP was ignored when this process began (proc(5): a mask whose lowest bit is signal 1).
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
