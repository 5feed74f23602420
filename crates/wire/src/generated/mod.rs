//! Messages as the compiler of protobuf writes them: never edited, and seen by nobody outside of this crate.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::all)]

pub(crate) mod outrigger;
pub(crate) mod xds;
