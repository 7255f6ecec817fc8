//! Contact cards (Cloud API, "Contacts messages").

use serde::Serialize;

use super::check::Checker;
use crate::limits;
use crate::redact::redacted_debug;

/// One contact card.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
pub struct ContactCard {
    /// The name, required.
    pub name: ContactName,
    /// Phone numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phones: Vec<ContactPhone>,
    /// E-mail addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<ContactEmail>,
    /// Web addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<ContactUrl>,
    /// Postal addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<ContactAddress>,
    /// Employer.
    #[serde(rename = "org", skip_serializing_if = "Option::is_none")]
    pub organisation: Option<ContactOrganisation>,
    /// `YYYY-MM-DD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birthday: Option<String>,
}

/// A name: the formatted one and at least one part of it.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
pub struct ContactName {
    /// The whole name as shown.
    pub formatted_name: String,
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// Middle name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub middle_name: Option<String>,
    /// Title before the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Title after the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
}

/// A phone number on a card.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
pub struct ContactPhone {
    /// The number as shown.
    pub phone: String,
    /// `CELL`, `HOME`, `WORK`, …
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The WhatsApp id of the number. With it the receiver can write and save; without it, only invite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wa_id: Option<String>,
}

/// An e-mail address on a card.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
pub struct ContactEmail {
    /// The address.
    pub email: String,
    /// `HOME` or `WORK`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A web address on a card.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
pub struct ContactUrl {
    /// The address.
    pub url: String,
    /// `HOME` or `WORK`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A postal address on a card.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
pub struct ContactAddress {
    /// Street and house number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street: Option<String>,
    /// City.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// State.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zip: Option<String>,
    /// Country by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Country by its two letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_code: Option<String>,
    /// `HOME` or `WORK`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// Where the contact works.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
pub struct ContactOrganisation {
    /// Company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// Department.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// Job title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

redacted_debug!(
    ContactCard {},
    ContactName {},
    ContactPhone {},
    ContactEmail {},
    ContactUrl {},
    ContactAddress {},
    ContactOrganisation {},
);

/// Checks the list of cards; the checker stands at `contacts`.
pub(super) fn check_cards(cards: &[ContactCard], checker: &mut Checker) {
    if cards.is_empty() || cards.len() > limits::CONTACTS_MAX {
        checker.problem(
            format!("{} cards", cards.len()),
            format!("1 to {} cards", limits::CONTACTS_MAX),
        );
    }
    for (index, card) in cards.iter().enumerate() {
        checker.element(index, |checker| card.check(checker));
    }
}

impl ContactCard {
    fn check(&self, checker: &mut Checker) {
        checker.field("name", |checker| self.name.check(checker));
        checker.each("phones", &self.phones, |checker, phone| {
            checker.filled("phone", &phone.phone);
            if let Some(wa_id) = &phone.wa_id
                && (wa_id.is_empty() || !wa_id.bytes().all(|digit| digit.is_ascii_digit()))
            {
                checker.problem_at("wa_id", "not a WhatsApp id", "digits only, without the plus sign");
            }
        });
        checker.each("emails", &self.emails, |checker, email| {
            checker.filled("email", &email.email);
        });
        checker.each("urls", &self.urls, |checker, url| checker.filled("url", &url.url));
        if self.birthday.as_deref().is_some_and(|birthday| !is_date(birthday)) {
            checker.problem_at("birthday", "not a date", "YYYY-MM-DD");
        }
    }
}

impl ContactName {
    fn check(&self, checker: &mut Checker) {
        checker.filled("formatted_name", &self.formatted_name);
        let parts = [
            &self.first_name,
            &self.last_name,
            &self.middle_name,
            &self.prefix,
            &self.suffix,
        ];
        if parts
            .iter()
            .all(|part| part.as_deref().is_none_or(|part| part.trim().is_empty()))
        {
            checker.problem(
                "only the formatted name",
                "the formatted name and at least one of its parts",
            );
        }
    }
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| text.get(range).and_then(|part| part.parse::<u32>().ok());
    bytes.len() == 10
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && bytes
            .iter()
            .enumerate()
            .all(|(at, byte)| at == 4 || at == 7 || byte.is_ascii_digit())
        && digits(5..7).is_some_and(|month| (1..=12).contains(&month))
        && digits(8..10).is_some_and(|day| (1..=31).contains(&day))
}
