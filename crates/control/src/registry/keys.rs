//! Who may speak as an agent: join tokens, which people hand out, and credentials, which agents are given for them.
//!
//! Only hashes are kept. A secret has 256 bits from the operating system, so its hash needs no salt: there is nothing
//! to guess. Whoever joins with a token is given a credential of its own, once, and shows that from then on; taking a
//! token back takes nothing from those who have joined with it.
//!
//! The one time that is ever written is when a token expires, by the clock on the wall: it has to hold over a restart.

use super::{Done, Event, Key, LEASE_BOUNDS, Outcome, Owner, Record, Refused, Registry};
use model::{AgentName, Moment, ServiceName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
pub use wire::record::{Credential, Token};

/// SHA-256 of a secret.
pub type Hash = [u8; 32];

/// So many tokens at most; when there are so many, those that are good for nothing any more go first.
pub const TOKENS: usize = 1_000;

/// So many agents are known at most; when there are so many, the one that joined first goes, of those that are not
/// there and answer for nothing.
pub const AGENTS: usize = 20_000;

/// What an agent shows when it joins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shown {
    /// A join token.
    Token {
        /// Its id.
        id: Arc<str>,
        /// Its hash.
        hash: Hash,
        /// The hash of the credential that the agent is to have from now on.
        credential: Hash,
    },
    /// The agent's own credential.
    Credential(Hash),
}

/// An agent joins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admission {
    /// Who.
    pub owner: Owner,
    /// How long the lease is to last; none: as the rules say.
    pub lease: Option<Duration>,
    /// How it proves who it is.
    pub shown: Shown,
    /// Whether nobody of its name comes back, so that nothing of it is kept for long once it has gone.
    pub passing: bool,
    /// Milliseconds since 1970.
    pub wall: u64,
}

/// An agent that is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agent<'a> {
    /// Its name.
    pub name: &'a AgentName,
    /// Whether it was heard of within its lease.
    pub alive: bool,
    /// How many instances it answers for.
    pub instances: usize,
    /// The services that it may register instances of; empty: of any.
    pub services: Option<&'a BTreeSet<ServiceName>>,
}

/// Tokens and credentials.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) tokens: BTreeMap<Arc<str>, Token>,
    pub(super) credentials: BTreeMap<AgentName, Credential>,
    /// Agents that have joined with a token and not spoken since: session, token, and the hash of the credential. If
    /// the answer got lost they join again, and that does not count as another use. Never written.
    fresh: BTreeMap<AgentName, (u64, Arc<str>, Hash)>,
    /// Passing agents that are silent, with the moment until which their credentials are good. Never written.
    absent: BTreeMap<AgentName, Moment>,
}

impl Keys {
    /// The agent has shown its credential, or has nothing to do with tokens.
    pub(super) fn heard(&mut self, agent: &AgentName) {
        self.fresh.remove(agent);
        self.absent.remove(agent);
    }

    pub(super) fn is_passing(&self, agent: &AgentName) -> bool {
        self.credentials.get(agent).is_some_and(|known| known.passing)
    }

    /// The agent is silent. If it passes, its credential is good until then.
    pub(super) fn miss(&mut self, agent: &AgentName, until: Moment) {
        if self.is_passing(agent) {
            self.absent.insert(agent.clone(), until);
        }
    }

    pub(super) fn forget(&mut self, agent: &AgentName) -> Option<Credential> {
        self.absent.remove(agent);
        self.credentials.remove(agent)
    }

    /// The lease that the agent asked for when it joined.
    pub(super) fn lease(&self, agent: &AgentName) -> Option<Duration> {
        self.credentials.get(agent)?.lease
    }

    /// When the next absence has lasted too long.
    pub(super) fn next_wakeup(&self) -> Option<Moment> {
        self.absent.values().copied().min()
    }
}

/// Whether two hashes are the same, in a time that does not depend on where they differ.
fn is_same(one: &Hash, other: &Hash) -> bool {
    let differences = one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(differences) == 0
}

impl Registry {
    /// What is known of the agent that shows a credential of this hash.
    ///
    /// # Errors
    /// It is not its credential.
    pub fn identify(&self, agent: &AgentName, hash: &Hash) -> Result<&Credential, Refused> {
        let known = self.keys.credentials.get(agent);
        known.filter(|known| is_same(&known.hash, hash)).ok_or_else(|| Refused::NotTheAgent(agent.clone()))
    }

    /// The join tokens, by id.
    pub fn tokens(&self) -> impl Iterator<Item = (&Arc<str>, &Token)> {
        self.keys.tokens.iter()
    }

    /// The agents that are known, by name.
    pub fn agents(&self) -> impl Iterator<Item = Agent<'_>> {
        let known = self.keys.credentials.keys().chain(self.leases.keys()).chain(self.of_agent.keys());
        let names: BTreeSet<&AgentName> = known.collect();
        names.into_iter().map(|name| Agent {
            name,
            alive: self.is_alive(name),
            instances: self.of_agent.get(name).map_or(0, BTreeSet::len),
            services: self.keys.credentials.get(name).map(|known| &known.services),
        })
    }

    pub(super) fn mint(
        &mut self,
        now: Moment,
        wall: u64,
        id: Arc<str>,
        token: Token,
        out: &mut Outcome,
    ) -> Result<Done, Refused> {
        if self.keys.tokens.len() >= TOKENS {
            let spent = self.keys.tokens.iter().filter(|(_, token)| is_spent(token, wall));
            for id in spent.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
                self.write(now, Key::Token(id), None, out);
            }
        }
        if self.keys.tokens.len() >= TOKENS {
            return Err(Refused::TooManyTokens);
        }
        out.events.push(Event::TokenMade { id: id.clone() });
        self.write(now, Key::Token(id), Some(Record::Token(token)), out);
        Ok(Done::Changed)
    }

    pub(super) fn revoke(&mut self, now: Moment, id: Arc<str>, out: &mut Outcome) -> Result<Done, Refused> {
        if !self.keys.tokens.contains_key(&id) {
            return Err(Refused::NoToken(id));
        }
        out.events.push(Event::TokenRevoked { id: id.clone() });
        self.write(now, Key::Token(id), None, out);
        Ok(Done::Changed)
    }

    pub(super) fn admit(
        &mut self,
        now: Moment,
        admission: Admission,
        out: &mut Outcome,
    ) -> Result<Done, Refused> {
        let Admission { owner, lease, shown, passing, wall } = admission;
        let lease = lease.map(|lease| lease.clamp(LEASE_BOUNDS.0, LEASE_BOUNDS.1));
        let owner = &owner;
        match shown {
            Shown::Credential(hash) => {
                let mut known = self.identify(&owner.agent, &hash)?.clone();
                self.join(now, owner, Some(lease.unwrap_or(self.rules.lease)), out)?;
                out.events.push(Event::Joined { agent: owner.agent.clone(), with: None });
                if known.lease == lease {
                    return Ok(Done::Unchanged);
                }
                known.lease = lease;
                self.write(now, Key::Credential(owner.agent.clone()), Some(Record::Credential(known)), out);
                Ok(Done::Changed)
            }
            Shown::Token { id, hash, credential } => {
                let token = self.good_token(wall, owner, &id, &hash)?;
                self.make_room(now, &owner.agent, out)?;
                self.join(now, owner, Some(lease.unwrap_or(self.rules.lease)), out)?;
                let services = token.services.clone();
                self.write(now, Key::Token(id.clone()), Some(Record::Token(token)), out);
                let kept = Credential { hash: credential, services, passing, lease, revision: 0 };
                self.write(now, Key::Credential(owner.agent.clone()), Some(Record::Credential(kept)), out);
                self.keys.fresh.insert(owner.agent.clone(), (owner.session, id.clone(), credential));
                out.events.push(Event::Joined { agent: owner.agent.clone(), with: Some(id) });
                Ok(Done::Changed)
            }
        }
    }

    /// The token as it is after this use of it.
    fn good_token(&self, wall: u64, owner: &Owner, id: &Arc<str>, hash: &Hash) -> Result<Token, Refused> {
        let known = self.keys.tokens.get(id).filter(|known| is_same(&known.hash, hash));
        let mut token = known.ok_or(Refused::UnknownToken)?.clone();
        if token.expires.is_some_and(|expires| expires <= wall) {
            return Err(Refused::ExpiredToken(id.clone()));
        }
        let again = self.is_again(owner, id);
        if !again && self.is_alive(&owner.agent) {
            return Err(Refused::AgentTaken(owner.agent.clone()));
        }
        if !again && let Some(uses) = &mut token.uses {
            *uses = uses.checked_sub(1).ok_or_else(|| Refused::SpentToken(id.clone()))?;
        }
        Ok(token)
    }

    /// Whether the same run of the same agent has joined with the same token just now, and not heard of it.
    fn is_again(&self, owner: &Owner, id: &Arc<str>) -> bool {
        let Some((session, with, hash)) = self.keys.fresh.get(&owner.agent) else { return false };
        // Where its credential could not be kept, the use of the token was taken back too.
        let kept = self.keys.credentials.get(&owner.agent).is_some_and(|known| known.hash == *hash);
        kept && *session == owner.session && with == id
    }

    /// Passing agents that were silent for so long do not come back.
    pub(super) fn end_absences(&mut self, now: Moment, out: &mut Outcome) {
        let over = self.keys.absent.iter().filter(|(_, until)| **until <= now);
        for agent in over.map(|(agent, _)| agent.clone()).collect::<Vec<_>>() {
            self.keys.absent.remove(&agent);
            // An agent that has instances has a lease after a restart, whether its credential is read before or after.
            if !self.is_alive(&agent) {
                self.write(now, Key::Credential(agent), None, out);
            }
        }
    }

    fn make_room(&mut self, now: Moment, agent: &AgentName, out: &mut Outcome) -> Result<(), Refused> {
        if self.keys.credentials.len() < AGENTS || self.keys.credentials.contains_key(agent) {
            return Ok(());
        }
        let idle = |(name, _): &(&AgentName, &Credential)| {
            !self.is_alive(name) && !self.of_agent.contains_key(*name)
        };
        let oldest = self.keys.credentials.iter().filter(idle).min_by_key(|(_, known)| known.revision);
        let oldest = oldest.map(|(name, _)| name.clone()).ok_or(Refused::TooManyAgents)?;
        self.write(now, Key::Credential(oldest), None, out);
        Ok(())
    }
}

/// Whether nobody can join with it any more.
pub(crate) fn is_spent(token: &Token, wall: u64) -> bool {
    token.uses == Some(0) || token.expires.is_some_and(|expires| expires <= wall)
}

#[cfg(test)]
mod tests;
