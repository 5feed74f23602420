//! Old and new side by side: every released version of the wire leaves recordings of real conversations under
//! `crates/wire/tests/fixtures/xds/`, and today's decoders and today's control plane make the same of them.
//!
//! `v1`, `v2`, … are what a release said. `newer` looks like the next one: the newest recordings with fields, types and
//! values in them that nobody knows yet. `cargo xtask record-streams v2` records a version anew; that is done once, when
//! the wire has changed on purpose, and the recordings of a released version are never changed afterwards.
#![allow(clippy::unwrap_used)]

mod bytes;
mod meaning;
mod newer;
mod recorder;
mod stage;
mod tape;

use stage::{Stage, Talk};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tape::{Entry, Side, Tape};

/// Set to the name of a version, the first test writes its recordings, and reads none.
const RECORD: &str = "RECORD_STREAMS";

/// The recordings that look like those of a later release.
const NEWER: &str = "newer";

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../wire/tests/fixtures/xds")
}

/// Every version with its recordings by name, those of `newer` among them.
fn versions() -> BTreeMap<String, BTreeMap<String, Tape>> {
    let folders = std::fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &std::path::Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let tapes = |folder: &PathBuf| {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.map(|file| (name(&file), Tape::parse(&std::fs::read_to_string(&file).unwrap()))).collect()
    };
    folders.map(|folder| (name(&folder), tapes(&folder))).collect()
}

fn newest() -> (String, BTreeMap<String, Tape>) {
    let number = |name: &str| name.strip_prefix('v').and_then(|number| number.parse::<u32>().ok());
    versions().into_iter().max_by_key(|(name, _)| number(name)).unwrap()
}

/// Records what is asked for by the environment. False when nothing is.
async fn record() -> bool {
    let Ok(version) = std::env::var(RECORD) else { return false };
    let tapes: BTreeMap<String, Tape> = if version == NEWER {
        let (_, tapes) = newest();
        let mut made = BTreeMap::new();
        for (name, tape) in tapes {
            made.insert(name, newer::like_newer(&tape).await);
        }
        made
    } else {
        recorder::record_all().await
    };
    let folder = fixtures().join(&version);
    std::fs::create_dir_all(&folder).unwrap();
    for (name, tape) in tapes {
        std::fs::write(folder.join(format!("{name}.stream")), tape.to_string()).unwrap();
    }
    true
}

/// Whoever changes a byte of what travels finds out here: put it back, or record the next version.
#[tokio::test]
async fn the_wire_is_what_the_newest_recordings_say() {
    if record().await {
        return;
    }
    let (version, tapes) = newest();
    let today = recorder::record_all().await;
    assert_eq!(
        today.keys().collect::<Vec<_>>(),
        tapes.keys().collect::<Vec<_>>(),
        "recordings of {version}: cargo xtask record-streams"
    );
    for (name, tape) in today {
        assert_eq!(tape.to_string(), tapes[&name].to_string(), "{version}/{name} is said differently today");
    }
    for (name, tape) in tapes {
        let made = newer::like_newer(&tape).await;
        assert_eq!(made.to_string(), versions()[NEWER][&name].to_string(), "newer/{name}");
    }
}

#[tokio::test]
async fn every_recording_is_read_as_it_was_meant() {
    let mut read = 0;
    for (version, tapes) in versions() {
        for (name, tape) in tapes {
            let mut held = meaning::Held::default();
            for entry in &tape.0 {
                let Entry::Message { side, meaning, bytes } = entry else { continue };
                let today = match side {
                    Side::Follower => {
                        let request = bytes::read_request(bytes).await.unwrap();
                        held.leave(&request);
                        meaning::of_request(&request)
                    }
                    Side::Plane => {
                        let update = bytes::read_update(bytes).await.unwrap();
                        held.apply(&update);
                        meaning::of_update(&update)
                    }
                };
                assert_eq!(&today, meaning, "{version}/{name}");
                read += 1;
            }
            assert_eq!(Some(held.to_string().as_str()), tape.holds(), "{version}/{name}");
        }
    }
    assert!(read > 50, "only {read} messages are recorded");
}

#[tokio::test]
async fn a_plane_of_today_answers_every_recorded_follower_as_its_own_did() {
    for (version, tapes) in versions() {
        for (name, tape) in tapes {
            replay(&tape, &format!("{version}/{name}")).await;
        }
    }
}

/// Lets a control plane do what is recorded of its registry, says to it what the follower said, byte by byte, and
/// compares what it says.
async fn replay(tape: &Tape, name: &str) {
    let stage = Stage::new();
    let mut talk: Option<Talk> = None;
    for entry in &tape.0 {
        match entry {
            Entry::Note(_) | Entry::Holds(_) => {}
            Entry::Act(act) => stage.act(act).await,
            Entry::Stream => talk = Some(stage.talk().await),
            Entry::Message { side: Side::Follower, bytes, .. } => talk.as_ref().unwrap().say(bytes),
            // Only a later release knows of it, and sends it unasked.
            Entry::Message { meaning, .. } if meaning.starts_with(meaning::UNKNOWN_TYPE_SENT) => {}
            Entry::Message { meaning, .. } => {
                let said = talk.as_mut().unwrap().hear().await;
                let today = meaning::of_update(&bytes::read_update(&said).await.unwrap());
                assert_eq!(
                    newer::without_newer_values(meaning),
                    newer::without_newer_values(&today),
                    "{name}"
                );
            }
        }
    }
    if let Some(talk) = &mut talk {
        assert!(talk.is_silent(), "{name}: more is said than was recorded");
    }
}

#[tokio::test]
async fn types_that_the_plane_does_not_know_are_counted() {
    let stage = Stage::new();
    let tape = &newest().1["unknown-type"];
    let mut talk = stage.talk().await;
    let mut asked = 0;
    for entry in &tape.0 {
        match entry {
            Entry::Act(act) => stage.act(act).await,
            Entry::Message { side: Side::Follower, bytes, meaning } => {
                asked += u64::from(meaning.starts_with("type.googleapis.com/"));
                talk.say(bytes);
            }
            Entry::Message { .. } => drop(talk.hear().await),
            _ => {}
        }
    }
    assert!(asked > 0 && talk.is_silent());
    assert_eq!(stage.hub.followers()[0].strange, asked);
}
