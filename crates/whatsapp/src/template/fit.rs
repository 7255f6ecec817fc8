//! Whether a message fits a template's definition.

use super::definition::{Button, ButtonAction, Card, Definition, Header, HeaderFormat, ParameterFormat, Part};
use super::definition::{buttons_of, variables_of_body};
use super::variables;
use crate::limits;
use crate::message::check::Checker;
use crate::message::{ButtonKind, Component, Invalid, Parameter, ParameterValue, Recipient, Template, WrittenTemplate};

impl Definition {
    /// Checks a message against this definition and by itself: counts, names, kinds, buttons, and the lengths after filling in.
    /// All problems at once, with the path each field has in the body of the send (errors 132000, 132005, 132012 and 132018).
    pub fn check(&self, message: &Template) -> Result<(), Invalid> {
        let mut checker = Checker::default();
        checker.field("template", |checker| {
            message.check(checker);
            if message.name != self.name {
                checker.problem_at("name", "the name of another template", "the name of this template");
            }
            if message.language != self.language {
                checker.problem_at(
                    "language.code",
                    "another language",
                    format!("{}, this translation", self.language),
                );
            }
            let has_offer = self
                .components
                .iter()
                .any(|part| matches!(part, Part::LimitedTimeOffer(_)));
            let fit = Fit {
                named: self.parameter_format == ParameterFormat::Named,
                one_time_password: self.is_one_time_password(),
                body_chars_max: if has_offer {
                    limits::OFFER_BODY_CHARS_MAX
                } else {
                    limits::TEMPLATE_BODY_CHARS_MAX
                },
            };
            fit.parts(&self.components, &message.components, checker);
            if fit.one_time_password {
                one_time_password(&message.components, checker);
            }
        });
        checker.finish()
    }

    /// Whether the template may go to a recipient: a one-time password needs a phone number (error 131062).
    pub fn check_recipient(&self, recipient: &Recipient) -> Result<(), Invalid> {
        let mut checker = Checker::default();
        if self.is_one_time_password() && matches!(recipient, Recipient::BusinessScopedUser(_)) {
            checker.problem_at(
                "recipient",
                "a business-scoped user id",
                "a phone number: the template is a one-time password",
            );
        }
        checker.finish()
    }

    /// [`Definition::check`] for a message whose components were written as JSON before.
    pub fn check_written(&self, message: &WrittenTemplate) -> Result<(), Invalid> {
        self.check(&Template::from_written(message)?)
    }
}

/// What holds for one level: the template itself, or a card.
struct Fit {
    named: bool,
    one_time_password: bool,
    body_chars_max: usize,
}

impl Fit {
    fn parts(&self, parts: &[Part], given: &[Component], checker: &mut Checker) {
        self.header(parts, given, checker);
        self.body(parts, given, checker);
        buttons(parts, given, checker);
        offer(parts, given, checker);
        self.carousel(parts, given, checker);
    }

    fn header(&self, parts: &[Part], given: &[Component], checker: &mut Checker) {
        let header = parts.iter().find_map(|part| match part {
            Part::Header(header) => Some(header),
            _ => None,
        });
        let at = position(given, |component| matches!(component, Component::Header(_)));
        let parameters = match at.map(|at| &given[at]) {
            Some(Component::Header(parameters)) => parameters.as_slice(),
            _ => &[],
        };
        let Some(header) = header else {
            unexpected(at, parameters, "a header", checker);
            return;
        };
        let kind = match (&header.format, header.format.parameter_kind()) {
            (HeaderFormat::Text, _) => return self.text_header(header, at, parameters, checker),
            // A kind this crate does not know is for Meta to judge.
            (_, None) => return,
            (_, Some(kind)) => kind,
        };
        if parameters.is_empty() {
            let allowed = format!("a header with one parameter of kind {kind}");
            checker.problem_at("components", "no header parameter", allowed);
        }
        in_parameters(at, parameters, checker, |checker, parameter| {
            if parameter.value.kind() != kind {
                checker.problem_at("type", parameter.value.kind(), kind);
            }
        });
    }

    fn text_header(&self, header: &Header, at: Option<usize>, parameters: &[Parameter], checker: &mut Checker) {
        let text = header.text.as_deref().unwrap_or_default();
        let names: Vec<String> = variables::distinct(text).into_iter().map(str::to_owned).collect();
        self.texts("header", &names, at, parameters, checker);
        in_parameters(at, parameters, checker, |checker, parameter| {
            if parameter.value.kind() != "text" {
                checker.problem_at("type", parameter.value.kind(), "text");
            }
        });
        hydrated(
            "header",
            text,
            &names,
            parameters,
            limits::TEMPLATE_HEADER_CHARS_MAX,
            checker,
        );
    }

    fn body(&self, parts: &[Part], given: &[Component], checker: &mut Checker) {
        let body = parts.iter().find_map(Part::as_body);
        let at = position(given, |component| matches!(component, Component::Body(_)));
        let parameters = match at.map(|at| &given[at]) {
            Some(Component::Body(parameters)) => parameters.as_slice(),
            _ => &[],
        };
        let Some(body) = body else {
            unexpected(at, parameters, "a body", checker);
            return;
        };
        let names = variables_of_body(body, self.one_time_password);
        self.texts("body", &names, at, parameters, checker);
        if let Some(text) = &body.text {
            hydrated("body", text, &names, parameters, self.body_chars_max, checker);
        }
    }

    /// Count and names of the parameters of a text.
    fn texts(&self, part: &str, names: &[String], at: Option<usize>, parameters: &[Parameter], checker: &mut Checker) {
        if parameters.len() != names.len() {
            let found = format!("{} parameters for the {part}", parameters.len());
            let path = at.map_or_else(|| "components".to_owned(), |at| format!("components[{at}].parameters"));
            checker.problem_at(&path, found, format!("{}, one for each variable", names.len()));
        }
        in_parameters(at, parameters, checker, |checker, parameter| {
            match (&parameter.name, self.named) {
                (Some(name), true) if !names.contains(name) => {
                    checker.problem_at("parameter_name", "no variable of the template", "a variable's name");
                }
                (None, true) => checker.problem_at("parameter_name", "nothing", "the name of the variable"),
                (Some(_), false) => {
                    checker.problem_at("parameter_name", "a name", "no name: the variables go by order");
                }
                _ => {}
            }
        });
        if self.named {
            let path = at.map_or_else(|| "components".to_owned(), |at| format!("components[{at}].parameters"));
            let given = parameters.iter().filter_map(|parameter| parameter.name.as_deref());
            checker.distinct(&path, given);
        }
    }

    fn carousel(&self, parts: &[Part], given: &[Component], checker: &mut Checker) {
        let cards = parts.iter().find_map(|part| match part {
            Part::Carousel(cards) => Some(cards.as_slice()),
            _ => None,
        });
        let at = position(given, |component| matches!(component, Component::Carousel(_)));
        let (Some(cards), Some(at)) = (cards, at) else {
            match (cards, at) {
                (Some(cards), None) if cards.iter().any(takes_parameters) => {
                    let allowed = format!("a carousel with {} cards", cards.len());
                    checker.problem_at("components", "no carousel", allowed);
                }
                (None, Some(at)) => {
                    checker.problem_at(
                        &format!("components[{at}]"),
                        "a carousel",
                        "none: the template has no cards",
                    );
                }
                _ => {}
            }
            return;
        };
        let Component::Carousel(given) = &given[at] else { return };
        checker.field(&format!("components[{at}]"), |checker| {
            if given.len() != cards.len() {
                checker.problem_at(
                    "cards",
                    format!("{} cards", given.len()),
                    format!("{}, as many as the template has", cards.len()),
                );
            }
            let level = Self {
                body_chars_max: limits::CARD_BODY_CHARS_MAX,
                ..*self
            };
            checker.each("cards", given, |checker, card| {
                match cards.get(usize::from(card.card_index)) {
                    Some(definition) => level.parts(&definition.components, &card.components, checker),
                    None => checker.problem_at(
                        "card_index",
                        "no card of the template",
                        "the position of a card, from 0",
                    ),
                }
            });
        });
    }
}

/// Runs `check` for each parameter of the component at this position.
fn in_parameters(
    at: Option<usize>,
    parameters: &[Parameter],
    checker: &mut Checker,
    check: impl FnMut(&mut Checker, &Parameter),
) {
    let Some(at) = at else { return };
    checker.field(&format!("components[{at}]"), |checker| {
        checker.each("parameters", parameters, check);
    });
}

fn position(given: &[Component], is_it: impl Fn(&Component) -> bool) -> Option<usize> {
    given.iter().position(is_it)
}

fn unexpected(at: Option<usize>, parameters: &[Parameter], part: &str, checker: &mut Checker) {
    if let Some(at) = at
        && !parameters.is_empty()
    {
        checker.problem_at(
            &format!("components[{at}]"),
            format!("parameters for {part}"),
            format!("none: the template has not {part}"),
        );
    }
}

/// The length of a text after it was filled in (error 132005).
fn hydrated(part: &str, text: &str, names: &[String], parameters: &[Parameter], max: usize, checker: &mut Checker) {
    if parameters.len() != names.len() {
        return;
    }
    let chars = variables::fill(text, |name| value_of(name, names, parameters))
        .chars()
        .count();
    if chars > max {
        checker.problem_at(
            "components",
            format!("a {part} of {chars} characters once it is filled in"),
            format!("at most {max} characters"),
        );
    }
}

/// What fills a variable: by name if the parameters have names, else by the variable's place among the names.
pub(super) fn value_of<'p>(name: &str, names: &[String], parameters: &'p [Parameter]) -> Option<&'p str> {
    let by_name = parameters
        .iter()
        .find(|parameter| parameter.name.as_deref() == Some(name));
    let parameter = by_name.or_else(|| {
        // `{{2}}` takes the second parameter, also where the text has it before `{{1}}`.
        let number = name.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let place = number.or_else(|| names.iter().position(|known| known == name))?;
        parameters.get(place).filter(|parameter| parameter.name.is_none())
    });
    shown(&parameter?.value)
}

/// What the user sees of a value.
pub(super) fn shown(value: &ParameterValue) -> Option<&str> {
    match value {
        ParameterValue::Text(text) => Some(text),
        ParameterValue::Currency(currency) => Some(&currency.fallback_value),
        ParameterValue::DateTime(moment) => Some(&moment.fallback_value),
        _ => None,
    }
}

/// What a button of a definition asks of a message.
enum Asks {
    /// One component of this kind.
    One(ButtonKind),
    /// A component of this kind may be given.
    Perhaps(ButtonKind),
    /// None at all.
    Nothing,
    /// Not known here.
    Unknown,
}

fn asks(button: &Button) -> Asks {
    match &button.action {
        ButtonAction::Url { url, .. } if url.contains("{{") => Asks::One(ButtonKind::Url),
        ButtonAction::OneTimePassword { .. } => Asks::One(ButtonKind::Url),
        ButtonAction::CopyCode { .. } => Asks::One(ButtonKind::CopyCode),
        ButtonAction::MultiProduct => Asks::One(ButtonKind::MultiProduct),
        ButtonAction::OrderDetails => Asks::One(ButtonKind::OrderDetails),
        ButtonAction::QuickReply => Asks::Perhaps(ButtonKind::QuickReply),
        ButtonAction::Flow => Asks::Perhaps(ButtonKind::Flow),
        ButtonAction::Catalog => Asks::Perhaps(ButtonKind::Catalog),
        ButtonAction::VoiceCall => Asks::Perhaps(ButtonKind::VoiceCall),
        ButtonAction::Url { .. } | ButtonAction::PhoneNumber { .. } => Asks::Nothing,
        ButtonAction::Other { .. } => Asks::Unknown,
    }
}

fn buttons(parts: &[Part], given: &[Component], checker: &mut Checker) {
    let defined = buttons_of(parts).map_or(&[][..], |(_, buttons)| buttons);
    let mut answered = vec![false; defined.len()];
    for (at, component) in given.iter().enumerate() {
        let Component::Button {
            kind,
            index,
            parameters,
        } = component
        else {
            continue;
        };
        checker.field(&format!("components[{at}]"), |checker| {
            let Some(button) = defined.get(usize::from(*index)) else {
                checker.problem_at("index", index.to_string(), indexes(defined.len()));
                return;
            };
            answered[usize::from(*index)] = true;
            one_button(button, *kind, parameters, checker);
        });
    }
    for (index, button) in defined.iter().enumerate() {
        if let Asks::One(kind) = asks(button)
            && !answered[index]
        {
            checker.problem_at(
                "components",
                format!("nothing for the button at index {index}"),
                format!("a button component of sub_type {}", kind.as_str()),
            );
        }
    }
}

fn indexes(count: usize) -> String {
    match count {
        0 => "none: the template has no buttons".to_owned(),
        count => format!("0 to {}", count - 1),
    }
}

fn one_button(button: &Button, kind: ButtonKind, parameters: &[Parameter], checker: &mut Checker) {
    match asks(button) {
        Asks::One(asked) | Asks::Perhaps(asked) if asked != kind => {
            checker.problem_at("sub_type", kind.as_str(), asked.as_str());
        }
        Asks::Nothing if !parameters.is_empty() => {
            let found = format!("{} parameters", parameters.len());
            checker.problem_at("parameters", found, "none: the button has no variable");
        }
        _ => {}
    }
    if let ButtonAction::Url { url, .. } = &button.action
        && let Some(text) = parameters.first().and_then(|parameter| shown(&parameter.value))
    {
        let chars = variables::fill(url, |_| Some(text)).chars().count();
        if chars > limits::TEMPLATE_URL_CHARS_MAX {
            checker.problem_at(
                "parameters[0].text",
                format!("a URL of {chars} characters once it is filled in"),
                format!("at most {} characters", limits::TEMPLATE_URL_CHARS_MAX),
            );
        }
    }
}

fn offer(parts: &[Part], given: &[Component], checker: &mut Checker) {
    let offer = parts.iter().find_map(|part| match part {
        Part::LimitedTimeOffer(offer) => Some(offer),
        _ => None,
    });
    let at = position(given, |component| {
        matches!(component, Component::LimitedTimeOffer { .. })
    });
    match (offer, at) {
        (Some(offer), None) if offer.has_expiration => {
            let allowed = "a limited_time_offer component that says when the offer ends";
            checker.problem_at("components", "no end of the offer", allowed);
        }
        (None, Some(at)) => {
            checker.problem_at(
                &format!("components[{at}]"),
                "an offer",
                "none: the template has no offer",
            );
        }
        _ => {}
    }
}

/// The code stands in the body and again in the button, and is short.
fn one_time_password(given: &[Component], checker: &mut Checker) {
    let mut codes = Vec::new();
    for (at, component) in given.iter().enumerate() {
        let (Component::Body(parameters) | Component::Button { parameters, .. }) = component else {
            continue;
        };
        let Some(code) = parameters.first().and_then(|parameter| shown(&parameter.value)) else {
            continue;
        };
        let chars = code.chars().count();
        if chars > limits::ONE_TIME_PASSWORD_CHARS_MAX {
            checker.problem_at(
                &format!("components[{at}].parameters[0].text"),
                format!("a code of {chars} characters"),
                format!("at most {} characters", limits::ONE_TIME_PASSWORD_CHARS_MAX),
            );
        }
        codes.push((at, code));
    }
    if let [(_, body), (at, button)] = codes.as_slice()
        && body != button
    {
        checker.problem_at(
            &format!("components[{at}].parameters[0].text"),
            "another code than before",
            "the same code in body and button",
        );
    }
}

/// Whether a message has to say anything about a card.
fn takes_parameters(card: &Card) -> bool {
    card.components.iter().any(|part| match part {
        Part::Header(header) => header.format != HeaderFormat::Text || has_variables(header.text.as_deref()),
        Part::Body(body) => has_variables(body.text.as_deref()),
        Part::Buttons(buttons) => buttons.iter().any(|button| matches!(asks(button), Asks::One(_))),
        _ => false,
    })
}

fn has_variables(text: Option<&str>) -> bool {
    text.is_some_and(|text| !variables::all(text).is_empty())
}
