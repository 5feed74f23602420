//! Join tokens and credentials, with literal times.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::registry::{Command, Rules};

const TOKEN: Hash = [1; 32];

fn registry() -> Registry {
    Registry::load(Rules::default(), Moment::ZERO, [])
}

fn ask(registry: &mut Registry, at: u64, command: Command) -> Result<Done, Refused> {
    registry.on(Moment::from_millis(at), command).0
}

fn token(uses: Option<u32>, expires: Option<u64>) -> Token {
    let services = BTreeSet::from([ServiceName::new("offers").unwrap()]);
    Token { hash: TOKEN, services, expires, uses, revision: 0 }
}

fn mint(registry: &mut Registry, id: &str, token: Token) {
    let (done, outcome) = registry.on(Moment::ZERO, Command::Mint { id: id.into(), token, wall: 1_000 });
    assert_eq!(done, Ok(Done::Changed));
    assert_eq!(outcome.changes.len(), 1);
}

fn owner(agent: &str, session: u64) -> Owner {
    Owner { agent: AgentName::new(agent).unwrap(), session }
}

fn join(agent: &str, session: u64, hash: Hash, credential: Hash) -> Command {
    let shown = Shown::Token { id: "t".into(), hash, credential };
    let (owner, passing) = (owner(agent, session), agent.starts_with("passing"));
    Command::Admit(Admission { owner, lease: None, shown, passing, wall: 2_000 })
}

fn rejoin(agent: &str, session: u64, hash: Hash) -> Command {
    let shown = Shown::Credential(hash);
    let (owner, passing) = (owner(agent, session), agent.starts_with("passing"));
    Command::Admit(Admission { owner, lease: None, shown, passing, wall: 2_000 })
}

#[test]
fn a_token_gives_a_credential_and_the_credential_is_the_agent() {
    let mut registry = registry();
    mint(&mut registry, "t", token(None, None));
    assert_eq!(ask(&mut registry, 0, join("node", 1, TOKEN, [7; 32])), Ok(Done::Changed));
    let known = registry.identify(&owner("node", 1).agent, &[7; 32]).unwrap();
    assert_eq!(known.services.len(), 1);
    assert!(registry.identify(&owner("node", 1).agent, &[8; 32]).is_err());
    assert!(registry.identify(&owner("other", 1).agent, &[7; 32]).is_err());
    assert_eq!(ask(&mut registry, 1, rejoin("node", 2, [7; 32])), Ok(Done::Unchanged));
    let refused = ask(&mut registry, 1, rejoin("node", 2, [8; 32])).unwrap_err();
    assert_eq!(refused.word(), "not-identified");
}

#[test]
fn wrong_expired_and_used_up_tokens_are_refused_and_change_nothing() {
    let mut registry = registry();
    assert_eq!(ask(&mut registry, 0, join("a", 1, TOKEN, [7; 32])), Err(Refused::UnknownToken));
    mint(&mut registry, "t", token(Some(1), Some(2_001)));
    assert_eq!(ask(&mut registry, 0, join("a", 1, [2; 32], [7; 32])), Err(Refused::UnknownToken));
    assert_eq!(ask(&mut registry, 0, join("a", 1, TOKEN, [7; 32])), Ok(Done::Changed));
    assert_eq!(ask(&mut registry, 0, join("b", 1, TOKEN, [7; 32])), Err(Refused::SpentToken("t".into())));
    mint(&mut registry, "t", token(None, Some(2_000)));
    assert_eq!(ask(&mut registry, 0, join("b", 1, TOKEN, [7; 32])), Err(Refused::ExpiredToken("t".into())));
    assert_eq!(ask(&mut registry, 0, Command::Revoke { id: "t".into() }), Ok(Done::Changed));
    assert_eq!(ask(&mut registry, 0, Command::Revoke { id: "t".into() }), Err(Refused::NoToken("t".into())));
    assert_eq!(ask(&mut registry, 0, join("b", 1, TOKEN, [7; 32])), Err(Refused::UnknownToken));
    assert_eq!(registry.agents().map(|agent| agent.name.to_string()).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn what_is_kept_of_a_used_token_refuses_it_after_a_restart() {
    let mut registry = registry();
    mint(&mut registry, "t", token(Some(1), None));
    let (_, outcome) = registry.on(Moment::ZERO, join("a", 1, TOKEN, [7; 32]));
    let kept = outcome.changes.into_iter().filter_map(|change| Some((change.key, change.after?)));
    let mut again = Registry::load(Rules::default(), Moment::ZERO, kept);
    assert_eq!(ask(&mut again, 0, join("b", 1, TOKEN, [7; 32])), Err(Refused::SpentToken("t".into())));
    assert!(again.identify(&owner("a", 1).agent, &[7; 32]).is_ok());
}

#[test]
fn a_living_agent_cannot_be_taken_over_with_a_token_and_a_silent_one_can() {
    let mut registry = registry();
    mint(&mut registry, "t", token(None, None));
    ask(&mut registry, 0, join("node", 1, TOKEN, [7; 32])).unwrap();
    ask(&mut registry, 1, Command::Beat { owner: owner("node", 1) }).unwrap();
    let taken = ask(&mut registry, 9_000, join("node", 2, TOKEN, [8; 32]));
    assert_eq!(taken, Err(Refused::AgentTaken(owner("node", 1).agent)));
    registry.tick(Moment::from_millis(10_001));
    assert_eq!(ask(&mut registry, 10_001, join("node", 2, TOKEN, [8; 32])), Ok(Done::Changed));
    assert!(registry.identify(&owner("node", 1).agent, &[7; 32]).is_err(), "the earlier credential is void");
}

#[test]
fn whoever_did_not_hear_the_answer_joins_again_without_another_use() {
    let mut registry = registry();
    mint(&mut registry, "t", token(Some(1), None));
    ask(&mut registry, 0, join("node", 1, TOKEN, [7; 32])).unwrap();
    assert_eq!(ask(&mut registry, 1, join("node", 1, TOKEN, [8; 32])), Ok(Done::Changed));
    assert!(registry.identify(&owner("node", 1).agent, &[8; 32]).is_ok());
    assert!(ask(&mut registry, 1, join("node", 2, TOKEN, [9; 32])).is_err(), "another run");
    // It has spoken, so it has heard: whoever comes with the token now is somebody else.
    ask(&mut registry, 2, Command::Beat { owner: owner("node", 1) }).unwrap();
    assert!(ask(&mut registry, 3, join("node", 1, TOKEN, [9; 32])).is_err());
}

#[test]
fn a_use_that_could_not_be_kept_is_given_back() {
    let mut registry = registry();
    mint(&mut registry, "t", token(Some(1), None));
    let (_, outcome) = registry.on(Moment::ZERO, join("node", 1, TOKEN, [7; 32]));
    registry.undo(Moment::ZERO, &outcome.changes);
    assert!(registry.identify(&owner("node", 1).agent, &[7; 32]).is_err());
    registry.tick(Moment::from_millis(10_001));
    ask(&mut registry, 10_001, join("node", 1, TOKEN, [7; 32])).unwrap();
    assert!(ask(&mut registry, 10_002, join("other", 1, TOKEN, [8; 32])).is_err(), "it was good for one");
}

/// Both agents join; what was written until then, and the registry.
fn both_joined() -> (Registry, Vec<(Key, Record)>) {
    let mut registry = registry();
    let mut kept = Vec::new();
    let minted = Command::Mint { id: "t".into(), token: token(None, None), wall: 1_000 };
    for command in [minted, join("passing", 1, TOKEN, [7; 32]), join("node", 1, TOKEN, [8; 32])] {
        let (done, outcome) = registry.on(Moment::ZERO, command);
        assert_eq!(done, Ok(Done::Changed));
        kept.extend(outcome.changes.into_iter().filter_map(|change| Some((change.key, change.after?))));
    }
    (registry, kept)
}

fn known(registry: &Registry) -> Vec<String> {
    registry.agents().map(|agent| agent.name.to_string()).collect()
}

#[test]
fn a_passing_agent_takes_its_credential_with_it_and_another_one_may_come_back() {
    let (mut registry, _) = both_joined();
    let leave = |agent| Command::Leave { owner: owner(agent, 1) };
    assert_eq!(ask(&mut registry, 1, leave("node")), Ok(Done::Unchanged));
    let (done, outcome) = registry.on(Moment::from_millis(1), leave("passing"));
    assert_eq!(done, Ok(Done::Changed));
    assert_eq!(known(&registry), ["node"]);
    assert!(registry.identify(&owner("passing", 1).agent, &[7; 32]).is_err());
    // Where that could not be written it is good still, and for a day.
    registry.undo(Moment::from_millis(1), &outcome.changes);
    assert!(registry.identify(&owner("passing", 1).agent, &[7; 32]).is_ok());
    registry.tick(Moment::from_millis(24 * 3_600_000));
    assert_eq!(known(&registry), ["node", "passing"]);
    registry.tick(Moment::from_millis(24 * 3_600_000 + 1));
    assert_eq!(known(&registry), ["node"]);
}

#[test]
fn a_passing_agent_that_says_nothing_is_forgotten_after_a_day_also_over_a_restart() {
    let (mut registry, kept) = both_joined();
    let day = 24 * 3_600_000;
    // Its lease lapses after ten seconds; it is heard of again, and then never again.
    registry.tick(Moment::from_millis(10_000));
    ask(&mut registry, day, rejoin("passing", 1, [7; 32])).unwrap();
    registry.tick(Moment::from_millis(day + 10_000));
    assert_eq!(known(&registry), ["node", "passing"]);
    assert_eq!(registry.next_wakeup(), Some(Moment::from_millis(2 * day + 10_000)));
    let outcome = registry.tick(Moment::from_millis(2 * day + 10_000));
    assert_eq!((known(&registry), outcome.changes.len()), (vec!["node".to_owned()], 1));
    assert_eq!(registry.next_wakeup(), None);
    let mut again = Registry::load(Rules::default(), Moment::ZERO, kept);
    again.tick(Moment::from_millis(day - 1));
    assert_eq!(known(&again), ["node", "passing"]);
    again.tick(Moment::from_millis(day));
    assert_eq!(known(&again), ["node"]);
}

#[test]
fn a_lease_that_was_asked_for_holds_over_a_restart() {
    let mut registry = registry();
    mint(&mut registry, "t", token(None, None));
    let asked = |command, lease| match command {
        Command::Admit(admission) => Command::Admit(Admission { lease, ..admission }),
        other => other,
    };
    let minute = Some(Duration::from_secs(60));
    let mut kept = BTreeMap::new();
    let mut say = |registry: &mut Registry, command| {
        let (done, outcome) = registry.on(Moment::ZERO, command);
        kept.extend(outcome.changes.into_iter().map(|change| (change.key, change.after)));
        let records = kept.clone().into_iter().filter_map(|(key, record)| Some((key, record?)));
        let again = Registry::load(Rules::default(), Moment::ZERO, records);
        (done, again.next_wakeup().map(|at| at.as_nanos() / 1_000_000_000))
    };
    let joined = asked(join("node", 1, TOKEN, [7; 32]), minute);
    assert_eq!(say(&mut registry, joined).0, Ok(Done::Changed));
    let instance = model::Registration {
        name: model::InstanceName::new("offers-1").unwrap(),
        service: ServiceName::new("offers").unwrap(),
        address: ([10, 0, 0, 1], 80).into(),
        incarnation: 1,
    };
    let register = Command::Register { owner: owner("node", 1), instance };
    assert_eq!(say(&mut registry, register), (Ok(Done::Changed), Some(60)));
    let again = asked(rejoin("node", 2, [7; 32]), minute);
    assert_eq!(say(&mut registry, again), (Ok(Done::Unchanged), Some(60)), "nothing new, nothing written");
    let usual = rejoin("node", 3, [7; 32]);
    assert_eq!(say(&mut registry, usual), (Ok(Done::Changed), Some(10)));
}

#[test]
fn tokens_are_bounded_and_spent_ones_make_room() {
    let mut registry = registry();
    for number in 0..TOKENS {
        mint(&mut registry, &number.to_string(), token(None, (number == 5).then_some(500)));
    }
    let mint = |id: &str| Command::Mint { id: id.into(), token: token(None, None), wall: 1_000 };
    assert_eq!(ask(&mut registry, 0, mint("more")), Ok(Done::Changed));
    assert!(registry.tokens().all(|(id, _)| &**id != "5"));
    assert_eq!(ask(&mut registry, 0, mint("too-much")), Err(Refused::TooManyTokens));
}
