//! The client of a control plane against a server that plays one.

#![allow(clippy::unwrap_used)]
use super::*;
use model::{ServiceName, Settings};
use std::os::unix::fs::PermissionsExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const JOINED: &str = r#"{"version":1,"environment":"shop","delivery":"127.0.0.1:7701","lease_ms":9000}"#;
const ADMITTED: &str = r#"{"version":1,"environment":"shop","delivery":"127.0.0.1:7701","lease_ms":9000,"credential":"secret-1"}"#;

/// A server that answers one request after the other with these, and passes on what it was asked.
async fn serve(answers: Vec<(u16, &'static str)>) -> (String, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, asked) = unbounded_channel();
    tokio::spawn(async move {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            while !crate::ask::is_whole(&bytes) {
                stream.read_buf(&mut bytes).await.unwrap();
            }
            sender.send(String::from_utf8(bytes).unwrap()).unwrap();
            let length = body.len();
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, asked)
}

struct Play {
    folder: tempfile::TempDir,
    asked: UnboundedReceiver<String>,
    address: String,
}

impl Play {
    async fn begin(answers: Vec<(u16, &'static str)>) -> Play {
        let folder = tempfile::tempdir().unwrap();
        let (address, asked) = serve(answers).await;
        Play { folder, asked, address }
    }

    fn seat(&self, token: Option<&str>) -> Seat {
        let join_token = token.map(|token| {
            let path = self.folder.path().join("token");
            fs::write(&path, format!("{token}\n")).unwrap();
            path
        });
        Remote::seat(RemoteOptions {
            address: self.address.clone(),
            agent: AgentName::new("node-1").unwrap(),
            join_token,
            folder: self.folder.path().to_owned(),
            passing: false,
        })
    }

    /// The next request: its first line, who sent it, its body.
    fn asked(&mut self) -> (String, Option<String>, String) {
        let text = self.asked.try_recv().unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let bearer = head.lines().find_map(|line| line.strip_prefix("Authorization: Bearer "));
        (head.lines().next().unwrap().to_owned(), bearer.map(str::to_owned), body.to_owned())
    }
}

fn instance() -> Registration {
    Registration {
        name: InstanceName::new("a-1").unwrap(),
        service: ServiceName::new("a").unwrap(),
        address: "127.0.0.1:20001".parse().unwrap(),
        incarnation: 7,
    }
}

#[tokio::test]
async fn a_token_is_needed_once_and_the_credential_is_for_this_user_only() {
    let mut play = Play::begin(vec![(200, ADMITTED), (200, JOINED)]).await;
    let seat = play.seat(Some("token-1"));
    assert!(seat.known.is_none());
    let joined = seat.plane.join().await.unwrap();
    assert_eq!((&*joined.environment, joined.lease), ("shop", Duration::from_secs(9)));
    let (line, bearer, body) = play.asked();
    assert_eq!(line, "POST /v1/agents/node-1/join HTTP/1.1");
    assert_eq!(bearer.as_deref(), Some("token-1"));
    assert!(body.starts_with(r#"{"session":"#), "{body}");
    let file = play.folder.path().join("credential");
    assert_eq!(fs::read_to_string(&file).unwrap(), "secret-1\n");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!format!("{:?} {seat:?}", seat.plane).contains("secret-1"));
    // Another run of the agent, without a token.
    let seat = play.seat(None);
    let known = seat.known.clone().unwrap();
    assert_eq!((&*known.environment, known.delivery.port()), ("shop", 7701));
    seat.plane.join().await.unwrap();
    assert_eq!(play.asked().1.as_deref(), Some("secret-1"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "secret-1\n", "it goes on being good");
}

#[tokio::test]
async fn a_credential_that_cannot_be_kept_is_not_used() {
    let mut play = Play::begin(vec![(200, ADMITTED), (200, ADMITTED)]).await;
    let plane = play.seat(Some("token-1")).plane;
    // In the way of the file that is written beside it is a folder.
    let in_the_way = play.folder.path().join("credential.new");
    fs::create_dir(&in_the_way).unwrap();
    let error = plane.join().await.unwrap_err();
    assert!(matches!(&error, PlaneError::Away(why) if why.contains("credential")), "{error:?}");
    fs::remove_dir(&in_the_way).unwrap();
    plane.join().await.unwrap();
    assert_eq!(play.asked().1.as_deref(), Some("token-1"));
    assert_eq!(play.asked().1.as_deref(), Some("token-1"), "it is asked for again");
    assert_eq!(fs::read_to_string(play.folder.path().join("credential")).unwrap(), "secret-1\n");
}

#[tokio::test]
async fn a_long_answer_is_read_whole() {
    let refused =
        |at: usize| format!(r#"{{"name":"a-{at}","problem":"name-taken","text":"{}"}}"#, "x".repeat(200));
    let all: Vec<String> = (0..3_000).map(refused).collect();
    let body = format!(r#"{{"version":1,"refused":[{}]}}"#, all.join(","));
    let play = Play::begin(vec![(200, &*Box::leak(body.into_boxed_str()))]).await;
    let refused = play.seat(None).plane.list(vec![instance()]).await.unwrap();
    assert_eq!(refused.len(), 3_000);
}

#[tokio::test]
async fn a_credential_that_is_not_good_any_more_gives_way_to_the_token() {
    let unknown = (401, r#"{"version":1,"problem":"not-identified","text":"unknown credential"}"#);
    let mut play = Play::begin(vec![unknown, (200, ADMITTED)]).await;
    fs::write(play.folder.path().join("credential"), "old\n").unwrap();
    play.seat(Some("token-1")).plane.join().await.unwrap();
    assert_eq!(play.asked().1.as_deref(), Some("old"));
    assert_eq!(play.asked().1.as_deref(), Some("token-1"));
}

fn is_refused(error: &PlaneError) -> bool {
    matches!(error, PlaneError::Refused { .. })
}

#[tokio::test]
async fn without_a_good_token_the_way_out_is_told() {
    let play =
        Play::begin(vec![(401, r#"{"version":1,"problem":"not-identified","text":"unknown token"}"#)]).await;
    let error = play.seat(None).plane.join().await.unwrap_err();
    assert!(is_refused(&error) && error.to_string().contains("--join-token-file"), "{error}");
    let error = play.seat(Some("")).plane.join().await.unwrap_err();
    assert!(is_refused(&error) && error.to_string().contains("no join token in"), "{error}");
    let error = play.seat(Some("wrong")).plane.join().await.unwrap_err();
    assert!(is_refused(&error) && error.to_string() == "unknown token", "{error}");
}

#[tokio::test]
async fn each_call_is_one_request() {
    let mut play = Play::begin(vec![
        (200, r#"{"version":1,"settled":true,"waiting":[]}"#),
        (200, r#"{"version":1,"settled":false,"waiting":["b-1"]}"#),
        (200, r#"{"version":1,"refused":[{"name":"a-1","problem":"stale","text":"too old"}]}"#),
        (200, r#"{"version":1}"#),
        (200, r#"{"version":1}"#),
        (200, r#"{"version":1}"#),
    ])
    .await;
    fs::write(play.folder.path().join("credential"), "secret\n").unwrap();
    let plane = play.seat(None).plane;
    let second = Duration::from_secs(1);
    assert_eq!(plane.register(instance(), second).await, Ok(Settled::Everywhere));
    let (line, bearer, body) = play.asked();
    assert_eq!(line, "PUT /v1/agents/node-1/instances/a-1?wait=1000ms HTTP/1.1");
    assert_eq!(bearer.as_deref(), Some("secret"));
    let said: api::Registration = api::decode(&body).unwrap();
    assert_eq!((&*said.service, &*said.address, said.incarnation), ("a", "127.0.0.1:20001", 7));
    let out = plane.deregister(instance().name, second).await;
    assert_eq!(out, Ok(Settled::NotYet { waiting: vec!["b-1".into()] }));
    let line = play.asked().0;
    let begin = format!("DELETE /v1/agents/node-1/instances/a-1?session={}&wait=1000ms", said.session);
    assert!(line.starts_with(&begin), "{line}");
    let refused = plane.list(vec![instance()]).await;
    assert_eq!(refused, Ok(vec![(instance().name, "too old".into())]));
    assert!(play.asked().0.starts_with("PUT /v1/agents/node-1/instances "));
    plane.beat().await.unwrap();
    assert!(play.asked().0.starts_with("POST /v1/agents/node-1/beat "));
    plane.leave().await.unwrap();
    assert!(play.asked().0.starts_with("POST /v1/agents/node-1/leave "));
    let service = ServiceName::new("a").unwrap();
    let settings = Settings::default();
    plane.declare(vec![Declaration { service, settings, author: "me".into() }]).await.unwrap();
    let (line, _, body) = play.asked();
    assert!(line.starts_with("PUT /v1/agents/node-1/declarations "));
    let said: api::Declarations = api::decode(&body).unwrap();
    let settings = wire::files::decode_settings(&said.services[0].settings.to_string(), "a").unwrap();
    assert_eq!(settings, Settings::default());
}

#[tokio::test]
async fn every_answer_has_its_meaning() {
    let play = Play::begin(vec![
        (409, r#"{"version":1,"problem":"stale","text":"later","known":9}"#),
        (409, r#"{"version":1,"problem":"name-taken","text":"b has it"}"#),
        (403, r#"{"version":1,"problem":"not-permitted","text":"not a"}"#),
        (401, r#"{"version":1,"problem":"not-identified","text":"who"}"#),
        (503, r#"{"version":1,"problem":"store-full","text":"no room"}"#),
        (200, "<html>"),
        (404, "nothing here"),
    ])
    .await;
    let plane = play.seat(None).plane;
    let register = || async { plane.register(instance(), Duration::ZERO).await.unwrap_err() };
    assert_eq!(register().await, PlaneError::Stale { known: Some(9) });
    for word in ["name-taken", "not-permitted"] {
        let error = register().await;
        assert!(matches!(&error, PlaneError::Refused { word: said, .. } if said == word), "{error:?}");
    }
    assert_eq!(register().await, PlaneError::NotJoined("who".into()));
    assert_eq!(register().await, PlaneError::Away("no room".into()));
    for _ in 0..2 {
        let error = register().await;
        assert!(matches!(&error, PlaneError::Away(why) if why.contains("not understood")), "{error:?}");
    }
    // By now nobody listens.
    let error = register().await;
    assert!(matches!(&error, PlaneError::Away(why) if why.contains(&play.address)), "{error:?}");
}

#[tokio::test]
async fn who_is_out_already_is_out() {
    let play = Play::begin(vec![(409, r#"{"version":1,"problem":"no-instance","text":"none"}"#)]).await;
    let out = play.seat(None).plane.deregister(instance().name, Duration::ZERO).await;
    assert_eq!(out, Ok(Settled::Everywhere));
}
