//! What Meta reports back (webhooks of the object `whatsapp_business_account`).
//!
//! [`parse`] splits a body into its updates, each with the account and number it concerns. It fails only for what is no
//! JSON at all; the caller then still has the raw bytes. A field, kind or shape nobody here knows is
//! [`Update::Unrecognised`] with its JSON text, so an authentic report is never lost for what it says.
//!
//! A body of the usual shape is split in one pass. In any other, each level is read as raw text and parsed once more on its
//! own, so that one strange update does not spoil its neighbours; the work still grows with the body only.

mod account;
mod inbound;
mod notice;
mod number;
mod preference;
mod status;
mod template;
mod user;

pub use account::{AccountAlert, AccountReview, AccountUpdate, BusinessCapability, Restriction, SecurityUpdate};
pub use inbound::{
    InboundContent, InboundMedia, InboundMessage, InteractiveReply, Referral, ReplyContext, SystemNotice,
};
pub use notice::{Notice, NoticeField};
pub use number::{NumberNameUpdate, NumberQualityUpdate};
pub use preference::{Preference, PreferenceChange, UserIdChange};
pub use status::{DeliveryStatus, Pricing, StatusUpdate};
pub use template::{
    TemplateCategoryUpdate, TemplateComponentsUpdate, TemplateQualityUpdate, TemplateRef, TemplateStatusUpdate,
};
pub use user::User;

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::graph_error::GraphError;
use crate::json::Fields;
use crate::redact::redacted_debug;
use crate::timestamp::Timestamp;
use user::UserBook;

/// A body that is no JSON; keep the raw bytes.
#[derive(Debug, thiserror::Error)]
#[error("the callback body is not JSON (line {line}, column {column})")]
pub struct NotJson {
    /// Line of the first offence, from 1.
    pub line: usize,
    /// Column of the first offence.
    pub column: usize,
}

/// One thing that happened, and where.
#[derive(Clone, PartialEq)]
pub struct Received {
    /// The WhatsApp Business account (`entry[].id`); the dashboard's test button sends `0`.
    pub account_id: Option<String>,
    /// When Meta made the entry; only on fields other than `messages`.
    pub entry_time: Option<Timestamp>,
    /// The business number concerned, where the field names one.
    pub phone_number_id: Option<String>,
    /// The same number for people: digits only in callbacks.
    pub display_phone_number: Option<String>,
    /// What happened.
    pub update: Update,
}

redacted_debug!(Received {
    account_id,
    entry_time,
    phone_number_id,
    update
});

/// What happened.
#[derive(Clone, PartialEq)]
pub enum Update {
    /// A user wrote, tapped, reacted, …
    Message(Box<InboundMessage>),
    /// A message of ours got on, or failed.
    Status(Box<StatusUpdate>),
    /// A problem Meta ties to no message (`value.errors`), such as throttling.
    ChannelError(Box<GraphError>),
    /// A user stopped or resumed marketing by WhatsApp's own control.
    Preference(PreferenceChange),
    /// A user's business-scoped id has changed.
    UserId(UserIdChange),
    /// A template was approved, refused, paused, …
    TemplateStatus(TemplateStatusUpdate),
    /// A template's quality has changed.
    TemplateQuality(TemplateQualityUpdate),
    /// A template's category has changed or will.
    TemplateCategory(TemplateCategoryUpdate),
    /// A template was edited.
    TemplateComponents(TemplateComponentsUpdate),
    /// A number's limit or throughput has changed.
    NumberQuality(NumberQualityUpdate),
    /// A display name was reviewed.
    NumberName(NumberNameUpdate),
    /// Restrictions, violations, bans and other news of the account.
    Account(Box<AccountUpdate>),
    /// Limits of the portfolio.
    BusinessCapability(BusinessCapability),
    /// Something a person should look at.
    AccountAlert(AccountAlert),
    /// The account was reviewed.
    AccountReview(AccountReview),
    /// The two-step PIN.
    Security(SecurityUpdate),
    /// A field of Meta's list that concerns nothing this system acts on: flows, calls, groups, payments, coexistence, …
    Notice(Box<Notice>),
    /// Anything else, as Meta wrote it.
    Unrecognised {
        /// The webhook field; empty if the body has another shape altogether.
        field: String,
        /// JSON text of the smallest part that was not understood.
        raw: String,
    },
}

impl Update {
    /// A short word for logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Status(_) => "status",
            Self::ChannelError(_) => "channel_error",
            Self::Preference(_) => "preference",
            Self::UserId(_) => "user_id",
            Self::TemplateStatus(_) => "template_status",
            Self::TemplateQuality(_) => "template_quality",
            Self::TemplateCategory(_) => "template_category",
            Self::TemplateComponents(_) => "template_components",
            Self::NumberQuality(_) => "number_quality",
            Self::NumberName(_) => "number_name",
            Self::Account(_) => "account",
            Self::BusinessCapability(_) => "business_capability",
            Self::AccountAlert(_) => "account_alert",
            Self::AccountReview(_) => "account_review",
            Self::Security(_) => "security",
            Self::Notice(_) => "notice",
            Self::Unrecognised { .. } => "unrecognised",
        }
    }
}

impl std::fmt::Debug for Update {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Update({}, redacted)", self.kind())
    }
}

/// A body in which every entry and every change has the usual shape.
#[derive(Deserialize)]
struct Usual<'body> {
    #[serde(borrow)]
    entry: Vec<UsualEntry<'body>>,
}

#[derive(Deserialize)]
struct UsualEntry<'body> {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    time: Value,
    #[serde(borrow)]
    changes: Vec<Change<'body>>,
}

#[derive(Deserialize)]
struct Envelope<'body> {
    #[serde(borrow)]
    entry: Vec<&'body RawValue>,
}

#[derive(Deserialize)]
struct Entry<'body> {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    time: Value,
    #[serde(borrow)]
    changes: Vec<&'body RawValue>,
}

#[derive(Deserialize)]
struct Change<'body> {
    field: String,
    #[serde(borrow)]
    value: &'body RawValue,
}

/// Splits a callback body into its updates, in their order.
pub fn parse(body: &[u8]) -> Result<Vec<Received>, NotJson> {
    // What is not UTF-8 is no JSON, also where it stands in a field that is skipped and would not be looked at.
    if let Ok(text) = std::str::from_utf8(body)
        && let Ok(usual) = serde_json::from_str::<Usual<'_>>(text)
    {
        let mut received = Vec::new();
        for entry in usual.entry {
            let place = Place::of_entry(entry.id, entry.time);
            for change in entry.changes {
                read_change(&place, &change.field, change.value.get(), &mut received);
            }
        }
        return Ok(received);
    }
    parse_by_levels(body)
}

fn parse_by_levels(body: &[u8]) -> Result<Vec<Received>, NotJson> {
    let whole: &RawValue = serde_json::from_slice(body).map_err(|error| NotJson {
        line: error.line(),
        column: error.column(),
    })?;
    let mut received = Vec::new();
    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(whole.get()) else {
        received.push(unrecognised(&Place::default(), "", whole.get()));
        return Ok(received);
    };
    for entry in envelope.entry {
        read_entry(entry.get(), &mut received);
    }
    Ok(received)
}

/// Account and time an entry names.
#[derive(Default, Clone)]
struct Place {
    account_id: Option<String>,
    entry_time: Option<Timestamp>,
    phone_number_id: Option<String>,
    display_phone_number: Option<String>,
}

impl Place {
    fn of_entry(id: Value, time: Value) -> Self {
        let mut fields = Fields::default();
        fields.put("id", id);
        fields.put("time", time);
        Self {
            account_id: fields.filled_text("id"),
            entry_time: fields.timestamp("time"),
            ..Self::default()
        }
    }

    fn holds(&self, update: Update) -> Received {
        Received {
            account_id: self.account_id.clone(),
            entry_time: self.entry_time,
            phone_number_id: self.phone_number_id.clone(),
            display_phone_number: self.display_phone_number.clone(),
            update,
        }
    }
}

fn unrecognised(place: &Place, field: &str, raw: &str) -> Received {
    place.holds(Update::Unrecognised {
        field: field.to_owned(),
        raw: raw.to_owned(),
    })
}

fn read_entry(raw: &str, received: &mut Vec<Received>) {
    let Ok(entry) = serde_json::from_str::<Entry<'_>>(raw) else {
        received.push(unrecognised(&Place::default(), "", raw));
        return;
    };
    let place = Place::of_entry(entry.id, entry.time);
    for change in entry.changes {
        match serde_json::from_str::<Change<'_>>(change.get()) {
            Ok(change) => read_change(&place, &change.field, change.value.get(), received),
            Err(_) => received.push(unrecognised(&place, "", change.get())),
        }
    }
}

fn read_change(place: &Place, field: &str, raw: &str, received: &mut Vec<Received>) {
    match field {
        "messages" | "user_preferences" | "user_id_update" => read_grouped(place, field, raw, received),
        _ => {
            let mut place = place.clone();
            let update = fields_of(raw).and_then(|mut fields| {
                place.display_phone_number = fields.filled_text("display_phone_number");
                read_notice(field, fields)
            });
            match update {
                Some(update) => received.push(place.holds(update)),
                None => match Notice::read(field, raw) {
                    Some(notice) => {
                        place.phone_number_id.clone_from(&notice.phone_number_id);
                        received.push(place.holds(Update::Notice(Box::new(notice))));
                    }
                    None => received.push(unrecognised(&place, field, raw)),
                },
            }
        }
    }
}

/// Fields whose value is one notice.
fn read_notice(field: &str, fields: Fields) -> Option<Update> {
    match field {
        // Meta's own sample of a quality change bears the name of a status change, so the keys decide.
        "message_template_status_update" if fields.has("new_quality_score") => {
            TemplateQualityUpdate::from_fields(fields).map(Update::TemplateQuality)
        }
        "message_template_status_update" => TemplateStatusUpdate::from_fields(fields).map(Update::TemplateStatus),
        "message_template_quality_update" => TemplateQualityUpdate::from_fields(fields).map(Update::TemplateQuality),
        "template_category_update" => TemplateCategoryUpdate::from_fields(fields).map(Update::TemplateCategory),
        "message_template_components_update" => {
            TemplateComponentsUpdate::from_fields(fields).map(Update::TemplateComponents)
        }
        "phone_number_quality_update" => NumberQualityUpdate::from_fields(fields).map(Update::NumberQuality),
        "phone_number_name_update" => NumberNameUpdate::from_fields(fields).map(Update::NumberName),
        "account_update" => AccountUpdate::from_fields(fields).map(|update| Update::Account(Box::new(update))),
        "business_capability_update" => BusinessCapability::from_fields(fields).map(Update::BusinessCapability),
        "account_alerts" => AccountAlert::from_fields(fields).map(Update::AccountAlert),
        "account_review_update" => AccountReview::from_fields(fields).map(Update::AccountReview),
        "security" => SecurityUpdate::from_fields(fields).map(Update::Security),
        _ => None,
    }
}

/// Fields whose value holds lists: messages, statuses, errors, preferences, id changes. Several may share one value.
fn read_grouped(place: &Place, field: &str, raw: &str, received: &mut Vec<Received>) {
    let Ok(mut parts) = serde_json::from_str::<HashMap<String, &RawValue>>(raw) else {
        received.push(unrecognised(place, field, raw));
        return;
    };
    let mut place = place.clone();
    if let Some(mut metadata) = parts.remove("metadata").and_then(|raw| fields_of(raw.get())) {
        place.phone_number_id = metadata.filled_text("phone_number_id");
        place.display_phone_number = metadata.filled_text("display_phone_number");
    }
    let users = UserBook::from_contacts(parts.remove("contacts").map_or("[]", RawValue::get));

    let before = received.len();
    let mut each = |key: &str, read: &dyn Fn(Fields, &str) -> Option<Update>| {
        let Some(list) = parts.remove(key) else { return };
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(list.get()) else {
            // `null` says as much as an absent list.
            if list.get() != "null" {
                received.push(unrecognised(&place, field, list.get()));
            }
            return;
        };
        for item in items {
            match fields_of(item.get()).and_then(|fields| read(fields, item.get())) {
                Some(update) => received.push(place.holds(update)),
                None => received.push(unrecognised(&place, field, item.get())),
            }
        }
    };
    each("messages", &|fields, raw| {
        InboundMessage::from_fields(fields, raw, &users).map(|message| Update::Message(Box::new(message)))
    });
    each("statuses", &|fields, _| {
        StatusUpdate::from_fields(fields, &users).map(|status| Update::Status(Box::new(status)))
    });
    each("errors", &|fields, _| {
        GraphError::from_fields(fields).map(|error| Update::ChannelError(Box::new(error)))
    });
    each("user_preferences", &|fields, _| {
        PreferenceChange::from_fields(fields, &users).map(Update::Preference)
    });
    each("user_id_update", &|fields, _| {
        UserIdChange::from_fields(fields, &users).map(Update::UserId)
    });

    // What is left holds something new, unless it is only the product's name.
    parts.remove("messaging_product");
    let mut rest: Vec<(String, &RawValue)> = parts
        .into_iter()
        .filter(|(_, raw)| raw.get().starts_with(['[', '{']))
        .collect();
    rest.sort_by(|(left, _), (right, _)| left.cmp(right));
    if rest.is_empty() && received.len() == before {
        received.push(unrecognised(&place, field, raw));
    }
    for (key, part) in rest {
        received.push(unrecognised(
            &place,
            field,
            &format!("{{{}:{}}}", Value::String(key), part.get()),
        ));
    }
}

/// An object with all its fields; `None` if it is none, or nested deeper than serde_json's limit of 128 levels.
fn fields_of(raw: &str) -> Option<Fields> {
    serde_json::from_str::<Value>(raw).ok().and_then(Fields::from_value)
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
