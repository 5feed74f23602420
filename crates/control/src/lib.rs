//! The control plane: what is registered, and how every change of it reaches the sidecars that need it.
//!
//! Read in this order: `registry` decides what is so, `store` keeps it, `desk` puts the two together and is whom
//! agents talk to, `delivery` tells the followers, and [`Plane`] is all of it for one environment.

pub mod delivery;
pub mod desk;
mod events;
mod plane;
pub mod process;
pub mod registry;
mod secret;
pub mod store;

pub use events::Tell;
pub use plane::{OpenError, Options, Plane};
