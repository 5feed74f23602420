//! What differs between two environments, setting by setting, and what following each difference does to what runs.
//!
//! Each noun is taken apart field by field ([`parts`]): a field that is added to the model and not considered here does
//! not compile. The two lists of parts are then compared by key.

mod parts;
mod shown;
#[cfg(test)]
mod tests;

use model::{Change, Difference, Effect, Environment, EnvironmentService, ServiceName, Settings};
use parts::{Follow, Part};
use shown::Shown;
use std::collections::BTreeSet;

/// What has to change so that `before` becomes `after`.
pub fn difference(before: &Environment, after: &Environment) -> Difference {
    let mut changes = Vec::new();
    compare(None, &parts::environment(before), &parts::environment(after), 0, &mut changes);
    let names = |e: &Environment| e.services.iter().map(|s| s.manifest.name.clone()).collect::<BTreeSet<_>>();
    for name in &names(before) | &names(after) {
        match (before.service(&name), after.service(&name)) {
            (Some(before), Some(after)) => of_service(before, after, &mut changes),
            (None, Some(after)) => changes.push(whole(after, Whole::Comes)),
            (Some(before), None) => changes.push(whole(before, Whole::Goes)),
            (None, None) => {}
        }
    }
    Difference { changes }
}

/// What has to change so that `before` becomes `after`, where no more than the policies of services are known, as by a
/// control plane without an agent. None: no policies are declared.
pub fn policies_difference<'a>(
    before: impl Fn(&ServiceName) -> Option<&'a Settings>,
    known: impl IntoIterator<Item = ServiceName>,
    after: &[(ServiceName, Settings)],
) -> Difference {
    let mut changes = Vec::new();
    let wanted = |name: &ServiceName| after.iter().find(|(n, _)| n == name).map(|(_, settings)| settings);
    let known: BTreeSet<ServiceName> = known.into_iter().collect();
    let all: BTreeSet<ServiceName> = after.iter().map(|(name, _)| name.clone()).chain(known).collect();
    for name in all {
        let declared = |text: Option<&Settings>| text.map(|_| "its policies".to_owned());
        match (before(&name), wanted(&name)) {
            (Some(before), Some(after)) => {
                let part = |s| [parts::policies(s)];
                compare(Some(&name), &part(before), &part(after), 0, &mut changes);
            }
            (before, after) if before.is_some() || after.is_some() => changes.push(Change {
                before: declared(before),
                after: declared(after),
                service: Some(name),
                key: String::new(),
                effect: Effect::InPlace,
            }),
            _ => {}
        }
    }
    Difference { changes }
}

/// A service that is there in both.
fn of_service(before: &EnvironmentService, after: &EnvironmentService, changes: &mut Vec<Change>) {
    let name = &after.manifest.name;
    if before.instances != after.instances {
        let (more, fewer) = (
            after.instances.saturating_sub(before.instances),
            before.instances.saturating_sub(after.instances),
        );
        changes.push(Change {
            service: Some(name.clone()),
            key: "instances".into(),
            before: Some(before.instances.to_string()),
            after: Some(after.instances.to_string()),
            effect: if more > 0 { Effect::Start(more) } else { Effect::Stop(fewer) },
        });
    }
    let staying = before.instances.min(after.instances);
    compare(Some(name), &parts::service(before), &parts::service(after), staying, changes);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Comes,
    Goes,
}

/// A service that comes or goes as a whole.
fn whole(service: &EnvironmentService, which: Whole) -> Change {
    let noun = if service.instances == 1 { "instance" } else { "instances" };
    let text =
        Some(format!("{} {noun} of {}", service.instances, shown::words(&service.manifest.run.command)));
    let (before, after, effect) = match which {
        Whole::Comes => (None, text, Effect::Start(service.instances)),
        Whole::Goes => (text, None, Effect::Stop(service.instances)),
    };
    Change { service: Some(service.manifest.name.clone()), key: String::new(), before, after, effect }
}

/// Compares parts by key. `staying` is how many instances a restart concerns.
fn compare(
    service: Option<&ServiceName>,
    before: &[Part],
    after: &[Part],
    staying: u32,
    changes: &mut Vec<Change>,
) {
    let find = |parts: &'_ [Part], key: &str| parts.iter().position(|part| part.key == key);
    let gone = before.iter().filter(|part| find(after, &part.key).is_none());
    for part in after.iter().chain(gone) {
        let was = find(before, &part.key).map(|at| &before[at].shown);
        let is = find(after, &part.key).map(|at| &after[at].shown);
        let mut leaves = Vec::new();
        differ(&part.key, was, is, &mut leaves);
        let effect = match part.follow {
            Follow::Nothing => Effect::Nothing,
            Follow::InPlace => Effect::InPlace,
            Follow::Restart => Effect::Restart(staying),
            Follow::RestartEdge => Effect::RestartEdge,
            Follow::Refused => Effect::Refused,
        };
        changes.extend(leaves.into_iter().map(|(key, before, after)| Change {
            service: service.cloned(),
            key,
            before,
            after,
            effect,
        }));
    }
}

type Leaf = (String, Option<String>, Option<String>);

/// The values that differ: two tables are compared key by key, all else as a whole.
fn differ(key: &str, before: Option<&Shown>, after: Option<&Shown>, leaves: &mut Vec<Leaf>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Shown::Table(before)), Some(Shown::Table(after))) => {
            let find = |table: &'_ [(String, Shown)], key: &str| table.iter().position(|(k, _)| k == key);
            let gone = before.iter().filter(|(key, _)| find(after, key).is_none());
            for (inner, _) in after.iter().chain(gone) {
                let was = find(before, inner).map(|at| &before[at].1);
                let is = find(after, inner).map(|at| &after[at].1);
                differ(&shown::join(key, inner), was, is, leaves);
            }
        }
        _ => leaves.push((key.to_owned(), before.map(Shown::to_string), after.map(Shown::to_string))),
    }
}
