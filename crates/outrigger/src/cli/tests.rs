//! The command line as a whole, and the guide's tables, which are made from it.

#![allow(clippy::unwrap_used)]
use super::*;
use std::fmt::Write as _;

#[test]
fn the_command_line_is_well_formed_and_every_flag_has_a_twin() {
    let command = command();
    command.clone().debug_assert();
    for sub in command.get_subcommands() {
        for arg in sub.get_arguments().filter(|a| !matches!(a.get_id().as_str(), "help" | "version")) {
            assert!(arg.get_long().is_none() || arg.get_env().is_some(), "{} {arg}", sub.get_name());
            assert!(arg.get_help().is_some(), "{} {arg} says nothing of itself", sub.get_name());
        }
        assert!(sub.get_about().is_some(), "{} says nothing of itself", sub.get_name());
    }
}

#[test]
fn callers_elsewhere_are_not_sent_to_loopback() {
    let args = |control: &str, address: &str| PlaneArgs {
        control: control.into(),
        join_token_file: None,
        address: address.parse().unwrap(),
        allow_plaintext: true,
    };
    for (control, address, good) in [
        ("127.0.0.1:7700", "127.0.0.1", true),
        ("localhost:7700", "127.0.0.1", true),
        ("[::1]:7700", "127.0.0.1", true),
        ("10.0.0.5:7700", "127.0.0.1", false),
        ("10.0.0.5:7700", "::1", false),
        ("10.0.0.5:7700", "10.0.0.6", true),
        ("127.0.0.1:7700", "10.0.0.6", true),
    ] {
        let said = args(control, address).check();
        assert_eq!(said.is_ok(), good, "{control} {address}");
        assert!(said.err().is_none_or(|why| why.to_string().contains("give with --address")));
    }
}

#[test]
fn the_guide_has_every_command_and_flag() {
    let mut built = command();
    built.build();
    hold("commands", &tables(&built));
}

#[test]
fn the_guide_has_every_reason() {
    let mut text = "\n| reason | status | `Retry-After` | may be retried | fault of | Envoy's flag | `Proxy-Status` | means |\n\
                    |---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for reason in model::Reason::ALL {
        let (word, status, flag) = (reason.word(), reason.status(), reason.envoy_flag());
        let wait = if reason.has_retry_after() { "yes" } else { "" };
        let close = if reason.closes() { ", close" } else { "" };
        let (retry, fault) = (explain::retryable(reason.retryable()), explain::fault(reason.fault()));
        let (error, means) = (reason.proxy_status(), reason.text());
        writeln!(
            text,
            "| `{word}` | {status}{close} | {wait} | {retry} | {fault} | {flag} | `{error}` | {means} |"
        )
        .unwrap();
    }
    text.push_str("\n| reason | what to look at | what to do |\n|---|---|---|\n");
    for reason in model::Reason::ALL {
        let said = explain::explain(reason.word()).unwrap();
        writeln!(text, "| `{}` | {} | {} |", said.word, said.look, said.mend).unwrap();
    }
    hold("reasons", &text);
}

#[test]
fn the_guide_has_every_check() {
    let mut text = String::new();
    let mut group = "";
    for check in &check::catalogue::ALL {
        if group != check.group.word() {
            group = check.group.word();
            writeln!(text, "\n### {group}").unwrap();
        }
        let said = explain::explain(check.id).unwrap();
        writeln!(text, "\n**{}** {}\n\n- *fault of*: {}", said.word, said.means, said.fault).unwrap();
        writeln!(text, "- *look at*: {}\n- *mend*: {}", said.look, said.mend).unwrap();
    }
    hold("checks", &text);
}

/// Holds what a machine knows against the part of `docs/guide/NAME.md` that is made from it.
fn hold(name: &str, text: &str) {
    let path = format!("{}/../../docs/guide/{name}.md", env!("CARGO_MANIFEST_DIR"));
    let guide = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {name}: made by a test -->\n"), format!("<!-- end of {name} -->\n"));
    let (front, rest) = guide.split_once(&begin).unwrap();
    let (_, back) = rest.split_once(&end).unwrap();
    let want = format!("{front}{begin}{text}\n{end}{back}");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &want).unwrap();
    }
    let told = std::fs::read_to_string(&path).unwrap() == want;
    assert!(told, "docs/guide/{name}.md differs; with BLESS=1 it is written anew");
}

fn tables(command: &clap::Command) -> String {
    let mut text = String::new();
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let about = sub.get_about().unwrap();
        write!(text, "\n### `outrigger {}`\n{about}.\n\n", usage(sub)).unwrap();
        let shown = |arg: &&clap::Arg| !arg.is_hide_set();
        let named = |arg: &&clap::Arg| !matches!(arg.get_id().as_str(), "help" | "version");
        let args: Vec<_> = sub.get_arguments().filter(shown).filter(named).collect();
        if !args.is_empty() {
            text.push_str("| argument | variable | default | meaning |\n|---|---|---|---|\n");
        }
        args.iter().for_each(|arg| text.push_str(&row(arg)));
    }
    text
}

fn usage(sub: &clap::Command) -> String {
    let places: Vec<String> = sub.get_positionals().map(ToString::to_string).collect();
    [&[sub.get_name().to_owned()], &places[..]].concat().join(" ")
}

fn row(arg: &clap::Arg) -> String {
    let variable = arg.get_env().map_or(String::new(), |name| format!("`{}`", name.display()));
    let defaults = arg.get_default_values().iter().map(|value| value.display().to_string());
    let defaults: Vec<String> = defaults.filter(|value| value != "false").collect();
    let default = if defaults.is_empty() { String::new() } else { format!("`{}`", defaults.join(",")) };
    let short = arg.get_short().map_or(String::new(), |short| format!("`-{short}`, "));
    let help = arg.get_help().unwrap().to_string();
    format!("| {short}`{}` | {variable} | {default} | {help} |\n", arg.to_string().replace('|', "\\|"))
}
