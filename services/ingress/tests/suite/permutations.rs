//! Meta's callbacks about one message come in any order and more than once.

use super::world::{ACCOUNT, NUMBER, World, change, messages, request, world};
use assent_domain::values::{AttemptId, MessageId};
use assent_proto::v1;
use serde_json::{Value, json};
use uuid::Uuid;

/// Everything Meta may say of one message that was read although one of the person's devices failed.
const WORDS: [&str; 4] = ["sent", "delivered", "read", "failed"];

/// Every order of them.
fn orders() -> Vec<Vec<&'static str>> {
    fn extend(begun: &[&'static str], orders: &mut Vec<Vec<&'static str>>) {
        let rest: Vec<_> = WORDS.into_iter().filter(|word| !begun.contains(word)).collect();
        if rest.is_empty() {
            orders.push(begun.to_vec());
        }
        for word in rest {
            extend(&[begun, &[word]].concat(), orders);
        }
    }
    let mut orders = Vec::new();
    extend(&[], &mut orders);
    orders
}

fn status(world: &World, message: MessageId, reported: &str) -> Value {
    let attempt = AttemptId::new(Uuid::from_u128(78));
    let correlation = world.platform.correlation("acme", message, attempt).to_string();
    let moments = [("sent", 1), ("delivered", 2), ("read", 3), ("failed", 4)];
    let second = moments.iter().find(|(of, _)| *of == reported).unwrap().1;
    let mut status = json!({"id": "wamid.out", "status": reported, "timestamp": (1_795_363_199 + second).to_string(),
        "recipient_id": "12025550142", "biz_opaque_callback_data": correlation});
    if reported == "failed" {
        status["errors"] = json!([{"code": 131_026, "title": "Message undeliverable"}]);
    }
    status
}

/// The message as it stands, without what differs from message to message.
async fn stands(world: &World, message: MessageId) -> v1::Message {
    let key = v1::get_message_request::Key::MessageId(message.to_string());
    let request = v1::GetMessageRequest {
        key: Some(key),
        include_timeline: false,
    };
    let response = world.client().await.get_message(request).await.unwrap();
    v1::Message {
        message_id: String::new(),
        decision: None,
        accepted_at: None,
        updated_at: None,
        expires_at: None,
        ..response.into_inner().message.unwrap()
    }
}

#[tokio::test]
async fn any_order_and_repetition_of_a_messages_callbacks_gives_one_state() {
    let world = world().await;
    let mut states = Vec::new();
    for (at, order) in orders().into_iter().enumerate() {
        let mut client = world.client().await;
        let sent = client.send_message(request(&format!("key-{at}"), "hello"));
        let message: MessageId = sent.await.unwrap().into_inner().message_id.parse().unwrap();
        // Each of them a second time: at once, in one body with the next, or at the end.
        let mut bodies: Vec<Vec<&str>> = Vec::new();
        for (nth, word) in order.iter().enumerate() {
            match (at + nth) % 3 {
                0 => bodies.extend([vec![*word], vec![*word]]),
                1 => bodies.push(vec![*word, *word, order[(nth + 1) % order.len()]]),
                _ => bodies.push(vec![*word]),
            }
        }
        bodies.push(order.clone());
        for words in bodies {
            let items: Vec<Value> = words.into_iter().map(|word| status(&world, message, word)).collect();
            let body = change(ACCOUNT, "messages", &messages(NUMBER, "statuses", &json!(items)));
            assert_eq!(world.post(&body).await, 200);
        }
        states.push((order, stands(&world, message).await));
    }
    assert_eq!(states.len(), 24);
    let first = states[0].1.clone();
    assert_eq!(first.state(), v1::MessageState::Read);
    assert!(first.r#final);
    for (order, state) in states {
        assert_eq!(state, first, "{order:?}");
    }
}
