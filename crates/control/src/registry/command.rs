//! What somebody asks of the registry, and what it says back.

use super::keys::{self, Admission, Token};
use model::{AgentName, InstanceName, Registration, ServiceName, Settings};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// An agent, and which run of it: a later run has a higher number (its start, in milliseconds since 1970, will do).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owner {
    /// The agent.
    pub agent: AgentName,
    /// Its run.
    pub session: u64,
}

/// What somebody asks of the registry.
#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    /// An agent of the control plane's own process is there, and goes on from a whole lease.
    Join {
        /// Who.
        owner: Owner,
        /// How long the lease is to last; none: as the rules say.
        lease: Option<Duration>,
    },
    /// An agent is there still. Every other word of an agent says so too.
    Beat {
        /// Who.
        owner: Owner,
    },
    /// An instance is to be called from now on.
    Register {
        /// Who answers for it.
        owner: Owner,
        /// What.
        instance: Registration,
    },
    /// An instance is not to be called any more.
    Deregister {
        /// Who answers for it.
        owner: Owner,
        /// Which.
        name: InstanceName,
    },
    /// All that an agent runs. What is missing from it is damped.
    List {
        /// Who answers for them.
        owner: Owner,
        /// All of its instances.
        instances: Vec<Registration>,
    },
    /// An agent goes, and all its instances with it.
    Leave {
        /// Who.
        owner: Owner,
    },
    /// A service is declared, or declared otherwise.
    Declare {
        /// Which.
        service: ServiceName,
        /// The policies for requests to it.
        settings: Box<Settings>,
        /// Whom to tell when a follower refuses it.
        author: String,
    },
    /// An agent joins.
    Admit(Admission),
    /// A join token is made.
    Mint {
        /// Its id.
        id: Arc<str>,
        /// What it is good for.
        token: Token,
        /// Milliseconds since 1970.
        wall: u64,
    },
    /// A join token is good no more.
    Revoke {
        /// Its id.
        id: Arc<str>,
    },
    /// A service is declared no more. Where it has instances, it stays with them, without policies of its own.
    Withdraw {
        /// Which.
        service: ServiceName,
    },
}

/// A command that was carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Done {
    /// It is so now.
    Changed,
    /// It was so before: nothing was written.
    Unchanged,
    /// A list was taken over; these of it were not, and why.
    Listed(Vec<(InstanceName, Refused)>),
}

/// Why a command was not carried out. The text says what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// A later run of the same agent has spoken.
    #[error("a later run of agent {0} has taken over: stop this one, or give it a name of its own")]
    Superseded(AgentName),
    /// A heartbeat of an agent that was taken for dead, or is not known: what it runs may have been taken out.
    #[error(
        "agent {0} was silent for longer than its lease, or has not joined: join, and list all instances"
    )]
    NotJoined(AgentName),
    /// Another agent, which is alive, answers for an instance of this name.
    #[error("agent {by} runs an instance {name} already: give this one another name")]
    NameTaken {
        /// The instance.
        name: InstanceName,
        /// Who answers for it.
        by: AgentName,
    },
    /// Another agent, which is alive, answers for an instance at this address.
    #[error(
        "agent {by} runs instance {held} at {address}, which {name} cannot have therefore: give it an address of its own"
    )]
    AddressTaken {
        /// The instance that cannot have it.
        name: InstanceName,
        /// The address.
        address: SocketAddr,
        /// The instance that has it.
        held: InstanceName,
        /// Who answers for that.
        by: AgentName,
    },
    /// A number that no process of today has: whoever had it would keep the name from everybody else for long.
    #[error(
        "the incarnation of {name}, {incarnation}, lies more than a day ahead of the control plane's clock: is the \
             agent's clock right? It is the start of the process in milliseconds since 1970"
    )]
    BadIncarnation {
        /// The instance.
        name: InstanceName,
        /// What it said.
        incarnation: u64,
    },
    /// A later process of this name is registered, or was taken out.
    #[error("a later process of instance {name} was known ({known}): register with a higher incarnation")]
    Stale {
        /// The instance.
        name: InstanceName,
        /// Its incarnation.
        known: u64,
    },
    /// Nobody can connect there.
    #[error("instance {0} cannot be reached at port 0 or at an unspecified address: register the real one")]
    BadAddress(InstanceName),
    /// It is on another machine, and says to be at loopback, where each caller finds itself.
    #[error(
        "instance {name} is on another machine than the control plane, so callers do not find it at {address}: \
             start its agent with --address and the address of that machine"
    )]
    Loopback {
        /// The instance.
        name: InstanceName,
        /// What it said.
        address: SocketAddr,
    },
    /// There is no such instance.
    #[error("no instance {0} is registered")]
    NoInstance(InstanceName),
    /// There is no such service.
    #[error("no service {0} is declared")]
    NoService(ServiceName),
    /// The credential is not that of the agent.
    #[error("this is not the credential of agent {0}: join with a join token to be given one")]
    NotTheAgent(AgentName),
    /// There is no such join token.
    #[error("this join token is not known here, or was taken back: `outrigger token` makes one")]
    UnknownToken,
    /// The join token was good for a while that is over.
    #[error("join token {0} has expired: `outrigger token` makes one")]
    ExpiredToken(Arc<str>),
    /// As many agents have joined with the token as may.
    #[error("join token {0} is used up: `outrigger token` makes one")]
    SpentToken(Arc<str>),
    /// An agent of this name is alive, and has a credential.
    #[error("agent {0} is alive: join with its credential, give this one another name, or stop that one")]
    AgentTaken(AgentName),
    /// There are as many join tokens as there may be.
    #[error("there are {} join tokens already: take some back", keys::TOKENS)]
    TooManyTokens,
    /// There are as many agents as there may be.
    #[error("there are {} agents already", keys::AGENTS)]
    TooManyAgents,
    /// There are as many instances as there may be.
    #[error("there are {0} instances already, which is the most that one control plane takes")]
    TooManyInstances(usize),
    /// The agent has as many instances as it may have.
    #[error("agent {0} has {1} instances already, which is the most that one agent may have")]
    TooManyOfAgent(AgentName, usize),
    /// There are as many services as there may be.
    #[error("there are {0} services already: withdraw what is not needed")]
    TooManyServices(usize),
    /// Whoever declares a service is named at length.
    #[error("an author of {0} bytes: at most {most} are kept", most = super::AUTHOR)]
    LongAuthor(usize),
    /// There is no join token of this id.
    #[error("there is no join token {0}")]
    NoToken(Arc<str>),
}

impl Refused {
    /// Why, in one word.
    pub const fn word(&self) -> &'static str {
        match self {
            Refused::Superseded(_) => "superseded",
            Refused::NotJoined(_) => "not-joined",
            Refused::NameTaken { .. } => "name-taken",
            Refused::AddressTaken { .. } => "address-taken",
            Refused::BadIncarnation { .. } => "bad-incarnation",
            Refused::Stale { .. } => "stale",
            Refused::BadAddress(_) | Refused::Loopback { .. } => "bad-address",
            Refused::NoInstance(_) => "no-instance",
            Refused::NoService(_) => "no-service",
            Refused::NotTheAgent(_)
            | Refused::UnknownToken
            | Refused::ExpiredToken(_)
            | Refused::SpentToken(_) => "not-identified",
            Refused::AgentTaken(_) => "agent-taken",
            Refused::TooManyTokens => "too-many-tokens",
            Refused::TooManyAgents => "too-many-agents",
            Refused::TooManyInstances(_) | Refused::TooManyOfAgent(..) => "too-many-instances",
            Refused::TooManyServices(_) => "too-many-services",
            Refused::LongAuthor(_) => "bad-request",
            Refused::NoToken(_) => "unknown-token",
        }
    }
}
