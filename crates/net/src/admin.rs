//! A small HTTP server for administration on loopback: requests are few, so a library does it.

use crate::strangers::{Stranger, Strangers};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A body that is longer, in bytes, is read of those only who may say so much.
const SMALL: u64 = 64 << 10;

/// What a server of administration takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Takes {
    /// The longest body, in bytes.
    pub body: usize,
    /// Which `Host` is answered.
    pub hosts: Hosts,
    /// A body has to come within this.
    pub within: Duration,
    /// So many connections may be there whose first request has not come whole.
    pub strangers: usize,
}

impl Default for Takes {
    /// A megabyte within 10 s, which a head has too; a thousand strangers; loopback only.
    fn default() -> Takes {
        Takes { body: 1 << 20, hosts: Hosts::Loopback, within: Duration::from_secs(10), strangers: 1_000 }
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
#[derive(Clone, Debug)]
pub struct Request {
    /// Whether somebody on this machine asks, and no page of a browser that was led here.
    pub local: bool,
    /// Whether it comes from this machine, by whatever name we were asked for.
    pub from_here: bool,
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

/// Serves requests that come in at `listener` until it is dropped. Runs where tasks stay on their thread: in a
/// `LocalSet` or a `LocalRuntime`.
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
    serve_guarded(listener, takes, stop, |_| std::future::ready(Ok(())), handler).await;
}

/// The same, where `may` is asked before a long body is read: it gets the request without it. Whoever may not say much
/// gets its answer in place of the handler's.
pub async fn serve_guarded<M, G, H, F>(
    listener: TcpListener,
    takes: Takes,
    stop: impl Future<Output = ()>,
    may: M,
    handler: H,
) where
    M: Fn(Request) -> G + 'static,
    G: Future<Output = Result<(), Response>> + 'static,
    H: Fn(Request) -> F + 'static,
    F: Future<Output = Response> + 'static,
{
    let desk = Rc::new((may, handler));
    let strangers = Strangers::new(takes.strangers);
    let (stopping, told) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let stranger = Rc::new(strangers.enter());
                    let number = stranger.number();
                    let from_here = is_from_here(peer, stream.local_addr().ok());
                    let desk = desk.clone();
                    let service = service_fn(move |request| {
                        answer(desk.clone(), takes, from_here, stranger.clone(), request)
                    });
                    let task = connections.spawn_local(converse(stream, service, told.clone()));
                    strangers.serve(number, task);
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

/// Whether whoever is at `peer` is on this machine: at loopback, or at the very address that was asked.
fn is_from_here(peer: SocketAddr, asked: Option<SocketAddr>) -> bool {
    // A listener at [::] sees callers of IPv4 at mapped addresses.
    let ip = peer.ip().to_canonical();
    ip.is_loopback() || asked.is_some_and(|asked| asked.ip().to_canonical() == ip)
}

async fn answer<M, G, H, F>(
    desk: Rc<(M, H)>,
    takes: Takes,
    from_here: bool,
    stranger: Rc<Stranger>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible>
where
    M: Fn(Request) -> G,
    G: Future<Output = Result<(), Response>>,
    H: Fn(Request) -> F,
    F: Future<Output = Response>,
{
    let read = read(takes, from_here, &desk.0, request).await;
    // From here on it is our turn.
    stranger.is_known();
    let response = match read {
        Ok(request) => desk.1(request).await,
        Err(refusal) => refusal,
    };
    let mut built = hyper::Response::builder()
        .status(response.status)
        .header("content-type", response.content_type)
        .header("cache-control", "no-store");
    // Who is not let in does not keep a connection either.
    if matches!(response.status, 401 | 403 | 408 | 413) {
        built = built.header("connection", "close");
    }
    let built = built.body(Full::from(response.body));
    Ok(built.unwrap_or_else(|_| hyper::Response::new(Full::default())))
}

async fn read<M, G>(
    takes: Takes,
    from_here: bool,
    may: &M,
    request: hyper::Request<Incoming>,
) -> Result<Request, Response>
where
    M: Fn(Request) -> G,
    G: Future<Output = Result<(), Response>>,
{
    let header = |name| request.headers().get(name).and_then(|v| v.to_str().ok());
    if request.headers().contains_key("origin") {
        return Err(Response::text(403, "administration does not answer pages of a browser\n"));
    }
    let host = header("host").map_or(Host::Name, Host::of);
    if takes.hosts == Hosts::Loopback && host != Host::Loopback {
        return Err(Response::text(403, "administration answers to loopback addresses only\n"));
    }
    let local = from_here && host != Host::Name;
    let bearer = header("authorization").and_then(bearer).map(|text| Secret(text.to_owned()));
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let request = Request { local, from_here, bearer, method: head.method, path, query, body: Bytes::new() };
    if body.size_hint().upper().is_none_or(|announced| announced > SMALL) {
        may(request.clone()).await?;
    }
    let body = timeout(takes.within, Limited::new(body, takes.body).collect()).await;
    let body = body.map_err(|_| Response::text(408, "the body did not come in time\n"))?;
    let body = body.map_err(|why| match why.is::<LengthLimitError>() {
        true => too_large(takes.body),
        false => Response::text(400, "the body broke off\n"),
    })?;
    Ok(Request { body: body.to_bytes(), ..request })
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
        match name.parse::<std::net::IpAddr>().map(|ip| ip.to_canonical()) {
            Ok(ip) if ip.is_loopback() => Host::Loopback,
            Ok(_) => Host::Address,
            Err(_) if name == "localhost" => Host::Loopback,
            Err(_) => Host::Name,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

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
    fn who_asks_at_this_machines_own_address_is_on_this_machine() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (peer, asked, here) in [
            ("127.0.0.1:5", "127.0.0.1:7700", true),
            ("10.0.0.5:5", "10.0.0.5:7700", true),
            ("10.0.0.6:5", "10.0.0.5:7700", false),
            ("[::ffff:127.0.0.1]:5", "[::ffff:127.0.0.1]:7700", true),
            ("[::ffff:10.0.0.5]:5", "[::ffff:10.0.0.5]:7700", true),
            ("[::ffff:10.0.0.6]:5", "[::ffff:10.0.0.5]:7700", false),
            ("[2001:db8::1]:5", "[2001:db8::1]:7700", true),
        ] {
            assert_eq!(is_from_here(at(peer), Some(at(asked))), here, "{peer} {asked}");
        }
    }

    /// Serves until the test ends, and lets nobody say much.
    fn reserved() -> (SocketAddr, TcpListener) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        (listener.local_addr().unwrap(), TcpListener::from_std(listener).unwrap())
    }

    async fn reserve(listener: TcpListener, within: Duration) {
        let may = |request: Request| async move {
            let known = request.bearer.is_some_and(|bearer| bearer.0 == "known");
            if known { Ok(()) } else { Err(Response::text(401, "who is that\n")) }
        };
        let said = |request: Request| async move { Response::text(200, request.body.len().to_string()) };
        serve_guarded(
            listener,
            Takes { within, strangers: 3, ..Takes::default() },
            std::future::pending(),
            may,
            said,
        )
        .await;
    }

    async fn say(stream: &mut TcpStream, text: &str) {
        tokio::io::AsyncWriteExt::write_all(stream, text.as_bytes()).await.unwrap();
    }

    async fn heard(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        // Who is refused while it speaks may be cut off.
        let _ = tokio::io::AsyncReadExt::read_to_string(stream, &mut text).await;
        text
    }

    #[tokio::test]
    async fn a_long_body_is_read_of_those_only_who_may() {
        let (address, listener) = reserved();
        let talk = async {
            let long = "x".repeat(100_000);
            let mut stranger = TcpStream::connect(address).await.unwrap();
            // It is answered before it has said anything of it.
            say(&mut stranger, "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n").await;
            assert!(heard(&mut stranger).await.starts_with("HTTP/1.1 401"));
            let mut chunked = TcpStream::connect(address).await.unwrap();
            say(&mut chunked, "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await;
            assert!(heard(&mut chunked).await.starts_with("HTTP/1.1 401"));
            let mut known = TcpStream::connect(address).await.unwrap();
            let head =
                "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer known\r\nConnection: close\r\n";
            say(&mut known, &format!("{head}Content-Length: 100000\r\n\r\n{long}")).await;
            assert!(heard(&mut known).await.ends_with("100000"));
        };
        tokio::task::LocalSet::new()
            .run_until(async {
                tokio::select! { () = reserve(listener, PATIENCE) => {} () = talk => {} }
            })
            .await;
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let (address, listener) = reserved();
        let talk = async {
            let mut slow = TcpStream::connect(address).await.unwrap();
            say(&mut slow, "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n12345").await;
            assert!(heard(&mut slow).await.starts_with("HTTP/1.1 408"));
        };
        tokio::task::LocalSet::new()
            .run_until(async {
                tokio::select! { () = reserve(listener, Duration::from_millis(50)) => {} () = talk => {} }
            })
            .await;
    }

    #[tokio::test]
    async fn who_holds_connections_open_keeps_nobody_out() {
        let (address, listener) = reserved();
        let talk = async {
            let mut silent = Vec::new();
            for _ in 0..4 {
                silent.push(TcpStream::connect(address).await.unwrap());
            }
            // The first of them has gone, and whoever says something is answered.
            assert_eq!(heard(&mut silent[0]).await, "");
            let mut stream = TcpStream::connect(address).await.unwrap();
            say(
                &mut stream,
                "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
            )
            .await;
            assert!(heard(&mut stream).await.ends_with('2'));
        };
        tokio::task::LocalSet::new()
            .run_until(async {
                tokio::select! { () = reserve(listener, PATIENCE) => {} () = talk => {} }
            })
            .await;
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
            from_here: true,
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
