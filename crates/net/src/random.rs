//! Randomness from the operating system, for seeds and identifiers.

/// 64 bits that nobody can guess. Where the kernel has none to give (before its pool is filled), the bits come
/// from the hasher that the standard library seeds for itself.
pub fn seed() -> u64 {
    let mut bytes = [0u8; 8];
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK) {
        Ok(8) => u64::from_ne_bytes(bytes),
        _ => {
            use std::hash::{BuildHasher, Hasher};
            std::collections::hash_map::RandomState::new().build_hasher().finish()
        }
    }
}
