//! The agent's API: reads a request, answers from the agent's state, and holds an answer back while there is nothing.

use crate::agent::Agent;
use crate::change;
use crate::plane::More;
use api::{Problem, Query, Route, encode};
use net::admin::{Request, Response};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Lines of a log where it is not said how many.
const LINES: u64 = 200;

/// Answers `request`. `poke` wakes the agent's loop when something was asked of it; `more` has what is not found here.
pub(crate) async fn answer(
    agent: Rc<RefCell<Agent>>,
    poke: Rc<Notify>,
    more: Option<More>,
    request: Request,
) -> Response {
    if let Some(answered) = change::answer(&agent, &poke, &request) {
        return answered;
    }
    let Some(route) = Route::parse(&request.path, &request.query) else {
        let nothing = problem(404, "unknown-path", format!("there is nothing at {}", request.path));
        return match more {
            Some(more) => more(request).await.unwrap_or(nothing),
            None => nothing,
        };
    };
    if request.method != route.method() {
        return problem(405, "wrong-method", format!("{} is for {}", request.path, route.method()));
    }
    match route {
        Route::Environment => Response::json(200, encode(&agent.borrow().environment())),
        Route::Services => {
            let all = all_instances(more, request).await;
            Response::json(200, encode(&agent.borrow().services_with(all)))
        }
        Route::Instances => {
            let all = all_instances(more, request).await;
            Response::json(200, encode(&agent.borrow().instances_with(all)))
        }
        Route::Events(query) => events(&agent, query).await,
        Route::Logs(name, query) => logs(&agent, &name, query).await,
        Route::Restart(name) => restart(&agent, &poke, &name),
        Route::Operation(id, query) => operation(&agent, id, query).await,
    }
}

/// What the control plane knows of: instances that other agents run, too.
async fn all_instances(more: Option<More>, request: Request) -> Vec<api::Instance> {
    let Some(more) = more else { return Vec::new() };
    let answer = more(Request { path: Route::Instances.path(), ..request }).await;
    let answer = answer.filter(|answer| answer.status == 200);
    // A control plane that does not answer now is no reason to say nothing of what runs here.
    let read = answer.and_then(|answer| api::decode::<api::Instances>(&answer.body).ok());
    read.map(|all| all.instances).unwrap_or_default()
}

/// Asks `look` for an answer until it has one or the time is over; then takes what there is.
async fn held_back<T>(agent: &RefCell<Agent>, wait: Duration, look: impl Fn(&Agent) -> (bool, T)) -> T {
    let deadline = Instant::now() + wait;
    loop {
        let changed = agent.borrow().changed.clone();
        // Made before the look, so that a change between look and wait is not missed.
        let change = changed.notified();
        let (enough, answer) = look(&agent.borrow());
        if enough || timeout_at(deadline, change).await.is_err() {
            return answer;
        }
    }
}

async fn events(agent: &RefCell<Agent>, query: Query) -> Response {
    let look = |agent: &Agent| {
        let answer = agent.events.answer(query);
        (!answer.events.is_empty(), answer)
    };
    Response::json(200, encode(&held_back(agent, query.wait, look).await))
}

async fn logs(agent: &RefCell<Agent>, name: &str, mut query: Query) -> Response {
    let names: Vec<String> = {
        let agent = agent.borrow();
        let units = agent.desired.named(name);
        units.iter().map(|at| agent.desired.units[*at].name.to_string()).collect()
    };
    if names.is_empty() {
        return unknown_name(agent, name);
    }
    if query.after.is_none() {
        query.tail = query.tail.or(Some(LINES));
    }
    let look = |agent: &Agent| {
        let answer = agent.logs.answer(&names, query);
        (!answer.lines.is_empty(), answer)
    };
    Response::json(200, encode(&held_back(agent, query.wait, look).await))
}

fn restart(agent: &RefCell<Agent>, poke: &Notify, name: &str) -> Response {
    let units = agent.borrow().desired.named(name);
    if units.is_empty() {
        return unknown_name(agent, name);
    }
    if agent.borrow().observed.stopping.is_some() {
        return problem(409, "stopping", "the environment is being stopped".into());
    }
    let id = agent.borrow_mut().restart(units);
    poke.notify_one();
    match agent.borrow().operation(id, 0) {
        Some(operation) => Response::json(202, encode(&operation)),
        None => problem(500, "lost-operation", "the operation was not begun".into()),
    }
}

async fn operation(agent: &RefCell<Agent>, id: u64, query: Query) -> Response {
    let after = query.after.unwrap_or(0);
    let look = |agent: &Agent| {
        let answer = agent.operation(id, after);
        let running = answer.as_ref().is_some_and(|o| o.state == api::OperationState::Running);
        let news = answer.as_ref().is_some_and(|o| !o.progress.is_empty());
        (!running || news, answer)
    };
    match held_back(agent, query.wait, look).await {
        Some(operation) => Response::json(200, encode(&operation)),
        None => problem(404, "unknown-operation", format!("there is no operation {id}")),
    }
}

fn unknown_name(agent: &RefCell<Agent>, name: &str) -> Response {
    let agent = agent.borrow();
    let services: Vec<&str> = agent.desired.services.iter().map(|s| s.name.as_str()).collect();
    let known = services.join(", ");
    problem(404, "unknown-name", format!("no service or instance is called {name}; the services are {known}"))
}

/// Why a request is not answered.
pub(crate) fn problem(status: u16, problem: &str, text: String) -> Response {
    Response::json(status, encode(&Problem::new(problem, text)))
}
