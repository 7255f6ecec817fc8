//! The business profile of a number: what people see beside the chat.

use serde_json::{Map, Value, json};

use crate::error::GraphError;
use crate::request::{check_chars, invalid, missing};

const ABOUT_CHARS_MAX: usize = 139;
const ADDRESS_CHARS_MAX: usize = 256;
const DESCRIPTION_CHARS_MAX: usize = 512;
const EMAIL_CHARS_MAX: usize = 128;
const WEBSITE_CHARS_MAX: usize = 256;
const WEBSITES_MAX: usize = 2;
const FIELDS: [&str; 8] = [
    "messaging_product",
    "about",
    "address",
    "description",
    "email",
    "profile_picture_url",
    "websites",
    "vertical",
];
const VERTICALS: [&str; 22] = [
    "UNDEFINED",
    "OTHER",
    "AUTO",
    "BEAUTY",
    "APPAREL",
    "EDU",
    "ENTERTAIN",
    "EVENT_PLAN",
    "FINANCE",
    "GROCERY",
    "GOVT",
    "HOTEL",
    "HEALTH",
    "NONPROFIT",
    "PROF_SERVICES",
    "RETAIL",
    "TRAVEL",
    "RESTAURANT",
    "NOT_A_BIZ",
    "ALCOHOL",
    "ONLINE_GAMBLING",
    "OTC_DRUGS",
];

/// The profile; a field that was never set is not there.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    fields: Map<String, Value>,
}

impl Default for Profile {
    fn default() -> Self {
        let fields = json!({"messaging_product": "whatsapp", "about": "Simulated", "vertical": "OTHER"});
        Self {
            fields: fields.as_object().cloned().unwrap_or_default(),
        }
    }
}

impl Profile {
    /// The fields asked for (`None`: all) that have a value. An unknown field is error 100.
    pub(crate) fn fields(&self, asked: Option<&str>) -> Result<Value, GraphError> {
        let names: Vec<&str> = match asked {
            Some(list) => list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect(),
            None => FIELDS.to_vec(),
        };
        if let Some(unknown) = names.iter().find(|name| !FIELDS.contains(name) && **name != "id") {
            return Err(GraphError::new(
                100,
                format!("Tried accessing nonexisting field ({unknown})"),
            ));
        }
        let shown = |name: &str| Some((name.to_owned(), self.fields.get(name)?.clone()));
        Ok(Value::Object(names.into_iter().filter_map(shown).collect()))
    }

    /// Takes the fields given and leaves the others; an empty text or list removes its field.
    pub(crate) fn update(&mut self, given: &Map<String, Value>) -> Result<(), GraphError> {
        if given.get("messaging_product").and_then(Value::as_str) != Some("whatsapp") {
            return Err(missing("messaging_product"));
        }
        let mut changed = self.fields.clone();
        for (name, value) in given {
            let (name, value) = check(name, value)?;
            let is_empty = value.as_str().is_some_and(str::is_empty) || value.as_array().is_some_and(Vec::is_empty);
            if is_empty || value.is_null() {
                changed.remove(name);
            } else {
                changed.insert(name.to_owned(), value);
            }
        }
        self.fields = changed;
        Ok(())
    }
}

/// A field that may be given, under the name it is shown by.
fn check<'a>(name: &'a str, value: &Value) -> Result<(&'a str, Value), GraphError> {
    let chars_max = match name {
        "messaging_product" => return Ok((name, value.clone())),
        "websites" => return websites(value).map(|websites| (name, websites)),
        "about" => ABOUT_CHARS_MAX,
        "address" => ADDRESS_CHARS_MAX,
        "description" => DESCRIPTION_CHARS_MAX,
        "email" => EMAIL_CHARS_MAX,
        "vertical" | "profile_picture_handle" => usize::MAX,
        _ => return Err(invalid(format!("Unexpected key \"{name}\" in a business profile."))),
    };
    let text = match value {
        Value::Null => "",
        Value::String(text) => text,
        _ => return Err(invalid(format!("Param {name} must be a text."))),
    };
    check_chars(name, text, chars_max)?;
    match name {
        "about" if text.is_empty() => Err(invalid("Param about must not be empty.")),
        "email" if !text.is_empty() && !text.contains('@') => Err(invalid("Param email must be an e-mail address.")),
        "vertical" if !text.is_empty() && !VERTICALS.contains(&text) => {
            Err(invalid("Param vertical must be one of the known verticals."))
        }
        "profile_picture_handle" => Ok(("profile_picture_url", json!("https://pps.whatsapp.net/simulated.jpg"))),
        _ => Ok((name, json!(text))),
    }
}

fn websites(value: &Value) -> Result<Value, GraphError> {
    let list = match value {
        Value::Null => &[],
        Value::Array(list) if list.len() <= WEBSITES_MAX => list.as_slice(),
        _ => return Err(invalid("Param websites must be a list of at most 2 URLs.")),
    };
    for website in list {
        let url = website.as_str().unwrap_or_default();
        check_chars("websites", url, WEBSITE_CHARS_MAX)?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(invalid("Param websites must hold http or https URLs."));
        }
    }
    Ok(json!(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(profile: &mut Profile, mut given: Value) -> Result<(), GraphError> {
        given["messaging_product"] = json!("whatsapp");
        profile.update(given.as_object().unwrap())
    }

    #[test]
    fn a_profile_keeps_what_was_set_and_shows_what_is_asked_for() {
        let mut profile = Profile::default();
        update(
            &mut profile,
            json!({"about": "Open", "websites": ["https://shop.example/"]}),
        )
        .unwrap();
        update(&mut profile, json!({"email": "a@shop.example"})).unwrap();
        let shown = profile.fields(Some("about,websites,email,address")).unwrap();
        let should = json!({"about": "Open", "websites": ["https://shop.example/"], "email": "a@shop.example"});
        assert_eq!(shown, should);
        update(&mut profile, json!({"websites": []})).unwrap();
        assert_eq!(profile.fields(Some("websites")).unwrap(), json!({}));
        assert_eq!(profile.fields(Some("abuot")).unwrap_err().code, 100);
    }

    #[test]
    fn a_bad_profile_changes_nothing() {
        let mut profile = Profile::default();
        let before = profile.fields(None).unwrap();
        for bad in [
            json!({"description": "ok", "about": "x".repeat(140)}),
            json!({"email": "nobody"}),
            json!({"vertical": "SHOE_SHOP"}),
            json!({"websites": ["https://a.example", "https://b.example", "https://c.example"]}),
            json!({"websites": ["shop.example"]}),
            json!({"abuot": "typo"}),
        ] {
            assert_eq!(update(&mut profile, bad).unwrap_err().code, 100);
        }
        assert_eq!(profile.fields(None).unwrap(), before);
    }
}
