//! Requests to a control plane with the type of what they are answered with, so that a client that waits and one
//! that does not can send the same ones.

use crate::{
    Agents, Declarations, Heard, Join, Joined, List, Listed, MAX_WAIT, Op, Operation, Plan, Problem,
    Registration, Settled, Sync, Token, TokenWish, Tokens, Wanted, Word, decode, encode,
};
use std::marker::PhantomData;
use std::time::Duration;

/// A request, to be sent by whoever has a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask<T> {
    /// The method.
    pub method: &'static str,
    /// Path and query.
    pub target: String,
    /// The body, in JSON; may be empty.
    pub body: String,
    /// For so long the answer may be held back.
    pub wait: Duration,
    answer: PhantomData<fn() -> T>,
}

/// Why an answer is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unanswered {
    /// The control plane says no, with this status.
    Refused(u16, Problem),
    /// What was answered is not of this API.
    NotUnderstood(String),
}

impl<T> Ask<T> {
    fn new(op: Op, params: &[&str], query: String, body: String) -> Ask<T> {
        let path = op.path_with(params);
        let target = if query.is_empty() { path } else { format!("{path}?{query}") };
        Ask { method: op.row().method, target, body, wait: Duration::ZERO, answer: PhantomData }
    }

    fn waiting(self, wait: Duration) -> Ask<T> {
        Ask { wait: wait.min(MAX_WAIT), ..self }
    }
}

impl<T: for<'a> serde::Deserialize<'a>> Ask<T> {
    /// What an answer of this `status` with this `body` says.
    ///
    /// # Errors
    /// [`Unanswered`]: nothing was done, or it is not known.
    pub fn read(&self, status: u16, body: &str) -> Result<T, Unanswered> {
        if (200..300).contains(&status) {
            return decode(body).map_err(Unanswered::NotUnderstood);
        }
        match decode(body) {
            Ok(problem) => Err(Unanswered::Refused(status, problem)),
            Err(_) => Err(Unanswered::NotUnderstood(format!("status {status}"))),
        }
    }
}

fn wait_text(wait: Duration) -> String {
    format!("wait={}ms", wait.min(MAX_WAIT).as_millis())
}

/// `agent` joins. The bearer is a join token, or the agent's own credential.
pub fn join(agent: &str, join: &Join) -> Ask<Joined> {
    Ask::new(Op::Join, &[agent], String::new(), encode(join))
}

/// Registers the instance `name`; answered when it has arrived everywhere, or `wait` is over.
pub fn register(agent: &str, name: &str, instance: &Registration, wait: Duration) -> Ask<Settled> {
    Ask::new(Op::Register, &[agent, name], wait_text(wait), encode(instance)).waiting(wait)
}

/// Takes the instance `name` out; answered when nobody has it any more, or `wait` is over.
pub fn deregister(agent: &str, name: &str, session: u64, wait: Duration) -> Ask<Settled> {
    let query = format!("session={session}&{}", wait_text(wait));
    Ask::new(Op::Deregister, &[agent, name], query, String::new()).waiting(wait)
}

/// All that `agent` runs.
pub fn list(agent: &str, list: &List) -> Ask<Listed> {
    Ask::new(Op::List, &[agent], String::new(), encode(list))
}

/// `agent` is alive.
pub fn beat(agent: &str, session: u64) -> Ask<Heard> {
    Ask::new(Op::Beat, &[agent], String::new(), encode(&Word { session }))
}

/// `agent` goes, and all that it runs.
pub fn leave(agent: &str, session: u64) -> Ask<Heard> {
    Ask::new(Op::Leave, &[agent], String::new(), encode(&Word { session }))
}

/// What the manifests of `agent` say of services.
pub fn declare(agent: &str, declarations: &Declarations) -> Ask<Heard> {
    Ask::new(Op::Declare, &[agent], String::new(), encode(declarations))
}

/// What `wanted` would change.
pub fn plan(wanted: &Wanted) -> Ask<Plan> {
    Ask::new(Op::Plan, &[], String::new(), encode(wanted))
}

/// Begins to do what `wanted` says.
pub fn apply(wanted: &Wanted) -> Ask<Operation> {
    Ask::new(Op::Apply, &[], String::new(), encode(wanted))
}

/// How far the sidecars are.
pub fn sync() -> Ask<Sync> {
    Ask::new(Op::Sync, &[], String::new(), String::new())
}

/// The agents that are known.
pub fn agents() -> Ask<Agents> {
    Ask::new(Op::Agents, &[], String::new(), String::new())
}

/// The join tokens that are good, without their secrets.
pub fn tokens() -> Ask<Tokens> {
    Ask::new(Op::Tokens, &[], String::new(), String::new())
}

/// A new join token.
pub fn mint(wish: &TokenWish) -> Ask<Token> {
    Ask::new(Op::Mint, &[], String::new(), encode(wish))
}

/// The join token of this id is good no more.
pub fn revoke(id: &str) -> Ask<Heard> {
    Ask::new(Op::Revoke, &[id], String::new(), String::new())
}
