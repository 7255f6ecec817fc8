//! Prints every kind of request the client emits, one JSON line each: `name`, `method`, `path`, `query`, and either `body`
//! or, of a form, `form`.
//!
//! Nothing is imitated: the client talks to a server in this process, and what arrives there is printed.
//! `tests/interop/openapi/check` holds the lines against Meta's description of the API.

mod messages;
mod server;

use assent_whatsapp::Secret;
use assent_whatsapp::client::{
    BusinessProfileUpdate, CallbackOverride, Client, ClientConfig, MediaFile, MessageRoute, TemplateCategory,
    TemplateEdit, TemplateInfo, TemplateQuery, TemplateSelection, TemplateStatus,
};
use assent_whatsapp::message::{Content, OutgoingMessage, Recipient, Template};
use assent_whatsapp::template::{Definition, Part};
use assent_whatsapp::wamid::Wamid;
use serde_json::{Value, json};
use server::Server;

const NUMBER: &str = "200000000000001";
const ACCOUNT: &str = "100000000000001";
const TEMPLATE: &str = "940021177300155";

/// What every step can fail with.
type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let server = Server::start()?;
    let client = Client::try_new(&ClientConfig {
        base_url: server.url(),
        graph_version: "v23.0".to_owned(),
        ..ClientConfig::default()
    })?;
    let token = Secret::new("token");
    for (name, message) in messages::all() {
        message.validate()?;
        client.send(NUMBER, &token, &message).await?;
        server.print(name)?;
    }
    let offer = Content::Template(Template::new("spring_offer", "en_US").with_body_texts(["Ana"]));
    let offer = OutgoingMessage::new(Recipient::Phone(messages::USER.to_owned()), offer);
    let route = MessageRoute::MarketingMessages;
    client.send_by(route, NUMBER, &token, &offer).await?;
    server.print("marketing message")?;
    let inbound = Wamid::new("wamid.INBOUND");
    client.mark_read(NUMBER, &token, &inbound, false).await?;
    server.print("mark as read")?;
    client.mark_read(NUMBER, &token, &inbound, true).await?;
    server.print("mark as read, typing")?;
    files(&client, &token, &server).await?;
    number(&client, &token, &server).await?;
    templates(&client, &token, &server).await
}

async fn files(client: &Client, token: &Secret, server: &Server) -> Result<(), Failure> {
    let file = MediaFile {
        bytes: b"%PDF-1.4".as_slice().into(),
        media_type: "application/pdf".to_owned(),
        filename: Some("invoice.pdf".to_owned()),
    };
    let id = client.upload_media(NUMBER, token, &file).await?;
    server.print("upload media")?;
    client.media_info(&id, Some(NUMBER), token).await?;
    server.print("media info")?;
    client.delete_media(&id, Some(NUMBER), token).await?;
    server.print("delete media")
}

async fn number(client: &Client, token: &Secret, server: &Server) -> Result<(), Failure> {
    client.number(NUMBER, token).await?;
    server.print("number info")?;
    client.business_profile(NUMBER, token).await?;
    server.print("business profile")?;
    let update = BusinessProfileUpdate {
        about: Some("Open all day".to_owned()),
        address: Some("12 K St NW".to_owned()),
        description: Some("Glasses".to_owned()),
        email: Some("hello@shop.example".to_owned()),
        websites: Some(vec!["https://shop.example/".to_owned()]),
        vertical: Some("RETAIL".to_owned()),
        ..BusinessProfileUpdate::default()
    };
    client.update_business_profile(NUMBER, token, &update).await?;
    server.print("update business profile")?;
    let users = [Recipient::Phone(messages::USER.to_owned())];
    client.block_users(NUMBER, token, &users).await?;
    server.print("block users")?;
    client.unblock_users(NUMBER, token, &users).await?;
    server.print("unblock users")?;
    client.blocked_users(NUMBER, token, 10, Some("cursor")).await?;
    server.print("blocked users")?;
    let callback = CallbackOverride {
        url: "https://hooks.example/wa".to_owned(),
        verify_token: Secret::new("verify"),
    };
    client.override_number_callback(NUMBER, token, Some(&callback)).await?;
    server.print("set a number's callback URL")?;
    client.override_number_callback(NUMBER, token, None).await?;
    server.print("remove a number's callback URL")?;
    client.callback_urls(NUMBER, token).await?;
    server.print("callback URLs")?;
    client.subscribe_app(ACCOUNT, token, Some(&callback)).await?;
    server.print("subscribe the app")?;
    client.subscribed_apps(ACCOUNT, token).await?;
    server.print("subscribed apps")?;
    client.unsubscribe_app(ACCOUNT, token).await?;
    server.print("unsubscribe the app")
}

async fn templates(client: &Client, token: &Secret, server: &Server) -> Result<(), Failure> {
    let query = TemplateQuery {
        name: Some("order".to_owned()),
        language: Some("en_US".to_owned()),
        status: Some(TemplateStatus::Approved),
        category: Some(TemplateCategory::Utility),
        limit: Some(50),
        after: Some("cursor".to_owned()),
    };
    client.find_templates(ACCOUNT, token, &query).await?;
    server.print("list templates")?;
    client.template(TEMPLATE, token).await?;
    server.print("one template")?;
    let listed = definition();
    let definition = Definition::from_value(listed.clone()).ok_or("the definition is an object")?;
    client.create_template(ACCOUNT, token, &definition).await?;
    server.print("create a template")?;
    let mut listed = listed;
    listed["id"] = json!(TEMPLATE);
    listed["status"] = json!("APPROVED");
    let current = TemplateInfo::from_value(listed).ok_or("the definition is an object")?;
    let edit = TemplateEdit {
        components: Some(vec![Part::from_value(json!({"type": "BODY", "text": "It is ready."}))]),
        message_send_ttl_seconds: Some(3_600),
        ..TemplateEdit::default()
    };
    client.edit_template(&current, token, &edit).await?;
    server.print("edit a template")?;
    let name = || "order_ready".to_owned();
    let one = TemplateSelection::One {
        name: name(),
        id: TEMPLATE.to_owned(),
    };
    client
        .delete_templates(ACCOUNT, token, &TemplateSelection::Name(name()))
        .await?;
    server.print("delete a template by name")?;
    client.delete_templates(ACCOUNT, token, &one).await?;
    server.print("delete one language of a template")?;
    client.unpause_template(TEMPLATE, token).await?;
    server.print("unpause a template")
}

/// A template with a part of every common kind, as Meta writes it.
fn definition() -> Value {
    json!({
        "name": "order_ready", "language": "en_US", "category": "UTILITY", "parameter_format": "NAMED",
        "message_send_ttl_seconds": 7_200,
        "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Order {{order}}",
             "example": {"header_text_named_params": [{"param_name": "order", "example": "M-55"}]}},
            {"type": "BODY", "text": "Hello {{name}}, your glasses are ready.",
             "example": {"body_text_named_params": [{"param_name": "name", "example": "Ana"}]}},
            {"type": "FOOTER", "text": "Marlow Optics"},
            {"type": "BUTTONS", "buttons": [
                {"type": "QUICK_REPLY", "text": "Stop updates"},
                {"type": "URL", "text": "Details", "url": "https://shop.example/{{1}}", "example": ["o/55"]},
                {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+12025550100"}]},
        ],
    })
}
