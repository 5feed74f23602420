//! Events are numbered, bounded, written down, and waited for.

#![allow(clippy::unwrap_used)]
use super::*;
use std::time::Duration;

fn happening(text: &str) -> Happening {
    Happening { kind: "started", text: text.into(), ..Happening::default() }
}

#[tokio::test]
async fn events_are_numbered_bounded_and_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let events = Events::open(Some(&path), None);
    for number in 0..KEPT + 10 {
        events.add(happening(&number.to_string()));
    }
    let all = events.answer(Query::after(0, Duration::ZERO)).await;
    assert_eq!((all.events.len(), all.lost, all.next), (KEPT, 10, 5010));
    let newest = events.answer(Query::tail(2)).await;
    assert_eq!(newest.events.iter().map(|e| e.seq).collect::<Vec<_>>(), [5009, 5010]);
    assert!(events.answer(Query::after(all.next, Duration::ZERO)).await.events.is_empty());
    let text = fs::read_to_string(&path).unwrap();
    let first: Event = decode(text.lines().next().unwrap()).unwrap();
    assert_eq!((first.seq, first.text.as_str()), (1, "0"));
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
    assert_eq!(events.list().last, 1);
}
