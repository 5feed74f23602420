//! What a control plane has said, as far as it could be read: of each resource the last good version.

use model::{Endpoint, InstanceName, ServiceName, Settings};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use wire::xds::resource::{self, Unreadable, endpoint_name, version_of};
use wire::xds::{Given, Kind};

/// Something that is held, with the version by which the control plane knows it.
#[derive(Clone, PartialEq, Debug)]
struct Held<T> {
    version: String,
    said: T,
}

/// All that is held.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Knowledge {
    /// Which policy goes for a service.
    services: BTreeMap<ServiceName, Held<ServiceName>>,
    policies: BTreeMap<ServiceName, Held<Settings>>,
    endpoints: BTreeMap<ServiceName, BTreeMap<InstanceName, Held<SocketAddr>>>,
}

impl Knowledge {
    /// Holds this from now on.
    ///
    /// # Errors
    /// [`Unreadable`]: what was held of it before stays.
    pub(crate) fn hear(&mut self, kind: Kind, given: &Given) -> Result<(), Unreadable> {
        let version = given.version.clone();
        match kind {
            Kind::Service => {
                let (name, said) = resource::decode_service(&given.name, &given.payload)?;
                self.services.insert(name, Held { version, said });
            }
            Kind::Policy => {
                let (name, said) = (ServiceName::new(&given.name)?, resource::decode_policy(&given.payload)?);
                self.policies.insert(name, Held { version, said });
            }
            Kind::Endpoint => {
                let (service, endpoint) = resource::decode_endpoint(&given.name, &given.payload)?;
                let held = Held { version, said: endpoint.address };
                self.endpoints.entry(service).or_default().insert(endpoint.name, held);
            }
        }
        Ok(())
    }

    /// The resource of this name is gone; `service/*` are all endpoints of one.
    pub(crate) fn forget(&mut self, kind: Kind, name: &str) {
        let (service, instance) = name.split_once('/').unwrap_or((name, ""));
        let Ok(service) = ServiceName::new(service) else { return };
        match (kind, instance) {
            (Kind::Service, _) => drop(self.services.remove(&service)),
            (Kind::Policy, _) => drop(self.policies.remove(&service)),
            (Kind::Endpoint, "*") => drop(self.endpoints.remove(&service)),
            (Kind::Endpoint, instance) => {
                if let (Some(of), Ok(instance)) =
                    (self.endpoints.get_mut(&service), InstanceName::new(instance))
                {
                    of.remove(&instance);
                }
            }
        }
    }

    /// Keeps only what is of services, and of policies, of which `wanted` says so.
    pub(crate) fn retain(&mut self, wanted: impl Fn(Kind, &ServiceName) -> bool) {
        self.services.retain(|name, _| wanted(Kind::Service, name));
        self.policies.retain(|name, _| wanted(Kind::Policy, name));
        self.endpoints.retain(|name, _| wanted(Kind::Endpoint, name));
    }

    /// Names and versions of all that is held of a type.
    pub(crate) fn versions(&self, kind: Kind) -> BTreeMap<String, String> {
        let pair = |name: String, version: &String| (name, version.clone());
        match kind {
            Kind::Service => self.services.iter().map(|(n, h)| pair(n.to_string(), &h.version)).collect(),
            Kind::Policy => self.policies.iter().map(|(n, h)| pair(n.to_string(), &h.version)).collect(),
            Kind::Endpoint => {
                let all = self.endpoints.iter().flat_map(|(s, of)| of.iter().map(move |(i, h)| (s, i, h)));
                all.map(|(s, i, h)| pair(endpoint_name(s, i), &h.version)).collect()
            }
        }
    }

    /// Whether there is such a service: it is said to be there, or has instances.
    pub(crate) fn has(&self, name: &ServiceName) -> bool {
        self.services.contains_key(name) || self.endpoints.get(name).is_some_and(|of| !of.is_empty())
    }

    /// Which policy goes for a service: the one that the service names, or the one of its own name.
    pub(crate) fn policy_of<'a>(&'a self, name: &'a ServiceName) -> &'a ServiceName {
        self.services.get(name).map_or(name, |held| &held.said)
    }

    /// The settings for requests to a service. While the policy that it names has not come, its own is as good as any.
    pub(crate) fn settings(&self, name: &ServiceName) -> Option<&Settings> {
        let policy = self.policies.get(self.policy_of(name)).or_else(|| self.policies.get(name));
        policy.map(|held| &held.said)
    }

    /// The instances of a service, by name.
    pub(crate) fn endpoints(&self, name: &ServiceName) -> Vec<Endpoint> {
        let all = self.endpoints.get(name).into_iter().flatten();
        all.map(|(name, held)| Endpoint { name: name.clone(), address: held.said }).collect()
    }

    /// Holds what was read from a file. Its versions are computed from what was understood of it, so that a control
    /// plane that says more tells it again.
    pub(crate) fn restore(
        &mut self,
        name: &ServiceName,
        exists: bool,
        settings: Option<Settings>,
        endpoints: Vec<Endpoint>,
    ) {
        let text = |payload: &[u8]| format!("{:016x}", version_of(payload));
        if exists {
            let version = text(&resource::encode_service());
            self.services.insert(name.clone(), Held { version, said: name.clone() });
        }
        if let Some(said) = settings {
            let version = text(&resource::encode_policy(&said));
            self.policies.insert(name.clone(), Held { version, said });
        }
        let held = |endpoint: Endpoint| {
            let version = text(&resource::encode_endpoint(endpoint.address));
            (endpoint.name, Held { version, said: endpoint.address })
        };
        self.endpoints.insert(name.clone(), endpoints.into_iter().map(held).collect());
    }
}
