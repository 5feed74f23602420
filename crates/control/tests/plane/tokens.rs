//! Join tokens and credentials: which are good, and for what.

use crate::follower::Follower;
use crate::problem;
use crate::stage::{PATIENCE, Stage, registration};
use api::{TokenWish, ask};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use wire::xds::Kind;

fn wish(services: &[&str], ttl_ms: Option<u64>, uses: Option<u32>) -> TokenWish {
    TokenWish { services: services.iter().map(|name| (*name).to_owned()).collect(), ttl_ms, uses }
}

#[test]
fn the_first_token_is_in_a_file_of_its_owner_and_stays_good() {
    let stage = Stage::begin();
    let token = stage.first_token();
    assert_eq!(token, stage.first_token(), "one is enough");
    let file = stage.folder.path().join("join-token");
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    stage.join_with("node", 1, &token).unwrap();
    let stage = stage.restart();
    assert_eq!(token, stage.first_token());
    stage.join_with("other", 1, &token).unwrap();
    stage.end();
}

#[test]
fn only_hashes_are_kept_and_nothing_shows_a_secret() {
    let stage = Stage::begin();
    let token = stage.token(&TokenWish::default());
    let credential = stage.join_with("node", 1, &token).unwrap().credential.unwrap();
    stage.join_with("node", 2, "outrigger-join-000000000000-wrong").unwrap_err();
    let shown = [
        stage.raw("GET", "/v1/tokens", None, "").1,
        stage.raw("GET", "/v1/events", None, "").1,
        stage.raw("GET", "/v1/agents", None, "").1,
    ];
    let folder = stage.end();
    let secrets = [&token, &credential].map(|text| text.rsplit_once('-').unwrap().1.to_owned());
    let mut places: Vec<(String, Vec<u8>)> =
        shown.iter().map(|text| (text.clone(), text.clone().into())).collect();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        places.push((path.display().to_string(), std::fs::read(path).unwrap()));
    }
    assert!(places.len() >= 5, "events and registry are there");
    for secret in secrets {
        for (place, bytes) in &places {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{place}");
        }
    }
}

#[test]
fn wrong_foreign_and_missing_tokens_are_not_let_in_and_that_is_told_once() {
    let stage = Stage::begin();
    let token = stage.token(&TokenWish::default());
    let changed = format!("{}0", &token[..token.len() - 1]);
    let other = if changed == token { format!("{}1", &token[..token.len() - 1]) } else { changed };
    for bearer in ["", "secret", "outrigger-join-", "outrigger-agent-node-1", &other] {
        let refused = problem(stage.join_with("node", 1, bearer));
        assert_eq!(refused.problem, "not-identified", "{bearer}");
        assert!(!refused.text.contains("secret"), "what was shown is not told");
    }
    let join = r#"{"session":1}"#;
    assert_eq!(stage.raw("POST", "/v1/agents/node/join", None, join).0, 401);
    assert_eq!(stage.raw("POST", "/v1/agents/Node/join", Some(&token), join).0, 400);
    assert_eq!(stage.raw("POST", "/v1/agents/node/join", Some(&token), "{").0, 400);
    let events = stage.client().events(api::Query::default()).unwrap().events;
    let told = events.iter().filter(|event| event.kind == "request-refused").count();
    assert!((1..5).contains(&told), "{told} of 6 within a moment");
    // A token is for joining, and the credential for everything else.
    let beat = problem(stage.client().with_bearer(&*token).send(&ask::beat("node", 1)));
    assert_eq!(beat.problem, "not-identified");
    stage.end();
}

#[test]
fn a_token_expires_by_the_clock_on_the_wall() {
    let stage = Stage::begin();
    let token = stage.token(&wish(&[], Some(1), None));
    let begun = Instant::now();
    // It was good for a millisecond: each try is a new agent, until that is over.
    let refused = (0..).find_map(|number| match stage.join_with(&format!("node-{number}"), 1, &token) {
        Err(api::ClientError::Refused(problem)) => Some(problem),
        Err(other) => panic!("{other}"),
        Ok(_) => {
            assert!(begun.elapsed() < PATIENCE, "it never expires");
            None
        }
    });
    let refused = refused.unwrap();
    assert_eq!(refused.problem, "not-identified");
    assert!(refused.text.contains("expired"), "{}", refused.text);
    assert!(
        stage.client().send(&ask::tokens()).unwrap().tokens.is_empty(),
        "nobody can join with it any more"
    );
    stage.end();
}

#[test]
fn a_used_up_token_is_refused_also_after_a_restart_of_the_plane() {
    let stage = Stage::begin();
    let token = stage.token(&wish(&[], None, Some(1)));
    let credential = stage.join_with("node", 1, &token).unwrap().credential.unwrap();
    let spent = |stage: &Stage| {
        let refused = problem(stage.join_with("thief", 1, &token));
        assert_eq!(refused.problem, "not-identified");
        assert!(refused.text.contains("used up"), "{}", refused.text);
    };
    spent(&stage);
    let stage = stage.restart();
    spent(&stage);
    // The agent itself needs no token any more.
    let joined = stage.join_with("node", 2, &credential).unwrap();
    assert_eq!(joined.credential, None);
    stage.client().with_bearer(credential).send(&ask::beat("node", 2)).unwrap();
    stage.end();
}

#[test]
fn a_token_for_a_service_lets_nothing_else_be_registered() {
    let stage = Stage::begin();
    let token = stage.token(&wish(&["offers"], None, None));
    let credential = stage.join_with("node", 1, &token).unwrap().credential.unwrap();
    let stage = stage.restart();
    let node = stage.client().with_bearer(credential);
    node.send(&ask::register("node", "offers-1", &registration(1, "offers", 9001), Duration::ZERO)).unwrap();
    let refused =
        node.send(&ask::register("node", "search-1", &registration(1, "search", 9002), Duration::ZERO));
    assert_eq!(problem(refused).problem, "not-permitted");
    let listed = |name: &str, service: &str, port| api::ListedInstance {
        name: name.into(),
        service: service.into(),
        address: format!("127.0.0.1:{port}"),
        incarnation: 1,
    };
    let instances = vec![listed("offers-1", "offers", 9001), listed("search-1", "search", 9002)];
    let answer = node.send(&ask::list("node", &api::List { session: 1, instances })).unwrap();
    assert_eq!((answer.refused.len(), answer.refused[0].problem.as_str()), (1, "not-permitted"));
    let settings = api::decode(&wire::files::encode_settings(&model::Preset::Off.settings())).unwrap();
    let declaration = api::Declaration { service: "search".into(), settings, author: String::new() };
    let declared = api::Declarations { session: 1, services: vec![declaration] };
    assert_eq!(problem(node.send(&ask::declare("node", &declared))).problem, "not-permitted");
    assert_eq!(stage.client().services().unwrap().services.len(), 1);
    let agents = stage.client().send(&ask::agents()).unwrap().agents;
    assert_eq!(agents[0].services, ["offers"]);
    stage.end();
}

#[test]
fn a_token_that_was_taken_back_is_no_longer_good_and_who_has_joined_stays() {
    let stage = Stage::begin();
    let made = stage.client().send(&ask::mint(&TokenWish::default())).unwrap();
    let token = made.token.unwrap();
    let credential = stage.join_with("node", 1, &token).unwrap().credential.unwrap();
    stage.client().send(&ask::revoke(&made.id)).unwrap();
    assert_eq!(problem(stage.client().send(&ask::revoke(&made.id))).problem, "unknown-token");
    assert_eq!(problem(stage.join_with("other", 1, &token)).problem, "not-identified");
    stage.client().with_bearer(credential).send(&ask::beat("node", 1)).unwrap();
    for wrong in [wish(&["Offers"], None, None), wish(&[], Some(0), None), wish(&[], None, Some(0))] {
        assert_eq!(problem(stage.client().send(&ask::mint(&wrong))).problem, "bad-request", "{wrong:?}");
    }
    stage.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_credentials_are_required_nobody_follows_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::in_folder(folder, |options| control::Options { require_credentials: true, ..options });
    stage.join("node", 1);
    let credential = stage.credential("node");
    let token = stage.token(&TokenWish::default());
    for shown in [None, Some("secret"), Some("outrigger-agent-node-1"), Some(&*token)] {
        let follower = Follower::connect_as(stage.delivery, "shop-1", shown, 1 << 20).await;
        let Err(refused) = follower else { panic!("{shown:?} is let in") };
        assert!(refused.to_string().contains("credential"), "{refused}");
    }
    let mut follower =
        Follower::connect_as(stage.delivery, "shop-1", Some(&credential), 1 << 20).await.unwrap();
    follower.subscribe(Kind::Service, &["offers".to_owned()], &BTreeMap::new());
    let update = tokio::time::timeout(PATIENCE, follower.hear()).await.unwrap().unwrap().unwrap();
    assert_eq!(update.removed, ["offers"]);
    stage.end();
}
