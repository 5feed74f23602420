//! What `check` found, and what `explain` says of a word.

use serde::{Deserialize, Serialize};

/// Everything that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Checks {
    /// [`crate::VERSION`].
    pub version: u32,
    /// What was looked at, by group.
    pub checks: Vec<Check>,
    /// How many of them are warnings.
    pub warnings: u64,
    /// How many of them are broken.
    pub broken: u64,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Check {
    /// Its name, which never changes its meaning: `OR101`. `outrigger explain` knows it.
    pub id: String,
    /// `machine`, `control-plane`, `agents`, `sidecars` or `services`.
    pub group: String,
    /// How it is.
    pub state: CheckState,
    /// One sentence.
    pub text: String,
    /// What to do about it; absent where it is fine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// How something is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckState {
    /// As it should be.
    Fine,
    /// Somebody should know of it.
    Warning,
    /// Somebody has to do something about it.
    Broken,
}

/// What a word means: the id of a check, or a reason.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// [`crate::VERSION`].
    pub version: u32,
    /// The word.
    pub word: String,
    /// `check` or `reason`.
    pub kind: String,
    /// What it means, one sentence.
    pub means: String,
    /// Who has to do something about it: `caller`, `service`, `Outrigger`, `machine`.
    pub fault: String,
    /// For a reason: the HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// For a reason: whether and when a caller may try again: `no`, `yes`, `elsewhere`, `if idempotent`, `later`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<String>,
    /// What to look at.
    pub look: String,
    /// What to do.
    pub mend: String,
}
