//! What a person sent, out of Meta's own words for it.

use crate::{
    content::{render_cards, render_place},
    message,
};
use assent_domain::{events::ProviderError, values::InboundDetails};
use assent_proto::v1::{self, message_reference::Key};
use serde_json::Value;

/// Fills in what the details of a message say beside its text. What they do not say, or not in the shape that is known, stays
/// absent: whoever needs it finds it in `details_json`.
pub fn describe(details: &InboundDetails, message: &mut v1::InboundMessage) {
    let details = &details.0;
    let kind = text_of(details, "type");
    let part = details.get(&kind).unwrap_or(&Value::Null);
    let context = details.get("context").unwrap_or(&Value::Null);
    let target = if kind == "reaction" {
        text_of(part, "message_id")
    } else {
        text_of(context, "id")
    };
    if !target.is_empty() {
        message.in_reply_to = Some(v1::MessageReference {
            key: Some(Key::ProviderMessageId(target)),
        });
    }
    message.forwarded = flag(context, "forwarded") || flag(context, "frequently_forwarded");
    message.referral = details.get("referral").map(referral);
    let errors = details.get("errors").and_then(Value::as_array);
    message.errors = errors.into_iter().flatten().filter_map(error).collect();
    match kind.as_str() {
        "audio" | "sticker" => {
            if let Some(file) = &mut message.file {
                file.voice = flag(part, "voice");
                file.animated = flag(part, "animated");
            }
        }
        "location" => message.location = Some(render_place(part)),
        "contacts" => message.contacts = render_cards(part),
        "order" => message.order = Some(order(part)),
        "interactive" => {
            let reply = part.get("nfm_reply").unwrap_or(&Value::Null);
            message.flow_response_json = text_of(reply, "response_json");
        }
        "system" => message.system = Some(system(part)),
        _ => {}
    }
    message.details_json = details.to_string();
}

fn order(part: &Value) -> v1::InboundOrder {
    let product = |item: &Value| v1::OrderedProduct {
        product_retailer_id: text_of(item, "product_retailer_id"),
        quantity: number_of(item, "quantity").parse().unwrap_or_default(),
        item_price: number_of(item, "item_price"),
        currency: text_of(item, "currency"),
    };
    let products = part.get("product_items").and_then(Value::as_array);
    v1::InboundOrder {
        catalog_id: text_of(part, "catalog_id"),
        products: products.into_iter().flatten().map(product).collect(),
    }
}

fn system(part: &Value) -> v1::SystemNotice {
    // The second is the name that older notices have for it.
    let new_wa_id = ["wa_id", "new_wa_id"].map(|field| text_of(part, field));
    v1::SystemNotice {
        r#type: text_of(part, "type"),
        body: text_of(part, "body"),
        new_wa_id: new_wa_id.into_iter().find(|id| !id.is_empty()).unwrap_or_default(),
        new_user_id: text_of(part, "user_id"),
    }
}

fn referral(referral: &Value) -> v1::Referral {
    v1::Referral {
        source_type: text_of(referral, "source_type"),
        source_id: text_of(referral, "source_id"),
        source_url: text_of(referral, "source_url"),
        headline: text_of(referral, "headline"),
        body: text_of(referral, "body"),
        click_id: text_of(referral, "ctwa_clid"),
    }
}

fn error(error: &Value) -> Option<v1::ProviderError> {
    let code = error.get("code")?.as_i64()?;
    Some(message::render_error(ProviderError { code, subcode: None }))
}

fn text_of(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A number as it is written; Meta writes some as text.
fn number_of(value: &Value, field: &str) -> String {
    match value.get(field) {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    }
}

fn flag(value: &Value, field: &str) -> bool {
    value.get(field).and_then(Value::as_bool).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn described(details: Value) -> v1::InboundMessage {
        let mut message = v1::InboundMessage::default();
        describe(&InboundDetails(details), &mut message);
        message
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the field that it is compared with")]
    fn provider_id(id: &str) -> Option<v1::MessageReference> {
        let key = Some(Key::ProviderMessageId(id.to_owned()));
        Some(v1::MessageReference { key })
    }

    #[test]
    fn a_voice_note_and_a_moving_sticker_are_marked() {
        for (details, voice, animated) in [
            (
                json!({"type": "audio", "audio": {"id": "1", "voice": true}}),
                true,
                false,
            ),
            (json!({"type": "audio", "audio": {"id": "1"}}), false, false),
            (
                json!({"type": "sticker", "sticker": {"id": "1", "animated": true}}),
                false,
                true,
            ),
        ] {
            let mut message = v1::InboundMessage {
                file: Some(v1::InboundFile::default()),
                ..v1::InboundMessage::default()
            };
            describe(&InboundDetails(details), &mut message);
            let file = message.file.unwrap();
            assert_eq!((file.voice, file.animated), (voice, animated));
        }
    }

    #[test]
    fn what_meta_could_not_carry_is_explained() {
        let document = described(json!({"type": "document", "document": {"id": "1"},
            "errors": [{"code": 131_052, "title": "x"}]}));
        assert_eq!(document.errors[0].code, 131_052);
        assert!(!document.errors[0].meaning.is_empty());
    }

    #[test]
    fn places_cards_and_orders_are_read() {
        let place =
            described(json!({"type": "location", "location": {"latitude": "38.5", "longitude": -77, "name": "Home"}}));
        let place = place.location.unwrap();
        assert!((place.latitude, place.longitude) == (38.5, -77.0) && place.name == "Home");
        let cards = described(json!({"type": "contacts", "contacts": [
            {"name": {"formatted_name": "Leo M"}, "phones": [{"phone": "+1 202", "wa_id": "12025550188"}]}]}));
        assert_eq!(cards.contacts[0].phones[0].wa_id, "12025550188");
        let order = described(
            json!({"type": "order", "order": {"catalog_id": "5510", "product_items": [
            {"product_retailer_id": "SKU-8", "quantity": 2, "item_price": 24.5, "currency": "USD"},
            {"product_retailer_id": "SKU-9", "quantity": "1", "item_price": "3", "currency": "USD"}]}}),
        );
        let order = order.order.unwrap();
        assert_eq!(order.products[0].item_price, "24.5");
        assert_eq!((order.products[0].quantity, order.products[1].quantity), (2, 1));
    }

    #[test]
    fn what_a_message_answers_comes_from_its_context_or_its_reaction() {
        let tap =
            described(json!({"type": "button", "context": {"id": "wamid.a", "from": "1"}, "button": {"payload": "P"}}));
        assert_eq!(tap.in_reply_to, provider_id("wamid.a"));
        let reaction = described(json!({"type": "reaction", "reaction": {"message_id": "wamid.b", "emoji": "👍"}}));
        assert_eq!(reaction.in_reply_to, provider_id("wamid.b"));
        let forwarded =
            described(json!({"type": "text", "text": {"body": "x"}, "context": {"frequently_forwarded": true}}));
        assert!(forwarded.forwarded && forwarded.in_reply_to.is_none());
    }

    #[test]
    fn flows_notices_and_referrals_are_read() {
        let flow = described(json!({"type": "interactive", "interactive": {"type": "nfm_reply",
            "nfm_reply": {"name": "flow", "response_json": "{\"slot\":\"0930\"}"}}}));
        assert_eq!(flow.flow_response_json, "{\"slot\":\"0930\"}");
        for field in ["wa_id", "new_wa_id"] {
            let moved =
                described(json!({"type": "system", "system": {"type": "user_changed_number", field: "12025550199"}}));
            assert_eq!(moved.system.unwrap().new_wa_id, "12025550199");
        }
        let from_ad = described(json!({"type": "text", "referral": {"source_type": "ad", "ctwa_clid": "Afc"}}));
        assert_eq!(from_ad.referral.unwrap().click_id, "Afc");
    }

    #[test]
    fn a_shape_nobody_knows_is_handed_on_as_it_is() {
        for details in [
            json!({"type": "hologram", "hologram": [1]}),
            json!({"type": 5}),
            json!([]),
        ] {
            assert_eq!(described(details.clone()).details_json, details.to_string());
        }
    }
}
