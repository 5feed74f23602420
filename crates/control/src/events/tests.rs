//! Events are written down, read again, and waited for.

#![allow(clippy::unwrap_used)]
use super::*;
use std::time::Duration;

fn happening(text: &str) -> Happening {
    Happening { kind: "started".into(), text: text.into(), ..Happening::default() }
}

#[tokio::test]
async fn events_are_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let events = Events::open(Some(&path), None);
    events.add(happening("one"));
    events.add(happening("two"));
    let text = fs::read_to_string(&path).unwrap();
    let written: Vec<Event> = text.lines().map(|line| decode(line).unwrap()).collect();
    assert_eq!(written, events.answer(Query::default()).await.events);
    assert_eq!((written[1].seq, written[1].text.as_str()), (2, "two"));
}

#[test]
fn no_more_is_read_than_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let events = Events::open(Some(&path), None);
    for _ in 0..RecentEvents::KEPT + 10 {
        events.add(happening("one"));
    }
    let known = read(&path);
    assert_eq!((known.len(), known[0].seq), (RecentEvents::KEPT, 11));
}

#[tokio::test]
async fn numbers_go_on_after_a_restart_even_where_the_last_line_was_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    Events::open(Some(&path), None).add(happening("one"));
    fs::write(&path, fs::read_to_string(&path).unwrap() + "{\"seq\":2,\"ti").unwrap();
    let events = Events::open(Some(&path), None);
    events.add(happening("two"));
    let all = events.answer(Query::after(0, Duration::ZERO)).await;
    assert_eq!((all.events.len(), all.events[1].seq, all.next, all.lost), (2, 2, 2, 0));
    drop(events);
    let texts: Vec<_> = read(&path).into_iter().map(|event| event.text).collect();
    assert_eq!(texts, ["one", "two"], "the cut line stands alone");
}

#[tokio::test(start_paused = true)]
async fn an_event_is_waited_for_and_told() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell: Tell = Box::new(move |event: &Event| tell.send(event.seq).unwrap());
    let events = Events::open(None, Some(tell));
    let asked = events.answer(Query::after(0, Duration::from_secs(60)));
    let (answer, ()) = tokio::join!(asked, async { events.add(happening("one")) });
    assert_eq!((answer.events.len(), told.recv().unwrap()), (1, 1));
    let nothing = events.answer(Query::after(1, Duration::from_secs(60))).await;
    assert!(nothing.events.is_empty());
}

#[test]
fn a_file_that_cannot_be_written_is_no_panic() {
    let events = Events::open(Some(Path::new("/proc/no/such/folder/e")), None);
    events.add(happening("lost"));
    assert_eq!(events.list().recent.last(), 1);
}
