//! Lives of instances, played without a process.

#![allow(clippy::unwrap_used)]
use super::*;
