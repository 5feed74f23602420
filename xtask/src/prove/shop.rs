//! The example shop, running under `outrigger up`, and the commands that ask about it.

use super::process::{self, Running};
use super::site::{self, Site};
use super::{http, open_loop};
use crate::ports::free_address;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a warm start may take before we stop waiting; the bar is stricter.
const START: Duration = Duration::from_secs(90);

/// A running shop. Dropped, it is stopped.
pub(crate) struct Shop {
    running: Running,
    outrigger: PathBuf,
    api: SocketAddr,
    edge: SocketAddr,
    ledger: PathBuf,
}

/// An instance of the shop as `outrigger instances -o json` shows it.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) service: String,
    pub(crate) pid: u32,
    pub(crate) in_rotation: bool,
}

/// `outrigger up examples/shop` in `folder`, with files of its own under `home`.
pub(crate) fn up(outrigger: &Path, folder: &Path, home: &Path) -> Command {
    let mut command = Command::new(outrigger);
    command.args(["up", "examples/shop"]).current_dir(folder);
    own_home(&mut command, home);
    command
}

/// Points every place for files of one's own into `home`, so that what is left behind can be seen.
pub(crate) fn own_home(command: &mut Command, home: &Path) {
    for variable in ["XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "TMPDIR"] {
        let folder = home.join(variable.to_lowercase());
        // A folder that cannot be made shows as a failed start, with its reason.
        let _ = std::fs::create_dir_all(&folder);
        command.env(variable, folder);
    }
}

impl Shop {
    /// Starts the shop and waits until it answers a page.
    pub(crate) fn start(site: &Site) -> Result<Shop> {
        let outrigger = site.outrigger()?;
        let home = site.folder("shop")?;
        let ledger = home.join("ledger");
        let api = free_address()?;
        let mut command = up(&outrigger, site.root(), &home);
        // Addresses of our own: another environment may be running on this machine.
        command.env("SHOP_LEDGER_DIR", &ledger).args(["--api", &api.to_string()]);
        command.args(["--edge", &free_address()?.to_string()]);
        let running = Running::start(&mut command)?;
        let mut shop = Shop { running, outrigger, api, edge: api, ledger };
        let ready = process::wait_until(START, || shop.environment().is_ok_and(|it| it["state"] == "ready"));
        ensure!(ready, "the shop is not ready: {}", site::last_lines(&shop.running.said(), 12));
        let edge = shop.environment()?["edge"].as_str().unwrap_or_default().to_owned();
        let address = http::address_in(&edge).or_else(|| edge.parse().ok());
        shop.edge = address.with_context(|| format!("the environment names no edge but {edge:?}"))?;
        let page = http::get(shop.edge, "/")?;
        ensure!(page.status == 200, "the page answers {}: {}", page.status, page.text);
        Ok(shop)
    }

    /// Where pages are asked for.
    pub(crate) fn edge(&self) -> SocketAddr {
        self.edge
    }

    /// The instances of services, the edge left out.
    pub(crate) fn instances(&self) -> Result<Vec<Instance>> {
        read_instances(&self.ask(&["instances"])?)
    }

    /// Everything that happened so far.
    pub(crate) fn events(&self) -> Result<Vec<Value>> {
        let answer = self.ask(&["events"])?;
        Ok(answer["events"].as_array().context("events -o json has no list `events`")?.clone())
    }

    /// Restarts a service one instance after the other; returns when it is through.
    pub(crate) fn restart(&self, service: &str) -> Result<()> {
        site::quietly(self.command().args(["restart", service]))
    }

    /// Waits until as many instances of `service` are in rotation as before, none of them `gone`.
    pub(crate) fn wait_replaced(&self, gone: &Instance, within: Duration) -> Result<()> {
        let replaced = || {
            // Over HTTP: starting a program ten times a second would disturb what is measured.
            let answer =
                http::get(self.api, "/v1/instances").and_then(|it| Ok(serde_json::from_str(&it.text)?));
            answer.and_then(|answer| read_instances(&answer)).is_ok_and(|all| {
                all.iter().any(|it| it.name == gone.name && it.in_rotation && it.pid != gone.pid)
            })
        };
        ensure!(process::wait_until(within, replaced), "{} did not come back within {within:?}", gone.name);
        Ok(())
    }

    /// How often each purchase was executed, from the ledgers that the instances write.
    pub(crate) fn ledger(&self) -> Result<open_loop::Ledger> {
        open_loop::Ledger::read(&self.ledger)
    }

    /// The file that the sidecar of an instance of `service` was started from.
    pub(crate) fn snapshot(&self, service: &str) -> Result<PathBuf> {
        let environment = self.environment()?;
        let state = environment["state_folder"].as_str().context("the environment names no state_folder")?;
        let wanted = format!("\"service\": \"{service}\"");
        let holds = |file: &PathBuf| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            text.contains("\"listeners\"") && text.contains(&wanted)
        };
        let found = super::files_under(Path::new(state)).into_iter().find(holds);
        found.with_context(|| format!("no snapshot of {service} lies under {state}"))
    }

    fn environment(&self) -> Result<Value> {
        let answer = http::get(self.api, "/v1/environment")?;
        Ok(serde_json::from_str(&answer.text)?)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.outrigger);
        command.env("OUTRIGGER_API", self.api.to_string());
        command
    }

    fn ask(&self, words: &[&str]) -> Result<Value> {
        let text = site::output_of(self.command().args(words).args(["-o", "json"]))?;
        serde_json::from_str(&text).with_context(|| format!("{words:?} -o json printed no JSON: {text}"))
    }
}

fn read_instances(answer: &Value) -> Result<Vec<Instance>> {
    let list = answer["instances"].as_array().context("instances -o json has no list `instances`")?;
    Ok(list.iter().filter_map(instance).collect())
}

fn instance(value: &Value) -> Option<Instance> {
    Some(Instance {
        name: value["name"].as_str()?.to_owned(),
        service: value["service"].as_str()?.to_owned(),
        pid: value["pid"].as_u64()?.try_into().ok()?,
        in_rotation: value["state"] == "in-rotation",
    })
}
