//! The guide's tables of keys, made from the declarations. Only the guide's test needs them.

use super::declare::{Field, Kind, Need};
use super::decoder::join;
use super::scalar::duration_text;
use super::schema::{Manifest, default};
use super::settings::POLICIES;
use model::scenario::SERIES;

/// One table for each table of `manifest`.
fn tables(manifest: Manifest) -> String {
    let mut out = String::new();
    let policies: &'static [Field] = &POLICIES;
    // In a scenario they are told of elsewhere.
    let mut told = if manifest == Manifest::Scenario { vec![policies] } else { Vec::new() };
    table(manifest.shape(), "", &mut told, &mut out);
    out
}

/// One table, and those below it. What stands in several places is told once.
fn table(fields: &'static [Field], path: &str, told: &mut Vec<&'static [Field]>, out: &mut String) {
    if told.iter().any(|t| std::ptr::eq(*t, fields)) {
        return;
    }
    told.push(fields);
    let heading = match path {
        "" => "### At the top".to_owned(),
        list if list.ends_with("[]") => format!("### `[[{}]]`", list.trim_end_matches("[]")),
        path => format!("### `[{path}]`"),
    };
    out.push_str(&format!("\n{heading}\n| key | holds | default | meaning |\n|---|---|---|---|\n"));
    for field in fields {
        let path = join(path, field.key);
        let about = field.about.replace('|', "\\|");
        let row =
            format!("| `{}` | {} | {} | {about} |\n", field.key, holds(&field.kind), without(field, &path));
        out.push_str(&row);
    }
    for field in fields {
        let path = join(path, field.key);
        match &field.kind {
            Kind::Table(inner) | Kind::OffOr(inner) | Kind::Either(_, inner) => {
                table(inner, &path, told, out)
            }
            Kind::Map { of: Kind::Table(inner), .. } => table(inner, &format!("{path}.NAME"), told, out),
            Kind::List { of: Kind::Table(inner), .. } => table(inner, &format!("{path}[]"), told, out),
            _ => {}
        }
    }
}

fn without(field: &Field, path: &str) -> String {
    match (field.need, default(field, path)) {
        (Need::Required, _) => "required".to_owned(),
        (_, Some(value)) => format!("`{value}`"),
        (_, None) => String::new(),
    }
}

fn holds(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Name => "name".to_owned(),
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Whole { least, most } if *most >= u64::from(u32::MAX) => format!("whole number from {least}"),
        Kind::Whole { least, most } => format!("whole number from {least} to {most}"),
        Kind::Duration { least, most } => {
            format!("duration, {} to {}", duration_text(*least), duration_text(*most))
        }
        Kind::Number { least, most } => format!("number from {least} to {most}"),
        Kind::Signed { least, most } => format!("whole number from {least} to {most}"),
        Kind::Label => "name".to_owned(),
        Kind::TimeOfDay => "time of day".to_owned(),
        Kind::When => "time".to_owned(),
        Kind::Curve { .. } => "number, or list of points `[time, number]`".to_owned(),
        Kind::Pair(of) => format!("list of two: {}", holds(of)),
        Kind::Either(of, _) => format!("{}, or a table", holds(of)),
        Kind::Share => "share".to_owned(),
        Kind::Word(words) => words.iter().map(|w| format!("`\"{w}\"`")).collect::<Vec<_>>().join(", "),
        Kind::Address => "address and port".to_owned(),
        Kind::Folder => "folder below this one".to_owned(),
        Kind::UrlPath => "path, may have a query".to_owned(),
        Kind::Prefix => "path".to_owned(),
        Kind::Variable => "variable".to_owned(),
        Kind::List { of, .. } => format!("list of {}s", holds(of)),
        Kind::Table(_) => "table".to_owned(),
        Kind::OffOr(_) => "`false`, or a table".to_owned(),
        Kind::FalseOr(of) => format!("`false`, or {}", holds(of)),
        Kind::Map { of: Kind::Table(_), .. } => "table of tables by name".to_owned(),
        Kind::Map { keys, of, .. } => format!("table: {} = {}", holds(keys), holds(of)),
    }
}

#[test]
#[allow(clippy::unwrap_used)]
fn the_guides_tables_are_current() {
    let pages = [
        ("../../docs/guide/manifests.md", &[Manifest::Environment, Manifest::Service][..]),
        ("../../docs/guide/scenarios.md", &[Manifest::Scenario][..]),
    ];
    for (page, manifests) in pages {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        let mut text = std::fs::read_to_string(path).unwrap();
        for manifest in manifests {
            replace(&mut text, &format!("keys of {}.toml", manifest.word()), &tables(*manifest));
        }
        if manifests.contains(&Manifest::Scenario) {
            replace(&mut text, "series", &series());
        }
        super::golden(page, &text);
    }
}

/// Puts `made` between the marks of `what`.
#[allow(clippy::unwrap_used)]
fn replace(text: &mut String, what: &str, made: &str) {
    let begin = format!("<!-- {what}: made by a test -->");
    let end = format!("<!-- end of {} -->", what.split(' ').next().unwrap());
    let from = text.find(&begin).unwrap() + begin.len();
    let to = from + text[from..].find(&end).unwrap();
    text.replace_range(from..to, &format!("\n{made}\n"));
}

/// The table of series.
fn series() -> String {
    let rows = SERIES.iter().map(|(name, about)| format!("| `{name}` | {about} |\n"));
    format!("\n| series | what it is |\n|---|---|\n{}", rows.collect::<String>())
}
