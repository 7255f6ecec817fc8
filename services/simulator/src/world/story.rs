//! What becomes of an accepted message: sent, delivered, read, and what the person does about it.

use std::sync::Arc;

use serde_json::json;

use super::World;
use super::agenda::{Happening, MessageIndex, Reaction};
use super::draw::{self, Draw};
use super::update::{Callback, Status, StatusUpdate, Update};
use crate::config::FaultKind;

const LATE_CALLBACK_MS: u64 = 5_000;
const REPLIES: [&str; 6] = [
    "Thanks!",
    "Is it ready?",
    "Merci, à bientôt 👍",
    "What does it cost?",
    "Ok",
    "¿Cuándo llega?",
];

impl World {
    /// Lets everything happen that is due, in order, and gives out the callbacks that leave.
    pub(crate) fn advance(&mut self, now_ms: i64, out: &mut Vec<Callback>) {
        while let Some((at_ms, happening)) = self.agenda.pop_due(now_ms) {
            match happening {
                Happening::Sent(message) => self.leaves(message, at_ms, out),
                Happening::Failed(message, code) => {
                    self.reach(message, Status::Failed, at_ms, Some(code), out);
                    self.story_ends(message, out);
                }
                Happening::Delivered(message) => self.arrives(message, at_ms, out),
                Happening::Read(message) => {
                    self.is_read(message, at_ms, out);
                }
                Happening::Played(message) => {
                    self.reach(message, Status::Played, at_ms, None, out);
                    self.story_ends(message, out);
                }
                Happening::Reacts(message, reaction) => self.reacts(message, reaction, at_ms, out),
                Happening::CallbackLeaves(callback) => out.push(*callback),
                Happening::TemplateReviewed(key) => self.review_template(key, at_ms, out),
                Happening::TemplateAssessed(key) => self.assess_template(key, at_ms, out),
                Happening::TemplateResumes(key, pause) => self.resume_template(key, pause, at_ms, out),
                Happening::TierRaised(number) => self.raise_tier(at_ms, number, out),
            }
        }
    }

    fn leaves(&mut self, index: MessageIndex, at_ms: i64, out: &mut Vec<Callback>) {
        self.reach(index, Status::Sent, at_ms, None, out);
        let message = &self.messages[index as usize];
        let (number, phone, nth, expires_at_ms) = (message.number, message.phone, message.nth, message.expires_at_ms);
        // Of a reaction nothing but `sent` is ever reported.
        if message.kind == "reaction" {
            return self.story_ends(index, out);
        }
        // Nobody is told about a block: the message stays at sent for ever.
        if self.relation(number, phone).blocked_at_ms.is_some() {
            return self.story_ends(index, out);
        }
        let (seed, latency) = (self.seed, self.latency.delivered);
        let truth = &self.person(phone).truth;
        let usual_ms = at_ms + latency.at(draw::unit(seed, Draw::DeliveredLatency, phone, nth));
        let arrives_at_ms = truth
            .offline_until_ms
            .map_or(usual_ms, |until_ms| until_ms.max(usual_ms));
        let at_once = draw::chance(seed, Draw::ReadsThis, phone, nth << 1, truth.read_at_once_chance);
        if arrives_at_ms > expires_at_ms {
            return self.story_ends(index, out);
        }
        let skips_delivered = at_once && truth.read_chance > 0.0;
        if skips_delivered {
            self.note_delivery(index, arrives_at_ms, out);
        }
        let next = if skips_delivered {
            Happening::Read(index)
        } else {
            Happening::Delivered(index)
        };
        self.agenda.plan(arrives_at_ms, next);
    }

    fn arrives(&mut self, index: MessageIndex, at_ms: i64, out: &mut Vec<Callback>) {
        let message = &self.messages[index as usize];
        let (number, phone, nth) = (message.number, message.phone, message.nth);
        if self.relation(number, phone).blocked_at_ms.is_some() {
            return self.story_ends(index, out);
        }
        self.reach(index, Status::Delivered, at_ms, None, out);
        self.note_delivery(index, at_ms, out);
        if self
            .faults
            .strike_callback(self.seed, FaultKind::FailedAfterDelivery, phone, nth)
            .is_some()
        {
            self.fails_elsewhere(index, at_ms, out);
        }
        let (seed, latency) = (self.seed, self.latency.read);
        let read_chance = self.person(phone).truth.read_chance;
        if draw::chance(seed, Draw::ReadsThis, phone, (nth << 1) | 1, read_chance) {
            let read_at_ms = at_ms + latency.at(draw::unit(seed, Draw::ReadLatency, phone, nth));
            self.agenda.plan(read_at_ms, Happening::Read(index));
        } else {
            self.story_ends(index, out);
            self.consider_reaction(index, at_ms);
        }
    }

    /// Another device of the person could not take a message that has arrived: `failed` is reported, which is not the
    /// truth about the message.
    fn fails_elsewhere(&mut self, index: MessageIndex, at_ms: i64, out: &mut Vec<Callback>) {
        let message = &self.messages[index as usize];
        let (number, phone, nth) = (message.number, message.phone, message.nth);
        let update = Update::Status(StatusUpdate {
            message: message.sent.clone(),
            status: Status::Failed,
            at_ms,
            priced: false,
            error_code: Some(131_000),
            shape: self.shape,
        });
        let callback = self.callback(number, update, None);
        self.transport(callback, phone, (nth << 3) | 7, at_ms, out);
    }

    fn callback(&self, number: u32, update: Update, reports: Option<(MessageIndex, u8)>) -> Callback {
        let account = self.account_of(number);
        Callback {
            account,
            number: Some(number),
            account_id: self.accounts[account as usize].id.clone(),
            update,
            reports,
            bad_signature: false,
        }
    }

    fn is_read(&mut self, index: MessageIndex, at_ms: i64, out: &mut Vec<Callback>) {
        self.reach(index, Status::Read, at_ms, None, out);
        let message = &self.messages[index as usize];
        let (phone, nth, key) = (message.phone, message.nth, message.template_key);
        if let Some(key) = key.filter(|_| self.watches_templates()) {
            self.template_mut(key).standing.feedback.was_read(at_ms);
        }
        if self.messages[index as usize].is_voice {
            let takes_ms = self
                .latency
                .read
                .at(draw::unit(self.seed, Draw::ReadLatency, phone, !nth));
            self.agenda.plan(at_ms + takes_ms, Happening::Played(index));
        } else {
            self.story_ends(index, out);
        }
        self.consider_reaction(index, at_ms);
    }

    fn note_delivery(&mut self, index: MessageIndex, at_ms: i64, out: &mut Vec<Callback>) {
        let message = &self.messages[index as usize];
        let (number, phone, is_marketing) = (message.number, message.phone, message.is_marketing);
        let key = message.template_key.filter(|_| self.watches_templates());
        self.numbers[number as usize].feedback.has_delivered(at_ms);
        if let Some(key) = key {
            self.relation(number, phone).last_template = Some(key);
            self.template_delivered(at_ms, key, out);
        }
        if is_marketing {
            self.relation(number, phone).marketing_delivered += 1;
        }
    }

    /// Decides what the person does about a message. Somebody has enough of marketing once, and does one thing about it.
    fn consider_reaction(&mut self, index: MessageIndex, at_ms: i64) {
        let message = &self.messages[index as usize];
        let (number, phone, nth) = (message.number, message.phone, message.nth);
        let (is_marketing, is_read) = (message.is_marketing, message.last_status() == Some(Status::Read));
        let (seed, latency) = (self.seed, self.latency.reaction);
        let relation = self.relation(number, phone);
        let delivered = relation.marketing_delivered;
        let may_have_enough = is_marketing && !relation.has_had_enough;
        let truth = &self.person(phone).truth;
        // Several may have been delivered before the first was read, so the count may have passed the mark.
        let has_had = |after: Option<u32>| may_have_enough && after.is_some_and(|after| delivered >= after);
        let reaction = if has_had(truth.blocks_after) {
            Reaction::Blocks
        } else if has_had(truth.platform_stops_after) {
            Reaction::StopsOnPlatform
        } else if has_had(truth.writes_stop_after) {
            Reaction::WritesStop
        } else if is_read && draw::chance(seed, Draw::RepliesThis, phone, nth, truth.reply_chance) {
            Reaction::Replies
        } else {
            return;
        };
        self.relation(number, phone).has_had_enough |= reaction != Reaction::Replies;
        let reacts_at_ms = at_ms + latency.at(draw::unit(seed, Draw::ReactionLatency, phone, nth));
        self.agenda.plan(reacts_at_ms, Happening::Reacts(index, reaction));
    }

    fn reacts(&mut self, index: MessageIndex, reaction: Reaction, at_ms: i64, out: &mut Vec<Callback>) {
        let message = &self.messages[index as usize];
        let (number, phone, nth) = (message.number, message.phone, message.nth);
        match reaction {
            Reaction::Blocks => self.person_blocks(at_ms, number, phone, out),
            Reaction::StopsOnPlatform => self.person_sets_preference(at_ms, number, phone, true, out),
            Reaction::WritesStop => {
                self.person_writes(
                    at_ms,
                    number,
                    phone,
                    json!({"type": "text", "text": {"body": "STOP"}}),
                    out,
                );
            }
            Reaction::Replies => {
                let at = draw::bits(self.seed, Draw::ReplyText, phone, nth) % REPLIES.len() as u64;
                let content = json!({"type": "text", "text": {"body": REPLIES[at as usize]}});
                self.person_writes(at_ms, number, phone, content, out);
            }
        }
    }

    /// Records that a message has reached a status and reports it.
    pub(super) fn reach(
        &mut self,
        index: MessageIndex,
        status: Status,
        at_ms: i64,
        error_code: Option<u32>,
        out: &mut Vec<Callback>,
    ) {
        let message = &mut self.messages[index as usize];
        self.tally.reach(message.last_status(), status, error_code);
        // Charged on delivery, so priced on exactly one of delivered and read; sent carries the price beforehand.
        let was_delivered = message.statuses.iter().any(|record| record.status == Status::Delivered);
        let priced = match status {
            Status::Sent | Status::Delivered => true,
            Status::Read => !was_delivered,
            Status::Played | Status::Failed => false,
        };
        let record = super::message::StatusRecord {
            status,
            at_ms,
            error_code,
            callbacks: 0,
            acknowledged: 0,
        };
        message.statuses.push(record);
        let position = (message.statuses.len() - 1) as u8;
        let (number, phone, nth) = (message.number, message.phone, message.nth);
        let update = StatusUpdate {
            message: message.sent.clone(),
            status,
            at_ms,
            priced,
            error_code,
            shape: self.shape,
        };
        let callback = self.callback(number, Update::Status(update), Some((index, position)));
        let copies = self.transport(callback, phone, (nth << 3) | u64::from(position), at_ms, out);
        self.messages[index as usize].statuses[usize::from(position)].callbacks = copies;
    }

    /// Sends a callback on its way, through the faults that strike it. Gives the number of copies that will leave.
    pub(super) fn transport(
        &mut self,
        mut callback: Callback,
        phone: u64,
        nth: u64,
        at_ms: i64,
        out: &mut Vec<Callback>,
    ) -> u16 {
        let seed = self.seed;
        if self
            .faults
            .strike_callback(seed, FaultKind::WithholdCallback, phone, nth)
            .is_some()
        {
            return 0;
        }
        callback.bad_signature = self
            .faults
            .strike_callback(seed, FaultKind::BadSignature, phone, nth)
            .is_some();
        let twice = self
            .faults
            .strike_callback(seed, FaultKind::DuplicateCallback, phone, nth)
            .is_some();
        let late = self.faults.strike_callback(seed, FaultKind::LateCallback, phone, nth);
        let keeper = callback
            .reports
            .map(|(index, _)| index)
            .filter(|index| self.messages[*index as usize].shuffled);
        if twice {
            self.route(callback.clone(), keeper, None, at_ms, out);
        }
        let delay_ms = late.map(|fault| fault.delay_ms.unwrap_or(LATE_CALLBACK_MS) as i64);
        self.route(callback, keeper, delay_ms, at_ms, out);
        1 + u16::from(twice)
    }

    fn route(
        &mut self,
        callback: Callback,
        keeper: Option<MessageIndex>,
        delay_ms: Option<i64>,
        at_ms: i64,
        out: &mut Vec<Callback>,
    ) {
        match (keeper, delay_ms) {
            (Some(index), _) => self.held.entry(index).or_default().push(callback),
            (None, Some(delay_ms)) => {
                self.agenda
                    .plan(at_ms + delay_ms, Happening::CallbackLeaves(Box::new(callback)));
            }
            (None, None) => out.push(callback),
        }
    }

    /// Nothing more will happen to this message: callbacks kept back for shuffling leave, in another order.
    fn story_ends(&mut self, index: MessageIndex, out: &mut Vec<Callback>) {
        let Some(held) = self.held.remove(&index) else { return };
        let message = &self.messages[index as usize];
        let mut order: Vec<usize> = (0..held.len()).collect();
        for at in (1..order.len()).rev() {
            let bits = draw::bits(self.seed, Draw::Shuffle, message.phone, (message.nth << 8) | at as u64);
            order.swap(at, (bits % (at as u64 + 1)) as usize);
        }
        if order.is_sorted() {
            order.reverse();
        }
        out.extend(order.into_iter().map(|at| held[at].clone()));
    }

    /// The value of an update that names a person, without the list that says what it is.
    pub(super) fn value_about(&mut self, number: u32, phone: u64) -> serde_json::Value {
        let account = self.account_of(number);
        let user_id = self.user_id(account, phone);
        let name = super::identity::profile_name(self.seed, phone);
        let hides_number = self.person(phone).truth.hides_number;
        let identity = &self.numbers[number as usize].identity;
        let mut contact = json!({"profile": {"name": name}, "user_id": user_id});
        if hides_number {
            contact["profile"]["username"] = json!(format!("person.{}", phone % 100_000));
        } else {
            contact["wa_id"] = json!(phone.to_string());
        }
        json!({
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": identity.digits, "phone_number_id": identity.id},
            "contacts": [contact],
        })
    }

    /// An update about a person other than a status.
    pub(super) fn callback_about(&self, number: u32, field: &'static str, value: serde_json::Value) -> Callback {
        let update = Update::Other {
            field,
            time_s: None,
            value: Arc::new(value),
        };
        self.callback(number, update, None)
    }
}
