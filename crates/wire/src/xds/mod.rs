//! Delta discovery (xDS, version 3): what follower and control plane say to each other, and how it travels.
//!
//! [`message`](self) has plain structs, so that the logic of a conversation can be tested without bytes; [`grpc`]
//! carries them. [`resource`](mod@resource) is what they are about.

pub mod grpc;
mod message;
mod policy;
pub mod resource;

pub use message::{Given, MAX_MESSAGE, Node, Packed, Request, Response, Update};
pub(crate) use policy::{decode_policy, encode_policy};
pub use resource::Kind;
