//! The routes: each request to the API as a value, its path and its reading, so that both ends agree.

use std::time::Duration;

/// The longest that an answer is held back, whatever `wait` says.
pub const MAX_WAIT: Duration = Duration::from_secs(60);

/// A request to the API.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Route {
    /// `GET /v1/environment`
    Environment,
    /// `GET /v1/services`
    Services,
    /// `GET /v1/instances`
    Instances,
    /// `GET /v1/events`
    Events(Query),
    /// `GET /v1/logs/NAME`: of an instance, or of all instances of a service.
    Logs(String, Query),
    /// `POST /v1/restart/NAME`: an instance, or all instances of a service one after the other; `all` for all.
    Restart(String),
    /// `GET /v1/operations/ID`
    Operation(u64, Query),
}

/// What of a list is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Query {
    /// Only what came after this number. Without it: the last `tail`.
    pub after: Option<u64>,
    /// The answer may be held back so long until there is something.
    pub wait: Duration,
    /// At most so many, the newest.
    pub tail: Option<u64>,
}

impl Query {
    /// What came after `seq`, waiting for it up to `wait`.
    pub fn after(seq: u64, wait: Duration) -> Query {
        Query { after: Some(seq), wait, tail: None }
    }

    /// The newest `tail`.
    pub fn tail(tail: u64) -> Query {
        Query { after: None, wait: Duration::ZERO, tail: Some(tail) }
    }

    /// Reads the query of a request; what cannot be read counts as not said.
    pub fn parse(text: &str) -> Query {
        let mut query = Query::default();
        for pair in text.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "after" => query.after = value.parse().ok(),
                "tail" => query.tail = value.parse().ok(),
                "wait" => query.wait = parse_wait(value).unwrap_or_default().min(MAX_WAIT),
                _ => {}
            }
        }
        query
    }

    fn text(&self) -> String {
        let mut parts = Vec::new();
        if let Some(after) = self.after {
            parts.push(format!("after={after}"));
        }
        if !self.wait.is_zero() {
            parts.push(format!("wait={}ms", self.wait.as_millis()));
        }
        if let Some(tail) = self.tail {
            parts.push(format!("tail={tail}"));
        }
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }
}

/// `250ms`, `30s`, or a bare number of seconds.
fn parse_wait(text: &str) -> Option<Duration> {
    if let Some(millis) = text.strip_suffix("ms") {
        return millis.parse().ok().map(Duration::from_millis);
    }
    text.strip_suffix('s').unwrap_or(text).parse().ok().map(Duration::from_secs)
}

impl Route {
    /// The method of such a request.
    pub const fn method(&self) -> &'static str {
        match self {
            Route::Restart(_) => "POST",
            _ => "GET",
        }
    }

    /// The path and query of such a request.
    pub fn path(&self) -> String {
        match self {
            Route::Environment => "/v1/environment".into(),
            Route::Services => "/v1/services".into(),
            Route::Instances => "/v1/instances".into(),
            Route::Events(query) => format!("/v1/events{}", query.text()),
            Route::Logs(name, query) => format!("/v1/logs/{name}{}", query.text()),
            Route::Restart(name) => format!("/v1/restart/{name}"),
            Route::Operation(id, query) => format!("/v1/operations/{id}{}", query.text()),
        }
    }

    /// Reads the target of a request, without regard to its method. None: there is nothing at this path.
    pub fn parse(path: &str, query: &str) -> Option<Route> {
        let query = Query::parse(query);
        let route = match path.strip_prefix("/v1/")? {
            "environment" => Route::Environment,
            "services" => Route::Services,
            "instances" => Route::Instances,
            "events" => Route::Events(query),
            rest => {
                let (front, name) = rest.split_once('/')?;
                match front {
                    "logs" if is_name(name) => Route::Logs(name.into(), query),
                    "restart" if is_name(name) => Route::Restart(name.into()),
                    "operations" => Route::Operation(name.parse().ok()?, query),
                    _ => return None,
                }
            }
        };
        Some(route)
    }
}

/// Whether `text` could name a service or an instance.
fn is_name(text: &str) -> bool {
    model::ServiceName::new(text).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_one_end_writes_the_other_reads() {
        let after = Query::after(7, Duration::from_millis(1500));
        for route in [
            Route::Environment,
            Route::Services,
            Route::Instances,
            Route::Events(after),
            Route::Events(Query::default()),
            Route::Logs("opbox-1".into(), Query::tail(20)),
            Route::Restart("opbox".into()),
            Route::Operation(3, after),
        ] {
            let target = route.path();
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            assert_eq!(Route::parse(path, query), Some(route), "{target}");
        }
    }

    #[test]
    fn nothing_else_is_read() {
        for path in
            ["/", "/v1", "/v1/logs", "/v1/logs/", "/v1/logs/../etc", "/v1/operations/x", "/v1/restart/A b"]
        {
            assert_eq!(Route::parse(path, ""), None, "{path}");
        }
    }

    #[test]
    fn a_wait_is_bounded() {
        let Some(Route::Events(query)) = Route::parse("/v1/events", "wait=9999s&after=x") else { panic!() };
        assert_eq!(query, Query { after: None, wait: MAX_WAIT, tail: None });
    }
}
