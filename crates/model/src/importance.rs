//! How important a request is: who goes first when not everybody can.

/// The importance of a request, most important first. It is set at the edge by rule, travels in
/// `outrigger-importance`, and orders who is refused when a service is overloaded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Importance {
    /// The user cannot go on without it.
    #[default]
    Critical,
    /// The user gets a poorer page without it.
    Degraded,
    /// Nobody notices at once: prefetching, suggestions.
    BestEffort,
    /// Batch work that can wait for hours.
    Bulk,
}

impl Importance {
    /// Every importance, most important first.
    pub const ALL: [Importance; 4] =
        [Importance::Critical, Importance::Degraded, Importance::BestEffort, Importance::Bulk];

    /// The word in the header, in manifests and in output.
    pub const fn word(self) -> &'static str {
        match self {
            Importance::Critical => "critical",
            Importance::Degraded => "degraded",
            Importance::BestEffort => "best-effort",
            Importance::Bulk => "bulk",
        }
    }

    /// The importance that `word` names.
    pub fn from_word(word: &[u8]) -> Option<Importance> {
        Importance::ALL.into_iter().find(|i| i.word().as_bytes() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back() {
        for importance in Importance::ALL {
            assert_eq!(Importance::from_word(importance.word().as_bytes()), Some(importance));
        }
        assert_eq!(Importance::from_word(b"urgent"), None);
    }
}
