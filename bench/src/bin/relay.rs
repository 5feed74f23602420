//! `relay`: copies bytes between two TCP connections and understands none of
//! them. It is the limit: no proxy on the same kernel can cost less.
//!
//! One thread, one task per pair of connections, both directions driven by that
//! task: read, write, and back to sleep. The bytes pass through one buffer per
//! thread; a pair owns memory only while its receiver is slow.

use anyhow::Context as _;
use clap::Parser;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Copies bytes between two TCP connections: the limit for a proxy's cost.
#[derive(Parser)]
struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long)]
    listen: SocketAddr,
    /// Where to connect for each accepted connection.
    #[arg(long)]
    to: SocketAddr,
}

/// As much as one read may bring, in bytes.
const SCRATCH: usize = 16 * 1024;

thread_local! {
    static BYTES: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    bench::limits::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, serve(options))
}

async fn serve(options: Options) -> anyhow::Result<()> {
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    println!("{{\"listen\":[\"{}\"]}}", listener.local_addr()?);
    loop {
        // A failed accept (no descriptor left) must not end the relay.
        if let Ok((caller, _)) = listener.accept().await {
            tokio::task::spawn_local(pair(caller, options.to));
        }
    }
}

/// One caller and its connection to the other side, until both directions end
/// or either breaks.
async fn pair(mut caller: TcpStream, to: SocketAddr) -> io::Result<()> {
    let mut server = TcpStream::connect(to).await?;
    caller.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut there, mut back) = (Direction::default(), Direction::default());
    poll_fn(|cx| {
        let there = there.poll(cx, &mut caller, &mut server)?;
        let back = back.poll(cx, &mut server, &mut caller)?;
        match (there, back) {
            (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    })
    .await
}

/// What one direction still owes its receiver.
#[derive(Default)]
struct Direction {
    owed: Vec<u8>,
    written: usize,
    ended: bool,
    shut: bool,
}

impl Direction {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
    ) -> Poll<io::Result<()>> {
        while !self.shut {
            ready!(self.pay(cx, to))?;
            if self.ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.shut = true;
            } else {
                ready!(BYTES.with_borrow_mut(|bytes| self.copy(cx, from, to, bytes)))?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what a full socket refused before.
    fn pay(&mut self, cx: &mut Context<'_>, to: &mut TcpStream) -> Poll<io::Result<()>> {
        while let Some(rest) = self.owed.get(self.written..).filter(|rest| !rest.is_empty()) {
            self.written += ready!(Pin::new(&mut *to).poll_write(cx, rest))?;
        }
        self.owed = Vec::new();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// One read, and one write of all it brought where the socket takes it.
    fn copy(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
        bytes: &mut [u8],
    ) -> Poll<io::Result<()>> {
        let mut read = ReadBuf::new(bytes);
        ready!(Pin::new(from).poll_read(cx, &mut read))?;
        self.ended = read.filled().is_empty();
        let written = match Pin::new(to).poll_write(cx, read.filled()) {
            _ if self.ended => 0,
            Poll::Ready(written) => written?,
            Poll::Pending => 0,
        };
        self.owed.extend_from_slice(read.filled().get(written..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}
