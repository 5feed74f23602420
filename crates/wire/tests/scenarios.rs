//! Scenarios' files: what they mean, what is said of mistakes in them, and that nothing makes the decoder panic.
#![allow(clippy::unwrap_used, missing_docs)]

use model::scenario::{Bound, Deed, Spread, Take, Those, Trouble};
use model::{FleetPreset, Moment, Preset, Share, TimeOfDay};
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::files::{decode_scenario, load_scenario};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The scenarios that ship.
fn shipped() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("scenarios")).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files
}

#[test]
fn what_ships_is_in_order_and_named_as_its_file() {
    let files = shipped();
    assert!(!files.is_empty());
    for file in &files {
        let scenario = load_scenario(file).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(Some(scenario.name.as_str()), file.file_stem().unwrap().to_str());
        assert!(scenario.about.len() > 80, "{}: where do its numbers come from?", scenario.name);
        assert!(!scenario.acceptance.is_empty(), "{}", scenario.name);
    }
}

#[test]
fn the_guides_example_is_in_order() {
    let guide = fs::read_to_string(root().join("docs/guide/scenarios.md")).unwrap();
    let from = guide.find("<!-- example").unwrap();
    let example = &guide[from..guide.find("<!-- end of example -->").unwrap()];
    let text = example.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let friday = decode_scenario(text, "friday.toml").unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((friday.services.len(), friday.clients.len(), friday.faults.len()), (2, 1, 1));
    assert_eq!(friday.acceptance[0].lines.len(), 2);
}

const LEAST: &str = "scenario = 's'\nlasts = '1m'\nservices.a = { instances = 1, routes.r = {} }\n\
                     clients.c = { demand = 1, visits.v.to = 'a' }\n";

#[test]
fn a_file_that_says_little_means_the_defaults() {
    let s = decode_scenario(LEAST, "s.toml").unwrap_or_else(|p| panic!("{p}"));
    assert_eq!((s.starts, s.scale), (TimeOfDay::default(), 1.0));
    assert_eq!((s.policies, s.fleet, s.trouble), (Preset::Default, FleetPreset::Default, None));
    assert_eq!(s.network.delay, Duration::from_micros(250));
    let a = &s.services[0];
    assert_eq!((a.range, a.compartment, a.critical, a.threads), (None, None, true, 200));
    assert_eq!((a.cores, a.declared_cores, a.backlog, a.descriptors), (1.0, 1.0, u32::MAX, u32::MAX));
    assert_eq!((a.start.takes, a.start.cold_speed), (Duration::from_secs(30), Share::ALL));
    assert_eq!(a.routes[0].cpu, Spread::Fixed(Duration::ZERO));
    let c = &s.clients[0];
    assert_eq!((c.human, c.even, c.sidecars, c.patience), (false, false, 1, Duration::from_secs(10)));
    assert_eq!(c.demand, [(Moment::ZERO, 1.0)]);
    assert_eq!(c.policies, Preset::Default.settings());
    assert_eq!(c.visits[0].weight, [(Moment::ZERO, 1.0)]);
}

/// Defaults are told as text in the declarations and hold as values in the code: writing them out changes nothing.
#[test]
fn the_defaults_that_are_told_are_those_that_hold() {
    let written = format!(
        "{LEAST}{}",
        "about = ''\nstarts = '00:00'\nscale = 1\npolicies = 'default'\nfleet = 'default'\n\
         network = { delay = '250us', jitter = '0s', loss = '0%' }\n"
    );
    let written = written
        .replace(
            "instances = 1,",
            "instances = 1, critical = true, declared-cores = 1, memory-mib = 1024, cores = 1, idle-cores = 0, \
             threads = 200, drag = 0, start = { takes = '30s', cold-speed = '100%', cold-for = '0s', warm-up = [] },",
        )
        .replace("routes.r = {}", "routes.r = { cpu = '0s', wait = '0s', failing = '0%', calls = [] }")
        .replace(
            "demand = 1,",
            "demand = 1, human = false, arrivals = 'poisson', sidecars = 1, patience = '10s', \
             tells-deadline = false, posts = '0%',",
        )
        .replace("visits.v.to = 'a'", "visits.v = { to = 'a', weight = 1 }");
    let read = |text: &str| decode_scenario(text, "s.toml").unwrap_or_else(|p| panic!("{p}"));
    assert_eq!(read(&written), read(LEAST));
    let schema = fs::read_to_string(root().join("docs/schema/scenario.json")).unwrap();
    assert!(schema.matches("\"default\":").count() >= 40, "a default is told that this test does not know");
}

const MUCH: &str = r#"
scenario = "much"
starts = "23:59"
lasts = "10m"
policies = "allegro-2018"
trouble = ["00:00", "00:05"]
[compartments.main]
nodes = 10
cores = 8
memory-mib = 4096
may-borrow-from = ["spare"]
[compartments.spare]
nodes = 1
cores = 8
[services.store]
instances = 4
range = [2, 8]
compartment = "main"
critical = false
declared-cores = 2
backlog = 10
start = { takes = "5s", warm-up = [{ to = "shard", route = "heavy", times = 200 }] }
neighbours = { share = "2%", speed = "50%", drawn-again = ["1s", "10s"] }
[services.store.routes.read]
cpu = { mean = "5ms", spread = "normal", deviation = "1ms" }
wait = "2ms"
calls = [
    { to = "shard", route = "light", times = 1.5, cache = "offers", pool = 3 },
    { to = "shard", route = "heavy", beside = true, optional = true, policies.retry.tries = 4 },
]
[services.shard]
instances = 1
[services.shard.routes]
light.cpu = { mean = "10us" }
heavy.cpu = "8ms"
[caches.offers]
keys = 100
holds = 10
[limits.static]
rate = 2200
[clients.people]
human = true
demand = [["23:59:30", 10], ["00:01", 20], ["5m", 0]]
arrivals = "even"
reload = { share = "50%", after = "5s" }
after-limit = { share = 1, after = "10s", at-most = 20, ceiling = 0.6 }
visits.item = { weight = [["10s", 0.5], ["60s", 1]], to = "store", limit = "static" }
policies.timeouts.total = "2s"
[[faults]]
at = "15s"
lasts = "30s"
delay = { service = "store", instances = 8, to = "2s" }
[[faults]]
at = "20s"
flush = { cache = "offers" }
[[operators]]
at = "00:02"
scale = { service = "store", by = -2 }
[[operators]]
at = "00:03"
stop-non-critical = { compartment = "main", share = "75%" }
[acceptance.A]
seeds = 20
must-pass = 18
[[acceptance.A.lines]]
name = "slow"
series = "store.p99"
relative-to = ["5s", "20s"]
above = 3
stays = "10s"
between = ["00:00", "00:02"]
[[acceptance.A.lines]]
name = "down"
operators = false
series = "site.success"
back-above = 0.95
not-before = "00:08"
[[acceptance.A.lines]]
name = "full"
series = "main.reserved"
at = "00:01"
at-least = 0.97
[acceptance.B]
policies = "default"
operators = false
lines = [{ name = "calm", series = "people.limited", total = ["0s", "10m"], at-most = 0 }]
"#;

#[test]
fn everything_that_can_be_said_is_heard() {
    let s = decode_scenario(MUCH, "much.toml").unwrap_or_else(|p| panic!("{p}"));
    let (at, secs) = (|s: u64| Moment::from_millis(s * 1000), Duration::from_secs);
    assert_eq!(s.trouble, Some((at(60), at(360))));
    assert_eq!(s.compartments[0].may_borrow_from, [1]);
    let store = &s.services[0];
    assert_eq!((store.range, store.compartment, store.critical), (Some((2, 8)), Some(0), false));
    let warm_up = &store.start.warm_up[0];
    assert_eq!((warm_up.service, warm_up.route, warm_up.times), (1, 1, 200.0));
    let neighbours = store.neighbours.unwrap();
    assert_eq!(neighbours.drawn_again, (secs(1), secs(10)));
    let route = &store.routes[0];
    assert_eq!(route.cpu, Spread::Normal(Duration::from_millis(5), Duration::from_millis(1)));
    assert_eq!(route.wait, Spread::Fixed(Duration::from_millis(2)));
    let [light, heavy] = &route.calls[..] else { panic!("{:?}", route.calls) };
    assert_eq!((light.times, light.cache, light.pool), (1.5, Some(0), Some(3)));
    assert!(heavy.beside && heavy.optional);
    // What a call says is a difference from the scenario's preset.
    let of_2018 = Preset::Allegro2018.settings();
    assert_eq!(light.policies, of_2018);
    assert_eq!(heavy.policies.retry.map(|r| (r.tries, r.budget)), Some((4, None)));
    let people = &s.clients[0];
    assert_eq!(people.demand, [(at(30), 10.0), (at(120), 20.0), (at(300), 0.0)]);
    assert_eq!((people.even, people.policies.timeouts.total), (true, secs(2)));
    assert_eq!(people.reload.map(|r| (r.at_most, r.ceiling)), Some((3, 1.0)));
    assert_eq!(people.after_limit.map(|r| (r.at_most, r.ceiling)), Some((20, 0.6)));
    assert_eq!((people.visits[0].limit, people.visits[0].route), (Some(0), 0));
    let those = Those { service: 0, count: Some(8) };
    assert_eq!(s.faults[0].what, Trouble::Delay(those, secs(2)));
    assert_eq!((s.faults[0].at, s.faults[0].lasts), (at(15), Some(secs(30))));
    assert_eq!(s.faults[1].what, Trouble::Flush(0, Share::ALL));
    assert_eq!(s.operators[0].what, Deed::Scale(0, -2));
    assert_eq!(s.operators[1].what, Deed::StopNonCritical(0, Share::percent(75)));
    let a = &s.acceptance[0];
    assert_eq!((a.seeds, a.must_pass, a.policies, a.operators), (20, 18, None, true));
    assert_eq!(a.lines[0].take, Take::Above(3.0, secs(10)));
    assert_eq!(a.lines[0].bound, Bound::Time(at(60), at(180)));
    assert_eq!(a.lines[0].relative_to, Some((at(5), at(20))));
    assert_eq!((a.lines[1].bound, a.lines[1].operators), (Bound::NotBefore(at(540)), Some(false)));
    assert_eq!(a.lines[2].bound, Bound::Number(0.97, f64::INFINITY));
    assert_eq!(s.acceptance[1].policies, Some((Preset::Default, FleetPreset::Default)));
}

#[test]
fn a_chain_as_long_as_its_file_is_followed() {
    let mut text = LEAST.replace("routes.r = {}", "routes.r.calls = [{ to = 's0' }]");
    for n in 0..9_000 {
        let next = if n == 8_999 { String::new() } else { format!("calls = [{{ to = 's{}' }}]", n + 1) };
        text += &format!("[services.s{n}]\ninstances = 1\nroutes.r = {{ {next} }}\n");
    }
    let deep = decode_scenario(&text, "deep.toml").unwrap_or_else(|p| panic!("{p}"));
    assert_eq!(deep.services.len(), 9_001);
    let circle = text.replace("calls = [{ to = 's8999' }]", "calls = [{ to = 's0' }]");
    let told = decode_scenario(&circle, "circle.toml").unwrap_err().to_string();
    assert!(told.contains("this call closes a circle: s0.r → s1.r → s2.r → s3.r → …"), "{told}");
}

#[test]
fn a_file_that_is_not_there_is_a_problem() {
    let told = load_scenario(Path::new("nowhere.toml")).unwrap_err().to_string();
    assert!(told.starts_with("nowhere.toml: cannot be read"), "{told}");
}

/// Pieces that turn one right file into another, or into nonsense.
const PIECES: [&str; 40] = [
    "0",
    "-1",
    "1e308",
    "nan",
    "inf",
    "4294967295",
    "99999999999999999999",
    "\"\"",
    "\"101%\"",
    "\"23:59:59\"",
    "\"24h\"",
    "\"0s\"",
    "\"store\"",
    "\"shard\"",
    "\"site\"",
    "\"site.success\"",
    "[]",
    "{}",
    "[[]]",
    "[0, 0]",
    "[\"1s\", \"0s\"]",
    "true",
    "false",
    "to",
    "service",
    "[[faults]]\n",
    "[services.x]\n",
    "routes",
    "calls",
    "at",
    "=",
    ",",
    "\n",
    "\"",
    "]",
    "}",
    ".",
    "[[\"1s\", 1], [\"1s\", 1]]",
    "{ to = \"store\" }",
    "1979-05-27",
];

/// Where a word or a value of `text` begins and ends.
fn words(text: &str) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut from = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (from, c.is_whitespace() || "=,[]{}".contains(c)) {
            (None, false) => from = Some(at),
            (Some(start), true) => {
                words.push((start, at));
                from = None;
            }
            _ => {}
        }
    }
    words
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Words of a right file replaced: most of it is still read, and what fits together no longer does.
    #[test]
    fn no_mutation_makes_it_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6),
        example in any::<prop::sample::Index>(),
    ) {
        let texts = [MUCH.to_owned(), LEAST.to_owned()];
        let mut text = example.get(&texts).clone();
        for (word, piece) in changes {
            let words = words(&text);
            if words.is_empty() { break }
            let (from, to) = *word.get(&words);
            let piece: &&str = piece.get(&PIECES[..]);
            text.replace_range(from..to, piece);
        }
        if let Err(problems) = decode_scenario(&text, "mutated.toml") {
            for problem in problems.all() {
                prop_assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
            }
            prop_assert!(!problems.to_string().is_empty());
        }
    }
}
