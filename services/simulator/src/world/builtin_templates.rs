//! The templates every account starts with.

use serde_json::{Value, json};

use crate::config::TemplateDefinition;

/// The templates every account starts with.
pub(crate) fn builtin() -> Vec<TemplateDefinition> {
    let define = |name: &str, category: &str, status: &str, components: Value| TemplateDefinition {
        name: name.to_owned(),
        language: "en_US".to_owned(),
        category: category.to_owned(),
        status: status.to_owned(),
        parameter_format: "POSITIONAL".to_owned(),
        components: components.as_array().cloned().unwrap_or_default(),
        message_send_ttl_seconds: None,
    };
    let hello_world = json!([
        {"type": "HEADER", "format": "TEXT", "text": "Hello World"},
        {"type": "BODY", "text": "This is a message of the simulator, sent to see that everything is connected."},
        {"type": "FOOTER", "text": "Assent simulator"}
    ]);
    let order_update = json!([
        {"type": "BODY", "text": "Hello {{1}}, your order {{2}} is on its way.", "example": {"body_text": [["Ana", "A-17"]]}}
    ]);
    let spring_offer = json!([
        {"type": "BODY", "text": "Hello {{1}}, spring is here and so are our offers.", "example": {"body_text": [["Ana"]]}},
        {"type": "FOOTER", "text": "Reply STOP to hear no more offers"}
    ]);
    let order_photo = json!([
        {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4:simulated"]}},
        {"type": "BODY", "text": "Hello {{1}}, this is how we packed it.", "example": {"body_text": [["Ana"]]}},
        {"type": "BUTTONS", "buttons": [
            {"type": "QUICK_REPLY", "text": "Stop updates"},
            {"type": "URL", "text": "Track", "url": "https://shop.example/track/{{1}}", "example": ["A-17"]}]}
    ]);
    let appointment = json!([
        {"type": "BODY", "text": "Hello {{first_name}}, we expect you on {{day}}.",
         "example": {"body_text_named_params": [{"param_name": "first_name", "example": "Ana"},
                                                {"param_name": "day", "example": "Monday"}]}}
    ]);
    let login_code = json!([
        {"type": "BODY", "text": "{{1}} is your verification code.", "add_security_recommendation": true,
         "example": {"body_text": [["123456"]]}},
        {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Copy code",
            "url": "https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp{{1}}", "example": ["123456"]}]}
    ]);
    let offer = |text: &str| json!([{"type": "BODY", "text": text}]);
    let named = TemplateDefinition {
        parameter_format: "NAMED".to_owned(),
        ..define("appointment_reminder", "UTILITY", "APPROVED", appointment)
    };
    vec![
        define("hello_world", "UTILITY", "APPROVED", hello_world),
        define("order_update", "UTILITY", "APPROVED", order_update),
        define("spring_offer", "MARKETING", "APPROVED", spring_offer),
        define("order_photo", "UTILITY", "APPROVED", order_photo),
        named,
        define("login_code", "AUTHENTICATION", "APPROVED", login_code),
        define(
            "paused_offer",
            "MARKETING",
            "PAUSED",
            offer("An offer people did not like."),
        ),
        define(
            "disabled_offer",
            "MARKETING",
            "DISABLED",
            offer("An offer people liked even less."),
        ),
        define(
            "rejected_offer",
            "MARKETING",
            "REJECTED",
            offer("An offer that did not pass review."),
        ),
        define(
            "pending_offer",
            "MARKETING",
            "PENDING",
            offer("An offer still under review."),
        ),
    ]
}
