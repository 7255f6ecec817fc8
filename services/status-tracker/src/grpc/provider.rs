//! Calls to Meta on behalf of a caller: with which token, how many at a time, and what is wrong with them.

use super::Party;
pub(super) use assent_api::provider::{Quote, call_error};
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    config,
};
use assent_whatsapp::{
    Secret,
    client::{CallError, ChangeError, Client},
    message::Problem,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Calls of callers at a time; the polls have a bound of their own.
const CALLS_IN_FLIGHT_MAX: usize = 16;

/// When it is worth asking again while too many calls are under way.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Meta, for callers.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    client: Client,
    calls: Arc<Semaphore>,
}

/// The right to make calls until it is dropped.
pub(super) struct Call<'p> {
    pub(super) client: &'p Client,
    _permit: SemaphorePermit<'p>,
}

impl Provider {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            calls: Arc::new(Semaphore::new(CALLS_IN_FLIGHT_MAX)),
        }
    }

    /// Whoever finds too many calls under way is told so at once: waiting would only pass Meta's slowness on.
    pub(super) fn call(&self) -> Result<Call<'_>, ApiError> {
        let permit = self.calls.try_acquire();
        let permit = permit.map_err(|_| ApiError::new(ErrorCode::Overloaded).retry_after(BUSY_RETRY_AFTER))?;
        Ok(Call {
            client: &self.client,
            _permit: permit,
        })
    }
}

/// The account meant, and a token for it.
pub(super) fn account(party: &Party, waba_id: &str) -> Result<(String, Secret), ApiError> {
    let invalid = |text: &str| ApiError::new(ErrorCode::InvalidRequest).field("waba_id", text);
    let mut numbers = party.tenant.numbers.iter();
    let number = if waba_id.is_empty() {
        let first = numbers.next().ok_or_else(|| invalid("there is no account yet"))?;
        if numbers.any(|other| other.waba_id != first.waba_id) {
            return Err(invalid("must name one of the accounts: there are several"));
        }
        first
    } else {
        let mut of_account = numbers.filter(|number| number.waba_id == waba_id);
        of_account.next().ok_or_else(|| invalid("is not an account of yours"))?
    };
    Ok((number.waba_id.clone(), token(party, &number.phone_number_id)?))
}

/// The token for a number of the caller's.
pub(super) fn token(party: &Party, phone_number_id: &str) -> Result<Secret, ApiError> {
    let token: Option<&config::Secret> = party.tenant.access_token_for(phone_number_id);
    token
        .map(|token| Secret::new(token.expose()))
        .ok_or_else(|| ApiError::new(ErrorCode::ProviderRefused).message("there is no access token for this number"))
}

/// A failed call for a page of a list.
pub(super) fn page_error(error: &CallError, quote: Quote) -> ApiError {
    match error {
        // Meta's code for a cursor it did not hand out.
        CallError::Graph(graph) if graph.code == 131_059 => {
            ApiError::new(ErrorCode::InvalidRequest).field("page_token", "is not one that this list handed out")
        }
        error => call_error(error, quote),
    }
}

/// A failed change; `field` turns a path of Meta's body into one of the request.
pub(super) fn change_error(error: &ChangeError, quote: Quote, field: impl Fn(&Problem) -> String) -> ApiError {
    match error {
        ChangeError::Call(error) => call_error(error, quote),
        ChangeError::Invalid(invalid) => {
            let mut problems = assent_api::Problems::new();
            for problem in &invalid.problems {
                problems.add(field(problem), describe(problem));
            }
            problems.into_error()
        }
    }
}

/// A problem as one sentence.
pub(super) fn describe(problem: &Problem) -> String {
    format!("has {}; allowed: {}", problem.found, problem.allowed)
}
