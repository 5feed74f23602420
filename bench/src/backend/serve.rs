//! The connections of a back end.

use super::instance::{Full, Instance};
use super::options::Options;
use crate::message::{self, Body, HEAD_LIMIT};
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Where the counts are read while the back end runs.
const COUNTS_PATH: &[u8] = b"GET /__counts";

/// Everything that the connections of this process share.
pub(super) struct Site {
    options: Options,
    instances: Vec<Instance>,
    replies: Vec<Vec<u8>>,
    first_request: OnceCell<Instant>,
    ids: RefCell<HashMap<Vec<u8>, u32>>,
}

impl Site {
    pub(super) fn new(options: Options, instances: Vec<Instance>) -> Self {
        let body = vec![b'x'; options.body_bytes];
        let replies = (0..instances.len())
            .map(|index| reply("200 OK", "application/json", &format!("x-instance: {index}\r\n"), &body))
            .collect();
        Self { options, instances, replies, first_request: OnceCell::new(), ids: RefCell::default() }
    }

    fn since_first(&self) -> Duration {
        self.first_request.get_or_init(Instant::now).elapsed()
    }

    fn count_id(&self, head: &[u8]) {
        if let Some(id) = message::field(head, &self.options.id_header) {
            *self.ids.borrow_mut().entry(id.to_vec()).or_default() += 1;
        }
    }

    /// What was counted so far.
    pub(super) fn counts(&self) -> serde_json::Value {
        let ids = self.ids.borrow();
        let repeated: Vec<_> = ids.iter().filter(|(_, times)| **times > 1).collect();
        let shown: Vec<_> = repeated.iter().take(20).map(|(id, _)| String::from_utf8_lossy(id)).collect();
        serde_json::json!({
            "instances": self.instances.iter().map(Instance::counts).collect::<Vec<_>>(),
            "ids": ids.len(),
            "ids_executed_more_than_once": repeated.len(),
            "such_ids": shown,
        })
    }
}

fn reply(status: &str, kind: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Accepts the connections of one instance for as long as the process runs.
pub(super) async fn accept(site: Rc<Site>, index: usize, listener: TcpListener) {
    loop {
        // A failed accept (no descriptor left) must not end the instance.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(serve(site.clone(), index, stream));
        }
    }
}

async fn serve(site: Rc<Site>, index: usize, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::with_capacity(8 * 1024);
    loop {
        let Some(end) = message::head_end(&bytes) else {
            if bytes.len() > HEAD_LIMIT || stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
            continue;
        };
        // A GET has no body here, so its fields need no reading: they are most
        // of what this process would do.
        let plain = site.options.fast && bytes.starts_with(b"GET ");
        let close = !plain && receive_body(&mut stream, &mut bytes, end).await?;
        match site.options.fast {
            true => stream.write_all(site.replies.get(index).map_or(&[][..], Vec::as_slice)).await?,
            false => answer(&site, index, &mut stream, bytes.get(..end).unwrap_or_default()).await?,
        }
        bytes.drain(..end);
        if close {
            return Ok(());
        }
    }
}

/// Reads a request's body and removes it from behind its head. Returns whether
/// the connection must end after the answer.
async fn receive_body(stream: &mut TcpStream, bytes: &mut Vec<u8>, end: usize) -> io::Result<bool> {
    let fields = message::fields(bytes.get(..end).unwrap_or_default());
    let close = fields.close;
    let mut body = Body::of_request(&fields);
    loop {
        let taken = body
            .take(bytes.get(end..).unwrap_or_default())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        bytes.drain(end..end + taken);
        if body.ended() {
            return Ok(close);
        }
        if stream.read_buf(bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn answer(site: &Site, index: usize, stream: &mut TcpStream, head: &[u8]) -> io::Result<()> {
    if head.starts_with(COUNTS_PATH) {
        let counts = format!("{}\n", site.counts());
        return stream.write_all(&reply("200 OK", "application/json", "", counts.as_bytes())).await;
    }
    let Some((instance, reply_bytes)) = site.instances.get(index).zip(site.replies.get(index)) else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let begin = || {
        if site.options.count_ids {
            site.count_id(head);
        }
    };
    match instance.execute(|| site.since_first(), begin).await {
        Ok(()) => stream.write_all(reply_bytes).await,
        Err(Full) => {
            stream.write_all(&reply("503 Service Unavailable", "text/plain", "", b"queue full\n")).await
        }
    }
}
