//! Scenarios: files that say what the simulator plays. Names become positions here, and everything that cannot be
//! played is a problem with a place.

mod clients;
mod events;
mod graph;
mod keys;
mod lines;
mod names;
mod room;
mod services;

use super::decoder::{Decoder, Item, View, as_text, begin};
use super::load::{gone, read_source};
use super::problem::{Format, Problems, Source};
use super::scalar::{self, When, duration_text};
use super::tree::Node;
pub(crate) use keys::SCENARIO;
use model::scenario::{Cache, Compartment, EdgeLimit, Network, Scenario};
use model::{FleetPreset, Moment, Preset, Settings, Share, TimeOfDay};
use names::Names;
use std::path::Path;
use std::time::Duration;

/// Reads the text of a scenario's file. `file` is its name, for people.
///
/// # Errors
/// Every problem at once: unknown or missing keys, wrong values, names of nothing, and parts that do not fit together.
pub fn decode_scenario(text: &str, file: &str) -> Result<Scenario, Problems> {
    decode(&Source { file: file.to_owned(), text: text.to_owned(), format: Format::Toml })
}

/// Reads a scenario's file.
///
/// # Errors
/// Every problem at once; a file that cannot be read is a problem too.
pub fn load_scenario(file: &Path) -> Result<Scenario, Problems> {
    let (source, unreadable) = read_source(file);
    let Some(source) = source else { return Err(Problems::of(unreadable).unwrap_or_else(|| gone(file))) };
    let read = decode(&source);
    match Problems::of(unreadable) {
        None => read,
        Some(unreadable) => {
            let mut all = unreadable.into_all();
            all.extend(read.err().map(Problems::into_all).unwrap_or_default());
            Err(Problems::of(all).unwrap_or_else(|| gone(file)))
        }
    }
}

fn decode(source: &Source) -> Result<Scenario, Problems> {
    let (mut decoder, tree) = begin(source, &SCENARIO, false);
    let scenario = View::whole_file(&tree, &SCENARIO).and_then(|view| read(&mut decoder, &view));
    decoder.finish(scenario)
}

/// What every part of a scenario is read against.
struct Context<'a> {
    starts: TimeOfDay,
    lasts: Duration,
    policies: Preset,
    fleet: FleetPreset,
    /// What calls are that say nothing.
    settings: Settings,
    names: Names<'a>,
}

impl Context<'_> {
    /// The moment that `node` names; none if it is none, or not within the run.
    fn moment(&self, decoder: &mut Decoder<'_>, node: &Node, path: &str) -> Option<Moment> {
        let text = as_text(node)?;
        let moment = match scalar::when(text)? {
            When::Clock(time) => self.starts.until(time),
            When::After(wait) => Moment::ZERO.after(wait),
        };
        let end = Moment::ZERO.after(self.lasts);
        if moment <= end {
            return Some(moment);
        }
        let message = format!(
            "{text} is not within the run, which begins at {} and ends {} later at {}",
            self.starts,
            duration_text(self.lasts),
            self.starts.at(end)
        );
        decoder.report(&node.span, path, message, "choose a time within it, or change `lasts`".to_owned());
        None
    }

    /// The moment that `key` names.
    fn moment_of(&self, decoder: &mut Decoder<'_>, view: &View<'_>, key: &str) -> Option<Moment> {
        self.moment(decoder, view.get(key)?, &view.path_of(key))
    }

    /// The window that `key` names; it ends after it begins.
    fn window(&self, decoder: &mut Decoder<'_>, view: &View<'_>, key: &str) -> Option<(Moment, Moment)> {
        let (first, second) = view.pair(key)?;
        let path = view.path_of(key);
        let from = self.moment(decoder, first, &format!("{path}[0]"));
        let to = self.moment(decoder, second, &format!("{path}[1]"));
        let (from, to) = (from?, to?);
        if from >= to {
            let message = "this window ends before it begins".to_owned();
            decoder.report_at(view, key, message, "write the earlier time first".to_owned());
            return None;
        }
        Some((from, to))
    }
}

fn read(decoder: &mut Decoder<'_>, view: &View<'_>) -> Option<Scenario> {
    let policies = view.text("policies").and_then(Preset::from_word).unwrap_or_default();
    let context = Context {
        starts: view.text("starts").and_then(scalar::time_of_day).unwrap_or_default(),
        // Where it is wrong, no other time should be.
        lasts: view.duration("lasts").unwrap_or(Duration::MAX),
        policies,
        fleet: view.text("fleet").and_then(FleetPreset::from_word).unwrap_or_default(),
        settings: policies.settings(),
        names: Names::of(view),
    };
    context.names.check(decoder, view);
    let compartments = compartments(decoder, &context, view);
    let services = services::services(decoder, &context, view);
    let caches = all(view.map("caches"), |item| cache(decoder, &item));
    let limits = all(view.map("limits"), |item| limit(&item));
    let clients = clients::clients(decoder, &context, view);
    if let (Some(compartments), Some(services)) = (&compartments, &services) {
        room::check(decoder, view, compartments, services);
    }
    let operators = events::operators(decoder, &context, view, services.as_deref());
    let faults = events::faults(decoder, &context, view, services.as_deref(), operators.as_deref());
    let trouble = context.window(decoder, view, "trouble");
    let acceptance = lines::acceptance(decoder, &context, view, clients.as_deref());
    Some(Scenario {
        name: view.text("scenario")?.to_owned(),
        about: view.text("about").unwrap_or_default().trim().to_owned(),
        starts: context.starts,
        lasts: view.duration("lasts")?,
        scale: view.number("scale").unwrap_or(1.0),
        policies: context.policies,
        fleet: context.fleet,
        network: view.table("network").map_or_else(|| network(None), |v| network(Some(&v))),
        compartments: compartments?,
        services: services?,
        caches: caches?,
        limits: limits?,
        clients: clients?,
        faults: faults?,
        operators: operators?,
        trouble,
        acceptance: acceptance?,
    })
}

/// Reads each of `items`, whether an earlier one could be read or not; none if one could not.
fn all<I, T>(items: impl IntoIterator<Item = I>, read: impl FnMut(I) -> Option<T>) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = items.into_iter().map(read).collect();
    read.into_iter().collect()
}

/// The network as a table says it: what it leaves out is as in a data centre.
fn network(view: Option<&View<'_>>) -> Network {
    let wait = |key: &str| view.and_then(|v| v.duration(key));
    Network {
        delay: wait("delay").unwrap_or(Duration::from_micros(250)),
        jitter: wait("jitter").unwrap_or_default(),
        loss: view.and_then(|v| v.share("loss")).unwrap_or(Share::NONE),
    }
}

fn compartments(
    decoder: &mut Decoder<'_>,
    context: &Context<'_>,
    view: &View<'_>,
) -> Option<Vec<Compartment>> {
    let compartment = |item: Item<'_>| {
        let view = item.table()?;
        let may_borrow_from = lenders(decoder, context, &view, &item.entry.key);
        Some(Compartment {
            name: item.entry.key.clone(),
            nodes: view.whole32("nodes")?,
            cores: view.number("cores")?,
            memory_mib: view.number("memory-mib").unwrap_or(1_048_576.0),
            may_borrow_from,
        })
    };
    all(view.map("compartments"), compartment)
}

fn lenders(decoder: &mut Decoder<'_>, context: &Context<'_>, view: &View<'_>, own: &str) -> Vec<usize> {
    let mut lenders = Vec::new();
    for (at, node) in view.list("may-borrow-from").iter().enumerate() {
        let path = format!("{}[{at}]", view.path_of("may-borrow-from"));
        let Some(name) = as_text(node) else { continue };
        if name == own {
            let message = "a compartment cannot borrow from itself".to_owned();
            decoder.report(&node.span, &path, message, "remove it".to_owned());
        } else if let Some(lender) = context.names.compartment(decoder, node, &path) {
            lenders.push(lender);
        }
    }
    lenders
}

fn cache(decoder: &mut Decoder<'_>, item: &Item<'_>) -> Option<Cache> {
    let view = &item.table()?;
    let (keys, holds) = (view.whole32("keys"), view.whole32("holds"));
    if let (Some(keys), Some(holds)) = (keys, holds)
        && holds > keys
    {
        let message = format!("it cannot hold {holds} of {keys} keys");
        decoder.report_at(view, "holds", message, format!("write holds = {keys}, or raise `keys`"));
    }
    Some(Cache {
        name: item.entry.key.clone(),
        keys: keys?,
        skew: view.number("skew").unwrap_or(1.0),
        holds: holds?,
    })
}

fn limit(item: &Item<'_>) -> Option<EdgeLimit> {
    let view = item.table()?;
    Some(EdgeLimit {
        name: item.entry.key.clone(),
        rate: view.number("rate")?,
        burst: view.whole32("burst").unwrap_or(100),
    })
}
