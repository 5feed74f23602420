//! The control plane: what is registered, and how every change of it reaches the sidecars that need it.
//!
//! Read in this order: `registry` decides what is so, `store` keeps it, `desk` puts the two together and is whom
//! agents talk to, `delivery` tells the followers.

pub mod delivery;
pub mod desk;
pub mod registry;
pub mod store;
