//! `outrigger explain WORD`: what the id of a check or a reason means, whose fault it is, and what to do.

mod reasons;

use super::check::catalogue::{self, Entry};
use super::{Outcome, Output, OutputArgs};
use api::{Explanation, VERSION};
use clap::Args;
use model::{Fault, Reason, Retryable};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

/// Explain the id of a check or the reason of a refusal: what it means and what to do.
#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// An id that `check` prints, or a word of the header `outrigger-reason`; without it all of them are listed.
    word: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// What is said of a word besides what its own table says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advice {
    /// What to look at.
    pub(crate) look: &'static str,
    /// What to do.
    pub(crate) mend: &'static str,
}

pub(crate) fn run(args: &ExplainArgs) -> Outcome {
    let Some(word) = &args.word else { return list(args) };
    let Some(explanation) = explain(word) else {
        eprintln!("outrigger: {}", unknown(word));
        return Ok(ExitCode::from(2));
    };
    let text = match args.output.output {
        Output::Json => api::encode_pretty(&explanation) + "\n",
        Output::Table => shown(&explanation),
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn list(args: &ExplainArgs) -> Outcome {
    let all = all();
    match args.output.output {
        Output::Json => writeln!(io::stdout(), "{}", api::encode_pretty(&all))?,
        Output::Table => {
            let rows: Vec<_> = all.into_iter().map(|e| [e.word, e.kind, e.means]).collect();
            super::table::print(["WORD", "IS A", "MEANS"], &rows)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that can be explained.
pub(crate) fn all() -> Vec<Explanation> {
    catalogue::ALL.iter().map(of_check).chain(Reason::ALL.into_iter().map(of_reason)).collect()
}

/// What `word` means.
pub(crate) fn explain(word: &str) -> Option<Explanation> {
    all().into_iter().find(|explanation| explanation.word.eq_ignore_ascii_case(word.trim()))
}

fn of_check(check: &Entry) -> Explanation {
    Explanation {
        version: VERSION,
        word: check.id.to_owned(),
        kind: "check".into(),
        means: check.means.to_owned(),
        fault: check.fault.to_owned(),
        status: None,
        retryable: None,
        look: check.advice.look.to_owned(),
        mend: check.advice.mend.to_owned(),
    }
}

fn of_reason(reason: Reason) -> Explanation {
    let advice = reasons::advice(reason);
    Explanation {
        version: VERSION,
        word: reason.word().into(),
        kind: "reason".into(),
        means: reason.text().into(),
        fault: fault(reason.fault()).into(),
        status: Some(reason.status()),
        retryable: Some(retryable(reason.retryable()).into()),
        look: advice.look.into(),
        mend: advice.mend.into(),
    }
}

/// The word for who has to do something.
pub(crate) const fn fault(fault: Fault) -> &'static str {
    match fault {
        Fault::Caller => "caller",
        Fault::Service => "service",
        Fault::Us => "Outrigger",
    }
}

/// The words for whether to try again.
pub(crate) const fn retryable(retryable: Retryable) -> &'static str {
    match retryable {
        Retryable::No => "no",
        Retryable::Yes => "yes",
        Retryable::Elsewhere => "elsewhere",
        Retryable::Idempotent => "if idempotent",
        Retryable::Later => "later",
    }
}

fn shown(explanation: &Explanation) -> String {
    let Explanation { version: _, word, kind, means, fault, status, retryable, look, mend } = explanation;
    let mut text = format!("{word} ({kind})\n\n");
    // Writing to a text cannot fail.
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(text, "  {key:<13} {}", wrapped(value));
    };
    line("means", means);
    if let Some(status) = status {
        line("status", &status.to_string());
    }
    line("fault of", fault);
    if let Some(retryable) = retryable {
        line("try again", retry_sentence(retryable));
    }
    line("look at", look);
    line("mend", mend);
    text
}

fn retry_sentence(word: &str) -> &str {
    match word {
        "no" => "no: the answer would be the same",
        "yes" => "yes, at once: no instance has seen the request",
        "elsewhere" => "at another instance: this one has done nothing",
        "if idempotent" => "only what may be carried out twice: an instance may have carried it out",
        "later" => "after the time in Retry-After",
        other => other,
    }
}

/// `text` in lines of some 90 characters, the later ones below the first.
fn wrapped(text: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        if width > 0 && width + word.chars().count() > 90 {
            out.push_str("\n                ");
            width = 0;
        } else if width > 0 {
            out.push(' ');
        }
        out.push_str(word);
        width += word.chars().count() + 1;
    }
    out
}

/// What to say of a word that is not known.
fn unknown(word: &str) -> String {
    let distance =
        |known: &str| strsim::damerau_levenshtein(&word.to_ascii_lowercase(), &known.to_ascii_lowercase());
    let near = all().into_iter().map(|e| (distance(&e.word), e.word)).min();
    match near {
        Some((far, near)) if far <= 3 && far < near.len() / 2 => {
            format!("`{word}` is no reason and no check: did you mean `{near}`?")
        }
        _ => format!("`{word}` is no reason and no check: `outrigger explain` lists all of them"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_check_and_every_reason_is_explained() {
        for reason in Reason::ALL {
            assert!(explain(reason.word()).is_some(), "{}", reason.word());
        }
        for check in &catalogue::ALL {
            assert_eq!(explain(&check.id.to_lowercase()).unwrap().word, check.id);
        }
        for said in all() {
            for text in [&said.means, &said.look, &said.mend] {
                assert!(text.len() > 20 && text.ends_with('.'), "{}: {text}", said.word);
            }
            assert!(shown(&said).lines().all(|line| line.chars().count() <= 120), "{}", said.word);
        }
    }

    #[test]
    fn a_word_that_is_not_known_has_the_nearest_beside_it() {
        assert!(unknown("queue-ful").contains("did you mean `queue-full`"));
        assert!(unknown("or11").contains("OR101"));
        assert!(unknown("porridge").contains("lists all"));
    }
}
