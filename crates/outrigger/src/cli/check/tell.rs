//! What was found, as lines for people.

use super::catalogue::Group;
use api::{Check, CheckState, Checks};
use std::fmt::Write;

/// How lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Style {
    /// Whether the signs may be other than ASCII.
    pub(crate) wide: bool,
    /// Whether they have colours.
    pub(crate) colour: bool,
}

impl Style {
    /// As the terminal and its user want it.
    pub(crate) fn of_stdout(terminal: bool) -> Style {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let language = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
        Style { wide: is_utf8(language.as_deref()), colour: terminal && set("NO_COLOR").is_none() }
    }

    const fn sign(self, state: CheckState) -> &'static str {
        match (state, self.wide) {
            (CheckState::Fine, true) => "√",
            (CheckState::Warning, true) => "‼",
            (CheckState::Broken, true) => "×",
            (CheckState::Fine, false) => "ok",
            (CheckState::Warning, false) => "!!",
            (CheckState::Broken, false) => "xx",
        }
    }

    fn painted(self, state: CheckState) -> String {
        let sign = self.sign(state);
        let colour = match state {
            CheckState::Fine => 32,
            CheckState::Warning => 33,
            CheckState::Broken => 31,
        };
        if self.colour { format!("\x1b[{colour}m{sign}\x1b[0m") } else { sign.to_owned() }
    }
}

/// Whether a locale such as `en_US.UTF-8` writes UTF-8. Where none is set it is the C locale, which is ASCII.
fn is_utf8(locale: Option<&str>) -> bool {
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// All lines.
pub(crate) fn text(checks: &Checks, style: &Style) -> String {
    let mut out = String::new();
    for group in [Group::Machine, Group::ControlPlane, Group::Agents, Group::Sidecars, Group::Services] {
        let of_group: Vec<&Check> = checks.checks.iter().filter(|c| c.group == group.word()).collect();
        if of_group.is_empty() {
            continue;
        }
        // Writing to a text cannot fail.
        let _ = writeln!(out, "{}", group.word());
        for check in of_group {
            let _ = writeln!(out, "{} {} {}", style.painted(check.state), check.id, check.text);
            if let Some(mend) = &check.mend {
                let _ = writeln!(out, "     mend: {mend}\n     more: outrigger explain {}", check.id);
            }
        }
        out.push('\n');
    }
    let count = |n: u64, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    let _ = match (checks.broken, checks.warnings) {
        (0, 0) => writeln!(out, "all is in order"),
        (0, warnings) => writeln!(out, "in order, with {}", count(warnings, "warning")),
        (broken, warnings) => writeln!(out, "{broken} broken, {}", count(warnings, "warning")),
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, group: Group, state: CheckState) -> Check {
        let mend = (state != CheckState::Fine).then(|| "do this.".to_owned());
        Check { id: id.into(), group: group.word().into(), state, text: "it is so".into(), mend }
    }

    #[test]
    fn lines_are_grouped_and_what_is_not_fine_says_how_to_mend_it() {
        let checks = Checks {
            version: 1,
            checks: vec![
                check("OR101", Group::Machine, CheckState::Fine),
                check("OR501", Group::Services, CheckState::Warning),
                check("OR502", Group::Services, CheckState::Broken),
            ],
            warnings: 1,
            broken: 1,
        };
        let wide = text(&checks, &Style { wide: true, colour: false });
        assert_eq!(
            wide,
            "machine\n√ OR101 it is so\n\nservices\n‼ OR501 it is so\n     mend: do this.\n     more: outrigger explain \
             OR501\n× OR502 it is so\n     mend: do this.\n     more: outrigger explain OR502\n\n1 broken, 1 warning\n"
        );
        let narrow = text(&checks, &Style { wide: false, colour: false });
        assert!(
            narrow.is_ascii() && narrow.contains("\nxx OR502") && narrow.contains("\n!! OR501"),
            "{narrow}"
        );
        let painted = text(&checks, &Style { wide: true, colour: true });
        assert!(painted.contains("\x1b[31m×\x1b[0m OR502"), "{painted}");
    }

    #[test]
    fn only_a_locale_with_utf8_gets_other_signs() {
        for (locale, wide) in
            [(Some("en_US.UTF-8"), true), (Some("C.utf8"), true), (Some("C"), false), (None, false)]
        {
            assert_eq!(is_utf8(locale), wide, "{locale:?}");
        }
    }
}
