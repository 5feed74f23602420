//! Who looks after the number of instances: here whoever dies is replaced, and people's orders are carried out.

use crate::world::World;
use model::scenario::Deed;

impl World {
    /// The world begins.
    pub(crate) fn fleet_begins(&mut self) {}

    /// A moment that the fleet entered as [`crate::world::Happening::Fleet`] has come.
    pub(crate) fn fleet_acts(&mut self, _what: u32) {}

    /// A probe was answered, or refused, or its instance died.
    pub(crate) fn fleet_probed(&mut self, _number: u32, _well: bool) {}

    /// An instance of a service died by itself.
    pub(crate) fn fleet_lost(&mut self, service: u32, _instance: u32) {
        self.start(service);
    }

    /// Machines of a compartment are gone.
    pub(crate) fn fleet_loses_nodes(&mut self, _compartment: usize, _nodes: u32) {}

    /// People give an order.
    pub(crate) fn fleet_ordered(&mut self, deed: &Deed) {
        let Deed::Scale(service, by) = *deed else { return };
        for _ in 0..by {
            self.start(service as u32);
        }
        for _ in by..0 {
            if let Some(last) = self.services[service].members.last() {
                self.stop(*last, "operator");
            }
        }
    }
}
