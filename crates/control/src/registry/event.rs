//! What the registry has to tell: one word for each kind of event, and a sentence for people.

use model::{AgentName, InstanceName, ServiceName};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// Something worth telling that happened in the registry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// An instance is to be called from now on.
    Registered {
        /// Which.
        instance: InstanceName,
        /// Of which service.
        service: ServiceName,
    },
    /// An instance was taken out by its owner, or as a ghost.
    Deregistered {
        /// Which.
        instance: InstanceName,
        /// Of which service.
        service: ServiceName,
    },
    /// An instance was taken out because nothing was heard of it.
    Lost {
        /// Which.
        instance: InstanceName,
        /// Of which service.
        service: ServiceName,
    },
    /// Somebody registered the address of another instance, which is thereby gone.
    AddressReused {
        /// The instance that had it.
        ghost: InstanceName,
        /// The instance that has it.
        by: InstanceName,
        /// The address.
        address: SocketAddr,
    },
    /// An agent has been silent for the length of its lease.
    LeaseLapsed {
        /// Which.
        agent: AgentName,
        /// It answered for so many instances.
        instances: usize,
    },
    /// So many instances are missing that it is not believed yet.
    MembershipHeld {
        /// Of which service.
        service: ServiceName,
        /// So many are missing …
        missing: usize,
        /// … of so many.
        members: usize,
    },
    /// The grace is over: the missing instances are gone.
    MembershipDropped {
        /// Of which service.
        service: ServiceName,
        /// So many went.
        missing: usize,
        /// So many are left.
        members: usize,
    },
    /// An instance that was missing has been heard of again.
    Restored {
        /// Which.
        instance: InstanceName,
        /// Of which service.
        service: ServiceName,
    },
    /// An agent has joined.
    Joined {
        /// Which.
        agent: AgentName,
        /// The id of the join token that it showed; none: its own credential.
        with: Option<Arc<str>>,
    },
    /// A join token was made.
    TokenMade {
        /// Its id.
        id: Arc<str>,
    },
    /// A join token is good no more.
    TokenRevoked {
        /// Its id.
        id: Arc<str>,
    },
}

impl Event {
    /// What happened, in one word.
    pub const fn word(&self) -> &'static str {
        match self {
            Event::Registered { .. } => "instance-registered",
            Event::Deregistered { .. } => "instance-deregistered",
            Event::Lost { .. } => "instance-lost",
            Event::AddressReused { .. } => "address-reused",
            Event::LeaseLapsed { .. } => "lease-lapsed",
            Event::MembershipHeld { .. } => "membership-held",
            Event::MembershipDropped { .. } => "membership-dropped",
            Event::Restored { .. } => "instance-restored",
            Event::Joined { .. } => "agent-joined",
            Event::TokenMade { .. } => "token-made",
            Event::TokenRevoked { .. } => "token-revoked",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Registered { instance, service } => write!(f, "{instance} serves {service}"),
            Event::Deregistered { instance, service } => write!(f, "{instance} has left {service}"),
            Event::Lost { instance, service } => {
                write!(f, "{instance} of {service} was not heard of any more and is taken out")
            }
            Event::AddressReused { ghost, by, address } => {
                write!(f, "{by} is at {address}, so {ghost} cannot be there any more")
            }
            Event::LeaseLapsed { agent, instances } => {
                write!(f, "agent {agent}, which answers for {instances} instances, has fallen silent")
            }
            Event::MembershipHeld { service, missing, members } => write!(
                f,
                "{missing} of the {members} instances of {service} are missing: too many to be believed at once, \
                 so all are kept for now"
            ),
            Event::MembershipDropped { service, missing, members } => write!(
                f,
                "{missing} instances of {service} have been missing for the whole grace and are taken out; \
                 {members} are left"
            ),
            Event::Restored { instance, service } => write!(f, "{instance} of {service} is heard of again"),
            Event::Joined { agent, with: None } => write!(f, "agent {agent} is there, with its credential"),
            Event::Joined { agent, with: Some(id) } => {
                write!(f, "agent {agent} has joined with join token {id} and has a credential")
            }
            Event::TokenMade { id } => write!(f, "join token {id} was made"),
            Event::TokenRevoked { id } => write!(f, "join token {id} was taken back"),
        }
    }
}
