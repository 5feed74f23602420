//! Ports for programs that have to be told one before they listen.

use anyhow::{Result, bail};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that the kernel hands out by itself (32768 and up on Linux) and those that agents begin with (20000):
/// whoever asks for any port does not get one that somebody else was told of a moment ago.
const FIRST: u32 = 10_000;
const COUNT: u32 = 10_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// An address on loopback at which nobody listens, and which this process does not name a second time soon.
///
/// # Errors
/// Every port of the range is in use.
pub(crate) fn free_address() -> Result<SocketAddr> {
    // Two processes that run at the same time begin at different places.
    let begin = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + begin.wrapping_add(step) % COUNT)?;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return Ok(listener.local_addr()?);
        }
    }
    bail!("no port from {FIRST} to {} is free", FIRST + COUNT - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_address_comes_twice_or_is_in_use() {
        let held = TcpListener::bind(free_address().expect("one is free")).expect("it is free");
        let named: BTreeSet<SocketAddr> = (0..1_000).map(|_| free_address().expect("one is free")).collect();
        assert_eq!(named.len(), 1_000);
        assert!(!named.contains(&held.local_addr().expect("it is bound")));
    }
}
