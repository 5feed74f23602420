//! The last-known-good file: what a control plane has told a sidecar, kept for a start without one. In JSON, so that it
//! can be looked at; with a sum over its text, so that a file that was written halfway or damaged is noticed.

use super::declare::{Field, Kind, field};
use super::decoder::{Decoder, View, begin};
use super::problem::{Format, Problem, Problems, Source};
use super::settings::{self, POLICIES, SettingsShape};
use crate::xds::resource::version_of;
use model::{Endpoint, InstanceName, ServiceName, Settings};
use serde::Serialize;

/// The number of the format. A file of another number is refused: better than half understood.
const FORMAT: u64 = 1;

/// What a control plane has told.
#[derive(Clone, PartialEq, Debug)]
pub struct Known {
    /// The environment that it is true for.
    pub environment: String,
    /// When it was written: milliseconds since 1970.
    pub at: u64,
    /// All services that were followed.
    pub services: Vec<KnownService>,
}

/// What is known of one service.
#[derive(Clone, PartialEq, Debug)]
pub struct KnownService {
    /// Its name.
    pub name: ServiceName,
    /// Whether there is such a service.
    pub exists: bool,
    /// The policy for requests to it, where there is one.
    pub settings: Option<Settings>,
    /// Its instances.
    pub endpoints: Vec<Endpoint>,
}

static KNOWN: [Field; 5] = [
    field("format", Kind::Whole { least: FORMAT, most: FORMAT }, "The number of this format.").required(),
    field("environment", Kind::Text, "The environment's name.").required(),
    field("at", Kind::Whole { least: 0, most: u64::MAX }, "When it was written, in milliseconds since 1970.")
        .required(),
    field("services", Kind::List { of: &Kind::Table(&SERVICE), least: 0 }, "The services that are followed.")
        .required(),
    field("sum", Kind::Text, "A sum over the text before it.").required(),
];

static SERVICE: [Field; 4] = [
    field("name", Kind::Name, "Its name.").required(),
    field("exists", Kind::Flag, "Whether there is such a service.").required(),
    field("settings", Kind::Table(&POLICIES), "The policies for requests to it."),
    field("endpoints", Kind::List { of: &Kind::Table(&ENDPOINT), least: 0 }, "Its instances.").required(),
];

static ENDPOINT: [Field; 2] = [
    field("name", Kind::Name, "The instance's name.").required(),
    field("address", Kind::Address, "Where to connect.").required(),
];

/// What stands between the text that is summed up and the sum.
const SUM: &str = ",\n  \"sum\": \"";

#[derive(Serialize)]
struct KnownShape<'a> {
    format: u64,
    environment: &'a str,
    at: u64,
    services: Vec<ServiceShape<'a>>,
}

#[derive(Serialize)]
struct ServiceShape<'a> {
    name: &'a str,
    exists: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<SettingsShape>,
    endpoints: Vec<EndpointShape<'a>>,
}

#[derive(Serialize)]
struct EndpointShape<'a> {
    name: &'a str,
    address: String,
}

/// Writes what is known as [`decode_known`] reads it.
pub fn encode_known(known: &Known) -> String {
    let endpoint = |e: &'_ Endpoint| e.address.to_string();
    let services = known.services.iter().map(|service| ServiceShape {
        name: service.name.as_str(),
        exists: service.exists,
        settings: service.settings.as_ref().map(settings::encode),
        endpoints: service
            .endpoints
            .iter()
            .map(|e| EndpointShape { name: e.name.as_str(), address: endpoint(e) })
            .collect(),
    });
    let shape = KnownShape {
        format: FORMAT,
        environment: &known.environment,
        at: known.at,
        services: services.collect(),
    };
    let text =
        serde_json::to_string_pretty(&shape).expect("plain structs with text keys are written in memory");
    let text = text.strip_suffix("\n}").unwrap_or(&text);
    format!("{text}{SUM}{:016x}\"\n}}\n", version_of(text.as_bytes()))
}

/// Reads what was known. `file` is its name, for people.
///
/// # Errors
/// It is damaged, or of another release: start without it.
pub fn decode_known(text: &str, file: &str) -> Result<Known, Problems> {
    let source = Source { file: file.to_owned(), text: text.to_owned(), format: Format::Json };
    if !is_whole(text) {
        return Err(Problems::one(damaged(&source)));
    }
    let (mut decoder, tree) = begin(&source, &KNOWN, false);
    let known = View::whole_file(&tree, &KNOWN).and_then(|view| read(&mut decoder, &view));
    decoder.finish(known)
}

/// Whether the sum is that of the text before it.
fn is_whole(text: &str) -> bool {
    text.rsplit_once(SUM)
        .is_some_and(|(front, back)| back == format!("{:016x}\"\n}}\n", version_of(front.as_bytes())))
}

fn damaged(source: &Source) -> Problem {
    let message = "the file is not as it was written: its sum is wrong".to_owned();
    source.problem(&(0..0), "", message, "start without it: it is written anew".to_owned())
}

fn read(decoder: &mut Decoder<'_>, view: &View<'_>) -> Option<Known> {
    let services: Vec<Option<KnownService>> =
        view.tables("services").iter().map(|v| service(decoder, v)).collect();
    Some(Known {
        environment: view.text("environment")?.to_owned(),
        at: view.whole("at")?,
        services: services.into_iter().collect::<Option<_>>()?,
    })
}

fn service(decoder: &mut Decoder<'_>, view: &View<'_>) -> Option<KnownService> {
    let settings = view.table("settings").map(|v| settings::decode(decoder, &v, &Settings::default()));
    let endpoint = |v: &View<'_>| {
        Some(Endpoint { name: InstanceName::new(v.text("name")?).ok()?, address: v.address("address")? })
    };
    Some(KnownService {
        name: view.name("name")?,
        exists: view.flag("exists")?,
        settings,
        endpoints: view.tables("endpoints").iter().map(endpoint).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::Preset;
    use proptest::prelude::*;

    fn known(presets: &[Option<Preset>]) -> Known {
        let service = |(number, preset): (usize, &Option<Preset>)| KnownService {
            name: ServiceName::new(&format!("service-{number}")).unwrap(),
            exists: number % 3 != 0,
            settings: preset.map(|preset| preset.settings()),
            endpoints: (0..number)
                .map(|i| Endpoint {
                    name: InstanceName::new(&format!("service-{number}-{i}")).unwrap(),
                    address: ([10, 0, 0, 1], 1000 + i as u16).into(),
                })
                .collect(),
        };
        Known {
            environment: "shop \"one\"".to_owned(),
            at: 1_700_000_000_000,
            services: presets.iter().enumerate().map(service).collect(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let presets: Vec<Option<Preset>> = Preset::ALL.into_iter().map(Some).chain([None]).collect();
        for count in [0, 1, presets.len()] {
            let known = known(&presets[..count]);
            assert_eq!(decode_known(&encode_known(&known), "kept.json").unwrap(), known);
        }
    }

    #[test]
    fn a_sound_file_of_another_format_is_refused_by_name() {
        let text = encode_known(&known(&[]));
        let (front, _) = text.rsplit_once(SUM).unwrap();
        let front = front.replace("\"format\": 1", "\"format\": 2");
        let other = format!("{front}{SUM}{:016x}\"\n}}\n", version_of(front.as_bytes()));
        let problems = decode_known(&other, "kept.json").unwrap_err().to_string();
        assert!(problems.contains("kept.json") && problems.contains("format"), "{problems}");
    }

    proptest! {
        #[test]
        fn a_damaged_file_is_refused(at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<bool>()) {
            let text = encode_known(&known(&[None, Some(Preset::Default), None]));
            let mut bytes = text.clone().into_bytes();
            let at = at.index(bytes.len());
            match cut {
                true => bytes.truncate(at),
                false => bytes[at] = with,
            }
            let read = String::from_utf8_lossy(&bytes);
            if read != text {
                prop_assert!(decode_known(&read, "kept.json").is_err());
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            let _ = decode_known(&text, "kept.json");
            let sound = format!("{text}{SUM}{:016x}\"\n}}\n", version_of(text.as_bytes()));
            let _ = decode_known(&sound, "kept.json");
        }
    }
}
