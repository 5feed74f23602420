//! The field names that mean something to a proxy.

macro_rules! known {
    ($($(#[doc = $doc:literal])* $variant:ident $name:literal;)+) => {
        /// A field name that this crate or its callers look for; the rest is [`Known::Other`].
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
        pub enum Known {
            /// Any other field.
            #[default]
            Other,
            /// An `outrigger-*` field without a variant of its own. Names with `_` in the place of a
            /// `-` count too: CGI-like servers read both as one variable.
            Outrigger,
            $(#[doc = concat!("`", $name, "`")] $(#[doc = $doc])* $variant,)+
        }

        impl Known {
            /// Names in the order of their declaration, lower case, with their variants.
            pub(crate) const NAMES: &[(&'static str, Known)] = &[$(($name, Known::$variant),)+];

            /// The name, lower case; none for the two that stand for many.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    Known::Other | Known::Outrigger => None,
                    $(Known::$variant => Some($name),)+
                }
            }
        }
    };
}

// Sorted by length, so that a name is compared with those of its own length only; a test holds that.
known! {
    Te "te";
    B3 "b3";
    Age "age";
    Via "via";
    Host "host";
    Date "date";
    Range "range";
    Accept "accept";
    Cookie "cookie";
    Expect "expect";
    Server "server";
    Upgrade "upgrade";
    Trailer "trailer";
    Baggage "baggage";
    Location "location";
    Forwarded "forwarded";
    RateLimit "ratelimit";
    Connection "connection";
    KeepAlive "keep-alive";
    SetCookie "set-cookie";
    Tracestate "tracestate";
    RetryAfter "retry-after";
    Traceparent "traceparent";
    ContentType "content-type";
    CacheStatus "cache-status";
    GrpcTimeout "grpc-timeout";
    MaxForwards "max-forwards";
    XRequestId "x-request-id";
    ProxyStatus "proxy-status";
    Authorization "authorization";
    CacheControl "cache-control";
    ContentRange "content-range";
    ContentLength "content-length";
    Http2Settings "http2-settings";
    OutriggerLoad "outrigger-load";
    XForwardedFor "x-forwarded-for";
    OutriggerLevel "outrigger-level";
    RateLimitPolicy "ratelimit-policy";
    ContentEncoding "content-encoding";
    OutriggerReason "outrigger-reason";
    OutriggerCaller "outrigger-caller";
    XForwardedHost "x-forwarded-host";
    ProxyConnection "proxy-connection";
    XForwardedProto "x-forwarded-proto";
    TransferEncoding "transfer-encoding";
    OutriggerAttempt "outrigger-attempt";
    ProxyAuthenticate "proxy-authenticate";
    OutriggerBrownout "outrigger-brownout";
    ProxyAuthorization "proxy-authorization";
    OutriggerImportance "outrigger-importance";
    OutriggerDeadlineMs "outrigger-deadline-ms";
    ProxyAuthenticationInfo "proxy-authentication-info";
    XEnvoyExpectedRqTimeoutMs "x-envoy-expected-rq-timeout-ms";
}

/// Longest name in the table.
const LONGEST: usize = 30;

/// For each length, where in `NAMES` the names of that length begin; one more for the end.
const BEGINS: [u8; LONGEST + 2] = begins();

#[allow(clippy::indexing_slicing)] // Evaluated at compile time, where a bad index is a build error.
const fn begins() -> [u8; LONGEST + 2] {
    let mut begins = [0; LONGEST + 2];
    let mut length = 0;
    let mut at = 0;
    while length < LONGEST + 2 {
        while at < Known::NAMES.len() && Known::NAMES[at].0.len() < length {
            at += 1;
        }
        begins[length] = at as u8;
        length += 1;
    }
    begins
}

impl Known {
    /// The variant for a field's name, in whatever case.
    pub fn of(name: &[u8]) -> Self {
        Self::listed(name).unwrap_or_else(|| {
            if is_outrigger(name) {
                Self::Outrigger
            } else {
                Self::Other
            }
        })
    }

    fn listed(name: &[u8]) -> Option<Self> {
        let first = name.first()? | 0x20;
        let begin = usize::from(*BEGINS.get(name.len())?);
        let end = usize::from(*BEGINS.get(name.len() + 1)?);
        let same_length = Self::NAMES.get(begin..end)?;
        same_length
            .iter()
            .find(|(known, _)| {
                known.as_bytes().first() == Some(&first)
                    && known.as_bytes().eq_ignore_ascii_case(name)
            })
            .map(|(_, variant)| *variant)
    }

    /// Whether it is one of ours, with or without a variant of its own.
    pub const fn is_outrigger(self) -> bool {
        matches!(
            self,
            Self::Outrigger
                | Self::OutriggerLoad
                | Self::OutriggerLevel
                | Self::OutriggerReason
                | Self::OutriggerCaller
                | Self::OutriggerAttempt
                | Self::OutriggerBrownout
                | Self::OutriggerImportance
                | Self::OutriggerDeadlineMs
        )
    }

    /// Whether the field ends at the next hop and is never forwarded (RFC 9110 §7.6.1, and §11.7 for
    /// the proxy's own credentials).
    pub(crate) const fn is_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::KeepAlive
                | Self::ProxyConnection
                | Self::Te
                | Self::TransferEncoding
                | Self::Upgrade
                | Self::Http2Settings
                | Self::ProxyAuthorization
                | Self::ProxyAuthenticate
                | Self::ProxyAuthenticationInfo
        )
    }

    /// Whether the field is meant for all recipients or frames the message, so that a Connection that
    /// names it is an attempt to change what the next hop reads.
    pub(crate) const fn is_essential(self) -> bool {
        matches!(
            self,
            Self::Host
                | Self::ContentLength
                | Self::TransferEncoding
                | Self::ContentType
                | Self::ContentEncoding
                | Self::ContentRange
                | Self::Range
                | Self::Authorization
                | Self::Cookie
                | Self::SetCookie
                | Self::CacheControl
                | Self::Expect
                | Self::MaxForwards
                | Self::Date
                | Self::Location
                | Self::Via
                | Self::Forwarded
                | Self::XForwardedFor
                | Self::XForwardedHost
                | Self::XForwardedProto
                | Self::Traceparent
                | Self::Tracestate
                | Self::Baggage
                | Self::B3
                | Self::XRequestId
        ) || self.is_outrigger()
    }
}

fn is_outrigger(name: &[u8]) -> bool {
    let Some((prefix, rest)) = name.split_at_checked(10) else {
        return false;
    };
    !rest.is_empty()
        && prefix.split_last().is_some_and(|(dash, word)| {
            matches!(dash, b'-' | b'_') && word.eq_ignore_ascii_case(b"outrigger")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found() {
        for (name, variant) in Known::NAMES {
            assert_eq!(Known::of(name.to_ascii_uppercase().as_bytes()), *variant);
        }
    }

    #[test]
    fn names_are_sorted_by_length() {
        assert!(Known::NAMES.is_sorted_by_key(|(name, _)| name.len()));
        assert_eq!(
            Known::NAMES.last().map(|(name, _)| name.len()),
            Some(LONGEST)
        );
    }
}
