//! Contact cards.

use super::{
    ParsedContent, free_form, given,
    json::{list_of, text_of},
};
use crate::problems::{Problems, path};
use assent_domain::events::FreeForm;
use assent_proto::v1;
use assent_whatsapp::message as whatsapp;
use serde_json::Value;

pub(super) fn parse(contacts: &v1::ContactsContent, field: &str, problems: &mut Problems) -> Option<ParsedContent> {
    for (at, card) in contacts.cards.iter().enumerate() {
        if card.name.is_none() {
            problems.add(path(field, &format!("contacts.cards[{at}].name")), "is missing");
        }
    }
    let cards = contacts.cards.iter().map(card).collect();
    let content = whatsapp::Content::Contacts(cards);
    free_form(FreeForm::Contacts, &content, translate, field, problems)
}

/// Meta has the cards beneath the kind itself.
fn translate(meta: &str) -> String {
    meta.strip_prefix("contacts")
        .map_or_else(|| meta.to_owned(), |within| format!("contacts.cards{within}"))
}

fn card(card: &v1::ContactCard) -> whatsapp::ContactCard {
    let phone = |phone: &v1::CardPhone| whatsapp::ContactPhone {
        phone: phone.phone.clone(),
        kind: given(&phone.r#type),
        wa_id: given(&phone.wa_id),
    };
    let email = |email: &v1::CardEmail| whatsapp::ContactEmail {
        email: email.email.clone(),
        kind: given(&email.r#type),
    };
    let url = |url: &v1::CardUrl| whatsapp::ContactUrl {
        url: url.url.clone(),
        kind: given(&url.r#type),
    };
    let organisation = |organisation: &v1::CardOrganisation| whatsapp::ContactOrganisation {
        company: given(&organisation.company),
        department: given(&organisation.department),
        title: given(&organisation.title),
    };
    whatsapp::ContactCard {
        name: card.name.as_ref().map_or_else(missing_name, name),
        phones: card.phones.iter().map(phone).collect(),
        emails: card.emails.iter().map(email).collect(),
        urls: card.urls.iter().map(url).collect(),
        addresses: card.addresses.iter().map(address).collect(),
        organisation: card.organisation.as_ref().map(organisation),
        birthday: given(&card.birthday),
    }
}

fn name(name: &v1::CardName) -> whatsapp::ContactName {
    whatsapp::ContactName {
        formatted_name: name.formatted_name.clone(),
        first_name: given(&name.first_name),
        last_name: given(&name.last_name),
        middle_name: given(&name.middle_name),
        prefix: given(&name.prefix),
        suffix: given(&name.suffix),
    }
}

/// Stands in for a name that was found missing, so that the rest of the card is judged.
fn missing_name() -> whatsapp::ContactName {
    whatsapp::ContactName {
        formatted_name: "missing".to_owned(),
        first_name: Some("missing".to_owned()),
        ..whatsapp::ContactName::default()
    }
}

fn address(address: &v1::CardAddress) -> whatsapp::ContactAddress {
    whatsapp::ContactAddress {
        street: given(&address.street),
        city: given(&address.city),
        state: given(&address.state),
        zip: given(&address.zip),
        country: given(&address.country),
        country_code: given(&address.country_code),
        kind: given(&address.r#type),
    }
}

/// The cards of a message, sent or received.
pub(super) fn render(body: &Value) -> Vec<v1::ContactCard> {
    body.as_array().into_iter().flatten().map(render_card).collect()
}

fn render_card(card: &Value) -> v1::ContactCard {
    let name = |name: &Value| v1::CardName {
        formatted_name: text_of(name, "formatted_name"),
        first_name: text_of(name, "first_name"),
        last_name: text_of(name, "last_name"),
        middle_name: text_of(name, "middle_name"),
        prefix: text_of(name, "prefix"),
        suffix: text_of(name, "suffix"),
    };
    let phone = |phone: &Value| v1::CardPhone {
        phone: text_of(phone, "phone"),
        r#type: text_of(phone, "type"),
        wa_id: text_of(phone, "wa_id"),
    };
    let email = |email: &Value| v1::CardEmail {
        email: text_of(email, "email"),
        r#type: text_of(email, "type"),
    };
    let url = |url: &Value| v1::CardUrl {
        url: text_of(url, "url"),
        r#type: text_of(url, "type"),
    };
    let address = |address: &Value| v1::CardAddress {
        street: text_of(address, "street"),
        city: text_of(address, "city"),
        state: text_of(address, "state"),
        zip: text_of(address, "zip"),
        country: text_of(address, "country"),
        country_code: text_of(address, "country_code"),
        r#type: text_of(address, "type"),
    };
    let organisation = |organisation: &Value| v1::CardOrganisation {
        company: text_of(organisation, "company"),
        department: text_of(organisation, "department"),
        title: text_of(organisation, "title"),
    };
    v1::ContactCard {
        name: card.get("name").map(name),
        phones: list_of(card, "phones").iter().map(phone).collect(),
        emails: list_of(card, "emails").iter().map(email).collect(),
        urls: list_of(card, "urls").iter().map(url).collect(),
        addresses: list_of(card, "addresses").iter().map(address).collect(),
        organisation: card.get("org").map(organisation),
        birthday: text_of(card, "birthday"),
    }
}
