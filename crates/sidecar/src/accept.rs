//! From a listening socket to one request at a time: accepts connections, reads heads, lets connections rest.

use crate::accesslog::Entry;
use crate::caller::Caller;
use crate::record::Outcome;
use crate::respond::{self, Form, Refusal};
use crate::serve::{Waited, serve};
use crate::worker::{Stray, Worker};
use http1::{Method, Rule, RuleKind, Status};
use model::{Moment, Reason};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::net::{TcpListener, TcpStream};

/// After a connection that is closed early, so much is still read and thrown away, for so long: closing with bytes
/// unread would reset the connection and destroy the answer on its way (RFC 9112 §9.6).
const LINGER_BYTES: usize = 256 << 10;
const LINGER_TIME: Duration = Duration::from_secs(1);
/// The wait after an accept that failed, as the next would fail at once too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What reading a head came to.
enum Next {
    /// A request whose head, of so many bytes, is in the worker's `request_head`.
    Request(usize),
    /// A head that breaks a rule.
    Broken(Rule),
    /// A head that did not come in time.
    Slow,
    /// A head for which there is no memory left.
    NoRoom,
    /// The connection is to end.
    Over,
}

/// Accepts connections at `listener`, whose address in the snapshot is `address`, until `stop` ends. Who has connected
/// by then is still accepted: closing the listener would reset those connections, with the requests on them.
pub(crate) async fn accept(
    worker: Rc<Worker>,
    listener: TcpListener,
    address: SocketAddr,
    stop: impl Future<Output = ()>,
) {
    tokio::select! {
        biased;
        () = stop => {}
        () = accept_all(&worker, &listener, address) => {}
    }
    // Asked of the kernel directly, as the runtime may not have heard yet of who came last.
    let Ok(listener) = listener.into_std() else { return };
    for _ in 0..net::listen::BACKLOG {
        let Ok((stream, peer)) = listener.accept() else { return };
        if stream.set_nonblocking(true).is_ok()
            && let Ok(stream) = TcpStream::from_std(stream)
        {
            begin(&worker, stream, peer, address);
        }
    }
}

async fn accept_all(worker: &Rc<Worker>, listener: &TcpListener, address: SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => begin(worker, stream, peer, address),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

fn begin(worker: &Rc<Worker>, stream: TcpStream, peer: SocketAddr, address: SocketAddr) {
    // Counted here and not when it gets its first turn: a drain must not miss it.
    tokio::task::spawn_local(connection(Counted::new(worker.clone()), stream, peer, address));
}

/// Counts a connection for as long as it lives.
pub(crate) struct Counted {
    worker: Rc<Worker>,
    /// There are as many as there may be without it.
    beyond: bool,
}

impl Counted {
    pub(crate) fn new(worker: Rc<Worker>) -> Counted {
        let open = worker.shared.connections.fetch_add(1, Relaxed);
        Counted { beyond: open >= worker.bounds().connections, worker }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.worker.shared.connections.fetch_sub(1, Relaxed);
        self.worker.shared.tell_drain();
    }
}

pub(crate) async fn connection(counted: Counted, stream: TcpStream, peer: SocketAddr, entrance: SocketAddr) {
    let worker = &*counted.worker;
    let _ = stream.set_nodelay(true);
    let mut caller = Caller::new(worker, stream, peer);
    worker.look_at_clock();
    if counted.beyond {
        refuse(worker, &mut caller, Reason::OutOfConnections, None);
        flush(worker, &mut caller).await;
    }
    while !caller.close && !caller.gone {
        match next(worker, &mut caller).await {
            Next::Request(head_len) => {
                if serve(worker, &mut caller, &entrance, head_len).await == Waited::No {
                    tokio::task::yield_now().await;
                }
            }
            Next::Broken(rule) => refuse(worker, &mut caller, reason_of(rule), Some(rule)),
            Next::Slow => refuse(worker, &mut caller, Reason::HeadTooSlow, None),
            Next::NoRoom => refuse(worker, &mut caller, Reason::OutOfMemory, None),
            Next::Over => break,
        }
        if caller.output.backlog() > 0 {
            flush(worker, &mut caller).await;
        }
    }
    if caller.cut {
        // Where this fails the connection is broken already.
        let _ = caller.stream.set_zero_linger();
    } else if caller.close && !caller.gone {
        linger(worker, &mut caller).await;
    }
    caller.end(worker);
}

/// Waits for the next request's head. While it waits, a connection on which nothing has come holds no buffers.
fn next(worker: &Worker, caller: &mut Caller) -> impl Future<Output = Next> {
    let idle_until = worker.now().after(worker.bounds().caller_idle);
    let mut head_until = Moment::NEVER;
    let mut first = true;
    poll_fn(move |cx| {
        // The first turn goes on from where the request before ended.
        if !std::mem::take(&mut first) {
            worker.look_at_clock();
        }
        poll_next(worker, caller, cx, idle_until, &mut head_until)
    })
}

fn poll_next(
    worker: &Worker,
    caller: &mut Caller,
    cx: &mut Context<'_>,
    idle_until: Moment,
    head_until: &mut Moment,
) -> Poll<Next> {
    loop {
        if !caller.input.is_empty() {
            let parsed = worker.request_head.borrow_mut().parse(caller.input.bytes(), &worker.limits);
            match parsed {
                Ok(Status::Complete { head_len }) => return Poll::Ready(Next::Request(head_len)),
                Ok(Status::Partial) => {}
                Err(rule) => return Poll::Ready(Next::Broken(rule)),
            }
            if *head_until == Moment::NEVER {
                *head_until = worker.now().after(worker.bounds().head_time);
            }
        }
        if caller.input.must_grow() && !worker.buffers.may_grow(caller.input.bytes().len()) {
            return Poll::Ready(Next::NoRoom);
        }
        if caller.poll_read(worker, cx, worker.limits.head_bytes).is_some() {
            continue;
        }
        if caller.gone || worker.is_draining() && is_at_rest(caller) {
            return Poll::Ready(Next::Over);
        }
        caller.rest(worker);
        // A head that has begun has its own time, whatever is left of the connection's.
        let due = if *head_until == Moment::NEVER { idle_until } else { *head_until };
        if worker.now() >= due {
            return Poll::Ready(if caller.input.is_empty() { Next::Over } else { Next::Slow });
        }
        worker.timers.set(caller.slot, due, cx);
        return Poll::Pending;
    }
}

/// Whether nothing has come, not even what the runtime has not heard of yet: a request that is here is answered.
#[cold]
fn is_at_rest(caller: &Caller) -> bool {
    caller.input.is_empty() && !net::wire::has_arrived(&caller.stream)
}

fn reason_of(rule: Rule) -> Reason {
    match rule.kind() {
        RuleKind::Malformed => Reason::MalformedRequest,
        RuleKind::HeadTooLarge => Reason::HeadTooLarge,
        RuleKind::MethodRefused => Reason::MethodRefused,
        RuleKind::ExpectationFailed => Reason::ExpectationFailed,
    }
}

/// Refuses before it is known which service the request is for, and closes.
#[cold]
fn refuse(worker: &Worker, caller: &mut Caller, reason: Reason, rule: Option<Rule>) {
    write_refusal(worker, caller, reason, rule);
    let outcome = Outcome { status: Some(reason.status()), reason: Some(reason), took: Duration::ZERO };
    let stray = Stray { method: Method::Other, entry: &Entry::default(), peer: caller.peer, rule };
    worker.shared.settle_stray(&stray, &outcome);
}

/// Writes a refusal, after which the connection is closed. Counts nothing.
#[cold]
pub(crate) fn write_refusal(worker: &Worker, caller: &mut Caller, reason: Reason, rule: Option<Rule>) {
    caller.close = true;
    let refusal = Refusal {
        reason,
        rule,
        retry_after: None,
        retried: false,
        form: Form::Line,
        close: true,
        old: false,
        head: false,
    };
    respond::write(caller.room_to_write(worker), &refusal, &worker.date());
}

/// Writes what waits to be written; a caller that takes nothing for as long as an idle one may stay has gone.
async fn flush(worker: &Worker, caller: &mut Caller) {
    let until = worker.now().after(worker.bounds().head_time);
    poll_fn(|cx| {
        worker.look_at_clock();
        caller.poll_flush(worker, cx);
        if caller.gone || caller.output.backlog() == 0 {
            return Poll::Ready(());
        }
        if worker.now() >= until {
            caller.gone = true;
            return Poll::Ready(());
        }
        worker.timers.set(caller.slot, until, cx);
        Poll::Pending
    })
    .await;
}

/// Says that nothing more will come, then reads on for a moment so that the answer arrives.
async fn linger(worker: &Worker, caller: &mut Caller) {
    let until = worker.now().after(LINGER_TIME);
    let mut left = LINGER_BYTES;
    let _ = poll_fn(|cx| std::pin::Pin::new(&mut caller.stream).poll_shutdown(cx)).await;
    poll_fn(|cx| {
        worker.look_at_clock();
        loop {
            let waiting = caller.input.bytes().len();
            left = left.saturating_sub(waiting);
            caller.input.consume(waiting);
            if caller.poll_read(worker, cx, 8 << 10).is_some() && left > 0 {
                continue;
            }
            if caller.gone || left == 0 || worker.now() >= until {
                return Poll::Ready(());
            }
            caller.rest(worker);
            worker.timers.set(caller.slot, until, cx);
            return Poll::Pending;
        }
    })
    .await;
}

#[cfg(test)]
mod tests;
