//! A request for a name that is not known waits here while the control plane is asked.

use super::following::PATIENCE;
use crate::worker::Shared;
use model::ServiceName;
use tokio::sync::{mpsc, oneshot};

/// So many requests wait at most; more are refused at once, as without a control plane.
pub(super) const WAITING: usize = 256;

/// A name that somebody asks for; told when it is known how it stands with it.
pub(crate) type Question = (ServiceName, oneshot::Sender<()>);

/// Where workers ask for names.
#[derive(Debug)]
pub(crate) struct Counter {
    questions: mpsc::Sender<Question>,
}

impl Counter {
    /// A counter, and where the questions come out.
    pub(crate) fn open() -> (Counter, mpsc::Receiver<Question>) {
        let (questions, asked) = mpsc::channel(WAITING);
        (Counter { questions }, asked)
    }

    /// Waits until it is known how it stands with the service that `authority` names, as far as there is hope. True: it
    /// may be known now.
    pub(crate) async fn ask(shared: &Shared, name: ServiceName) -> bool {
        let Some(counter) = &shared.counter else { return false };
        let (tell, told) = oneshot::channel();
        if counter.questions.try_send((name, tell)).is_err() {
            return false;
        }
        matches!(tokio::time::timeout(PATIENCE, told).await, Ok(Ok(())))
    }
}
