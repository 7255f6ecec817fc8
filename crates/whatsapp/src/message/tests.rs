//! The wire form of each kind, and the checks.

use serde_json::{Value, json};

use super::*;

fn to(content: Content) -> OutgoingMessage {
    OutgoingMessage::new(Recipient::Phone("+12025550142".into()), content)
}

fn wire(message: &OutgoingMessage) -> Value {
    serde_json::to_value(message).unwrap()
}

fn payload(content: Content) -> Value {
    let kind = content.kind();
    let mut body = wire(&to(content));
    assert_eq!(body["type"], kind);
    body[kind].take()
}

fn link(url: &str) -> Media {
    Media {
        source: MediaSource::Link(url.into()),
    }
}

fn text(value: &str) -> Parameter {
    Parameter::positional(ParameterValue::Text(value.into()))
}

/// The paths of all problems, in order.
fn paths(message: &OutgoingMessage) -> Vec<String> {
    match message.validate() {
        Ok(()) => Vec::new(),
        Err(invalid) => invalid.problems.into_iter().map(|problem| problem.path).collect(),
    }
}

#[test]
fn a_text_carries_the_whole_envelope_and_nothing_unset() {
    let plain = to(Content::Text(Text::new("Your frames are ready")));
    assert_eq!(
        wire(&plain),
        json!({"messaging_product": "whatsapp", "recipient_type": "individual", "to": "+12025550142", "type": "text",
            "text": {"body": "Your frames are ready"}})
    );
    let full = OutgoingMessage {
        recipient: Recipient::BusinessScopedUser("US.40817735520916".into()),
        content: Content::Text(Text {
            body: "See https://shop.example/o/55".into(),
            preview_url: Some(true),
        }),
        reply_to: Some(Wamid::new("wamid.A=")),
        callback_data: Some("attempt:1".into()),
        identity_key_hash: Some("q3Zr1mVx8K0=".into()),
    };
    assert_eq!(full.validate(), Ok(()));
    assert_eq!(
        wire(&full),
        json!({"messaging_product": "whatsapp", "recipient_type": "individual", "recipient": "US.40817735520916",
            "context": {"message_id": "wamid.A="}, "biz_opaque_callback_data": "attempt:1",
            "recipient_identity_key_hash": "q3Zr1mVx8K0=", "type": "text",
            "text": {"body": "See https://shop.example/o/55", "preview_url": true}})
    );
}

#[test]
fn a_template_is_written_with_every_component_and_parameter_kind() {
    let template = Template {
        name: "order_ready_v3".into(),
        language: "en_US".into(),
        components: vec![
            Component::Header(vec![Parameter::positional(ParameterValue::Image(Media {
                source: MediaSource::Id("66".into()),
            }))]),
            Component::Body(vec![
                text("Ana"),
                Parameter::positional(ParameterValue::Currency(Currency {
                    fallback_value: "$24.50".into(),
                    code: "USD".into(),
                    amount_1000: 24_500,
                })),
                Parameter::positional(ParameterValue::DateTime(DateTime {
                    fallback_value: "May 3, 2026".into(),
                })),
            ]),
            Component::Button {
                kind: ButtonKind::QuickReply,
                index: 0,
                parameters: vec![Parameter::positional(ParameterValue::Payload("OPTOUT_OFFERS".into()))],
            },
            Component::Button {
                kind: ButtonKind::Url,
                index: 1,
                parameters: vec![text("o/55")],
            },
            Component::Button {
                kind: ButtonKind::CopyCode,
                index: 2,
                parameters: vec![Parameter::positional(ParameterValue::CouponCode("MAY15".into()))],
            },
            Component::Button {
                kind: ButtonKind::Flow,
                index: 3,
                parameters: vec![Parameter::positional(ParameterValue::Action(FlowAction {
                    flow_token: Some("ft-1".into()),
                    ..FlowAction::default()
                }))],
            },
            Component::LimitedTimeOffer {
                expiration_time_ms: 1_777_800_000_000,
            },
        ],
    };
    let message = to(Content::Template(template));
    assert_eq!(message.validate(), Ok(()));
    assert_eq!(
        wire(&message)["template"],
        json!({"name": "order_ready_v3", "language": {"policy": "deterministic", "code": "en_US"}, "components": [
            {"type": "header", "parameters": [{"type": "image", "image": {"id": "66"}}]},
            {"type": "body", "parameters": [
                {"type": "text", "text": "Ana"},
                {"type": "currency", "currency": {"fallback_value": "$24.50", "code": "USD", "amount_1000": 24_500}},
                {"type": "date_time", "date_time": {"fallback_value": "May 3, 2026"}}]},
            {"type": "button", "sub_type": "quick_reply", "index": "0", "parameters": [{"type": "payload", "payload": "OPTOUT_OFFERS"}]},
            {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "o/55"}]},
            {"type": "button", "sub_type": "copy_code", "index": "2", "parameters": [{"type": "coupon_code", "coupon_code": "MAY15"}]},
            {"type": "button", "sub_type": "flow", "index": "3", "parameters": [{"type": "action", "action": {"flow_token": "ft-1"}}]},
            {"type": "limited_time_offer", "parameters": [
                {"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": 1_777_800_000_000_i64}}]}]})
    );
}

#[test]
fn a_template_without_parameters_has_no_components() {
    let value = payload(Content::Template(Template::new("hello_world", "en_US")));
    assert_eq!(
        value,
        json!({"name": "hello_world", "language": {"policy": "deterministic", "code": "en_US"}})
    );
}

#[test]
fn named_parameters_carry_their_name_and_do_not_mix_with_positions() {
    let named = Parameter::named("first_name", ParameterValue::Text("Ana".into()));
    let mut template = Template::new("welcome", "en");
    template.components = vec![Component::Body(vec![named.clone()])];
    let value = payload(Content::Template(template.clone()));
    assert_eq!(
        value["components"][0]["parameters"][0],
        json!({"type": "text", "parameter_name": "first_name", "text": "Ana"})
    );

    template.components = vec![Component::Body(vec![named, text("Ruiz")])];
    assert_eq!(paths(&to(Content::Template(template))), ["template.components"]);
}

#[test]
fn all_problems_of_a_template_are_reported_with_their_paths() {
    let template = Template {
        name: "Order Ready".into(),
        language: "english".into(),
        components: vec![
            Component::Header(vec![]),
            Component::Body(vec![text("two\nlines"), text("five     spaces"), text("")]),
            Component::Button {
                kind: ButtonKind::Url,
                index: 12,
                parameters: vec![Parameter::positional(ParameterValue::Payload("p".into()))],
            },
        ],
    };
    let mut message = to(Content::Template(template));
    message.recipient = Recipient::Phone("0202".into());
    assert_eq!(
        paths(&message),
        [
            "to",
            "template.name",
            "template.language.code",
            "template.components[0].parameters",
            "template.components[1].parameters[0].text",
            "template.components[1].parameters[1].text",
            "template.components[1].parameters[2].text",
            "template.components[2].index",
            "template.components[2].parameters[0].type",
        ]
    );
}

#[test]
fn a_carousel_is_checked_card_by_card() {
    let card = |index| CarouselCard {
        card_index: index,
        components: vec![Component::Header(vec![Parameter::positional(ParameterValue::Image(
            link("https://cdn.example/1.png"),
        ))])],
    };
    let carousel = |cards| {
        let mut template = Template::new("offers", "en");
        template.components = vec![Component::Carousel(cards)];
        to(Content::Template(template))
    };
    assert_eq!(paths(&carousel(vec![card(0), card(1)])), Vec::<String>::new());
    assert_eq!(paths(&carousel(vec![card(0)])), ["template.components[0].cards"]);
    let mut nested = card(1);
    nested.components.push(Component::Carousel(vec![]));
    assert_eq!(
        paths(&carousel(vec![card(0), nested])),
        ["template.components[0].cards[1].components[1].type"]
    );
}

#[test]
fn text_length_is_counted_in_characters_not_bytes() {
    let longest = "é".repeat(limits::TEXT_BODY_CHARS_MAX);
    assert_eq!(
        paths(&to(Content::Text(Text::new(longest.clone())))),
        Vec::<String>::new()
    );
    assert_eq!(paths(&to(Content::Text(Text::new(longest + "é")))), ["text.body"]);
    assert_eq!(paths(&to(Content::Text(Text::new("  ")))), ["text.body"]);
}

#[test]
fn a_preview_needs_a_url_with_its_scheme() {
    let preview = |body: &str| {
        to(Content::Text(Text {
            body: body.into(),
            preview_url: Some(true),
        }))
    };
    assert_eq!(paths(&preview("see shop.example")), ["text.preview_url"]);
    assert_eq!(paths(&preview("see https:// now")), ["text.preview_url"]);
    assert_eq!(paths(&preview("see https://shop.example")), Vec::<String>::new());
}

#[test]
fn media_carry_an_id_or_a_link() {
    let media = CaptionedMedia {
        source: MediaSource::Id("66".into()),
        caption: Some("Left view".into()),
    };
    assert_eq!(
        payload(Content::Image(media.clone())),
        json!({"id": "66", "caption": "Left view"})
    );
    assert_eq!(
        payload(Content::Video(media)),
        json!({"id": "66", "caption": "Left view"})
    );
    let audio = Audio {
        source: MediaSource::Id("67".into()),
        voice: Some(true),
    };
    assert_eq!(payload(Content::Audio(audio)), json!({"id": "67", "voice": true}));
    let document = Document {
        source: MediaSource::Link("https://cdn.example/a.pdf".into()),
        caption: None,
        filename: Some("INV-0091.pdf".into()),
    };
    assert_eq!(
        payload(Content::Document(document)),
        json!({"link": "https://cdn.example/a.pdf", "filename": "INV-0091.pdf"})
    );
    assert_eq!(
        payload(Content::Sticker(link("https://cdn.example/s.webp"))),
        json!({"link": "https://cdn.example/s.webp"})
    );
}

#[test]
fn links_must_be_web_addresses() {
    for bad in [
        "",
        "ftp://cdn.example/a",
        "https://",
        "cdn.example/a.png",
        "https://cdn.example/a b.png",
    ] {
        assert_eq!(paths(&to(Content::Sticker(link(bad)))), ["sticker.link"], "{bad}");
    }
}

#[test]
fn a_location_is_numbers_within_the_globe() {
    let place = |latitude, longitude| Location {
        latitude,
        longitude,
        name: Some("Marlow Optics".into()),
        address: None,
    };
    assert_eq!(
        payload(Content::Location(place(38.9072, -77.0369))),
        json!({"latitude": 38.9072, "longitude": -77.0369, "name": "Marlow Optics"})
    );
    assert_eq!(
        paths(&to(Content::Location(place(f64::NAN, 181.0)))),
        ["location.latitude", "location.longitude"]
    );
    let nameless = Location {
        name: None,
        address: Some("12 K St NW".into()),
        ..place(0.0, 0.0)
    };
    assert_eq!(paths(&to(Content::Location(nameless))), ["location.address"]);
}

#[test]
fn a_contact_card_needs_a_name_part_and_a_real_date() {
    let card = ContactCard {
        name: ContactName {
            formatted_name: "Ana Ruiz".into(),
            first_name: Some("Ana".into()),
            ..ContactName::default()
        },
        phones: vec![ContactPhone {
            phone: "+1 202 555 0177".into(),
            kind: Some("WORK".into()),
            wa_id: Some("12025550177".into()),
        }],
        birthday: Some("1988-04-30".into()),
        ..ContactCard::default()
    };
    assert_eq!(
        payload(Content::Contacts(vec![card.clone()])),
        json!([{"name": {"formatted_name": "Ana Ruiz", "first_name": "Ana"},
            "phones": [{"phone": "+1 202 555 0177", "type": "WORK", "wa_id": "12025550177"}], "birthday": "1988-04-30"}])
    );
    assert_eq!(paths(&to(Content::Contacts(vec![card.clone()]))), Vec::<String>::new());
    let mut bad = card.clone();
    bad.name.first_name = None;
    bad.phones[0].wa_id = Some("+1202".into());
    bad.birthday = Some("1988-13-01".into());
    assert_eq!(
        paths(&to(Content::Contacts(vec![card.clone(), bad]))),
        [
            "contacts[1].name",
            "contacts[1].phones[0].wa_id",
            "contacts[1].birthday"
        ]
    );
    assert_eq!(paths(&to(Content::Contacts(vec![]))), ["contacts"]);
    assert_eq!(
        paths(&to(Content::Contacts(vec![card; limits::CONTACTS_MAX + 1]))),
        ["contacts"]
    );
}

#[test]
fn a_reaction_is_one_emoji_or_none_and_quotes_nothing() {
    let reaction = |emoji: &str| {
        to(Content::Reaction(Reaction {
            message_id: Wamid::new("wamid.A="),
            emoji: emoji.into(),
        }))
    };
    assert_eq!(
        wire(&reaction("👍"))["reaction"],
        json!({"message_id": "wamid.A=", "emoji": "👍"})
    );
    assert_eq!(paths(&reaction("")), Vec::<String>::new());
    assert_eq!(paths(&reaction("👩‍👩‍👧‍👦")), Vec::<String>::new());
    assert_eq!(paths(&reaction("ok")), ["reaction.emoji"]);
    assert_eq!(paths(&reaction("👍").replying_to(Wamid::new("wamid.B="))), ["context"]);
}

fn interactive(action: Action) -> Interactive {
    Interactive {
        header: None,
        body: Some("When suits you?".into()),
        footer: None,
        action,
    }
}

fn button(id: &str, title: &str) -> ReplyButton {
    ReplyButton {
        id: id.into(),
        title: title.into(),
    }
}

#[test]
fn reply_buttons_are_written_as_meta_reads_them() {
    let message = Interactive {
        header: Some(Header::Text("Pickup".into())),
        footer: Some("Open 9-18".into()),
        ..interactive(Action::ReplyButtons(vec![button("slot_am", "Morning")]))
    };
    assert_eq!(
        payload(Content::Interactive(message)),
        json!({"type": "button", "header": {"type": "text", "text": "Pickup"}, "body": {"text": "When suits you?"},
            "footer": {"text": "Open 9-18"},
            "action": {"buttons": [{"type": "reply", "reply": {"id": "slot_am", "title": "Morning"}}]}})
    );
}

#[test]
fn reply_buttons_are_few_short_distinct_and_trimmed() {
    let check = |buttons| paths(&to(Content::Interactive(interactive(Action::ReplyButtons(buttons)))));
    assert_eq!(check(vec![]), ["interactive.action.buttons"]);
    assert_eq!(
        check(vec![button("a", "A"), button("a", "B")]),
        ["interactive.action.buttons"]
    );
    assert_eq!(
        check(vec![button("a", " A")]),
        ["interactive.action.buttons[0].reply.title"]
    );
    assert_eq!(
        check(vec![button("a", &"x".repeat(21))]),
        ["interactive.action.buttons[0].reply.title"]
    );
    // Ten emoji outside the basic plane are twenty UTF-16 units; eleven are too many.
    assert_eq!(check(vec![button("a", &"😀".repeat(10))]), Vec::<String>::new());
    assert_eq!(
        check(vec![button("a", &"😀".repeat(11))]),
        ["interactive.action.buttons[0].reply.title"]
    );
}

#[test]
fn a_list_counts_its_rows_over_all_sections() {
    let section = |name: &str, rows: usize| ListSection {
        title: Some(name.into()),
        rows: (0..rows)
            .map(|row| ListRow {
                id: format!("{name}{row}"),
                title: "Harbor".into(),
                description: None,
            })
            .collect(),
    };
    let list = |sections| {
        to(Content::Interactive(interactive(Action::List {
            button: "See stores".into(),
            sections,
        })))
    };
    let message = list(vec![section("N", 1)]);
    assert_eq!(
        wire(&message)["interactive"]["action"],
        json!({"button": "See stores", "sections": [{"title": "N", "rows": [{"id": "N0", "title": "Harbor"}]}]})
    );
    assert_eq!(
        paths(&list(vec![section("N", 5), section("S", 5)])),
        Vec::<String>::new()
    );
    assert_eq!(
        paths(&list(vec![section("N", 6), section("S", 5)])),
        ["interactive.action.sections"]
    );
    let untitled = ListSection {
        title: None,
        ..section("S", 1)
    };
    assert_eq!(
        paths(&list(vec![section("N", 1), untitled])),
        ["interactive.action.sections[1].title"]
    );
}

#[test]
fn links_flows_products_and_location_requests_are_written_as_meta_reads_them() {
    let action = |action| payload(Content::Interactive(interactive(action)))["action"].take();
    assert_eq!(
        action(Action::CtaUrl {
            display_text: "Track".into(),
            url: "https://shop.example/t/9".into()
        }),
        json!({"name": "cta_url", "parameters": {"display_text": "Track", "url": "https://shop.example/t/9"}})
    );
    assert_eq!(action(Action::LocationRequest), json!({"name": "send_location"}));
    let flow = Flow {
        flow_id: "9011".into(),
        cta: "Book".into(),
        token: Some("ft-7781".into()),
        draft: false,
        first_screen: Some(FlowScreen {
            screen: "SLOT".into(),
            data: None,
        }),
    };
    assert_eq!(
        action(Action::Flow(flow)),
        json!({"name": "flow", "parameters": {"flow_message_version": "3", "flow_id": "9011", "flow_cta": "Book",
            "flow_token": "ft-7781", "mode": "published", "flow_action": "navigate", "flow_action_payload": {"screen": "SLOT"}}})
    );
    assert_eq!(
        action(Action::ProductList {
            catalog_id: "5510".into(),
            sections: vec![ProductSection {
                title: Some("Round".into()),
                product_retailer_ids: vec!["SKU-8".into()]
            }],
        }),
        json!({"catalog_id": "5510", "sections": [{"title": "Round", "product_items": [{"product_retailer_id": "SKU-8"}]}]})
    );
    assert_eq!(
        action(Action::Product {
            catalog_id: "5510".into(),
            product_retailer_id: "SKU-8".into()
        }),
        json!({"catalog_id": "5510", "product_retailer_id": "SKU-8"})
    );
}

#[test]
fn a_product_list_needs_a_text_header_and_other_kinds_a_body() {
    let products = Action::ProductList {
        catalog_id: "5510".into(),
        sections: vec![ProductSection {
            title: None,
            product_retailer_ids: vec!["SKU-8".into()],
        }],
    };
    assert_eq!(
        paths(&to(Content::Interactive(interactive(products)))),
        ["interactive.header"]
    );
    let bodiless = Interactive {
        body: None,
        ..interactive(Action::LocationRequest)
    };
    assert_eq!(paths(&to(Content::Interactive(bodiless))), ["interactive.body"]);
}

#[test]
fn recipients_are_checked_by_their_kind() {
    let check = |recipient| paths(&OutgoingMessage::new(recipient, Content::Text(Text::new("Hi"))));
    for bad in ["12025550142", "+0123456789", "+1 202 555", "+1234567890123456", "+", ""] {
        assert_eq!(check(Recipient::Phone(bad.into())), ["to"], "{bad}");
    }
    for bad in ["US", "us.123", "USA.123", "US.", "US.ENT.", "US.12 3"] {
        assert_eq!(check(Recipient::BusinessScopedUser(bad.into())), ["recipient"], "{bad}");
    }
    assert_eq!(
        check(Recipient::BusinessScopedUser("US.ENT.99310028".into())),
        Vec::<String>::new()
    );
    assert_eq!(check(Recipient::Group("g1".into())), Vec::<String>::new());
}

#[test]
fn callback_data_is_bounded() {
    let message = to(Content::Text(Text::new("Hi")));
    assert_eq!(
        paths(&message.clone().with_callback_data("x".repeat(512))),
        Vec::<String>::new()
    );
    assert_eq!(
        paths(&message.with_callback_data("x".repeat(513))),
        ["biz_opaque_callback_data"]
    );
}

#[test]
fn neither_debug_nor_the_problems_tell_what_was_sent() {
    let mut template = Template::new("welcome", "en");
    template.components = vec![Component::Body(vec![text("Ana\nRuiz")])];
    let messages = [
        to(Content::Template(template)),
        to(Content::Text(Text::new("Ana Ruiz".repeat(1000)))),
        OutgoingMessage::new(Recipient::Phone("+1202555Ruiz".into()), Content::Text(Text::new("Ana"))),
    ];
    for message in messages {
        let problems = message.validate().unwrap_err();
        let printed = format!("{message:?} {:?} {problems}", message.content);
        assert!(
            !printed.contains("Ana") && !printed.contains("Ruiz") && !printed.contains("2025550142"),
            "{printed}"
        );
    }
}
