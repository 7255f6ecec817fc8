//! Content as a caller writes it.
#![expect(clippy::unnecessary_wraps, reason = "protobuf's optional fields want them")]

use assent_proto::v1::{
    self, content::Kind, interactive_content::Action, template_button::Value as ButtonValue,
    template_parameter::Value as Parameter,
};

pub(crate) fn of(kind: Kind) -> v1::Content {
    v1::Content {
        kind: Some(kind),
        reply_to: None,
    }
}

pub(crate) fn text(body: &str) -> v1::Content {
    of(Kind::Text(v1::TextContent {
        body: body.to_owned(),
        preview_url: false,
    }))
}

/// A template of the simulator's with nothing to fill.
pub(crate) fn template(name: &str) -> v1::Content {
    of(Kind::Template(named(name)))
}

pub(crate) fn named(name: &str) -> v1::TemplateContent {
    v1::TemplateContent {
        name: name.to_owned(),
        language: "en_US".to_owned(),
        ..v1::TemplateContent::default()
    }
}

pub(crate) fn parameter(name: &str, value: Parameter) -> v1::TemplateParameter {
    v1::TemplateParameter {
        name: name.to_owned(),
        value: Some(value),
    }
}

pub(crate) fn words(text: &str) -> v1::TemplateParameter {
    parameter("", Parameter::Text(text.to_owned()))
}

pub(crate) fn button(index: u32, value: ButtonValue) -> v1::TemplateButton {
    let value = Some(value);
    v1::TemplateButton { index, value }
}

pub(crate) fn link(address: &str) -> Option<v1::Media> {
    Some(v1::Media {
        source: Some(v1::media::Source::Link(address.to_owned())),
    })
}

pub(crate) fn uploaded(id: &str) -> Option<v1::Media> {
    Some(v1::Media {
        source: Some(v1::media::Source::MediaId(id.to_owned())),
    })
}

pub(crate) fn interactive(action: Action) -> v1::InteractiveContent {
    v1::InteractiveContent {
        header: None,
        body: "What suits you?".to_owned(),
        footer: String::new(),
        action: Some(action),
    }
}

pub(crate) fn place() -> v1::LocationContent {
    v1::LocationContent {
        latitude: 38.9072,
        longitude: -77.0369,
        name: "Marlow Optics".to_owned(),
        address: "12 K St NW".to_owned(),
    }
}

pub(crate) fn product(id: &str) -> v1::ProductReference {
    v1::ProductReference {
        catalog_id: "5510".to_owned(),
        product_retailer_id: id.to_owned(),
    }
}

pub(crate) fn provider_message(wamid: &str) -> Option<v1::MessageReference> {
    Some(v1::MessageReference {
        key: Some(v1::message_reference::Key::ProviderMessageId(wamid.to_owned())),
    })
}

pub(crate) fn our_message(id: &str) -> Option<v1::MessageReference> {
    Some(v1::MessageReference {
        key: Some(v1::message_reference::Key::MessageId(id.to_owned())),
    })
}
