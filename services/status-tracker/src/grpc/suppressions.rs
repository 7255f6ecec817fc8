//! `SuppressionService`.

use super::{Ground, Party, page, query_error, read_error, unavailable};
use crate::suppression::conclude::{SuppressError, Wish, settle};
use assent_api::{Problems, ids, recipient, timestamp};
use assent_domain::{
    suppression::SuppressionCommand,
    values::{Actor, Category, ContactId, Term},
};
use assent_event_store::AppendError;
use assent_proto::v1::{self, suppression_service_server::SuppressionService};
use assent_read_models::blocked::{self, Blocked, Evidence, Filter, Reason};
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    grpc, log,
    tenants::Scope,
};
use std::collections::BTreeSet;
use tonic::{Request, Response, Status};

/// The service as tonic calls it.
#[derive(Debug, Clone)]
pub(crate) struct SuppressionApi(pub(crate) Ground);

impl SuppressionApi {
    /// The contacts that a person named by an alias or an id may be, those that go on for merged ones. Another tenant's are
    /// left out.
    async fn contacts(&self, party: &Party, named: Named) -> Result<Vec<ContactId>, ApiError> {
        let platform = &self.0.platform;
        let named: Vec<ContactId> = match named {
            Named::Id(contact) => vec![contact],
            Named::Alias(alias) => {
                let tenant = party.tenant.id.as_str();
                let candidates = recipient::candidates(&alias);
                let id = |alias| platform.contact_id(tenant, platform.alias_hash(tenant, alias));
                candidates.iter().map(id).collect()
            }
        };
        let facts = platform.facts(party.shard, |wanted| {
            for contact in &named {
                wanted.contact(*contact);
            }
        });
        let facts = facts.await.map_err(read_error)?;
        let is_ours = |contact: &ContactId| {
            let events = facts.events(assent_runtime::streams::Subject::Contact(*contact));
            !events.is_empty()
                && events
                    .iter()
                    .all(|event| log::tenant_of(event).as_ref() == Some(&party.tenant.id))
        };
        let survivors = named
            .iter()
            .map(|contact| facts.survivor(*contact).0)
            .collect::<BTreeSet<_>>();
        Ok(survivors.into_iter().filter(is_ours).collect())
    }

    /// Everything that speaks or spoke against writing to these contacts.
    async fn blocked(&self, party: &Party, contacts: &[ContactId]) -> Result<Vec<v1::Suppression>, ApiError> {
        let mut found = Vec::new();
        for contact in contacts {
            let blocked = blocked::of(&self.0.platform.store, party.shard, *contact).await;
            found.extend(blocked.map_err(query_error)?);
        }
        found.retain(|blocked| blocked.tenant == party.tenant.id);
        found.sort_by_key(|blocked| blocked.ended_at.is_some());
        Ok(found.iter().map(render).collect())
    }
}

/// How a person is named.
enum Named {
    Id(ContactId),
    Alias(assent_domain::values::Alias),
}

#[tonic::async_trait]
impl SuppressionService for SuppressionApi {
    async fn list_suppressions(
        &self,
        request: Request<v1::ListSuppressionsRequest>,
    ) -> Result<Response<v1::ListSuppressionsResponse>, Status> {
        let party = self.0.party(&*grpc::require(&request, Scope::Read)?)?;
        let request = request.get_ref();
        let mut problems = Problems::new();
        let page = page(request.page_size, &request.page_token, &mut problems);
        let mut reasons = Vec::new();
        for (index, reason) in request.reasons.iter().enumerate() {
            match v1::SuppressionReason::try_from(*reason) {
                Ok(v1::SuppressionReason::Undeliverable) => reasons.push(Reason::Undeliverable),
                Ok(v1::SuppressionReason::SuspectedBlocked) => reasons.push(Reason::SuspectedBlocked),
                Ok(v1::SuppressionReason::PlatformStopped) => reasons.push(Reason::PlatformStopped),
                Ok(v1::SuppressionReason::OptedOut) => reasons.extend(Category::ALL.map(Reason::OptedOut)),
                Ok(v1::SuppressionReason::Unspecified) | Err(_) => {
                    problems.add(format!("reasons[{index}]"), "is not one of the reasons");
                }
            }
        }
        problems.into_result()?;
        let filter = Filter {
            reasons,
            include_ended: request.include_inactive,
        };
        let store = &self.0.platform.store;
        let listed = blocked::list(store, party.shard, &party.tenant.id, &filter, &page).await;
        let listed = listed.map_err(query_error)?;
        Ok(Response::new(v1::ListSuppressionsResponse {
            suppressions: listed.items.iter().map(render).collect(),
            next_page_token: listed.next.unwrap_or_default(),
        }))
    }

    async fn get_suppression(
        &self,
        request: Request<v1::GetSuppressionRequest>,
    ) -> Result<Response<v1::GetSuppressionResponse>, Status> {
        use v1::get_suppression_request::Key;
        let party = self.0.party(&*grpc::require(&request, Scope::Read)?)?;
        let named = match &request.get_ref().key {
            Some(Key::Contact(contact)) => by_alias(Some(contact))?,
            Some(Key::ContactId(id)) => by_id(id)?,
            None => return Err(nobody_named().into()),
        };
        let contacts = self.contacts(&party, named).await?;
        let suppressions = self.blocked(&party, &contacts).await?;
        if suppressions.is_empty() {
            return Err(ApiError::new(ErrorCode::SuppressionUnknown).into());
        }
        Ok(Response::new(v1::GetSuppressionResponse { suppressions }))
    }

    async fn lift_suppression(
        &self,
        request: Request<v1::LiftSuppressionRequest>,
    ) -> Result<Response<v1::LiftSuppressionResponse>, Status> {
        use v1::lift_suppression_request::Key;
        let principal = grpc::require(&request, Scope::Admin)?;
        let party = self.0.party(&principal)?;
        let named = match &request.get_ref().key {
            Some(Key::Contact(contact)) => by_alias(Some(contact))?,
            Some(Key::ContactId(id)) => by_id(id)?,
            None => return Err(nobody_named().into()),
        };
        let contacts = self.contacts(&party, named).await?;
        if contacts.is_empty() {
            return Err(ApiError::new(ErrorCode::SuppressionUnknown).into());
        }
        let wish = |contact: &ContactId| Wish {
            contact: *contact,
            tenant: party.tenant.id.clone(),
            command: SuppressionCommand::Lift {
                tenant: party.tenant.id.clone(),
                now: log::now(),
            },
            cause: None,
            actor: Actor::ApiKey(Term::from_provider(principal.key.as_str())),
        };
        let wishes = contacts.iter().map(wish).collect();
        // To its end even if the caller hangs up.
        let (platform, shard) = (self.0.platform.clone(), party.shard);
        let settling = tokio::spawn(async move { settle(&platform, shard, wishes).await });
        let settled = settling.await.map_err(ApiError::internal)?.map_err(suppress_error)?;
        let changed = settled.values().any(|settled| settled.changed);
        let suppressions = self.blocked(&party, &contacts).await?;
        Ok(Response::new(v1::LiftSuppressionResponse { changed, suppressions }))
    }
}

fn by_alias(contact: Option<&v1::Recipient>) -> Result<Named, ApiError> {
    let mut problems = Problems::new();
    let alias = recipient::parse(contact, "contact", &mut problems);
    alias.map(Named::Alias).ok_or_else(|| problems.into_error())
}

fn by_id(id: &str) -> Result<Named, ApiError> {
    let mut problems = Problems::new();
    let contact = ids::contact(id, "contact_id", &mut problems);
    contact.map(Named::Id).ok_or_else(|| problems.into_error())
}

fn nobody_named() -> ApiError {
    let mut problems = Problems::new();
    problems.add("contact", "either this or contact_id must be given");
    problems.into_error()
}

fn suppress_error(error: SuppressError) -> ApiError {
    match error {
        SuppressError::Read(error) => read_error(error),
        SuppressError::Append(AppendError::OutcomeUnknown { .. }) => unavailable(),
        SuppressError::Append(AppendError::Closed) => ApiError::new(ErrorCode::ShuttingDown),
        SuppressError::Contended => ApiError::new(ErrorCode::Conflict),
        SuppressError::Append(error) => ApiError::internal(error),
    }
}

fn render(blocked: &Blocked) -> v1::Suppression {
    let (reason, category) = match blocked.reason {
        Reason::Undeliverable => (v1::SuppressionReason::Undeliverable, None),
        Reason::SuspectedBlocked => (v1::SuppressionReason::SuspectedBlocked, None),
        Reason::OptedOut(category) => (v1::SuppressionReason::OptedOut, Some(category)),
        Reason::PlatformStopped => (v1::SuppressionReason::PlatformStopped, None),
    };
    v1::Suppression {
        contact_id: blocked.contact.to_string(),
        reason: reason.into(),
        active: blocked.ended_at.is_none(),
        category: assent_api::category::render_option(category),
        since: Some(timestamp::render(blocked.since)),
        ended_at: blocked.ended_at.map(timestamp::render),
        evidence: blocked.evidence.iter().map(render_evidence).collect(),
    }
}

fn render_evidence(evidence: &Evidence) -> v1::SuppressionEvidence {
    let said = &evidence.said;
    v1::SuppressionEvidence {
        position: evidence.position,
        recorded_at: Some(timestamp::render(evidence.recorded_at)),
        message_id: said.message.map(|message| message.to_string()).unwrap_or_default(),
        provider_code: said.code.and_then(|code| i32::try_from(code).ok()).unwrap_or_default(),
        summary: summary(evidence),
    }
}

fn summary(evidence: &Evidence) -> String {
    let said = &evidence.said;
    let source = said.source.as_deref().unwrap_or("an unknown source");
    match (said.event.as_str(), said.code, said.sent_without_delivery) {
        ("suppression.undeliverable", Some(code), _) => {
            format!(
                "Meta said at {} that the person cannot be reached (error {code}).",
                said.at
            )
        }
        ("suppression.suspected_blocked", _, Some(count)) => {
            let first = said.moments.first().map(|at| format!(" from {at}")).unwrap_or_default();
            format!("{count} messages in a row{first} were sent and none was delivered.")
        }
        ("suppression.lifted", ..) => format!("It was lifted at {}: {source}.", said.at),
        ("contact.opted_out", ..) => format!("The person withdrew at {} by {source}.", said.at),
        ("contact.opted_in", ..) => format!("The person agreed at {} by {source}.", said.at),
        (event, ..) => format!("{event} at {}.", said.at),
    }
}
