//! The template exists, is approved and not paused; and which category it has now.

use super::{Evidence, GateInput, GateResult, RefusalReason, refusal::refuse};
use crate::{
    events::{AnnouncedCategory, TemplateChange, TemplateChanged, TemplateObserved, TemplateStatus},
    values::{Category, Timestamp},
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
    /// The version of the template's stream.
    pub version: u32,
    status_as_of: Timestamp,
    category_as_of: Timestamp,
}

impl TemplateFacts {
    /// What the first conclusion about a template, the `version`th event of its stream, says.
    pub fn new(event: &TemplateObserved, version: u32) -> Self {
        Self {
            status: event.status,
            category: event.category,
            announced: event.announced,
            version,
            status_as_of: event.observed_at,
            category_as_of: event.observed_at,
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
            TemplateChange::Quality { .. } | TemplateChange::Components => {}
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
