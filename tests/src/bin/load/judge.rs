//! The verdict: what the API says about each message against what the simulator knows.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use assent_proto::v1::{self, MessageState};
use assent_tests::system::{Accepted, System};
use serde::Serialize;
use uuid::Uuid;

use crate::{driver::Sent, follow::Followed};

/// How long the read models may take to have folded the last callback.
const VIEWS_PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
const PAGE: u32 = 500;

/// Who was right.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Verdict {
    /// Acknowledged and never arrived at the simulator.
    pub(crate) lost: u64,
    /// Messages that arrived at the simulator more than once.
    pub(crate) duplicated: u64,
    /// Messages of which a subscriber or a list was told something else than the simulator knows.
    pub(crate) wrong_status: u64,
    /// Of those, by the subscription to events.
    pub(crate) wrong_status_by_events: u64,
    /// Of those, by the list of messages.
    pub(crate) wrong_status_by_list: u64,
    /// Arrived at the simulator without anybody having been told that they were accepted.
    pub(crate) sent_unacknowledged: u64,
    /// Arrived at the simulator without our id.
    pub(crate) unmarked: u64,
    /// Callbacks that were never answered with 200.
    pub(crate) callbacks_unacknowledged: u64,
    /// Whether the simulator had nothing left to report.
    pub(crate) simulator_idle: bool,
    /// Messages by what the simulator knows.
    pub(crate) truth: BTreeMap<String, u64>,
    /// Messages by what a subscriber was told last.
    pub(crate) told: BTreeMap<String, u64>,
    /// Messages by what the list of messages says.
    pub(crate) listed: BTreeMap<String, u64>,
    /// The funnel, summed over the businesses.
    pub(crate) funnel: BTreeMap<&'static str, u64>,
}

/// Compares everything with the simulator's list.
pub(crate) async fn judge(
    system: &System,
    sent: &Sent,
    followed: Option<&Followed>,
    idle: bool,
) -> anyhow::Result<Verdict> {
    let accepted = system.simulator.accepted().await?;
    let mut verdict = Verdict {
        simulator_idle: idle,
        ..Verdict::default()
    };
    let mut truth: HashMap<Uuid, Vec<&Accepted>> = HashMap::with_capacity(accepted.len());
    for message in &accepted {
        *verdict.truth.entry(message.standing().to_owned()).or_default() += 1;
        for reached in &message.statuses {
            verdict.callbacks_unacknowledged += u64::from(reached.callbacks.saturating_sub(reached.acknowledged));
        }
        match message.ours() {
            Some((ours, _attempt)) => truth.entry(ours).or_default().push(message),
            None => verdict.unmarked += 1,
        }
    }
    verdict.duplicated = truth.values().filter(|arrived| arrived.len() > 1).count() as u64;

    let mut listed = HashMap::new();
    if let Some(followed) = followed {
        for told in followed.last.values() {
            *verdict.told.entry(told.state.as_str_name().to_owned()).or_default() += 1;
        }
        let reads = verdict.truth.get("read").copied().unwrap_or_default();
        verdict.funnel = settled_funnel(system, reads).await?;
        listed = list_all(system).await?;
        for state in listed.values() {
            *verdict.listed.entry(state.as_str_name().to_owned()).or_default() += 1;
        }
    }

    let mut acknowledged = 0;
    for (_, message) in sent.acknowledged() {
        let Some(arrived) = truth.get(&message.message) else {
            verdict.lost += 1;
            continue;
        };
        acknowledged += 1;
        let Some(followed) = followed else { continue };
        let expected = arrived
            .first()
            .map_or(MessageState::Unspecified, |first| state_of(first.standing()));
        let by_events = followed.last.get(&message.message).map(|told| told.state) != Some(expected);
        let by_list = listed.get(&message.message) != Some(&expected);
        verdict.wrong_status += u64::from(by_events || by_list);
        verdict.wrong_status_by_events += u64::from(by_events);
        verdict.wrong_status_by_list += u64::from(by_list);
    }
    verdict.sent_unacknowledged = truth.len() as u64 - acknowledged;
    Ok(verdict)
}

/// Waits until the simulator has got every acknowledged message and has no callback left.
pub(crate) async fn wait_for_simulator(system: &System, sent: &Sent) -> anyhow::Result<()> {
    let wanted = sent.acknowledged().count();
    let what = format!("wait?accepted={wanted}&idle=true&timeout_ms=60000");
    if system.simulator.control(&what).await.is_err() {
        eprintln!("load: not all {wanted} messages came to their end within a minute");
    }
    Ok(())
}

/// What a message is to the API that has reached a status at Meta.
fn state_of(status: &str) -> MessageState {
    match status {
        "sent" => MessageState::Sent,
        "delivered" => MessageState::Delivered,
        "read" => MessageState::Read,
        "failed" => MessageState::Failed,
        _ => MessageState::ProviderAccepted,
    }
}

/// The funnel once it counts as many reads as there are, or as it stands when that takes too long.
async fn settled_funnel(system: &System, reads: u64) -> anyhow::Result<BTreeMap<&'static str, u64>> {
    let deadline = Instant::now() + VIEWS_PATIENCE;
    loop {
        let mut sums = BTreeMap::new();
        for tenant in 0..system.tenants.len() {
            let mut client = system.client(tenant)?.tracking;
            let funnel = client.get_funnel(v1::GetFunnelRequest::default()).await?.into_inner();
            for (name, count) in [
                ("requested", funnel.requested),
                ("authorized", funnel.authorized),
                ("refused", funnel.refused),
                ("provider_accepted", funnel.provider_accepted),
                ("sent", funnel.sent),
                ("delivered", funnel.delivered),
                ("read", funnel.read),
                ("failed", funnel.failed),
                ("outcome_unknown", funnel.outcome_unknown),
                ("given_up", funnel.given_up),
            ] {
                *sums.entry(name).or_default() += count;
            }
        }
        if sums["read"] >= reads || Instant::now() >= deadline {
            return Ok(sums);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Every message by the API's list.
async fn list_all(system: &System) -> anyhow::Result<HashMap<Uuid, MessageState>> {
    let mut all = HashMap::new();
    for tenant in 0..system.tenants.len() {
        let mut client = system.client(tenant)?.messages;
        let mut page_token = String::new();
        loop {
            let request = v1::ListMessagesRequest {
                page_size: PAGE,
                page_token,
                ..v1::ListMessagesRequest::default()
            };
            let page = client.list_messages(request).await?.into_inner();
            for message in &page.messages {
                all.insert(message.message_id.parse()?, message.state());
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
    }
    Ok(all)
}
