//! How the messages travel: one stream of gRPC, with buffers that are small because there are many streams.

use super::{MAX_MESSAGE, Request, Response, Update};
use bytes::Bytes;
use http::uri::PathAndQuery;
use prost::Message;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
pub use tokio_stream::Stream;
pub use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Status, Streaming};

/// Where discovery happens, as a path of HTTP.
pub const PATH: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

/// The body of a message of HTTP that carries a stream.
pub type Body = tonic::body::Body;

/// Why a stream ended before its time; the text is for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken(pub String);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

/// Why a control plane ends a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The follower asks for more than anybody may.
    TooMuch(String),
    /// The control plane stops: go to another one, or come back.
    Stopping,
}

/// What a follower says, one request after the other.
#[derive(Debug)]
pub struct Requests(Streaming<Request>);

/// What a control plane says, one update after the other.
#[derive(Debug)]
pub struct Updates(Streaming<Update>);

impl Requests {
    /// The next request; none when the follower has gone.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Request, Broken>>> {
        let next = Pin::new(&mut self.0).poll_next(cx);
        next.map(|next| next.map(|read| read.map_err(|status| broken(&status))))
    }
}

impl Updates {
    /// The next update; none when the control plane has ended the stream.
    ///
    /// # Errors
    /// [`Broken`]: connect again, after a while.
    pub async fn next(&mut self) -> Result<Option<Update>, Broken> {
        self.0.message().await.map_err(|status| broken(&status))
    }
}

fn broken(status: &Status) -> Broken {
    Broken(format!("{}: {}", status.code(), status.message()))
}

/// Answers a request of HTTP/2: where it begins a stream of discovery, what `begin` makes of the follower's requests
/// is sent back.
pub async fn answer<B, S>(
    request: http::Request<B>,
    begin: impl FnOnce(Requests) -> S + Send,
) -> http::Response<Body>
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    S: Stream<Item = Result<Response, Ending>> + Send + 'static,
{
    if request.uri().path() != PATH {
        return Status::unimplemented("only delta discovery is spoken here").into_http();
    }
    let mut grpc = tonic::server::Grpc::new(ServerSide).max_decoding_message_size(MAX_MESSAGE);
    grpc.streaming(Begin(Some(begin)), request).await
}

/// The answer to a follower that is not let in.
pub fn not_identified(why: &str) -> http::Response<Body> {
    Status::unauthenticated(why).into_http()
}

/// Begins a stream over a connection that speaks HTTP/2, and to which `send` gives a request: `requests` go there,
/// updates come back. `authority` is the control plane's name or address.
///
/// # Errors
/// [`Broken`]: connect again, after a while.
pub async fn follow<A, B, E>(
    send: impl FnMut(http::Request<Body>) -> A,
    authority: &str,
    requests: impl Stream<Item = Request> + Send + 'static,
) -> Result<Updates, Broken>
where
    A: Future<Output = Result<http::Response<B>, E>>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    follow_as(send, authority, None, requests).await
}

/// [`follow`] that shows who it is: the credential goes along as `authorization: Bearer …`.
///
/// # Errors
/// [`Broken`]: connect again, after a while.
pub async fn follow_as<A, B, E>(
    send: impl FnMut(http::Request<Body>) -> A,
    authority: &str,
    credential: Option<&str>,
    requests: impl Stream<Item = Request> + Send + 'static,
) -> Result<Updates, Broken>
where
    A: Future<Output = Result<http::Response<B>, E>>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let origin = http::Uri::builder().scheme("http").authority(authority).path_and_query("/").build();
    let origin = origin.map_err(|why| Broken(format!("{authority} is no address: {why}")))?;
    let mut grpc =
        tonic::client::Grpc::with_origin(Connection(send), origin).max_decoding_message_size(MAX_MESSAGE);
    let mut request = tonic::Request::new(requests);
    if let Some(credential) = credential {
        let bearer = tonic::metadata::MetadataValue::try_from(format!("Bearer {credential}"));
        let mut bearer =
            bearer.map_err(|_| Broken("the credential has characters that no header has".to_owned()))?;
        bearer.set_sensitive(true);
        request.metadata_mut().insert("authorization", bearer);
    }
    let response = grpc.streaming(request, PathAndQuery::from_static(PATH), ClientSide).await;
    response.map(|response| Updates(response.into_inner())).map_err(|status| broken(&status))
}

/// A connection as the client wants it: one that is over says so when something is sent.
struct Connection<S>(S);

impl<S, A, B, E> tower_service::Service<http::Request<Body>> for Connection<S>
where
    S: FnMut(http::Request<Body>) -> A,
    A: Future<Output = Result<http::Response<B>, E>>,
{
    type Response = http::Response<B>;
    type Error = E;
    type Future = A;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> A {
        (self.0)(request)
    }
}

struct Begin<F>(Option<F>);

impl<F, S> tonic::server::StreamingService<Request> for Begin<F>
where
    F: FnOnce(Requests) -> S,
    S: Stream<Item = Result<Response, Ending>>,
{
    type Response = Response;
    type ResponseStream = WithStatus<S>;
    type Future = Ready<Result<tonic::Response<WithStatus<S>>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Request>>) -> Self::Future {
        let begun = self.0.take().map(|begin| begin(Requests(request.into_inner())));
        let answer = begun.map(|stream| tonic::Response::new(WithStatus(Box::pin(stream))));
        ready(answer.ok_or_else(|| Status::internal("one stream is begun once")))
    }
}

struct WithStatus<S>(Pin<Box<S>>);

impl<S: Stream<Item = Result<Response, Ending>>> Stream for WithStatus<S> {
    type Item = Result<Response, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let status = |ending| match ending {
            Ending::TooMuch(why) => Status::resource_exhausted(why),
            Ending::Stopping => Status::unavailable("this control plane stops: connect again"),
        };
        self.0.as_mut().poll_next(cx).map(|next| next.map(|answer| answer.map_err(status)))
    }
}

/// Small buffers from the start: 8 KiB each way for every stream are 160 MB for 10,000 followers that say nothing.
fn buffers() -> BufferSettings {
    BufferSettings::new(512, 32 << 10)
}

struct ServerSide;
struct ClientSide;
struct ReadRequest;
struct WriteResponse;
struct ReadUpdate;
struct WriteRequest;

impl Codec for ServerSide {
    type Encode = Response;
    type Decode = Request;
    type Encoder = WriteResponse;
    type Decoder = ReadRequest;

    fn encoder(&mut self) -> WriteResponse {
        WriteResponse
    }

    fn decoder(&mut self) -> ReadRequest {
        ReadRequest
    }
}

impl Codec for ClientSide {
    type Encode = Request;
    type Decode = Update;
    type Encoder = WriteRequest;
    type Decoder = ReadUpdate;

    fn encoder(&mut self) -> WriteRequest {
        WriteRequest
    }

    fn decoder(&mut self) -> ReadUpdate {
        ReadUpdate
    }
}

impl Decoder for ReadRequest {
    type Item = Request;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Request>, Status> {
        Request::read(from).map(Some).map_err(|why| Status::invalid_argument(why.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}

impl Encoder for WriteResponse {
    type Item = Response;
    type Error = Status;

    fn encode(&mut self, response: Response, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.reserve(response.len());
        response.encode(to);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}

impl Decoder for ReadUpdate {
    type Item = Update;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Update>, Status> {
        Update::read(from).map(Some).map_err(|why| Status::invalid_argument(why.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}

impl Encoder for WriteRequest {
    type Item = Request;
    type Error = Status;

    fn encode(&mut self, request: Request, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        request.write().encode(to).map_err(|why| Status::internal(why.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}
