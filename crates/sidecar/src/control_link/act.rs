//! Carries out what [`Following`] decides: one stream to the control plane, which is begun again whenever it ends; the
//! requests that wait for a name; the file for the next start.

use super::ask::{Question, WAITING};
use super::connect::{Line, connect};
use super::following::{Following, Standing};
use super::{Control, keep};
use crate::admin::Steering;
use model::{Moment, ServiceName, Snapshot};
use net::back_off::BackOff;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use wire::files::{Known, KnownService};
use wire::xds::Update;
use wire::xds::grpc::{Broken, Updates};

/// How often it is looked which observed services are still called.
const LOOK: Duration = Duration::from_secs(30);
/// The file is written at most so often.
const KEEP: Duration = Duration::from_secs(1);

/// The link of one sidecar to its control plane.
pub(crate) struct Link {
    pub(crate) control: Control,
    environment: String,
    pub(crate) following: RefCell<Following>,
    /// Requests that wait until it is known how it stands with a name.
    waiting: RefCell<BTreeMap<ServiceName, Vec<oneshot::Sender<()>>>>,
    questions: RefCell<Option<mpsc::Receiver<Question>>>,
    /// Something is wanted that the control plane has not been told.
    wish: Notify,
    /// Something was heard that may be worth keeping.
    heard: Notify,
    /// What the file says.
    kept: RefCell<Vec<KnownService>>,
    /// How many requests each observed service has had when it was looked last.
    requests: RefCell<BTreeMap<ServiceName, u64>>,
    /// Why there is no stream, since there is none.
    trouble: RefCell<Option<String>>,
}

impl Link {
    /// A link that knows what was kept for the environment of `local`.
    pub(crate) fn open(
        control: Control,
        local: &Snapshot,
        questions: mpsc::Receiver<Question>,
        now: Moment,
    ) -> Link {
        let mut following = Following::new(local, now);
        let mut kept = Vec::new();
        if let Some((known, age)) = control.last_known_good.as_deref().and_then(|f| keep::read(f, local)) {
            kept.clone_from(&known.services);
            following.restore(known, age, now);
        }
        Link {
            control,
            environment: local.environment.clone(),
            following: RefCell::new(following),
            waiting: RefCell::default(),
            questions: RefCell::new(Some(questions)),
            wish: Notify::new(),
            heard: Notify::new(),
            kept: RefCell::new(kept),
            requests: RefCell::default(),
            trouble: RefCell::default(),
        }
    }

    /// Begins to follow.
    pub(crate) fn start(self: &Rc<Self>, steering: &Rc<Steering>) {
        tokio::task::spawn_local(follow(steering.clone(), self.clone()));
        if let Some(questions) = self.questions.borrow_mut().take() {
            tokio::task::spawn_local(attend(steering.clone(), self.clone(), questions));
        }
        if self.control.last_known_good.is_some() {
            let (link, clock) = (self.clone(), steering.shared.clock);
            tokio::task::spawn_local(async move {
                loop {
                    link.heard.notified().await;
                    link.keep_beside(clock.now()).await;
                    tokio::time::sleep(KEEP).await;
                }
            });
        }
    }

    /// The local file says something else: the control plane is told what that changes.
    pub(crate) fn on_local(&self, local: &Snapshot) {
        self.following.borrow_mut().on_local(local);
        self.wish.notify_one();
    }

    /// Why this sidecar is not ready to be relied on; none: it is.
    pub(crate) fn not_ready(&self) -> Option<String> {
        let following = self.following.borrow();
        let missing: Vec<&str> = following.missing().into_iter().map(|name| name.as_str()).collect();
        if missing.is_empty() {
            return None;
        }
        let why = self.trouble.borrow().as_ref().map_or(String::new(), |why| format!(" ({why})"));
        let (missing, address) = (missing.join(", "), &self.control.address);
        Some(format!("the control plane at {address} has not told yet where to find {missing}{why}"))
    }

    /// How it stands with the control plane, for people.
    pub(crate) fn page(&self, now: Moment) -> String {
        let following = self.following.borrow();
        let age = following.age(now);
        let mut text = format!("control plane {}: ", self.control.address);
        let _ = match (following.is_connected(), age.is_zero()) {
            (true, true) => writeln!(text, "in step"),
            (true, false) => writeln!(text, "connected, not in step for {:.1} s", age.as_secs_f64()),
            (false, _) => {
                let why = self.trouble.borrow().clone().unwrap_or_else(|| "not tried yet".to_owned());
                writeln!(text, "not connected, not in step for {:.1} s: {why}", age.as_secs_f64())
            }
        };
        for name in following.missing() {
            let _ = writeln!(text, "missing {name}");
        }
        for name in following.observed() {
            let word = if following.standing(name) == Standing::Known { "observed" } else { "asked for" };
            let _ = writeln!(text, "{word} {name}");
        }
        for (kind, name, why) in following.rejected() {
            let _ = writeln!(text, "rejected {} {name}: {why}", kind.word());
        }
        text
    }

    /// A request waits for a name.
    fn on_question(&self, (name, tell): Question, now: Moment) {
        let mut following = self.following.borrow_mut();
        if !following.is_observed(&name) {
            self.wish.notify_one();
        }
        match following.on_ask(&name, now) {
            Standing::Known => drop(tell.send(())),
            Standing::Asked if !following.is_hopeless(now) => {
                let mut waiting = self.waiting.borrow_mut();
                waiting.retain(|_, all| {
                    all.retain(|tell| !tell.is_closed());
                    !all.is_empty()
                });
                if waiting.values().map(Vec::len).sum::<usize>() < WAITING {
                    waiting.entry(name).or_default().push(tell);
                }
            }
            // To drop it is to say no.
            Standing::Asked | Standing::Absent | Standing::TooMany => {}
        }
    }

    /// What was heard is adopted: whoever waited for it is told.
    fn tell_waiting(&self) {
        let following = self.following.borrow();
        self.waiting.borrow_mut().retain(|name, all| match following.standing(name) {
            Standing::Asked => true,
            Standing::Known => {
                for tell in all.drain(..) {
                    // Who waited may have given up.
                    let _ = tell.send(());
                }
                false
            }
            Standing::Absent | Standing::TooMany => false,
        });
    }

    /// Forgets observed services that nobody has called for long.
    fn look_for_idle(&self, steering: &Steering) {
        let world = steering.shared.world();
        let now = steering.shared.clock.now();
        let mut requests = self.requests.borrow_mut();
        let mut following = self.following.borrow_mut();
        let seen: BTreeMap<ServiceName, (u64, bool)> = following
            .observed()
            .filter_map(|name| {
                let target = world.outbound(name)?;
                Some((name.clone(), (target.counts.total(), target.desk.is_quiet())))
            })
            .collect();
        let used = |name: &ServiceName| match seen.get(name) {
            Some((total, quiet)) => !quiet || requests.get(name).is_none_or(|before| before != total),
            None => false,
        };
        following.on_tick(used, now);
        *requests = seen.into_iter().map(|(name, (total, _))| (name, total)).collect();
    }

    /// All that is worth keeping, with the file for it.
    fn worth_keeping(&self, now: Moment) -> Option<(PathBuf, Known)> {
        let file = self.control.last_known_good.clone()?;
        let following = self.following.borrow();
        let age = u64::try_from(following.age(now).as_millis()).unwrap_or(u64::MAX);
        let at = net::clock::unix_millis().saturating_sub(age);
        Some((file, Known { environment: self.environment.clone(), at, services: following.keep() }))
    }

    /// Writes what is known, where that is not what the file says. A disk that hangs does not hold up requests.
    async fn keep_beside(&self, now: Moment) {
        let Some((file, known)) = self.worth_keeping(now) else { return };
        if known.services == *self.kept.borrow() {
            return;
        }
        let services = known.services.clone();
        let written = tokio::task::spawn_blocking(move || (keep::write(&file, &known), file)).await;
        if let Ok((result, file)) = written {
            self.on_written(&file, services, result);
        }
    }

    /// Writes what is known, at the end, with its age if with nothing else that is new.
    pub(crate) fn keep_now(&self, now: Moment) {
        let Some((file, known)) = self.worth_keeping(now) else { return };
        if !known.services.is_empty() {
            let result = keep::write(&file, &known);
            self.on_written(&file, known.services, result);
        }
    }

    fn on_written(&self, file: &Path, services: Vec<KnownService>, result: std::io::Result<()>) {
        match result {
            Ok(()) => *self.kept.borrow_mut() = services,
            Err(why) => eprintln!(
                "outrigger: what is known cannot be kept in {}: {why}; without it the next start needs the control plane",
                file.display()
            ),
        }
    }

    fn on_lost(&self, why: &Broken, now: Moment) {
        let mut following = self.following.borrow_mut();
        following.on_lost(now);
        let mut trouble = self.trouble.borrow_mut();
        if trouble.is_none() {
            let address = &self.control.address;
            eprintln!(
                "outrigger: the control plane at {address} cannot be followed: {why}; what is known stays in use"
            );
        }
        *trouble = Some(why.to_string());
    }

    fn on_update(&self, update: &Update) {
        self.following.borrow_mut().on_update(update);
        if self.trouble.borrow_mut().take().is_some() {
            eprintln!("outrigger: the control plane at {} is followed again", self.control.address);
        }
    }
}

/// Follows the control plane for as long as it is polled.
async fn follow(steering: Rc<Steering>, link: Rc<Link>) {
    let mut back_off = BackOff::begin();
    loop {
        let why = match connect(&link.control).await {
            Ok(line) => converse(&steering, &link, line, &mut back_off).await,
            Err(why) => why,
        };
        link.on_lost(&why, steering.shared.clock.now());
        tokio::time::sleep(back_off.wait()).await;
    }
}

/// One stream, until it ends. What was heard is adopted before anything is said of it.
async fn converse(steering: &Steering, link: &Link, mut line: Line, back_off: &mut BackOff) -> Broken {
    link.following.borrow_mut().on_connected();
    let mut is_news = false;
    loop {
        loop {
            let Some(request) = link.following.borrow_mut().next() else { break };
            // A stream that is over says so when it is read.
            let _ = line.say.send(request);
        }
        if std::mem::take(&mut is_news) {
            steering.sweep().await;
        }
        tokio::select! {
            first = line.updates.next() => {
                if matches!(first, Ok(Some(_))) {
                    back_off.reset();
                }
                let over = take_all(link, first, &mut line.updates).await;
                is_news = steering.adopt_known();
                link.tell_waiting();
                link.heard.notify_one();
                if let Some(why) = over {
                    return why;
                }
            }
            () = link.wish.notified() => {}
        }
    }
}

/// Takes this update and all others that have arrived. Why the stream is over, if it is.
async fn take_all(
    link: &Link,
    first: Result<Option<Update>, Broken>,
    updates: &mut Updates,
) -> Option<Broken> {
    let mut next = Some(first);
    while let Some(update) = next {
        match update {
            Ok(Some(update)) => link.on_update(&update),
            Ok(None) => return Some(Broken("it has ended the stream".to_owned())),
            Err(why) => return Some(why),
        }
        let mut waiting = pin!(updates.next());
        next = std::future::poll_fn(|cx| match waiting.as_mut().poll(cx) {
            Poll::Ready(update) => Poll::Ready(Some(update)),
            Poll::Pending => Poll::Ready(None),
        })
        .await;
    }
    None
}

/// Attends to requests that wait for a name, and to names that nobody asks for any more.
async fn attend(steering: Rc<Steering>, link: Rc<Link>, mut questions: mpsc::Receiver<Question>) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            question = questions.recv() => {
                let Some(question) = question else { return };
                link.on_question(question, steering.shared.clock.now());
            }
            _ = look.tick() => {
                link.look_for_idle(&steering);
                if steering.adopt_known() {
                    steering.sweep().await;
                }
                link.wish.notify_one();
            }
        }
    }
}
