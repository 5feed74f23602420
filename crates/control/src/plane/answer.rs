//! The answers of the API.

use super::{Plane, view};
use crate::desk::Failed;
use crate::registry::Registry;
use api::{Problem, Route, encode};
use net::admin::{Request, Response};

/// Answers `request`, unless there is nothing at its path.
pub(super) async fn answer(plane: &Plane, request: Request) -> Option<Response> {
    let route = Route::parse(&request.path, &request.query)?;
    let shared = &plane.0;
    let answer = match &route {
        Route::Environment => Response::json(200, encode(&view::environment(shared))),
        Route::Services => look(plane, |registry| encode(&view::services(registry))).await,
        Route::Instances => look(plane, |registry| encode(&view::instances(registry))).await,
        Route::Events(query) => Response::json(200, encode(&shared.events.answer(*query).await)),
        _ => return None,
    };
    if request.method != route.method() {
        return Some(problem(405, "wrong-method", format!("{} is for {}", request.path, route.method())));
    }
    Some(answer)
}

async fn look(plane: &Plane, read: impl FnOnce(&Registry) -> String + Send + 'static) -> Response {
    plane.desk().look(read).await.map_or_else(|why| failed(&why), |json| Response::json(200, json))
}

fn failed(why: &Failed) -> Response {
    match why {
        Failed::Refused(why) => problem(409, "refused", why.to_string()),
        Failed::Store(error) => problem(503, error.word(), why.to_string()),
        Failed::Closed => problem(503, "stopping", why.to_string()),
    }
}

fn problem(status: u16, problem: &str, text: String) -> Response {
    Response::json(status, encode(&Problem::new(problem, text)))
}
