//! As much HTTP as a proof needs: one request on one connection, and a back end that answers all alike.

use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long one request may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer in full.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

/// Sends `method target` on a connection of its own and reads the whole answer.
///
/// # Errors
/// When there is no connection, or the answer is not whole.
pub(crate) fn request(to: SocketAddr, method: &str, target: &str, host: &str, body: &str) -> Result<Answer> {
    send(to, method, target, host, "", body)
}

/// The same with more `fields` in the head: whole lines.
///
/// # Errors
/// As [`request`].
pub(crate) fn send(
    to: SocketAddr,
    method: &str,
    target: &str,
    host: &str,
    fields: &str,
    body: &str,
) -> Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE).context("no connection")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let length = if body.is_empty() && method == "GET" {
        String::new()
    } else {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
    };
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}{length}\r\n{body}"
    );
    stream.write_all(head.as_bytes()).context("the request could not be written")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).context("the answer broke off")?;
    answer(&bytes)
}

/// GET on a connection of its own.
pub(crate) fn get(to: SocketAddr, target: &str) -> Result<Answer> {
    request(to, "GET", target, &to.to_string(), "")
}

/// Reads an answer that ended with its connection, and checks that it is whole.
fn answer(bytes: &[u8]) -> Result<Answer> {
    let end = find(bytes, b"\r\n\r\n").context("the answer has no whole head")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let body = &bytes[end + 4..];
    let status =
        head.split(' ').nth(1).and_then(|word| word.parse().ok()).context("the answer has no status")?;
    let field = |name: &str| {
        head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    if let Some(length) = field("content-length") {
        ensure!(length == body.len().to_string(), "the body has {} bytes of {length}", body.len());
    }
    if field("transfer-encoding").is_some() {
        ensure!(body.ends_with(b"0\r\n\r\n"), "the chunked body broke off");
    }
    Ok(Answer { status, text: String::from_utf8_lossy(body).into_owned() })
}

/// Where `needle` begins in `bytes`.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// Reads one head from a keep-alive connection and answers nothing: for a client that holds many connections.
pub(crate) fn read_answer_of_length(stream: &mut TcpStream) -> Result<usize> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece).context("no answer came")?;
        ensure!(read > 0, "the connection ended before the answer did");
        bytes.extend_from_slice(&piece[..read]);
        let Some(end) = find(&bytes, b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let length = length.context("the answer has no Content-Length")?;
        if bytes.len() >= end + 4 + length {
            return Ok(bytes.len());
        }
    }
}

/// The first `http://127.0.0.1:PORT` in a line, as an address.
pub(crate) fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_broke_off_is_no_answer() {
        assert_eq!(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab").expect("whole").status, 200);
        for bad in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
            "HTTP/1.1 200 OK\r\n",
            "",
        ] {
            assert!(answer(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn addresses_are_read_from_lines() {
        assert_eq!(address_in("page: http://127.0.0.1:8080/ (edge)"), "127.0.0.1:8080".parse().ok());
        assert_eq!(address_in("page: http://opbox/"), None);
    }
}
