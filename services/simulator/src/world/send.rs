//! Accepting messages: who is addressed, what is refused, what the answer looks like.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::agenda::Happening;
use super::answer::Answer;
use super::draw::{self, Draw};
use super::identity::{self, Direction};
use super::limits;
use super::template::no_such_template;
use super::templates::TemplateKey;
use super::update::SentMessage;
use super::{Message, World};
use crate::ascii_json;
use crate::config::{Fault, FaultKind, Recipient, parse_digits};
use crate::error::GraphError;
use crate::request::{Content, Request, SendRequest, invalid};

const DEFAULT_TTL_MS: i64 = 30 * 24 * 60 * 60 * 1_000;
const AUTHENTICATION_TTL_MS: i64 = 10 * 60 * 1_000;
/// Which endpoint a message was posted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/messages`
    Messages,
    /// `/marketing_messages`
    MarketingMessages,
}

#[derive(Serialize)]
struct Accepted<'a> {
    messaging_product: &'a str,
    contacts: [AcceptedContact<'a>; 1],
    messages: [AcceptedId<'a>; 1],
}

#[derive(Serialize)]
struct AcceptedContact<'a> {
    input: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    wa_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
}

#[derive(Serialize)]
struct AcceptedId<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_status: Option<&'a str>,
}

/// What a send is, once everything about it has been looked up.
struct Judged {
    category: &'static str,
    template: Option<(String, String)>,
    template_key: Option<TemplateKey>,
    ttl_ms: i64,
}

impl World {
    /// Handles `POST /{phone-number-id}/messages` and `/marketing_messages`.
    pub(crate) fn post(
        &mut self,
        now_ms: i64,
        number: u32,
        route: Route,
        request: Result<Request, GraphError>,
        body: &[u8],
    ) -> Answer {
        let send = match request {
            Ok(Request::Send(send)) => send,
            Ok(Request::MarkRead { message_id }) => return self.mark_read(&message_id),
            Err(error) => return self.refuse(&error),
        };
        let phone = match self.addressee(&send) {
            Ok(phone) => phone,
            Err(error) => return self.refuse(&error),
        };
        let person = self.person(phone);
        let nth = person.attempts;
        person.attempts += 1;
        let fault = self.faults.strike_answer(self.seed, phone, nth);
        if let Some(answer) = fault.as_ref().and_then(|fault| self.answer_before(fault)) {
            return answer;
        }
        match self.accept(
            now_ms,
            number,
            phone,
            route,
            &send,
            body,
            fault.as_ref().map(|fault| fault.kind),
        ) {
            Ok(index) => self.answer(index, &send, fault.as_ref()),
            Err(error) => self.refuse(&error),
        }
    }

    fn mark_read(&mut self, message_id: &str) -> Answer {
        if self.inbound.contains_key(message_id) {
            return Answer::success();
        }
        self.refuse(&GraphError::new(
            131_009,
            "message_id is not an inbound message of this number",
        ))
    }

    fn addressee(&self, send: &SendRequest) -> Result<u64, GraphError> {
        if let Some(to) = &send.to {
            let dialled = parse_digits(to).ok_or_else(|| GraphError::new(131_009, "Param to is not a phone number"))?;
            return Ok(identity::wa_id(dialled));
        }
        let recipient = send.recipient.as_deref().unwrap_or_default();
        let known = self.user_ids.get(recipient).copied();
        known.ok_or_else(|| GraphError::new(131_009, "Param recipient is not a user id known to this business"))
    }

    /// Accepts a message: from here on it is in the list, whatever the client learns.
    #[allow(
        clippy::too_many_arguments,
        reason = "all of it is recorded, and one call site has it at hand"
    )]
    fn accept(
        &mut self,
        now_ms: i64,
        number: u32,
        phone: u64,
        route: Route,
        send: &SendRequest,
        body: &[u8],
        answer_fault: Option<FaultKind>,
    ) -> Result<u32, GraphError> {
        self.check_sender_and_recipient(number, phone)?;
        let judged = self.judge(number, route, &send.content)?;
        let account = self.account_of(number);
        let file_fails_with = self.check_files(now_ms, account, send)?;
        self.check_rates(now_ms, number, phone)?;
        let in_window = self.relation(number, phone).window_is_open(now_ms);
        let is_marketing = judged.category.starts_with("marketing");
        let link_fails = send.names_a_link() && {
            let nth = self.person(phone).accepted;
            self.faults.strike_link(self.seed, phone, nth)
        };
        let fails_with = self
            .failure(now_ms, number, phone, &judged, in_window)
            .or(file_fails_with)
            .or(link_fails.then_some(131_053));
        if judged.template.is_some() && !in_window && fails_with.is_none() {
            self.check_messaging_limit(now_ms, number, phone)?;
        }
        let person = self.person(phone);
        let nth = person.accepted;
        person.accepted += 1;
        let identity = self.numbers[number as usize].identity.clone();
        let record = Arc::new(SentMessage {
            wamid: identity::wamid(self.seed, Direction::Outgoing, &identity.id, phone, nth),
            wa_id: phone.to_string(),
            user_id: self.user_id(account, phone),
            profile_name: identity::profile_name(self.seed, phone),
            opaque: send.opaque.clone(),
            pricing_category: judged.category,
            number: identity,
        });
        self.tally
            .accept(nth == 0, send.opaque.as_deref(), answer_fault.is_some());
        let shuffled = self
            .faults
            .strike_callback(self.seed, FaultKind::ShuffleCallbacks, phone, nth)
            .is_some();
        let index = self.messages.len() as u32;
        let held_for = judged.template_key.filter(|_| fails_with.is_none());
        let held_for = held_for.filter(|key| self.is_held(now_ms, *key));
        self.messages.push(Message {
            sent: record,
            number,
            phone,
            nth,
            input: send.to.clone().or_else(|| send.recipient.clone()).unwrap_or_default(),
            kind: send.content.kind(),
            template: judged.template,
            template_key: judged.template_key,
            is_marketing,
            is_voice: matches!(&send.content, Content::Media(file) if file.voice),
            is_held: held_for.is_some(),
            accepted_at_ms: now_ms,
            expires_at_ms: now_ms.saturating_add(judged.ttl_ms),
            answer_fault,
            shuffled,
            statuses: Vec::with_capacity(3),
            body: self.kept_body(body),
        });
        if let Some(key) = held_for {
            self.hold(key, index);
            return Ok(index);
        }
        let leaves_at_ms = now_ms
            + self
                .latency
                .sent
                .at(draw::unit(self.seed, Draw::SentLatency, phone, nth));
        let happening = match fails_with {
            Some(code) => Happening::Failed(index, code),
            None => Happening::Sent(index),
        };
        self.agenda.plan(leaves_at_ms, happening);
        Ok(index)
    }

    fn check_files(&self, now_ms: i64, account: u32, send: &SendRequest) -> Result<Option<u32>, GraphError> {
        let of_headers = self.check_media(now_ms, account, &send.header_files)?;
        match &send.content {
            Content::Media(file) => self.check_media(now_ms, account, std::slice::from_ref(file)),
            _ => Ok(of_headers),
        }
    }

    fn kept_body(&self, body: &[u8]) -> Option<Box<RawValue>> {
        if !self.keep_bodies {
            return None;
        }
        serde_json::from_slice(body).ok()
    }

    fn check_sender_and_recipient(&self, number: u32, phone: u64) -> Result<(), GraphError> {
        let sender = &self.numbers[number as usize];
        let account = &self.accounts[sender.account as usize];
        if let Some(code) = account.locked_with {
            return Err(GraphError::new(code, "The account has been restricted or locked."));
        }
        if !sender.registered {
            return Err(GraphError::new(
                133_010,
                "The account is not registered for the Cloud API.",
            ));
        }
        if self.messages.len() >= self.accepted_messages_max {
            return Err(GraphError::new(
                131_016,
                "The simulator's list of accepted messages is full; reset it.",
            ));
        }
        if sender.identity.digits.parse() == Ok(phone) {
            return Err(GraphError::new(
                131_021,
                "Message could not be sent to the sender's own number.",
            ));
        }
        let allowed = &self.rules.allowed_recipients;
        let is_allowed = |person: &Recipient| parse_digits(person.as_str()).map(identity::wa_id) == Some(phone);
        if !allowed.is_empty() && !allowed.iter().any(is_allowed) {
            return Err(GraphError::new(131_030, "The recipient is not in the allowed list."));
        }
        Ok(())
    }

    fn judge(&self, number: u32, route: Route, content: &Content) -> Result<Judged, GraphError> {
        let account = self.account_of(number);
        match content {
            Content::Template(message) => {
                let (key, template) = self
                    .find_template(account, &message.name, &message.language.code)
                    .ok_or_else(|| no_such_template(&message.name, &message.language.code))?;
                template.check(message)?;
                let category = match template.category.as_str() {
                    "MARKETING" => "marketing",
                    "AUTHENTICATION" => "authentication",
                    _ => "utility",
                };
                if route == Route::MarketingMessages && category != "marketing" {
                    return Err(GraphError::new(
                        134_100,
                        "Only marketing templates are sent through this endpoint.",
                    ));
                }
                let category = if route == Route::MarketingMessages {
                    "marketing_lite"
                } else {
                    category
                };
                let default_ms = if category == "authentication" {
                    AUTHENTICATION_TTL_MS
                } else {
                    DEFAULT_TTL_MS
                };
                let ttl_ms = template
                    .ttl_s
                    .filter(|seconds| *seconds > 0)
                    .map_or(default_ms, |seconds| seconds * 1_000);
                let named = (template.name.clone(), template.language.clone());
                Ok(Judged {
                    category,
                    template: Some(named),
                    template_key: Some(key),
                    ttl_ms,
                })
            }
            _ if route == Route::MarketingMessages => Err(invalid("type must be template on this endpoint")),
            Content::Reaction { message_id } if !self.knows_message(number, message_id) => {
                // Meta reports it later, as failed; a wrong id is a mistake of the client, so it is told at once.
                Err(GraphError::new(
                    131_009,
                    "reaction.message_id is not a message of this conversation",
                ))
            }
            _ => Ok(Judged {
                category: "service",
                template: None,
                template_key: None,
                ttl_ms: DEFAULT_TTL_MS,
            }),
        }
    }

    fn knows_message(&self, number: u32, wamid: &str) -> bool {
        self.inbound.get(wamid).is_some_and(|(to, _)| *to == number)
            || self
                .messages
                .iter()
                .rev()
                .any(|message| message.number == number && message.sent.wamid == wamid)
    }

    fn check_rates(&mut self, now_ms: i64, number: u32, phone: u64) -> Result<(), GraphError> {
        if self.rules.pair_rate && !limits::take_from_pair(&mut self.relation(number, phone).pair_used_until_ms, now_ms)
        {
            return Err(GraphError::new(
                131_056,
                "Too many messages to this recipient from this number in a short time.",
            ));
        }
        let sender = &mut self.numbers[number as usize];
        if now_ms < sender.busy_until_ms {
            return Err(GraphError::new(
                131_057,
                "The throughput of this number is being raised.",
            ));
        }
        let per_second = sender.messages_per_second;
        if self.rules.number_rate && !limits::take_from_number(&mut sender.rate_used_until_us, per_second, now_ms) {
            return Err(GraphError::new(
                130_429,
                "Cloud API message throughput has been reached.",
            ));
        }
        Ok(())
    }

    fn check_messaging_limit(&mut self, now_ms: i64, number: u32, phone: u64) -> Result<(), GraphError> {
        if !self.rules.messaging_limit {
            return Ok(());
        }
        let sender = &self.numbers[number as usize];
        let limit = limits::tier_limit(&sender.tier);
        let portfolio = self.accounts[sender.account as usize].portfolio.clone();
        let reached = self.reached.entry(portfolio).or_default();
        if reached.reach(phone, limit, now_ms) {
            if self.rules.tier_upgrades && reached.people() >= limit / 2 {
                self.consider_raising_tier(now_ms, number);
            }
            return Ok(());
        }
        Err(GraphError::new(
            131_048,
            "The messaging limit of this business portfolio has been reached.",
        ))
    }

    /// The code a message will fail with although it is accepted, if it will.
    fn failure(&mut self, now_ms: i64, number: u32, phone: u64, judged: &Judged, in_window: bool) -> Option<u32> {
        let account = self.account_of(number);
        let is_marketing = judged.category.starts_with("marketing");
        let blocked_by_business = self.relation(number, phone).blocked_by_business;
        let stopped = self.stopped.contains(&(account, phone));
        let (cap, no_us) = (self.rules.marketing_per_person_per_day, self.rules.no_us_marketing);
        let needs_window = self.rules.window && judged.template.is_none();
        let person = self.person(phone);
        if !person.truth.on_whatsapp {
            return Some(131_026);
        }
        if blocked_by_business {
            return Some(130_403);
        }
        if needs_window && !in_window {
            return Some(131_047);
        }
        if !is_marketing {
            return None;
        }
        if stopped {
            return Some(131_050);
        }
        if in_window {
            return None;
        }
        if person.truth.holdout {
            return Some(130_472);
        }
        let is_over_cap = |times: &mut VecDeque<i64>| cap > 0 && !limits::take_marketing(times, cap, now_ms);
        let in_us = no_us && phone.to_string().len() == 11 && phone / 10_000_000_000 == 1;
        if person.truth.capped || in_us || is_over_cap(&mut person.marketing_at_ms) {
            return Some(131_049);
        }
        None
    }

    fn answer(&mut self, index: u32, send: &SendRequest, fault: Option<&Fault>) -> Answer {
        let message = &self.messages[index as usize];
        let by_phone = send.to.is_some();
        let body = ascii_json::to_vec(&Accepted {
            messaging_product: "whatsapp",
            contacts: [AcceptedContact {
                input: &message.input,
                wa_id: by_phone.then_some(&message.sent.wa_id),
                user_id: (!by_phone).then_some(&message.sent.user_id),
            }],
            messages: [AcceptedId {
                id: &message.sent.wamid,
                message_status: message.template.is_some().then_some(if message.is_held {
                    "held_for_quality_assessment"
                } else {
                    "accepted"
                }),
            }],
        });
        let answer = Answer::json(200, body);
        match fault {
            Some(fault) => self.answer_after(fault, answer),
            None => answer,
        }
    }
}
