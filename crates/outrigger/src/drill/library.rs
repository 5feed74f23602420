//! The scenarios that are built in.

use model::scenario::Scenario;

/// Their names and their files: all of the folder `scenarios`.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/scenarios.rs"));

/// Their names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// The scenario of this name.
///
/// # Errors
/// None, as a test reads them all.
pub(crate) fn built_in(name: &str) -> Option<Result<Scenario, wire::files::Problems>> {
    let (name, text) = FILES.iter().find(|(built_in, _)| *built_in == name)?;
    Some(wire::files::decode_scenario(text, &format!("scenarios/{name}.toml")))
}

/// Each with its first sentence.
pub(crate) fn lines() -> Vec<(&'static str, String)> {
    let about = |name: &str| {
        let scenario = built_in(name).and_then(Result::ok);
        scenario.map(|s| first_sentence(&s.about)).unwrap_or_default()
    };
    names().map(|name| (name, about(name))).collect()
}

/// The first sentence of a text, in one line.
pub(crate) fn first_sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.find(". ").map_or(text.clone(), |end| text[..=end].to_owned())
}

/// Of `names` the one that was probably meant by `text`.
pub(crate) fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = names.map(|name| (strsim::damerau_levenshtein(text, name), name));
    near.filter(|(far, name)| *far <= 1 + name.len() / 4 || name.starts_with(text))
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use sim::ablate::{Runs, verdict};

    #[test]
    fn every_file_of_the_folder_is_built_in_and_in_order() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios");
        let files =
            std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<String> =
            files.filter_map(|f| Some(f.strip_suffix(".toml")?.to_owned())).collect();
        files.sort();
        let mut here: Vec<&str> = names().collect();
        here.sort_unstable();
        assert_eq!(here, files);
        for name in names() {
            let scenario = built_in(name).unwrap().unwrap_or_else(|problems| panic!("{problems}"));
            assert_eq!(scenario.name, name);
            assert!(!first_sentence(&scenario.about).is_empty(), "{name} says nothing of itself");
        }
    }

    /// At a tenth of its size: these two ways of one client among eleven back ends need no more requests.
    #[test]
    fn the_cheapest_of_them_shows_what_was_published() {
        let scenario = built_in("slow-back-end").unwrap().unwrap();
        let small = scenario.scaled(0.1);
        for name in ["round-robin", "peak-ewma"] {
            let list = scenario.acceptance.iter().find(|list| list.name == name).unwrap();
            let found = verdict(&small, list, &|choice| choice, &Runs::new(sim::play, &[1, 2]));
            assert_eq!(found.passed(), 2, "{name}: {found:?}");
        }
    }

    #[test]
    fn what_was_probably_meant() {
        let names = || ["allegro-2018", "slow-back-end"].into_iter();
        assert_eq!(nearest("alegro-2018", names()), Some("allegro-2018"));
        assert_eq!(nearest("allegro", names()), Some("allegro-2018"));
        assert_eq!(nearest("nothing-like-it", names()), None);
    }
}
