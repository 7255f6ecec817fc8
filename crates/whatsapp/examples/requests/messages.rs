//! A message of every kind the client can send.

use assent_whatsapp::message::{
    Action, Audio, ButtonKind, CaptionedMedia, CarouselCard, Component, ContactAddress, ContactCard, ContactEmail,
    ContactName, ContactOrganisation, ContactPhone, ContactUrl, Content, Currency, DateTime, Document, Flow,
    FlowAction, FlowScreen, Header, Interactive, ListRow, ListSection, Location, Media, MediaSource, OutgoingMessage,
    Parameter, ParameterValue, Product, ProductSection, Reaction, Recipient, ReplyButton, Template, Text,
};
use assent_whatsapp::wamid::Wamid;
use serde_json::json;

/// Who gets them.
pub(crate) const USER: &str = "+12025550142";

/// Every kind, by name.
pub(crate) fn all() -> Vec<(&'static str, OutgoingMessage)> {
    let mut all = texts();
    let plain = |(name, content)| (name, OutgoingMessage::new(Recipient::Phone(USER.to_owned()), content));
    all.extend(media().into_iter().map(plain));
    all.extend(small().into_iter().map(plain));
    all.extend(interactive().into_iter().map(plain));
    all.extend(templates().into_iter().map(plain));
    all
}

fn text(body: &str) -> Content {
    Content::Text(Text::new(body))
}

fn texts() -> Vec<(&'static str, OutgoingMessage)> {
    let to = |content| OutgoingMessage::new(Recipient::Phone(USER.to_owned()), content);
    let preview = Content::Text(Text {
        body: "See https://shop.example/o/55".to_owned(),
        preview_url: Some(true),
    });
    let checked = OutgoingMessage {
        identity_key_hash: Some("q3Zr1mVx8K0=".to_owned()),
        ..to(text("Only to you"))
    };
    let by_id = Recipient::BusinessScopedUser("US.40817735520916".to_owned());
    vec![
        ("text", to(text("Your glasses are ready."))),
        ("text with preview", to(preview)),
        (
            "reply in context",
            to(text("Yes")).replying_to(Wamid::new("wamid.INBOUND")),
        ),
        (
            "text with our own data",
            to(text("Yes")).with_callback_data("attempt-1"),
        ),
        ("text with an identity check", checked),
        ("text to a user id", OutgoingMessage::new(by_id, text("Hello"))),
        (
            "text to a group",
            OutgoingMessage::new(Recipient::Group("group-1".to_owned()), text("Hello")),
        ),
    ]
}

fn id() -> MediaSource {
    MediaSource::Id("6620017734410".to_owned())
}

fn link(file: &str) -> MediaSource {
    MediaSource::Link(format!("https://cdn.example/{file}"))
}

fn media() -> Vec<(&'static str, Content)> {
    let captioned = |source, caption: Option<&str>| CaptionedMedia {
        source,
        caption: caption.map(str::to_owned),
    };
    let document = |source| Document {
        source,
        caption: Some("Invoice".to_owned()),
        filename: Some("INV-0091.pdf".to_owned()),
    };
    let sound = |voice| Audio { source: id(), voice };
    vec![
        ("image by id", Content::Image(captioned(id(), Some("Left view")))),
        ("image by link", Content::Image(captioned(link("a.jpg"), None))),
        ("video by id", Content::Video(captioned(id(), None))),
        (
            "video by link",
            Content::Video(captioned(link("a.mp4"), Some("How to adjust"))),
        ),
        ("audio by id", Content::Audio(sound(None))),
        ("voice note", Content::Audio(sound(Some(true)))),
        ("document by id", Content::Document(document(id()))),
        ("document by link", Content::Document(document(link("a.pdf")))),
        ("sticker by id", Content::Sticker(Media { source: id() })),
        ("sticker by link", Content::Sticker(Media { source: link("a.webp") })),
    ]
}

fn small() -> Vec<(&'static str, Content)> {
    let reaction = |emoji: &str| {
        Content::Reaction(Reaction {
            message_id: Wamid::new("wamid.INBOUND"),
            emoji: emoji.to_owned(),
        })
    };
    let place = Location {
        latitude: 38.9072,
        longitude: -77.0369,
        name: Some("Marlow Optics".to_owned()),
        address: Some("12 K St NW".to_owned()),
    };
    vec![
        ("location", Content::Location(place)),
        ("contacts", Content::Contacts(vec![contact_card()])),
        ("reaction", reaction("\u{1f44d}")),
        ("reaction taken back", reaction("")),
    ]
}

fn contact_card() -> ContactCard {
    let given = |text: &str| Some(text.to_owned());
    ContactCard {
        name: ContactName {
            formatted_name: "Ana Ruiz".to_owned(),
            first_name: given("Ana"),
            last_name: given("Ruiz"),
            ..ContactName::default()
        },
        phones: vec![ContactPhone {
            phone: "+1 202 555 0177".to_owned(),
            kind: given("WORK"),
            wa_id: given("12025550177"),
        }],
        emails: vec![ContactEmail {
            email: "ana@example.com".to_owned(),
            kind: given("WORK"),
        }],
        urls: vec![ContactUrl {
            url: "https://example.com".to_owned(),
            kind: given("WORK"),
        }],
        addresses: vec![ContactAddress {
            street: given("12 K St NW"),
            city: given("Washington"),
            country: given("United States"),
            country_code: given("US"),
            kind: given("WORK"),
            ..ContactAddress::default()
        }],
        organisation: Some(ContactOrganisation {
            company: given("Marlow Optics"),
            department: given("Fitting"),
            title: given("Lead"),
        }),
        birthday: given("1988-04-30"),
    }
}

fn interactive() -> Vec<(&'static str, Content)> {
    let with = |header: Option<Header>, action| {
        Content::Interactive(Interactive {
            header,
            body: Some("When suits you?".to_owned()),
            footer: Some("Open 9 to 18".to_owned()),
            action,
        })
    };
    let bare = |action| {
        Content::Interactive(Interactive {
            header: None,
            body: Some("Where should we deliver?".to_owned()),
            footer: None,
            action,
        })
    };
    let title = || Some(Header::Text("Pickup".to_owned()));
    let section = ListSection {
        title: Some("North".to_owned()),
        rows: vec![ListRow {
            id: "st_1".to_owned(),
            title: "Harbor".to_owned(),
            description: Some("Pier 4".to_owned()),
        }],
    };
    let stores = Action::List {
        button: "See stores".to_owned(),
        sections: vec![section],
    };
    let page = Action::CtaUrl {
        display_text: "Track".to_owned(),
        url: "https://shop.example/t/9".to_owned(),
    };
    let image = Some(Header::Image(Media { source: id() }));
    vec![
        ("reply buttons", with(title(), buttons())),
        ("reply buttons with an image", with(image, buttons())),
        ("list", with(title(), stores)),
        ("call-to-action URL", with(title(), page)),
        ("location request", bare(Action::LocationRequest)),
        ("flow with a first screen", with(title(), flow(Some("SLOT")))),
        ("flow by its endpoint", with(None, flow(None))),
        ("product", bare(product())),
        ("product list", with(title(), products())),
        ("catalog", bare(catalog(Some("SKU-8")))),
        ("catalog without a thumbnail", bare(catalog(None))),
    ]
}

fn buttons() -> Action {
    let button = |id: &str, title: &str| ReplyButton {
        id: id.to_owned(),
        title: title.to_owned(),
    };
    Action::ReplyButtons(vec![button("am", "Morning"), button("pm", "Afternoon")])
}

fn flow(screen: Option<&str>) -> Action {
    Action::Flow(Flow {
        flow_id: "9011".to_owned(),
        cta: "Book".to_owned(),
        token: Some("ft-7781".to_owned()),
        draft: false,
        first_screen: screen.map(|screen| FlowScreen {
            screen: screen.to_owned(),
            data: json!({"store": "st_1"}).as_object().cloned(),
        }),
    })
}

fn product() -> Action {
    Action::Product {
        catalog_id: "5510".to_owned(),
        product_retailer_id: "SKU-8".to_owned(),
    }
}

fn products() -> Action {
    Action::ProductList {
        catalog_id: "5510".to_owned(),
        sections: vec![ProductSection {
            title: Some("Round".to_owned()),
            product_retailer_ids: vec!["SKU-8".to_owned()],
        }],
    }
}

fn catalog(thumbnail: Option<&str>) -> Action {
    Action::Catalog {
        thumbnail_product_retailer_id: thumbnail.map(str::to_owned),
    }
}

fn templates() -> Vec<(&'static str, Content)> {
    let template = |components| {
        Content::Template(Template {
            components,
            ..Template::new("order_ready", "en_US")
        })
    };
    let value = |value| vec![Parameter::positional(value)];
    let words = |text: &str| ParameterValue::Text(text.to_owned());
    let header = |parameter| template(vec![Component::Header(value(parameter))]);
    let button = |kind, parameter| Component::Button {
        kind,
        index: 0,
        parameters: value(parameter),
    };
    let press = |kind, parameter| template(vec![button(kind, parameter)]);
    let media = || Media { source: id() };
    let paper = Document {
        source: link("a.pdf"),
        caption: None,
        filename: Some("INV-0091.pdf".to_owned()),
    };
    let place = Location {
        latitude: 38.9072,
        longitude: -77.0369,
        name: Some("Marlow Optics".to_owned()),
        address: Some("12 K St NW".to_owned()),
    };
    let named = vec![Parameter::named("first_name", words("Ana"))];
    let opened = FlowAction {
        flow_token: Some("ft-7781".to_owned()),
        ..FlowAction::default()
    };
    let shop = FlowAction {
        thumbnail_product_retailer_id: Some("SKU-8".to_owned()),
        ..FlowAction::default()
    };
    let goods = Product {
        product_retailer_id: "SKU-8".to_owned(),
        catalog_id: "5510".to_owned(),
    };
    vec![
        ("template", template(Vec::new())),
        ("template with text header", header(words("M-55"))),
        ("template with image header", header(ParameterValue::Image(media()))),
        ("template with video header", header(ParameterValue::Video(media()))),
        ("template with document header", header(ParameterValue::Document(paper))),
        ("template with location header", header(ParameterValue::Location(place))),
        ("template with product header", header(ParameterValue::Product(goods))),
        (
            "template with body of every kind",
            template(vec![Component::Body(body_values())]),
        ),
        ("template with named parameter", template(vec![Component::Body(named)])),
        (
            "template with quick reply",
            press(ButtonKind::QuickReply, ParameterValue::Payload("OPTOUT".to_owned())),
        ),
        ("template with URL button", press(ButtonKind::Url, words("o/55"))),
        (
            "template with copy-code button",
            press(ButtonKind::CopyCode, ParameterValue::CouponCode("MAY15".to_owned())),
        ),
        (
            "template with flow button",
            press(ButtonKind::Flow, ParameterValue::Action(opened)),
        ),
        (
            "template with catalog button",
            press(ButtonKind::Catalog, ParameterValue::Action(shop)),
        ),
        ("template with limited-time offer", template(vec![offer()])),
        ("template with carousel", template(vec![carousel()])),
    ]
}

fn body_values() -> Vec<Parameter> {
    let amount = Currency {
        fallback_value: "$24.50".to_owned(),
        code: "USD".to_owned(),
        amount_1000: 24_500,
    };
    let day = DateTime {
        fallback_value: "May 3, 2026".to_owned(),
    };
    [
        ParameterValue::Text("Ana".to_owned()),
        ParameterValue::Currency(amount),
        ParameterValue::DateTime(day),
    ]
    .map(Parameter::positional)
    .to_vec()
}

fn offer() -> Component {
    Component::LimitedTimeOffer {
        expiration_time_ms: 1_978_400_000_000,
    }
}

fn carousel() -> Component {
    let card = |card_index| CarouselCard {
        card_index,
        components: vec![Component::Header(vec![Parameter::positional(ParameterValue::Image(
            Media { source: id() },
        ))])],
    };
    Component::Carousel(vec![card(0), card(1)])
}
