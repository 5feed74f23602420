//! What "The control plane" must show: `outrigger control`, sidecars that follow it, and an agent that this program plays
//! towards it, each a process of its own, over loopback.

mod away;
mod cost;
mod delivery;
mod instance;
mod mount;
mod restart;
mod rounds;
mod routable;
mod stage;
mod store;

use super::Proof;

/// The proofs.
pub(crate) const CONTROL: &[Proof] = &[
    Proof { name: "delivery", run: delivery::run },
    Proof { name: "routable", run: routable::run },
    Proof { name: "away", run: away::run },
    Proof { name: "store-full", run: store::full },
    Proof { name: "store-killed", run: store::killed },
    Proof { name: "rounds", run: rounds::run },
    Proof { name: "restart", run: restart::run },
    Proof { name: "cost-idle", run: cost::idle },
    Proof { name: "skew", run: cost::skew },
];
