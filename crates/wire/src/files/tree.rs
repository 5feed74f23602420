//! A file as a tree in which every key and value knows where it stands. TOML and JSON make the same tree.

use super::problem::{Format, Problem, Problems, Source};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it stands (in bytes).
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

/// What a file can say.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    /// A number that does not fit is the largest.
    Whole(i128),
    Real(f64),
    Flag(bool),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// Dates of TOML, `null` of JSON: nothing here takes them.
    Other,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) node: Node,
}

/// The deepest nesting that is read.
const DEPTH: usize = 32;

/// The tree of a file and what is wrong with its syntax. What could be read is in the tree in any case.
pub(crate) fn parse(source: &Source) -> (Node, Vec<Problem>) {
    match source.format {
        Format::Toml => parse_toml(source),
        Format::Json => parse_json(source),
    }
}

fn parse_toml(source: &Source) -> (Node, Vec<Problem>) {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    let mut problems: Vec<Problem> = Vec::new();
    for error in errors.iter().take(Problems::NOTED_PER_FILE) {
        let (message, mend) = toml_message(error.message());
        let problem = source.problem(&error.span().unwrap_or(0..0), "", message, mend);
        // What is said further to the right of a line is mostly a consequence.
        match problems.iter_mut().find(|p| p.line == problem.line) {
            Some(first) if first.column <= problem.column => {}
            Some(first) => *first = problem,
            None => problems.push(problem),
        }
    }
    let node = Node { span: 0..0, value: toml_table(table.get_ref(), 0) };
    (node, problems)
}

/// The parser's message for people who write manifests, and how to mend it where that is plain.
fn toml_message(message: &str) -> (String, String) {
    let (what, mend) = match message.split(", expected ").next().unwrap_or_default() {
        "duplicate key" => ("this key is given twice", "remove one of them"),
        "string values must be quoted" => ("text has to be in quotes", "put it in quotes: \"…\""),
        "invalid basic string" => ("the text has no end", "end it with \" in the same line"),
        "unclosed table" => ("the table's name has no end", "end it with ]"),
        "unclosed array" => ("the list has no end", "end it with ]"),
        "missing comma between array elements" => {
            ("here should be a comma, or the end of the list", "write , between two items, ] at the end")
        }
        "extra `=`" => ("one `=` too many", "remove it"),
        what => (what, ""),
    };
    let expected =
        if mend.is_empty() { message.strip_suffix(", expected nothing").unwrap_or(message) } else { what };
    (expected.to_owned(), mend.to_owned())
}

fn toml_table(table: &DeTable<'_>, depth: usize) -> Value {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| Entry {
        key: AsRef::<std::borrow::Cow<'_, str>>::as_ref(key).to_string(),
        key_span: key.span(),
        node: toml_value(value, depth + 1),
    };
    let mut entries: Vec<Entry> = table.iter().map(entry).collect();
    entries.sort_by_key(|e| e.key_span.start);
    Value::Table(entries)
}

fn toml_value(value: &Spanned<DeValue<'_>>, depth: usize) -> Node {
    let read = match value.get_ref() {
        _ if depth > DEPTH => Value::Other,
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(n) => Value::Whole(i128::from_str_radix(n.as_str(), n.radix()).unwrap_or(i128::MAX)),
        DeValue::Float(n) => n.as_str().parse().map_or(Value::Other, Value::Real),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(_) => Value::Other,
        DeValue::Array(list) => Value::List(list.iter().map(|v| toml_value(v, depth + 1)).collect()),
        DeValue::Table(table) => toml_table(table, depth),
    };
    Node { span: value.span(), value: read }
}

fn parse_json(source: &Source) -> (Node, Vec<Problem>) {
    let mut reader = Json { source, problems: Vec::new() };
    let node = match serde_json::from_str::<&RawValue>(&source.text) {
        Ok(raw) => reader.node(raw, 0),
        Err(error) => {
            reader.syntax(&error, 0);
            Node { span: 0..0, value: Value::Other }
        }
    };
    (node, reader.problems)
}

/// Reads a tree from slices of the text. serde_json finds the end of each value; the slice's address says where it
/// stands.
struct Json<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
}

impl<'a> Json<'a> {
    fn node(&mut self, raw: &'a RawValue, depth: usize) -> Node {
        let text = raw.get();
        let start = (text.as_ptr() as usize).saturating_sub(self.source.text.as_ptr() as usize);
        let span = start..start + text.len();
        let value = match text.as_bytes().first() {
            _ if depth > DEPTH => {
                self.report(&span, format!("nested more than {DEPTH} deep"));
                Value::Other
            }
            Some(b'{') => self.table(text, start, depth),
            Some(b'[') => {
                let items: Vec<&RawValue> = self.read(text, start);
                Value::List(items.into_iter().map(|item| self.node(item, depth + 1)).collect())
            }
            Some(b'"') => Value::Text(self.read(text, start)),
            Some(b't') => Value::Flag(true),
            Some(b'f') => Value::Flag(false),
            Some(b'-' | b'0'..=b'9') if text.contains(['.', 'e', 'E']) => {
                text.parse().map_or(Value::Other, Value::Real)
            }
            Some(b'-' | b'0'..=b'9') => Value::Whole(text.parse().unwrap_or(i128::MAX)),
            _ => Value::Other,
        };
        Node { span, value }
    }

    fn table(&mut self, text: &'a str, start: usize, depth: usize) -> Value {
        let members: Members<'a> = self.read(text, start);
        let mut entries: Vec<Entry> = Vec::new();
        let mut keys = BTreeSet::new();
        let mut from = start + 1;
        for (key, raw) in members.0 {
            let node = self.node(raw, depth + 1);
            // Between the value before and this one there is white space, a comma and the key.
            let between = self.source.cut(&(from..node.span.start));
            let key_start = from + between.find('"').unwrap_or(0);
            let key_end = from + between.rfind('"').map_or(between.len(), |at| at + 1);
            from = node.span.end;
            let key_span = key_start..key_end;
            if !keys.insert(key.clone()) {
                self.report(&key_span, format!("`{key}` is given twice"));
            }
            entries.push(Entry { key, key_span, node });
        }
        Value::Table(entries)
    }

    fn read<T: Deserialize<'a> + Default>(&mut self, text: &'a str, start: usize) -> T {
        serde_json::from_str(text).unwrap_or_else(|error| {
            self.syntax(&error, start);
            T::default()
        })
    }

    fn syntax(&mut self, error: &serde_json::Error, start: usize) {
        let text = self.source.text.get(start..).unwrap_or_default();
        let before: usize =
            text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let at = start + before + error.column().saturating_sub(1);
        let whole = error.to_string();
        let message = whole.split(" at line ").next().unwrap_or_default().to_owned();
        self.report(&(at..at + 1), message);
    }

    fn report(&mut self, span: &Range<usize>, message: String) {
        if self.problems.len() < Problems::NOTED_PER_FILE {
            self.problems.push(self.source.problem(span, "", message, String::new()));
        }
    }
}

/// The members of an object in the order of the file, repeated ones included.
#[derive(Default)]
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str, format: Format) -> Source {
        Source { file: "f".into(), text: text.into(), format }
    }

    /// Every key and every value that is no table, as it stands in the text.
    fn spots(node: &Node, source: &Source, out: &mut Vec<String>) {
        match &node.value {
            Value::Table(entries) => {
                for entry in entries {
                    out.push(source.cut(&entry.key_span).to_owned());
                    spots(&entry.node, source, out);
                }
            }
            Value::List(items) => items.iter().for_each(|item| spots(item, source, out)),
            _ => out.push(source.cut(&node.span).to_owned()),
        }
    }

    #[test]
    fn keys_and_values_know_where_they_stand() {
        let cases = [
            ("a = 1\n[t]\n\"b c\" = [true, 'x']\n", Format::Toml, "a 1 t \"b c\" true 'x'"),
            (
                "{\"a\" : 1, \"t\":{ \"b\\\"c\" :[true,\"x\"]} }",
                Format::Json,
                "\"a\" 1 \"t\" \"b\\\"c\" true \"x\"",
            ),
        ];
        for (text, format, want) in cases {
            let source = source(text, format);
            let (tree, problems) = parse(&source);
            assert_eq!(problems, []);
            let mut out = Vec::new();
            spots(&tree, &source, &mut out);
            assert_eq!(out.join(" "), want);
        }
    }

    #[test]
    fn several_syntax_errors_of_toml_come_at_once() {
        let (_, problems) = parse(&source("a = \nb = 2\nc = [1,,2]\nd 4\n", Format::Toml));
        let lines: Vec<usize> = problems.iter().map(|p| p.line).collect();
        assert!(lines.contains(&1) && lines.contains(&3) && lines.contains(&4), "{problems:#?}");
    }

    #[test]
    fn a_syntax_error_of_json_has_its_place() {
        let (_, problems) = parse(&source("{\n \"a\": 1,\n \"b\": x\n}", Format::Json));
        let spots: Vec<_> = problems.iter().map(|p| (p.line, p.column)).collect();
        assert_eq!(spots, [(3, 7)]);
    }

    #[test]
    fn deep_nesting_is_refused_not_followed() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let (_, problems) = parse(&source(&deep, Format::Json));
        assert_eq!(problems.len(), 1);
        let (_, problems) = parse(&source(&format!("a = {deep}"), Format::Toml));
        assert!(!problems.is_empty());
    }

    #[test]
    fn a_file_that_is_nothing_but_mistakes_is_told_as_such() {
        let (_, problems) = parse(&source(&"a\n".repeat(100_000), Format::Toml));
        assert_eq!(problems.len(), Problems::NOTED_PER_FILE);
        let twice = format!("{{{}\"a\":1}}", "\"a\":1,".repeat(5_000));
        let (_, problems) = parse(&source(&twice, Format::Json));
        assert_eq!(problems.len(), Problems::NOTED_PER_FILE);
    }
}
