//! Files: manifests in TOML and snapshots in JSON, read by one decoder that reports every problem at once.
//!
//! Bytes become a tree with positions ([`tree`]); declarations ([`declare`]) say which keys there are and what they
//! hold; the decoder compares the two and collects [`Problem`]s. A value is read out only after that.

mod declare;
mod decoder;
mod difference;
#[cfg(test)]
mod guide;
mod known;
mod load;
mod manifest;
mod mend;
mod problem;
mod scalar;
mod scenario;
mod schema;
mod settings;
mod snapshot;
mod texts;
mod tree;
mod view;

pub use difference::{difference, policies_difference};
pub use known::{Known, KnownService, decode_known, encode_known};
pub use load::{ENVIRONMENT_FILE, SERVICE_FILE, decode_environment, decode_service, load, load_service};
pub use problem::{Problem, Problems};
pub use scenario::{decode_scenario, load_scenario};
pub use schema::{Manifest, schema};
pub use snapshot::{decode_settings, decode_snapshot, encode_settings, encode_snapshot};
pub use texts::Texts;

/// Compares `text` with a file of this crate; with `BLESS` in the environment it is written instead.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
fn golden(path: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(want == text, "{} differs; with BLESS=1 it is written anew\n{text}", path.display());
}
