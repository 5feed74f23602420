//! What goes wrong, and what people do about it, at the times that the scenario says.

use crate::report::Occurrence;
use crate::service::Stage;
use crate::service::instance::Ailment;
use crate::world::{Happening, World};
use model::scenario::{Deed, Those, Trouble};

/// What the present faults do to an instance when they are put together.
fn add(ailment: Ailment, trouble: &Trouble) -> Ailment {
    match *trouble {
        Trouble::Hang(_) => Ailment { hangs: true, ..ailment },
        Trouble::Slow(_, share) => Ailment { speed: ailment.speed * share.part(), ..ailment },
        Trouble::Delay(_, delay) => Ailment { delay: Some(delay), ..ailment },
        Trouble::Fail(_, share) => Ailment { fails: ailment.fails.max(share.part()), ..ailment },
        _ => ailment,
    }
}

fn those(trouble: &Trouble) -> Option<Those> {
    match *trouble {
        Trouble::Kill(those)
        | Trouble::Hang(those)
        | Trouble::Slow(those, _)
        | Trouble::Delay(those, _)
        | Trouble::Fail(those, _) => Some(those),
        Trouble::LoseNodes(..) | Trouble::Network(_) | Trouble::Flush(..) => None,
    }
}

/// A fault that has begun: whom it concerns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Begun {
    pub(crate) on: bool,
    whom: Vec<u32>,
}

impl World {
    /// A fault begins.
    pub(crate) fn fault_begins(&mut self, number: u32) {
        let now = self.agenda.now();
        let fault = self.scenario.faults[number as usize].clone();
        self.record.log(now, Occurrence::FaultBegan(self.in_words(&fault.what)));
        if let Some(lasts) = fault.lasts {
            self.agenda.at(now.after(lasts), Happening::FaultEnds { number });
        }
        let whom = those(&fault.what).map(|t| self.whom(t)).unwrap_or_default();
        self.faults[number as usize] = Begun { on: true, whom: whom.clone() };
        match &fault.what {
            Trouble::Kill(_) => whom.into_iter().for_each(|i| self.dies(i)),
            Trouble::LoseNodes(compartment, nodes) => self.fleet_loses_nodes(*compartment, *nodes),
            Trouble::Network(network) => self.network.set(Some(*network)),
            Trouble::Flush(cache, share) => self.caches[*cache].flush(*share),
            _ => whom.into_iter().for_each(|i| self.fall_ill(i)),
        }
    }

    /// It is over.
    pub(crate) fn fault_ends(&mut self, number: u32) {
        let now = self.agenda.now();
        let what = self.scenario.faults[number as usize].what.clone();
        self.record.log(now, Occurrence::FaultEnded(self.in_words(&what)));
        let begun = std::mem::take(&mut self.faults[number as usize]);
        if let Trouble::Network(_) = what {
            self.network.set(None);
        }
        begun.whom.into_iter().for_each(|i| self.fall_ill(i));
        if let Some(Those { service, count: None }) = those(&what) {
            self.services[service].members.clone().into_iter().for_each(|i| self.fall_ill(i));
        }
    }

    /// The first so many open instances, or all that there are.
    fn whom(&self, those: Those) -> Vec<u32> {
        let there = &self.services[those.service];
        match those.count {
            Some(count) => there.open.iter().copied().take(count as usize).collect(),
            None => there.members.clone(),
        }
    }

    /// Puts together what the present faults do to an instance.
    pub(crate) fn fall_ill(&mut self, instance: u32) {
        let here = &self.instances[instance as usize];
        if here.stage == Stage::Gone {
            return;
        }
        let service = here.service as usize;
        let ailment = self.scenario.faults.iter().zip(&self.faults).filter(|(_, begun)| begun.on).fold(
            Ailment::NONE,
            |ailment, (fault, begun)| {
                let all = those(&fault.what) == Some(Those { service, count: None });
                if all || begun.whom.contains(&instance) { add(ailment, &fault.what) } else { ailment }
            },
        );
        if ailment != self.instances[instance as usize].ailment {
            self.ail(instance, ailment);
        }
    }

    /// An instance dies by itself; the fleet starts another.
    fn dies(&mut self, instance: u32) {
        let here = &self.instances[instance as usize];
        let (service, number) = (here.service, here.number);
        if here.stage != Stage::Draining {
            let what = Occurrence::Stopped { service: service as usize, instance: number, reason: "fault" };
            self.record.log(self.agenda.now(), what);
        }
        self.kill(instance);
        self.fleet_lost(service, instance);
    }

    /// People do something.
    pub(crate) fn operator_acts(&mut self, number: u32) {
        let now = self.agenda.now();
        let deed = self.scenario.operators[number as usize].what.clone();
        self.record.log(now, Occurrence::Operator(self.deed_in_words(&deed)));
        self.fleet_ordered(&deed);
    }

    fn whose(&self, those: Those) -> String {
        let name = &self.scenario.services[those.service].name;
        match those.count {
            Some(1) => format!("one instance of {name}"),
            Some(count) => format!("{count} instances of {name}"),
            None => format!("all instances of {name}"),
        }
    }

    fn in_words(&self, trouble: &Trouble) -> String {
        match trouble {
            Trouble::Kill(those) => format!("{} killed", self.whose(*those)),
            Trouble::Hang(those) => format!("{} hanging", self.whose(*those)),
            Trouble::Slow(those, share) => format!("{} at {share} of their speed", self.whose(*those)),
            Trouble::Delay(those, delay) => format!("{} answering after {delay:?}", self.whose(*those)),
            Trouble::Fail(those, share) => format!("{} failing {share} of requests", self.whose(*those)),
            Trouble::LoseNodes(compartment, nodes) => {
                format!("{nodes} nodes of {} lost", self.scenario.compartments[*compartment].name)
            }
            Trouble::Network(n) => {
                format!("the network takes {:?} + {:?} and loses {}", n.delay, n.jitter, n.loss)
            }
            Trouble::Flush(cache, share) => {
                format!("the cache {} forgets {share}", self.scenario.caches[*cache].name)
            }
        }
    }

    fn deed_in_words(&self, deed: &Deed) -> String {
        match deed {
            Deed::Scale(service, by) => {
                format!("{by:+} instances of {}", self.scenario.services[*service].name)
            }
            Deed::AddNodes(compartment, nodes) => {
                format!("{nodes} nodes added to {}", self.scenario.compartments[*compartment].name)
            }
            Deed::StopNonCritical(compartment, share) => {
                format!(
                    "{share} of the instances in {} that are not critical stopped",
                    self.scenario.compartments[*compartment].name
                )
            }
        }
    }
}
