//! Waking on time. tokio's timers count in milliseconds, which is longer than
//! most answers on loopback take; a kernel timer wakes within tens of
//! microseconds.

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::io;
use std::time::Instant;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

/// One kernel timer, for one task.
///
/// A timer is read like a pipe: eight bytes each time it is due. tokio's pipe is
/// therefore the way to wait for one without `unsafe`.
#[derive(Debug)]
pub struct Pacer {
    timer: Receiver,
}

impl Pacer {
    /// A timer on the running tokio runtime.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self { timer: Receiver::from_owned_fd_unchecked(timer)? })
    }

    /// Returns at `moment`, or at once when it has passed.
    ///
    /// # Errors
    /// When the timer cannot be armed or read.
    pub async fn until(&mut self, moment: Instant) -> io::Result<()> {
        let wait = moment.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return Ok(());
        }
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: wait.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: wait.subsec_nanos().into(),
            },
        };
        timerfd_settime(rustix::fd::AsFd::as_fd(&self.timer), TimerfdTimerFlags::empty(), &once)?;
        // Room for more than the eight bytes that come: a short read tells tokio
        // that nothing is left, which saves it a read that finds nothing.
        let mut count = [0u8; 16];
        self.timer.read(&mut count).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    #[test]
    fn wakes_at_the_moment_and_never_before() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let mut pacer = Pacer::new().unwrap();
            for micros in [0, 1, 300, 2500, 1] {
                let moment = Instant::now() + Duration::from_micros(micros);
                pacer.until(moment).await.unwrap();
                assert!(Instant::now() >= moment, "woke before {micros} us had passed");
            }
        });
    }
}
