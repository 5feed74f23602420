//! A plain reader of HTTP/1.1 messages, for what came out of the proxy. It is not the proxy's own, so that a mistake
//! there is not repeated here; and it needs no care, since what it reads must be in the plainest form.

use super::find;

/// A message as it came out of the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Request line or status line.
    pub(super) first: Vec<u8>,
    /// Names in lower case, values without blanks around them, in order.
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Vec<u8>,
    /// How many bytes of the input it took.
    pub(super) length: usize,
}

/// How a body ends where its fields do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bare {
    /// There is none: a request, an answer to HEAD, an interim answer.
    Empty,
    /// With the connection, which has ended.
    UntilClose,
    /// With the connection, which goes on.
    NotYet,
}

impl Message {
    /// The value of the first field of this name.
    pub(super) fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_slice())
    }

    /// The status of an answer.
    pub(super) fn status(&self) -> Option<u16> {
        std::str::from_utf8(self.first.split(|&byte| byte == b' ').nth(1)?).ok()?.parse().ok()
    }
}

/// The first whole message of `bytes`, if there is one. `bodiless`: its fields say nothing about a body that follows.
pub(super) fn read(bytes: &[u8], bodiless: bool, bare: Bare) -> Option<Message> {
    let (first, fields, head) = read_head(bytes)?;
    let mut message = Message { first, fields, body: Vec::new(), trailers: Vec::new(), length: head };
    let rest = &bytes[head..];
    if bodiless {
        return Some(message);
    }
    if message.field("transfer-encoding").is_some() {
        let taken = read_chunks(rest, &mut message)?;
        message.length += taken;
    } else if let Some(length) = message.field("content-length") {
        let length: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
        message.body = rest.get(..length)?.to_vec();
        message.length += length;
    } else if bare == Bare::NotYet {
        return None;
    } else if bare == Bare::UntilClose {
        message.body = rest.to_vec();
        message.length += rest.len();
    }
    Some(message)
}

type Head = (Vec<u8>, Vec<(String, Vec<u8>)>, usize);

fn read_head(bytes: &[u8]) -> Option<Head> {
    let end = find(bytes, b"\r\n\r\n")?;
    let (first, fields) = bytes[..end].split_at(find(&bytes[..end], b"\r\n").unwrap_or(end));
    Some((first.to_vec(), read_fields(fields), end + 4))
}

/// The fields of a head or of trailers, a line each.
pub(super) fn read_fields(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let field = |line: &[u8]| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
        Some((name, line[colon + 1..].trim_ascii().to_vec()))
    };
    lines(bytes).filter_map(field).collect()
}

/// Lines that end with CR LF, without it.
fn lines(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let end = find(bytes, b"\r\n").unwrap_or(bytes.len());
        let line = &bytes[..end];
        bytes = bytes.get(end + 2..).unwrap_or_default();
        Some(line)
    })
}

/// Reads chunks and trailers to the end; how many bytes that took.
fn read_chunks(bytes: &[u8], message: &mut Message) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        let size = bytes[at..at + line].split(|&byte| byte == b';').next()?;
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?.trim(), 16).ok()?;
        at += line + 2;
        if size == 0 {
            break;
        }
        message.body.extend_from_slice(bytes.get(at..at + size)?);
        at += size;
        (bytes.get(at..at + 2)? == b"\r\n").then_some(())?;
        at += 2;
    }
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        if line == 0 {
            return Some(at + 2);
        }
        message.trailers.extend_from_slice(&bytes[at..at + line + 2]);
        at += line + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_end_where_they_say() {
        let read = |text: &str| read(text.as_bytes(), false, Bare::Empty);
        let chunked =
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\nrest";
        let message = read(chunked).expect("it is whole");
        assert_eq!((&message.body[..], &message.trailers[..]), (&b"abc"[..], &b"T: 1\r\n"[..]));
        assert_eq!(message.length, chunked.len() - 4);
        assert_eq!(read("GET / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabc").expect("it is whole").body, b"ab");
        assert_eq!(read("HTTP/1.1 204 No\r\n\r\n").and_then(|message| message.status()), Some(204));
    }

    #[test]
    fn what_is_cut_is_not_read() {
        for text in [
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 2\r\n\r\na",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab",
        ] {
            assert_eq!(read(text.as_bytes(), false, Bare::Empty), None, "{text:?}");
        }
        assert_eq!(read(b"HTTP/1.1 200 OK\r\n\r\na", false, Bare::NotYet), None);
    }
}
