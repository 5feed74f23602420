//! Ports for sidecars and apps.
//!
//! A port that was free when asked for may be taken when it is used. The usual thief is the kernel, which gives any
//! free port of its range to outgoing connections; so ports are taken from below that range, where nothing appears by
//! itself. What another program takes in between, sidecar or app will tell by failing, and then gets another.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Where the search begins, unless the kernel's own range does not leave room for it.
const LOWEST: u16 = 20_000;
/// The kernel's range where it cannot be read: the default of Linux.
const KERNEL_LOWEST: u16 = 32_768;

/// Hands out ports, each once.
#[derive(Debug)]
pub(crate) struct Ports {
    next: u16,
    below: u16,
    given: HashSet<u16>,
}

/// No port is free.
#[derive(Debug, thiserror::Error)]
#[error("no free port between {LOWEST} and {0} on 127.0.0.1: end what listens there")]
pub struct NoPort(u16);

impl Ports {
    /// `seed` says where the search begins, so that two environments seldom meet.
    pub(crate) fn begin(seed: u64) -> Ports {
        let below = kernel_range().filter(|low| *low > LOWEST + 2_000).unwrap_or(KERNEL_LOWEST);
        let span = u64::from(below - LOWEST);
        let offset = u16::try_from(seed % span).unwrap_or(0);
        Ports { next: LOWEST + offset, below, given: HashSet::new() }
    }

    /// A port on 127.0.0.1 at which nobody listens now.
    ///
    /// # Errors
    /// [`NoPort`] when all are taken.
    pub(crate) fn take(&mut self) -> Result<SocketAddr, NoPort> {
        for _ in LOWEST..self.below {
            let port = self.next;
            self.next = if port + 1 < self.below { port + 1 } else { LOWEST };
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            if !self.given.contains(&port) && is_free(address) {
                self.given.insert(port);
                return Ok(address);
            }
        }
        Err(NoPort(self.below))
    }

    /// The port may be given out again.
    pub(crate) fn give_back(&mut self, address: SocketAddr) {
        self.given.remove(&address.port());
    }
}

/// Whether one could listen at `address` now.
pub(crate) fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok()
}

/// `address`, or the next one after it at which nobody listens: the port counts up.
pub(crate) fn next_free(address: SocketAddr) -> Option<SocketAddr> {
    let ports = address.port()..=address.port().saturating_add(1000);
    ports.map(|port| SocketAddr::new(address.ip(), port)).find(|candidate| is_free(*candidate))
}

fn kernel_range() -> Option<u16> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ports_are_given_once_and_never_taken_ones() {
        let mut ports = Ports::begin(u64::from(std::process::id()));
        let first = ports.take().unwrap();
        let held = TcpListener::bind(first).unwrap();
        assert!(!is_free(first));
        assert_ne!(next_free(first), Some(first));
        let mut seen = HashSet::from([first]);
        for _ in 0..20 {
            assert!(seen.insert(ports.take().unwrap()));
        }
        ports.give_back(first);
        ports.next = first.port();
        assert_ne!(ports.take().unwrap(), first, "somebody listens there");
        drop(held);
    }
}
