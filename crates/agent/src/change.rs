//! Following changed manifests while the environment runs: what they would change, and making it so.
//!
//! What needs building is built first; when that fails nothing has changed. Then the agent adopts what is wanted
//! ([`crate::adopt`]), and an operation follows it: new instances, restarts one after the other, stops at the end. When
//! it is given up, the books say what each service has become, so that the next plan begins from there.

use crate::act::News;
use crate::agent::Agent;
use crate::build;
use crate::child;
use crate::desired::{Desired, Kind, Service};
use crate::exit::Exit;
use crate::observed::Ended;
use crate::plane::Declaration;
use crate::ports::NoPort;
use crate::serve::problem;
use crate::tree::{self, Id};
use api::{Happening, Op, Plan, Wanted, decode, encode};
use model::{
    Difference, Edge, Effect, Environment, EnvironmentService, Run, ServiceManifest, ServiceName, fingerprint,
};
use net::admin::{Request, Response};
use rustix::process::Signal;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::PathBuf;
use std::rc::Rc;
use tokio::sync::Notify;
use wire::files::{SERVICE_FILE, Texts, difference};

/// So many lines of a build are told when it fails.
const LAST_LINES: usize = 5;

/// Which manifests run.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    /// What all instances are; where a change was given up, what those are that it did not reach.
    running: Environment,
    /// What some instances of a service are that a change had reached when it was given up.
    halfway: BTreeMap<ServiceName, EnvironmentService>,
    /// What a change that is under way leads to.
    pending: Option<Environment>,
}

impl Books {
    /// Everything is what `manifests` say.
    pub(crate) fn begin(manifests: &Environment) -> Books {
        Books { running: manifests.clone(), halfway: BTreeMap::new(), pending: None }
    }

    /// What would change if `after` were wanted; `restarts` are the instances that need one, by service.
    fn difference(&self, after: &Environment, restarts: &BTreeMap<ServiceName, u32>) -> Difference {
        let mut all = difference(&self.running, after);
        for (name, half) in &self.halfway {
            let mut other = self.running.clone();
            for service in other.services.iter_mut().filter(|s| s.manifest.name == *name) {
                *service = EnvironmentService { instances: service.instances, ..half.clone() };
            }
            for change in difference(&other, after).changes {
                let known = all.changes.iter().any(|c| c.service == change.service && c.key == change.key);
                let restarts = matches!(change.effect, Effect::Restart(_));
                if restarts && !known && change.service.as_ref() == Some(name) {
                    all.changes.push(change);
                }
            }
        }
        for change in &mut all.changes {
            let count = change.service.as_ref().and_then(|name| restarts.get(name));
            if let (Effect::Restart(n), Some(count)) = (&mut change.effect, count) {
                *n = *count;
            }
        }
        // What was added last stands with the rest of its service.
        all.changes.sort_by(|a, b| a.service.cmp(&b.service));
        all
    }

    /// Names what runs and what is wanted together.
    fn plan_id(&self, after: &Environment) -> String {
        format!("{:016x}", fingerprint(&[&self.running, &self.halfway, after]))
    }

    /// A change has ended.
    fn settle(&mut self, ended: Ended, desired: &Desired, edge_moved: bool) {
        let Some(after) = self.pending.take() else { return };
        let before = std::mem::replace(&mut self.running, after.clone());
        self.halfway.clear();
        if ended == Ended::Done {
            return;
        }
        if !edge_moved {
            self.running.edge = match (&before.edge, &after.edge) {
                (Some(old), Some(new)) => Some(Edge { listen: old.listen, routes: new.routes.clone() }),
                _ => before.edge.clone(),
            };
        }
        let names =
            |e: &Environment| e.services.iter().map(|s| s.manifest.name.clone()).collect::<BTreeSet<_>>();
        self.running.services.clear();
        for name in &names(&before) | &names(&after) {
            let units = units_of(desired, &name);
            let reached = units.iter().filter(|at| desired.units[**at].own.is_none()).count();
            let (old, new) = (before.service(&name), after.service(&name));
            let is = match (old, new) {
                (Some(old), Some(new)) if reached < units.len() => {
                    if reached > 0 {
                        self.halfway.insert(name.clone(), new.clone());
                    }
                    Some(half(old, new))
                }
                (old, new) => new.or(old).cloned(),
            };
            let instances = u32::try_from(units.len()).unwrap_or(u32::MAX);
            let there = is.filter(|_| instances > 0);
            self.running.services.extend(there.map(|is| EnvironmentService { instances, ..is }));
        }
    }
}

/// The instances of a service.
fn units_of(desired: &Desired, name: &ServiceName) -> Vec<usize> {
    let index = desired.services.iter().position(|s| s.name == *name);
    index.map(|index| desired.instances(index).collect()).unwrap_or_default()
}

/// For each service of which a change has not reached all: which instances are what, in a sentence.
fn what_is_where(desired: &Desired) -> Vec<String> {
    let names = |units: &[usize]| {
        let names: Vec<&str> = units.iter().map(|at| desired.units[*at].name.as_str()).collect();
        names.join(", ")
    };
    let tell = |index: usize| {
        let (old, new): (Vec<usize>, Vec<usize>) =
            desired.instances(index).partition(|at| desired.units[*at].own.is_some());
        let service = &desired.services[index].name;
        match (old.is_empty(), new.is_empty()) {
            (true, _) => None,
            (false, true) => Some(format!("{service} is what it was")),
            (false, false) => Some(format!("{service}: {} changed; {} as before", names(&new), names(&old))),
        }
    };
    (0..desired.services.len()).filter_map(tell).collect()
}

/// What instances are that a change has not reached: the old, but for what follows in place.
fn half(old: &EnvironmentService, new: &EnvironmentService) -> EnvironmentService {
    let manifest = ServiceManifest {
        description: new.manifest.description.clone(),
        importance: new.manifest.importance,
        restart: new.manifest.restart,
        run: Run { stop_grace: new.manifest.run.stop_grace, ..old.manifest.run.clone() },
        settings: new.manifest.settings.clone(),
        ..old.manifest.clone()
    };
    EnvironmentService { manifest, settings: new.settings.clone(), ..old.clone() }
}

/// What manifests say of the policies of services.
pub(crate) fn declarations(desired: &Desired) -> Vec<Declaration> {
    let declared = |service: &&Service| service.kind == Kind::Service && service.is_declared;
    let declaration = |service: &Service| Declaration {
        service: service.name.clone(),
        settings: service.for_callers.clone(),
        author: service.folder.join(SERVICE_FILE).display().to_string(),
    };
    desired.services.iter().filter(declared).map(declaration).collect()
}

/// Answers a question about changes; none: it is about something else.
pub(crate) fn answer(agent: &Rc<RefCell<Agent>>, poke: &Rc<Notify>, request: &Request) -> Option<Response> {
    let ops = [Op::Plan, Op::Apply];
    let op = ops.into_iter().find(|op| op.row().path == request.path)?;
    if request.method != op.row().method {
        let text = format!("{} is for {}", request.path, op.row().method);
        return Some(problem(405, "wrong-method", text));
    }
    if !request.local {
        return Some(problem(403, "not-permitted", "ask on the machine of the environment itself".into()));
    }
    let answered = match op {
        Op::Plan => plan(agent, request),
        _ => apply(agent, poke, request),
    };
    Some(answered.unwrap_or_else(|refusal| refusal))
}

fn plan(agent: &RefCell<Agent>, request: &Request) -> Result<Response, Response> {
    let wish = Wish::read(request)?;
    let agent = agent.borrow();
    let (books, difference) = compared(&agent, &wish)?;
    let plan = Plan::of(books.plan_id(&wish.after), agent.desired.name.clone(), &difference);
    Ok(Response::json(200, encode(&plan)))
}

fn apply(agent: &Rc<RefCell<Agent>>, poke: &Rc<Notify>, request: &Request) -> Result<Response, Response> {
    let wish = Wish::read(request)?;
    let (id, builds) = {
        let mut agent = agent.borrow_mut();
        let builds = may_apply(&agent, &wish)?;
        let now = agent.clock.now();
        agent.operations += 1;
        let id = agent.operations;
        agent.observed.begin_change(id, now);
        (id, builds)
    };
    let begun = agent.borrow().operation(id, 0);
    tokio::task::spawn_local(carry_out(agent.clone(), poke.clone(), id, wish, builds));
    begun
        .map(|operation| Response::json(202, encode(&operation)))
        .ok_or_else(|| problem(500, "lost-operation", "the operation was not begun".into()))
}

/// What is to be built for it, if it may be done now.
fn may_apply(agent: &Agent, wish: &Wish) -> Result<Vec<Service>, Response> {
    let observed = &agent.observed;
    if observed.stopping.is_some() {
        return Err(problem(409, "stopping", "the environment is being stopped".into()));
    }
    if !observed.ready {
        let text = "the environment is still starting: apply when it is ready (`outrigger check --wait 60s`)";
        return Err(problem(409, "starting", text.into()));
    }
    if observed.is_changing() {
        let text = "another change is under way: apply when it is through";
        return Err(problem(409, "change-under-way", text.into()));
    }
    let (books, difference) = compared(agent, wish)?;
    if wish.plan.as_ref().is_some_and(|plan| *plan != books.plan_id(&wish.after)) {
        let text = "the environment has changed since: plan again";
        return Err(problem(409, "plan-is-stale", text.into()));
    }
    let refused: Vec<String> = difference.refused().map(model::Change::path).collect();
    if !refused.is_empty() {
        let text = format!(
            "{} cannot change while the environment runs: stop it and start it again, or take the service out by one \
             change and in again by another",
            refused.join(", ")
        );
        return Err(problem(422, "not-while-it-runs", text));
    }
    let listen = |edge: &Option<Edge>| edge.as_ref().map(|edge| edge.listen.unwrap_or(Edge::LISTEN));
    let (here, there) = (listen(&books.running.edge), listen(&wish.after.edge));
    let refused = there.filter(|there| here != Some(*there));
    if let Some((there, why)) = refused.and_then(|there| Some((there, TcpListener::bind(there).err()?))) {
        let text = format!("the edge cannot listen at {there}: {why}; {}", crate::up::advice(&why));
        return Err(problem(409, "address-taken", text));
    }
    let wanted = wish.desired();
    let mut trial = agent.desired.clone();
    let steps = trial.adopt(&wanted);
    let touched: BTreeSet<usize> =
        steps.starts.iter().chain(&steps.restarts).filter_map(|at| trial.units[*at].service).collect();
    let fresh = |index: &usize| {
        let (new, old) = (&trial.services[*index], agent.desired.services.get(*index));
        // More instances of what runs already are built.
        !new.build.is_empty()
            && (steps.restarts.iter().any(|at| trial.units[*at].service == Some(*index))
                || old.is_none_or(|_| agent.desired.instances(*index).next().is_none()))
    };
    Ok(touched.into_iter().filter(fresh).map(|index| trial.services[index].clone()).collect())
}

/// What is wanted.
struct Wish {
    after: Environment,
    folder: PathBuf,
    plan: Option<String>,
}

impl Wish {
    fn read(request: &Request) -> Result<Wish, Response> {
        let bad = |why: String| problem(400, "bad-request", format!("this is no wish: {why}"));
        let text = std::str::from_utf8(&request.body).map_err(|why| bad(why.to_string()))?;
        let Wanted { folder, files, plan } = decode(text).map_err(bad)?;
        let texts = Texts { folder: folder.into(), files };
        let wrong = |text: String| problem(422, "wrong-manifests", text);
        let after = texts.read().map_err(|problems| wrong(problems.to_string()))?;
        if let Some(folder) = texts.missing_folders(&after).first() {
            let text =
                format!("{} is no folder of the machine that the environment runs on", folder.display());
            return Err(wrong(text));
        }
        Ok(Wish { after, folder: texts.folder, plan })
    }

    fn desired(&self) -> Desired {
        Desired::of(&self.after, self.folder.clone())
    }
}

/// The books, and what would change.
fn compared<'a>(agent: &'a Agent, wish: &Wish) -> Result<(&'a Books, Difference), Response> {
    let Some(books) = &agent.books else {
        let text = "this agent runs a part of an environment: change its folder and start it again, or apply where \
                    the whole environment was started";
        return Err(problem(409, "no-manifests", text.into()));
    };
    let mut trial = agent.desired.clone();
    let steps = trial.adopt(&wish.desired());
    let mut restarts: BTreeMap<ServiceName, u32> = BTreeMap::new();
    for service in steps.restarts.iter().filter_map(|at| trial.service(*at)) {
        *restarts.entry(service.name.clone()).or_default() += 1;
    }
    Ok((books, books.difference(&wish.after, &restarts)))
}

/// Builds, and adopts.
async fn carry_out(agent: Rc<RefCell<Agent>>, poke: Rc<Notify>, id: u64, wish: Wish, builds: Vec<Service>) {
    let mut built = Ok(());
    for service in &builds {
        built = build_one(&agent, id, service).await;
        if built.is_err() {
            break;
        }
    }
    let mut agent = agent.borrow_mut();
    let now = agent.clock.now();
    if built.is_ok() && agent.observed.stopping.is_some() {
        built = Err("the environment is being stopped".into());
    }
    let adopted = built.and_then(|()| agent.adopt(id, &wish).map_err(|why| why.to_string()));
    if let Err(why) = adopted {
        agent.observed.drop_change(id, &format!("{why}; nothing has changed"), now);
    }
    agent.changed.notify_waiters();
    poke.notify_one();
}

/// Ends a build that nobody waits for any more.
struct Unattended(Option<Id>);

impl Drop for Unattended {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            tree::signal_group(id, Signal::KILL);
        }
    }
}

async fn build_one(agent: &RefCell<Agent>, id: u64, service: &Service) -> Result<(), String> {
    let name = format!("{}.build", service.name);
    let line = service.build.join(" ");
    let (launch, news) = {
        let mut agent = agent.borrow_mut();
        let now = agent.clock.now();
        agent.observed.tell_change(id, format!("{} is built: {line}", service.name), now);
        agent.changed.notify_waiters();
        let launch = build::launch(service, &agent.hands.state.run);
        (launch, agent.hands.news.clone())
    };
    let failed = |why: String| format!("the build of {} failed: `{line}` {why}", service.name);
    let spawned = child::spawn(&launch).map_err(|why| failed(format!("cannot be started: {why}")))?;
    let id = spawned.id;
    let mut attended = Unattended(Some(id));
    // Before anything is awaited: whoever reaps orphans must not take its end from us.
    agent.borrow_mut().hands.children.extend(u32::try_from(id.pid));
    let _ = news.send(News::Came(id)).await;
    let exit = build::outcome(spawned, name.clone(), news.clone()).await;
    attended.0 = None;
    let _ = news.send(News::Went(id)).await;
    if exit == Exit::Code(0) {
        return Ok(());
    }
    let tail = agent.borrow().logs.tail(&name, LAST_LINES).join("\n  ");
    Err(failed(format!("ended by {exit}\n  {tail}\n")))
}

impl Agent {
    /// Takes over what is wanted; the operation `id` follows it.
    fn adopt(&mut self, id: u64, wish: &Wish) -> Result<(), NoPort> {
        let wanted = wish.desired();
        let mut next = self.desired.clone();
        let steps = next.adopt(&wanted);
        self.hands.extend(&next)?;
        self.desired = next;
        let now = std::time::SystemTime::now();
        self.states.resize(self.desired.units.len(), (api::InstanceState::Stopped, now));
        if steps.moves_edge {
            self.hands.next_edge = Some(self.desired.edge.as_ref().map(crate::desired::Edge::address));
        }
        self.observed.adopt(id, &steps, &self.desired, self.clock.now());
        self.hands.registrar.declare(declarations(&wanted));
        if let Some(books) = &mut self.books {
            books.pending = Some(wish.after.clone());
        }
        let text = "the manifests have changed: what runs follows".into();
        self.happen(Happening { kind: "environment-changing".into(), text, ..Happening::default() });
        Ok(())
    }

    /// A unit is about to be started again: in its turn of a change it becomes what its service is by now.
    pub(crate) fn renew(&mut self, at: usize) {
        if !self.observed.is_turn_of(at) {
            return;
        }
        self.desired.renew(at);
        // It may call others than before, and each of them has an address of its own.
        self.observed.units[at].new_ports = true;
        if let (true, Some(edge)) = (self.desired.units[at].service.is_none(), self.hands.next_edge.take()) {
            self.hands.addresses[at].edge = edge;
        }
    }

    /// Puts a change that has ended into the books.
    pub(crate) fn settle_change(&mut self) {
        let Some((id, ended, retires)) = self.observed.take_ended_change() else { return };
        if ended == Ended::Done {
            retires.iter().for_each(|at| self.desired.retire(*at));
        }
        let edge_moved = self.hands.next_edge.take().is_none();
        if let Some(books) = &mut self.books {
            books.settle(ended, &self.desired, edge_moved);
            self.desired.edge = books
                .running
                .edge
                .as_ref()
                .map(|edge| crate::desired::Edge { listen: edge.listen, routes: edge.routes.clone() });
        }
        for index in 0..self.desired.services.len() {
            let count = self.desired.instances(index).count();
            self.desired.services[index].instances = u32::try_from(count).unwrap_or(u32::MAX);
        }
        if ended == Ended::Failed {
            let now = self.clock.now();
            what_is_where(&self.desired)
                .into_iter()
                .for_each(|text| self.observed.tell_change(id, text, now));
        } else {
            let text = "what runs is what the manifests say".into();
            self.happen(Happening { kind: "environment-changed".into(), text, ..Happening::default() });
        }
    }
}

#[cfg(test)]
mod tests;
