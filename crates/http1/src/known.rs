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

/// For each hash of a name its place in `NAMES`, from 1; 0 where no name has that hash.
const PLACES: [u8; 256] = places();

/// Length, first and last letter tell all names apart; the factors were found by trying. A new name
/// that shares another's slot does not compile: try other factors then.
const fn hash(len: usize, first: u8, last: u8) -> u8 {
    (len as u8).wrapping_add((first | 0x20).wrapping_mul(7)).wrapping_add((last | 0x20).wrapping_mul(27))
}

// Evaluated at compile time, where a bad index or a failed assertion is a build error.
#[allow(clippy::indexing_slicing)]
const fn places() -> [u8; 256] {
    let mut places = [0; 256];
    let mut at = 0;
    while at < Known::NAMES.len() {
        let name = Known::NAMES[at].0.as_bytes();
        let slot = hash(name.len(), name[0], name[name.len() - 1]) as usize;
        assert!(places[slot] == 0, "two names with one hash");
        at += 1;
        places[slot] = at as u8;
    }
    places
}

/// The first eight bytes of each name, with zeros behind a shorter one.
const BEGINNINGS: [u64; Known::NAMES.len()] = beginnings();

#[allow(clippy::indexing_slicing)]
const fn beginnings() -> [u64; Known::NAMES.len()] {
    let mut words = [0; Known::NAMES.len()];
    let mut at = 0;
    while at < words.len() {
        let name = Known::NAMES[at].0.as_bytes();
        let mut byte = 0;
        while byte < name.len() && byte < 8 {
            words[at] |= (name[byte] as u64) << (8 * byte);
            byte += 1;
        }
        at += 1;
    }
    words
}

impl Known {
    /// The variant whose name the first `len` bytes are, in whatever case; none for other names, and
    /// where fewer than eight bytes are there to be looked at.
    #[inline(always)]
    pub(crate) fn at_front(rest: &[u8], len: usize) -> Option<Self> {
        let (first, last) = (*rest.first()?, *rest.get(len.checked_sub(1)?)?);
        let place = usize::from(*PLACES.get(usize::from(hash(len, first, last)))?).checked_sub(1)?;
        let ((name, variant), begin) = (Self::NAMES.get(place)?, *BEGINNINGS.get(place)?);
        let name = name.as_bytes();
        let word = u64::from_le_bytes(*rest.first_chunk()?);
        let kept = if len < 8 { word & !(u64::MAX << (8 * len)) } else { word };
        let same =
            name.len() == len && reads_as(kept, begin) && (len <= 8 || ends_as(rest.get(..len)?, name));
        same.then_some(*variant)
    }

    /// The variant for a field's name, in whatever case.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        Self::listed(name).unwrap_or_else(|| if is_outrigger(name) { Self::Outrigger } else { Self::Other })
    }

    #[inline]
    fn listed(name: &[u8]) -> Option<Self> {
        let (first, last) = (*name.first()?, *name.last()?);
        let place = *PLACES.get(usize::from(hash(name.len(), first, last)))?;
        let (known, variant) = Self::NAMES.get(usize::from(place).checked_sub(1)?)?;
        is_spelled(name, known.as_bytes()).then_some(*variant)
    }

    /// Whether it says how a message is framed or how its connection goes on, so that `Meaning` must look
    /// at it.
    #[inline]
    pub(crate) const fn is_meant_for_us(self) -> bool {
        FOR_US.has(self)
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

/// Which fields a head has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Seen(u64);

const _: () = assert!(Known::NAMES.len() + 2 <= 64, "each name has a bit");

/// What `Meaning` looks at.
pub(crate) const FOR_US: Seen = Seen::NONE
    .and(Known::ContentLength)
    .and(Known::TransferEncoding)
    .and(Known::Connection)
    .and(Known::Te)
    .and(Known::Host)
    .and(Known::Expect)
    .and(Known::MaxForwards)
    .and(Known::Upgrade);

impl Seen {
    pub(crate) const NONE: Seen = Seen(0);

    /// With one more.
    #[inline]
    pub(crate) const fn and(self, known: Known) -> Seen {
        Seen(self.0 | 1 << known as u8)
    }

    /// Whether it is among them.
    #[inline]
    pub(crate) const fn has(self, known: Known) -> bool {
        self.0 >> (known as u8) & 1 == 1
    }

    /// Whether one of `others` is among them.
    #[inline]
    pub(crate) const fn has_any(self, others: Seen) -> bool {
        self.0 & others.0 != 0
    }
}

/// Whether `name` is `known` (lower case) in whatever case, eight bytes at once: the last eight may
/// overlap those before.
#[inline]
fn is_spelled(name: &[u8], known: &[u8]) -> bool {
    let (Some(name_end), Some(known_end)) = (name.last_chunk::<8>(), known.last_chunk::<8>()) else {
        return known.eq_ignore_ascii_case(name);
    };
    let words = |text: &[u8], other: &[u8]| {
        let (ours, theirs) = (text.as_chunks::<8>().0, other.as_chunks::<8>().0);
        ours.iter().zip(theirs).all(|(a, b)| folded(a) == u64::from_le_bytes(*b))
    };
    name.len() == known.len() && folded(name_end) == u64::from_le_bytes(*known_end) && words(name, known)
}

/// The same behind the first eight bytes, of which there must be eight.
#[inline(always)]
fn ends_as(name: &[u8], known: &[u8]) -> bool {
    let same =
        |ours: &[u8; 8], theirs: &[u8; 8]| reads_as(u64::from_le_bytes(*ours), u64::from_le_bytes(*theirs));
    let (Some(end), Some(known_end)) = (name.last_chunk(), known.last_chunk()) else { return false };
    let words = name.as_chunks().0.iter().zip(known.as_chunks().0);
    same(end, known_end) && words.skip(1).all(|(ours, theirs)| same(ours, theirs))
}

/// Whether eight bytes are those of a known name, whose letters are small, in whatever case. Only
/// what is a letter in the known name has the bit 0x40, and for it alone 0x20 is left open.
#[inline(always)]
fn reads_as(word: u64, known: u64) -> bool {
    const CASE: u64 = 0x2020_2020_2020_2020;
    word | ((known >> 1) & CASE) == known
}

/// With capital letters made small, and no other byte changed.
#[inline]
fn folded(word: &[u8; 8]) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(*word);
    let low = word & (0x7f * EACH);
    let capital = (low + 0x3f * EACH) & !(low + 0x25 * EACH) & !word & (0x80 * EACH);
    word | (capital >> 2)
}

pub(crate) fn is_outrigger(name: &[u8]) -> bool {
    if !matches!(name.first(), Some(b'o' | b'O')) {
        return false;
    }
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
            for place in 0..name.len() {
                let mut other = name.as_bytes().to_vec();
                other[place] ^= 0x80;
                assert_ne!(Known::of(&other), *variant);
                other[place] ^= 0x81;
                assert_ne!(Known::of(&other), *variant);
            }
        }
    }

    #[test]
    fn only_letters_are_folded() {
        for byte in 0..=255u8 {
            for place in 0..8 {
                let mut word = [0xff; 8];
                word[place] = byte;
                assert_eq!(folded(&word).to_le_bytes(), word.map(|b| b.to_ascii_lowercase()));
            }
        }
    }
}
