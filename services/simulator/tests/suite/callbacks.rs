//! What arrives at the callback URL, and how.

use assent_simulator::{DEFAULT_ACCOUNT_ID, DEFAULT_NUMBER_ID, WaitFor};
use serde_json::json;

use super::support::{ANA, Received, Stage, order_update};

#[tokio::test]
async fn each_status_comes_in_its_own_authentic_ascii_post() {
    let stage = Stage::start().await;
    let (_, answer) = stage.send(&order_update(ANA)).await;
    stage.settle().await;
    let received = stage.receiver.received();
    assert_eq!(stage.receiver.statuses(), ["sent", "delivered", "read"]);
    for post in &received {
        assert!(post.is_authentic());
        assert!(post.body.is_ascii());
        let json = post.json();
        assert_eq!(json["object"], "whatsapp_business_account");
        assert_eq!(json["entry"][0]["id"], DEFAULT_ACCOUNT_ID);
        let value = &json["entry"][0]["changes"][0]["value"];
        assert_eq!(value["metadata"]["phone_number_id"], DEFAULT_NUMBER_ID);
        assert_eq!(value["statuses"][0]["id"], answer["messages"][0]["id"]);
        assert_eq!(value["statuses"][0]["biz_opaque_callback_data"], "cmd:1");
        assert_eq!(value["statuses"][0]["recipient_id"], "12025550142");
    }
    let accepted = &stage.accepted()[0];
    assert!(
        accepted
            .statuses
            .iter()
            .all(|status| status.callbacks == 1 && status.acknowledged == 1)
    );
}

#[tokio::test]
async fn a_refused_callback_is_repeated_byte_for_byte_until_it_is_taken() {
    let stage = Stage::start().await;
    stage.receiver.answer(500);
    stage.send(&order_update(ANA)).await;
    let control = stage.handle.control();
    let started = tokio::time::Instant::now();
    while control.report().callbacks.refused < 6 {
        assert!(started.elapsed().as_secs() < 20);
        tokio::task::yield_now().await;
    }
    stage.receiver.answer(200);
    stage.settle().await;
    let received = stage.receiver.received();
    for status in ["sent", "delivered", "read"] {
        let same: Vec<&Received> = received
            .iter()
            .filter(|post| post.status().as_deref() == Some(status))
            .collect();
        assert!(
            same.iter()
                .all(|post| post.body == same[0].body && post.signature == same[0].signature)
        );
        assert_eq!(same.iter().filter(|post| post.answered == 200).count(), 1);
    }
    assert_eq!(control.report().callbacks.acknowledged, 3);
}

#[tokio::test]
async fn callbacks_are_given_up_after_the_last_attempt() {
    let stage = Stage::start_with(|config| config.callbacks.attempts_max = 3).await;
    stage.receiver.answer(503);
    stage.send(&order_update(ANA)).await;
    stage.settle().await;
    assert_eq!(stage.receiver.received().len(), 9);
    let counts = stage.handle.control().report().callbacks;
    assert_eq!((counts.dropped, counts.acknowledged, counts.outstanding), (3, 0, 0));
}

#[tokio::test]
async fn callbacks_wait_for_a_receiver_that_is_away() {
    // A port that was just free: nobody listens there until the receiver is put there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let stage = Stage::start_with(|config| {
        config.apps[0].callback_url = Some(format!("http://127.0.0.1:{port}/callback"));
    })
    .await;
    stage.send(&order_update(ANA)).await;
    let control = stage.handle.control();
    let started = tokio::time::Instant::now();
    while control.report().callbacks.unreachable == 0 {
        assert!(started.elapsed().as_secs() < 20);
        tokio::task::yield_now().await;
    }
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let router = axum::Router::new().route("/callback", axum::routing::post(|| async {}));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    stage.settle().await;
    assert_eq!(control.report().callbacks.acknowledged, 3);
}

#[tokio::test]
async fn several_updates_share_a_post_if_asked() {
    let stage = Stage::start_with(|config| {
        config.callbacks.updates_per_post_max = 100;
        config.callbacks.in_flight_max = 1;
    })
    .await;
    stage.receiver.answer(500);
    for at in 0..50 {
        stage.send(&order_update(&format!("+1202555{at:04}"))).await;
    }
    stage.receiver.answer(200);
    stage.settle().await;
    assert_eq!(stage.handle.control().report().callbacks.acknowledged, 150);
    let taken: Vec<Received> = stage
        .receiver
        .received()
        .into_iter()
        .filter(|post| post.answered == 200)
        .collect();
    let updates: usize = taken
        .iter()
        .map(|post| post.json()["entry"].as_array().unwrap().len())
        .sum();
    assert_eq!(updates, 150);
    assert!(taken.len() < 150);
}

#[tokio::test]
async fn an_unsubscribed_app_gets_nothing_and_it_is_counted() {
    let stage = Stage::start_with(|config| config.apps[0].callback_url = None).await;
    stage.send(&order_update(ANA)).await;
    stage.settle().await;
    assert_eq!(stage.handle.control().report().callbacks.unsubscribed, 3);
    assert!(stage.receiver.received().is_empty());
}

#[tokio::test]
async fn overrides_are_verified_and_take_the_callbacks_of_a_number() {
    let stage = Stage::start_with(|config| config.apps[0].callback_url = None).await;
    let configure = |token: &str| json!({"webhook_configuration": {"override_callback_uri": stage.receiver.url, "verify_token": token}});
    let path = format!("v23.0/{DEFAULT_NUMBER_ID}");
    let (status, _) = stage.post(&path, &configure("wrong")).await;
    assert_eq!(status, 400);
    let (status, _) = stage
        .post(&path, &configure(assent_simulator::DEFAULT_VERIFY_TOKEN))
        .await;
    assert_eq!(status, 200);
    stage.send(&order_update(ANA)).await;
    stage.settle().await;
    assert_eq!(stage.receiver.statuses().len(), 3);
}

#[tokio::test]
async fn what_people_write_arrives_signed() {
    let stage = Stage::start().await;
    let wamid = stage.handle.control().write_text(ANA, None, "¿Está listo? 👍").unwrap();
    let one = WaitFor {
        acknowledged: Some(1),
        ..WaitFor::default()
    };
    assert!(stage.handle.control().wait(&one).await);
    let post = &stage.receiver.received()[0];
    assert!(post.is_authentic() && post.body.is_ascii());
    let message = &post.json()["entry"][0]["changes"][0]["value"]["messages"][0];
    assert_eq!(message["id"], wamid);
    assert_eq!(message["from"], "12025550142");
    assert_eq!(message["text"]["body"], "¿Está listo? 👍");
}

#[tokio::test]
async fn a_callback_one_app_refuses_reaches_the_others_again_if_asked() {
    let other = super::support::Receiver::start().await;
    let stage = Stage::start_with(|config| {
        config.callbacks.retry_to_all_apps = true;
        config.apps.push(assent_simulator::App {
            id: "2".to_owned(),
            callback_url: Some(other.url.clone()),
            ..assent_simulator::App::default()
        });
        config.accounts[0].apps = config.apps.iter().map(|app| app.id.clone()).collect();
    })
    .await;
    stage.send(&order_update(ANA)).await;
    stage.settle().await;
    assert_eq!((stage.receiver.statuses().len(), other.statuses().len()), (3, 3));
    other.answer(500);
    stage.handle.control().write_text(ANA, None, "hello").unwrap();
    let control = stage.handle.control();
    let started = tokio::time::Instant::now();
    while control.report().callbacks.refused == 0 {
        assert!(started.elapsed().as_secs() < 20);
        tokio::task::yield_now().await;
    }
    other.answer(200);
    stage.settle().await;
    // The first app took it at once, and got it once more because of the other.
    assert_eq!(stage.receiver.received().len(), 3 + 2);
}

#[tokio::test]
async fn no_post_exceeds_three_megabytes() {
    let stage = Stage::start_with(|config| {
        config.callbacks.updates_per_post_max = 1_000;
        config.callbacks.in_flight_max = 1;
    })
    .await;
    // Each takes six bytes a letter, so all of them, which gather before the first is sent, would be 3.7 MB.
    let long = "é".repeat(4_096);
    for at in 0..150 {
        let from = format!("+1202555{at:04}");
        stage.handle.control().write_text(&from, None, &long).unwrap();
    }
    stage.settle().await;
    let sizes: Vec<usize> = stage.receiver.received().iter().map(|post| post.body.len()).collect();
    assert!(sizes.iter().all(|size| *size <= 3 * 1_024 * 1_024), "{sizes:?}");
    assert!(sizes.iter().sum::<usize>() > 3_600_000);
    assert_eq!(stage.handle.control().report().callbacks.acknowledged, 150);
}
