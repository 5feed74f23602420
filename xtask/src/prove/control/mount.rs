//! A small file system that only we see: a tmpfs in a mount namespace of its own, which goes with the process that holds
//! it.

use super::stage::text_of;
use crate::prove::process::Running;
use crate::prove::site;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The namespace, until it is dropped.
pub(super) struct Mount {
    holder: Running,
    folder: PathBuf,
    is_root: bool,
}

impl Mount {
    /// A tmpfs of so many KiB at `folder`.
    pub(super) fn new(folder: &Path, kib: u32) -> Result<Mount> {
        let is_root = rustix::process::geteuid().is_root();
        let mut command = Command::new("unshare");
        // Who is not root is it in a namespace of users, as far as mounting goes.
        command.args(if is_root { &["-m"][..] } else { &["-U", "-r", "-m"] });
        let size = format!("size={kib}k");
        let script = r#"mount -t tmpfs -o "$1" tmpfs "$2" && echo mounted && exec tail -f /dev/null"#;
        command.args(["--propagation", "private", "sh", "-c", script, "sh", &size]).arg(folder);
        let mut holder = Running::start(&mut command)?;
        let mounted = holder.wait_for(Duration::from_secs(10), |line| (line == "mounted").then_some(()));
        mounted.context(
            "no file system of our own can be mounted: unshare (util-linux) as root, or with user namespaces",
        )?;
        Ok(Mount { holder, folder: folder.to_owned(), is_root })
    }

    /// What to put before a command that is to see it.
    pub(super) fn words(&self) -> Vec<String> {
        let holder = self.holder.pid().to_string();
        let user: &[&str] = if self.is_root { &[] } else { &["-U", "--preserve-credentials"] };
        let words = ["nsenter", "-t", &holder, "-m"];
        words.iter().chain(user).chain(&["--"]).map(|word| (*word).to_owned()).collect()
    }

    /// Makes it larger or smaller, as far as what is in it allows.
    pub(super) fn resize(&self, kib: u32) -> Result<()> {
        let words = self.words();
        let (first, rest) = words.split_first().context("there are words")?;
        let mut command = Command::new(first);
        let options = format!("remount,size={kib}k");
        command.args(rest).args(["mount", "-o", &options]).arg(text_of(&self.folder));
        site::quietly(&mut command)
    }
}
