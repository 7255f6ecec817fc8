//! What people send: every kind, kept whole and sealed.

use super::{
    callbacks::{kept, provider_events},
    world::{ACCOUNT, NUMBER, World, change, messages, world},
};
use assent_domain::events::{MessageReceived, ProviderEvent};
use assent_runtime::streams::purpose;
use serde_json::{Value, json};

/// What people sent, with the details opened.
pub(super) async fn received(world: &World) -> Vec<(Box<MessageReceived>, Value)> {
    let now = time::OffsetDateTime::now_utc();
    let mut received = Vec::new();
    for (recorded, event) in provider_events(world).await {
        let ProviderEvent::MessageReceived(event) = event else {
            continue;
        };
        let stored = String::from_utf8_lossy(&recorded.data);
        assert!(!stored.contains("secret"), "{stored}");
        let details = match &event.details {
            Some(details) => {
                let opened = world.platform.keys.open(details, purpose::INBOUND_DETAILS, now).await;
                opened.unwrap().value().unwrap().0
            }
            None => Value::Null,
        };
        received.push((event, details));
    }
    received
}

#[tokio::test]
async fn every_kind_of_message_is_kept_whole_in_its_own_event() {
    let world = world().await;
    let context = json!({"from": "12025550100", "id": "wamid.secret"});
    let kinds = [
        json!({"type": "text", "text": {"body": "secret"}}),
        json!({"type": "text", "text": {"body": "secret"}, "context": {"forwarded": true}}),
        json!({"type": "text", "text": {"body": "secret"}, "referral": {"source_type": "ad", "ctwa_clid": "secret"}}),
        json!({"type": "image", "image": {"caption": "secret", "mime_type": "image/jpeg", "sha256": "b7Jk=", "id": "secret"}}),
        json!({"type": "video", "video": {"mime_type": "video/mp4", "sha256": "b7Jk=", "id": "secret"}}),
        json!({"type": "audio", "audio": {"mime_type": "audio/ogg; codecs=opus", "id": "secret", "voice": true}}),
        json!({"type": "document", "document": {"filename": "secret.pdf", "id": "secret"}}),
        json!({"type": "sticker", "sticker": {"mime_type": "image/webp", "id": "secret", "animated": false}}),
        json!({"type": "location", "location": {"latitude": 38.9072, "longitude": -77.0369, "name": "secret"}}),
        json!({"type": "contacts", "contacts": [{"name": {"formatted_name": "secret"}, "vcard": "secret"}]}),
        json!({"type": "reaction", "reaction": {"message_id": "wamid.secret", "emoji": "👍"}}),
        json!({"type": "button", "button": {"payload": "secret", "text": "secret"}, "context": context}),
        json!({"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "secret", "title": "A"}}}),
        json!({"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "secret", "title": "A"}}}),
        json!({"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {"response_json": "{\"a\":\"secret\"}"}}}),
        json!({"type": "order", "order": {"catalog_id": "secret", "product_items": []}}),
        json!({"type": "system", "system": {"type": "user_changed_number", "wa_id": "12025550199"}}),
        json!({"type": "unsupported", "unsupported": {"type": "poll"}, "errors": [{"code": 131_051, "title": "secret"}]}),
        json!({"type": "edit", "edit": {"original_message_id": "wamid.secret"}}),
    ];
    for (at, kind) in kinds.iter().enumerate() {
        let mut message = kind.clone();
        message["from"] = "12025550142".into();
        message["id"] = format!("wamid.in{at}").into();
        message["timestamp"] = "1795363199".into();
        let body = change(ACCOUNT, "messages", &messages(NUMBER, "messages", &json!([message])));
        assert_eq!(world.post(&body).await, 200);
    }
    let received = received(&world).await;
    assert_eq!(received.len(), kinds.len());
    assert!(received[0].0.text.is_some() && received[0].1.is_null());
    for ((event, details), kind) in received.iter().zip(&kinds).skip(1) {
        assert_eq!(details, kind);
        assert_eq!(event.kind.as_str(), kind["type"].as_str().unwrap());
        let is_notice = ["system", "edit"].contains(&event.kind.as_str());
        assert_eq!(event.opens_window, !is_notice, "{kind}");
    }
    assert!(kept(&world).await.is_empty());
}

#[tokio::test]
async fn details_too_long_for_an_event_are_kept_whole_beside_it() {
    let world = world().await;
    let cards: Vec<Value> = (0..1_000)
        .map(|at| json!({"name": {"formatted_name": format!("Ana {at}"), "first_name": "x".repeat(100)}}))
        .collect();
    let message = json!([{"from": "12025550142", "id": "wamid.in1", "timestamp": "1795363199", "type": "contacts",
        "contacts": cards}]);
    let body = change(ACCOUNT, "messages", &messages(NUMBER, "messages", &message));
    assert_eq!(world.post(&body).await, 200);
    let kept = kept(&world).await;
    assert_eq!(kept[0].0, "message_too_large");
    assert_eq!(serde_json::from_str::<Value>(&kept[0].1).unwrap(), body);
    let received = received(&world).await;
    assert!(received[0].0.details.is_none() && received[0].0.opens_window);
}
