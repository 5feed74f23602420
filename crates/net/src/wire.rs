//! Moving bytes over a connection with as little around the system call as there can be.
//!
//! The C library's `send` and `recv` are cancellation points: in a process with threads each call turns asynchronous
//! cancellation off and on again, which is several per cent of what a proxied request costs. These calls go to the
//! kernel directly.

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::coop;

/// A connection as far as bytes are concerned.
pub trait Wire {
    /// Whether a read may bring something: false only where it is sure that it would have to wait, and then the task
    /// of `cx` is woken when that changes.
    fn poll_may_read(&mut self, cx: &mut Context<'_>) -> bool;

    /// Reads what there is into `room`; zero bytes mean the end. Wakes the task of `cx` when there is more.
    fn poll_recv(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes as much of `bytes` as goes. Wakes the task of `cx` when more does.
    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;
}

/// Whether bytes wait to be read, as the kernel knows it: the runtime may not have heard of those that came last.
pub fn has_arrived(stream: &TcpStream) -> bool {
    let most = &mut [0u8; 1];
    rustix::net::recv(stream, most, RecvFlags::PEEK | RecvFlags::DONTWAIT).is_ok_and(|(count, _)| count > 0)
}

/// Writes as much of `head` and, behind it, of `rest` as goes, in one call.
pub fn poll_send_both(
    stream: &mut TcpStream,
    cx: &mut Context<'_>,
    head: &[u8],
    rest: &[u8],
) -> Poll<io::Result<usize>> {
    let both = [IoSlice::new(head), IoSlice::new(rest)];
    loop {
        // Rust's runtime ignores SIGPIPE: a closed connection is an error here too.
        let count = attempt(stream, Interest::WRITABLE, head.len() + rest.len(), || {
            rustix::io::writev(&*stream, &both)
        })?;
        if let Some(count) = count {
            return Poll::Ready(Ok(count));
        }
        ready!(stream.poll_write_ready(cx))?;
    }
}

impl Wire for TcpStream {
    fn poll_may_read(&mut self, cx: &mut Context<'_>) -> bool {
        self.try_io(Interest::READABLE, || Ok(())).is_ok() || self.poll_read_ready(cx).is_ready()
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let most = room.len();
            let count = attempt(self, Interest::READABLE, most, || {
                rustix::net::recv(&*self, &mut *room, RecvFlags::empty()).map(|(count, _)| count)
            })?;
            if let Some(count) = count {
                return Poll::Ready(Ok(count));
            }
            ready!(self.poll_read_ready(cx))?;
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let count = attempt(self, Interest::WRITABLE, bytes.len(), || {
                rustix::net::send(&*self, bytes, SendFlags::NOSIGNAL)
            })?;
            if let Some(count) = count {
                return Poll::Ready(Ok(count));
            }
            ready!(self.poll_write_ready(cx))?;
        }
    }
}

/// A connection that is read by one task for as long as it lives, which need not tell the runtime again and again whom to
/// wake: whether it has told is in `told`, false at the beginning.
#[derive(Debug)]
pub struct Awaited<'a> {
    /// The connection.
    pub stream: &'a mut TcpStream,
    /// Whether the runtime knows that the task waits for something to read.
    pub told: &'a mut bool,
}

impl Wire for Awaited<'_> {
    fn poll_may_read(&mut self, cx: &mut Context<'_>) -> bool {
        if self.stream.try_io(Interest::READABLE, || Ok(())).is_ok() {
            *self.told = false;
            return true;
        }
        // As long as it is not ready the runtime has woken nobody, and still knows whom to wake.
        if *self.told {
            return false;
        }
        // A task that has used up its turn is woken at once to ask again, and nothing is noted for later.
        let notes = coop::has_budget_remaining();
        let may_read = self.stream.poll_read_ready(cx).is_ready();
        *self.told = notes && !may_read;
        may_read
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        *self.told = false;
        self.stream.poll_recv(cx, room)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_send(cx, bytes)
    }
}

/// Tries once. None: the connection is not ready, and it must be asked when it will be.
///
/// The runtime is not asked before, since it mostly is ready; and where it is known not to be, this costs no system
/// call. That leaves the runtime's budget of operations untouched: who moves bytes in a loop must give others a turn.
///
/// Fewer bytes than were asked for mean that the kernel has no more to give or to take. Readiness is reported at its
/// edges, so it may be forgotten then, which saves the call that would only be told to wait.
fn attempt(
    stream: &TcpStream,
    interest: Interest,
    most: usize,
    mut call: impl FnMut() -> rustix::io::Result<usize>,
) -> io::Result<Option<usize>> {
    let mut moved = None;
    let tried = stream.try_io(interest, || match call() {
        Ok(count) => {
            moved = Some(count);
            if count > 0 && count < most { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        }
        Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    });
    match tried {
        Err(error) if moved.is_none() && error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(moved),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::task::{Wake, Waker};
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        (ours.unwrap(), theirs.unwrap().0)
    }

    #[tokio::test]
    async fn bytes_arrive_whole_in_order_and_then_the_end() {
        let (mut a, mut b) = pair().await;
        let sent: Vec<u8> = (0..3_000_000u32).map(|i| (i % 253) as u8).collect();
        let sending = async {
            let mut rest = &sent[..];
            while !rest.is_empty() {
                let count = poll_fn(|cx| a.poll_send(cx, rest)).await.unwrap();
                rest = &rest[count..];
            }
            drop(a);
        };
        let receiving = async {
            let (mut got, mut room) = (Vec::new(), [0u8; 7000]);
            loop {
                match poll_fn(|cx| b.poll_recv(cx, &mut room)).await.unwrap() {
                    0 => return got,
                    count => got.extend_from_slice(&room[..count]),
                }
            }
        };
        let ((), got) = tokio::join!(sending, receiving);
        assert!(got == sent);
    }

    #[tokio::test]
    async fn an_end_that_came_with_the_last_bytes_is_still_seen() {
        let (mut a, mut b) = pair().await;
        assert_eq!(poll_fn(|cx| a.poll_send(cx, b"last")).await.unwrap(), 4);
        drop(a);
        let mut room = [0u8; 64];
        b.readable().await.unwrap();
        assert_eq!(poll_fn(|cx| b.poll_recv(cx, &mut room)).await.unwrap(), 4);
        assert_eq!(poll_fn(|cx| b.poll_recv(cx, &mut room)).await.unwrap(), 0);
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }

    #[tokio::test]
    async fn who_has_told_once_is_woken_each_time() {
        let (mut a, mut b) = pair().await;
        let (mut told, mut room) = (false, [0u8; 64]);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut cx = Context::from_waker(&waker);
        for text in [&b"one"[..], b"two", b""] {
            let mut early = Awaited { stream: &mut b, told: &mut told };
            // One that is new passes for ready until it is tried.
            assert!(!early.poll_may_read(&mut cx) || early.poll_recv(&mut cx, &mut room).is_pending());
            assert!(!early.poll_may_read(&mut cx) && !early.poll_may_read(&mut cx), "nothing was sent yet");
            assert!(told && !woken.0.load(Relaxed));
            match text {
                b"" => a.shutdown().await.unwrap(),
                text => assert_eq!(poll_fn(|cx| a.poll_send(cx, text)).await.unwrap(), text.len()),
            }
            b.readable().await.unwrap();
            assert!(woken.0.swap(false, Relaxed), "{text:?}");
            let mut came = Awaited { stream: &mut b, told: &mut told };
            assert!(came.poll_may_read(&mut cx));
            assert!(
                matches!(came.poll_recv(&mut cx, &mut room), Poll::Ready(Ok(count)) if count == text.len())
            );
        }
    }

    #[tokio::test]
    async fn who_asks_at_the_end_of_its_turn_has_told_nobody() {
        let (_a, mut b) = pair().await;
        let (mut told, mut room) = (false, [0u8; 64]);
        poll_fn(|cx| {
            let mut b = Awaited { stream: &mut b, told: &mut told };
            assert!(b.poll_recv(cx, &mut room).is_pending());
            while coop::has_budget_remaining() {
                let Poll::Ready(used) = coop::poll_proceed(cx) else { break };
                used.made_progress();
            }
            assert!(!b.poll_may_read(cx));
            Poll::Ready(())
        })
        .await;
        assert!(!told);
    }

    #[tokio::test]
    async fn writing_to_a_closed_connection_is_an_error_and_no_signal() {
        let (mut a, b) = pair().await;
        drop(b);
        let mut failed = false;
        for _ in 0..1000 {
            failed = poll_fn(|cx| a.poll_send(cx, &[0; 4096])).await.is_err();
            if failed {
                break;
            }
        }
        assert!(failed);
    }
}
