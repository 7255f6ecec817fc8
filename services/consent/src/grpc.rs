//! `ConsentService`: translates, delegates, answers. Rules are elsewhere.

mod contact;
mod record;
mod render;

use crate::{
    Config,
    gatherer::Gatherer,
    judging::{Folded, Known, Question},
    views::Views,
};
use assent_api::{Problems, category, content, decision, ids, recipient, timestamp};
use assent_domain::{
    contact::ContactCommand,
    values::{Actor, Alias, AliasRef, ContactId, TenantId, Term},
};
use assent_event_store::ShardId;
use assent_proto::v1::{
    CheckMessageRequest, CheckMessageResponse, Content, ContentWarning, EraseContactRequest, EraseContactResponse,
    GetContactRequest, GetContactResponse, RecordOptInRequest, RecordOptInResponse, RecordOptOutRequest,
    RecordOptOutResponse, Verdict, consent_service_server::ConsentService,
};
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    grpc::{principal, require},
    log::{self, Origin},
    platform::Platform,
    tenants::{Principal, Scope},
};
use assent_sealed::AliasHash;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Request, Response, Status};

/// When it is worth asking again while too many calls are in flight.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Answers `ConsentService`. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ConsentGrpc {
    platform: Platform,
    gatherer: Gatherer,
    views: Views,
    in_flight: Arc<Semaphore>,
    in_flight_max: usize,
}

/// On whose behalf a call is handled.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    tenant: TenantId,
    shard: ShardId,
    actor: Actor,
}

/// A person as a call names them.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    alias: Alias,
    hash: AliasHash,
    /// Hashes of the other spellings.
    spellings: Vec<AliasHash>,
}

impl Named {
    /// The name as it is bound, not sealed yet.
    fn alias_ref(&self) -> AliasRef {
        AliasRef {
            hash: self.hash,
            kind: self.alias.kind(),
            sealed: None,
        }
    }

    fn candidates(&self) -> impl Iterator<Item = AliasHash> + '_ {
        std::iter::once(self.hash).chain(self.spellings.iter().copied())
    }
}

impl ConsentGrpc {
    pub(crate) fn new(platform: Platform, gatherer: Gatherer, views: Views, config: &Config) -> Self {
        Self {
            platform,
            gatherer,
            views,
            in_flight: Arc::new(Semaphore::new(config.calls_in_flight_max)),
            in_flight_max: config.calls_in_flight_max,
        }
    }

    fn admit(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.in_flight).try_acquire_owned().map_err(|_| {
            ApiError::new(ErrorCode::Overloaded)
                .metadata("limit", "calls_in_flight")
                .message(format!(
                    "{} calls are in flight; nothing was recorded",
                    self.in_flight_max
                ))
                .retry_after(RETRY_AFTER)
        })
    }

    fn caller(&self, principal: &Principal) -> Result<Caller, ApiError> {
        let tenants = self.platform.tenants.tenants();
        // The key was good a moment ago; its tenant may have left the file since.
        let tenant = tenants
            .by_id(&principal.tenant)
            .ok_or_else(|| ApiError::new(ErrorCode::ApiKeyInvalid))?;
        let key = Term::try_new(principal.key.as_str()).map_err(ApiError::internal)?;
        Ok(Caller {
            tenant: tenant.id.clone(),
            shard: self.platform.shard_of(tenant),
            actor: Actor::ApiKey(key),
        })
    }

    fn named(&self, tenant: &TenantId, alias: Alias) -> Named {
        let hash = |alias: &Alias| self.platform.alias_hash(tenant.as_str(), alias);
        let candidates = recipient::candidates(&alias);
        Named {
            hash: hash(&alias),
            spellings: candidates.iter().skip(1).map(hash).collect(),
            alias,
        }
    }

    async fn check(&self, caller: &Caller, request: CheckMessageRequest) -> Result<CheckMessageResponse, ApiError> {
        let mut problems = Problems::new();
        let sender = ids::number(&request.from, "from", &mut problems);
        let to = recipient::parse(request.to.as_ref(), "to", &mut problems);
        let content = content::parse(request.content.as_ref(), "content", &mut problems);
        let purpose = category::parse(request.category, "category", &mut problems);
        problems.into_result()?;
        let (Some(sender), Some(to), Some(content)) = (sender, to, content) else {
            return Err(ApiError::internal("a field was neither parsed nor refused"));
        };
        let tenants = self.platform.tenants.tenants();
        let is_own = tenants
            .by_phone_number_id(sender.as_str())
            .is_some_and(|(owner, _)| owner.id == caller.tenant);
        if !is_own {
            return Err(ApiError::new(ErrorCode::NumberUnknown));
        }
        let warnings = self
            .warnings(caller, request.content.as_ref(), &content.content)
            .await?;
        let template = content.content.template().cloned();
        let named = self.named(&caller.tenant, to);
        let question = Arc::new(Question::new(
            &self.platform,
            &tenants,
            &caller.tenant,
            sender,
            named.candidates(),
            template,
            purpose,
        ));
        let (wanted, read) = (Arc::clone(&question), Arc::clone(&question));
        let known = self
            .gatherer
            .ask(
                caller.shard,
                move |want| wanted.want(want),
                move |facts| Known::of(&read, facts, &mut Folded::default()),
            )
            .await?;
        let mut problems = Problems::new();
        known.check_fit(&content.content, &named.alias, &mut problems);
        problems.into_result()?;
        let seen = self
            .views
            .seen(known.aliases())
            .await
            .map_err(|error| store_error(&error))?;
        let now = log::now();
        let verdict = known.judge(&question, &seen, now);
        let mut decision = decision::judgement(&verdict.judgement, now);
        if verdict.is_known {
            decision.contact_id = verdict.contact.to_string();
        }
        Ok(CheckMessageResponse {
            allowed: decision.verdict() == Verdict::Authorized,
            decision: Some(decision),
            warnings,
        })
    }

    /// What WhatsApp would take of a message, but the person may not see as it was meant.
    async fn warnings(
        &self,
        caller: &Caller,
        given: Option<&Content>,
        parsed: &content::ParsedContent,
    ) -> Result<Vec<ContentWarning>, ApiError> {
        let mut warnings = given.map_or_else(Vec::new, |given| content::warnings(given, "content"));
        for missing in parsed.missing_wa_ids() {
            let tenant = caller.tenant.as_str();
            let known = self.platform.known_wa_id(tenant, caller.shard, &missing.names);
            let known = known.await.map_err(|error| {
                tracing::warn!(%error, "the log did not answer");
                crate::gatherer::unavailable()
            })?;
            // A known one is filled in when the message is sent.
            if known.is_none() {
                warnings.push(content::can_only_invite("content", &missing.path()));
            }
        }
        Ok(warnings)
    }
}

/// Runs to its end even if the caller hangs up: what was begun is recorded, and the answer is the same when asked again.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<Response<T>, Status> {
    let span = tracing::Span::current();
    let done = tokio::spawn(tracing::Instrument::instrument(work, span)).await;
    Ok(Response::new(done.map_err(ApiError::internal)??))
}

/// The database did not answer a query of a call.
fn store_error(error: &sqlx::Error) -> ApiError {
    tracing::warn!(%error, "the read model did not answer");
    crate::gatherer::unavailable()
}

#[tonic::async_trait]
impl ConsentService for ConsentGrpc {
    async fn record_opt_in(
        &self,
        request: Request<RecordOptInRequest>,
    ) -> Result<Response<RecordOptInResponse>, Status> {
        let caller = self.caller(&*require(&request, Scope::Consent)?)?;
        let permit = self.admit()?;
        let service = self.clone();
        to_the_end(async move {
            let _permit = permit;
            let recording = record::opt_in(&service, &caller, request.into_inner())?;
            let (contact_id, changed, consents) = service.record(&caller, recording).await?;
            Ok(RecordOptInResponse {
                contact_id,
                changed,
                consents,
            })
        })
        .await
    }

    async fn record_opt_out(
        &self,
        request: Request<RecordOptOutRequest>,
    ) -> Result<Response<RecordOptOutResponse>, Status> {
        let caller = self.caller(&*require(&request, Scope::Consent)?)?;
        let service = self.clone();
        to_the_end(async move {
            let recording = record::opt_out(&service, &caller, request.get_ref())?;
            let (contact_id, changed, consents) = service.record(&caller, recording).await?;
            Ok(RecordOptOutResponse {
                contact_id,
                changed,
                consents,
            })
        })
        .await
    }

    async fn get_contact(&self, request: Request<GetContactRequest>) -> Result<Response<GetContactResponse>, Status> {
        let caller = self.caller(&*require(&request, Scope::Read)?)?;
        let _permit = self.admit()?;
        let contact = self.contact(&caller, request.into_inner()).await?;
        Ok(Response::new(GetContactResponse { contact: Some(contact) }))
    }

    async fn check_message(
        &self,
        request: Request<CheckMessageRequest>,
    ) -> Result<Response<CheckMessageResponse>, Status> {
        let principal = principal(&request)?;
        // Whoever may send may also ask whether it would be let through.
        principal
            .require(Scope::Send)
            .or_else(|_| principal.require(Scope::Read))?;
        let caller = self.caller(&principal)?;
        let _permit = self.admit()?;
        Ok(Response::new(self.check(&caller, request.into_inner()).await?))
    }

    async fn erase_contact(
        &self,
        request: Request<EraseContactRequest>,
    ) -> Result<Response<EraseContactResponse>, Status> {
        let caller = self.caller(&*require(&request, Scope::Admin)?)?;
        let service = self.clone();
        to_the_end(async move { service.erase(&caller, request.into_inner()).await }).await
    }
}

impl Caller {
    fn origin(&self) -> Origin {
        Origin::of(self.tenant.clone(), self.actor.clone())
    }
}

/// What a call wants recorded of a person.
pub(crate) struct Recording {
    named: Named,
    command: ContactCommand,
    /// How it can be proved, in the clear.
    proof: Option<assent_domain::values::ProofText>,
}

/// The contact that a call names by our id or by an alias.
pub(crate) enum Key {
    Id(ContactId),
    Named(Named),
}

/// The moment given, or now.
fn moment_or_now(
    given: Option<&prost_types::Timestamp>,
    field: &str,
    problems: &mut Problems,
) -> assent_domain::values::Timestamp {
    let now = log::now();
    let moment = timestamp::parse(given, field, problems).unwrap_or(now);
    if moment.since(now) > assent_domain::contact::CLOCK_SKEW_MAX {
        problems.add(field, "lies in the future");
    }
    moment
}
