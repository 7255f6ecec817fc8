//! What users see of a business (Cloud API, "Business profiles").

use serde::Serialize;
use serde_json::{Map, Value};

use super::Client;
use super::transport::{CallError, ChangeError, send_for_json, send_for_success};
use crate::json::Fields;
use crate::limits;
use crate::message::Invalid;
use crate::message::check::Checker;
use crate::secret::Secret;

/// The fields asked for.
const PROFILE_FIELDS: &str = "messaging_product,about,address,description,email,profile_picture_url,websites,vertical";

/// A business profile. Every field may be absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BusinessProfile {
    /// One line about the business.
    pub about: Option<String>,
    /// Postal address.
    pub address: Option<String>,
    /// More about the business.
    pub description: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Where the picture can be fetched.
    pub profile_picture_url: Option<String>,
    /// Web sites.
    pub websites: Vec<String>,
    /// Line of business, Meta's word (`RETAIL`, `HEALTH`, …).
    pub vertical: Option<String>,
    /// Everything else Meta sent.
    pub other: Map<String, Value>,
}

/// What is to change; what is left out stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct BusinessProfileUpdate {
    /// One line about the business, 1 to 139 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Postal address, up to 256 characters; empty takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// More about the business, up to 512 characters; empty takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// E-mail address, up to 128 characters; empty takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Handle of an uploaded picture, from the Resumable Upload API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_picture_handle: Option<String>,
    /// All web sites from then on, at most two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub websites: Option<Vec<String>>,
    /// Line of business, Meta's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vertical: Option<String>,
}

#[derive(Serialize)]
struct UpdateBody<'a> {
    messaging_product: &'static str,
    #[serde(flatten)]
    update: &'a BusinessProfileUpdate,
}

impl Client {
    /// The profile of a number's business.
    pub async fn business_profile(&self, phone_number_id: &str, token: &Secret) -> Result<BusinessProfile, CallError> {
        let request = self
            .http
            .get(self.url([phone_number_id, "whatsapp_business_profile"]))
            .query(&[("fields", PROFILE_FIELDS)])
            .bearer_auth(token.expose());
        let unreadable = CallError::Unreadable { http_status: 200 };
        let Some(mut fields) = Fields::from_value(send_for_json(request).await?) else {
            return Err(unreadable);
        };
        let mut row = fields.objects("data").into_iter().next().ok_or(unreadable)?;
        // Meta's guide has the fields in the row, its API description one level deeper.
        let profile = row.object("business_profile").unwrap_or(row);
        Ok(BusinessProfile::from_fields(profile))
    }

    /// Changes the profile of a number's business, after [`BusinessProfileUpdate::validate`].
    pub async fn update_business_profile(
        &self,
        phone_number_id: &str,
        token: &Secret,
        update: &BusinessProfileUpdate,
    ) -> Result<(), ChangeError> {
        update.validate()?;
        let request = self
            .http
            .post(self.url([phone_number_id, "whatsapp_business_profile"]))
            .bearer_auth(token.expose())
            .json(&UpdateBody {
                messaging_product: "whatsapp",
                update,
            });
        Ok(send_for_success(request).await?)
    }
}

impl BusinessProfile {
    fn from_fields(mut fields: Fields) -> Self {
        let websites = fields.list("websites").into_iter();
        let websites = websites.filter_map(|site| site.as_str().map(str::to_owned)).collect();
        Self {
            about: fields.filled_text("about"),
            address: fields.filled_text("address"),
            description: fields.filled_text("description"),
            email: fields.filled_text("email"),
            profile_picture_url: fields.filled_text("profile_picture_url"),
            websites,
            vertical: fields.filled_text("vertical"),
            other: fields.into_rest(),
        }
    }
}

impl BusinessProfileUpdate {
    /// Checks what Meta documents. All problems at once.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut checker = Checker::default();
        if *self == Self::default() {
            checker.problem("no change", "at least one field");
        }
        let texts = [
            ("about", &self.about, 1, limits::PROFILE_ABOUT_CHARS_MAX),
            ("address", &self.address, 0, limits::PROFILE_ADDRESS_CHARS_MAX),
            (
                "description",
                &self.description,
                0,
                limits::PROFILE_DESCRIPTION_CHARS_MAX,
            ),
            ("email", &self.email, 0, limits::PROFILE_EMAIL_CHARS_MAX),
        ];
        for (name, text, min, max) in texts {
            if let Some(text) = text {
                checker.length(name, text, min, max);
            }
        }
        let email = self.email.as_deref().unwrap_or_default();
        let is_address = email
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'));
        if !email.is_empty() && (!is_address || email.contains(char::is_whitespace)) {
            checker.problem_at("email", "not an e-mail address", "name@example.com");
        }
        if let Some(handle) = &self.profile_picture_handle {
            checker.filled("profile_picture_handle", handle);
        }
        if let Some(vertical) = &self.vertical
            && (vertical.is_empty() || !vertical.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
        {
            checker.problem_at(
                "vertical",
                "not one of Meta's words",
                "capitals and underscores, such as RETAIL",
            );
        }
        if let Some(websites) = &self.websites {
            checker.count("websites", websites.len(), 0, limits::PROFILE_WEBSITES_MAX);
            for (index, site) in websites.iter().enumerate() {
                let name = format!("websites[{index}]");
                checker.length(&name, site, 1, limits::PROFILE_WEBSITE_CHARS_MAX);
                checker.web_url(&name, site);
            }
        }
        checker.finish()
    }
}
