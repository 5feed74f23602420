//! Listening sockets that several workers share.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Connections that may wait for an accept; the kernel caps it at `net.core.somaxconn`.
pub const BACKLOG: i32 = 4096;

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

/// As many connections may wait at `listener` as at ours: what the standard library binds lets 128 wait, and of
/// thousands of sidecars or agents that come back at the same moment, most would try in vain for a second or more.
///
/// # Errors
/// It does not listen.
pub fn lengthen(listener: &TcpListener) -> io::Result<()> {
    // Linux takes a second call of listen(2) as another length of the queue; who waits already goes on waiting.
    socket2::SockRef::from(listener).listen(BACKLOG)
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

    #[test]
    fn many_may_wait_at_a_listener_that_the_standard_library_bound() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        lengthen(&listener).expect("it listens");
        let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok();
        let most = most.and_then(|text| text.trim().parse().ok()).unwrap_or(128).min(200);
        let address = listener.local_addr().expect("it is bound");
        // Nobody accepts: where the queue is full, the next one waits in vain.
        let connect = |_| std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_secs(2));
        let waiting: Vec<_> = (0..most).map_while(|at| connect(at).ok()).collect();
        assert_eq!(waiting.len(), most);
    }
}
