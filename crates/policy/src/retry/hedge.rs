//! **When the first attempt has not answered in time for most calls, a second one begins beside it; the first answer
//! wins.**
//!
//! A slow answer is often bad luck on one endpoint: a pause, a queue, a lost packet. Asking a second one costs little
//! when few calls do it. Four conditions keep it safe and cheap: the request may be carried out twice; its body is
//! whole in the copy; the retry budget has one left; and nobody refused for overload in the last 10 s, as then the
//! second attempt would be what makes things slow.
//!
//! | first attempt after | hedged at 50 ms | answer after |
//! |---|---|---|
//! | 30 ms | no | 30 ms |
//! | 2,000 ms, second takes 30 ms | yes | 80 ms |
//!
//! Counted from when the request's body is whole: an instance cannot answer a slow upload sooner.
//!
//! ```
//! # use policy::retry::hedge_at; use model::{Hedge, Moment}; use std::time::Duration;
//! let hedge = Hedge { after: Duration::from_millis(50) };
//! let began = Moment::from_millis(1_000);
//! assert_eq!(hedge_at(Some(&hedge), began, None), Moment::from_millis(1_050));
//! let shed = Some(Moment::from_millis(900));
//! assert_eq!(hedge_at(Some(&hedge), began, shed), Moment::NEVER);
//! assert_eq!(hedge_at(None, began, None), Moment::NEVER);
//! ```
//!
//! Source: Dean and Barroso, "The tail at scale" (2013).

use model::{Hedge, Moment};
use std::time::Duration;

/// So long after a refusal for overload nothing is hedged.
const QUIET: Duration = Duration::from_secs(10);

/// When a second attempt may begin beside a first that has had the whole request since `began`; `shed` is when the service last refused a call
/// for overload.
pub fn hedge_at(rule: Option<&Hedge>, began: Moment, shed: Option<Moment>) -> Moment {
    let Some(rule) = rule else { return Moment::NEVER };
    let at = began.after(rule.after);
    if shed.is_some_and(|shed| at < shed.after(QUIET)) { Moment::NEVER } else { at }
}
