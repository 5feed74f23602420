//! A control plane in this process: what it knows outlives its delivery, which can be stopped and come back.

use crate::harness::any_port;
use control::delivery::{Hub, Publisher, Trouble, serve};
use control::desk::Desk;
use control::registry::{Command, Owner, Rules};
use control::store::Memory;
use model::{AgentName, InstanceName, Registration, ServiceName, Settings};
use net::clock::Clock;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use tokio::runtime::Runtime;
use wire::xds::Kind;

pub struct Plane {
    desk: Desk,
    pub hub: Arc<Hub>,
    pub address: SocketAddr,
    pub trouble: mpsc::Receiver<Trouble>,
    delivery: Option<Runtime>,
    incarnations: AtomicU64,
    asking: Runtime,
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

impl Plane {
    /// One that delivers at a port that the system chose.
    pub fn start() -> Plane {
        Plane::start_at(any_port())
    }

    pub fn start_at(address: SocketAddr) -> Plane {
        let (tell, trouble) = mpsc::channel();
        let clock = Clock::start();
        let tell = std::sync::Mutex::new(tell);
        let hub = Hub::new(clock, move |what| tell.lock().unwrap().send(what).unwrap_or_default());
        let publisher = Publisher::new(hub.clone(), |_| ());
        let (desk, _) = Desk::open(Memory::default(), Rules::default(), publisher, clock).unwrap();
        let mut plane =
            Plane { desk, hub, address, trouble, delivery: None, incarnations: 1.into(), asking: runtime() };
        plane.deliver();
        plane
    }

    /// Delivers, at the same address as before.
    pub fn deliver(&mut self) {
        let runtime = runtime();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(self.address)).unwrap();
        self.address = listener.local_addr().unwrap();
        runtime.spawn(serve::serve(listener, self.hub.clone()));
        self.delivery = Some(runtime);
    }

    /// Stops to deliver: every connection ends, and nobody listens.
    pub fn vanish(&mut self) {
        if let Some(runtime) = self.delivery.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }

    fn owner() -> Owner {
        Owner { agent: AgentName::new("agent").unwrap(), session: 1 }
    }

    fn ask(&self, command: Command) {
        self.asking.block_on(self.desk.ask(command)).unwrap();
    }

    /// The name of a service's instance.
    pub fn name(of: &str, number: u32) -> InstanceName {
        ServiceName::new(of).unwrap().instance(number)
    }

    pub fn register(&self, of: &str, number: u32, address: SocketAddr) {
        let service = ServiceName::new(of).unwrap();
        let incarnation = self.incarnations.fetch_add(1, Ordering::SeqCst);
        let instance = Registration { name: Plane::name(of, number), service, address, incarnation };
        self.ask(Command::Register { owner: Plane::owner(), instance });
    }

    pub fn deregister(&self, of: &str, number: u32) {
        self.ask(Command::Deregister { owner: Plane::owner(), name: Plane::name(of, number) });
    }

    pub fn declare(&self, of: &str, settings: Settings) {
        let (service, settings) = (ServiceName::new(of).unwrap(), Box::new(settings));
        self.ask(Command::Declare { service, settings, author: "ada".to_owned() });
    }

    pub fn withdraw(&self, of: &str) {
        self.ask(Command::Withdraw { service: ServiceName::new(of).unwrap() });
    }

    /// Waits until no follower has this instance any more, as those say.
    pub fn farewell(&self, of: &str, number: u32) {
        let name = format!("{of}/{}", Plane::name(of, number));
        let over = async {
            tokio::time::timeout(crate::harness::PATIENCE, self.hub.farewell(Kind::Endpoint, &name)).await
        };
        self.asking.block_on(over).expect("every follower lets go");
    }
}
