//! What a message says: parsed with everything that is wrong in it at once, and shown again to who sent it.
//!
//! One file a family. Each turns its part of the contract into what Meta reads, has the crate that knows Meta check it, and
//! translates the path of each problem back into the caller's terms.

mod cards;
mod interactive;
mod json;
mod media;
mod parameters;
mod reference;
mod template;
mod wa_ids;
mod warnings;

pub use reference::ParsedReference;
pub use template::{BODY_PARAMETERS_MAX, BUTTONS_MAX, CARDS_MAX, template_path};
pub use wa_ids::MissingWaId;
pub use warnings::{can_only_invite, warnings};

use crate::problems::{Problems, path};
use assent_domain::{
    events::FreeForm,
    values::{FreeFormBody, TemplateComponents, TemplateRef, TextBody},
};
use assent_proto::v1::{self, content::Kind};
use assent_whatsapp::message as whatsapp;

/// Most bytes of free-form content, as JSON. Sealed it grows by a third, and an event has at most 256 KiB.
pub const CONTENT_BYTES_MAX: usize = 128 * 1024;

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
    /// Anything else.
    FreeForm {
        /// What it is.
        form: FreeForm,
        /// What goes to Meta beneath that word.
        body: FreeFormBody,
    },
}

impl ParsedContent {
    /// The template it uses, if it is one.
    pub fn template(&self) -> Option<&TemplateRef> {
        match self {
            Self::Template { template, .. } => Some(template),
            Self::Text { .. } | Self::FreeForm { .. } => None,
        }
    }
}

/// Content, and the earlier message it refers to.
#[derive(Debug, Clone, PartialEq)]
pub struct Composed {
    /// What is said.
    pub content: ParsedContent,
    /// The message it answers; for a reaction, the one that it reacts to.
    pub refers_to: Option<ParsedReference>,
}

/// The content given, with every length and count checked that Meta would check; `field` is its path in the request.
pub fn parse(content: Option<&v1::Content>, field: &str, problems: &mut Problems) -> Option<Composed> {
    let mut own = Problems::new();
    let composed = content.and_then(|content| compose(content, field, &mut own));
    if composed.is_none() && own.is_empty() {
        own.add(field, "must be of one of the kinds");
    }
    let is_good = own.is_empty();
    own.into_problems(problems);
    composed.filter(|_| is_good)
}

fn compose(given: &v1::Content, field: &str, problems: &mut Problems) -> Option<Composed> {
    let reply_field = || path(field, "reply_to");
    let reply_to = given
        .reply_to
        .as_ref()
        .map(|reference| reference::parse(Some(reference), &reply_field(), problems));
    let mut refers_to = reply_to.flatten();
    let content = match given.kind.as_ref()? {
        Kind::Text(text) => parse_text(text, &path(field, "text"), problems),
        Kind::Template(template) => template::parse(template, &path(field, "template"), problems),
        Kind::Image(image) => media::image(image, field, problems),
        Kind::Audio(audio) => media::audio(audio, field, problems),
        Kind::Video(video) => media::video(video, field, problems),
        Kind::Document(document) => media::document(document, field, problems),
        Kind::Sticker(sticker) => media::sticker(sticker, field, problems),
        Kind::Location(location) => media::location(location, field, problems),
        Kind::Contacts(contacts) => cards::parse(contacts, field, problems),
        Kind::Reaction(reaction) => {
            if given.reply_to.is_some() {
                problems.add(reply_field(), "a reaction quotes nothing; it names its message itself");
            }
            let message = path(field, "reaction.message");
            refers_to = reference::parse(reaction.message.as_ref(), &message, problems);
            reference::reaction(reaction, field, problems)
        }
        Kind::Interactive(interactive) => interactive::parse(interactive, field, problems),
    };
    Some(Composed {
        content: content?,
        refers_to,
    })
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

/// Free-form content once it is checked; `translate` turns a path in Meta's body into one in ours, both beginning with the
/// kind. `field` is the path of the whole content.
fn free_form(
    form: FreeForm,
    content: &whatsapp::Content,
    translate: impl Fn(&str) -> String,
    field: &str,
    problems: &mut Problems,
) -> Option<ParsedContent> {
    if let Err(invalid) = content.validate() {
        for problem in invalid.problems {
            problems.add(path(field, &translate(&problem.path)), describe(&problem));
        }
        return None;
    }
    // Only a number that is none cannot be written, and those were refused.
    let body = content.payload().ok()?;
    bounded(form, body, field, problems)
}

/// The body, if it fits into an event.
fn bounded(form: FreeForm, body: serde_json::Value, field: &str, problems: &mut Problems) -> Option<ParsedContent> {
    let bytes = serde_json::to_vec(&body).ok()?.len();
    if bytes > CONTENT_BYTES_MAX {
        problems.add(
            path(field, form.as_str()),
            format!("has {bytes} bytes as JSON; at most {CONTENT_BYTES_MAX} fit"),
        );
        return None;
    }
    let body = FreeFormBody(body);
    Some(ParsedContent::FreeForm { form, body })
}

pub(crate) fn describe(problem: &whatsapp::Problem) -> String {
    format!("{}; allowed: {}", problem.found, problem.allowed)
}

/// Text that was given: the contract has no other absence than nothing.
fn given(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

/// The content as the contract has it. What the contract cannot say is left out.
pub fn render(content: &ParsedContent, refers_to: Option<&ParsedReference>) -> v1::Content {
    let reference = refers_to.map(reference::render);
    let kind = match content {
        ParsedContent::Text { body, preview_url } => Some(Kind::Text(v1::TextContent {
            body: body.0.clone(),
            preview_url: *preview_url,
        })),
        ParsedContent::Template { template, components } => {
            Some(Kind::Template(template::render(template, components)))
        }
        ParsedContent::FreeForm { form, body } => render_free_form(*form, &body.0, reference.as_ref()),
    };
    let is_reaction = matches!(kind, Some(Kind::Reaction(_)));
    v1::Content {
        kind,
        reply_to: reference.filter(|_| !is_reaction),
    }
}

fn render_free_form(
    form: FreeForm,
    body: &serde_json::Value,
    reference: Option<&v1::MessageReference>,
) -> Option<Kind> {
    Some(match form {
        FreeForm::Image => Kind::Image(media::render_image(body)),
        FreeForm::Audio => Kind::Audio(media::render_audio(body)),
        FreeForm::Video => Kind::Video(media::render_video(body)),
        FreeForm::Document => Kind::Document(media::render_document(body)),
        FreeForm::Sticker => Kind::Sticker(v1::StickerContent {
            media: Some(media::render_source(body)),
        }),
        FreeForm::Location => Kind::Location(media::render_location(body)),
        FreeForm::Contacts => Kind::Contacts(v1::ContactsContent {
            cards: cards::render(body),
        }),
        FreeForm::Reaction => Kind::Reaction(v1::ReactionContent {
            message: reference.cloned(),
            emoji: json::text_of(body, "emoji"),
        }),
        FreeForm::Interactive => Kind::Interactive(interactive::render(body)?),
    })
}

/// A place as Meta writes it, in a message of ours or of a person's.
pub(crate) fn render_place(place: &serde_json::Value) -> v1::LocationContent {
    media::render_location(place)
}

/// Contact cards as Meta writes them, in a message of ours or of a person's.
pub(crate) fn render_cards(cards: &serde_json::Value) -> Vec<v1::ContactCard> {
    cards::render(cards)
}

#[cfg(test)]
mod tests;
