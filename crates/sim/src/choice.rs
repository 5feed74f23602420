//! Which policies a run plays with: a set of presets, single components swapped, and whether people act.

use model::fleet::Fleet;
use model::scenario::Scenario;
use model::{FleetPreset, Preset, Settings, Share};
use std::fmt;

/// A part of the policies that can be swapped by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Component {
    /// Further attempts, hedges included.
    Retry,
    /// Breaker and ejection.
    Breaker,
    /// A newcomer's share of requests.
    SlowStart,
    /// Balancing and panic.
    Pick,
    /// The autoscaler.
    Autoscale,
    /// Who kills what hangs.
    Watchdog,
    /// What is reserved for an instance, and where it is placed.
    Reservation,
}

impl Component {
    /// Every component, in the order of tables.
    pub const ALL: [Component; 7] = [
        Component::Retry,
        Component::Breaker,
        Component::SlowStart,
        Component::Pick,
        Component::Autoscale,
        Component::Watchdog,
        Component::Reservation,
    ];

    /// The word in output and flags.
    pub const fn word(self) -> &'static str {
        match self {
            Component::Retry => "retry",
            Component::Breaker => "breaker",
            Component::SlowStart => "slow-start",
            Component::Pick => "pick",
            Component::Autoscale => "autoscale",
            Component::Watchdog => "watchdog",
            Component::Reservation => "reservation",
        }
    }

    /// The component that `word` names.
    pub fn from_word(word: &str) -> Option<Component> {
        Component::ALL.into_iter().find(|c| c.word() == word)
    }
}

/// Where policies come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The scenario's own presets, with the settings that its file gives for single calls.
    Own,
    /// Presets, whatever the scenario says.
    Named(Preset, FleetPreset),
}

impl Source {
    /// What ships.
    pub const DEFAULT: Source = Source::Named(Preset::Default, FleetPreset::Default);
}

/// Which policies a run plays with.
#[derive(Clone, PartialEq, Debug)]
pub struct Choice {
    own: (Preset, FleetPreset),
    base: Source,
    swaps: Vec<(Component, Source)>,
    /// Whether the scenario's operators act.
    pub operators: bool,
    /// Each fitted parameter of the scenario is off by up to this share of itself, drawn from the run's seed.
    pub shuffle: Option<Share>,
}

impl Choice {
    /// The scenario's own policies; nobody acts.
    pub fn own(scenario: &Scenario) -> Choice {
        Choice::from(scenario, Source::Own)
    }

    /// These presets instead of the scenario's; nobody acts.
    pub fn preset(scenario: &Scenario, policies: Preset, fleet: FleetPreset) -> Choice {
        Choice::from(scenario, Source::Named(policies, fleet))
    }

    /// The policies of `base`; nobody acts.
    pub fn from(scenario: &Scenario, base: Source) -> Choice {
        let own = (scenario.policies, scenario.fleet);
        Choice { own, base, swaps: Vec::new(), operators: false, shuffle: None }
    }

    /// The same with `component` taken from `source`. A swap of the same component before it is forgotten.
    #[must_use]
    pub fn with(mut self, component: Component, source: Source) -> Choice {
        self.swaps.retain(|(c, _)| *c != component);
        if source != self.base {
            self.swaps.push((component, source));
        }
        self
    }

    /// The same with the operators acting, or not.
    #[must_use]
    pub fn with_operators(mut self, act: bool) -> Choice {
        self.operators = act;
        self
    }

    /// The same with every fitted parameter off by up to this share.
    #[must_use]
    pub fn with_shuffle(mut self, share: Option<Share>) -> Choice {
        self.shuffle = share;
        self
    }

    /// Where `component` comes from.
    pub fn source(&self, component: Component) -> Source {
        self.swaps.iter().find(|(c, _)| *c == component).map_or(self.base, |(_, source)| *source)
    }

    /// The settings of a call for which the scenario's file says `own` ([`model::scenario::CallTo::policies`],
    /// [`model::scenario::Clients::policies`]).
    pub fn settings(&self, own: &Settings) -> Settings {
        let of = |source: Source| match source {
            Source::Own => own.clone(),
            Source::Named(preset, _) => preset.settings(),
        };
        let mut settings = of(self.base);
        for (component, source) in &self.swaps {
            swap(&mut settings, *component, of(*source));
        }
        settings
    }

    /// The preset that a component of the fleet comes from.
    pub fn fleet_preset(&self, component: Component) -> FleetPreset {
        match self.source(component) {
            Source::Own => self.own.1,
            Source::Named(_, fleet) => fleet,
        }
    }

    /// The settings of the fleet.
    pub fn fleet(&self) -> Fleet {
        let of = |component| self.fleet_preset(component).settings();
        let reservation = of(Component::Reservation);
        Fleet {
            autoscale: of(Component::Autoscale).autoscale,
            reservation: reservation.reservation,
            placement: reservation.placement,
            watchdog: of(Component::Watchdog).watchdog,
        }
    }

    fn names(&self, source: Source) -> String {
        let (policies, fleet) = match source {
            Source::Own => self.own,
            Source::Named(policies, fleet) => (policies, fleet),
        };
        let (policies, fleet) = (policies.word(), fleet.word());
        if policies == fleet { policies.to_owned() } else { format!("{policies} + {fleet} fleet") }
    }

    /// Without: what ships gives way to the scenario's own; with: something is added to what was.
    fn swap_in_words(&self, component: Component, source: Source) -> String {
        let word = component.word();
        match source {
            Source::Own if self.base == Source::DEFAULT => format!("without {word}"),
            Source::DEFAULT => format!("with {word}"),
            other => format!("with {word} of {}", self.names(other)),
        }
    }
}

impl fmt::Display for Choice {
    /// `default without retry`, `allegro-2018 with watchdog`, `least-loaded + default fleet`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names(self.base))?;
        for (i, (component, source)) in self.swaps.iter().enumerate() {
            let and = if i == 0 { "" } else { " and" };
            write!(f, "{and} {}", self.swap_in_words(*component, *source))?;
        }
        Ok(())
    }
}

/// Takes one component of `from` into `settings`.
fn swap(settings: &mut Settings, component: Component, from: Settings) {
    match component {
        Component::Retry => swap_retry(settings, from),
        Component::Breaker => {
            settings.breaker = from.breaker;
            settings.ejection = from.ejection;
        }
        Component::SlowStart => settings.slow_start = from.slow_start,
        Component::Pick => {
            settings.balancing = from.balancing;
            settings.panic = from.panic;
        }
        Component::Autoscale | Component::Watchdog | Component::Reservation => {}
    }
}

/// A swapped-in retry keeps the timeouts of what it is swapped into, the time of one try included where there is one:
/// otherwise the comparison would be one of timeouts.
fn swap_retry(settings: &mut Settings, from: Settings) {
    let time = settings.retry.as_ref().and_then(|retry| retry.try_timeout);
    settings.hedge = from.hedge;
    settings.retry = from.retry;
    if let Some(retry) = &mut settings.retry {
        retry.try_timeout = time.or(retry.try_timeout);
    }
}

#[cfg(test)]
mod tests;
