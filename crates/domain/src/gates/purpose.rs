//! The message is used for what its template is for.

use super::{Evidence, GateInput, GateResult, RefusalReason, TemplateFacts, refusal::refuse};

/// Whether the template asks for no more than the caller says the message is for.
///
/// A utility template used as marketing only becomes harder to send: it is judged as marketing. The other way round the
/// caller counts on a category the template does not have, or will lose.
pub(super) fn matches_category(input: &GateInput<'_>) -> GateResult {
    let template_category = input
        .template
        .and(input.template_facts)
        .map(TemplateFacts::effective_category);
    if let (Some(category), Some(purpose)) = (template_category, input.purpose)
        && category.is_stricter_than(purpose)
    {
        let text = format!("The message was requested as {purpose}, but its template is or will become {category}.");
        return refuse(RefusalReason::CategoryStricterThanPurpose, text);
    }
    GateResult::Pass(Evidence::Purpose {
        purpose: input.purpose,
        judged_as: input.category(),
    })
}
