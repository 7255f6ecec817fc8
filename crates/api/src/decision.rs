//! Decisions, and what the gates said.

use crate::{category, timestamp, vocabulary};
use assent_domain::{
    events::{AccountState, DecisionEvent},
    explain,
    gates::{Evidence, Gate, Judgement, Refusal},
    values::{MessageId, Timestamp},
};
use assent_proto::v1;
use assent_runtime::api_error::{ApiError, ErrorCode, Precondition};
use std::collections::BTreeMap;

/// A recorded decision.
pub fn render(decision: &DecisionEvent) -> v1::Decision {
    match decision {
        DecisionEvent::Authorized(authorized) => v1::Decision {
            decided_at: Some(timestamp::render(authorized.checked_at)),
            verdict: v1::Verdict::Authorized.into(),
            passes: passes(&authorized.evidence),
            refusals: Vec::new(),
            category: category::render(authorized.category).into(),
            contact_id: authorized.contact.to_string(),
        },
        DecisionEvent::Refused(refused) => v1::Decision {
            decided_at: Some(timestamp::render(refused.checked_at)),
            verdict: v1::Verdict::Refused.into(),
            passes: Vec::new(),
            refusals: refusals(&refused.refusals),
            category: category::render_option(None),
            contact_id: refused.contact.to_string(),
        },
        DecisionEvent::Expired(expired) => v1::Decision {
            decided_at: Some(timestamp::render(expired.noticed_at)),
            verdict: v1::Verdict::Expired.into(),
            ..v1::Decision::default()
        },
    }
}

/// What the gates said in a dry run. Nobody is named in it: `contact_id` is the caller's to add.
pub fn judgement(judgement: &Judgement, at: Timestamp) -> v1::Decision {
    let decided_at = Some(timestamp::render(at));
    match judgement {
        Judgement::Authorized { category, evidence } => v1::Decision {
            decided_at,
            verdict: v1::Verdict::Authorized.into(),
            passes: passes(evidence),
            category: category::render(*category).into(),
            ..v1::Decision::default()
        },
        Judgement::Refused { refusals: refused } => v1::Decision {
            decided_at,
            verdict: v1::Verdict::Refused.into(),
            refusals: refusals(refused),
            ..v1::Decision::default()
        },
    }
}

/// Every refusal, in the order of the gates.
pub fn refusals(refusals: &[Refusal]) -> Vec<v1::Refusal> {
    let refusal = |refusal: &Refusal| v1::Refusal {
        gate: vocabulary::gate(refusal.reason.gate()).into(),
        reason: vocabulary::reason(refusal.reason).into(),
        explanation: refusal.text.clone(),
        remedy: refusal.remedy.clone(),
    };
    refusals.iter().map(refusal).collect()
}

/// What each gate found, in the order of the gates.
pub fn passes(evidence: &[Evidence]) -> Vec<v1::GatePass> {
    let pass = |evidence: &Evidence| v1::GatePass {
        gate: vocabulary::gate(gate_of(evidence)).into(),
        evidence: sentence(&explain::evidence(evidence)),
        facts: facts(evidence),
    };
    evidence.iter().map(pass).collect()
}

/// The error that tells a caller why a message was refused: every reason as a violated precondition, and the message's id,
/// by which the decision can be read with its types.
pub fn refused(message: MessageId, refusals: &[Refusal]) -> ApiError {
    let reasons: Vec<&str> = refusals.iter().map(|refusal| refusal.reason.as_str()).collect();
    let error = ApiError::new(ErrorCode::MessageRefused)
        .message(format!("the message was refused: {}", reasons.join(", ")))
        .metadata("message_id", message.to_string())
        .metadata("reasons", reasons.join(","));
    refusals.iter().fold(error, |error, refusal| {
        error.precondition(Precondition {
            kind: vocabulary::reason(refusal.reason).as_str_name().to_owned(),
            subject: vocabulary::gate(refusal.reason.gate()).as_str_name().to_owned(),
            description: format!("{} {}", refusal.text, refusal.remedy),
        })
    })
}

/// The gate that found this.
pub const fn gate_of(evidence: &Evidence) -> Gate {
    match evidence {
        Evidence::Number { .. } => Gate::Number,
        Evidence::Template { .. } | Evidence::FreeForm => Gate::Template,
        Evidence::Purpose { .. } => Gate::Purpose,
        Evidence::OptIn { .. } | Evidence::WroteFirst { .. } => Gate::Consent,
        Evidence::NoPlatformStop { .. } => Gate::PlatformStop,
        Evidence::NotSuppressed => Gate::Suppression,
        Evidence::Window { .. } => Gate::Window,
    }
}

/// A clause as a sentence.
fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), letters.as_str())
    })
}

fn facts(evidence: &Evidence) -> BTreeMap<String, String> {
    let facts: Vec<(&str, Option<String>)> = match evidence {
        Evidence::Number {
            number,
            status,
            quality,
            messaging_limit,
            account,
            version,
        } => vec![
            ("number", Some(number.to_string())),
            ("status", Some(status.as_str().to_owned())),
            ("quality", Some(quality.as_str().to_owned())),
            ("messaging_limit", messaging_limit.as_ref().map(ToString::to_string)),
            ("account", Some(account_state(account).to_owned())),
            ("version", Some(version.to_string())),
        ],
        Evidence::Template {
            template,
            status,
            category,
            version,
            asked_language,
        } => vec![
            ("template", Some(template.name.to_string())),
            ("language", Some(template.language.to_string())),
            ("asked_language", asked_language.as_ref().map(ToString::to_string)),
            ("status", Some(status.as_str().to_owned())),
            ("category", Some(category.to_string())),
            ("version", Some(version.to_string())),
        ],
        Evidence::FreeForm | Evidence::NotSuppressed => Vec::new(),
        Evidence::Purpose { purpose, judged_as } => vec![
            ("purpose", purpose.map(|purpose| purpose.to_string())),
            ("judged_as", Some(judged_as.to_string())),
        ],
        Evidence::OptIn {
            category,
            source,
            given_at,
            version,
            contact,
        } => vec![
            ("category", Some(category.to_string())),
            ("source", Some(source.as_str().to_owned())),
            ("given_at", Some(given_at.to_string())),
            ("version", Some(version.to_string())),
            ("contact_id", contact.map(|contact| contact.to_string())),
        ],
        Evidence::WroteFirst { wrote_at } => vec![("wrote_at", Some(wrote_at.to_string()))],
        Evidence::NoPlatformStop { applies } => vec![("applies", Some(applies.to_string()))],
        Evidence::Window { open_until } => vec![("open_until", open_until.map(|until| until.to_string()))],
    };
    let known = facts
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    known.collect()
}

const fn account_state(state: &AccountState) -> &'static str {
    match state {
        AccountState::Active => "active",
        AccountState::BusinessInitiatedRestricted { .. } => "business_initiated_restricted",
        AccountState::UtilityRestricted { .. } => "utility_restricted",
        AccountState::Restricted { .. } => "restricted",
        AccountState::Disabled => "disabled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_domain::{gates::RefusalReason, values::Category};
    use uuid::Uuid;

    #[test]
    fn a_refusal_tells_every_reason_for_machines_and_for_people() {
        let all: Vec<Refusal> = RefusalReason::ALL
            .into_iter()
            .map(|reason| Refusal::new(reason, "No."))
            .collect();
        let error = refused(MessageId::new(Uuid::from_u128(7)), &all);
        assert_eq!(error.code(), ErrorCode::MessageRefused);
        assert_eq!(error.preconditions().len(), all.len());
        assert_eq!(error.preconditions()[10].kind, "REFUSAL_REASON_CONSENT_MISSING");
        assert_eq!(error.preconditions()[10].subject, "GATE_CONSENT");
        assert!(error.text().contains("consent_missing"), "{}", error.text());
        assert_eq!(refusals(&all).len(), all.len());
    }

    #[test]
    fn a_dry_run_says_what_each_gate_found() {
        let at = Timestamp::from_seconds(1_795_363_199);
        let evidence = vec![
            Evidence::FreeForm,
            Evidence::Purpose {
                purpose: None,
                judged_as: Category::Service,
            },
            Evidence::WroteFirst { wrote_at: at },
        ];
        let decision = judgement(
            &Judgement::Authorized {
                category: Category::Service,
                evidence,
            },
            at,
        );
        assert_eq!(decision.verdict(), v1::Verdict::Authorized);
        assert_eq!(decision.category(), v1::MessageCategory::Service);
        let gates: Vec<_> = decision.passes.iter().map(v1::GatePass::gate).collect();
        assert_eq!(gates, [v1::Gate::Template, v1::Gate::Purpose, v1::Gate::Consent]);
        assert_eq!(decision.passes[0].evidence, "No template is needed.");
        assert_eq!(decision.passes[2].facts["wrote_at"], "2026-11-22T15:59:59.000Z");
    }
}
