//! What the control plane's answers mean for what is known.

use super::{Note, Observed, PlaneState, Rotation, Unit};
use crate::desired::Desired;
use model::Settled;

impl Observed {
    pub(super) fn on_joined(&mut self) {
        if !self.may_begin() {
            self.plane = PlaneState::There;
        }
    }

    pub(super) fn on_not_admitted(&mut self, why: String) {
        match self.plane {
            PlaneState::Unknown | PlaneState::Closed(_) => self.plane = PlaneState::Closed(why),
            // It was admitted before: what runs goes on, and somebody should look.
            PlaneState::There | PlaneState::Away => self.note_plane("plane-away", Some("not-admitted"), why),
        }
    }

    pub(super) fn on_plane_away(&mut self, why: String) {
        let text = match self.plane {
            PlaneState::Unknown | PlaneState::Closed(_) => {
                format!("{why}: waiting for it, as nothing can be started before it has answered once")
            }
            PlaneState::There | PlaneState::Away => {
                format!("{why}: everything goes on with what is known")
            }
        };
        if self.may_begin() {
            self.plane = PlaneState::Away;
        }
        self.note_plane("plane-away", None, text);
    }

    pub(super) fn on_plane_back(&mut self) {
        self.plane = PlaneState::There;
        self.note_plane("plane-back", None, "the control plane answers".into());
    }

    fn note_plane(&mut self, kind: &'static str, reason: Option<&str>, text: String) {
        self.notes.push(Note { kind, unit: None, reason: reason.map(str::to_owned), text });
    }

    fn wished(&mut self, at: usize, wish: u64) -> Option<&mut Unit> {
        self.units.get_mut(at).filter(|unit| unit.wish == wish)
    }

    pub(super) fn on_registered(&mut self, at: usize, wish: u64, settled: &Settled) {
        let Some(unit) = self.wished(at, wish).filter(|unit| unit.rotation == Rotation::Entering) else {
            return;
        };
        unit.rotation = Rotation::In;
        unit.refusals = 0;
        unit.been_ready = true;
        unit.reason = None;
        match settled {
            Settled::Everywhere => self.note("in-rotation", at, None, "every caller knows of it"),
            Settled::NotYet { waiting } => {
                let text = format!("callers know of it, but for {}", some(waiting));
                self.note("in-rotation", at, Some("not-settled"), text);
            }
        }
    }

    pub(super) fn on_deregistered(&mut self, at: usize, wish: u64, settled: &Settled) {
        let Some(unit) = self.wished(at, wish).filter(|unit| unit.rotation == Rotation::Leaving) else {
            return;
        };
        unit.rotation = Rotation::Out;
        if let Settled::NotYet { waiting } = settled {
            let text = format!("it is stopped although {} may still send it requests", some(waiting));
            self.note("not-settled", at, Some("time-over"), text);
        }
    }

    /// Followers that are sidecars of ours and do not move may be stuck. Those of others are their agents' affair.
    pub(super) fn on_waiting(&mut self, at: usize, wish: u64, waiting: &[String], desired: &Desired) {
        if self.wished(at, wish).is_none() {
            return;
        }
        for (unit, known) in self.units.iter_mut().zip(&desired.units) {
            unit.late |= unit.serves() && waiting.iter().any(|name| name == known.name.as_str());
        }
    }

    pub(super) fn on_registration_refused(&mut self, at: usize, wish: u64, word: &str, text: String) {
        let Some(unit) = self.wished(at, wish) else { return };
        unit.refusals += 1;
        unit.reason = Some(word.to_owned());
        if unit.refusals == 1 {
            self.note("registration-refused", at, Some(word), text);
        }
    }
}

/// The first of them, and how many there are beside.
fn some(names: &[String]) -> String {
    match names {
        [] => "some sidecars".into(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} other sidecars", rest.len()),
    }
}
