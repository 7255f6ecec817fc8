//! Many messages over one stream.

use super::world::{REFUSED, UNDECIDED, request, world};
use assent_proto::v1::{self, MessageState, WaitFor, send_messages_response::Result as Outcome};
use std::collections::HashMap;

fn item(message: v1::SendMessageRequest) -> v1::SendMessagesRequest {
    v1::SendMessagesRequest { message: Some(message) }
}

#[tokio::test]
async fn each_message_of_a_stream_gets_its_own_answer() {
    let world = world().await;
    let mut client = world.client().await;
    let mut undecided = request("undecided", UNDECIDED);
    undecided.wait_for = WaitFor::Accepted.into();
    let mut bad = request("bad", "hello");
    bad.to = None;
    let mut requests = vec![
        item(request("refused", REFUSED)),
        item(undecided),
        item(bad),
        v1::SendMessagesRequest::default(),
    ];
    requests.extend((0..200).map(|n| item(request(&format!("k{n}"), "hello"))));
    let count = requests.len();
    let mut answers = client
        .send_messages(tokio_stream::iter(requests))
        .await
        .unwrap()
        .into_inner();
    let mut by_key = HashMap::new();
    while let Some(answer) = answers.message().await.unwrap() {
        by_key.insert(answer.idempotency_key, answer.result.unwrap());
    }
    assert_eq!(by_key.len(), count);
    let Outcome::Error(refused) = &by_key["refused"] else {
        panic!("refused")
    };
    assert_eq!((refused.code, refused.reason.as_str()), (9, "MESSAGE_REFUSED"));
    assert_eq!(refused.refusals.len(), 2);
    assert!(!refused.message_id.is_empty());
    let Outcome::Error(bad) = &by_key["bad"] else {
        panic!("bad")
    };
    assert_eq!(bad.field_problems[0].field, "to");
    let Outcome::Error(nothing) = &by_key[""] else {
        panic!("nothing")
    };
    assert_eq!(nothing.field_problems.len(), 4);
    for n in 0..200 {
        let Outcome::Sent(sent) = &by_key[&format!("k{n}")] else {
            panic!("k{n} was sent")
        };
        assert_eq!(sent.state(), MessageState::Authorized);
    }
}
