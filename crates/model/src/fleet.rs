//! Settings of the fleet's policies, by preset.

/// A named set of the fleet's settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FleetPreset {
    /// What ships.
    #[default]
    Default,
}

impl FleetPreset {
    /// Every preset.
    pub const ALL: [FleetPreset; 1] = [FleetPreset::Default];

    /// The word in scenarios and flags.
    pub const fn word(self) -> &'static str {
        match self {
            FleetPreset::Default => "default",
        }
    }

    /// The preset that `word` names.
    pub fn from_word(word: &str) -> Option<FleetPreset> {
        FleetPreset::ALL.into_iter().find(|p| p.word() == word)
    }
}
