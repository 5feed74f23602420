//! `outrigger proxy --listen ADDR --to ADDR[,ADDR…]`: the data path as a one-line reverse proxy.

use super::Outcome;
use super::sidecar::{ProcessArgs, start};
use clap::Args;
use model::{Bounds, EdgeRoute, Endpoint, Listener, Peer, Preset, Role, Service, ServiceName, Snapshot};
use std::net::SocketAddr;

/// Forward what comes in at one address to others, with all policies and no file.
#[derive(Args, Debug)]
pub(crate) struct ProxyArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// Where to forward to.
    #[arg(long, value_name = "ADDR", required = true, value_delimiter = ',')]
    to: Vec<SocketAddr>,
    /// The policies by preset: default, off (the bare path), pick, pick+breaker; of old round-robin, least-loaded, retries-4, allegro-2018.
    #[arg(long, value_name = "PRESET", default_value = "default", value_parser = preset)]
    policies: Preset,
    #[command(flatten)]
    process: ProcessArgs,
}

fn preset(word: &str) -> Result<Preset, String> {
    let known = Preset::ALL.map(Preset::word).join(", ");
    Preset::from_word(word).ok_or_else(|| format!("there is no such preset; the presets are {known}"))
}

pub(crate) fn run(args: ProxyArgs) -> Outcome {
    start(snapshot(&args), None, &args.process, |ready| {
        for (_, address) in &ready.listeners {
            eprintln!("ready: http://{address}/");
        }
        if let Some(admin) = ready.admin {
            eprintln!("admin: http://{admin}/");
        }
    })
}

/// What the one line stands for: an edge with one service.
fn snapshot(args: &ProxyArgs) -> Snapshot {
    let name = ServiceName::new("upstream").expect("`upstream` is a name");
    let number = |i: usize| u32::try_from(i + 1).unwrap_or(u32::MAX);
    let endpoint =
        |(i, address): (usize, &SocketAddr)| Endpoint { name: name.instance(number(i)), address: *address };
    Snapshot {
        version: "command-line".to_owned(),
        environment: "proxy".to_owned(),
        service: None,
        instance: None,
        listeners: vec![Listener {
            name: "edge".to_owned(),
            address: args.listen,
            role: Role::Edge(vec![EdgeRoute { prefix: "/".to_owned(), service: name.clone() }]),
        }],
        app: None,
        services: vec![Service {
            endpoints: args.to.iter().enumerate().map(endpoint).collect(),
            // Whoever that is, no manifest says that a sidecar stands before it.
            peer: Peer::App,
            settings: args.policies.settings(),
            name,
        }],
        bounds: Bounds::default(),
    }
}
