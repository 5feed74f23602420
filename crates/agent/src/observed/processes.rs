//! What sidecars and apps tell, and their ends, mean for what is known.

use super::{App, Drain, Killed, Observed, Sidecar, Wanted};
use crate::desired::{BackOff, Desired, End, Kind, Service};
use crate::exit::Exit;
use model::Moment;
use std::time::Duration;

impl Observed {
    pub(super) fn on_sidecar_ready(&mut self, at: usize, run: u64, now: Moment) {
        let Some(unit) = self.sidecar(at, run) else { return };
        if matches!(unit.sidecar, Sidecar::Starting(_)) {
            unit.sidecar = Sidecar::Ready(now);
            // The edge has nothing but its sidecar.
            if unit.app == App::None {
                unit.been_ready = true;
                unit.reason = None;
            }
            self.note("sidecar-ready", at, None, "its sidecar serves");
        }
    }

    pub(super) fn on_sidecar_exit(&mut self, at: usize, run: u64, exit: Exit, words: &str, now: Moment) {
        let stopping = self.stopping.is_some();
        let Some(unit) = self.sidecar(at, run) else { return };
        let was = std::mem::replace(&mut unit.sidecar, Sidecar::Absent(now));
        unit.sidecar_pid = None;
        unit.sent = None;
        match was {
            Sidecar::Stopping(_, _) if unit.wanted != Wanted::Run || stopping => return,
            // It served for a while: what ended it is not what it was started with.
            Sidecar::Ready(since) if since.until(now) > Duration::from_secs(10) => unit.sidecar_failures = 0,
            _ => unit.sidecar_failures += 1,
        }
        let wait = BackOff::SIDECAR.wait(unit.sidecar_failures.saturating_sub(1));
        unit.sidecar = Sidecar::Absent(now.after(wait));
        unit.reason = Some("sidecar-gone".into());
        // Where it could not even begin, somebody else may have its ports.
        unit.new_ports |= !matches!(was, Sidecar::Ready(_)) && !unit.app_runs();
        let words = if words.is_empty() { String::new() } else { format!(": {words}") };
        self.note("sidecar-exited", at, Some(&exit.word()), format!("its sidecar ended by {exit}{words}"));
    }

    pub(super) fn on_app_started(&mut self, at: usize, run: u64, pid: u32, desired: &Desired, now: Moment) {
        let job = desired.service(at).is_some_and(|s| s.kind == Kind::Job);
        let Some(unit) = self.app(at, run) else { return };
        unit.app_pid = Some(pid);
        if job && matches!(unit.app, App::Starting(_)) {
            unit.app = App::Up(now);
        }
        self.note("started", at, None, format!("its app runs as process {pid}"));
    }

    pub(super) fn on_startup(&mut self, at: usize, run: u64, now: Moment) {
        let Some(unit) = self.app(at, run) else { return };
        if let App::Starting(since) = unit.app {
            unit.app = App::Up(now);
            unit.liveness_failures = 0;
            let took = since.until(now).as_millis();
            self.note("ready", at, None, format!("its app answers, {took} ms after its start"));
        }
    }

    pub(super) fn on_not_alive(&mut self, at: usize, run: u64, why: String) {
        let Some(unit) = self.app(at, run) else { return };
        unit.liveness_failures = unit.liveness_failures.saturating_add(1);
        let text = format!("liveness probe failed, {} in a row: {why}", unit.liveness_failures);
        self.note("probe-failed", at, Some("liveness"), text);
    }

    pub(super) fn on_app_exit(&mut self, at: usize, run: u64, exit: Exit, desired: &Desired, now: Moment) {
        let (Some(service), stopping) = (desired.service(at), self.stopping.is_some()) else { return };
        // One that could not be killed may have been given up before.
        let Some(unit) = self.app(at, run).filter(|unit| unit.app_runs()) else { return };
        let was = std::mem::replace(&mut unit.app, App::Absent(now));
        unit.app_pid = None;
        unit.liveness_failures = 0;
        unit.spared = false;
        let asked = matches!(was, App::Stopping(..)) && (unit.wanted != Wanted::Run || stopping);
        if service.end == End::Stop && unit.wanted == Wanted::Run {
            self.ended.get_or_insert(exit);
        }
        let unit = &mut self.units[at];
        if asked {
            self.note("stopped", at, Some(&exit.word()), format!("its app ended by {exit}, as asked"));
        } else if service.end == End::Stop {
            unit.app = App::Done;
            unit.reason = Some(exit.word());
            self.note("exited", at, Some(&exit.word()), format!("its app ended by {exit}"));
        } else if service.kind == Kind::Job && exit == Exit::Code(0) {
            unit.app = App::Done;
            unit.been_ready = true;
            unit.reason = None;
            self.note("done", at, Some(&exit.word()), "the job is done");
        } else {
            self.app_failed(at, service, was, exit, now);
        }
    }

    /// Whatever waits for the end of this app goes on without it.
    pub(super) fn on_undead(
        &mut self,
        at: usize,
        run: u64,
        (pid, why): (u32, &str),
        desired: &Desired,
        now: Moment,
    ) {
        let Some(unit) = self.app(at, run).filter(|unit| unit.app_runs()) else { return };
        // It may still hold its port.
        unit.new_ports = true;
        let given_up = matches!(unit.app, App::Stopping(_, Killed::Yes));
        let text = format!("process {pid} cannot be ended: {why}; end it by hand");
        self.note("not-ending", at, Some("killed-in-vain"), text);
        if given_up {
            self.on_app_exit(at, run, Exit::Signal(9), desired, now);
        }
    }

    /// The app ended though nobody asked for it; it `was` so far.
    fn app_failed(&mut self, at: usize, service: &Service, was: App, exit: Exit, now: Moment) {
        let unit = &mut self.units[at];
        // Whoever ran well for long enough begins to count anew.
        if let App::Up(since) = was
            && since.until(now) > service.back_off.at_most.max(Duration::from_secs(10))
        {
            unit.app_failures = 0;
        }
        unit.app_failures += 1;
        // One that was told to end did not pass its startup probe, which is the reason already.
        if !matches!(was, App::Stopping(..)) {
            unit.reason = Some(exit.word());
        }
        // An app that never answered may have found its port taken: another one next time.
        unit.new_ports |= matches!(was, App::Starting(_));
        let end = format!("its app ended by {exit}");
        let (kind, text) = if service.kind == Kind::Job && unit.app_failures >= service.attempts {
            unit.app = App::Failed;
            ("failed", format!("{end}; the job is given up after {} attempts", unit.app_failures))
        } else {
            let wait = service.back_off.wait(unit.app_failures);
            unit.app = App::Absent(now.after(wait));
            ("exited", format!("{end}; started again in {} ms", wait.as_millis()))
        };
        self.note(kind, at, Some(&exit.word()), text);
    }

    pub(super) fn on_refused(&mut self, at: usize, run: u64, generation: u64, why: String) {
        let Some(unit) = self.sidecar(at, run) else { return };
        // It keeps what it had; the same again would be refused again, so nobody waits for it.
        unit.acked = unit.acked.max(generation);
        unit.sent = None;
        let text = format!("its sidecar refuses what it was told and keeps what it had: {why}");
        self.note("reload-refused", at, Some("refused"), text);
    }

    pub(super) fn on_late(&mut self, at: usize, run: u64, now: Moment) {
        let Some(unit) = self.sidecar(at, run) else { return };
        if unit.serves() {
            // The act has killed it with this news; its end is told by itself.
            unit.sidecar = Sidecar::Stopping(now, Killed::Yes);
            unit.sent = None;
            self.note(
                "killed",
                at,
                Some("reload-late"),
                "its sidecar did not confirm in time and is replaced",
            );
        }
    }

    pub(super) fn on_drained(&mut self, at: usize, run: u64, left: u32) {
        let Some(unit) = self.sidecar(at, run) else { return };
        if unit.drain == Drain::Asked {
            unit.drain = Drain::Over;
            let (reason, text) = match left {
                0 => (None, "its last request is answered".to_owned()),
                _ => (Some("time-over"), format!("{left} requests were not answered in time")),
            };
            self.note("drained", at, reason, text);
        }
    }
}
