//! Randomness from the operating system, for seeds, identifiers and secrets.

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

/// 256 bits that nobody can guess, for a secret: waits for the kernel where it has none to give yet.
///
/// # Errors
/// The kernel gives none. There is nothing else to take.
pub fn secret() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0u8; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(why) => return Err(why.into()),
        }
    }
    Ok(bytes)
}
