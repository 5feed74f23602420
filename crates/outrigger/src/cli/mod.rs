//! The command line: one file per command, each with its flags and what it does.
//!
//! Every long flag has a twin in the environment, `--state-dir` is `OUTRIGGER_STATE_DIR`: [`command`] gives it to
//! all of them, so that no flag can be without.

mod agent;
mod apply;
mod check;
mod completions;
mod control;
mod drill;
mod events;
mod explain;
mod guard;
mod instances;
mod logs;
mod man;
mod plan;
mod proxy;
mod restart;
mod run;
mod schema;
mod services;
mod sidecar;
mod sync;
mod table;
mod token;
mod up;
mod validate;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;

/// The runtime environment for microservices: sidecar proxy, control plane and agent in one.
#[derive(Parser, Debug)]
#[command(name = "outrigger", version, propagate_version = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Up(up::UpArgs),
    Run(run::RunArgs),
    Agent(agent::AgentArgs),
    Control(control::ControlArgs),
    Token(token::TokenArgs),
    Sync(sync::SyncArgs),
    Services(services::ServicesArgs),
    Instances(instances::InstancesArgs),
    Logs(logs::LogsArgs),
    Restart(restart::RestartArgs),
    Events(events::EventsArgs),
    Plan(plan::PlanArgs),
    Apply(apply::ApplyArgs),
    Check(check::CheckArgs),
    Explain(explain::ExplainArgs),
    Validate(validate::ValidateArgs),
    Schema(schema::SchemaArgs),
    Drill(drill::DrillArgs),
    Proxy(proxy::ProxyArgs),
    Sidecar(sidecar::SidecarArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    Guard(guard::GuardArgs),
}

/// What a command leaves behind: its exit status, or the error to be told.
type Outcome = anyhow::Result<ExitCode>;

/// Reads the command line and does what it says.
pub(crate) fn run() -> Outcome {
    let matches = command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match cli.command {
        Command::Up(args) => up::run(args),
        Command::Run(args) => run::run(args),
        Command::Agent(args) => agent::run(args),
        Command::Control(args) => control::run(args),
        Command::Token(args) => token::run(&args),
        Command::Sync(args) => sync::run(&args),
        Command::Services(args) => services::run(&args),
        Command::Instances(args) => instances::run(&args),
        Command::Logs(args) => logs::run(&args),
        Command::Restart(args) => restart::run(&args),
        Command::Events(args) => events::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Apply(args) => apply::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Validate(args) => validate::run(args),
        Command::Schema(args) => schema::run(&args),
        Command::Drill(args) => drill::run(&args),
        Command::Proxy(args) => proxy::run(args),
        Command::Sidecar(args) => sidecar::run(args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Guard(args) => guard::run(&args),
    }
}

/// The whole command line as a value, each flag with its twin in the environment.
fn command() -> clap::Command {
    with_twins(Cli::command()).mut_subcommands(with_twins)
}

fn with_twins(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| {
        let Some(long) = arg.get_long().map(str::to_owned) else { return arg };
        if matches!(long.as_str(), "help" | "version") {
            return arg;
        }
        let name = format!("OUTRIGGER_{}", long.to_ascii_uppercase().replace('-', "_"));
        // Clap wants names that live as long as the program; there are a few dozen, made once.
        let arg = arg.env(&*Box::leak(name.into_boxed_str()));
        let is_flag = matches!(arg.get_action(), ArgAction::SetTrue);
        // `OUTRIGGER_QUIET=1` is yes, `0`, `no` and the empty text are no.
        if is_flag { arg.value_parser(FalseyValueParser::new()) } else { arg }
    })
}

/// Which environment is asked.
#[derive(Args, Debug)]
struct ApiArgs {
    /// Where the running environment answers.
    #[arg(long, value_name = "ADDR", default_value = api::DEFAULT_ADDRESS)]
    api: SocketAddr,
}

impl ApiArgs {
    fn client(&self) -> api::Client {
        api::Client::new(self.api)
    }
}

/// Which control plane is joined.
#[derive(Args, Debug)]
struct PlaneArgs {
    /// Where the control plane's API answers: HOST:PORT.
    #[arg(long, value_name = "ADDR", default_value = api::DEFAULT_ADDRESS, value_parser = host_and_port)]
    control: String,
    /// A file with a join token; needed the first time only.
    #[arg(long, value_name = "FILE")]
    join_token_file: Option<PathBuf>,
    /// The address of this machine at which the sidecars of others reach those of this one.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    address: IpAddr,
    /// Listen at an address other than loopback, although what is said there can be read on the way.
    #[arg(long)]
    allow_plaintext: bool,
}

impl PlaneArgs {
    /// Refuses what would let others read or say what they should not, unless that was asked for.
    fn check(&self) -> anyhow::Result<()> {
        let address = self.address;
        if address.is_unspecified() || address.is_multicast() {
            anyhow::bail!(
                "--address {address} is no address that others could connect to: give that of this machine"
            );
        }
        if address.is_loopback() && !is_loopback(&self.control) {
            anyhow::bail!(
                "--address {address}: the control plane at {} may be on another machine, and so may callers, who would \
                 find themselves there: give with --address the address of this machine that they reach",
                self.control
            );
        }
        if !address.is_loopback() && !self.allow_plaintext {
            anyhow::bail!(
                "--address {address} can be reached from elsewhere, and there is no TLS yet: where that is what you \
                 want, in a network of your own, say --allow-plaintext"
            );
        }
        Ok(())
    }
}

/// Whether HOST:PORT is on this machine alone, as far as its name can be looked up.
fn is_loopback(control: &str) -> bool {
    let host = control.rsplit_once(':').map_or(control, |(host, _)| host);
    let mut addresses = control.to_socket_addrs().into_iter().flatten().peekable();
    // A name that leads nowhere now may be another machine's.
    host == "localhost"
        || addresses.peek().is_some() && addresses.all(|address| address.ip().to_canonical().is_loopback())
}

/// Checks that `text` is a host, or an IP address, and a port.
fn host_and_port(text: &str) -> Result<String, String> {
    let parts = text.rsplit_once(':').filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    parts.map(|_| text.to_owned()).ok_or_else(|| "write HOST:PORT".into())
}

/// How data is written to stdout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum Output {
    /// Columns for people.
    #[default]
    Table,
    /// Stable, versioned JSON.
    Json,
}

#[derive(Args, Debug)]
struct OutputArgs {
    /// How to write the data.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Whether `error` comes from a reader of our output that went away.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests;
