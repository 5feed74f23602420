//! Listening sockets that several workers share.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Connections that may wait for an accept; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// `count` listening sockets on one address, one for each worker: the kernel spreads connections over them
/// (`SO_REUSEPORT`). With port 0 the kernel chooses one port for all of them.
///
/// # Errors
/// What the operating system said: the address is taken, not of this machine, or not allowed.
pub fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    // A socket with SO_REUSEPORT may be bound beside another program's; the probe without it tells whether the
    // address is really free.
    let probe = open(address, false)?;
    let real = probe.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    drop(probe);
    (0..count.max(1)).map(|_| listen(real)).collect()
}

fn open(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(address, true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_an_address_and_strangers_do_not() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let ours = bind(any, 2).expect("a free port");
        let addresses: Vec<_> = ours.iter().map(|l| l.local_addr().expect("it is bound")).collect();
        assert_eq!(addresses[0], addresses[1]);
        let taken = bind(addresses[0], 1).expect_err("the address is taken");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }
}
