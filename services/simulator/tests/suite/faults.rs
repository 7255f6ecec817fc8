//! Faults on demand.

use std::time::Duration;

use assent_simulator::{DEFAULT_NUMBER_ID, DEFAULT_TOKEN, Fault, FaultEndpoint, FaultKind, WaitFor};
use serde_json::json;

use super::support::{ANA, Stage, order_update};

#[tokio::test]
async fn a_connection_dropped_after_accepting_leaves_an_accepted_message() {
    let stage = Stage::start().await;
    stage
        .handle
        .control()
        .set_fault(Fault::next(FaultKind::DropAfterAccept, 1))
        .unwrap();
    let error = stage.try_send(&order_update(ANA)).await.unwrap_err();
    assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
    assert_eq!(stage.accepted().len(), 1);
    assert_eq!(stage.accepted()[0].answer_fault, Some(FaultKind::DropAfterAccept));
    assert_eq!(stage.send(&order_update(ANA)).await.0, 200);
    stage.settle().await;
    assert_eq!(stage.receiver.statuses().len(), 6);
}

#[tokio::test]
async fn an_error_after_accepting_leaves_an_accepted_message() {
    let stage = Stage::start().await;
    stage
        .handle
        .control()
        .set_fault(Fault::next(FaultKind::Error500AfterAccept, 1))
        .unwrap();
    let (status, answer) = stage.send(&order_update(ANA)).await;
    assert_eq!((status, &answer["error"]["code"]), (500, &json!(131_000)));
    assert_eq!(stage.accepted().len(), 1);
}

#[tokio::test]
async fn an_answer_that_never_comes_leaves_an_accepted_message() {
    let stage = Stage::start().await;
    stage
        .handle
        .control()
        .set_fault(Fault::next(FaultKind::NeverAnswer, 1))
        .unwrap();
    let url = stage.url(&format!("{DEFAULT_NUMBER_ID}/messages"));
    let sending = stage
        .client
        .post(url)
        .bearer_auth(DEFAULT_TOKEN)
        .json(&order_update(ANA))
        .send();
    let sending = tokio::spawn(sending);
    let one = WaitFor {
        accepted: Some(1),
        ..WaitFor::default()
    };
    assert!(stage.handle.control().wait(&one).await);
    // An answer under way would still be given at shutdown; there is none.
    stage.handle.shutdown().await;
    sending.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_slow_answer_comes_late_but_comes() {
    let stage = Stage::start().await;
    let slow = Fault {
        delay_ms: Some(150),
        ..Fault::next(FaultKind::SlowAnswer, 1)
    };
    stage.handle.control().set_fault(slow).unwrap();
    let started = tokio::time::Instant::now();
    assert_eq!(stage.send(&order_update(ANA)).await.0, 200);
    assert!(started.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn faults_before_accepting_accept_nothing() {
    let stage = Stage::start().await;
    let control = stage.handle.control();
    control.set_fault(Fault::next(FaultKind::Unavailable503, 1)).unwrap();
    assert_eq!(stage.send(&order_update(ANA)).await.0, 503);
    control.set_fault(Fault::next(FaultKind::DropBeforeAccept, 1)).unwrap();
    stage.try_send(&order_update(ANA)).await.unwrap_err();
    control
        .set_fault(Fault {
            code: Some(131_056),
            ..Fault::next(FaultKind::GraphError, 1)
        })
        .unwrap();
    let (status, answer) = stage.send(&order_update(ANA)).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(131_056)));
    control.set_fault(Fault::next(FaultKind::HtmlError, 1)).unwrap();
    let page = stage.try_send(&order_update(ANA)).await.unwrap();
    assert_eq!(page.status(), 502);
    assert!(page.text().await.unwrap().starts_with("<!DOCTYPE html>"));
    assert!(stage.accepted().is_empty());
}

#[tokio::test]
async fn callbacks_are_withheld_and_duplicated_over_the_wire() {
    let stage = Stage::start().await;
    let control = stage.handle.control();
    control.set_fault(Fault::next(FaultKind::WithholdCallback, 3)).unwrap();
    stage.send(&order_update(ANA)).await;
    stage.settle().await;
    assert!(stage.receiver.received().is_empty());
    control
        .set_fault(Fault::rate(FaultKind::DuplicateCallback, 1.0))
        .unwrap();
    stage.send(&order_update(ANA)).await;
    stage.settle().await;
    let mut statuses = stage.receiver.statuses();
    statuses.sort();
    assert_eq!(statuses, ["delivered", "delivered", "read", "read", "sent", "sent"]);
    let truth = stage.accepted();
    assert!(truth[0].statuses.iter().all(|status| status.callbacks == 0));
    assert!(
        truth[1]
            .statuses
            .iter()
            .all(|status| status.callbacks == 2 && status.acknowledged == 2)
    );
}

#[tokio::test]
async fn a_bad_signature_is_refused_once_and_nothing_is_lost() {
    let stage = Stage::start().await;
    stage
        .handle
        .control()
        .set_fault(Fault::next(FaultKind::BadSignature, 1))
        .unwrap();
    stage.send(&order_update(ANA)).await;
    stage.settle().await;
    let answers: Vec<u16> = stage.receiver.received().iter().map(|post| post.answered).collect();
    assert_eq!(answers.iter().filter(|answer| **answer == 401).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == 200).count(), 3);
}

#[tokio::test]
async fn shuffled_callbacks_all_arrive() {
    let stage = Stage::start().await;
    stage
        .handle
        .control()
        .set_fault(Fault::rate(FaultKind::ShuffleCallbacks, 1.0))
        .unwrap();
    for at in 0..20 {
        stage.send(&order_update(&format!("+1202555{at:04}"))).await;
    }
    stage.settle().await;
    assert_eq!(stage.receiver.statuses().len(), 60);
    assert!(stage.accepted().iter().all(|message| message.statuses.len() == 3));
}

/// Sends a message over a bare socket and gives how reading the answer ended.
async fn end_of_answer(stage: &Stage) -> std::io::Result<usize> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket = tokio::net::TcpStream::connect(stage.handle.address()).await.unwrap();
    let body = order_update(ANA).to_string();
    let head = format!(
        "POST /{DEFAULT_NUMBER_ID}/messages HTTP/1.1\r\nhost: sim\r\nauthorization: Bearer {DEFAULT_TOKEN}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body.as_bytes()).await.unwrap();
    socket.read(&mut [0; 64]).await
}

#[tokio::test]
async fn a_connection_is_reset_or_just_ended() {
    let stage = Stage::start().await;
    let control = stage.handle.control();
    for (kind, accepted) in [(FaultKind::ResetAfterAccept, 1), (FaultKind::ResetBeforeAccept, 1)] {
        control.set_fault(Fault::next(kind, 1)).unwrap();
        let end = end_of_answer(&stage).await;
        assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset, "{kind:?}");
        assert_eq!(stage.accepted().len(), accepted);
    }
    control.set_fault(Fault::next(FaultKind::DropAfterAccept, 1)).unwrap();
    assert_eq!(end_of_answer(&stage).await.unwrap(), 0);
}

#[tokio::test]
async fn uploads_downloads_and_other_calls_fail_on_demand_and_sending_does_not() {
    let stage = Stage::start().await;
    let control = stage.handle.control();
    let on = |kind, on| Fault {
        on,
        ..Fault::next(kind, 1)
    };
    control
        .set_fault(on(FaultKind::Unavailable503, FaultEndpoint::Upload))
        .unwrap();
    control
        .set_fault(on(FaultKind::HtmlError, FaultEndpoint::Download))
        .unwrap();
    control
        .set_fault(on(FaultKind::Error500AfterAccept, FaultEndpoint::Management))
        .unwrap();
    assert_eq!(stage.send(&order_update(ANA)).await.0, 200);
    assert_eq!(
        stage.post(&format!("{DEFAULT_NUMBER_ID}/media"), &json!({})).await.0,
        503
    );
    assert_eq!(
        stage.post(&format!("{DEFAULT_NUMBER_ID}/media"), &json!({})).await.0,
        400
    );
    let id = control.add_media(None, "text/plain", b"hello".to_vec()).unwrap();
    assert_eq!(stage.get(&id).await.0, 500);
    let url = stage.get(&id).await.1["url"].as_str().unwrap().to_owned();
    let fetch = async || {
        stage
            .client
            .get(&url)
            .bearer_auth(DEFAULT_TOKEN)
            .send()
            .await
            .unwrap()
            .status()
    };
    assert_eq!(fetch().await, 502);
    assert_eq!(fetch().await, 200);
    // Done, although the answer said otherwise.
    control
        .set_fault(on(FaultKind::Error500AfterAccept, FaultEndpoint::Management))
        .unwrap();
    let delete = stage.client.delete(stage.url(&id)).bearer_auth(DEFAULT_TOKEN);
    assert_eq!(delete.send().await.unwrap().status(), 500);
    assert_eq!(stage.get(&id).await.0, 400);
}

#[tokio::test]
async fn a_link_that_cannot_be_fetched_fails_the_message_later() {
    let stage = Stage::start_with(|config| config.rules.window = false).await;
    stage
        .handle
        .control()
        .set_fault(Fault::next(FaultKind::LinkUnreachable, 1))
        .unwrap();
    let image = json!({"messaging_product": "whatsapp", "to": ANA, "type": "image",
                       "image": {"link": "https://cdn.example/1.jpg"}});
    for _ in 0..2 {
        assert_eq!(stage.send(&image).await.0, 200);
    }
    stage.settle().await;
    let ends: Vec<_> = stage
        .accepted()
        .iter()
        .map(|message| message.statuses[0].error_code)
        .collect();
    assert_eq!(ends, [Some(131_053), None]);
}

#[tokio::test]
async fn another_device_reports_failed_for_a_message_that_arrived() {
    let stage = Stage::start().await;
    stage
        .handle
        .control()
        .set_fault(Fault::next(FaultKind::FailedAfterDelivery, 1))
        .unwrap();
    stage.send(&order_update(ANA)).await;
    stage.settle().await;
    let mut statuses = stage.receiver.statuses();
    statuses.sort();
    assert_eq!(statuses, ["delivered", "failed", "read", "sent"]);
    let truth: Vec<_> = stage.accepted()[0]
        .statuses
        .iter()
        .map(|status| status.status.as_str())
        .collect();
    assert_eq!(truth, ["sent", "delivered", "read"]);
}
