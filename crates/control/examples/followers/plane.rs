//! The control plane in a process of its own, and the handle by which this one tells it what to do: lines of text.

use super::{INSTANCES, SERVICES, nanos};
use control::delivery::{Hub, Publisher, serve};
use control::desk::Desk;
use control::registry::{Command, Owner, Rules};
use control::store::Embedded;
use model::{AgentName, Preset, Registration, ServiceName};
use net::clock::Clock;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpSocket;
use tokio::process::{Child, ChildStdin, ChildStdout};

/// The argument with which this program is the control plane.
pub(crate) const WORD: &str = "control-plane";

/// The name of a service by its number.
pub(crate) fn service(number: u64) -> ServiceName {
    ServiceName::new(&format!("service-{number}")).unwrap()
}

/// Serves followers, and does what is said on stdin: `move SERVICE CHANGE`, `state`.
pub(crate) async fn serve_orders() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::start();
    let hub = Hub::new(clock, |_| ());
    let store = Embedded::open(&folder.path().join("registry")).unwrap();
    let rules = Rules { lease: Duration::from_secs(3600), ..Rules::default() };
    let (desk, _worker) = Desk::open(store, rules, Publisher::new(hub.clone(), |_| ()), clock).unwrap();
    fill(&desk).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(4096).unwrap();
    println!("{}", listener.local_addr().unwrap());
    tokio::spawn(serve::serve(listener, hub.clone()));
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await.unwrap() {
        if let ["move", number, change] = order.split(' ').collect::<Vec<_>>()[..] {
            let (number, change) = (number.parse().unwrap(), change.parse().unwrap());
            let asked = nanos();
            desk.ask(register(number, 1, change)).await.unwrap();
            println!("{asked} {}", nanos());
        } else {
            let (responses, bytes) = hub.sent();
            let (now, most) = memory();
            println!("{responses} {bytes} {now} {most} {} {}", processor(), hub.followers().len());
        }
    }
}

/// Declares all services and registers all instances.
async fn fill(desk: &Desk) {
    let commands = (0..SERVICES).flat_map(|number| {
        let (settings, author) = (Box::new(Preset::Default.settings()), "ada".to_owned());
        let declare = Command::Declare { service: service(number), settings, author };
        std::iter::once(declare).chain((1..=INSTANCES).map(move |instance| register(number, instance, 1)))
    });
    desk.ask_all(commands).await.unwrap();
}

/// An instance whose address says which change it was: the last three bytes of its address are its number.
fn register(number: u64, instance: u32, change: u32) -> Command {
    let [_, a, b, c] = change.to_be_bytes();
    // Two instances of one service differ by port, services by name, so that no address is used twice.
    let port = u16::try_from(number * 2 + u64::from(instance)).unwrap();
    let instance = Registration {
        name: service(number).instance(instance),
        service: service(number),
        address: SocketAddr::from(([10, a, b, c], port)),
        incarnation: u64::from(change),
    };
    Command::Register { owner: Owner { agent: AgentName::new("agent").unwrap(), session: 1 }, instance }
}

/// Resident memory now and at most, in KiB.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    let kib = |text: String| text.trim().trim_end_matches(" kB").parse().unwrap();
    (kib(line("VmRSS:")), kib(line("VmHWM:")))
}

/// Processor time of this process so far, in clock ticks of 10 ms.
fn processor() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// What the control plane says of itself.
#[derive(Clone, Copy)]
pub(crate) struct State {
    pub(crate) responses: u64,
    pub(crate) bytes: u64,
    pub(crate) kib: u64,
    pub(crate) kib_at_most: u64,
    pub(crate) ticks: u64,
    followers: u64,
}

/// The control plane's process.
pub(crate) struct Remote {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// Where followers connect.
    pub(crate) address: SocketAddr,
}

impl Remote {
    /// Starts it, and waits until it has all of its services.
    pub(crate) async fn start() -> Remote {
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .arg(WORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let orders = child.stdin.take().unwrap();
        let address = answers.next_line().await.unwrap().unwrap().parse().unwrap();
        Remote { child, orders, answers, address }
    }

    async fn ask(&mut self, order: &str) -> Vec<u64> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await.unwrap();
        let line = self.answers.next_line().await.unwrap().unwrap();
        line.split(' ').map(|word| word.parse().unwrap()).collect()
    }

    /// Moves an instance of a service. When that was asked for and when it was kept, in nanoseconds.
    pub(crate) async fn move_instance(&mut self, service: u64, change: u32) -> (u64, u64) {
        let said = self.ask(&format!("move {service} {change}")).await;
        (said[0], said[1])
    }

    /// How it is now.
    pub(crate) async fn state(&mut self) -> State {
        let [responses, bytes, kib, kib_at_most, ticks, followers] = self.ask("state").await[..] else {
            panic!("the control plane says something else");
        };
        State { responses, bytes, kib, kib_at_most, ticks, followers }
    }

    /// Waits until it has noticed that all followers have gone.
    pub(crate) async fn all_gone(&mut self) -> State {
        loop {
            let state = self.state().await;
            if state.followers == 0 {
                return state;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Ends it: there are no more orders.
    pub(crate) async fn end(mut self) {
        drop(self.orders);
        self.child.wait().await.unwrap();
    }
}
