//! Calls that read and change what Meta keeps, against a server that records them.

use serde_json::{Value, json};

use super::tests::server::{Reaction, Server};
use super::tests::{NUMBER, client, graph_error};
use super::*;
use crate::message::Recipient;
use crate::secret::Secret;
use crate::template::{Definition, Part};

const ACCOUNT: &str = "215500000000001";
const SUCCESS: &str = r#"{"success":true}"#;

fn token() -> Secret {
    Secret::new("t")
}

/// A server that answers each request like this in turn, and the client for it.
async fn answering<const N: usize>(answers: [(u16, &str); N]) -> (Server, Client) {
    let reactions = answers.map(|(status, body)| Reaction::answer(status, body));
    let server = Server::start(reactions).await;
    let client = client(&server);
    (server, client)
}

/// First line and JSON body of each request.
fn seen(server: &Server) -> Vec<(String, Value)> {
    let requests = server.requests().into_iter();
    let seen = requests.map(|request| {
        let line = request
            .head
            .lines()
            .next()
            .unwrap()
            .trim_end_matches(" HTTP/1.1")
            .to_owned();
        (line, serde_json::from_slice(&request.body).unwrap_or(Value::Null))
    });
    seen.collect()
}

fn problems<T: std::fmt::Debug>(result: Result<T, ChangeError>) -> Vec<String> {
    match result {
        Err(ChangeError::Invalid(invalid)) => invalid.problems.into_iter().map(|problem| problem.path).collect(),
        other => panic!("expected problems, got {other:?}"),
    }
}

fn definition() -> Value {
    json!({"name": "order_ready", "language": "en_US", "category": "UTILITY", "parameter_format": "POSITIONAL",
        "components": [{"type": "BODY", "text": "Your order is ready."}]})
}

#[tokio::test]
async fn a_template_is_created_as_defined_and_only_if_meta_would_take_it() {
    let created = r#"{"id":"940021177300155","status":"PENDING","category":"MARKETING"}"#;
    let (server, client) = answering([(200, created)]).await;
    let mut template = Definition::from_value(definition()).unwrap();
    let answer = client.create_template(ACCOUNT, &token(), &template).await.unwrap();
    assert_eq!(answer.id, "940021177300155");
    assert_eq!(answer.status, Some(TemplateStatus::Pending));
    assert_eq!(answer.category, Some(TemplateCategory::Marketing));
    "No Name".clone_into(&mut template.name);
    template
        .components
        .push(Part::from_value(json!({"type": "FOOTER", "text": "{{1}}"})));
    let refused = client.create_template(ACCOUNT, &token(), &template).await;
    assert_eq!(problems(refused), ["name", "components[1].text"]);
    let path = format!("POST /v24.0/{ACCOUNT}/message_templates");
    assert_eq!(seen(&server), [(path, definition())]);
}

#[tokio::test]
async fn an_edit_is_checked_against_what_the_template_would_be() {
    let (server, client) = answering([(200, SUCCESS)]).await;
    let mut listed = definition();
    listed["id"] = json!("940");
    listed["status"] = json!("APPROVED");
    let current = TemplateInfo::from_value(listed).unwrap();
    let edit = TemplateEdit {
        components: Some(vec![Part::from_value(json!({"type": "BODY", "text": "It is ready."}))]),
        ..TemplateEdit::default()
    };
    client.edit_template(&current, &token(), &edit).await.unwrap();
    let body = json!({"components": [{"type": "BODY", "text": "It is ready."}]});
    assert_eq!(seen(&server), [("POST /v24.0/940".to_owned(), body)]);

    let wrong = TemplateEdit {
        components: Some(Vec::new()),
        category: Some(TemplateCategory::Marketing),
        message_send_ttl_seconds: Some(5),
    };
    let refused = client.edit_template(&current, &token(), &wrong).await;
    assert_eq!(
        problems(refused),
        ["category", "message_send_ttl_seconds", "components"]
    );
    let nothing = client.edit_template(&current, &token(), &TemplateEdit::default()).await;
    assert_eq!(problems(nothing).len(), 1);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn templates_are_deleted_by_name_by_id_or_several_at_once() {
    let (server, client) = answering([(200, SUCCESS), (200, SUCCESS), (200, SUCCESS)]).await;
    let selections = [
        TemplateSelection::Name("order_ready".into()),
        TemplateSelection::One {
            name: "order_ready".into(),
            id: "940".into(),
        },
        TemplateSelection::Ids(vec!["940".into(), "941".into()]),
    ];
    for selection in &selections {
        client.delete_templates(ACCOUNT, &token(), selection).await.unwrap();
    }
    let lines: Vec<String> = seen(&server).into_iter().map(|(line, _)| line).collect();
    let path = format!("DELETE /v24.0/{ACCOUNT}/message_templates");
    assert_eq!(lines[0], format!("{path}?name=order_ready"));
    assert_eq!(lines[1], format!("{path}?name=order_ready&hsm_id=940"));
    assert_eq!(lines[2], format!("{path}?hsm_ids=%5B%22940%22%2C%22941%22%5D"));

    let ids = vec!["x".into(), "x".into()];
    let refused = client
        .delete_templates(ACCOUNT, &token(), &TemplateSelection::Ids(ids))
        .await;
    assert_eq!(problems(refused), ["hsm_ids", "hsm_ids[0]", "hsm_ids[1]"]);
    let refused = client
        .delete_templates(ACCOUNT, &token(), &TemplateSelection::Name(String::new()))
        .await;
    assert_eq!(problems(refused), ["name"]);
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_pause_is_ended_and_a_refusal_keeps_its_code() {
    let refusal = graph_error(2_388_039);
    let (server, client) = answering([(200, SUCCESS), (400, &refusal), (200, "{}")]).await;
    client.unpause_template("940", &token()).await.unwrap();
    let refused = client.unpause_template("940", &token()).await;
    assert!(matches!(refused, Err(CallError::Graph(error)) if error.code == 2_388_039));
    let strange = client.unpause_template("940", &token()).await;
    assert!(matches!(strange, Err(CallError::Unreadable { .. })));
    assert_eq!(seen(&server)[0].0, "POST /v24.0/940/unpause");
}

#[tokio::test]
async fn a_listing_is_narrowed_by_what_is_asked_for() {
    let (server, client) = answering([(200, r#"{"data":[]}"#), (200, r#"{"id":"940","name":"order_ready"}"#)]).await;
    let query = TemplateQuery {
        name: Some("order".into()),
        status: Some(TemplateStatus::Approved),
        category: Some(TemplateCategory::Utility),
        language: Some("en_US".into()),
        limit: Some(5_000),
        after: Some("c1".into()),
    };
    let page = client.find_templates(ACCOUNT, &token(), &query).await.unwrap();
    assert_eq!((page.templates.len(), page.next), (0, None));
    assert_eq!(
        client.template("940", &token()).await.unwrap().name.as_deref(),
        Some("order_ready")
    );
    let lines: Vec<String> = seen(&server).into_iter().map(|(line, _)| line).collect();
    let filters = "limit=100&name=order&language=en_US&status=APPROVED&category=UTILITY&after=c1";
    assert!(lines[0].ends_with(filters), "{}", lines[0]);
    assert!(lines[1].starts_with("GET /v24.0/940?fields=id%2Cname"), "{}", lines[1]);
}

#[tokio::test]
async fn blocking_tells_what_became_of_each_user() {
    let done = r#"{"messaging_product":"whatsapp","block_users":{"added_users":[{"input":"+12025550142","wa_id":"12025550142"}]}}"#;
    let partly = r#"{"messaging_product":"whatsapp","block_users":{"removed_users":[{"input":"+12025550142","wa_id":"12025550142"}],
        "failed_users":[{"input":"US.408","errors":[{"code":131047,"message":"m"}]}]},"error":{"code":139100,"message":"m"}}"#;
    let refused = graph_error(139_101);
    let (server, client) = answering([(200, done), (400, partly), (400, &refused)]).await;
    let users = [
        Recipient::Phone("+12025550142".into()),
        Recipient::BusinessScopedUser("US.408".into()),
    ];
    let outcome = client.block_users(NUMBER, &token(), &users[..1]).await.unwrap();
    assert_eq!((outcome.done.len(), outcome.failed.len()), (1, 0));
    let outcome = client.unblock_users(NUMBER, &token(), &users).await.unwrap();
    assert_eq!(outcome.done[0].wa_id.as_deref(), Some("12025550142"));
    assert_eq!(outcome.failed[0].errors[0].code, 131_047);
    assert!(!format!("{outcome:?}").contains("2025550142"));
    let full = client.block_users(NUMBER, &token(), &users[..1]).await;
    assert!(matches!(full, Err(ChangeError::Call(CallError::Graph(error))) if error.code == 139_101));

    let requests = seen(&server);
    assert_eq!(requests[0].0, format!("POST /v24.0/{NUMBER}/block_users"));
    assert_eq!(requests[1].0, format!("DELETE /v24.0/{NUMBER}/block_users"));
    let body = json!({"messaging_product": "whatsapp", "block_users": [{"user": "+12025550142"}, {"user": "US.408"}]});
    assert_eq!(requests[1].1, body);

    let wrong = [
        Recipient::Phone("0202".into()),
        Recipient::Group("g".into()),
        Recipient::BusinessScopedUser("US.ENT.9".into()),
        Recipient::Phone("0202".into()),
    ];
    let paths = problems(client.block_users(NUMBER, &token(), &wrong).await);
    assert_eq!(paths.len(), 5, "{paths:?}");
    assert_eq!(
        problems(client.block_users(NUMBER, &token(), &[]).await),
        ["block_users"]
    );
}

#[tokio::test]
async fn the_block_list_is_read_page_by_page() {
    let page = r#"{"data":[{"block_users":[{"input":"+12025550142","wa_id":"12025550142"}]}],
        "paging":{"cursors":{"after":"c1","before":"b"},"next":"https://graph.facebook.com/next"}}"#;
    let changed = graph_error(139_102);
    let (server, client) = answering([(200, page), (400, &changed), (200, "{}")]).await;
    let first = client.blocked_users(NUMBER, &token(), 5, None).await.unwrap();
    assert_eq!(first.users[0].wa_id.as_deref(), Some("12025550142"));
    assert_eq!(first.next.as_deref(), Some("c1"));
    let second = client.blocked_users(NUMBER, &token(), 5, first.next.as_deref()).await;
    assert!(matches!(second, Err(CallError::Graph(error)) if error.code == 139_102));
    let strange = client.blocked_users(NUMBER, &token(), 5, None).await;
    assert!(matches!(strange, Err(CallError::Unreadable { .. })));
    assert_eq!(
        seen(&server)[1].0,
        format!("GET /v24.0/{NUMBER}/block_users?limit=5&after=c1")
    );
}

#[tokio::test]
async fn a_profile_is_read_in_both_forms_and_changed_in_part() {
    let flat = r#"{"data":[{"messaging_product":"whatsapp","about":"Frames","websites":["https://a.example"],"vertical":"RETAIL"}]}"#;
    let nested = r#"{"data":[{"business_profile":{"about":"Frames","email":"ana@example.com"}}]}"#;
    let (server, client) = answering([(200, flat), (200, nested), (200, SUCCESS), (200, r#"{"data":[]}"#)]).await;
    let profile = client.business_profile(NUMBER, &token()).await.unwrap();
    assert_eq!(profile.about.as_deref(), Some("Frames"));
    assert_eq!(profile.websites, ["https://a.example"]);
    let profile = client.business_profile(NUMBER, &token()).await.unwrap();
    assert_eq!(profile.email.as_deref(), Some("ana@example.com"));
    let update = BusinessProfileUpdate {
        about: Some("Glasses".into()),
        websites: Some(Vec::new()),
        ..BusinessProfileUpdate::default()
    };
    client.update_business_profile(NUMBER, &token(), &update).await.unwrap();
    let body = json!({"messaging_product": "whatsapp", "about": "Glasses", "websites": []});
    assert_eq!(
        seen(&server)[2],
        (format!("POST /v24.0/{NUMBER}/whatsapp_business_profile"), body)
    );
    let nobody = client.business_profile(NUMBER, &token()).await;
    assert!(matches!(nobody, Err(CallError::Unreadable { .. })));

    let wrong = BusinessProfileUpdate {
        about: Some(String::new()),
        address: Some("x".repeat(257)),
        description: Some("x".repeat(513)),
        email: Some("nobody".into()),
        profile_picture_handle: Some(" ".into()),
        websites: Some(vec![
            "a.example".into(),
            "https://b.example".into(),
            "https://c.example".into(),
        ]),
        vertical: Some("shop".into()),
    };
    let paths = problems(client.update_business_profile(NUMBER, &token(), &wrong).await);
    let expected = [
        "about",
        "address",
        "description",
        "email",
        "profile_picture_handle",
        "vertical",
        "websites",
        "websites[0]",
    ];
    assert_eq!(paths, expected);
    let nothing = BusinessProfileUpdate::default();
    assert_eq!(
        problems(client.update_business_profile(NUMBER, &token(), &nothing).await).len(),
        1
    );
}

#[tokio::test]
async fn callbacks_can_be_sent_to_an_address_of_our_own() {
    let apps = r#"{"data":[{"whatsapp_business_api_data":{"id":"771","name":"App","link":"l"},"override_callback_uri":"https://a.example"}]}"#;
    let urls = r#"{"webhook_configuration":{"application":"https://app.example","whatsapp_business_account":"https://a.example"}}"#;
    let answers = [
        (200, apps),
        (200, urls),
        (200, SUCCESS),
        (200, SUCCESS),
        (200, SUCCESS),
        (200, SUCCESS),
        (200, SUCCESS),
    ];
    let (server, client) = answering(answers).await;
    let listed = client.subscribed_apps(ACCOUNT, &token()).await.unwrap();
    assert_eq!(listed[0].id.as_deref(), Some("771"));
    assert_eq!(listed[0].override_url.as_deref(), Some("https://a.example"));
    let urls = client.callback_urls(NUMBER, &token()).await.unwrap();
    assert_eq!(urls.effective(), Some("https://a.example"));

    let ours = CallbackOverride {
        url: "https://hooks.example/wa".into(),
        verify_token: Secret::new("v"),
    };
    client.subscribe_app(ACCOUNT, &token(), Some(&ours)).await.unwrap();
    client.subscribe_app(ACCOUNT, &token(), None).await.unwrap();
    client.unsubscribe_app(ACCOUNT, &token()).await.unwrap();
    client
        .override_number_callback(NUMBER, &token(), Some(&ours))
        .await
        .unwrap();
    client.override_number_callback(NUMBER, &token(), None).await.unwrap();
    let requests = seen(&server);
    let written = json!({"override_callback_uri": "https://hooks.example/wa", "verify_token": "v"});
    let path = format!("/v24.0/{ACCOUNT}/subscribed_apps");
    assert_eq!(requests[2], (format!("POST {path}"), written.clone()));
    assert_eq!(requests[3], (format!("POST {path}"), Value::Null));
    assert_eq!(requests[4], (format!("DELETE {path}"), Value::Null));
    assert_eq!(
        requests[5],
        (
            format!("POST /v24.0/{NUMBER}"),
            json!({"webhook_configuration": written})
        )
    );
    assert_eq!(
        requests[6].1,
        json!({"webhook_configuration": {"override_callback_uri": ""}})
    );

    let wrong = CallbackOverride {
        url: format!("hooks.example/{}", "x".repeat(200)),
        verify_token: Secret::new(" "),
    };
    let paths = problems(client.subscribe_app(ACCOUNT, &token(), Some(&wrong)).await);
    assert_eq!(
        paths,
        ["override_callback_uri", "override_callback_uri", "verify_token"]
    );
}

#[tokio::test]
async fn the_graph_version_is_configuration() {
    let server = Server::start([Reaction::answer(200, r#"{"data":[]}"#)]).await;
    let config = ClientConfig {
        base_url: server.url(),
        graph_version: "v25.0".into(),
        ..ClientConfig::default()
    };
    let client = Client::try_new(&config).unwrap();
    client.templates(ACCOUNT, &token()).await.unwrap();
    assert!(seen(&server)[0].0.starts_with(&format!("GET /v25.0/{ACCOUNT}/")));
}
