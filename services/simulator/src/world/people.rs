//! What people do: write, tap, read, block, stop; and what may be known and changed about them.

use serde::Serialize;
use serde_json::{Value, json};

use super::identity::{self, Direction};
use super::limits;
use super::media::{NewFile, Origin};
use super::update::{Callback, Status};
use super::{Relation, Truth, TruthChange, World};
use crate::config::parse_digits;
use crate::error::GraphError;
use crate::media_kind::is_animated_webp;

/// People a number may block.
const BLOCKED_MAX: usize = 64_000;

/// A person as the control API shows them: the hidden truth, and what has passed.
#[derive(Clone, Serialize)]
pub struct PersonView {
    /// The hidden truth.
    pub truth: Truth,
    /// Messages accepted for the person.
    pub accepted: u64,
    /// Messages the person has written.
    pub written: u64,
    /// What has passed between the person and each number, by phone-number id.
    pub relations: std::collections::BTreeMap<String, Relation>,
    /// Ids of the accounts whose marketing the person has stopped with WhatsApp's own control.
    pub stopped_accounts: Vec<String>,
}

impl World {
    /// A person writes to a number. `content` holds `type` and the member it names. Gives the wamid.
    pub(crate) fn person_writes(
        &mut self,
        now_ms: i64,
        number: u32,
        phone: u64,
        content: Value,
        out: &mut Vec<Callback>,
    ) -> String {
        let seed = self.seed;
        let person = self.person(phone);
        let nth = person.written;
        person.written += 1;
        let hides_number = person.truth.hides_number;
        let kind = content["type"].as_str().unwrap_or_default();
        // WhatsApp itself tells of a changed number; the person has written nothing.
        let is_system = kind == "system";
        let opens_window = !matches!(kind, "system" | "edit" | "revoke");
        let relation = self.relation(number, phone);
        // Writing to a business means unblocking it first.
        relation.blocked_at_ms = None;
        if opens_window {
            relation.last_wrote_at_ms = Some(now_ms);
        }
        let reaches_business = !relation.blocked_by_business;
        if self.rules.number_rate {
            // What comes in uses up the number's throughput too; it is never refused for it.
            let state = &mut self.numbers[number as usize];
            limits::take_from_number(&mut state.rate_used_until_us, state.messages_per_second, now_ms);
        }
        let wamid = identity::wamid(
            seed,
            Direction::Incoming,
            &self.numbers[number as usize].identity.id,
            phone,
            nth,
        );
        self.inbound.insert(wamid.clone(), (number, phone));
        self.tally.written += 1;
        if !reaches_business {
            return wamid;
        }
        let mut value = self.value_about(number, phone);
        let mut message = content;
        message["id"] = json!(wamid);
        message["timestamp"] = json!(now_ms.div_euclid(1_000).to_string());
        message["from_user_id"] = value["contacts"][0]["user_id"].clone();
        if !hides_number {
            message["from"] = json!(phone.to_string());
        }
        value["messages"] = json!([message]);
        if is_system && let Some(members) = value.as_object_mut() {
            members.remove("contacts");
        }
        let callback = self.callback_about(number, "messages", value);
        self.transport(callback, phone, (1 << 40) | nth, now_ms, out);
        wamid
    }

    /// A person sends a file to a number. `content` holds `type`, and in the member it names what is said about the file.
    /// Gives the wamid.
    pub(crate) fn person_sends_file(
        &mut self,
        now_ms: i64,
        number: u32,
        phone: u64,
        mut content: Value,
        file: NewFile,
        out: &mut Vec<Callback>,
    ) -> Result<String, GraphError> {
        let kind = content["type"].as_str().unwrap_or_default().to_owned();
        let animated = is_animated_webp(&file.bytes);
        let id = self.keep(now_ms, number, file, Origin::Person)?;
        for (name, value) in self.received_media(now_ms, id) {
            content[&kind][name] = value;
        }
        if kind == "sticker" {
            content[&kind]["animated"] = json!(animated);
        }
        Ok(self.person_writes(now_ms, number, phone, content, out))
    }

    /// A person sends a file that is larger than the platform takes: the message arrives without it. Gives the wamid.
    pub(crate) fn person_sends_too_much(
        &mut self,
        now_ms: i64,
        number: u32,
        phone: u64,
        kind: &str,
        out: &mut Vec<Callback>,
    ) -> String {
        let title = crate::error::title(131_052);
        let content = json!({
            "type": "unsupported",
            "unsupported": {"type": kind},
            "errors": [{
                "code": 131_052,
                "title": title,
                "message": title,
                "error_data": {"details": "The file is larger than 100 MB."},
            }],
        });
        self.person_writes(now_ms, number, phone, content, out)
    }

    /// Makes a short link of a number, or with a code changes one.
    pub(crate) fn put_short_link(
        &mut self,
        number: u32,
        code: Option<&str>,
        text: Option<&str>,
        image: Option<&str>,
    ) -> Result<Value, GraphError> {
        let seed = self.seed;
        let state = &mut self.numbers[number as usize];
        let id = state.identity.id.clone();
        state.short_links.put(seed, &id, code, text, image)
    }

    /// A person reads a message they were delivered, although they may not usually.
    pub(crate) fn person_reads(&mut self, now_ms: i64, wamid: &str, out: &mut Vec<Callback>) -> Result<(), GraphError> {
        let index = self.message_index(wamid)?;
        let last = self.messages[index as usize].last_status();
        match last {
            Some(Status::Delivered) => {
                self.reach(index, Status::Read, now_ms, None, out);
                Ok(())
            }
            Some(Status::Read) => Ok(()),
            _ => Err(GraphError::new(131_009, "only a delivered message can be read")),
        }
    }

    /// A person blocks a number. Nobody is told; the number's quality is what shows it.
    pub(crate) fn person_blocks(&mut self, now_ms: i64, number: u32, phone: u64, out: &mut Vec<Callback>) {
        let relation = self.relation(number, phone);
        if relation.blocked_at_ms.is_none() {
            relation.blocked_at_ms = Some(now_ms);
            self.tally.blocked += 1;
            self.negative_feedback(now_ms, number, phone, out);
        }
    }

    /// A person reports a number as spam. Nobody is told; quality ratings are what shows it.
    pub(crate) fn person_reports(&mut self, now_ms: i64, number: u32, phone: u64, out: &mut Vec<Callback>) {
        let relation = self.relation(number, phone);
        if relation.reported_at_ms.is_none() {
            relation.reported_at_ms = Some(now_ms);
            self.negative_feedback(now_ms, number, phone, out);
        }
    }

    /// A person unblocks a number.
    pub(crate) fn person_unblocks(&mut self, number: u32, phone: u64) {
        self.relation(number, phone).blocked_at_ms = None;
    }

    /// A person stops or resumes an account's marketing with WhatsApp's own control.
    pub(crate) fn person_sets_preference(
        &mut self,
        now_ms: i64,
        number: u32,
        phone: u64,
        stop: bool,
        out: &mut Vec<Callback>,
    ) {
        let key = (self.account_of(number), phone);
        let changed = if stop {
            self.stopped.insert(key)
        } else {
            self.stopped.remove(&key)
        };
        if !changed {
            return;
        }
        let mut value = self.value_about(number, phone);
        let word = if stop { "stop" } else { "resume" };
        value["user_preferences"] = json!([{
            "wa_id": value["contacts"][0]["wa_id"],
            "user_id": value["contacts"][0]["user_id"],
            "detail": format!("User requested to {word} marketing messages"),
            "category": "marketing_messages",
            "value": word,
            "timestamp": now_ms.div_euclid(1_000),
        }]);
        let callback = self.callback_about(number, "user_preferences", value);
        let nth = (2 << 40) | now_ms as u64;
        self.transport(callback, phone, nth, now_ms, out);
    }

    /// The business blocks or unblocks somebody, named by phone number or business-scoped user id. Only people who wrote
    /// within 24 hours can be blocked.
    pub(crate) fn block(&mut self, now_ms: i64, number: u32, input: &str, block: bool) -> Result<u64, GraphError> {
        let phone = parse_digits(input).map(identity::wa_id);
        let phone = phone
            .or_else(|| self.user_ids.get(input).copied())
            .ok_or_else(|| GraphError::new(131_009, "user is neither a phone number nor a known user id"))?;
        let own_digits = &self.numbers[number as usize].identity.digits;
        if own_digits.parse() == Ok(phone) {
            return Err(GraphError::new(131_021, "A number cannot block itself."));
        }
        let relation = self.relation(number, phone);
        if block && !relation.window_is_open(now_ms) {
            return Err(GraphError::new(
                131_047,
                "Only people who wrote within 24 hours can be blocked.",
            ));
        }
        if block && !relation.blocked_by_business && self.blocked_by_business(number).len() >= BLOCKED_MAX {
            return Err(GraphError::new(139_101, "The block list is full."));
        }
        self.relation(number, phone).blocked_by_business = block;
        Ok(phone)
    }

    /// People a number has blocked.
    pub(crate) fn blocked_by_business(&self, number: u32) -> Vec<u64> {
        let blocked = self
            .relations
            .iter()
            .filter(|((of, _), relation)| *of == number && relation.blocked_by_business);
        let mut phones: Vec<u64> = blocked.map(|((_, phone), _)| *phone).collect();
        phones.sort_unstable();
        phones
    }

    /// The hidden truth about a person, and what has passed.
    pub(crate) fn person_view(&mut self, phone: u64) -> PersonView {
        let person = self.person(phone);
        let (truth, accepted, written) = (person.truth.clone(), person.accepted, person.written);
        let relations = (0..self.numbers.len() as u32)
            .filter_map(|number| {
                let relation = self.relations.get(&(number, phone))?;
                Some((self.numbers[number as usize].identity.id.clone(), relation.clone()))
            })
            .collect();
        let stopped_accounts = (0..self.accounts.len() as u32)
            .filter(|account| self.stopped.contains(&(*account, phone)))
            .map(|account| self.accounts[account as usize].id.to_string())
            .collect();
        PersonView {
            truth,
            accepted,
            written,
            relations,
            stopped_accounts,
        }
    }

    /// People met so far, in the order of their numbers, from after one on.
    pub(crate) fn people_views(&mut self, after: u64, limit: usize) -> Vec<(u64, PersonView)> {
        let mut phones: Vec<u64> = self.people.keys().copied().filter(|phone| *phone > after).collect();
        phones.sort_unstable();
        phones.truncate(limit);
        phones
            .into_iter()
            .map(|phone| (phone, self.person_view(phone)))
            .collect()
    }

    /// Changes the hidden truth about a person.
    pub(crate) fn change_person(&mut self, phone: u64, change: &TruthChange) {
        change.apply(&mut self.person(phone).truth);
    }

    /// The message with this id.
    pub(crate) fn message_by_wamid(&self, wamid: &str) -> Result<&super::Message, GraphError> {
        self.message_index(wamid).map(|index| &self.messages[index as usize])
    }

    pub(super) fn message_index(&self, wamid: &str) -> Result<u32, GraphError> {
        let found = self.messages.iter().rposition(|message| message.sent.wamid == wamid);
        found
            .map(|at| at as u32)
            .ok_or_else(|| GraphError::new(131_009, "no accepted message has this id"))
    }
}
