//! Why a request failed: one word each, so that failures can be counted by it.

use std::io;

/// What went wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection was refused.
    ConnectRefused,
    /// The connection could not be made for another reason.
    ConnectFailed(io::ErrorKind),
    /// The connection was reset, or broke while sending.
    Reset,
    /// The connection ended before a byte of the answer; it was new.
    Closed,
    /// The same on a connection that had been used before.
    ClosedReused,
    /// The connection ended inside an answer.
    Short,
    /// The answer is no HTTP.
    Malformed,
    /// The time ran out.
    Timeout(Phase),
    /// An answer of 400 or above, with the proxy's reason for it, if any.
    Status(u16, Option<String>),
}

/// How far a request had come when its time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// All connections were busy and no more were allowed: the load's own bound.
    Queued,
    /// The connection was not yet made.
    Connecting,
    /// The request was on its way, or its answer.
    Sent,
}

impl Failure {
    pub(super) fn of_connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::ConnectRefused,
            kind => Self::ConnectFailed(kind),
        }
    }

    /// The word that counts it.
    pub(super) fn class(&self) -> String {
        match self {
            Self::ConnectRefused => "connect-refused".into(),
            Self::ConnectFailed(kind) => format!("connect-failed:{kind}"),
            Self::Reset => "reset".into(),
            Self::Closed => "closed".into(),
            Self::ClosedReused => "closed-reused".into(),
            Self::Short => "short-answer".into(),
            Self::Malformed => "malformed-answer".into(),
            Self::Timeout(Phase::Queued) => "timeout-no-connection".into(),
            Self::Timeout(Phase::Connecting) => "timeout-connecting".into(),
            Self::Timeout(Phase::Sent) => "timeout".into(),
            Self::Status(code, None) => format!("status-{code}"),
            Self::Status(code, Some(reason)) => format!("status-{code}:{reason}"),
        }
    }
}
