//! `EventService`.

use super::{Ground, Party, read_error};
use crate::{
    config::SubscriptionsConfig,
    subscribe::{self, Kinds, Seats, Subscription},
};
use assent_api::{Problems, timestamp};
use assent_domain::values::Timestamp;
use assent_proto::v1::{self, event_service_server::EventService};
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    grpc,
    shutdown::Shutdown,
    tenants::Scope,
};
use futures::{StreamExt as _, stream::BoxStream};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The service as tonic calls it.
#[derive(Debug, Clone)]
pub(crate) struct EventApi {
    ground: Ground,
    config: Arc<SubscriptionsConfig>,
    seats: Seats,
    shutdown: Shutdown,
}

impl EventApi {
    pub(crate) fn new(ground: Ground, config: SubscriptionsConfig, shutdown: Shutdown) -> Self {
        Self {
            ground,
            seats: Seats::new(config.subscriptions_max, config.subscriptions_per_tenant_max),
            config: Arc::new(config),
            shutdown,
        }
    }

    /// The position to begin after, and the moment from which events are wanted.
    async fn start(
        &self,
        party: &Party,
        start: Option<v1::subscribe_request::Start>,
    ) -> Result<(u64, Option<Timestamp>), ApiError> {
        use v1::subscribe_request::Start;
        let store = &self.ground.platform.store;
        match start {
            None => Ok((0, None)),
            Some(Start::AfterPosition(position)) => {
                let head = store.head(party.shard).await.map_err(read_error)?;
                if position > head {
                    let error = ApiError::new(ErrorCode::PositionAhead).metadata("newest", head.to_string());
                    return Err(error);
                }
                Ok((position, None))
            }
            Some(Start::From(from)) => {
                let mut problems = Problems::new();
                let Some(from) = timestamp::parse(Some(&from), "from", &mut problems) else {
                    return Err(problems.into_error());
                };
                let before = subscribe::position_before(store, party.shard, from)
                    .await
                    .map_err(read_error)?;
                Ok((before, Some(from)))
            }
            Some(Start::Tail(true)) => Ok((store.head(party.shard).await.map_err(read_error)?, None)),
            Some(Start::Tail(false)) => {
                let mut problems = Problems::new();
                problems.add("tail", "is either true or not given");
                Err(problems.into_error())
            }
        }
    }
}

#[tonic::async_trait]
impl EventService for EventApi {
    type SubscribeStream = BoxStream<'static, Result<v1::SubscribeResponse, Status>>;

    async fn subscribe(
        &self,
        request: Request<v1::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let party = self.ground.party(&*grpc::require(&request, Scope::Read)?)?;
        let request = request.into_inner();
        let kinds = Kinds::parse(&request.kinds)?;
        let seat = self.seats.take(&party.tenant.id)?;
        let (after, from) = self.start(&party, request.start).await?;
        let subscription = Subscription {
            platform: self.ground.platform.clone(),
            tenant: party.tenant.id.clone(),
            shard: party.shard,
            kinds,
            after,
            from,
            config: self.config.clone(),
            shutdown: self.shutdown.clone(),
        };
        Ok(Response::new(subscription.start(seat).boxed()))
    }
}
