//! A hundred rounds of add, add, remove, remove on ten services: what every sidecar routes to is exact after each.

use super::stage::{Agent, Plane, Said, Sidecar};
use crate::prove::Line;
use crate::prove::site::Site;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

const ROUNDS: u32 = 100;
const SERVICES: u32 = 10;
/// How long a change may take until every sidecar has adopted it.
const WAIT: &str = "10s";

/// Address by name, by service.
type Sets = BTreeMap<String, BTreeMap<String, String>>;

/// The sets are read once, right after the last change of a round was acknowledged as adopted by everybody: nobody waits
/// until they happen to be right.
pub(super) fn run(site: &Site) -> Result<Vec<Line>> {
    let plane = Plane::start(site)?;
    let agent = plane.join("agent-1")?;
    let names: Vec<String> = (1..=SERVICES).map(|number| format!("service{number}")).collect();
    let services: Vec<&str> = names.iter().map(String::as_str).collect();
    let followers = [("all", &services[..]), ("few", &services[..5]), ("others", &services[4..])];
    let sidecars: Vec<Sidecar> = followers
        .iter()
        .map(|(name, some)| Sidecar::start(site, &plane, name, some))
        .collect::<Result<_>>()?;
    let (mut wrong, mut not_settled, mut changes) = (0, 0, 0);
    let began = Instant::now();
    for round in 1..=ROUNDS {
        let turns: Vec<Turn> = take_turns(&agent, &services, round)?;
        changes += turns.len() * 4;
        not_settled += turns.iter().map(|turn| turn.not_settled).sum::<usize>();
        let expected: Sets = turns.into_iter().map(|turn| (turn.service, turn.set)).collect();
        for sidecar in &sidecars {
            let mine: Sets =
                expected.iter().filter(|(name, _)| sidecar.services.contains_key(*name)).map(owned).collect();
            let held = sidecar.endpoints()?;
            if held != mine {
                wrong += 1;
                eprintln!("rounds: after round {round} a sidecar has {held:?} in place of {mine:?}");
            }
        }
    }
    Ok(vec![
        Line::none("rounds-sets-that-were-not-exact", wrong),
        Line::none("rounds-changes-not-adopted-by-everybody", not_settled),
        Line::at_least("rounds-changes", changes as f64, f64::from(4 * SERVICES * ROUNDS), ""),
        Line::printed("rounds-seconds", crate::prove::rounded(began.elapsed().as_secs_f64())),
    ])
}

fn owned<'a>((name, set): (&'a String, &'a BTreeMap<String, String>)) -> (String, BTreeMap<String, String>) {
    (name.clone(), set.clone())
}

/// What a round did to one service.
struct Turn {
    service: String,
    /// What it has now.
    set: BTreeMap<String, String>,
    not_settled: usize,
}

/// All services at the same time.
fn take_turns(agent: &Agent, services: &[&str], round: u32) -> Result<Vec<Turn>> {
    std::thread::scope(|scope| {
        let turns: Vec<_> = (0..)
            .zip(services)
            .map(|(number, service)| scope.spawn(move || take_turn(agent, service, number, round)))
            .collect();
        turns.into_iter().map(|turn| turn.join().ok().context("a turn broke off")?).collect()
    })
}

/// Two come, and the two of the round before go. The numbers of instances are used again and again.
fn take_turn(agent: &Agent, service: &str, number: u32, round: u32) -> Result<Turn> {
    let name = |round: u32, which: u32| format!("{service}-{}", (round % 3) * 2 + which);
    let mut set = BTreeMap::new();
    let mut not_settled = 0;
    let mut judge = |said: Said| match said {
        Said::Kept { settled } => {
            not_settled += usize::from(!settled);
            Ok(())
        }
        Said::Refused(status, text) => Err(anyhow::anyhow!("{service}: {status} {text}")),
    };
    for which in [1, 2] {
        let address = SocketAddr::from(([10, number as u8, which as u8, (round % 250) as u8], 1000));
        judge(agent.register(&name(round, which), address, round.into(), WAIT)?)?;
        set.insert(name(round, which), address.to_string());
    }
    if round > 1 {
        for which in [1, 2] {
            judge(agent.deregister(&name(round - 1, which), WAIT)?)?;
        }
    }
    Ok(Turn { service: service.to_owned(), set, not_settled })
}
