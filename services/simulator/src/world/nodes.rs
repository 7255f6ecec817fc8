//! Nodes of the Graph API as `GET` shows them, and changes to numbers and accounts.

use serde_json::{Value, json};

use super::World;
use super::agenda::Happening;
use super::identity;
use super::limits;
use super::number::Rating;
use super::update::Callback;
use crate::error::GraphError;

/// Fields of a number shown when none are asked for.
const NUMBER_DEFAULT_FIELDS: [&str; 8] = [
    "verified_name",
    "code_verification_status",
    "display_phone_number",
    "quality_rating",
    "platform_type",
    "throughput",
    "webhook_configuration",
    "id",
];

const HOUR_MS: i64 = 60 * 60 * 1_000;
/// From using half of a messaging limit to the next one.
const TIER_REVIEW_MS: i64 = 6 * HOUR_MS;
/// How long a number cannot be used while its throughput is raised.
const UPGRADE_MS: i64 = 60 * 1_000;
/// Management calls an account may make in an hour, without and with a registered number.
const CALLS_MAX: usize = 200;
const CALLS_MAX_ACTIVE: usize = 5_000;

impl World {
    /// Every field of a number. What is `null` here is known to the platform and has no value: it may be asked for, and is
    /// left out of the answer.
    pub(crate) fn number_node(&self, number: u32, now_ms: i64) -> Value {
        let state = &self.numbers[number as usize];
        let account = &self.accounts[state.account as usize];
        let rating = state.rating(now_ms).as_str();
        let level = if state.messages_per_second > 80 {
            "HIGH"
        } else {
            "STANDARD"
        };
        let mut callbacks = json!({});
        if let Some(endpoint) = account.apps.first().and_then(|app| self.apps[*app].endpoint.as_ref()) {
            callbacks["application"] = json!(endpoint.url);
        }
        if let Some(url) = &account.callback_override {
            callbacks["whatsapp_business_account"] = json!(url);
        }
        if let Some(url) = &state.callback_override {
            callbacks["phone_number"] = json!(url);
        }
        let mut automation = state.desk.automation().clone();
        automation["id"] = json!(state.identity.id);
        // Only for North American numbers; others show neither.
        let in_north_america = state.identity.digits.starts_with('1');
        json!({
            "id": state.identity.id,
            "verified_name": state.verified_name,
            "country_code": in_north_america.then_some("US"),
            "country_dial_code": in_north_america.then_some("1"),
            "is_preverified_number": false,
            "eligibility_for_api_business_global_search": null,
            "certificate": null,
            "new_certificate": null,
            "last_onboarded_time": null,
            "username": null,
            "display_phone_number": identity::displayed(&state.identity.digits),
            "quality_rating": rating,
            "quality_score": {"score": rating},
            "status": if state.registered { state.status.as_str() } else { "DISCONNECTED" },
            "name_status": "APPROVED",
            "new_name_status": "NONE",
            "code_verification_status": state.desk.code_verification_status(),
            "conversational_automation": automation,
            "account_mode": "LIVE",
            "platform_type": "CLOUD_API",
            "throughput": {"level": level},
            "whatsapp_business_manager_messaging_limit": state.tier,
            "messaging_limit_tier": state.tier,
            "is_official_business_account": false,
            "is_pin_enabled": true,
            "is_on_biz_app": false,
            "health_status": {"can_send_message": self.health(state.account), "entities": []},
            "webhook_configuration": callbacks,
            "search_visibility": "VISIBLE",
        })
    }

    fn health(&self, account: u32) -> &'static str {
        if self.accounts[account as usize].locked_with.is_some() {
            "BLOCKED"
        } else {
            "AVAILABLE"
        }
    }

    /// A number with the fields asked for.
    pub(crate) fn number_fields(&self, number: u32, now_ms: i64, fields: Option<&str>) -> Result<Value, GraphError> {
        pick(&self.number_node(number, now_ms), fields, &NUMBER_DEFAULT_FIELDS)
    }

    /// The numbers of an account.
    pub(crate) fn number_list(
        &self,
        account: u32,
        now_ms: i64,
        fields: Option<&str>,
    ) -> Result<Vec<Value>, GraphError> {
        let of_account = (0..self.numbers.len() as u32).filter(|number| self.account_of(*number) == account);
        of_account
            .map(|number| self.number_fields(number, now_ms, fields))
            .collect()
    }

    /// An account with the fields asked for.
    pub(crate) fn account_fields(&self, account: u32, fields: Option<&str>) -> Result<Value, GraphError> {
        let state = &self.accounts[account as usize];
        let node = json!({
            "status": "ACTIVE",
            "country": "US",
            "ownership_type": "SELF",
            "business_verification_status": "verified",
            "is_enabled_for_insights": false,
            "is_shared_with_partners": false,
            "disable_marketing_messages_on_cloud_api": false,
            "on_behalf_of_business_info": null,
            "purchase_order_number": null,
            "primary_funding_id": null,
            "subscribed_apps": null,
            "id": &*state.id,
            "name": state.name,
            "timezone_id": "1",
            "currency": "USD",
            "message_template_namespace": format!("simulated_{}", state.id),
            "account_review_status": "APPROVED",
            "marketing_messages_onboarding_status": "ONBOARDED",
            "marketing_messages_lite_api_status": "ONBOARDED",
            "owner_business_info": {"name": state.name, "id": state.portfolio},
            "health_status": {"can_send_message": self.health(account), "entities": []},
        });
        pick(
            &node,
            fields,
            &["id", "name", "timezone_id", "message_template_namespace"],
        )
    }

    /// Sets the rating of a number by hand; `None` lets it follow from blocks again. With `report`, the legacy
    /// `FLAGGED` and `UNFLAGGED` events are sent; Meta itself only shows the colour when asked.
    pub(crate) fn set_number_rating(
        &mut self,
        now_ms: i64,
        number: u32,
        rating: Option<Rating>,
        report: bool,
        out: &mut Vec<Callback>,
    ) {
        let state = &mut self.numbers[number as usize];
        let before = state.rating(now_ms);
        state.rating_override = rating;
        let after = state.rating(now_ms);
        if !report || (before == Rating::Red) == (after == Rating::Red) {
            return;
        }
        let event = if after == Rating::Red { "FLAGGED" } else { "UNFLAGGED" };
        self.report_number(now_ms, number, event, out);
    }

    /// Moves a number's portfolio to another messaging limit, and reports it.
    pub(crate) fn set_number_tier(&mut self, now_ms: i64, number: u32, tier: &str, out: &mut Vec<Callback>) {
        let state = &mut self.numbers[number as usize];
        tier.clone_into(&mut state.tier);
        let account = state.account;
        let value = json!({"max_daily_conversations_per_business": tier, "max_phone_numbers_per_waba": 25});
        out.push(self.report_management(account, Some(number), "business_capability_update", now_ms, value));
    }

    /// Half of the limit has been used: if the number's quality is high, its portfolio gets the next one within six hours.
    pub(super) fn consider_raising_tier(&mut self, now_ms: i64, number: u32) {
        let state = &mut self.numbers[number as usize];
        let deserves = !state.tier_review_planned && state.rating(now_ms) == Rating::Green;
        if deserves && limits::next_tier(&state.tier).is_some() {
            state.tier_review_planned = true;
            self.agenda.plan(now_ms + TIER_REVIEW_MS, Happening::TierRaised(number));
        }
    }

    /// Raises the limit of a number's portfolio, if its quality has stayed high.
    pub(super) fn raise_tier(&mut self, at_ms: i64, number: u32, out: &mut Vec<Callback>) {
        let state = &mut self.numbers[number as usize];
        state.tier_review_planned = false;
        let deserves = state.rating(at_ms) == Rating::Green;
        let (Some(tier), true) = (limits::next_tier(&state.tier), deserves) else {
            return;
        };
        let portfolio = self.accounts[state.account as usize].portfolio.clone();
        for at in 0..self.numbers.len() as u32 {
            if self.accounts[self.account_of(at) as usize].portfolio == portfolio {
                self.set_number_tier(at_ms, at, tier, out);
            }
        }
    }

    /// Counts a management call of an account; refused when there were too many within the hour.
    pub(crate) fn count_call(&mut self, now_ms: i64, account: u32) -> Result<(), GraphError> {
        if !self.rules.management_rate {
            return Ok(());
        }
        let is_active = self
            .numbers
            .iter()
            .any(|number| number.account == account && number.registered);
        let calls_max = if is_active { CALLS_MAX_ACTIVE } else { CALLS_MAX };
        let calls = &mut self.accounts[account as usize].calls_at_ms;
        while calls.front().is_some_and(|at_ms| *at_ms <= now_ms - HOUR_MS) {
            calls.pop_front();
        }
        if calls.len() >= calls_max {
            return Err(GraphError::new(
                80_007,
                "Too many calls for this account within an hour.",
            ));
        }
        calls.push_back(now_ms);
        Ok(())
    }

    /// Gives a number another throughput, and reports an upgrade.
    pub(crate) fn set_number_throughput(&mut self, now_ms: i64, number: u32, per_second: u32, out: &mut Vec<Callback>) {
        let state = &mut self.numbers[number as usize];
        let upgraded = per_second > state.messages_per_second;
        state.messages_per_second = per_second;
        if upgraded {
            if self.rules.number_rate {
                state.busy_until_ms = now_ms + UPGRADE_MS;
            }
            self.report_number(now_ms, number, "THROUGHPUT_UPGRADE", out);
        }
    }

    fn report_number(&self, now_ms: i64, number: u32, event: &str, out: &mut Vec<Callback>) {
        let state = &self.numbers[number as usize];
        let value = json!({
            "display_phone_number": state.identity.digits,
            "event": event,
            "max_daily_conversations_per_business": state.tier,
        });
        out.push(self.report_management(
            state.account,
            Some(number),
            "phone_number_quality_update",
            now_ms,
            value,
        ));
    }

    /// Registers or deregisters a number.
    pub(crate) fn set_registered(&mut self, number: u32, registered: bool) {
        self.numbers[number as usize].registered = registered;
    }

    /// Locks an account so that sends are refused with this code, or unlocks it; reports it.
    pub(crate) fn lock_account(&mut self, now_ms: i64, account: u32, code: Option<u32>, out: &mut Vec<Callback>) {
        self.accounts[account as usize].locked_with = code;
        let value = match code {
            Some(_) => {
                json!({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE", "waba_ban_date": "Today"}})
            }
            None => {
                json!({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "REINSTATE", "waba_ban_date": "Today"}})
            }
        };
        out.push(self.report_management(account, None, "account_update", now_ms, value));
    }
}

/// The members of a node that `fields` names and that have a value; `id` always. Unknown names are error 100.
fn pick(node: &Value, fields: Option<&str>, default: &[&str]) -> Result<Value, GraphError> {
    let asked = fields.map(top_level_names);
    let default: Vec<String> = default.iter().map(|name| (*name).to_owned()).collect();
    let mut picked = serde_json::Map::new();
    for name in asked.unwrap_or(default) {
        let value = node
            .get(&name)
            .ok_or_else(|| GraphError::new(100, format!("Tried accessing nonexisting field ({name})")))?;
        if !value.is_null() {
            picked.insert(name, value.clone());
        }
    }
    picked.insert("id".to_owned(), node["id"].clone());
    Ok(Value::Object(picked))
}

/// The names of a field list; `throughput{level}` asks for a member of a member, and the whole is given.
fn top_level_names(fields: &str) -> Vec<String> {
    let mut depth = 0;
    let mut plain = String::with_capacity(fields.len());
    for character in fields.chars() {
        match character {
            '{' | '(' => depth += 1,
            '}' | ')' => depth -= 1,
            _ if depth == 0 => plain.push(character),
            _ => {}
        }
    }
    let names = plain
        .split(',')
        .map(|name| name.split('.').next().unwrap_or_default().trim().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_field_lists_name_their_top_level() {
        assert_eq!(
            top_level_names("id, throughput{level,x},quality_rating"),
            ["id", "throughput", "quality_rating"]
        );
    }

    #[test]
    fn asking_for_an_unknown_field_is_error_100() {
        let node = json!({"id": "1", "name": "n"});
        assert_eq!(pick(&node, Some("name"), &[]).unwrap(), json!({"id": "1", "name": "n"}));
        assert_eq!(pick(&node, Some("nom"), &[]).unwrap_err().code, 100);
    }

    #[test]
    fn a_known_field_without_a_value_is_left_out() {
        let node = json!({"id": "1", "name": "n", "certificate": null});
        let picked = pick(&node, Some("name,certificate"), &[]).unwrap();
        assert_eq!(picked, json!({"id": "1", "name": "n"}));
    }
}
