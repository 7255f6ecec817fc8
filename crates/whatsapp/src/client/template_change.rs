//! Creating, editing, deleting and unpausing templates (Business Management API, "Message templates").

use serde::Serialize;

use super::template::{TemplateCategory, TemplateStatus};
use super::transport::{CallError, ChangeError, send_for_json, send_for_success};
use super::{Client, TemplateInfo};
use crate::json::Fields;
use crate::limits::TEMPLATES_DELETED_MAX;
use crate::message::check::Checker;
use crate::message::{Invalid, check_name};
use crate::secret::Secret;
use crate::template::{Definition, Part};

/// A template that was created; its review follows.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateCreated {
    /// Its id.
    pub id: String,
    /// `PENDING`, or at once `APPROVED` or `REJECTED`.
    pub status: Option<TemplateStatus>,
    /// Its category, which may be another than the one asked for.
    pub category: Option<TemplateCategory>,
}

/// What is to change. An approved template may be edited once a day and ten times a month, and goes back to review.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct TemplateEdit {
    /// All components from then on; those left out are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub components: Option<Vec<Part>>,
    /// Another category; refused for an approved template.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "word")]
    pub category: Option<TemplateCategory>,
    /// Seconds an undelivered message is tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_send_ttl_seconds: Option<i64>,
}

// Serde hands over a reference to the field.
#[allow(clippy::ref_option)]
fn word<S: serde::Serializer>(category: &Option<TemplateCategory>, serializer: S) -> Result<S::Ok, S::Error> {
    category.as_ref().map(TemplateCategory::as_str).serialize(serializer)
}

/// Which templates to delete. The name of one that was approved cannot be used again in its language for 30 days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateSelection {
    /// Every language of a name.
    Name(String),
    /// One of them.
    One {
        /// The name.
        name: String,
        /// The template's id.
        id: String,
    },
    /// Several by their ids.
    Ids(Vec<String>),
}

impl Client {
    /// Creates a template, after [`Definition::validate`]. Not to be repeated blindly, though a second one of the same name
    /// and language would be refused.
    pub async fn create_template(
        &self,
        account_id: &str,
        token: &Secret,
        definition: &Definition,
    ) -> Result<TemplateCreated, ChangeError> {
        definition.validate()?;
        let request = self
            .http
            .post(self.url([account_id, "message_templates"]))
            .bearer_auth(token.expose())
            .json(definition);
        let created = Fields::from_value(send_for_json(request).await?).and_then(|mut fields| {
            Some(TemplateCreated {
                id: fields.filled_text("id")?,
                status: fields.filled_text("status").map(TemplateStatus::from),
                category: fields.filled_text("category").map(TemplateCategory::from),
            })
        });
        Ok(created.ok_or(CallError::Unreadable { http_status: 200 })?)
    }

    /// Edits a template, given as it stands: what it would be is checked first like a new one.
    pub async fn edit_template(
        &self,
        current: &TemplateInfo,
        token: &Secret,
        edit: &TemplateEdit,
    ) -> Result<(), ChangeError> {
        let id = edit.check(current)?;
        let request = self.http.post(self.url([id])).bearer_auth(token.expose()).json(edit);
        Ok(send_for_success(request).await?)
    }

    /// Deletes templates. Messages that wait for delivery are still tried for 30 days.
    pub async fn delete_templates(
        &self,
        account_id: &str,
        token: &Secret,
        selection: &TemplateSelection,
    ) -> Result<(), ChangeError> {
        selection.check()?;
        let query: Vec<(&str, String)> = match selection {
            TemplateSelection::Name(name) => vec![("name", name.clone())],
            TemplateSelection::One { name, id } => vec![("name", name.clone()), ("hsm_id", id.clone())],
            TemplateSelection::Ids(ids) => vec![("hsm_ids", serde_json::json!(ids).to_string())],
        };
        let request = self
            .http
            .delete(self.url([account_id, "message_templates"]))
            .query(&query)
            .bearer_auth(token.expose());
        Ok(send_for_success(request).await?)
    }

    /// Ends the pause of a template. One paused by pacing never resumes by itself.
    pub async fn unpause_template(&self, template_id: &str, token: &Secret) -> Result<(), CallError> {
        let request = self
            .http
            .post(self.url([template_id, "unpause"]))
            .bearer_auth(token.expose());
        send_for_success(request).await
    }
}

impl TemplateEdit {
    /// The id of the template, if the edit changes something, is allowed in its state and leaves something valid.
    fn check<'t>(&self, current: &'t TemplateInfo) -> Result<&'t str, Invalid> {
        let mut checker = Checker::default();
        if *self == Self::default() {
            checker.problem("no change", "components, category or message_send_ttl_seconds");
        }
        if self.category.is_some() && current.status == Some(TemplateStatus::Approved) {
            checker.problem_at(
                "category",
                "a category for an approved template",
                "none; Meta refuses that",
            );
        }
        if current.status == Some(TemplateStatus::Disabled) || current.status == Some(TemplateStatus::Pending) {
            checker.problem_at(
                "status",
                "a template that is disabled or in review",
                "one that is approved, rejected or paused",
            );
        }
        let id = current.id.as_deref().unwrap_or_default();
        checker.filled("id", id);
        let mut problems = checker
            .finish()
            .err()
            .map(|invalid| invalid.problems)
            .unwrap_or_default();
        if let Some(mut next) = Definition::from_info(current) {
            if let Some(components) = &self.components {
                next.components.clone_from(components);
            }
            if let Some(category) = &self.category {
                next.category = category.clone();
            }
            if self.message_send_ttl_seconds.is_some() {
                next.message_send_ttl_seconds = self.message_send_ttl_seconds;
            }
            // What stays as it is was Meta's to judge.
            let of_the_edit = |path: &str| match path {
                path if path.starts_with("components") => self.components.is_some(),
                path if path.starts_with("category") => self.category.is_some(),
                _ => self.message_send_ttl_seconds.is_some(),
            };
            if let Err(invalid) = next.validate() {
                problems.extend(
                    invalid
                        .problems
                        .into_iter()
                        .filter(|problem| of_the_edit(&problem.path)),
                );
            }
        }
        if problems.is_empty() {
            Ok(id)
        } else {
            Err(Invalid { problems })
        }
    }
}

impl TemplateSelection {
    fn check(&self) -> Result<(), Invalid> {
        let mut checker = Checker::default();
        match self {
            Self::Name(name) => check_name(name, &mut checker),
            Self::One { name, id } => {
                check_name(name, &mut checker);
                checker.filled("hsm_id", id);
            }
            Self::Ids(ids) => {
                checker.count("hsm_ids", ids.len(), 1, TEMPLATES_DELETED_MAX);
                checker.distinct("hsm_ids", ids.iter().map(String::as_str));
                checker.each("hsm_ids", ids, |checker, id| {
                    if id.is_empty() || !id.bytes().all(|digit| digit.is_ascii_digit()) {
                        checker.problem("not an id", "digits");
                    }
                });
            }
        }
        checker.finish()
    }
}
