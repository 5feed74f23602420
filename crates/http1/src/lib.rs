//! HTTP/1.1 for a proxy, on bytes: read a head, frame a body, write a head.
//!
//! There is no socket, no clock and no allocation per message here; the callers own the buffers and
//! reuse the structs. One promise rules everything else: *the head that was checked is the head that
//! is forwarded*. Where two implementations could read a message in two ways it is refused by a named
//! [`Rule`] instead of repaired, in responses as in requests (RFC 9112 §11, RFC 9110 §17).
//!
//! Read in this order: [`Rule`] (what is refused), [`RequestHead`] and [`ResponseHead`] (what a head
//! says), [`BodyReader`] (where a body ends), [`write`] (what is sent on).
//!
//! After any `Err(Rule)` nothing is known about the bytes that follow: answer if that is possible,
//! then close the connection.
//!
//! ```
//! use http1::{BodyReader, Limits, RequestHead, Status, write};
//!
//! let buf = b"GET /a?b HTTP/1.1\r\nHost: shop\r\nConnection: x-secret\r\nX-Secret: 1\r\nX-Kept: 2\r\n\r\n";
//! let mut head = RequestHead::new();
//! let Ok(Status::Complete { head_len }) = head.parse(buf, &Limits::default()) else { unreachable!() };
//! assert_eq!(head_len, buf.len());
//! assert_eq!(head.authority.of(buf), b"shop");
//! assert!(BodyReader::new(head.framing).is_done());
//!
//! let mut out = Vec::new();
//! write::request_line(&mut out, &head, buf);
//! write::fields(&head.fields, buf, &mut out, |_| false);
//! out.extend_from_slice(b"\r\n");
//! assert_eq!(out, b"GET /a?b HTTP/1.1\r\nHost: shop\r\nX-Kept: 2\r\n\r\n");
//! ```
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, clippy::expect_used)
)]

mod bytes;
pub mod corpus;
mod fields;
mod framing;
mod known;
mod line;
mod meaning;
mod quick;
mod recall;
mod request;
mod response;
mod rule;
mod span;
mod target;
pub mod write;

pub use bytes::{is_field_value, is_token};
pub use fields::{Field, Framing, Limits, Status};
pub use framing::{BodyReader, MAX_EXTENSION_BYTES, MAX_TRAILER_BYTES, MAX_TRAILER_FIELDS, Piece};
pub use known::Known;
pub use request::{Method, RequestHead};
pub use response::{Asked, ResponseHead};
pub use rule::{Rule, RuleKind};
pub use span::Span;
