//! Right manifests and what they mean.
#![allow(clippy::unwrap_used, missing_docs)]

use model::{
    Balancing, Edge, EdgeRoute, Importance, Liveness, Preset, Probe, Restart, ServiceKind, ServiceName,
    Settings, Share, Startup,
};
use std::fs;
use std::path::Path;
use std::time::Duration;
use wire::files::{decode_environment, decode_service, load, load_service};

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

fn policies(text: &str, base: Preset) -> Settings {
    let text = format!("name = \"a\"\n[run]\ncommand = [\"a\"]\n{text}");
    decode_service(&text, "service.toml", base).unwrap_or_else(|p| panic!("{p}")).settings
}

#[test]
fn the_shop_is_in_order() {
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop");
    let shop = load(&shop).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((shop.services.len(), shop.instances()), (5, 10));
    let opbox = shop.service(&name("opbox")).unwrap();
    assert!(opbox.manifest.outgoing.contains(&name("listing")));
    assert!(opbox.folder.is_absolute());
    assert_eq!(opbox.manifest.startup.probe, Probe::Http("/health".into()));
    assert_eq!(opbox.settings, Settings::default());
    assert_eq!(shop.edge.unwrap().routes, [EdgeRoute { prefix: "/".into(), service: name("opbox") }]);
}

#[test]
fn a_manifest_that_says_little_means_the_defaults() {
    let service = decode_service("name = 'a'\nrun.command = ['a']", "service.toml", Preset::Default).unwrap();
    assert_eq!(service.kind, ServiceKind::Service);
    assert_eq!(service.importance, Importance::Critical);
    assert_eq!(service.startup, Startup::default());
    assert_eq!(service.liveness, None);
    assert_eq!(service.restart, Restart::default());
    assert_eq!(service.settings, Settings::default());
    assert!(service.outgoing.is_empty() && service.run.build.is_empty());
    let environment = decode_environment("name = 'e'\n[services.a]", "environment.toml").unwrap();
    assert_eq!(environment.edge, None);
    assert_eq!(environment.policies, Preset::Default);
    let a = &environment.services[0];
    assert_eq!((a.path.as_str(), a.instances, a.policies), ("a", 1, None));
}

#[test]
fn everything_that_can_be_said_is_heard() {
    let text = r#"
        name = "nightly"
        description = "Counts."
        kind = "service"
        importance = "bulk"
        [run]
        command = ["./count", "--all"]
        build = ["make", "count"]
        stop-grace = "1m30s"
        environment = { LEVEL = "3" }
        [probes.startup]
        path = "/ready?deep=1"
        period = "1s"
        timeout = "2s"
        within = "3m"
        [probes.liveness]
        tcp = true
        period = "4s"
        timeout = "5s"
        failures = 6
        [restart]
        back-off = "2s"
        at-most = "1m"
        [outgoing]
        services = ["b", "nightly"]
    "#;
    let s = decode_service(text, "service.toml", Preset::Default).unwrap_or_else(|p| panic!("{p}"));
    let secs = Duration::from_secs;
    assert_eq!((s.description.as_str(), s.importance), ("Counts.", Importance::Bulk));
    assert_eq!(s.run.command, ["./count", "--all"]);
    assert_eq!(s.run.build, ["make", "count"]);
    assert_eq!(s.run.stop_grace, secs(90));
    assert_eq!(s.run.environment["LEVEL"], "3");
    let startup = Startup {
        probe: Probe::Http("/ready?deep=1".into()),
        period: secs(1),
        timeout: secs(2),
        within: secs(180),
    };
    assert_eq!(s.startup, startup);
    let liveness = Liveness { probe: Probe::Tcp, period: secs(4), timeout: secs(5), failures: 6 };
    assert_eq!(s.liveness, Some(liveness));
    assert_eq!(s.restart, Restart { back_off: secs(2), at_most: secs(60) });
    assert_eq!(s.outgoing, [name("b"), name("nightly")]);
}

#[test]
fn policies_are_differences_from_a_preset() {
    assert_eq!(policies("", Preset::Pick), Preset::Pick.settings());
    assert_eq!(policies("[policies]\npreset = 'off'", Preset::Pick), Preset::Off.settings());
    let s = policies("[policies]\nbalancing = 'least-loaded'\npanic = 0\nretry = false", Preset::Default);
    assert_eq!((s.balancing, s.panic, s.retry), (Balancing::LeastLoaded, Share::NONE, None));
    assert_eq!(s.breaker, Settings::default().breaker);
    // A policy that the preset leaves out begins from its own defaults.
    let s = policies("[policies.retry]\nbudget = '20%'", Preset::Off);
    let retry = s.retry.unwrap();
    assert_eq!((retry.budget, retry.floor_per_second), (Some(Share::percent(20)), 1));
    assert_eq!(s.breaker, None);
    let s =
        policies("[policies]\nlimit = { in-flight = 8, queue = 0 }\nhedge.after = '50ms'", Preset::Default);
    assert_eq!(s.limit.map(|l| (l.in_flight, l.queue)), Some((8, 0)));
    assert_eq!(s.hedge.map(|h| h.after), Some(Duration::from_millis(50)));
}

#[test]
fn retries_of_the_past_can_be_written() {
    let written = "tries = 5\ntry-timeout = '3s'\nbudget = false\nback-off = '0s'\nstacked = true";
    let retry = policies(&format!("[policies.retry]\n{written}"), Preset::Default).retry.unwrap();
    let storm = Preset::Retries4.settings().retry.unwrap();
    assert_eq!(retry, model::Retry { floor_per_second: 1, ..storm });
    // An edge differs from its preset in one figure.
    let s = policies("[policies]\npreset = 'allegro-2018'\nretry.try-timeout = '1s'", Preset::Default);
    let of_2018 = Preset::Allegro2018.settings();
    let try_timeout = Some(Duration::from_secs(1));
    let retry = of_2018.retry.map(|r| model::Retry { try_timeout, ..r });
    assert_eq!(s, Settings { retry, ..of_2018 });
    // And what the preset has can be taken away again.
    let s = policies("[policies]\npreset = 'allegro-2018'\nretry.try-timeout = false", Preset::Default);
    assert_eq!(s.retry.unwrap().try_timeout, None);
}

#[test]
fn a_default_gives_way_to_what_is_written() {
    let s = policies("[policies.timeouts]\ntotal = '300ms'", Preset::Default);
    assert_eq!(s.timeouts.connect, Duration::from_millis(300));
    let s = policies("[policies.breaker]\nrest = '5m'", Preset::Default);
    assert_eq!(s.breaker.unwrap().rest_at_most, Duration::from_secs(300));
}

#[test]
fn the_longest_route_comes_first() {
    let text = "name = 'e'\n[edge]\nlisten = '[::1]:80'\nroutes = { '/' = 'a', '/x/y/' = 'a', '/x' = 'a' }\n[services.a]";
    let Edge { listen, routes } = decode_environment(text, "environment.toml").unwrap().edge.unwrap();
    let prefixes: Vec<&str> = routes.iter().map(|r| r.prefix.as_str()).collect();
    assert_eq!(prefixes, ["/x/y", "/x", "/"]);
    assert_eq!(listen, Some("[::1]:80".parse().unwrap()));
}

/// An environment in a folder of its own, with one service `a` in the folder `a`.
fn folder(environment: &str, service: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("environment.toml"), environment).unwrap();
    fs::create_dir(dir.path().join("a")).unwrap();
    fs::write(dir.path().join("a/service.toml"), service).unwrap();
    dir
}

#[test]
fn the_environment_has_the_last_word() {
    let environment =
        "name = 'e'\n[services.a]\npolicies = 'off'\ninstances = 3\nenvironment = { A = 'e', C = 'e' }";
    let service = "name = 'a'\n[run]\ncommand = ['a']\nenvironment = { A = 's', B = 's' }\n[policies]\nlimit = { in-flight = 1, queue = 1 }";
    let dir = folder(environment, service);
    let e = load(dir.path()).unwrap_or_else(|p| panic!("{p}"));
    let a = &e.services[0];
    let variables: Vec<(&str, &str)> = a.environment.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(variables, [("A", "e"), ("B", "s"), ("C", "e")]);
    assert_eq!(a.settings, Preset::Off.settings());
    assert_eq!(a.manifest.settings.limit.map(|l| l.in_flight), Some(1));
    assert_eq!((a.instances, e.instances()), (3, 3));
}

#[test]
fn the_environments_preset_is_for_services_that_name_none() {
    let dir = folder(
        "name = 'e'\n[defaults]\npolicies = 'pick'\n[services.a]",
        "name = 'a'\n[run]\ncommand = ['a']\n[policies]\nlimit = { in-flight = 1, queue = 1 }",
    );
    let a = &load(dir.path()).unwrap().services[0];
    assert_eq!(a.for_callers(), Preset::Pick.settings());
    assert_eq!(a.for_app().limit.map(|l| l.in_flight), Some(1));
    assert_eq!(a.for_app().slow_start, None);
}

#[test]
fn a_service_alone_can_be_read() {
    let dir = folder("", "name = 'a'\n[run]\ncommand = ['a']\n[outgoing]\nservices = ['b']");
    assert_eq!(load_service(&dir.path().join("a")).unwrap().outgoing, [name("b")]);
    let problems = load_service(dir.path()).unwrap_err();
    assert!(problems.to_string().contains("service.toml: cannot be read"), "{problems}");
}

#[test]
fn a_link_that_leads_out_is_refused() {
    let outside = folder("", "name = 'a'\n[run]\ncommand = ['a']");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("environment.toml"), "name = 'e'\n[services.a]\n").unwrap();
    std::os::unix::fs::symlink(outside.path().join("a"), dir.path().join("a")).unwrap();
    let problems = load(dir.path()).unwrap_err();
    assert_eq!(problems.all().len(), 1, "{problems}");
    let problem = &problems.all()[0];
    assert!(problem.message.contains("leads out of"), "{problem}");
    assert_eq!((problem.line, problem.column), (2, 11));
}

#[test]
fn a_file_that_is_no_text_is_a_problem_with_a_place() {
    let dir = folder("name = 'e'\n[services.a]\n", "");
    fs::write(dir.path().join("a/service.toml"), b"name = 'a'\n# \xff\n[run]\ncommand = ['a']").unwrap();
    let problems = load(dir.path()).unwrap_err();
    assert_eq!(problems.all().len(), 1, "{problems}");
    assert_eq!((problems.all()[0].line, problems.all()[0].column), (2, 3));
    fs::write(dir.path().join("a/service.toml"), "#".repeat(2 << 20)).unwrap();
    assert!(load(dir.path()).unwrap_err().to_string().contains("larger than 1 MiB"));
}
