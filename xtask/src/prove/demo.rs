//! From a clean clone: `make demo` shows the shop, a command runs inside it, and nothing is left behind.

use super::process::{self, Running};
use super::shop;
use super::site::Site;
use super::{Line, http};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A first build on two cores, with time to spare.
const COLD: Duration = Duration::from_secs(20 * 60);
/// What a warm start may take.
const WARM_SECONDS: f64 = 30.0;
/// How long everything may take to be gone after Ctrl-C or the end of the command.
const GONE: Duration = Duration::from_secs(15);
/// How long everything may take to be gone after `kill -9` of `up` itself.
const GONE_WITHOUT_UP: Duration = Duration::from_secs(5);

/// Clean clone, cold and warm demo, `up … -- curl` twice, `kill -9` of `up`.
pub(crate) fn run(site: &Site) -> Result<Vec<Line>> {
    let clone = site.clean_clone()?;
    let mut lines = Vec::new();
    let cold = demo(site, &clone, COLD, &mut lines, "demo-cold")?;
    lines.push(Line::printed("demo-cold-seconds", super::rounded(cold)));
    let warm = demo(site, &clone, COLD, &mut lines, "demo-warm")?;
    lines.push(Line::at_most("demo-warm-seconds", warm, WARM_SECONDS, "s"));
    let outrigger = clone.join("target/release/outrigger");
    for round in ["curl-first", "curl-second"] {
        curl(site, &clone, &outrigger, &mut lines, round)?;
    }
    killed(site, &clone, &outrigger, &mut lines)?;
    curl(site, &clone, &outrigger, &mut lines, "curl-after-kill")?;
    Ok(lines)
}

/// `make demo` until its page answers, then Ctrl-C. Returns the seconds until the page.
fn demo(site: &Site, clone: &Path, within: Duration, lines: &mut Vec<Line>, name: &str) -> Result<f64> {
    let home = site.folder("demo")?;
    let mut command = Command::new("make");
    command.arg("demo").current_dir(clone).env_remove("CARGO_TARGET_DIR").env_remove("MAKEFLAGS");
    shop::own_home(&mut command, &home);
    let before = Before::now(clone, &home);
    let began = Instant::now();
    let mut running = Running::start(&mut command)?;
    let edge = running.wait_for(within, edge_in).context("make demo printed no URL")?;
    let answers = || http::get(edge, "/").is_ok_and(|page| page.status == 200);
    ensure!(process::wait_until(Duration::from_secs(60), answers), "the page at {edge} does not answer 200");
    let seconds = began.elapsed().as_secs_f64();
    let ports = running.ports();
    running.interrupt()?;
    let status = running.wait(Duration::from_secs(30)).context("after Ctrl-C")?;
    eprintln!("{name}: page after {seconds:.1} s, ended with {status}");
    lines.extend(before.left(name, &running, ports, GONE));
    Ok(seconds)
}

/// The URL of the page, from the line in which `up` names it. Lines about other ports come without "edge".
fn edge_in(line: &str) -> Option<SocketAddr> {
    let named = ["edge", "page", "shop"].iter().any(|word| line.contains(word));
    if named { http::address_in(line) } else { None }
}

/// `outrigger up examples/shop -- curl -fsS http://opbox/`: the page, exit status 0, nothing left.
fn curl(site: &Site, clone: &Path, outrigger: &Path, lines: &mut Vec<Line>, name: &str) -> Result<()> {
    let home = site.folder("curl")?;
    let page = home.join("page.html");
    let mut command = shop::up(outrigger, clone, &home);
    command.args(["--", "curl", "-fsS", "-o"]).arg(&page).arg("http://opbox/");
    let before = Before::now(clone, &home);
    let began = Instant::now();
    let mut running = Running::start(&mut command)?;
    let mut ports = BTreeSet::new();
    let ended = process::wait_until(Duration::from_secs(120), || {
        ports.extend(running.ports());
        running.wait(Duration::ZERO).is_ok()
    });
    ensure!(ended, "up with a command did not end: {}", super::site::last_lines(&running.said(), 12));
    let status = running.wait(Duration::ZERO)?;
    let text = std::fs::read_to_string(&page).unwrap_or_default();
    let whole = status.success() && text.contains("</html>");
    lines.push(Line::new(
        format!("{name}-page"),
        format!("{} bytes, {status}, {:.1} s", text.len(), began.elapsed().as_secs_f64()),
        "the whole page, exit status 0",
        whole,
    ));
    if !whole {
        eprintln!("{}", super::site::last_lines(&running.said(), 20));
    }
    let _ = std::fs::remove_file(&page);
    lines.extend(before.left(name, &running, ports, GONE));
    Ok(())
}

/// `kill -9` of `up` itself: everything that it started ends by itself.
fn killed(site: &Site, clone: &Path, outrigger: &Path, lines: &mut Vec<Line>) -> Result<()> {
    let home = site.folder("killed")?;
    let before = Before::now(clone, &home);
    let mut running = Running::start(&mut shop::up(outrigger, clone, &home))?;
    let edge = running.wait_for(Duration::from_secs(90), edge_in).context("up printed no URL")?;
    let answers = || http::get(edge, "/").is_ok_and(|page| page.status == 200);
    ensure!(process::wait_until(Duration::from_secs(60), answers), "the page at {edge} does not answer 200");
    let ports = running.ports();
    running.kill()?;
    running.wait(Duration::from_secs(2))?;
    // Files of a process that was killed can be cleared by the next start only, which the next proof shows.
    lines.extend(before.left("kill-9-of-up", &running, ports, GONE_WITHOUT_UP).into_iter().take(2));
    Ok(())
}

/// What there was before a run, to compare with what there is after it.
struct Before {
    clone: PathBuf,
    home: PathBuf,
    working: BTreeSet<u32>,
    files: BTreeSet<PathBuf>,
}

impl Before {
    fn now(clone: &Path, home: &Path) -> Before {
        Before {
            clone: clone.to_owned(),
            home: home.to_owned(),
            working: process::working_under(clone).into_iter().collect(),
            files: files(clone, home),
        }
    }

    /// Processes, ports and files that are still there once `within` has passed.
    fn left(&self, name: &str, running: &Running, ports: BTreeSet<u16>, within: Duration) -> Vec<Line> {
        let processes = || -> BTreeSet<u32> {
            let working =
                process::working_under(&self.clone).into_iter().filter(|id| !self.working.contains(id));
            process::marked(running.mark()).into_iter().chain(working).collect()
        };
        let open = || -> BTreeSet<u16> {
            process::listening()
                .into_iter()
                .map(|(port, _)| port)
                .filter(|port| ports.contains(port))
                .collect()
        };
        process::wait_until(within, || processes().is_empty() && open().is_empty());
        for id in processes() {
            eprintln!("{name}: left process {id}: {}", process::command_line(id));
        }
        let new: Vec<PathBuf> = files(&self.clone, &self.home).difference(&self.files).cloned().collect();
        new.iter().for_each(|file| eprintln!("{name}: left file {}", file.display()));
        let seen =
            Line::new(format!("{name}-ports-seen"), ports.len(), ">= 6 while it ran", ports.len() >= 6);
        vec![
            Line::none(format!("{name}-processes-left"), processes().len()),
            Line::none(format!("{name}-ports-left"), open().len()),
            Line::none(format!("{name}-files-left"), new.len()),
            seen,
        ]
    }
}

/// Files in the clone outside of what builds leave there, and in the folders of our own. Logs and events are kept on
/// purpose, in the folder for state: they are what one reads after a run. So is the file that is locked during a run,
/// since to remove it would be a race with the next one.
fn files(clone: &Path, home: &Path) -> BTreeSet<PathBuf> {
    let found = [clone, home].into_iter().flat_map(super::files_under);
    let kept = |file: &PathBuf| {
        let builds = ["target", ".git", "build", "node_modules", "__pycache__"];
        let is_kept = file.starts_with(home.join("xdg_state_home"))
            && (file.ends_with("lock")
                || file.extension().is_some_and(|kind| kind == "log" || kind == "jsonl"));
        !is_kept && !file.components().any(|part| builds.iter().any(|name| part.as_os_str() == *name))
    };
    found.filter(kept).collect()
}
