//! The JSON of a callback. Rendering the same updates gives the same bytes every time, so a retry repeats its body.

use serde::Serialize;
use serde_json::Value;

use crate::ascii_json;
use crate::config::CallbackShape;
use crate::error::title;
use crate::world::{Callback, Status, StatusUpdate, Update};

const ERROR_PAGE: &str = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/";

#[derive(Serialize)]
struct Envelope<'a> {
    object: &'a str,
    entry: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<i64>,
    changes: [Change<'a>; 1],
}

#[derive(Serialize)]
struct Change<'a> {
    value: ChangeValue<'a>,
    field: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ChangeValue<'a> {
    Status(Box<StatusValue<'a>>),
    Other(&'a Value),
}

#[derive(Serialize)]
struct StatusValue<'a> {
    messaging_product: &'a str,
    metadata: Metadata<'a>,
    contacts: [Contact<'a>; 1],
    statuses: [StatusObject<'a>; 1],
}

#[derive(Serialize)]
struct Metadata<'a> {
    display_phone_number: &'a str,
    phone_number_id: &'a str,
}

#[derive(Serialize)]
struct Contact<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Profile<'a>>,
    wa_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Profile<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct StatusObject<'a> {
    id: &'a str,
    #[serde(rename = "status")]
    reached: &'a str,
    timestamp: String,
    recipient_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    biz_opaque_callback_data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<Conversation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pricing: Option<Pricing<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<[ErrorObject<'a>; 1]>,
}

#[derive(Serialize)]
struct Conversation<'a> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_timestamp: Option<i64>,
    origin: Origin<'a>,
}

#[derive(Serialize)]
struct Origin<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Serialize)]
#[allow(clippy::struct_field_names, reason = "names on the wire")]
struct Pricing<'a> {
    billable: bool,
    pricing_model: &'a str,
    category: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    code: u32,
    title: &'a str,
    message: &'a str,
    error_data: ErrorData<'a>,
    href: &'a str,
}

#[derive(Serialize)]
struct ErrorData<'a> {
    details: &'a str,
}

/// The body of one POST that carries these updates, escaped as Meta does or in plain UTF-8.
pub(crate) fn render(callbacks: &[Callback], escape: bool) -> Vec<u8> {
    let envelope = Envelope {
        object: "whatsapp_business_account",
        entry: callbacks.iter().map(entry).collect(),
    };
    if escape {
        ascii_json::to_vec(&envelope)
    } else {
        serde_json::to_vec(&envelope).expect("our own types serialise to a byte vector without failing")
    }
}

fn entry(callback: &Callback) -> Entry<'_> {
    let (time, change) = match &callback.update {
        Update::Status(update) => (
            None,
            Change {
                value: ChangeValue::Status(Box::new(status_value(update))),
                field: "messages",
            },
        ),
        Update::Other { field, time_s, value } => (
            *time_s,
            Change {
                value: ChangeValue::Other(value),
                field,
            },
        ),
    };
    Entry {
        id: &callback.account_id,
        time,
        changes: [change],
    }
}

fn status_value(update: &StatusUpdate) -> StatusValue<'_> {
    let message = &*update.message;
    // A failure names no profile and, sent to a phone number, no user id. (Meta's page leaves `contacts` out; what arrives
    // in the field has it with `wa_id` alone, and clients rely on it.)
    let failed = update.error_code.is_some();
    StatusValue {
        messaging_product: "whatsapp",
        metadata: Metadata {
            display_phone_number: &message.number.digits,
            phone_number_id: &message.number.id,
        },
        contacts: [Contact {
            profile: (!failed).then_some(Profile {
                name: message.profile_name,
            }),
            wa_id: &message.wa_id,
            user_id: (!failed).then_some(&message.user_id),
        }],
        statuses: [StatusObject {
            id: &message.wamid,
            reached: update.status.as_str(),
            timestamp: update.at_ms.div_euclid(1_000).to_string(),
            recipient_id: &message.wa_id,
            recipient_user_id: (!failed).then_some(&message.user_id),
            biz_opaque_callback_data: message.opaque.as_deref(),
            conversation: (update.priced && update.shape == CallbackShape::V23).then(|| conversation(update)),
            pricing: update.priced.then_some(Pricing {
                billable: true,
                pricing_model: "PMP",
                category: message.pricing_category,
                kind: "regular",
            }),
            errors: update.error_code.map(|code| {
                let text = title(code);
                [ErrorObject {
                    code,
                    title: text,
                    message: text,
                    error_data: ErrorData { details: text },
                    href: ERROR_PAGE,
                }]
            }),
        }],
    }
}

/// Before v24 each message had a conversation of its own, that of its first price.
fn conversation(update: &StatusUpdate) -> Conversation<'_> {
    const LASTS_S: i64 = 24 * 60 * 60;
    let message = &*update.message;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message.wamid.as_bytes());
    let id = digest
        .as_ref()
        .iter()
        .take(16)
        .fold(String::with_capacity(32), |mut id, byte| {
            // Writing to a string cannot fail.
            let _ = std::fmt::Write::write_fmt(&mut id, format_args!("{byte:02x}"));
            id
        });
    let until_s = update.at_ms.div_euclid(1_000) + LASTS_S;
    Conversation {
        id,
        expiration_timestamp: (update.status == Status::Sent).then_some(until_s),
        origin: Origin {
            kind: message.pricing_category,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::world::{NumberIdentity, SentMessage};

    fn callback(status: Status, error_code: Option<u32>) -> Callback {
        let number = NumberIdentity {
            account_id: "100".into(),
            id: "200".into(),
            digits: "15550010001".into(),
        };
        let message = SentMessage {
            number: Arc::new(number),
            wamid: "wamid.A/b+c=".into(),
            wa_id: "12025550142".into(),
            user_id: "US.1".into(),
            profile_name: "Zoë",
            opaque: Some("cmd:1".into()),
            pricing_category: "utility",
        };
        let update = StatusUpdate {
            message: Arc::new(message),
            status,
            at_ms: 1_777_800_130_999,
            priced: error_code.is_none(),
            error_code,
            shape: CallbackShape::V24,
        };
        Callback {
            account: 0,
            number: Some(0),
            account_id: "100".into(),
            update: Update::Status(update),
            reports: None,
            bad_signature: false,
        }
    }

    #[test]
    fn a_status_callback_is_ascii_and_has_the_documented_shape() {
        let bytes = render(&[callback(Status::Sent, None)], true);
        assert!(bytes.is_ascii());
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.contains("Zo\\u00eb") && text.contains("wamid.A\\/b+c="), "{text}");
        let json: Value = serde_json::from_slice(&bytes).unwrap();
        let value = &json["entry"][0]["changes"][0]["value"];
        assert_eq!(json["entry"][0]["id"], "100");
        assert_eq!(value["metadata"]["phone_number_id"], "200");
        let status = &value["statuses"][0];
        assert_eq!(status["status"], "sent");
        assert_eq!(status["timestamp"], "1777800130");
        assert_eq!(status["biz_opaque_callback_data"], "cmd:1");
        assert_eq!(status["pricing"]["category"], "utility");
    }

    #[test]
    fn a_failure_names_its_code_and_of_the_contact_the_number_alone() {
        let json: Value = serde_json::from_slice(&render(&[callback(Status::Failed, Some(131_026))], true)).unwrap();
        let value = &json["entry"][0]["changes"][0]["value"];
        assert_eq!(value["contacts"], serde_json::json!([{"wa_id": "12025550142"}]));
        assert_eq!(value["statuses"][0]["errors"][0]["code"], 131_026);
        assert!(value["statuses"][0].get("pricing").is_none());
    }

    #[test]
    fn before_v24_a_price_comes_with_a_conversation() {
        let mut sent = callback(Status::Sent, None);
        let Update::Status(update) = &mut sent.update else {
            panic!("made as a status")
        };
        update.shape = CallbackShape::V23;
        let json: Value = serde_json::from_slice(&render(&[sent], true)).unwrap();
        let status = &json["entry"][0]["changes"][0]["value"]["statuses"][0];
        assert_eq!(status["conversation"]["origin"]["type"], "utility");
        assert_eq!(status["conversation"]["expiration_timestamp"], 1_777_886_530);
    }

    #[test]
    fn bodies_are_plain_utf8_if_asked() {
        let body = String::from_utf8(render(&[callback(Status::Sent, None)], false)).unwrap();
        assert!(body.contains("Zoë") && body.contains("wamid.A/b"));
    }

    #[test]
    fn several_updates_share_a_post() {
        let batch = [callback(Status::Sent, None), callback(Status::Delivered, None)];
        let json: Value = serde_json::from_slice(&render(&batch, true)).unwrap();
        assert_eq!(json["entry"].as_array().unwrap().len(), 2);
    }
}
