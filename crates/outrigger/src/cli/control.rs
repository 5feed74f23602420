//! `outrigger control`: a control plane for agents and sidecars, wherever they are.

use super::Outcome;
use anyhow::Context as _;
use clap::Args;
use control::Options;
use control::process::{Ready, run as run_plane};
use model::ServiceName;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;

/// Where sidecars learn of changes unless it is told another.
const DELIVERY: &str = "127.0.0.1:7701";

/// So many ports are tried after the one that is usual.
const PORTS: u16 = 1_000;

/// Run a control plane that agents join: registry, delivery to sidecars, API.
#[derive(Args, Debug)]
pub(crate) struct ControlArgs {
    /// The environment's name, a DNS label.
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = environment)]
    environment: String,
    /// Where it keeps what it knows [default: outrigger/NAME/control in the XDG state folder].
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Where the API answers [default: 127.0.0.1:7700, or the next free port].
    #[arg(long, value_name = "ADDR")]
    api: Option<SocketAddr>,
    /// Where sidecars learn of changes [default: 127.0.0.1:7701, or the next free port].
    #[arg(long, value_name = "ADDR")]
    delivery: Option<SocketAddr>,
    /// Listen on addresses that others reach, although nothing is encrypted.
    #[arg(long)]
    allow_plaintext: bool,
    /// Serve only sidecars that show the credential of an agent; on addresses that others reach this is always so.
    #[arg(long)]
    require_credentials: bool,
}

/// The environment's name as it may stand in paths and labels.
fn environment(text: &str) -> Result<String, String> {
    ServiceName::new(text).map(|name| name.to_string()).map_err(|why| why.to_string())
}

pub(crate) fn run(args: ControlArgs) -> Outcome {
    let usage = |text: String| {
        eprintln!("outrigger: {text}");
        Ok(ExitCode::from(2))
    };
    for (flag, address) in [("--api", args.api), ("--delivery", args.delivery)] {
        let Some(address) = address.filter(|address| !address.ip().is_loopback()) else { continue };
        if !args.allow_plaintext {
            return usage(format!(
                "{flag} {address}: others would reach it, and nothing is encrypted, credentials neither: write \
                 127.0.0.1:PORT, or add --allow-plaintext where the network is yours alone"
            ));
        }
        if flag == "--delivery" && address.ip().is_unspecified() {
            return usage(format!(
                "{flag} {address}: agents are told to go there: write the address that they reach"
            ));
        }
        eprintln!(
            "warning: {flag} {address}: whoever sees the packets reads every credential; there is no TLS yet"
        );
    }
    if args.api.is_some() && args.api == args.delivery && args.api.is_some_and(|address| address.port() != 0)
    {
        return usage("--api and --delivery name the same address: give each its own".into());
    }
    let usual = || agent::default_folder(&args.environment).map(|folder| folder.join("control"));
    let state = args.state_dir.map_or_else(usual, Ok)?;
    let options = Options {
        require_credentials: args.require_credentials,
        ..Options::new(args.environment.clone(), state)
    };
    // Delivery first: the API's next free port is not to be the other's usual one.
    let delivery = listen("sidecars learn of changes", "--delivery", args.delivery, DELIVERY)?;
    let api = listen("the API answers", "--api", args.api, api::DEFAULT_ADDRESS)?;
    run_plane(options, api, delivery, |ready| tell(&args.environment, &ready))?;
    Ok(ExitCode::SUCCESS)
}

/// A listener at `wish`, or where nothing was wished at `usual` or the next free port after it, which is said aloud.
fn listen(what: &str, flag: &str, wish: Option<SocketAddr>, usual: &str) -> anyhow::Result<TcpListener> {
    if let Some(address) = wish {
        return TcpListener::bind(address).with_context(|| {
            format!("{flag} {address}: one cannot listen there: give another address, or leave it out")
        });
    }
    let usual: SocketAddr = usual.parse().expect("a constant of the form ADDRESS:PORT");
    for port in usual.port()..usual.port() + PORTS {
        match TcpListener::bind(SocketAddr::new(usual.ip(), port)) {
            Ok(listener) => {
                if port != usual.port() {
                    eprintln!("{usual} is taken: {what} at {}:{port}", usual.ip());
                }
                return Ok(listener);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).with_context(|| format!("one cannot listen at {usual}")),
        }
    }
    anyhow::bail!("no free port after {usual}: end what listens there, or give one with {flag}")
}

fn tell(environment: &str, ready: &Ready) {
    let Ready { api, delivery, state, join_token } = ready;
    eprintln!("the control plane of environment {environment}");
    eprintln!("  API         http://{api}/");
    eprintln!("  delivery    {delivery}");
    eprintln!("  state       {}", state.display());
    let flag = if api.to_string() == api::DEFAULT_ADDRESS { String::new() } else { format!(" --api {api}") };
    match join_token {
        Ok(path) => {
            let path = path.display();
            eprintln!("  join token  {path}");
            eprintln!("next: outrigger run --service NAME --control {api} --join-token-file {path} -- CMD");
        }
        Err(why) => eprintln!("  join token  none: {why}; make one with `outrigger token{flag}`"),
    }
    eprintln!("      outrigger services{flag}, instances, events -f, sync");
    // One line on stdout that scripts can wait for.
    println!("ready: http://{api}/");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_taken_port_is_passed_over_unless_it_was_asked_for() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = held.local_addr().unwrap();
        let next = listen("x", "--api", None, &taken.to_string()).unwrap().local_addr().unwrap();
        assert!(next.port() > taken.port());
        let error = listen("x", "--api", Some(taken), "127.0.0.1:1").unwrap_err().to_string();
        assert!(error.contains("--api") && error.contains(&taken.to_string()), "{error}");
    }

    #[test]
    fn an_environment_has_a_name_that_can_be_a_folder() {
        assert_eq!(environment("shop"), Ok("shop".into()));
        for bad in ["", "../x", "Shop", "a/b"] {
            assert!(environment(bad).is_err(), "{bad}");
        }
    }
}
