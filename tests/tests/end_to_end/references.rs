//! Messages that refer to earlier ones: replies and reactions.

use crate::{
    content::{of, our_message, provider_message, text},
    world::{ANA, World, request, world},
};
use assent_proto::v1::{self, MessageState, content::Kind};
use serde_json::json;
use tonic::Code;

fn reaction(message: Option<v1::MessageReference>, emoji: &str) -> v1::Content {
    let emoji = emoji.to_owned();
    of(Kind::Reaction(v1::ReactionContent { message, emoji }))
}

/// Sends a text and waits until it is read. Gives our id and Meta's.
async fn sent(world: &World, key: &str, content: v1::Content) -> (String, String) {
    let sent = world.send(request(key, content)).await.unwrap();
    let message = world.until(&sent.message_id, MessageState::Read).await;
    (sent.message_id, message.provider_message_id)
}

#[tokio::test]
async fn a_reaction_to_what_a_person_wrote() {
    let world = world().await;
    let wrote = world.open_window().await;
    let content = reaction(provider_message(&wrote), "👍");
    let sent = world.send(request("key-1", content.clone())).await.unwrap();
    // Meta reports nothing beyond that it was sent.
    let message = world.until(&sent.message_id, MessageState::Sent).await;
    assert_eq!(message.state(), MessageState::Sent);
    assert!(message.r#final);
    assert_eq!(message.content, Some(content));
    let accepted = world.accepted();
    assert_eq!(accepted.len(), 1);
    assert_eq!(accepted[0].1["reaction"], json!({"message_id": wrote, "emoji": "👍"}));
    assert_eq!(accepted[0].1["context"], json!(null));
}

#[tokio::test]
async fn a_reply_to_what_a_person_wrote_and_to_a_message_of_ours() {
    let world = world().await;
    let wrote = world.open_window().await;
    let mut answer = text("Hello Ana");
    answer.reply_to = provider_message(&wrote);
    let (ours, wamid) = sent(&world, "key-1", answer.clone()).await;
    let mut further = text("And one more thing");
    further.reply_to = our_message(&ours);
    let (last, _) = sent(&world, "key-2", further.clone()).await;
    let taken_back = reaction(our_message(&ours), "");
    let back = world.send(request("key-3", taken_back.clone())).await.unwrap();
    world.until(&back.message_id, MessageState::Sent).await;

    let accepted = world.accepted();
    assert_eq!(accepted[0].1["context"], json!({ "message_id": wrote }));
    assert_eq!(accepted[1].1["context"], json!({ "message_id": wamid }));
    assert_eq!(accepted[2].1["reaction"], json!({"message_id": wamid, "emoji": ""}));
    // Each is shown as it was asked for.
    assert_eq!(world.get(&ours).await.content, Some(answer));
    assert_eq!(world.get(&last).await.content, Some(further));
    assert_eq!(world.get(&back.message_id).await.content, Some(taken_back));
}

#[tokio::test]
async fn a_message_that_cannot_be_referred_to_is_named() {
    let world = world().await;
    world.open_window().await;
    let refused = async |key: &str, content: v1::Content| {
        let error = world.send(request(key, content)).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error:?}");
        let details = tonic_types::StatusExt::get_details_bad_request(&error).unwrap();
        details.field_violations[0].field.clone()
    };
    let mut answer = text("Hello");
    answer.reply_to = our_message("67e55044-10b1-426f-9247-bb680e5fe0c8");
    assert_eq!(refused("key-1", answer.clone()).await, "content.reply_to.message_id");
    let nobody = reaction(our_message("67e55044-10b1-426f-9247-bb680e5fe0c8"), "👍");
    assert_eq!(refused("key-2", nobody).await, "content.reaction.message.message_id");
    // One that Meta never took.
    let unknown = v1::SendMessageRequest {
        to: Some(crate::world::phone("+12025550199")),
        ..request("key-3", text("Hello"))
    };
    world.send(unknown).await.unwrap_err();
    let key = Some(v1::get_message_request::Key::IdempotencyKey("key-3".to_owned()));
    let asked = v1::GetMessageRequest {
        key,
        include_timeline: false,
    };
    let held_back = world.messages().get_message(asked).await.unwrap().into_inner();
    answer.reply_to = our_message(&held_back.message.unwrap().message_id);
    assert_eq!(refused("key-4", answer).await, "content.reply_to.message_id");
    assert!(world.accepted().is_empty(), "{ANA}");
}
