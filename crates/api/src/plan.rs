//! Changing a running environment: the manifests that are wanted, what they would change, and doing it.

use crate::VERSION;
use model::{Change, Difference};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The manifests of an environment as they are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Wanted {
    /// The environment's folder: absolute. Services run in folders below it.
    pub folder: String,
    /// The texts of `environment.toml` and of every `service.toml`, by their paths below the folder, with `/`.
    pub files: BTreeMap<String, String>,
    /// For `apply`: the plan that was looked at. Nothing is done when it does not fit any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
}

/// What manifests would change in a running environment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// [`VERSION`].
    pub version: u32,
    /// Names what runs and what is wanted together: it is another one when either is.
    pub id: String,
    /// The environment's name.
    pub environment: String,
    /// What differs; empty: there is nothing to do.
    pub changes: Vec<PlanChange>,
    /// What becomes of the services, in numbers.
    pub summary: PlanSummary,
}

/// A setting that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PlanChange {
    /// Its key from the environment on: `services.opbox.run.command`.
    pub path: String,
    /// The service that it is a setting of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Its key within the service, or within the environment; empty: the service comes or goes as a whole.
    pub key: String,
    /// What it is, as it is written in a manifest; absent: it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it would be; absent: it would be there no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// `nothing`, `in-place`, `restart`, `start`, `stop`, `restart-edge`, `refused`.
    pub effect: String,
    /// How many instances are restarted, started or stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
}

/// What becomes of the services, in numbers; a service counts once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PlanSummary {
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

impl Plan {
    /// The plan `id` of the environment `environment`.
    pub fn of(id: String, environment: String, difference: &Difference) -> Plan {
        let model::Summary {
            in_place,
            restarted,
            restarted_instances,
            added,
            removed,
            started_instances,
            stopped_instances,
        } = difference.summary();
        let summary = PlanSummary {
            in_place,
            restarted,
            restarted_instances,
            added,
            removed,
            started_instances,
            stopped_instances,
        };
        let changes = difference.changes.iter().map(PlanChange::of).collect();
        Plan { version: VERSION, id, environment, changes, summary }
    }
}

impl PlanChange {
    fn of(change: &Change) -> PlanChange {
        PlanChange {
            path: change.path(),
            service: change.service.as_ref().map(ToString::to_string),
            key: change.key.clone(),
            before: change.before.clone(),
            after: change.after.clone(),
            effect: change.effect.word().to_owned(),
            instances: change.effect.instances(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::{Effect, ServiceName};

    #[test]
    fn a_plan_says_what_the_difference_says() {
        let service = Some(ServiceName::new("a").unwrap());
        let changes = vec![
            Change {
                service,
                key: "instances".into(),
                before: Some("1".into()),
                after: Some("3".into()),
                effect: Effect::Start(2),
            },
            Change {
                service: None,
                key: "edge.listen".into(),
                before: None,
                after: Some("x".into()),
                effect: Effect::RestartEdge,
            },
        ];
        let plan = Plan::of("id".into(), "shop".into(), &Difference { changes });
        let text = crate::encode(&plan);
        assert_eq!(crate::decode::<Plan>(&text).unwrap(), plan);
        assert_eq!(
            text,
            "{\"version\":1,\"id\":\"id\",\"environment\":\"shop\",\"changes\":[\
             {\"path\":\"services.a.instances\",\"service\":\"a\",\"key\":\"instances\",\"before\":\"1\",\"after\":\"3\",\
             \"effect\":\"start\",\"instances\":2},\
             {\"path\":\"edge.listen\",\"key\":\"edge.listen\",\"after\":\"x\",\"effect\":\"restart-edge\"}],\
             \"summary\":{\"in_place\":1,\"restarted\":0,\"restarted_instances\":0,\"added\":0,\"removed\":0,\
             \"started_instances\":2,\"stopped_instances\":0}}"
        );
    }
}
