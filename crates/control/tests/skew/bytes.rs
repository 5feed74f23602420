//! Messages and their bytes, by way of what ships: the codecs of both sides, without a socket between them.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use wire::xds::grpc::{self, Body, Broken, Ending, Requests, Stream};
use wire::xds::{Request, Response, Update};

/// A message in the frame of gRPC: not compressed, and so many bytes.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat().into()
}

/// The first message in `read`, taken out of it, once it is whole.
pub(crate) fn take_message(read: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = u32::from_be_bytes(read.get(1..5)?.try_into().unwrap()) as usize;
    let message = read.get(5..5 + length)?.to_vec();
    read.drain(..5 + length);
    Some(message)
}

/// The next piece of a body.
pub(crate) async fn piece(body: &mut Body) -> Option<Bytes> {
    body.frame().await?.unwrap().into_data().ok()
}

struct Silence;

impl Stream for Silence {
    type Item = Result<Response, Ending>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }
}

/// The bytes of a follower's stream as a request of HTTP.
pub(crate) fn posted<B>(body: B) -> hyper::Request<B> {
    let request = hyper::Request::post(format!("http://plane{}", grpc::PATH));
    request.header("content-type", "application/grpc").body(body).unwrap()
}

/// What a control plane reads.
pub(crate) async fn read_request(message: &[u8]) -> Result<Request, Broken> {
    let (tell, told) = std::sync::mpsc::channel::<Requests>();
    let begin = move |requests| {
        tell.send(requests).unwrap();
        Silence
    };
    let _answer = grpc::answer(posted(Full::new(framed(message))), begin).await;
    let mut requests = told.recv().unwrap();
    poll_fn(|cx| requests.poll(cx)).await.unwrap()
}

/// What is said to nowhere is taken down, and answered with `says`.
async fn nowhere(
    request: hyper::Request<Body>,
    said: Arc<Mutex<Vec<u8>>>,
    says: Bytes,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let mut body = request.into_body();
    while let Some(bytes) = piece(&mut body).await {
        said.lock().unwrap().extend_from_slice(&bytes);
    }
    let response = hyper::Response::builder().header("content-type", "application/grpc");
    Ok(response.body(Full::new(says)).unwrap())
}

struct Say(Option<Request>);

impl Stream for Say {
    type Item = Request;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Request>> {
        Poll::Ready(self.0.take())
    }
}

/// What a follower sends.
pub(crate) async fn write_request(request: Request) -> Vec<u8> {
    let said = Arc::new(Mutex::new(Vec::new()));
    let send = |request| nowhere(request, said.clone(), framed(&[]));
    let stream = pin!(grpc::follow(send, "plane", Say(Some(request)))).await;
    drop(stream);
    let mut said = said.lock().unwrap();
    take_message(&mut said).expect("a whole request")
}

/// What a follower reads.
pub(crate) async fn read_update(message: &[u8]) -> Result<Update, Broken> {
    let send = |request| nowhere(request, Arc::default(), framed(message));
    let mut updates = grpc::follow(send, "plane", Say(None)).await?;
    updates.next().await.map(Option::unwrap)
}
