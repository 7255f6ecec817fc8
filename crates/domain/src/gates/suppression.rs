//! The person is worth writing to.

use super::{Evidence, GateInput, GateResult, RefusalReason, refusal::refuse};
use crate::{
    events::SuppressionEvent,
    values::{Category, Timestamp},
};

/// What suggests that writing to a person would be in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SuppressionFacts {
    undeliverable: Option<(Timestamp, i64)>,
    suspected_blocked: Option<Timestamp>,
    lifted_at: Option<Timestamp>,
}

impl SuppressionFacts {
    /// Takes in a conclusion of the status-tracker.
    pub fn apply(&mut self, event: &SuppressionEvent) {
        match event {
            SuppressionEvent::Undeliverable(event) => self.failed_undeliverable(event.code, event.failed_at),
            SuppressionEvent::SuspectedBlocked(event) => {
                self.suspected_blocked = self.suspected_blocked.max(Some(event.concluded_at));
            }
            SuppressionEvent::Lifted(event) => self.evidence_of_life(event.lifted_at),
        }
    }

    /// Takes in Meta's word that the person cannot be reached (error 131026), without waiting for a conclusion.
    pub fn failed_undeliverable(&mut self, code: i64, at: Timestamp) {
        self.undeliverable = self.undeliverable.max(Some((at, code)));
    }

    /// Takes in that the person wrote or that a message was delivered: everything concluded before is void.
    pub fn evidence_of_life(&mut self, at: Timestamp) {
        self.lifted_at = self.lifted_at.max(Some(at));
    }

    fn holds(&self, since: Timestamp) -> bool {
        self.lifted_at.is_none_or(|lifted| lifted < since)
    }

    /// Meta's code and when it said so, if the person cannot be reached.
    pub fn undeliverable(&self) -> Option<(i64, Timestamp)> {
        self.undeliverable
            .filter(|(since, _)| self.holds(*since))
            .map(|(since, code)| (code, since))
    }

    /// Since when the person is suspected to have blocked us, if so.
    pub fn suspected_blocked(&self) -> Option<Timestamp> {
        self.suspected_blocked.filter(|since| self.holds(*since))
    }
}

/// Whether nothing suggests that the message would be in vain. A suspicion stops marketing only; what the person needs to
/// know is still tried.
pub(super) fn is_absent(input: &GateInput<'_>) -> GateResult {
    if let Some((code, since)) = input.suppression.undeliverable() {
        let text = format!("Meta has called the recipient unreachable since {since} (error {code}).");
        return refuse(RefusalReason::RecipientUndeliverable, text);
    }
    match input.suppression.suspected_blocked() {
        Some(since) if input.category() == Category::Marketing => refuse(
            RefusalReason::RecipientSuspectedBlocked,
            format!(
                "Messages were sent and none delivered; the recipient is suspected to have blocked us since {since}."
            ),
        ),
        Some(_) | None => GateResult::Pass(Evidence::NotSuppressed),
    }
}
