//! People who become somebody else to the platform: another phone number, another business-scoped user id.

use serde_json::{Value, json};

use super::World;
use super::identity::{self, Direction};
use super::update::Callback;

impl World {
    /// A person moves to another phone number. Every number they have had to do with is told; the old number leaves
    /// WhatsApp, and what has passed goes with the person.
    pub(crate) fn person_changes_number(&mut self, now_ms: i64, old: u64, new: u64, out: &mut Vec<Callback>) {
        let truth = self.person(old).truth.clone();
        self.person(new).truth = truth;
        self.person(old).truth.on_whatsapp = false;
        for number in 0..self.numbers.len() as u32 {
            let Some(relation) = self.relations.remove(&(number, old)) else {
                continue;
            };
            self.relations.insert((number, new), relation);
            let text = format!("User changed from {old} to {new}");
            let system = json!({"type": "user_changed_number", "body": text, "wa_id": new.to_string()});
            self.system_message(now_ms, number, old, &system, out);
            self.report_user_id(now_ms, number, old, new, out);
        }
        for account in 0..self.accounts.len() as u32 {
            if self.stopped.remove(&(account, old)) {
                self.stopped.insert((account, new));
            }
        }
    }

    /// A person gets another business-scoped user id; every number they have had to do with is told.
    pub(crate) fn person_changes_user_id(&mut self, now_ms: i64, phone: u64, out: &mut Vec<Callback>) {
        let numbers: Vec<u32> = (0..self.numbers.len() as u32)
            .filter(|number| self.relations.contains_key(&(*number, phone)))
            .collect();
        let previous: Vec<String> = numbers
            .iter()
            .map(|number| self.user_id(self.account_of(*number), phone))
            .collect();
        *self.user_id_changes.entry(phone).or_default() += 1;
        for (number, previous) in numbers.into_iter().zip(previous) {
            let current = self.user_id(self.account_of(number), phone);
            let system = json!({"type": "user_changed_user_id", "body": "User id changed", "user_id": current});
            self.system_message(now_ms, number, phone, &system, out);
            self.report_ids(now_ms, number, phone, &previous, &current, out);
        }
    }

    /// A notice in the chat. Unlike what people write, it opens no window and names no contact.
    fn system_message(&mut self, now_ms: i64, number: u32, phone: u64, system: &Value, out: &mut Vec<Callback>) {
        let person = self.person(phone);
        let nth = person.written;
        person.written += 1;
        let id = &self.numbers[number as usize].identity.id;
        let wamid = identity::wamid(self.seed, Direction::Incoming, id, phone, nth);
        let mut value = self.value_about(number, phone);
        if let Some(members) = value.as_object_mut() {
            members.remove("contacts");
        }
        value["messages"] = json!([{
            "from": phone.to_string(),
            "id": wamid,
            "timestamp": now_ms.div_euclid(1_000).to_string(),
            "type": "system",
            "system": system,
        }]);
        let callback = self.callback_about(number, "messages", value);
        self.transport(callback, phone, (1 << 40) | nth, now_ms, out);
    }

    fn report_user_id(&mut self, now_ms: i64, number: u32, old: u64, new: u64, out: &mut Vec<Callback>) {
        let account = self.account_of(number);
        let (previous, current) = (self.user_id(account, old), self.user_id(account, new));
        self.report_ids(now_ms, number, new, &previous, &current, out);
    }

    fn report_ids(
        &mut self,
        now_ms: i64,
        number: u32,
        phone: u64,
        previous: &str,
        current: &str,
        out: &mut Vec<Callback>,
    ) {
        let mut value = self.value_about(number, phone);
        value["user_id_update"] = json!([{
            "wa_id": phone.to_string(),
            "detail": "User id changed",
            "user_id": {"previous": previous, "current": current},
            "timestamp": now_ms.div_euclid(1_000),
        }]);
        let callback = self.callback_about(number, "user_id_update", value);
        self.transport(callback, phone, (3 << 40) | now_ms as u64, now_ms, out);
    }
}
