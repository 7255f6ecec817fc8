//! The template exists, is approved and not paused; which translation of it is sent; and which category it has now.

use super::{Evidence, GateInput, GateResult, RefusalReason, refusal::refuse};
use crate::{
    events::{AnnouncedCategory, TemplateChange, TemplateChanged, TemplateObserved, TemplateStatus},
    values::{Category, TemplateDefinition, Timestamp},
};

/// What is known of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFacts {
    /// Its state.
    pub status: TemplateStatus,
    /// Its category today.
    pub category: Category,
    /// The category it will have.
    pub announced: Option<AnnouncedCategory>,
    /// What it consists of, if that is known for now.
    pub definition: Option<TemplateDefinition>,
    /// The version of the template's stream.
    pub version: u32,
    status_as_of: Timestamp,
    category_as_of: Timestamp,
    definition_as_of: Timestamp,
}

impl TemplateFacts {
    /// What the first conclusion about a template, the `version`th event of its stream, says.
    pub fn new(event: &TemplateObserved, version: u32) -> Self {
        Self {
            status: event.status,
            category: event.category,
            announced: event.announced,
            definition: event.definition.clone(),
            version,
            status_as_of: event.observed_at,
            category_as_of: event.observed_at,
            definition_as_of: event.observed_at,
        }
    }

    /// Takes in a later conclusion, the `version`th event of the template's stream.
    pub fn observed(&mut self, event: &TemplateObserved, version: u32) {
        self.version = self.version.max(version);
        self.set_status(event.status, event.observed_at);
        if event.observed_at >= self.category_as_of {
            self.category_as_of = event.observed_at;
            self.category = event.category;
            self.announced = event.announced;
        }
        if event.observed_at >= self.definition_as_of {
            self.definition_as_of = event.observed_at;
            self.definition.clone_from(&event.definition);
        }
    }

    /// Takes in what Meta said about the template: a pause or a stricter category counts at once.
    pub fn changed(&mut self, event: &TemplateChanged) {
        match &event.change {
            TemplateChange::Status { status, .. } => {
                self.set_status(TemplateStatus::from_provider(status.as_str()), event.provider_at);
            }
            TemplateChange::CategoryAnnounced {
                announced,
                effective_at,
                ..
            } => {
                if event.provider_at >= self.category_as_of {
                    self.announced = Some(AnnouncedCategory {
                        category: *announced,
                        effective_at: *effective_at,
                    });
                }
            }
            TemplateChange::CategoryChanged { current, .. } => {
                if event.provider_at >= self.category_as_of {
                    self.category_as_of = event.provider_at;
                    self.category = *current;
                    self.announced = None;
                }
            }
            // What it consists of now is not known before somebody looks.
            TemplateChange::Components => {
                if event.provider_at >= self.definition_as_of {
                    self.definition_as_of = event.provider_at;
                    self.definition = None;
                }
            }
            TemplateChange::Quality { .. } => {}
        }
    }

    fn set_status(&mut self, status: TemplateStatus, at: Timestamp) {
        // At the same moment the state that does not send wins, so that the order of two callbacks does not matter.
        let is_milder = at == self.status_as_of && status == TemplateStatus::Approved;
        if at >= self.status_as_of && !is_milder {
            self.status_as_of = at;
            self.status = status;
        }
    }

    /// The category to judge by: while a change is announced the stricter of the two.
    pub fn effective_category(&self) -> Category {
        self.announced
            .map_or(self.category, |announced| self.category.stricter(announced.category))
    }
}

/// Which of a business's `fallbacks`, by place, stands in for the translation asked for; `None`: none, that one is to be sent or
/// refused. States are those of translations of one template, absent where there is none.
///
/// The first approved one stands in for a translation that is not there or not approved. Meta itself sends exactly what is named,
/// or nothing. What Meta stopped because of its quality keeps its refusal: the same words in another language would get round the
/// stop.
pub fn fallback_for(
    asked: Option<TemplateStatus>,
    fallbacks: impl IntoIterator<Item = Option<TemplateStatus>>,
) -> Option<usize> {
    match asked {
        Some(TemplateStatus::Approved | TemplateStatus::Paused | TemplateStatus::Disabled) => None,
        Some(_) | None => fallbacks
            .into_iter()
            .position(|status| status == Some(TemplateStatus::Approved)),
    }
}

/// Whether the template may be sent, if the message uses one.
pub(super) fn may_be_sent(input: &GateInput<'_>) -> GateResult {
    let Some(template) = input.template else {
        return GateResult::Pass(Evidence::FreeForm);
    };
    let Some(facts) = input.template_facts else {
        return refuse(
            RefusalReason::TemplateUnknown,
            format!("There is no template {template}."),
        );
    };
    let reason = match facts.status {
        TemplateStatus::Approved => {
            return GateResult::Pass(Evidence::Template {
                template: template.clone(),
                status: facts.status,
                category: facts.effective_category(),
                version: facts.version,
                asked_language: input.asked_language.cloned(),
            });
        }
        TemplateStatus::Paused => RefusalReason::TemplatePaused,
        TemplateStatus::Disabled => RefusalReason::TemplateDisabled,
        TemplateStatus::Pending
        | TemplateStatus::Rejected
        | TemplateStatus::InAppeal
        | TemplateStatus::PendingDeletion
        | TemplateStatus::Deleted
        | TemplateStatus::LimitExceeded
        | TemplateStatus::Archived
        | TemplateStatus::Locked
        | TemplateStatus::Unknown => RefusalReason::TemplateNotApproved,
    };
    refuse(reason, format!("The template {template} is {}.", facts.status.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events::{ObservedFrom, QualityRating},
        testing::{at, template},
        values::{TenantId, WabaId},
    };

    fn observed(status: TemplateStatus, second: i64) -> TemplateObserved {
        TemplateObserved {
            tenant: TenantId::try_new("marlow").unwrap(),
            waba: WabaId::try_new("215500000000001").unwrap(),
            template: template(),
            template_id: None,
            status,
            category: Category::Utility,
            announced: None,
            quality: QualityRating::Unknown,
            reason: None,
            definition: Some(TemplateDefinition(serde_json::json!({"seen_at": second}))),
            observed_from: ObservedFrom::Poll,
            observed_at: at(second),
        }
    }

    #[test]
    fn a_translation_that_is_not_there_or_not_approved_is_stood_in_for_by_the_first_approved_one() {
        use TemplateStatus::{Approved, Deleted, Paused, Pending, Rejected};
        let chain = [Some(Pending), None, Some(Approved), Some(Approved)];
        for asked in [None, Some(Pending), Some(Rejected), Some(Deleted)] {
            assert_eq!(fallback_for(asked, chain), Some(2), "{asked:?}");
        }
        assert_eq!(fallback_for(Some(Approved), chain), None);
        assert_eq!(fallback_for(None, [Some(Paused)]), None, "nothing else can be sent");
        assert_eq!(fallback_for(None, []), None);
    }

    #[test]
    fn a_stop_for_quality_is_not_got_round_by_another_language() {
        for stopped in [TemplateStatus::Paused, TemplateStatus::Disabled] {
            assert_eq!(fallback_for(Some(stopped), [Some(TemplateStatus::Approved)]), None);
        }
    }

    #[test]
    fn what_a_template_consists_of_is_not_known_from_a_change_until_it_is_looked_at_again() {
        let changed = TemplateChanged {
            waba: WabaId::try_new("215500000000001").unwrap(),
            template: template(),
            template_id: None,
            change: TemplateChange::Components,
            provider_at: at(20),
            received_at: at(20),
        };
        let (before, after) = (
            observed(TemplateStatus::Approved, 10),
            observed(TemplateStatus::Approved, 30),
        );
        let mut facts = TemplateFacts::new(&before, 1);
        facts.changed(&changed);
        assert_eq!(facts.definition, None);
        // An older look says nothing of it, in whatever order the two are met.
        facts.observed(&before, 1);
        assert_eq!(facts.definition, None);
        facts.observed(&after, 2);
        assert_eq!(facts.definition, after.definition);
        facts.changed(&changed);
        assert_eq!(facts.definition, after.definition);
    }
}
