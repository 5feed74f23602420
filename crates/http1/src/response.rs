//! The head of a response, judged as strictly as a request's.

use crate::bytes::{list, text_run};
use crate::fields::{self, Limits};
use crate::known::Seen;
use crate::line::line_end;
use crate::meaning::Meaning;
use crate::recall::Recall;
use crate::request::version;
use crate::{Field, Framing, Known, Rule, Span, Status, quick};

/// Longest protocol name that an upgrade is offered for.
const PROTOCOL_BYTES: usize = 22;

/// The protocol that was asked for, in lower case, held by value so that it outlives the request's
/// buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Protocol {
    text: [u8; PROTOCOL_BYTES],
    len: u8,
}

impl Protocol {
    /// None where it is too long to be held.
    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        let mut text = [0; PROTOCOL_BYTES];
        text.get_mut(..name.len())?.copy_from_slice(name);
        text.make_ascii_lowercase();
        let len = u8::try_from(name.len()).ok()?;
        Some(Self { text, len })
    }

    fn is(&self, name: &[u8]) -> bool {
        self.text
            .get(..usize::from(self.len))
            .is_some_and(|text| text.is_empty() || text.eq_ignore_ascii_case(name))
    }
}

/// What the reading of a response depends on in its request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// It was HEAD: no body follows, whatever the head says.
    pub head: bool,
    /// It asked for another protocol, and the asking was forwarded.
    pub upgrade: bool,
    pub(crate) protocol: Protocol,
}

impl Asked {
    /// For a request that is not at hand as a [`RequestHead`](crate::RequestHead). With `upgrade` any
    /// protocol will do.
    pub fn new(head: bool, upgrade: bool) -> Self {
        Self { head, upgrade, protocol: Protocol::default() }
    }
}

/// A response head. Reusable like [`RequestHead`](crate::RequestHead).
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    /// 100 to 599.
    pub status: u16,
    /// The reason phrase; often empty.
    pub reason: Span,
    /// 0 or 1. A higher version of HTTP/1 is read as 1.
    pub minor_version: u8,
    /// All field lines in their order.
    pub fields: Vec<Field>,
    /// How the body ends. `Empty` for HEAD, 1xx, 204 and 304, though Content-Length may be forwarded.
    pub framing: Framing,
    /// Whether the connection may be used again after this message.
    pub keep_alive: bool,
    /// 101 that was asked for: what follows the head is the other protocol.
    pub upgraded: bool,
    /// Another 1xx: the final response is still to come. Not to be forwarded to HTTP/1.0.
    pub interim: bool,
    seen: Seen,
    recall: Recall,
}

impl ResponseHead {
    /// An empty head, to be filled by `parse`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the message and keeps the room.
    pub fn clear(&mut self) {
        // Each by name, so that none is left as the message before had it. `recall` is what is kept on purpose.
        let Self {
            status,
            reason,
            minor_version,
            fields,
            framing,
            keep_alive,
            upgraded,
            interim,
            seen,
            recall: _,
        } = self;
        fields.clear();
        (*status, *reason, *minor_version) = (0, Span::default(), 0);
        (*framing, *keep_alive, *upgraded, *interim) = (Framing::default(), false, false, false);
        *seen = Seen::default();
    }

    /// Reads the head at the front of `buf`; nothing may stand before it.
    ///
    /// Keeps nothing between calls: after [`Status::Partial`] it reads from the front again.
    ///
    /// # Errors
    /// The first rule that the head breaks. The connection is of no further use.
    pub fn parse(&mut self, buf: &[u8], limits: &Limits, asked: &Asked) -> Result<Status, Rule> {
        self.clear();
        let window = limits.window(buf);
        let begin = match self.quick_line(window) {
            Some(begin) => Some(begin),
            None => self.status_line(window)?,
        };
        let Some(begin) = begin else {
            return limits.unfinished(window);
        };
        let Some((head_len, seen)) = fields::read(window, begin, limits, &mut self.fields, &mut self.recall)?
        else {
            return limits.unfinished(window);
        };
        self.seen = seen;
        self.understand(window, asked)?;
        Ok(Status::Complete { head_len })
    }

    /// The first field of that kind.
    pub fn find(&self, known: Known) -> Option<&Field> {
        fields::find(&self.fields, self.seen, known)
    }

    /// The same as `status_line` for a line of the usual shape; none for any other.
    fn quick_line(&mut self, buf: &[u8]) -> Option<usize> {
        let (status, reason) = quick::status_line(buf)?;
        let begin = b"HTTP/1.1 200 ".len();
        (self.status, self.minor_version) = (status, 1);
        self.reason = Span::new(begin, begin + reason);
        Some(begin + reason + 2)
    }

    /// The index after the status line. The space before an empty reason may be missing, as many
    /// servers have it: no reader takes that for something else.
    #[cold]
    pub(crate) fn status_line(&mut self, buf: &[u8]) -> Result<Option<usize>, Rule> {
        let Some((minor, at)) = version(buf, 0)? else {
            return Ok(None);
        };
        self.minor_version = minor.min(1);
        match buf.get(at) {
            None => return Ok(None),
            Some(b' ') => {}
            Some(_) => return Err(Rule::VersionUnknown),
        }
        let digits = buf.get(at + 1..).unwrap_or_default();
        let mut status = 0;
        for place in 0..3 {
            match digits.get(place) {
                None => return Ok(None),
                Some(digit @ b'0'..=b'9') => status = status * 10 + u16::from(digit - b'0'),
                Some(_) => return Err(Rule::StatusInvalid),
            }
        }
        if !(100..600).contains(&status) {
            return Err(Rule::StatusInvalid);
        }
        self.status = status;
        self.reason_phrase(buf, at + 4)
    }

    fn reason_phrase(&mut self, buf: &[u8], at: usize) -> Result<Option<usize>, Rule> {
        match buf.get(at) {
            Some(b' ') => {}
            Some(b'0'..=b'9') => return Err(Rule::StatusInvalid),
            _ => return line_end(buf, at, Rule::ReasonInvalid),
        }
        let text = buf.get(at + 1..).unwrap_or_default();
        let end = at + 1 + text_run(text);
        self.reason = Span::new(at + 1, end);
        line_end(buf, end, Rule::ReasonInvalid)
    }

    fn understand(&mut self, buf: &[u8], asked: &Asked) -> Result<(), Rule> {
        let meaning = Meaning::read(&mut self.fields, self.seen, buf, self.minor_version)?;
        let framed = meaning.chunked || meaning.length.is_some();
        self.framing = match self.status {
            100..200 if framed => return Err(Rule::InterimWithFraming),
            100..200 => Framing::Empty,
            204 => self.no_content(&meaning)?,
            304 => Framing::Empty,
            _ if asked.head => Framing::Empty,
            _ => meaning.framing(Framing::UntilClose),
        };
        if self.status == 101 {
            self.switching(buf, asked, &meaning)?;
        }
        self.upgraded = self.status == 101;
        self.interim = self.status < 200 && !self.upgraded;
        self.keep_alive =
            meaning.persists(self.minor_version) && self.framing != Framing::UntilClose && !self.upgraded;
        Ok(())
    }

    /// 204 has no body. `Content-Length: 0`, which some servers send all the same, says so too and is
    /// dropped (RFC 9110 §8.6 forbids it); any other length is a body that one reader sees and the
    /// next does not.
    #[cold]
    fn no_content(&mut self, meaning: &Meaning) -> Result<Framing, Rule> {
        if meaning.chunked || meaning.length.is_some_and(|length| length > 0) {
            return Err(Rule::NoContentWithFraming);
        }
        for field in &mut self.fields {
            field.hop |= field.known == Known::ContentLength;
        }
        Ok(Framing::Empty)
    }

    #[cold]
    fn switching(&self, buf: &[u8], asked: &Asked, meaning: &Meaning) -> Result<(), Rule> {
        if !asked.upgrade || self.minor_version == 0 {
            return Err(Rule::SwitchingUnasked);
        }
        let named = self.find(Known::Upgrade).is_some_and(|field| {
            let mut protocols = list(field.value.of(buf));
            protocols.next().is_some_and(|first| asked.protocol.is(first)) && protocols.next().is_none()
        });
        if named && meaning.upgrade { Ok(()) } else { Err(Rule::SwitchingUnnamed) }
    }
}
