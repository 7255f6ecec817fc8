//! `GET /{account-id}/message_templates`: what may be sent outside the service window.

use serde_json::{Map, Value};

use super::Client;
use super::number::QualityRating;
use super::transport::{CallError, send_for_json};
use crate::json::Fields;
use crate::limits::{TEMPLATE_PAGES_MAX, TEMPLATES_PER_PAGE};
use crate::open_enum::open_enum;
use crate::secret::Secret;

/// The fields asked for (Business Management API, "Message templates" reference).
const TEMPLATE_FIELDS: &str = "id,name,language,status,category,previous_category,correct_category,parameter_format,\
components,quality_score,rejected_reason,message_send_ttl_seconds";

open_enum! {
    /// State of a template, in listings and in callbacks. Only an approved one can be sent.
    TemplateStatus {
        /// Usable.
        Approved = "APPROVED",
        /// In review.
        Pending = "PENDING",
        /// Refused.
        Rejected = "REJECTED",
        /// Not usable for some hours, for low quality.
        Paused = "PAUSED",
        /// Not usable any more.
        Disabled = "DISABLED",
        /// The refusal is being looked at again.
        InAppeal = "IN_APPEAL",
        /// About to be deleted.
        PendingDeletion = "PENDING_DELETION",
        /// Deleted.
        Deleted = "DELETED",
        /// The account has too many templates.
        LimitExceeded = "LIMIT_EXCEEDED",
        /// Low quality (before October 2025).
        Flagged = "FLAGGED",
        /// Usable again; only in callbacks.
        Reinstated = "REINSTATED",
        /// Unused for a year.
        Archived = "ARCHIVED",
        /// Back from the archive; only in callbacks.
        Unarchived = "UNARCHIVED",
        /// Locked.
        Locked = "LOCKED",
    }
}

open_enum! {
    /// What a template is for, which decides price and consent.
    TemplateCategory {
        /// Promotion, or anything mixed or unclear.
        Marketing = "MARKETING",
        /// About something the user asked for or needs.
        Utility = "UTILITY",
        /// One-time codes.
        Authentication = "AUTHENTICATION",
    }
}

/// One template in one language. Every field may be absent.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateInfo {
    /// The template's id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its language code.
    pub language: Option<String>,
    /// Its state.
    pub status: Option<TemplateStatus>,
    /// Its current category.
    pub category: Option<TemplateCategory>,
    /// The category before Meta changed it.
    pub previous_category: Option<TemplateCategory>,
    /// The category Meta holds to be right and will change it to.
    pub correct_category: Option<TemplateCategory>,
    /// `POSITIONAL` or `NAMED`.
    pub parameter_format: Option<String>,
    /// Quality by the users' reactions.
    pub quality: Option<QualityRating>,
    /// Why it was refused.
    pub rejected_reason: Option<String>,
    /// After how many seconds an undelivered message is dropped without a word; -1 is 30 days.
    pub message_send_ttl_seconds: Option<i64>,
    /// Header, body, footer, buttons.
    pub components: Vec<TemplateComponent>,
    /// Everything else Meta sent.
    pub other: Map<String, Value>,
}

/// A part of a template's definition.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateComponent {
    /// `HEADER`, `BODY`, `FOOTER`, `BUTTONS`, `CAROUSEL`, …
    pub kind: Option<String>,
    /// Of a header: `TEXT`, `IMAGE`, `VIDEO`, `DOCUMENT`, `LOCATION`.
    pub format: Option<String>,
    /// Text with its variables in double braces.
    pub text: Option<String>,
    /// The buttons, as Meta describes them.
    pub buttons: Vec<Value>,
    /// Everything else Meta sent.
    pub other: Map<String, Value>,
}

/// Which templates to list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TemplateQuery {
    /// Those with this in their name.
    pub name: Option<String>,
    /// Those in this language.
    pub language: Option<String>,
    /// Those in this state.
    pub status: Option<TemplateStatus>,
    /// Those of this category.
    pub category: Option<TemplateCategory>,
    /// How many at most; at least one and at most [`TEMPLATES_PER_PAGE`].
    pub limit: Option<usize>,
    /// [`TemplatePage::next`] of the page before.
    pub after: Option<String>,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplatePage {
    /// The templates on it.
    pub templates: Vec<TemplateInfo>,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<String>,
}

impl Client {
    /// All templates of an account, page by page.
    pub async fn templates(&self, account_id: &str, token: &Secret) -> Result<Vec<TemplateInfo>, CallError> {
        let mut templates = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..TEMPLATE_PAGES_MAX {
            let page = self.templates_page(account_id, token, after.as_deref()).await?;
            templates.extend(page.templates);
            match page.next {
                None => return Ok(templates),
                // A cursor that leads back to itself would be read for ever.
                next if next == after => return Err(CallError::Endless),
                next => after = next,
            }
        }
        Err(CallError::Endless)
    }

    /// One page of an account's templates, from the start or after a cursor.
    pub async fn templates_page(
        &self,
        account_id: &str,
        token: &Secret,
        after: Option<&str>,
    ) -> Result<TemplatePage, CallError> {
        let query = TemplateQuery {
            after: after.map(str::to_owned),
            ..TemplateQuery::default()
        };
        self.find_templates(account_id, token, &query).await
    }

    /// One page of those templates of an account that a query asks for.
    pub async fn find_templates(
        &self,
        account_id: &str,
        token: &Secret,
        query: &TemplateQuery,
    ) -> Result<TemplatePage, CallError> {
        let limit = query.limit.unwrap_or(TEMPLATES_PER_PAGE).clamp(1, TEMPLATES_PER_PAGE);
        let status = query.status.as_ref().map(TemplateStatus::as_str);
        let category = query.category.as_ref().map(TemplateCategory::as_str);
        let filters = [
            ("name", query.name.as_deref()),
            ("language", query.language.as_deref()),
            ("status", status),
            ("category", category),
            ("after", query.after.as_deref()),
        ];
        let filters = filters.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let request = self
            .http
            .get(self.url([account_id, "message_templates"]))
            .query(&[("fields", TEMPLATE_FIELDS), ("limit", &limit.to_string())])
            .query(&filters.collect::<Vec<_>>())
            .bearer_auth(token.expose());
        let value = send_for_json(request).await?;
        let mut fields = Fields::from_value(value).ok_or(CallError::Unreadable { http_status: 200 })?;
        if !fields.has("data") {
            // Taking a stranger's JSON for an account without templates would stop every campaign.
            return Err(CallError::Unreadable { http_status: 200 });
        }
        let templates = fields
            .objects("data")
            .into_iter()
            .map(TemplateInfo::from_fields)
            .collect();
        let mut paging = fields.object("paging").unwrap_or_default();
        // The cursor is there on the last page too; only `next` says that there is more.
        let more = paging.has("next");
        let cursor = paging
            .object("cursors")
            .and_then(|mut cursors| cursors.filled_text("after"));
        Ok(TemplatePage {
            templates,
            next: cursor.filter(|_| more),
        })
    }
}

impl Client {
    /// One template by its id.
    pub async fn template(&self, template_id: &str, token: &Secret) -> Result<TemplateInfo, CallError> {
        let request = self
            .http
            .get(self.url([template_id]))
            .query(&[("fields", TEMPLATE_FIELDS)])
            .bearer_auth(token.expose());
        TemplateInfo::from_value(send_for_json(request).await?).ok_or(CallError::Unreadable { http_status: 200 })
    }
}

impl TemplateInfo {
    /// Reads a template as it stands in a listing; `None` if it is no object.
    pub fn from_value(value: Value) -> Option<Self> {
        Fields::from_value(value).map(Self::from_fields)
    }

    fn from_fields(mut fields: Fields) -> Self {
        Self {
            id: fields.filled_text("id"),
            name: fields.filled_text("name"),
            language: fields.filled_text("language"),
            status: fields.filled_text("status").map(TemplateStatus::from),
            category: fields.filled_text("category").map(TemplateCategory::from),
            previous_category: fields.filled_text("previous_category").map(TemplateCategory::from),
            correct_category: fields.filled_text("correct_category").map(TemplateCategory::from),
            parameter_format: fields.filled_text("parameter_format"),
            quality: fields
                .object("quality_score")
                .and_then(|mut quality| quality.filled_text("score"))
                .map(QualityRating::from),
            rejected_reason: fields.filled_text("rejected_reason"),
            message_send_ttl_seconds: fields.integer("message_send_ttl_seconds"),
            components: fields
                .objects("components")
                .into_iter()
                .map(TemplateComponent::from_fields)
                .collect(),
            other: fields.into_rest(),
        }
    }

    /// The text of the body, with its variables.
    pub fn body_text(&self) -> Option<&str> {
        self.components
            .iter()
            .find(|component| {
                component
                    .kind
                    .as_deref()
                    .is_some_and(|kind| kind.eq_ignore_ascii_case("BODY"))
            })
            .and_then(|component| component.text.as_deref())
    }
}

impl TemplateComponent {
    /// The component as Meta listed it.
    pub fn to_value(&self) -> Value {
        let mut listed = self.other.clone();
        let texts = [("type", &self.kind), ("format", &self.format), ("text", &self.text)];
        for (key, text) in texts {
            if let Some(text) = text {
                listed.insert(key.to_owned(), Value::from(text.as_str()));
            }
        }
        if !self.buttons.is_empty() {
            listed.insert("buttons".to_owned(), Value::from(self.buttons.clone()));
        }
        Value::Object(listed)
    }

    fn from_fields(mut fields: Fields) -> Self {
        Self {
            kind: fields.filled_text("type"),
            format: fields.filled_text("format"),
            text: fields.filled_text("text"),
            buttons: fields.list("buttons"),
            other: fields.into_rest(),
        }
    }
}
