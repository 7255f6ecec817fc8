//! Callers that hang up and ask again with the same key.

use std::time::Duration;

use assent_proto::v1;
use assent_tests::system::{SystemConfig, people};
use futures::{StreamExt as _, stream};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::support::{
    PATIENCE, accepted_by_message, assert_none_twice, note, seed, send_until_acknowledged, servers_are_here, start,
    wait_until_ended,
};

const CALLERS: usize = 600;
const AT_A_TIME: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_hundred_callers_hang_up_and_retry_and_each_message_is_dispatched_once() {
    if !servers_are_here() {
        return;
    }
    let mut random = StdRng::seed_from_u64(seed("hang-ups"));
    let system = start(SystemConfig::default(), CALLERS).await;
    let client = system.client(0).unwrap();
    let from = &system.tenants[0].phone_number_id;
    let patiences: Vec<Duration> = (0..CALLERS)
        .map(|_| Duration::from_micros(random.random_range(1_000..20_000)))
        .collect();
    let calls: Vec<(bool, uuid::Uuid)> = stream::iter(patiences.into_iter().enumerate())
        .map(|(person, patience)| {
            let client = &client;
            async move {
                let key = format!("hang-up-{person}");
                let request = people::send_request(&key, from, person, v1::WaitFor::Decision);
                let mut messages = client.messages.clone();
                // Dropping the call resets its stream: that is what hanging up is.
                let hung_up = tokio::time::timeout(patience, messages.send_message(request.clone()))
                    .await
                    .is_err();
                (hung_up, send_until_acknowledged(client, request).await)
            }
        })
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;
    let hung_up = calls.iter().filter(|(hung_up, _)| *hung_up).count();
    note(&format!(
        "hang-ups: {hung_up} of {CALLERS} callers hung up before the answer"
    ));
    assert!(hung_up > CALLERS / 10, "the test hangs up too late to mean anything");

    let acknowledged: Vec<uuid::Uuid> = calls.into_iter().map(|(_, message)| message).collect();
    wait_until_ended(&client, &acknowledged, PATIENCE).await;
    let accepted = accepted_by_message(&system).await;
    assert_none_twice(&accepted);
    for message in &acknowledged {
        assert!(accepted.contains_key(message), "{message} was never dispatched");
    }
    assert_eq!(
        accepted.len(),
        CALLERS,
        "a call that was hung up made a message of its own"
    );
}
