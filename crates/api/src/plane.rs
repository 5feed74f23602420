//! What agents and people say to a control plane, and what it answers.

use crate::VERSION;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An agent joins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Join {
    /// Which run of the agent: a later run has a higher number. Its start in milliseconds since 1970 will do.
    pub session: u64,
    /// How long its lease is to last, in milliseconds; left out: as the control plane says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// Whether nobody of this agent's name comes back: its credential goes when it leaves, or was silent for a day.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passing: bool,
}

/// An agent has joined.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Joined {
    /// [`crate::VERSION`].
    pub version: u32,
    /// The environment's name.
    pub environment: String,
    /// Where sidecars learn of changes: `ADDRESS:PORT`.
    pub delivery: String,
    /// An agent that is silent for so long is taken for dead.
    pub lease_ms: u64,
    /// By which the agent and its sidecars are known from now on. Said once, to whoever comes with a join token;
    /// none: the credential that was shown goes on being good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// A word of an agent that says no more than which run of it speaks: a beat, or a farewell.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Word {
    /// Which run of the agent.
    pub session: u64,
}

/// A word of an agent was heard.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Heard {
    /// [`crate::VERSION`].
    pub version: u32,
}

/// An instance is to be called from now on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Registration {
    /// Which run of the agent says so.
    pub session: u64,
    /// Whose instance it is.
    pub service: String,
    /// Where callers connect: `ADDRESS:PORT` of its sidecar's inbound side.
    pub address: String,
    /// Which process of this name: a later one has a higher number.
    pub incarnation: u64,
}

/// How far a change has come. It is kept in both cases.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Settled {
    /// [`crate::VERSION`].
    pub version: u32,
    /// Whether everybody who follows the service has adopted it.
    pub settled: bool,
    /// Those who have not, by name.
    pub waiting: Vec<String>,
}

impl From<model::Settled> for Settled {
    fn from(settled: model::Settled) -> Settled {
        let (settled, waiting) = match settled {
            model::Settled::Everywhere => (true, Vec::new()),
            model::Settled::NotYet { waiting } => (false, waiting),
        };
        Settled { version: VERSION, settled, waiting }
    }
}

impl From<Settled> for model::Settled {
    fn from(Settled { settled, waiting, .. }: Settled) -> model::Settled {
        match settled {
            true => model::Settled::Everywhere,
            false => model::Settled::NotYet { waiting },
        }
    }
}

/// All that an agent runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    /// Which run of the agent says so.
    pub session: u64,
    /// Its instances.
    pub instances: Vec<ListedInstance>,
}

/// An instance in a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListedInstance {
    /// Its name.
    pub name: String,
    /// Whose instance it is.
    pub service: String,
    /// Where callers connect: `ADDRESS:PORT`.
    pub address: String,
    /// Which process of this name: a later one has a higher number.
    pub incarnation: u64,
}

impl From<model::Registration> for ListedInstance {
    fn from(instance: model::Registration) -> ListedInstance {
        ListedInstance {
            name: instance.name.to_string(),
            service: instance.service.to_string(),
            address: instance.address.to_string(),
            incarnation: instance.incarnation,
        }
    }
}

/// A list was taken over, but for what is refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// [`crate::VERSION`].
    pub version: u32,
    /// These are not registered.
    pub refused: Vec<RefusedInstance>,
}

/// An instance of a list that is not registered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RefusedInstance {
    /// Its name.
    pub name: String,
    /// Why, in one word.
    pub problem: String,
    /// A sentence for people, with the way out.
    pub text: String,
}

/// What manifests say of services.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Declarations {
    /// Which run of the agent says so.
    pub session: u64,
    /// The services.
    pub services: Vec<Declaration>,
}

/// What a manifest says of a service.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Declaration {
    /// Which.
    pub service: String,
    /// The policies for requests to it, every one of them, as a manifest writes them.
    pub settings: Value,
    /// Whom to tell when a sidecar refuses them.
    pub author: String,
}

/// How far the sidecars are with what they follow.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Sync {
    /// [`crate::VERSION`].
    pub version: u32,
    /// The sidecars that are connected, by name.
    pub sidecars: Vec<Sidecar>,
    /// What somebody refused and is wanted still.
    pub refused: Vec<Contested>,
}

/// How one sidecar stands.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Sidecar {
    /// Its instance.
    pub name: String,
    /// The service that it belongs to, as it said; empty: none, as for an edge.
    pub service: String,
    /// Whether it has all that it follows.
    pub state: SidecarState,
    /// Services, policies and folders of endpoints that it follows.
    pub follows: u64,
    /// Resources that it has.
    pub holds: u64,
    /// Resources that it has not accepted yet.
    pub behind: u64,
    /// For how long it has been behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_ms: Option<u64>,
    /// What it refuses.
    pub refuses: Vec<Refusal>,
    /// How many of its requests were for types of resources that this release does not know.
    pub strange: u64,
}

/// Whether a sidecar has all that it follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SidecarState {
    /// It has.
    InStep,
    /// Something is on its way.
    Behind,
    /// It refuses something.
    Refuses,
}

impl SidecarState {
    /// The word for people, the same as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            SidecarState::InStep => "in-step",
            SidecarState::Behind => "behind",
            SidecarState::Refuses => "refuses",
        }
    }
}

/// What a sidecar refuses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// `service`, `policy` or `endpoint`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The version that is refused.
    pub version: String,
    /// What the sidecar said.
    pub why: String,
}

/// Something that was refused, and is wanted still.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Contested {
    /// `service`, `policy` or `endpoint`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The version that was refused.
    pub version: String,
    /// Who declared it; empty: nobody did.
    pub author: String,
    /// How often it was refused.
    pub count: u64,
    /// Whether the last good version is served in its place.
    pub withdrawn: bool,
    /// Who refused it and what they said, the latest eight.
    pub by: Vec<RefusedBy>,
}

/// Who refused something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RefusedBy {
    /// The sidecar.
    pub sidecar: String,
    /// What it said.
    pub why: String,
}

/// All agents that are known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Agents {
    /// [`crate::VERSION`].
    pub version: u32,
    /// By name.
    pub agents: Vec<Agent>,
}

/// An agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Whether it was heard of within its lease.
    pub state: AgentState,
    /// How many instances it answers for.
    pub instances: u64,
    /// The services that it may register instances of; empty: of any.
    pub services: Vec<String>,
}

/// Whether an agent was heard of within its lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AgentState {
    /// It was.
    Alive,
    /// It was not, and has instances still.
    Silent,
    /// It has a credential and is not there.
    Away,
}

impl AgentState {
    /// The word for people, the same as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            AgentState::Alive => "alive",
            AgentState::Silent => "silent",
            AgentState::Away => "away",
        }
    }
}

/// What a join token is to be good for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct TokenWish {
    /// Who joins with it may register instances of these services only; empty: of any.
    #[serde(default)]
    pub services: Vec<String>,
    /// For how long it is good; left out: until it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// How many agents may join with it; left out: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
}

/// All join tokens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// [`crate::VERSION`].
    pub version: u32,
    /// By their ids.
    pub tokens: Vec<Token>,
}

/// A join token.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    /// [`crate::VERSION`].
    pub version: u32,
    /// Its name, which is no secret.
    pub id: String,
    /// The token itself. Said once, when it is made: only its hash is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Who joins with it may register instances of these services only; empty: of any.
    pub services: Vec<String>,
    /// Until when it is good; none: until it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// How many agents may still join with it; none: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
}
