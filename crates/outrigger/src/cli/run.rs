//! `outrigger run --service NAME -- CMD`: one app with a sidecar, joined to a control plane.

use super::{Outcome, PlaneArgs};
use agent::desired::{Desired, End, Probe, Service, named_after};
use agent::plane::{OpenPlane, Remote, RemoteOptions};
use agent::{Keep, Options, Purpose};
use anyhow::{Context, bail};
use clap::Args;
use model::{
    AgentName, Bounds, EnvironmentService, Importance, InstanceName, Preset, Restart, Run, ServiceKind,
    ServiceManifest, ServiceName, Settings, Startup, Variables,
};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// An app that is started by hand may take its time until it listens: nobody waits for it but its callers.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Run one app with a sidecar, joined to a control plane; its exit status is returned.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// The service that the app is an instance of [default: the manifest's].
    #[arg(long, value_name = "NAME", required_unless_present = "manifest", value_parser = service_name)]
    service: Option<ServiceName>,
    /// Services that the app calls, beside those of the manifest: each gets its NAME_URL.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = service_name)]
    calls: Vec<ServiceName>,
    /// The instance's name, which nobody else in the environment may have [default: SERVICE-RANDOM].
    #[arg(long, value_name = "NAME", value_parser = instance_name)]
    instance: Option<InstanceName>,
    #[command(flatten)]
    plane: PlaneArgs,
    /// The app may be called when a GET of this path is answered with 200 to 299 [default: when its port is open].
    #[arg(long, value_name = "PATH", value_parser = url_path)]
    health: Option<String>,
    /// A service.toml: probes, policies, variables, and the command if none is given here.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Where credential, events and the sidecar's log are kept [default: a folder that goes with the app; with
    /// --instance: outrigger/run/INSTANCE in the XDG state folder].
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The app and its arguments.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

fn service_name(text: &str) -> Result<ServiceName, String> {
    ServiceName::new(text).map_err(|why| why.to_string())
}

fn instance_name(text: &str) -> Result<InstanceName, String> {
    InstanceName::new(text).map_err(|why| why.to_string())
}

fn url_path(text: &str) -> Result<String, String> {
    let plain = text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic());
    if plain { Ok(text.to_owned()) } else { Err("a path begins with / and has no blanks".into()) }
}

pub(crate) fn run(args: RunArgs) -> Outcome {
    let read = match &args.manifest {
        Some(path) => match manifest(path)? {
            Ok(manifest) => Some(manifest),
            Err(problems) => {
                eprint!("{problems}");
                return Ok(ExitCode::FAILURE);
            }
        },
        None => None,
    };
    let service = match args.plane.check().and_then(|()| service(&args, read)) {
        Ok(service) => service,
        Err(error) => {
            eprintln!("outrigger: {error}");
            return Ok(ExitCode::from(2));
        }
    };
    let instance = match &args.instance {
        Some(name) => name.clone(),
        None => named_after(&service.name, &word()).context("a random name cannot be made")?,
    };
    let (state, keep) = folder(&args, &instance)?;
    let desired = Desired::new(
        service.name.to_string(),
        service.folder.clone(),
        vec![service],
        None,
        Bounds::default(),
    );
    let options = Options {
        program: std::env::current_exe().context("the path of this program cannot be found")?,
        state,
        keep,
        api: None,
        edge: None,
        reached_at: args.plane.address,
        command: Vec::new(),
        show_apps: true,
        plane: remote(&args.plane, AgentName::new(instance.as_str())?, keep),
        purpose: Purpose::App,
    };
    Ok(ExitCode::from(agent::up(desired.single(instance), options)?))
}

/// The control plane that is asked over HTTP.
pub(super) fn remote(args: &PlaneArgs, agent: AgentName, keep: Keep) -> OpenPlane {
    let (address, join_token) = (args.control.clone(), args.join_token_file.clone());
    let passing = keep == Keep::Never;
    Box::new(move |folder| {
        let folder = folder.to_owned();
        Ok(Remote::seat(RemoteOptions { address, agent, join_token, folder, passing }))
    })
}

fn manifest(path: &Path) -> anyhow::Result<Result<ServiceManifest, wire::files::Problems>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(wire::files::decode_service(&text, &path.display().to_string(), Preset::Default))
}

/// The app as a service: as its manifest says, or with the defaults of one.
fn service(args: &RunArgs, manifest: Option<ServiceManifest>) -> anyhow::Result<Service> {
    let here = std::env::current_dir().context("the folder in which this was started is gone")?;
    let is_declared = manifest.is_some();
    let beside = args.manifest.as_deref().and_then(Path::parent).filter(|path| !path.as_os_str().is_empty());
    let (mut manifest, folder) = match (manifest, args.service.clone()) {
        (Some(manifest), name) => {
            if let Some(name) = name.filter(|name| *name != manifest.name) {
                bail!(
                    "--service {name} is not the service of the manifest, which is {}: leave one out",
                    manifest.name
                );
            }
            // A command that is given here runs here, the manifest's own where the manifest lies.
            let folder = beside.filter(|_| args.command.is_empty()).unwrap_or(&here);
            (manifest, folder.to_owned())
        }
        (None, Some(name)) => (plain(name), here),
        (None, None) => bail!("say with --service which service this is"),
    };
    if manifest.kind == ServiceKind::Job {
        bail!(
            "{} is a job: nobody calls it, so run it without a sidecar, or in an environment",
            manifest.name
        );
    }
    if !args.command.is_empty() {
        manifest.run.command.clone_from(&args.command);
    }
    if manifest.run.command.is_empty() {
        bail!("say after -- what is to be run");
    }
    manifest.outgoing.extend(args.calls.iter().cloned());
    manifest.outgoing.sort();
    manifest.outgoing.dedup();
    manifest.outgoing.retain(|called| *called != manifest.name);
    let (environment, settings) = (manifest.run.environment.clone(), manifest.settings.clone());
    let folder = folder.canonicalize().with_context(|| format!("{} cannot be found", folder.display()))?;
    let mut service =
        Service::of(&EnvironmentService { manifest, folder, instances: 1, environment, settings });
    service.build.clear();
    // Whoever started us decides what becomes of an app that ends or hangs.
    service.end = End::Stop;
    service.liveness = None;
    service.is_declared = is_declared;
    if let Some(path) = &args.health {
        service.startup.probe = Probe::Http(path.clone());
    }
    Ok(service)
}

fn plain(name: ServiceName) -> ServiceManifest {
    ServiceManifest {
        name,
        description: String::new(),
        kind: ServiceKind::Service,
        importance: Importance::default(),
        run: Run {
            command: Vec::new(),
            build: Vec::new(),
            stop_grace: Run::STOP_GRACE,
            environment: Variables::new(),
        },
        startup: Startup { within: PATIENCE, ..Startup::default() },
        liveness: None,
        restart: Restart::default(),
        outgoing: Vec::new(),
        settings: Settings::default(),
    }
}

/// A few letters that nobody else has drawn.
fn word() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bits = net::random::seed();
    let mut letter = || {
        let letter = LETTERS[usize::try_from(bits % 32).unwrap_or(0)];
        bits /= 32;
        char::from(letter)
    };
    (0..6).map(|_| letter()).collect()
}

/// The state folder, and whether it outlives the app.
fn folder(args: &RunArgs, instance: &InstanceName) -> anyhow::Result<(PathBuf, Keep)> {
    if let Some(given) = &args.state_dir {
        return Ok((given.clone(), Keep::Always));
    }
    if args.instance.is_some() {
        return Ok((agent::default_folder("run")?.join(instance.as_str()), Keep::Always));
    }
    let folder = std::env::temp_dir().join(format!("outrigger-{instance}"));
    let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
    made.with_context(|| {
        format!("the folder {} cannot be made: give one with --state-dir", folder.display())
    })?;
    Ok((folder, Keep::Never))
}
