//! Asking Meta what a token may do, and what time it is there.

use reqwest::header::DATE;
use serde_json::Value;

use super::Client;
use super::transport::{CallError, exchange, json_of};
use crate::json::Fields;
use crate::redact::redacted_debug;
use crate::secret::Secret;

/// What Meta says of an access token (`GET /debug_token`, Graph API reference).
#[derive(Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// Whether it works.
    pub is_valid: bool,
    /// The app it was made for.
    pub app_id: Option<String>,
    /// When it stops working, Unix seconds; absent if never. Tokens of system users may live for ever, those of people do not.
    pub expires_at: Option<i64>,
    /// The permissions it has.
    pub scopes: Vec<String>,
    /// Meta's clock as the answer's `Date` header says it, an HTTP date with seconds; absent without one.
    pub answered_at: Option<String>,
}

redacted_debug!(TokenInfo {
    is_valid,
    app_id,
    expires_at,
    scopes,
    answered_at
});

impl Client {
    /// Asks what a token is good for, by that token itself.
    pub async fn token_info(&self, token: &Secret) -> Result<TokenInfo, CallError> {
        let request = self
            .http
            .get(self.url(["debug_token"]))
            .query(&[("input_token", token.expose())])
            .bearer_auth(token.expose());
        let answer = exchange(request).await?;
        let data = Fields::from_value(json_of(&answer)?).and_then(|mut fields| fields.object("data"));
        let mut data = data.ok_or(CallError::Unreadable { http_status: 200 })?;
        Ok(TokenInfo {
            is_valid: data.boolean("is_valid").unwrap_or(false),
            app_id: data.filled_text("app_id"),
            // 0 stands for never.
            expires_at: data.integer("expires_at").filter(|at| *at > 0),
            scopes: texts(data.list("scopes")),
            answered_at: answer.header(DATE.as_str()),
        })
    }
}

fn texts(values: Vec<Value>) -> Vec<String> {
    let texts = values.into_iter().filter_map(|value| match value {
        Value::String(text) => Some(text),
        _ => None,
    });
    texts.collect()
}
