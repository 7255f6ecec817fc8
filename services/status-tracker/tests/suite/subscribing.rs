//! Subscriptions to events, and what else callers ask.

use super::{
    people::at,
    support::{Stage, bearer, eventually},
};
use assent_proto::v1::{
    self, EventKind, MessageState, event::Payload, event_service_client::EventServiceClient,
    number_service_client::NumberServiceClient, subscribe_request::Start, subscribe_response::Item,
    tracking_service_client::TrackingServiceClient,
};
use assent_runtime::config::Secret;
use assent_simulator::DEFAULT_NUMBER_ID;
use tonic::{Code, Streaming};
use tonic_types::StatusExt as _;

async fn subscribe(
    stage: &Stage,
    key: &Secret,
    start: Option<Start>,
    kinds: &[EventKind],
) -> Result<Streaming<v1::SubscribeResponse>, tonic::Status> {
    let mut client = EventServiceClient::with_interceptor(stage.channel(), bearer(key.clone()));
    let request = v1::SubscribeRequest {
        start,
        kinds: kinds.iter().map(|kind| *kind as i32).collect(),
    };
    Ok(client.subscribe(request).await?.into_inner())
}

/// The next events, without signs of life.
async fn take(stream: &mut Streaming<v1::SubscribeResponse>, count: usize) -> Vec<v1::Event> {
    let mut events = Vec::new();
    while events.len() < count {
        let next = tokio::time::timeout(std::time::Duration::from_secs(10), stream.message()).await;
        let response = next.expect("an event comes").unwrap().expect("the stream goes on");
        if let Some(Item::Event(event)) = response.item {
            events.push(event);
        }
    }
    events
}

fn states(events: &[v1::Event]) -> Vec<MessageState> {
    let state = |event: &v1::Event| match &event.payload {
        Some(Payload::MessageState(change)) => change.state(),
        other => panic!("{other:?}"),
    };
    events.iter().map(state).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_gets_everything_from_the_beginning_and_resumes_without_loss_or_repetition() {
    let stage = Stage::start().await;
    for id in 1..=50 {
        stage.let_out(id, 7).await;
        stage.report(id, "sent", at(1)).await;
        stage.report(id, "read", at(2)).await;
        stage.report(id, "delivered", at(2)).await;
    }
    let kinds = [EventKind::MessageState];
    let mut stream = subscribe(&stage, &stage.acme_key, None, &kinds).await.unwrap();
    let first = take(&mut stream, 70).await;
    assert_eq!(
        states(&first[..4]),
        [
            MessageState::Authorized,
            MessageState::Sent,
            MessageState::Read,
            MessageState::Authorized
        ]
    );
    drop(stream);
    let resume = Some(Start::AfterPosition(first.last().unwrap().position));
    let mut stream = subscribe(&stage, &stage.acme_key, resume, &kinds).await.unwrap();
    let mut all = first;
    // The report of `delivered` after `read` of the message it stopped at is new to this subscription.
    let rest = take(&mut stream, 80).await;
    all.extend(rest);
    let mut positions: Vec<u64> = all.iter().map(|event| event.position).collect();
    let count = positions.len();
    positions.sort_unstable();
    positions.dedup();
    assert_eq!(positions.len(), count);
    let reads = states(&all)
        .into_iter()
        .filter(|state| *state == MessageState::Read)
        .count();
    assert_eq!(reads, 50);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_at_the_tail_gets_only_what_happens_from_now_on() {
    let stage = Stage::start().await;
    stage.let_out(1, 7).await;
    let kinds = [EventKind::MessageState];
    let mut stream = subscribe(&stage, &stage.acme_key, Some(Start::Tail(true)), &kinds)
        .await
        .unwrap();
    stage.let_out(2, 7).await;
    let events = take(&mut stream, 1).await;
    let Some(Payload::MessageState(change)) = &events[0].payload else {
        panic!()
    };
    assert_eq!(change.message_id, super::people::message(2).to_string());
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_reaction_sent_is_final_whether_or_not_the_subscriber_saw_its_request() {
    let stage = Stage::start().await;
    stage.react(1, 7).await;
    let before_sent = stage.platform.store.head(super::support::SHARD).await.unwrap();
    stage.report(1, "sent", at(1)).await;
    // Any other message may still be delivered.
    stage.let_out(2, 7).await;
    stage.report(2, "sent", at(1)).await;
    let kinds = [EventKind::MessageState];
    let told = |events: &[v1::Event]| -> Vec<(MessageState, bool)> {
        let change_of = |event: &v1::Event| match &event.payload {
            Some(Payload::MessageState(change)) => (change.state(), change.r#final),
            other => panic!("{other:?}"),
        };
        events.iter().map(change_of).collect()
    };
    let late = [
        (MessageState::Sent, true),
        (MessageState::Authorized, false),
        (MessageState::Sent, false),
    ];
    let early = [(MessageState::Accepted, false), (MessageState::Authorized, false)];
    let mut all = subscribe(&stage, &stage.acme_key, None, &kinds).await.unwrap();
    assert_eq!(told(&take(&mut all, 5).await), [&early[..], &late].concat());
    let resume = Some(Start::AfterPosition(before_sent));
    let mut rest = subscribe(&stage, &stage.acme_key, resume, &kinds).await.unwrap();
    assert_eq!(told(&take(&mut rest, 3).await), late);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_events_are_never_shown() {
    let stage = Stage::start().await;
    stage.write("acme", 7, "for acme", at(1)).await;
    stage.write("globex", 8, "for globex", at(1)).await;
    stage.write("acme", 7, "again for acme", at(2)).await;
    let kinds = [EventKind::InboundMessage];
    let texts = |events: &[v1::Event]| -> Vec<String> {
        let text = |event: &v1::Event| match &event.payload {
            Some(Payload::InboundMessage(inbound)) => match &inbound.content {
                Some(v1::inbound_message::Content::Text(text)) => text.clone(),
                None => "(erased)".to_owned(),
            },
            other => panic!("{other:?}"),
        };
        events.iter().map(text).collect()
    };
    let mut acme = subscribe(&stage, &stage.acme_key, None, &kinds).await.unwrap();
    assert_eq!(texts(&take(&mut acme, 2).await), ["for acme", "again for acme"]);
    let mut globex = subscribe(&stage, &stage.globex_key, None, &kinds).await.unwrap();
    assert_eq!(texts(&take(&mut globex, 1).await), ["for globex"]);

    // The file that came with it is named, for MediaService.
    let files = |events: &[v1::Event]| -> Vec<v1::InboundFile> {
        let file = |event: &v1::Event| match &event.payload {
            Some(Payload::InboundMessage(inbound)) => inbound.file.clone().unwrap(),
            other => panic!("{other:?}"),
        };
        events.iter().map(file).collect()
    };
    let mut acme = subscribe(&stage, &stage.acme_key, None, &kinds).await.unwrap();
    let file = files(&take(&mut acme, 1).await).remove(0);
    assert_eq!(file.file_id, uuid::Uuid::from_u128(99).to_string());
    assert_eq!(
        (file.media_type.as_str(), file.filename.as_str()),
        ("application/pdf", "papers.pdf")
    );

    // With its key gone, what was written is gone too.
    let keys = &stage.platform.keys;
    keys.destroy(&[super::people::alias(7)], &assent_sealed::KeyClass::ALL)
        .await
        .unwrap();
    let mut acme = subscribe(&stage, &stage.acme_key, None, &kinds).await.unwrap();
    let erased = take(&mut acme, 2).await;
    assert_eq!(texts(&erased), ["(erased)", "(erased)"]);
    let nameless = v1::InboundFile {
        file_id: file.file_id,
        ..v1::InboundFile::default()
    };
    assert_eq!(files(&erased), [nameless.clone(), nameless]);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_start_is_refused_and_silence_has_signs_of_life() {
    let stage = Stage::start_with(|script| script.config.subscriptions.heartbeat_ms = 30).await;
    let ahead = subscribe(&stage, &stage.acme_key, Some(Start::AfterPosition(1_000_000)), &[]).await;
    assert_eq!(ahead.unwrap_err().code(), Code::OutOfRange);
    let mut client = EventServiceClient::with_interceptor(stage.channel(), bearer(stage.acme_key.clone()));
    let unknown = v1::SubscribeRequest {
        start: None,
        kinds: vec![0, 99],
    };
    assert_eq!(
        client.subscribe(unknown).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let kinds = [EventKind::Consent];
    let mut quiet = subscribe(&stage, &stage.acme_key, None, &kinds).await.unwrap();
    let beat = quiet.message().await.unwrap().unwrap();
    assert!(matches!(beat.item, Some(Item::Heartbeat(_))));
    stage.stop().await;
    // The process ended: said as such.
    let end = loop {
        match quiet.message().await {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(status) => break Some(status.code()),
        }
    };
    assert!(matches!(end, None | Some(Code::Unavailable)), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_who_takes_nothing_is_ended_and_told_where_to_go_on() {
    let stage = Stage::start_with(|script| {
        script.config.subscriptions.buffer_events_max = 200;
        script.config.subscriptions.stall_ms = 50;
    })
    .await;
    let kinds = [EventKind::MessageState];
    let mut stream = subscribe(&stage, &stage.acme_key, Some(Start::Tail(true)), &kinds)
        .await
        .unwrap();
    let origin = assent_runtime::log::Origin::of(super::support::tenant("acme"), assent_domain::values::Actor::Meta);
    // More than the connection's window holds.
    for chunk in 0..20_u128 {
        let mut append = assent_event_store::Append::new();
        for id in 0..500_u128 {
            let message = super::people::message(10_000 + chunk * 500 + id);
            let stream = stage.platform.stream_of(
                assent_domain::events::StreamCategory::Provider,
                assent_runtime::streams::Subject::Message(message),
            );
            let event = super::people::status(message, "sent", at(1), None);
            append = append.write(
                stream,
                assent_event_store::Expected::Any,
                [assent_runtime::log::record(&event, &origin)],
            );
        }
        stage
            .platform
            .store
            .append(super::support::SHARD, append)
            .await
            .unwrap();
    }
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let mut last = 0;
    let status = loop {
        let next = tokio::time::timeout(std::time::Duration::from_secs(10), stream.message()).await;
        match next.expect("it ends") {
            Ok(Some(response)) => {
                if let Some(Item::Event(event)) = response.item {
                    last = event.position;
                }
            }
            Ok(None) => panic!("it ends with a reason"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Aborted, "{status:?}");
    let info = status.get_error_details().error_info().unwrap().clone();
    assert_eq!(
        (info.reason.as_str(), info.metadata["position"].as_str()),
        ("SUBSCRIBER_TOO_SLOW", last.to_string().as_str())
    );
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_shown_to_their_tenant_with_history() {
    let stage = Stage::start().await;
    let mut client = NumberServiceClient::with_interceptor(stage.channel(), bearer(stage.acme_key.clone()));
    let request = v1::GetNumberRequest {
        phone_number_id: DEFAULT_NUMBER_ID.to_owned(),
    };
    let number = eventually("the number is known", || {
        let (mut client, request) = (client.clone(), request.clone());
        async move {
            let number = client.get_number(request).await.unwrap().into_inner().number.unwrap();
            (number.state() == v1::NumberState::Connected).then_some(number)
        }
    })
    .await;
    assert_eq!(
        (number.limit_people_per_day, number.throughput_per_second),
        (100_000, 80)
    );
    let listed = client
        .list_numbers(v1::ListNumbersRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.numbers.len(), 1);
    let history = v1::GetNumberHistoryRequest {
        phone_number_id: DEFAULT_NUMBER_ID.to_owned(),
        ..v1::GetNumberHistoryRequest::default()
    };
    let history = client.get_number_history(history).await.unwrap().into_inner();
    assert_eq!(history.changes.len(), 1);
    let foreign = v1::GetNumberRequest {
        phone_number_id: super::support::GLOBEX_NUMBER.to_owned(),
    };
    assert_eq!(client.get_number(foreign).await.unwrap_err().code(), Code::NotFound);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_rebuilt_by_command_and_say_the_same() {
    let stage = Stage::start().await;
    stage.let_out(1, 7).await;
    stage.fail(1, 131_026, at(1)).await;
    eventually("it is concluded", || async {
        (!stage.concluded(7).await.is_empty()).then_some(())
    })
    .await;
    let client = |key: &Secret| TrackingServiceClient::with_interceptor(stage.channel(), bearer(key.clone()));
    let mut admin = client(&stage.acme_key);
    let head = stage.platform.store.head(super::support::SHARD).await.unwrap();
    eventually("the views have come this far", || {
        let mut admin = admin.clone();
        async move {
            let funnel = admin
                .get_funnel(v1::GetFunnelRequest::default())
                .await
                .unwrap()
                .into_inner();
            (funnel.as_of_position >= head).then_some(())
        }
    })
    .await;
    let blocked = v1::GetDigestRequest {
        view: v1::View::Blocked.into(),
    };
    let before = admin.get_digest(blocked).await.unwrap().into_inner();
    let mut rebuilding = admin.rebuild(v1::RebuildRequest::default()).await.unwrap().into_inner();
    let mut last = None;
    while let Some(progress) = rebuilding.message().await.unwrap() {
        last = Some(progress);
    }
    assert!(last.unwrap().done);
    let after = admin.get_digest(blocked).await.unwrap().into_inner();
    assert_eq!(before.sha256, after.sha256);
    let denied = client(stage.reader_key())
        .rebuild(v1::RebuildRequest::default())
        .await
        .unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    stage.stop().await;
}
