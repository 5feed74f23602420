//! A service's build: how it is started, and when it counts as ended.

use crate::act::{News, read};
use crate::child::{self, Input, Launch, Spawned, Words};
use crate::desired::Service;
use crate::exit::Exit;
use crate::logs::Show;
use crate::tree::RUN;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;

/// The last lines of a build are in the pipe when it ends. Whoever holds the pipe longer was left behind by it, and
/// may do so for as long as everything runs.
const LAST_LINES: Duration = Duration::from_millis(500);

/// How `service` is built in the run `run`. What it leaves behind bears the mark of the run, and ends with it.
pub(crate) fn launch(service: &Service, run: &str) -> Launch {
    let own = service.variables.iter().map(|(name, value)| (name.clone(), value.into()));
    let mut words = service.build.iter();
    Launch {
        program: words.next().map(PathBuf::from).unwrap_or_default(),
        arguments: words.map(Into::into).collect(),
        folder: service.folder.clone(),
        variables: own.chain([(RUN.to_owned(), run.into())]).collect(),
        input: Input::Nothing,
        words: Words::Kept,
    }
}

/// Waits until the build has ended and its last lines are told under `name`.
pub(crate) async fn outcome(spawned: Spawned, name: String, news: Sender<News>) -> Exit {
    let Spawned { mut child, output, .. } = spawned;
    let reader = read(output, name, Show::No, news);
    let exit = child::exit(child.wait().await);
    let _ = timeout(LAST_LINES, reader).await;
    exit
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::desired::tests::service;
    use crate::tree::{self, Signs};
    use rustix::process::Signal;
    use tokio::sync::mpsc::channel;
    use tokio::task::LocalSet;

    #[tokio::test]
    async fn what_a_build_leaves_behind_is_not_waited_for_and_bears_the_mark() {
        let run = format!("build-test-{}", std::process::id());
        let mut service = service("a", 1, &[]);
        service.folder = "/".into();
        service.build = ["sh", "-c", "sleep 1000 & echo built; exit 3"].map(str::to_owned).into();
        let spawned = child::spawn(&launch(&service, &run)).unwrap();
        let (sender, mut news) = channel(8);
        let ended = outcome(spawned, "a.build".into(), sender);
        let exit = LocalSet::new().run_until(timeout(Duration::from_secs(60), ended)).await;
        assert_eq!(exit, Ok(Exit::Code(3)));
        assert!(
            matches!(news.try_recv(), Ok(News::Line(name, text, _)) if name == "a.build" && text == "built")
        );
        let left = tree::members(&Signs { leaders: vec![], marks: vec![format!("{RUN}={run}")] });
        assert_eq!(left.len(), 1);
        tree::signal(left[0], Signal::KILL).unwrap();
    }
}
