//! The person agreed to this category.

use super::{Evidence, GateInput, GateResult, RefusalReason, refusal::refuse};
use crate::{
    contact::{Grant, Standing},
    values::{Category, Timestamp},
};

/// Whether the person agreed to messages of the category this one is judged as.
///
/// Somebody who writes first may be answered: for service messages an open window does instead of an opt-in, even after a
/// withdrawal if they wrote later. Writing first is never consent to anything else.
pub(super) fn covers_category(input: &GateInput<'_>) -> GateResult {
    let category = input.category();
    let wrote_at = input.window.open_until(input.now).and(input.window.last_inbound_at());
    let answering = wrote_at.filter(|_| category == Category::Service);
    match (input.contact.standing(category), answering) {
        (Standing::Granted(grant), _) => GateResult::Pass(opt_in(category, &grant)),
        (Standing::Never, Some(wrote_at)) => wrote_first(wrote_at),
        (Standing::Withdrawn(withdrawal), Some(wrote_at)) if wrote_at > withdrawal.given_at => wrote_first(wrote_at),
        (Standing::Never, None) => refuse(
            RefusalReason::ConsentMissing,
            format!("The person has not agreed to {category} messages."),
        ),
        (Standing::Withdrawn(withdrawal), _) => {
            let text = format!(
                "The person withdrew from {category} messages at {} ({}).",
                withdrawal.given_at,
                withdrawal.source.as_str()
            );
            refuse(RefusalReason::ConsentWithdrawn, text)
        }
    }
}

fn opt_in(category: Category, grant: &Grant) -> Evidence {
    Evidence::OptIn {
        category,
        source: grant.source,
        given_at: grant.given_at,
        version: grant.version,
        contact: grant.contact,
    }
}

fn wrote_first(wrote_at: Timestamp) -> GateResult {
    GateResult::Pass(Evidence::WroteFirst { wrote_at })
}
