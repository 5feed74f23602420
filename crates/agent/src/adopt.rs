//! What is wanted changes while the environment runs: which units start, restart, retire, or only read their file
//! again. Pure: no process is touched here.
//!
//! Indexes stay what they are. A service or an instance that comes is appended; one that goes is retired, and its place
//! is taken again by one of the same name. An instance that has to be restarted for a change goes on with what it was
//! started with (`Unit::own`) until its turn comes: where the first one does not start, the others stay what they are,
//! also when they have to be started again meanwhile.

use crate::desired::{Desired, Edge, Service, Unit};

/// What has to be done so that a changed environment runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Steps {
    /// Units to be started, new ones and those that were retired before.
    pub starts: Vec<usize>,
    /// Units to be restarted one after the other: those that are called before those that call them.
    pub restarts: Vec<usize>,
    /// Units to be stopped for good, when all else is done.
    pub retires: Vec<usize>,
    /// Units whose sidecar has to read its file again.
    pub reloads: Vec<usize>,
    /// Whether the edge is to listen elsewhere, or comes, or goes.
    pub moves_edge: bool,
}

impl Desired {
    /// Takes over what `wanted` says. Nothing is taken away yet: see [`Desired::retire`].
    pub fn adopt(&mut self, wanted: &Desired) -> Steps {
        let mut steps = Steps::default();
        for service in &wanted.services {
            self.adopt_service(service, &mut steps);
        }
        for index in 0..self.services.len() {
            if !wanted.services.iter().any(|s| s.name == self.services[index].name) {
                steps.retires.extend(self.instances(index));
            }
        }
        self.rank_again();
        steps.restarts.sort_by_key(|unit| (self.rank(*unit), *unit));
        self.adopt_edge(wanted, &mut steps);
        self.folder.clone_from(&wanted.folder);
        self.manifests.clone_from(&wanted.manifests);
        steps
    }

    fn adopt_service(&mut self, new: &Service, steps: &mut Steps) {
        let known = self.services.iter().position(|s| s.name == new.name);
        let index = known.unwrap_or(self.services.len());
        let units: Vec<usize> = self.instances(index).collect();
        let names: Vec<_> = (1..=new.instances).map(|number| new.name.instance(number)).collect();
        for at in units {
            let Some(old) = self.service(at).cloned() else { continue };
            if !names.contains(&self.units[at].name) {
                steps.retires.push(at);
            } else if !old.runs_as(new) {
                steps.restarts.push(at);
            }
            if old.for_app != new.for_app {
                steps.reloads.push(at);
            }
            self.units[at].own = (!old.runs_as(new)).then(|| Box::new(old.following(new)));
        }
        match known {
            Some(index) => self.services[index] = new.clone(),
            None => self.services.push(new.clone()),
        }
        for name in names {
            match self.units.iter().position(|u| u.name == name && u.service == Some(index)) {
                Some(at) if !self.units[at].retired => {}
                Some(at) => {
                    self.units[at] = Unit::new(name, Some(index));
                    steps.starts.push(at);
                }
                None => {
                    steps.starts.push(self.units.len());
                    self.units.push(Unit::new(name, Some(index)));
                }
            }
        }
    }

    fn adopt_edge(&mut self, wanted: &Desired, steps: &mut Steps) {
        let listen = |desired: &Desired| desired.edge.as_ref().map(Edge::address);
        let routes = |desired: &Desired| desired.edge.as_ref().map(|edge| edge.routes.clone());
        steps.moves_edge = listen(self) != listen(wanted);
        if steps.moves_edge {
            // Last: what is new behind it is there by then.
            steps.restarts.push(0);
        } else if routes(self) != routes(wanted) {
            steps.reloads.push(0);
        }
        self.edge.clone_from(&wanted.edge);
    }

    /// The unit runs by its service's definition from now on: it is about to be started again.
    pub fn renew(&mut self, unit: usize) {
        self.units[unit].own = None;
    }

    /// The unit is gone for good.
    pub fn retire(&mut self, unit: usize) {
        self.units[unit].retired = true;
    }
}

impl Service {
    /// Whether an instance of it that runs needs no restart to be one of `new`.
    fn runs_as(&self, new: &Service) -> bool {
        let Service {
            name: _,
            kind,
            // How many there are is nothing that one of them knows.
            instances: _,
            build,
            command,
            folder,
            variables,
            dependencies,
            // Sidecars take policies over while they serve.
            for_callers: _,
            for_app: _,
            startup,
            liveness,
            // The agent's own: they count from the next time on.
            stop_grace: _,
            back_off: _,
            attempts: _,
            end: _,
            is_declared: _,
            rank: _,
        } = self;
        let mut called = [dependencies.clone(), new.dependencies.clone()];
        called.iter_mut().for_each(|names| names.sort());
        (*kind, build, command, folder, variables)
            == (new.kind, &new.build, &new.command, &new.folder, &new.variables)
            && called[0] == called[1]
            && (startup, liveness) == (&new.startup, &new.liveness)
    }

    /// What an instance of it is that goes on: itself, with everything of `new` that needs no restart.
    fn following(&self, new: &Service) -> Service {
        Service {
            build: self.build.clone(),
            command: self.command.clone(),
            folder: self.folder.clone(),
            variables: self.variables.clone(),
            dependencies: self.dependencies.clone(),
            startup: self.startup.clone(),
            liveness: self.liveness.clone(),
            ..new.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::desired::tests::{environment, service};
    use model::{EdgeRoute, ServiceName, Settings};

    fn names(desired: &Desired, units: &[usize]) -> Vec<String> {
        units.iter().map(|at| desired.units[*at].name.to_string()).collect()
    }

    /// Edge, back-1, back-2, front-1.
    fn shop() -> Desired {
        environment(vec![service("front", 1, &["back"]), service("back", 2, &[])])
    }

    #[test]
    fn the_same_again_is_nothing_to_do() {
        let mut desired = shop();
        assert_eq!(desired.adopt(&shop()), Steps::default());
    }

    #[test]
    fn numbers_go_up_and_down_and_places_are_taken_again() {
        let mut desired = shop();
        let more = environment(vec![service("front", 1, &["back"]), service("back", 4, &[])]);
        let steps = desired.adopt(&more);
        assert_eq!(names(&desired, &steps.starts), ["back-3", "back-4"]);
        assert_eq!(steps.starts, [4, 5], "appended: indexes stay what they are");
        let steps =
            desired.adopt(&environment(vec![service("front", 1, &["back"]), service("back", 1, &[])]));
        assert_eq!(names(&desired, &steps.retires), ["back-2", "back-3", "back-4"]);
        assert!(steps.starts.is_empty() && steps.restarts.is_empty());
        steps.retires.iter().for_each(|at| desired.retire(*at));
        assert_eq!(desired.instances(0).count(), 1);
        let steps = desired.adopt(&shop());
        assert_eq!((steps.starts, desired.units.len()), (vec![2], 6), "back-2 has its place again");
    }

    #[test]
    fn who_has_to_restart_goes_on_as_it_was_until_its_turn() {
        let mut desired = shop();
        let mut wanted = shop();
        wanted.services[0].command = vec!["new".into()];
        wanted.services[0].for_app = Settings { panic: model::Share::ALL, ..Settings::default() };
        let steps = desired.adopt(&wanted);
        assert_eq!(names(&desired, &steps.restarts), ["back-1", "back-2"]);
        assert_eq!(steps.reloads, steps.restarts, "policies do not wait for the restart");
        assert_eq!(desired.service(1).unwrap().command, ["app"]);
        assert_eq!(desired.service(1).unwrap().for_app.panic, model::Share::ALL);
        desired.renew(1);
        assert_eq!(desired.service(1).unwrap().command, ["new"]);
        assert_eq!(desired.service(2).unwrap().command, ["app"]);
        // Going back restarts only the one that had gone.
        let steps = desired.adopt(&shop());
        assert_eq!(names(&desired, &steps.restarts), ["back-1"]);
        assert!(desired.units[2].own.is_none());
    }

    #[test]
    fn services_come_and_go_and_callers_restart_after_those_that_they_call() {
        let mut desired = shop();
        let mut front = service("front", 1, &["new"]);
        front.command = vec!["other".into()];
        let mut more = service("new", 1, &[]);
        more.command = vec!["x".into()];
        let steps = desired.adopt(&environment(vec![front, more]));
        assert_eq!(names(&desired, &steps.starts), ["new-1"]);
        assert_eq!(names(&desired, &steps.restarts), ["front-1"]);
        assert_eq!(names(&desired, &steps.retires), ["back-1", "back-2"]);
        assert!(desired.rank(steps.restarts[0]) > desired.rank(steps.starts[0]));
    }

    #[test]
    fn routes_are_followed_in_place_and_another_address_is_a_restart() {
        let edge = |port: u16, to: &str| Edge {
            listen: Some(([127, 0, 0, 1], port).into()),
            routes: vec![EdgeRoute { prefix: "/".into(), service: ServiceName::new(to).unwrap() }],
        };
        let (mut desired, mut wanted) = (shop(), shop());
        (desired.edge, wanted.edge) = (Some(edge(80, "front")), Some(edge(80, "back")));
        let steps = desired.adopt(&wanted);
        assert_eq!((steps.reloads, steps.restarts, steps.moves_edge), (vec![0], vec![], false));
        wanted.edge = Some(edge(81, "back"));
        let steps = desired.adopt(&wanted);
        assert_eq!((steps.reloads, steps.restarts, steps.moves_edge), (vec![], vec![0], true));
    }
}
