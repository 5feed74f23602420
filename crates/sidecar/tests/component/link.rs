//! A sidecar that follows a control plane: what is said there is used here, and nothing is lost when nobody says it.

use crate::harness::{Instance, OK, Sidecar, edge, eventually, nobody, service};
use crate::plane::Plane;
use model::{Settings, Snapshot};
use std::net::SocketAddr;

/// The addresses of a service's instances, as the sidecar shows them.
fn endpoints(sidecar: &Sidecar, of: &str) -> Vec<SocketAddr> {
    let services = snapshot(sidecar).services;
    let found = services.iter().find(|service| service.name.as_str() == of);
    let mut all: Vec<_> = found.iter().flat_map(|s| s.endpoints.iter().map(|e| e.address)).collect();
    all.sort();
    all
}

fn snapshot(sidecar: &Sidecar) -> Snapshot {
    wire::files::decode_snapshot(&sidecar.page("/config_dump").text(), "dump").unwrap()
}

fn is_ready(sidecar: &Sidecar) -> bool {
    sidecar.page("/ready").status == 200
}

#[test]
fn what_is_registered_is_called_and_what_has_left_is_not() {
    let plane = Plane::start();
    let [one, two] = [Instance::answering(OK), Instance::answering(OK)];
    plane.declare("item", Settings::default());
    plane.register("item", 1, one.address);
    let sidecar = Sidecar::following(edge(vec![service("item", &[])]), plane.address);
    assert!(eventually(|| is_ready(&sidecar)), "{}", sidecar.page("/ready").text());
    assert_eq!(sidecar.caller("edge").get("/").status, 200);
    assert_eq!(one.pending_heads(), 1);
    plane.register("item", 2, two.address);
    assert!(eventually(|| endpoints(&sidecar, "item").len() == 2));
    plane.deregister("item", 1);
    // Everybody has let go: no request goes there from now on, and that needs no further waiting.
    plane.farewell("item", 1);
    let mut caller = sidecar.caller("edge");
    for _ in 0..20 {
        assert_eq!(caller.get("/").status, 200);
    }
    assert_eq!((one.pending_heads(), two.pending_heads()), (0, 20));
    assert_eq!(sidecar.metric("outrigger_control_connected", &[]), 1.0);
    assert_eq!(sidecar.metric("outrigger_control_rejected_total", &[]), 0.0);
    assert!(sidecar.metric("outrigger_control_updates_total", &[]) >= 3.0);
    assert!(eventually(|| sidecar.metric("outrigger_snapshot_age_seconds", &[]) == 0.0));
}

#[test]
fn nobody_is_ready_before_the_control_plane_has_said_where_things_are() {
    let sidecar = Sidecar::following(edge(vec![service("item", &[]), service("user", &[])]), nobody());
    let answer = sidecar.page("/ready");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("item, user"), "{}", answer.text());
    assert!(eventually(|| sidecar.page("/ready").text().contains("refused")), "the cause is told");
    let alone = Sidecar::following(edge(vec![]), nobody());
    assert!(is_ready(&alone), "who depends on nobody waits for nobody");
}
