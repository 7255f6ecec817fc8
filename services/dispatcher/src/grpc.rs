//! `MediaService`: translates, delegates, answers.

use crate::{dispatcher::Dispatcher, inbound::Library, uploads::Counter};
use assent_proto::v1::{self, media_service_server::MediaService};
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    grpc,
    tenants::{Scope, Tenant},
};
use futures::stream::BoxStream;
use std::sync::Arc;
use tonic::{Request, Response, Status, Streaming};

/// The service as tonic calls it.
#[derive(Debug, Clone)]
pub(crate) struct MediaApi {
    dispatcher: Arc<Dispatcher>,
    library: Library,
    counter: Arc<Counter>,
}

impl MediaApi {
    pub(crate) fn new(dispatcher: Arc<Dispatcher>, library: Library) -> Self {
        Self {
            dispatcher,
            library,
            counter: Arc::default(),
        }
    }

    fn tenant<T>(&self, request: &Request<T>, scope: Scope) -> Result<Arc<Tenant>, ApiError> {
        let principal = grpc::require(request, scope)?;
        let tenants = self.dispatcher.platform.tenants.tenants();
        // The key was good a moment ago; its tenant may have left the file since.
        let tenant = tenants.by_id(&principal.tenant).cloned();
        tenant.ok_or_else(|| ApiError::new(ErrorCode::ApiKeyInvalid))
    }
}

#[tonic::async_trait]
impl MediaService for MediaApi {
    type GetMediaStream = BoxStream<'static, Result<v1::GetMediaResponse, Status>>;

    async fn get_media(&self, request: Request<v1::GetMediaRequest>) -> Result<Response<Self::GetMediaStream>, Status> {
        let tenant = self.tenant(&request, Scope::Read)?;
        let parts = self.library.read(&tenant, &request.get_ref().file_id).await?;
        Ok(Response::new(parts))
    }

    async fn upload_media(
        &self,
        request: Request<Streaming<v1::UploadMediaRequest>>,
    ) -> Result<Response<v1::UploadMediaResponse>, Status> {
        let tenant = self.tenant(&request, Scope::Send)?;
        let parts = request.into_inner();
        Ok(Response::new(
            self.counter.take(&self.dispatcher, &tenant, parts).await?,
        ))
    }
}
