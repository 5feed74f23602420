//! What a scenario's parts are called, and what a name that is none of them was probably meant to be.

use super::super::decoder::{Decoder, Item, View, as_text, nearest};
use super::super::tree::Node;
use std::collections::BTreeMap;

/// The names in a file, in its order.
pub(super) struct Names<'a> {
    services: Vec<&'a str>,
    service_at: BTreeMap<&'a str, usize>,
    /// The routes of each service.
    routes: Vec<Vec<&'a str>>,
    compartments: Vec<&'a str>,
    caches: Vec<&'a str>,
    limits: Vec<&'a str>,
    clients: Vec<&'a str>,
}

/// The name in series for all people together.
pub(super) const SITE: &str = "site";

fn keys<'a>(view: &View<'a>, key: &str) -> Vec<&'a str> {
    view.map(key).iter().map(|item: &Item<'a>| item.entry.key.as_str()).collect()
}

impl<'a> Names<'a> {
    pub(super) fn of(view: &View<'a>) -> Names<'a> {
        let services = keys(view, "services");
        let routes = |item: &Item<'a>| item.table().map(|v| keys(&v, "routes")).unwrap_or_default();
        Names {
            service_at: services.iter().enumerate().map(|(at, name)| (*name, at)).collect(),
            services,
            routes: view.map("services").iter().map(routes).collect(),
            compartments: keys(view, "compartments"),
            caches: keys(view, "caches"),
            limits: keys(view, "limits"),
            clients: keys(view, "clients"),
        }
    }

    /// Names that series could not tell apart.
    pub(super) fn check(&self, decoder: &mut Decoder<'_>, view: &View<'_>) {
        for key in ["services", "compartments", "clients"] {
            for item in view.map(key).iter().filter(|item| item.entry.key == SITE) {
                let message = "\"site\" stands for all people together".to_owned();
                decoder.report(&item.entry.key_span, &item.path, message, "take another name".to_owned());
            }
        }
    }

    pub(super) fn services(&self) -> &[&'a str] {
        &self.services
    }

    pub(super) fn compartments(&self) -> &[&'a str] {
        &self.compartments
    }

    pub(super) fn clients(&self) -> &[&'a str] {
        &self.clients
    }

    /// `service.route`, for messages.
    pub(super) fn route_text(&self, (service, route): (usize, usize)) -> String {
        let name = self.services.get(service).copied().unwrap_or_default();
        let route = self.routes.get(service).and_then(|r| r.get(route)).copied().unwrap_or_default();
        format!("{name}.{route}")
    }

    /// How many routes each service has.
    pub(super) fn route_counts(&self) -> Vec<usize> {
        self.routes.iter().map(Vec::len).collect()
    }

    /// The service that `key` names.
    pub(super) fn service(&self, decoder: &mut Decoder<'_>, view: &View<'_>, key: &str) -> Option<usize> {
        let node = view.get(key)?;
        let name = as_text(node)?;
        let at = self.service_at.get(name).copied();
        if at.is_none() {
            unknown(decoder, node, &view.path_of(key), "service", &self.services, "services");
        }
        at
    }

    /// The service in `to` and its route in `route`, or its only one.
    pub(super) fn route(&self, decoder: &mut Decoder<'_>, view: &View<'_>) -> Option<(usize, usize)> {
        let service = self.service(decoder, view, "to")?;
        let routes = self.routes.get(service)?;
        let name = self.services.get(service).copied().unwrap_or_default();
        match (view.get("route"), routes.as_slice()) {
            (None, [_]) => Some((service, 0)),
            // It lacks its routes, which has been reported.
            (_, []) => None,
            (None, [first, ..]) => {
                let message = format!("`{name}` has {} routes: say which", routes.len());
                decoder.report_at(view, "to", message, format!("add route = \"{first}\", or another one"));
                None
            }
            (Some(node), _) => {
                let at = position(node, routes);
                if at.is_none() && as_text(node).is_some() {
                    let noun = format!("route of `{name}`");
                    let table = format!("services.{name}.routes");
                    unknown(decoder, node, &view.path_of("route"), &noun, routes, &table);
                }
                at.map(|route| (service, route))
            }
        }
    }

    /// The compartment that `node` names.
    pub(super) fn compartment(&self, decoder: &mut Decoder<'_>, node: &Node, path: &str) -> Option<usize> {
        find(decoder, node, path, "compartment", &self.compartments)
    }

    /// The compartment that `key` names, if it is there.
    pub(super) fn compartment_of(
        &self,
        decoder: &mut Decoder<'_>,
        view: &View<'_>,
        key: &str,
    ) -> Option<usize> {
        self.compartment(decoder, view.get(key)?, &view.path_of(key))
    }

    /// The cache that `key` names, if it is there.
    pub(super) fn cache(&self, decoder: &mut Decoder<'_>, view: &View<'_>, key: &str) -> Option<usize> {
        find(decoder, view.get(key)?, &view.path_of(key), "cache", &self.caches)
    }

    /// The limit that `key` names, if it is there.
    pub(super) fn limit(&self, decoder: &mut Decoder<'_>, view: &View<'_>, key: &str) -> Option<usize> {
        find(decoder, view.get(key)?, &view.path_of(key), "limit", &self.limits)
    }
}

fn position(node: &Node, names: &[&str]) -> Option<usize> {
    let name = as_text(node)?;
    names.iter().position(|known| *known == name)
}

fn find(decoder: &mut Decoder<'_>, node: &Node, path: &str, noun: &str, names: &[&str]) -> Option<usize> {
    let at = position(node, names);
    if at.is_none() && as_text(node).is_some() {
        unknown(decoder, node, path, noun, names, &format!("{noun}s"));
    }
    at
}

/// Notes a name of nothing, with the nearest that is something.
fn unknown(decoder: &mut Decoder<'_>, node: &Node, path: &str, noun: &str, names: &[&str], table: &str) {
    let name = as_text(node).unwrap_or_default();
    let mend = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if names.is_empty() => format!("add a table [{table}.{name}]"),
        None => {
            let some: Vec<&str> = names.iter().take(12).copied().collect();
            let more = if names.len() > some.len() { ", …" } else { "" };
            format!("known here: {}{more}", some.join(", "))
        }
    };
    decoder.report(&node.span, path, format!("there is no {noun} {name:?}"), mend);
}
