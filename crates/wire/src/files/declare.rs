//! Declarations: which keys a file may have and what each holds. The decoder, the JSON Schema and the tables of the
//! guide are made from them.

use std::time::Duration;

/// One key of a table.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    pub(crate) need: Need,
    /// What holds when it is absent, for people; empty where nothing does.
    pub(crate) default: &'static str,
    /// A value as one would write it, for "how to mend it"; empty: the kind's own.
    pub(crate) example: &'static str,
    /// What it means, one sentence.
    pub(crate) about: &'static str,
}

/// Whether a key must be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    Required,
    Optional,
    /// In a manifest its absence means the preset's value; a snapshot has no presets and must say it.
    Preset,
}

/// What a key holds.
#[derive(Debug)]
pub(crate) enum Kind {
    Text,
    /// A service's, an instance's or an environment's name.
    Name,
    Flag,
    Whole {
        least: u64,
        most: u64,
    },
    Duration {
        least: Duration,
        most: Duration,
    },
    /// A number with a unit of its own, whole or not.
    Number {
        least: f64,
        most: f64,
    },
    /// A whole number that may be below zero.
    Signed {
        least: i64,
        most: i64,
    },
    Share,
    /// The name of something that only the file itself speaks of.
    Label,
    /// `"11:55"` or `"11:55:30"`.
    TimeOfDay,
    /// A point in time of a run: a time of day, or a duration since its beginning.
    When,
    /// A number, or points in time with numbers, joined by straight lines.
    Curve {
        most: f64,
    },
    Word(&'static [&'static str]),
    /// An IP address and a port.
    Address,
    /// A path below the manifest's folder, with `/`.
    Folder,
    /// A URL's path, from `/`.
    UrlPath,
    /// The beginning of a URL's path, from `/`, without a query.
    Prefix,
    /// A variable's name; only as a key.
    Variable,
    List {
        of: &'static Kind,
        least: usize,
    },
    /// A list of exactly two.
    Pair(&'static Kind),
    Table(&'static [Field]),
    /// `false`, or a table.
    OffOr(&'static [Field]),
    /// `false`, or a value that is no table.
    FalseOr(&'static Kind),
    /// A value, or a table.
    Either(&'static Kind, &'static [Field]),
    /// A table whose keys are chosen by the writer, at least `least` of them.
    Map {
        keys: &'static Kind,
        of: &'static Kind,
        least: usize,
    },
}

/// An optional key.
pub(crate) const fn field(key: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { key, kind, need: Need::Optional, default: "", example: "", about }
}

/// A key that a preset may answer.
pub(crate) const fn preset(key: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { key, kind, need: Need::Preset, default: "", example: "", about }
}

impl Field {
    pub(crate) const fn required(self) -> Field {
        Field { need: Need::Required, ..self }
    }

    pub(crate) const fn default(self, default: &'static str) -> Field {
        Field { default, ..self }
    }

    pub(crate) const fn example(self, example: &'static str) -> Field {
        Field { example, ..self }
    }
}

/// From `least` to `most`, both in milliseconds.
pub(crate) const fn between_ms(least: u64, most: u64) -> Kind {
    Kind::Duration { least: Duration::from_millis(least), most: Duration::from_millis(most) }
}

/// Any number of 32 bits from `least`.
pub(crate) const fn whole(least: u64) -> Kind {
    Kind::Whole { least, most: u32::MAX as u64 }
}

/// The moments of a curve.
pub(crate) static WHEN: Kind = Kind::When;
