//! Whether a phone number is known to be a WhatsApp account.

use crate::{platform::Platform, streams::Subject};
use assent_domain::{
    events::StreamCategory,
    values::{Alias, WaId},
};
use assent_event_store::{ReadError, ShardId};

impl Platform {
    /// The WhatsApp id of whoever has written to a tenant, or chosen something in WhatsApp's own controls, by one of these
    /// names; none if nobody has. A person's stream begins with the first thing that Meta reported of them, under the id
    /// that Meta has for them.
    pub async fn known_wa_id(&self, tenant: &str, shard: ShardId, names: &[Alias]) -> Result<Option<WaId>, ReadError> {
        for name in names {
            let digits = match name {
                Alias::Phone(number) => number.digits(),
                Alias::WaId(wa_id) => wa_id.as_str(),
                Alias::UserId(_) => continue,
            };
            let person = Subject::Person(self.alias_hash(tenant, name));
            let stream = self.stream_of(StreamCategory::Provider, person);
            if !self.store.read_stream(shard, &stream, 0, 1).await?.is_empty() {
                return Ok(WaId::try_new(digits).ok());
            }
        }
        Ok(None)
    }
}
