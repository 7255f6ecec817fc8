//! News of templates (Business Management API webhooks).

use serde_json::Value;

use crate::client::{QualityRating, TemplateCategory, TemplateStatus};
use crate::json::Fields;
use crate::timestamp::Timestamp;

/// Which template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateRef {
    /// Its id; Meta writes an integer beyond what a float holds.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its language code.
    pub language: Option<String>,
}

/// `message_template_status_update`.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateStatusUpdate {
    /// Which.
    pub template: TemplateRef,
    /// Its state from now on.
    pub status: TemplateStatus,
    /// Its category.
    pub category: Option<TemplateCategory>,
    /// Why; `NONE` counts as absent.
    pub reason: Option<String>,
    /// `FIRST_PAUSE`, `SECOND_PAUSE`, `RATE_LIMITING_PAUSE`, `UNPAUSE`, `DISABLED`.
    pub pause_title: Option<String>,
    /// The pause in words.
    pub description: Option<String>,
    /// What would make it acceptable.
    pub recommendation: Option<String>,
    /// When it is or was disabled, as Meta words it.
    pub disable_date: Option<String>,
}

/// `message_template_quality_update`.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateQualityUpdate {
    /// Which.
    pub template: TemplateRef,
    /// Quality until now.
    pub previous: Option<QualityRating>,
    /// Quality from now on.
    pub current: QualityRating,
}

/// `template_category_update`, in its two forms.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateCategoryUpdate {
    /// Which.
    pub template: TemplateRef,
    /// The category before a change that has happened.
    pub previous: Option<TemplateCategory>,
    /// The category in force now, in both forms.
    pub current: Option<TemplateCategory>,
    /// The category to come, if this is a notice.
    pub announced: Option<TemplateCategory>,
    /// When the announced category comes into force.
    pub takes_effect: Option<Timestamp>,
}

/// `message_template_components_update`: the text was edited.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateComponentsUpdate {
    /// Which.
    pub template: TemplateRef,
    /// The text of its header.
    pub header: Option<String>,
    /// The text of its body.
    pub body: Option<String>,
    /// The text of its footer.
    pub footer: Option<String>,
    /// Its buttons, as Meta describes them.
    pub buttons: Vec<Value>,
}

impl TemplateRef {
    /// `None` if the report names no template at all.
    fn take(fields: &mut Fields) -> Option<Self> {
        let template = Self {
            id: fields.filled_text("message_template_id"),
            name: fields.filled_text("message_template_name"),
            language: fields.filled_text("message_template_language"),
        };
        (template.id.is_some() || template.name.is_some()).then_some(template)
    }
}

impl TemplateStatusUpdate {
    pub(super) fn from_fields(mut fields: Fields) -> Option<Self> {
        let template = TemplateRef::take(&mut fields)?;
        let mut other = fields.object("other_info").unwrap_or_default();
        let mut rejection = fields.object("rejection_info").unwrap_or_default();
        let mut disabling = fields.object("disable_info").unwrap_or_default();
        let reason = fields.filled_text("reason").filter(|reason| reason != "NONE");
        Some(Self {
            template,
            status: TemplateStatus::from(fields.filled_text("event")?),
            category: fields
                .filled_text("message_template_category")
                .map(TemplateCategory::from),
            reason: reason.or_else(|| rejection.filled_text("reason")),
            pause_title: other.filled_text("title"),
            description: other.filled_text("description"),
            recommendation: rejection.filled_text("recommendation"),
            disable_date: disabling.filled_text("disable_date"),
        })
    }
}

impl TemplateQualityUpdate {
    pub(super) fn from_fields(mut fields: Fields) -> Option<Self> {
        Some(Self {
            template: TemplateRef::take(&mut fields)?,
            previous: fields.filled_text("previous_quality_score").map(QualityRating::from),
            current: QualityRating::from(fields.filled_text("new_quality_score")?),
        })
    }
}

impl TemplateCategoryUpdate {
    pub(super) fn from_fields(mut fields: Fields) -> Option<Self> {
        let update = Self {
            template: TemplateRef::take(&mut fields)?,
            previous: fields.filled_text("previous_category").map(TemplateCategory::from),
            current: fields.filled_text("new_category").map(TemplateCategory::from),
            announced: fields.filled_text("correct_category").map(TemplateCategory::from),
            takes_effect: fields.timestamp("category_update_timestamp"),
        };
        (update.current.is_some() || update.announced.is_some()).then_some(update)
    }
}

impl TemplateComponentsUpdate {
    pub(super) fn from_fields(mut fields: Fields) -> Option<Self> {
        Some(Self {
            template: TemplateRef::take(&mut fields)?,
            header: fields.filled_text("message_template_title"),
            body: fields.filled_text("message_template_element"),
            footer: fields.filled_text("message_template_footer"),
            buttons: fields.list("message_template_buttons"),
        })
    }
}
