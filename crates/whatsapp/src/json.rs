//! Reading JSON that somebody else may change: every getter gives what it can and leaves what it does not understand.

use serde_json::{Map, Value};

use crate::timestamp::Timestamp;

/// A JSON object that is taken apart field by field. A field of an unexpected type stays in place and ends up in
/// [`Fields::into_rest`], so nothing Meta wrote is dropped.
#[derive(Default)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// `None` if the value is no object.
    pub(crate) fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self(map)),
            _ => None,
        }
    }

    /// Adds a field.
    pub(crate) fn put(&mut self, key: &str, value: Value) {
        self.0.insert(key.to_owned(), value);
    }

    fn take_if(&mut self, key: &str, fits: impl FnOnce(&Value) -> bool) -> Option<Value> {
        if fits(self.0.get(key)?) {
            self.0.remove(key)
        } else {
            None
        }
    }

    /// A string; numbers and booleans are written out, because ids come as both.
    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        match self.take_if(key, |value| {
            value.is_string() || value.is_number() || value.is_boolean()
        })? {
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }

    /// A string that says something: `""` counts as absent.
    pub(crate) fn filled_text(&mut self, key: &str) -> Option<String> {
        self.text(key).filter(|text| !text.is_empty())
    }

    /// A whole number, also when written as a string.
    pub(crate) fn integer(&mut self, key: &str) -> Option<i64> {
        self.take_if(key, |value| integer_of(value).is_some())
            .as_ref()
            .and_then(integer_of)
    }

    /// Any number, also when written as a string.
    pub(crate) fn number(&mut self, key: &str) -> Option<f64> {
        self.take_if(key, |value| number_of(value).is_some())
            .as_ref()
            .and_then(number_of)
    }

    /// A truth value, also when written as a string.
    pub(crate) fn boolean(&mut self, key: &str) -> Option<bool> {
        self.take_if(key, |value| boolean_of(value).is_some())
            .as_ref()
            .and_then(boolean_of)
    }

    /// An instant in seconds or milliseconds, as number or string.
    pub(crate) fn timestamp(&mut self, key: &str) -> Option<Timestamp> {
        self.integer(key).and_then(Timestamp::from_unix_guessed)
    }

    /// Whatever stands there.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key)
    }

    /// A nested object.
    pub(crate) fn object(&mut self, key: &str) -> Option<Fields> {
        self.take_if(key, Value::is_object).and_then(Self::from_value)
    }

    /// A list; empty if absent or of another type.
    pub(crate) fn list(&mut self, key: &str) -> Vec<Value> {
        match self.take_if(key, Value::is_array) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        }
    }

    /// The objects of a list; other members are skipped.
    pub(crate) fn objects(&mut self, key: &str) -> Vec<Fields> {
        self.list(key).into_iter().filter_map(Self::from_value).collect()
    }

    /// Whether the field is there and not null.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|value| !value.is_null())
    }

    /// What nobody took.
    pub(crate) fn into_rest(self) -> Map<String, Value> {
        self.0
    }
}

fn integer_of(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn number_of(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

fn boolean_of(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_and_strings_are_read_alike() {
        let mut fields =
            Fields::from_value(json!({"a": "12", "b": 12, "c": 940_021_177_300_155_i64, "d": "true"})).unwrap();
        assert_eq!(fields.integer("a"), Some(12));
        assert_eq!(fields.integer("b"), Some(12));
        assert_eq!(fields.text("c").as_deref(), Some("940021177300155"));
        assert_eq!(fields.boolean("d"), Some(true));
        assert!(fields.into_rest().is_empty());
    }

    #[test]
    fn what_has_an_unexpected_type_stays_in_the_rest() {
        let mut fields = Fields::from_value(json!({"status": {"nested": true}, "time": []})).unwrap();
        assert_eq!(fields.text("status"), None);
        assert_eq!(fields.timestamp("time"), None);
        let rest = fields.into_rest();
        assert_eq!(rest.len(), 2);
    }
}
