//! Callbacks that nobody could read, kept as they came, in parts that fit into events.

use super::plan::{Event, Keys, Plan, Planned, SMALL_EVENT_BYTES};
use crate::limits;
use assent_domain::{
    events::{CallbackUnrecognised, ProviderEvent, StreamCategory},
    values::{CallbackBody, Term, WabaId},
};
use assent_event_store::KeyError;
use assent_runtime::streams::{Subject, purpose};
use assent_sealed::KeyClass;

/// Plans to keep `text`, sealed with a content key of the account it names.
pub(super) fn keep(
    plan: &Plan<'_>,
    account: Option<&WabaId>,
    field: Option<&str>,
    reason: &'static str,
    text: &str,
) -> Vec<Planned> {
    let Some(subject) = account.map(Subject::Account) else {
        // A tenant without a number has no account either, and nothing that Meta could report about.
        tracing::warn!(tenant = %plan.party.id, reason, "a callback to a tenant without numbers was not kept");
        return Vec::new();
    };
    let stream = plan.platform.stream_of(StreamCategory::Provider, subject);
    let name = account.map_or("", WabaId::as_str);
    let alias = plan
        .platform
        .hasher
        .alias(plan.party.id.as_str(), &format!("waba:{name}"));
    let parts = split(text);
    let count = u16::try_from(parts.len()).unwrap_or(u16::MAX);
    let field = field.filter(|field| !field.is_empty()).map(Term::from_provider);
    let received_at = plan.now;
    let part = |(at, part): (usize, &str)| {
        let (body, account, field) = (CallbackBody(part.to_owned()), account.cloned(), field.clone());
        let number = u16::try_from(at + 1).unwrap_or(u16::MAX);
        let size = part.len() * 2 + SMALL_EVENT_BYTES;
        let sealed = move |keys: &Keys| -> Result<ProviderEvent, KeyError> {
            let key = keys
                .get(&(alias, KeyClass::Content))
                .expect("every key that is used was asked for");
            let event = CallbackUnrecognised {
                waba: account.clone(),
                field: field.clone(),
                reason: Term::from_provider(reason),
                part: (number, count),
                body: key.seal(&body, purpose::CALLBACK)?,
                received_at,
            };
            Ok(event.into())
        };
        Planned {
            stream: stream.clone(),
            traceparent: None,
            wanted: vec![(alias, KeyClass::Content)],
            size,
            event: Event::Sealed(Box::new(sealed)),
        }
    };
    parts.into_iter().enumerate().map(part).collect()
}

/// Bytes of a character inside a JSON string.
fn json_bytes_of(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

/// Bytes of a text inside a JSON string.
pub(super) fn json_bytes(text: &str) -> usize {
    text.chars().map(json_bytes_of).sum()
}

/// As much of a text as fits into one event.
pub(super) fn beginning(text: &str) -> &str {
    let (mut bytes, mut end) = (0, 0);
    for character in text.chars() {
        bytes += json_bytes_of(character);
        if bytes > limits::PART_BYTES_MAX {
            break;
        }
        end += character.len_utf8();
    }
    &text[..end]
}

/// A text in parts that fit into one event each; a text of nothing is one part.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let part = beginning(rest);
        parts.push(part);
        rest = &rest[part.len()..];
        if rest.is_empty() {
            return parts;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fit_into_events_and_are_the_whole_together() {
        let texts = [
            String::new(),
            "x".repeat(limits::PART_BYTES_MAX),
            "\u{1}\"é\n".repeat(200_000),
            "a".repeat(3 * 1024 * 1024),
        ];
        for text in texts {
            let parts = split(&text);
            assert_eq!(parts.concat(), text);
            for part in &parts {
                let json = serde_json::to_string(part).unwrap().len() - 2;
                assert_eq!(json, json_bytes(part));
                assert!(json <= limits::PART_BYTES_MAX);
            }
        }
        assert_eq!(split(&"a".repeat(3 * 1024 * 1024)).len(), 21);
    }
}
