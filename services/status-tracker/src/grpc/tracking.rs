//! `TrackingService`.

use super::{Ground, query_error};
use assent_api::{Problems, category, ids, timestamp};
use assent_domain::{
    gates::RefusalReason,
    values::{TemplateName, Term},
};
use assent_proto::v1::{self, tracking_service_server::TrackingService};
use assent_read_models::{RebuildError, Rebuilding, View, funnel};
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    grpc,
    tenants::Scope,
};
use futures::{Stream, StreamExt as _, stream::BoxStream};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

/// The service as tonic calls it.
#[derive(Debug, Clone)]
pub(crate) struct TrackingApi(pub(crate) Ground);

#[tonic::async_trait]
impl TrackingService for TrackingApi {
    async fn get_funnel(
        &self,
        request: Request<v1::GetFunnelRequest>,
    ) -> Result<Response<v1::GetFunnelResponse>, Status> {
        let party = self.0.party(&*grpc::require(&request, Scope::Read)?)?;
        let filter = filter(request.get_ref())?;
        let ground = &self.0;
        // The position first: what is counted is at least as far.
        let as_of = ground.views.position(party.shard).await.map_err(query_error)?;
        let counted = funnel::of(&ground.platform.store, party.shard, &party.tenant.id, &filter).await;
        let mut response = render(&counted.map_err(query_error)?);
        response.as_of_position = as_of.position;
        response.as_of = (as_of.position > 0).then(|| timestamp::render(as_of.recorded_at));
        Ok(Response::new(response))
    }

    type RebuildStream = BoxStream<'static, Result<v1::RebuildResponse, Status>>;

    async fn rebuild(&self, request: Request<v1::RebuildRequest>) -> Result<Response<Self::RebuildStream>, Status> {
        grpc::require(&request, Scope::Admin)?;
        let mut problems = Problems::new();
        let mut views = Vec::new();
        for (index, view) in request.get_ref().views.iter().enumerate() {
            match parse_view(*view) {
                Some(view) => views.push(view),
                None => problems.add(format!("views[{index}]"), "is not one of the views"),
            }
        }
        problems.into_result()?;
        if views.is_empty() {
            views.extend(View::ALL);
        }
        Ok(Response::new(rebuild(self.0.clone(), views).boxed()))
    }

    async fn get_digest(
        &self,
        request: Request<v1::GetDigestRequest>,
    ) -> Result<Response<v1::GetDigestResponse>, Status> {
        grpc::require(&request, Scope::Admin)?;
        let mut problems = Problems::new();
        let Some(view) = parse_view(request.get_ref().view) else {
            problems.add("view", "is not one of the views");
            return Err(problems.into_error().into());
        };
        let (mut sha256, mut positions) = (Vec::new(), Vec::new());
        for shard in self.0.platform.store.shards() {
            let position = self.0.views.position(shard).await.map_err(query_error)?;
            let digest = self.0.views.digest(shard, view).await.map_err(query_error)?;
            positions.push(position.position);
            sha256.push(hex(&digest));
        }
        Ok(Response::new(v1::GetDigestResponse { sha256, positions }))
    }
}

/// Rebuilds while somebody listens: first where it stands now and then, at last that it is done or why not.
fn rebuild(ground: Ground, views: Vec<View>) -> impl Stream<Item = Result<v1::RebuildResponse, Status>> + Send {
    let (tell, told) = watch::channel(Rebuilding { done: 0, total: 0 });
    let rebuilding = async move {
        let progress = move |now: Rebuilding| {
            tell.send_replace(now);
        };
        ground.views.rebuild(&views, progress).await
    };
    let start = (Box::pin(rebuilding), told, false);
    futures::stream::unfold(start, |(mut rebuilding, mut told, is_over)| async move {
        if is_over {
            return None;
        }
        tokio::select! {
            biased;
            outcome = &mut rebuilding => {
                let last = *told.borrow();
                let answer = match outcome {
                    Ok(()) => Ok(progress(last, true)),
                    Err(error) => Err(rebuild_error(error).into()),
                };
                Some((answer, (rebuilding, told, true)))
            }
            Ok(()) = told.changed() => {
                let now = *told.borrow_and_update();
                Some((Ok(progress(now, false)), (rebuilding, told, false)))
            }
        }
    })
}

fn progress(now: Rebuilding, done: bool) -> v1::RebuildResponse {
    v1::RebuildResponse {
        events_done: now.done,
        events_total: now.total,
        done,
    }
}

fn rebuild_error(error: RebuildError) -> ApiError {
    match error {
        error @ (RebuildError::Busy { .. } | RebuildError::Superseded { .. }) => {
            ApiError::new(ErrorCode::Conflict).message(error.to_string())
        }
        error @ RebuildError::Views(_) => ApiError::internal(error),
    }
}

fn parse_view(view: i32) -> Option<View> {
    match v1::View::try_from(view).ok()? {
        v1::View::Messages => Some(View::Messages),
        v1::View::Funnel => Some(View::Funnel),
        v1::View::Quality => Some(View::Quality),
        v1::View::Blocked => Some(View::Blocked),
        v1::View::Unspecified => None,
    }
}

fn filter(request: &v1::GetFunnelRequest) -> Result<funnel::Filter, ApiError> {
    let mut problems = Problems::new();
    let given = |text: &str| !text.is_empty();
    let filter = funnel::Filter {
        accepted_from: timestamp::parse(request.accepted_from.as_ref(), "accepted_from", &mut problems),
        accepted_until: timestamp::parse(request.accepted_until.as_ref(), "accepted_until", &mut problems),
        sender: given(&request.from)
            .then(|| ids::number(&request.from, "from", &mut problems))
            .flatten(),
        template: given(&request.template_name)
            .then(|| problems.keep("template_name", TemplateName::try_new(&request.template_name)))
            .flatten(),
        campaign: given(&request.campaign)
            .then(|| problems.keep("campaign", Term::try_new(&request.campaign)))
            .flatten(),
        category: category::parse(request.category, "category", &mut problems),
    };
    if filter
        .accepted_from
        .zip(filter.accepted_until)
        .is_some_and(|(from, until)| from >= until)
    {
        problems.add("accepted_until", "must be later than `accepted_from`");
    }
    problems.into_result()?;
    Ok(filter)
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn render(counted: &funnel::Funnel) -> v1::GetFunnelResponse {
    let refusals = counted.refused_by_reason.iter().filter_map(|(reason, messages)| {
        let reason = RefusalReason::ALL.into_iter().find(|known| known.as_str() == reason)?;
        Some(v1::RefusalCount {
            gate: assent_api::vocabulary::gate(reason.gate()).into(),
            reason: assent_api::vocabulary::reason(reason).into(),
            messages: *messages,
        })
    });
    let failures = counted.failed_by_code.iter().chain(&counted.rejected_by_code);
    let failures = failures.map(|(code, messages)| v1::FailureCount {
        provider_code: i32::try_from(*code).unwrap_or_default(),
        messages: *messages,
    });
    v1::GetFunnelResponse {
        requested: counted.requested,
        authorized: counted.authorized,
        refused: counted.refused,
        refusals: refusals.collect(),
        expired: counted.expired,
        cancelled: counted.cancelled,
        provider_accepted: counted.accepted,
        sent: counted.sent,
        delivered: counted.delivered,
        read: counted.read,
        failed: counted.failed,
        failures: failures.collect(),
        outcome_unknown: counted.outcome_unknown,
        given_up: counted.given_up,
        as_of_position: 0,
        as_of: None,
        rejected: counted.rejected,
    }
}
