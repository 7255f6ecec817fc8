//! A withdrawal overtakes everything that waits (I11).

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use assent_proto::v1;
use assent_simulator::{Fault, FaultKind};
use assent_tests::{
    stats::Samples,
    system::{Client, System, SystemConfig, people},
};
use futures::{StreamExt as _, stream};
use time::OffsetDateTime;

use crate::{
    callbacks::{inbound_text, signed},
    support::{eventually, full, note, send_until_acknowledged, servers_are_here, start},
};

/// How long after STOP was acknowledged a message may still leave (99th percentile of the people).
const BRAKE_MS: f64 = 250.0;
/// How long the simulator takes for each answer, so that messages wait for a free call.
const ANSWER_MS: u64 = 400;
const SUBMITS_IN_FLIGHT: usize = 256;

struct Plan {
    /// People who write STOP.
    stoppers: usize,
    /// Messages that wait for each of them.
    waiting_each: usize,
    /// Messages for others.
    others: usize,
}

impl Plan {
    fn of_this_run() -> Self {
        if full() {
            return Self {
                stoppers: 10,
                waiting_each: 1_000,
                others: 20_000,
            };
        }
        Self {
            stoppers: 5,
            waiting_each: 100,
            others: 2_000,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leaves_for_a_person_after_stop_was_acknowledged_though_much_waits() {
    if !servers_are_here() {
        return;
    }
    let plan = Plan::of_this_run();
    let config = SystemConfig {
        // Few calls at a time: the dispatcher has to let messages wait.
        overrides: vec![("ASSENT__DISPATCHER__CALLS_MAX", "32".to_owned())],
        ..SystemConfig::default()
    };
    let people_count = plan.stoppers + plan.others;
    let system = start(config, people_count).await;
    let mut slow = Fault::rate(FaultKind::SlowAnswer, 1.0);
    slow.delay_ms = Some(ANSWER_MS);
    system.simulator.set_faults(&[slow]).await.unwrap();

    let client = system.client(0).unwrap();
    submit_all(&system, &client, &plan).await;
    eventually("the first messages have left for everybody who will stop", async || {
        let left = left_for(&system, plan.stoppers).await;
        (0..plan.stoppers).all(|person| left.contains_key(&people::phone_number(person)))
    })
    .await;

    let http = reqwest::Client::new();
    let mut acknowledged = HashMap::new();
    for person in 0..plan.stoppers {
        let number = people::phone_number(person);
        let body = inbound_text(&system, 0, &number, &format!("wamid.STOP{person:04}"), "STOP").to_string();
        let started = Instant::now();
        let answer = signed(&http, &system, 0, body.as_bytes()).send().await.unwrap();
        assert_eq!(answer.status(), reqwest::StatusCode::OK);
        let at_ms = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
        acknowledged.insert(number, (at_ms as i64, started.elapsed()));
    }
    // Whatever would still leave has had its turn by then: the waiting messages of this person included.
    system.simulator.clear_faults().await.unwrap();
    let expected = plan.others as u64;
    eventually("the others have got theirs", async || {
        let summary = system.simulator.summary().await.unwrap();
        summary["accepted"].as_u64().unwrap() >= expected
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    judge(&system, &plan, &acknowledged).await;
}

/// The messages for those who will stop are spread evenly among those for others.
async fn submit_all(system: &System, client: &Client, plan: &Plan) {
    let from = &system.tenants[0].phone_number_id;
    let for_stoppers = plan.stoppers * plan.waiting_each;
    let every = (plan.others / for_stoppers).max(1);
    let mut recipients: Vec<usize> = Vec::with_capacity(plan.others + for_stoppers);
    let mut stoppers = (0..for_stoppers).map(|index| index % plan.stoppers);
    for other in 0..plan.others {
        if other % every == 0 {
            recipients.extend(stoppers.next());
        }
        recipients.push(plan.stoppers + other);
    }
    recipients.extend(stoppers);
    stream::iter(recipients.into_iter().enumerate())
        .for_each_concurrent(SUBMITS_IN_FLIGHT, |(index, person)| async move {
            let key = format!("backlog-{index}");
            let request = people::send_request(&key, from, person, v1::WaitFor::Accepted);
            send_until_acknowledged(client, request).await;
        })
        .await;
}

/// When messages left for each of those who stop, Unix ms.
async fn left_for(system: &System, stoppers: usize) -> HashMap<String, Vec<i64>> {
    let numbers: Vec<String> = (0..stoppers).map(people::phone_number).collect();
    let mut left: HashMap<String, Vec<i64>> = HashMap::new();
    for accepted in system.simulator.accepted().await.unwrap() {
        let number = format!("+{}", accepted.wa_id);
        if numbers.contains(&number) {
            left.entry(number).or_default().push(accepted.accepted_at_ms);
        }
    }
    left
}

async fn judge(system: &System, plan: &Plan, acknowledged: &HashMap<String, (i64, Duration)>) {
    let left = left_for(system, plan.stoppers).await;
    let mut late_ms = Samples::new();
    let mut held_back = 0;
    for (number, (stopped_at_ms, _)) in acknowledged {
        let times = &left[number];
        let last = times.iter().max().copied().unwrap_or_default();
        late_ms.record((last - stopped_at_ms).max(0) as f64);
        held_back += plan.waiting_each - times.len();
    }
    let slowest_ack = acknowledged.values().map(|(_, took)| *took).max().unwrap();
    let p99 = late_ms.percentile(99.0).unwrap();
    note(&format!(
        "stop: {} people, {held_back} of {} waiting messages held back, the last left {p99:.0} ms after STOP was \
         acknowledged (slowest acknowledgement {} ms)",
        plan.stoppers,
        plan.stoppers * plan.waiting_each,
        slowest_ack.as_millis()
    ));
    assert!(
        held_back > plan.stoppers,
        "nothing waited when they stopped: the test means nothing"
    );
    assert!(
        p99 <= BRAKE_MS,
        "a message left {p99:.0} ms after STOP was acknowledged"
    );
}
