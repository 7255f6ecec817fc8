//! What each witness says: the customer's own answers, the read models, the log, and WhatsApp.

use std::collections::BTreeMap;

use assent_domain::{
    delivery::{Delivery, DeliveryState},
    events::{AttemptEvent, DecisionEvent, DomainEvent as _, ProviderEvent, RequestEvent, StreamCategory},
    values::Correlation,
};
use assent_event_store::{EventStore, RecordedEvent};
use assent_proto::v1::{GetFunnelRequest, GetFunnelResponse, tracking_service_client::TrackingServiceClient};
use assent_runtime::log;
use assent_simulator::{Control, Filter, ReachedStatus, Status};
use uuid::Uuid;

use super::{
    accounts::{Fate, Ledger, Row, Taken, Tally, Witness, compare, count, count_answers, reconcile},
    stage::Stage,
};
use crate::client::{Failure, reason_name};

/// Events, and messages of the simulator, read at a time.
const PAGE: usize = 5_000;

/// Asks everybody; answers what they say and what does not add up.
pub(super) async fn gather(stage: &Stage, ledger: &Ledger) -> anyhow::Result<(Vec<Witness>, Vec<String>)> {
    // WhatsApp first: whatever happens while the others are asked, they may only know more.
    let taken = taken(stage.simulator.control())?;
    let mut tracking = TrackingServiceClient::new(stage.channel.clone());
    let funnel = tracking
        .get_funnel(GetFunnelRequest::default())
        .await
        .map_err(Failure::from)?;
    let log = fold(&stage.platform().store).await?;
    let mut at_whatsapp = count(taken.iter().map(|(_, fate)| fate));
    at_whatsapp.remove(&Row::Requested);
    let witness = |name, decisions, deliveries, tally| Witness {
        name,
        decisions,
        deliveries,
        tally,
    };
    let witnesses = vec![
        witness("your answers", true, false, count_answers(ledger)),
        witness("the read models", true, true, of_funnel(&funnel.into_inner())),
        witness("the log", true, true, count(log.values())),
        witness("WhatsApp", false, true, at_whatsapp),
    ];
    let mut discrepancies = reconcile(&witnesses);
    discrepancies.extend(compare(ledger, &log, &taken));
    Ok((witnesses, discrepancies))
}

fn of_funnel(funnel: &GetFunnelResponse) -> Tally {
    let mut tally = Tally::from([
        (Row::Requested, funnel.requested),
        (Row::Authorized, funnel.authorized),
        (Row::Refused, funnel.refused),
        (Row::Withdrawn, funnel.cancelled + funnel.expired + funnel.given_up),
        (Row::Taken, funnel.provider_accepted),
        (Row::Sent, funnel.sent),
        (Row::Delivered, funnel.delivered),
        (Row::Read, funnel.read),
        (Row::Failed, funnel.failed),
    ]);
    for refusal in &funnel.refusals {
        *tally.entry(Row::RefusedFor(reason_name(refusal.reason))).or_default() += refusal.messages;
    }
    tally
}

/// Everything the simulator ever took, by its own list.
fn taken(control: &Control) -> anyhow::Result<Vec<Taken>> {
    let mut all = Vec::new();
    let mut after = 0;
    loop {
        let filter = Filter {
            after,
            limit: Some(PAGE),
            ..Filter::default()
        };
        let page = control.accepted(&filter)?;
        let Some(last) = page.last() else { return Ok(all) };
        after = last.sequence;
        for message in &page {
            let opaque = message.biz_opaque_callback_data.as_deref().unwrap_or_default();
            let correlation = opaque.parse::<Correlation>().ok();
            all.push((
                correlation.map(|correlation| correlation.message.uuid()),
                at_whatsapp(&message.statuses),
            ));
        }
    }
}

fn at_whatsapp(statuses: &[ReachedStatus]) -> Fate {
    let has = |wanted: Status| statuses.iter().any(|reached| reached.status == wanted);
    let read = has(Status::Read);
    let delivered = read || has(Status::Delivered);
    Fate {
        authorized: true,
        taken: true,
        sent: delivered || has(Status::Sent),
        delivered,
        read,
        failed: !delivered && has(Status::Failed),
        ..Fate::default()
    }
}

/// The fate of every message by the log alone: the read models have no part in it.
async fn fold(store: &EventStore) -> anyhow::Result<BTreeMap<Uuid, Fate>> {
    let mut deliveries: BTreeMap<Uuid, (Delivery, Vec<String>)> = BTreeMap::new();
    for shard in store.shards() {
        let mut after = 0;
        loop {
            let events = store.read_shard(shard, after, PAGE).await?;
            let Some(last) = events.last() else { break };
            after = last.position;
            for event in &events {
                let Some((delivery, reasons)) = told_by(event)? else {
                    continue;
                };
                let entry = deliveries.entry(event.stream.key).or_default();
                entry.0 = std::mem::take(&mut entry.0).join(delivery);
                entry.1.extend(reasons);
            }
        }
    }
    // Statuses of what nobody requested are no messages of ours.
    deliveries.retain(|_, (delivery, _)| delivery.requested_at.is_some());
    Ok(deliveries
        .into_iter()
        .map(|(id, (delivery, reasons))| (id, fate(&delivery, reasons)))
        .collect())
}

/// What an event says about a message; nothing if it is about something else.
fn told_by(event: &RecordedEvent) -> anyhow::Result<Option<(Delivery, Vec<String>)>> {
    let is = |category| log::is_of(event, category);
    let told = if is(StreamCategory::Request) {
        (Delivery::of_request(&log::read::<RequestEvent>(event)?), Vec::new())
    } else if is(StreamCategory::Decision) {
        let decision = log::read::<DecisionEvent>(event)?;
        let reasons = match &decision {
            DecisionEvent::Refused(refused) => assent_api::decision::refusals(&refused.refusals),
            DecisionEvent::Authorized(_) | DecisionEvent::Expired(_) => Vec::new(),
        };
        let reasons = reasons.iter().map(|refusal| reason_name(refusal.reason)).collect();
        (Delivery::of_decision(&decision), reasons)
    } else if is(StreamCategory::Attempt) {
        (Delivery::of_attempt(&log::read::<AttemptEvent>(event)?), Vec::new())
    } else if is(ProviderEvent::CATEGORY) {
        match log::read::<ProviderEvent>(event)? {
            ProviderEvent::StatusReported(status) => (Delivery::of_status(&status), Vec::new()),
            _ => return Ok(None),
        }
    } else {
        return Ok(None);
    };
    Ok(Some(told))
}

fn fate(delivery: &Delivery, refused_for: Vec<String>) -> Fate {
    let state = delivery.state();
    let read = delivery.read_at.is_some();
    let delivered = read || delivery.delivered_at.is_some();
    let sent = delivered || delivery.sent_at.is_some();
    let answered = delivery.accepted_at.or(delivery.held_at).is_some();
    Fate {
        authorized: delivery.authorized_at.is_some(),
        refused_for,
        taken: sent || answered || delivery.failed.is_some(),
        sent,
        delivered,
        read,
        failed: matches!(state, DeliveryState::Failed | DeliveryState::Rejected),
        withdrawn: matches!(
            state,
            DeliveryState::Cancelled | DeliveryState::Expired | DeliveryState::GivenUp
        ),
    }
}
