//! Rendering of reports made by hand, held against files; and what must be told however a run went.
#![allow(clippy::unwrap_used)]

use super::page::page;
use super::picture::{marks, plots, png, sheet};
use super::sample::{calm, outage, story, told};
use super::story::Story;
use super::transcript::{Ink, compared, comparison, did_most, judged, strip, transcript};
use model::{Moment, Share};
use sim::report::{Finding, Report, Row, Value, Verdict};

/// Holds `text` against `crates/outrigger/tests/golden/NAME`; with BLESS=1 it is written anew.
pub(crate) fn hold(name: &str, text: &str) {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(want == text, "tests/golden/{name} differs; with BLESS=1 it is written anew. It is now:\n{text}");
}

#[test]
fn a_run_is_told_in_sentences_of_eighty_columns() {
    let text = transcript(&told(outage(), None), Ink::Plain);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    hold("sample-outage.txt", &text);
    hold("sample-calm.txt", &transcript(&told(calm(), None), Ink::Plain));
}

#[test]
fn two_runs_stand_side_by_side() {
    let text = strip(&story(), Ink::Plain) + "\n" + &comparison(&story(), Ink::Plain);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    hold("sample-comparison.txt", &text);
    let text = comparison(&told(calm(), Some(outage())), Ink::Plain);
    assert!(text.contains("would have been worse"), "{text}");
    assert!(comparison(&told(calm(), Some(calm())), Ink::Plain).contains("as many people"));
    let alone = comparison(&told(calm(), None), Ink::Plain);
    assert!(!alone.contains("would have"), "{alone}");
}

#[test]
fn a_report_with_nothing_in_it_is_told_too() {
    let empty = Report::default();
    assert_eq!(transcript(&told(empty.clone(), None), Ink::Plain).lines().count(), 2);
    assert!(!comparison(&told(empty.clone(), Some(empty.clone())), Ink::Plain).contains("worst"));
    assert!(strip(&told(empty.clone(), None), Ink::Plain).contains("00:40:00"));
    let mut hole = outage();
    hole.series.values_mut().for_each(|values| values.iter_mut().for_each(|v| *v = f32::NAN));
    let text = transcript(&told(hole, None), Ink::Plain);
    assert!(text.contains("The watchdog kills an instance of opbox") && !text.contains("NaN"), "{text}");
}

#[test]
fn colour_changes_no_word() {
    let coloured = transcript(&told(outage(), None), Ink::Colour);
    let plain: String = coloured.replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[2m", "");
    assert_eq!(plain, transcript(&told(outage(), None), Ink::Plain));
}

#[test]
fn the_sheet_is_drawn_and_needs_no_fonts_of_the_machine() {
    let story = story();
    let (all, marks) = (plots(&story), marks(&story.run));
    if let Some(folder) = std::env::var_os("DRILL_LOOK") {
        let svg = sheet("sample", &all, &marks).unwrap();
        std::fs::write(std::path::Path::new(&folder).join("sheet.png"), png(&svg).unwrap()).unwrap();
        std::fs::write(std::path::Path::new(&folder).join("sheet.svg"), svg).unwrap();
    }
    let svg = sheet("sample", &all[..1], &marks).unwrap();
    assert!(!svg.contains("#0100"), "a stand-in was left");
    let png = png(&svg).unwrap();
    assert_eq!(&png[1..4], b"PNG");
    // Without its letters the picture is smaller by far: they are drawn.
    let mute = svg.replace("<text ", "<text display=\"none\" ");
    assert!(super::picture::png(&mute).unwrap().len() * 10 < png.len() * 9);
}

#[test]
fn the_page_needs_nothing_else_and_lets_nothing_through() {
    let mut story = story();
    story.verdicts = vec![verdict(&[true, false])];
    story.rows = rows();
    let page = page(&story).unwrap();
    for outside in ["http://", "https://", "src=", "<script", "@import", "url("] {
        let found = page.matches(outside).count()
            - page.matches("http://www.w3.org/2000/svg").count() * usize::from(outside == "http://");
        assert_eq!(found, 0, "{outside}");
    }
    assert!(page.contains("A &lt;sample&gt; made by hand."), "what a file says is text, not markup");
    assert!(!page.contains("#0100"), "a stand-in was left");
    assert!(page.contains("1 of 2</span> seeds pass every line"));
    assert_eq!(page.matches("<section").count(), page.matches("</section>").count());
    if let Some(folder) = std::env::var_os("DRILL_LOOK") {
        std::fs::write(std::path::Path::new(&folder).join("page.html"), page).unwrap();
    }
}

#[test]
fn a_verdict_and_a_comparison_of_policies_read_well() {
    let mut story = story();
    story.rows = rows();
    let text = judged(&story, &verdict(&[true, false]), Ink::Plain) + "\n" + &compared(&story, Ink::Plain);
    hold("sample-judged.txt", &(text + "\n" + &did_most(&story.rows).unwrap() + "\n"));
    assert!(!Story { verdicts: vec![verdict(&[true, false])], ..story.clone() }.is_well());
    assert!(Story { verdicts: vec![verdict(&[true, true])], ..story }.is_well());
}

fn verdict(passed: &[bool]) -> Verdict {
    let finding = |passed: bool| Finding {
        name: "success-falls".into(),
        says: "People's success falls below one half between 11:58 and 12:02.".into(),
        value: passed.then_some(Value::Time(Moment::from_millis(614_000))),
        passed,
    };
    let seeds = (1..).zip(passed).map(|(seed, passed)| (seed, vec![finding(*passed)])).collect();
    Verdict { name: "A".into(), seeds, must_pass: 2 }
}

fn rows() -> Vec<Row> {
    let row = |policies: &str, served: u8, kills: u64| Row {
        policies: policies.into(),
        availability: (Share::percent(served), Share::percent(served / 2)),
        minutes_below_half: (if served < 50 { 14.9 } else { 0.0 }, 16.0),
        kills: (kills, kills * 2),
        attempts: (2.7 - f64::from(served) / 60.0, 2.9),
        unplaced: (3, 9),
    };
    vec![
        row("allegro-2018", 30, 121),
        row("default", 99, 0),
        row("default without retry", 91, 2),
        row("allegro-2018 with retry of default", 84, 12),
        row("allegro-2018 with breaker of default", 62, 40),
    ]
}
