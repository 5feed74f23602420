//! What `validate` says of manifests.

use serde::{Deserialize, Serialize};

/// Whether the manifests of a folder, or a scenario's file, are in order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Validation {
    /// [`crate::VERSION`].
    pub version: u32,
    /// The folder, or the scenario's file, as it was named.
    pub folder: String,
    /// How many services there are; none where that could not be read.
    pub services: Option<u64>,
    /// How many instances they have together; none where that could not be read.
    pub instances: Option<u64>,
    /// Everything that is wrong, by file and line; empty: all is in order.
    pub mistakes: Vec<Mistake>,
}

/// One mistake in one file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mistake {
    /// The file.
    pub file: String,
    /// The line, counted from 1; 0 for the file as a whole.
    pub line: u64,
    /// The column in characters, counted from 1; 0 for the file as a whole.
    pub column: u64,
    /// How many characters from there on are meant.
    pub width: u64,
    /// Which setting: `services.opbox.instances`; empty for the file as a whole.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it; may be empty.
    pub mend: String,
}
