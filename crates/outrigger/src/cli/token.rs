//! `outrigger token`: join tokens of a control plane.

use super::check::duration;
use super::{ApiArgs, Outcome, Output, OutputArgs, table};
use api::{Token, TokenWish, ask};
use clap::Args;
use model::ServiceName;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Make a join token, list those that are good, or take one back. To be asked on the control plane's machine.
#[derive(Args, Debug)]
pub(crate) struct TokenArgs {
    /// Who joins with it may register instances of these services only [default: of any].
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = service)]
    service: Vec<ServiceName>,
    /// For how long it is good, such as `90s`, `30m` [default: until it is taken back].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    ttl: Option<Duration>,
    /// How many agents may join with it [default: any number].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    uses: Option<u32>,
    /// List the tokens that are good; their secrets are not kept.
    #[arg(long, conflicts_with_all = ["service", "ttl", "uses", "revoke"])]
    list: bool,
    /// Take the token of this id back. Who has joined with it stays.
    #[arg(long, value_name = "ID", conflicts_with_all = ["service", "ttl", "uses"])]
    revoke: Option<String>,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    output: OutputArgs,
}

fn service(text: &str) -> Result<ServiceName, String> {
    ServiceName::new(text).map_err(|why| why.to_string())
}

pub(crate) fn run(args: &TokenArgs) -> Outcome {
    if args.list {
        return list(args);
    }
    if let Some(id) = &args.revoke {
        let heard = args.api.client().send(&ask::revoke(id))?;
        if args.output.output == Output::Json {
            writeln!(io::stdout(), "{}", api::encode_pretty(&heard))?;
        }
        eprintln!("join token {id} is good no more");
        return Ok(ExitCode::SUCCESS);
    }
    let wish = TokenWish {
        services: args.service.iter().map(ToString::to_string).collect(),
        ttl_ms: args.ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
        uses: args.uses,
    };
    let made = args.api.client().send(&ask::mint(&wish))?;
    if args.output.output == Output::Json {
        writeln!(io::stdout(), "{}", api::encode_pretty(&made))?;
        return Ok(ExitCode::SUCCESS);
    }
    let [id, services, expires, uses] = row(&made);
    eprintln!("join token {id}, for {services}, expires {expires}, uses {uses}; it is shown this once:");
    writeln!(io::stdout(), "{}", made.token.unwrap_or_default())?;
    Ok(ExitCode::SUCCESS)
}

fn list(args: &TokenArgs) -> Outcome {
    let answer = args.api.client().send(&ask::tokens())?;
    if args.output.output == Output::Json {
        writeln!(io::stdout(), "{}", api::encode_pretty(&answer))?;
    } else {
        let rows: Vec<_> = answer.tokens.iter().map(row).collect();
        table::print(["ID", "SERVICES", "EXPIRES", "USES LEFT"], &rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(token: &Token) -> [String; 4] {
    let services = if token.services.is_empty() { "any service".into() } else { token.services.join(" ") };
    let expires = token.expires.clone().unwrap_or_else(|| "never".into());
    let uses = token.uses.map_or_else(|| "any number".into(), |uses| uses.to_string());
    [token.id.clone(), services, expires, uses]
}
