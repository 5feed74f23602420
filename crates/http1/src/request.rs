//! The head of a request: what it asks for, how its body is framed, whether the connection goes on.

use crate::bytes::{is_blank, list, token_run};
use crate::fields::{self, Limits};
use crate::known::Seen;
use crate::line::line_end;
use crate::meaning::Meaning;
use crate::recall::Recall;
use crate::response::{Asked, Protocol};
use crate::target::{self, Target};
use crate::{Field, Framing, Known, Rule, Span, Status, quick};

/// A method; methods are case-sensitive (RFC 9110 §9.1). CONNECT is refused before it gets here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub enum Method {
    /// GET
    #[default]
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
    /// PATCH
    Patch,
    /// TRACE
    Trace,
    /// Any other token: forwarded, and treated as neither safe nor idempotent.
    Other,
}

impl Method {
    fn of(text: &[u8]) -> Self {
        match text {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            b"TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }

    /// Whether it asks for nothing but an answer (RFC 9110 §9.2.1).
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace)
    }

    /// Whether doing it twice is as good as once (RFC 9110 §9.2.2).
    pub const fn is_idempotent(self) -> bool {
        self.is_safe() || matches!(self, Self::Put | Self::Delete)
    }
}

/// A request head. Reusable: a second `parse` keeps the room that the first one made.
///
/// All spans are into the buffer given to `parse`.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The method's text.
    pub method_text: Span,
    /// Goes before `target` when it is forwarded; empty but for two forms of absolute targets without
    /// a path (`/` before a query, `*` for OPTIONS). `write::request_line` does it.
    pub target_prefix: &'static str,
    /// The target as it is forwarded: path and query, or `*`.
    pub target: Span,
    /// The path without the query; `/` where an absolute target has none.
    pub path: Span,
    /// Whom the request is for: the absolute target's authority, else Host's value; empty where
    /// HTTP/1.0 gave neither.
    pub authority: Span,
    /// Whether the target was absolute. Its authority then overrules Host (RFC 9112 §3.2.2), which is
    /// marked `hop`; see [`RequestHead::needs_host`].
    pub absolute_form: bool,
    /// 0 or 1. A higher version of HTTP/1 is read as 1 (RFC 9110 §2.5).
    pub minor_version: u8,
    /// All field lines in their order.
    pub fields: Vec<Field>,
    /// How the body ends; never `UntilClose`.
    pub framing: Framing,
    /// Whether the client means to send another request on this connection. HTTP/1.0 only with an
    /// explicit `keep-alive`.
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
    /// The first protocol of Upgrade, if Connection names Upgrade, the version is 1.1 and there is no
    /// body. Never another HTTP (`h2c`), which would carry requests past every check of this proxy.
    pub upgrade: Option<Span>,
    /// For OPTIONS and TRACE: at 0 the proxy itself answers, else it forwards one less. Numbers above
    /// 32 bits read as the largest.
    pub max_forwards: Option<u32>,
    /// The client takes trailers.
    pub takes_trailers: bool,
    protocol: Protocol,
    seen: Seen,
    recall: Recall,
}

impl RequestHead {
    /// An empty head, to be filled by `parse`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the message and keeps the room.
    pub fn clear(&mut self) {
        // Each by name, so that none is left as the message before had it. `recall` is what is kept on purpose.
        let Self {
            method,
            method_text,
            target_prefix,
            target,
            path,
            authority,
            absolute_form,
            minor_version,
            fields,
            framing,
            keep_alive,
            expect_continue,
            upgrade,
            max_forwards,
            takes_trailers,
            protocol,
            seen,
            recall: _,
        } = self;
        fields.clear();
        (*method, *method_text, *minor_version) = (Method::default(), Span::default(), 0);
        (*target_prefix, *target, *path) = ("", Span::default(), Span::default());
        (*authority, *absolute_form) = (Span::default(), false);
        (*framing, *keep_alive, *expect_continue) = (Framing::default(), false, false);
        (*upgrade, *max_forwards, *takes_trailers) = (None, None, false);
        (*protocol, *seen) = (Protocol::default(), Seen::default());
    }

    /// Reads the head at the front of `buf`; one empty line before it is passed over.
    ///
    /// Keeps nothing between calls: after [`Status::Partial`] it reads from the front again.
    ///
    /// # Errors
    /// The first rule that the head breaks. Answer and close the connection.
    pub fn parse(&mut self, buf: &[u8], limits: &Limits) -> Result<Status, Rule> {
        self.clear();
        let window = limits.window(buf);
        let line = match self.quick_line(window) {
            Some(line) => Some(line),
            None => self.request_line(window)?,
        };
        let Some((target, begin)) = line else {
            return limits.unfinished(window);
        };
        let Some((head_len, seen)) = fields::read(window, begin, limits, &mut self.fields, &mut self.recall)?
        else {
            return limits.unfinished(window);
        };
        self.seen = seen;
        self.understand(window, target)?;
        Ok(Status::Complete { head_len })
    }

    /// The first field of that kind.
    pub fn find(&self, known: Known) -> Option<&Field> {
        fields::find(&self.fields, self.seen, known)
    }

    /// What the response needs to know of this request.
    pub fn asked(&self) -> Asked {
        Asked { head: self.method == Method::Head, upgrade: self.upgrade.is_some(), protocol: self.protocol }
    }

    /// Whether `write::fields` leaves no Host, so that the forwarder has to write one: after an
    /// absolute target its `authority`; for HTTP/1.0 without Host a name of the forwarder's choice.
    pub fn needs_host(&self) -> bool {
        self.absolute_form || self.find(Known::Host).is_none()
    }

    /// The same as `request_line` for a line of the usual shape; none for any other.
    fn quick_line(&mut self, buf: &[u8]) -> Option<(Span, usize)> {
        let (method, len) = match buf {
            [b'G', b'E', b'T', b' ', ..] => (Method::Get, 3),
            [b'P', b'O', b'S', b'T', b' ', ..] => (Method::Post, 4),
            [b'P', b'U', b'T', b' ', ..] => (Method::Put, 3),
            _ => return None,
        };
        let begin = len + 1;
        let end = begin + quick::target(buf.get(begin..)?)?;
        (self.method, self.method_text, self.minor_version) = (method, Span::new(0, len), 1);
        Some((Span::new(begin, end), end + quick::AFTER_TARGET))
    }

    /// The target's span and the index after the request line.
    #[cold]
    fn request_line(&mut self, buf: &[u8]) -> Result<Option<(Span, usize)>, Rule> {
        let Some(begin) = skip_blank_line(buf)? else {
            return Ok(None);
        };
        let rest = buf.get(begin..).unwrap_or_default();
        let end = begin + token_run(rest);
        match buf.get(end) {
            None => return Ok(None),
            Some(b' ') if end > begin => {}
            Some(b' ' | b'\t') => return Err(Rule::RequestLineBlank),
            Some(_) => return Err(Rule::MethodInvalid),
        }
        self.method_text = Span::new(begin, end);
        let method = self.method_text.of(buf);
        if method == b"CONNECT" {
            return Err(Rule::ConnectRefused);
        }
        self.method = Method::of(method);
        let Some(target) = target::scan(buf, end + 1)? else {
            return Ok(None);
        };
        let Some((minor, version_end)) = version(buf, target.end() + 1)? else {
            return Ok(None);
        };
        self.minor_version = minor.min(1);
        let after = match buf.get(version_end) {
            Some(b' ' | b'\t') => return Err(Rule::RequestLineBlank),
            _ => line_end(buf, version_end, Rule::VersionUnknown)?,
        };
        Ok(after.map(|after| (target, after)))
    }

    /// Draws the conclusions from a head that is there as a whole.
    fn understand(&mut self, buf: &[u8], target: Span) -> Result<(), Rule> {
        let Target { prefix, text, path, authority } = target::read(buf, target, self.method)?;
        self.target_prefix = prefix;
        self.target = text;
        self.path = path;
        self.absolute_form = authority.is_some();
        let meaning = Meaning::read(&mut self.fields, self.seen, buf, self.minor_version)?;
        let host = self.host(buf, &meaning)?;
        self.authority = authority.unwrap_or(host);
        self.framing = meaning.framing(Framing::Empty);
        if self.method == Method::Trace && self.has_body() {
            return Err(Rule::TraceWithBody);
        }
        self.keep_alive = meaning.persists(self.minor_version);
        self.takes_trailers = meaning.takes_trailers();
        if meaning.rarities {
            self.rarities(buf, meaning.upgrade)?;
        }
        Ok(())
    }

    fn has_body(&self) -> bool {
        !matches!(self.framing, Framing::Empty | Framing::Length(0))
    }

    /// Host's value, checked; marked as not to be forwarded where the target overrules it.
    fn host(&mut self, buf: &[u8], meaning: &Meaning) -> Result<Span, Rule> {
        let found = meaning.host.and_then(|at| self.fields.get_mut(at));
        match found {
            _ if meaning.host_repeated => Err(Rule::HostRepeated),
            Some(field) if !target::is_authority(field.value.of(buf)) => Err(Rule::HostInvalid),
            Some(field) => {
                field.hop = self.absolute_form;
                Ok(field.value)
            }
            None if self.minor_version == 0 => Ok(Span::default()),
            None => Err(Rule::HostMissing),
        }
    }

    /// Fields that few requests have, each looked at where it stands.
    #[cold]
    fn rarities(&mut self, buf: &[u8], may_upgrade: bool) -> Result<(), Rule> {
        for at in 0..self.fields.len() {
            let Some(&field) = self.fields.get(at) else {
                break;
            };
            match field.known {
                Known::Expect => self.expect(at, field.value.of(buf))?,
                Known::MaxForwards => self.max_forwards(field.value.of(buf))?,
                Known::Upgrade => self.upgrade(field.value, buf, may_upgrade)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn expect(&mut self, at: usize, value: &[u8]) -> Result<(), Rule> {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(Rule::ExpectationUnknown);
        }
        // RFC 9110 §10.1.1: in HTTP/1.0 the expectation is ignored, so the next hop must not see it.
        if self.minor_version == 0
            && let Some(field) = self.fields.get_mut(at)
        {
            field.hop = true;
        } else {
            self.expect_continue = self.has_body();
        }
        Ok(())
    }

    fn max_forwards(&mut self, value: &[u8]) -> Result<(), Rule> {
        if !matches!(self.method, Method::Options | Method::Trace) {
            return Ok(());
        }
        let number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        if self.max_forwards.is_some() || !number {
            return Err(Rule::MaxForwardsInvalid);
        }
        self.max_forwards = Some(
            value
                .iter()
                .fold(0u32, |sum, digit| sum.saturating_mul(10).saturating_add(u32::from(digit - b'0'))),
        );
        Ok(())
    }

    fn upgrade(&mut self, span: Span, buf: &[u8], may_upgrade: bool) -> Result<(), Rule> {
        let value = span.of(buf);
        if !list(value).all(is_protocol) {
            return Err(Rule::UpgradeInvalid);
        }
        if !may_upgrade || self.minor_version == 0 || self.has_body() || self.upgrade.is_some() {
            return Ok(());
        }
        let Some(first) = list(value).next() else {
            return Ok(());
        };
        if !is_http(first)
            && let Some(protocol) = Protocol::of(first)
        {
            let before = value.iter().take_while(|&&byte| byte == b',' || is_blank(byte)).count();
            let begin = span.start() + before;
            self.upgrade = Some(Span::new(begin, begin + first.len()));
            self.protocol = protocol;
        }
        Ok(())
    }
}

/// The index of the request line: after one empty line, if there is one.
fn skip_blank_line(buf: &[u8]) -> Result<Option<usize>, Rule> {
    match buf.first() {
        None => Ok(None),
        Some(b'\n') => Err(Rule::BareLf),
        Some(b'\r') => match line_end(buf, 0, Rule::BareCr)? {
            None => Ok(None),
            Some(begin) => match buf.get(begin) {
                Some(b'\r') => Err(Rule::BlankBeforeRequest),
                Some(b'\n') => Err(Rule::BareLf),
                _ => Ok(Some(begin)),
            },
        },
        Some(_) => Ok(Some(0)),
    }
}

/// The minor version of the `HTTP/1.x` at `at` and the index after it; none where it is not all there.
pub(crate) fn version(buf: &[u8], at: usize) -> Result<Option<(u8, usize)>, Rule> {
    let rest = buf.get(at..).unwrap_or_default();
    let name = b"HTTP/1.";
    let there = rest.len().min(name.len());
    if rest.get(..there) != name.get(..there) {
        // A second space between the parts is a fault of its own.
        return Err(match rest.first() {
            Some(b' ' | b'\t') => Rule::RequestLineBlank,
            _ => Rule::VersionUnknown,
        });
    }
    match rest.get(name.len()) {
        None => Ok(None),
        Some(digit @ b'0'..=b'9') => Ok(Some((digit - b'0', at + name.len() + 1))),
        Some(_) => Err(Rule::VersionUnknown),
    }
}

/// `name` or `name/version` (RFC 9110 §7.8).
fn is_protocol(text: &[u8]) -> bool {
    let mut parts = text.splitn(2, |&byte| byte == b'/');
    parts.all(crate::is_token)
}

/// Whether the protocol is another HTTP: a tunnel of it would carry requests past this proxy.
fn is_http(protocol: &[u8]) -> bool {
    let begins =
        |word: &[u8]| protocol.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    begins(b"h2") || begins(b"h3") || begins(b"http")
}
