//! Settings of the fleet's policies, by preset.

/// A named set of the fleet's settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FleetPreset {
    /// What ships.
    #[default]
    Default,
}
