//! The proxy between a client that sends bytes as they are and a back end that writes down what arrives.

use super::message::{self, Bare, Message};
use crate::ports::free_address;
use crate::prove::process::{self, Running};
use crate::prove::site::Site;
use crate::prove::{http, process::wait_until};
use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long the proxy may take to answer, or to close a connection.
const PATIENCE: Duration = Duration::from_secs(3);
/// Asked for between two cases, so that all of the case before has gone through the one worker.
const SENTINEL: &str = "/sentinel";
/// What the back end answers where a case does not say.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// What the back end does, and what it has seen.
#[derive(Default)]
struct Script {
    /// Bytes to answer with, then the connection ends.
    answer: Option<Vec<u8>>,
    /// Whole requests that arrived.
    arrived: Vec<Message>,
}

/// A running proxy with both its sides in our hands.
pub(super) struct Stage {
    proxy: Running,
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

/// What the client saw.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) bytes: Vec<u8>,
    /// Whether the proxy ended the connection within its time.
    pub(super) closed: bool,
}

impl Stage {
    /// `outrigger proxy --policies off` in front of a back end of ours.
    pub(super) fn set(site: &Site) -> Result<Stage> {
        let outrigger = site.outrigger()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let to = listener.local_addr()?;
        let script = Arc::new(Mutex::new(Script::default()));
        let on_stage = script.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let script = on_stage.clone();
                std::thread::spawn(move || serve(stream, &script));
            }
        });
        let address = free_address()?;
        let mut command = Command::new(outrigger);
        command.args([
            "proxy",
            "--listen",
            &address.to_string(),
            "--to",
            &to.to_string(),
            "--policies",
            "off",
        ]);
        let proxy = Running::start(&mut command)?;
        let stage = Stage { proxy, address, script };
        let listens = wait_until(Duration::from_secs(10), || TcpStream::connect(address).is_ok());
        ensure!(listens, "the proxy does not listen: {}", stage.proxy.said());
        Ok(stage)
    }

    /// Sets what the back end answers from now on, and forgets what has arrived.
    pub(super) fn begin(&self, answer: Option<Vec<u8>>) -> Result<()> {
        let mut script = self.script.lock().ok().context("the back end has panicked")?;
        *script = Script { answer, arrived: Vec::new() };
        Ok(())
    }

    /// Sends `bytes`, and with `half_close` the end of them, and reads until `enough`, the connection's end, or our
    /// patience's.
    pub(super) fn send(
        &self,
        bytes: &[u8],
        half_close: bool,
        enough: impl Fn(&[u8]) -> bool,
    ) -> Result<Seen> {
        let mut stream = TcpStream::connect(self.address).context("the proxy refuses connections")?;
        stream.set_nodelay(true)?;
        // A proxy that refuses early closes before all is sent: that is an answer too.
        let _ = stream.write_all(bytes);
        if half_close {
            let _ = stream.shutdown(Shutdown::Write);
        }
        let until = Instant::now() + PATIENCE;
        let mut seen = Seen { bytes: Vec::new(), closed: false };
        let mut piece = [0; 16 * 1024];
        while !enough(&seen.bytes) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut piece) {
                Ok(0) => {
                    seen.closed = true;
                    break;
                }
                Ok(read) => seen.bytes.extend_from_slice(&piece[..read]),
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => break,
                Err(_) => {
                    seen.closed = true;
                    break;
                }
            }
        }
        Ok(seen)
    }

    /// Whole requests that have arrived since `begin`, once a request that was sent later has arrived too.
    pub(super) fn arrived(&self) -> Result<Vec<Message>> {
        {
            let mut script = self.script.lock().ok().context("the back end has panicked")?;
            script.answer = None;
        }
        let answer = http::get(self.address, SENTINEL).context("the proxy does not serve after this")?;
        ensure!(answer.status == 200, "the proxy answers {} after this: {}", answer.status, answer.text);
        let script = self.script.lock().ok().context("the back end has panicked")?;
        let is_ours = |message: &&Message| super::find(&message.first, SENTINEL.as_bytes()).is_none();
        Ok(script.arrived.iter().filter(is_ours).cloned().collect())
    }

    /// Whether the proxy still runs.
    pub(super) fn alive(&self) -> bool {
        process::command_line(self.proxy.pid()).contains("proxy")
    }
}

/// Reads requests from one connection and answers the first; the answer's end is the connection's.
fn serve(mut stream: TcpStream, script: &Mutex<Script>) {
    let mut bytes = Vec::new();
    let mut piece = [0; 16 * 1024];
    let mut went_on = false;
    let message = loop {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
        if let Some(message) = message::read(&bytes, false, Bare::Empty) {
            break message;
        }
        let waits =
            message::read(&bytes, true, Bare::Empty).is_some_and(|head| head.field("expect").is_some());
        if waits && !std::mem::replace(&mut went_on, true) {
            let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    };
    let to_head = message.first.starts_with(b"HEAD ");
    let Ok(mut script) = script.lock() else { return };
    script.arrived.push(message);
    let answer = script.answer.clone().unwrap_or_else(|| {
        // The answer to HEAD has no body, whatever its length says.
        ANSWER[..ANSWER.len() - if to_head { 2 } else { 0 }].to_vec()
    });
    drop(script);
    let _ = stream.write_all(&answer);
    let _ = stream.shutdown(Shutdown::Write);
    // Whatever else comes is read until the proxy ends the connection, so that it is not reset.
    while matches!(stream.read(&mut piece), Ok(read) if read > 0) {}
}
