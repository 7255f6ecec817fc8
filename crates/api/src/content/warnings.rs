//! What WhatsApp takes, but what the person may not see as it was meant.

use assent_proto::v1::{self, content::Kind, template_parameter::Value as Parameter};
use assent_whatsapp::text;

/// Most warnings that are given; who gets as many has enough to mend.
const WARNINGS_MAX: usize = 100;

/// Everything in the texts of a message that is likely not as meant; `field` is the path of the content in the request.
pub fn warnings(content: &v1::Content, field: &str) -> Vec<v1::ContentWarning> {
    let mut found = Found {
        field,
        warnings: Vec::new(),
    };
    match &content.kind {
        Some(Kind::Text(text)) => found.written("text.body", &text.body),
        Some(Kind::Image(image)) => found.written("image.caption", &image.caption),
        Some(Kind::Video(video)) => found.written("video.caption", &video.caption),
        Some(Kind::Document(document)) => found.written("document.caption", &document.caption),
        Some(Kind::Interactive(interactive)) => found.written("interactive.body", &interactive.body),
        Some(Kind::Template(template)) => found.template(template),
        Some(Kind::Audio(_) | Kind::Sticker(_) | Kind::Location(_) | Kind::Contacts(_) | Kind::Reaction(_)) | None => {}
    }
    found.warnings.truncate(WARNINGS_MAX);
    found.warnings
}

/// A phone number on a shared card that is not known to be on WhatsApp; `within` is the path of its id in the content.
pub fn can_only_invite(field: &str, within: &str) -> v1::ContentWarning {
    v1::ContentWarning {
        field: crate::problems::path(field, within),
        description: "is not given and not known, so the receiver can only invite this contact to WhatsApp".to_owned(),
        suggestion: String::new(),
    }
}

struct Found<'a> {
    field: &'a str,
    warnings: Vec<v1::ContentWarning>,
}

impl Found<'_> {
    fn add(&mut self, within: &str, description: String, suggestion: String) {
        self.warnings.push(v1::ContentWarning {
            field: crate::problems::path(self.field, within),
            description,
            suggestion,
        });
    }

    /// A text that is shown as it is written.
    fn written(&mut self, within: &str, text: &str) {
        for found in text::unbalanced_marks(text) {
            let description = format!(
                "line {} opens {} and does not close it, so the mark itself is shown",
                found.line, found.mark
            );
            self.add(within, description, String::new());
        }
        self.links(within, text);
    }

    fn links(&mut self, within: &str, text: &str) {
        for found in text::app_links(text) {
            let description = format!(
                "line {} has a {}:// link, which does nothing where its app is not installed",
                found.line, found.scheme
            );
            self.add(within, description, found.universal.unwrap_or_default());
        }
    }

    /// Marks may close in the text of the template itself, so only the links of its parameters are looked at.
    fn template(&mut self, template: &v1::TemplateContent) {
        self.parameters("template.body_parameters", &template.body_parameters);
        for (at, card) in template.cards.iter().enumerate() {
            let list = format!("template.cards[{at}].body_parameters");
            self.parameters(&list, &card.body_parameters);
        }
    }

    fn parameters(&mut self, list: &str, parameters: &[v1::TemplateParameter]) {
        for (at, parameter) in parameters.iter().enumerate() {
            if let Some(Parameter::Text(text)) = &parameter.value {
                self.links(&format!("{list}[{at}].text"), text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: Kind) -> Vec<(String, String)> {
        let content = v1::Content {
            kind: Some(kind),
            reply_to: None,
        };
        let warnings = warnings(&content, "content").into_iter();
        warnings.map(|warning| (warning.field, warning.suggestion)).collect()
    }

    fn of_text(body: &str) -> Vec<(String, String)> {
        shown(Kind::Text(v1::TextContent {
            body: body.to_owned(),
            preview_url: false,
        }))
    }

    #[test]
    fn a_text_is_warned_of_for_marks_and_links() {
        assert_eq!(of_text("*All* good: https://wa.me/12025550100"), []);
        let field = || "content.text.body".to_owned();
        assert_eq!(
            of_text("*Open\nwhatsapp://send?phone=12025550100 or upi://pay?pa=x"),
            [
                (field(), String::new()),
                (field(), "https://wa.me/12025550100".to_owned()),
                (field(), String::new()),
            ]
        );
    }

    #[test]
    fn captions_bodies_and_parameters_are_looked_at_too() {
        let caption = v1::ImageContent {
            caption: "_left".to_owned(),
            ..v1::ImageContent::default()
        };
        assert_eq!(shown(Kind::Image(caption))[0].0, "content.image.caption");
        let interactive = v1::InteractiveContent {
            body: "~now".to_owned(),
            ..v1::InteractiveContent::default()
        };
        assert_eq!(shown(Kind::Interactive(interactive))[0].0, "content.interactive.body");
        let parameter = |text: &str| v1::TemplateParameter {
            name: String::new(),
            value: Some(Parameter::Text(text.to_owned())),
        };
        let template = v1::TemplateContent {
            body_parameters: vec![parameter("*"), parameter("upi://pay")],
            ..v1::TemplateContent::default()
        };
        assert_eq!(
            shown(Kind::Template(template)),
            [("content.template.body_parameters[1].text".to_owned(), String::new())]
        );
    }

    #[test]
    fn there_are_only_so_many_warnings() {
        assert_eq!(of_text(&"*x\n".repeat(1_000)).len(), WARNINGS_MAX);
    }
}
