//! From our id of an earlier message to Meta's, which is what a reply or a reaction needs.

use crate::{
    accept,
    draft::{Draft, Target},
    service::Ingress,
};
use assent_api::Problems;
use assent_domain::values::{MessageId, Wamid};
use assent_runtime::{api_error::ApiError, streams::purpose};

/// Finds Meta's id of a message of the tenant's that a draft refers to. What stands against it only keeps a new request from
/// being taken in: whoever repeats one gets the answer that it had.
pub(crate) async fn resolve(ingress: &Ingress, draft: &mut Draft, message: MessageId) -> Result<(), ApiError> {
    match find(ingress, draft, message).await? {
        Ok(wamid) => {
            let message = Some(message);
            draft.refers_to = Some(Target { message, wamid });
        }
        Err(why) => {
            let mut problems = Problems::new();
            problems.add(draft.reference_field, why);
            draft.holds_back(problems.into_error());
        }
    }
    Ok(())
}

/// Meta's id, or why there is none to refer to.
async fn find(ingress: &Ingress, draft: &Draft, message: MessageId) -> Result<Result<Wamid, &'static str>, ApiError> {
    let story = match ingress.story(&draft.party, message).await {
        Ok(story) => story,
        Err(error) if error.code() == assent_runtime::api_error::ErrorCode::MessageUnknown => {
            return Ok(Err("is no message of yours"));
        }
        Err(error) => return Err(error),
    };
    if story.submitted.sender != draft.sender {
        return Ok(Err(
            "was sent from another number; a message refers to one of the same chat",
        ));
    }
    let Some(sealed) = &story.wamid else {
        return Ok(Err("has no id at Meta: it was not taken there, or not yet"));
    };
    let now = time::OffsetDateTime::now_utc();
    let opened = ingress.platform.keys.open(sealed, purpose::WAMID, now).await;
    let opened = opened.map_err(|error| accept::key_error(&error))?;
    Ok(opened.value().ok_or("was erased"))
}
