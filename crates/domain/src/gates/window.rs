//! The customer service window.

use std::time::Duration;

use super::{Evidence, GateInput, GateResult, RefusalReason, refusal::refuse};
use crate::values::Timestamp;

/// How long after a person's message free-form answers are allowed. Source: Meta's customer service window.
pub const WINDOW: Duration = Duration::from_hours(24);
/// How much earlier we consider it closed, for the way a message takes and for clocks that differ.
pub const WINDOW_MARGIN: Duration = Duration::from_mins(1);

/// When one person last wrote to one of our numbers. The window belongs to the pair: numbers do not share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WindowFacts {
    last_inbound_at: Option<Timestamp>,
    closed_at: Option<Timestamp>,
}

impl WindowFacts {
    /// Takes in a message of the person that opens the window, by Meta's clock.
    pub fn wrote(&mut self, provider_at: Timestamp) {
        self.last_inbound_at = self.last_inbound_at.max(Some(provider_at));
    }

    /// Takes in Meta's word that the window is closed (error 131047), whatever we thought.
    pub fn was_closed(&mut self, at: Timestamp) {
        self.closed_at = self.closed_at.max(Some(at));
    }

    /// When the person last wrote.
    pub fn last_inbound_at(&self) -> Option<Timestamp> {
        self.last_inbound_at
    }

    /// Until when the window is open, if it is at `now`; the margin is taken off already.
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        let inbound = self
            .last_inbound_at
            .filter(|inbound| self.closed_at.is_none_or(|closed| closed < *inbound))?;
        let until = inbound + WINDOW - WINDOW_MARGIN;
        (now < until).then_some(until)
    }
}

/// Whether the window is open, which free-form messages need and templates do not.
pub(super) fn is_open(input: &GateInput<'_>) -> GateResult {
    let open_until = input.window.open_until(input.now);
    if open_until.is_some() || input.template.is_some() {
        return GateResult::Pass(Evidence::Window { open_until });
    }
    let text = match input.window.last_inbound_at() {
        Some(wrote_at) => format!("The customer service window is closed: the person last wrote at {wrote_at}."),
        None => "The customer service window is closed: the person never wrote to this number.".to_owned(),
    };
    refuse(RefusalReason::WindowClosed, text)
}
