use super::*;
use std::collections::HashSet;

#[test]
fn reasons_are_unique_and_look_like_constants() {
    let reasons: HashSet<&str> = ErrorCode::ALL.iter().map(|code| code.reason()).collect();
    assert_eq!(reasons.len(), ErrorCode::ALL.len());
    assert!(
        reasons
            .iter()
            .all(|reason| reason.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
    );
}

#[test]
fn http_and_grpc_agree_about_whose_fault_it_is() {
    for code in ErrorCode::ALL {
        let ours = matches!(code.grpc(), Code::Internal | Code::Unavailable | Code::DeadlineExceeded);
        assert_eq!(ours, code.http() >= 500, "{code}");
    }
}

#[test]
fn every_bad_field_is_named_in_one_status() {
    let status: Status = ApiError::new(ErrorCode::InvalidRequest)
        .field("from", "is required")
        .field("to.phone_number", "is not a phone number")
        .into();
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        ("INVALID_REQUEST", "assent")
    );
    let violations = &details.bad_request().unwrap().field_violations;
    let fields: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["from", "to.phone_number"]);
}

#[test]
fn a_refusal_carries_each_reason_and_the_message_id() {
    let status: Status = ApiError::new(ErrorCode::MessageRefused)
        .metadata("message_id", "msg-1")
        .precondition(Precondition {
            kind: "CONSENT_MISSING".into(),
            subject: "GATE_CONSENT".into(),
            description: "no opt-in for marketing; record one".into(),
        })
        .into();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let details = status.get_error_details();
    assert_eq!(
        details.precondition_failure().unwrap().violations[0].r#type,
        "CONSENT_MISSING"
    );
    assert_eq!(details.error_info().unwrap().metadata["message_id"], "msg-1");
}

#[test]
fn details_stay_small_enough_for_a_header_and_say_what_was_left_out() {
    let mut error = ApiError::new(ErrorCode::InvalidRequest);
    for index in 0..500 {
        error = error.field(
            format!("content.template.body_parameters[{index}].text"),
            "ü".repeat(400),
        );
    }
    let status = Status::from(error);
    assert!(
        status.details().len() < DETAILS_BYTES_MAX + 500,
        "{}",
        status.details().len()
    );
    let details = status.get_error_details();
    let left_out = &details.error_info().unwrap().metadata["violations_left_out"];
    assert!(left_out.parse::<usize>().unwrap() > 400);
}

#[tokio::test]
async fn over_http_the_status_and_retry_after_say_the_same() {
    let response = ApiError::new(ErrorCode::Overloaded)
        .retry_after(Duration::from_millis(1_200))
        .into_response();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "2");
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["error"]["reason"], "OVERLOADED");
}

#[test]
fn an_internal_error_shows_an_id_and_not_the_cause() {
    let error = ApiError::internal("password of the database is hunter2");
    let status = Status::from(error);
    assert!(!format!("{status:?}").contains("hunter2"));
    assert_eq!(
        status.get_error_details().error_info().unwrap().metadata["error_id"].len(),
        16
    );
}
