//! What is concluded about an account. Meta tells it by callbacks only.

use assent_domain::{
    events::{AccountChanged, AccountEvent, AccountObserved, AccountState, ObservedFrom, ProviderEvent},
    gates::NumberFacts,
    values::{TenantId, WabaId},
};
use assent_event_store::RecordedEvent;
use assent_runtime::facts::of_category;

/// What an account may do by everything recorded about it, conclusions and callbacks, and what was concluded last.
pub(crate) fn fold(events: &[RecordedEvent]) -> (AccountState, Option<AccountObserved>) {
    let mut facts = NumberFacts::default();
    let mut known = None;
    for (_, AccountEvent::Observed(event)) in of_category::<AccountEvent>(events) {
        facts.account_observed(&event);
        known = Some(event);
    }
    for (_, event) in of_category::<ProviderEvent>(events) {
        if let ProviderEvent::AccountChanged(event) = event {
            facts.account_changed(&event);
        }
    }
    (facts.account, known)
}

/// The conclusion to record after a callback, if there is a new one.
pub(crate) fn changed(
    tenant: &TenantId,
    waba: &WabaId,
    events: &[RecordedEvent],
    callback: &AccountChanged,
) -> Option<AccountObserved> {
    let (state, known) = fold(events);
    let before = known.as_ref().map_or(AccountState::Active, |known| known.state);
    (state != before).then(|| AccountObserved {
        tenant: tenant.clone(),
        waba: waba.clone(),
        state,
        observed_from: ObservedFrom::Callback,
        observed_at: known.map_or(callback.provider_at, |known| {
            callback.provider_at.max(known.observed_at)
        }),
    })
}
