//! What callers may ask: translate, delegate, map the error. No rules.

mod events;
mod numbers;
mod provider;
mod suppressions;
mod templates;
mod tracking;

pub(crate) use events::EventApi;
pub(crate) use numbers::{NumberApi, render_change};
pub(crate) use provider::Provider;
pub(crate) use suppressions::SuppressionApi;
pub(crate) use templates::TemplateApi;
pub(crate) use tracking::TrackingApi;

use assent_event_store::{ReadError, ShardId};
use assent_read_models::{Page, QueryError, Views};
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    platform::Platform,
    tenants::{Principal, Tenant},
};
use std::{sync::Arc, time::Duration};

/// Largest request, in bytes: all of them are small.
pub(crate) const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// When it is worth asking again while the database is away.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Largest page.
const PAGE_SIZE_MAX: u32 = 500;

/// What the services answer from.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) platform: Platform,
    pub(crate) views: Views,
}

/// Who asks, and where their events are.
#[derive(Debug, Clone)]
pub(crate) struct Party {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) shard: ShardId,
}

impl Ground {
    pub(crate) fn party(&self, principal: &Principal) -> Result<Party, ApiError> {
        let tenants = self.platform.tenants.tenants();
        // A key that was good a moment ago may belong to a tenant that was just taken out of the file.
        let tenant = tenants
            .by_id(&principal.tenant)
            .ok_or_else(|| ApiError::new(ErrorCode::ApiKeyInvalid))?;
        Ok(Party {
            tenant: tenant.clone(),
            shard: self.platform.shard_of(tenant),
        })
    }
}

/// The log or the read models did not answer.
pub(crate) fn unavailable() -> ApiError {
    ApiError::new(ErrorCode::StoreUnavailable).retry_after(RETRY_AFTER)
}

pub(crate) fn read_error(error: ReadError) -> ApiError {
    match error {
        ReadError::Unavailable(error) => {
            tracing::warn!(%error, "the log cannot be read");
            unavailable()
        }
        // Another process may be newer and understand it.
        error @ ReadError::NotUnderstood { .. } => {
            tracing::warn!(%error, "a question cannot be answered");
            unavailable()
        }
        error @ (ReadError::Hole { .. } | ReadError::NoSuchShard { .. }) => ApiError::internal(error),
    }
}

fn query_error(error: QueryError) -> ApiError {
    match error {
        QueryError::BadPageToken => {
            ApiError::new(ErrorCode::InvalidRequest).field("page_token", "is not one that this list handed out")
        }
        QueryError::Unavailable(error) => {
            tracing::warn!(%error, "the read models cannot be read");
            unavailable()
        }
        error @ (QueryError::TooMany { .. } | QueryError::Unreadable { .. }) => ApiError::internal(error),
    }
}

/// The page asked for.
fn page(size: u32, token: &str, problems: &mut assent_api::Problems) -> Page {
    if size > PAGE_SIZE_MAX {
        problems.add("page_size", format!("must be at most {PAGE_SIZE_MAX}"));
    }
    Page {
        size: if size == 0 { 50 } else { size },
        token: (!token.is_empty()).then(|| token.to_owned()),
    }
}
