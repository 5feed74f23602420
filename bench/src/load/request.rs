//! The request, written once as bytes; only its id changes.

use super::options::Options;
use anyhow::{Context as _, ensure};
use std::fmt::Write as _;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::ops::Range;

/// An id is the run, a dash and the request's number, in hexadecimal.
const ID_LENGTH: usize = 8 + 1 + 12;

/// Where to connect and what to send.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) bytes: Vec<u8>,
    pub(super) has_response_body: bool,
    id: Option<Range<usize>>,
    run: u32,
}

impl Target {
    pub(super) fn new(options: &Options) -> anyhow::Result<Self> {
        let rest = options.url.strip_prefix("http://");
        let rest = rest.with_context(|| format!("--url {}: write http://HOST[:PORT]/PATH", options.url))?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = if path.is_empty() { "/" } else { path };
        ensure!(!authority.is_empty(), "--url {}: the host is missing", options.url);
        let line = match options.proxy {
            Some(_) => format!("http://{authority}{path}"),
            None => path.to_owned(),
        };
        let (bytes, id) = write_request(options, authority, &line)?;
        Ok(Self {
            address: resolve(options.proxy.as_deref().unwrap_or(authority))?,
            bytes,
            has_response_body: options.method != "HEAD",
            id,
            run: run_number(),
        })
    }

    /// Writes the id of request `number` into `bytes`, a copy of the template.
    pub(super) fn stamp(&self, bytes: &mut [u8], number: u64) {
        let place = self.id.clone().and_then(|id| bytes.get_mut(id));
        if let Some(place) = place {
            place.copy_from_slice(self.id_of(number).as_bytes());
        }
    }

    /// The id of request `number`.
    pub(super) fn id_of(&self, number: u64) -> String {
        format!("{:08x}-{:012x}", self.run, number & 0xffff_ffff_ffff)
    }
}

fn write_request(
    options: &Options,
    authority: &str,
    line: &str,
) -> anyhow::Result<(Vec<u8>, Option<Range<usize>>)> {
    let mut head = format!("{} {line} HTTP/1.1\r\n", options.method);
    let is_host = |header: &&String| header.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("host:"));
    if options.header.iter().find(is_host).is_none() {
        write!(head, "Host: {authority}\r\n")?;
    }
    for header in &options.header {
        let well_formed = header.contains(':') && !header.contains(['\r', '\n']);
        ensure!(well_formed, "--header {header:?}: write \"Name: value\"");
        write!(head, "{header}\r\n")?;
    }
    let mut id = None;
    if let Some(name) = &options.id_header {
        write!(head, "{name}: ")?;
        id = Some(head.len()..head.len() + ID_LENGTH);
        write!(head, "{:ID_LENGTH$}\r\n", "")?;
    }
    if let Some(length) = options.body_bytes {
        write!(head, "Content-Length: {length}\r\n")?;
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend(b"0123456789abcdef".iter().cycle().take(options.body_bytes.unwrap_or(0)));
    Ok((bytes, id))
}

fn resolve(authority: &str) -> anyhow::Result<SocketAddr> {
    let authority = authority.trim_start_matches("http://").trim_end_matches('/');
    let found = match authority.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => authority.to_socket_addrs(),
        _ => (authority, 80).to_socket_addrs(),
    };
    let found = found.with_context(|| format!("cannot find the address of {authority}"))?;
    found.into_iter().next().with_context(|| format!("{authority} has no address"))
}

/// Differs between runs, so that ids of two runs against one back end do not
/// meet.
fn run_number() -> u32 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let pid = std::process::id();
    (now.tv_nsec as u32) ^ (now.tv_sec as u32).rotate_left(16) ^ pid.rotate_left(8)
}
