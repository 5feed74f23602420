//! `outrigger agent DIR --control ADDR`: a node's part of an environment.

use super::{Outcome, PlaneArgs, run::remote};
use agent::desired::Desired;
use agent::{Keep, Options, Purpose, Wish};
use anyhow::Context;
use clap::Args;
use model::{AgentName, Environment, ServiceName};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where an agent's API answers, or at the next free port: after those of a control plane.
const API: &str = "127.0.0.1:7702";

/// Run the instances of an environment's folder on this node, joined to a control plane.
#[derive(Args, Debug)]
pub(crate) struct AgentArgs {
    /// The folder with `environment.toml`.
    dir: PathBuf,
    #[command(flatten)]
    plane: PlaneArgs,
    /// Run these services only, and so many instances of each [default: all, as many as the folder says].
    #[arg(long, value_name = "SERVICE[=COUNT]", value_delimiter = ',', value_parser = only)]
    only: Vec<(ServiceName, Option<u32>)>,
    /// Let no requests from outside in.
    #[arg(long)]
    no_edge: bool,
    /// The name of this node, the same from run to run [default: made of the machine's name and the state folder].
    #[arg(long, value_name = "NAME", value_parser = agent_name)]
    name: Option<AgentName>,
    /// Where requests from outside come in, in place of the manifest's address.
    #[arg(long, value_name = "ADDR")]
    edge: Option<SocketAddr>,
    /// Where this agent's own API answers [default: 127.0.0.1:7702, or the next free port].
    #[arg(long, value_name = "ADDR")]
    api: Option<SocketAddr>,
    /// Where credential, logs, events and snapshots are kept [default: outrigger/NAME-agent in the XDG state folder].
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Do not print what the apps write.
    #[arg(short, long)]
    quiet: bool,
}

fn agent_name(text: &str) -> Result<AgentName, String> {
    AgentName::new(text).map_err(|why| why.to_string())
}

/// `SERVICE` or `SERVICE=COUNT`.
fn only(text: &str) -> Result<(ServiceName, Option<u32>), String> {
    let (name, count) = match text.split_once('=') {
        Some((name, count)) => (name, Some(count)),
        None => (text, None),
    };
    let count = count.map(|count| count.parse().map_err(|_| format!("{count:?} is no number of instances")));
    Ok((ServiceName::new(name).map_err(|why| why.to_string())?, count.transpose()?))
}

pub(crate) fn run(args: AgentArgs) -> Outcome {
    if let Err(why) = args.plane.check() {
        eprintln!("outrigger: {why}");
        return Ok(ExitCode::from(2));
    }
    let mut environment = match wire::files::load(&args.dir) {
        Ok(environment) => environment,
        Err(problems) => {
            eprint!("{problems}");
            return Ok(ExitCode::FAILURE);
        }
    };
    if let Err(unknown) = keep(&mut environment, &args.only) {
        eprintln!("outrigger: {unknown}");
        return Ok(ExitCode::from(2));
    }
    let folder =
        args.dir.canonicalize().with_context(|| format!("{} cannot be found", args.dir.display()))?;
    let state =
        args.state_dir.map_or_else(|| agent::default_folder(&format!("{}-agent", environment.name)), Ok)?;
    let name = match args.name {
        Some(name) => name,
        None => own_name(&state)?,
    };
    let mut desired = Desired::of(&environment, folder).on_node(name.as_str());
    if args.no_edge || desired.edge.is_none() {
        desired = desired.without_edge();
    }
    let options = Options {
        program: std::env::current_exe().context("the path of this program cannot be found")?,
        state,
        keep: Keep::Always,
        api: Some(match args.api {
            Some(api) => Wish::Exactly(api),
            None => Wish::OrNext(API.parse().expect("a constant of the form ADDRESS:PORT")),
        }),
        edge: args.edge.map(Wish::Exactly),
        reached_at: args.plane.address,
        command: Vec::new(),
        show_apps: !args.quiet,
        plane: remote(&args.plane, name, Keep::Always),
        purpose: Purpose::Node,
    };
    Ok(ExitCode::from(agent::up(desired, options)?))
}

/// Keeps only these services of the environment, if any are named.
fn keep(environment: &mut Environment, only: &[(ServiceName, Option<u32>)]) -> Result<(), String> {
    if only.is_empty() {
        return Ok(());
    }
    for (name, _) in only {
        if environment.service(name).is_none() {
            let names: Vec<&str> = environment.services.iter().map(|s| s.manifest.name.as_str()).collect();
            return Err(format!("there is no service {name} here, but {}: mend --only", names.join(", ")));
        }
    }
    environment.services.retain_mut(|service| {
        let wanted = only.iter().find(|(name, _)| *name == service.manifest.name);
        service.instances = wanted.and_then(|(_, count)| *count).unwrap_or(service.instances);
        wanted.is_some()
    });
    Ok(())
}

/// A name that is the same as long as machine and state folder are.
fn own_name(state: &Path) -> anyhow::Result<AgentName> {
    std::fs::create_dir_all(state)
        .and_then(|()| state.canonicalize())
        .map_err(anyhow::Error::from)
        .and_then(|state| {
            let path = state.to_string_lossy().into_owned();
            let mark = wire::xds::resource::version_of(path.as_bytes()) & 0xffff;
            let machine = agent::machine();
            let front = if machine.starts_with(|c: char| c.is_ascii_lowercase()) { "" } else { "node-" };
            Ok(AgentName::new(&format!("{front}{machine}-{mark:04x}").replace("--", "-"))?)
        })
        .with_context(|| format!("{} gives no name to this node: give one with --name", state.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_share_is_a_service_with_or_without_a_number() {
        let name = ServiceName::new("listing").unwrap();
        assert_eq!(only("listing"), Ok((name.clone(), None)));
        assert_eq!(only("listing=3"), Ok((name, Some(3))));
        for bad in ["", "=3", "listing=", "listing=-1", "listing=many", "Listing"] {
            assert!(only(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_node_has_the_same_name_from_run_to_run() {
        let folder = tempfile::tempdir().unwrap();
        let name = own_name(&folder.path().join("a")).unwrap();
        assert_eq!(name, own_name(&folder.path().join("a")).unwrap());
        assert_ne!(name, own_name(&folder.path().join("b")).unwrap());
    }
}
