//! Contact cards.

use serde::Deserialize;

use super::invalid;
use crate::error::GraphError;

/// One card of a `contacts` message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContactCard {
    name: Name,
    birthday: Option<String>,
    #[serde(default, rename = "phones")]
    _phones: Vec<Phone>,
    #[serde(default, rename = "emails")]
    _emails: Vec<Email>,
    #[serde(default, rename = "urls")]
    _urls: Vec<Url>,
    #[serde(default, rename = "addresses")]
    _addresses: Vec<Address>,
    #[serde(rename = "org")]
    _org: Option<Organisation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_field_names, reason = "names on the wire")]
struct Name {
    formatted_name: String,
    first_name: Option<String>,
    last_name: Option<String>,
    middle_name: Option<String>,
    suffix: Option<String>,
    prefix: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Phone {
    #[serde(rename = "phone")]
    _digits: Option<String>,
    #[serde(rename = "type")]
    _kind: Option<String>,
    #[serde(rename = "wa_id")]
    _wa_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Email {
    #[serde(rename = "email")]
    _mailbox: Option<String>,
    #[serde(rename = "type")]
    _kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Url {
    #[serde(rename = "url")]
    _link: Option<String>,
    #[serde(rename = "type")]
    _kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Address {
    #[serde(rename = "street")]
    _street: Option<String>,
    #[serde(rename = "city")]
    _city: Option<String>,
    #[serde(rename = "state")]
    _state: Option<String>,
    #[serde(rename = "zip")]
    _zip: Option<String>,
    #[serde(rename = "country")]
    _country: Option<String>,
    #[serde(rename = "country_code")]
    _country_code: Option<String>,
    #[serde(rename = "type")]
    _kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Organisation {
    #[serde(rename = "company")]
    _company: Option<String>,
    #[serde(rename = "department")]
    _department: Option<String>,
    #[serde(rename = "title")]
    _title: Option<String>,
}

impl ContactCard {
    /// `formatted_name` needs one more name part beside it; a birthday is `YYYY-MM-DD`, or empty as clients write none.
    pub(super) fn check(&self) -> Result<(), GraphError> {
        let name = &self.name;
        let parts = [
            &name.first_name,
            &name.last_name,
            &name.middle_name,
            &name.suffix,
            &name.prefix,
        ];
        let has_part = parts.into_iter().flatten().any(|part| !part.is_empty());
        if name.formatted_name.is_empty() || !has_part {
            return Err(invalid(
                "contacts.name needs formatted_name and at least one more name part",
            ));
        }
        let birthday = self.birthday.as_deref().unwrap_or_default();
        if !birthday.is_empty() && !is_date(birthday) {
            return Err(invalid("contacts.birthday must be YYYY-MM-DD"));
        }
        Ok(())
    }
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| {
            if at == 4 || at == 7 {
                byte == b'-'
            } else {
                byte.is_ascii_digit()
            }
        })
}
