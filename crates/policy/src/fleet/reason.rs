//! Why the fleet does what it does: one closed list, one exhaustive table.

/// The reason of a decision about the fleet, the same word in event, metric, dashboard and transcript.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Reason {
    /// Up: what is served, shed and queued is more than the instances should have in progress.
    OfferedConcurrency,
    /// Up: more processor time is used than should be.
    CpuAboveTarget,
    /// Up: demand grows, and would be too much when an instance begun now is ready.
    Trend,
    /// Up: calls are shed although there should be enough instances.
    StillShedding,
    /// Down: fewer have been enough for a while.
    NotNeeded,
    /// Up: fewer than the least that is allowed.
    AtMinimum,
    /// More are wanted than are allowed.
    AtMaximum,
    /// More are wanted, but it went up as fast as it may.
    StepLimit,
    /// Fewer would do, but calls are shed or fail.
    Frozen,
    /// Its time is spent waiting for a callee that cannot get more.
    WaitingForCallee,
    /// A dependency would be loaded beyond its share.
    DependencyHeadroom,
    /// The warm-ups of these instances fit into what a dependency has left.
    WarmUpToken,
    /// Nothing is left in the compartment.
    CompartmentFull,
    /// Enough is left in the compartment, but on no node.
    Fragmented,
    /// No node of the compartment would hold it even if it were empty.
    LargerThanAnyNode,
    /// No node belongs to the compartment.
    NoSuchCompartment,
    /// Placed where the least is left.
    BestFit,
    /// Placed where the fewest of its service are.
    MostSpread,
    /// Placed in another compartment, which lends.
    Borrowed,
    /// It stops, or has a place because another stops, as less important services give way.
    GivesWay,
    /// Reserved less, as less is used.
    UsesLess,
    /// Reserved more, as more is used.
    UsesMore,
    /// Reserved less at once, as somebody was refused a place.
    Reclaimed,
    /// It completes nothing and its probe fails: new requests are kept away.
    NoProgress,
    /// It completes something again.
    ProgressAgain,
    /// Killed: nothing completed for long, and the process does not answer.
    Hung,
    /// Killed: it has never answered since it started.
    NeverStarted,
    /// Killed: the probe failed so often.
    ProbeFailed,
    /// Spared: the probe fails, but requests are completed. It is overloaded, not dead.
    Progressing,
    /// Spared: so many are unhealthy that the cause is elsewhere.
    ClusterPanic,
    /// Spared for now: enough of this service were killed lately.
    KillBudget,
}

impl Reason {
    /// Every reason, in the order of the table.
    pub const ALL: [Reason; 31] = [
        Reason::OfferedConcurrency,
        Reason::CpuAboveTarget,
        Reason::Trend,
        Reason::StillShedding,
        Reason::NotNeeded,
        Reason::AtMinimum,
        Reason::AtMaximum,
        Reason::StepLimit,
        Reason::Frozen,
        Reason::WaitingForCallee,
        Reason::DependencyHeadroom,
        Reason::WarmUpToken,
        Reason::CompartmentFull,
        Reason::Fragmented,
        Reason::LargerThanAnyNode,
        Reason::NoSuchCompartment,
        Reason::BestFit,
        Reason::MostSpread,
        Reason::Borrowed,
        Reason::GivesWay,
        Reason::UsesLess,
        Reason::UsesMore,
        Reason::Reclaimed,
        Reason::NoProgress,
        Reason::ProgressAgain,
        Reason::Hung,
        Reason::NeverStarted,
        Reason::ProbeFailed,
        Reason::Progressing,
        Reason::ClusterPanic,
        Reason::KillBudget,
    ];

    /// The word for it, everywhere.
    pub const fn word(self) -> &'static str {
        self.row().0
    }

    /// One sentence for people.
    pub const fn text(self) -> &'static str {
        self.row().1
    }

    /// The reason that `word` names.
    pub fn from_word(word: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|r| r.word() == word)
    }

    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Reason::OfferedConcurrency => {
                ("offered-concurrency", "What is served, shed and queued needs more instances.")
            }
            Reason::CpuAboveTarget => ("cpu-above-target", "More processor time is used than should be."),
            Reason::Trend => ("trend", "Demand grows and would be too much when a new instance is ready."),
            Reason::StillShedding => {
                ("still-shedding", "Calls are shed although there should be enough instances.")
            }
            Reason::NotNeeded => ("not-needed", "Fewer instances have been enough for a while."),
            Reason::AtMinimum => ("at-minimum", "The service has the fewest instances that it may have."),
            Reason::AtMaximum => ("at-maximum", "The service has the most instances that it may have."),
            Reason::StepLimit => ("step-limit", "It has grown as fast as it may."),
            Reason::Frozen => ("frozen", "Calls are shed or fail: nothing is given up now."),
            Reason::WaitingForCallee => {
                ("waiting-for-callee", "Its time is spent waiting for a callee, which comes first.")
            }
            Reason::DependencyHeadroom => {
                ("dependency-headroom", "A dependency would be loaded beyond its share.")
            }
            Reason::WarmUpToken => ("warm-up-token", "So many may warm up at once for a dependency's sake."),
            Reason::CompartmentFull => ("compartment-full", "Nothing is left in the compartment."),
            Reason::Fragmented => ("fragmented", "Enough is left in the compartment, but on no single node."),
            Reason::LargerThanAnyNode => ("larger-than-any-node", "Not even an empty node would hold it."),
            Reason::NoSuchCompartment => ("no-such-compartment", "No node belongs to the compartment."),
            Reason::BestFit => ("best-fit", "It was placed where the least is left."),
            Reason::MostSpread => ("most-spread", "It was placed where the fewest of its service are."),
            Reason::Borrowed => ("borrowed", "It was placed in a compartment that lends."),
            Reason::GivesWay => ("gives-way", "A less important instance stops for a more important one."),
            Reason::UsesLess => ("uses-less", "It uses less than is reserved for it."),
            Reason::UsesMore => ("uses-more", "It uses more than is reserved for it."),
            Reason::Reclaimed => ("reclaimed", "What it does not use is needed by others at once."),
            Reason::NoProgress => {
                ("no-progress", "It completes nothing; new requests are kept away from it.")
            }
            Reason::ProgressAgain => ("progress-again", "It completes something again."),
            Reason::Hung => ("hung", "It completed nothing for long, and its process does not answer."),
            Reason::NeverStarted => ("never-started", "It has never answered since it was started."),
            Reason::ProbeFailed => ("probe-failed", "Its probe failed too often."),
            Reason::Progressing => {
                ("progressing", "Its probe fails, but it completes requests: it is not dead.")
            }
            Reason::ClusterPanic => ("cluster-panic", "So many are unhealthy that the cause is elsewhere."),
            Reason::KillBudget => ("kill-budget", "Enough of its service were killed lately."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_complete_and_every_word_is_read_back() {
        for (i, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, i);
            assert_eq!(Reason::from_word(reason.word()), Some(reason));
            assert!(
                model::Reason::from_word(reason.word().as_bytes()).is_none(),
                "two meanings for one word"
            );
        }
        assert_eq!(Reason::KillBudget as usize + 1, Reason::ALL.len());
    }
}
