use super::*;
use serde_json::json;
use v1::{
    interactive_content::Action, message_reference::Key, template_button::Value as ButtonValue,
    template_parameter::Value as ParameterValue,
};

fn parameter(name: &str, text: &str) -> v1::TemplateParameter {
    filled(name, ParameterValue::Text(text.into()))
}

fn filled(name: &str, value: ParameterValue) -> v1::TemplateParameter {
    v1::TemplateParameter {
        name: name.into(),
        value: Some(value),
    }
}

fn button(index: u32, value: ButtonValue) -> v1::TemplateButton {
    let value = Some(value);
    v1::TemplateButton { index, value }
}

fn template() -> v1::TemplateContent {
    v1::TemplateContent {
        name: "order_update".into(),
        language: "en_US".into(),
        header_parameters: vec![parameter("", "42")],
        body_parameters: vec![parameter("", "Ana"), parameter("", "tomorrow")],
        buttons: vec![
            button(0, ButtonValue::UrlSuffix("track/42".into())),
            button(1, ButtonValue::QuickReplyPayload("stop".into())),
            button(2, ButtonValue::CopyCode("SAVE10".into())),
        ],
        ..v1::TemplateContent::default()
    }
}

fn link(address: &str) -> v1::Media {
    v1::Media {
        source: Some(v1::media::Source::Link(address.into())),
    }
}

fn uploaded(id: &str) -> v1::Media {
    v1::Media {
        source: Some(v1::media::Source::MediaId(id.into())),
    }
}

fn place() -> v1::LocationContent {
    v1::LocationContent {
        latitude: 38.9072,
        longitude: -77.0369,
        name: "Marlow Optics".into(),
        address: "12 K St NW".into(),
    }
}

fn product(id: &str) -> v1::ProductReference {
    v1::ProductReference {
        catalog_id: "5510".into(),
        product_retailer_id: id.into(),
    }
}

fn sections() -> Vec<v1::ProductSection> {
    let section = |title: &str, ids: &[&str]| v1::ProductSection {
        title: title.into(),
        product_retailer_ids: ids.iter().map(ToString::to_string).collect(),
    };
    vec![section("Round", &["SKU-8", "SKU-9"]), section("Square", &["SKU-1"])]
}

fn data() -> prost_types::Struct {
    let data = json!({"store": "st_1", "slots": [1, 2.5, null], "open": true});
    json::structure(data.as_object().unwrap())
}

/// A template with one of everything.
fn rich_template() -> v1::TemplateContent {
    let money = v1::CurrencyValue {
        fallback_value: "$24.50".into(),
        code: "USD".into(),
        amount_1000: 24_500,
    };
    let moment = v1::DateTimeValue {
        fallback_value: "May 3, 2026".into(),
    };
    let flow = v1::TemplateFlow {
        token: "ft-1".into(),
        data: Some(data()),
    };
    let products = v1::TemplateProducts {
        thumbnail_product_retailer_id: "SKU-8".into(),
        sections: sections(),
    };
    let card = |picture: &str| v1::TemplateCard {
        header_parameters: vec![filled("", ParameterValue::Image(link(picture)))],
        body_parameters: vec![parameter("", "10 %")],
        buttons: vec![button(0, ButtonValue::QuickReplyPayload("more".into()))],
    };
    v1::TemplateContent {
        header_parameters: vec![filled("", ParameterValue::Location(place()))],
        body_parameters: vec![
            parameter("", "Ana"),
            filled("", ParameterValue::Currency(money)),
            filled("", ParameterValue::DateTime(moment)),
        ],
        buttons: vec![
            button(0, ButtonValue::Flow(flow)),
            button(
                1,
                ButtonValue::Catalog(v1::CatalogButton {
                    thumbnail_product_retailer_id: String::new(),
                }),
            ),
            button(2, ButtonValue::Products(products)),
        ],
        offer_ends_at: Some(prost_types::Timestamp {
            seconds: 1_795_363_199,
            nanos: 500_000_000,
        }),
        cards: vec![card("https://cdn.example/1.png"), card("https://cdn.example/2.png")],
        ..template()
    }
}

fn with_header(value: ParameterValue) -> Kind {
    let mut template = template();
    template.header_parameters = vec![filled("", value)];
    Kind::Template(template)
}

fn document() -> v1::HeaderDocument {
    v1::HeaderDocument {
        media: Some(uploaded("66")),
        filename: "INV-0091.pdf".into(),
    }
}

fn interactive(action: Action) -> v1::InteractiveContent {
    v1::InteractiveContent {
        header: None,
        body: "What suits you?".into(),
        footer: "Open 9 to 18".into(),
        action: Some(action),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as the field that it is put into")]
fn header(kind: v1::interactive_header::Kind) -> Option<v1::InteractiveHeader> {
    Some(v1::InteractiveHeader { kind: Some(kind) })
}

fn reply_buttons() -> Action {
    let reply = |id: &str, title: &str| v1::ReplyButton {
        id: id.into(),
        title: title.into(),
    };
    Action::ReplyButtons(v1::ReplyButtons {
        buttons: vec![reply("am", "Morning"), reply("pm", "Afternoon")],
    })
}

fn choices() -> Action {
    let row = v1::Choice {
        id: "st_1".into(),
        title: "Harbor".into(),
        description: "Pier 4".into(),
    };
    Action::List(v1::ChoiceList {
        button: "See stores".into(),
        sections: vec![v1::ChoiceSection {
            title: "North".into(),
            rows: vec![row],
        }],
    })
}

fn flow() -> Action {
    Action::Flow(v1::FlowButton {
        flow_id: "9011".into(),
        label: "Book".into(),
        token: "ft-7781".into(),
        draft: true,
        first_screen: Some(v1::FlowScreen {
            screen: "SLOT".into(),
            data: Some(data()),
        }),
    })
}

fn card() -> v1::ContactCard {
    let work = || "WORK".to_owned();
    v1::ContactCard {
        name: Some(v1::CardName {
            formatted_name: "Ana Ruiz".into(),
            first_name: "Ana".into(),
            last_name: "Ruiz".into(),
            ..v1::CardName::default()
        }),
        phones: vec![v1::CardPhone {
            phone: "+1 202 555 0177".into(),
            r#type: work(),
            wa_id: "12025550177".into(),
        }],
        emails: vec![v1::CardEmail {
            email: "ana@example.com".into(),
            r#type: work(),
        }],
        urls: vec![v1::CardUrl {
            url: "https://example.com".into(),
            r#type: work(),
        }],
        addresses: vec![v1::CardAddress {
            street: "12 K St NW".into(),
            city: "Washington".into(),
            country_code: "US".into(),
            ..v1::CardAddress::default()
        }],
        organisation: Some(v1::CardOrganisation {
            company: "Marlow Optics".into(),
            ..v1::CardOrganisation::default()
        }),
        birthday: "1988-04-30".into(),
    }
}

fn reference() -> v1::MessageReference {
    v1::MessageReference {
        key: Some(Key::ProviderMessageId("wamid.abc".into())),
    }
}

fn text(body: &str, preview_url: bool) -> Kind {
    let body = body.into();
    Kind::Text(v1::TextContent { body, preview_url })
}

fn of(kind: Kind) -> v1::Content {
    v1::Content {
        kind: Some(kind),
        reply_to: None,
    }
}

/// One of every kind that the contract has, media in both ways.
fn every_kind() -> Vec<Kind> {
    let caption = || "Left view".to_owned();
    let audio = |voice| v1::AudioContent {
        media: Some(uploaded("64")),
        voice,
    };
    let mut with_video = interactive(reply_buttons());
    with_video.header = header(v1::interactive_header::Kind::Video(uploaded("65")));
    let mut with_document = interactive(flow());
    with_document.header = header(v1::interactive_header::Kind::Document(document()));
    let mut with_image = interactive(Action::LinkButton(v1::LinkButton {
        label: "Track".into(),
        url: "https://shop.example/t/9".into(),
    }));
    with_image.header = header(v1::interactive_header::Kind::Image(link("https://cdn.example/a.png")));
    let mut products = interactive(Action::ProductList(v1::ProductList {
        catalog_id: "5510".into(),
        sections: sections(),
    }));
    products.header = header(v1::interactive_header::Kind::Text("Frames".into()));
    let mut one_product = interactive(Action::Product(product("SKU-8")));
    one_product.body = String::new();
    let thumbnail_product_retailer_id = "SKU-8".to_owned();
    vec![
        Kind::Template(template()),
        Kind::Template(rich_template()),
        with_header(ParameterValue::Image(uploaded("61"))),
        with_header(ParameterValue::Video(link("https://cdn.example/v.mp4"))),
        with_header(ParameterValue::Document(document())),
        with_header(ParameterValue::Product(product("SKU-8"))),
        text("See https://example.com", true),
        text("Grüße", false),
        Kind::Image(v1::ImageContent {
            media: Some(link("https://cdn.example/a.png")),
            caption: caption(),
        }),
        Kind::Audio(audio(false)),
        Kind::Audio(audio(true)),
        Kind::Video(v1::VideoContent {
            media: Some(uploaded("62")),
            caption: caption(),
        }),
        Kind::Document(v1::DocumentContent {
            media: Some(uploaded("63")),
            caption: caption(),
            filename: "INV-0091.pdf".into(),
        }),
        Kind::Sticker(v1::StickerContent {
            media: Some(uploaded("67")),
        }),
        Kind::Location(place()),
        Kind::Contacts(v1::ContactsContent { cards: vec![card()] }),
        Kind::Interactive(with_video),
        Kind::Interactive(interactive(choices())),
        Kind::Interactive(with_image),
        Kind::Interactive(interactive(Action::LocationRequest(v1::LocationRequest {}))),
        Kind::Interactive(with_document),
        Kind::Interactive(one_product),
        Kind::Interactive(products),
        Kind::Interactive(interactive(Action::Catalog(v1::CatalogButton {
            thumbnail_product_retailer_id,
        }))),
    ]
}

fn fields_of(content: Option<&v1::Content>) -> Vec<String> {
    let mut problems = Problems::new();
    assert_eq!(parse(content, "content", &mut problems), None);
    let error = problems.into_error();
    error.fields().iter().map(|problem| problem.field.clone()).collect()
}

fn parsed(content: &v1::Content) -> Composed {
    let mut problems = Problems::new();
    let parsed = parse(Some(content), "content", &mut problems);
    parsed.unwrap_or_else(|| panic!("{content:?}: {:?}", problems.into_error()))
}

#[test]
fn content_of_every_kind_is_read_back_from_what_was_parsed() {
    let mut named = template();
    named.header_parameters = vec![];
    named.body_parameters = vec![parameter("first_name", "Ana")];
    let bare = v1::TemplateContent {
        name: "hello".into(),
        language: "de".into(),
        ..v1::TemplateContent::default()
    };
    let kinds = every_kind()
        .into_iter()
        .chain([Kind::Template(named), Kind::Template(bare)]);
    for kind in kinds {
        for reply_to in [None, Some(reference())] {
            let mut content = of(kind.clone());
            content.reply_to = reply_to;
            let Composed {
                content: said,
                refers_to,
            } = parsed(&content);
            assert_eq!(render(&said, refers_to.as_ref()), content);
        }
    }
}

#[test]
fn every_free_form_has_metas_body() {
    let bodies: Vec<(FreeForm, serde_json::Value)> = every_kind()
        .into_iter()
        .filter_map(|kind| match parsed(&of(kind)).content {
            ParsedContent::FreeForm { form, body } => Some((form, body.0)),
            ParsedContent::Text { .. } | ParsedContent::Template { .. } => None,
        })
        .collect();
    let first = |form: FreeForm| &bodies.iter().find(|(of, _)| *of == form).unwrap().1;
    assert_eq!(
        first(FreeForm::Image),
        &json!({"link": "https://cdn.example/a.png", "caption": "Left view"})
    );
    assert_eq!(first(FreeForm::Audio), &json!({"id": "64"}));
    assert_eq!(
        first(FreeForm::Location),
        &json!({"latitude": 38.9072, "longitude": -77.0369, "name": "Marlow Optics", "address": "12 K St NW"})
    );
    assert_eq!(first(FreeForm::Contacts)[0]["org"]["company"], "Marlow Optics");
    assert_eq!(
        first(FreeForm::Interactive)["action"]["buttons"][1]["reply"]["id"],
        "pm"
    );
}

#[test]
fn a_reaction_holds_its_emoji_and_refers_to_its_message() {
    let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let reaction = |emoji: &str| {
        of(Kind::Reaction(v1::ReactionContent {
            message: Some(v1::MessageReference {
                key: Some(Key::MessageId(id.into())),
            }),
            emoji: emoji.into(),
        }))
    };
    for emoji in ["👍", ""] {
        let content = reaction(emoji);
        let Composed {
            content: said,
            refers_to,
        } = parsed(&content);
        assert_eq!(refers_to, Some(ParsedReference::Ours(id.parse().unwrap())));
        let ParsedContent::FreeForm { form, body } = &said else {
            panic!("free-form")
        };
        assert_eq!((*form, &body.0), (FreeForm::Reaction, &json!({ "emoji": emoji })));
        assert_eq!(render(&said, refers_to.as_ref()), content);
    }
    let mut quoting = reaction("fine");
    quoting.reply_to = Some(reference());
    assert_eq!(
        fields_of(Some(&quoting)),
        ["content.reply_to", "content.reaction.emoji"]
    );
    let nothing = of(Kind::Reaction(v1::ReactionContent::default()));
    assert_eq!(fields_of(Some(&nothing)), ["content.reaction.message"]);
}

#[test]
fn a_reference_names_one_message() {
    let mut content = of(text("Yes", false));
    for (key, field) in [
        (None, "content.reply_to"),
        (Some(Key::MessageId("order-7".into())), "content.reply_to.message_id"),
        (
            Some(Key::ProviderMessageId(" ".into())),
            "content.reply_to.provider_message_id",
        ),
        (
            Some(Key::ProviderMessageId("x".repeat(513))),
            "content.reply_to.provider_message_id",
        ),
    ] {
        content.reply_to = Some(v1::MessageReference { key });
        assert_eq!(fields_of(Some(&content)), [field]);
    }
}

#[test]
fn components_are_metas_array() {
    let components = |template| match parsed(&of(Kind::Template(template))).content {
        ParsedContent::Template { components, .. } => components.0,
        other => panic!("a template and not {other:?}"),
    };
    let plain = components(template());
    assert_eq!(plain[0]["type"], "header");
    assert_eq!(plain[1]["parameters"][1]["text"], "tomorrow");
    assert_eq!(plain[2]["sub_type"], "url");
    let rich = components(rich_template());
    assert_eq!(rich[0]["parameters"][0]["location"]["name"], "Marlow Optics");
    assert_eq!(rich[1]["parameters"][1]["currency"]["amount_1000"], 24_500);
    assert_eq!(
        rich[2]["parameters"][0]["action"],
        json!({"flow_token": "ft-1", "flow_action_data": {"store": "st_1", "slots": [1, 2.5, null], "open": true}})
    );
    assert_eq!(rich[3]["parameters"], json!([]));
    assert_eq!(
        rich[4]["parameters"][0]["action"]["sections"][1]["product_items"][0]["product_retailer_id"],
        "SKU-1"
    );
    assert_eq!(
        rich[5],
        json!({"type": "limited_time_offer", "parameters": [
            {"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": 1_795_363_199_500_i64}}]})
    );
    assert_eq!(
        rich[6]["cards"][1]["components"][0]["parameters"][0]["image"]["link"],
        "https://cdn.example/2.png"
    );
}

#[test]
fn every_bad_part_of_a_template_is_named_as_the_request_has_it() {
    let mut bad = template();
    bad.name = "Order Update".into();
    bad.language = "en-us".into();
    bad.header_parameters = vec![parameter("", "a"), parameter("", "b")];
    bad.body_parameters[1] = parameter("", "two\nlines");
    bad.buttons[0].index = 300;
    assert_eq!(
        fields_of(Some(&of(Kind::Template(bad)))),
        [
            "content.template.name",
            "content.template.language",
            "content.template.header_parameters",
            "content.template.body_parameters[1].text",
            "content.template.buttons[0].index",
        ]
    );
}

#[test]
fn every_bad_part_of_a_rich_template_is_named_as_the_request_has_it() {
    let mut bad = rich_template();
    bad.header_parameters = vec![filled(
        "",
        ParameterValue::Document(v1::HeaderDocument {
            media: Some(link("ftp://x")),
            filename: " ".into(),
        }),
    )];
    bad.body_parameters[0] = filled("Name", ParameterValue::Image(link("https://x.example/a.png")));
    bad.body_parameters[1] = filled("", ParameterValue::Currency(v1::CurrencyValue::default()));
    bad.offer_ends_at = Some(prost_types::Timestamp::default());
    bad.cards[1].header_parameters = vec![filled("", ParameterValue::Video(link("no link")))];
    bad.cards[1].buttons[0].index = 10;
    assert_eq!(
        fields_of(Some(&of(Kind::Template(bad)))),
        [
            "content.template.header_parameters[0].document.media.link",
            "content.template.header_parameters[0].document.filename",
            "content.template.body_parameters[0]",
            "content.template.body_parameters[0].name",
            "content.template.body_parameters[1].currency.fallback_value",
            "content.template.body_parameters[1].currency.code",
            "content.template.offer_ends_at",
            "content.template.cards[1].header_parameters[0].video.link",
            "content.template.cards[1].buttons[0].index",
        ]
    );
}

#[test]
fn missing_values_and_too_many_of_them_are_named() {
    assert_eq!(fields_of(None), ["content"]);
    assert_eq!(fields_of(Some(&v1::Content::default())), ["content"]);
    let mut bad = rich_template();
    bad.header_parameters[0].value = Some(ParameterValue::Image(v1::Media::default()));
    bad.body_parameters[0].value = None;
    bad.buttons[2].value = None;
    bad.cards[0].body_parameters[0].value = None;
    bad.cards[1].buttons[0].value = None;
    assert_eq!(
        fields_of(Some(&of(Kind::Template(bad)))),
        [
            "content.template.header_parameters[0].image",
            "content.template.body_parameters[0]",
            "content.template.buttons[2]",
            "content.template.cards[0].body_parameters[0]",
            "content.template.cards[1].buttons[0]",
        ]
    );
    let mut bad = template();
    bad.body_parameters = vec![parameter("", "x"); 101];
    bad.cards = vec![v1::TemplateCard::default(); 11];
    assert_eq!(
        fields_of(Some(&of(Kind::Template(bad)))),
        ["content.template.body_parameters", "content.template.cards"]
    );
}

#[test]
fn products_of_a_template_are_bounded_and_named() {
    let mut bad = rich_template();
    bad.buttons[2].value = Some(ButtonValue::Products(v1::TemplateProducts {
        thumbnail_product_retailer_id: String::new(),
        sections: vec![v1::ProductSection::default(), sections().remove(0)],
    }));
    let products = "content.template.buttons[2].products";
    assert_eq!(
        fields_of(Some(&of(Kind::Template(bad)))),
        [
            format!("{products}.thumbnail_product_retailer_id"),
            format!("{products}.sections"),
            format!("{products}.sections"),
        ]
    );
}

#[test]
fn a_text_that_is_too_long_is_named_and_not_quoted() {
    let long = "secret ".repeat(1_000);
    assert_eq!(fields_of(Some(&of(text(&long, false)))), ["content.text.body"]);
    assert_eq!(fields_of(Some(&of(text("", false)))), ["content.text.body"]);
    assert_eq!(
        fields_of(Some(&of(text("no link", true)))),
        ["content.text.preview_url"]
    );
}

#[test]
fn every_bad_part_of_a_file_is_named_as_the_request_has_it() {
    let bad = |kind| fields_of(Some(&of(kind)));
    let long = || "x".repeat(1_025);
    let image = v1::ImageContent {
        media: Some(link("//cdn")),
        caption: long(),
    };
    assert_eq!(
        bad(Kind::Image(image)),
        ["content.image.media.link", "content.image.caption"]
    );
    let video = v1::VideoContent {
        media: None,
        caption: long(),
    };
    assert_eq!(
        bad(Kind::Video(video)),
        ["content.video.media", "content.video.caption"]
    );
    let audio = v1::AudioContent {
        media: Some(uploaded(" ")),
        voice: true,
    };
    assert_eq!(bad(Kind::Audio(audio)), ["content.audio.media.media_id"]);
    let document = v1::DocumentContent {
        media: Some(v1::Media::default()),
        caption: String::new(),
        filename: "\t".into(),
    };
    assert_eq!(
        bad(Kind::Document(document)),
        ["content.document.media", "content.document.filename"]
    );
    assert_eq!(
        bad(Kind::Sticker(v1::StickerContent::default())),
        ["content.sticker.media"]
    );
}

#[test]
fn every_bad_part_of_a_place_and_of_a_card_is_named_as_the_request_has_it() {
    let bad = |kind| fields_of(Some(&of(kind)));
    let nowhere = v1::LocationContent {
        address: "12 K St NW".into(),
        ..v1::LocationContent::default()
    };
    assert_eq!(
        bad(Kind::Location(nowhere)),
        ["content.location", "content.location.address"]
    );
    let off = v1::LocationContent {
        latitude: f64::NAN,
        longitude: 181.0,
        ..place()
    };
    assert_eq!(
        bad(Kind::Location(off)),
        ["content.location.latitude", "content.location.longitude"]
    );
    let mut nobody = card();
    nobody.name = None;
    nobody.phones[0].wa_id = "+1".into();
    nobody.birthday = "30 April".into();
    let cards = vec![card(), nobody];
    assert_eq!(
        bad(Kind::Contacts(v1::ContactsContent { cards })),
        [
            "content.contacts.cards[1].name",
            "content.contacts.cards[1].phones[0].wa_id",
            "content.contacts.cards[1].birthday",
        ]
    );
    let cards = vec![];
    assert_eq!(
        bad(Kind::Contacts(v1::ContactsContent { cards })),
        ["content.contacts.cards"]
    );
}

#[test]
fn every_bad_part_of_an_interactive_message_is_named_as_the_request_has_it() {
    use v1::interactive_header::Kind as Header;
    let bad = |mut interactive: v1::InteractiveContent, head: Option<Header>| {
        interactive.header = head.and_then(header);
        let fields = fields_of(Some(&of(Kind::Interactive(interactive))));
        let within = |field: &String| field.strip_prefix("content.interactive").unwrap().to_owned();
        fields.iter().map(within).collect::<Vec<_>>()
    };
    let reply = v1::ReplyButton {
        id: String::new(),
        title: " x".into(),
    };
    let mut buttons = interactive(Action::ReplyButtons(v1::ReplyButtons { buttons: vec![reply] }));
    buttons.body = String::new();
    buttons.footer = "x".repeat(61);
    assert_eq!(
        bad(buttons, Some(Header::Image(uploaded("")))),
        [
            ".header.image.media_id",
            ".body",
            ".footer",
            ".reply_buttons.buttons[0].id",
            ".reply_buttons.buttons[0].title"
        ]
    );
    let Action::List(mut list) = choices() else {
        panic!("a list")
    };
    list.button = String::new();
    list.sections[0].rows[0].description = "x".repeat(73);
    assert_eq!(
        bad(interactive(Action::List(list)), Some(Header::Video(link("x")))),
        [
            ".header.video.link",
            ".header",
            ".list.button",
            ".list.sections[0].rows[0].description"
        ]
    );
    let nothing = v1::LinkButton::default();
    assert_eq!(
        bad(interactive(Action::LinkButton(nothing)), None),
        [".link_button.label", ".link_button.url"]
    );
    let flow = v1::FlowButton {
        first_screen: Some(v1::FlowScreen {
            screen: String::new(),
            data: Some(prost_types::Struct::default()),
        }),
        ..v1::FlowButton::default()
    };
    let document = v1::HeaderDocument {
        media: Some(link("x")),
        filename: String::new(),
    };
    assert_eq!(
        bad(interactive(Action::Flow(flow)), Some(Header::Document(document))),
        [
            ".header.document.media.link",
            ".flow.flow_id",
            ".flow.label",
            ".flow.first_screen.screen",
            ".flow.first_screen.data",
        ]
    );
    let mut products = sections();
    products[1] = v1::ProductSection {
        title: String::new(),
        product_retailer_ids: vec!["SKU".into(), " ".into()],
    };
    let list = v1::ProductList {
        catalog_id: String::new(),
        sections: products,
    };
    assert_eq!(
        bad(interactive(Action::ProductList(list)), None),
        [
            ".header",
            ".product_list.catalog_id",
            ".product_list.sections[1].title",
            ".product_list.sections[1].product_retailer_ids[1]",
        ]
    );
    let mut without = interactive(Action::Product(product("")));
    without.action = None;
    assert_eq!(bad(without, None), [""]);
    assert_eq!(
        bad(
            interactive(Action::Product(product(""))),
            Some(Header::Text("Frames".into()))
        ),
        [".header", ".product.product_retailer_id"]
    );
}

#[test]
fn content_that_is_too_large_for_an_event_is_named() {
    let mut card = card();
    card.urls[0].url = "https://example.com/".repeat(10_000);
    let cards = vec![card];
    assert_eq!(
        fields_of(Some(&of(Kind::Contacts(v1::ContactsContent { cards })))),
        ["content.contacts"]
    );
}
