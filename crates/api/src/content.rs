//! What a message says.

use crate::problems::{Problems, path};
use assent_domain::values::{LanguageCode, TemplateComponents, TemplateName, TemplateRef, TextBody};
use assent_proto::v1;
use assent_whatsapp::message::{self as whatsapp, ButtonKind, Component, Parameter, ParameterValue};
use serde_json::Value;

/// Most values for the variables of a template's body.
pub const BODY_PARAMETERS_MAX: usize = 100;
/// Most values for the buttons of a template.
pub const BUTTONS_MAX: usize = 10;

/// Content as the domain has it, in the clear.
#[derive(Debug, Clone, PartialEq)]
pub enum ParsedContent {
    /// Free-form text.
    Text {
        /// The text.
        body: TextBody,
        /// Whether the first link shall be unfurled.
        preview_url: bool,
    },
    /// An approved template.
    Template {
        /// Which one.
        template: TemplateRef,
        /// What fills it: Meta's `components` array.
        components: TemplateComponents,
    },
}

/// The content given, with every length and count checked that Meta would check; `field` is its path in the request.
pub fn parse(content: Option<&v1::Content>, field: &str, problems: &mut Problems) -> Option<ParsedContent> {
    match content.and_then(|content| content.kind.as_ref()) {
        Some(v1::content::Kind::Text(text)) => parse_text(text, &path(field, "text"), problems),
        Some(v1::content::Kind::Template(template)) => parse_template(template, &path(field, "template"), problems),
        None => {
            problems.add(field, "must be a template or a text");
            None
        }
    }
}

fn parse_text(text: &v1::TextContent, field: &str, problems: &mut Problems) -> Option<ParsedContent> {
    let content = whatsapp::Content::Text(whatsapp::Text {
        body: text.body.clone(),
        preview_url: Some(text.preview_url),
    });
    if let Err(invalid) = content.validate() {
        for problem in invalid.problems {
            let within = problem.path.strip_prefix("text.").unwrap_or_default();
            problems.add(path(field, within), describe(&problem));
        }
        return None;
    }
    Some(ParsedContent::Text {
        body: TextBody(text.body.clone()),
        preview_url: text.preview_url,
    })
}

/// Where a component of Meta's came from.
enum Origin {
    Header,
    Body,
    Button(usize),
}

fn parse_template(template: &v1::TemplateContent, field: &str, problems: &mut Problems) -> Option<ParsedContent> {
    let name = problems.keep(&path(field, "name"), TemplateName::try_new(&template.name));
    let language = problems.keep(&path(field, "language"), LanguageCode::try_new(&template.language));
    for (list, count, max) in [
        ("body_parameters", template.body_parameters.len(), BODY_PARAMETERS_MAX),
        ("buttons", template.buttons.len(), BUTTONS_MAX),
    ] {
        if count > max {
            problems.add(path(field, list), format!("has {count} entries; at most {max} fit"));
            return None;
        }
    }
    let (components, origins) = components_of(template, field, problems)?;
    let whole = whatsapp::Content::Template(whatsapp::Template {
        name: template.name.clone(),
        language: template.language.clone(),
        components,
    });
    if let Err(invalid) = whole.validate() {
        let mut found = false;
        for problem in invalid.problems {
            let Some(within) = translate(&problem.path, &origins) else {
                // Name and language were judged above, in our own words.
                continue;
            };
            found = true;
            problems.add(path(field, &within), describe(&problem));
        }
        if found {
            return None;
        }
    }
    let whatsapp::Content::Template(whatsapp::Template { components, .. }) = whole else {
        return None;
    };
    let components = serde_json::to_value(&components).ok()?;
    Some(ParsedContent::Template {
        template: TemplateRef {
            name: name?,
            language: language?,
        },
        components: TemplateComponents(components),
    })
}

/// Meta's components, and where each came from; `None` if a value is missing.
fn components_of(
    template: &v1::TemplateContent,
    field: &str,
    problems: &mut Problems,
) -> Option<(Vec<Component>, Vec<Origin>)> {
    let mut components = Vec::with_capacity(2 + template.buttons.len());
    let mut origins = Vec::with_capacity(2 + template.buttons.len());
    let header = parameters(&template.header_parameters, field, "header_parameters", problems);
    let body = parameters(&template.body_parameters, field, "body_parameters", problems);
    let (header, body) = (header?, body?);
    if !header.is_empty() {
        components.push(Component::Header(header));
        origins.push(Origin::Header);
    }
    if !body.is_empty() {
        components.push(Component::Body(body));
        origins.push(Origin::Body);
    }
    for (at, button) in template.buttons.iter().enumerate() {
        use v1::template_button::Value as Given;
        let (kind, value) = match &button.value {
            Some(Given::UrlSuffix(suffix)) => (ButtonKind::Url, ParameterValue::Text(suffix.clone())),
            Some(Given::QuickReplyPayload(payload)) => {
                (ButtonKind::QuickReply, ParameterValue::Payload(payload.clone()))
            }
            Some(Given::CopyCode(code)) => (ButtonKind::CopyCode, ParameterValue::CouponCode(code.clone())),
            None => {
                let field = path(field, &format!("buttons[{at}]"));
                problems.add(field, "must have a url_suffix, a quick_reply_payload or a copy_code");
                return None;
            }
        };
        components.push(Component::Button {
            kind,
            // Too large an index stays too large.
            index: u8::try_from(button.index).unwrap_or(u8::MAX),
            parameters: vec![Parameter::positional(value)],
        });
        origins.push(Origin::Button(at));
    }
    Some((components, origins))
}

fn parameters(
    given: &[v1::TemplateParameter],
    field: &str,
    list: &str,
    problems: &mut Problems,
) -> Option<Vec<Parameter>> {
    let mut parameters = Vec::with_capacity(given.len());
    for (at, parameter) in given.iter().enumerate() {
        let Some(v1::template_parameter::Value::Text(text)) = &parameter.value else {
            problems.add(path(field, &format!("{list}[{at}]")), "must have a text");
            continue;
        };
        parameters.push(Parameter {
            name: Some(parameter.name.clone()).filter(|name| !name.is_empty()),
            value: ParameterValue::Text(text.clone()),
        });
    }
    (parameters.len() == given.len()).then_some(parameters)
}

/// A path in Meta's body as a path in ours; `None` for name and language.
fn translate(path: &str, origins: &[Origin]) -> Option<String> {
    let within = path.strip_prefix("template.")?;
    let rest = within.strip_prefix("components")?;
    let Some((at, rest)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return Some("body_parameters".to_owned());
    };
    let origin = at.parse().ok().and_then(|at: usize| origins.get(at))?;
    let of_list = |list: &str| {
        let rest = rest.strip_prefix(".parameters").unwrap_or_default();
        format!("{list}{}", rest.replace("parameter_name", "name"))
    };
    Some(match origin {
        Origin::Header => of_list("header_parameters"),
        Origin::Body => of_list("body_parameters"),
        Origin::Button(at) if rest == ".index" => format!("buttons[{at}].index"),
        Origin::Button(at) => format!("buttons[{at}]"),
    })
}

fn describe(problem: &whatsapp::Problem) -> String {
    format!("{}; allowed: {}", problem.found, problem.allowed)
}

/// The content as the contract has it. Components that the contract cannot say are left out.
pub fn render(content: &ParsedContent) -> v1::Content {
    let kind = match content {
        ParsedContent::Text { body, preview_url } => v1::content::Kind::Text(v1::TextContent {
            body: body.0.clone(),
            preview_url: *preview_url,
        }),
        ParsedContent::Template { template, components } => {
            v1::content::Kind::Template(render_template(template, components))
        }
    };
    v1::Content { kind: Some(kind) }
}

fn render_template(template: &TemplateRef, components: &TemplateComponents) -> v1::TemplateContent {
    let mut content = v1::TemplateContent {
        name: template.name.to_string(),
        language: template.language.to_string(),
        ..v1::TemplateContent::default()
    };
    for component in components.0.as_array().into_iter().flatten() {
        let parameters = component.get("parameters").and_then(Value::as_array);
        let parameters = parameters.map_or(&[][..], Vec::as_slice);
        match text_of(component, "type").as_str() {
            "header" => content
                .header_parameters
                .extend(parameters.iter().map(render_parameter)),
            "body" => content.body_parameters.extend(parameters.iter().map(render_parameter)),
            "button" => content.buttons.extend(render_button(component, parameters)),
            _ => {}
        }
    }
    content
}

fn render_parameter(parameter: &Value) -> v1::TemplateParameter {
    v1::TemplateParameter {
        name: text_of(parameter, "parameter_name"),
        value: Some(v1::template_parameter::Value::Text(text_of(parameter, "text"))),
    }
}

fn render_button(component: &Value, parameters: &[Value]) -> Option<v1::TemplateButton> {
    use v1::template_button::Value as Given;
    let parameter = parameters.first()?;
    let value = match text_of(component, "sub_type").as_str() {
        "url" => Given::UrlSuffix(text_of(parameter, "text")),
        "quick_reply" => Given::QuickReplyPayload(text_of(parameter, "payload")),
        "copy_code" => Given::CopyCode(text_of(parameter, "coupon_code")),
        _ => return None,
    };
    Some(v1::TemplateButton {
        index: text_of(component, "index").parse().unwrap_or_default(),
        value: Some(value),
    })
}

fn text_of(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use v1::template_button::Value as ButtonValue;

    fn parameter(name: &str, text: &str) -> v1::TemplateParameter {
        v1::TemplateParameter {
            name: name.into(),
            value: Some(v1::template_parameter::Value::Text(text.into())),
        }
    }

    fn button(index: u32, value: Option<ButtonValue>) -> v1::TemplateButton {
        v1::TemplateButton { index, value }
    }

    fn template() -> v1::TemplateContent {
        v1::TemplateContent {
            name: "order_update".into(),
            language: "en_US".into(),
            header_parameters: vec![parameter("", "42")],
            body_parameters: vec![parameter("", "Ana"), parameter("", "tomorrow")],
            buttons: vec![
                button(0, Some(ButtonValue::UrlSuffix("track/42".into()))),
                button(1, Some(ButtonValue::QuickReplyPayload("stop".into()))),
                button(2, Some(ButtonValue::CopyCode("SAVE10".into()))),
            ],
        }
    }

    fn of_template(template: v1::TemplateContent) -> v1::Content {
        v1::Content {
            kind: Some(v1::content::Kind::Template(template)),
        }
    }

    fn of_text(body: &str, preview_url: bool) -> v1::Content {
        let body = body.into();
        v1::Content {
            kind: Some(v1::content::Kind::Text(v1::TextContent { body, preview_url })),
        }
    }

    fn fields_of(content: Option<&v1::Content>) -> Vec<String> {
        let mut problems = Problems::new();
        assert_eq!(parse(content, "content", &mut problems), None);
        let error = problems.into_error();
        error.fields().iter().map(|problem| problem.field.clone()).collect()
    }

    #[test]
    fn content_is_read_back_from_what_was_parsed() {
        let mut named = template();
        named.header_parameters = vec![];
        named.body_parameters = vec![parameter("first_name", "Ana")];
        let bare = v1::TemplateContent {
            name: "hello".into(),
            language: "de".into(),
            ..v1::TemplateContent::default()
        };
        let contents = [
            of_template(template()),
            of_template(named),
            of_template(bare),
            of_text("See https://example.com", true),
            of_text("Grüße", false),
        ];
        for content in contents {
            let mut problems = Problems::new();
            let parsed = parse(Some(&content), "content", &mut problems).unwrap();
            assert!(problems.is_empty());
            assert_eq!(render(&parsed), content);
        }
    }

    #[test]
    fn components_are_metas_array() {
        let mut problems = Problems::new();
        let parsed = parse(Some(&of_template(template())), "content", &mut problems).unwrap();
        let ParsedContent::Template { components, .. } = parsed else {
            panic!("a template")
        };
        assert_eq!(components.0[0]["type"], "header");
        assert_eq!(components.0[1]["parameters"][1]["text"], "tomorrow");
        assert_eq!(components.0[2]["sub_type"], "url");
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
            fields_of(Some(&of_template(bad))),
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
    fn missing_values_and_too_many_of_them_are_named() {
        assert_eq!(fields_of(None), ["content"]);
        let mut bad = template();
        bad.body_parameters[0].value = None;
        assert_eq!(
            fields_of(Some(&of_template(bad))),
            ["content.template.body_parameters[0]"]
        );
        let mut bad = template();
        bad.buttons[2].value = None;
        assert_eq!(fields_of(Some(&of_template(bad))), ["content.template.buttons[2]"]);
        let mut bad = template();
        bad.body_parameters = vec![parameter("", "x"); 101];
        assert_eq!(fields_of(Some(&of_template(bad))), ["content.template.body_parameters"]);
    }

    #[test]
    fn a_text_that_is_too_long_is_named_and_not_quoted() {
        let long = "secret ".repeat(1_000);
        assert_eq!(fields_of(Some(&of_text(&long, false))), ["content.text.body"]);
        assert_eq!(fields_of(Some(&of_text("", false))), ["content.text.body"]);
        assert_eq!(fields_of(Some(&of_text("no link", true))), ["content.text.preview_url"]);
    }
}
