//! What to look at and what to do for each reason. One match without a rest: a new reason has to be explained.

use super::Advice;
use model::Reason;

const fn advice_of(look: &'static str, mend: &'static str) -> Advice {
    Advice { look, mend }
}

/// What to look at and what to do when `reason` is seen.
pub(crate) const fn advice(reason: Reason) -> Advice {
    match reason {
        Reason::MalformedRequest => advice_of(
            "`Proxy-Status` of the answer: its `details` name the rule that was broken.",
            "Mend the client that wrote the request. It is not repaired on the way, as two readers could understand it \
             differently, which is how requests are smuggled.",
        ),
        Reason::HeadTooLarge => advice_of(
            "What grows in the caller's headers: most often cookies, or a token that carries too much.",
            "Send less: a head may have 32 KiB and 100 fields.",
        ),
        Reason::HeadTooSlow => advice_of(
            "The caller's network and its load: the first byte came, and the rest did not within 10 seconds.",
            "Try again; if it happens often, look for a caller that is out of processor time, or that attacks.",
        ),
        Reason::MethodRefused => advice_of(
            "Which client sends CONNECT: one that takes the sidecar for a proxy for TLS.",
            "Call services by `http://NAME/`; for what lies outside set `NO_PROXY`, or do not use the sidecar.",
        ),
        Reason::ExpectationFailed => {
            advice_of("The request's `Expect`: only `100-continue` is known.", "Leave the header out.")
        }
        Reason::UnknownService => advice_of(
            "The Host that was asked for, `outrigger services`, and `outgoing.services` of the caller's `service.toml`.",
            "Correct the name, or add the service to the caller's `outgoing.services` and apply that.",
        ),
        Reason::NotIdentified => advice_of(
            "The request's `authorization`, and which join token the agent or command was given.",
            "Give a valid credential or join token. No sidecar gives this reason yet: the control plane does.",
        ),
        Reason::NotPermitted => advice_of(
            "Who called, and what the token was made for.",
            "Use a token that covers the service, or make one. No sidecar gives this reason yet: the control plane does.",
        ),
        Reason::RateOverLimit => advice_of(
            "How often the caller calls, in its own `outrigger_requests_total`.",
            "Call less often, and keep to `Retry-After`. No sidecar gives this reason yet.",
        ),
        Reason::BotOverShare => advice_of(
            "Which bot it is, and how much of the traffic is its.",
            "Let the bot slow down, and keep to `Retry-After`. No sidecar gives this reason yet.",
        ),
        Reason::QueueFull => advice_of(
            "`outrigger_in_flight`, `outrigger_limit` and `outrigger_queue_length` of the instance's sidecar, and how \
             long its answers take.",
            "More instances, quicker answers, or a higher `policies.limit` if the instance can take more.",
        ),
        Reason::QueueTooSlow => advice_of(
            "How long the instance's answers take, beside the time that its callers allow.",
            "More instances, quicker answers, or a shorter queue: who waits so long is better refused at once.",
        ),
        Reason::ShedByImportance => advice_of(
            "`outrigger_refusals_total` of the service by reason, and its latency.",
            "More instances; and mark what nobody waits for as less important. No sidecar gives this reason yet.",
        ),
        Reason::ThrottledByCaller => advice_of(
            "The refusals of the service that is called.",
            "Relieve that service; its callers send more as soon as it refuses less. No sidecar gives this reason yet.",
        ),
        Reason::DeadlinePassed => advice_of(
            "The time that the caller allowed (`outrigger-deadline-ms`, or `policies.timeouts.total`), and where the \
             time went: `outrigger_request_duration_seconds` of each service on the way.",
            "Make the slowest service on the way quicker, or allow more time at the edge.",
        ),
        Reason::NoInstances => advice_of(
            "Why none of the service is in rotation: `outrigger instances` and `outrigger events` say so.",
            "Start instances, or mend what keeps them from starting: `outrigger logs SERVICE` has their last words.",
        ),
        Reason::AllResting => advice_of(
            "`/clusters` of the caller's sidecar: which instances rest or are ejected, and `outrigger logs SERVICE`.",
            "Mend the service: all its instances failed or were slow. They are tried again by themselves.",
        ),
        Reason::ConnectFailed => advice_of(
            "Whether the instance's process lives and listens: `outrigger instances`, `outrigger events`.",
            "Mostly nothing: another instance is asked, and one that died is started again. If it lasts, look at why \
             the process does not listen on `$PORT`.",
        ),
        Reason::ConnectTimeout => advice_of(
            "The load of the instance's machine and the network between: connections are not refused, they are not \
             accepted.",
            "Give the instance more processor time, or take the machine out.",
        ),
        Reason::PeerNotTrusted => advice_of(
            "The certificate that the instance showed, and when it ends.",
            "Renew the certificate, or correct the name in it. No sidecar gives this reason yet.",
        ),
        Reason::ResponseTimeout => advice_of(
            "How long the service's answers take, beside `policies.timeouts.total` and `retry.try-timeout`.",
            "Make the service quicker. A longer timeout only helps where the caller waits that long.",
        ),
        Reason::InstanceBroke => advice_of(
            "`outrigger events` and `outrigger logs INSTANCE` at that time: most often the process died.",
            "Mend what the process died of; if it lives, see whether it closes idle connections earlier than after 50 \
             seconds.",
        ),
        Reason::MalformedResponse => advice_of(
            "`Proxy-Status` of the answer: its `details` name the rule that was broken.",
            "Mend the service that wrote the answer; it is not repaired on the way.",
        ),
        Reason::Draining => advice_of(
            "`outrigger events`: the instance is being stopped or restarted.",
            "Nothing: callers' sidecars go to another instance. Seen at the edge, it is about to stop itself.",
        ),
        Reason::OutOfConnections => advice_of(
            "`outrigger_connections` beside `outrigger_connections_limit` of the sidecar, and who holds so many.",
            "Let callers reuse connections, or run more instances: a sidecar takes 8192.",
        ),
        Reason::OutOfDescriptors => advice_of(
            "`outrigger_descriptors` beside `outrigger_descriptors_limit` of the sidecar; `outrigger check` says what \
             the machine allows.",
            "Raise the hard limit of open files (`ulimit -Hn`, `LimitNOFILE` of the unit) and start again.",
        ),
        Reason::OutOfMemory => advice_of(
            "`outrigger_buffer_bytes` beside its limit, and who sends or reads large bodies slowly.",
            "Find the slow reader, or run more instances: a sidecar holds 256 MiB in buffers.",
        ),
    }
}
