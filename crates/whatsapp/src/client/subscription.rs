//! Where Meta sends its callbacks: apps subscribed to an account, and addresses that override the app's own
//! (Cloud API, "Webhooks", overrides). A number's address goes before the account's, and that before the app's.

use serde_json::{Value, json};

use super::Client;
use super::transport::{CallError, ChangeError, send_for_json, send_for_success};
use crate::json::Fields;
use crate::limits::CALLBACK_URL_CHARS_MAX;
use crate::message::Invalid;
use crate::message::check::Checker;
use crate::secret::Secret;

/// An address of our own for the callbacks of an account or a number. Only messages and statuses follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackOverride {
    /// The address, https, up to 200 characters. Meta asks it for the challenge before it takes it.
    pub url: String,
    /// What Meta says in the challenge.
    pub verify_token: Secret,
}

/// An app subscribed to an account. Without one, an account delivers no callbacks at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribedApp {
    /// The app's id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// The account's address for it, if it overrides the app's.
    pub override_url: Option<String>,
}

/// Where the callbacks of a number go, level by level.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallbackUrls {
    /// The app's own address.
    pub application: Option<String>,
    /// The account's, if it overrides that.
    pub account: Option<String>,
    /// The number's, if it overrides both.
    pub number: Option<String>,
}

impl CallbackUrls {
    /// The address in force.
    pub fn effective(&self) -> Option<&str> {
        let by_precedence = [&self.number, &self.account, &self.application];
        by_precedence.into_iter().find_map(|url| url.as_deref())
    }
}

impl Client {
    /// The apps subscribed to an account.
    pub async fn subscribed_apps(&self, account_id: &str, token: &Secret) -> Result<Vec<SubscribedApp>, CallError> {
        let request = self
            .http
            .get(self.url([account_id, "subscribed_apps"]))
            .bearer_auth(token.expose());
        let fields = Fields::from_value(send_for_json(request).await?).filter(|fields| fields.has("data"));
        let mut fields = fields.ok_or(CallError::Unreadable { http_status: 200 })?;
        let apps = fields.objects("data").into_iter().map(|mut row| {
            let override_url = row.filled_text("override_callback_uri");
            let mut app = row.object("whatsapp_business_api_data").unwrap_or(row);
            SubscribedApp {
                id: app.filled_text("id"),
                name: app.filled_text("name"),
                override_url: override_url.or_else(|| app.filled_text("override_callback_uri")),
            }
        });
        Ok(apps.collect())
    }

    /// Subscribes the token's app to an account. Without an override a former one is taken away.
    pub async fn subscribe_app(
        &self,
        account_id: &str,
        token: &Secret,
        callback: Option<&CallbackOverride>,
    ) -> Result<(), ChangeError> {
        let mut request = self
            .http
            .post(self.url([account_id, "subscribed_apps"]))
            .bearer_auth(token.expose());
        if let Some(callback) = callback {
            callback.validate()?;
            request = request.json(&callback.to_value());
        }
        Ok(send_for_success(request).await?)
    }

    /// Ends the subscription of the token's app: the account delivers it nothing any more.
    pub async fn unsubscribe_app(&self, account_id: &str, token: &Secret) -> Result<(), CallError> {
        let request = self
            .http
            .delete(self.url([account_id, "subscribed_apps"]))
            .bearer_auth(token.expose());
        send_for_success(request).await
    }

    /// Where the callbacks of a number go.
    pub async fn callback_urls(&self, phone_number_id: &str, token: &Secret) -> Result<CallbackUrls, CallError> {
        let request = self
            .http
            .get(self.url([phone_number_id]))
            .query(&[("fields", "webhook_configuration")])
            .bearer_auth(token.expose());
        let mut fields =
            Fields::from_value(send_for_json(request).await?).ok_or(CallError::Unreadable { http_status: 200 })?;
        let mut urls = fields.object("webhook_configuration").unwrap_or_default();
        Ok(CallbackUrls {
            application: urls.filled_text("application"),
            account: urls.filled_text("whatsapp_business_account"),
            number: urls.filled_text("phone_number"),
        })
    }

    /// Sets a number's own address for callbacks, or takes it away.
    pub async fn override_number_callback(
        &self,
        phone_number_id: &str,
        token: &Secret,
        callback: Option<&CallbackOverride>,
    ) -> Result<(), ChangeError> {
        let configuration = match callback {
            Some(callback) => {
                callback.validate()?;
                callback.to_value()
            }
            None => json!({"override_callback_uri": ""}),
        };
        let request = self
            .http
            .post(self.url([phone_number_id]))
            .bearer_auth(token.expose())
            .json(&json!({ "webhook_configuration": configuration }));
        Ok(send_for_success(request).await?)
    }
}

impl CallbackOverride {
    /// Checks what Meta documents. All problems at once. Whether https is used is for Meta to judge: a simulator has none.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut checker = Checker::default();
        checker.length("override_callback_uri", &self.url, 1, CALLBACK_URL_CHARS_MAX);
        checker.web_url("override_callback_uri", &self.url);
        checker.filled("verify_token", self.verify_token.expose());
        checker.finish()
    }

    fn to_value(&self) -> Value {
        json!({"override_callback_uri": self.url, "verify_token": self.verify_token.expose()})
    }
}
