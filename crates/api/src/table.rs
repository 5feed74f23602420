//! Every route of the API, once: what is served, what the client asks for and what the OpenAPI document says is read
//! from this table.

use crate::{
    Agents, Declarations, Environment, Events, Heard, Instances, Join, Joined, List, Listed, Logs, Operation,
    Plan, Registration, Services, Settled, Sync, Token, TokenWish, Tokens, Wanted, Word,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::fmt::Write;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Op {
    /// The environment as a whole.
    Environment,
    /// Its services.
    Services,
    /// Its instances.
    Instances,
    /// What happened.
    Events,
    /// What apps wrote.
    Logs,
    /// A rolling restart.
    Restart,
    /// How far an operation is.
    Operation,
    /// What manifests would change.
    Plan,
    /// What manifests say is done.
    Apply,
    /// How far the sidecars are.
    Sync,
    /// The agents.
    Agents,
    /// The join tokens.
    Tokens,
    /// A new join token.
    Mint,
    /// A join token is taken back.
    Revoke,
    /// An agent joins.
    Join,
    /// An instance is registered.
    Register,
    /// An instance is taken out.
    Deregister,
    /// All that an agent runs.
    List,
    /// An agent is alive.
    Beat,
    /// An agent goes.
    Leave,
    /// What manifests say.
    Declare,
    /// This API in OpenAPI.
    OpenApi,
}

/// Who answers a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// An environment on this machine (`outrigger up`) and a control plane (`outrigger control`).
    Both,
    /// An environment on this machine.
    Up,
    /// A control plane; where it is part of an environment on this machine, that answers too.
    Plane,
}

/// Who may ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// Anybody on the machine; from elsewhere, whoever shows the credential of an agent.
    People,
    /// Anybody on the machine, and nobody else.
    Local,
    /// Whoever shows a join token, or the agent's own credential.
    Joiner,
    /// Whoever shows the agent's own credential.
    Agent,
}

/// What is understood in a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// `integer` or `string`, as JSON Schema says it.
    pub kind: &'static str,
    /// Whether the request is refused without it.
    pub required: bool,
    /// What it does.
    pub about: &'static str,
}

type Shape = fn(&mut SchemaGenerator) -> Schema;

/// One route.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What is asked for.
    pub op: Op,
    /// The method.
    pub method: &'static str,
    /// The path, with what varies in braces.
    pub path: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Who answers.
    pub by: By,
    /// Who may ask.
    pub who: Who,
    /// What is understood in the query.
    pub query: &'static [Param],
    /// The shape of the body that it takes; none: no body.
    pub takes: Option<Shape>,
    /// The status of an answer that is no problem.
    pub status: u16,
    /// The shape of that answer; none: any JSON.
    pub gives: Option<Shape>,
    /// The statuses of problems that are its own, beside those that any route has.
    pub problems: &'static [u16],
}

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const AFTER: Param = Param {
    name: "after",
    kind: "integer",
    required: false,
    about: "Only what came after this number: the `next` of an earlier answer.",
};
const TAIL: Param =
    Param { name: "tail", kind: "integer", required: false, about: "At most so many, the newest." };
const WAIT: Param = Param {
    name: "wait",
    kind: "string",
    required: false,
    about: "For so long the answer may be held back: `250ms`, `5s`; at most 60 s.",
};
const SESSION: Param =
    Param { name: "session", kind: "integer", required: true, about: "Which run of the agent says so." };

const LIST: &[Param] = &[AFTER, TAIL, WAIT];

const fn get(op: Op, path: &'static str, about: &'static str, by: By, gives: Shape) -> Row {
    Row {
        op,
        method: "GET",
        path,
        about,
        by,
        who: Who::People,
        query: &[],
        takes: None,
        status: 200,
        gives: Some(gives),
        problems: &[],
    }
}

const fn agents(
    op: Op,
    method: &'static str,
    path: &'static str,
    about: &'static str,
    takes: Option<Shape>,
    gives: Shape,
) -> Row {
    let row = get(op, path, about, By::Plane, gives);
    Row { method, who: Who::Agent, takes, problems: &[400, 401, 403, 409, 503], ..row }
}

/// Every route.
pub static ROUTES: [Row; 22] = [
    get(Op::Environment, "/v1/environment", "The environment as a whole.", By::Both, shape::<Environment>),
    get(Op::Services, "/v1/services", "All services.", By::Both, shape::<Services>),
    get(Op::Instances, "/v1/instances", "All instances.", By::Both, shape::<Instances>),
    Row { query: LIST, ..get(Op::Events, "/v1/events", "What happened.", By::Both, shape::<Events>) },
    Row {
        query: LIST,
        problems: &[404],
        ..get(
            Op::Logs,
            "/v1/logs/{name}",
            "What an instance, or the instances of a service, wrote.",
            By::Up,
            shape::<Logs>,
        )
    },
    Row {
        method: "POST",
        status: 202,
        problems: &[404, 409],
        ..get(
            Op::Restart,
            "/v1/restart/{name}",
            "Begins a rolling restart of an instance, of a service, or of `all`.",
            By::Up,
            shape::<Operation>,
        )
    },
    Row {
        query: LIST,
        problems: &[404],
        ..get(Op::Operation, "/v1/operations/{id}", "How far an operation is.", By::Up, shape::<Operation>)
    },
    Row {
        method: "POST",
        who: Who::Local,
        takes: Some(shape::<Wanted>),
        problems: &[400, 403, 422, 503],
        ..get(Op::Plan, "/v1/plan", "What these manifests would change.", By::Both, shape::<Plan>)
    },
    Row {
        method: "POST",
        who: Who::Local,
        takes: Some(shape::<Wanted>),
        status: 202,
        problems: &[400, 403, 409, 422, 503],
        ..get(
            Op::Apply,
            "/v1/apply",
            "Does what these manifests say. Nothing is done where the plan that is named does not fit any more.",
            By::Both,
            shape::<Operation>,
        )
    },
    get(Op::Sync, "/v1/sync", "How far the sidecars are with what they follow.", By::Plane, shape::<Sync>),
    get(Op::Agents, "/v1/agents", "The agents that are known.", By::Plane, shape::<Agents>),
    Row {
        who: Who::Local,
        problems: &[403],
        ..get(
            Op::Tokens,
            "/v1/tokens",
            "The join tokens that are good, without their secrets.",
            By::Plane,
            shape::<Tokens>,
        )
    },
    Row {
        method: "POST",
        who: Who::Local,
        takes: Some(shape::<TokenWish>),
        status: 201,
        problems: &[400, 403, 409, 503],
        ..get(Op::Mint, "/v1/tokens", "Makes a join token.", By::Plane, shape::<Token>)
    },
    Row {
        method: "DELETE",
        who: Who::Local,
        problems: &[403, 404, 503],
        ..get(
            Op::Revoke,
            "/v1/tokens/{id}",
            "Takes a join token back. Who has joined with it stays.",
            By::Plane,
            shape::<Heard>,
        )
    },
    Row {
        who: Who::Joiner,
        ..agents(
            Op::Join,
            "POST",
            "/v1/agents/{agent}/join",
            "An agent says that it is there. With a join token it is given a credential.",
            Some(shape::<Join>),
            shape::<Joined>,
        )
    },
    Row {
        query: &[WAIT],
        ..agents(
            Op::Register,
            "PUT",
            "/v1/agents/{agent}/instances/{name}",
            "An instance is to be called from now on.",
            Some(shape::<Registration>),
            shape::<Settled>,
        )
    },
    Row {
        query: &[SESSION, WAIT],
        ..agents(
            Op::Deregister,
            "DELETE",
            "/v1/agents/{agent}/instances/{name}",
            "An instance is not to be called any more.",
            None,
            shape::<Settled>,
        )
    },
    agents(
        Op::List,
        "PUT",
        "/v1/agents/{agent}/instances",
        "All that an agent runs. What is missing from it is taken out, unless that is too much to be believed.",
        Some(shape::<List>),
        shape::<Listed>,
    ),
    agents(
        Op::Beat,
        "POST",
        "/v1/agents/{agent}/beat",
        "An agent is alive: to be said three times in each lease.",
        Some(shape::<Word>),
        shape::<Heard>,
    ),
    agents(
        Op::Leave,
        "POST",
        "/v1/agents/{agent}/leave",
        "An agent goes, and all its instances with it. Its credential stays good.",
        Some(shape::<Word>),
        shape::<Heard>,
    ),
    agents(
        Op::Declare,
        "PUT",
        "/v1/agents/{agent}/declarations",
        "What manifests say of services.",
        Some(shape::<Declarations>),
        shape::<Heard>,
    ),
    Row {
        gives: None,
        ..get(Op::OpenApi, "/openapi.json", "This API, as an OpenAPI document.", By::Plane, shape::<Heard>)
    },
];

/// What is at a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found<'p> {
    /// A route, with what stands in place of its braces.
    Op(Op, Vec<&'p str>),
    /// Routes with other methods: these.
    OtherMethods(Vec<&'static str>),
    /// Nothing.
    Nothing,
}

/// What `method` and `path` ask for, among the routes that a control plane answers.
pub fn find<'p>(method: &str, path: &'p str) -> Found<'p> {
    let mut others = Vec::new();
    for row in ROUTES.iter().filter(|row| row.by != By::Up) {
        match params(row.path, path) {
            Some(params) if row.method == method => return Found::Op(row.op, params),
            Some(_) => others.push(row.method),
            None => {}
        }
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others) }
}

/// What stands in `path` where `template` has braces; none: it is another path.
fn params<'p>(template: &str, path: &'p str) -> Option<Vec<&'p str>> {
    let mut params = Vec::new();
    let mut parts = path.split('/');
    for wanted in template.split('/') {
        let part = parts.next()?;
        match wanted.strip_prefix('{') {
            Some(_) if part.is_empty() => return None,
            Some(_) => params.push(part),
            None if part == wanted => {}
            None => return None,
        }
    }
    parts.next().is_none().then_some(params)
}

impl Op {
    /// Its row of the table.
    pub fn row(self) -> &'static Row {
        // The table is held against the list of all operations by a test.
        ROUTES.iter().find(|row| row.op == self).unwrap_or(&ROUTES[0])
    }

    /// Its path with `params` in place of the braces.
    pub(crate) fn path_with(self, params: &[&str]) -> String {
        let mut params = params.iter();
        let mut path = String::new();
        for part in self.row().path.split('/').skip(1) {
            let part = if part.starts_with('{') { params.next().copied().unwrap_or_default() } else { part };
            // Writing to a text does not fail.
            let _ = write!(path, "/{part}");
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_it_is_written() {
        for row in ROUTES.iter().filter(|row| row.by != By::Up) {
            let path = row.op.path_with(&["one", "two"]);
            let Found::Op(op, params) = find(row.method, &path) else { panic!("{path}") };
            assert_eq!(op, row.op);
            assert_eq!(params, ["one", "two"][..row.path.matches('{').count()]);
            assert_eq!(op.row().path, row.path);
        }
    }

    #[test]
    fn every_operation_has_one_row() {
        let mut ops: Vec<Op> = ROUTES.iter().map(|row| row.op).collect();
        ops.sort();
        ops.dedup();
        assert_eq!(ops.len(), ROUTES.len());
        assert_eq!(ops.last(), Some(&Op::OpenApi), "the last one that is declared");
        assert_eq!(Op::OpenApi as usize + 1, ROUTES.len());
    }

    #[test]
    fn other_methods_are_named_and_other_paths_are_nothing() {
        assert_eq!(find("POST", "/v1/agents/a/instances/b"), Found::OtherMethods(vec!["PUT", "DELETE"]));
        for path in ["/", "/v1/agents/", "/v1/agents//join", "/v1/agents/a/b/c/d", "/v1/logs/a", "/v1/sync/"]
        {
            assert_eq!(find("GET", path), Found::Nothing, "{path}");
        }
    }
}
