//! Any sequence of events for calls over shared books: the one of the property test in `crates/policy`, which says
//! what is checked.

#[path = "../../crates/policy/tests/sequence/mod.rs"]
mod sequence;

/// Drives the conductor with the sequence that `data` stands for, and plays the tape of it again.
///
/// # Panics
/// When a promise is broken, or the tape goes another way.
pub fn run(data: &[u8]) {
    let tally = sequence::run(data);
    if let Err(mismatch) = policy::tape::replay(tally.tape.lines()) {
        panic!("{mismatch}");
    }
}
