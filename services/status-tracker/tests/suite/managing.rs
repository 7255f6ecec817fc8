//! Templates and numbers, managed through the tracker against the simulator.

use super::support::{GLOBEX_NUMBER, GLOBEX_WABA, Stage, bearer, eventually};
use assent_proto::v1::{
    self, number_service_client::NumberServiceClient, template_service_client::TemplateServiceClient,
};
use assent_simulator::{DEFAULT_ACCOUNT_ID, DEFAULT_NUMBER_ID};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// A client that shows a key on every call.
macro_rules! client {
    ($service:ident, $stage:expr, $key:expr) => {
        $service::with_interceptor($stage.channel(), bearer($key.clone()))
    };
}

/// The reason of an error, and the fields it names.
fn told(status: &Status) -> (String, Vec<String>) {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    let violations = details
        .bad_request()
        .map(|bad| bad.field_violations.clone())
        .unwrap_or_default();
    (
        reason,
        violations.into_iter().map(|violation| violation.field).collect(),
    )
}

fn body(text: &str, examples: &[&str]) -> v1::TemplateParts {
    let examples = examples.iter().map(|value| v1::TemplateExample {
        name: String::new(),
        value: (*value).to_owned(),
    });
    v1::TemplateParts {
        body: Some(v1::TemplateBodyDefinition {
            text: text.to_owned(),
            examples: examples.collect(),
            add_security_recommendation: None,
        }),
        ..v1::TemplateParts::default()
    }
}

fn definition(name: &str, parts: v1::TemplateParts) -> v1::TemplateDefinition {
    v1::TemplateDefinition {
        name: name.to_owned(),
        language: "en_US".to_owned(),
        category: v1::TemplateCategory::Utility.into(),
        has_named_variables: false,
        parts: Some(parts),
        message_ttl_seconds: None,
    }
}

fn named(name: &str) -> v1::GetTemplateRequest {
    v1::GetTemplateRequest {
        waba_id: String::new(),
        name: name.to_owned(),
        language: "en_US".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_created_read_edited_and_deleted() {
    let stage = Stage::start().await;
    let mut templates = client!(TemplateServiceClient, stage, &stage.acme_key);
    let mut parts = body("Hi {{1}}, your frames can be collected today.", &["Ana"]);
    parts.buttons.push(v1::TemplateButtonDefinition {
        label: "Details".to_owned(),
        kind: "URL".to_owned(),
        url: "https://shop.example/{{1}}".to_owned(),
        example: "o/55".to_owned(),
        ..v1::TemplateButtonDefinition::default()
    });
    let request = v1::CreateTemplateRequest {
        waba_id: DEFAULT_ACCOUNT_ID.to_owned(),
        definition: Some(definition("frames_ready", parts.clone())),
    };
    let created = templates.create_template(request.clone()).await.unwrap().into_inner();
    assert_eq!(created.category(), v1::TemplateCategory::Utility);
    assert!(!created.template_id.is_empty());

    let template = eventually("the template is approved", || {
        let mut templates = templates.clone();
        async move {
            let template = templates
                .get_template(named("frames_ready"))
                .await
                .unwrap()
                .into_inner()
                .template?;
            (template.state() == v1::TemplateState::Approved).then_some(template)
        }
    })
    .await;
    assert_eq!(template.template_id, created.template_id);
    assert_eq!(template.waba_id, DEFAULT_ACCOUNT_ID);
    assert_eq!(template.definition.unwrap().parts.unwrap(), parts);

    // The same name again is Meta's to refuse, and its reason comes through.
    let refused = templates.create_template(request).await.unwrap_err();
    assert_eq!(
        (refused.code(), told(&refused).0.as_str()),
        (Code::FailedPrecondition, "PROVIDER_REFUSED")
    );
    let info = refused.get_error_details().error_info().unwrap().clone();
    assert_eq!(info.metadata["provider_code"], "2388024");

    let edit = v1::EditTemplateRequest {
        waba_id: String::new(),
        name: "frames_ready".to_owned(),
        language: "en_US".to_owned(),
        parts: Some(body("Your frames can be collected today.", &[])),
        ..v1::EditTemplateRequest::default()
    };
    templates.edit_template(edit).await.unwrap();
    let template = templates
        .get_template(named("frames_ready"))
        .await
        .unwrap()
        .into_inner()
        .template
        .unwrap();
    let text = template.definition.unwrap().parts.unwrap().body.unwrap().text;
    assert_eq!(text, "Your frames can be collected today.");

    let delete = v1::DeleteTemplateRequest {
        waba_id: String::new(),
        name: "frames_ready".to_owned(),
        language: "en_US".to_owned(),
    };
    templates.delete_template(delete.clone()).await.unwrap();
    for gone in [
        templates.get_template(named("frames_ready")).await.unwrap_err(),
        templates.delete_template(delete.clone()).await.unwrap_err(),
        templates
            .delete_template(v1::DeleteTemplateRequest {
                language: String::new(),
                ..delete
            })
            .await
            .unwrap_err(),
    ] {
        assert_eq!(
            (gone.code(), told(&gone).0.as_str()),
            (Code::NotFound, "TEMPLATE_UNKNOWN")
        );
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_meta_would_refuse_is_refused_with_every_field_and_without_a_call() {
    let stage = Stage::start().await;
    let mut templates = client!(TemplateServiceClient, stage, &stage.acme_key);
    let mut parts = body("{{1}}", &[]);
    parts.buttons.push(v1::TemplateButtonDefinition {
        label: "A label of more than 25 ch.".to_owned(),
        kind: "URL".to_owned(),
        url: "https://wa.me/12025550100".to_owned(),
        ..v1::TemplateButtonDefinition::default()
    });
    let request = v1::CreateTemplateRequest {
        waba_id: String::new(),
        definition: Some(definition("Not A Name", parts)),
    };
    let refused = templates.create_template(request.clone()).await.unwrap_err();
    let (reason, fields) = told(&refused);
    assert_eq!(
        (refused.code(), reason.as_str()),
        (Code::InvalidArgument, "INVALID_REQUEST")
    );
    let expected = [
        "definition.name",
        "definition.parts.body.text",
        "definition.parts.body.text",
        "definition.parts.body.examples",
        "definition.parts.buttons[0].label",
        "definition.parts.buttons[0].url",
    ];
    assert_eq!(fields, expected);

    let lint = v1::LintTemplateRequest {
        definition: request.definition,
    };
    let findings = templates.lint_template(lint).await.unwrap().into_inner().findings;
    let errors = findings
        .iter()
        .filter(|finding| finding.severity() == v1::TemplateFindingSeverity::Error);
    assert_eq!(errors.count(), expected.len());
    assert!(findings.iter().any(|finding| finding.field == "parts.buttons[0].url"));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_listed_page_by_page_and_only_ones_own() {
    let stage = Stage::start().await;
    let mut templates = client!(TemplateServiceClient, stage, &stage.acme_key);
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListTemplatesRequest {
            page_size: 3,
            page_token,
            ..v1::ListTemplatesRequest::default()
        };
        let page = templates.list_templates(request).await.unwrap().into_inner();
        assert!(page.templates.len() <= 3);
        names.extend(
            page.templates
                .into_iter()
                .map(|template| template.definition.unwrap().name),
        );
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert!(
        names.len() > 6 && names.contains(&"order_photo".to_owned()),
        "{names:?}"
    );

    let paused = v1::ListTemplatesRequest {
        state: v1::TemplateState::Paused.into(),
        ..v1::ListTemplatesRequest::default()
    };
    let paused = templates.list_templates(paused).await.unwrap().into_inner().templates;
    assert!(!paused.is_empty());
    assert!(
        paused
            .iter()
            .all(|template| template.state() == v1::TemplateState::Paused)
    );

    let foreign = v1::ListTemplatesRequest {
        waba_id: GLOBEX_WABA.to_owned(),
        page_size: 101,
        ..v1::ListTemplatesRequest::default()
    };
    let refused = templates.list_templates(foreign.clone()).await.unwrap_err();
    assert_eq!(
        told(&refused),
        ("INVALID_REQUEST".to_owned(), vec!["waba_id".to_owned()])
    );
    let mut of_globex = client!(TemplateServiceClient, stage, &stage.globex_key);
    let refused = of_globex.list_templates(foreign).await.unwrap_err();
    assert_eq!(told(&refused).1, ["page_size"]);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_template_is_unpaused_by_whoever_may() {
    let stage = Stage::start().await;
    let request = v1::UnpauseTemplateRequest {
        waba_id: String::new(),
        name: "paused_offer".to_owned(),
        language: "en_US".to_owned(),
    };
    let mut reader = client!(TemplateServiceClient, stage, stage.reader_key());
    let refused = reader.unpause_template(request.clone()).await.unwrap_err();
    assert_eq!(
        (refused.code(), told(&refused).0.as_str()),
        (Code::PermissionDenied, "SCOPE_MISSING")
    );
    let mut templates = client!(TemplateServiceClient, stage, &stage.acme_key);
    templates.unpause_template(request.clone()).await.unwrap();
    let template = reader
        .get_template(named("paused_offer"))
        .await
        .unwrap()
        .into_inner()
        .template
        .unwrap();
    assert_eq!(template.state(), v1::TemplateState::Approved);
    // It is not paused any more.
    let refused = templates.unpause_template(request).await.unwrap_err();
    assert_eq!(told(&refused).0, "PROVIDER_REFUSED");
    stage.stop().await;
}

fn text(value: &str) -> v1::TemplateParameter {
    v1::TemplateParameter {
        name: String::new(),
        value: Some(v1::template_parameter::Value::Text(value.to_owned())),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_is_filled_with_values_or_examples_or_says_what_does_not_fit() {
    let stage = Stage::start().await;
    let mut templates = client!(TemplateServiceClient, stage, stage.reader_key());
    let mut request = v1::PreviewTemplateRequest {
        content: Some(v1::TemplateContent {
            name: "order_update".to_owned(),
            language: "en_US".to_owned(),
            body_parameters: vec![text("Ana"), text("A-17")],
            ..v1::TemplateContent::default()
        }),
        ..v1::PreviewTemplateRequest::default()
    };
    let preview = templates
        .preview_template(request.clone())
        .await
        .unwrap()
        .into_inner()
        .preview
        .unwrap();
    assert_eq!(preview.body, "Hello Ana, your order A-17 is on its way.");

    request.content.as_mut().unwrap().body_parameters.pop();
    let refused = templates.preview_template(request.clone()).await.unwrap_err();
    assert_eq!(
        told(&refused),
        ("INVALID_REQUEST".to_owned(), vec!["content.body_parameters".to_owned()])
    );
    request.content.as_mut().unwrap().body_parameters[0] = text("two\nlines");
    let refused = templates.preview_template(request.clone()).await.unwrap_err();
    assert!(
        told(&refused).1[0].starts_with("content.body_parameters[0]"),
        "{refused:?}"
    );

    request.with_examples = true;
    request.content.as_mut().unwrap().name = "order_photo".to_owned();
    let preview = templates
        .preview_template(request.clone())
        .await
        .unwrap()
        .into_inner()
        .preview
        .unwrap();
    assert_eq!(preview.header_media(), v1::TemplateHeaderFormat::Image);
    assert_eq!(preview.buttons[1].value, "https://shop.example/track/A-17");

    request.definition = Some(definition("draft", body("Hi {{1}}, this is a draft.", &["Leo"])));
    let preview = templates
        .preview_template(request)
        .await
        .unwrap()
        .into_inner()
        .preview
        .unwrap();
    assert_eq!(preview.body, "Hi Leo, this is a draft.");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_meta_is_told_from_a_refusing_one() {
    let stage = Stage::start().await;
    let mut templates = client!(TemplateServiceClient, stage, &stage.acme_key);
    let request = v1::ListTemplatesRequest {
        page_token: "nonsense".to_owned(),
        ..v1::ListTemplatesRequest::default()
    };
    let refused = templates.list_templates(request.clone()).await.unwrap_err();
    assert_eq!(
        told(&refused),
        ("INVALID_REQUEST".to_owned(), vec!["page_token".to_owned()])
    );
    // It is not paused, which only Meta may judge.
    let unpause = v1::UnpauseTemplateRequest {
        waba_id: String::new(),
        name: "order_update".to_owned(),
        language: "en_US".to_owned(),
    };
    let refused = templates.unpause_template(unpause).await.unwrap_err();
    assert_eq!(
        (refused.code(), told(&refused).0.as_str()),
        (Code::FailedPrecondition, "PROVIDER_REFUSED")
    );
    let info = refused.get_error_details().error_info().unwrap().clone();
    assert_eq!(info.metadata["provider_code"], "100");
    assert!(!info.metadata["remedy"].is_empty());
    stage.simulator.shutdown().await;
    let silent = templates.list_templates(request).await.unwrap_err();
    assert_eq!(
        (silent.code(), told(&silent).0.as_str()),
        (Code::Unavailable, "PROVIDER_UNAVAILABLE")
    );
    assert!(silent.get_error_details().retry_info().is_some());
}

fn phone(number: &str) -> v1::Recipient {
    v1::Recipient {
        alias: Some(v1::recipient::Alias::PhoneNumber(number.to_owned())),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_blocked_listed_and_unblocked() {
    let stage = Stage::start().await;
    let mut numbers = client!(NumberServiceClient, stage, &stage.acme_key);
    stage
        .simulator
        .control()
        .write_text("12025550142", None, "hello")
        .unwrap();
    let users = vec![phone("+12025550142")];
    let blocked = numbers
        .block_users(v1::BlockUsersRequest {
            phone_number_id: DEFAULT_NUMBER_ID.to_owned(),
            users: users.clone(),
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(blocked.outcomes.len(), 1);
    assert!(blocked.outcomes[0].done);
    let list = v1::ListBlockedUsersRequest {
        phone_number_id: DEFAULT_NUMBER_ID.to_owned(),
        ..v1::ListBlockedUsersRequest::default()
    };
    let listed = numbers.list_blocked_users(list.clone()).await.unwrap().into_inner();
    assert_eq!(listed.users, users);
    let unblock = v1::UnblockUsersRequest {
        phone_number_id: DEFAULT_NUMBER_ID.to_owned(),
        users: users.clone(),
    };
    let unblocked = numbers.unblock_users(unblock).await.unwrap().into_inner();
    assert!(unblocked.outcomes[0].done);
    assert!(
        numbers
            .list_blocked_users(list)
            .await
            .unwrap()
            .into_inner()
            .users
            .is_empty()
    );

    // Somebody who never wrote cannot be blocked.
    let stranger = v1::BlockUsersRequest {
        phone_number_id: DEFAULT_NUMBER_ID.to_owned(),
        users: vec![phone("+12025550143")],
    };
    let outcome = numbers
        .block_users(stranger)
        .await
        .unwrap()
        .into_inner()
        .outcomes
        .remove(0);
    assert!(!outcome.done && outcome.provider_code != 0 && !outcome.explanation.is_empty());

    let wrong = v1::BlockUsersRequest {
        phone_number_id: DEFAULT_NUMBER_ID.to_owned(),
        users: vec![phone("+12025550142"), phone("+12025550142")],
    };
    let refused = numbers.block_users(wrong).await.unwrap_err();
    assert_eq!(told(&refused), ("INVALID_REQUEST".to_owned(), vec!["users".to_owned()]));
    let foreign = v1::BlockUsersRequest {
        phone_number_id: GLOBEX_NUMBER.to_owned(),
        users,
    };
    let refused = numbers.block_users(foreign).await.unwrap_err();
    assert_eq!(told(&refused).0, "NUMBER_UNKNOWN");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn profile_and_callbacks_of_a_number_are_metas() {
    let stage = Stage::start().await;
    let mut reader = client!(NumberServiceClient, stage, stage.reader_key());
    let mut numbers = client!(NumberServiceClient, stage, &stage.acme_key);
    let id = DEFAULT_NUMBER_ID.to_owned();
    let request = v1::GetBusinessProfileRequest {
        phone_number_id: id.clone(),
    };
    let profile = reader
        .get_business_profile(request)
        .await
        .unwrap()
        .into_inner()
        .profile
        .unwrap();
    assert!(!profile.vertical.is_empty());

    let update = v1::UpdateBusinessProfileRequest {
        phone_number_id: id.clone(),
        about: Some("Glasses and frames".to_owned()),
        ..v1::UpdateBusinessProfileRequest::default()
    };
    numbers.update_business_profile(update.clone()).await.unwrap();
    let refused = reader.update_business_profile(update.clone()).await.unwrap_err();
    assert_eq!(told(&refused).0, "SCOPE_MISSING");
    let wrong = v1::UpdateBusinessProfileRequest {
        about: Some("x".repeat(140)),
        websites: Some(v1::Websites {
            urls: vec!["shop.example".to_owned()],
        }),
        picture_handle: Some(String::new()),
        ..update
    };
    let refused = numbers.update_business_profile(wrong).await.unwrap_err();
    assert_eq!(told(&refused).1, ["about", "picture_handle", "websites.urls[0]"]);

    let request = v1::GetCallbackSubscriptionRequest { phone_number_id: id };
    let callbacks = reader.get_callback_subscription(request).await.unwrap().into_inner();
    assert_eq!(callbacks.apps.len(), 1);
    assert!(!callbacks.apps[0].app_id.is_empty());
    stage.stop().await;
}
