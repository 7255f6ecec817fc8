//! Two messages in sentences: one that was read, one that was held back.

use anyhow::Context as _;
use assent_proto::v1::{
    ExplainMessageRequest, ExplainMessageResponse, MessageState, message_service_client::MessageServiceClient,
};
use uuid::Uuid;

use super::{
    accounts::{Answer, Ledger},
    screen::Screen,
    stage::Stage,
};
use crate::client::{Authorized, Failure, state_name};

/// Messages looked at for one that was read.
const LOOKED_AT_MAX: usize = 50;

/// Explains one of each.
pub(super) async fn tell(stage: &Stage, screen: &Screen, ledger: &Ledger) -> anyhow::Result<()> {
    let mut client = MessageServiceClient::new(stage.channel.clone());
    screen.say("assent explain MESSAGE_ID tells this of every message, from its events alone.");
    let sent = read_message(&mut client, ledger).await?;
    show(screen, &sent);
    let held_back = explain(&mut client, refused_message(ledger).context("nothing was refused")?).await?;
    show(screen, &held_back);
    Ok(())
}

/// An authorized message that was read, or the last looked at.
async fn read_message(
    client: &mut MessageServiceClient<Authorized>,
    ledger: &Ledger,
) -> anyhow::Result<ExplainMessageResponse> {
    let authorized = ledger
        .answers
        .iter()
        .filter(|(_, answer)| **answer == Answer::Authorized);
    let mut last = None;
    for (id, _) in authorized.take(LOOKED_AT_MAX) {
        let explained = explain(client, *id).await?;
        if explained.state == i32::from(MessageState::Read) {
            return Ok(explained);
        }
        last = Some(explained);
    }
    last.context("nothing was authorized")
}

/// A refused message: rather of somebody who changed their mind than of a stranger.
fn refused_message(ledger: &Ledger) -> Option<Uuid> {
    let refused = |(id, answer): (&Uuid, &Answer)| match answer {
        Answer::Refused(reasons) => Some((*id, reasons.iter().any(|reason| reason == "CONSENT_WITHDRAWN"))),
        Answer::Authorized => None,
    };
    let refused: Vec<(Uuid, bool)> = ledger.answers.iter().filter_map(refused).collect();
    let withdrawn = refused.iter().find(|(_, withdrawn)| *withdrawn);
    withdrawn.or(refused.first()).map(|(id, _)| *id)
}

async fn explain(client: &mut MessageServiceClient<Authorized>, id: Uuid) -> anyhow::Result<ExplainMessageResponse> {
    let request = ExplainMessageRequest {
        message_id: id.to_string(),
    };
    Ok(client
        .explain_message(request)
        .await
        .map_err(Failure::from)?
        .into_inner())
}

fn show(screen: &Screen, explained: &ExplainMessageResponse) {
    screen.tell("");
    screen.good(&format!(
        "message {} is {}",
        explained.message_id,
        state_name(explained.state)
    ));
    for sentence in &explained.sentences {
        screen.item(sentence);
    }
}
