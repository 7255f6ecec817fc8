//! Recording opt-ins and opt-outs: parsing what a caller says, and writing it under the contact's version.

use super::{Caller, ConsentGrpc, Recording, moment_or_now, render};
use crate::{
    change::{Change, Plan},
    gatherer::unavailable,
    grpc::render::History,
    metrics,
};
use assent_api::{Problems, category, recipient};
use assent_domain::{
    contact::{ContactCommand, ContactRejection},
    events::{ContactEvent, OptInSource, OptOutSource},
    values::{Alias, Category, CategorySet, ProofText},
};
use assent_event_store::{Append, AppendError, DataKey, KeyError, NewEvent, SealAndAppendError};
use assent_proto::v1;
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    log,
    streams::purpose,
};
use assent_sealed::{AliasHash, KeyClass};
use std::{collections::BTreeMap, time::Duration};

/// How often a contact that changes at the same time is read and decided again.
const TRIES_MAX: u32 = 8;

/// When it is worth asking again after that.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// What a call recorded: the contact, whether it was news, and the consent since.
pub(super) type Recorded = (String, bool, Vec<v1::CategoryConsent>);

/// Parses an opt-in.
pub(super) fn opt_in(
    service: &ConsentGrpc,
    caller: &Caller,
    request: v1::RecordOptInRequest,
) -> Result<Recording, ApiError> {
    let mut problems = Problems::new();
    let alias = recipient::parse(request.contact.as_ref(), "contact", &mut problems);
    if request.categories.is_empty() {
        problems.add("categories", "must name at least one category");
    }
    let categories = categories(&request.categories, &mut problems);
    let evidence = request.evidence.unwrap_or_default();
    let source = opt_in_source(evidence.source());
    if source.is_none() {
        problems.add("evidence.source", "must say where the opt-in came from");
    }
    let proof = proof(
        &[
            ("wording", &evidence.wording, 4_096),
            ("language", &evidence.language, 16),
            ("url", &evidence.url, 2_048),
            ("ip_address", &evidence.ip_address, 45),
            ("reference", &evidence.reference, 256),
            ("place", &evidence.place, 64),
        ],
        "evidence",
        &mut problems,
    );
    let given_at = moment_or_now(request.occurred_at.as_ref(), "occurred_at", &mut problems);
    problems.into_result()?;
    let (Some(alias), Some(categories), Some(source)) = (alias, categories, source) else {
        return Err(ApiError::internal("a field was neither parsed nor refused"));
    };
    Ok(Recording {
        named: service.named(&caller.tenant, alias),
        command: ContactCommand::RecordOptIn {
            categories,
            source,
            proof: None,
            given_at,
            at: log::now(),
        },
        proof,
    })
}

/// Parses an opt-out.
pub(super) fn opt_out(
    service: &ConsentGrpc,
    caller: &Caller,
    request: &v1::RecordOptOutRequest,
) -> Result<Recording, ApiError> {
    let mut problems = Problems::new();
    let alias = recipient::parse(request.contact.as_ref(), "contact", &mut problems);
    let categories = if request.categories.is_empty() {
        Some(CategorySet::all())
    } else {
        categories(&request.categories, &mut problems)
    };
    let proof = proof(&[("reference", &request.reference, 256)], "", &mut problems);
    let given_at = moment_or_now(request.occurred_at.as_ref(), "occurred_at", &mut problems);
    let source = match request.source() {
        v1::OptOutSource::Unspecified | v1::OptOutSource::Api => OptOutSource::Api,
        v1::OptOutSource::WebForm => OptOutSource::WebForm,
        v1::OptOutSource::Agent => OptOutSource::Agent,
        v1::OptOutSource::Import => OptOutSource::Import,
    };
    problems.into_result()?;
    let (Some(alias), Some(categories)) = (alias, categories) else {
        return Err(ApiError::internal("a field was neither parsed nor refused"));
    };
    Ok(Recording {
        named: service.named(&caller.tenant, alias),
        command: ContactCommand::RecordOptOut {
            categories,
            source,
            proof: None,
            given_at,
            at: log::now(),
        },
        proof,
    })
}

/// The categories named; service messages need no consent of their own, so none is recorded for them.
fn categories(named: &[i32], problems: &mut Problems) -> Option<CategorySet> {
    let mut parsed = Vec::new();
    for (at, named) in named.iter().enumerate() {
        let field = format!("categories[{at}]");
        match category::parse(*named, &field, problems) {
            Some(Category::Service) => problems.add(field, "is not a category that people agree to"),
            Some(category) => parsed.push(category),
            None if *named == 0 => problems.add(field, "must name a category"),
            None => {}
        }
    }
    CategorySet::try_new(parsed).ok()
}

fn opt_in_source(source: v1::OptInSource) -> Option<OptInSource> {
    match source {
        v1::OptInSource::Unspecified => None,
        v1::OptInSource::WebForm => Some(OptInSource::WebForm),
        v1::OptInSource::Chat => Some(OptInSource::Chat),
        v1::OptInSource::Sms => Some(OptInSource::Sms),
        v1::OptInSource::Phone => Some(OptInSource::Phone),
        v1::OptInSource::InPerson => Some(OptInSource::InPerson),
        v1::OptInSource::InAppSignup => Some(OptInSource::InAppSignup),
        v1::OptInSource::Agent => Some(OptInSource::Agent),
        v1::OptInSource::Import => Some(OptInSource::Import),
    }
}

/// The proof as it is sealed: a JSON object of whatever was given, each at most that many characters. Nothing if nothing was.
fn proof(fields: &[(&str, &str, usize)], parent: &str, problems: &mut Problems) -> Option<ProofText> {
    let mut given = BTreeMap::new();
    for (name, value, chars_max) in fields {
        if value.chars().count() > *chars_max {
            let field = assent_api::problems::path(parent, name);
            problems.add(field, format!("has more than {chars_max} characters"));
        }
        if !value.is_empty() {
            given.insert(*name, *value);
        }
    }
    let json = serde_json::to_string(&given).expect("texts are always written");
    (!given.is_empty()).then_some(ProofText(json))
}

impl ConsentGrpc {
    /// Records it, and returns once that is durable.
    pub(super) async fn record(&self, caller: &Caller, recording: Recording) -> Result<Recorded, ApiError> {
        for _ in 0..TRIES_MAX {
            let (mut plan, mut history) = self.plan(caller, &recording).await?;
            if plan.is_empty() {
                metrics::changed("call", false);
                return Ok(recorded(&plan, false, &history));
            }
            match self.write(caller, &recording, &mut plan).await? {
                Some(events) => {
                    metrics::changed("call", true);
                    history.extend(&mut plan, &events);
                    return Ok(recorded(&plan, true, &history));
                }
                None => metrics::conflict("call"),
            }
        }
        Err(ApiError::new(ErrorCode::Conflict).retry_after(RETRY_AFTER))
    }

    async fn plan(&self, caller: &Caller, recording: &Recording) -> Result<(Plan, History), ApiError> {
        let named = &recording.named;
        let spellings = named.spellings.iter().copied();
        let mut change = Change::of(
            &self.platform,
            &caller.tenant,
            vec![named.alias_ref()],
            spellings,
            log::now(),
        );
        change.commands.push(recording.command.clone());
        let contacts = change.contacts.clone();
        let planned = self
            .gatherer
            .ask(
                caller.shard,
                move |wanted| contacts.iter().for_each(|contact| wanted.contact(*contact)),
                move |facts| {
                    let plan = change.plan(facts)?;
                    let history = History::of(facts, plan.contact);
                    Ok((plan, history))
                },
            )
            .await?;
        planned.map_err(rejected)
    }

    /// Seals and appends; nothing if somebody else changed the contact first, or the outcome has to be looked up.
    async fn write(
        &self,
        caller: &Caller,
        recording: &Recording,
        plan: &mut Plan,
    ) -> Result<Option<Vec<NewEvent>>, ApiError> {
        let Recording { named, proof, .. } = recording;
        let origin = caller.origin();
        let wanted = keys_wanted(plan, named.hash, proof.is_some());
        let mut written = Vec::new();
        let build = |keys: &[DataKey]| -> Result<Append, KeyError> {
            for (key, (_, class)) in keys.iter().zip(&wanted) {
                match (class, proof) {
                    (KeyClass::Identity, _) => seal_alias(plan, named.hash, &named.alias, key)?,
                    (_, Some(proof)) => seal_proof(plan, proof, key)?,
                    (_, None) => {}
                }
            }
            let (append, events) = plan.append(&self.platform, &origin);
            written = events;
            Ok(append)
        };
        let now = time::OffsetDateTime::now_utc();
        let result = self
            .platform
            .keys
            .append_sealed(caller.shard, &wanted, now, build)
            .await;
        match result {
            Ok(_) => Ok(Some(written)),
            // Written or not, reading again tells.
            Err(SealAndAppendError::Append(AppendError::Conflict { .. } | AppendError::OutcomeUnknown { .. })) => {
                Ok(None)
            }
            Err(SealAndAppendError::Append(AppendError::Closed)) => Err(ApiError::new(ErrorCode::ShuttingDown)),
            Err(SealAndAppendError::Keys(error)) if error.is_retryable() => {
                tracing::warn!(%error, "keys could not be had");
                Err(unavailable())
            }
            Err(error) => {
                let source = std::error::Error::source(&error)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                Err(ApiError::internal(format!("{error}: {source}")))
            }
        }
    }
}

fn recorded(plan: &Plan, changed: bool, history: &History) -> Recorded {
    (
        plan.contact.to_string(),
        changed,
        render::consents(&plan.after, history),
    )
}

/// The keys that what is planned has to be sealed with.
fn keys_wanted(plan: &mut Plan, alias: AliasHash, has_proof: bool) -> Vec<(AliasHash, KeyClass)> {
    let mut wanted = Vec::new();
    for event in plan.own_events_mut().into_iter().flatten() {
        match event {
            ContactEvent::AliasBound(bound) if bound.alias.hash == alias => wanted.push((alias, KeyClass::Identity)),
            ContactEvent::OptedIn(_) | ContactEvent::OptedOut(_) if has_proof => wanted.push((alias, KeyClass::Proof)),
            _ => {}
        }
    }
    wanted
}

fn seal_alias(plan: &mut Plan, hash: AliasHash, alias: &Alias, key: &DataKey) -> Result<(), KeyError> {
    for event in plan.own_events_mut().into_iter().flatten() {
        if let ContactEvent::AliasBound(bound) = event
            && bound.alias.hash == hash
        {
            bound.alias.sealed = Some(key.seal(alias, purpose::ALIAS)?);
        }
    }
    Ok(())
}

fn seal_proof(plan: &mut Plan, proof: &ProofText, key: &DataKey) -> Result<(), KeyError> {
    for event in plan.own_events_mut().into_iter().flatten() {
        let place = match event {
            ContactEvent::OptedIn(opted_in) => &mut opted_in.proof,
            ContactEvent::OptedOut(opted_out) => &mut opted_out.proof,
            _ => continue,
        };
        *place = Some(key.seal(proof, purpose::PROOF)?);
    }
    Ok(())
}

fn rejected(rejection: ContactRejection) -> ApiError {
    match &rejection {
        ContactRejection::Withdrawn { categories } => {
            let names: Vec<&str> = categories.iter().map(Category::as_str).collect();
            ApiError::new(ErrorCode::ConsentWithdrawn)
                .message(rejection.to_string())
                .metadata("categories", names.join(","))
        }
        ContactRejection::GivenInTheFuture { .. } => {
            ApiError::new(ErrorCode::InvalidRequest).field("occurred_at", rejection.to_string())
        }
        ContactRejection::MergedInto { .. } | ContactRejection::AlreadyAbsorbed { .. } => ApiError::internal(rejection),
    }
}
