//! Numbers, templates and accounts.

use super::support::{GLOBEX_WABA, Stage, eventually, tenant};
use assent_domain::{
    events::{
        NumberEvent, NumberStatus, ObservedFrom, ProviderEvent, QualityRating, StreamCategory, TemplateChange,
        TemplateChanged, TemplateEvent, TemplateStatus,
    },
    values::{LanguageCode, TemplateName, TemplateRef, Term, WabaId},
};
use assent_runtime::{log, streams::Subject};
use assent_simulator::{DEFAULT_ACCOUNT_ID, DEFAULT_NUMBER_ID, Rating};

async fn templates(stage: &Stage) -> Vec<assent_domain::events::TemplateObserved> {
    let events = stage.events::<TemplateEvent>().await;
    events.into_iter().map(|TemplateEvent::Observed(event)| event).collect()
}

async fn numbers(stage: &Stage) -> Vec<assent_domain::events::NumberObserved> {
    let events = stage.events::<NumberEvent>().await;
    events.into_iter().map(|NumberEvent::Observed(event)| event).collect()
}

fn named(name: &str) -> TemplateRef {
    TemplateRef {
        name: TemplateName::try_new(name).unwrap(),
        language: LanguageCode::try_new("en_US").unwrap(),
    }
}

/// Waits for both tenants' numbers and templates.
async fn settled(stage: &Stage) -> usize {
    eventually("everything is observed", || async {
        let (numbers, templates) = (numbers(stage).await, templates(stage).await);
        let of_globex = templates
            .iter()
            .filter(|seen| seen.waba.as_str() == GLOBEX_WABA)
            .count();
        (numbers.len() == 2 && of_globex > 0 && templates.len() == 2 * of_globex).then_some(templates.len())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_templates_of_every_tenant_are_observed_at_the_start_and_only_once() {
    let stage = Stage::start_with(|script| script.config.poll_ms = 30).await;
    let count = settled(&stage).await;
    // Many more polls see the same.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!((numbers(&stage).await.len(), templates(&stage).await.len()), (2, count));
    let first = &numbers(&stage).await[0];
    assert_eq!(
        (first.status, first.observed_from),
        (NumberStatus::Connected, ObservedFrom::Poll)
    );
    for category in [StreamCategory::Number, StreamCategory::Template] {
        let tenants = stage.tenants_of(category).await;
        assert!(tenants.contains(&tenant("acme")) && tenants.contains(&tenant("globex")));
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_colour_that_changes_is_found_by_asking() {
    let stage = Stage::start_with(|script| script.config.poll_ms = 30).await;
    settled(&stage).await;
    let control = stage.simulator.control();
    control
        .set_number_rating(DEFAULT_NUMBER_ID, Some(Rating::Red), false)
        .unwrap();
    let red = eventually("the number is red", || async {
        numbers(&stage)
            .await
            .into_iter()
            .find(|seen| seen.quality == QualityRating::Red)
    })
    .await;
    assert_eq!(red.number.as_str(), DEFAULT_NUMBER_ID);
    assert_eq!(numbers(&stage).await.len(), 3);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_template_is_concluded_at_once_from_the_callback() {
    let stage = Stage::start().await;
    settled(&stage).await;
    let waba = WabaId::try_new(DEFAULT_ACCOUNT_ID).unwrap();
    let template = named("order_update");
    let control = stage.simulator.control();
    control
        .set_template_status(None, "order_update", Some("en_US"), "PAUSED")
        .unwrap();
    let callback = ProviderEvent::from(Box::new(TemplateChanged {
        waba: waba.clone(),
        template: template.clone(),
        template_id: None,
        change: TemplateChange::Status {
            status: Term::from_provider("PAUSED"),
            reason: None,
            title: Some(Term::from_provider("FIRST_PAUSE")),
        },
        provider_at: log::now(),
        received_at: log::now(),
    }));
    stage
        .record("acme", Subject::Template(&waba, &template), &callback)
        .await;
    let paused = eventually("the pause is concluded", || async {
        templates(&stage)
            .await
            .into_iter()
            .find(|seen| seen.status == TemplateStatus::Paused && seen.template == template)
    })
    .await;
    assert_eq!(
        (&paused.template, paused.observed_from),
        (&template, ObservedFrom::Callback)
    );
    assert_eq!(paused.reason.as_ref().map(Term::as_str), Some("FIRST_PAUSE"));

    // The poll that follows sees the same and keeps the reason that no listing tells.
    stage
        .record("acme", Subject::Template(&waba, &template), &callback)
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    let about_it = templates(&stage).await;
    assert_eq!(
        about_it
            .iter()
            .filter(|seen| seen.template == template && seen.waba == waba)
            .count(),
        2
    );
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_is_wrong_by_now_is_put_right_by_asking() {
    let stage = Stage::start().await;
    settled(&stage).await;
    let waba = WabaId::try_new(DEFAULT_ACCOUNT_ID).unwrap();
    let template = named("order_update");
    let callback = ProviderEvent::from(Box::new(TemplateChanged {
        waba: waba.clone(),
        template: template.clone(),
        template_id: None,
        change: TemplateChange::Status {
            status: Term::from_provider("PAUSED"),
            reason: None,
            title: None,
        },
        provider_at: log::now(),
        received_at: log::now(),
    }));
    stage
        .record("acme", Subject::Template(&waba, &template), &callback)
        .await;
    eventually("the pause is taken back", || async {
        let about_it = templates(&stage).await;
        let about_it: Vec<_> = about_it
            .iter()
            .filter(|seen| seen.template == template && seen.waba == waba)
            .collect();
        let states: Vec<_> = about_it.iter().map(|seen| seen.status).collect();
        (states
            == [
                TemplateStatus::Approved,
                TemplateStatus::Paused,
                TemplateStatus::Approved,
            ])
        .then_some(())
    })
    .await;
    let facts = stage
        .platform
        .facts(super::support::SHARD, |wanted| wanted.template(&waba, &template));
    let facts = facts.await.unwrap();
    assert_eq!(
        facts.template(&waba, &template).unwrap().status,
        TemplateStatus::Approved
    );
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_added_to_the_tenants_file_is_picked_up() {
    let stage = Stage::start_with(|script| {
        script.simulator.accounts[0].numbers.push(assent_simulator::Number {
            id: "200000000000003".to_owned(),
            digits: "15550010003".to_owned(),
            ..assent_simulator::Number::default()
        });
    })
    .await;
    settled(&stage).await;
    stage.add_numbers(&format!(
        ", {{ phone_number_id = \"200000000000003\", waba_id = \"{DEFAULT_ACCOUNT_ID}\", display = \"+1 202-555-0103\" }}"
    ));
    eventually("the new number is observed", || async {
        numbers(&stage)
            .await
            .into_iter()
            .find(|seen| seen.number.as_str() == "200000000000003")
    })
    .await;
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_templates_than_fit_on_a_page_are_all_observed() {
    const MANY: usize = 260;
    let stage = Stage::start_with(|script| {
        script.simulator.accounts[0].templates = (0..MANY)
            .map(|at| {
                serde_json::from_value(serde_json::json!({"name": format!("bulk_{at}"), "language": "en_US",
                    "category": "UTILITY", "components": [{"type": "BODY", "text": "Your order is ready."}]}))
                .unwrap()
            })
            .collect();
    })
    .await;
    eventually("all are observed", || async {
        let bulk = templates(&stage)
            .await
            .into_iter()
            .filter(|seen| seen.template.name.as_str().starts_with("bulk_"));
        (bulk.count() == MANY).then_some(())
    })
    .await;
    stage.stop().await;
}
