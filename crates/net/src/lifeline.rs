//! A pipe whose other end only our parent holds: when it closes, the parent is gone, however it went.

use tokio::io::AsyncReadExt;

/// Waits until the other end of standard input is closed. Bytes that come are thrown away.
///
/// A parent that dies by SIGKILL can send nothing; the kernel closes its end of the pipe for it. Unlike
/// `PR_SET_PDEATHSIG` this does not depend on which thread of the parent started us.
pub async fn wait_for_end_of_input() {
    let Ok(pipe) = tokio::net::unix::pipe::Receiver::from_owned_fd(duplicate_input()) else {
        // Not a pipe (a terminal, a file): nobody holds a lifeline, and none can be cut.
        return std::future::pending().await;
    };
    let mut pipe = pipe;
    let mut bytes = [0u8; 64];
    while matches!(pipe.read(&mut bytes).await, Ok(n) if n > 0) {}
}

fn duplicate_input() -> std::os::fd::OwnedFd {
    rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)
        .or_else(|_| rustix::fs::open("/dev/null", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()))
        .expect("a process that cannot open two descriptors at its start cannot go on")
}
