//! Query strings.

use std::collections::HashMap;

use serde_json::Value;

/// The members of a query string; the first of a repeated name wins.
pub(super) fn parse(query: Option<&str>) -> HashMap<String, String> {
    let Some(query) = query.filter(|query| !query.is_empty()) else {
        return HashMap::new();
    };
    // The URL parser of the HTTP client is at hand; host and path do not matter.
    let Ok(url) = reqwest::Url::parse(&format!("http://localhost/?{query}")) else {
        return HashMap::new();
    };
    let mut members = HashMap::new();
    for (name, value) in url.query_pairs() {
        members.entry(name.into_owned()).or_insert_with(|| value.into_owned());
    }
    members
}

/// A parameter as a value: lists, objects and switches come as JSON inside the text; anything else is the text.
pub(super) fn value(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Array(_) | Value::Object(_) | Value::Bool(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}
