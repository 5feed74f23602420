//! A small HTTP server for administration on loopback: requests are few, so a library does it.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::net::TcpListener;

/// What a server of administration takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Takes {
    /// The longest body, in bytes.
    pub body: usize,
    /// Which `Host` is answered.
    pub hosts: Hosts,
}

impl Default for Takes {
    /// A megabyte, loopback only.
    fn default() -> Takes {
        Takes { body: 1 << 20, hosts: Hosts::Loopback }
    }
}

/// Which `Host` is answered. Never a name, but `localhost`: whoever owns a name can make it lead here, and a page
/// of theirs in a browser on this machine would then be let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hosts {
    /// Loopback addresses.
    Loopback,
    /// Any address, for a server that others reach too.
    Addresses,
}

/// A request, read whole.
#[derive(Debug)]
pub struct Request {
    /// Who asks.
    pub peer: SocketAddr,
    /// What the request carries of `Authorization: Bearer …`. A secret: it is not to be shown.
    pub bearer: Option<Secret>,
    /// `GET`, `POST`, …
    pub method: hyper::Method,
    /// The path without the query.
    pub path: String,
    /// The query without its `?`; empty if there is none.
    pub query: String,
    /// The body.
    pub body: Bytes,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Request {
    /// The value of `name` in the query, as it stands there.
    pub fn query_value(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(k, _)| *k == name))
            .map(|(_, v)| v)
    }
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Response {
    /// Plain text.
    pub fn text(status: u16, body: impl Into<String>) -> Response {
        Response { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    /// JSON.
    pub fn json(status: u16, body: impl Into<String>) -> Response {
        Response { status, content_type: "application/json", body: body.into() }
    }
}

/// Serves requests that come in at `listener` until it is dropped. Runs within a `LocalSet`.
///
/// A request whose `Host` is not a loopback address, or that carries an `Origin`, is refused: a page in a browser
/// on this machine must not steer us (DNS rebinding, cross-site requests).
pub async fn serve<H, F>(listener: TcpListener, handler: H)
where
    H: Fn(Request) -> F + 'static,
    F: Future<Output = Response> + 'static,
{
    serve_with(listener, Takes::default(), handler).await;
}

/// The same, with other bounds.
pub async fn serve_with<H, F>(listener: TcpListener, takes: Takes, handler: H)
where
    H: Fn(Request) -> F + 'static,
    F: Future<Output = Response> + 'static,
{
    let handler = Rc::new(handler);
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of descriptors or the like: the next accept would fail at once too.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let handler = handler.clone();
        tokio::task::spawn_local(async move {
            let service = service_fn(move |request| answer(handler.clone(), takes, peer, request));
            let served = hyper::server::conn::http1::Builder::new()
                .timer(hyper_util::rt::TokioTimer::new())
                .header_read_timeout(std::time::Duration::from_secs(10))
                .serve_connection(TokioIo::new(stream), service);
            // A client that breaks off is its own business.
            let _ = served.await;
        });
    }
}

async fn answer<H, F>(
    handler: Rc<H>,
    takes: Takes,
    peer: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible>
where
    H: Fn(Request) -> F,
    F: Future<Output = Response>,
{
    let response = match read(takes, peer, request).await {
        Ok(request) => handler(request).await,
        Err(refusal) => refusal,
    };
    let built = hyper::Response::builder()
        .status(response.status)
        .header("content-type", response.content_type)
        .header("cache-control", "no-store")
        .body(Full::from(response.body));
    Ok(built.unwrap_or_else(|_| hyper::Response::new(Full::default())))
}

async fn read(
    takes: Takes,
    peer: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<Request, Response> {
    let header = |name| request.headers().get(name).and_then(|v| v.to_str().ok());
    if request.headers().contains_key("origin") {
        return Err(Response::text(403, "administration does not answer pages of a browser\n"));
    }
    if !header("host").is_some_and(|host| is_answered(takes.hosts, host)) {
        let whom = match takes.hosts {
            Hosts::Loopback => "administration answers to loopback addresses only\n",
            Hosts::Addresses => "name this server by its address: no other name is answered\n",
        };
        return Err(Response::text(403, whom));
    }
    let bearer = header("authorization").and_then(bearer).map(|text| Secret(text.to_owned()));
    let (head, body) = request.into_parts();
    let body = Limited::new(body, takes.body).collect().await;
    let body = body.map_err(|_| Response::text(413, "the body is too large or broke off\n"))?.to_bytes();
    let path = head.uri.path().to_owned();
    let query = head.uri.query().unwrap_or_default().to_owned();
    Ok(Request { peer, bearer, method: head.method, path, query, body })
}

/// What follows the scheme `Bearer`, however that is written.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, rest) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
}

fn is_answered(hosts: Hosts, host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let address = name.parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|ip| hosts == Hosts::Addresses || ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_loopback() {
        for good in ["localhost", "localhost:80", "127.0.0.1:9", "[::1]:9", "127.8.8.8"] {
            assert!(is_answered(Hosts::Loopback, good), "{good}");
            assert!(is_answered(Hosts::Addresses, good), "{good}");
        }
        for bad in ["example.org", "127.0.0.1.example.org", "10.0.0.1:80", "", "localhost.example.org:1"] {
            assert!(!is_answered(Hosts::Loopback, bad), "{bad}");
            assert_eq!(is_answered(Hosts::Addresses, bad), bad == "10.0.0.1:80", "{bad}");
        }
    }

    #[test]
    fn a_bearer_is_read_and_never_shown() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc"), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("Bearer"), None);
        assert_eq!(format!("{:?}", Secret("abc".into())), "…");
    }

    #[test]
    fn a_query_is_read_by_name() {
        let request = Request {
            peer: ([127, 0, 0, 1], 1).into(),
            bearer: None,
            method: hyper::Method::GET,
            path: "/drain".into(),
            query: "within=10s&x=1".into(),
            body: Bytes::new(),
        };
        assert_eq!(request.query_value("within"), Some("10s"));
        assert_eq!(request.query_value("with"), None);
    }
}
