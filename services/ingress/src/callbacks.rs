//! The endpoint that Meta calls.

use crate::service::Ingress;
use axum::Router;
use std::sync::Arc;

pub(crate) fn router(_ingress: Arc<Ingress>) -> Router {
    Router::new()
}
