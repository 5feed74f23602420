//! How a process ended, in a word for events and in words for people.

use std::fmt;

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// With this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It could not even be started.
    NotStarted,
}

impl Exit {
    /// The word in events: `exit-1`, `sigkill`, `not-started`.
    pub fn word(&self) -> String {
        match self {
            Exit::Code(code) => format!("exit-{code}"),
            Exit::Signal(signal) => {
                signal_name(*signal).map_or(format!("signal-{signal}"), str::to_lowercase)
            }
            Exit::NotStarted => "not-started".into(),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit status {code}"),
            Exit::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "{name} (signal {signal})"),
                None => write!(f, "signal {signal}"),
            },
            Exit::NotStarted => f.write_str("failing to start at all"),
        }
    }
}

/// The name of a signal that ends processes (signal(7); the numbers that are the same on all of Linux's machines).
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return None,
    })
}
