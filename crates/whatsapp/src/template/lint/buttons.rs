//! Rules on buttons (Business Management API, "Template components", buttons).

use super::super::definition::{Button, ButtonAction};
use super::super::variables;
use super::{Advice, Level, texts};
use crate::limits;
use crate::message::check::Checker;

/// Hosts of links into WhatsApp, which reviews refuse as buttons.
const WHATSAPP_HOSTS: &[&str] = &["wa.me", "api.whatsapp.com", "chat.whatsapp.com", "v.whatsapp.com"];

impl Level<'_> {
    pub(super) fn buttons(&self, buttons: &[Button], checker: &mut Checker, advice: &mut Advice) {
        checker.count("buttons", buttons.len(), 1, limits::TEMPLATE_BUTTONS_MAX);
        let most: [(&str, usize); 5] = [
            ("URL", limits::TEMPLATE_URL_BUTTONS_MAX),
            ("PHONE_NUMBER", 1),
            ("COPY_CODE", 1),
            ("FLOW", 1),
            ("OTP", 1),
        ];
        for (kind, max) in most {
            let count = buttons.iter().filter(|button| button.action.kind() == kind).count();
            if count > max {
                checker.problem_at(
                    "buttons",
                    format!("{count} of type {kind}"),
                    format!("at most {max} of type {kind}"),
                );
            }
        }
        order(buttons, checker);
        let kinds: std::collections::HashSet<&str> = buttons.iter().map(|button| button.action.kind()).collect();
        if buttons.len() > limits::TEMPLATE_BUTTONS_SHOWN_EVERYWHERE_MAX || kinds.len() > 1 {
            advice.hint(
                checker,
                "buttons",
                "many buttons, or buttons of several kinds",
                "at most three of one kind: some desktop clients show the message without any of them",
            );
        }
        let mut labels: Vec<&str> = buttons.iter().filter_map(|button| button.label.as_deref()).collect();
        labels.sort_unstable();
        if labels.windows(2).any(|pair| pair[0] == pair[1]) {
            advice.warn(
                checker,
                "buttons",
                "two buttons with one label",
                "labels that tell the buttons apart",
            );
        }
        checker.each("buttons", buttons, |checker, button| {
            self.button(button, checker, advice);
        });
    }

    fn button(&self, button: &Button, checker: &mut Checker, advice: &mut Advice) {
        match &button.label {
            Some(label) => {
                checker.title("text", label, limits::TEMPLATE_BUTTON_LABEL_CHARS_MAX);
                texts::no_variables("text", label, checker);
                if label.contains('\n') {
                    checker.problem_at("text", "a line break", "a label on one line");
                }
            }
            None if !has_label_of_its_own(&button.action) => {
                checker.problem_at("text", "nothing", "the button's label");
            }
            None => {}
        }
        match &button.action {
            ButtonAction::Url { url, example } => web_page(url, example.as_deref(), checker, advice),
            ButtonAction::PhoneNumber { number } => {
                checker.length("phone_number", number, 1, limits::TEMPLATE_PHONE_CHARS_MAX);
                if !number.starts_with('+') {
                    advice.warn(checker, "phone_number", "no plus sign", "+, country code and number");
                }
            }
            ButtonAction::CopyCode { example } => {
                let max = if self.has_offer {
                    limits::OFFER_CODE_CHARS_MAX
                } else {
                    limits::COUPON_CODE_CHARS_MAX
                };
                checker.length("example", example.as_deref().unwrap_or_default(), 1, max);
            }
            ButtonAction::OneTimePassword { kind } if kind.is_none() => {
                checker.problem_at("otp_type", "nothing", "COPY_CODE, ONE_TAP or ZERO_TAP");
            }
            _ => {}
        }
    }
}

/// Kinds whose label Meta writes itself.
fn has_label_of_its_own(action: &ButtonAction) -> bool {
    matches!(
        action,
        ButtonAction::CopyCode { .. }
            | ButtonAction::OneTimePassword { .. }
            | ButtonAction::OrderDetails
            | ButtonAction::Other { .. }
    )
}

/// Quick replies stand together.
fn order(buttons: &[Button], checker: &mut Checker) {
    let is_reply = |button: &Button| button.action == ButtonAction::QuickReply;
    let runs = buttons
        .iter()
        .enumerate()
        .filter(|(index, button)| is_reply(button) && (*index == 0 || !is_reply(&buttons[*index - 1])))
        .count();
    if runs > 1 {
        checker.problem_at(
            "buttons",
            "quick replies between other buttons",
            "all quick replies next to each other",
        );
    }
}

fn web_page(url: &str, example: Option<&str>, checker: &mut Checker, advice: &mut Advice) {
    checker.length("url", url, 1, limits::TEMPLATE_URL_CHARS_MAX);
    let found = variables::all(url);
    checker.web_url("url", &variables::fill(url, |_| Some("x")));
    if found.len() > 1 || found.last().is_some_and(|variable| variable.end != url.len()) {
        checker.problem_at("url", "variables elsewhere than at the end", "one variable, at the end");
    }
    if found.first().is_some_and(|variable| variable.name != "1") {
        checker.problem_at("url", "a variable with a name", "{{1}}: buttons go by position");
    }
    let host = host_of(url);
    if host.contains("{{") {
        checker.problem_at("url", "a variable in the host", "a fixed host");
    }
    if is_of_whatsapp(&host) {
        checker.problem_at(
            "url",
            "a link into WhatsApp",
            "a web page of yours: the review refuses wa.me and its relatives as buttons",
        );
    }
    if found.is_empty() && example.is_some() {
        advice.hint(checker, "example", "an example without a variable", "none");
    } else if !found.is_empty() && example.is_none_or(|example| example.trim().is_empty()) {
        checker.problem_at("example", "nothing", "what could fill the variable");
    }
    if url.starts_with("http://") {
        advice.hint(checker, "url", "http", "https");
    }
}

/// The host of a URL in lower case, without credentials and port.
fn host_of(url: &str) -> String {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.split(':')
        .next()
        .unwrap_or_default()
        .trim_end_matches('.')
        .to_ascii_lowercase()
}

fn is_of_whatsapp(host: &str) -> bool {
    let host = host.strip_prefix("www.").unwrap_or(host);
    WHATSAPP_HOSTS.contains(&host)
}
