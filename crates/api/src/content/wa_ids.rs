//! WhatsApp ids of shared contacts. Without one the receiver of a card can only invite the contact.

use super::ParsedContent;
use crate::recipient;
use assent_domain::{
    events::FreeForm,
    values::{Alias, PhoneNumber, WaId},
};
use serde_json::Value;

/// Most phone numbers of a message whose id is looked for.
const LOOKED_FOR_MAX: usize = 20;

/// A phone number on a card without its WhatsApp id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingWaId {
    card: usize,
    phone: usize,
    /// Every name that whoever has the number may be known by; none if it is not written in E.164.
    pub names: Vec<Alias>,
}

impl MissingWaId {
    /// The path of the missing id within the content.
    pub fn path(&self) -> String {
        format!("contacts.cards[{}].phones[{}].wa_id", self.card, self.phone)
    }
}

impl ParsedContent {
    /// The phone numbers on shared cards that lack their WhatsApp id; at most 20.
    pub fn missing_wa_ids(&self) -> Vec<MissingWaId> {
        let Self::FreeForm {
            form: FreeForm::Contacts,
            body,
        } = self
        else {
            return Vec::new();
        };
        let mut missing = Vec::new();
        for (card, content) in body.0.as_array().into_iter().flatten().enumerate() {
            let phones = content.get("phones").and_then(Value::as_array);
            for (phone, content) in phones.into_iter().flatten().enumerate() {
                if content.get("wa_id").is_none() && missing.len() < LOOKED_FOR_MAX {
                    let number = content.get("phone").and_then(Value::as_str).unwrap_or_default();
                    let names = PhoneNumber::try_new(number).map(|number| recipient::candidates(&Alias::Phone(number)));
                    let names = names.unwrap_or_default();
                    missing.push(MissingWaId { card, phone, names });
                }
            }
        }
        missing
    }

    /// Fills in what was missing.
    pub fn fill_wa_id(&mut self, missing: &MissingWaId, wa_id: &WaId) {
        if let Self::FreeForm { body, .. } = self
            && let Some(phone) = body
                .0
                .pointer_mut(&format!("/{}/phones/{}", missing.card, missing.phone))
                .and_then(Value::as_object_mut)
        {
            phone.insert("wa_id".to_owned(), wa_id.as_str().into());
        }
    }
}
