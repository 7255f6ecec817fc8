//! The four ends of a send, against a server that misbehaves on purpose.

mod media;
pub(super) mod server;

use std::time::Duration;

use serde_json::{Value, json};

use self::server::{Reaction, Server};
use super::*;
use crate::error_table::Scope;
use crate::message::{Content, OutgoingMessage, Recipient, Text};
use crate::secret::Secret;

pub(super) const NUMBER: &str = "318800000000042";
const ACCEPTED: &str = r#"{"messaging_product":"whatsapp","contacts":[{"input":"+12025550142","wa_id":"12025550142"}],
    "messages":[{"id":"wamid.HBgLMTIwMjU1NTAxNDI=","message_status":"accepted"}]}"#;

fn config(base_url: String) -> ClientConfig {
    ClientConfig {
        base_url,
        connect_timeout_ms: 2_000,
        total_timeout_ms: 20_000,
        ..ClientConfig::default()
    }
}

pub(super) fn client(server: &Server) -> Client {
    Client::try_new(&config(server.url())).unwrap()
}

fn message() -> OutgoingMessage {
    OutgoingMessage::new(Recipient::Phone("+12025550142".into()), Content::Text(Text::new("Hi")))
        .with_callback_data("attempt:1")
}

async fn send(client: &Client) -> Result<SendAccepted, SendError> {
    client.send(NUMBER, &Secret::new("EAAG-token"), &message()).await
}

/// Sends once against a server with this reaction.
async fn send_against(reaction: Reaction) -> Result<SendAccepted, SendError> {
    let server = Server::start([reaction]).await;
    let result = send(&client(&server)).await;
    assert_eq!(server.requests().len(), 1, "a send is one request, whatever happens");
    result
}

pub(super) fn graph_error(code: i64) -> String {
    json!({"error": {"message": "(#…)", "type": "OAuthException", "code": code, "fbtrace_id": "A9x"}}).to_string()
}

fn unknown(result: Result<SendAccepted, SendError>) -> UnknownOutcome {
    match result {
        Err(SendError::OutcomeUnknown(outcome)) => outcome,
        other => panic!("expected an unknown outcome, got {other:?}"),
    }
}

fn not_sent(result: Result<SendAccepted, SendError>) -> NotSentReason {
    match result {
        Err(SendError::NotSent(reason)) => reason,
        other => panic!("expected that nothing was sent, got {other:?}"),
    }
}

#[tokio::test]
async fn an_accepted_message_has_an_id_and_the_request_is_what_meta_expects() {
    let server = Server::start([Reaction::answer(200, ACCEPTED)]).await;
    let accepted = send(&client(&server)).await.unwrap();
    assert_eq!(accepted.message_id.as_str(), "wamid.HBgLMTIwMjU1NTAxNDI=");
    assert_eq!(accepted.wa_id.as_deref(), Some("12025550142"));
    assert_eq!(accepted.status, Some(AcceptedStatus::Accepted));
    assert!(!format!("{accepted:?}").contains("2025550142"));

    let requests = server.requests();
    let head = requests[0].head.to_ascii_lowercase();
    assert!(
        head.starts_with("post /v24.0/318800000000042/messages http/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("authorization: bearer eaag-token\r\n"), "{head}");
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
    let body: Value = serde_json::from_slice(&requests[0].body).unwrap();
    assert_eq!(body, serde_json::to_value(message()).unwrap());
}

#[tokio::test]
async fn an_acceptance_without_contact_or_with_an_unknown_status_is_still_an_acceptance() {
    let accepted = send_against(Reaction::answer(
        200,
        r#"{"messages":[{"id":"wamid.A","message_status":"novel"}],"contacts":null}"#,
    ))
    .await;
    let accepted = accepted.unwrap();
    assert_eq!(accepted.wa_id, None);
    assert_eq!(accepted.status, Some(AcceptedStatus::Other("novel".into())));
}

#[tokio::test]
async fn a_graph_error_is_a_rejection_with_its_code() {
    match send_against(Reaction::answer(400, &graph_error(131_009))).await {
        Err(SendError::Rejected(error)) => assert_eq!(error.code, 131_009),
        other => panic!("{other:?}"),
    }
    // The code decides, not the status: Meta documents 500 for a missing capability.
    match send_against(Reaction::answer(500, &graph_error(3))).await {
        Err(SendError::Rejected(error)) => assert_eq!(error.code, 3),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn throttling_says_what_must_slow_down() {
    for (code, expected) in [
        (130_429, Scope::Number),
        (131_056, Scope::Pair),
        (4, Scope::Platform),
        (80_007, Scope::Account),
    ] {
        match send_against(Reaction::answer(400, &graph_error(code))).await {
            Err(SendError::Throttled {
                error,
                scope,
                retry_after,
            }) => {
                assert_eq!((error.code, scope, retry_after), (code, expected, None));
            }
            other => panic!("{code}: {other:?}"),
        }
    }
    let reaction = Reaction::Answer {
        status: 429,
        headers: "retry-after: 7\r\n",
        body: graph_error(130_429).into_bytes(),
    };
    match send_against(reaction).await {
        Err(SendError::Throttled { retry_after, .. }) => assert_eq!(retry_after, Some(Duration::from_secs(7))),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_error_that_may_follow_the_sending_leaves_the_outcome_unknown() {
    for (status, code) in [
        (400, 1),
        (503, 2),
        (500, 131_000),
        (500, 131_016),
        (500, 131_057),
        (503, 133_004),
    ] {
        match unknown(send_against(Reaction::answer(status, &graph_error(code))).await) {
            UnknownOutcome::Ambiguous { http_status, error } => assert_eq!((http_status, error.code), (status, code)),
            other => panic!("{code}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_undocumented_code_is_a_rejection_only_with_a_client_error_status() {
    assert!(matches!(
        send_against(Reaction::answer(400, &graph_error(987_654))).await,
        Err(SendError::Rejected(_))
    ));
    let outcome = unknown(send_against(Reaction::answer(500, &graph_error(987_654))).await);
    assert!(matches!(outcome, UnknownOutcome::Ambiguous { .. }));
    let transient = json!({"error": {"code": 987_654, "is_transient": true}}).to_string();
    let outcome = unknown(send_against(Reaction::answer(400, &transient)).await);
    assert!(matches!(outcome, UnknownOutcome::Ambiguous { .. }));
}

#[tokio::test]
async fn a_server_error_without_a_graph_error_leaves_the_outcome_unknown() {
    assert_eq!(
        unknown(send_against(Reaction::answer(500, "")).await),
        UnknownOutcome::Unreadable { http_status: 500 }
    );
}

#[tokio::test]
async fn an_unreadable_answer_leaves_the_outcome_unknown() {
    for (status, body) in [
        (200, "<html>ok</html>"),
        (200, "{}"),
        (200, r#"{"messages":[]}"#),
        (200, r#"{"messages":[{"id":""}]}"#),
        (200, "[1,2"),
        (400, "<html>Bad Request</html>"),
        (404, "not found"),
        (502, "<html>Bad Gateway</html>"),
        (302, ""),
    ] {
        let outcome = unknown(send_against(Reaction::answer(status, body)).await);
        assert_eq!(
            outcome,
            UnknownOutcome::Unreadable { http_status: status },
            "{status} {body}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::start([Reaction::answer(200, ACCEPTED), Reaction::answer(200, ACCEPTED)]).await;
    let location: &'static str = Box::leak(format!("location: {}/v24.0/1/messages\r\n", server.url()).into_boxed_str());
    let redirecting = Server::start([Reaction::Answer {
        status: 307,
        headers: location,
        body: vec![],
    }])
    .await;
    assert_eq!(
        unknown(send(&client(&redirecting)).await),
        UnknownOutcome::Unreadable { http_status: 307 }
    );
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_connection_dropped_after_the_request_leaves_the_outcome_unknown() {
    assert_eq!(
        unknown(send_against(Reaction::Drop).await),
        UnknownOutcome::ConnectionLost
    );
}

#[tokio::test]
async fn an_answer_cut_in_half_leaves_the_outcome_unknown() {
    assert_eq!(
        unknown(send_against(Reaction::HalfAnswer(ACCEPTED)).await),
        UnknownOutcome::ConnectionLost
    );
}

#[tokio::test]
async fn a_connection_dropped_before_the_request_was_read_leaves_the_outcome_unknown() {
    let server = Server::start_dropping_at_once().await;
    let outcome = send(&client(&server)).await;
    assert_eq!(unknown(outcome), UnknownOutcome::ConnectionLost);
}

#[tokio::test]
async fn no_answer_in_time_leaves_the_outcome_unknown() {
    let server = Server::start([Reaction::Hang]).await;
    let impatient = ClientConfig {
        connect_timeout_ms: 299,
        total_timeout_ms: 300,
        ..config(server.url())
    };
    let outcome = send(&Client::try_new(&impatient).unwrap()).await;
    assert_eq!(unknown(outcome), UnknownOutcome::Timeout);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_stops_midway_and_never_ends_is_a_timeout() {
    let server = Server::start([Reaction::HalfAnswerThenHang(ACCEPTED)]).await;
    let impatient = ClientConfig {
        connect_timeout_ms: 299,
        total_timeout_ms: 300,
        ..config(server.url())
    };
    assert_eq!(
        unknown(send(&Client::try_new(&impatient).unwrap()).await),
        UnknownOutcome::Timeout
    );
}

#[tokio::test]
async fn an_endless_answer_is_given_up_and_leaves_the_outcome_unknown() {
    let body = vec![b' '; crate::limits::ANSWER_BYTES_MAX + 1];
    let outcome = unknown(
        send_against(Reaction::Answer {
            status: 200,
            headers: "",
            body,
        })
        .await,
    );
    assert_eq!(outcome, UnknownOutcome::Unreadable { http_status: 200 });
}

#[tokio::test]
async fn a_reused_connection_that_breaks_is_not_resent_behind_our_back() {
    let server = Server::start([
        Reaction::answer(200, ACCEPTED),
        Reaction::Drop,
        Reaction::answer(200, ACCEPTED),
    ])
    .await;
    let client = client(&server);
    send(&client).await.unwrap();
    assert_eq!(unknown(send(&client).await), UnknownOutcome::ConnectionLost);
    assert_eq!(
        server.requests().len(),
        2,
        "the second message must have been posted once"
    );
    assert_eq!(
        server.connections(),
        1,
        "both messages must have used one connection, else this proves nothing"
    );
    send(&client).await.unwrap();
}

#[tokio::test]
async fn a_refused_connection_means_nothing_was_sent() {
    let url = Server::url_of_nobody().await;
    let result = send(&Client::try_new(&config(url)).unwrap()).await;
    assert_eq!(not_sent(result), NotSentReason::Refused);
}

#[tokio::test]
async fn an_unknown_host_means_nothing_was_sent() {
    // The top-level domain is reserved never to exist (RFC 2606).
    let result = send(&Client::try_new(&config("http://graph.invalid".into())).unwrap()).await;
    assert_eq!(not_sent(result), NotSentReason::Dns);
}

#[tokio::test]
async fn a_failed_tls_handshake_means_nothing_was_sent() {
    let server = Server::start_raw(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let result = send(&Client::try_new(&config(server.url().replace("http://", "https://"))).unwrap()).await;
    assert_eq!(not_sent(result), NotSentReason::Tls);
}

#[tokio::test]
async fn a_tls_handshake_that_never_ends_means_nothing_was_sent() {
    let server = Server::start_raw(b"").await;
    let impatient = ClientConfig {
        connect_timeout_ms: 200,
        ..config(server.url().replace("http://", "https://"))
    };
    let result = send(&Client::try_new(&impatient).unwrap()).await;
    assert_eq!(not_sent(result), NotSentReason::ConnectTimeout);
}

#[tokio::test]
async fn a_token_no_header_can_hold_means_nothing_was_sent_and_is_not_printed() {
    let server = Server::start([]).await;
    let result = client(&server)
        .send(NUMBER, &Secret::new("two\nlines"), &message())
        .await;
    let printed = format!("{result:?}");
    assert_eq!(not_sent(result), NotSentReason::BadRequest);
    assert!(!printed.contains("lines"), "{printed}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn an_id_cannot_leave_its_place_in_the_path() {
    let server = Server::start([Reaction::answer(200, ACCEPTED)]).await;
    client(&server)
        .send("../me?x=1#", &Secret::new("t"), &message())
        .await
        .unwrap();
    let head = server.requests()[0].head.clone();
    assert!(
        head.starts_with("POST /v24.0/..%2Fme%3Fx=1%23/messages HTTP/1.1"),
        "{head}"
    );
}

#[tokio::test]
async fn error_texts_quote_neither_the_request_nor_the_answer() {
    let body = json!({"error": {"message": "+12025550142 is wrong", "code": 131_009, "error_data": {"details": "+12025550142"}}});
    let error = send_against(Reaction::answer(400, &body.to_string()))
        .await
        .unwrap_err();
    let printed = format!("{error} {error:?} {}", std::error::Error::source(&error).unwrap());
    assert!(!printed.contains("2025550142"), "{printed}");
}

#[tokio::test]
async fn marketing_messages_take_their_own_route() {
    let server = Server::start([Reaction::answer(200, ACCEPTED)]).await;
    let token = Secret::new("t");
    client(&server)
        .send_by(MessageRoute::MarketingMessages, NUMBER, &token, &message())
        .await
        .unwrap();
    assert!(
        server.requests()[0]
            .head
            .starts_with("POST /v24.0/318800000000042/marketing_messages ")
    );
}

#[tokio::test]
async fn a_number_is_asked_for_its_fields() {
    let body = r#"{"id":"318800000000042","quality_rating":"YELLOW","throughput":{"level":"HIGH"}}"#;
    let server = Server::start([Reaction::answer(200, body)]).await;
    let number = client(&server).number(NUMBER, &Secret::new("t")).await.unwrap();
    assert_eq!(number.quality_rating, Some(QualityRating::Yellow));
    assert_eq!(number.throughput, Some(ThroughputLevel::High));
    let head = server.requests()[0].head.clone();
    assert!(
        head.starts_with("GET /v24.0/318800000000042?fields=id%2Cverified_name"),
        "{head}"
    );
}

#[tokio::test]
async fn a_call_that_fails_says_how() {
    let server = Server::start([
        Reaction::answer(401, &graph_error(190)),
        Reaction::answer(503, "<html>"),
        Reaction::answer(200, "<html>"),
        Reaction::Drop,
    ])
    .await;
    let client = client(&server);
    let token = Secret::new("t");
    assert!(matches!(client.number(NUMBER, &token).await, Err(CallError::Graph(error)) if error.code == 190));
    assert!(matches!(
        client.number(NUMBER, &token).await,
        Err(CallError::Unreadable { http_status: 503 })
    ));
    assert!(matches!(
        client.number(NUMBER, &token).await,
        Err(CallError::Unreadable { http_status: 200 })
    ));
    assert!(matches!(
        client.number(NUMBER, &token).await,
        Err(CallError::ConnectionLost)
    ));
}

#[tokio::test]
async fn a_message_is_marked_as_read_with_or_without_typing() {
    let server = Server::start([
        Reaction::answer(200, r#"{"success":true}"#),
        Reaction::answer(200, r#"{"success":true}"#),
        Reaction::answer(200, "{}"),
    ])
    .await;
    let client = client(&server);
    let (token, message) = (Secret::new("t"), crate::Wamid::new("wamid.A"));
    client.mark_read(NUMBER, &token, &message, true).await.unwrap();
    client.mark_read(NUMBER, &token, &message, false).await.unwrap();
    assert!(matches!(
        client.mark_read(NUMBER, &token, &message, false).await,
        Err(CallError::Unreadable { .. })
    ));
    let bodies: Vec<Value> = server
        .requests()
        .iter()
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect();
    let plain = json!({"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.A"});
    assert_eq!(bodies[1], plain);
    let mut typing = plain;
    typing["typing_indicator"] = json!({"type": "text"});
    assert_eq!(bodies[0], typing);
}

fn template_page(name: &str, after: &str, more: bool) -> String {
    let mut page = json!({
        "data": [{"id": "940", "name": name, "language": "en_US", "status": "APPROVED", "category": "UTILITY",
            "quality_score": {"score": "GREEN"}, "novelty": 1,
            "components": [{"type": "BODY", "text": "Hi {{1}}", "example": {"body_text": [["Ana"]]}}]}],
        "paging": {"cursors": {"before": "b", "after": after}}});
    if more {
        page["paging"]["next"] = json!("https://graph.facebook.com/next");
    }
    page.to_string()
}

#[tokio::test]
async fn templates_are_read_over_all_pages() {
    let server = Server::start([
        Reaction::answer(200, &template_page("first", "c1", true)),
        Reaction::answer(200, &template_page("second", "c2", false)),
    ])
    .await;
    let templates = client(&server)
        .templates("215500000000001", &Secret::new("t"))
        .await
        .unwrap();
    let names: Vec<_> = templates
        .iter()
        .map(|template| template.name.as_deref().unwrap())
        .collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!(templates[0].status, Some(TemplateStatus::Approved));
    assert_eq!(templates[0].category, Some(TemplateCategory::Utility));
    assert_eq!(templates[0].quality, Some(QualityRating::Green));
    assert_eq!(templates[0].body_text(), Some("Hi {{1}}"));
    assert_eq!(templates[0].other["novelty"], 1);
    let requests = server.requests();
    assert!(
        requests[0]
            .head
            .starts_with("GET /v24.0/215500000000001/message_templates?")
    );
    assert!(!requests[0].head.contains("after="));
    assert!(requests[1].head.contains("&after=c1 "), "{}", requests[1].head);
}

#[tokio::test]
async fn a_cursor_that_leads_back_to_itself_ends_the_listing() {
    let page = template_page("again", "c1", true);
    let server = Server::start([Reaction::answer(200, &page), Reaction::answer(200, &page)]).await;
    let result = client(&server).templates("215500000000001", &Secret::new("t")).await;
    assert!(matches!(result, Err(CallError::Endless)));
}

#[tokio::test]
async fn strange_json_is_not_an_account_without_templates() {
    let server = Server::start([Reaction::answer(200, "{}")]).await;
    let result = client(&server).templates("215500000000001", &Secret::new("t")).await;
    assert!(matches!(result, Err(CallError::Unreadable { .. })));
}
