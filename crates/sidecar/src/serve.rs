//! One request, on one screen: from its head to its settling. The numbers are those of the table in
//! ARCHITECTURE.md.

use crate::accept::write_refusal;
use crate::accesslog::{Entry, Served};
use crate::caller::Caller;
use crate::context::{Context, NoteKey, Notes};
use crate::control_link::ask::Counter;
use crate::drive::{InFlight, drive};
use crate::exchange::Exchange;
use crate::record::Outcome;
use crate::request::Hop;
use crate::respond::{self, Form, Refusal};
use crate::snapshot::{Entrance, Target, World};
use crate::worker::{Draining, Stray, Worker};
use http1::{Framing, Known, Method, RequestHead};
use model::{Importance, Moment, Peer, Reason, ServiceName};
use policy::Ask;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Whether a request was waited for, so that others had their turn meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    Yes,
    /// It was answered alone. A caller can send many of those at once.
    No,
}

/// Serves the request whose head, `head_len` bytes at the front of the caller's input, is in the worker's
/// `request_head`. Afterwards the connection may be used again unless `caller.close` is set.
pub(crate) async fn serve(
    worker: &Worker,
    caller: &mut Caller,
    entrance: &SocketAddr,
    head_len: usize,
) -> Waited {
    let begun = worker.now();
    // Taken apart where it is made: what has a name stays in the connection's future until the end.
    let Arrival { target, peer, kept, method, entry, ask } =
        match arrive(worker, caller, entrance, head_len, begun) {
            Ok(arrival) => arrival, //                                                2 pin to 5 route
            Err(Alone::Unknown(stranger)) => {
                let later = arrive_later(worker, caller, entrance, head_len, begun, stranger);
                // In a box: the future of every connection would have to be as large otherwise.
                match Box::pin(later).await {
                    Ok(arrival) => arrival,
                    Err(refusal) => return answer_alone(worker, caller, refusal, head_len, begun),
                }
            }
            Err(refusal) => return answer_alone(worker, caller, refusal, head_len, begun),
        };
    caller.input.consume(head_len);
    caller.input.rest(&worker.buffers);
    let _last = Last(worker);
    let mut exchange = Exchange::new(worker, caller, target.direction, peer);
    let mut flight = InFlight::begin(worker, &target.desk, ask);
    drive(&mut exchange, &mut flight, &target).await; //                               6 to 12
    let attempts = flight.attempts();
    let (keys, body_rule) = (exchange.keys(), exchange.body_rule);
    let mut finished = exchange.end();
    if let (None, Some(rule), false) = (finished.status, body_rule, caller.gone) {
        // Its body breaks a rule, and nothing was answered yet.
        let reason = Reason::MalformedRequest;
        write_refusal(worker, caller, reason, Some(rule));
        (finished.status, finished.reason) = (Some(reason.status()), Some(reason));
    }
    if attempts > 1 && kept.is_none() {
        worker.shared.notes.mark_retried(keys);
    }
    let took = worker.now().since(begun); //                                          13 settle
    let outcome = Outcome { status: finished.status, reason: finished.reason, took };
    target.counts.settle(method, &outcome);
    if let (Some(log), Some(entry)) = (&worker.shared.log, &entry) {
        let (direction, service, peer) = (target.direction, target.name.as_str(), caller.peer);
        log.add(&Served { entry, direction, service, peer, finished: &finished, took, attempts });
    }
    Waited::Yes
}

/// A request that is known to be for a service, and stands rewritten in `caller.request`.
struct Arrival<'w> {
    target: Arc<Target>,
    /// Who answers there.
    peer: Peer,
    /// Its context, noted while the app works on it.
    kept: Option<Kept<'w>>,
    method: Method,
    entry: Option<Entry>,
    ask: Ask,
}

/// A request for a service that is not known here.
struct Stranger {
    name: ServiceName,
    form: Form,
}

/// What is answered without asking anybody.
enum Alone {
    Refused(Reason, Form),
    /// A name that the control plane may know.
    Unknown(Stranger),
    /// `Max-Forwards: 0`: we are whom it is meant for.
    Options,
}

fn arrive<'w>(
    worker: &'w Worker,
    caller: &mut Caller,
    entrance: &SocketAddr,
    head_len: usize,
    now: Moment,
) -> Result<Arrival<'w>, Alone> {
    let world = worker.world();
    let head = &*worker.request_head.borrow();
    let bytes = caller.input.bytes().get(..head_len).unwrap_or_default();
    caller.old = head.minor_version == 0;
    caller.close = !head.keep_alive;
    let said = Said::read(head, bytes);
    let form = Form::of(said.content_type, said.accept);
    if head.max_forwards == Some(0) {
        let options = head.method == Method::Options;
        return Err(if options { Alone::Options } else { Alone::Refused(Reason::MethodRefused, form) });
    }
    let entrance = world.entrances.iter().find(|(address, _)| address == entrance);
    let Some((_, entrance)) = entrance else { return Err(Alone::Refused(Reason::Draining, form)) };
    if *entrance == Entrance::Inbound && worker.shared.draining() != Draining::No {
        return Err(Alone::Refused(Reason::Draining, form));
    }
    let route = world.route(entrance, head.authority.of(bytes), head.path.of(bytes));
    let Some(route) = route else { return Err(unknown(worker, entrance, head.authority.of(bytes), form)) };
    if worker.buffers.is_short() {
        return Err(Alone::Refused(Reason::OutOfMemory, form));
    }
    let inbound = *entrance == Entrance::Inbound;
    let edge = matches!(entrance, Entrance::Edge(_));
    // What comes from outside has no context here, and nobody looks for it later.
    let keys = if edge { [None, None] } else { said.keys() };
    let ids = (said.trace.is_some(), said.request_id.is_some());
    let context = context_of(worker, &said, entrance, keys, now);
    let total = now.after(route.timeouts.total).min(context.deadline);
    let host = matches!(entrance, Entrance::Service(_)).then_some(route.target.name.as_str());
    let hop = Hop {
        edge,
        inbound,
        host,
        peer: caller.peer_text.bytes(),
        importance: context.importance,
        deadline: if route.timeouts.pass_on { total } else { Moment::NEVER },
        attempt: context.attempt,
        connect_time: route.timeouts.connect,
        form,
        ids,
        keys,
    };
    caller.request.begin(worker, head, bytes, &hop);
    let ask = Ask {
        id: worker.next_call(),
        idempotent: caller.request.idempotent,
        has_body: !matches!(head.framing, Framing::Empty | Framing::Length(0)),
        remaining: (context.deadline != Moment::NEVER).then(|| now.until(context.deadline)),
        attempt: context.attempt,
        importance: context.importance,
        timeouts: route.timeouts,
    };
    let kept =
        || Kept::new(&worker.shared.notes, caller.request.keys, Context { deadline: total, ..context });
    Ok(Arrival {
        kept: inbound.then(kept),
        method: head.method,
        entry: worker.shared.log.is_some().then(|| entry(head, bytes)),
        target: route.target.clone(),
        peer: route.peer,
        ask,
    })
}

#[cold]
fn unknown(worker: &Worker, entrance: &Entrance, authority: &[u8], form: Form) -> Alone {
    let may_ask = worker.shared.counter.is_some() && *entrance == Entrance::Outbound;
    match World::stranger(authority).filter(|_| may_ask) {
        Some(name) => Alone::Unknown(Stranger { name, form }),
        None => Alone::Refused(Reason::UnknownService, form),
    }
}

/// Waits until the control plane has said whether there is such a service, and goes on from there.
#[cold]
async fn arrive_later<'w>(
    worker: &'w Worker,
    caller: &mut Caller,
    entrance: &SocketAddr,
    head_len: usize,
    begun: Moment,
    stranger: Stranger,
) -> Result<Arrival<'w>, Alone> {
    let known = Counter::ask(&worker.shared, stranger.name).await;
    worker.look_at_clock();
    // Others have had their turn, and their heads where this one's was. It was read before: it is whole.
    let _ = worker.request_head.borrow_mut().parse(caller.input.bytes(), &worker.limits);
    match known {
        true => arrive(worker, caller, entrance, head_len, begun),
        false => Err(Alone::Refused(Reason::UnknownService, stranger.form)),
    }
}

/// The fields of a request that decide what becomes of it, found in one pass; empty or none where they are missing.
#[derive(Default)]
struct Said<'b> {
    trace: Option<&'b [u8]>,
    request_id: Option<&'b [u8]>,
    accept: &'b [u8],
    content_type: &'b [u8],
    deadline: Option<Duration>,
    importance: Option<Importance>,
    attempt: &'b [u8],
    /// The shorter of `grpc-timeout` and Envoy's expected timeout.
    timeout: Option<Duration>,
}

impl<'b> Said<'b> {
    fn read(head: &RequestHead, bytes: &'b [u8]) -> Said<'b> {
        let mut said = Said::default();
        for field in &head.fields {
            if field.known == Known::Other {
                continue;
            }
            let value = field.value.of(bytes);
            match field.known {
                Known::Traceparent => said.trace = Some(value).filter(|v| NoteKey::is_traceparent(v)),
                Known::XRequestId => said.request_id = Some(value).filter(|v| !v.is_empty()),
                Known::Accept => said.accept = value,
                Known::ContentType => said.content_type = value,
                Known::OutriggerDeadlineMs => said.deadline = millis(value),
                Known::OutriggerImportance => said.importance = Importance::from_word(value),
                Known::OutriggerAttempt => said.attempt = value,
                Known::GrpcTimeout => said.timeout = shorter(said.timeout, grpc_timeout(value)),
                Known::XEnvoyExpectedRqTimeoutMs => said.timeout = shorter(said.timeout, millis(value)),
                _ => {}
            }
        }
        said
    }

    fn keys(&self) -> [Option<NoteKey>; 2] {
        [self.trace.and_then(NoteKey::of_traceparent), self.request_id.and_then(NoteKey::of_request_id)]
    }
}

fn shorter(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    [a, b].into_iter().flatten().min()
}

fn millis(value: &[u8]) -> Option<Duration> {
    std::str::from_utf8(value).ok()?.parse().ok().map(Duration::from_millis)
}

/// Deadline, importance and attempt: from the peer's sidecar, or from what inbound noted when this request's cause
/// came in, or afresh. Ours are believed where other sidecars come in: as long as no connection proves who it is, from
/// anybody who can connect there. A shorter timeout is believed from anybody.
fn context_of(
    worker: &Worker,
    said: &Said<'_>,
    entrance: &Entrance,
    keys: [Option<NoteKey>; 2],
    now: Moment,
) -> Context {
    let inbound = *entrance == Entrance::Inbound;
    let left = if inbound { shorter(said.timeout, said.deadline) } else { said.timeout };
    let deadline = left.map_or(Moment::NEVER, |left| now.after(left));
    let afresh = Context { deadline, importance: Importance::default(), attempt: 1, retried: false };
    match entrance {
        Entrance::Edge(_) => afresh,
        Entrance::Inbound => Context {
            importance: said.importance.unwrap_or_default(),
            attempt: number(said.attempt).unwrap_or(1).max(1),
            ..afresh
        },
        Entrance::Outbound | Entrance::Service(_) => match worker.shared.notes.find(keys) {
            Some(noted) => Context { deadline: deadline.min(noted.deadline), ..noted },
            None => {
                worker.shared.context_lost.fetch_add(1, Relaxed);
                afresh
            }
        },
    }
}

/// Which attempt of the caller it is, as its sidecar says.
fn number(value: &[u8]) -> Option<u8> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// `grpc-timeout`: at most eight digits and a unit (gRPC over HTTP/2, "Requests").
fn grpc_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    let number: u64 = std::str::from_utf8(digits).ok().filter(|d| d.len() <= 8)?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(number * 3600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[inline(never)]
fn entry(head: &RequestHead, bytes: &[u8]) -> Entry {
    let text = |span: http1::Span| String::from_utf8_lossy(span.of(bytes)).into_owned();
    Entry {
        method: text(head.method_text),
        path: text(head.path),
        authority: text(head.authority),
        request_id: head.find(Known::XRequestId).map(|f| text(f.value)).unwrap_or_default(),
    }
}

/// Answers a request that no instance is asked for.
#[cold]
fn answer_alone(
    worker: &Worker,
    caller: &mut Caller,
    alone: Alone,
    head_len: usize,
    begun: Moment,
) -> Waited {
    let (method, head, body, entry) = {
        let head = worker.request_head.borrow();
        let body = !matches!(head.framing, Framing::Empty | Framing::Length(0));
        let bytes = caller.input.bytes().get(..head_len).unwrap_or_default();
        (head.method, head.asked().head, body, worker.shared.log.is_some().then(|| entry(&head, bytes)))
    };
    caller.input.consume(head_len);
    // A body that nobody reads would be taken for the next request.
    caller.close |= body;
    let refused = match alone {
        Alone::Refused(reason, form) => Some((reason, form)),
        Alone::Unknown(stranger) => Some((Reason::UnknownService, stranger.form)),
        Alone::Options => None,
    };
    let status = match refused {
        Some((reason, form)) => {
            caller.close |= reason.closes();
            let (close, old) = (caller.close, caller.old);
            let refusal =
                Refusal { reason, rule: None, retry_after: None, retried: false, form, close, old, head };
            respond::write(caller.room_to_write(worker), &refusal, &worker.date());
            reason.status()
        }
        None => {
            let close = caller.close;
            respond::write_options(caller.room_to_write(worker), &worker.date(), close);
            204
        }
    };
    let reason = refused.map(|(reason, _)| reason);
    let outcome = Outcome { status: Some(status), reason, took: worker.now().since(begun) };
    let entry = &entry.unwrap_or_default();
    worker.shared.settle_stray(&Stray { method, entry, peer: caller.peer, rule: None }, &outcome);
    Waited::No
}

/// Tells whoever drains that a request has ended, however it did: made first, it is dropped last.
struct Last<'a>(&'a Worker);

impl Drop for Last<'_> {
    fn drop(&mut self) {
        self.0.shared.tell_drain();
    }
}

/// A noted context, forgotten when the request is done or dropped.
struct Kept<'a> {
    notes: &'a Notes,
    keys: [Option<NoteKey>; 2],
}

impl<'a> Kept<'a> {
    fn new(notes: &'a Notes, keys: [Option<NoteKey>; 2], context: Context) -> Kept<'a> {
        Kept { notes, keys: notes.keep(keys, context) }
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.notes.forget(self.keys);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grpc_timeout_has_a_unit() {
        assert_eq!(grpc_timeout(b"250m"), Some(Duration::from_millis(250)));
        assert_eq!(grpc_timeout(b"1S"), Some(Duration::from_secs(1)));
        assert_eq!(grpc_timeout(b"99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for bad in [&b""[..], b"S", b"123456789S", b"1x", b"-1S", b"1.5S"] {
            assert_eq!(grpc_timeout(bad), None);
        }
    }
}
