//! The messages of delta discovery as plain structs, and their bytes.

use super::Kind;
use crate::generated::xds::{DeltaRequest, DeltaResponse};
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{self, WireType};
use std::collections::BTreeMap;
use std::sync::Arc;

/// No message is longer, in bytes. A follower that reconnects with 60,000 resources says so in 4 MiB.
pub const MAX_MESSAGE: usize = 16 << 20;

/// Who follows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Node {
    /// The follower's own name, unique: an instance's for a sidecar.
    pub id: String,
    /// The service that it belongs to.
    pub cluster: String,
}

/// What a follower says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Request {
    /// Who it is; sure to be said in a stream's first request only.
    pub node: Option<Node>,
    /// The type that all of it is about.
    pub type_url: String,
    /// Names that it wants to hear of from now on.
    pub subscribe: Vec<String>,
    /// Names that it does not want to hear of any more.
    pub unsubscribe: Vec<String>,
    /// What it holds from before, by name, with the version; in the first request for a type only.
    pub initial: BTreeMap<String, String>,
    /// The answer that is accepted or refused with this; empty: none.
    pub nonce: String,
    /// Why that answer is refused; none: it is accepted.
    pub error: Option<String>,
}

/// One resource in the form in which it travels: encoded once, however many follow it. Copies share the bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packed(Bytes);

impl Packed {
    /// The resource `name` of `kind` in this version, with what it says.
    pub fn new(kind: Kind, name: &str, version: &str, payload: &[u8]) -> Packed {
        let any = field(1, kind.url().as_bytes()) + field(2, payload);
        let resource = field(1, version.as_bytes()) + field(2, &vec![0; any]) + field(3, name.as_bytes());
        let mut bytes = BytesMut::with_capacity(resource + 6);
        put_head(2, resource, &mut bytes);
        put(1, version.as_bytes(), &mut bytes);
        put_head(2, any, &mut bytes);
        put(1, kind.url().as_bytes(), &mut bytes);
        put(2, payload, &mut bytes);
        put(3, name.as_bytes(), &mut bytes);
        Packed(bytes.freeze())
    }

    /// Its length in bytes within a response.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: even a resource that says nothing has a name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How long `bytes` are as the field `tag`; nothing where they are empty, as protobuf has it.
fn field(tag: u32, bytes: &[u8]) -> usize {
    if bytes.is_empty() {
        return 0;
    }
    encoding::key_len(tag) + encoding::encoded_len_varint(bytes.len() as u64) + bytes.len()
}

fn put_head(tag: u32, length: usize, to: &mut impl BufMut) {
    encoding::encode_key(tag, WireType::LengthDelimited, to);
    encoding::encode_varint(length as u64, to);
}

fn put(tag: u32, bytes: &[u8], to: &mut impl BufMut) {
    if !bytes.is_empty() {
        put_head(tag, bytes.len(), to);
        to.put_slice(bytes);
    }
}

/// What a control plane says: resources of one type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// Their type.
    pub type_url: Arc<str>,
    /// Names this response in what the follower thinks of it.
    pub nonce: String,
    /// New and changed ones.
    pub resources: Vec<Packed>,
    /// Names that are gone, or never were.
    pub removed: Vec<Arc<str>>,
}

impl Response {
    /// Its length in bytes, without the frame of the stream.
    pub fn len(&self) -> usize {
        let resources: usize = self.resources.iter().map(Packed::len).sum();
        // An empty name has its field, as a list has it once for each entry.
        let removed = self.removed.iter().map(|name| field(6, name.as_bytes()).max(2)).sum::<usize>();
        resources + removed + field(4, self.type_url.as_bytes()) + field(5, self.nonce.as_bytes())
    }

    /// Whether it says nothing but that there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.removed.is_empty()
    }

    pub(super) fn encode(&self, to: &mut impl BufMut) {
        for resource in &self.resources {
            to.put_slice(&resource.0);
        }
        put(4, self.type_url.as_bytes(), to);
        put(5, self.nonce.as_bytes(), to);
        for name in &self.removed {
            put_head(6, name.len(), to);
            to.put_slice(name.as_bytes());
        }
    }
}

/// A response as a follower reads it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Update {
    /// The type of all that is in it.
    pub type_url: String,
    /// Names it in the answer to it.
    pub nonce: String,
    /// New and changed resources.
    pub resources: Vec<Given>,
    /// Names that are gone, or never were.
    pub removed: Vec<String>,
}

/// A resource as a follower reads it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Given {
    /// Its name.
    pub name: String,
    /// Its version: to be compared, and to be given back after a reconnect.
    pub version: String,
    /// What it says.
    pub payload: Bytes,
}

impl Request {
    pub(super) fn read(bytes: impl bytes::Buf) -> Result<Request, prost::DecodeError> {
        let read = DeltaRequest::decode(bytes)?;
        Ok(Request {
            node: read.node.map(|node| Node { id: node.id, cluster: node.cluster }),
            type_url: read.type_url,
            subscribe: read.subscribe,
            unsubscribe: read.unsubscribe,
            initial: read.initial_versions,
            nonce: read.response_nonce,
            error: read.error.map(|status| status.message),
        })
    }

    pub(super) fn write(self) -> impl Message {
        use crate::generated::xds;
        // INVALID_ARGUMENT of gRPC: what was sent cannot be used.
        let status = |message| xds::Status { code: 3, message };
        DeltaRequest {
            node: self.node.map(|node| xds::Node { id: node.id, cluster: node.cluster }),
            type_url: self.type_url,
            subscribe: self.subscribe,
            unsubscribe: self.unsubscribe,
            initial_versions: self.initial,
            response_nonce: self.nonce,
            error: self.error.map(status),
        }
    }

    /// Its length in bytes, without the frame of the stream.
    pub fn len(&self) -> usize {
        self.clone().write().encoded_len()
    }

    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Update {
    pub(super) fn read(bytes: impl bytes::Buf) -> Result<Update, prost::DecodeError> {
        let read = DeltaResponse::decode(bytes)?;
        let given = |resource: crate::generated::xds::Resource| Given {
            name: resource.name,
            version: resource.version,
            payload: resource.resource.unwrap_or_default().value,
        };
        Ok(Update {
            type_url: read.type_url,
            nonce: read.nonce,
            resources: read.resources.into_iter().map(given).collect(),
            removed: read.removed,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn request(text: &str, many: Vec<String>) -> Request {
        Request {
            node: Some(Node { id: text.to_owned(), cluster: String::new() }),
            type_url: text.to_owned(),
            subscribe: many.clone(),
            unsubscribe: many.clone(),
            initial: many.into_iter().map(|name| (name, text.to_owned())).collect(),
            nonce: text.to_owned(),
            error: Some(text.to_owned()),
        }
    }

    proptest! {
        #[test]
        fn a_response_reads_as_it_was_written(
            name in ".{0,200}", version in ".{0,20}", payload in proptest::collection::vec(any::<u8>(), 0..300),
            removed in proptest::collection::vec(".{0,10}", 0..4), nonce in ".{0,5}",
        ) {
            let packed = Packed::new(Kind::Endpoint, &name, &version, &payload);
            let response = Response {
                type_url: Kind::Endpoint.url().into(),
                nonce: nonce.clone(),
                resources: vec![packed.clone(), packed],
                removed: removed.iter().map(|name| name.as_str().into()).collect(),
            };
            let mut bytes = Vec::new();
            response.encode(&mut bytes);
            prop_assert_eq!(bytes.len(), response.len());
            let read = Update::read(&bytes[..]).unwrap();
            let given = Given { name, version, payload: payload.into() };
            prop_assert_eq!(read.resources, vec![given.clone(), given]);
            prop_assert_eq!(&read.type_url, Kind::Endpoint.url());
            prop_assert_eq!((read.removed, read.nonce), (removed, nonce));
        }

        #[test]
        fn a_request_reads_as_it_was_written(text in ".{0,20}", many in proptest::collection::vec(".{0,9}", 0..5)) {
            let request = request(&text, many);
            let bytes = request.clone().write().encode_to_vec();
            prop_assert_eq!(bytes.len(), request.len());
            prop_assert_eq!(Request::read(&bytes[..]).unwrap(), request);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (Request::read(&bytes[..]), Update::read(&bytes[..]));
        }
    }

    #[test]
    fn what_a_newer_peer_adds_is_passed_over() {
        let mut bytes = request("x", vec![]).write().encode_to_vec();
        put(99, b"new", &mut bytes);
        assert_eq!(Request::read(&bytes[..]).unwrap(), request("x", vec![]));
    }
}
