//! What differs between an environment as it runs and as it is wanted, and what following it costs.

use crate::ServiceName;

/// One setting that differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The service that it is a setting of; none: one of the environment as a whole or of its edge.
    pub service: Option<ServiceName>,
    /// The setting's key within that, as in its manifest: `run.command`; empty: the service itself comes or goes.
    pub key: String,
    /// What it was, as it is written in a manifest; none: it was not there.
    pub before: Option<String>,
    /// What it is to be; none: it is to be there no more.
    pub after: Option<String>,
    /// What following it does to what runs.
    pub effect: Effect,
}

impl Change {
    /// The key from the environment on: `services.opbox.run.command`.
    pub fn path(&self) -> String {
        match (&self.service, self.key.as_str()) {
            (None, key) => key.to_owned(),
            (Some(service), "") => format!("services.{service}"),
            (Some(service), key) => format!("services.{service}.{key}"),
        }
    }
}

/// What following a change does to what runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Nothing: it is for people, or matters only when something happens that it speaks of.
    Nothing,
    /// What runs takes it over while it serves.
    InPlace,
    /// So many instances of the service are restarted, one after the other.
    Restart(u32),
    /// So many instances of the service are started.
    Start(u32),
    /// So many instances of the service are stopped, after their last requests.
    Stop(u32),
    /// The edge is restarted: it does not accept requests from outside for a moment.
    RestartEdge,
    /// A running environment cannot follow it.
    Refused,
}

impl Effect {
    /// The word in lists and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Effect::Nothing => "nothing",
            Effect::InPlace => "in-place",
            Effect::Restart(_) => "restart",
            Effect::Start(_) => "start",
            Effect::Stop(_) => "stop",
            Effect::RestartEdge => "restart-edge",
            Effect::Refused => "refused",
        }
    }

    /// How many instances it concerns; none where it is not about instances.
    pub const fn instances(self) -> Option<u32> {
        match self {
            Effect::Restart(n) | Effect::Start(n) | Effect::Stop(n) => Some(n),
            Effect::Nothing | Effect::InPlace | Effect::RestartEdge | Effect::Refused => None,
        }
    }
}

/// Everything that differs: first of the environment, then of each service by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Difference {
    /// The settings that differ.
    pub changes: Vec<Change>,
}

impl Difference {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The services concerned, each once, in order.
    pub fn services(&self) -> Vec<&ServiceName> {
        let mut services: Vec<&ServiceName> =
            self.changes.iter().filter_map(|c| c.service.as_ref()).collect();
        services.dedup();
        services
    }

    /// The changes of `service`; of the environment itself where there is none.
    pub fn of<'a>(&'a self, service: Option<&'a ServiceName>) -> impl Iterator<Item = &'a Change> {
        self.changes.iter().filter(move |c| c.service.as_ref() == service)
    }

    /// The changes that a running environment cannot follow.
    pub fn refused(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|c| c.effect == Effect::Refused)
    }

    /// How many instances of `service` are restarted, however many of its settings ask for it.
    pub fn restarts(&self, service: &ServiceName) -> Option<u32> {
        self.of(Some(service)).find_map(|c| match c.effect {
            Effect::Restart(n) => Some(n),
            _ => None,
        })
    }

    /// What becomes of the services, in numbers.
    pub fn summary(&self) -> Summary {
        let mut sum = Summary::default();
        for service in self.services() {
            let has = |fits: fn(&Change) -> bool| self.of(Some(service)).any(fits);
            if has(|c| c.key.is_empty() && c.before.is_none()) {
                sum.added += 1;
            } else if has(|c| c.key.is_empty() && c.after.is_none()) {
                sum.removed += 1;
            } else if let Some(instances) = self.restarts(service) {
                sum.restarted += 1;
                sum.restarted_instances += u64::from(instances);
            } else if has(|c| !matches!(c.effect, Effect::Nothing | Effect::Refused)) {
                sum.in_place += 1;
            }
        }
        for change in &self.changes {
            match change.effect {
                Effect::Start(n) => sum.started_instances += u64::from(n),
                Effect::Stop(n) => sum.stopped_instances += u64::from(n),
                _ => {}
            }
        }
        sum
    }
}

/// What becomes of the services, in numbers; a service counts once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Services that change while all their instances go on.
    pub in_place: u64,
    /// Services whose instances are restarted …
    pub restarted: u64,
    /// … so many together.
    pub restarted_instances: u64,
    /// Services that come.
    pub added: u64,
    /// Services that go.
    pub removed: u64,
    /// Instances that are started, those of new services included.
    pub started_instances: u64,
    /// Instances that are stopped, those of services that go included.
    pub stopped_instances: u64,
}

/// A number for what `parts` say together: another one when any of them says something else. It is the same on every
/// machine (FNV-1a, 64 bits, over what `Debug` writes, which for the nouns of this crate is all of them).
pub fn fingerprint(parts: &[&dyn std::fmt::Debug]) -> u64 {
    struct Sum(u64);
    impl std::fmt::Write for Sum {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            for byte in text.bytes() {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
            Ok(())
        }
    }
    let mut sum = Sum(0xcbf2_9ce4_8422_2325);
    for part in parts {
        // It refuses nothing; the mark keeps two parts from running into one another.
        let _ = std::fmt::Write::write_fmt(&mut sum, format_args!("{part:?}\u{0}"));
    }
    sum.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_tells_parts_apart() {
        // The value of the empty text is the offset of FNV-1a.
        assert_eq!(fingerprint(&[]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(&[&"a", &"b"]), fingerprint(&[&"a", &"b"]));
        assert_ne!(fingerprint(&[&"a", &"b"]), fingerprint(&[&"b", &"a"]));
        assert_ne!(fingerprint(&[&1, &11]), fingerprint(&[&11, &1]));
    }
}
