//! The sidecar as its callers and instances see it: exact bytes in, exact bytes out, on real sockets.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, dead_code)]

mod bounds;
mod context;
mod deadlines;
mod harness;
mod link;
mod log;
mod messages;
mod plane;
mod reload;
mod retries;
mod skew;
mod strict;
