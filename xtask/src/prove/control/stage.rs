//! A control plane and the sidecars that follow it, as processes; and what an agent says, said by us.

use crate::ports::free_address;
use crate::prove::http;
use crate::prove::process::{self, Running};
use crate::prove::site::Site;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Nothing that works takes longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

const ENVIRONMENT: &str = "proof";

/// How often somebody looks whether something has happened: short beside every bar.
const LOOK: Duration = Duration::from_millis(2);

/// `outrigger control`, as often as it is started in its folder.
pub(super) struct Plane {
    outrigger: PathBuf,
    state: PathBuf,
    /// Words that come before the program's, so that it runs elsewhere.
    within: Vec<String>,
    running: Option<Running>,
    pub(super) api: SocketAddr,
    pub(super) delivery: SocketAddr,
}

impl Plane {
    /// Starts one with a new folder.
    pub(super) fn start(site: &Site) -> Result<Plane> {
        let state = site.folder("control")?.join("state");
        Plane::start_in(site, state, Vec::new())
    }

    /// Starts one with its state in `state`, by a command that begins with the words of `within`.
    pub(super) fn start_in(site: &Site, state: PathBuf, within: Vec<String>) -> Result<Plane> {
        let (api, delivery) = (free_address()?, free_address()?);
        let mut plane = Plane { outrigger: site.outrigger()?, state, within, running: None, api, delivery };
        plane.begin()?;
        plane.wait_until_it_answers()?;
        Ok(plane)
    }

    /// Starts the process, and does not wait for it.
    pub(super) fn begin(&mut self) -> Result<()> {
        let program = self.outrigger.to_string_lossy().into_owned();
        let words: Vec<String> = self.within.iter().cloned().chain([program]).collect();
        let (first, rest) = words.split_first().context("the program is one of the words")?;
        let mut command = Command::new(first);
        command.args(rest).arg("control").args(["--environment", ENVIRONMENT]);
        command.arg("--state-dir").arg(&self.state);
        command.args(["--api", &self.api.to_string(), "--delivery", &self.delivery.to_string()]);
        self.running = Some(Running::start(&mut command)?);
        Ok(())
    }

    /// Waits until its API answers.
    pub(super) fn wait_until_it_answers(&mut self) -> Result<()> {
        let began = Instant::now();
        while http::get(self.api, "/v1/environment").is_err() {
            let running = self.running.as_mut().context("the control plane was not started")?;
            let ended = running.wait(Duration::ZERO).is_ok();
            ensure!(
                !ended && began.elapsed() < PATIENCE,
                "outrigger control does not answer: {}",
                running.said()
            );
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    fn process(&self) -> Result<&Running> {
        self.running.as_ref().context("the control plane does not run")
    }

    /// Its process id.
    pub(super) fn pid(&self) -> Result<u32> {
        Ok(self.process()?.pid())
    }

    /// What it has said.
    pub(super) fn said(&self) -> String {
        self.running.as_ref().map(Running::said).unwrap_or_default()
    }

    /// It goes on living and does nothing any more.
    pub(super) fn freeze(&self) -> Result<()> {
        process::signal(self.pid()?, Signal::STOP)
    }

    /// It goes on.
    pub(super) fn thaw(&self) -> Result<()> {
        process::signal(self.pid()?, Signal::CONT)
    }

    /// SIGTERM, and its end.
    pub(super) fn stop(&mut self) -> Result<()> {
        let mut running = self.running.take().context("the control plane does not run")?;
        running.terminate()?;
        let status = running.wait(PATIENCE)?;
        ensure!(status.success(), "outrigger control ended with {status}: {}", running.said());
        Ok(())
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) -> Result<()> {
        let mut running = self.running.take().context("the control plane does not run")?;
        running.kill()?;
        running.wait(PATIENCE).map(drop)
    }

    /// The token that it made at its first start; read through the process, which may see other file systems than we.
    fn join_token(&self) -> Result<String> {
        let path = format!("/proc/{}/root{}/join-token", self.pid()?, self.state.display());
        let read = || std::fs::read_to_string(&path);
        ensure!(process::wait_until(PATIENCE, || read().is_ok()), "there is no join token at {path}");
        Ok(read()?.trim().to_owned())
    }

    /// What the API says at `path`.
    pub(super) fn look(&self, path: &str) -> Result<Value> {
        let answer = http::get(self.api, path)?;
        ensure!(answer.status == 200, "GET {path}: {} {}", answer.status, answer.text);
        Ok(serde_json::from_str(&answer.text)?)
    }

    /// Every instance that it knows, with its address.
    pub(super) fn instances(&self) -> Result<BTreeMap<String, String>> {
        let answer = self.look("/v1/instances")?;
        let list = answer["instances"].as_array().context("there is no list of instances")?;
        let one = |it: &Value| Some((it["name"].as_str()?.to_owned(), it["inbound"].as_str()?.to_owned()));
        Ok(list.iter().filter_map(one).collect())
    }

    /// Joins as an agent, whose lease is kept until it is dropped.
    pub(super) fn join(&self, name: &str) -> Result<Agent> {
        Agent::join(self.api, name, &self.join_token()?)
    }
}

/// What an agent says, and the beats that keep its lease.
pub(super) struct Agent {
    api: SocketAddr,
    name: String,
    head: String,
    session: u64,
    stop: Arc<AtomicBool>,
    beats: Option<JoinHandle<()>>,
}

/// What came of a registration or its end.
#[derive(Debug)]
pub(super) enum Said {
    /// It is kept; whether everybody has adopted it.
    Kept { settled: bool },
    /// It is not kept: status and text.
    Refused(u16, String),
}

impl Agent {
    fn join(api: SocketAddr, name: &str, token: &str) -> Result<Agent> {
        let session = 1;
        let bearer = |secret: &str| format!("Authorization: Bearer {secret}\r\n");
        let path = format!("/v1/agents/{name}/join");
        let host = api.to_string();
        let body = json!({ "session": session }).to_string();
        let answer = http::send(api, "POST", &path, &host, &bearer(token), &body)?;
        ensure!(answer.status == 200, "joining: {} {}", answer.status, answer.text);
        let joined: Value = serde_json::from_str(&answer.text)?;
        let credential = joined["credential"].as_str().context("no credential was given")?;
        let lease = Duration::from_millis(joined["lease_ms"].as_u64().context("no lease was given")?);
        let (stop, head) = (Arc::new(AtomicBool::new(false)), bearer(credential));
        let beats = beat(api, name, head.clone(), session, lease / 3, stop.clone());
        Ok(Agent { api, name: name.to_owned(), head, session, stop, beats: Some(beats) })
    }

    fn say(&self, method: &str, path: &str, body: &str) -> Result<Said> {
        let path = format!("/v1/agents/{}/{path}", self.name);
        let answer = http::send(self.api, method, &path, &self.api.to_string(), &self.head, body)?;
        if answer.status != 200 {
            return Ok(Said::Refused(answer.status, answer.text));
        }
        let settled: Value = serde_json::from_str(&answer.text)?;
        Ok(Said::Kept { settled: settled["settled"] == true })
    }

    /// Registers an instance of the service before its last stroke; `wait` is how long everybody may take to adopt it.
    pub(super) fn register(
        &self,
        name: &str,
        address: SocketAddr,
        incarnation: u64,
        wait: &str,
    ) -> Result<Said> {
        let (service, _) = name.rsplit_once('-').context("an instance is called SERVICE-NUMBER")?;
        let body = json!({
            "session": self.session, "service": service, "address": address.to_string(), "incarnation": incarnation,
        });
        self.say("PUT", &format!("instances/{name}?wait={wait}"), &body.to_string())
    }

    /// Registers, and is content with nothing less than that it is kept.
    pub(super) fn must_register(&self, name: &str, address: SocketAddr) -> Result<()> {
        match self.register(name, address, 1, "0s")? {
            Said::Kept { .. } => Ok(()),
            Said::Refused(status, text) => bail!("{name} was not registered: {status} {text}"),
        }
    }

    /// Takes an instance out.
    pub(super) fn deregister(&self, name: &str, wait: &str) -> Result<Said> {
        self.say("DELETE", &format!("instances/{name}?session={}&wait={wait}", self.session), "")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(beats) = self.beats.take() {
            beats.thread().unpark();
            // It ends by itself; a panic in it would have been seen as a lapsed lease.
            let _ = beats.join();
        }
    }
}

fn beat(
    api: SocketAddr,
    name: &str,
    head: String,
    session: u64,
    every: Duration,
    stop: Arc<AtomicBool>,
) -> JoinHandle<()> {
    let path = format!("/v1/agents/{name}/beat");
    let body = json!({ "session": session }).to_string();
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            // A control plane that is away hears the next one.
            let _ = http::send(api, "POST", &path, &api.to_string(), &head, &body);
            std::thread::park_timeout(every);
        }
    })
}

/// A sidecar that follows a control plane: an outbound side, and a listener for each service that it calls.
pub(super) struct Sidecar {
    outrigger: PathBuf,
    folder: PathBuf,
    delivery: SocketAddr,
    running: Option<Running>,
    pub(super) admin: SocketAddr,
    /// Where each service is called.
    pub(super) services: BTreeMap<String, SocketAddr>,
}

impl Sidecar {
    /// Starts one that calls `services`, and waits until it is ready.
    pub(super) fn start(site: &Site, plane: &Plane, name: &str, services: &[&str]) -> Result<Sidecar> {
        let folder = site.folder(name)?;
        let (outrigger, admin) = (site.outrigger()?, free_address()?);
        let mut listeners = vec![json!({
            "name": "outbound", "address": free_address()?.to_string(), "role": "outbound",
        })];
        let mut addresses = BTreeMap::new();
        for service in services {
            let address = free_address()?;
            listeners.push(json!({
                "name": service, "address": address.to_string(), "role": "service", "service": service,
            }));
            addresses.insert((*service).to_owned(), address);
        }
        let usual = usual_snapshot(&outrigger)?;
        let settings = &usual["services"][0]["settings"];
        let called =
            services.iter().map(|service| json!({ "name": service, "endpoints": [], "settings": settings }));
        let snapshot = json!({
            "format": 1, "version": "1", "environment": ENVIRONMENT, "service": name, "instance": format!("{name}-1"),
            "listeners": listeners, "services": called.collect::<Vec<_>>(), "bounds": usual["bounds"],
        });
        std::fs::write(folder.join("snapshot.json"), snapshot.to_string())?;
        let delivery = plane.delivery;
        let mut sidecar = Sidecar { outrigger, folder, delivery, running: None, admin, services: addresses };
        sidecar.begin()?;
        Ok(sidecar)
    }

    /// Starts the process with what it knows from before, and waits until it is ready; how long that took.
    pub(super) fn begin(&mut self) -> Result<Duration> {
        let mut command = Command::new(&self.outrigger);
        command.arg("sidecar").arg("--snapshot").arg(self.folder.join("snapshot.json"));
        command.args(["--control", &self.delivery.to_string(), "--admin", &self.admin.to_string()]);
        command.arg("--last-known-good").arg(self.folder.join("known.json"));
        let began = Instant::now();
        let running = Running::start(&mut command)?;
        while !http::get(self.admin, "/ready").is_ok_and(|answer| answer.status == 200) {
            ensure!(began.elapsed() < PATIENCE, "a sidecar is not ready: {}", running.said());
            // Short beside what is measured, long enough to leave the processor to the sidecar.
            std::thread::sleep(Duration::from_micros(200));
        }
        self.running = Some(running);
        Ok(began.elapsed())
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) -> Result<()> {
        let mut running = self.running.take().context("the sidecar does not run")?;
        running.kill()?;
        running.wait(PATIENCE).map(drop)
    }

    /// Its process id.
    pub(super) fn pid(&self) -> Result<u32> {
        Ok(self.running.as_ref().context("the sidecar does not run")?.pid())
    }

    /// Where `service` is called.
    pub(super) fn address_of(&self, service: &str) -> Result<SocketAddr> {
        self.services.get(service).copied().with_context(|| format!("this sidecar does not call {service}"))
    }

    /// Calls `service`: status and body.
    pub(super) fn call(&self, service: &str) -> Result<(u16, String)> {
        let answer = http::request(self.address_of(service)?, "GET", "/", service, "")?;
        Ok((answer.status, answer.text))
    }

    /// The endpoints that it routes to, by service: address by name.
    pub(super) fn endpoints(&self) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
        let dump: Value = serde_json::from_str(&http::get(self.admin, "/config_dump")?.text)?;
        let services = dump["services"].as_array().context("/config_dump has no services")?;
        let endpoint =
            |it: &Value| Some((it["name"].as_str()?.to_owned(), it["address"].as_str()?.to_owned()));
        let service = |it: &Value| {
            let endpoints = it["endpoints"].as_array()?.iter().filter_map(endpoint).collect();
            Some((it["name"].as_str()?.to_owned(), endpoints))
        };
        Ok(services.iter().filter_map(service).collect())
    }

    /// A gauge or counter of its metrics, without labels.
    pub(super) fn metric(&self, name: &str) -> Result<f64> {
        let text = http::get(self.admin, "/metrics")?.text;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.with_context(|| format!("/metrics has no {name}"))
    }
}

/// A snapshot with the settings and bounds that ship, as a running proxy shows its own.
fn usual_snapshot(outrigger: &Path) -> Result<Value> {
    let (listen, admin) = (free_address()?.to_string(), free_address()?);
    let mut command = Command::new(outrigger);
    command.args(["proxy", "--listen", &listen, "--to", "127.0.0.1:1", "--admin", &admin.to_string()]);
    let running = Running::start(&mut command)?;
    let shown = || http::get(admin, "/config_dump").is_ok_and(|answer| answer.status == 200);
    time_until(PATIENCE, shown).with_context(|| format!("a proxy does not start: {}", running.said()))?;
    Ok(serde_json::from_str(&http::get(admin, "/config_dump")?.text)?)
}

/// Asks `done` every two milliseconds; how long it took until it said yes.
pub(super) fn time_until(within: Duration, mut done: impl FnMut() -> bool) -> Option<Duration> {
    let began = Instant::now();
    while !done() {
        if began.elapsed() > within {
            return None;
        }
        std::thread::sleep(LOOK);
    }
    Some(began.elapsed())
}

/// A folder's path as the words of a command.
pub(super) fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
