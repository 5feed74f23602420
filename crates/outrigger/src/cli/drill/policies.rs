//! Policies and numbers as they are named on the command line.

use model::scenario::Scenario;
use model::{FleetPreset, Preset, Share};
use sim::choice::{Choice, Component, Source};
use std::fmt;
use std::str::FromStr;

/// `own`, or a preset; with single parts of others: `default,retry=off`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Policies {
    base: Named,
    swaps: Vec<Swap>,
}

/// A single part of policies taken from others: `retry=off`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Swap(Component, Named);

/// Where policies come from, by name.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Named {
    /// The scenario's own.
    Own,
    /// A preset of this name: of the request path, of the fleet, or of both.
    Preset(Option<Preset>, Option<FleetPreset>),
}

impl Named {
    /// What that is in a scenario: what a name leaves open is the scenario's.
    pub(super) fn in_scenario(self, scenario: &Scenario) -> Source {
        match self {
            Named::Own => Source::Own,
            Named::Preset(policies, fleet) => {
                let named = (policies.unwrap_or(scenario.policies), fleet.unwrap_or(scenario.fleet));
                // The scenario's presets are in force with what its file says for single calls.
                let own = named == (scenario.policies, scenario.fleet);
                if own { Source::Own } else { Source::Named(named.0, named.1) }
            }
        }
    }
}

impl FromStr for Named {
    type Err = String;

    fn from_str(word: &str) -> Result<Named, String> {
        let named = (Preset::from_word(word), FleetPreset::from_word(word));
        match (word, named) {
            ("own", _) => Ok(Named::Own),
            (_, (None, None)) => {
                Err(unknown(word, "preset", &[&["own"][..], &presets(), &fleets()].concat()))
            }
            (_, (policies, fleet)) => Ok(Named::Preset(policies, fleet)),
        }
    }
}

impl FromStr for Policies {
    type Err = String;

    fn from_str(text: &str) -> Result<Policies, String> {
        let (base, rest) = text.split_once(',').map_or((text, None), |(base, rest)| (base, Some(rest)));
        let mut policies = Policies { base: base.parse()?, swaps: Vec::new() };
        for part in rest.into_iter().flat_map(|rest| rest.split(',')) {
            policies.swaps.push(part.parse()?);
        }
        Ok(policies)
    }
}

impl FromStr for Swap {
    type Err = String;

    fn from_str(part: &str) -> Result<Swap, String> {
        let Some((component, of)) = part.split_once('=') else {
            return Err(format!("{part:?} is no part of policies: write it as retry=off"));
        };
        let words: Vec<&str> = Component::ALL.iter().map(|c| c.word()).collect();
        let of = of.parse()?;
        let component = Component::from_word(component).ok_or_else(|| unknown(component, "part", &words))?;
        Ok(Swap(component, of))
    }
}

impl fmt::Display for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.0.word(), self.1)
    }
}

impl Swap {
    /// `choice` with that part.
    pub(super) fn apply(&self, choice: Choice, scenario: &Scenario) -> Choice {
        choice.with(self.0, self.1.in_scenario(scenario))
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Named::Own | Named::Preset(None, None) => "own",
            Named::Preset(Some(policies), _) => policies.word(),
            Named::Preset(None, Some(fleet)) => fleet.word(),
        })
    }
}

impl fmt::Display for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.base)?;
        self.swaps.iter().try_for_each(|swap| write!(f, ",{swap}"))
    }
}

impl Policies {
    /// What that is in a scenario.
    pub(super) fn choice(&self, scenario: &Scenario) -> Choice {
        let base = Choice::from(scenario, self.base.in_scenario(scenario));
        self.swaps.iter().fold(base, |choice, swap| swap.apply(choice, scenario))
    }
}

fn presets() -> Vec<&'static str> {
    Preset::ALL.iter().map(|p| p.word()).collect()
}

fn fleets() -> Vec<&'static str> {
    FleetPreset::ALL.iter().map(|p| p.word()).collect()
}

/// That there is no such word, and which one was probably meant.
fn unknown(word: &str, what: &str, words: &[&str]) -> String {
    let mut words = words.to_vec();
    words.sort_unstable();
    words.dedup();
    match crate::drill::library::nearest(word, words.iter().copied()) {
        Some(near) => format!("there is no {what} {word:?}: did you mean {near:?}?"),
        None => format!("there is no {what} {word:?}: there are {}", words.join(", ")),
    }
}

/// A preset of the request path.
pub(super) fn preset(word: &str) -> Result<Preset, String> {
    Preset::from_word(word).ok_or_else(|| unknown(word, "preset", &presets()))
}

/// A preset of the fleet.
pub(super) fn fleet(word: &str) -> Result<FleetPreset, String> {
    FleetPreset::from_word(word).ok_or_else(|| unknown(word, "preset of the fleet", &fleets()))
}

/// `20%` or `0.2`.
pub(super) fn share(text: &str) -> Result<Share, String> {
    let wrong = || format!("{text:?} is no share from 0% to 100%: write 20%");
    let part = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map_err(|_| wrong())? / 100.0,
        None => text.parse().map_err(|_| wrong())?,
    };
    Share::new(part).map_err(|_| wrong())
}

/// What everything with a size is multiplied by.
pub(super) fn scale(text: &str) -> Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| format!("{text:?} is no number: write 0.1"))?;
    let fits = factor.is_finite() && (0.001..=100.0).contains(&factor);
    if fits { Ok(factor) } else { Err("a scale is from 0.001 to 100".to_owned()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn policies_are_named_with_parts_of_others() {
        let policies: Policies = "default,retry=off,breaker=own".parse().unwrap();
        assert_eq!(policies.base, Named::Preset(Some(Preset::Default), Some(FleetPreset::Default)));
        assert_eq!(policies.swaps[1], Swap(Component::Breaker, Named::Own));
        assert_eq!(policies.to_string(), "default,retry=off,breaker=own");
        assert_eq!(
            "defualt".parse::<Policies>().unwrap_err(),
            "there is no preset \"defualt\": did you mean \"default\"?"
        );
        assert!("own,retri=off".parse::<Policies>().unwrap_err().contains("did you mean \"retry\"?"));
        assert!("own,retry".parse::<Policies>().unwrap_err().contains("retry=off"));
    }

    #[test]
    fn shares_and_scales_have_bounds() {
        assert_eq!(share("20%").unwrap().part(), 0.2);
        assert_eq!(share("0.2").unwrap().part(), 0.2);
        assert!(share("120%").is_err() && share("x").is_err() && share("").is_err());
        assert_eq!(scale("0.1"), Ok(0.1));
        assert!(scale("0").is_err() && scale("NaN").is_err() && scale("-1").is_err());
    }
}
