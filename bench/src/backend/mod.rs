//! What stands behind a proxy: fixed replies at the lowest cost (`--fast`), or
//! instances with a queue, parallel workers, a drawn service time and spells of
//! slowness.
//!
//! One process can be many back ends: each `--listen` address is one instance
//! with its own queue and workers. The clock of the slow spells starts with the
//! first request, so that it agrees with the load's clock.

mod instance;
mod options;
mod serve;

pub use options::{Options, Slow};

use anyhow::Context as _;
use instance::Instance;
use serve::Site;
use std::rc::Rc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Serves until SIGTERM or Ctrl-C, then returns what was counted, as JSON.
///
/// Prints one line when every address listens: `{"listen":["127.0.0.1:9000"]}`.
///
/// # Errors
/// When an address cannot be listened on.
pub async fn run(options: Options) -> anyhow::Result<serde_json::Value> {
    let mut listeners = Vec::new();
    for address in options.addresses()? {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}: is the port taken?"))?;
        listeners.push(listener);
    }
    let addresses = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.to_string()))
        .collect::<std::io::Result<Vec<_>>>()?;
    let instances = addresses
        .iter()
        .enumerate()
        .map(|(index, address)| Instance::new(index, address, &options))
        .collect();
    println!("{}", serde_json::json!({ "listen": addresses }));

    let site = Rc::new(Site::new(options, instances));
    for (index, listener) in listeners.into_iter().enumerate() {
        tokio::task::spawn_local(serve::accept(site.clone(), index, listener));
    }
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminated.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(site.counts())
}

#[cfg(test)]
mod tests;
