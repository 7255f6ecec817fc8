//! Approved templates with everything that can be filled in them.

use super::{
    ParsedContent, describe,
    json::{list_of, text_of},
    parameters::{self, Place},
};
use crate::{
    problems::{Problems, path},
    timestamp,
};
use assent_domain::values::{LanguageCode, TemplateComponents, TemplateName, TemplateRef, Timestamp};
use assent_proto::v1;
use assent_whatsapp::{
    limits,
    message::{self as whatsapp, CarouselCard, Component},
};
use serde_json::Value;

/// Most values for the variables of a template's body.
pub const BODY_PARAMETERS_MAX: usize = 100;
/// Most values for the buttons of a template.
pub const BUTTONS_MAX: usize = 10;
/// Most cards of a carousel.
pub const CARDS_MAX: usize = limits::CAROUSEL_CARDS_MAX;

pub(super) fn parse(template: &v1::TemplateContent, field: &str, problems: &mut Problems) -> Option<ParsedContent> {
    let name = problems.keep(&path(field, "name"), TemplateName::try_new(&template.name));
    let language = problems.keep(&path(field, "language"), LanguageCode::try_new(&template.language));
    if !counts_fit(template, field, problems) {
        return None;
    }
    let components = components_of(template, field, problems)?;
    let whole = whatsapp::Content::Template(whatsapp::Template {
        name: template.name.clone(),
        language: template.language.clone(),
        components,
    });
    let whatsapp::Content::Template(whatsapp::Template { components, .. }) = &whole else {
        return None;
    };
    if let Err(invalid) = whole.validate() {
        // Name and language were judged above, in our own words.
        let of_components = |problem: &&whatsapp::Problem| problem.path.starts_with("template.components");
        let mut found = invalid.problems.iter().filter(of_components).peekable();
        let is_bad = found.peek().is_some();
        for problem in found {
            problems.add(template_path(components, field, &problem.path), describe(problem));
        }
        if is_bad {
            return None;
        }
    }
    let components = serde_json::to_value(components).ok()?;
    Some(ParsedContent::Template {
        template: TemplateRef {
            name: name?,
            language: language?,
        },
        components: TemplateComponents(components),
    })
}

/// Whether no list is longer than anything that could be sent: only then is it looked into.
fn counts_fit(template: &v1::TemplateContent, field: &str, problems: &mut Problems) -> bool {
    let own = [
        ("body_parameters", template.body_parameters.len(), BODY_PARAMETERS_MAX),
        ("buttons", template.buttons.len(), BUTTONS_MAX),
        ("cards", template.cards.len(), CARDS_MAX),
    ];
    let mut fit = true;
    let mut check = |list: &str, count: usize, max: usize| {
        if count > max {
            problems.add(path(field, list), format!("has {count} entries; at most {max} fit"));
            fit = false;
        }
    };
    for (list, count, max) in own {
        check(list, count, max);
    }
    for (at, card) in template.cards.iter().enumerate().take(CARDS_MAX) {
        check(
            &format!("cards[{at}].body_parameters"),
            card.body_parameters.len(),
            BODY_PARAMETERS_MAX,
        );
        check(&format!("cards[{at}].buttons"), card.buttons.len(), BUTTONS_MAX);
    }
    fit
}

/// Meta's components; `None` if a value is missing.
fn components_of(template: &v1::TemplateContent, field: &str, problems: &mut Problems) -> Option<Vec<Component>> {
    let mut found = filled(
        &template.header_parameters,
        &template.body_parameters,
        &template.buttons,
        field,
        problems,
    );
    if let Some(ends_at) = &template.offer_ends_at {
        let ends_at = timestamp::parse(Some(ends_at), &path(field, "offer_ends_at"), problems);
        match (&mut found, ends_at) {
            (Some(found), Some(at)) => found.push(Component::LimitedTimeOffer {
                expiration_time_ms: at.as_millis(),
            }),
            (_, None) => found = None,
            (None, Some(_)) => {}
        }
    }
    if template.cards.is_empty() {
        return found;
    }
    let cards = template.cards.iter().enumerate().map(|(at, card)| {
        let field = path(field, &format!("cards[{at}]"));
        filled(
            &card.header_parameters,
            &card.body_parameters,
            &card.buttons,
            &field,
            problems,
        )
    });
    // Collected before they are judged: a problem of one card does not hide those of the next.
    let cards: Vec<Option<Vec<Component>>> = cards.collect();
    let cards: Vec<Vec<Component>> = cards.into_iter().collect::<Option<_>>()?;
    let mut found = found?;
    let cards = cards.into_iter().enumerate().map(|(at, components)| CarouselCard {
        card_index: u8::try_from(at).unwrap_or(u8::MAX),
        components,
    });
    found.push(Component::Carousel(cards.collect()));
    Some(found)
}

/// Header, body and buttons, of a template or of a card.
fn filled(
    header: &[v1::TemplateParameter],
    body: &[v1::TemplateParameter],
    buttons: &[v1::TemplateButton],
    field: &str,
    problems: &mut Problems,
) -> Option<Vec<Component>> {
    let mut found = Vec::with_capacity(2 + buttons.len());
    let header = parameters::parse(header, Place::Header, field, problems);
    let body = parameters::parse(body, Place::Body, field, problems);
    let mut all = header.is_some() && body.is_some();
    if let Some(header) = header.filter(|header| !header.is_empty()) {
        found.push(Component::Header(header));
    }
    if let Some(body) = body.filter(|body| !body.is_empty()) {
        found.push(Component::Body(body));
    }
    for (at, button) in buttons.iter().enumerate() {
        match parameters::button(button, &format!("buttons[{at}]"), field, problems) {
            Some(component) => found.push(component),
            None => all = false,
        }
    }
    all.then_some(found)
}

/// A path in Meta's message with these components, e.g. `template.components[1].parameters[0].text`, as the path in ours beneath
/// `field`.
pub fn template_path(components: &[Component], field: &str, meta: &str) -> String {
    let within = match meta.strip_prefix("template.").unwrap_or(meta) {
        "language.code" => "language".to_owned(),
        within if within.starts_with("components") => of_component(components, within).unwrap_or_default(),
        within => within.to_owned(),
    };
    if within.is_empty() {
        return field.to_owned();
    }
    path(field, &within)
}

/// The path of a component's field in a template or card; `None` for what concerns all components.
fn of_component(components: &[Component], meta: &str) -> Option<String> {
    let (at, rest) = indexed(meta, "components")?;
    let of_list = |list: &str| {
        let rest = rest.strip_prefix(".parameters").unwrap_or_default();
        format!("{list}{}", parameters::translate(rest))
    };
    Some(match components.get(at)? {
        Component::Header(_) => of_list("header_parameters"),
        Component::Body(_) => of_list("body_parameters"),
        Component::Button { .. } => {
            let is_button = |component: &&Component| matches!(component, Component::Button { .. });
            let place = components[..at].iter().filter(is_button).count();
            let field = if rest == ".index" { rest } else { "" };
            format!("buttons[{place}]{field}")
        }
        Component::LimitedTimeOffer { .. } => "offer_ends_at".to_owned(),
        Component::Carousel(cards) => {
            let Some((at, rest)) = indexed(rest.trim_start_matches('.'), "cards") else {
                return Some("cards".to_owned());
            };
            let card = cards.get(at)?;
            match of_component(&card.components, rest.trim_start_matches('.')) {
                Some(within) => format!("cards[{at}].{within}"),
                None => format!("cards[{at}]"),
            }
        }
    })
}

/// The index of `name[index]` at the beginning of a path, and what follows.
fn indexed<'p>(path: &'p str, name: &str) -> Option<(usize, &'p str)> {
    let (index, rest) = path.strip_prefix(name)?.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, rest))
}

/// The template as the contract has it.
pub(super) fn render(template: &TemplateRef, components: &TemplateComponents) -> v1::TemplateContent {
    let parts = render_parts(components.0.as_array().map_or(&[], Vec::as_slice));
    v1::TemplateContent {
        name: template.name.to_string(),
        language: template.language.to_string(),
        header_parameters: parts.header,
        body_parameters: parts.body,
        buttons: parts.buttons,
        offer_ends_at: parts.offer_ends_at,
        cards: parts.cards,
    }
}

#[derive(Default)]
struct Parts {
    header: Vec<v1::TemplateParameter>,
    body: Vec<v1::TemplateParameter>,
    buttons: Vec<v1::TemplateButton>,
    offer_ends_at: Option<prost_types::Timestamp>,
    cards: Vec<v1::TemplateCard>,
}

fn render_parts(components: &[Value]) -> Parts {
    let mut parts = Parts::default();
    for component in components {
        let given = list_of(component, "parameters");
        match text_of(component, "type").as_str() {
            "header" => parts.header.extend(given.iter().map(parameters::render)),
            "body" => parts.body.extend(given.iter().map(parameters::render)),
            "button" => parts.buttons.extend(parameters::render_button(component, given)),
            "limited_time_offer" => parts.offer_ends_at = given.first().and_then(render_offer),
            "carousel" => parts.cards = list_of(component, "cards").iter().map(render_card).collect(),
            _ => {}
        }
    }
    parts
}

fn render_card(card: &Value) -> v1::TemplateCard {
    // A card in a card cannot be made; if there were one, it would be left out.
    let parts = render_parts(list_of(card, "components"));
    v1::TemplateCard {
        header_parameters: parts.header,
        body_parameters: parts.body,
        buttons: parts.buttons,
    }
}

fn render_offer(parameter: &Value) -> Option<prost_types::Timestamp> {
    let offer = parameter.get("limited_time_offer")?;
    let ends_at_ms = offer.get("expiration_time_ms")?.as_i64()?;
    Some(timestamp::render(Timestamp::from_millis(ends_at_ms)))
}
