//! What agents say, and what they are answered. Who speaks has been found out before.

use super::Plane;
use super::answer::{Answer, bad, body, failed, heard, no_randomness, problem, service_name, settled, shown};
use crate::desk::Failed;
use crate::registry::{Admission, Command, Done, LEASE_BOUNDS, Owner, Refused, Registry, Shown};
use crate::secret;
use api::{
    Declarations, Join, Joined, List, Listed, ListedInstance, Op, Query, RefusedInstance, VERSION, Word,
    encode,
};
use model::{AgentName, InstanceName, Registration, ServiceName};
use net::admin::{Request, Response};
use net::clock::unix_millis;
use std::collections::BTreeSet;
use std::time::Duration;

/// So many milliseconds an agent's clock may be ahead of ours: a day.
const AHEAD: u64 = 24 * 3_600_000;

type Services = BTreeSet<ServiceName>;

pub(super) async fn carry_out(
    plane: &Plane,
    op: Op,
    params: &[&str],
    agent: AgentName,
    services: &Services,
    request: &Request,
) -> Answer<Response> {
    match op {
        Op::Join => join(plane, agent, request).await,
        Op::Register => register(plane, agent, instance_name(params)?, services, request).await,
        Op::Deregister => deregister(plane, agent, instance_name(params)?, request).await,
        Op::List => list(plane, agent, services, request).await,
        Op::Beat => {
            let owner = Owner { agent, session: body::<Word>(request)?.session };
            plane.ask(Command::Beat { owner }).await?;
            Ok(heard())
        }
        Op::Leave => {
            let owner = Owner { agent, session: body::<Word>(request)?.session };
            plane.ask(Command::Leave { owner }).await?;
            Ok(heard())
        }
        Op::Declare => declare(plane, agent, services, request).await,
        _ => Err(problem(404, "unknown-path", format!("there is nothing at {}", request.path))),
    }
}

async fn join(plane: &Plane, agent: AgentName, request: &Request) -> Answer<Response> {
    let Join { session, lease_ms, passing } = body(request)?;
    let delivery = plane.0.delivery.get().ok_or_else(|| {
        problem(503, "starting", "sidecars cannot follow yet: join again in a moment".to_owned())
    })?;
    let (shown, credential) = match shown(request) {
        secret::Shown::Join(id, hash) => {
            let made = secret::make_credential(&agent).map_err(|why| no_randomness(&why))?;
            (Shown::Token { id, hash, credential: made.hash }, Some(made.text))
        }
        secret::Shown::Agent(of, hash) if of == agent => (Shown::Credential(hash), None),
        secret::Shown::Agent(..) | secret::Shown::Other => {
            let text = "show a join token, or this agent's own credential: Authorization: Bearer …";
            plane.0.events.refused(Op::Join, text);
            return Err(problem(401, "not-identified", text.into()));
        }
    };
    let lease = lease_ms.map(Duration::from_millis);
    let owner = Owner { agent, session };
    let admission = Admission { owner, lease, shown, passing, wall: unix_millis() };
    let admitted = plane.desk().ask(Command::Admit(admission)).await;
    if let Err(why) = admitted {
        if matches!(why, Failed::Refused(_)) {
            plane.0.events.refused(Op::Join, &why.to_string());
        }
        return Err(failed(&why));
    }
    let (least, most) = LEASE_BOUNDS;
    let lease = lease.unwrap_or(plane.0.rules.lease).clamp(least, most);
    let joined = Joined {
        version: VERSION,
        environment: plane.0.environment.clone(),
        delivery: delivery.to_string(),
        lease_ms: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
        credential,
    };
    Ok(Response::json(200, encode(&joined)))
}

async fn register(
    plane: &Plane,
    agent: AgentName,
    name: InstanceName,
    services: &Services,
    request: &Request,
) -> Answer<Response> {
    let api::Registration { session, service, address, incarnation } = body(request)?;
    let listed = ListedInstance { name: name.to_string(), service, address, incarnation };
    let instance = registration(listed)?;
    let service = instance.service.clone();
    permitted(services, &service)?;
    plausible(&instance, request).map_err(|why| failed(&why.into()))?;
    plane.ask(Command::Register { owner: Owner { agent, session }, instance }).await?;
    let within = Query::parse(&request.query).wait;
    Ok(settled(plane.is_known(&service, &name, within).await))
}

async fn deregister(
    plane: &Plane,
    agent: AgentName,
    name: InstanceName,
    request: &Request,
) -> Answer<Response> {
    let session = request.query_value("session").and_then(|session| session.parse().ok());
    let session =
        session.ok_or_else(|| bad("say with ?session=NUMBER which run of the agent this is".into()))?;
    let of = name.clone();
    let service = move |registry: &Registry| registry.instance(&of).map(|known| known.service.clone());
    let service = plane.desk().look(service).await.map_err(|why| failed(&why))?;
    let owner = Owner { agent, session };
    match plane.desk().ask(Command::Deregister { owner, name: name.clone() }).await {
        // What is out already may still be on its way out: somebody asks again.
        Ok(_) | Err(Failed::Refused(Refused::NoInstance(_))) => {}
        Err(why) => return Err(failed(&why)),
    }
    let within = Query::parse(&request.query).wait;
    Ok(settled(plane.is_forgotten(&name, service.as_ref(), within).await))
}

async fn list(plane: &Plane, agent: AgentName, services: &Services, request: &Request) -> Answer<Response> {
    let List { session, instances } = body(request)?;
    let instances: Vec<Registration> = instances.into_iter().map(registration).collect::<Answer<_>>()?;
    let may = |instance: &Registration| permitted(services, &instance.service).is_ok();
    let (mine, others): (Vec<_>, Vec<_>) = instances.into_iter().partition(may);
    let (mine, odd): (Vec<_>, Vec<_>) =
        mine.into_iter().partition(|instance| plausible(instance, request).is_ok());
    let done = plane.ask(Command::List { owner: Owner { agent, session }, instances: mine }).await?;
    let other = |instance: &Registration| RefusedInstance {
        name: instance.name.to_string(),
        problem: "not-permitted".into(),
        text: not_permitted(&instance.service),
    };
    let mut refused: Vec<RefusedInstance> = others.iter().map(other).collect();
    let no = |name: &InstanceName, why: &Refused| RefusedInstance {
        name: name.to_string(),
        problem: why.word().into(),
        text: why.to_string(),
    };
    refused.extend(odd.iter().filter_map(|it| Some(no(&it.name, &plausible(it, request).err()?))));
    if let Done::Listed(of_registry) = done {
        refused.extend(of_registry.iter().map(|(name, why)| no(name, why)));
    }
    Ok(Response::json(200, encode(&Listed { version: VERSION, refused })))
}

async fn declare(
    plane: &Plane,
    agent: AgentName,
    services: &Services,
    request: &Request,
) -> Answer<Response> {
    let Declarations { session, services: declared } = body(request)?;
    let mut commands = Vec::new();
    let mut mistakes = Vec::new();
    for declaration in declared {
        let service = service_name(&declaration.service)?;
        permitted(services, &service)?;
        let text = declaration.settings.to_string();
        match wire::files::decode_settings(&text, &format!("the settings of {service}")) {
            Ok(settings) => {
                let (settings, author) = (Box::new(settings), declaration.author);
                commands.push(Command::Declare { service, settings, author });
            }
            Err(problems) => mistakes.push(problems.to_string()),
        }
    }
    if !mistakes.is_empty() {
        return Err(bad(mistakes.join("\n")));
    }
    // An earlier run has nothing to say any more.
    plane.ask(Command::Beat { owner: Owner { agent, session } }).await?;
    plane.desk().ask_all(commands).await.map_err(|why| failed(&why))?;
    Ok(heard())
}

/// Whether callers can connect to it, and its number may be that of a process of today.
fn plausible(instance: &Registration, request: &Request) -> Result<(), Refused> {
    let Registration { name, incarnation, address, .. } = instance;
    // What is on another machine is not at the loopback address of anybody who would call it.
    if address.ip().to_canonical().is_loopback() && !request.from_here {
        return Err(Refused::Loopback { name: name.clone(), address: *address });
    }
    if *incarnation > unix_millis().saturating_add(AHEAD) {
        return Err(Refused::BadIncarnation { name: name.clone(), incarnation: *incarnation });
    }
    Ok(())
}

fn registration(listed: ListedInstance) -> Answer<Registration> {
    let ListedInstance { name, service, address, incarnation } = listed;
    Ok(Registration {
        name: InstanceName::new(&name)
            .map_err(|why| bad(format!("{name:?} is no name of an instance: {why}")))?,
        service: service_name(&service)?,
        address: address.parse().map_err(|_| {
            bad(format!("the address of {name}, {address:?}, is none of the form ADDRESS:PORT"))
        })?,
        incarnation,
    })
}

fn instance_name(params: &[&str]) -> Answer<InstanceName> {
    let name = params.get(1).copied().unwrap_or_default();
    InstanceName::new(name).map_err(|why| bad(format!("{name:?} is no name of an instance: {why}")))
}

fn permitted(services: &Services, service: &ServiceName) -> Answer<()> {
    if services.is_empty() || services.contains(service) {
        return Ok(());
    }
    Err(problem(403, "not-permitted", not_permitted(service)))
}

fn not_permitted(service: &ServiceName) -> String {
    format!(
        "the join token of this agent was made for other services than {service}: join with one that is for it"
    )
}
