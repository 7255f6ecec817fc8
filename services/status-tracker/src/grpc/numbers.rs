//! `NumberService`.

mod at_meta;

use super::{Ground, Party, page, provider::Provider, query_error};
use assent_api::{Problems, ids, timestamp};
use assent_domain::{
    events::{NumberObserved, NumberStatus, QualityRating},
    values::{PhoneNumberId, Timestamp},
};
use assent_proto::v1::{self, number_service_server::NumberService};
use assent_read_models::quality::{self, NumberChange, OwnCounts};
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    grpc, log,
    tenants::{Number, Scope},
};
use std::collections::{BTreeMap, HashMap};
use tonic::{Request, Response, Status};

/// Our own rates are over this many days, as Meta's colour is.
const DAYS: u32 = 7;

/// The service as tonic calls it.
#[derive(Debug, Clone)]
pub(crate) struct NumberApi {
    pub(crate) ground: Ground,
    pub(crate) provider: Provider,
}

/// What is known of a tenant's numbers.
struct Known {
    observed: HashMap<String, NumberChange>,
    counts: BTreeMap<PhoneNumberId, OwnCounts>,
}

impl NumberApi {
    async fn known(&self, party: &Party) -> Result<Known, ApiError> {
        let store = &self.ground.platform.store;
        let days = quality::window(log::now(), DAYS);
        let (observed, counts) = tokio::try_join!(
            quality::numbers(store, party.shard, &party.tenant.id),
            quality::own_counts(store, party.shard, &party.tenant.id, days),
        )
        .map_err(query_error)?;
        let named = |change: NumberChange| (change.observed.number.as_str().to_owned(), change);
        Ok(Known {
            observed: observed.into_iter().map(named).collect(),
            counts,
        })
    }
}

#[tonic::async_trait]
impl NumberService for NumberApi {
    async fn get_number(
        &self,
        request: Request<v1::GetNumberRequest>,
    ) -> Result<Response<v1::GetNumberResponse>, Status> {
        let party = self.ground.party(&*grpc::require(&request, Scope::Read)?)?;
        let number = own_number(&party, &request.get_ref().phone_number_id)?;
        let known = self.known(&party).await?;
        Ok(Response::new(v1::GetNumberResponse {
            number: Some(known.render(number)),
        }))
    }

    async fn list_numbers(
        &self,
        request: Request<v1::ListNumbersRequest>,
    ) -> Result<Response<v1::ListNumbersResponse>, Status> {
        let party = self.ground.party(&*grpc::require(&request, Scope::Read)?)?;
        let request = request.get_ref();
        let mut problems = Problems::new();
        let page = page(request.page_size, &request.page_token, &mut problems);
        // The token is the last id of the page before.
        let after = page.token.filter(|_| !request.page_token.is_empty());
        if let Some(after) = &after {
            let _known = ids::number(after, "page_token", &mut problems);
        }
        problems.into_result()?;
        let known = self.known(&party).await?;
        let mut numbers: Vec<&Number> = party.tenant.numbers.iter().collect();
        numbers.sort_unstable_by(|a, b| a.phone_number_id.cmp(&b.phone_number_id));
        numbers.retain(|number| after.as_ref().is_none_or(|after| number.phone_number_id > *after));
        let size = page.size as usize;
        let is_more = numbers.len() > size;
        numbers.truncate(size);
        let last = numbers.last().filter(|_| is_more);
        Ok(Response::new(v1::ListNumbersResponse {
            next_page_token: last.map_or_else(String::new, |number| number.phone_number_id.clone()),
            numbers: numbers.into_iter().map(|number| known.render(number)).collect(),
        }))
    }

    async fn get_number_history(
        &self,
        request: Request<v1::GetNumberHistoryRequest>,
    ) -> Result<Response<v1::GetNumberHistoryResponse>, Status> {
        let party = self.ground.party(&*grpc::require(&request, Scope::Read)?)?;
        let request = request.get_ref();
        let mut problems = Problems::new();
        let page = page(request.page_size, &request.page_token, &mut problems);
        let from = timestamp::parse(request.from.as_ref(), "from", &mut problems);
        let until = timestamp::parse(request.until.as_ref(), "until", &mut problems);
        if from.zip(until).is_some_and(|(from, until)| from >= until) {
            problems.add("until", "must be later than `from`");
        }
        problems.into_result()?;
        let number = own_number(&party, &request.phone_number_id)?;
        let number = PhoneNumberId::try_new(&number.phone_number_id).map_err(ApiError::internal)?;
        let store = &self.ground.platform.store;
        let history = quality::history(store, party.shard, &party.tenant.id, &number, (from, until), &page);
        let history = history.await.map_err(query_error)?;
        let changes = history
            .items
            .iter()
            .map(|change| render_change(&change.observed, change.position, change.recorded_at));
        Ok(Response::new(v1::GetNumberHistoryResponse {
            changes: changes.collect(),
            next_page_token: history.next.unwrap_or_default(),
        }))
    }

    async fn get_business_profile(
        &self,
        request: Request<v1::GetBusinessProfileRequest>,
    ) -> Result<Response<v1::GetBusinessProfileResponse>, Status> {
        let party = self.ground.party(&*grpc::require(&request, Scope::Read)?)?;
        let profile = at_meta::profile(&self.provider, &party, &request.get_ref().phone_number_id).await?;
        Ok(Response::new(v1::GetBusinessProfileResponse { profile: Some(profile) }))
    }

    async fn update_business_profile(
        &self,
        request: Request<v1::UpdateBusinessProfileRequest>,
    ) -> Result<Response<v1::UpdateBusinessProfileResponse>, Status> {
        let party = self.ground.party(&*grpc::require(&request, Scope::Admin)?)?;
        at_meta::update_profile(&self.provider, &party, request.get_ref()).await?;
        Ok(Response::new(v1::UpdateBusinessProfileResponse {}))
    }

    async fn list_blocked_users(
        &self,
        request: Request<v1::ListBlockedUsersRequest>,
    ) -> Result<Response<v1::ListBlockedUsersResponse>, Status> {
        let party = self.ground.party(&*grpc::require(&request, Scope::Read)?)?;
        let listed = at_meta::blocked(&self.provider, &party, request.get_ref()).await?;
        Ok(Response::new(listed))
    }

    async fn block_users(
        &self,
        request: Request<v1::BlockUsersRequest>,
    ) -> Result<Response<v1::BlockUsersResponse>, Status> {
        let party = self.ground.party(&*grpc::require(&request, Scope::Admin)?)?;
        let request = request.get_ref();
        let (id, users) = (&request.phone_number_id, &request.users);
        let outcomes = at_meta::change_blocks(&self.provider, &party, at_meta::Wish::Block, id, users).await?;
        Ok(Response::new(v1::BlockUsersResponse { outcomes }))
    }

    async fn unblock_users(
        &self,
        request: Request<v1::UnblockUsersRequest>,
    ) -> Result<Response<v1::UnblockUsersResponse>, Status> {
        let party = self.ground.party(&*grpc::require(&request, Scope::Admin)?)?;
        let request = request.get_ref();
        let (id, users) = (&request.phone_number_id, &request.users);
        let outcomes = at_meta::change_blocks(&self.provider, &party, at_meta::Wish::Unblock, id, users).await?;
        Ok(Response::new(v1::UnblockUsersResponse { outcomes }))
    }

    async fn get_callback_subscription(
        &self,
        request: Request<v1::GetCallbackSubscriptionRequest>,
    ) -> Result<Response<v1::GetCallbackSubscriptionResponse>, Status> {
        let party = self.ground.party(&*grpc::require(&request, Scope::Read)?)?;
        let callbacks = at_meta::callbacks(&self.provider, &party, &request.get_ref().phone_number_id).await?;
        Ok(Response::new(callbacks))
    }

    async fn mark_read(&self, request: Request<v1::MarkReadRequest>) -> Result<Response<v1::MarkReadResponse>, Status> {
        let party = self.ground.party(&*grpc::require(&request, Scope::Send)?)?;
        at_meta::mark_read(&self.provider, &party, request.get_ref()).await?;
        Ok(Response::new(v1::MarkReadResponse {}))
    }
}

/// A number of the caller's; another tenant's is unknown.
fn own_number<'a>(party: &'a Party, id: &str) -> Result<&'a Number, ApiError> {
    let number = party.tenant.numbers.iter().find(|number| number.phone_number_id == id);
    number.ok_or_else(|| ApiError::new(ErrorCode::NumberUnknown))
}

impl Known {
    fn render(&self, number: &Number) -> v1::Number {
        let id = &number.phone_number_id;
        let mut rendered = v1::Number {
            phone_number_id: id.clone(),
            waba_id: number.waba_id.clone(),
            display_phone_number: number.display.clone(),
            ..v1::Number::default()
        };
        let counts = PhoneNumberId::try_new(id).ok().and_then(|id| self.counts.get(&id));
        rendered.own_rates = Some(counts.map_or_else(v1::OwnRates::default, |counts| self.rates(counts)));
        if let Some(change) = self.observed.get(id) {
            let seen = &change.observed;
            let (limit, unlimited) = limit_of(seen);
            rendered.state = state_of(seen.status).into();
            rendered.provider_status = seen.status.as_str().to_ascii_uppercase();
            rendered.quality_rating = quality_of(seen.quality).into();
            rendered.limit_people_per_day = limit;
            rendered.limit_unlimited = unlimited;
            rendered.throughput_per_second = throughput_of(seen);
            rendered.changed_at = Some(timestamp::render(seen.observed_at));
        }
        rendered
    }

    fn rates(&self, counts: &OwnCounts) -> v1::OwnRates {
        let taken_by_all: u64 = self.counts.values().map(|counts| counts.taken).sum();
        v1::OwnRates {
            sent: counts.taken,
            failure_rate: counts.share(counts.failed),
            read_rate: counts.share(counts.read),
            opt_out_rate: if taken_by_all == 0 {
                0.0
            } else {
                counts.tenant_opt_outs as f64 / taken_by_all as f64
            },
        }
    }
}

/// A look at a number as the contract has it.
pub(crate) fn render_change(seen: &NumberObserved, position: u64, recorded_at: Timestamp) -> v1::NumberChange {
    let (limit, unlimited) = limit_of(seen);
    let limit_text = seen
        .messaging_limit
        .as_ref()
        .map(|limit| format!(", messaging limit {limit}"));
    v1::NumberChange {
        position,
        recorded_at: Some(timestamp::render(recorded_at)),
        state: state_of(seen.status).into(),
        quality_rating: quality_of(seen.quality).into(),
        limit_people_per_day: limit,
        limit_unlimited: unlimited,
        summary: format!(
            "The number is {}, its quality {}{}.",
            seen.status.as_str(),
            seen.quality.as_str(),
            limit_text.unwrap_or_default()
        ),
    }
}

fn state_of(status: NumberStatus) -> v1::NumberState {
    match status {
        NumberStatus::Connected => v1::NumberState::Connected,
        NumberStatus::Flagged => v1::NumberState::Flagged,
        NumberStatus::Restricted | NumberStatus::RateLimited => v1::NumberState::Restricted,
        NumberStatus::Banned => v1::NumberState::Banned,
        NumberStatus::Pending
        | NumberStatus::Offline
        | NumberStatus::Unverified
        | NumberStatus::Disconnected
        | NumberStatus::Migrated
        | NumberStatus::Deleted => v1::NumberState::NotReady,
        NumberStatus::Unknown => v1::NumberState::Unspecified,
    }
}

fn quality_of(quality: QualityRating) -> v1::QualityRating {
    match quality {
        QualityRating::Green => v1::QualityRating::Green,
        QualityRating::Yellow => v1::QualityRating::Yellow,
        QualityRating::Red => v1::QualityRating::Red,
        QualityRating::Unknown => v1::QualityRating::Unknown,
    }
}

/// Meta's word as people a day: `TIER_250`, `TIER_2K`, `TIER_UNLIMITED`. A word we do not know is no number.
fn limit_of(seen: &NumberObserved) -> (u64, bool) {
    let word = seen.messaging_limit.as_ref().map(assent_domain::values::Term::as_str);
    let tier = word.map(|word| word.strip_prefix("TIER_").unwrap_or(word));
    match tier {
        Some("UNLIMITED") => (0, true),
        Some(tier) => {
            let (digits, factor) = tier.strip_suffix('K').map_or((tier, 1), |digits| (digits, 1_000));
            (
                digits.parse::<u64>().map_or(0, |limit| limit.saturating_mul(factor)),
                false,
            )
        }
        None => (0, false),
    }
}

/// Messages a second by Meta's level. Source: Cloud API, "Throughput".
fn throughput_of(seen: &NumberObserved) -> u32 {
    match seen.throughput.as_ref().map(assent_domain::values::Term::as_str) {
        Some("STANDARD") => 80,
        Some("HIGH") => 1_000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_domain::{
        events::ObservedFrom,
        values::{TenantId, Term, WabaId},
    };

    #[test]
    fn metas_tiers_are_read_as_people_a_day() {
        let with = |tier: Option<&str>| NumberObserved {
            tenant: TenantId::try_new("acme").unwrap(),
            number: PhoneNumberId::try_new("1").unwrap(),
            waba: WabaId::try_new("2").unwrap(),
            status: NumberStatus::Connected,
            quality: QualityRating::Green,
            messaging_limit: tier.map(Term::from_provider),
            throughput: None,
            name_status: None,
            observed_from: ObservedFrom::Poll,
            observed_at: Timestamp::from_seconds(1),
        };
        assert_eq!(limit_of(&with(Some("TIER_250"))), (250, false));
        assert_eq!(limit_of(&with(Some("TIER_2K"))), (2_000, false));
        assert_eq!(limit_of(&with(Some("TIER_UNLIMITED"))), (0, true));
        assert_eq!(limit_of(&with(Some("TIER_NEW"))), (0, false));
        assert_eq!(limit_of(&with(None)), (0, false));
    }
}
