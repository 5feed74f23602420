//! The closed list of reasons for which a message is refused.

/// What kind of refusal a rule leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum RuleKind {
    /// The bytes are not one HTTP message that everybody reads alike (400, or 502 for a response).
    Malformed,
    /// The head or the trailer section is longer than the limits (431).
    HeadTooLarge,
    /// A method that this proxy does not serve: CONNECT (501).
    MethodRefused,
    /// An expectation other than `100-continue` (417).
    ExpectationFailed,
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident $word:literal $section:literal $kind:ident;)+) => {
        /// Every way in which a message is refused. The word is what logs, metrics and answers show.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum Rule {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Rule {
            /// All rules, in the order of their declaration.
            pub const ALL: &[Rule] = &[$(Rule::$name,)+];

            /// The rule's one name, kebab-case.
            pub const fn word(self) -> &'static str {
                match self { $(Rule::$name => $word,)+ }
            }

            /// Where the standard says so.
            pub const fn section(self) -> &'static str {
                match self { $(Rule::$name => $section,)+ }
            }

            /// What kind of refusal it leads to.
            pub const fn kind(self) -> RuleKind {
                match self { $(Rule::$name => RuleKind::$kind,)+ }
            }
        }
    };
}

rules! {
    /// A carriage return that no line feed follows.
    BareCr "bare-cr" "RFC 9112 §2.2" Malformed;
    /// A line feed without its carriage return.
    BareLf "bare-lf" "RFC 9112 §2.2" Malformed;
    /// More than one empty line before a request line.
    BlankBeforeRequest "blank-before-request" "RFC 9112 §2.2" Malformed;
    /// The first word of a request is not a token followed by one space.
    MethodInvalid "method-invalid" "RFC 9110 §9.1" Malformed;
    /// CONNECT: this proxy opens no tunnels to places that a client names.
    ConnectRefused "connect-refused" "RFC 9110 §9.3.6" MethodRefused;
    /// More or other white space in the request line than one space between its three parts.
    RequestLineBlank "request-line-blank" "RFC 9112 §3" Malformed;
    /// A control, a space or a byte beyond ASCII in the request target.
    TargetByte "target-byte" "RFC 9112 §3.2" Malformed;
    /// A fragment (`#`) in the request target.
    TargetFragment "target-fragment" "RFC 9110 §7.1" Malformed;
    /// A target that is no path, not absolute, and not `*`; or authority-form without CONNECT.
    TargetForm "target-form" "RFC 9112 §3.2" Malformed;
    /// `*` with a method other than OPTIONS.
    TargetAsterisk "target-asterisk" "RFC 9112 §3.2.4" Malformed;
    /// An absolute target whose scheme is not `http`.
    TargetScheme "target-scheme" "RFC 9110 §7.4" Malformed;
    /// A user name before the host of an absolute target.
    TargetUserinfo "target-userinfo" "RFC 9110 §4.2.4" Malformed;
    /// An absolute target without a host or with one that cannot be.
    TargetAuthority "target-authority" "RFC 9110 §4.2.1" Malformed;
    /// Not exactly `HTTP/1.` and one digit.
    VersionUnknown "version-unknown" "RFC 9112 §2.3" Malformed;
    /// A status that is not three digits from 100 to 599.
    StatusInvalid "status-invalid" "RFC 9110 §15" Malformed;
    /// A control in the reason, or something else than a space after the status.
    ReasonInvalid "reason-invalid" "RFC 9112 §4" Malformed;
    /// A blank between the first line and the first field.
    BlankBeforeField "blank-before-field" "RFC 9112 §2.2" Malformed;
    /// A line that continues the one before (a folded field).
    ObsFold "obs-fold" "RFC 9112 §5.2" Malformed;
    /// A field without a name.
    FieldNameEmpty "field-name-empty" "RFC 9112 §5" Malformed;
    /// A byte in a field's name that may not stand in a token.
    FieldNameInvalid "field-name-invalid" "RFC 9110 §5.1" Malformed;
    /// A blank in or after a field's name.
    BlankBeforeColon "blank-before-colon" "RFC 9112 §5.1" Malformed;
    /// A line without a colon.
    ColonMissing "colon-missing" "RFC 9112 §5" Malformed;
    /// NUL or another control in a field's value.
    FieldValueControl "field-value-control" "RFC 9110 §5.5" Malformed;
    /// The head does not end within the limit.
    HeadTooLarge "head-too-large" "RFC 9110 §5.4" HeadTooLarge;
    /// More fields than the limit.
    TooManyFields "too-many-fields" "RFC 9110 §5.4" HeadTooLarge;
    /// HTTP/1.1 without Host.
    HostMissing "host-missing" "RFC 9112 §3.2" Malformed;
    /// More than one Host, even where they agree.
    HostRepeated "host-repeated" "RFC 9112 §3.2" Malformed;
    /// A Host that is no host with an optional port.
    HostInvalid "host-invalid" "RFC 9112 §3.2" Malformed;
    /// A Content-Length that is not digits alone.
    ContentLengthInvalid "content-length-invalid" "RFC 9112 §6.3" Malformed;
    /// A list in Content-Length, even where its elements agree.
    ContentLengthList "content-length-list" "RFC 9110 §8.6" Malformed;
    /// A Content-Length that no 64-bit number holds.
    ContentLengthOverflow "content-length-overflow" "RFC 9110 §8.6" Malformed;
    /// Two Content-Length fields that are not the same text.
    ContentLengthDiffers "content-length-differs" "RFC 9112 §6.3" Malformed;
    /// Content-Length beside Transfer-Encoding.
    ContentLengthWithTransferEncoding "content-length-with-transfer-encoding" "RFC 9112 §6.3" Malformed;
    /// Transfer-Encoding more than once.
    TransferEncodingRepeated "transfer-encoding-repeated" "RFC 9112 §6.1" Malformed;
    /// A Transfer-Encoding that is anything but `chunked`.
    TransferEncodingNotChunked "transfer-encoding-not-chunked" "RFC 9112 §6.1" Malformed;
    /// Transfer-Encoding in HTTP/1.0.
    TransferEncodingInHttp10 "transfer-encoding-in-http10" "RFC 9112 §6.1" Malformed;
    /// An element of Connection that is no token.
    ConnectionInvalid "connection-invalid" "RFC 9110 §7.6.1" Malformed;
    /// Connection names a field that is meant for all recipients, so that obeying it would change the
    /// message.
    ConnectionNamesEssential "connection-names-essential" "RFC 9110 §7.6.1" Malformed;
    /// More names in Connection than any message needs.
    ConnectionTooLong "connection-too-long" "RFC 9110 §7.6.1" HeadTooLarge;
    /// An Upgrade whose elements are not `name` or `name/version`.
    UpgradeInvalid "upgrade-invalid" "RFC 9110 §7.8" Malformed;
    /// An expectation other than `100-continue`.
    ExpectationUnknown "expectation-unknown" "RFC 9110 §10.1.1" ExpectationFailed;
    /// Max-Forwards of OPTIONS or TRACE is repeated or no number.
    MaxForwardsInvalid "max-forwards-invalid" "RFC 9110 §7.6.2" Malformed;
    /// TRACE with content.
    TraceWithBody "trace-with-body" "RFC 9110 §9.3.8" Malformed;
    /// 101 that the request did not ask for.
    SwitchingUnasked "switching-unasked" "RFC 9110 §15.2.2" Malformed;
    /// 101 that does not name, in Upgrade and Connection, the protocol that was asked for.
    SwitchingUnnamed "switching-unnamed" "RFC 9110 §7.8" Malformed;
    /// A body length in a 1xx response.
    InterimWithFraming "interim-with-framing" "RFC 9110 §8.6" Malformed;
    /// A body length in a 204 response.
    NoContentWithFraming "no-content-with-framing" "RFC 9110 §8.6" Malformed;
    /// A chunk size that is not one to sixteen hexadecimal digits.
    ChunkSizeInvalid "chunk-size-invalid" "RFC 9112 §7.1" Malformed;
    /// A chunk size of more than sixteen digits.
    ChunkSizeOverflow "chunk-size-overflow" "RFC 9112 §7.1" Malformed;
    /// A chunk extension that does not follow the grammar.
    ChunkExtensionInvalid "chunk-extension-invalid" "RFC 9112 §7.1.1" Malformed;
    /// More bytes of chunk extensions than a message needs.
    ChunkExtensionTooLong "chunk-extension-too-long" "RFC 9112 §7.1.1" Malformed;
    /// Data that does not end where the chunk's size says.
    ChunkDataOverrun "chunk-data-overrun" "RFC 9112 §7.1" Malformed;
    /// A trailer that would change framing, routing, authentication or the content's meaning.
    TrailerForbidden "trailer-forbidden" "RFC 9110 §6.5.1" Malformed;
    /// A trailer section longer than the limits.
    TrailersTooLarge "trailers-too-large" "RFC 9110 §6.5" HeadTooLarge;
    /// The connection ended before the body did.
    BodyTruncated "body-truncated" "RFC 9112 §8" Malformed;
}

impl Rule {
    /// The rule of that name.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.word() == word)
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} ({})", self.word(), self.section())
    }
}

impl std::error::Error for Rule {}
