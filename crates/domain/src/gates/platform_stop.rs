//! The person has not stopped marketing within WhatsApp.

use super::{Evidence, GateInput, GateResult, RefusalReason, refusal::refuse};
use crate::values::Category;

/// Whether the person's stop within WhatsApp, if there is one, concerns this message. It only ever concerns marketing.
pub(super) fn is_absent(input: &GateInput<'_>) -> GateResult {
    let applies = input.category() == Category::Marketing;
    match input.contact.platform_stopped() {
        Some(stopped_at) if applies => refuse(
            RefusalReason::PlatformStopped,
            format!("The person stopped marketing messages within WhatsApp at {stopped_at}."),
        ),
        Some(_) | None => GateResult::Pass(Evidence::NoPlatformStop { applies }),
    }
}
