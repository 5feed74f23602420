//! Every check with its id, its group, what it means and what to do: the one table, for `check`, `explain` and the
//! guide. An id is never given another meaning, and never used again.

use crate::cli::explain::Advice;

/// What is looked at, group by group in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Group {
    Machine,
    ControlPlane,
    Agents,
    Sidecars,
    Services,
}

impl Group {
    /// The word in JSON and headings.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Group::Machine => "machine",
            Group::ControlPlane => "control-plane",
            Group::Agents => "agents",
            Group::Sidecars => "sidecars",
            Group::Services => "services",
        }
    }
}

/// A check as it is known to people.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: &'static str,
    pub(crate) group: Group,
    /// What it means when it is not fine.
    pub(crate) means: &'static str,
    /// Who has to do something then.
    pub(crate) fault: &'static str,
    pub(crate) advice: Advice,
}

/// The open files that this user may have.
pub(crate) const DESCRIPTORS: &str = "OR101";
/// Whether programs of this machine reach each other.
pub(crate) const LOOPBACK: &str = "OR102";
/// Whether state can be kept.
pub(crate) const STATE: &str = "OR103";
/// Whether there is an environment.
pub(crate) const ANSWERS: &str = "OR201";
/// How far it is.
pub(crate) const READY: &str = "OR202";
/// Whether what is registered is kept.
pub(crate) const STORE: &str = "OR203";
/// Whether its clock is this one.
pub(crate) const CLOCK: &str = "OR204";
/// Whether agents are heard of.
pub(crate) const SILENT: &str = "OR301";
/// Whether every instance has its sidecar.
pub(crate) const SIDECAR: &str = "OR401";
/// Whether sidecars have the latest.
pub(crate) const IN_STEP: &str = "OR402";
/// Whether sidecars take what they are sent.
pub(crate) const REFUSED: &str = "OR403";
/// Whether sidecars are connected.
pub(crate) const OLD: &str = "OR404";
/// Whether all instances are in rotation.
pub(crate) const ROTATION: &str = "OR501";
/// Whether a service can be called at all.
pub(crate) const NONE: &str = "OR502";
/// Whether instances stay up.
pub(crate) const RESTARTING: &str = "OR503";
/// Whether callers know of instances that answer.
pub(crate) const UNKNOWN: &str = "OR504";
/// Whether jobs end well.
pub(crate) const JOBS: &str = "OR505";
/// Whether missing instances are held.
pub(crate) const HELD: &str = "OR506";

const fn entry(
    id: &'static str,
    group: Group,
    means: &'static str,
    fault: &'static str,
    look: &'static str,
    mend: &'static str,
) -> Entry {
    Entry { id, group, means, fault, advice: Advice { look, mend } }
}

/// Every check, in the order in which they are printed.
pub(crate) static ALL: [Entry; 18] = [
    entry(
        DESCRIPTORS,
        Group::Machine,
        "A process of this user may open few files, and every connection is one.",
        "machine",
        "`ulimit -Hn`; a sidecar and a control plane take all that the hard limit allows; a sidecar refuses with `out-of-descriptors` beyond.",
        "Raise the hard limit: `nofile` in /etc/security/limits.conf, or `LimitNOFILE=` of the systemd unit.",
    ),
    entry(
        LOOPBACK,
        Group::Machine,
        "Programs of this machine do not reach each other at 127.0.0.1.",
        "machine",
        "`ip addr show lo`, and the rules of the packet filter for the interface lo.",
        "Bring the interface up (`ip link set lo up`), or let connections within 127.0.0.0/8 pass.",
    ),
    entry(
        STATE,
        Group::Machine,
        "Logs, events and what sidecars know cannot be written to the state folder.",
        "machine",
        "Who owns the folder, whether its file system is mounted for reading only, and `df` for the room that is left.",
        "Make room, let this user write there, or give another folder with --state-dir (or XDG_STATE_HOME).",
    ),
    entry(
        ANSWERS,
        Group::ControlPlane,
        "Nothing answers at the address of the API, so nothing is known of an environment.",
        "Outrigger",
        "Whether `outrigger up` or `outrigger control` runs, and which address it printed at its start.",
        "Start one, or say with --api (OUTRIGGER_API) where it answers. Sidecars serve on meanwhile with what they know.",
    ),
    entry(
        READY,
        Group::ControlPlane,
        "The environment answers, and is still starting, is stopping, or could not be started.",
        "Outrigger",
        "`outrigger events`, and the lines of the instances that are not in rotation below.",
        "Wait with `outrigger check --wait 30s`; if an instance does not start, `outrigger logs NAME` says why.",
    ),
    entry(
        STORE,
        Group::ControlPlane,
        "The control plane cannot write what is registered: it refuses changes, and serves what it knows.",
        "machine",
        "`outrigger events` for `store-failed`, and the room on the file system of its state folder.",
        "Make room there; it goes on by itself within a second. Nothing that was confirmed is lost.",
    ),
    entry(
        CLOCK,
        Group::ControlPlane,
        "The clock of the control plane's machine and that of this one differ, so times in events and logs mislead.",
        "machine",
        "`timedatectl` on both machines.",
        "Let both follow the same time servers. No decision depends on it: leases are counted by one clock.",
    ),
    entry(
        SILENT,
        Group::Agents,
        "An agent has not been heard of for longer than its lease, so nobody answers for its instances.",
        "machine",
        "Whether the agent's process runs, its machine is up, and the network between it and the control plane works.",
        "Start the agent again. Its instances are taken out after a while, unless that would be more than half of a \
         service.",
    ),
    entry(
        SIDECAR,
        Group::Sidecars,
        "An instance has no sidecar at the moment, so nobody can call it and it can call nobody.",
        "Outrigger",
        "`outrigger events` for `sidecar-exited`, and the file INSTANCE.sidecar.log in the state folder.",
        "It is started again by itself; if it keeps ending, its log says why.",
    ),
    entry(
        IN_STEP,
        Group::Sidecars,
        "A sidecar has not confirmed the latest changes yet.",
        "Outrigger",
        "`outrigger sync`: which sidecar, and since when; whether its process has processor time.",
        "Wait a moment. A sidecar that stays behind for seconds is starved or stuck: restart its instance.",
    ),
    entry(
        REFUSED,
        Group::Sidecars,
        "A sidecar refuses a change and keeps the last good one, so not everybody goes by the same policies.",
        "service",
        "`outrigger sync` names what is refused and why; the event `resource-refused` has the same.",
        "Mend what it refuses and apply that; or update the sidecar, if it is older than the control plane.",
    ),
    entry(
        OLD,
        Group::Sidecars,
        "A sidecar has no connection to the control plane, and works with what it last knew.",
        "Outrigger",
        "`outrigger_control_connected` and `outrigger_snapshot_age_seconds` of the sidecar.",
        "See whether it can reach the delivery address of the control plane; it goes on trying by itself.",
    ),
    entry(
        ROTATION,
        Group::Services,
        "Fewer instances of a service are in rotation than are wanted: the others carry their load.",
        "service",
        "`outrigger instances` for the state and the reason, `outrigger logs NAME` for its last words.",
        "Mostly it mends itself: an instance that ended is started again. If it does not, mend what its log says.",
    ),
    entry(
        NONE,
        Group::Services,
        "No instance of a service is in rotation: every call to it is refused with `no-instances`.",
        "service",
        "Why the last one went: `outrigger events` and `outrigger logs SERVICE` say so.",
        "Mend what the log says, or go back to what ran: apply the manifests as they were before.",
    ),
    entry(
        RESTARTING,
        Group::Services,
        "An instance ends again and again, and is started after a longer wait each time.",
        "service",
        "`outrigger logs INSTANCE`: its last lines before each end; `outrigger events` for the exit status.",
        "Mend the program or its configuration; `outrigger restart INSTANCE` does not wait for the back-off.",
    ),
    entry(
        UNKNOWN,
        Group::Services,
        "An instance answers, but not every sidecar that calls its service has confirmed that it knows it.",
        "Outrigger",
        "`outrigger sync`: which sidecar is behind.",
        "Wait a moment; a sidecar that does not confirm at all is replaced, or has to be restarted.",
    ),
    entry(
        JOBS,
        Group::Services,
        "A job ended badly as often as it is tried, and is not tried again.",
        "service",
        "`outrigger logs JOB`: its last lines and its exit status.",
        "Mend what it died of, then `outrigger restart JOB`.",
    ),
    entry(
        HELD,
        Group::Services,
        "Many instances of a service are missing at once, which is not believed yet: callers still know all of them.",
        "machine",
        "The event `membership-held`, and whether a network or an agent is down.",
        "Mend the network or the agent; or wait: after the grace of 30 seconds they are taken out.",
    ),
];

/// What is known of the check `id`.
pub(crate) fn get(id: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_order_and_in_the_hundred_of_their_group() {
        for pair in ALL.windows(2) {
            assert!(pair[0].id < pair[1].id, "{} stands before {}", pair[0].id, pair[1].id);
        }
        for entry in &ALL {
            let hundred = match entry.group {
                Group::Machine => "OR1",
                Group::ControlPlane => "OR2",
                Group::Agents => "OR3",
                Group::Sidecars => "OR4",
                Group::Services => "OR5",
            };
            assert!(entry.id.starts_with(hundred) && entry.id.len() == 5, "{}", entry.id);
        }
    }
}
