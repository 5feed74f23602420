//! How many instances, where, with how much, and who is killed: four plans over a whole fleet.
//!
//! Each is *observe → plan → act → observe*: a `plan` is told what can be seen from outside and answers with a list of
//! decisions, each with one [`Reason`]. It is asked again, every second, with what has become of it; a plan that was not
//! carried out is simply made again. The simulator, the control plane and the agent run this code.
//!
//! | page | decides | asked by |
//! |---|---|---|
//! | [`autoscale`] | how many instances a service has, and how many may warm up at once | control plane |
//! | [`placement`] | on which node an instance runs, who borrows, who gives way | control plane |
//! | [`reservation`] | what is reserved for an instance; the emergency reclaim | control plane |
//! | [`watchdog`] | which instance gets no new requests, which is killed | control plane, with probes of the agents |
//!
//! When an instance finds no place: [`placement::plan`] refuses it, [`reservation::Reservations::reclaim`] shrinks what
//! is reserved and not used, and `placement::plan` is asked again with [`placement::Want::again`], when others may give
//! way.

pub mod autoscale;
pub mod placement;
mod reason;
pub mod reservation;
pub mod watchdog;

pub use reason::Reason;

/// A service: any number that the driver gives it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ServiceKey(pub u32);

/// An instance: any number that the driver gives it, never used again for another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct InstanceKey(pub u32);

/// A node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct NodeKey(pub u32);

/// A compartment: nodes that belong to the same services.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CompartmentKey(pub u32);

/// Something that services use and nobody scales: a database, a cache.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct DependencyKey(pub u32);
