//! A template as the user would see it.

use super::definition::{Button, ButtonAction, Definition, Example, Header, HeaderFormat, Part};
use super::definition::{buttons_of, variables_of_body};
use super::fit::{shown, value_of};
use super::variables;
use crate::message::{Component, Invalid, MediaSource, Parameter, ParameterValue, Template};
use crate::redact::redacted_debug;

/// What the user would see. The texts hold what the message is filled with.
#[derive(Clone, PartialEq, Default)]
pub struct Preview {
    /// Above the body.
    pub header: Option<PreviewHeader>,
    /// The text; of a one-time password whose text Meta writes itself, the code alone.
    pub body: String,
    /// Below the body.
    pub footer: Option<String>,
    /// Heading of a limited-time offer.
    pub offer: Option<String>,
    /// What can be tapped.
    pub buttons: Vec<PreviewButton>,
    /// The cards of a carousel.
    pub cards: Vec<Preview>,
}

/// Above the body.
#[derive(Clone, PartialEq)]
pub enum PreviewHeader {
    /// Text.
    Text(String),
    /// A file, a place or a product.
    Media {
        /// What it is.
        format: HeaderFormat,
        /// Where Meta takes it from, if a message says so.
        source: Option<MediaSource>,
    },
}

/// What can be tapped.
#[derive(Clone, PartialEq, Eq)]
pub struct PreviewButton {
    /// Meta's word for the kind.
    pub kind: String,
    /// Its label.
    pub label: Option<String>,
    /// What it opens, calls, copies or sends back.
    pub value: Option<String>,
}

redacted_debug!(Preview { buttons, cards }, PreviewButton { kind });

impl std::fmt::Debug for PreviewHeader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::Text(_) => HeaderFormat::Text,
            Self::Media { format, .. } => format.clone(),
        };
        write!(formatter, "PreviewHeader({}, redacted)", kind.as_str())
    }
}

impl Definition {
    /// The template filled with a message. Refused with all problems if the message does not fit.
    pub fn render(&self, message: &Template) -> Result<Preview, Invalid> {
        self.check(message)?;
        Ok(show(&self.components, &message.components, self.is_one_time_password()))
    }

    /// The template filled with its own examples; a variable without one stays visible.
    pub fn render_examples(&self) -> Preview {
        show(
            &self.components,
            &examples_of(&self.components),
            self.is_one_time_password(),
        )
    }
}

fn show(parts: &[Part], given: &[Component], is_one_time_password: bool) -> Preview {
    let mut preview = Preview::default();
    for part in parts {
        match part {
            Part::Header(header) => preview.header = Some(show_header(header, given)),
            Part::Body(body) => {
                let parameters = body_parameters(given);
                let names = variables_of_body(body, is_one_time_password);
                let text = body
                    .text
                    .as_deref()
                    .unwrap_or(if is_one_time_password { "{{1}}" } else { "" });
                preview.body = variables::fill(text, |name| value_of(name, &names, parameters));
            }
            Part::Footer(footer) => preview.footer.clone_from(&footer.text),
            Part::LimitedTimeOffer(offer) => preview.offer = Some(offer.text.clone()),
            Part::Buttons(_) | Part::Carousel(_) | Part::Other(_) => {}
        }
    }
    let buttons = buttons_of(parts).map_or(&[][..], |(_, buttons)| buttons);
    preview.buttons = buttons
        .iter()
        .enumerate()
        .map(|(index, button)| show_button(index, button, given))
        .collect();
    for part in parts {
        let Part::Carousel(cards) = part else { continue };
        let filled = |index: usize| {
            given.iter().find_map(|component| match component {
                Component::Carousel(cards) => cards.iter().find(|card| usize::from(card.card_index) == index),
                _ => None,
            })
        };
        preview.cards = cards
            .iter()
            .enumerate()
            .map(|(index, card)| {
                let given = filled(index).map_or(&[][..], |card| card.components.as_slice());
                show(&card.components, given, false)
            })
            .collect();
    }
    preview
}

fn body_parameters(given: &[Component]) -> &[Parameter] {
    given
        .iter()
        .find_map(|component| match component {
            Component::Body(parameters) => Some(parameters.as_slice()),
            _ => None,
        })
        .unwrap_or_default()
}

fn show_header(header: &Header, given: &[Component]) -> PreviewHeader {
    let parameters = given.iter().find_map(|component| match component {
        Component::Header(parameters) => Some(parameters.as_slice()),
        _ => None,
    });
    let parameters = parameters.unwrap_or_default();
    if header.format == HeaderFormat::Text {
        let text = header.text.as_deref().unwrap_or_default();
        let names: Vec<String> = variables::distinct(text).into_iter().map(str::to_owned).collect();
        return PreviewHeader::Text(variables::fill(text, |name| value_of(name, &names, parameters)));
    }
    let source = parameters.first().and_then(|parameter| match &parameter.value {
        ParameterValue::Image(media) | ParameterValue::Video(media) => Some(media.source.clone()),
        ParameterValue::Document(document) => Some(document.source.clone()),
        _ => None,
    });
    PreviewHeader::Media {
        format: header.format.clone(),
        source,
    }
}

fn show_button(at: usize, button: &Button, given: &[Component]) -> PreviewButton {
    let parameter = given.iter().find_map(|component| match component {
        Component::Button { index, parameters, .. } if usize::from(*index) == at => parameters.first(),
        _ => None,
    });
    let text = parameter.and_then(|parameter| match &parameter.value {
        ParameterValue::Payload(text) | ParameterValue::CouponCode(text) => Some(text.as_str()),
        value => shown(value),
    });
    let value = match &button.action {
        ButtonAction::Url { url, .. } => Some(variables::fill(url, |_| text)),
        ButtonAction::PhoneNumber { number } => Some(number.clone()),
        // Meta sends the label back where no payload was given.
        ButtonAction::QuickReply => text.or(button.label.as_deref()).map(str::to_owned),
        _ => text.map(str::to_owned),
    };
    PreviewButton {
        kind: button.action.kind().to_owned(),
        label: button.label.clone(),
        value,
    }
}

/// The examples of some parts as the components of a message.
fn examples_of(parts: &[Part]) -> Vec<Component> {
    let mut components = Vec::new();
    for part in parts {
        match part {
            Part::Header(header) => components.push(Component::Header(parameters_of(&header.examples))),
            Part::Body(body) => components.push(Component::Body(parameters_of(&body.examples))),
            Part::Buttons(buttons) => {
                for (index, button) in buttons.iter().enumerate() {
                    components.extend(example_of(index, button));
                }
            }
            Part::Carousel(cards) => {
                let cards = cards
                    .iter()
                    .enumerate()
                    .map(|(index, card)| crate::message::CarouselCard {
                        card_index: index as u8,
                        components: examples_of(&card.components),
                    });
                components.push(Component::Carousel(cards.collect()));
            }
            Part::Footer(_) | Part::LimitedTimeOffer(_) | Part::Other(_) => {}
        }
    }
    components
}

fn parameters_of(examples: &[Example]) -> Vec<Parameter> {
    let parameters = examples.iter().map(|example| Parameter {
        name: example.name.clone(),
        value: ParameterValue::Text(example.value.clone()),
    });
    parameters.collect()
}

fn example_of(index: usize, button: &Button) -> Option<Component> {
    let (kind, value) = match &button.action {
        ButtonAction::Url { url, example } => {
            let example = example.as_deref()?;
            // Meta takes the whole URL as the example as well as what fills its variable.
            let fixed = url.split("{{").next().unwrap_or_default();
            let ending = example.strip_prefix(fixed).filter(|_| !fixed.is_empty());
            (
                crate::message::ButtonKind::Url,
                ParameterValue::Text(ending.unwrap_or(example).to_owned()),
            )
        }
        ButtonAction::CopyCode { example } => (
            crate::message::ButtonKind::CopyCode,
            ParameterValue::CouponCode(example.clone()?),
        ),
        _ => return None,
    };
    Some(Component::Button {
        kind,
        index: index as u8,
        parameters: vec![Parameter::positional(value)],
    })
}
