//! The guide's tables of keys, made from the declarations. Only the guide's test needs them.

use super::declare::{Field, Kind, Need};
use super::decoder::join;
use super::scalar::duration_text;
use super::schema::{Manifest, default};

/// One table for each table of `manifest`.
fn tables(manifest: Manifest) -> String {
    let mut out = String::new();
    table(manifest.shape(), "", &mut out);
    out
}

fn table(fields: &'static [Field], path: &str, out: &mut String) {
    let heading = if path.is_empty() { "### At the top".to_owned() } else { format!("### `[{path}]`") };
    out.push_str(&format!("\n{heading}\n| key | holds | default | meaning |\n|---|---|---|---|\n"));
    for field in fields {
        let path = join(path, field.key);
        let about = field.about.replace('|', "\\|");
        let row =
            format!("| `{}` | {} | {} | {about} |\n", field.key, holds(&field.kind), told(field, &path));
        out.push_str(&row);
    }
    for field in fields {
        let path = join(path, field.key);
        match &field.kind {
            Kind::Table(inner) | Kind::OffOr(inner) => table(inner, &path, out),
            Kind::Map { of: Kind::Table(inner), .. } => table(inner, &format!("{path}.NAME"), out),
            _ => {}
        }
    }
}

fn told(field: &Field, path: &str) -> String {
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
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/manifests.md");
    let mut text = std::fs::read_to_string(path).unwrap();
    for manifest in Manifest::ALL {
        let (begin, end) =
            (format!("<!-- keys of {}.toml: made by a test -->", manifest.word()), "<!-- end of keys -->");
        let from = text.find(&begin).unwrap() + begin.len();
        let to = from + text[from..].find(end).unwrap();
        text.replace_range(from..to, &format!("\n{}\n", tables(manifest)));
    }
    super::golden("../../docs/guide/manifests.md", &text);
}
