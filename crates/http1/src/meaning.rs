//! What the fields of a head say together: framing and persistence, the same for both directions.

use crate::bytes::{is_token, list};
use crate::known::{FOR_US, Seen};
use crate::{Field, Framing, Known, Rule, Span};

/// Names that one Connection may list; more is an attack on the loop that looks each of them up.
const MAX_CONNECTION_OPTIONS: usize = 32;

/// The joint reading of the fields that frame a message or manage its connection.
#[derive(Default)]
pub(crate) struct Meaning {
    pub(crate) length: Option<u64>,
    pub(crate) chunked: bool,
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    /// Connection names Upgrade.
    pub(crate) upgrade: bool,
    /// Connection names TE.
    te: bool,
    /// TE holds `trailers`.
    trailers: bool,
    length_text: Span,
    /// Which field is Host.
    pub(crate) host: Option<usize>,
    /// Host stands there more than once.
    pub(crate) host_repeated: bool,
    /// Whether there is an Expect, a Max-Forwards or an Upgrade.
    pub(crate) rarities: bool,
}

impl Meaning {
    /// Reads the fields, and marks those as hop-by-hop that Connection names and those that repeat a
    /// Content-Length.
    pub(crate) fn read(
        fields: &mut [Field],
        seen: Seen,
        buf: &[u8],
        minor_version: u8,
    ) -> Result<Self, Rule> {
        let mut meaning = Self::default();
        if !seen.has_any(FOR_US) {
            return Ok(meaning);
        }
        let mut connections = false;
        for (at, field) in fields.iter_mut().enumerate() {
            if !field.known.is_meant_for_us() {
                continue;
            }
            match field.known {
                Known::ContentLength => meaning.content_length(field, buf)?,
                Known::TransferEncoding => meaning.transfer_encoding(field, buf, minor_version)?,
                Known::Connection => connections = true,
                Known::Te => {
                    meaning.trailers |=
                        list(field.value.of(buf)).any(|element| element.eq_ignore_ascii_case(b"trailers"));
                }
                Known::Host => {
                    meaning.host_repeated |= meaning.host.is_some();
                    meaning.host = Some(at);
                }
                Known::Expect | Known::MaxForwards | Known::Upgrade => meaning.rarities = true,
                _ => {}
            }
        }
        if meaning.chunked && meaning.length.is_some() {
            return Err(Rule::ContentLengthWithTransferEncoding);
        }
        if connections {
            meaning.connection(fields, buf)?;
        }
        Ok(meaning)
    }

    /// Whether the sender takes trailers (RFC 9110 §10.1.4).
    pub(crate) fn takes_trailers(&self) -> bool {
        self.te && self.trailers
    }

    /// Whether the connection may carry another message after this one (RFC 9112 §9.3).
    pub(crate) fn persists(&self, minor_version: u8) -> bool {
        !self.close && (minor_version >= 1 || self.keep_alive)
    }

    /// The framing that Content-Length and Transfer-Encoding give, or else `otherwise`.
    pub(crate) fn framing(&self, otherwise: Framing) -> Framing {
        match self.length {
            _ if self.chunked => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => otherwise,
        }
    }

    fn content_length(&mut self, field: &mut Field, buf: &[u8]) -> Result<(), Rule> {
        let text = field.value.of(buf);
        let length = digits(text)?;
        if self.length.is_none() {
            self.length = Some(length);
            self.length_text = field.value;
        } else if self.length_text.of(buf) == text {
            field.hop = true;
        } else {
            return Err(Rule::ContentLengthDiffers);
        }
        Ok(())
    }

    #[inline(never)]
    fn transfer_encoding(&mut self, field: &Field, buf: &[u8], minor_version: u8) -> Result<(), Rule> {
        if minor_version == 0 {
            return Err(Rule::TransferEncodingInHttp10);
        }
        if self.chunked {
            return Err(Rule::TransferEncodingRepeated);
        }
        if !field.value.of(buf).eq_ignore_ascii_case(b"chunked") {
            return Err(Rule::TransferEncodingNotChunked);
        }
        self.chunked = true;
        Ok(())
    }

    #[inline(never)]
    fn connection(&mut self, fields: &mut [Field], buf: &[u8]) -> Result<(), Rule> {
        let mut options = 0;
        for at in 0..fields.len() {
            let Some(&field) = fields.get(at) else { break };
            if field.known != Known::Connection {
                continue;
            }
            for option in list(field.value.of(buf)) {
                options += 1;
                if options > MAX_CONNECTION_OPTIONS {
                    return Err(Rule::ConnectionTooLong);
                }
                self.option(option, fields, buf)?;
            }
        }
        Ok(())
    }

    fn option(&mut self, option: &[u8], fields: &mut [Field], buf: &[u8]) -> Result<(), Rule> {
        if option.eq_ignore_ascii_case(b"close") {
            self.close = true;
            return Ok(());
        }
        match Known::of(option) {
            Known::KeepAlive => self.keep_alive = true,
            Known::Upgrade => self.upgrade = true,
            Known::Te => self.te = true,
            known if known.is_essential() => return Err(Rule::ConnectionNamesEssential),
            _ if !is_token(option) => return Err(Rule::ConnectionInvalid),
            _ => fields
                .iter_mut()
                .filter(|field| field.name.of(buf).eq_ignore_ascii_case(option))
                .for_each(|field| field.hop = true),
        }
        Ok(())
    }
}

/// A number of decimal digits and nothing else.
fn digits(text: &[u8]) -> Result<u64, Rule> {
    let digit = |sum: u64, byte: &u8| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| sum.checked_mul(10)?.checked_add(u64::from(digit)))?
    };
    match text.iter().try_fold(0, digit) {
        Some(sum) if !text.is_empty() => Ok(sum),
        _ => Err(what_is_no_number(text)),
    }
}

#[cold]
fn what_is_no_number(text: &[u8]) -> Rule {
    match () {
        () if text.contains(&b',') => Rule::ContentLengthList,
        () if text.is_empty() || !text.iter().all(u8::is_ascii_digit) => Rule::ContentLengthInvalid,
        () => Rule::ContentLengthOverflow,
    }
}
