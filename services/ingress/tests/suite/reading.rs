//! Showing, explaining and cancelling messages.

use super::world::{
    ACCOUNT, NUMBER, REFUSED, UNDECIDED, World, change, eventually, messages, phone, reason, request, status, world,
};
use assent_domain::values::{AttemptId, MessageId};
use assent_proto::v1::{self, MessageState, WaitFor, get_message_request::Key};
use assent_read_models::Views;
use serde_json::json;
use tonic::Code;
use uuid::Uuid;

fn by_id(message_id: &str) -> v1::GetMessageRequest {
    v1::GetMessageRequest {
        key: Some(Key::MessageId(message_id.into())),
        include_timeline: true,
    }
}

/// Meta reports a status of one of our messages.
async fn report(world: &World, message_id: &str, reported: &str) {
    let message: MessageId = message_id.parse().unwrap();
    let attempt = AttemptId::new(Uuid::from_u128(9));
    let ours = world.platform.correlation("acme", message, attempt).to_string();
    let value = messages(NUMBER, "statuses", &json!([status(reported, Some(&ours))]));
    assert_eq!(world.post(&change(ACCOUNT, "messages", &value)).await, 200);
}

#[tokio::test]
async fn a_message_is_shown_with_its_content_its_decision_and_its_story() {
    let world = world().await;
    let mut client = world.client().await;
    let asked = request("k1", "hello");
    let sent = client.send_message(asked.clone()).await.unwrap().into_inner();
    report(&world, &sent.message_id, "delivered").await;
    let message = client
        .get_message(by_id(&sent.message_id))
        .await
        .unwrap()
        .into_inner()
        .message
        .unwrap();
    assert_eq!((message.to.clone(), message.content.clone()), (asked.to, asked.content));
    assert_eq!(message.state(), MessageState::Delivered);
    assert_eq!(message.decision, sent.decision);
    assert_eq!(message.tags["shop"], "berlin");
    let kinds: Vec<_> = message.timeline.iter().map(|entry| entry.r#type.as_str()).collect();
    assert_eq!(
        kinds,
        ["request.submitted", "decision.authorized", "provider.status_reported"]
    );
    assert_eq!(message.timeline[2].actor, "meta");
    assert!(message.timeline[2].occurred_at.is_some());

    let key = v1::GetMessageRequest {
        key: Some(Key::IdempotencyKey("k1".into())),
        include_timeline: true,
    };
    assert_eq!(
        client.get_message(key).await.unwrap().into_inner().message.unwrap(),
        message
    );

    let explain = v1::ExplainMessageRequest {
        message_id: sent.message_id.clone(),
    };
    let explained = client.explain_message(explain).await.unwrap().into_inner();
    assert_eq!(explained.state(), MessageState::Delivered);
    assert!(
        explained.sentences[0].contains("Template hello en_US") || explained.sentences[0].contains("hello"),
        "{:?}",
        explained.sentences
    );
    assert!(
        explained.sentences[2].contains("reached a device"),
        "{:?}",
        explained.sentences
    );
}

#[tokio::test]
async fn another_tenants_message_is_not_there() {
    let world = world().await;
    let sent = world
        .client()
        .await
        .send_message(request("k1", "hello"))
        .await
        .unwrap()
        .into_inner();
    let mut stranger = world.stranger().await;
    let unknown = (Code::NotFound, "MESSAGE_UNKNOWN".to_owned());
    let id = sent.message_id.clone();
    assert_eq!(reason(&stranger.get_message(by_id(&id)).await.unwrap_err()), unknown);
    let cancel = v1::CancelMessageRequest { message_id: id.clone() };
    assert_eq!(reason(&stranger.cancel_message(cancel).await.unwrap_err()), unknown);
    let explain = v1::ExplainMessageRequest { message_id: id.clone() };
    assert_eq!(reason(&stranger.explain_message(explain).await.unwrap_err()), unknown);
    let watch = v1::WatchMessageRequest { message_id: id };
    assert_eq!(reason(&stranger.watch_message(watch).await.unwrap_err()), unknown);
    let never = by_id("67e55044-10b1-426f-9247-bb680e5fe0c8");
    assert_eq!(
        reason(&world.client().await.get_message(never).await.unwrap_err()),
        unknown
    );
    let no_id = reason(&stranger.get_message(by_id("order-7")).await.unwrap_err());
    assert_eq!(no_id, (Code::InvalidArgument, "INVALID_REQUEST".into()));
}

#[tokio::test]
async fn cancelling_twice_is_cancelling_once_and_too_late_is_said() {
    let world = world().await;
    let mut client = world.client().await;
    let mut waiting = request("k1", UNDECIDED);
    waiting.wait_for = WaitFor::Accepted.into();
    let message_id = client.send_message(waiting).await.unwrap().into_inner().message_id;
    for _ in 0..2 {
        let cancel = v1::CancelMessageRequest {
            message_id: message_id.clone(),
        };
        let answer = client.cancel_message(cancel).await.unwrap().into_inner();
        assert_eq!(answer.state(), MessageState::Accepted);
    }
    let wishes = world
        .log()
        .await
        .iter()
        .filter(|event| event.kind == "request.cancel_requested")
        .count();
    assert_eq!(wishes, 1);

    let error = client.send_message(request("k2", REFUSED)).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
    let key = v1::GetMessageRequest {
        key: Some(Key::IdempotencyKey("k2".into())),
        include_timeline: false,
    };
    let message_id = client
        .get_message(key)
        .await
        .unwrap()
        .into_inner()
        .message
        .unwrap()
        .message_id;
    let late = client
        .cancel_message(v1::CancelMessageRequest { message_id })
        .await
        .unwrap_err();
    assert_eq!(reason(&late), (Code::FailedPrecondition, "TOO_LATE".into()));
}

#[tokio::test]
async fn a_watcher_sees_each_state_until_the_last() {
    let world = world().await;
    let mut client = world.client().await;
    let sent = client.send_message(request("k1", "hello")).await.unwrap().into_inner();
    let watch = v1::WatchMessageRequest {
        message_id: sent.message_id.clone(),
    };
    let mut states = client.watch_message(watch).await.unwrap().into_inner();
    let first = states.message().await.unwrap().unwrap().message.unwrap();
    assert_eq!(first.state(), MessageState::Authorized);
    for (word, state) in [("sent", MessageState::Sent), ("read", MessageState::Read)] {
        report(&world, &sent.message_id, word).await;
        let shown = states.message().await.unwrap().unwrap().message.unwrap();
        assert_eq!(shown.state(), state);
    }
    assert_eq!(states.message().await.unwrap(), None, "read is final");
}

#[tokio::test]
async fn messages_are_listed_newest_first_without_content() {
    let world = world().await;
    let mut client = world.client().await;
    for key in ["k1", "k2", "k3"] {
        let mut asked = request(key, "hello");
        asked.campaign = key.into();
        client.send_message(asked).await.unwrap();
    }
    // The status-tracker keeps the read models; here the test does.
    let views = Views::open(&world.platform.store).await.unwrap();
    let (feeds, stop) = (world.platform.feeds.clone(), world.shutdown.soft().clone());
    tokio::spawn(async move { views.run(&feeds, super::world::SHARD, stop, |_| ()).await });
    let page = |size, token: &str| v1::ListMessagesRequest {
        page_size: size,
        page_token: token.into(),
        from: NUMBER.into(),
        to: Some(phone(super::world::ANA)),
        ..v1::ListMessagesRequest::default()
    };
    eventually("all are listed", async || {
        let listed = world
            .client()
            .await
            .list_messages(page(0, ""))
            .await
            .unwrap()
            .into_inner();
        listed.messages.len() == 3
    })
    .await;
    let first = client.list_messages(page(2, "")).await.unwrap().into_inner();
    let second = client
        .list_messages(page(2, &first.next_page_token))
        .await
        .unwrap()
        .into_inner();
    let campaigns: Vec<_> = first
        .messages
        .iter()
        .chain(&second.messages)
        .map(|message| message.campaign.as_str())
        .collect();
    assert_eq!(campaigns, ["k3", "k2", "k1"]);
    assert!(second.next_page_token.is_empty());
    assert!(
        first
            .messages
            .iter()
            .all(|message| message.content.is_none() && message.to.is_some())
    );
    let theirs = v1::ListMessagesRequest::default();
    let theirs = world.stranger().await.list_messages(theirs).await.unwrap().into_inner();
    assert!(theirs.messages.is_empty());
    let bad = client.list_messages(page(501, "nonsense")).await.unwrap_err();
    assert_eq!(bad.code(), Code::InvalidArgument);
}
