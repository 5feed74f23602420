//! Why Outrigger answered instead of an instance: one closed list, one exhaustive table.
//!
//! The word of a reason is the same in the response header, the log, the metric label and the transcript of a drill.

/// A refusal's reason. Adding one without answers for status, retry, fault and text does not compile.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Reason {
    /// The request breaks a rule of HTTP (the rule's name is given beside it).
    MalformedRequest,
    /// The request's head is larger than the sidecar's limit.
    HeadTooLarge,
    /// The request's head did not arrive in time.
    HeadTooSlow,
    /// The method is not served (CONNECT).
    MethodRefused,
    /// The request asks for an expectation that is not known (`Expect`).
    ExpectationFailed,
    /// No service of that name is known here.
    UnknownService,
    /// The caller proved no identity where one is needed.
    NotIdentified,
    /// The caller may not do this.
    NotPermitted,
    /// The caller is over its rate.
    RateOverLimit,
    /// A bot is over its share.
    BotOverShare,
    /// Every slot of the concurrency limit is taken and so is the queue.
    QueueFull,
    /// The request waited in the queue until it was too late to serve it.
    QueueTooSlow,
    /// The service is overloaded and more important requests go first.
    ShedByImportance,
    /// The caller's sidecar holds back calls that the service would refuse.
    ThrottledByCaller,
    /// The time that the caller allowed had passed before an instance was asked.
    DeadlinePassed,
    /// The service has no instances.
    NoInstances,
    /// Every instance is resting or ejected.
    AllResting,
    /// The instance did not accept the connection.
    ConnectFailed,
    /// The instance did not accept the connection in time.
    ConnectTimeout,
    /// The instance did not prove the identity that it should have.
    PeerNotTrusted,
    /// The instance did not answer in time.
    ResponseTimeout,
    /// The instance reset the connection or died before it had answered.
    InstanceBroke,
    /// The instance's answer breaks a rule of HTTP (the rule's name is given beside it).
    MalformedResponse,
    /// This sidecar is about to stop.
    Draining,
    /// This sidecar holds as many connections as it may.
    OutOfConnections,
    /// This process has no file descriptors left.
    OutOfDescriptors,
    /// This sidecar's buffers hold as much as they may.
    OutOfMemory,
}

/// Whether and when a caller may try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retryable {
    /// Trying again gives the same answer.
    No,
    /// At once: the instance has not seen the request.
    Yes,
    /// At once, but at another instance: this one has not done anything.
    Elsewhere,
    /// Only a request that may be carried out twice, as the instance may have carried it out.
    Idempotent,
    /// After the time in `Retry-After`.
    Later,
}

/// Who has to do something about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The one who asked.
    Caller,
    /// The service that was asked.
    Service,
    /// Outrigger itself.
    Us,
}

/// One row of the table.
struct Row {
    word: &'static str,
    status: u16,
    retryable: Retryable,
    fault: Fault,
    retry_after: bool,
    close: bool,
    flag: &'static str,
    proxy_status: &'static str,
    text: &'static str,
}

impl Reason {
    /// Every reason, in the order of the table.
    pub const ALL: [Reason; 27] = [
        Reason::MalformedRequest,
        Reason::HeadTooLarge,
        Reason::HeadTooSlow,
        Reason::MethodRefused,
        Reason::ExpectationFailed,
        Reason::UnknownService,
        Reason::NotIdentified,
        Reason::NotPermitted,
        Reason::RateOverLimit,
        Reason::BotOverShare,
        Reason::QueueFull,
        Reason::QueueTooSlow,
        Reason::ShedByImportance,
        Reason::ThrottledByCaller,
        Reason::DeadlinePassed,
        Reason::NoInstances,
        Reason::AllResting,
        Reason::ConnectFailed,
        Reason::ConnectTimeout,
        Reason::PeerNotTrusted,
        Reason::ResponseTimeout,
        Reason::InstanceBroke,
        Reason::MalformedResponse,
        Reason::Draining,
        Reason::OutOfConnections,
        Reason::OutOfDescriptors,
        Reason::OutOfMemory,
    ];

    /// The word for it, everywhere.
    pub const fn word(self) -> &'static str {
        self.row().word
    }

    /// The HTTP status of the refusal.
    pub const fn status(self) -> u16 {
        self.row().status
    }

    /// Whether the caller may try again.
    pub const fn retryable(self) -> Retryable {
        self.row().retryable
    }

    /// Who has to do something about it.
    pub const fn fault(self) -> Fault {
        self.row().fault
    }

    /// Whether the refusal carries `Retry-After`.
    pub const fn has_retry_after(self) -> bool {
        self.row().retry_after
    }

    /// Whether the caller's connection is closed with the refusal.
    pub const fn closes(self) -> bool {
        self.row().close
    }

    /// Envoy's response flag with the nearest meaning, for people who search their logs by it; may be empty.
    pub const fn envoy_flag(self) -> &'static str {
        self.row().flag
    }

    /// The error type of `Proxy-Status` (RFC 9209 §2.3).
    pub const fn proxy_status(self) -> &'static str {
        self.row().proxy_status
    }

    /// One sentence for the caller.
    pub const fn text(self) -> &'static str {
        self.row().text
    }

    /// The reason that `word` names.
    pub fn from_word(word: &[u8]) -> Option<Reason> {
        Reason::ALL.into_iter().find(|r| r.word().as_bytes() == word)
    }

    const fn row(self) -> Row {
        use Fault::{Caller, Service, Us};
        use Retryable::{Elsewhere, Idempotent, Later, No, Yes};
        #[expect(clippy::too_many_arguments, reason = "one column each")]
        const fn row(
            word: &'static str,
            status: u16,
            retryable: Retryable,
            fault: Fault,
            flag: &'static str,
            proxy_status: &'static str,
            text: &'static str,
        ) -> Row {
            Row { word, status, retryable, fault, retry_after: false, close: false, flag, proxy_status, text }
        }
        const fn later(row: Row) -> Row {
            Row { retry_after: true, ..row }
        }
        const fn close(row: Row) -> Row {
            Row { close: true, ..row }
        }
        const DENIED: &str = "http_request_denied";
        const FULL: &str = "connection_limit_reached";
        const BAD: &str = "http_request_error";
        const GONE: &str = "destination_unavailable";
        const OURS: &str = "proxy_internal_error";
        match self {
            Reason::MalformedRequest => close(row(
                "malformed-request",
                400,
                No,
                Caller,
                "DPE",
                BAD,
                "The request breaks a rule of HTTP.",
            )),
            Reason::HeadTooLarge => {
                close(row("head-too-large", 431, No, Caller, "DPE", BAD, "The request's head is too large."))
            }
            Reason::HeadTooSlow => close(row(
                "head-too-slow",
                408,
                Yes,
                Caller,
                "",
                BAD,
                "The request's head did not arrive in time.",
            )),
            Reason::MethodRefused => {
                close(row("method-refused", 501, No, Caller, "", DENIED, "This method is not served here."))
            }
            Reason::ExpectationFailed => close(row(
                "expectation-failed",
                417,
                No,
                Caller,
                "",
                BAD,
                "This expectation is not known here.",
            )),
            Reason::UnknownService => row(
                "unknown-service",
                503,
                No,
                Caller,
                "NR",
                "destination_not_found",
                "No service of this name is known here.",
            ),
            Reason::NotIdentified => {
                row("not-identified", 401, No, Caller, "UAEX", DENIED, "The caller proved no identity.")
            }
            Reason::NotPermitted => {
                row("not-permitted", 403, No, Caller, "RBAC", DENIED, "The caller may not do this.")
            }
            Reason::RateOverLimit => later(row(
                "rate-over-limit",
                429,
                Later,
                Caller,
                "RL",
                DENIED,
                "The caller is over its rate.",
            )),
            Reason::BotOverShare => later(row(
                "bot-over-share",
                429,
                Later,
                Caller,
                "RL",
                DENIED,
                "The caller is over its share.",
            )),
            Reason::QueueFull => later(row(
                "queue-full",
                503,
                Elsewhere,
                Service,
                "UO",
                FULL,
                "The instance is busy and its queue is full.",
            )),
            Reason::QueueTooSlow => later(row(
                "queue-too-slow",
                503,
                Elsewhere,
                Service,
                "UO",
                FULL,
                "The request waited too long for a free slot.",
            )),
            Reason::ShedByImportance => later(row(
                "shed-by-importance",
                503,
                Later,
                Service,
                "UO",
                DENIED,
                "The service is overloaded and more important requests go first.",
            )),
            Reason::ThrottledByCaller => later(row(
                "throttled-by-caller",
                503,
                Later,
                Service,
                "UO",
                DENIED,
                "The service is overloaded and the caller's sidecar holds calls back.",
            )),
            Reason::DeadlinePassed => row(
                "deadline-passed",
                504,
                No,
                Service,
                "DT",
                "http_response_timeout",
                "The time that the caller allowed has passed.",
            ),
            Reason::NoInstances => {
                later(row("no-instances", 503, Yes, Service, "UH", GONE, "The service has no instances."))
            }
            Reason::AllResting => later(row(
                "all-resting",
                503,
                Later,
                Service,
                "UH",
                GONE,
                "Every instance of the service is resting.",
            )),
            Reason::ConnectFailed => row(
                "connect-failed",
                503,
                Yes,
                Service,
                "UF",
                "connection_refused",
                "The instance did not accept the connection.",
            ),
            Reason::ConnectTimeout => row(
                "connect-timeout",
                504,
                Yes,
                Service,
                "UF",
                "connection_timeout",
                "The instance did not accept the connection in time.",
            ),
            Reason::PeerNotTrusted => row(
                "peer-not-trusted",
                502,
                No,
                Service,
                "UF",
                "tls_certificate_error",
                "The instance did not prove its identity.",
            ),
            Reason::ResponseTimeout => row(
                "response-timeout",
                504,
                Idempotent,
                Service,
                "UT",
                "http_response_timeout",
                "The instance did not answer in time.",
            ),
            Reason::InstanceBroke => row(
                "instance-broke",
                502,
                Idempotent,
                Service,
                "UC",
                "connection_terminated",
                "The instance broke the connection before it had answered.",
            ),
            Reason::MalformedResponse => row(
                "malformed-response",
                502,
                No,
                Service,
                "UPE",
                "http_protocol_error",
                "The instance's answer breaks a rule of HTTP.",
            ),
            Reason::Draining => {
                close(row("draining", 503, Elsewhere, Us, "", GONE, "This sidecar is about to stop."))
            }
            Reason::OutOfConnections => later(row(
                "out-of-connections",
                503,
                Elsewhere,
                Us,
                "UO",
                OURS,
                "This sidecar holds as many connections as it may.",
            )),
            Reason::OutOfDescriptors => later(row(
                "out-of-descriptors",
                503,
                Elsewhere,
                Us,
                "UO",
                OURS,
                "This sidecar has no file descriptors left.",
            )),
            Reason::OutOfMemory => later(row(
                "out-of-memory",
                503,
                Elsewhere,
                Us,
                "UO",
                OURS,
                "This sidecar's buffers are full.",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_complete_and_every_word_is_read_back() {
        for (i, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, i);
            assert_eq!(Reason::from_word(reason.word().as_bytes()), Some(reason));
            assert!((400..600).contains(&reason.status()));
        }
    }

    #[test]
    fn what_may_have_been_carried_out_is_retried_only_if_idempotent() {
        assert_eq!(Reason::InstanceBroke.retryable(), Retryable::Idempotent);
        assert_eq!(Reason::ResponseTimeout.retryable(), Retryable::Idempotent);
        assert_eq!(Reason::ConnectFailed.retryable(), Retryable::Yes);
    }
}
