//! What a template consists of and in which languages it is there decides what may be sent.

use crate::{
    content::{button, named, of, template, words},
    world::{request, world, world_with_template},
};
use assent_proto::v1::{self, MessageState, content::Kind, template_button::Value as ButtonValue};
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

fn bad_fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let bad = status.get_details_bad_request().unwrap();
    bad.field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

#[tokio::test]
async fn what_does_not_fit_the_template_is_named_before_anything_is_recorded() {
    let definition = json!({"name": "order_ready", "language": "en_US", "category": "UTILITY", "components": [
        {"type": "BODY", "text": "Hi {{1}}, order {{2}} is ready for you.", "example": {"body_text": [["Ana", "M-55"]]}},
        {"type": "BUTTONS", "buttons": [
            {"type": "URL", "text": "Track", "url": "https://shop.example/o/{{1}}", "example": ["M-55"]}]}
    ]});
    let world = world_with_template(Some(&definition)).await;
    world.opt_in().await;
    let mut content = v1::TemplateContent {
        header_parameters: vec![words("Hello")],
        body_parameters: vec![words("Ana")],
        buttons: vec![button(1, ButtonValue::UrlSuffix("M-55".to_owned()))],
        ..named("order_ready")
    };
    let misfit = of(Kind::Template(content.clone()));
    let refused = world.send(request("key-1", misfit.clone())).await.unwrap_err();
    assert_eq!(
        bad_fields(&refused),
        [
            "content.template.header_parameters",
            "content.template.body_parameters",
            "content.template.buttons[0].index",
            "content.template",
        ]
    );
    // A dry run says the same.
    let checked = world.try_to_check(misfit).await.unwrap_err();
    assert_eq!(bad_fields(&checked), bad_fields(&refused));
    assert!(world.accepted().is_empty());

    // Nothing was recorded under the key: mended, it is a new request.
    content.header_parameters.clear();
    content.body_parameters.push(words("M-55"));
    content.buttons[0].index = 0;
    let mended = request("key-1", of(Kind::Template(content)));
    let sent = world.send(mended).await.unwrap();
    world.until(&sent.message_id, MessageState::Read).await;
    assert_eq!(world.accepted().len(), 1);
}

#[tokio::test]
async fn an_approved_fallback_stands_in_for_a_translation_that_is_not_there() {
    let world = world().await;
    world.opt_in().await;
    let in_language = |language: &str| v1::TemplateContent {
        language: language.to_owned(),
        ..named("hello_world")
    };
    let asked = of(Kind::Template(in_language("pt_BR")));
    let request_in_portuguese = request("key-1", asked.clone());
    let sent = world.send(request_in_portuguese).await.unwrap();
    let message = world.until(&sent.message_id, MessageState::Read).await;
    let [(_, body)] = &world.accepted()[..] else {
        panic!("accepted once")
    };
    assert_eq!(body["template"]["language"]["code"], "en_US", "{body}");
    // The caller reads back what it asked for; the decision says what was sent instead.
    assert_eq!(message.content.as_ref(), Some(&asked));
    let decision = message.decision.unwrap();
    let pass = decision.passes.iter().find(|pass| pass.gate() == v1::Gate::Template);
    let facts = &pass.unwrap().facts;
    assert_eq!((&*facts["language"], &*facts["asked_language"]), ("en_US", "pt_BR"));
    let said = &message
        .timeline
        .iter()
        .find(|entry| entry.r#type == "decision.authorized");
    assert!(
        said.unwrap()
            .summary
            .contains("hello_world (en_US), which stands in for pt_BR,")
    );

    let previewed = v1::PreviewTemplateRequest {
        content: Some(in_language("pt_BR")),
        ..v1::PreviewTemplateRequest::default()
    };
    let previewed = world
        .templates()
        .preview_template(previewed)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(previewed.language, "en_US");
    assert!(!previewed.preview.unwrap().body.is_empty());

    // A language without fallbacks is sent as it is, or not at all.
    let refused = world
        .send(request("key-2", of(Kind::Template(in_language("fr")))))
        .await;
    let refused = refused.unwrap_err().get_details_precondition_failure().unwrap();
    assert_eq!(refused.violations[0].r#type, "REFUSAL_REASON_TEMPLATE_UNKNOWN");
    let sent = world.send(request("key-3", template("hello_world"))).await.unwrap();
    let message = world.until(&sent.message_id, MessageState::Read).await;
    let decision = message.decision.unwrap();
    assert!(
        decision
            .passes
            .iter()
            .all(|pass| !pass.facts.contains_key("asked_language"))
    );
}
