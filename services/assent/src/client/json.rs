//! Messages of the contract in the JSON form that protobuf defines for them.

use anyhow::Context as _;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

/// One message of the contract, by its name within `assent.v1`, on one line.
pub(super) fn line(name: &str, message: &impl Message) -> anyhow::Result<String> {
    let pool = DescriptorPool::decode(assent_proto::FILE_DESCRIPTOR_SET)?;
    let descriptor = pool.get_message_by_name(&format!("assent.v1.{name}"));
    let descriptor = descriptor.with_context(|| format!("the contract has no message {name}"))?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?;
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    let options = SerializeOptions::new().use_proto_field_name(true);
    dynamic.serialize_with_options(&mut serializer, &options)?;
    Ok(String::from_utf8(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_proto::v1::{MessageState, SendMessageResponse};

    #[test]
    fn states_have_their_names() {
        let response = SendMessageResponse {
            message_id: "m".to_owned(),
            state: MessageState::Authorized.into(),
            ..SendMessageResponse::default()
        };
        let json = line("SendMessageResponse", &response).unwrap();
        assert_eq!(json, r#"{"message_id":"m","state":"MESSAGE_STATE_AUTHORIZED"}"#);
    }
}
