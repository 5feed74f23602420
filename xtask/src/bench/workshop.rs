//! Where the programs lie, and the ones that every measurement needs.

use super::process::{LOAD_CORE, Process, pinned};
use anyhow::{Context as _, Result, ensure};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Built tools and a folder to write in.
pub(super) struct Workshop {
    release: PathBuf,
    target: PathBuf,
    folder: PathBuf,
    root: PathBuf,
}

/// A back end and the addresses of its instances.
pub(super) struct Backend {
    _process: Process,
    pub(super) addresses: Vec<SocketAddr>,
}

impl Workshop {
    /// Builds the tools and the proxy itself, all with the release profile.
    pub(super) fn open() -> Result<Self> {
        let root = crate::root()?;
        let metadata = cargo_metadata::MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .no_deps()
            .exec()
            .context("cannot ask cargo for its target folder")?;
        let target = metadata.target_directory.into_std_path_buf();
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let built = Command::new(cargo)
            .current_dir(&root)
            .args(["build", "--release", "--package", "bench", "--package", "outrigger"])
            .status()
            .context("cannot run cargo")?;
        ensure!(built.success(), "the release build failed: mend it first (cargo build --release)");
        let folder = target.join("bench");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { release: target.join("release"), folder, target, root })
    }

    /// A program of this workspace.
    pub(super) fn tool(&self, name: &str) -> PathBuf {
        self.release.join(name)
    }

    /// Where logs and written configurations go.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where cargo builds: installed peers lie there too, so that `cargo clean` removes them.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// The repository.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Starts a back end on free ports.
    pub(super) fn backend(&self, arguments: &[&str]) -> Result<Backend> {
        let mut command = pinned(LOAD_CORE, &self.tool("backend"));
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        let mut process = Process::start("backend", &self.folder, &mut command)?;
        let line = process.first_line()?;
        let listed =
            line.get("listen").and_then(|list| list.as_array()).context("the back end named no address")?;
        let addresses = listed.iter().map(|one| Ok(one.as_str().unwrap_or_default().parse()?));
        Ok(Backend { _process: process, addresses: addresses.collect::<Result<_>>()? })
    }

    /// Runs the load to its end and returns its report.
    pub(super) fn load(&self, arguments: &[String]) -> Result<serde_json::Value> {
        let output = pinned(LOAD_CORE, &self.tool("load"))
            .args(arguments)
            .args(["-o", "json"])
            .output()
            .context("cannot run the load")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the load failed: {said}");
        serde_json::from_slice(&output.stdout).context("the load printed no report")
    }
}
