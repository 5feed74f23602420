//! sidecar.
