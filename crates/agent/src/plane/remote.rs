//! A control plane that is another process: each call is one request over HTTP.
//!
//! What is learnt of it is kept in the agent's folder: its credential, so that a restart needs no new token, and where
//! sidecars find it, so that a restart while it is away can begin with what is known.

use super::{Answer, Declaration, Joined, Plane, PlaneError, Seat};
use crate::ask::{Request, exchange};
use api::{Ask, Unanswered, ask};
use model::{AgentName, InstanceName, Registration, Settled};
use net::clock::unix_millis;
use std::cell::RefCell;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// Beyond the time for which an answer may be held back: to connect, to be kept, to travel.
const PATIENCE: Duration = Duration::from_secs(3);
/// The file of the credential: one line, for this user only.
const CREDENTIAL: &str = "credential";
/// The file of what was learnt when joining: lines of address, environment and milliseconds.
const KNOWN: &str = "control-plane";

/// How to reach a control plane.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// Where its API answers: `HOST:PORT`.
    pub address: String,
    /// The name by which this agent is known, the same from run to run.
    pub agent: AgentName,
    /// A file with a join token, for an agent that has no credential yet.
    pub join_token: Option<PathBuf>,
    /// The folder in which credential and knowledge are kept.
    pub folder: PathBuf,
    /// Whether that folder goes with the run, so that nobody comes back with the credential.
    pub passing: bool,
}

/// A control plane that is another process.
pub struct Remote {
    options: RemoteOptions,
    session: u64,
    credential: RefCell<Option<String>>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The credential is a secret.
        f.debug_struct("Remote").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Remote {
    /// The control plane, with what is known of it. Nothing is asked yet.
    pub fn seat(options: RemoteOptions) -> Seat {
        let known = read_known(&options.folder);
        let credential = read_line(&options.folder.join(CREDENTIAL));
        let file = options.folder.join(CREDENTIAL);
        let remote = Remote { options, session: unix_millis(), credential: RefCell::new(credential) };
        Seat { plane: Rc::new(remote), known, credential: Some(file), more: None, news: None, remark: None }
    }

    fn agent(&self) -> &str {
        self.options.agent.as_str()
    }

    async fn send<T>(&self, ask: &Ask<T>, read: Read<T>, bearer: Option<&str>) -> Result<T, PlaneError> {
        let address = &self.options.address;
        let request = Request { method: ask.method, target: &ask.target, body: &ask.body, bearer };
        let answer =
            exchange((address.as_str(), address), request, ask.wait + PATIENCE, api::BODY_AT_MOST).await;
        let away =
            |why: &dyn fmt::Display| PlaneError::Away(format!("the control plane at {address}: {why}"));
        let answer = answer.map_err(|why| match why.kind() {
            io::ErrorKind::TimedOut => away(&"no answer in time"),
            io::ErrorKind::InvalidData => away(&"what answers there speaks no HTTP"),
            _ => away(&why),
        })?;
        read(ask, answer.status, &answer.body).map_err(|why| match why {
            Unanswered::Refused(status, problem) => refused(status, problem),
            Unanswered::NotUnderstood(why) => away(&format!("not understood: {why}")),
        })
    }

    async fn say<T>(&self, ask: Ask<T>, read: Read<T>) -> Result<T, PlaneError> {
        let credential = self.credential.borrow().clone();
        self.send(&ask, read, credential.as_deref()).await
    }

    /// Joins with the credential, or where there is none that is good, with the token.
    async fn introduce(&self) -> Result<Joined, PlaneError> {
        let join = api::Join { session: self.session, lease_ms: None, passing: self.options.passing };
        let ask = ask::join(self.agent(), &join);
        let credential = self.credential.borrow().clone();
        let mut refused = None;
        if let Some(credential) = credential {
            match self.send(&ask, Ask::read, Some(&credential)).await {
                Err(PlaneError::NotJoined(why)) => refused = Some(why),
                answer => return self.admitted(answer?),
            }
        }
        let token = self.token(refused)?;
        match self.send(&ask, Ask::read, Some(&token)).await {
            Err(PlaneError::NotJoined(text)) => Err(not_identified(text)),
            answer => self.admitted(answer?),
        }
    }

    fn token(&self, refused: Option<String>) -> Result<String, PlaneError> {
        let Some(path) = &self.options.join_token else {
            let why = refused.unwrap_or_else(|| "this agent has no credential yet".into());
            return Err(not_identified(format!(
                "the control plane at {} does not know us ({why}): give a join token with --join-token-file; \
                 `outrigger control` keeps one in its state folder, `outrigger token` makes more",
                self.options.address
            )));
        };
        read_line(path).ok_or_else(|| {
            not_identified(format!(
                "there is no join token in {}: is it the right file, and has the control plane been started?",
                path.display()
            ))
        })
    }

    fn admitted(&self, said: api::Joined) -> Result<Joined, PlaneError> {
        let delivery = said.delivery.parse().map_err(|_| {
            PlaneError::Away(format!(
                "the control plane delivers at {:?}, which is no address",
                said.delivery
            ))
        })?;
        let lease = Duration::from_millis(said.lease_ms);
        let joined = Joined { delivery, environment: said.environment, lease, credential: said.credential };
        if let Some(credential) = &joined.credential {
            // Kept before it is used: the next attempt is then made with the token again, and given another one.
            self.keep(CREDENTIAL, &format!("{credential}\n"))?;
            self.credential.replace(Some(credential.clone()));
        }
        let Joined { delivery, environment, .. } = &joined;
        self.keep(KNOWN, &format!("{delivery}\n{environment}\n{}\n", said.lease_ms))?;
        Ok(joined)
    }

    fn keep(&self, name: &str, text: &str) -> Result<(), PlaneError> {
        let path = self.options.folder.join(name);
        // Without it the next start would need a token that may have been used up.
        net::private::write(&path, text)
            .map_err(|why| PlaneError::Away(format!("{} cannot be written: {why}", path.display())))
    }
}

/// Reads an answer: what an [`Ask`] does, for whoever does not know the format.
type Read<T> = fn(&Ask<T>, u16, &str) -> Result<T, Unanswered>;

fn not_identified(text: String) -> PlaneError {
    PlaneError::Refused { word: "not-identified".into(), text }
}

fn refused(status: u16, problem: api::Problem) -> PlaneError {
    let api::Problem { problem: word, text, known, .. } = problem;
    match (status, word.as_str()) {
        (401, _) => PlaneError::NotJoined(text),
        (409, "stale") => PlaneError::Stale { known },
        (500.., _) => PlaneError::Away(text),
        _ => PlaneError::Refused { word, text },
    }
}

impl Plane for Remote {
    fn join(&self) -> Answer<'_, Joined> {
        Box::pin(self.introduce())
    }

    fn register(&self, instance: Registration, within: Duration) -> Answer<'_, Settled> {
        let said = api::Registration {
            session: self.session,
            service: instance.service.to_string(),
            address: instance.address.to_string(),
            incarnation: instance.incarnation,
        };
        let ask = ask::register(self.agent(), instance.name.as_str(), &said, within);
        Box::pin(async move { self.say(ask, Ask::read).await.map(Into::into) })
    }

    fn deregister(&self, name: InstanceName, within: Duration) -> Answer<'_, Settled> {
        let ask = ask::deregister(self.agent(), name.as_str(), self.session, within);
        Box::pin(async move {
            match self.say(ask, Ask::read).await {
                // Out already, or somebody else's by now.
                Err(PlaneError::Refused { word, .. }) if word == "no-instance" || word == "name-taken" => {
                    Ok(Settled::Everywhere)
                }
                answer => answer.map(Into::into),
            }
        })
    }

    fn list(&self, all: Vec<Registration>) -> Answer<'_, Vec<(InstanceName, String)>> {
        let instances = all.into_iter().map(Into::into).collect();
        let ask = ask::list(self.agent(), &api::List { session: self.session, instances });
        let name =
            |refused: api::RefusedInstance| Some((InstanceName::new(&refused.name).ok()?, refused.text));
        Box::pin(async move {
            let listed = self.say(ask, Ask::read).await?;
            Ok(listed.refused.into_iter().filter_map(name).collect())
        })
    }

    fn beat(&self) -> Answer<'_, ()> {
        let ask = ask::beat(self.agent(), self.session);
        Box::pin(async move { self.say(ask, Ask::read).await.map(|_| ()) })
    }

    fn leave(&self) -> Answer<'_, ()> {
        let ask = ask::leave(self.agent(), self.session);
        Box::pin(async move { self.say(ask, Ask::read).await.map(|_| ()) })
    }

    fn declare(&self, services: Vec<Declaration>) -> Answer<'_, ()> {
        let declaration = |Declaration { service, settings, author }: Declaration| {
            // What one crate has written as JSON the other reads as such.
            let settings = api::decode(&wire::files::encode_settings(&settings)).unwrap_or_default();
            api::Declaration { service: service.to_string(), settings, author }
        };
        let services = services.into_iter().map(declaration).collect();
        let ask = ask::declare(self.agent(), &api::Declarations { session: self.session, services });
        Box::pin(async move { self.say(ask, Ask::read).await.map(|_| ()) })
    }
}

/// The first line of a file that is not empty.
fn read_line(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

fn read_known(folder: &Path) -> Option<Joined> {
    let text = fs::read_to_string(folder.join(KNOWN)).ok()?;
    let mut lines = text.lines();
    Some(Joined {
        delivery: lines.next()?.parse().ok()?,
        environment: lines.next()?.to_owned(),
        lease: Duration::from_millis(lines.next()?.parse().ok()?),
        credential: None,
    })
}

#[cfg(test)]
mod tests;
