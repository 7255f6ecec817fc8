//! What shall be recorded of a callback, before anything is sealed.

use super::{changes, keep, people, statuses};
use crate::{
    metrics::Tally,
    parties::{Number, Party},
};
use assent_domain::{
    events::ProviderEvent,
    values::{Timestamp, WabaId},
};
use assent_event_store::{DataKey, KeyError, StreamId};
use assent_runtime::{platform::Platform, tenants::Tenants};
use assent_sealed::{AliasHash, KeyClass};
use assent_whatsapp::callback::{Received, Update};
use std::collections::HashMap;

/// A data key and what it is for.
pub(super) type Wanted = (AliasHash, KeyClass);

/// The keys of a callback, by what they are for.
pub(super) type Keys = HashMap<Wanted, DataKey>;

/// Makes an event once its keys are there. Called again when keys were destroyed meanwhile.
pub(super) type Seal = Box<dyn Fn(&Keys) -> Result<ProviderEvent, KeyError> + Send + Sync>;

/// An event to be recorded.
pub(super) struct Planned {
    pub(super) stream: StreamId,
    pub(super) traceparent: Option<String>,
    pub(super) wanted: Vec<Wanted>,
    /// Bytes it will have, roughly.
    pub(super) size: usize,
    pub(super) event: Event,
}

/// The event, or how to make it.
pub(super) enum Event {
    /// Nothing in it is personal.
    Ready(Box<ProviderEvent>),
    /// Something in it has to be sealed.
    Sealed(Seal),
}

/// Events whose text is short have about this many bytes.
pub(super) const SMALL_EVENT_BYTES: usize = 2 * 1024;

impl Planned {
    /// An event without anything personal.
    pub(super) fn ready(stream: StreamId, event: impl Into<ProviderEvent>) -> Self {
        Self {
            stream,
            traceparent: None,
            wanted: Vec::new(),
            size: SMALL_EVENT_BYTES,
            event: Event::Ready(Box::new(event.into())),
        }
    }
}

/// Where an update says that it happened, as far as that is the tenant's.
pub(super) struct Place<'a> {
    pub(super) number: Option<&'a Number>,
    /// The account named, or the number's.
    pub(super) account: Option<WabaId>,
}

/// Why an update is not recorded as an event of its own.
pub(super) enum Unplanned {
    /// It names something of another tenant's: `number`, `account` or `message`.
    Foreign(&'static str),
    /// Our events cannot say it: the whole body is kept, for this reason.
    Keep(&'static str),
}

/// What shall be recorded of one callback.
pub(super) struct Plan<'a> {
    pub(super) platform: &'a Platform,
    pub(super) party: &'a Party,
    pub(super) now: Timestamp,
    planned: Vec<Planned>,
    whole: Option<&'static str>,
    has_foreign: bool,
    tally: Tally,
}

impl<'a> Plan<'a> {
    pub(super) fn new(platform: &'a Platform, party: &'a Party, now: Timestamp) -> Self {
        Self {
            platform,
            party,
            now,
            planned: Vec::with_capacity(1),
            whole: None,
            has_foreign: false,
            tally: Tally::default(),
        }
    }

    /// Plans one update.
    pub(super) fn add(&mut self, received: Received, tenants: &Tenants) {
        let kind = received.update.kind();
        let planned = self
            .place(&received, tenants)
            .and_then(|place| self.events_of(&place, received));
        match planned {
            Ok(planned) => {
                self.tally.update(kind);
                self.planned.extend(planned);
            }
            Err(Unplanned::Keep(reason)) => self.keep_whole(reason),
            Err(Unplanned::Foreign(what)) => {
                self.tally.foreign(what);
                tracing::warn!(tenant = %self.party.id, what, "a callback names another tenant's; it changes nothing");
                self.has_foreign = true;
            }
        }
    }

    /// Keeps the body as it is, beside whatever was understood of it.
    pub(super) fn keep_whole(&mut self, reason: &'static str) {
        self.tally.update("kept_whole");
        self.whole.get_or_insert(reason);
    }

    /// Everything planned, and what to count once it is recorded. `body` is kept whole if something in it could not be said otherwise, but never for a tenant that
    /// would get another one's updates with it.
    pub(super) fn finish(mut self, body: &[u8]) -> (Vec<Planned>, Tally) {
        if let Some(reason) = self.whole.filter(|_| !self.has_foreign) {
            let text = String::from_utf8_lossy(body);
            let account = self.party.first_account.as_ref();
            let kept = keep::keep(&self, account, None, reason, &text);
            self.planned.extend(kept);
        }
        (self.planned, self.tally)
    }

    fn place(&self, received: &Received, tenants: &Tenants) -> Result<Place<'a>, Unplanned> {
        let party = self.party;
        let mut account = None;
        if let Some(id) = &received.account_id
            && let Some(owner) = tenants.by_waba_id(id)
        {
            if owner.id != party.id {
                return Err(Unplanned::Foreign("account"));
            }
            account = WabaId::try_new(id).ok();
        }
        let Some(id) = &received.phone_number_id else {
            return Ok(Place { number: None, account });
        };
        match party.number(id) {
            Some(number) => Ok(Place {
                number: Some(number),
                account: account.or_else(|| Some(number.account.clone())),
            }),
            None if tenants.by_phone_number_id(id).is_some() => Err(Unplanned::Foreign("number")),
            None => Err(Unplanned::Keep("number_unknown")),
        }
    }

    fn events_of(&mut self, place: &Place<'a>, received: Received) -> Result<Vec<Planned>, Unplanned> {
        let number = || place.number.ok_or(Unplanned::Keep("number_missing"));
        let account = || place.account.as_ref().ok_or(Unplanned::Keep("account_unknown"));
        let at = self.moment(received.entry_time);
        match received.update {
            Update::Status(status) => {
                let planned = statuses::status(self, number()?, &status)?;
                self.tally.status(&status);
                Ok(vec![planned])
            }
            Update::Message(message) => people::message(self, number()?, *message),
            Update::Preference(change) => people::preference(self, number()?, &change).map(|planned| vec![planned]),
            Update::UserId(_) => Err(Unplanned::Keep("user_id_changed")),
            Update::ChannelError(error) => Ok(changes::channel_error(self, account()?, &error, at)),
            Update::TemplateStatus(update) => changes::template_status(self, account()?, &update, at),
            Update::TemplateQuality(update) => changes::template_quality(self, account()?, &update, at),
            Update::TemplateCategory(update) => changes::template_category(self, account()?, &update, at),
            Update::TemplateComponents(update) => changes::template_components(self, account()?, &update, at),
            Update::NumberQuality(update) => {
                let number = self.shown(received.display_phone_number.as_deref());
                Ok(changes::number_quality(self, account()?, number, &update, at))
            }
            Update::NumberName(update) => {
                let number = self.shown(received.display_phone_number.as_deref());
                Ok(changes::number_name(self, account()?, number, &update, at))
            }
            Update::Security(update) => {
                let number = self.shown(received.display_phone_number.as_deref());
                Ok(changes::security(self, account()?, number, &update, at))
            }
            Update::Account(update) => Ok(changes::account(self, account()?, &update, at)),
            Update::BusinessCapability(update) => Ok(changes::capability(self, account()?, &update, at)),
            Update::AccountAlert(update) => Ok(changes::alert(self, account()?, &update, at)),
            Update::AccountReview(update) => Ok(changes::review(self, account()?, &update, at)),
            Update::Notice(notice) => {
                let account = place.account.as_ref().or(self.party.first_account.as_ref());
                let field = notice.field.as_str();
                Ok(keep::keep(self, account, Some(field), "unrecognised", &notice.raw))
            }
            Update::Unrecognised { field, raw } => {
                let account = place.account.as_ref().or(self.party.first_account.as_ref());
                Ok(keep::keep(self, account, Some(&field), "unrecognised", &raw))
            }
        }
    }

    fn shown(&self, display: Option<&str>) -> Option<&'a Number> {
        self.party.number_shown_as(display?)
    }

    /// A moment of Meta's; now, where Meta did not say.
    pub(super) fn moment(&self, at: Option<assent_whatsapp::Timestamp>) -> Timestamp {
        at.map_or(self.now, |at| Timestamp::from_millis(at.unix_millis()))
    }
}
