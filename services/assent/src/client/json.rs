//! Messages of the contract in the JSON form that protobuf defines for them.

use anyhow::Context as _;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};

fn descriptor(name: &str) -> anyhow::Result<MessageDescriptor> {
    let pool = DescriptorPool::decode(assent_proto::FILE_DESCRIPTOR_SET)?;
    let descriptor = pool.get_message_by_name(&format!("assent.v1.{name}"));
    descriptor.with_context(|| format!("the contract has no message {name}"))
}

/// One message of the contract, by its name within `assent.v1`, on one line.
pub(super) fn line(name: &str, message: &impl Message) -> anyhow::Result<String> {
    let dynamic = DynamicMessage::decode(descriptor(name)?, message.encode_to_vec().as_slice())?;
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    let options = SerializeOptions::new().use_proto_field_name(true);
    dynamic.serialize_with_options(&mut serializer, &options)?;
    Ok(String::from_utf8(bytes)?)
}

/// One message of the contract out of its JSON form, with the names of the contract or their camel-case twins.
pub(super) fn read<M: Message + Default>(name: &str, text: &str) -> anyhow::Result<M> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let dynamic = DynamicMessage::deserialize(descriptor(name)?, &mut deserializer)?;
    deserializer.end()?;
    Ok(M::decode(dynamic.encode_to_vec().as_slice())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_proto::v1::{Content, MessageState, SendMessageResponse, content::Kind};

    #[test]
    fn content_is_read_from_its_json() {
        let json = r#"{"image": {"media": {"link": "https://cdn.example/a.png"}, "caption": "Left"},
            "replyTo": {"provider_message_id": "wamid.x"}}"#;
        let content: Content = read("Content", json).unwrap();
        assert!(matches!(content.kind, Some(Kind::Image(image)) if image.caption == "Left"));
        assert!(content.reply_to.is_some());
        for wrong in ["{", r#"{"picture": {}}"#, r#"{"text": {"body": 5}}"#, "{} {}"] {
            assert!(read::<Content>("Content", wrong).is_err(), "{wrong}");
        }
    }

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
