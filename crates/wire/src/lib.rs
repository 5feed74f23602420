//! Shapes of bytes that others write: files, and later messages. What comes out is checked and of `model`.

pub mod files;
mod generated;
pub mod record;
pub mod xds;
