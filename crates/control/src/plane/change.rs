//! Following changed manifests where no agent is: the policies that they declare, compared with those that hold.
//!
//! What a folder declared before and does not name any more is withdrawn. What others declared is left alone.

use super::Plane;
use super::answer::{Answer, bad, body, failed, problem};
use crate::registry::{Command, Registry};
use api::{Operation, OperationState, Progress, VERSION, Wanted, encode, rfc3339};
use model::{Difference, Environment, ServiceKind, ServiceName, Settings, Settled, fingerprint};
use net::admin::{Request, Response};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};
use wire::files::{SERVICE_FILE, Texts, policies_difference};
use wire::xds::Kind;

/// For so long it is waited until every sidecar has adopted all policies.
const ADOPTED: Duration = Duration::from_secs(2);

/// What manifests would change.
pub(super) async fn plan(plane: &Plane, request: &Request) -> Answer<Response> {
    let compared = Compared::of(plane, &body(request)?).await?;
    let plan = api::Plan::of(compared.id, plane.0.environment.clone(), &compared.difference);
    Ok(Response::json(200, encode(&plan)))
}

/// Does what manifests say.
pub(super) async fn apply(plane: &Plane, request: &Request) -> Answer<Response> {
    let wanted: Wanted = body(request)?;
    let compared = Compared::of(plane, &wanted).await?;
    if wanted.plan.is_some_and(|plan| plan != compared.id) {
        let text = "the environment has changed since: plan again";
        return Err(problem(409, "plan-is-stale", text.into()));
    }
    let names: BTreeSet<ServiceName> = compared.difference.services().into_iter().cloned().collect();
    let command = |service: &ServiceName| match compared.wanted.get(service).cloned() {
        Some((settings, author)) => {
            Command::Declare { service: service.clone(), settings: Box::new(settings), author }
        }
        None => Command::Withdraw { service: service.clone() },
    };
    plane.desk().ask_all(names.iter().map(command)).await.map_err(|why| failed(&why))?;
    let deadline = Instant::now() + ADOPTED;
    let mut steps = Vec::new();
    for name in &names {
        steps.push(match compared.wanted.contains_key(name) {
            true => declared(plane, name, deadline.saturating_duration_since(Instant::now())).await,
            false => format!("{name}: its policies are withdrawn"),
        });
    }
    let total = u32::try_from(names.len()).unwrap_or(u32::MAX);
    let time = rfc3339(SystemTime::now());
    let progress = (1..).zip(steps).map(|(seq, text)| Progress { seq, time: time.clone(), text });
    let operation = Operation {
        version: VERSION,
        id: 0,
        state: OperationState::Done,
        done: total,
        total,
        progress: progress.collect(),
        next: u64::from(total),
    };
    Ok(Response::json(202, encode(&operation)))
}

/// How far the policies of `name` have come after `within`.
async fn declared(plane: &Plane, name: &ServiceName, within: Duration) -> String {
    match plane.arrived(Kind::Policy, name.as_str(), within).await {
        Settled::Everywhere => format!("{name}: every sidecar that calls it has its policies"),
        Settled::NotYet { waiting } => format!(
            "{name}: its policies are kept; not confirmed yet by {} (see `outrigger sync`)",
            waiting.join(", ")
        ),
    }
}

/// Manifests, compared with what holds.
struct Compared {
    id: String,
    difference: Difference,
    /// What each service is to be, and who says so.
    wanted: BTreeMap<ServiceName, (Settings, String)>,
}

impl Compared {
    async fn of(plane: &Plane, wanted: &Wanted) -> Answer<Compared> {
        let texts = Texts { folder: (&wanted.folder).into(), files: wanted.files.clone() };
        let wrong = |text: String| problem(422, "wrong-manifests", text);
        let environment = texts.read().map_err(|problems| wrong(problems.to_string()))?;
        let own = &plane.0.environment;
        if environment.name.as_str() != own {
            let text = format!(
                "the control plane steers the environment {own}, but this folder is of {}: see --api",
                environment.name
            );
            return Err(problem(422, "other-environment", text));
        }
        let folder = wanted.folder.trim_end_matches('/').to_owned();
        if folder.is_empty() {
            return Err(bad("the folder has no name".into()));
        }
        let wanted = declared_by(&environment);
        let names: BTreeSet<ServiceName> = wanted.keys().cloned().collect();
        let look = move |registry: &Registry| known(registry, &names, &format!("{folder}/"));
        let known = plane.desk().look(look).await.map_err(|why| failed(&why))?;
        let after: Vec<(ServiceName, Settings)> =
            wanted.iter().map(|(name, (settings, _))| (name.clone(), settings.clone())).collect();
        let id = format!("{:016x}", fingerprint(&[&known, &wanted]));
        let difference = policies_difference(|name| known.get(name), known.keys().cloned(), &after);
        Ok(Compared { id, difference, wanted })
    }
}

/// The policies of the services of `environment`, with the file that says so.
fn declared_by(environment: &Environment) -> BTreeMap<ServiceName, (Settings, String)> {
    let services = environment.services.iter().filter(|s| s.manifest.kind == ServiceKind::Service);
    let declared = |s: &model::EnvironmentService| {
        let author = s.folder.join(SERVICE_FILE).display().to_string();
        (s.manifest.name.clone(), (s.for_callers(), author))
    };
    services.map(declared).collect()
}

/// The policies that hold of the services in `names`, and of those that were declared by a file below `folder`.
fn known(
    registry: &Registry,
    names: &BTreeSet<ServiceName>,
    folder: &str,
) -> BTreeMap<ServiceName, Settings> {
    let concerned = registry
        .services()
        .filter(|(name, declared)| names.contains(*name) || declared.author.starts_with(folder));
    concerned.filter_map(|(name, declared)| Some((name.clone(), declared.settings.clone()?))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::plane::Options;

    /// A control plane, and a folder with one service whose timeout is `total`.
    fn folder(total: &str, services: &[&str]) -> Wanted {
        let members = services.iter().map(|name| format!("[services.{name}]\n")).collect::<String>();
        let mut files: BTreeMap<String, String> =
            [("environment.toml".into(), format!("name = \"shop\"\n{members}"))].into();
        for name in services {
            let text = format!(
                "name = \"{name}\"\n[run]\ncommand = [\"x\"]\n[policies.timeouts]\ntotal = \"{total}\"\n"
            );
            files.insert(format!("{name}/service.toml"), text);
        }
        Wanted { folder: "/shop".into(), files, plan: None }
    }

    async fn ask<T: api::Shape>(plane: &Plane, path: &str, wanted: &Wanted) -> (u16, Option<T>, String) {
        let request = Request {
            from_here: true,
            local: true,
            bearer: None,
            method: "POST".parse().unwrap(),
            path: path.into(),
            query: String::new(),
            body: encode(wanted).into(),
        };
        let answer = plane.answer(request).await.unwrap();
        (answer.status, api::decode(&answer.body).ok(), answer.body)
    }

    fn plane(folder: &std::path::Path) -> Plane {
        Plane::open(Options { keeps_events: false, ..Options::new("shop", folder) }).unwrap()
    }

    fn paths(plan: &api::Plan) -> Vec<String> {
        plan.changes.iter().map(|c| format!("{} {}", c.path, c.effect)).collect()
    }

    #[tokio::test]
    async fn policies_are_planned_declared_and_withdrawn() {
        let state = tempfile::tempdir().unwrap();
        let plane = plane(state.path());
        let both = folder("5s", &["a", "b"]);
        let (status, plan, _) = ask::<api::Plan>(&plane, "/v1/plan", &both).await;
        let plan = plan.unwrap();
        assert_eq!(
            (status, paths(&plan)),
            (200, vec!["services.a in-place".into(), "services.b in-place".into()])
        );
        let (status, operation, _) =
            ask::<Operation>(&plane, "/v1/apply", &Wanted { plan: Some(plan.id.clone()), ..both.clone() })
                .await;
        assert_eq!((status, operation.unwrap().state), (202, OperationState::Done));
        let (_, again, _) = ask::<api::Plan>(&plane, "/v1/plan", &both).await;
        assert!(again.unwrap().changes.is_empty());
        // The plan that was looked at does not fit any more.
        let (status, _, text) =
            ask::<Operation>(&plane, "/v1/apply", &Wanted { plan: Some(plan.id), ..both }).await;
        assert!(status == 409 && text.contains("plan again"), "{status} {text}");
        let less = folder("7s", &["a"]);
        let (_, plan, _) = ask::<api::Plan>(&plane, "/v1/plan", &less).await;
        assert_eq!(
            paths(&plan.unwrap()),
            ["services.a.policies.timeouts.total in-place", "services.b in-place"]
        );
        ask::<Operation>(&plane, "/v1/apply", &less).await;
        let known = plane.desk().look(|registry| {
            let total =
                |d: &crate::registry::Declared| d.settings.as_ref().map(|s| s.timeouts.total.as_secs());
            registry.services().filter_map(|(n, d)| Some((n.to_string(), total(d)?))).collect::<Vec<_>>()
        });
        assert_eq!(known.await.unwrap(), [("a".to_owned(), 7)]);
        plane.stop().await;
    }

    #[tokio::test]
    async fn what_is_wrong_or_of_another_environment_is_refused() {
        let state = tempfile::tempdir().unwrap();
        let plane = plane(state.path());
        let mut wrong = folder("5s", &["a"]);
        wrong.files.insert("a/service.toml".into(), "name = \"a\"\n[run]\ncommnad = []\n".into());
        let (status, _, text) = ask::<api::Plan>(&plane, "/v1/plan", &wrong).await;
        assert!(status == 422 && text.contains("commnad"), "{status} {text}");
        let mut other = folder("5s", &["a"]);
        let name = other.files.get_mut("environment.toml").unwrap();
        *name = name.replace("shop", "mall");
        let (status, _, text) = ask::<api::Plan>(&plane, "/v1/plan", &other).await;
        assert!(status == 422 && text.contains("mall"), "{status} {text}");
        plane.stop().await;
    }
}
