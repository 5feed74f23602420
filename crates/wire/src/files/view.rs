//! Values of a tree that has been compared with its declarations, by key.

use super::declare::{Field, Kind};
use super::decoder::{as_number, as_share, join};
use super::scalar;
use super::tree::{Entry, Node, Value};
use model::{ServiceName, Share};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

/// A table whose values are read. What is absent or was reported as wrong is `None`.
#[derive(Clone, Debug)]
pub(crate) struct View<'a> {
    entries: &'a [Entry],
    shape: &'static [Field],
    /// Where the table stands.
    pub(crate) span: Range<usize>,
    /// Its path.
    pub(crate) path: String,
}

impl<'a> View<'a> {
    /// The file itself.
    pub(crate) fn whole_file(node: &'a Node, shape: &'static [Field]) -> Option<View<'a>> {
        View::of(node, shape, String::new())
    }

    fn of(node: &'a Node, shape: &'static [Field], path: String) -> Option<View<'a>> {
        let Value::Table(entries) = &node.value else { return None };
        Some(View { entries, shape, span: node.span.clone(), path })
    }

    /// The path of a key in this table.
    pub(crate) fn path_of(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// The value of `key`, if it is there.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        debug_assert!(self.shape.iter().any(|f| f.key == key), "`{key}` is read but not declared");
        self.entries.iter().find(|e| e.key == key).map(|e| &e.node)
    }

    fn kind(&self, key: &str) -> Option<&'static Kind> {
        self.shape.iter().find(|f| f.key == key).map(|f| &f.kind)
    }

    pub(crate) fn text(&self, key: &str) -> Option<&'a str> {
        as_text(self.get(key)?)
    }

    pub(crate) fn name(&self, key: &str) -> Option<ServiceName> {
        ServiceName::new(self.text(key)?).ok()
    }

    pub(crate) fn address(&self, key: &str) -> Option<SocketAddr> {
        self.text(key)?.parse().ok()
    }

    pub(crate) fn whole(&self, key: &str) -> Option<u64> {
        match self.get(key)?.value {
            Value::Whole(n) => u64::try_from(n).ok(),
            _ => None,
        }
    }

    pub(crate) fn whole32(&self, key: &str) -> Option<u32> {
        self.whole(key).and_then(|n| u32::try_from(n).ok())
    }

    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        as_number(&self.get(key)?.value)
    }

    pub(crate) fn signed32(&self, key: &str) -> Option<i32> {
        match self.get(key)?.value {
            Value::Whole(n) => i32::try_from(n).ok(),
            _ => None,
        }
    }

    /// The two values of a list of exactly two.
    pub(crate) fn pair(&self, key: &str) -> Option<(&'a Node, &'a Node)> {
        match self.list(key) {
            [first, second] => Some((first, second)),
            _ => None,
        }
    }

    pub(crate) fn duration(&self, key: &str) -> Option<Duration> {
        scalar::duration(self.text(key)?)
    }

    pub(crate) fn share(&self, key: &str) -> Option<Share> {
        as_share(&self.get(key)?.value)
    }

    /// Whether `key` is there and says `false`.
    pub(crate) fn is_off(&self, key: &str) -> bool {
        self.get(key).is_some_and(|node| matches!(node.value, Value::Flag(false)))
    }

    pub(crate) fn table(&self, key: &str) -> Option<View<'a>> {
        match self.kind(key)? {
            Kind::Table(shape) | Kind::OffOr(shape) | Kind::Either(_, shape) => {
                View::of(self.get(key)?, shape, self.path_of(key))
            }
            _ => None,
        }
    }

    /// The entries of a table whose keys the writer chose.
    pub(crate) fn map(&self, key: &str) -> Vec<Item<'a>> {
        let (Some(Kind::Map { of, .. }), Some(node)) = (self.kind(key), self.get(key)) else {
            return Vec::new();
        };
        let Value::Table(entries) = &node.value else { return Vec::new() };
        let path = self.path_of(key);
        entries.iter().map(|entry| Item { entry, of, path: join(&path, &entry.key) }).collect()
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key)?.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    /// The items of a list.
    pub(crate) fn list(&self, key: &str) -> &'a [Node] {
        match self.get(key).map(|node| &node.value) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }

    /// The tables in a list.
    pub(crate) fn tables(&self, key: &str) -> Vec<View<'a>> {
        let Some(Kind::List { of: Kind::Table(shape), .. }) = self.kind(key) else { return Vec::new() };
        let items = self.list(key).iter().enumerate();
        items.filter_map(|(at, item)| View::of(item, shape, format!("{}[{at}]", self.path_of(key)))).collect()
    }
}

/// An entry whose key the writer chose.
#[derive(Clone, Debug)]
pub(crate) struct Item<'a> {
    pub(crate) entry: &'a Entry,
    of: &'static Kind,
    pub(crate) path: String,
}

impl<'a> Item<'a> {
    pub(crate) fn table(&self) -> Option<View<'a>> {
        let Kind::Table(shape) = self.of else { return None };
        View::of(&self.entry.node, shape, self.path.clone())
    }

    pub(crate) fn text(&self) -> Option<&'a str> {
        as_text(&self.entry.node)
    }
}

/// The text of a node that is one.
pub(crate) fn as_text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}
