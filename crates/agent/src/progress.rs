//! What people are told while an environment starts, runs and stops: one line for what they would ask about.

use crate::agent::Agent;
use crate::terminal::Terminal;
use crate::up::Purpose;
use api::{Event, InstanceState};
use std::collections::HashSet;
use std::path::Path;
use std::time::SystemTime;

/// Tells people.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: Terminal,
    purpose: Purpose,
    /// A command has stdout then, and people look at what it says.
    has_command: bool,
    told: HashSet<String>,
    ready: bool,
}

impl Progress {
    /// Nothing was told yet.
    pub(crate) fn begin(terminal: Terminal, purpose: Purpose, command: &[String]) -> Progress {
        Progress { terminal, purpose, has_command: !command.is_empty(), told: HashSet::new(), ready: false }
    }

    /// A line.
    pub(crate) fn say(&self, text: &str) {
        self.terminal.say(text);
    }

    /// What is about to start.
    pub(crate) fn starting(&self, agent: &Agent) {
        if self.purpose == Purpose::App {
            return;
        }
        let services = agent.desired.services.len();
        let units = agent.desired.units.iter().filter(|unit| unit.service.is_some()).count();
        self.say(&format!(
            "{}: {}, {}, each with its sidecar; logs in {}",
            agent.desired.name,
            counted(services, "service"),
            counted(units, "instance"),
            agent.hands.state.logs().display()
        ));
    }

    /// Something happened.
    pub(crate) fn event(&mut self, agent: &Agent, event: &Event) {
        let who = event.instance.as_deref().unwrap_or_default();
        match event.kind.as_str() {
            "plane-away" | "plane-back" => self.say(&event.text),
            "registration-refused" | "not-settled" | "not-answering" => {
                self.say(&format!("{who}: {}", event.text))
            }
            "exited" if self.purpose == Purpose::App => {}
            "in-rotation" | "done" if !self.ready => self.service_ready(agent, event),
            // What went wrong is told at any time; what goes its way only by `outrigger events`.
            "exited" | "failed" | "killed" | "sidecar-exited" | "reload-refused" | "spared"
            | "not-ending" => {
                self.say(&format!("{who}: {}", event.text));
            }
            "in-rotation" | "restarting" => self.say(&format!("{who}: {}", event.text)),
            _ => {}
        }
    }

    fn service_ready(&mut self, agent: &Agent, event: &Event) {
        if self.purpose == Purpose::App {
            return;
        }
        let Some(name) = event.service.as_deref().filter(|name| !self.told.contains(*name)) else { return };
        let services = agent.services().services;
        let Some(service) = services.iter().find(|service| service.name == name) else { return };
        let there = agent.desired.named(name).into_iter().all(|at| agent.observed.units[at].been_ready);
        if there {
            let took = SystemTime::now().duration_since(agent.since).unwrap_or_default();
            let what = if service.kind == "job" { "done" } else { "in rotation" };
            let count = service.instances;
            self.say(&format!("✓ {name}: {count} {what} after {:.1} s", took.as_secs_f64()));
            self.told.insert(name.to_owned());
        }
    }

    /// Everything is there: where to look, and what to type next.
    pub(crate) fn ready(&mut self, agent: &Agent) {
        self.ready = true;
        let environment = agent.environment();
        let url = environment.edge.clone().unwrap_or_else(|| environment.api.clone());
        if self.has_command {
            return;
        }
        if self.purpose == Purpose::App {
            return self.app_ready(agent);
        }
        self.say("");
        if let Some(edge) = &environment.edge {
            self.say(&format!("  edge      {edge}"));
        }
        if agent.api.is_some() {
            self.say(&format!("  API       {}v1/instances", environment.api));
        }
        if let (Some(outbound), Some(service)) = (&environment.outbound, called(agent)) {
            self.say(&format!("  by name   curl -x {outbound} http://{service}/"));
        }
        let api = match agent.api.map(|api| api.to_string()) {
            Some(address) if address != api::DEFAULT_ADDRESS => format!(" --api {address}"),
            _ => String::new(),
        };
        let example = agent.desired.units.iter().find(|unit| unit.service.is_some());
        let example = example.map_or("NAME", |unit| unit.name.as_str());
        self.say(&format!("  next      outrigger instances{api}"));
        self.say(&format!("            outrigger logs {example} -f{api}"));
        self.say(&format!("            outrigger restart {example}{api}"));
        self.say(&format!("            outrigger events -f{api}"));
        self.say("  stop      Ctrl-C");
        self.say("");
        // For scripts: the one line on stdout.
        self.terminal.data(&format!("ready: {url}"));
    }

    /// The app can be called: where.
    fn app_ready(&self, agent: &Agent) {
        let unit = agent.desired.units.iter().zip(&agent.hands.addresses).find(|(u, _)| u.service.is_some());
        let Some((unit, addresses)) = unit else { return };
        let service = unit.service.and_then(|index| agent.desired.services.get(index));
        if let (Some(service), Some(inbound)) = (service, addresses.inbound) {
            let environment = agent.hands.joined.as_ref().map_or("", |joined| &joined.environment);
            self.say(&format!(
                "{} is in rotation: others in {environment} call it by the name {}, its sidecar listens at \
                 http://{inbound}/ and tells about itself at http://{}/",
                unit.name, service.name, addresses.admin
            ));
        }
    }

    /// The environment does not start.
    pub(crate) fn failed(&self, why: &str, lines: &[String], log: &Path) {
        self.say("");
        self.say(&format!("✗ {why}"));
        if lines.is_empty() {
            self.say("  it wrote nothing");
        }
        for line in lines {
            self.say(&format!("  │ {line}"));
        }
        self.say(&format!("  all of it: {}", log.display()));
        self.say("");
    }

    /// A stop was asked for.
    pub(crate) fn stopping(&self) {
        self.say(match self.purpose {
            Purpose::App => "stopping: first nobody calls it any more; once more to kill at once",
            _ => "stopping, callers before those that they call; once more to kill at once",
        });
    }
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A service to try: the one that the edge leads to first, or any that is in rotation.
fn called(agent: &Agent) -> Option<String> {
    let edge = agent.desired.edge.as_ref().and_then(|edge| edge.routes.first());
    let edge = edge.map(|route| route.service.to_string());
    let any = || {
        let unit = (0..agent.states.len()).find(|at| {
            agent.states[*at].0 == InstanceState::InRotation && agent.desired.service(*at).is_some()
        });
        unit.and_then(|at| agent.desired.service(at)).map(|service| service.name.to_string())
    };
    edge.or_else(any)
}
