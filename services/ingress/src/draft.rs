//! A request, parsed: everything is good, or everything that is wrong is named.

use crate::{fingerprint, limits, parties::Party};
use assent_api::{
    Problems, category,
    content::{self, Composed, ParsedContent, ParsedReference},
    ids, recipient, tags, timestamp,
};
use assent_domain::values::{
    Alias, Category, Fingerprint, IdempotencyKey, Label, MessageId, PhoneNumberId, Timestamp, Wamid,
};
use assent_proto::v1;
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    platform::Platform,
};
use assent_sealed::{AliasHash, KeyClass};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// A request that can be taken in.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) party: Arc<Party>,
    pub(crate) message: MessageId,
    pub(crate) sender: PhoneNumberId,
    pub(crate) to: Alias,
    /// Hashes of the recipient, the address as given first.
    pub(crate) aliases: Vec<AliasHash>,
    pub(crate) content: ParsedContent,
    pub(crate) refers_to: Option<Target>,
    /// A message of ours that the content refers to, whose id at Meta is not known yet: the next thing to find out.
    pub(crate) unresolved: Option<MessageId>,
    /// Where the request names that message.
    pub(crate) reference_field: &'static str,
    pub(crate) purpose: Option<Category>,
    pub(crate) campaign: Option<Label>,
    pub(crate) tags: BTreeMap<Label, Label>,
    pub(crate) fetch_credential: Option<Label>,
    pub(crate) expires_at: Timestamp,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) now: Timestamp,
    /// Why it may only repeat an earlier request: it could not be taken in now, but the same key gets the same answer for ever.
    pub(crate) stale: Option<ApiError>,
}

/// The earlier message that a request refers to.
#[derive(Debug)]
pub(crate) struct Target {
    /// Our id, if the caller named it so.
    pub(crate) message: Option<MessageId>,
    pub(crate) wamid: Wamid,
}

impl Draft {
    /// Parses a request of a tenant's at `now`.
    pub(crate) fn parse(
        platform: &Platform,
        party: Arc<Party>,
        request: &v1::SendMessageRequest,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        let mut problems = Problems::new();
        let key = problems.keep("idempotency_key", IdempotencyKey::try_new(&request.idempotency_key));
        let sender = ids::number(&request.from, "from", &mut problems);
        let to = recipient::parse(request.to.as_ref(), "to", &mut problems);
        let content = content::parse(request.content.as_ref(), "content", &mut problems);
        let purpose = category::parse(request.category, "category", &mut problems);
        let tags = tags::parse(&request.tags, "tags", &mut problems);
        let campaign = match request.campaign.as_str() {
            "" => None,
            text => problems.keep("campaign", Label::try_new(text)),
        };
        if v1::WaitFor::try_from(request.wait_for).is_err() {
            problems.add("wait_for", "is not one of the values");
        }
        let fetch_credential = match request.fetch_credential.as_str() {
            "" => None,
            text => problems.keep("fetch_credential", Label::try_new(text)),
        };
        let mut stale = Problems::new();
        if let Some(name) = &fetch_credential
            && !party.has_fetch_credential(name.as_str())
        {
            stale.add(
                "fetch_credential",
                "is not the name of a fetch credential of this tenant",
            );
        }
        let expires_at = expiry(request.expiry.as_ref(), now, &mut problems, &mut stale);
        let (Some(key), Some(sender), Some(to), Some(composed), true) = (key, sender, to, content, problems.is_empty())
        else {
            // A moment that has passed is one more thing to mend.
            stale.into_problems(&mut problems);
            return Err(problems.into_error());
        };

        let Composed { content, refers_to } = composed;
        let (refers_to, unresolved) = match refers_to {
            Some(ParsedReference::Provider(wamid)) => (Some(Target { message: None, wamid }), None),
            Some(ParsedReference::Ours(message)) => (None, Some(message)),
            None => (None, None),
        };
        let tenant = party.id.as_str();
        let unknown_number = party.number(sender.as_str()).is_none();
        let stale = stale.into_result().err().or_else(|| {
            unknown_number
                .then(|| ApiError::new(ErrorCode::NumberUnknown).message("`from` is not a number of this tenant"))
        });
        let aliases = recipient::candidates(&to)
            .iter()
            .map(|alias| platform.alias_hash(tenant, alias))
            .collect();
        Ok(Self {
            message: platform.message_id(tenant, &key),
            fingerprint: fingerprint::of(&platform.hasher, &party.id, &to, request),
            party,
            sender,
            aliases,
            to,
            content,
            refers_to,
            unresolved,
            reference_field: reference_field(request.content.as_ref()),
            purpose,
            campaign,
            tags,
            fetch_credential,
            expires_at,
            now,
            stale,
        })
    }

    /// Keeps it from being taken in as a new request, for one more reason. Whoever repeats a request gets the answer that it had,
    /// whatever became of templates and earlier messages since.
    pub(crate) fn holds_back(&mut self, reason: ApiError) {
        self.stale = Some(match self.stale.take() {
            None => reason,
            // All bad fields go into one answer; another kind of answer stands for itself.
            Some(known) if known.code() == reason.code() => reason.fields().iter().fold(known, |known, problem| {
                known.field(&problem.field, &problem.description)
            }),
            Some(known) => known,
        });
    }

    /// The class of key that protects its content: one-time codes are worthless within the hour.
    pub(crate) fn content_class(&self) -> KeyClass {
        match self.purpose {
            Some(Category::Authentication) => KeyClass::OneTimeCode,
            Some(Category::Marketing | Category::Utility | Category::Service) | None => KeyClass::Content,
        }
    }
}

/// The path of the message of ours that content refers to.
fn reference_field(content: Option<&v1::Content>) -> &'static str {
    match content.and_then(|content| content.kind.as_ref()) {
        Some(v1::content::Kind::Reaction(_)) => "content.reaction.message.message_id",
        _ => "content.reply_to.message_id",
    }
}

/// When the message is no longer worth sending. A moment that is only too early or too late for now goes to `stale`.
fn expiry(
    given: Option<&v1::send_message_request::Expiry>,
    now: Timestamp,
    problems: &mut Problems,
    stale: &mut Problems,
) -> Timestamp {
    use v1::send_message_request::Expiry;
    match given {
        None => now + limits::EXPIRY_DEFAULT,
        Some(Expiry::ExpiresAt(at)) => {
            let at = timestamp::parse(Some(at), "expires_at", problems);
            if at.is_some_and(|at| at <= now) {
                stale.add("expires_at", "must lie in the future");
            } else if at.is_some_and(|at| at > now + limits::EXPIRY_MAX) {
                problems.add("expires_at", "must lie at most 30 days ahead");
            }
            at.unwrap_or(now)
        }
        Some(Expiry::Ttl(ttl)) => {
            let seconds = u64::try_from(ttl.seconds).ok();
            let nanos = u32::try_from(ttl.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
            let ttl = seconds.zip(nanos).map(|(seconds, nanos)| Duration::new(seconds, nanos));
            ttl.filter(|ttl| (limits::TTL_MIN..=limits::EXPIRY_MAX).contains(ttl))
                .map_or_else(
                    || {
                        problems.add("ttl", "must lie between 1 second and 30 days");
                        now
                    },
                    |ttl| now + ttl,
                )
        }
    }
}
