//! The link to a control plane: what is said there of the services that the app calls is used here.
//!
//! [`following`](mod@following) decides what is followed, known and said, without any IO; [`act`](mod@act) carries it
//! out; [`connect`](mod@connect) is the way to a control plane, [`keep`](mod@keep) the file for a start without one.
//! None of it is on the way of a request, but for one whose name is not known: it waits in [`ask`](mod@ask).

mod act;
pub(crate) mod ask;
mod connect;
pub(crate) mod following;
mod keep;
mod knowledge;
#[cfg(test)]
mod tests;

pub(crate) use act::Link;
use std::path::PathBuf;

/// Which control plane a sidecar follows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Control {
    /// Where it delivers: `HOST:PORT`.
    pub address: String,
    /// A file with one line that says who we are; read at each connection.
    pub credential: Option<PathBuf>,
    /// Where what is known is kept for a start without a control plane.
    pub last_known_good: Option<PathBuf>,
}
