//! The client of the commands: one blocking request at a time over the standard library's sockets.
//!
//! The commands ask a handful of small questions on loopback and then exit, so they need neither a runtime nor a
//! pool: one connection per request, read to its end.

use crate::{
    Ask, Environment, Events, Instances, Logs, Operation, Problem, Query, Route, Services, Unanswered, decode,
};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer that is longer than this is cut off as an error; no list of ours comes near.
const LONGEST_ANSWER: u64 = 64 << 20;

/// Asks a running environment.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    /// A secret: it is not shown.
    bearer: Option<String>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// Nothing listens there.
    NotRunning(SocketAddr),
    /// The connection failed or broke.
    Broken(SocketAddr, io::Error),
    /// What listens there does not speak this API.
    NotUnderstood(SocketAddr, String),
    /// The environment says no.
    Refused(Problem),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::NotRunning(at) => {
                write!(
                    f,
                    "no environment answers at {at}: start one with `outrigger up DIR` or a control plane "
                )?;
                f.write_str(
                    "with `outrigger control`, or say with --api ADDR (OUTRIGGER_API) where it answers",
                )
            }
            ClientError::Broken(at, why) => write!(f, "the environment at {at} broke off: {why}"),
            ClientError::NotUnderstood(at, why) => {
                write!(
                    f,
                    "what answers at {at} is no Outrigger environment ({why}): see --api (OUTRIGGER_API)"
                )
            }
            ClientError::Refused(problem) => f.write_str(&problem.text),
        }
    }
}

impl std::error::Error for ClientError {}

type Answer<T> = Result<T, ClientError>;

impl Client {
    /// A client for the environment that answers at `address`.
    pub fn new(address: SocketAddr) -> Client {
        Client { address, bearer: None }
    }

    /// The same, showing `bearer`: a join token or a credential.
    pub fn with_bearer(self, bearer: impl Into<String>) -> Client {
        Client { bearer: Some(bearer.into()), ..self }
    }

    /// Sends `ask` to a control plane.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub fn send<T: for<'a> serde::Deserialize<'a>>(&self, ask: &Ask<T>) -> Answer<T> {
        let (status, body) = self.exchange(ask.method, &ask.target, &ask.body, ask.wait)?;
        ask.read(status, &body).map_err(|why| match why {
            Unanswered::Refused(_, problem) => ClientError::Refused(problem),
            Unanswered::NotUnderstood(why) => ClientError::NotUnderstood(self.address, why),
        })
    }

    /// The environment as a whole.
    ///
    /// # Errors
    /// As [`ClientError`] says; so for all that follow.
    pub fn environment(&self) -> Answer<Environment> {
        self.ask(&Route::Environment, Duration::ZERO)
    }

    /// Its services.
    pub fn services(&self) -> Answer<Services> {
        self.ask(&Route::Services, Duration::ZERO)
    }

    /// Its instances.
    pub fn instances(&self) -> Answer<Instances> {
        self.ask(&Route::Instances, Duration::ZERO)
    }

    /// What happened.
    pub fn events(&self, query: Query) -> Answer<Events> {
        self.ask(&Route::Events(query), query.wait)
    }

    /// What the instance, or the instances of the service, `name` wrote.
    pub fn logs(&self, name: &str, query: Query) -> Answer<Logs> {
        self.ask(&Route::Logs(name.into(), query), query.wait)
    }

    /// Begins a rolling restart of `name`.
    pub fn restart(&self, name: &str) -> Answer<Operation> {
        self.ask(&Route::Restart(name.into()), Duration::ZERO)
    }

    /// How far the operation `id` is.
    pub fn operation(&self, id: u64, query: Query) -> Answer<Operation> {
        self.ask(&Route::Operation(id, query), query.wait)
    }

    fn ask<T: for<'a> serde::Deserialize<'a>>(&self, route: &Route, wait: Duration) -> Answer<T> {
        let (status, body) = self.exchange(route.method(), &route.path(), "", wait)?;
        if status < 300 {
            return decode(&body).map_err(|why| ClientError::NotUnderstood(self.address, why));
        }
        match decode(&body) {
            Ok(problem) => Err(ClientError::Refused(problem)),
            Err(_) => Err(ClientError::NotUnderstood(self.address, format!("status {status}"))),
        }
    }

    fn exchange(&self, method: &str, target: &str, body: &str, wait: Duration) -> Answer<(u16, String)> {
        let broken = |e: io::Error| ClientError::Broken(self.address, e);
        let mut stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(2)).map_err(|e| {
            match e.kind() {
                io::ErrorKind::ConnectionRefused => ClientError::NotRunning(self.address),
                _ => ClientError::Broken(self.address, e),
            }
        })?;
        stream.set_read_timeout(Some(wait + Duration::from_secs(10))).map_err(broken)?;
        let bearer = self.bearer.as_ref().map_or(String::new(), |b| format!("Authorization: Bearer {b}\r\n"));
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nConnection: close\r\n{bearer}{kind}\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let sent = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let read = stream.take(LONGEST_ANSWER).read_to_end(&mut answer);
        // Who refuses a long request answers before it has read all of it.
        if answer.is_empty() || sent.is_ok() {
            sent.and(read).map_err(broken)?;
        }
        split(&answer).map_err(|why| ClientError::NotUnderstood(self.address, why.into()))
    }
}

/// Status and body of a whole answer whose connection was closed after it. Our servers give a Content-Length and
/// never chunks; an answer that is shorter than that was cut.
fn split(answer: &[u8]) -> Result<(u16, String), &'static str> {
    let text = std::str::from_utf8(answer).map_err(|_| "not text")?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no HTTP answer")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).ok_or("no HTTP/1.1 answer")?;
    let status = status.get(..3).and_then(|digits| digits.parse().ok()).ok_or("no status")?;
    let length = lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())
    });
    if length.flatten().is_some_and(|length| length != body.len()) {
        return Err("a cut answer");
    }
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::net::TcpListener;

    fn serve_once(answer: &'static str) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 1024];
            let read = stream.read(&mut head).unwrap();
            assert!(std::str::from_utf8(&head[..read]).unwrap().starts_with("GET /v1/services HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        Client::new(address)
    }

    #[test]
    fn an_answer_is_read() {
        let client =
            serve_once("HTTP/1.1 200 OK\r\ncontent-length: 29\r\n\r\n{\"version\":1,\"services\":[  ]}");
        assert_eq!(client.services().unwrap(), Services { version: 1, services: vec![] });
    }

    #[test]
    fn a_refusal_is_told_in_its_own_words() {
        let client = serve_once(
            "HTTP/1.1 404 Not Found\r\n\r\n{\"version\":1,\"problem\":\"unknown-name\",\"text\":\"no such thing\"}",
        );
        assert_eq!(client.services().unwrap_err().to_string(), "no such thing");
    }

    #[test]
    fn a_cut_or_foreign_answer_is_an_error() {
        for answer in
            ["HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{}", "SSH-2.0", "", "HTTP/1.1 500 x\r\n\r\nboo"]
        {
            let error = serve_once(answer).services().unwrap_err();
            assert!(matches!(error, ClientError::NotUnderstood(..)), "{answer:?}: {error}");
        }
    }

    #[test]
    fn where_nothing_listens_the_way_out_is_told() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = Client::new(address).services().unwrap_err();
        for way in ["outrigger up DIR", "outrigger control", "--api ADDR (OUTRIGGER_API)"] {
            assert!(error.to_string().contains(way), "{way}: {error}");
        }
    }
}
