//! The keys of a scenario's file.

use super::super::declare::{Field, Kind, between_ms, field, whole};
use super::super::settings::{POLICIES, PRESETS};
use model::FleetPreset;
use std::time::Duration;

/// A day: no run is longer, and longer waits are mistakes of the unit.
const DAY: u64 = 86_400_000;

/// More requests a second than anybody has.
const MOST_RATE: f64 = 1e9;

/// The words of [`FleetPreset`].
pub(super) static FLEETS: [&str; FleetPreset::ALL.len()] = {
    let mut words = [""; FleetPreset::ALL.len()];
    let mut at = 0;
    while at < words.len() {
        words[at] = FleetPreset::ALL[at].word();
        at += 1;
    }
    words
};

static MOMENT: Kind = Kind::When;
static COUNT: Kind = whole(1);
static WAIT: Kind = any_wait();

/// From nothing to a day, in nanoseconds: a processor's work is often shorter than a millisecond.
const fn any_wait() -> Kind {
    Kind::Duration { least: Duration::ZERO, most: Duration::from_millis(DAY) }
}

const fn number(least: f64, most: f64) -> Kind {
    Kind::Number { least, most }
}

/// A list of tables.
const fn tables(of: &'static Kind) -> Kind {
    Kind::List { of, least: 0 }
}

/// Tables by name.
const fn named(of: &'static Kind, least: usize) -> Kind {
    Kind::Map { keys: &Kind::Label, of, least }
}

pub(crate) static SCENARIO: [Field; 17] = [
    field("scenario", Kind::Label, "Its name.").required().example("\"noon\""),
    field("about", Kind::Text, "What it is and where its numbers come from, for people.").default("\"\""),
    field("starts", Kind::TimeOfDay, "The time of day at which it begins.").default("\"00:00\""),
    field("lasts", between_ms(1000, DAY), "How long it is played.").required().example("\"5m\""),
    field(
        "scale",
        number(0.001, 100.0),
        "What demand, limits at the edge, and the threads, pools and cores of each instance are multiplied by when \
         nobody says otherwise. Less is quicker to play and grainier.",
    )
    .default("1"),
    field("policies", Kind::Word(&PRESETS), "The policies of calls that it is about, by preset.")
        .default("\"default\""),
    field("fleet", Kind::Word(&FLEETS), "The policies of the fleet that it is about, by preset.")
        .default("\"default\""),
    field("network", Kind::Table(&NETWORK), "The network between any two."),
    field(
        "compartments",
        named(&Kind::Table(&COMPARTMENT), 0),
        "Parts of the fleet that services are placed in, by name.",
    ),
    field(
        "services",
        Kind::Map { keys: &Kind::Name, of: &Kind::Table(&SERVICE), least: 1 },
        "The services by name.",
    )
    .required(),
    field("caches", named(&Kind::Table(&CACHE), 0), "Caches that calls may look into first, by name."),
    field(
        "limits",
        named(&Kind::Table(&LIMIT), 0),
        "Limits at the edge, by name: so many requests a second, the others get a page that says so.",
    ),
    field("clients", named(&Kind::Table(&CLIENTS), 1), "Who sends requests, by name.").required(),
    field("faults", tables(&Kind::Table(&FAULT)), "What goes wrong. Each is one kind of trouble at one time."),
    field("operators", tables(&Kind::Table(&ACTION)), "What people do. Each is one deed at one time."),
    field(
        "trouble",
        Kind::Pair(&MOMENT),
        "The window that comparisons of policies look at. Absent: the whole run.",
    )
    .example("[\"11:55\", \"12:25\"]"),
    field("acceptance", named(&Kind::Table(&ACCEPTANCE), 0), "Lists of what must be seen, by name."),
];

pub(super) static NETWORK: [Field; 3] = [
    field("delay", any_wait(), "How long a message takes, one way.").default("\"250us\""),
    field("jitter", any_wait(), "Up to so much more, evenly drawn.").default("\"0s\""),
    field("loss", Kind::Share, "This share of messages never arrives.").default("\"0%\""),
];

static COMPARTMENT: [Field; 4] = [
    field("nodes", whole(1), "How many machines.").required(),
    field("cores", number(0.001, 1e6), "Processor cores of each.").required().example("32"),
    field("memory-mib", number(1.0, 1e9), "Memory of each, in MiB.").default("1048576"),
    field(
        "may-borrow-from",
        Kind::List { of: &Kind::Label, least: 0 },
        "Compartments whose free room its services may use, where the placement policy allows it.",
    )
    .default("[]")
    .example("[\"other\"]"),
];

static SERVICE: [Field; 16] = [
    field("instances", whole(1), "How many instances it has at the beginning, warm.").required(),
    field(
        "range",
        Kind::Pair(&COUNT),
        "The autoscaler keeps the number of instances from and up to these. Absent: it leaves this service alone.",
    )
    .example("[2, 10]"),
    field(
        "compartment",
        Kind::Label,
        "Where its instances are placed. Absent: wherever there is room, without end.",
    ),
    field("critical", Kind::Flag, "Whether users miss it when it is gone; others may be stopped to make room.")
        .default("true"),
    field(
        "declared-cores",
        number(0.0, 1e6),
        "Cores that each instance declares and thus reserves. Absent: the same as `cores`.",
    ),
    field("memory-mib", number(0.0, 1e9), "Memory that each instance declares and uses, in MiB.").default("1024"),
    field("cores", number(0.001, 1e6), "Cores that an instance can use at most.").default("1"),
    field("idle-cores", number(0.0, 1e6), "Cores that an instance uses apart from requests.").default("0"),
    field(
        "threads",
        whole(1),
        "Requests that an instance works on at once. A request keeps its thread while its calls wait.",
    )
    .default("200"),
    field(
        "backlog",
        whole(0),
        "Requests that wait for a thread, first come first served, for as long as it takes; beyond it connections are \
         refused. Absent: no bound.",
    ),
    field(
        "descriptors",
        whole(1),
        "Connections in and out at once; beyond it connections are refused, its own too. Absent: no bound.",
    ),
    field(
        "health-apart",
        Kind::Flag,
        "Whether its health endpoint has a thread of its own, so that it answers probes however busy it is; otherwise a \
         probe waits with the requests.",
    )
    .default("false"),
    field("start", Kind::Table(&START), "How a new instance begins."),
    field("neighbours", Kind::Table(&NEIGHBOURS), "Machines shared with others who take their part now and then."),
    field(
        "drag",
        number(0.0, 1.0),
        "Work grows by this share of itself for each request that is inside beyond half of the threads (garbage \
         collection, context switches).",
    )
    .default("0"),
    field("routes", named(&Kind::Table(&ROUTE), 1), "What it answers, by name.").required(),
];

static START: [Field; 4] = [
    field("takes", any_wait(), "From the decision to an open port.").default("\"30s\""),
    field("cold-speed", Kind::Share, "Then it works at this share of its speed …").default("\"100%\""),
    field("cold-for", any_wait(), "… for so long.").default("\"0s\""),
    field(
        "warm-up",
        tables(&Kind::Table(&CALL)),
        "Calls that it makes before it is ready, one after another; with the same keys as a route's `calls`.",
    )
    .default("[]")
    .example("[{ to = \"store\", times = 200 }]"),
];

static NEIGHBOURS: [Field; 3] = [
    field("share", Kind::Share, "This share of the instances has greedy neighbours at any time …").required(),
    field("speed", Kind::Share, "… and works at this share of its speed …").required().example("\"50%\""),
    field("drawn-again", Kind::Pair(&WAIT), "… until the lot is drawn again, evenly between these.")
        .required()
        .example("[\"1s\", \"10s\"]"),
];

static ROUTE: [Field; 4] = [
    field(
        "cpu",
        Kind::Either(&WAIT, &SPREAD),
        "Processor time of an answer, before its calls. A duration is always the same.",
    )
    .default("\"0s\"")
    .example("\"5ms\""),
    field(
        "wait",
        Kind::Either(&WAIT, &SPREAD),
        "Waiting that uses no processor: a disk, somebody else's system. With the same keys as `cpu`.",
    )
    .default("\"0s\"")
    .example("\"5ms\""),
    field("failing", Kind::Share, "This share of answers is a failure (500).").default("\"0%\""),
    field("calls", tables(&Kind::Table(&CALL)), "Calls that must be answered before the answer.")
        .default("[]")
        .example("[{ to = \"store\" }]"),
];

/// The words of [`model::scenario::Spread`].
pub(super) static SPREADS: [&str; 3] = ["exponential", "normal", "fixed"];

static SPREAD: [Field; 3] = [
    field("mean", any_wait(), "Its mean.").required().example("\"5ms\""),
    field("spread", Kind::Word(&SPREADS), "How it is distributed; `normal` is cut off at zero.")
        .default("\"exponential\""),
    field("deviation", any_wait(), "With `normal`, its standard deviation."),
];

static CALL: [Field; 8] = [
    field("to", Kind::Name, "Whom.").required().example("\"store\""),
    field("route", Kind::Label, "Which of its routes. Absent: its only one."),
    field("times", number(0.0, 1e6), "How often on average: the whole part always, the rest by lot.")
        .default("1"),
    field("beside", Kind::Flag, "Whether it is made at once with the call before it instead of after it; with `times`, all of them at once.")
        .default("false"),
    field("optional", Kind::Flag, "Whether the answer can do without it.").default("false"),
    field(
        "pool",
        whole(1),
        "Connections that an instance has for it; whoever finds none free waits for one, without end. Absent: no bound.",
    ),
    field("cache", Kind::Label, "A cache that is looked into first."),
    field(
        "policies",
        Kind::Table(&POLICIES),
        "How it differs from the preset in the scenario's `policies`, with the keys of a manifest's policies; any other \
         preset is played without these differences.",
    ),
];

static CACHE: [Field; 3] = [
    field("keys", whole(1), "How many keys there are, asked for by Zipf's law …")
        .required()
        .example("100000"),
    field("skew", number(0.0, 10.0), "… with this exponent.").default("1"),
    field(
        "holds",
        whole(0),
        "How many it holds, at the beginning the most popular ones; the least recently used goes.",
    )
    .required()
    .example("20000"),
];

static LIMIT: [Field; 2] = [
    field("rate", number(0.001, MOST_RATE), "Requests a second.").required().example("2000"),
    field("burst", whole(1), "Requests at once.").default("100"),
];

static ARRIVALS: [&str; 2] = ["poisson", "even"];

static CLIENTS: [Field; 11] = [
    field("human", Kind::Flag, "Whether they are people: their success is the site's.").default("false"),
    field(
        "demand",
        Kind::Curve { most: MOST_RATE },
        "First requests a second: a number, or points in time that are joined by straight lines. Before the first and \
         after the last point it stays.",
    )
    .required(),
    field("arrivals", Kind::Word(&ARRIVALS), "Whether requests come by chance or at even intervals.")
        .default("\"poisson\""),
    field("sidecars", whole(1), "So many sidecars carry them by turns, each with its own view of the services.")
        .default("1"),
    field("patience", between_ms(1, DAY), "How long one waits.").default("\"10s\""),
    field("tells-deadline", Kind::Flag, "Whether the sidecar is told how long that is.").default("false"),
    field("posts", Kind::Share, "This share of requests must not be carried out twice.").default("\"0%\""),
    field("reload", Kind::Table(&RELOAD), "What they do after a failure, or after waiting in vain. Absent: nothing."),
    field(
        "after-limit",
        Kind::Table(&RELOAD),
        "What they do after a limit's page; with the same keys as `reload`. Absent: nothing.",
    ),
    field("policies", Kind::Table(&POLICIES), "As for a call."),
    field("visits", named(&Kind::Table(&VISIT), 1), "What they ask for, by name.").required(),
];

static RELOAD: [Field; 5] = [
    field("share", Kind::Share, "This share of them tries again …").required().example("\"50%\""),
    field("after", any_wait(), "… after so long …").required(),
    field("jitter", any_wait(), "… give or take this …").default("\"0s\""),
    field("at-most", whole(1), "… so many times.").default("3"),
    field(
        "ceiling",
        number(0.0, 1000.0),
        "Reloads are at most this many times the first requests of the last ten seconds.",
    )
    .default("1"),
];

static VISIT: [Field; 4] = [
    field(
        "weight",
        Kind::Curve { most: MOST_RATE },
        "Its part beside the other visits: a number, or points in time.",
    )
    .default("1"),
    field("to", Kind::Name, "Whom.").required().example("\"front\""),
    field("route", Kind::Label, "Which of its routes. Absent: its only one."),
    field("limit", Kind::Label, "The limit at the edge that covers it. Absent: none does."),
];

static FAULT: [Field; 10] = [
    field("at", Kind::When, "When.").required(),
    field("lasts", any_wait(), "For how long. Absent: for good."),
    field(
        "kill",
        Kind::Table(&THOSE),
        "Instances die with all that they are doing; the fleet starts others.",
    ),
    field("hang", Kind::Table(&THOSE), "Instances answer nothing, and use nothing."),
    field("slow", Kind::Table(&SLOW), "Instances work at a share of their speed."),
    field("delay", Kind::Table(&DELAY), "Instances answer after this time, whatever they do."),
    field("fail", Kind::Table(&FAIL), "Instances answer a share of requests with 500."),
    field("lose-nodes", Kind::Table(&NODES), "Machines are gone, with what runs on them."),
    field("network", Kind::Table(&NETWORK), "The network is like this."),
    field("flush", Kind::Table(&FLUSH), "A cache forgets."),
];

const SERVICE_OF: Field = field("service", Kind::Name, "Whose.").required();
const INSTANCES: Field = field("instances", whole(1), "So many of them, the first ones. Absent: all.");

static THOSE: [Field; 2] = [SERVICE_OF, INSTANCES];

static SLOW: [Field; 3] = [
    SERVICE_OF,
    INSTANCES,
    field("speed", Kind::Share, "The share of its speed that is left.").required().example("\"20%\""),
];

static DELAY: [Field; 3] = [
    SERVICE_OF,
    INSTANCES,
    field("to", any_wait(), "How long an answer takes.").required().example("\"2s\""),
];

static FAIL: [Field; 3] = [
    SERVICE_OF,
    INSTANCES,
    field("share", Kind::Share, "The share that fails.").required().example("\"50%\""),
];

static NODES: [Field; 2] = [
    field("compartment", Kind::Label, "Which.").required(),
    field("nodes", whole(1), "How many machines.").required(),
];

static FLUSH: [Field; 2] = [
    field("cache", Kind::Label, "Which.").required(),
    field("share", Kind::Share, "This share of what it holds, the most popular first.").default("\"100%\""),
];

static ACTION: [Field; 4] = [
    field("at", Kind::When, "When.").required(),
    field("scale", Kind::Table(&SCALE), "Asks for more instances of a service, or fewer."),
    field("add-nodes", Kind::Table(&NODES), "Adds machines to a compartment."),
    field("stop-non-critical", Kind::Table(&STOP), "Stops services of a compartment that are not critical."),
];

static SCALE: [Field; 2] = [
    SERVICE_OF,
    field("by", Kind::Signed { least: -1_000_000, most: 1_000_000 }, "How many more; below zero: fewer.")
        .required(),
];

static STOP: [Field; 2] = [
    field("compartment", Kind::Label, "Which.").required(),
    field("share", Kind::Share, "This share of the instances.").required().example("\"75%\""),
];

static ACCEPTANCE: [Field; 6] = [
    field(
        "policies",
        Kind::Word(&PRESETS),
        "The policies of calls that it is about. Absent: those of the scenario.",
    ),
    field(
        "fleet",
        Kind::Word(&FLEETS),
        "The policies of the fleet that it is about. Absent: those of the scenario.",
    ),
    field("operators", Kind::Flag, "Whether operators act.").default("true"),
    field("seeds", Kind::Whole { least: 1, most: 10_000 }, "Of this many seeds …").default("20"),
    field("must-pass", Kind::Whole { least: 1, most: 10_000 }, "… so many must pass. Absent: all of them."),
    field("lines", Kind::List { of: &Kind::Table(&LINE), least: 1 }, "What must be seen.")
        .required()
        .example("[{ … }]"),
];

static LINE: [Field; 19] = [
    field("name", Kind::Label, "Its name.").required(),
    field("says", Kind::Text, "It in words. Absent: its name."),
    field(
        "operators",
        Kind::Flag,
        "Whether operators act in the run that it is about. Absent: as in its list.",
    ),
    field("series", Kind::Text, "The series that it looks at.").required().example("\"site.success\""),
    field(
        "relative-to",
        Kind::Pair(&MOMENT),
        "The series is divided by its mean over this window first. Absent: it is taken as it is.",
    ),
    field("at", Kind::When, "Takes its value then."),
    field("most", Kind::Pair(&MOMENT), "Takes its highest value in a window."),
    field("least", Kind::Pair(&MOMENT), "Takes its lowest value in a window."),
    field("mean", Kind::Pair(&MOMENT), "Takes its mean over a window."),
    field("total", Kind::Pair(&MOMENT), "Takes its sum over a window."),
    field(
        "fall",
        Kind::Pair(&MOMENT),
        "Takes the share of its highest mean over a minute in a window that it loses after it, within the window.",
    ),
    field("above", number(-1e12, 1e12), "Takes the time when it is first above this."),
    field("below", number(-1e12, 1e12), "Takes the time when it is first below this."),
    field(
        "back-above",
        number(-1e12, 1e12),
        "Takes the time when it is above this again, after the last time that it was below; never if it ends below.",
    ),
    field("stays", any_wait(), "With `above`, `below` and `back-above`: and stays there for so long.")
        .default("\"0s\""),
    field("at-least", number(-1e12, 1e12), "The number must not be less."),
    field("at-most", number(-1e12, 1e12), "The number must not be more."),
    field("between", Kind::Pair(&MOMENT), "The time must be from and up to these."),
    field("not-before", Kind::When, "The time must not be before this; never is right too."),
];
