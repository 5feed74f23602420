//! Sockets, the process's clock and limits, files of lines and of secrets, and a small HTTP server for loopback
//! administration.
//!
//! Nothing here knows a policy or a request's meaning: it is what the operating system gives, made safe to use.

pub mod admin;
pub mod back_off;
pub mod bounded_file;
pub mod clock;
pub mod lifeline;
pub mod limits;
pub mod listen;
pub mod private;
pub mod random;
pub mod strangers;
pub mod wire;

/// Starts a connection to `address` without waiting for it: when the stream becomes writable, `take_error` says
/// whether it stands.
///
/// # Errors
/// What the operating system said, at once: no descriptors, no route, a refusal on the spot.
pub fn connect(address: std::net::SocketAddr) -> std::io::Result<tokio::net::TcpStream> {
    use socket2::{Domain, Protocol, Socket, Type};
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        Err(e) => return Err(e),
    }
    tokio::net::TcpStream::from_std(socket.into())
}

/// Asks the kernel to make sure, a minute into every silence, that the other side of `stream` is still there. For
/// connections that may be silent for ever, such as tunnels: a peer that vanished would hold one for ever too.
pub fn probe_when_silent(stream: &tokio::net::TcpStream) {
    let probes = socket2::TcpKeepalive::new()
        .with_time(std::time::Duration::from_secs(60))
        .with_interval(std::time::Duration::from_secs(15))
        .with_retries(4);
    // A socket that cannot be probed still serves.
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&probes);
}
