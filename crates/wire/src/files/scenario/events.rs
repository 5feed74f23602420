//! What is done to a scenario while it is played: faults, and what people do.

use super::super::decoder::{Decoder, View};
use super::{Context, all, network};
use model::Share;
use model::scenario::{Action, Deed, Fault, Service, Those, Trouble};

/// Everything that operators do; none if something could not be read.
pub(super) fn operators(
    decoder: &mut Decoder<'_>,
    context: &Context<'_>,
    view: &View<'_>,
    services: Option<&[Service]>,
) -> Option<Vec<Action>> {
    all(view.tables("operators"), |view| {
        let at = context.moment_of(decoder, &view, "at");
        let what = deed(decoder, context, &view, services);
        Some(Action { at: at?, what: what? })
    })
}

/// The one of `keys` that `view` has.
fn one_of(
    decoder: &mut Decoder<'_>,
    view: &View<'_>,
    keys: &[&'static str],
    table: &str,
) -> Option<&'static str> {
    let mut found = keys.iter().filter(|key| view.get(key).is_some());
    let first = found.next();
    if first.is_none() {
        let message = "it does not say what happens".to_owned();
        decoder.report(&view.span, &view.path, message, format!("add one of {}", keys.join(", ")));
    }
    for second in found {
        let message = format!("this is a second thing beside `{}`", first.copied().unwrap_or_default());
        decoder.report_at(view, second, message, format!("give it a [[{table}]] of its own"));
    }
    first.copied()
}

fn deed(
    decoder: &mut Decoder<'_>,
    context: &Context<'_>,
    view: &View<'_>,
    services: Option<&[Service]>,
) -> Option<Deed> {
    let key = one_of(decoder, view, &["scale", "add-nodes", "stop-non-critical"], "operators")?;
    let view = &view.table(key)?;
    match key {
        "scale" => {
            let service = context.names.service(decoder, view, "service");
            let by = view.signed32("by");
            if by == Some(0) {
                let message = "this changes nothing".to_owned();
                decoder.report_at(
                    view,
                    "by",
                    message,
                    "write how many more, or below zero: fewer".to_owned(),
                );
            }
            Some(Deed::Scale(service?, by?))
        }
        "add-nodes" => {
            let compartment = context.names.compartment_of(decoder, view, "compartment");
            Some(Deed::AddNodes(compartment?, view.whole32("nodes")?))
        }
        _ => {
            let compartment = context.names.compartment_of(decoder, view, "compartment")?;
            let stops = |s: &Service| s.compartment == Some(compartment) && !s.critical;
            if services.is_some_and(|all| !all.iter().any(stops)) {
                let message = "every service in this compartment is critical".to_owned();
                let mend = "write critical = false for those that can be stopped".to_owned();
                decoder.report_at(view, "compartment", message, mend);
            }
            Some(Deed::StopNonCritical(compartment, view.share("share")?))
        }
    }
}

const TROUBLES: [&str; 8] = ["kill", "hang", "slow", "delay", "fail", "lose-nodes", "network", "flush"];

/// Everything that goes wrong; none if something could not be read.
pub(super) fn faults(
    decoder: &mut Decoder<'_>,
    context: &Context<'_>,
    view: &View<'_>,
    services: Option<&[Service]>,
    operators: Option<&[Action]>,
) -> Option<Vec<Fault>> {
    all(view.tables("faults"), |view| {
        let at = context.moment_of(decoder, &view, "at");
        let what = trouble(decoder, context, &view);
        if let (Some(Trouble::Kill(_) | Trouble::Flush(..)), true) = (&what, view.get("lasts").is_some()) {
            let message = "what is gone is gone at once: this has no length".to_owned();
            decoder.report_at(&view, "lasts", message, "remove it".to_owned());
        }
        if let (Some(those), Some(services)) = (what.as_ref().and_then(those_of), services) {
            check_count(decoder, &view, those, services, operators.unwrap_or_default());
        }
        Some(Fault { at: at?, lasts: view.duration("lasts"), what: what? })
    })
}

fn trouble(decoder: &mut Decoder<'_>, context: &Context<'_>, view: &View<'_>) -> Option<Trouble> {
    let key = one_of(decoder, view, &TROUBLES, "faults")?;
    let view = &view.table(key)?;
    match key {
        "network" => Some(Trouble::Network(network(Some(view)))),
        "lose-nodes" => {
            let compartment = context.names.compartment_of(decoder, view, "compartment");
            Some(Trouble::LoseNodes(compartment?, view.whole32("nodes")?))
        }
        "flush" => {
            let cache = context.names.cache(decoder, view, "cache");
            Some(Trouble::Flush(cache?, view.share("share").unwrap_or(Share::ALL)))
        }
        _ => {
            let service = context.names.service(decoder, view, "service")?;
            let those = Those { service, count: view.whole32("instances") };
            Some(match key {
                "kill" => Trouble::Kill(those),
                "hang" => Trouble::Hang(those),
                "slow" => Trouble::Slow(those, view.share("speed")?),
                "delay" => Trouble::Delay(those, view.duration("to")?),
                _ => Trouble::Fail(those, view.share("share")?),
            })
        }
    }
}

fn those_of(trouble: &Trouble) -> Option<Those> {
    match trouble {
        Trouble::Kill(those)
        | Trouble::Hang(those)
        | Trouble::Slow(those, _)
        | Trouble::Delay(those, _)
        | Trouble::Fail(those, _) => Some(*those),
        Trouble::LoseNodes(..) | Trouble::Network(_) | Trouble::Flush(..) => None,
    }
}

/// No more instances are meant than there can be.
fn check_count(
    decoder: &mut Decoder<'_>,
    view: &View<'_>,
    those: Those,
    services: &[Service],
    operators: &[Action],
) {
    let Some(service) = services.get(those.service) else { return };
    let more = operators.iter().map(|action| match action.what {
        Deed::Scale(service, by) if service == those.service => u32::try_from(by).unwrap_or_default(),
        _ => 0,
    });
    let most = service.range.map_or(service.instances, |(_, most)| most.max(service.instances));
    let most = more.fold(most, u32::saturating_add);
    if those.count.is_some_and(|count| count > most) {
        let Some(table) = TROUBLES.iter().find_map(|key| view.get(key).and(view.table(key))) else { return };
        let message = format!("`{}` never has more than {most}", service.name);
        decoder.report_at(
            &table,
            "instances",
            message,
            format!("write {most} or fewer, or leave it out for all"),
        );
    }
}
