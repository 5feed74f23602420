//! Where proofs run: the checkout, its release binaries, and a folder that is removed at the end.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The checkout and a place for files.
pub(crate) struct Site {
    root: PathBuf,
    folder: PathBuf,
    next: AtomicU32,
}

impl Site {
    /// A site over the checkout at `root`.
    pub(crate) fn new(root: &Path) -> Result<Site> {
        let folder = std::env::temp_dir().join(format!("outrigger-prove-{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("could not create {}", folder.display()))?;
        Ok(Site { root: root.to_owned(), folder, next: AtomicU32::new(0) })
    }

    /// The checkout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A new empty folder, removed with the site.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join(format!("{name}-{number}"));
        std::fs::create_dir_all(&folder).with_context(|| format!("could not create {}", folder.display()))?;
        Ok(folder)
    }

    /// Builds `binary` of `package` in release mode and returns where it lies. While proofs are worked on,
    /// `PROVE_PROFILE=quick` takes a profile that is built faster.
    pub(crate) fn binary(&self, package: &str, binary: &str) -> Result<PathBuf> {
        let profile = profile();
        let mut cargo = cargo();
        cargo.args(["build", "--profile", &profile, "--locked", "--package", package, "--bin", binary]);
        quietly(cargo.current_dir(&self.root))?;
        Ok(self.target().join(profile).join(binary))
    }

    /// The binary of the product; `PROVE_OUTRIGGER=FILE` takes one that is built already.
    pub(crate) fn outrigger(&self) -> Result<PathBuf> {
        if let Some(built) = std::env::var_os("PROVE_OUTRIGGER") {
            return Ok(built.into());
        }
        self.binary("outrigger", "outrigger")
    }

    fn target(&self) -> PathBuf {
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), PathBuf::from)
    }

    /// A clone of what is committed, with nothing built in it.
    pub(crate) fn clean_clone(&self) -> Result<PathBuf> {
        let to = self.folder("clone")?.join("outrigger");
        let mut git = Command::new("git");
        quietly(git.args(["clone", "--quiet", "--no-hardlinks"]).arg(&self.root).arg(&to))?;
        Ok(to)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // What cannot be removed here is in the system's folder for temporary files, which is emptied anyway.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The profile that programs are built with.
pub(crate) fn profile() -> String {
    std::env::var("PROVE_PROFILE").unwrap_or_else(|_| "release".to_owned())
}

/// Cargo, without the settings that the cargo that runs us has set for itself.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if (name.starts_with("CARGO_") && name != "CARGO_HOME" && name != "CARGO_TARGET_DIR")
            || name == "RUSTUP_TOOLCHAIN"
        {
            cargo.env_remove(&*name);
        }
    }
    cargo
}

/// Runs to the end, output on stderr; an error names the command when it fails.
pub(crate) fn quietly(command: &mut Command) -> Result<()> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("could not run {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed with {}: {}", output.status, last_lines(&said, 12));
    Ok(())
}

/// Runs to the end and returns stdout; an error names the command when it fails.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("could not run {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed with {}: {}", output.status, last_lines(&said, 12));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The last `count` lines of a text, for an error that must stay readable.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
