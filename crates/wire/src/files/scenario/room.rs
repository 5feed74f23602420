//! What is there at the beginning must have room at the beginning.

use super::super::decoder::{Decoder, View};
use model::scenario::{Compartment, Service};

/// Beyond so many steps it is not tried out how instances fit machines.
const MOST_STEPS: usize = 1_000_000;

/// Sums of what is written in a file are not exact.
const NEARLY: f64 = 1e-6;

pub(super) fn check(
    decoder: &mut Decoder<'_>,
    view: &View<'_>,
    compartments: &[Compartment],
    services: &[Service],
) {
    for (at, compartment) in compartments.iter().enumerate() {
        let mut placed: Vec<(usize, &Service)> =
            services.iter().enumerate().filter(|(_, s)| s.compartment == Some(at)).collect();
        if placed.is_empty() {
            continue;
        }
        let sound = placed.iter().filter(|(nth, service)| fits(decoder, view, *nth, service, compartment));
        if sound.count() < placed.len() || !sums(decoder, view, at, compartment, &placed) {
            continue;
        }
        if placed.len().saturating_mul(compartment.nodes as usize) > MOST_STEPS {
            continue;
        }
        placed.sort_by(|(_, a), (_, b)| b.declared_cores.total_cmp(&a.declared_cores));
        pieces(decoder, view, compartment, &placed);
    }
}

/// One instance fits one machine.
fn fits(
    decoder: &mut Decoder<'_>,
    view: &View<'_>,
    nth: usize,
    service: &Service,
    compartment: &Compartment,
) -> bool {
    let pairs = [
        ("declared-cores", "cores", service.declared_cores, compartment.cores),
        ("memory-mib", "MiB", service.memory_mib, compartment.memory_mib),
    ];
    let mut sound = true;
    for (key, unit, asked, there) in pairs {
        if asked > there {
            sound = false;
            let name = &compartment.name;
            let message =
                format!("an instance with {asked} {unit} fits no machine of `{name}`, each of {there}");
            report(decoder, view, nth, key, message, "lower it, or take larger machines".to_owned());
        }
    }
    sound
}

/// All together they are not more than all machines.
fn sums(
    decoder: &mut Decoder<'_>,
    view: &View<'_>,
    at: usize,
    compartment: &Compartment,
    placed: &[(usize, &Service)],
) -> bool {
    let sum = |each: fn(&Service) -> f64| -> f64 {
        placed.iter().map(|(_, s)| each(s) * f64::from(s.instances)).sum()
    };
    let nodes = f64::from(compartment.nodes);
    let pairs = [
        ("cores", sum(|s| s.declared_cores), compartment.cores),
        ("MiB", sum(|s| s.memory_mib), compartment.memory_mib),
    ];
    for (unit, asked, each) in pairs {
        let there = each * nodes;
        if asked > there + NEARLY {
            let message = format!("its services declare {asked} {unit} at the beginning, and it has {there}");
            let enough = (asked / each).ceil();
            let mend =
                format!("write nodes = {enough}, or lower what its services declare or how many there are");
            if let Some(view) = view.map("compartments").get(at).and_then(|item| item.table()) {
                decoder.report_at(&view, "nodes", message, mend);
            }
            return false;
        }
    }
    true
}

/// They fit machine by machine, the largest first.
fn pieces(
    decoder: &mut Decoder<'_>,
    view: &View<'_>,
    compartment: &Compartment,
    placed: &[(usize, &Service)],
) {
    let mut free = vec![(compartment.cores, compartment.memory_mib); compartment.nodes as usize];
    for (nth, service) in placed {
        let mut left = service.instances;
        for (cores, memory) in &mut free {
            let room = room(*cores, service.declared_cores).min(room(*memory, service.memory_mib));
            let here = room.min(left);
            *cores -= f64::from(here) * service.declared_cores;
            *memory -= f64::from(here) * service.memory_mib;
            left -= here;
            if left == 0 {
                break;
            }
        }
        if left > 0 {
            let message = format!(
                "{left} of the {} instances find no machine in `{}` at the beginning: what is free is in pieces",
                service.instances, compartment.name
            );
            let mend = format!("lower it, or raise `nodes` of [compartments.{}]", compartment.name);
            report(decoder, view, *nth, "instances", message, mend);
        }
    }
}

/// How many of `each` there are in `free`.
fn room(free: f64, each: f64) -> u32 {
    // A cast of what is too large, or of a division by nothing, is the largest number.
    if each <= 0.0 { u32::MAX } else { ((free + NEARLY) / each) as u32 }
}

fn report(decoder: &mut Decoder<'_>, view: &View<'_>, nth: usize, key: &str, message: String, mend: String) {
    if let Some(view) = view.map("services").get(nth).and_then(|item| item.table()) {
        decoder.report_at(&view, key, message, mend);
    }
}
