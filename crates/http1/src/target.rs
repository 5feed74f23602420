//! The request target and the authority that a request is for (RFC 9112 §3.2).

use crate::bytes::{host_run, target_run};
use crate::{Method, Rule, Span, quick};

/// A request target, taken apart.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// What stands before `text` when it is forwarded: `/` where an absolute target had a query but no
    /// path, `*` for OPTIONS of an absolute target without a path.
    pub(crate) prefix: &'static str,
    pub(crate) text: Span,
    pub(crate) path: Span,
    /// Only for an absolute target.
    pub(crate) authority: Option<Span>,
}

/// How far the target at `at` reaches, judged byte by byte as it arrives; none where its end is not
/// there yet.
pub(crate) fn scan(buf: &[u8], at: usize) -> Result<Option<Span>, Rule> {
    let rest = buf.get(at..).unwrap_or_default();
    let run = target_run(rest);
    match rest.get(run) {
        None => Ok(None),
        Some(b' ') if run == 0 => Err(Rule::RequestLineBlank),
        Some(b' ') => Ok(Some(Span::new(at, at + run))),
        Some(b'\t') => Err(Rule::RequestLineBlank),
        Some(b'#') => Err(Rule::TargetFragment),
        // A request line that ends here is HTTP/0.9.
        Some(b'\r') => Err(Rule::VersionUnknown),
        Some(b'\n') => Err(Rule::BareLf),
        Some(_) => Err(Rule::TargetByte),
    }
}

/// Takes the target apart.
pub(crate) fn read(buf: &[u8], span: Span, method: Method) -> Result<Target, Rule> {
    let text = span.of(buf);
    match text {
        [b'/', ..] => Ok(Target {
            text: span,
            path: Span::new(span.start(), span.start() + path_len(text)),
            ..Target::default()
        }),
        b"*" if method == Method::Options => Ok(Target { text: span, path: span, ..Target::default() }),
        b"*" => Err(Rule::TargetAsterisk),
        _ => absolute(buf, span, method),
    }
}

fn path_len(text: &[u8]) -> usize {
    quick::path_len(text)
}

#[cold]
fn absolute(buf: &[u8], span: Span, method: Method) -> Result<Target, Rule> {
    let text = span.of(buf);
    let scheme = text.iter().take_while(|byte| is_scheme(**byte)).count();
    let (Some(name), Some(rest)) = (text.get(..scheme), text.get(scheme..)) else {
        return Err(Rule::TargetForm);
    };
    if !name.first().is_some_and(u8::is_ascii_alphabetic) || !rest.starts_with(b"://") {
        return Err(Rule::TargetForm);
    }
    if !name.eq_ignore_ascii_case(b"http") {
        return Err(Rule::TargetScheme);
    }
    let begin = span.start() + scheme + 3;
    let after = text.get(scheme + 3..).unwrap_or_default();
    let host_len = after.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(after.len());
    let authority = after.get(..host_len).unwrap_or_default();
    if authority.contains(&b'@') {
        return Err(Rule::TargetUserinfo);
    }
    // A port alone names no host.
    if matches!(authority, [] | [b':', ..]) || !is_authority(authority) {
        return Err(Rule::TargetAuthority);
    }
    let origin = after.get(host_len..).unwrap_or_default();
    // The second slash of `http://` serves as the path where there is none.
    let slash = Span::new(begin - 1, begin);
    let local = Span::new(begin + host_len, span.end());
    let (prefix, text, path) = match origin {
        [b'/', ..] => {
            let path = Span::new(local.start(), local.start() + path_len(origin));
            ("", local, path)
        }
        [] if method == Method::Options => ("*", Span::default(), slash),
        [] => ("", slash, slash),
        _ => ("/", local, slash),
    };
    Ok(Target { prefix, text, path, authority: Some(Span::new(begin, begin + host_len)) })
}

fn is_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

/// Whether the text is `host [":" port]` (RFC 3986 §3.2.2 and §3.2.3, without user information).
///
/// Narrower than the grammar in two places where readers differ: no comma, since a list of two hosts
/// looks like that, and no port above 65535.
pub(crate) fn is_authority(text: &[u8]) -> bool {
    match text.get(quick::host_run(text)..).unwrap_or_default() {
        [] => true,
        [b':', digits @ ..] => is_port(digits),
        _ => is_rare_authority(text),
    }
}

#[cold]
fn is_rare_authority(text: &[u8]) -> bool {
    let (host_ok, port) = match text {
        [b'[', rest @ ..] => match rest.iter().position(|&byte| byte == b']') {
            Some(end) => {
                (is_ip_literal(rest.get(..end).unwrap_or_default()), rest.get(end + 1..).unwrap_or_default())
            }
            None => return false,
        },
        _ => {
            let end = text.iter().position(|&byte| byte == b':').unwrap_or(text.len());
            (is_reg_name(text.get(..end).unwrap_or_default()), text.get(end..).unwrap_or_default())
        }
    };
    host_ok
        && match port {
            [] => true,
            [b':', digits @ ..] => is_port(digits),
            _ => false,
        }
}

fn is_port(digits: &[u8]) -> bool {
    digits
        .iter()
        .try_fold(0u16, |port, &digit| {
            let digit = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
            port.checked_mul(10)?.checked_add(digit)
        })
        .is_some()
}

fn is_reg_name(host: &[u8]) -> bool {
    let mut rest = host;
    loop {
        match rest.get(host_run(rest)..).unwrap_or_default() {
            [] => return true,
            [b'%', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = after;
            }
            _ => return false,
        }
    }
}

/// What may stand between the brackets: an IPv6 address or a later kind (`v1.x`).
fn is_ip_literal(text: &[u8]) -> bool {
    if let [b'v' | b'V', rest @ ..] = text {
        let Some(dot) = rest.iter().position(|&byte| byte == b'.') else {
            return false;
        };
        let (version, address) = rest.split_at(dot);
        let address = address.get(1..).unwrap_or_default();
        return !version.is_empty()
            && version.iter().all(u8::is_ascii_hexdigit)
            && !address.is_empty()
            && address.split(|&byte| byte == b':').all(|part| host_run(part) == part.len());
    }
    std::str::from_utf8(text).is_ok_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}
