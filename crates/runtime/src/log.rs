//! Domain events on their way into the log and out of it.

use crate::telemetry;
use assent_domain::{
    events::{DecodeError, DomainEvent, StreamCategory, is_known},
    values::{Actor, TenantId, Timestamp},
};
use assent_event_store::{EventMeta, NewEvent, RecordedEvent, StreamId};
use std::time::SystemTime;
use uuid::Uuid;

/// The present moment. Services take it once for each piece of work and hand it on.
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

/// The stream of `category` about `key`.
pub fn stream(category: StreamCategory, key: Uuid) -> StreamId {
    StreamId::new(category.as_str(), key)
}

/// Who recorded an event, for whom, and what it follows from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// Who acted.
    pub actor: Actor,
    /// The event it follows from.
    pub causation: Option<Uuid>,
    /// The trace it belongs to.
    pub traceparent: Option<String>,
}

impl Origin {
    /// Something new, in the present trace.
    pub fn of(tenant: TenantId, actor: Actor) -> Self {
        Self {
            tenant,
            actor,
            causation: None,
            traceparent: telemetry::current_traceparent(),
        }
    }

    /// What follows from a recorded event, in that event's trace.
    pub fn following(tenant: TenantId, actor: Actor, event: &RecordedEvent) -> Self {
        Self {
            tenant,
            actor,
            causation: Some(event.id),
            traceparent: event.meta().traceparent,
        }
    }

    fn meta(&self) -> EventMeta {
        EventMeta {
            actor: self.actor.to_string(),
            causation: self.causation,
            tenant: Some(self.tenant.as_str().to_owned()),
            traceparent: self.traceparent.clone(),
        }
    }
}

/// A domain event as the log stores it.
pub fn record<E: DomainEvent>(event: &E, origin: &Origin) -> NewEvent {
    NewEvent::new(
        event.wire_name(),
        event.schema_version(),
        event.to_json(),
        &origin.meta(),
    )
}

/// A stored event as the domain knows it.
pub fn read<E: DomainEvent>(event: &RecordedEvent) -> Result<E, DecodeError> {
    E::from_json(event.kind.as_str(), event.schema_version, &event.data)
}

/// Whether this program knows an event. One that it does not know was written by a newer program.
pub fn is_understood(event: &RecordedEvent) -> bool {
    is_known(event.kind.as_str(), event.schema_version)
}

/// The tenant a stored event belongs to.
pub fn tenant_of(event: &RecordedEvent) -> Option<TenantId> {
    TenantId::try_new(&event.meta().tenant?).ok()
}

/// Whether a stored event belongs to a category.
pub fn is_of(event: &RecordedEvent, category: StreamCategory) -> bool {
    event.stream.category == category.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_domain::events::{CancelRequested, RequestEvent};
    use assent_event_store::ShardId;

    #[test]
    fn a_domain_event_comes_back_as_it_went_in() {
        let event = RequestEvent::from(CancelRequested { requested_at: now() });
        let tenant = TenantId::try_new("acme").unwrap();
        let origin = Origin {
            tenant: tenant.clone(),
            actor: Actor::Meta,
            causation: Some(Uuid::from_u128(4)),
            traceparent: None,
        };
        let new = record(&event, &origin);
        let recorded = RecordedEvent {
            shard: ShardId(0),
            position: 1,
            stream: stream(StreamCategory::Request, Uuid::from_u128(1)),
            version: 1,
            id: new.id,
            kind: new.kind,
            schema_version: new.schema_version,
            recorded_at: time::OffsetDateTime::UNIX_EPOCH,
            data: new.data,
            meta: new.meta,
        };
        assert_eq!(read::<RequestEvent>(&recorded).unwrap(), event);
        assert!(is_of(&recorded, StreamCategory::Request));
        assert_eq!(recorded.meta().actor, "meta");
        assert_eq!(tenant_of(&recorded), Some(tenant.clone()));
        let next = Origin::following(tenant, Actor::Meta, &recorded);
        assert_eq!(next.causation, Some(recorded.id));
    }
}
