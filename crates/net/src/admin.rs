//! A small HTTP server for administration on loopback: requests are few, so a library does it.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

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

/// Which `Host` is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hosts {
    /// Loopback addresses. Whoever owns a name can make it lead here, and a page of theirs in a browser on this machine
    /// would then be let in.
    Loopback,
    /// Any, for a server that others reach too. Who asks for it by a name is not [`Request::local`].
    Any,
}

/// A request, read whole.
#[derive(Debug)]
pub struct Request {
    /// Whether somebody on this machine asks, and no page of a browser that was led here.
    pub local: bool,
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
    serve_until(listener, Takes::default(), std::future::pending(), handler).await;
}

/// The same, with other bounds, until `stop` ends: then no more connections are accepted, and this returns when those
/// that there are have been answered.
pub async fn serve_until<H, F>(
    listener: TcpListener,
    takes: Takes,
    stop: impl Future<Output = ()>,
    handler: H,
) where
    H: Fn(Request) -> F + 'static,
    F: Future<Output = Response> + 'static,
{
    let handler = Rc::new(handler);
    let (stopping, told) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let handler = handler.clone();
                    let service = service_fn(move |request| answer(handler.clone(), takes, peer, request));
                    connections.spawn_local(converse(stream, service, told.clone()));
                }
                // Out of descriptors or the like: the next accept would fail at once too.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            },
            // Those that have ended are let go of as they end.
            Some(_) = connections.join_next() => {}
            () = stop.as_mut() => break,
        }
    }
    drop(listener);
    stopping.send_replace(true);
    while connections.join_next().await.is_some() {}
}

async fn converse<S>(stream: TcpStream, service: S, mut stopping: watch::Receiver<bool>)
where
    S: hyper::service::HttpService<Incoming, ResBody = Full<Bytes>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut http1 = hyper::server::conn::http1::Builder::new();
    http1.timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(std::time::Duration::from_secs(10));
    let mut connection = std::pin::pin!(http1.serve_connection(TokioIo::new(stream), service));
    // A client that breaks off is its own business.
    tokio::select! {
        _ = connection.as_mut() => return,
        // Where the sender is gone, so is the server.
        _ = stopping.wait_for(|stopping| *stopping) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
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
    let host = header("host").map_or(Host::Name, Host::of);
    if takes.hosts == Hosts::Loopback && host != Host::Loopback {
        return Err(Response::text(403, "administration answers to loopback addresses only\n"));
    }
    let local = peer.ip().is_loopback() && host != Host::Name;
    let bearer = header("authorization").and_then(bearer).map(|text| Secret(text.to_owned()));
    let (head, body) = request.into_parts();
    let body = Limited::new(body, takes.body).collect().await;
    let body = body.map_err(|why| match why.is::<LengthLimitError>() {
        true => too_large(takes.body),
        false => Response::text(400, "the body broke off\n"),
    })?;
    let body = body.to_bytes();
    let path = head.uri.path().to_owned();
    let query = head.uri.query().unwrap_or_default().to_owned();
    Ok(Request { local, bearer, method: head.method, path, query, body })
}

/// The refusal of a body that is longer than `most` bytes, in the shape of the API's problems.
fn too_large(most: usize) -> Response {
    let text = format!("what was sent is longer than the {} MiB that are read here: send less", most >> 20);
    Response::json(413, format!(r#"{{"version":1,"problem":"too-large","text":"{text}"}}"#))
}

/// What follows the scheme `Bearer`, however that is written.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, rest) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
}

/// What a `Host` is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Host {
    Loopback,
    Address,
    Name,
}

impl Host {
    fn of(host: &str) -> Host {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        match name.parse::<std::net::IpAddr>() {
            Ok(ip) if ip.is_loopback() => Host::Loopback,
            Ok(_) => Host::Address,
            Err(_) if name == "localhost" => Host::Loopback,
            Err(_) => Host::Name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_loopback() {
        for good in ["localhost", "localhost:80", "127.0.0.1:9", "[::1]:9", "127.8.8.8"] {
            assert_eq!(Host::of(good), Host::Loopback, "{good}");
        }
        for bad in ["example.org", "127.0.0.1.example.org", "10.0.0.1:80", "", "localhost.example.org:1"] {
            let address = if bad == "10.0.0.1:80" { Host::Address } else { Host::Name };
            assert_eq!(Host::of(bad), address, "{bad}");
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
            local: true,
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
