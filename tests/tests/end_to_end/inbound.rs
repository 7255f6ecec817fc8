//! What people send, of every type, as a subscriber sees it.

use crate::{
    content::{of, provider_message},
    world::{ANA, phone, request, world},
};
use assent_proto::v1::{self, MessageState, content::Kind, event::Payload, subscribe_response::Item};
use assent_simulator::DEFAULT_NUMBER_ID;
use serde_json::{Value, json};
use tonic::Code;

/// Every type a person can send, with `wamid` as the message that it answers.
fn every_type(wamid: &str) -> Vec<Value> {
    let context = json!({"from": "15550010001", "id": wamid});
    vec![
        json!({"type": "text", "text": {"body": "Is it ready?"}, "context": context}),
        json!({"type": "image", "image": {}}),
        json!({"type": "video", "video": {}}),
        json!({"type": "audio", "audio": {}}),
        json!({"type": "document", "document": {}}),
        json!({"type": "sticker", "sticker": {}}),
        json!({"type": "location", "location": {"latitude": 38.9072, "longitude": -77.0369, "name": "Home"}}),
        json!({"type": "contacts", "contacts": [{"name": {"formatted_name": "Leo M", "first_name": "Leo"},
            "phones": [{"phone": "+1 202-555-0188", "wa_id": "12025550188", "type": "CELL"}]}]}),
        json!({"type": "reaction", "reaction": {"message_id": wamid, "emoji": "👍"}}),
        json!({"type": "button", "button": {"payload": "more", "text": "Tell me more"}, "context": context}),
        json!({"type": "interactive", "interactive": {"type": "button_reply",
            "button_reply": {"id": "slot_am", "title": "Morning"}}, "context": context}),
        json!({"type": "interactive", "interactive": {"type": "list_reply",
            "list_reply": {"id": "st_1", "title": "Harbor", "description": "Pier 4"}}, "context": context}),
        json!({"type": "interactive", "interactive": {"type": "nfm_reply",
            "nfm_reply": {"name": "flow", "body": "Sent", "response_json": "{\"slot\":\"0930\"}"}}, "context": context}),
        json!({"type": "order", "order": {"catalog_id": "5510", "text": "gift wrap", "product_items": [
            {"product_retailer_id": "SKU-8", "quantity": 2, "item_price": 24.5, "currency": "USD"}]}}),
        json!({"type": "unsupported", "unsupported": {"type": "poll"}}),
    ]
}

#[tokio::test]
async fn every_type_reaches_the_subscriber() {
    let world = world().await;
    world.open_window().await;
    let sent = world.send(request("key-1", crate::content::text("Hi"))).await.unwrap();
    let ours = world
        .until(&sent.message_id, MessageState::Read)
        .await
        .provider_message_id;
    let subscription = v1::SubscribeRequest {
        kinds: vec![v1::EventKind::InboundMessage.into()],
        ..v1::SubscribeRequest::default()
    };
    let mut events = world.events().subscribe(subscription).await.unwrap().into_inner();
    let mut wrote = Vec::new();
    for content in every_type(&ours) {
        wrote.push(world.control().write(ANA, None, content).unwrap());
    }
    let mut received: Vec<v1::InboundMessage> = Vec::new();
    while received.len() < wrote.len() + 1 {
        let item = tokio::time::timeout(std::time::Duration::from_mins(1), events.message());
        if let Some(Item::Event(event)) = item.await.unwrap().unwrap().unwrap().item
            && let Some(Payload::InboundMessage(message)) = event.payload
        {
            received.push(message);
        }
    }
    // The first one opened the window.
    let mut received: Vec<v1::InboundMessage> = received.split_off(1);
    received.sort_by_key(|message| wrote.iter().position(|wamid| *wamid == message.provider_message_id));
    for message in &received {
        assert_eq!(message.from, Some(phone(ANA)));
        assert!(wrote.contains(&message.provider_message_id));
    }
    let [
        text,
        image,
        video,
        audio,
        document,
        sticker,
        location,
        contacts,
        reaction,
        button,
        reply,
        choice,
        flow,
        order,
        unsupported,
    ] = &received[..]
    else {
        panic!("{} messages", received.len())
    };
    let said = |message: &v1::InboundMessage| match &message.content {
        Some(v1::inbound_message::Content::Text(text)) => text.clone(),
        None => String::new(),
    };
    assert_eq!(
        (said(text), &text.in_reply_to),
        ("Is it ready?".to_owned(), &provider_message(&ours))
    );
    for (message, kind) in [
        (image, "image"),
        (video, "video"),
        (audio, "audio"),
        (document, "application"),
        (sticker, "image"),
    ] {
        let file = message.file.as_ref().unwrap();
        assert!(file.media_type.starts_with(kind), "{}", file.media_type);
        assert!(!file.file_id.is_empty());
    }
    assert_eq!(location.location.as_ref().unwrap().name, "Home");
    assert_eq!(contacts.contacts[0].phones[0].wa_id, "12025550188");
    assert_eq!(
        (said(reaction), &reaction.in_reply_to),
        ("👍".to_owned(), &provider_message(&ours))
    );
    assert_eq!(
        (said(button), button.payload.as_str()),
        ("Tell me more".to_owned(), "more")
    );
    assert_eq!((said(reply), reply.payload.as_str()), ("Morning".to_owned(), "slot_am"));
    assert_eq!((said(choice), choice.payload.as_str()), ("Harbor".to_owned(), "st_1"));
    assert_eq!(flow.flow_response_json, "{\"slot\":\"0930\"}");
    assert_eq!(order.order.as_ref().unwrap().products[0].item_price, "24.5");
    assert_eq!(unsupported.r#type, "unsupported");

    // What a subscriber was told is enough to answer and to react.
    let content = of(Kind::Reaction(v1::ReactionContent {
        message: provider_message(&order.provider_message_id),
        emoji: "🎁".to_owned(),
    }));
    let thanked = world.send(request("key-2", content)).await.unwrap();
    world.until(&thanked.message_id, MessageState::Sent).await;
}

#[tokio::test]
async fn what_a_person_wrote_is_marked_as_read() {
    let world = world().await;
    let wrote = world.open_window().await;
    let mark = async |number: &str, wamid: &str| {
        let request = v1::MarkReadRequest {
            phone_number_id: number.to_owned(),
            provider_message_id: wamid.to_owned(),
            show_typing: true,
        };
        let marked = world.numbers().mark_read(request).await;
        marked.map(drop).map_err(|status| status.code())
    };
    assert_eq!(mark(DEFAULT_NUMBER_ID, &wrote).await, Ok(()));
    assert_eq!(mark(DEFAULT_NUMBER_ID, &wrote).await, Ok(()), "again");
    assert_eq!(
        mark(DEFAULT_NUMBER_ID, "wamid.nobody").await,
        Err(Code::FailedPrecondition)
    );
    assert_eq!(mark(DEFAULT_NUMBER_ID, " ").await, Err(Code::InvalidArgument));
    assert_eq!(mark("200000000000009", &wrote).await, Err(Code::NotFound));
}
