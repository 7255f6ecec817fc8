//! One trace from the call to the read receipt.

use std::collections::{BTreeMap, BTreeSet};

use assent_proto::v1;
use assent_tests::system::{SystemConfig, people};

use crate::{
    collector::Collector,
    support::{PATIENCE, eventually, send_until_acknowledged, servers_are_here, start, wait_until_ended},
};

/// The steps a message goes through, by the names of their spans.
const STEPS: [&str; 5] = ["send_message", "authorize", "dispatch", "call_meta", "callback"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_from_the_call_through_every_service_to_the_callbacks() {
    if !servers_are_here() {
        return;
    }
    let (collector, address) = Collector::start();
    let config = SystemConfig {
        otlp_endpoint: Some(format!("http://{address}")),
        ..SystemConfig::default()
    };
    let system = start(config, 1).await;
    let client = system.client(0).unwrap();
    let from = &system.tenants[0].phone_number_id;
    let request = people::send_request("traced", from, 0, v1::WaitFor::Decision);
    let message = send_until_acknowledged(&client, request).await;
    wait_until_ended(&client, &[message], PATIENCE).await;

    let traces = || {
        let mut traces: BTreeMap<Vec<u8>, BTreeSet<String>> = BTreeMap::new();
        for traced in collector.spans() {
            traces.entry(traced.span.trace_id).or_default().insert(traced.span.name);
        }
        traces
    };
    eventually("one trace has every step of the message", async || {
        traces()
            .values()
            .any(|names| STEPS.iter().all(|step| names.contains(*step)))
    })
    .await;

    let (trace, _) = traces()
        .into_iter()
        .find(|(_, names)| STEPS.iter().all(|step| names.contains(*step)))
        .unwrap();
    let of_trace = || {
        collector
            .spans()
            .into_iter()
            .filter(|traced| traced.span.trace_id == trace)
    };
    // sent, delivered and read: each callback is a step of its own.
    eventually("three callbacks belong to the trace", async || {
        of_trace().filter(|traced| traced.span.name == "callback").count() >= 3
    })
    .await;
    let services: BTreeSet<String> = of_trace().map(|traced| traced.service).collect();
    assert!(
        services.len() >= 3,
        "ingress, consent and dispatcher take part: {services:?}"
    );
    let ids: BTreeSet<Vec<u8>> = of_trace().map(|traced| traced.span.span_id).collect();
    let rooted = of_trace()
        .filter(|traced| traced.span.parent_span_id.is_empty())
        .count();
    assert!(
        rooted <= 1,
        "one step begins the trace, the others follow from one of it: {rooted} begin it"
    );
    assert_eq!(ids.len(), of_trace().count(), "every span has an id of its own");
}
