//! One connection and the exchange of one request and its answer on it.

use super::failure::Failure;
use super::request::Target;
use crate::message::{self, Body, HEAD_LIMIT};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How many connections there are.
#[derive(Debug, Default)]
pub(super) struct Census {
    pub(super) open: Cell<usize>,
    pub(super) most: Cell<usize>,
    pub(super) made: Cell<u64>,
}

/// Counts a connection, from the intention to make it until it is dropped.
#[derive(Debug)]
pub(super) struct Seat(Rc<Census>);

impl Seat {
    pub(super) fn take(census: &Rc<Census>) -> Self {
        census.open.set(census.open.get() + 1);
        census.most.set(census.most.get().max(census.open.get()));
        Self(census.clone())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

/// A kept connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    target: Rc<Target>,
    request: Vec<u8>,
    bytes: Vec<u8>,
    used: bool,
    _seat: Seat,
}

/// An answer that arrived whole, with a status below 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
}

impl Connection {
    pub(super) async fn open(target: &Rc<Target>, seat: Seat) -> Result<Self, Failure> {
        let connected = TcpStream::connect(target.address).await;
        let stream = connected.map_err(|error| Failure::of_connect(&error))?;
        stream.set_nodelay(true).map_err(|error| Failure::of_connect(&error))?;
        seat.0.made.set(seat.0.made.get() + 1);
        Ok(Self {
            stream,
            target: target.clone(),
            request: target.bytes.clone(),
            bytes: Vec::with_capacity(2048),
            used: false,
            _seat: seat,
        })
    }

    /// True when the far side closed this idle connection, or sent what nobody
    /// asked for. Costs no system call while nothing happened.
    pub(super) fn is_stale(&self) -> bool {
        let mut byte = [0u8];
        !matches!(self.stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends request `number` and reads its answer. The flag tells whether the
    /// connection may be used again.
    pub(super) async fn exchange(&mut self, number: u64) -> (Result<Answer, Failure>, bool) {
        let used = std::mem::replace(&mut self.used, true);
        self.target.stamp(&mut self.request, number);
        // A server may answer and close without reading the whole request: the
        // answer counts, however the sending went.
        let sent = self.stream.write_all(&self.request).await;
        match self.receive().await {
            Ok((status, reason, keep)) if status >= 400 => {
                (Err(Failure::Status(status, reason)), keep && sent.is_ok())
            }
            Ok((status, _, keep)) => (Ok(Answer { status }), keep && sent.is_ok()),
            Err(Failure::Closed | Failure::Reset) if used && self.bytes.is_empty() => {
                (Err(Failure::ClosedReused), false)
            }
            Err(failure) => (Err(failure), false),
        }
    }

    async fn receive(&mut self) -> Result<(u16, Option<String>, bool), Failure> {
        self.bytes.clear();
        let (status, end) = self.receive_head().await?;
        let head = message::fields(self.bytes.get(..end).unwrap_or_default());
        let reason = head.reason.filter(|_| status >= 400);
        let reason = reason.map(|reason| String::from_utf8_lossy(reason).into_owned());
        let close = head.close;
        let mut body = match self.target.has_response_body {
            true => Body::of_response(status, &head),
            false => Body::Length(0),
        };
        self.bytes.drain(..end);
        loop {
            let taken = body.take(&self.bytes).map_err(|_| Failure::Malformed)?;
            if body.ended() {
                // Bytes beyond the answer: nobody asked for them.
                return Ok((status, reason, !close && taken == self.bytes.len()));
            }
            self.bytes.clear();
            match self.fill().await {
                Ok(0) if body == Body::UntilClose => return Ok((status, reason, false)),
                Ok(0) | Err(_) => return Err(Failure::Short),
                Ok(_) => {}
            }
        }
    }

    /// Reads until a final head is there: its status and where it ends.
    async fn receive_head(&mut self) -> Result<(u16, usize), Failure> {
        loop {
            while let Some(end) = message::head_end(&self.bytes) {
                let head = self.bytes.get(..end).unwrap_or_default();
                match message::status(head).ok_or(Failure::Malformed)? {
                    100 | 102..=199 => drop(self.bytes.drain(..end)),
                    status => return Ok((status, end)),
                }
            }
            if self.bytes.len() > HEAD_LIMIT {
                return Err(Failure::Malformed);
            }
            match (self.fill().await, self.bytes.is_empty()) {
                (Err(_), true) => return Err(Failure::Reset),
                (Ok(0), true) => return Err(Failure::Closed),
                (Err(_) | Ok(0), false) => return Err(Failure::Short),
                (Ok(_), _) => {}
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.bytes).await
    }
}
