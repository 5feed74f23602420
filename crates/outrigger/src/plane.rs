//! The control plane within `outrigger up`: on a thread of its own, and the agent speaks to it without a socket.

use agent::plane::{Answer, Declaration, Joined, More, OpenPlane, Plane, PlaneError, Seat};
use anyhow::Context as _;
use control::desk::Failed;
use control::registry::{Command, Done, Owner, Refused, Rules};
use model::{AgentName, InstanceName, Registration, Settled};
use net::clock::unix_millis;
use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The name of the agent that has its control plane in its own process.
const OWN: &str = "up";
/// Where followers are served, or at the next free port after it.
const DELIVERY: u16 = 7701;
/// The file of the port at which followers were served last.
const LAST: &str = "delivery-port";
/// So many ports are tried.
const PORTS: u16 = 1_000;

/// Opens a control plane for `environment` when the agent has its folder.
pub(crate) fn within(environment: String) -> OpenPlane {
    Box::new(move |folder| begin(environment, folder).map_err(Into::into))
}

fn begin(environment: String, folder: &Path) -> anyhow::Result<Seat> {
    let (tell, news) = mpsc::unbounded_channel();
    let told = move |event: &api::Event| {
        // Nobody listens any more: the environment has ended.
        let _ = tell.send(api::Happening::from(event));
    };
    let options = control::Options {
        // The agent writes them down, with its own.
        keeps_events: false,
        tell: Some(Box::new(told)),
        ..control::Options::new(&*environment, folder)
    };
    // Every follower is one. The apps that are started from here inherit it, so it is not all that there may be.
    net::limits::raise_descriptors_to(DESCRIPTORS);
    let plane = control::Plane::open(options)?;
    let listener = listen(folder).context("followers of the control plane cannot be served")?;
    let delivery = listener.local_addr()?;
    // Whoever has joined finds it again after a restart.
    std::fs::write(folder.join(LAST), delivery.port().to_string())?;
    let (stop, stopped) = oneshot::channel();
    let served = plane.clone();
    let thread = std::thread::Builder::new().name("control-plane".into());
    let thread = thread.spawn(move || serve(&served, listener, stopped))?;
    let agent = AgentName::new(OWN).expect("two lower-case letters make a name");
    let owner = Owner { agent, session: unix_millis() };
    let answers = plane.clone();
    let more: More = Rc::new(move |request| {
        let plane = answers.clone();
        Box::pin(async move { plane.answer(request).await })
    });
    let remark = (delivery.port() != DELIVERY)
        .then(|| format!("sidecars follow the control plane at {delivery}, as port {DELIVERY} was taken"));
    let end = RefCell::new(Some(End { stop: Some(stop), thread: Some(thread) }));
    let own = Own { plane, owner, delivery, environment, end };
    Ok(Seat {
        plane: Rc::new(own),
        known: None,
        credential: None,
        more: Some(more),
        news: Some(news),
        remark,
    })
}

/// At the port of last time, if there was one, at the usual one, or at the next free one.
fn listen(folder: &Path) -> std::io::Result<TcpListener> {
    let before = std::fs::read_to_string(folder.join(LAST)).ok().and_then(|port| port.parse().ok());
    let mut last = Err(std::io::ErrorKind::AddrInUse.into());
    for port in before.into_iter().chain(DELIVERY..DELIVERY + PORTS) {
        last = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        if last.is_ok() {
            break;
        }
    }
    last
}

/// The thread's life: serves followers until it is to stop.
fn serve(plane: &control::Plane, listener: TcpListener, stopped: oneshot::Receiver<()>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return eprintln!("outrigger: the control plane does not start: {error}"),
    };
    runtime.block_on(async {
        let token = async {
            if let Err(error) = plane.join_token().await {
                eprintln!("outrigger: nobody can join without `outrigger token`: {error}");
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = token => {}
            served = plane.serve_delivery(listener) => {
                if let Err(error) = served {
                    eprintln!("outrigger: followers of the control plane cannot be served: {error}");
                }
            }
            () = plane.desk().ended() => {
                eprintln!("outrigger: the registry of the control plane has failed: sidecars go on with what they know, \
                           and nothing changes until this is started again");
            }
            // Asked, or whoever could ask is gone.
            _ = stopped => {}
        }
        let is_awaited = plane.is_awaited().await;
        plane.stop().await;
        if !is_awaited {
            // Its environment is down, and nobody from outside of it is to find it again.
            plane.forget();
            let _ = std::fs::remove_file(plane.state().join(LAST));
        }
    });
}

/// So many files may be open: some 16,000 followers.
const DESCRIPTORS: u64 = 16_384;

/// The control plane of this process, as its agent sees it.
#[derive(Debug)]
struct Own {
    plane: control::Plane,
    owner: Owner,
    delivery: SocketAddr,
    environment: String,
    /// Until it is closed.
    end: RefCell<Option<End>>,
}

/// Ends the thread when it is dropped.
#[derive(Debug)]
struct End {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for End {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed by it.
            let _ = thread.join();
        }
    }
}

impl Own {
    async fn ask(&self, command: Command) -> Result<Done, PlaneError> {
        self.plane.desk().ask(command).await.map_err(error)
    }

    async fn take_out(&self, name: InstanceName, within: Duration) -> Result<Settled, PlaneError> {
        let command = Command::Deregister { owner: self.owner.clone(), name: name.clone() };
        match self.plane.desk().ask(command).await {
            // Out already, or somebody else's by now: what is left is that followers hear of it.
            Ok(_) | Err(Failed::Refused(Refused::NoInstance(_) | Refused::NameTaken { .. })) => {}
            Err(why) => return Err(error(why)),
        }
        Ok(self.plane.is_forgotten(&name, None, within).await)
    }
}

fn error(why: Failed) -> PlaneError {
    match why {
        Failed::Refused(Refused::Stale { known, .. }) => PlaneError::Stale { known: Some(known) },
        Failed::Refused(why @ Refused::NotJoined(_)) => PlaneError::NotJoined(why.to_string()),
        Failed::Refused(why) => PlaneError::Refused { word: why.word().into(), text: why.to_string() },
        Failed::Store(_) | Failed::Closed => PlaneError::Away(why.to_string()),
    }
}

impl Plane for Own {
    fn join(&self) -> Answer<'_, Joined> {
        Box::pin(async move {
            self.ask(Command::Join { owner: self.owner.clone(), lease: None }).await?;
            Ok(Joined {
                delivery: self.delivery,
                environment: self.environment.clone(),
                lease: Rules::default().lease,
                credential: None,
            })
        })
    }

    fn register(&self, instance: Registration, within: Duration) -> Answer<'_, Settled> {
        Box::pin(async move {
            let (name, service) = (instance.name.clone(), instance.service.clone());
            self.ask(Command::Register { owner: self.owner.clone(), instance }).await?;
            Ok(self.plane.is_known(&service, &name, within).await)
        })
    }

    fn deregister(&self, name: InstanceName, within: Duration) -> Answer<'_, Settled> {
        Box::pin(self.take_out(name, within))
    }

    fn list(&self, all: Vec<Registration>) -> Answer<'_, Vec<(InstanceName, String)>> {
        Box::pin(async move {
            let done = self.ask(Command::List { owner: self.owner.clone(), instances: all }).await?;
            let refused = if let Done::Listed(refused) = done { refused } else { Vec::new() };
            Ok(refused.into_iter().map(|(name, why)| (name, why.to_string())).collect())
        })
    }

    fn beat(&self) -> Answer<'_, ()> {
        let command = Command::Beat { owner: self.owner.clone() };
        Box::pin(async move { self.ask(command).await.map(|_| ()) })
    }

    fn leave(&self) -> Answer<'_, ()> {
        Box::pin(async move { self.ask(Command::Leave { owner: self.owner.clone() }).await.map(|_| ()) })
    }

    fn declare(&self, services: Vec<Declaration>) -> Answer<'_, ()> {
        Box::pin(async move {
            let declare = |Declaration { service, settings, author }: Declaration| Command::Declare {
                service,
                settings: Box::new(settings),
                author,
            };
            self.plane.desk().ask_all(services.into_iter().map(declare)).await.map_err(error)
        })
    }

    fn close(&self) -> Answer<'_, ()> {
        let end = self.end.take();
        Box::pin(async move {
            // A panic of the thread has been printed by it.
            let _ = tokio::task::spawn_blocking(move || drop(end)).await;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_refusal_is_called_what_it_is_called_everywhere() {
        let (name, by) = (InstanceName::new("a-1").unwrap(), AgentName::new("b").unwrap());
        let PlaneError::Refused { word, text } = error(Refused::NameTaken { name, by }.into()) else {
            panic!("no refusal")
        };
        assert_eq!(word, "name-taken");
        assert!(text.contains("agent b runs an instance a-1 already"), "{text}");
    }
}
