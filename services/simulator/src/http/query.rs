//! Query strings.

use std::collections::HashMap;

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
