//! What Meta's review would refuse, and what works but costs readers or quality.

mod buttons;
mod texts;

use super::definition::{Body, ButtonAction, Card, Definition, Footer, Header, HeaderFormat, Part, buttons_of};
use super::variables;
use crate::client::TemplateCategory;
use crate::limits;
use crate::message::check::Checker;
use crate::message::{Invalid, Problem, check_name, is_language};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It works; there is a better way.
    Hint,
    /// It may be refused, put into another category or look wrong.
    Warning,
    /// Meta refuses it.
    Error,
}

/// One thing to know about a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where, what is there, and what is better.
    pub problem: Problem,
}

/// Warnings and hints; errors are the checker's problems.
#[derive(Default)]
struct Advice(Vec<Finding>);

impl Advice {
    fn warn(&mut self, checker: &Checker, field: &str, found: impl Into<String>, allowed: impl Into<String>) {
        self.add(Severity::Warning, checker, field, found.into(), allowed.into());
    }

    fn hint(&mut self, checker: &Checker, field: &str, found: impl Into<String>, allowed: impl Into<String>) {
        self.add(Severity::Hint, checker, field, found.into(), allowed.into());
    }

    fn add(&mut self, severity: Severity, checker: &Checker, field: &str, found: String, allowed: String) {
        let separator = if checker.path().is_empty() || field.is_empty() {
            ""
        } else {
            "."
        };
        self.0.push(Finding {
            severity,
            problem: Problem {
                path: format!("{}{separator}{field}", checker.path()),
                found,
                allowed,
            },
        });
    }
}

impl Definition {
    /// Everything to know about this definition before it is created or edited: errors first, then warnings, then hints, each
    /// with its path in Meta's JSON. The lengths are Meta's documented ones; its review may be stricter (error 2388040).
    pub fn lint(&self) -> Vec<Finding> {
        let (mut checker, mut advice) = (Checker::default(), Advice::default());
        check_name(&self.name, &mut checker);
        if !is_language(&self.language) {
            checker.problem_at("language", "not a language code", "a code such as en, en_US or zh_CN");
        }
        self.category(&mut checker);
        self.time_to_live(&mut checker, &mut advice);
        self.shape(&mut checker);
        let level = Level {
            definition: self,
            in_card: false,
            has_offer: self
                .components
                .iter()
                .any(|part| matches!(part, Part::LimitedTimeOffer(_))),
        };
        level.parts(&self.components, &mut checker, &mut advice);
        self.advise_on_category(&checker, &mut advice);

        let problems = checker
            .finish()
            .err()
            .map(|invalid| invalid.problems)
            .unwrap_or_default();
        let errors = problems.into_iter().map(|problem| Finding {
            severity: Severity::Error,
            problem,
        });
        let mut findings: Vec<Finding> = errors.chain(advice.0).collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        findings
    }

    /// The errors of [`Definition::lint`] alone: what Meta would refuse.
    pub fn validate(&self) -> Result<(), Invalid> {
        let errors = self
            .lint()
            .into_iter()
            .filter(|finding| finding.severity == Severity::Error);
        let problems: Vec<Problem> = errors.map(|finding| finding.problem).collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Invalid { problems })
        }
    }

    fn category(&self, checker: &mut Checker) {
        if let TemplateCategory::Other(_) = self.category {
            checker.problem_at("category", "another word", "MARKETING, UTILITY or AUTHENTICATION");
        }
    }

    /// Source: Cloud API, "Time to live".
    fn time_to_live(&self, checker: &mut Checker, advice: &mut Advice) {
        let Some(seconds) = self.message_send_ttl_seconds else {
            return;
        };
        let (range, may_be_unlimited) = match self.category {
            TemplateCategory::Authentication => (limits::AUTHENTICATION_TTL_S, true),
            TemplateCategory::Utility => (limits::UTILITY_TTL_S, true),
            TemplateCategory::Marketing => (limits::MARKETING_TTL_S, false),
            TemplateCategory::Other(_) => return,
        };
        let is_unlimited = seconds == -1 && may_be_unlimited;
        if !range.contains(&seconds) && !is_unlimited {
            let unlimited = if may_be_unlimited { ", or -1 for 30 days" } else { "" };
            checker.problem_at(
                "message_send_ttl_seconds",
                format!("{seconds} seconds"),
                format!("{} to {} seconds{unlimited}", range.start(), range.end()),
            );
        } else if self.category == TemplateCategory::Marketing {
            advice.hint(
                checker,
                "message_send_ttl_seconds",
                "a time to live of a marketing template",
                "it works by the marketing endpoint only",
            );
        }
    }

    /// Which parts there are.
    fn shape(&self, checker: &mut Checker) {
        for kind in ["HEADER", "BODY", "FOOTER", "BUTTONS", "LIMITED_TIME_OFFER", "CAROUSEL"] {
            let count = self.components.iter().filter(|part| part.kind() == kind).count();
            if count > 1 {
                checker.problem_at(
                    "components",
                    format!("{count} of type {kind}"),
                    format!("at most one of type {kind}"),
                );
            }
        }
        if self.body().is_none() {
            checker.problem_at("components", "no BODY", "one component of type BODY");
        }
        if self.is_one_time_password() && !matches!(self.category, TemplateCategory::Authentication) {
            checker.problem_at("category", "a one-time password in another category", "AUTHENTICATION");
        }
    }

    /// What Meta's review would make of the category (Business Management API, "Template categorization").
    fn advise_on_category(&self, checker: &Checker, advice: &mut Advice) {
        let buttons = buttons_of(&self.components).map_or(&[][..], |(_, buttons)| buttons);
        let answers = buttons.iter().any(|button| button.action == ButtonAction::QuickReply);
        match self.category {
            TemplateCategory::Marketing if !answers => advice.hint(
                checker,
                "components",
                "no way to opt out in the message itself",
                "a quick reply such as Stop promotions: people who find none block or report instead",
            ),
            TemplateCategory::Utility if texts::sounds_promotional(&self.all_text()) => advice.warn(
                checker,
                "category",
                "words of promotion in a UTILITY template",
                "MARKETING, or a text about nothing but what the user asked for; Meta moves mixed ones to MARKETING",
            ),
            _ => {}
        }
    }

    fn all_text(&self) -> String {
        let mut text = String::new();
        for part in &self.components {
            let own = match part {
                Part::Header(header) => header.text.as_deref(),
                Part::Body(body) => body.text.as_deref(),
                Part::Footer(footer) => footer.text.as_deref(),
                _ => None,
            };
            text.push_str(own.unwrap_or_default());
            text.push('\n');
        }
        text
    }
}

/// The template itself, or one of its cards.
struct Level<'d> {
    definition: &'d Definition,
    in_card: bool,
    has_offer: bool,
}

impl Level<'_> {
    fn parts(&self, parts: &[Part], checker: &mut Checker, advice: &mut Advice) {
        checker.each("components", parts, |checker, part| match part {
            Part::Header(header) => self.header(header, checker, advice),
            Part::Body(body) => self.body(body, checker, advice),
            Part::Footer(footer) => lint_footer(footer, checker, advice),
            Part::Buttons(buttons) => self.buttons(buttons, checker, advice),
            Part::LimitedTimeOffer(offer) => checker.field("limited_time_offer", |checker| {
                checker.length("text", &offer.text, 1, limits::OFFER_TEXT_CHARS_MAX);
            }),
            Part::Carousel(cards) => self.carousel(cards, checker, advice),
            Part::Other(_) => {}
        });
    }

    fn header(&self, header: &Header, checker: &mut Checker, advice: &mut Advice) {
        match &header.format {
            HeaderFormat::Text => {
                let text = header.text.as_deref().unwrap_or_default();
                checker.length("text", text, 1, limits::TEMPLATE_HEADER_CHARS_MAX);
                if variables::fill(text, |_| Some("x")).contains(['\n', '*', '_', '~']) {
                    advice.warn(
                        checker,
                        "text",
                        "a line break or a formatting mark",
                        "plain text on one line",
                    );
                }
                let variables = self.variables(text, &header.examples, checker);
                if variables > 1 {
                    checker.problem_at("text", format!("{variables} variables"), "at most one variable");
                }
            }
            HeaderFormat::Image | HeaderFormat::Video | HeaderFormat::Document | HeaderFormat::Gif => {
                if header.sample.is_none() {
                    checker.problem_at(
                        "example.header_handle",
                        "no sample file",
                        "the handle of a sample, from the Resumable Upload API",
                    );
                }
            }
            HeaderFormat::Location | HeaderFormat::Product => {}
            HeaderFormat::Other(_) => {
                advice.warn(
                    checker,
                    "format",
                    "a format that is not known here",
                    "TEXT, IMAGE, VIDEO, DOCUMENT or LOCATION",
                );
            }
        }
        if self.definition.category == TemplateCategory::Authentication {
            checker.problem_at("type", "a header", "no header in an AUTHENTICATION template");
        }
    }

    fn body(&self, body: &Body, checker: &mut Checker, advice: &mut Advice) {
        let Some(text) = body.text.as_deref() else {
            if !self.definition.is_one_time_password() {
                checker.problem_at("text", "nothing", "the text of the message");
            }
            return;
        };
        let max = match (self.in_card, self.has_offer) {
            (true, _) => limits::CARD_BODY_CHARS_MAX,
            (_, true) => limits::OFFER_BODY_CHARS_MAX,
            _ => limits::TEMPLATE_BODY_CHARS_MAX,
        };
        checker.length("text", text, 1, max);
        // Meta's own text of a one-time password begins with its variable.
        if !self.definition.is_one_time_password() {
            texts::edges(text, checker);
        }
        let count = self.variables(text, &body.examples, checker);
        texts::advise(text, count, checker, advice);
    }

    /// Cards have a header and a body or buttons, and all of them the same parts.
    fn carousel(&self, cards: &[Card], checker: &mut Checker, advice: &mut Advice) {
        checker.count(
            "cards",
            cards.len(),
            limits::CAROUSEL_CARDS_MIN,
            limits::CAROUSEL_CARDS_MAX,
        );
        let level = Self {
            definition: self.definition,
            in_card: true,
            has_offer: false,
        };
        let first = cards.first().map(parts_of);
        checker.each("cards", cards, |checker, card| {
            if first.as_ref().is_some_and(|first| *first != parts_of(card)) {
                checker.problem_at(
                    "components",
                    "other parts than the first card",
                    "the same parts on every card",
                );
            }
            for part in &card.components {
                if !matches!(part, Part::Header(_) | Part::Body(_) | Part::Buttons(_)) {
                    checker.problem_at(
                        "components",
                        part.kind().to_owned(),
                        "HEADER, BODY and BUTTONS on a card",
                    );
                }
            }
            level.parts(&card.components, checker, advice);
        });
    }
}

fn lint_footer(footer: &Footer, checker: &mut Checker, advice: &mut Advice) {
    match footer.text.as_deref() {
        Some(text) => {
            checker.length("text", text, 1, limits::TEMPLATE_FOOTER_CHARS_MAX);
            texts::no_variables("text", text, checker);
            if text.contains('\n') {
                advice.warn(checker, "text", "a line break", "a footer on one line");
            }
        }
        None if footer.code_expiration_minutes.is_none() => {
            checker.problem_at("text", "nothing", "the text of the footer");
        }
        None => {}
    }
    if let Some(minutes) = footer.code_expiration_minutes
        && !limits::CODE_EXPIRATION_MINUTES.contains(&minutes)
    {
        checker.problem_at(
            "code_expiration_minutes",
            format!("{minutes} minutes"),
            "1 to 90 minutes",
        );
    }
}

/// What a card consists of, to compare cards by.
fn parts_of(card: &Card) -> Vec<String> {
    let mut kinds = Vec::new();
    for part in &card.components {
        match part {
            Part::Header(header) => kinds.push(format!("HEADER {}", header.format.as_str())),
            Part::Buttons(buttons) => kinds.extend(buttons.iter().map(|button| button.action.kind().to_owned())),
            other => kinds.push(other.kind().to_owned()),
        }
    }
    kinds
}
