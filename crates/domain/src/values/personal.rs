//! Personal data in the clear. These types live between a caller and the cipher: inside events they are `Sealed`.
//!
//! None of them shows anything in Debug output and none has Display.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::text_value;

macro_rules! redacted_debug {
    ($($type:ident),+) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($type), "(..)"))
            }
        }
    )+};
}
redacted_debug!(
    WaId,
    UserId,
    Wamid,
    TextBody,
    ProofText,
    ProfileName,
    TemplateComponents,
    FileDescription,
    FreeFormBody,
    InboundDetails,
    CallbackBody
);

/// Meta's id of a WhatsApp account: a phone number in digits without `+`, not always spelled as dialled.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WaId(String);

/// Text that is not a `wa_id`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a wa_id has 5 to 15 decimal digits, without a plus sign")]
pub struct InvalidWaId;

impl WaId {
    /// Accepts 5 to 15 decimal digits. Not checked against numbering plans: Meta has said that it exists.
    pub fn try_new(text: &str) -> Result<Self, InvalidWaId> {
        let good = (5..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidWaId)
        }
    }
}

text_value!(WaId, InvalidWaId);

/// A business-scoped user id: `CC.` or `CC.ENT.` and an opaque word. Stable per person and portfolio until the person
/// changes their number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UserId(String);

/// Text that is not a business-scoped user id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a business-scoped user id is two capital letters, a dot, optionally ENT and a dot, and up to 128 letters or digits"
)]
pub struct InvalidUserId;

impl UserId {
    /// Accepts `CC.word` and `CC.ENT.word`, at most 140 characters.
    pub fn try_new(text: &str) -> Result<Self, InvalidUserId> {
        let (country, rest) = text.split_once('.').ok_or(InvalidUserId)?;
        let word = rest.strip_prefix("ENT.").unwrap_or(rest);
        let good = country.len() == 2
            && country.bytes().all(|b| b.is_ascii_uppercase())
            && (1..=128).contains(&word.len())
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidUserId)
        }
    }
}

text_value!(UserId, InvalidUserId);

/// Meta's id of a message. Opaque to us, and it contains the person's phone number.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wamid(pub String);

/// What a free-form text says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TextBody(pub String);

/// The proof of an opt-in or opt-out in the caller's words: which form, which sentence, which recording.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProofText(pub String);

/// The name a person shows on WhatsApp.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProfileName(pub String);

/// The `components` of a template message with their parameters, as they go to Meta.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TemplateComponents(pub serde_json::Value);

/// What is said of a file that a person sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDescription {
    /// Meta's id of it, by which it is fetched.
    pub provider_id: String,
    /// Its media type, as Meta says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The SHA-256 of its bytes, as Meta writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The name that the person's device gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}
/// What a free-form message other than a text carries: the object that goes to Meta beneath the word for its kind.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FreeFormBody(pub serde_json::Value);

/// A person's message as Meta wrote it, without who wrote it when.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InboundDetails(pub serde_json::Value);

/// A callback, or a part of one, that nobody could read: kept whole.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallbackBody(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_values_show_nothing_in_debug_output() {
        let shown = format!(
            "{:?} {:?} {:?} {:?} {:?}",
            WaId::try_new("12025550142").unwrap(),
            UserId::try_new("US.40817735520916").unwrap(),
            Wamid("wamid.secret".into()),
            TextBody("secret".into()),
            TemplateComponents(serde_json::json!(["secret"])),
        );
        assert_eq!(
            shown,
            "WaId(..) UserId(..) Wamid(..) TextBody(..) TemplateComponents(..)"
        );
    }

    #[test]
    fn a_user_id_names_a_country_and_an_opaque_word() {
        for good in ["US.40817735520916", "BR.ENT.a_1"] {
            assert_eq!(UserId::try_new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "US",
            "us.1",
            "USA.1",
            "US.",
            "US.ENT.",
            "US.a b",
            &format!("US.{}", "1".repeat(129)),
        ] {
            assert_eq!(UserId::try_new(bad), Err(InvalidUserId), "{bad}");
        }
    }

    #[test]
    fn a_wa_id_is_digits_only() {
        for bad in ["", "+12025550142", "1202", "1234567890123456", "12o25550142"] {
            assert_eq!(WaId::try_new(bad), Err(InvalidWaId), "{bad}");
        }
    }
}
