//! What people look at: the report in a browser that has no network, and the transcript in a narrow terminal.

use super::{FIRST_SEED, Line, read_text, told};
use crate::prove::site::{self, Site};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How wide a terminal is.
const COLUMNS: usize = 80;
/// The browser's names; `CHROMIUM` names another.
const BROWSERS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];
/// The screens: a desk and a phone, in pixels.
const SCREENS: &[(&str, u32, u32)] = &[("desk", 1280, 1600), ("phone", 390, 1600)];
/// A picture with fewer bytes shows nothing.
const BLANK: usize = 20_000;
/// The scenarios whose transcripts are read, with what makes them quick.
const READ: &[&[&str]] = &[
    &["slow-back-end"],
    &["cold-start"],
    &["retry-storm-b"],
    &["warm-up-storm", "--scale", "0.2"],
    &["allegro-2018"],
    &["slow-back-end", "--accept", "round-robin", "--accept", "default", "--seeds", "2"],
    &["slow-back-end", "--ablate", "--seeds", "2"],
    &["--list"],
];

/// The report's picture in the docs, the report in a browser, the transcript.
pub(super) fn run(site: &Site) -> Result<Vec<Line>> {
    let mut lines = vec![screenshot(site)?];
    let folder = site.folder("page")?;
    let page = folder.join("drill.html");
    let seed = FIRST_SEED.to_string();
    told(site, &["cold-start", "--seed", &seed, "--html", &page.to_string_lossy()])?;
    for (name, width, height) in SCREENS {
        lines.extend(in_browser(&page, &folder.join(name), name, (*width, *height)).unwrap_or_else(
            |error| {
                let name = format!("page-on-a-{name}");
                vec![Line::new(name, format!("{error:#}"), "it opens in Chromium", false)]
            },
        ));
    }
    lines.push(transcripts(site)?);
    Ok(lines)
}

/// The pictures of the report that the docs show.
fn screenshot(site: &Site) -> Result<Line> {
    let folder = site.root().join("docs/drill");
    let text = read_text(&folder.join("README.md"))?;
    let is_picture = |path: &PathBuf| {
        std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x89PNG") && bytes.len() > BLANK)
    };
    let is_shown = |path: &PathBuf| {
        path.file_name().is_some_and(|name| text.contains(&format!("]({})", name.to_string_lossy())))
    };
    let shown = super::super::files_under(&folder).into_iter().filter(is_picture).filter(is_shown).count();
    Ok(Line::at_least("page-screenshots-in-docs", shown as f64, 1.0, ""))
}

/// What a browser says of `page` on one screen: that it draws it, what it logs, and what it asks the network for.
fn in_browser(page: &Path, folder: &Path, name: &str, size: (u32, u32)) -> Result<Vec<Line>> {
    std::fs::create_dir_all(folder)?;
    let (picture, log) = (folder.join("page.png"), folder.join("net.json"));
    let mut browser = Command::new(browser()?);
    browser.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--no-first-run",
        "--disable-sync",
        "--disable-background-networking",
        "--disable-component-update",
        // What the browser itself would ask of its maker stays on this machine.
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--enable-logging=stderr",
    ]);
    browser.arg(format!("--user-data-dir={}", folder.join("profile").display()));
    browser.arg(format!("--log-net-log={}", log.display()));
    browser.arg(format!("--screenshot={}", picture.display()));
    browser.arg(format!("--window-size={},{}", size.0, size.1));
    browser.arg(format!("file://{}", page.display()));
    let output = browser.stdin(Stdio::null()).output().context("the browser cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}", output.status, site::last_lines(&said, 6));
    let drawn = std::fs::read(&picture).context("the browser drew nothing")?.len();
    let logged: Vec<&str> = said.lines().filter(|line| line.contains(":CONSOLE")).collect();
    let asked = asked_for(&read_text(&log)?)?;
    Ok(vec![
        Line::at_least(format!("page-on-a-{name}-bytes-drawn"), drawn as f64, BLANK as f64, "bytes"),
        Line::new(format!("page-on-a-{name}-console"), json!(logged), "[]", logged.is_empty()),
        Line::new(format!("page-on-a-{name}-network"), json!(asked), "[]", asked.is_empty()),
    ])
}

/// The first browser that is there.
fn browser() -> Result<String> {
    let named = std::env::var("CHROMIUM").ok();
    let mut names = named.into_iter().chain(BROWSERS.iter().map(|&name| name.to_owned()));
    let is_there = |name: &String| {
        let asked = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    names.find(is_there).context("there is no Chromium here: install one, or name it in CHROMIUM")
}

/// What a page asked the network for, by the browser's own log. What the browser asks for itself has no origin there.
fn asked_for(log: &str) -> Result<Vec<String>> {
    let log: Value = serde_json::from_str(log).context("the browser's log is no JSON")?;
    let events = log["events"].as_array().context("the browser's log has no events")?;
    let of_page = |params: &Value| params["initiator"].as_str().is_some_and(|by| by != "not an origin");
    let urls = events.iter().map(|event| &event["params"]).filter(|params| of_page(params));
    let urls = urls.filter_map(|params| params["url"].as_str());
    Ok(urls.filter(|url| !url.starts_with("file:") && !url.starts_with("data:")).map(str::to_owned).collect())
}

/// No line of any transcript is wider than a terminal.
fn transcripts(site: &Site) -> Result<Line> {
    let (mut widest, mut lines) = (String::new(), 0);
    for args in READ {
        // Pass lines that do not hold make an exit status of 1, which is none of this proof's business.
        let text = text_of(site, args)?;
        lines += text.lines().count();
        for line in text.lines() {
            if line.chars().count() > widest.chars().count() {
                line.clone_into(&mut widest);
            }
        }
    }
    let width = widest.chars().count();
    let value = json!({ "columns": width, "lines": lines, "widest": widest });
    Ok(Line::new("transcript-columns", value, format!("<= {COLUMNS}"), width <= COLUMNS && lines > 50))
}

fn text_of(site: &Site, args: &[&str]) -> Result<String> {
    let output = Command::new(site.outrigger()?).arg("drill").args(args).stdin(Stdio::null()).output()?;
    ensure!(output.status.code().is_some_and(|code| code < 2), "drill {args:?}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_a_page_asks_for_is_told_from_what_the_browser_does() {
        let log = r#"{"events": [
            {"params": {"url": "https://maker.example/update", "initiator": "not an origin"}},
            {"params": {"url": "http://127.0.0.1:9/x.png", "initiator": "null"}},
            {"params": {"url": "file:///drill.html", "initiator": "null"}},
            {"type": 3}
        ]}"#;
        assert_eq!(asked_for(log).unwrap(), ["http://127.0.0.1:9/x.png"]);
        assert!(asked_for("{}").is_err());
    }
}
