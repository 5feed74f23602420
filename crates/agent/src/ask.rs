//! Small HTTP/1.1 requests: to sidecars about themselves, to apps whether they live, to a control plane.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::timeout;

/// The longest answer that is read; what a sidecar says of a reload or a drain is a few lines.
const LONGEST_ANSWER: usize = 64 << 10;

/// A request.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    /// `GET`, `POST`, …
    pub(crate) method: &'a str,
    /// Path and query.
    pub(crate) target: &'a str,
    /// The body, in JSON; may be empty.
    pub(crate) body: &'a str,
    /// Who we are; a secret.
    pub(crate) bearer: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// One without a body.
    fn bare(method: &'a str, target: &'a str) -> Request<'a> {
        Request { method, target, body: "", bearer: None }
    }
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body, as text.
    pub(crate) body: String,
}

/// Sends `method` `target` to `address` and reads the whole answer, all `within` a time.
///
/// # Errors
/// Those of the connection; `TimedOut` when the time is over; `InvalidData` when the answer is no HTTP.
pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    target: &str,
    within: Duration,
) -> io::Result<Answer> {
    exchange((address, &address.to_string()), Request::bare(method, target), within, LONGEST_ANSWER).await
}

/// Sends `request` to whoever is at `to`, which goes by the name `host`, and reads the whole answer, of `longest` bytes
/// at most.
///
/// # Errors
/// As for [`ask`].
pub(crate) async fn exchange(
    (to, host): (impl ToSocketAddrs, &str),
    request: Request<'_>,
    within: Duration,
    longest: usize,
) -> io::Result<Answer> {
    let exchange = async {
        let mut stream = send((to, host), request).await?;
        let mut bytes = Vec::new();
        while !is_whole(&bytes) && bytes.len() < longest {
            if stream.read_buf(&mut bytes).await? == 0 {
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let status = status(&text).ok_or(io::ErrorKind::InvalidData)?;
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Ok(Answer { status, body: body.to_owned() })
    };
    timeout(within, exchange).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
}

/// Asks for `path` and reads no more than the status: an app's body may be long or never end.
///
/// # Errors
/// As for [`ask`].
pub(crate) async fn ask_status(address: SocketAddr, path: &str, within: Duration) -> io::Result<u16> {
    let exchange = async {
        let mut stream = send((address, &address.to_string()), Request::bare("GET", path)).await?;
        let mut bytes = Vec::new();
        while !bytes.contains(&b'\n') && bytes.len() < LONGEST_ANSWER {
            if stream.read_buf(&mut bytes).await? == 0 {
                break;
            }
        }
        let status = status(&String::from_utf8_lossy(&bytes));
        status.ok_or_else(|| io::ErrorKind::InvalidData.into())
    };
    timeout(within, exchange).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
}

async fn send((to, host): (impl ToSocketAddrs, &str), request: Request<'_>) -> io::Result<TcpStream> {
    let Request { method, target, body, bearer } = request;
    let mut stream = TcpStream::connect(to).await?;
    let bearer = bearer.map_or(String::new(), |bearer| format!("Authorization: Bearer {bearer}\r\n"));
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let message = format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: outrigger-agent\r\nAccept: */*\r\n{bearer}{kind}\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(message.as_bytes()).await?;
    Ok(stream)
}

/// The status of an answer that begins with `text`.
fn status(text: &str) -> Option<u16> {
    let line = text.lines().next()?;
    line.strip_prefix("HTTP/1.")?.split_whitespace().nth(1)?.parse().ok()
}

/// Whether head and announced body are there. An answer without a length ends with its connection.
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
    // Asked after each piece of a long body, so only the head is looked at.
    let head = String::from_utf8_lossy(&bytes[..end]);
    let lengths = head.lines().filter_map(|line| line.split_once(':')).filter_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    lengths.into_iter().next().is_some_and(|length| bytes.len() - (end + 4) >= length)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    /// A server that answers once with `answer` and leaves the connection open until it is dropped.
    fn serve(answer: &'static str) -> (SocketAddr, std::thread::JoinHandle<std::net::TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            stream
        });
        (address, thread)
    }

    #[tokio::test]
    async fn an_answer_with_a_length_does_not_wait_for_the_connection_to_end() {
        let (address, held) = serve("HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno\n");
        let answer = ask(address, "POST", "/reload", Duration::from_secs(20)).await.unwrap();
        assert_eq!(answer, Answer { status: 400, body: "no\n".into() });
        drop(held.join().unwrap());
    }

    #[tokio::test]
    async fn a_status_is_enough_for_a_probe() {
        let (address, held) = serve("HTTP/1.0 204 No Content\r\n");
        assert_eq!(ask_status(address, "/", Duration::from_secs(20)).await.unwrap(), 204);
        drop(held.join().unwrap());
    }

    #[tokio::test]
    async fn what_is_no_http_or_does_not_come_is_an_error() {
        let (address, held) = serve("SSH-2.0-x\r\n");
        let error = ask_status(address, "/", Duration::from_secs(20)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        drop(held.join().unwrap());
        let (address, held) = serve("");
        let error = ask_status(address, "/", Duration::from_millis(30)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(held.join().unwrap());
    }
}
