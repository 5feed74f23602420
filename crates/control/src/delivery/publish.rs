//! What followers see of the registry: each change of it as resources.

use super::Hub;
use crate::desk::{Audience, News};
use crate::registry::{Change, Key, Record, Registry};
use std::sync::Arc;
use wire::xds::Kind;
use wire::xds::resource::{encode_endpoint, encode_policy, encode_service, endpoint_name};

/// Publishes what the desk tells it, and opens the hub once the registry is loaded.
pub struct Publisher {
    hub: Arc<Hub>,
    news: Box<dyn FnMut(&News) + Send>,
    has_begun: bool,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive()
    }
}

impl Publisher {
    /// Publishes to `hub`, and passes the news on to `news`, which must be quick.
    pub fn new(hub: Arc<Hub>, news: impl FnMut(&News) + Send + 'static) -> Publisher {
        Publisher { hub, news: Box::new(news), has_begun: false }
    }
}

type Said = (Kind, String, Option<Vec<u8>>);

/// The resources that `change` makes, changes or removes.
fn resources(change: &Change, to: &mut Vec<Said>) {
    let old = match (&change.before, &change.after) {
        (Some(Record::Instance(old)), Some(Record::Instance(new))) if old.service == new.service => None,
        (Some(Record::Instance(old)), _) => Some(old),
        _ => None,
    };
    if let Some(old) = old {
        to.push((Kind::Endpoint, endpoint_name(&old.service, &old.name), None));
    }
    match (&change.key, &change.after) {
        (_, Some(Record::Instance(new))) => {
            let payload = Some(encode_endpoint(new.address));
            to.push((Kind::Endpoint, endpoint_name(&new.service, &new.name), payload));
        }
        (Key::Service(name), after) => {
            let settings = match after {
                Some(Record::Service(declared)) => declared.settings.as_ref(),
                _ => None,
            };
            to.push((Kind::Policy, name.to_string(), settings.map(encode_policy)));
            to.push((Kind::Service, name.to_string(), after.as_ref().map(|_| encode_service())));
        }
        _ => {}
    }
}

impl Audience for Publisher {
    fn on(&mut self, registry: &Registry, changes: &[Change], news: &[News]) {
        // A store that kept nothing is new, or lost: agents that join and list until the grace is over show which.
        if !std::mem::replace(&mut self.has_begun, true) && changes.is_empty() {
            self.hub.distrust(registry.rules().grace.time);
        }
        let mut said = Vec::new();
        for change in changes {
            resources(change, &mut said);
        }
        self.hub.publish(said.iter().map(|(kind, name, payload)| (*kind, name.as_str(), payload.as_deref())));
        self.hub.open();
        for item in news {
            (self.news)(item);
        }
    }
}
