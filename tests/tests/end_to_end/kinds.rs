//! One test for each type of message: what was asked for is what Meta gets, what Meta reports ends in the timeline, and the
//! caller reads back what it wrote.

use crate::{
    content::{button, interactive, link, named, of, parameter, place, product, text, uploaded, words},
    world::{World, request, world, world_with_template},
};
use assent_proto::v1::{
    self, MessageState, content::Kind, interactive_content::Action, interactive_header::Kind as Header,
    template_button::Value as ButtonValue, template_parameter::Value as Parameter,
};
use serde_json::{Value, json};
use tonic::Code;

const PICTURE: &str = "https://cdn.example/a.png";

/// The events that a message of any type leaves, in an order that is the same for all.
const STORY: [&str; 4] = [
    "request.submitted",
    "decision.authorized",
    "attempt.started",
    "attempt.accepted",
];

/// Sends it, follows it to its end, and looks at it from every side. `meta` is what must stand beneath its type.
async fn all_the_way(world: &World, content: v1::Content, meta: Value, end: MessageState) -> v1::Message {
    let asked = request("key-1", content.clone());
    let sent = world.send(asked.clone()).await.unwrap();
    assert_eq!(sent.state(), MessageState::Authorized);
    let message = world.until(&sent.message_id, end).await;

    // What Meta got, once.
    let accepted = world.accepted();
    let [(taken, body)] = &accepted[..] else {
        panic!("accepted {} times", accepted.len())
    };
    assert_eq!(body[taken.kind], meta, "{body}");
    assert_eq!(body["type"], taken.kind);
    assert_eq!(body["to"], crate::world::ANA);

    // What became of it.
    assert!(message.r#final);
    // A voice note may have been played by now.
    assert!([end, MessageState::Played].contains(&message.state()), "{message:?}");
    assert_eq!(message.content.as_ref(), Some(&content));
    assert_eq!(message.provider_message_id, taken.wamid);
    assert_eq!(message.attempts, 1);
    let events: Vec<&str> = message.timeline.iter().map(|entry| entry.r#type.as_str()).collect();
    for event in STORY {
        assert!(events.contains(&event), "{events:?}");
    }
    assert_eq!(message.timeline.last().unwrap().state(), message.state());

    // The same key with the same content is the same message; with another one it is an error that names it.
    let again = world.send(asked.clone()).await.unwrap();
    assert_eq!(again.message_id, sent.message_id);
    let mut other = asked;
    other.content = Some(text("something else"));
    let error = world.send(other).await.unwrap_err();
    assert_eq!(error.code(), Code::AlreadyExists);
    let fields = tonic_types::StatusExt::get_details_bad_request(&error).unwrap();
    assert_eq!(fields.field_violations[0].field, "content");
    assert_eq!(world.accepted().len(), 1);
    message
}

/// A free-form message: refused while the window is closed, sent once it is open.
async fn free_form(content: v1::Content, meta: Value, end: MessageState) {
    let world = world().await;
    free_form_in(&world, content, meta, end).await;
}

async fn free_form_in(world: &World, content: v1::Content, meta: Value, end: MessageState) {
    let refused = world.send(request("key-0", content.clone())).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    let details = tonic_types::StatusExt::get_details_precondition_failure(&refused).unwrap();
    let gates: Vec<&str> = details.violations.iter().map(|gate| gate.subject.as_str()).collect();
    assert_eq!(gates, ["GATE_CONSENT", "GATE_WINDOW"]);
    assert!(world.accepted().is_empty());

    world.open_window().await;
    assert!(world.check(content.clone()).await.allowed);
    all_the_way(world, content, meta, end).await;
}

/// A template, with an opt-in and no window.
async fn template(world: &World, content: v1::TemplateContent, components: Value) {
    world.opt_in().await;
    let mut meta = json!({"name": content.name, "language": {"policy": "deterministic", "code": "en_US"}});
    if components != json!([]) {
        meta["components"] = components;
    }
    all_the_way(world, of(Kind::Template(content)), meta, MessageState::Read).await;
}

/// A world with a template of our own.
async fn world_with(name: &str, components: &Value) -> World {
    let definition = json!({"name": name, "language": "en_US", "category": "UTILITY", "components": components});
    world_with_template(Some(&definition)).await
}

#[tokio::test]
async fn a_text() {
    let content = of(Kind::Text(v1::TextContent {
        body: "See https://example.com/a".to_owned(),
        preview_url: true,
    }));
    let meta = json!({"body": "See https://example.com/a", "preview_url": true});
    free_form(content, meta, MessageState::Read).await;
}

#[tokio::test]
async fn an_image_by_link() {
    let content = of(Kind::Image(v1::ImageContent {
        media: link(PICTURE),
        caption: "Left view".to_owned(),
    }));
    free_form(
        content,
        json!({"link": PICTURE, "caption": "Left view"}),
        MessageState::Read,
    )
    .await;
}

/// Uploads one of the simulator's sample files as the business.
fn upload(world: &World, mime_type: &str, file: &[u8]) -> String {
    world.control().add_media(None, mime_type, file.to_vec()).unwrap()
}

#[tokio::test]
async fn an_image_by_id() {
    let world = world().await;
    let id = upload(
        &world,
        "image/png",
        include_bytes!("../../../services/simulator/assets/picture.png"),
    );
    let content = of(Kind::Image(v1::ImageContent {
        media: uploaded(&id),
        caption: String::new(),
    }));
    free_form_in(&world, content, json!({ "id": id }), MessageState::Read).await;
}

#[tokio::test]
async fn a_video() {
    let world = world().await;
    let id = upload(
        &world,
        "video/mp4",
        include_bytes!("../../../services/simulator/assets/film.mp4"),
    );
    let content = of(Kind::Video(v1::VideoContent {
        media: uploaded(&id),
        caption: "How to adjust".to_owned(),
    }));
    let meta = json!({"id": id, "caption": "How to adjust"});
    free_form_in(&world, content, meta, MessageState::Read).await;
}

#[tokio::test]
async fn an_audio_file() {
    let content = of(Kind::Audio(v1::AudioContent {
        media: link("https://cdn.example/a.mp3"),
        voice: false,
    }));
    free_form(
        content,
        json!({"link": "https://cdn.example/a.mp3"}),
        MessageState::Read,
    )
    .await;
}

#[tokio::test]
async fn a_voice_note() {
    let world = world().await;
    let id = upload(
        &world,
        "audio/ogg; codecs=opus",
        include_bytes!("../../../services/simulator/assets/voice.ogg"),
    );
    let content = of(Kind::Audio(v1::AudioContent {
        media: uploaded(&id),
        voice: true,
    }));
    let meta = json!({"id": id, "voice": true});
    free_form_in(&world, content, meta, MessageState::Read).await;
}

#[tokio::test]
async fn a_document() {
    let world = world().await;
    let id = upload(
        &world,
        "application/pdf",
        include_bytes!("../../../services/simulator/assets/paper.pdf"),
    );
    let content = of(Kind::Document(v1::DocumentContent {
        media: uploaded(&id),
        caption: "Invoice".to_owned(),
        filename: "INV-0091.pdf".to_owned(),
    }));
    let meta = json!({"id": id, "caption": "Invoice", "filename": "INV-0091.pdf"});
    free_form_in(&world, content, meta, MessageState::Read).await;
}

#[tokio::test]
async fn a_sticker() {
    let world = world().await;
    let id = upload(
        &world,
        "image/webp",
        include_bytes!("../../../services/simulator/assets/sticker.webp"),
    );
    let content = of(Kind::Sticker(v1::StickerContent { media: uploaded(&id) }));
    free_form_in(&world, content, json!({ "id": id }), MessageState::Read).await;
}

#[tokio::test]
async fn a_location() {
    let meta = json!({"latitude": 38.9072, "longitude": -77.0369, "name": "Marlow Optics", "address": "12 K St NW"});
    free_form(of(Kind::Location(place())), meta, MessageState::Read).await;
}

#[tokio::test]
async fn contact_cards() {
    let card = v1::ContactCard {
        name: Some(v1::CardName {
            formatted_name: "Leo Marlow".to_owned(),
            first_name: "Leo".to_owned(),
            ..v1::CardName::default()
        }),
        phones: vec![v1::CardPhone {
            phone: "+1 202 555 0188".to_owned(),
            r#type: "WORK".to_owned(),
            wa_id: "12025550188".to_owned(),
        }],
        organisation: Some(v1::CardOrganisation {
            company: "Marlow Optics".to_owned(),
            ..v1::CardOrganisation::default()
        }),
        birthday: "1988-04-30".to_owned(),
        ..v1::ContactCard::default()
    };
    let content = of(Kind::Contacts(v1::ContactsContent { cards: vec![card] }));
    let meta = json!([{
        "name": {"formatted_name": "Leo Marlow", "first_name": "Leo"},
        "phones": [{"phone": "+1 202 555 0188", "type": "WORK", "wa_id": "12025550188"}],
        "org": {"company": "Marlow Optics"}, "birthday": "1988-04-30"}]);
    free_form(content, meta, MessageState::Read).await;
}

#[tokio::test]
async fn reply_buttons() {
    let reply = |id: &str, title: &str| v1::ReplyButton {
        id: id.to_owned(),
        title: title.to_owned(),
    };
    let mut content = interactive(Action::ReplyButtons(v1::ReplyButtons {
        buttons: vec![reply("slot_am", "Morning"), reply("slot_pm", "Afternoon")],
    }));
    content.header = Some(v1::InteractiveHeader {
        kind: link(PICTURE).map(Header::Image),
    });
    content.footer = "Open 9 to 18".to_owned();
    let meta = json!({"type": "button", "header": {"type": "image", "image": {"link": PICTURE}},
        "body": {"text": "What suits you?"}, "footer": {"text": "Open 9 to 18"},
        "action": {"buttons": [{"type": "reply", "reply": {"id": "slot_am", "title": "Morning"}},
                               {"type": "reply", "reply": {"id": "slot_pm", "title": "Afternoon"}}]}});
    free_form(of(Kind::Interactive(content)), meta, MessageState::Read).await;
}

#[tokio::test]
async fn a_list() {
    let row = v1::Choice {
        id: "st_1".to_owned(),
        title: "Harbor".to_owned(),
        description: "Pier 4".to_owned(),
    };
    let content = interactive(Action::List(v1::ChoiceList {
        button: "See stores".to_owned(),
        sections: vec![v1::ChoiceSection {
            title: "North".to_owned(),
            rows: vec![row],
        }],
    }));
    let meta = json!({"type": "list", "body": {"text": "What suits you?"}, "action": {"button": "See stores",
        "sections": [{"title": "North", "rows": [{"id": "st_1", "title": "Harbor", "description": "Pier 4"}]}]}});
    free_form(of(Kind::Interactive(content)), meta, MessageState::Read).await;
}

#[tokio::test]
async fn a_link_button() {
    let content = interactive(Action::LinkButton(v1::LinkButton {
        label: "Track".to_owned(),
        url: "https://shop.example/t/9".to_owned(),
    }));
    let meta = json!({"type": "cta_url", "body": {"text": "What suits you?"}, "action": {"name": "cta_url",
        "parameters": {"display_text": "Track", "url": "https://shop.example/t/9"}}});
    free_form(of(Kind::Interactive(content)), meta, MessageState::Read).await;
}

#[tokio::test]
async fn a_location_request() {
    let content = interactive(Action::LocationRequest(v1::LocationRequest {}));
    let meta = json!({"type": "location_request_message", "body": {"text": "What suits you?"},
        "action": {"name": "send_location"}});
    free_form(of(Kind::Interactive(content)), meta, MessageState::Read).await;
}

#[tokio::test]
async fn a_flow() {
    let store = prost_types::Value {
        kind: Some(prost_types::value::Kind::StringValue("st_1".to_owned())),
    };
    let data = prost_types::Struct {
        fields: [("store".to_owned(), store)].into(),
    };
    let content = interactive(Action::Flow(v1::FlowButton {
        flow_id: "9011".to_owned(),
        label: "Book".to_owned(),
        token: "ft-7781".to_owned(),
        draft: false,
        first_screen: Some(v1::FlowScreen {
            screen: "SLOT".to_owned(),
            data: Some(data),
        }),
    }));
    let meta = json!({"type": "flow", "body": {"text": "What suits you?"}, "action": {"name": "flow", "parameters": {
        "flow_message_version": "3", "flow_id": "9011", "flow_cta": "Book", "flow_token": "ft-7781", "mode": "published",
        "flow_action": "navigate", "flow_action_payload": {"screen": "SLOT", "data": {"store": "st_1"}}}}});
    free_form(of(Kind::Interactive(content)), meta, MessageState::Read).await;
}

#[tokio::test]
async fn a_product() {
    let content = interactive(Action::Product(product("SKU-8")));
    let meta = json!({"type": "product", "body": {"text": "What suits you?"},
        "action": {"catalog_id": "5510", "product_retailer_id": "SKU-8"}});
    free_form(of(Kind::Interactive(content)), meta, MessageState::Read).await;
}

#[tokio::test]
async fn a_list_of_products() {
    let mut content = interactive(Action::ProductList(v1::ProductList {
        catalog_id: "5510".to_owned(),
        sections: vec![v1::ProductSection {
            title: "Round".to_owned(),
            product_retailer_ids: vec!["SKU-8".to_owned(), "SKU-9".to_owned()],
        }],
    }));
    content.header = Some(v1::InteractiveHeader {
        kind: Some(Header::Text("Frames".to_owned())),
    });
    let meta = json!({"type": "product_list", "header": {"type": "text", "text": "Frames"},
        "body": {"text": "What suits you?"}, "action": {"catalog_id": "5510", "sections": [{"title": "Round",
        "product_items": [{"product_retailer_id": "SKU-8"}, {"product_retailer_id": "SKU-9"}]}]}});
    free_form(of(Kind::Interactive(content)), meta, MessageState::Read).await;
}

#[tokio::test]
async fn a_catalog() {
    let content = interactive(Action::Catalog(v1::CatalogButton {
        thumbnail_product_retailer_id: "SKU-8".to_owned(),
    }));
    let meta = json!({"type": "catalog_message", "body": {"text": "What suits you?"}, "action": {"name": "catalog_message",
        "parameters": {"thumbnail_product_retailer_id": "SKU-8"}}});
    free_form(of(Kind::Interactive(content)), meta, MessageState::Read).await;
}

#[tokio::test]
async fn a_template_without_parameters() {
    let world = world().await;
    template(&world, named("hello_world"), json!([])).await;
}

#[tokio::test]
async fn a_template_with_numbered_variables() {
    let world = world().await;
    let content = v1::TemplateContent {
        body_parameters: vec![words("Ana"), words("A-17")],
        ..named("order_update")
    };
    let components = json!([{"type": "body", "parameters": [
        {"type": "text", "text": "Ana"}, {"type": "text", "text": "A-17"}]}]);
    template(&world, content, components).await;
}

#[tokio::test]
async fn a_template_with_named_variables() {
    let world = world().await;
    let content = v1::TemplateContent {
        body_parameters: vec![
            parameter("first_name", Parameter::Text("Ana".to_owned())),
            parameter("day", Parameter::Text("Monday".to_owned())),
        ],
        ..named("appointment_reminder")
    };
    let components = json!([{"type": "body", "parameters": [
        {"type": "text", "parameter_name": "first_name", "text": "Ana"},
        {"type": "text", "parameter_name": "day", "text": "Monday"}]}]);
    template(&world, content, components).await;
}

#[tokio::test]
async fn a_template_with_a_picture_and_buttons() {
    let world = world().await;
    let content = v1::TemplateContent {
        header_parameters: link(PICTURE)
            .map(|media| parameter("", Parameter::Image(media)))
            .into_iter()
            .collect(),
        body_parameters: vec![words("Ana")],
        buttons: vec![
            button(0, ButtonValue::QuickReplyPayload("stop".to_owned())),
            button(1, ButtonValue::UrlSuffix("A-17".to_owned())),
        ],
        ..named("order_photo")
    };
    let components = json!([
        {"type": "header", "parameters": [{"type": "image", "image": {"link": PICTURE}}]},
        {"type": "body", "parameters": [{"type": "text", "text": "Ana"}]},
        {"type": "button", "sub_type": "quick_reply", "index": "0", "parameters": [{"type": "payload", "payload": "stop"}]},
        {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "A-17"}]}]);
    template(&world, content, components).await;
}

#[tokio::test]
async fn a_template_with_a_one_time_code() {
    let world = world().await;
    let content = v1::TemplateContent {
        body_parameters: vec![words("123456")],
        buttons: vec![button(0, ButtonValue::UrlSuffix("123456".to_owned()))],
        ..named("login_code")
    };
    let components = json!([
        {"type": "body", "parameters": [{"type": "text", "text": "123456"}]},
        {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "123456"}]}]);
    template(&world, content, components).await;
}

#[tokio::test]
async fn a_template_with_a_place_an_amount_and_a_moment() {
    let definition = json!([
        {"type": "HEADER", "format": "LOCATION"},
        {"type": "BODY", "text": "Hello {{1}}, pay {{2}} before {{3}} at the counter.",
         "example": {"body_text": [["Ana", "$24.50", "May 3"]]}}]);
    let world = world_with("payment_due", &definition).await;
    let amount = v1::CurrencyValue {
        fallback_value: "$24.50".to_owned(),
        code: "USD".to_owned(),
        amount_1000: 24_500,
    };
    let moment = v1::DateTimeValue {
        fallback_value: "May 3".to_owned(),
    };
    let content = v1::TemplateContent {
        header_parameters: vec![parameter("", Parameter::Location(place()))],
        body_parameters: vec![
            words("Ana"),
            parameter("", Parameter::Currency(amount)),
            parameter("", Parameter::DateTime(moment)),
        ],
        ..named("payment_due")
    };
    let components = json!([
        {"type": "header", "parameters": [{"type": "location", "location": {"latitude": 38.9072, "longitude": -77.0369,
            "name": "Marlow Optics", "address": "12 K St NW"}}]},
        {"type": "body", "parameters": [
            {"type": "text", "text": "Ana"},
            {"type": "currency", "currency": {"fallback_value": "$24.50", "code": "USD", "amount_1000": 24_500}},
            {"type": "date_time", "date_time": {"fallback_value": "May 3"}}]}]);
    template(&world, content, components).await;
}

#[tokio::test]
async fn a_template_with_a_document() {
    let definition = json!([
        {"type": "HEADER", "format": "DOCUMENT", "example": {"header_handle": ["4:simulated"]}},
        {"type": "BODY", "text": "Here is what you asked for."}]);
    let world = world_with("your_invoice", &definition).await;
    let address = "https://cdn.example/INV-0091.pdf";
    let document = v1::HeaderDocument {
        media: link(address),
        filename: "INV-0091.pdf".to_owned(),
    };
    let content = v1::TemplateContent {
        header_parameters: vec![parameter("", Parameter::Document(document))],
        ..named("your_invoice")
    };
    let components = json!([{"type": "header", "parameters": [
        {"type": "document", "document": {"link": address, "filename": "INV-0091.pdf"}}]}]);
    template(&world, content, components).await;
}

#[tokio::test]
async fn a_template_with_a_carousel() {
    let card = json!({"components": [
        {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4:simulated"]}},
        {"type": "BODY", "text": "Now {{1}} off.", "example": {"body_text": [["10 %"]]}},
        {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "More"}]}]});
    let definition = json!([
        {"type": "BODY", "text": "Frames of the week for you."},
        {"type": "CAROUSEL", "cards": [card, card]}]);
    let world = world_with("frames_of_the_week", &definition).await;
    let card = |picture: &str, off: &str| v1::TemplateCard {
        header_parameters: link(picture)
            .map(|media| parameter("", Parameter::Image(media)))
            .into_iter()
            .collect(),
        body_parameters: vec![words(off)],
        buttons: vec![button(0, ButtonValue::QuickReplyPayload("more".to_owned()))],
    };
    let content = v1::TemplateContent {
        cards: vec![
            card("https://cdn.example/1.png", "10 %"),
            card("https://cdn.example/2.png", "20 %"),
        ],
        ..named("frames_of_the_week")
    };
    let of_card = |at: u8, picture: &str, off: &str| {
        json!({"card_index": at, "components": [
            {"type": "header", "parameters": [{"type": "image", "image": {"link": picture}}]},
            {"type": "body", "parameters": [{"type": "text", "text": off}]},
            {"type": "button", "sub_type": "quick_reply", "index": "0", "parameters": [{"type": "payload", "payload": "more"}]}]})
    };
    let components = json!([{"type": "carousel", "cards": [
        of_card(0, "https://cdn.example/1.png", "10 %"), of_card(1, "https://cdn.example/2.png", "20 %")]}]);
    template(&world, content, components).await;
}

#[tokio::test]
async fn a_shared_contact_gets_the_whatsapp_id_that_is_known() {
    let world = world().await;
    world.open_window().await;
    let leo = "+12025550188";
    let card = |phone: &str| v1::ContactCard {
        name: Some(v1::CardName {
            formatted_name: "Leo Marlow".to_owned(),
            first_name: "Leo".to_owned(),
            ..v1::CardName::default()
        }),
        phones: vec![v1::CardPhone {
            phone: phone.to_owned(),
            ..v1::CardPhone::default()
        }],
        ..v1::ContactCard::default()
    };
    let content = of(Kind::Contacts(v1::ContactsContent {
        cards: vec![card("+1 202 555 0188"), card("call the shop")],
    }));
    let warned = async || {
        let warnings = world.check(content.clone()).await.warnings;
        warnings.into_iter().map(|warning| warning.field).collect::<Vec<_>>()
    };
    let of_card = |at: u8| format!("content.contacts.cards[{at}].phones[0].wa_id");
    assert_eq!(warned().await, [of_card(0), of_card(1)]);
    // Once he has written, his id is known.
    world.control().write_text(leo, None, "Hello").unwrap();
    crate::world::eventually("Leo stays unknown", async || {
        (warned().await == [of_card(1)]).then_some(())
    })
    .await;
    let sent = world.send(request("key-1", content)).await.unwrap();
    world.until(&sent.message_id, MessageState::Read).await;
    let accepted = world.accepted();
    assert_eq!(accepted[0].1["contacts"][0]["phones"][0]["wa_id"], "12025550188");
    assert_eq!(accepted[0].1["contacts"][1]["phones"][0]["wa_id"], Value::Null);
}
