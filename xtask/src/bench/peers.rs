//! The contestants: how each is configured and started.

use super::install;
use super::process::{PROXY_CORE, Process, pinned};
use super::workshop::Workshop;
use crate::ports::free_address;
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A proxy to be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contestant {
    /// The limit: bytes copied, nothing understood.
    Relay,
    /// This proxy, all default policies and metrics on, access log off.
    Outrigger,
    /// This proxy without policies.
    OutriggerBare,
    /// HAProxy, plain.
    Haproxy,
    /// HAProxy with features like ours.
    HaproxyFeatures,
    /// nginx, plain.
    Nginx,
    /// Envoy, plain.
    Envoy,
    /// Envoy with features like ours.
    EnvoyFeatures,
}

/// A contestant that runs.
pub(super) struct Running {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
}

impl Contestant {
    /// What tables call it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Relay => "raw TCP relay (the limit)",
            Self::Outrigger => "**Outrigger**, default policies",
            Self::OutriggerBare => "Outrigger, `--policies off`",
            Self::Haproxy => "HAProxy, plain",
            Self::HaproxyFeatures => "HAProxy, like features",
            Self::Nginx => "nginx",
            Self::Envoy => "Envoy, plain",
            Self::EnvoyFeatures => "Envoy, like features",
        }
    }

    /// The name used on the command line and in JSON.
    pub(super) fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self)
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The configuration under `bench/peers`, for those that read one.
    fn configuration(self) -> Option<&'static str> {
        match self {
            Self::Relay | Self::Outrigger | Self::OutriggerBare => None,
            Self::Haproxy => Some("hap.cfg"),
            Self::HaproxyFeatures => Some("hapf.cfg"),
            Self::Nginx => Some("ngx.conf"),
            Self::Envoy => Some("envoy.json"),
            Self::EnvoyFeatures => Some("envoyf.json"),
        }
    }

    fn program(self, workshop: &Workshop) -> Result<PathBuf> {
        match self {
            Self::Relay => Ok(workshop.tool("relay")),
            Self::Outrigger | Self::OutriggerBare => Ok(workshop.tool("outrigger")),
            Self::Haproxy | Self::HaproxyFeatures => install::system("haproxy"),
            Self::Nginx => install::system("nginx"),
            Self::Envoy | Self::EnvoyFeatures => install::envoy(workshop),
        }
    }

    /// The version that was measured.
    pub(super) fn version(self, workshop: &Workshop) -> Result<String> {
        let flag = match self {
            Self::Relay => return Ok(env!("CARGO_PKG_VERSION").to_owned()),
            Self::Haproxy | Self::HaproxyFeatures | Self::Nginx => "-v",
            Self::Outrigger | Self::OutriggerBare | Self::Envoy | Self::EnvoyFeatures => "--version",
        };
        install::version(&self.program(workshop)?, flag)
    }

    /// Starts it on a free port, in front of `backend`, and waits until it accepts connections.
    pub(super) fn start(self, workshop: &Workshop, backend: SocketAddr) -> Result<Running> {
        let address = free_address()?;
        let program = self.program(workshop)?;
        let mut command = pinned(PROXY_CORE, &program);
        command.args(self.arguments(workshop, address, backend)?);
        let mut process = Process::start(&self.name(), workshop.folder(), &mut command)?;
        process.wait_for(address)?;
        Ok(Running { process, address })
    }

    fn arguments(self, workshop: &Workshop, address: SocketAddr, backend: SocketAddr) -> Result<Vec<String>> {
        let (listen, to) = (address.to_string(), backend.to_string());
        let configuration = self.write_configuration(workshop, address, backend)?;
        let file = configuration.display().to_string();
        let words: Vec<&str> = match self {
            Self::Relay => vec!["--listen", &listen, "--to", &to],
            Self::Outrigger => vec!["proxy", "--listen", &listen, "--to", &to],
            Self::OutriggerBare => vec!["proxy", "--listen", &listen, "--to", &to, "--policies", "off"],
            Self::Haproxy | Self::HaproxyFeatures => vec!["-db", "-f", &file],
            Self::Nginx => vec!["-e", "/dev/null", "-c", &file],
            Self::Envoy | Self::EnvoyFeatures => {
                vec!["--disable-hot-restart", "--log-level", "error", "--concurrency", "1", "-c", &file]
            }
        };
        Ok(words.into_iter().map(str::to_owned).collect())
    }

    /// Copies the configuration with today's ports in the place of 7001 and 9000; nothing else is changed.
    fn write_configuration(
        self,
        workshop: &Workshop,
        address: SocketAddr,
        backend: SocketAddr,
    ) -> Result<PathBuf> {
        let Some(name) = self.configuration() else { return Ok(PathBuf::new()) };
        let source = workshop.root().join("bench/peers").join(name);
        let text =
            std::fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
        let folder = workshop.folder().display().to_string();
        let written = workshop.folder().join(name);
        std::fs::write(&written, configured(&text, address.port(), backend.port(), &folder))
            .with_context(|| format!("cannot write {}", written.display()))?;
        Ok(written)
    }
}

fn configured(text: &str, listen: u16, backend: u16, folder: &str) -> String {
    text.replace("127.0.0.1:7001", &format!("127.0.0.1:{listen}"))
        .replace("127.0.0.1:9000", &format!("127.0.0.1:{backend}"))
        .replace("\"port_value\": 7001", &format!("\"port_value\": {listen}"))
        .replace("\"port_value\": 9000", &format!("\"port_value\": {backend}"))
        .replace("pid ngx.pid", &format!("pid {folder}/nginx.pid"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn every_configuration_gets_both_ports_and_keeps_the_rest() {
        let folder = crate::root().unwrap().join("bench/peers");
        for name in Contestant::value_variants().iter().filter_map(|one| one.configuration()) {
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            let written = configured(&text, 41_001, 41_002, "/folder");
            assert_eq!(written.matches("41001").count(), 1, "{name}: one listener");
            assert_eq!(written.matches("41002").count(), 1, "{name}: one back end");
            assert!(!written.contains("7001") && !written.contains(":9000"), "{name}");
            assert_eq!(configured(&text, 7001, 9000, ".").lines().count(), text.lines().count());
        }
    }
}
