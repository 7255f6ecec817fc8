//! What a test or a demo can see and do that no client of the real platform can. The HTTP control API is the same
//! thing by JSON.

mod people;

pub use people::PersonFile;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::callbacks::CallbackCounts;
use crate::config::{Fault, Latency, Mix, Rules, is_callback_url, parse_digits};
use crate::engine::Engine;
use crate::error::GraphError;
use crate::world::{AcceptedMessage, Message, NewFile, Rating, Status, Summary, World, wa_id};

/// Most messages one page lists.
const PAGE_MAX: usize = 10_000;
/// How often a wait looks whether what it waits for has come.
const WAIT_STEP: Duration = Duration::from_millis(5);

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No number has this phone-number id.
    #[error("no number has this phone-number id")]
    UnknownNumber,
    /// No account has this WABA id.
    #[error("no account has this id")]
    UnknownAccount,
    /// No app has this id.
    #[error("no app has this id")]
    UnknownApp,
    /// The text is not a phone number.
    #[error("not a phone number")]
    NotAPhoneNumber,
    /// The value cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// The platform would refuse it, with this code.
    #[error("refused with {code}: {details}")]
    Refused {
        /// Graph error code.
        code: u32,
        /// What was wrong.
        details: String,
    },
}

impl From<GraphError> for ControlError {
    fn from(error: GraphError) -> Self {
        Self::Refused {
            code: error.code,
            details: error.details,
        }
    }
}

/// Which accepted messages to list.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Only those after this sequence number.
    pub after: u64,
    /// At most this many; 1,000 unless given, never more than 10,000.
    pub limit: Option<usize>,
    /// Only those to this phone number.
    pub recipient: Option<String>,
    /// Only those from this phone-number id.
    pub phone_number_id: Option<String>,
    /// Only those with this `biz_opaque_callback_data`.
    pub opaque: Option<String>,
    /// Only those of this template.
    pub template: Option<String>,
    /// Only those whose last status in truth is this (`accepted` for none yet).
    pub status: Option<String>,
    /// With the request bodies.
    pub bodies: bool,
}

/// Everything counted so far.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The simulator's time, Unix ms.
    pub now_ms: i64,
    /// What happened in the world.
    #[serde(flatten)]
    pub summary: Summary,
    /// What became of callbacks.
    pub callbacks: CallbackCounts,
    /// Nothing will happen any more by itself and every callback has arrived or been given up.
    pub idle: bool,
}

/// What to wait for; everything given must hold at once.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WaitFor {
    /// At least this many messages accepted.
    pub accepted: Option<u64>,
    /// At least this many callbacks answered with 200.
    pub acknowledged: Option<u64>,
    /// At least this many messages written by people.
    pub written: Option<u64>,
    /// Nothing left to happen and every callback delivered or given up.
    pub idle: bool,
    /// Give up after this long; 30 s unless given.
    pub timeout_ms: Option<u64>,
}

/// A handle on one simulated world. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    engine: Arc<Engine>,
}

impl Control {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// The simulator's time, Unix ms.
    pub fn now_ms(&self) -> i64 {
        self.engine.now_ms()
    }

    /// Everything counted so far.
    pub fn report(&self) -> Report {
        let idle = self.engine.is_idle();
        let (now_ms, summary) = self.engine.with(|world, now_ms, _| (now_ms, world.summary()));
        Report {
            now_ms,
            summary,
            callbacks: self.engine.callback_counts(),
            idle,
        }
    }

    /// Accepted messages, in the order they were accepted: the truth a client's own list is judged by.
    pub fn accepted(&self, filter: &Filter) -> Result<Vec<AcceptedMessage>, ControlError> {
        let phone = filter.recipient.as_deref().map(phone).transpose()?;
        let limit = filter.limit.unwrap_or(1_000).min(PAGE_MAX);
        let passes = |message: &Message| {
            phone.is_none_or(|phone| message.phone == phone)
                && filter
                    .phone_number_id
                    .as_ref()
                    .is_none_or(|id| *id == message.sent.number.id)
                && filter
                    .opaque
                    .as_ref()
                    .is_none_or(|opaque| message.sent.opaque.as_ref() == Some(opaque))
                && filter
                    .template
                    .as_ref()
                    .is_none_or(|name| message.template.as_ref().is_some_and(|(of, _)| of == name))
                && filter
                    .status
                    .as_ref()
                    .is_none_or(|status| message.last_status().map_or("accepted", Status::as_str) == status)
        };
        Ok(self
            .engine
            .with(|world, _, _| world.accepted(filter.after, limit, filter.bodies, passes)))
    }

    /// Waits until everything asked for holds. False if the time ran out first.
    pub async fn wait(&self, wanted: &WaitFor) -> bool {
        let deadline = tokio::time::Instant::now() + Duration::from_millis(wanted.timeout_ms.unwrap_or(30_000));
        while !self.holds(wanted) {
            if tokio::time::Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(WAIT_STEP).await;
        }
        true
    }

    fn holds(&self, wanted: &WaitFor) -> bool {
        let (accepted, written) = self
            .engine
            .with(|world, _, _| (world.accepted_count(), world.written_count()));
        wanted.accepted.is_none_or(|least| accepted >= least)
            && wanted.written.is_none_or(|least| written >= least)
            && wanted
                .acknowledged
                .is_none_or(|least| self.engine.callback_counts().acknowledged >= least)
            && (!wanted.idle || self.engine.is_idle())
    }

    /// Uploads a file as if a business had (`None`: to the first number). Gives the media id.
    pub fn add_media(&self, number_id: Option<&str>, mime_type: &str, bytes: Vec<u8>) -> Result<String, ControlError> {
        let file = NewFile {
            mime_type: mime_type.to_owned(),
            bytes: bytes.into(),
        };
        self.number(number_id, |world, now_ms, number, _| {
            Ok(world.upload(now_ms, number, file)?.to_string())
        })?
    }

    /// Begins pacing a template, as if it were new.
    pub fn pace_template(&self, account_id: Option<&str>, name: &str) -> Result<(), ControlError> {
        self.account(account_id, |world, _, account, _| {
            Ok(world.pace_template(account, name)?)
        })
    }

    /// The code last sent to prove that a number is the business's own.
    pub fn sent_code(&self, number_id: &str) -> Result<Option<String>, ControlError> {
        self.number(Some(number_id), |world, _, number, _| world.sent_code(number))
    }

    /// Switches a fault on (or, with rate 0 and next 0, off).
    pub fn set_fault(&self, fault: Fault) -> Result<(), ControlError> {
        let mut problems = Vec::new();
        fault.check(&mut problems);
        if let Some(problem) = problems.into_iter().next() {
            return Err(ControlError::Invalid(problem));
        }
        self.engine.with(|world, _, _| world.faults.set(fault));
        Ok(())
    }

    /// Faults that are switched on, with what remains of `next`.
    pub fn faults(&self) -> Vec<Fault> {
        self.engine.with(|world, _, _| world.faults.list())
    }

    /// Switches all faults off.
    pub fn clear_faults(&self) {
        self.engine.with(|world, _, _| world.faults.clear());
    }

    /// Changes how people behave from now on; people already met stay as they are.
    pub fn set_mix(&self, mix: Mix) {
        self.engine.with(|world, _, _| world.set_mix(mix));
    }

    /// Changes how long things take from now on.
    pub fn set_latency(&self, latency: Latency) {
        self.engine.with(|world, _, _| world.set_latency(latency));
    }

    /// Changes which rules are enforced.
    pub fn set_rules(&self, rules: Rules) {
        self.engine.with(|world, _, _| world.set_rules(rules));
    }

    /// Adds a template in Meta's JSON form to an account (`None`: the first one). It is approved at once unless a status
    /// is given.
    pub fn add_template(
        &self,
        account_id: Option<&str>,
        definition: &Value,
        status: Option<&str>,
    ) -> Result<Value, ControlError> {
        self.account(account_id, |world, now_ms, account, _| {
            Ok(world.create_template(now_ms, account, definition, Some(status.unwrap_or("APPROVED")))?)
        })
    }

    /// Sets a template's status (`APPROVED`, `PAUSED`, `DISABLED`, `REJECTED`, …) in one language or all; reported by
    /// `message_template_status_update`.
    pub fn set_template_status(
        &self,
        account_id: Option<&str>,
        name: &str,
        language: Option<&str>,
        status: &str,
    ) -> Result<(), ControlError> {
        self.account(account_id, |world, now_ms, account, out| {
            Ok(world.set_template_status(now_ms, account, name, language, status, out)?)
        })
    }

    /// Moves a template to another category, or with `notice_seconds` only announces it; reported by
    /// `template_category_update`.
    pub fn set_template_category(
        &self,
        account_id: Option<&str>,
        name: &str,
        category: &str,
        notice_seconds: Option<i64>,
    ) -> Result<(), ControlError> {
        self.account(account_id, |world, now_ms, account, out| {
            Ok(world.set_template_category(now_ms, account, name, category, notice_seconds, out)?)
        })
    }

    /// Sets a template's quality score; reported by `message_template_quality_update`.
    pub fn set_template_quality(&self, account_id: Option<&str>, name: &str, score: &str) -> Result<(), ControlError> {
        self.account(account_id, |world, now_ms, account, out| {
            Ok(world.set_template_quality(now_ms, account, name, score, out)?)
        })
    }

    /// Sets a number's quality rating (`None`: let it follow from blocks). With `report`, the legacy events `FLAGGED`
    /// and `UNFLAGGED` are sent when it turns red or stops being red.
    pub fn set_number_rating(&self, number_id: &str, rating: Option<Rating>, report: bool) -> Result<(), ControlError> {
        self.number(Some(number_id), |world, now_ms, number, out| {
            world.set_number_rating(now_ms, number, rating, report, out);
        })
    }

    /// Sets the messaging limit of a number; reported by `business_capability_update`.
    pub fn set_number_tier(&self, number_id: &str, tier: &str) -> Result<(), ControlError> {
        self.number(Some(number_id), |world, now_ms, number, out| {
            world.set_number_tier(now_ms, number, tier, out);
        })
    }

    /// Sets the messages a second of a number; an upgrade is reported by `phone_number_quality_update`.
    pub fn set_number_throughput(&self, number_id: &str, messages_per_second: u32) -> Result<(), ControlError> {
        self.number(Some(number_id), |world, now_ms, number, out| {
            world.set_number_throughput(now_ms, number, messages_per_second, out);
        })
    }

    /// Registers or deregisters a number.
    pub fn set_number_registered(&self, number_id: &str, registered: bool) -> Result<(), ControlError> {
        self.number(Some(number_id), |world, _, number, _| {
            world.set_registered(number, registered);
        })
    }

    /// Locks an account, so that sends are refused with this code (368, 131031, 131042, …), or unlocks it; reported by
    /// `account_update`.
    pub fn lock_account(&self, account_id: Option<&str>, code: Option<u32>) -> Result<(), ControlError> {
        self.account(account_id, |world, now_ms, account, out| {
            world.lock_account(now_ms, account, code, out);
            Ok(())
        })
    }

    /// Sets where callbacks go, for one app or all. `None` unsubscribes.
    pub fn set_callback_url(&self, app_id: Option<&str>, url: Option<&str>) -> Result<(), ControlError> {
        if url.is_some_and(|url| !is_callback_url(url)) {
            return Err(ControlError::Invalid(
                "the callback URL must be http or https".to_owned(),
            ));
        }
        let found = self.engine.with(|world, _, _| world.set_callback_url(app_id, url));
        if found { Ok(()) } else { Err(ControlError::UnknownApp) }
    }

    /// Asks the callback URL of an app (`None`: the first) for the verification challenge.
    pub async fn verify_callback(&self, app_id: Option<&str>) -> Result<bool, ControlError> {
        let known = self.engine.with(|world, _, _| {
            let app = world.apps.iter().find(|app| app_id.is_none_or(|id| id == app.id))?;
            let url = app.endpoint.as_ref().map(|endpoint| endpoint.url.clone())?;
            Some((url, app.verify_token.clone()))
        });
        let (url, token) = known.ok_or(ControlError::UnknownApp)?;
        Ok(self.engine.verify_callback(&url, token.expose()).await)
    }

    /// Moves time forward; everything due by then has happened when this returns, and its callbacks are on their way.
    pub fn advance_clock(&self, by: Duration) {
        self.engine.advance_clock(by.as_millis() as u64);
    }

    /// Moves time forward from one thing that happens to the next, until nothing more will or `limit` has passed. Gives how
    /// far it went. Answers to callbacks may make more happen; wait for `idle` to see them.
    pub fn advance_until_quiet(&self, limit: Duration) -> Duration {
        Duration::from_millis(self.engine.advance_until_quiet(limit.as_millis() as u64))
    }

    /// Starts again from the configuration. Callback URLs set since are kept, and time is not turned back.
    pub fn reset(&self) {
        self.engine.reset();
    }

    fn person<T>(
        &self,
        from: &str,
        number_id: Option<&str>,
        act: impl FnOnce(&mut World, i64, u32, u64, &mut Vec<crate::world::Callback>) -> T,
    ) -> Result<T, ControlError> {
        let phone = phone(from)?;
        self.number(number_id, |world, now_ms, number, out| {
            act(world, now_ms, number, phone, out)
        })
    }

    fn number<T>(
        &self,
        number_id: Option<&str>,
        act: impl FnOnce(&mut World, i64, u32, &mut Vec<crate::world::Callback>) -> T,
    ) -> Result<T, ControlError> {
        self.engine.with(|world, now_ms, out| {
            let found = match number_id {
                Some(id) => world.number_by_id(id),
                None => (!world.numbers.is_empty()).then_some(0),
            };
            found
                .map(|number| act(world, now_ms, number, out))
                .ok_or(ControlError::UnknownNumber)
        })
    }

    fn account<T>(
        &self,
        account_id: Option<&str>,
        act: impl FnOnce(&mut World, i64, u32, &mut Vec<crate::world::Callback>) -> Result<T, ControlError>,
    ) -> Result<T, ControlError> {
        self.engine.with(|world, now_ms, out| {
            let found = account_id.map_or(Some(0), |id| world.account_by_id(id));
            act(world, now_ms, found.ok_or(ControlError::UnknownAccount)?, out)
        })
    }
}

fn phone(text: &str) -> Result<u64, ControlError> {
    parse_digits(text).map(wa_id).ok_or(ControlError::NotAPhoneNumber)
}
