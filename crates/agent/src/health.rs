//! Is an app there? Asked directly, not through its sidecar, so that a sidecar's refusals are not taken for the app's.
//!
//! Startup and liveness are two questions. The first decides when callers may come, and is asked until it passes
//! once. The second is asked from then on and decides nothing here: failures in a row are news for the plan.

use crate::ask::ask_status;
use crate::desired::{Liveness, Probe, Startup};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Asks once.
///
/// # Errors
/// Why it did not pass, for people.
pub(crate) async fn probe(probe: &Probe, app: SocketAddr, within: Duration) -> Result<(), String> {
    match probe {
        Probe::Tcp => match timeout(within, TcpStream::connect(app)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("connecting to {app}: {error}")),
            Err(_) => Err(format!("connecting to {app} took longer than {} ms", within.as_millis())),
        },
        Probe::Http(path) => match ask_status(app, path, within).await {
            Ok(200..=299) => Ok(()),
            Ok(status) => Err(format!("GET http://{app}{path} was answered with {status}")),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                Err(format!("GET http://{app}{path} took longer than {} ms", within.as_millis()))
            }
            Err(error) => Err(format!("GET http://{app}{path}: {error}")),
        },
    }
}

/// Asks until it passes once. Whoever waits for this gives up by himself.
pub(crate) async fn await_startup(startup: &Startup, app: SocketAddr) {
    let mut ticks = interval(startup.every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if probe(&startup.probe, app, startup.timeout).await.is_ok() {
            return;
        }
    }
}

/// Asks for ever and tells `news` each answer.
pub(crate) async fn watch(liveness: &Liveness, app: SocketAddr, news: impl Fn(Result<(), String>)) {
    let mut ticks = interval(liveness.every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once, when the startup probe has only just passed.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        news(probe(&liveness.probe, app, liveness.timeout).await);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    const TIME: Duration = Duration::from_secs(20);

    /// An app that answers each connection with the next of these.
    async fn app(answers: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn a_path_passes_with_200_to_299() {
        let answers =
            &["HTTP/1.1 204 x\r\n\r\n", "HTTP/1.1 302 x\r\n\r\n", "HTTP/1.1 503 x\r\n\r\n", "boo\n"];
        let address = app(answers).await;
        let path = Probe::Http("/health".into());
        assert_eq!(probe(&path, address, TIME).await, Ok(()));
        for want in ["answered with 302", "answered with 503", "GET http://127.0.0.1"] {
            let why = probe(&path, address, TIME).await.unwrap_err();
            assert!(why.contains(want), "{why}");
        }
    }

    #[tokio::test]
    async fn a_startup_is_asked_until_it_passes() {
        let address =
            app(&["HTTP/1.1 503 x\r\n\r\n", "HTTP/1.1 503 x\r\n\r\n", "HTTP/1.1 200 x\r\n\r\n"]).await;
        let every = Duration::from_millis(1);
        let startup = Startup { probe: Probe::Http("/".into()), every, timeout: TIME, within: TIME };
        tokio::time::timeout(TIME, await_startup(&startup, address)).await.unwrap();
    }

    #[tokio::test]
    async fn nobody_there_is_no_connection() {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(probe(&Probe::Tcp, address, TIME).await.unwrap_err().starts_with("connecting to"));
        let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
        assert_eq!(probe(&Probe::Tcp, held.local_addr().unwrap(), TIME).await, Ok(()));
    }
}
