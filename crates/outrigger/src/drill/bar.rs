//! How far the runs of a drill have come: a bar on a terminal, for whatever takes longer than two seconds.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

/// Nobody wants to see a bar for less.
const PATIENCE: Duration = Duration::from_secs(2);

/// A bar that is there for as long as this value lives.
pub(crate) struct Bar {
    done: Arc<AtomicU64>,
    life: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Bar {
    /// A bar for `runs` runs. It shows nothing where stderr is no terminal.
    pub(crate) fn begin(runs: u64) -> Bar {
        let done = Arc::new(AtomicU64::new(0));
        let life = stderr().is_terminal().then(|| {
            let (sender, over) = mpsc::channel::<()>();
            let done = done.clone();
            let thread = std::thread::spawn(move || {
                let is_over = |wait| over.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
                if is_over(PATIENCE) {
                    return;
                }
                let bar = ProgressBar::with_draw_target(Some(runs), ProgressDrawTarget::stderr());
                bar.set_style(style());
                while !is_over(Duration::from_millis(100)) {
                    bar.set_position(done.load(Ordering::Relaxed));
                    bar.tick();
                }
                bar.finish_and_clear();
            });
            (sender, thread)
        });
        Bar { done, life }
    }

    /// One more run is over.
    pub(crate) fn on_run(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{spinner} [{bar:40}] {pos} of {len} runs, {elapsed}");
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.life.take() {
            drop(sender);
            // A bar that broke is no reason to lose what was played.
            let _ = thread.join();
        }
    }
}
