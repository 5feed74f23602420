//! The judgement: what was seen becomes a line for each check. Nothing is looked at here.

use super::Seen;
use super::catalogue::{self, get};
use super::machine::Machine;
use super::plane::{Answers, Sync};
use api::{Check, CheckState, EnvironmentState, Instance, InstanceState, Service};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// A sidecar needs some hundred files at rest and one for each connection: with fewer than this it refuses early …
const FEW_DESCRIPTORS: u64 = 4096;
/// … and with fewer than this it hardly starts.
const TOO_FEW_DESCRIPTORS: u64 = 256;
/// Clocks of machines that follow a time server differ by milliseconds; whole seconds are compared.
const CLOCKS_APART: i64 = 2;
/// A change reaches a sidecar in milliseconds; one that takes so long is worth a word.
const BEHIND: Duration = Duration::from_secs(2);
/// So many ends within [`LATELY`] are no accident.
const MANY_ENDS: usize = 3;
/// What counts as lately.
const LATELY: Duration = Duration::from_secs(300);

use CheckState::{Broken, Fine, Warning};

/// The line of a check. What is not fine says how to mend it.
fn line(id: &str, state: CheckState, text: impl Into<String>) -> Check {
    let entry = get(id);
    let mend = entry.filter(|_| state != Fine).map(|entry| entry.advice.mend.to_owned());
    let group = entry.map_or("", |entry| entry.group.word()).to_owned();
    Check { id: id.to_owned(), group, state, text: text.into(), mend }
}

/// A line for each of `found`; where there is none, that all is `well`.
fn each(id: &str, state: CheckState, found: Vec<String>, well: impl Into<String>) -> Vec<Check> {
    if found.is_empty() {
        return vec![line(id, Fine, well)];
    }
    found.into_iter().map(|text| line(id, state, text)).collect()
}

/// What is to be said of what was seen, by group.
pub(crate) fn examine(seen: &Seen) -> Vec<Check> {
    let mut checks = machine(&seen.machine);
    match &seen.plane {
        Ok(answers) => {
            checks.extend(control_plane(answers));
            checks.extend(agents(answers));
            checks.extend(sidecars(answers));
            checks.extend(services(answers));
        }
        Err(why) => checks.push(line(catalogue::ANSWERS, Broken, why)),
    }
    checks
}

fn machine(machine: &Machine) -> Vec<Check> {
    let Machine { descriptors, loopback, state: (folder, written) } = machine;
    let state = match *descriptors {
        0..TOO_FEW_DESCRIPTORS => Broken,
        TOO_FEW_DESCRIPTORS..FEW_DESCRIPTORS => Warning,
        FEW_DESCRIPTORS.. => Fine,
    };
    let descriptors =
        line(catalogue::DESCRIPTORS, state, format!("a process of this user may open {descriptors} files"));
    let loopback = match loopback {
        Ok(()) => line(catalogue::LOOPBACK, Fine, "programs of this machine reach each other at 127.0.0.1"),
        Err(why) => line(catalogue::LOOPBACK, Broken, format!("127.0.0.1 cannot be used: {why}")),
    };
    let folder = folder.display();
    let state = match written {
        Ok(()) => line(catalogue::STATE, Fine, format!("state can be kept in {folder}")),
        Err(why) => line(catalogue::STATE, Broken, format!("state cannot be kept in {folder}: {why}")),
    };
    vec![descriptors, loopback, state]
}

fn control_plane(answers: &Answers) -> Vec<Check> {
    let Answers { address, environment, events, ahead, .. } = answers;
    let mut checks = vec![line(
        catalogue::ANSWERS,
        Fine,
        format!("environment {} answers at {address}", environment.name),
    )];
    let (state, text) = match environment.state {
        EnvironmentState::Ready => (Fine, "the environment is ready"),
        EnvironmentState::Starting => (Warning, "the environment is starting"),
        EnvironmentState::Stopping => (Warning, "the environment is being stopped"),
        EnvironmentState::Failed => (Broken, "the environment could not be started"),
    };
    checks.push(line(catalogue::READY, state, text));
    let store = events.iter().rev().find(|e| e.kind == "store-failed" || e.kind == "store-back");
    checks.push(match store.filter(|event| event.kind == "store-failed") {
        Some(event) => line(catalogue::STORE, Broken, format!("the store does not keep: {}", event.text)),
        None => line(catalogue::STORE, Fine, "what is registered is kept"),
    });
    checks.extend(ahead.map(|ahead| match ahead.abs() >= CLOCKS_APART {
        false => line(catalogue::CLOCK, Fine, "its clock and this one agree"),
        true => {
            let way = if ahead > 0 { "ahead of" } else { "behind" };
            let text = format!("its clock is {} s {way} this one", ahead.abs());
            line(catalogue::CLOCK, Warning, text)
        }
    }));
    checks
}

fn agents(answers: &Answers) -> Vec<Check> {
    let Some((silent, all)) = &answers.silent else { return Vec::new() };
    let text = |name: &String| format!("agent {name} has been silent for longer than its lease");
    let well = count(*all, "agent was heard of in time", "agents were heard of in time");
    each(catalogue::SILENT, Broken, silent.iter().map(text).collect(), well)
}

/// `1 noun` or `2 nouns`.
fn count(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

fn sidecars(answers: &Answers) -> Vec<Check> {
    let instances = &answers.instances.instances;
    // Only whoever started a sidecar knows of its process.
    let ours: Vec<&Instance> = instances.iter().filter(|i| i.admin.is_some() && is_alive(i.state)).collect();
    let mut checks = Vec::new();
    if !ours.is_empty() {
        let without = ours.iter().filter(|i| i.sidecar_pid.is_none());
        let found = without.map(|i| format!("{} has no sidecar at the moment", i.name)).collect();
        let well = count(ours.len(), "sidecar runs", "sidecars run");
        checks.extend(each(catalogue::SIDECAR, Broken, found, well));
    }
    if let Some(sync) = &answers.sync {
        checks.extend(followers(sync, instances));
    }
    checks
}

fn followers(sync: &Sync, instances: &[Instance]) -> Vec<Check> {
    let Sync { connected, behind, refused } = sync;
    let late = behind.iter().filter(|(_, since)| *since >= BEHIND);
    let late = late.map(|(name, since)| {
        format!("the sidecar of {name} has not confirmed the latest for {} s", since.as_secs())
    });
    let all = count(connected.len(), "sidecar is in step", "sidecars are in step");
    let mut checks = each(catalogue::IN_STEP, Warning, late.collect(), all);
    checks.extend(each(catalogue::REFUSED, Broken, refused.clone(), "no sidecar refuses anything"));
    let lost =
        instances.iter().filter(|i| i.state == InstanceState::InRotation && !connected.contains(&i.name));
    let text =
        |i: &Instance| format!("the sidecar of {} is not connected and works with what it last knew", i.name);
    checks.extend(each(catalogue::OLD, Warning, lost.map(text).collect(), "every sidecar is connected"));
    checks
}

/// Whether an instance in this state has processes.
fn is_alive(state: InstanceState) -> bool {
    match state {
        InstanceState::InRotation
        | InstanceState::OutOfRotation
        | InstanceState::Starting
        | InstanceState::Draining => true,
        InstanceState::Waiting
        | InstanceState::SidecarStarting
        | InstanceState::Stopping
        | InstanceState::BackingOff
        | InstanceState::Done
        | InstanceState::Failed
        | InstanceState::Stopped => false,
    }
}

fn services(answers: &Answers) -> Vec<Check> {
    let (jobs, services): (Vec<&Service>, Vec<&Service>) =
        answers.services.services.iter().partition(|s| s.kind == "job");
    let instances = &answers.instances.instances;
    let wanted: u32 = services.iter().map(|s| s.instances).sum();
    let well = format!(
        "{} of {} are in rotation",
        count(wanted as usize, "instance", "instances"),
        count(services.len(), "service", "services")
    );
    let some = services.iter().filter(|s| s.in_rotation < s.instances && s.in_rotation > 0);
    let text = |s: &&&Service| {
        format!(
            "{} of {} instances of {} are in rotation{}",
            s.in_rotation,
            s.instances,
            s.name,
            states(s, instances)
        )
    };
    let mut checks = each(catalogue::ROTATION, Warning, some.map(|s| text(&s)).collect(), well);
    checks.extend(none_in_rotation(&services, instances));
    checks.extend(restarting(answers));
    let entering =
        |i: &&Instance| i.state == InstanceState::OutOfRotation && i.reason.as_deref() == Some("entering");
    let unknown = instances.iter().filter(entering);
    let unknown = unknown.map(|i| format!("{} answers, and not every caller knows of it", i.name)).collect();
    checks.extend(each(catalogue::UNKNOWN, Warning, unknown, "callers know of every instance that answers"));
    if !jobs.is_empty() {
        let failed = instances.iter().filter(|i| i.state == InstanceState::Failed && is_of(i, &jobs));
        let failed = failed.map(|i| format!("the job {} failed{}", i.name, because(i))).collect();
        let well = format!("no job has failed, of {}", jobs.len());
        checks.extend(each(catalogue::JOBS, Broken, failed, well));
    }
    if answers.sync.is_some() {
        let held = instances.iter().filter(|i| i.reason.as_deref() == Some("membership-held"));
        let held = held.map(|i| format!("{} is missing, and kept for now", i.name)).collect();
        checks.extend(each(catalogue::HELD, Warning, held, "no instance is missing"));
    }
    checks
}

fn none_in_rotation(services: &[&Service], instances: &[Instance]) -> Vec<Check> {
    let none: Vec<&&Service> = services.iter().filter(|s| s.in_rotation == 0).collect();
    if none.is_empty() {
        return vec![line(catalogue::NONE, Fine, "every service can be called")];
    }
    let judge = |s: &&Service| match s.instances {
        // Declared ahead of its first instance, or between two of them.
        0 => line(catalogue::NONE, Warning, format!("no instance of {} is registered", s.name)),
        all => {
            let text =
                format!("none of {all} instances of {} is in rotation{}", s.name, states(s, instances));
            line(catalogue::NONE, Broken, text)
        }
    };
    none.into_iter().map(judge).collect()
}

/// How the instances of a service are that are not in rotation.
fn states(service: &Service, instances: &[Instance]) -> String {
    let away = instances.iter().filter(|i| i.service.as_deref() == Some(&service.name));
    let away = away.filter(|i| i.state != InstanceState::InRotation);
    let text: Vec<String> = away.map(|i| format!("{} is {}{}", i.name, i.state.word(), because(i))).collect();
    if text.is_empty() { String::new() } else { format!(": {}", text.join(", ")) }
}

fn because(instance: &Instance) -> String {
    instance.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"))
}

fn is_of(instance: &Instance, services: &[&Service]) -> bool {
    services.iter().any(|s| instance.service.as_deref() == Some(&s.name))
}

fn restarting(answers: &Answers) -> Vec<Check> {
    let since = SystemTime::now().checked_sub(LATELY).map(api::rfc3339).unwrap_or_default();
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    let lately = answers.events.iter().filter(|e| e.kind == "exited" && e.time >= since);
    for name in lately.filter_map(|e| e.instance.as_deref()) {
        *ends.entry(name).or_default() += 1;
    }
    let often = |i: &&Instance| ends.get(i.name.as_str()).is_some_and(|ends| *ends >= MANY_ENDS);
    let found =
        answers.instances.instances.iter().filter(|i| i.state == InstanceState::BackingOff || often(i));
    let text = |i: &Instance| {
        let ends = ends.get(i.name.as_str()).copied().unwrap_or_default();
        let times = count(ends, "time", "times");
        format!("{} has ended {times} in the last 5 minutes and is {}{}", i.name, i.state.word(), because(i))
    };
    each(catalogue::RESTARTING, Warning, found.map(text).collect(), "no instance keeps ending")
}

#[cfg(test)]
mod tests;
