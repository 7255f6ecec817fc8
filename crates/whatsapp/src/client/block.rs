//! The block list of a number (Cloud API, "Block users"): whom we do not want to hear from.

use serde_json::{Value, json};

use super::Client;
use super::transport::{CallError, ChangeError, exchange, send_for_json};
use crate::graph_error::GraphError;
use crate::json::Fields;
use crate::limits::{BLOCK_USERS_PER_CALL_MAX, BLOCKED_USERS_PER_PAGE_MAX};
use crate::message::check::Checker;
use crate::message::{Invalid, Recipient};
use crate::redact::redacted_debug;
use crate::secret::Secret;

/// A user on the block list, or put there or taken off.
#[derive(Clone, PartialEq, Eq)]
pub struct BlockedUser {
    /// What was given.
    pub input: Option<String>,
    /// The WhatsApp id.
    pub wa_id: Option<String>,
    /// The business-scoped id.
    pub user_id: Option<String>,
}

/// A user whom Meta did not block or unblock.
#[derive(Clone, PartialEq)]
pub struct BlockFailure {
    /// Whom.
    pub user: BlockedUser,
    /// Why: 131047 for somebody who did not write within 24 hours or is not on WhatsApp.
    pub errors: Vec<GraphError>,
}

/// What became of each user. Meta does what it can and names the rest.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BlockOutcome {
    /// Whose state is now as wanted.
    pub done: Vec<BlockedUser>,
    /// Whose is not.
    pub failed: Vec<BlockFailure>,
}

/// A page of the block list.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockedPage {
    /// The users on it.
    pub users: Vec<BlockedUser>,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<String>,
}

redacted_debug!(BlockedUser {}, BlockFailure { errors });

impl Client {
    /// Blocks users who wrote to the number within the last 24 hours. Sends to them fail from then on (130403).
    pub async fn block_users(
        &self,
        phone_number_id: &str,
        token: &Secret,
        users: &[Recipient],
    ) -> Result<BlockOutcome, ChangeError> {
        self.change_blocks(reqwest::Method::POST, phone_number_id, token, users)
            .await
    }

    /// Takes users off the block list.
    pub async fn unblock_users(
        &self,
        phone_number_id: &str,
        token: &Secret,
        users: &[Recipient],
    ) -> Result<BlockOutcome, ChangeError> {
        self.change_blocks(reqwest::Method::DELETE, phone_number_id, token, users)
            .await
    }

    async fn change_blocks(
        &self,
        method: reqwest::Method,
        phone_number_id: &str,
        token: &Secret,
        users: &[Recipient],
    ) -> Result<BlockOutcome, ChangeError> {
        check(users)?;
        let listed: Vec<Value> = users.iter().map(|user| json!({"user": user.id()})).collect();
        let request = self
            .http
            .request(method, self.url([phone_number_id, "block_users"]))
            .bearer_auth(token.expose())
            .json(&json!({"messaging_product": "whatsapp", "block_users": listed}));
        let answer = exchange(request).await.map_err(CallError::from)?;
        // A partial success is HTTP 400 with the error 139100 beside the lists.
        if let Some(outcome) = read_outcome(&answer.body) {
            return Ok(outcome);
        }
        let http_status = answer.status.as_u16();
        let error = GraphError::from_answer(&answer.body).map(|error| CallError::Graph(Box::new(error)));
        Err(error.unwrap_or(CallError::Unreadable { http_status }).into())
    }

    /// One page of the block list, from the start or after a cursor. If the list changes meanwhile, Meta answers 139102:
    /// start again.
    pub async fn blocked_users(
        &self,
        phone_number_id: &str,
        token: &Secret,
        limit: u32,
        after: Option<&str>,
    ) -> Result<BlockedPage, CallError> {
        let limit = limit.clamp(1, BLOCKED_USERS_PER_PAGE_MAX).to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(after.map(|after| ("after", after)));
        let request = self
            .http
            .get(self.url([phone_number_id, "block_users"]))
            .query(&query)
            .bearer_auth(token.expose());
        let mut fields =
            Fields::from_value(send_for_json(request).await?).ok_or(CallError::Unreadable { http_status: 200 })?;
        if !fields.has("data") {
            return Err(CallError::Unreadable { http_status: 200 });
        }
        // Each row holds a list of its own.
        let rows = fields.objects("data").into_iter();
        let users = rows
            .flat_map(|mut row| row.objects("block_users"))
            .map(|mut user| BlockedUser::read(&mut user));
        let users = users.collect();
        let mut paging = fields.object("paging").unwrap_or_default();
        let more = paging.has("next");
        let cursors = paging.object("cursors");
        let cursor = cursors.and_then(|mut cursors| cursors.filled_text("after"));
        Ok(BlockedPage {
            users,
            next: cursor.filter(|_| more),
        })
    }
}

fn check(users: &[Recipient]) -> Result<(), Invalid> {
    let mut checker = Checker::default();
    checker.count("block_users", users.len(), 1, BLOCK_USERS_PER_CALL_MAX);
    checker.each("block_users", users, |checker, user| match user {
        Recipient::Group(_) => checker.problem("a group", "a user"),
        Recipient::BusinessScopedUser(id) if id.get(2..6) == Some(".ENT") => {
            checker.problem("a parent's business-scoped user id", "the id in this portfolio");
        }
        user => user.check(checker),
    });
    checker.distinct("block_users", users.iter().map(Recipient::id));
    checker.finish()
}

/// `None` if the answer has no lists.
fn read_outcome(body: &[u8]) -> Option<BlockOutcome> {
    let mut fields = Fields::from_value(serde_json::from_slice(body).ok()?)?;
    let mut lists = fields.object("block_users")?;
    // Meta's pages name the list of unblocked users in both ways.
    let done = [lists.objects("added_users"), lists.objects("removed_users")];
    let failed = lists.objects("failed_users").into_iter().map(|mut user| BlockFailure {
        user: BlockedUser::read(&mut user),
        errors: user
            .objects("errors")
            .into_iter()
            .filter_map(GraphError::from_fields)
            .collect(),
    });
    Some(BlockOutcome {
        done: done
            .into_iter()
            .flatten()
            .map(|mut user| BlockedUser::read(&mut user))
            .collect(),
        failed: failed.collect(),
    })
}

impl BlockedUser {
    fn read(fields: &mut Fields) -> Self {
        Self {
            input: fields.filled_text("input"),
            wa_id: fields.filled_text("wa_id"),
            user_id: fields.filled_text("user_id"),
        }
    }
}
