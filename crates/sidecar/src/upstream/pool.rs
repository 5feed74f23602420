//! Idle connections to instances, one pool a worker, so that taking one needs no lock.

use model::Moment;
use std::cell::{Cell, RefCell, RefMut};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::SocketAddr;
use std::task::Waker;
use std::time::Duration;
use tokio::net::TcpStream;

/// A connection that waits for its next request.
#[derive(Debug)]
struct Idle {
    stream: TcpStream,
    until: Moment,
}

/// A quick hash of an address. The addresses are ours, from the snapshot: nobody picks them to collide.
#[derive(Debug, Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for eight in bytes.chunks(8) {
            self.write_u64(eight.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
    }
    fn write_u16(&mut self, word: u16) {
        self.write_u64(u64::from(word));
    }
    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }
}

type Lists = HashMap<SocketAddr, Vec<Idle>, BuildHasherDefault<Mix>>;

/// The idle connections of one worker, by address.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: RefCell<Lists>,
    count: Cell<u64>,
    opened: Cell<u64>,
    sweeper: RefCell<Option<Waker>>,
    /// Whether a sweep is due at some time.
    sweeps: Cell<bool>,
}

impl Pool {
    /// The connection that was used last and is still good: the others may rest until they are closed.
    pub(crate) fn take(&self, to: SocketAddr, now: Moment) -> Option<TcpStream> {
        let mut all = self.idle.borrow_mut();
        let list = all.get_mut(&to)?;
        while let Some(idle) = list.pop() {
            self.count.set(self.count.get().saturating_sub(1));
            if idle.until > now && is_silent(&idle.stream) {
                return Some(idle.stream);
            }
        }
        None
    }

    /// Keeps a connection on which nothing is left to be read, for at most `keep`.
    pub(crate) fn give(&self, to: SocketAddr, stream: TcpStream, until: Moment, at_most: u32) {
        let mut all = self.idle.borrow_mut();
        let list = match all.get_mut(&to) {
            Some(list) => list,
            None => return self.give_first(all, to, Idle { stream, until }),
        };
        if list.len() < at_most as usize {
            list.push(Idle { stream, until });
            self.note_idle();
        }
    }

    /// Keeps the only connection to an address.
    #[cold]
    fn give_first(&self, mut all: RefMut<'_, Lists>, to: SocketAddr, idle: Idle) {
        all.insert(to, vec![idle]);
        self.note_idle();
    }

    fn note_idle(&self) {
        self.count.set(self.count.get() + 1);
        // A sweep that is due anyhow will see this one too.
        if !self.sweeps.replace(true)
            && let Some(sweeper) = &*self.sweeper.borrow()
        {
            sweeper.wake_by_ref();
        }
    }

    /// Closes what has been idle for too long or leads where nothing is sent any more, and says when to ask again.
    pub(crate) fn sweep(&self, now: Moment, known: impl Fn(&SocketAddr) -> bool) -> Moment {
        let mut next = Moment::NEVER;
        let mut count = 0;
        self.idle.borrow_mut().retain(|address, list| {
            list.retain(|idle| idle.until > now && known(address));
            for idle in list.iter() {
                next = next.min(idle.until);
            }
            count += list.len() as u64;
            !list.is_empty()
        });
        self.count.set(count);
        self.sweeps.set(next != Moment::NEVER);
        next
    }

    /// The task that sweeps, to be woken when there is something to sweep again.
    pub(crate) fn set_sweeper(&self, waker: &Waker) {
        *self.sweeper.borrow_mut() = Some(waker.clone());
    }

    /// Closes all of them.
    pub(crate) fn clear(&self) {
        self.idle.borrow_mut().clear();
        self.count.set(0);
    }

    /// How many wait.
    pub(crate) fn len(&self) -> u64 {
        self.count.get()
    }

    /// A connection was opened.
    pub(crate) fn note_opened(&self) {
        self.opened.set(self.opened.get() + 1);
    }

    /// How many were opened.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.get()
    }
}

/// How long a connection may be kept whose answer said `Keep-Alive: timeout=N`: a second less than the instance
/// will, so that it is not we who write into a connection that is being closed.
pub(crate) fn promised(keep_alive: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(keep_alive).ok()?;
    let timeout = text.split(',').find_map(|part| part.trim().strip_prefix("timeout="))?;
    let seconds: u64 = timeout.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).saturating_sub(Duration::from_secs(1)))
}

/// Whether nothing has come on an idle connection: bytes would be out of turn, an end means that it is closed.
fn is_silent(stream: &TcpStream) -> bool {
    // Where nothing was reported since the last read this costs no system call.
    let mut byte = [0u8; 1];
    matches!(stream.try_read(&mut byte), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn a_promise_is_kept_a_second_short() {
        assert_eq!(promised(b"timeout=5, max=100"), Some(Duration::from_secs(4)));
        assert_eq!(promised(b"max=1, timeout=1"), Some(Duration::ZERO));
        assert_eq!(promised(b"timeout=soon"), None);
        assert_eq!(promised(b""), None);
    }

    #[tokio::test]
    async fn a_connection_that_the_instance_closed_is_not_used_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let to = listener.local_addr().expect("it is bound");
        let (pool, now) = (Pool::default(), Moment::from_millis(1));
        for closed in [false, true] {
            let ours = TcpStream::connect(to).await.expect("it listens");
            let (theirs, _) = listener.accept().await.expect("it connected");
            if closed {
                drop(theirs);
                ours.readable().await.expect("its end can be read");
            }
            pool.give(to, ours, now.after(Duration::from_secs(1)), 8);
            assert_eq!(pool.take(to, now).is_none(), closed);
            assert_eq!(pool.len(), 0);
        }
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded_in_number_and_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let to = listener.local_addr().expect("it is bound");
        let (pool, now) = (Pool::default(), Moment::from_millis(1));
        let later = now.after(Duration::from_secs(1));
        for _ in 0..3 {
            pool.give(to, TcpStream::connect(to).await.expect("it listens"), later, 2);
        }
        assert_eq!(pool.len(), 2);
        assert_eq!(pool.sweep(now, |_| true), later);
        assert_eq!(pool.sweep(later, |_| true), Moment::NEVER);
        assert_eq!(pool.len(), 0);
    }
}
