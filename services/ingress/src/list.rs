//! Finding messages: the read models say which, the log says what became of them.

use crate::{accept, parties::Party, service::Ingress};
use assent_api::{Problems, ids, message::Story, recipient, tags, timestamp, vocabulary};
use assent_domain::values::TemplateName;
use assent_proto::v1;
use assent_read_models::{
    Page, QueryError,
    messages::{self, Filter},
};
use assent_runtime::api_error::{ApiError, ErrorCode};
use std::time::Duration;

/// Most messages of a page.
const PAGE_SIZE_MAX: u32 = 500;
/// Messages of a page when the caller does not say.
const PAGE_SIZE_DEFAULT: u32 = 50;
/// When to ask again when the read models are away.
const RETRY: Duration = Duration::from_secs(1);

/// A page of the tenant's messages, newest first.
pub(crate) async fn list(
    ingress: &Ingress,
    party: &Party,
    request: &v1::ListMessagesRequest,
) -> Result<v1::ListMessagesResponse, ApiError> {
    let (filter, page) = parse(ingress, party, request)?;
    let store = &ingress.platform.store;
    let paged = messages::list(store, party.shard, &party.id, &filter, &page).await;
    let paged = paged.map_err(query_error)?;

    // What is shown of each is what GetMessage shows: folded from the log, in one query for all.
    let keys: Vec<_> = paged.items.iter().map(|summary| summary.message.uuid()).collect();
    let events = store.read_keys(party.shard, &keys).await;
    let mut events = events.map_err(|error| accept::read_error(&error))?;
    let stories: Vec<Story> = paged
        .items
        .iter()
        .filter_map(|summary| Story::of(summary.message, &events.remove(&summary.message.uuid())?))
        .collect();
    let now = time::OffsetDateTime::now_utc();
    let keys = ingress
        .platform
        .keys
        .load(stories.iter().flat_map(Story::keys), now)
        .await;
    let keys = keys.map_err(|error| accept::key_error(&error))?;
    let shown = stories.iter().map(|story| {
        let mut opened = story.open(&keys).map_err(|error| accept::key_error(&error))?;
        opened.content = None;
        Ok(story.render(&opened))
    });
    Ok(v1::ListMessagesResponse {
        messages: shown.collect::<Result<_, ApiError>>()?,
        next_page_token: paged.next.unwrap_or_default(),
    })
}

fn parse(ingress: &Ingress, party: &Party, request: &v1::ListMessagesRequest) -> Result<(Filter, Page), ApiError> {
    let mut problems = Problems::new();
    if request.page_size > PAGE_SIZE_MAX {
        problems.add("page_size", format!("must be at most {PAGE_SIZE_MAX}"));
    }
    let mut states = Vec::with_capacity(request.states.len());
    for (at, state) in request.states.iter().enumerate() {
        match v1::MessageState::try_from(*state) {
            Ok(v1::MessageState::Unspecified) | Err(_) => {
                problems.add(format!("states[{at}]"), "is not one of the states");
            }
            Ok(state) => states.push(vocabulary::parse_state(state)),
        }
    }
    let sender = match request.from.as_str() {
        "" => None,
        text => ids::number(text, "from", &mut problems),
    };
    let person = request
        .to
        .as_ref()
        .and_then(|to| recipient::parse(Some(to), "to", &mut problems));
    let template = match request.template_name.as_str() {
        "" => None,
        text => problems.keep("template_name", TemplateName::try_new(text)),
    };
    let filter = Filter {
        states,
        sender,
        recipients: person.as_ref().map_or_else(Vec::new, |person| {
            let hash = |alias| ingress.platform.alias_hash(party.id.as_str(), alias);
            recipient::candidates(person).iter().map(hash).collect()
        }),
        template,
        campaign: None,
        tags: tags::parse(&request.tags, "tags", &mut problems),
        accepted_from: timestamp::parse(request.accepted_from.as_ref(), "accepted_from", &mut problems),
        accepted_until: timestamp::parse(request.accepted_until.as_ref(), "accepted_until", &mut problems),
    };
    problems.into_result()?;
    let page = Page {
        size: if request.page_size == 0 {
            PAGE_SIZE_DEFAULT
        } else {
            request.page_size
        },
        token: Some(request.page_token.clone()).filter(|token| !token.is_empty()),
    };
    Ok((filter, page))
}

fn query_error(error: QueryError) -> ApiError {
    match error {
        QueryError::BadPageToken => ApiError::new(ErrorCode::InvalidRequest).field("page_token", error.to_string()),
        QueryError::Unavailable(cause) => {
            tracing::warn!(error = %cause, "the read models cannot be read");
            ApiError::new(ErrorCode::StoreUnavailable).retry_after(RETRY)
        }
        QueryError::TooMany { .. } | QueryError::Unreadable { .. } => ApiError::internal(error),
    }
}
