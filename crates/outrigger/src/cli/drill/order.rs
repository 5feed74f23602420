//! One order to drill: what is played, played, and shown.

use super::DrillArgs;
use super::policies::Named;
use crate::cli::{Outcome, Output};
use crate::drill::bar::Bar;
use crate::drill::story::Story;
use crate::drill::transcript::{self, Ink};
use crate::drill::{library, page, picture, shape};
use anyhow::Context;
use model::scenario::{Acceptance, Scenario};
use sim::ablate::{Progress, Runs, compare, compared, verdict};
use sim::choice::{Choice, Source};
use sim::report::{Report, Row, Verdict};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// Plays `name` as `args` say.
pub(super) fn run(args: &DrillArgs, name: &str) -> Outcome {
    let scenario = match found(name) {
        Ok(scenario) => scenario,
        Err(code) => return Ok(code),
    };
    let lists: Option<Vec<&Acceptance>> = args.accept.iter().map(|list| asked(&scenario, list)).collect();
    let Some(lists) = lists else { return Ok(ExitCode::from(2)) };
    let scaled = scenario.scaled(args.scale.unwrap_or(scenario.scale));
    let order = Order { args, name, lists, choices: choices(args, &scaled), scenario: &scaled };
    let story = order.play()?;
    order.write(&story)?;
    match args.output.output {
        Output::Json => writeln!(io::stdout(), "{}", api::encode_pretty(&shape::shape(&story)))?,
        Output::Table => order.tell(&story)?,
    }
    Ok(if story.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The scenario of this name or file; where there is none it has been said why.
fn found(name: &str) -> Result<Scenario, ExitCode> {
    let is_file = name.contains(['/', '.']) || Path::new(name).exists();
    let read = match library::built_in(name) {
        Some(read) => read,
        None if is_file => wire::files::load_scenario(Path::new(name)),
        None => {
            let near = library::nearest(name, library::names());
            let help = near.map_or_else(
                || "outrigger drill --list names those that are built in, a file needs its .toml".to_owned(),
                |near| format!("did you mean {near:?}?"),
            );
            eprintln!("outrigger: there is no scenario {name:?}: {help}");
            return Err(ExitCode::from(2));
        }
    };
    read.map_err(|problems| {
        eprint!("{problems}");
        ExitCode::FAILURE
    })
}

/// The list of pass lines of this name; where there is none it has been said.
fn asked<'s>(scenario: &'s Scenario, name: &str) -> Option<&'s Acceptance> {
    let list = scenario.acceptance.iter().find(|list| list.name == name);
    if list.is_none() {
        let names: Vec<&str> = scenario.acceptance.iter().map(|list| list.name.as_str()).collect();
        let names =
            if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
        eprintln!("outrigger: {} has no pass lines {name:?}: {names}", scenario.name);
    }
    list
}

/// What is played: the run that the drill is about, and the one beside it.
fn choices(args: &DrillArgs, scenario: &Scenario) -> Vec<Choice> {
    let act = !args.no_operators && !scenario.operators.is_empty();
    let mut choices: Vec<Choice> = match args.compare.as_slice() {
        [] => {
            let fleet = args.fleet.or_else(|| model::FleetPreset::from_word(args.policies?.word()));
            let run = Choice::from(scenario, Named::Preset(args.policies, fleet).in_scenario(scenario));
            // What ships has to do without help.
            let run = with_parts(args, run, scenario);
            vec![run.with_operators(act), Choice::from(scenario, Named::default_of(scenario))]
        }
        both => both.iter().map(|policies| policies.choice(scenario).with_operators(act)).collect(),
    };
    choices.iter_mut().for_each(|choice| choice.shuffle = args.shuffle);
    if args.compare.is_empty() && choices[0] == choices[1] {
        choices.pop();
    }
    choices
}

/// `choice` with the single parts that were asked for.
fn with_parts(args: &DrillArgs, choice: Choice, scenario: &Scenario) -> Choice {
    args.with.iter().fold(choice, |choice, swap| swap.apply(choice, scenario))
}

impl Named {
    /// What ships.
    fn default_of(scenario: &Scenario) -> Source {
        Named::Preset(Some(model::Preset::Default), Some(model::FleetPreset::Default)).in_scenario(scenario)
    }
}

struct Order<'a> {
    args: &'a DrillArgs,
    name: &'a str,
    scenario: &'a Scenario,
    lists: Vec<&'a Acceptance>,
    choices: Vec<Choice>,
}

impl Order<'_> {
    /// Plays all that was asked for.
    fn play(&self) -> anyhow::Result<Story> {
        let began = Instant::now();
        let compared = self.compared();
        let bar = Bar::begin(self.runs(&compared));
        let (run, beside) = self.both(&bar)?;
        let rows = self.rows(&compared, &bar);
        let verdicts = self.lists.iter().map(|list| self.judge(list, &bar)).collect();
        drop(bar);
        let seeds = (self.first_seed(), self.args.seeds.unwrap_or(1));
        let command = self.command();
        Ok(Story {
            scenario: self.scenario.clone(),
            run,
            beside,
            rows,
            verdicts,
            seeds,
            took: began.elapsed(),
            command,
        })
    }

    fn first_seed(&self) -> u64 {
        self.args.first_seed.unwrap_or(self.args.seed)
    }

    fn seeds(&self, otherwise: u64) -> Vec<u64> {
        let first = self.first_seed();
        (first..first.saturating_add(self.args.seeds.unwrap_or(otherwise))).collect()
    }

    /// How many runs all of it takes.
    fn runs(&self, compared: &[Choice]) -> u64 {
        let of = |list: &&Acceptance| {
            (self.seeds(u64::from(list.seeds)).len() * sim::accept::runs(list).len()) as u64
        };
        let judged: u64 = self.lists.iter().map(of).sum();
        self.choices.len() as u64 + (compared.len() * self.seeds(1).len()) as u64 + judged
    }

    /// What is compared over all seeds: nothing unless that was asked for.
    fn compared(&self) -> Vec<Choice> {
        if self.args.ablate {
            let act = self.choices[0].operators;
            return compared(self.scenario, act)
                .into_iter()
                .map(|c| c.with_shuffle(self.args.shuffle))
                .collect();
        }
        let alone = self.args.seeds.is_none() || !self.lists.is_empty();
        if alone { Vec::new() } else { self.choices.clone() }
    }

    /// The two runs that are shown, at once.
    fn both(&self, bar: &Bar) -> anyhow::Result<(Report, Option<Report>)> {
        let seed = self.first_seed();
        let played = |choice: &Choice| {
            let report = sim::play(self.scenario, choice, seed);
            bar.on_run();
            report
        };
        let (first, second) = (&self.choices[0], self.choices.get(1));
        std::thread::scope(|scope| {
            let beside = second.map(|choice| scope.spawn(move || played(choice)));
            let run = match &self.args.tape {
                None => played(first),
                Some(file) => {
                    let (report, tape) = sim::play_with_tape(self.scenario, first, seed);
                    bar.on_run();
                    written(file, tape.as_bytes())?;
                    report
                }
            };
            let beside =
                beside.map(|run| run.join().map_err(|_| anyhow::anyhow!("the run beside it broke off")));
            Ok((run, beside.transpose()?))
        })
    }

    fn rows(&self, compared: &[Choice], bar: &Bar) -> Vec<Row> {
        if compared.is_empty() {
            return Vec::new();
        }
        let seeds = self.seeds(1);
        let progress = |_: Progress| bar.on_run();
        compare(self.scenario, compared, &Runs { progress: &progress, ..Runs::new(sim::play, &seeds) })
    }

    fn judge(&self, list: &Acceptance, bar: &Bar) -> Verdict {
        let seeds = self.seeds(u64::from(list.seeds));
        let runs = sim::accept::runs(list).len();
        let progress = |_: Progress| (0..runs).for_each(|_| bar.on_run());
        verdict(
            self.scenario,
            list,
            &|choice| with_parts(self.args, choice, self.scenario).with_shuffle(self.args.shuffle),
            &Runs { progress: &progress, ..Runs::new(sim::play, &seeds) },
        )
    }

    /// What is typed to see the same again: what was given, as far as it changes what is played.
    fn command(&self) -> String {
        let mut words = vec!["outrigger drill".to_owned(), quoted(self.name)];
        let mut add = |flag: &str, value: Option<String>| {
            if let Some(value) = value {
                words.push(format!("--{flag} {value}").trim_end().to_owned());
            }
        };
        let args = self.args;
        add("seed", Some(args.seed.to_string()));
        add("seeds", args.seeds.map(|n| n.to_string()));
        add("first-seed", args.first_seed.map(|n| n.to_string()));
        add("scale", Some(self.scenario.scale.to_string()));
        add("policies", args.policies.map(|p| p.word().to_owned()));
        add("fleet", args.fleet.map(|p| p.word().to_owned()));
        args.with.iter().for_each(|swap| add("with", Some(swap.to_string())));
        add("no-operators", args.no_operators.then(String::new));
        add(
            "compare",
            (!args.compare.is_empty())
                .then(|| args.compare.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
        );
        add("ablate", args.ablate.then(String::new));
        add("shuffle", args.shuffle.map(|share| share.part().to_string()));
        args.accept.iter().for_each(|list| add("accept", Some(quoted(list))));
        words.join(" ")
    }

    /// Writes the files that were asked for.
    fn write(&self, story: &Story) -> anyhow::Result<()> {
        if let Some(file) = &self.args.html {
            written(file, page::page(story)?.as_bytes())?;
        }
        if self.args.svg.is_none() && self.args.png.is_none() {
            return Ok(());
        }
        let sheet = picture::sheet(&story.heading(), &picture::plots(story), &picture::marks(&story.run))?;
        if let Some(file) = &self.args.svg {
            written(file, sheet.as_bytes())?;
        }
        if let Some(file) = &self.args.png {
            written(file, &picture::png(&sheet)?)?;
        }
        Ok(())
    }

    /// Says it to people: the transcript is what they asked for, and goes to stdout.
    fn tell(&self, story: &Story) -> anyhow::Result<()> {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let ink = if colour { Ink::Colour } else { Ink::Plain };
        let mut parts = Vec::new();
        if self.lists.is_empty() {
            parts.push(transcript::transcript(story, ink));
            parts.push(transcript::strip(story, ink));
            parts.push(transcript::comparison(story, ink));
        }
        if !story.rows.is_empty() {
            parts.push(transcript::compared(story, ink));
        }
        let most = transcript::did_most(&story.rows).filter(|_| self.args.ablate);
        parts.extend(most.map(|text| transcript::wrapped(&text, 80).join("\n") + "\n"));
        parts.extend(story.verdicts.iter().map(|verdict| transcript::judged(story, verdict, ink)));
        parts.extend(transcript::broken(story));
        writeln!(io::stdout(), "{}", parts.join("\n").trim_end())?;
        self.next(story);
        Ok(())
    }

    /// What was written, and what to type next.
    fn next(&self, story: &Story) {
        let events = story.runs().map(|run| run.events).sum::<u64>();
        let took = story.took.as_secs_f64();
        let (events, took) = (crate::drill::words::count(events as f64), crate::drill::words::seconds(took));
        eprintln!("\n{events} events in {took}");
        let files = [&self.args.html, &self.args.svg, &self.args.png, &self.args.tape];
        files.into_iter().flatten().for_each(|file| eprintln!("written: {}", file.display()));
        let name = quoted(self.name);
        match (&self.args.html, self.args.ablate) {
            (None, _) => eprintln!("next: outrigger drill {name} --html drill.html"),
            (Some(_), false) => eprintln!("next: outrigger drill {name} --ablate --html drill.html"),
            (Some(file), true) => eprintln!("next: open {}", file.display()),
        }
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,=+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn written(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(file, bytes).with_context(|| format!("{} cannot be written", file.display()))
}
