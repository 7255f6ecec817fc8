//! What Meta keeps for a number: the business profile, the block list, where callbacks go, what was read.

use super::super::{
    Party,
    provider::{self, Provider, Quote},
};
use super::own_number;
use assent_api::{Problems, recipient};
use assent_domain::values::{Alias, UserId, WaId};
use assent_proto::v1;
use assent_runtime::api_error::ApiError;
use assent_whatsapp::{
    Wamid,
    client::{BlockFailure, BlockOutcome, BlockedUser, BusinessProfileUpdate, CallError, ChangeError},
    error_table,
    message::Recipient,
};

/// Users on a page of the block list, if the caller does not say.
const PAGE_SIZE: u32 = 50;

/// Longest id of a message that is taken, in characters; those seen so far have fewer than 100.
const PROVIDER_MESSAGE_ID_CHARS_MAX: usize = 512;

/// Some users could not be blocked, and Meta may or may not say which.
const PARTLY_BLOCKED: i64 = 139_100;

pub(super) async fn profile(provider: &Provider, party: &Party, id: &str) -> Result<v1::BusinessProfile, ApiError> {
    let number = own_number(party, id)?;
    let token = provider::token(party, &number.phone_number_id)?;
    let call = provider.call()?;
    let profile = call.client.business_profile(&number.phone_number_id, &token).await;
    let profile = profile.map_err(|error| provider::call_error(&error, Quote::Hidden))?;
    Ok(v1::BusinessProfile {
        about: profile.about.unwrap_or_default(),
        address: profile.address.unwrap_or_default(),
        description: profile.description.unwrap_or_default(),
        email: profile.email.unwrap_or_default(),
        websites: profile.websites,
        vertical: profile.vertical.unwrap_or_default(),
        picture_url: profile.profile_picture_url.unwrap_or_default(),
    })
}

pub(super) async fn update_profile(
    provider: &Provider,
    party: &Party,
    request: &v1::UpdateBusinessProfileRequest,
) -> Result<(), ApiError> {
    let number = own_number(party, &request.phone_number_id)?;
    let token = provider::token(party, &number.phone_number_id)?;
    let update = BusinessProfileUpdate {
        about: request.about.clone(),
        address: request.address.clone(),
        description: request.description.clone(),
        email: request.email.clone(),
        profile_picture_handle: request.picture_handle.clone(),
        websites: request.websites.as_ref().map(|websites| websites.urls.clone()),
        vertical: request.vertical.clone(),
    };
    let call = provider.call()?;
    let updated = call
        .client
        .update_business_profile(&number.phone_number_id, &token, &update)
        .await;
    updated.map_err(|error| {
        provider::change_error(&error, Quote::Hidden, |problem| {
            if problem.path.is_empty() {
                // Nothing to change.
                return "about".to_owned();
            }
            let path = problem.path.replace("profile_picture_handle", "picture_handle");
            path.replacen("websites", "websites.urls", 1)
        })
    })
}

pub(super) async fn blocked(
    provider: &Provider,
    party: &Party,
    request: &v1::ListBlockedUsersRequest,
) -> Result<v1::ListBlockedUsersResponse, ApiError> {
    let mut problems = Problems::new();
    let page = super::super::page(request.page_size, &request.page_token, &mut problems);
    problems.into_result()?;
    let number = own_number(party, &request.phone_number_id)?;
    let token = provider::token(party, &number.phone_number_id)?;
    let call = provider.call()?;
    let size = if page.size == 0 { PAGE_SIZE } else { page.size };
    let listed = call
        .client
        .blocked_users(&number.phone_number_id, &token, size, page.token.as_deref())
        .await;
    let listed = listed.map_err(|error| provider::page_error(&error, Quote::Hidden))?;
    Ok(v1::ListBlockedUsersResponse {
        users: listed.users.iter().filter_map(render_user).collect(),
        next_page_token: listed.next.unwrap_or_default(),
    })
}

/// By the id Meta gives; the number where there is one.
fn render_user(user: &BlockedUser) -> Option<v1::Recipient> {
    let wa_id = user.wa_id.as_deref().and_then(|wa_id| WaId::try_new(wa_id).ok());
    let alias = wa_id.map(Alias::WaId).or_else(|| {
        let user_id = user.user_id.as_deref().or(user.input.as_deref())?;
        UserId::try_new(user_id).ok().map(Alias::UserId)
    });
    alias.as_ref().map(recipient::render)
}

/// What is to become of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Block,
    Unblock,
}

pub(super) async fn change_blocks(
    provider: &Provider,
    party: &Party,
    wish: Wish,
    id: &str,
    users: &[v1::Recipient],
) -> Result<Vec<v1::BlockOutcome>, ApiError> {
    let number = own_number(party, id)?;
    let token = provider::token(party, &number.phone_number_id)?;
    let mut problems = Problems::new();
    let mut recipients = Vec::new();
    for (index, user) in users
        .iter()
        .take(assent_whatsapp::limits::BLOCK_USERS_PER_CALL_MAX + 1)
        .enumerate()
    {
        let alias = recipient::parse(Some(user), &format!("users[{index}]"), &mut problems);
        recipients.extend(alias.as_ref().map(recipient_of));
    }
    problems.into_result()?;
    let call = provider.call()?;
    let number = &number.phone_number_id;
    let outcome = match wish {
        Wish::Block => call.client.block_users(number, &token, &recipients).await,
        Wish::Unblock => call.client.unblock_users(number, &token, &recipients).await,
    };
    match outcome {
        Ok(outcome) => Ok(recipients.iter().map(|user| outcome_of(user, &outcome)).collect()),
        Err(ChangeError::Call(CallError::Graph(error))) if error.code == PARTLY_BLOCKED => {
            Ok(recipients.iter().map(|_| failed(Some(error.code))).collect())
        }
        Err(error) => Err(provider::change_error(&error, Quote::Hidden, |problem| {
            problem.path.replacen("block_users", "users", 1)
        })),
    }
}

fn recipient_of(alias: &Alias) -> Recipient {
    match alias {
        Alias::Phone(number) => Recipient::Phone(number.e164()),
        Alias::WaId(wa_id) => Recipient::Phone(format!("+{}", wa_id.as_str())),
        Alias::UserId(user_id) => Recipient::BusinessScopedUser(user_id.as_str().to_owned()),
    }
}

/// What became of one person: Meta repeats what was given, and for good measure the id it knows them by.
fn outcome_of(user: &Recipient, outcome: &BlockOutcome) -> v1::BlockOutcome {
    let given = match user {
        Recipient::Phone(given) | Recipient::BusinessScopedUser(given) | Recipient::Group(given) => given,
    };
    let is_it = |listed: &BlockedUser| {
        listed.input.as_deref() == Some(given)
            || listed.user_id.as_deref() == Some(given)
            || listed
                .wa_id
                .as_deref()
                .is_some_and(|wa_id| given.strip_prefix('+') == Some(wa_id))
    };
    if outcome.done.iter().any(is_it) {
        return v1::BlockOutcome {
            done: true,
            ..v1::BlockOutcome::default()
        };
    }
    let failure: Option<&BlockFailure> = outcome.failed.iter().find(|failure| is_it(&failure.user));
    failed(
        failure
            .and_then(|failure| failure.errors.first())
            .map(|error| error.code),
    )
}

fn failed(code: Option<i64>) -> v1::BlockOutcome {
    let explanation = match code {
        // Meta's code for a closed window means something else here.
        Some(131_047) => {
            "the user did not write to this number within the last 24 hours, or is not on WhatsApp".to_owned()
        }
        Some(PARTLY_BLOCKED) => "Meta did some of it and does not say for whom: list the blocked users".to_owned(),
        Some(code) => {
            let entry = error_table::look_up(code);
            format!("{}: {}", entry.meaning, entry.remedy)
        }
        None => "Meta does not say: list the blocked users".to_owned(),
    };
    v1::BlockOutcome {
        done: false,
        provider_code: code.unwrap_or_default(),
        explanation,
    }
}

pub(super) async fn callbacks(
    provider: &Provider,
    party: &Party,
    id: &str,
) -> Result<v1::GetCallbackSubscriptionResponse, ApiError> {
    let number = own_number(party, id)?;
    let token = provider::token(party, &number.phone_number_id)?;
    let call = provider.call()?;
    let (urls, apps) = tokio::try_join!(
        call.client.callback_urls(&number.phone_number_id, &token),
        call.client.subscribed_apps(&number.waba_id, &token),
    )
    .map_err(|error| provider::call_error(&error, Quote::Hidden))?;
    let apps = apps.into_iter().map(|app| v1::SubscribedApp {
        app_id: app.id.unwrap_or_default(),
        name: app.name.unwrap_or_default(),
    });
    Ok(v1::GetCallbackSubscriptionResponse {
        effective_url: urls.effective().unwrap_or_default().to_owned(),
        apps: apps.collect(),
        application_url: urls.application.unwrap_or_default(),
        account_url: urls.account.unwrap_or_default(),
        number_url: urls.number.unwrap_or_default(),
    })
}

/// Tells Meta that a message was read. No event follows: it is nothing that anybody decides by, and may be repeated freely.
pub(super) async fn mark_read(
    provider: &Provider,
    party: &Party,
    request: &v1::MarkReadRequest,
) -> Result<(), ApiError> {
    let mut problems = Problems::new();
    let message = &request.provider_message_id;
    if message.trim().is_empty() || message.chars().count() > PROVIDER_MESSAGE_ID_CHARS_MAX {
        problems.add(
            "provider_message_id",
            format!("must have 1 to {PROVIDER_MESSAGE_ID_CHARS_MAX} characters"),
        );
    }
    problems.into_result()?;
    let number = own_number(party, &request.phone_number_id)?;
    let token = provider::token(party, &number.phone_number_id)?;
    let call = provider.call()?;
    let message = Wamid::new(message.as_str());
    let marked = call
        .client
        .mark_read(&number.phone_number_id, &token, &message, request.show_typing);
    marked
        .await
        .map_err(|error| provider::call_error(&error, Quote::Hidden))
}
