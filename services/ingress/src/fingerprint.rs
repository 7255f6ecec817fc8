//! What a request said, as keyed hashes: to tell a repetition from another request under the same key.

use assent_domain::values::{Alias, FieldHash, Fingerprint, TenantId, Term};
use assent_event_store::AliasHasher;
use assent_proto::v1;
use prost::Message as _;

/// The fingerprint of everything a request says but its key and what it waits for. A field that was not given has none, so
/// that fields added to the contract later change nothing for requests made before.
pub(crate) fn of(hasher: &AliasHasher, tenant: &TenantId, to: &Alias, request: &v1::SendMessageRequest) -> Fingerprint {
    let mut fields = Vec::with_capacity(8);
    let mut add = |field: &str, value: &[u8]| {
        let hash = hasher.keyed_hash("fingerprint", &[tenant.as_str().as_bytes(), field.as_bytes(), value]);
        let field = Term::try_new(field).expect("the fields of the contract are terms");
        fields.push(FieldHash { field, hash });
    };
    add("from", request.from.as_bytes());
    add("to", to.canonical().as_bytes());
    if let Some(content) = &request.content {
        add("content", &content.encode_to_vec());
    }
    if request.category != 0 {
        add("category", &request.category.to_be_bytes());
    }
    match &request.expiry {
        Some(v1::send_message_request::Expiry::ExpiresAt(at)) => add("expires_at", &at.encode_to_vec()),
        Some(v1::send_message_request::Expiry::Ttl(ttl)) => add("ttl", &ttl.encode_to_vec()),
        None => {}
    }
    if !request.tags.is_empty() {
        let mut text = String::new();
        for (key, value) in &request.tags {
            // Neither can hold a space: labels were checked before.
            text.extend([key, " ", value, " "]);
        }
        add("tags", text.as_bytes());
    }
    if !request.campaign.is_empty() {
        add("campaign", request.campaign.as_bytes());
    }
    if !request.fetch_credential.is_empty() {
        add("fetch_credential", request.fetch_credential.as_bytes());
    }
    Fingerprint::new(fields)
}
