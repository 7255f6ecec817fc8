//! Templates of an account: finding, creating, reviewing, changing them, with the callbacks that tell of it.

use serde_json::{Value, json};

use super::World;
use super::agenda::Happening;
use super::draw::{self, Draw};
use super::template::Template;
use super::update::Callback;
use crate::config::TemplateDefinition;
use crate::error::GraphError;
use crate::request::{invalid, missing};

const NAME_CHARS_MAX: usize = 512;
/// Templates one account may have, once verified.
pub(crate) const TEMPLATES_MAX: usize = 6_000;
/// Templates deleted by one call.
const DELETED_AT_ONCE_MAX: usize = 100;

/// Which template: the account's index, and its position there. Templates keep their positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TemplateKey {
    pub(super) account: u32,
    pub(super) position: u32,
}

/// Why a template's status has changed, as callbacks tell it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Why {
    pub(super) title: &'static str,
    pub(super) description: &'static str,
}

impl World {
    pub(super) fn put_template(&mut self, account: u32, template: Template) -> usize {
        let templates = &mut self.templates[account as usize];
        let same = templates
            .iter()
            .position(|old| old.name == template.name && old.language == template.language);
        if let Some(at) = same {
            templates[at] = template;
            return at;
        }
        let at = templates.len();
        self.template_names[account as usize]
            .entry(template.name.clone())
            .or_default()
            .push(at);
        templates.push(template);
        at
    }

    /// A template by name and language.
    pub(super) fn find_template(&self, account: u32, name: &str, language: &str) -> Option<(TemplateKey, &Template)> {
        let templates = &self.templates[account as usize];
        let positions = self.template_names[account as usize].get(name)?;
        let mut living = positions.iter().map(|at| (*at, &templates[*at]));
        let (at, template) =
            living.find(|(_, template)| template.language == language && template.status != "DELETED")?;
        let position = at as u32;
        Some((TemplateKey { account, position }, template))
    }

    pub(super) fn template_mut(&mut self, key: TemplateKey) -> &mut Template {
        &mut self.templates[key.account as usize][key.position as usize]
    }

    /// Templates of an account that are not deleted.
    pub(crate) fn template_nodes(&self, account: u32, passes: impl Fn(&Value) -> bool) -> Vec<Value> {
        let living = self.templates[account as usize]
            .iter()
            .filter(|template| template.status != "DELETED");
        living.map(Template::node).filter(|node| passes(node)).collect()
    }

    /// A template by its id, with the account it belongs to.
    pub(crate) fn template_by_id(&self, id: &str) -> Option<(u32, Value)> {
        let (account, position) = self.template_position(id)?;
        Some((account, self.templates[account as usize][position].node()))
    }

    fn template_position(&self, id: &str) -> Option<(u32, usize)> {
        let id: u64 = id.parse().ok()?;
        self.templates.iter().enumerate().find_map(|(account, templates)| {
            let position = templates
                .iter()
                .position(|template| template.id == id && template.status != "DELETED")?;
            Some((account as u32, position))
        })
    }

    /// Creates a template; it is `PENDING` until its review, unless a status is given.
    pub(crate) fn create_template(
        &mut self,
        now_ms: i64,
        account: u32,
        definition: &Value,
        status: Option<&str>,
    ) -> Result<Value, GraphError> {
        let definition = parse_definition(definition, status)?;
        if self.templates[account as usize].len() >= TEMPLATES_MAX {
            return Err(GraphError::new(
                80_007,
                "The account has as many templates as it may have.",
            ));
        }
        if self
            .find_template(account, &definition.name, &definition.language)
            .is_some()
        {
            return Err(GraphError::new(2_388_024, "Content in this language already exists."));
        }
        let account_id = self.accounts[account as usize].id.clone();
        let mut template = Template::new(self.seed, &account_id, definition);
        template.quality_at_s = now_ms.div_euclid(1_000);
        if template.status == "PENDING" {
            template.standing.begin_again();
        }
        let answer = json!({"id": template.id.to_string(), "status": template.status, "category": template.category});
        let (id, is_pending) = (template.id, template.status == "PENDING");
        let position = self.put_template(account, template);
        if is_pending {
            self.plan_review(now_ms, account, position, id);
        }
        Ok(answer)
    }

    fn plan_review(&mut self, now_ms: i64, account: u32, position: usize, id: u64) {
        let due_ms = now_ms
            + self
                .latency
                .template_review
                .at(draw::unit(self.seed, Draw::ReviewLatency, id, 0));
        let key = TemplateKey {
            account,
            position: position as u32,
        };
        self.agenda.plan(due_ms, Happening::TemplateReviewed(key));
    }

    /// Ends the review of a template: names that say `reject` are rejected, all others approved.
    pub(super) fn review_template(&mut self, key: TemplateKey, at_ms: i64, out: &mut Vec<Callback>) {
        let template = self.template_mut(key);
        if template.status != "PENDING" {
            return;
        }
        let verdict = if template.name.contains("reject") {
            "REJECTED"
        } else {
            "APPROVED"
        };
        self.put_template_status(at_ms, key, verdict, None, out);
    }

    /// Sets the status of a template in one language or all, and reports it.
    pub(crate) fn set_template_status(
        &mut self,
        now_ms: i64,
        account: u32,
        name: &str,
        language: Option<&str>,
        status: &str,
        out: &mut Vec<Callback>,
    ) -> Result<(), GraphError> {
        for key in self.keys(account, name, language)? {
            let why = match status {
                "APPROVED" if self.template_mut(key).status == "PAUSED" => {
                    self.unpause(now_ms, key, out);
                    continue;
                }
                "PAUSED" => Some(Why {
                    title: "FIRST_PAUSE",
                    description: "Paused because of low quality.",
                }),
                "DISABLED" => Some(Why {
                    title: "DISABLED",
                    description: "Disabled because of low quality.",
                }),
                _ => None,
            };
            self.put_template_status(now_ms, key, status, why, out);
        }
        Ok(())
    }

    /// Sets the status of one template, and reports it.
    pub(super) fn put_template_status(
        &mut self,
        now_ms: i64,
        key: TemplateKey,
        status: &str,
        why: Option<Why>,
        out: &mut Vec<Callback>,
    ) {
        let template = self.template_mut(key);
        status.clone_into(&mut template.status);
        let reason = if status == "REJECTED" { "INVALID_FORMAT" } else { "NONE" };
        reason.clone_into(&mut template.rejected_reason);
        let mut value = json!({
            "event": status,
            "message_template_id": template.id,
            "message_template_name": template.name,
            "message_template_language": template.language,
            "message_template_category": template.category,
            "reason": reason,
        });
        if let Some(Why { title, description }) = why {
            value["other_info"] = json!({"title": title, "description": description});
        }
        out.push(self.report_management(key.account, None, "message_template_status_update", now_ms, value));
    }

    /// Begins pacing a template, as if it were new.
    pub(crate) fn pace_template(&mut self, account: u32, name: &str) -> Result<(), GraphError> {
        for key in self.keys(account, name, None)? {
            self.template_mut(key).standing.begin_again();
        }
        Ok(())
    }

    /// Moves a template to another category, and reports it. With `notice`, only announces the change.
    pub(crate) fn set_template_category(
        &mut self,
        now_ms: i64,
        account: u32,
        name: &str,
        category: &str,
        notice_s: Option<i64>,
        out: &mut Vec<Callback>,
    ) -> Result<(), GraphError> {
        if !is_category(category) {
            return Err(invalid("category must be MARKETING, UTILITY or AUTHENTICATION"));
        }
        let mut values = Vec::new();
        for position in self.positions(account, name, None)? {
            let template = &mut self.templates[account as usize][position];
            let mut value = json!({
                "message_template_id": template.id,
                "message_template_name": template.name,
                "message_template_language": template.language,
            });
            if let Some(notice_s) = notice_s {
                // In a notice, new_category is the one that still holds.
                value["new_category"] = json!(template.category);
                value["correct_category"] = json!(category);
                value["category_update_timestamp"] = json!(now_ms.div_euclid(1_000) + notice_s);
            } else {
                value["previous_category"] = json!(template.category);
                value["new_category"] = json!(category);
                template.previous_category = Some(std::mem::replace(&mut template.category, category.to_owned()));
            }
            values.push(value);
        }
        for value in values {
            out.push(self.report_management(account, None, "template_category_update", now_ms, value));
        }
        Ok(())
    }

    /// Sets the quality score of a template, and reports it.
    pub(crate) fn set_template_quality(
        &mut self,
        now_ms: i64,
        account: u32,
        name: &str,
        score: &str,
        out: &mut Vec<Callback>,
    ) -> Result<(), GraphError> {
        for key in self.keys(account, name, None)? {
            self.put_template_quality(now_ms, key, score, out);
        }
        Ok(())
    }

    /// Edits a template by id: components are replaced whole, and it goes back to review.
    pub(crate) fn edit_template(&mut self, now_ms: i64, id: &str, edit: &Value) -> Result<(), GraphError> {
        let (account, position) = self
            .template_position(id)
            .ok_or_else(|| GraphError::no_such_object(id))?;
        let template = &mut self.templates[account as usize][position];
        if let Some(category) = edit["category"].as_str() {
            if template.status == "APPROVED" {
                return Err(invalid("the category of an approved template cannot be edited"));
            }
            category.clone_into(&mut template.category);
        }
        if let Some(ttl_s) = edit["message_send_ttl_seconds"].as_i64() {
            template.ttl_s = Some(ttl_s);
        }
        if let Some(components) = edit["components"].as_array() {
            template.set_components(components.clone());
            template.standing.begin_again();
            "PENDING".clone_into(&mut template.status);
            let id = template.id;
            self.plan_review(now_ms, account, position, id);
        }
        Ok(())
    }

    /// Creates or edits the authentication template of a name in several languages.
    pub(crate) fn upsert_templates(
        &mut self,
        now_ms: i64,
        account: u32,
        definition: &Value,
    ) -> Result<Value, GraphError> {
        let languages = definition["languages"].as_array().ok_or_else(|| missing("languages"))?;
        if definition["category"] != "AUTHENTICATION" {
            return Err(invalid(
                "only authentication templates are made in several languages at once",
            ));
        }
        let name = definition["name"].as_str().unwrap_or_default();
        let mut data = Vec::new();
        for language in languages {
            let mut one = definition.clone();
            one["language"] = language.clone();
            let known = language
                .as_str()
                .and_then(|language| self.find_template(account, name, language))
                .map(|(_, template)| template.id.to_string());
            let id = if let Some(id) = known {
                self.edit_template(now_ms, &id, &json!({"components": definition["components"]}))?;
                id
            } else {
                let created = self.create_template(now_ms, account, &one, None)?;
                created["id"].as_str().unwrap_or_default().to_owned()
            };
            data.push(json!({"id": id, "status": "PENDING", "language": language}));
        }
        Ok(json!({"data": data}))
    }

    /// Deletes templates by their ids; nothing is deleted if one of them is not there.
    pub(crate) fn delete_templates(&mut self, account: u32, ids: &[String]) -> Result<(), GraphError> {
        if ids.len() > DELETED_AT_ONCE_MAX {
            return Err(invalid("at most 100 templates are deleted at once"));
        }
        let mut found = Vec::new();
        for id in ids {
            match self.template_position(id) {
                Some((of, position)) if of == account => found.push(position),
                _ => return Err(GraphError::no_such_object(id)),
            }
        }
        for position in found {
            "DELETED".clone_into(&mut self.templates[account as usize][position].status);
        }
        Ok(())
    }

    /// Deletes all languages of a name, or the one with this id.
    pub(crate) fn delete_template(&mut self, account: u32, name: &str, id: Option<&str>) -> Result<(), GraphError> {
        for position in self.positions(account, name, None)? {
            let template = &mut self.templates[account as usize][position];
            if id.is_none_or(|id| template.id.to_string() == id) {
                "DELETED".clone_into(&mut template.status);
            }
        }
        Ok(())
    }

    fn keys(&self, account: u32, name: &str, language: Option<&str>) -> Result<Vec<TemplateKey>, GraphError> {
        let positions = self.positions(account, name, language)?.into_iter();
        Ok(positions
            .map(|at| TemplateKey {
                account,
                position: at as u32,
            })
            .collect())
    }

    fn positions(&self, account: u32, name: &str, language: Option<&str>) -> Result<Vec<usize>, GraphError> {
        let templates = &self.templates[account as usize];
        let known = self.template_names[account as usize]
            .get(name)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let wanted = |at: &usize| {
            let template = &templates[*at];
            template.status != "DELETED" && language.is_none_or(|language| template.language == language)
        };
        let found: Vec<usize> = known.iter().copied().filter(wanted).collect();
        if found.is_empty() {
            return Err(super::template::no_such_template(
                name,
                language.unwrap_or("any language"),
            ));
        }
        Ok(found)
    }
}

fn is_category(category: &str) -> bool {
    matches!(category, "MARKETING" | "UTILITY" | "AUTHENTICATION")
}

fn parse_definition(definition: &Value, status: Option<&str>) -> Result<TemplateDefinition, GraphError> {
    let text = |member: &str| definition[member].as_str().map(str::to_owned);
    let name = text("name").ok_or_else(|| missing("name"))?;
    let clean = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.bytes().all(clean) {
        return Err(invalid(
            "name must consist of lower-case letters, digits and underscores",
        ));
    }
    let category = text("category")
        .ok_or_else(|| missing("category"))?
        .to_ascii_uppercase();
    if !is_category(&category) {
        return Err(invalid("category must be MARKETING, UTILITY or AUTHENTICATION"));
    }
    let components = definition["components"]
        .as_array()
        .cloned()
        .ok_or_else(|| missing("components"))?;
    let is_body = |component: &Value| {
        component["type"]
            .as_str()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("BODY"))
    };
    if !components.iter().any(is_body) {
        return Err(missing("components: BODY"));
    }
    Ok(TemplateDefinition {
        name,
        language: text("language").ok_or_else(|| missing("language"))?,
        category,
        status: status.unwrap_or("PENDING").to_owned(),
        parameter_format: text("parameter_format")
            .unwrap_or_else(|| "POSITIONAL".to_owned())
            .to_ascii_uppercase(),
        components,
        message_send_ttl_seconds: definition["message_send_ttl_seconds"].as_i64(),
    })
}
