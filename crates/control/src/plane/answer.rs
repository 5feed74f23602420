//! The answers of the API. Who may ask what stands in the table of `api`; it is checked here, once, for every route.

use super::{Plane, agents, change, view};
use crate::desk::Failed;
use crate::registry::{Command, Refused, Registry};
use crate::secret::{Shown, read};
use api::{Found, Op, Problem, Query, Served, TokenWish, VERSION, Who, encode, rfc3339};
use model::{AgentName, ServiceName, Settled};
use net::admin::{Request, Response};
use net::clock::unix_millis;
use std::collections::BTreeSet;
use std::time::Duration;

/// Why there is no answer but this one.
pub(super) type Answer<T> = Result<T, Response>;

/// Answers `request`, unless there is nothing at its path.
pub(super) async fn answer(plane: &Plane, request: Request) -> Option<Response> {
    let path = request.path.clone();
    let (op, params) = match api::find(request.method.as_str(), &path) {
        Found::Nothing => return None,
        Found::OtherMethods(methods) => {
            let text = format!("{path} is for {}", methods.join(" and "));
            return Some(problem(405, "wrong-method", text));
        }
        Found::Op(op, params) => (op, params),
    };
    let answered = match may_ask(plane, op.row().who, &params, &request).await {
        Ok(who) => carry_out(plane, op, &params, who, &request).await,
        Err(refused) => {
            plane.0.events.refused(op, &refused.1);
            Err(refused.0)
        }
    };
    Some(answered.unwrap_or_else(|refusal| refusal))
}

/// Whether a long body is read: of those only who are on this machine, or known as an agent.
pub(super) async fn may_say_much(plane: &Plane, request: &Request) -> Answer<()> {
    let Found::Op(op, params) = api::find(request.method.as_str(), &request.path) else { return Ok(()) };
    if op.row().who == Who::Joiner {
        return Err(problem(413, "bad-request", "a request to join is short".into()));
    }
    match may_ask(plane, op.row().who, &params, request).await {
        Ok(_) => Ok(()),
        Err((refusal, why)) => {
            plane.0.events.refused(op, &why);
            Err(refusal)
        }
    }
}

/// Who asks, as far as it matters.
pub(super) struct Caller {
    /// The agent that proved to be itself, or wants to join.
    pub(super) agent: Option<AgentName>,
    /// The services that it may register instances of; empty: of any.
    pub(super) services: BTreeSet<ServiceName>,
}

type Kept = (Response, String);

async fn may_ask(plane: &Plane, who: Who, params: &[&str], request: &Request) -> Result<Caller, Kept> {
    let anybody = Caller { agent: None, services: BTreeSet::new() };
    let is_local = request.local;
    match who {
        Who::People if is_local => Ok(anybody),
        Who::Local if is_local => Ok(anybody),
        Who::Local => {
            Err(kept(403, "not-permitted", "ask on the machine of the control plane itself".into()))
        }
        Who::People => match shown(request) {
            Shown::Agent(agent, hash) => identify(plane, agent, hash).await,
            _ => Err(not_identified("from another machine this is for agents: show an agent's credential")),
        },
        Who::Joiner => Ok(Caller { agent: Some(agent_name(params)?), ..anybody }),
        Who::Agent => match shown(request) {
            Shown::Agent(agent, hash) if agent.as_str() == params.first().copied().unwrap_or_default() => {
                identify(plane, agent, hash).await
            }
            Shown::Agent(agent, _) => {
                let text = format!("this is the credential of agent {agent}, which speaks for itself only");
                Err(kept(403, "not-permitted", text))
            }
            Shown::Join(..) => Err(not_identified("a join token is for joining only: show the credential")),
            Shown::Other => Err(not_identified("show the agent's credential: Authorization: Bearer …")),
        },
    }
}

pub(super) fn shown(request: &Request) -> Shown {
    request.bearer.as_ref().map_or(Shown::Other, |bearer| read(&bearer.0))
}

fn agent_name(params: &[&str]) -> Result<AgentName, Kept> {
    let name = params.first().copied().unwrap_or_default();
    AgentName::new(name)
        .map_err(|why| kept(400, "bad-request", format!("{name:?} is no name of an agent: {why}")))
}

fn kept(status: u16, word: &str, text: String) -> Kept {
    (problem(status, word, text.clone()), text)
}

fn not_identified(text: &str) -> Kept {
    kept(401, "not-identified", text.to_owned())
}

async fn identify(plane: &Plane, agent: AgentName, hash: crate::registry::Hash) -> Result<Caller, Kept> {
    let name = agent.clone();
    let known =
        move |registry: &Registry| registry.identify(&name, &hash).map(|known| known.services.clone());
    match plane.desk().look(known).await {
        Ok(Ok(services)) => Ok(Caller { agent: Some(agent), services }),
        Ok(Err(why)) => Err(not_identified(&why.to_string())),
        Err(why) => Err((failed(&why), why.to_string())),
    }
}

async fn carry_out(
    plane: &Plane,
    op: Op,
    params: &[&str],
    caller: Caller,
    request: &Request,
) -> Answer<Response> {
    let shared = &plane.0;
    let query = Query::parse(&request.query);
    match op {
        Op::Environment => Ok(Response::json(200, encode(&view::environment(shared)))),
        Op::Services => plane.look_json(|registry| encode(&view::services(registry))).await,
        Op::Instances => {
            let (since, begun) = (shared.events.registered(), rfc3339(shared.since));
            plane.look_json(move |registry| encode(&view::instances(registry, &since, &begun))).await
        }
        Op::Events => Ok(Response::json(200, encode(&plane.happened(query).await))),
        Op::Sync => sync(plane).await,
        Op::Agents => plane.look_json(|registry| encode(&view::agents(registry))).await,
        Op::Tokens => plane.look_json(|registry| encode(&view::tokens(registry, unix_millis()))).await,
        Op::Mint => mint(plane, request).await,
        Op::Revoke => {
            let id = params.first().copied().unwrap_or_default().into();
            plane.ask(Command::Revoke { id }).await?;
            Ok(heard())
        }
        Op::Plan => change::plan(plane, request).await,
        Op::Apply => change::apply(plane, request).await,
        Op::OpenApi => {
            let served = if shared.beside_agent { Served::Up } else { Served::Plane };
            Ok(Response::json(200, api::openapi(served).to_string()))
        }
        _ => match caller.agent {
            Some(agent) => agents::carry_out(plane, op, params, agent, &caller.services, request).await,
            None => Err(problem(404, "unknown-path", format!("there is nothing at {}", request.path))),
        },
    }
}

pub(super) fn heard() -> Response {
    Response::json(200, encode(&api::Heard { version: VERSION }))
}

pub(super) fn settled(how: Settled) -> Response {
    Response::json(200, encode(&api::Settled::from(how)))
}

async fn sync(plane: &Plane) -> Answer<Response> {
    let (followers, refusals) = (plane.hub().followers(), plane.hub().refusals());
    let now = plane.0.clock.now();
    plane.look_json(move |registry| encode(&view::sync(registry, now, followers, refusals))).await
}

async fn mint(plane: &Plane, request: &Request) -> Answer<Response> {
    // Nothing at all is asked for by an empty body: a token for any service and any number of agents.
    let wish: TokenWish = if request.body.is_empty() { TokenWish::default() } else { body(request)? };
    let services: Vec<_> = wish.services.iter().map(|name| service_name(name)).collect::<Answer<_>>()?;
    let (uses, ttl) = (wish.uses, wish.ttl_ms.map(Duration::from_millis));
    if uses == Some(0) || ttl.is_some_and(|ttl| ttl.is_zero()) {
        return Err(bad("a token is good for one agent and one millisecond at least".into()));
    }
    let made = plane.mint(services.into_iter().collect(), ttl, uses).await?;
    Ok(Response::json(201, encode(&made)))
}

impl Plane {
    /// What `read` writes of the registry, as an answer.
    pub(super) async fn look_json(
        &self,
        read: impl FnOnce(&Registry) -> String + Send + 'static,
    ) -> Answer<Response> {
        self.desk().look(read).await.map(|json| Response::json(200, json)).map_err(|why| failed(&why))
    }

    pub(super) async fn ask(&self, command: Command) -> Answer<crate::registry::Done> {
        self.desk().ask(command).await.map_err(|why| failed(&why))
    }
}

/// The body of `request`.
pub(super) fn body<T: api::Shape>(request: &Request) -> Answer<T> {
    let text = std::str::from_utf8(&request.body).map_err(|_| bad("the body is no text".into()))?;
    api::decode(text)
        .map_err(|why| bad(format!("the body cannot be read: {why}; its shape is in /openapi.json")))
}

pub(super) fn service_name(name: &str) -> Answer<ServiceName> {
    ServiceName::new(name).map_err(|why| bad(format!("{name:?} is no name of a service: {why}")))
}

pub(super) fn bad(text: String) -> Response {
    problem(400, "bad-request", text)
}

/// What the desk did not do, as an answer.
pub(super) fn failed(why: &Failed) -> Response {
    match why {
        Failed::Refused(refused) => {
            let known = if let Refused::Stale { known, .. } = refused { Some(*known) } else { None };
            let problem = Problem { known, ..Problem::new(refused.word(), refused.to_string()) };
            Response::json(status(refused), encode(&problem))
        }
        Failed::Store(error) => problem(503, error.word(), why.to_string()),
        Failed::Closed => problem(503, "stopping", why.to_string()),
    }
}

const fn status(refused: &Refused) -> u16 {
    match refused {
        Refused::NotTheAgent(_)
        | Refused::NotJoined(_)
        | Refused::UnknownToken
        | Refused::ExpiredToken(_)
        | Refused::SpentToken(_) => 401,
        Refused::LongAuthor(_)
        | Refused::BadAddress(_)
        | Refused::Loopback { .. }
        | Refused::BadIncarnation { .. } => 400,
        Refused::NoInstance(_) | Refused::NoService(_) | Refused::NoToken(_) => 404,
        _ => 409,
    }
}

pub(super) fn problem(status: u16, problem: &str, text: String) -> Response {
    Response::json(status, encode(&Problem::new(problem, text)))
}

/// No secret can be made.
pub(super) fn no_randomness(why: &std::io::Error) -> Response {
    problem(503, "no-randomness", format!("the operating system gives no randomness: {why}"))
}
