use super::*;
use crate::{
    events::{Expired, OptInSource, ProviderError},
    gates::{Refusal, RefusalReason},
    testing::{accepted, at, attempt_id, contact_id, status, submitted, template},
    values::Category,
};

fn story(events: &[MessageEvent]) -> Vec<String> {
    explain(events).into_iter().map(|sentence| sentence.text).collect()
}

#[test]
fn a_message_that_was_read_has_a_story_from_the_request_to_the_read_receipt() {
    let authorized = Authorized {
        contact: contact_id(1),
        contact_version: 2,
        category: Category::Utility,
        evidence: vec![
            Evidence::Template {
                asked_language: None,
                template: template(),
                status: crate::events::TemplateStatus::Approved,
                category: Category::Utility,
                version: 4,
            },
            Evidence::OptIn {
                category: Category::Utility,
                source: OptInSource::WebForm,
                given_at: at(0),
                version: 2,
                contact: None,
            },
        ],
        checked_at: at(2),
        expires_at: at(100),
    };
    let started = Started {
        attempt: attempt_id(1),
        number: 1,
        possible_duplicate_of: None,
        checked_until: at(3),
        started_at: at(3),
    };
    let events = [
        MessageEvent::Request(Box::new(submitted()).into()),
        MessageEvent::Decision(Box::new(authorized).into()),
        MessageEvent::Attempt(started.into()),
        MessageEvent::Attempt(Box::new(accepted(attempt_id(1), 4)).into()),
        MessageEvent::Status(Box::new(status("sent", 5))),
        MessageEvent::Status(Box::new(status("delivered", 6))),
        MessageEvent::Status(Box::new(status("read", 7))),
    ];
    let expected = [
        "Free-form text was requested for tenant marlow from number 318800000000042, to be sent before \
         1970-01-02T00:00:00.000Z.",
        "It was authorized as a utility message: template order_ready_v3 (en_US) is approved, category utility, by version \
         4 of its record; the person agreed to utility messages at 1970-01-01T00:00:00.000Z by web_form, entry 2 of their \
         record.",
        "Attempt 1 was started, with withdrawals checked up to 1970-01-01T00:00:03.000Z.",
        "Meta accepted it.",
        "It left Meta's servers.",
        "It reached a device of the person's.",
        "It was displayed to the person.",
    ];
    assert_eq!(story(&events), expected);
    assert!(explain(&events).is_sorted_by_key(|sentence| sentence.at));
}

#[test]
fn a_refusal_says_why_and_what_can_be_done() {
    let refused = Refused {
        contact: contact_id(1),
        contact_version: 0,
        refusals: vec![Refusal::new(
            RefusalReason::ConsentMissing,
            "The person has not agreed to marketing messages.",
        )],
        checked_at: at(2),
    };
    let expected = "It was refused. The person has not agreed to marketing messages. Record an opt-in with its proof before \
                    sending.";
    assert_eq!(story(&[MessageEvent::Decision(refused.into())]), [expected]);
    let expired = Expired {
        expired_at: at(1),
        noticed_at: at(2),
    };
    let expected = "It was too old to be sent: it expired at 1970-01-01T00:00:01.000Z.";
    assert_eq!(story(&[MessageEvent::Decision(expired.into())]), [expected]);
}

#[test]
fn a_failure_names_metas_code() {
    let mut failed = status("failed", 5);
    failed.errors = vec![ProviderError {
        code: 131_026,
        subcode: None,
    }];
    let expected = "Meta reported that it failed, with error 131026.";
    assert_eq!(story(&[MessageEvent::Status(Box::new(failed))]), [expected]);
}

#[test]
fn events_are_read_from_the_log_and_foreign_ones_are_left_out() {
    let event: RequestEvent = Box::new(submitted()).into();
    let read = MessageEvent::from_json(event.wire_name(), event.schema_version(), &event.to_json()).unwrap();
    assert_eq!(read, Some(MessageEvent::Request(event)));
    let status: ProviderEvent = Box::new(status("read", 5)).into();
    let read = MessageEvent::from_json(status.wire_name(), status.schema_version(), &status.to_json()).unwrap();
    assert!(matches!(read, Some(MessageEvent::Status(_))));
    assert_eq!(MessageEvent::from_json("contact.erased", 1, b"{}").unwrap(), None);
    assert_eq!(MessageEvent::from_json("weather.changed", 1, b"{}").unwrap(), None);
    assert!(MessageEvent::from_json("request.submitted", 1, b"{}").is_err());
}
