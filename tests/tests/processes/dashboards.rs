//! Whatever dashboards, alert rules, their tests and the run-book ask for is what running services really export.
//!
//! Whether a rule fires when it should is `promtool`'s to say: `tests/dashboards/check`.

mod exported;
mod files;
mod promql;
mod query;
mod runbook;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use assent_proto::v1;
use assent_simulator::{Fault, FaultKind};
use assent_tests::system::{Role, System, SystemConfig, people};
use exported::Exported;
use uuid::Uuid;

use crate::{
    callbacks::{inbound_text, signed},
    support::{PATIENCE, note, servers_are_here, start, wait_until_ended},
};

/// How many people agreed to messages.
const PEOPLE: usize = 6;
const LOOK_AGAIN: Duration = Duration::from_millis(500);

#[test]
fn every_alert_has_a_page_a_severity_and_tests_that_it_fires_and_is_quiet() {
    let rules = files::rules();
    let index = files::read(&files::root().join("docs/runbook/README.md"));
    let mut problems = Vec::new();
    let tests = files::rule_tests();
    for rule in &rules {
        let alert = &rule.alert;
        let page = format!("docs/runbook/{alert}.md");
        for (is_so, problem) in [
            (files::root().join(&page).is_file(), "has no page in the run-book"),
            (
                index.contains(&format!("({alert}.md)")),
                "is not in the index of the run-book",
            ),
            (rule.key("runbook_url").ends_with(&page), "has no link to its page"),
            (!rule.key("summary").is_empty(), "has no summary"),
            (
                ["critical", "warning"].contains(&rule.key("severity")),
                "is neither critical nor a warning",
            ),
            (tests.fires.contains(alert), "has no test in which it fires"),
            (tests.quiet.contains(alert), "has no test in which it is quiet"),
        ] {
            if !is_so {
                problems.push(format!("{alert} {problem}"));
            }
        }
    }
    let alerts: BTreeSet<String> = rules.into_iter().map(|rule| rule.alert).collect();
    let tested = tests.fires.union(&tests.quiet);
    let unknown = tested.filter(|alert| !alerts.contains(*alert));
    problems.extend(unknown.map(|alert| format!("there is no alert {alert}, which is tested")));
    for page in files::files("docs/runbook", "md") {
        let name = files::name(&page);
        if name != "README" && !alerts.contains(&name) {
            problems.push(format!("there is no alert {name}, which has a page"));
        }
    }
    problems.extend(runbook::problems());
    for dashboard in files::dashboards() {
        problems.extend(dashboard.problems);
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_that_dashboards_and_alerts_ask_for_is_exported() {
    if !servers_are_here() {
        return;
    }
    let system = start(SystemConfig::default(), PEOPLE).await;
    let calls = campaign(&system).await;

    // Gauges of the feeds come with the first look, those of numbers with the first poll.
    let deadline = Instant::now() + PATIENCE;
    let (exported, missing) = loop {
        let exported = scrape(&system).await;
        let missing = problems(&exported);
        if missing.is_empty() || Instant::now() >= deadline {
            break (exported, missing);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    assert!(
        missing.is_empty(),
        "asked for, and not exported:\n{}",
        missing.join("\n")
    );
    let wrong = runbook::problems_of_running(&exported, system.binary());
    assert!(wrong.is_empty(), "{wrong:#?}");

    // The campaign left its marks, each message once.
    let ingress = system.metrics(Role::Ingress).await.unwrap();
    assert!((ingress.sum("assent_ingress_requests_total") - calls as f64).abs() < f64::EPSILON);
    for (role, name) in [
        (Role::Consent, "assent_consent_refusals_total"),
        (Role::Dispatcher, "assent_dispatcher_errors_total"),
        (Role::Dispatcher, "assent_dispatcher_sent_total"),
        (Role::Ingress, "assent_ingress_statuses_total"),
        (Role::Ingress, "assent_ingress_status_errors_total"),
        (Role::Ingress, "assent_log_append_seconds_count"),
    ] {
        let counted = system.metrics(role).await.unwrap().sum(name);
        assert!(counted > 0.0, "{role} counted nothing as {name}");
    }
    let asked = asked_metrics();
    let unasked: Vec<&str> = exported
        .metrics()
        .into_iter()
        .filter(|name| name.starts_with("assent_") && !asked.contains(*name))
        .collect();
    note(&format!("exported, and shown nowhere: {unasked:?}"));
}

/// Requests that are taken in, refused and wrong; messages that Meta takes at once and after an error; callbacks that are ours
/// and that are not. Gives how many messages were asked for with a key.
async fn campaign(system: &System) -> usize {
    let client = system.client(0).unwrap();
    let from = &system.tenants[0].phone_number_id;
    let throttled = Fault {
        code: Some(130_429),
        ..Fault::next(FaultKind::GraphError, 2)
    };
    system.simulator.set_faults(&[throttled]).await.unwrap();
    let mut messages: Vec<Uuid> = Vec::new();
    for person in 0..PEOPLE {
        let request = people::send_request(&format!("message-{person}"), from, person, v1::WaitFor::Decision);
        let sent = client.messages.clone().send_message(request).await.unwrap();
        messages.push(sent.into_inner().message_id.parse().unwrap());
    }
    let refused = people::send_request("refused", from, PEOPLE + 1, v1::WaitFor::Decision);
    client.messages.clone().send_message(refused).await.unwrap_err();
    let wrong = people::send_request("", from, 0, v1::WaitFor::Decision);
    client.messages.clone().send_message(wrong).await.unwrap_err();
    let stranger = system.client_with("ak_nobody_nothing").unwrap();
    let keyless = people::send_request("keyless", from, 0, v1::WaitFor::Decision);
    stranger.messages.clone().send_message(keyless).await.unwrap_err();
    wait_until_ended(&client, &messages, PATIENCE).await;

    let http = reqwest::Client::new();
    let mut body = inbound_text(system, 0, &people::phone_number(0), "wamid.OWN", "hello");
    let text = serde_json::to_vec(&body).unwrap();
    assert!(
        signed(&http, system, 0, &text)
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    let value = body.pointer_mut("/entry/0/changes/0/value").unwrap();
    value["messages"].take();
    value["statuses"] = serde_json::json!([{
        "id": "wamid.UNKNOWN", "status": "failed", "timestamp": "1795363199", "recipient_id": "4915112000000",
        "errors": [{"code": 131_026, "title": "Message undeliverable"}],
    }]);
    let failed = serde_json::to_vec(&body).unwrap();
    assert!(
        signed(&http, system, 0, &failed)
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    let unsigned = http.post(system.callback_url(0)).body(text).send().await.unwrap();
    assert!(unsigned.status().is_client_error());
    PEOPLE + 2
}

async fn scrape(system: &System) -> Exported {
    let mut exported = Exported::default();
    for role in Role::ALL {
        exported.add_page(&system.metrics_text(role).await.unwrap(), role.name());
    }
    exported
}

/// Everything that is asked for and not there, with who asks.
fn problems(exported: &Exported) -> Vec<String> {
    let mut problems = Vec::new();
    let dashboards = files::dashboards().into_iter().flat_map(|dashboard| dashboard.queries);
    let rules = files::rules();
    let rules = rules.iter().map(files::Rule::query);
    for asked in dashboards.chain(rules) {
        let found = query::problems(exported, &asked.text, &asked.shown);
        problems.extend(found.into_iter().map(|problem| format!("{}: {problem}", asked.place)));
    }
    // The values of tests need not occur; their metrics must.
    let series = files::rule_tests().series;
    for metric in series
        .iter()
        .flat_map(|series| query::metrics(series))
        .collect::<BTreeSet<_>>()
    {
        problems.extend(
            exported
                .series(&metric)
                .err()
                .map(|problem| format!("tests of the rules: {problem}")),
        );
    }
    problems
}

fn asked_metrics() -> BTreeSet<String> {
    let dashboards = files::dashboards().into_iter().flat_map(|dashboard| dashboard.queries);
    let rules = files::rules();
    let rules = rules.iter().map(files::Rule::query);
    let named = dashboards.chain(rules).flat_map(|asked| query::metrics(&asked.text));
    let whole = |name: String| {
        let histogram = ["_bucket", "_sum", "_count"]
            .into_iter()
            .find_map(|suffix| name.strip_suffix(suffix));
        histogram.map(str::to_owned).unwrap_or(name)
    };
    named.map(whole).collect()
}

#[test]
fn a_dashboard_that_asks_for_nothing_or_has_an_id_twice_is_noticed() {
    let dashboard = files::dashboard(&serde_json::json!({
        "title": "Board",
        "panels": [
            {"id": 1, "type": "row", "title": "A row"},
            {"id": 2, "type": "stat", "title": "Empty", "targets": []},
            {"id": 2, "type": "stat", "title": "Things", "targets": [{"expr": "things_total", "legendFormat": "{{kind}} of {{ service }}"}]},
        ],
        "templating": {"list": [{"name": "service", "query": {"query": "label_values(things_total, service)"}}]},
    }));
    assert_eq!(
        dashboard.problems,
        [
            "Board › Empty: it asks for nothing",
            "Board › Things: the id 2 occurs twice"
        ]
    );
    let asked: Vec<(&str, &[String])> = dashboard
        .queries
        .iter()
        .map(|query| (query.text.as_str(), &query.shown[..]))
        .collect();
    assert_eq!(
        asked[0],
        ("things_total", &["kind".to_owned(), "service".to_owned()][..])
    );
    assert_eq!(asked[1], ("things_total", &["service".to_owned()][..]));
    assert!(dashboard.panels.contains("Things"));
    assert_eq!(dashboard.title, "Board");
}
