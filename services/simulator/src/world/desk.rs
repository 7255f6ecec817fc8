//! What a business arranges for a number beside messages: automation, settings, PIN.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::World;
use super::draw::{self, Draw};
use crate::error::GraphError;
use crate::request::invalid;

const PROMPTS_MAX: usize = 4;
const PROMPT_CHARS_MAX: usize = 80;
const COMMANDS_MAX: usize = 30;
const COMMAND_NAME_CHARS_MAX: usize = 32;
const COMMAND_DESCRIPTION_CHARS_MAX: usize = 256;
/// Registrations and deregistrations allowed in 72 hours.
const REGISTRATIONS_MAX: usize = 10;
const REGISTRATION_WINDOW_MS: i64 = 72 * 60 * 60 * 1_000;

/// Whether people see the catalogue's entry in the chat, and a cart in the catalogue. Without a catalogue here, all it does is
/// stay as it was set.
#[derive(Debug, serde::Serialize)]
struct Commerce {
    is_cart_enabled: bool,
    is_catalog_visible: bool,
}

impl Default for Commerce {
    fn default() -> Self {
        Self {
            is_cart_enabled: true,
            is_catalog_visible: false,
        }
    }
}

/// What has been arranged for one number.
#[derive(Debug)]
pub(super) struct Desk {
    automation: Value,
    settings: Map<String, Value>,
    commerce: Commerce,
    pin: Option<String>,
    registrations_at_ms: VecDeque<i64>,
    codes_sent: u64,
    is_verified: bool,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            automation: json!({"enable_welcome_message": false, "prompts": [], "commands": []}),
            settings: Map::new(),
            commerce: Commerce::default(),
            pin: None,
            registrations_at_ms: VecDeque::new(),
            codes_sent: 0,
            is_verified: true,
        }
    }
}

impl Desk {
    /// `VERIFIED` or `NOT_VERIFIED`, of the number's ownership.
    pub(super) fn code_verification_status(&self) -> &'static str {
        if self.is_verified { "VERIFIED" } else { "NOT_VERIFIED" }
    }

    /// Ice breakers and commands.
    pub(super) fn automation(&self) -> &Value {
        &self.automation
    }
}

impl World {
    fn desk(&mut self, number: u32) -> &mut Desk {
        &mut self.numbers[number as usize].desk
    }

    /// Sets welcome message, ice breakers and commands; members left out stay as they are.
    pub(crate) fn set_automation(&mut self, number: u32, given: &Map<String, Value>) -> Result<(), GraphError> {
        // Some clients write a list as JSON inside a text.
        let read = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.clone(), |text| serde_json::from_str(text).unwrap_or_default())
        };
        // Clients that send it everywhere send it here too.
        let asked = given.iter().filter(|(name, _)| *name != "messaging_product");
        let given: Map<String, Value> = asked.map(|(name, value)| (name.clone(), read(value))).collect();
        for (name, value) in &given {
            let fits = match name.as_str() {
                "enable_welcome_message" => value.is_boolean(),
                "prompts" => are_prompts(value),
                "commands" => are_commands(value),
                _ => {
                    return Err(invalid(format!(
                        "Unexpected key \"{name}\" on param \"conversational_automation\"."
                    )));
                }
            };
            if !fits {
                return Err(invalid(format!(
                    "Param {name} is not valid: at most 4 prompts of 80 characters, 30 commands."
                )));
            }
        }
        for (name, value) in given {
            self.desk(number).automation[name] = value;
        }
        Ok(())
    }

    /// Settings of a number as they were set.
    pub(crate) fn settings(&self, number: u32) -> Value {
        let mut settings = self.numbers[number as usize].desk.settings.clone();
        settings
            .entry("storage_configuration")
            .or_insert_with(|| json!({"status": "DEFAULT"}));
        Value::Object(settings)
    }

    /// Keeps the settings given.
    pub(crate) fn set_settings(&mut self, number: u32, given: &Map<String, Value>) {
        let settings = &mut self.desk(number).settings;
        settings.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    /// Commerce settings of a number.
    pub(crate) fn commerce_settings(&self, number: u32) -> Value {
        let mut settings = json!(self.numbers[number as usize].desk.commerce);
        settings["id"] = json!(self.numbers[number as usize].identity.id);
        json!({"data": [settings]})
    }

    /// Changes the commerce settings given; members left out stay as they are.
    pub(crate) fn set_commerce_settings(&mut self, number: u32, given: &Map<String, Value>) -> Result<(), GraphError> {
        let switch = |name: &str| match given.get(name) {
            None => Ok(None),
            Some(Value::Bool(is_on)) => Ok(Some(*is_on)),
            // Python writes True into a query.
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(invalid(format!("Param {name} must be true or false."))),
        };
        let (cart, catalog) = (switch("is_cart_enabled")?, switch("is_catalog_visible")?);
        let commerce = &mut self.desk(number).commerce;
        commerce.is_cart_enabled = cart.unwrap_or(commerce.is_cart_enabled);
        commerce.is_catalog_visible = catalog.unwrap_or(commerce.is_catalog_visible);
        Ok(())
    }

    /// Registers or deregisters a number for the Cloud API, as a business does.
    pub(crate) fn register(&mut self, now_ms: i64, number: u32, pin: Option<&str>) -> Result<(), GraphError> {
        let desk = self.desk(number);
        while desk
            .registrations_at_ms
            .front()
            .is_some_and(|at_ms| *at_ms <= now_ms - REGISTRATION_WINDOW_MS)
        {
            desk.registrations_at_ms.pop_front();
        }
        if desk.registrations_at_ms.len() >= REGISTRATIONS_MAX {
            return Err(GraphError::new(133_016, "At most 10 registrations in 72 hours; wait."));
        }
        desk.registrations_at_ms.push_back(now_ms);
        if let Some(pin) = pin {
            check_pin(pin)?;
            if desk.pin.as_deref().is_some_and(|known| known != pin) {
                return Err(GraphError::new(
                    133_005,
                    "The two-step verification PIN is not the one that was set.",
                ));
            }
            desk.pin = Some(pin.to_owned());
        }
        self.set_registered(number, pin.is_some());
        Ok(())
    }

    /// Sets the two-step verification PIN.
    pub(crate) fn set_pin(&mut self, number: u32, pin: &str) -> Result<(), GraphError> {
        check_pin(pin)?;
        self.desk(number).pin = Some(pin.to_owned());
        Ok(())
    }

    /// Sends a code to the number, to prove that it is the business's own.
    pub(crate) fn request_code(&mut self, number: u32) {
        let desk = self.desk(number);
        desk.codes_sent += 1;
        desk.is_verified = false;
    }

    /// The code that was sent last; only the control API shows it.
    pub(crate) fn sent_code(&self, number: u32) -> Option<String> {
        let state = &self.numbers[number as usize];
        let nth = state.desk.codes_sent;
        let subject = draw::subject(&state.identity.id);
        let code = draw::bits(self.seed, Draw::VerificationCode, subject, nth) % 1_000_000;
        (nth > 0).then(|| format!("{code:06}"))
    }

    /// Takes the code that was sent.
    pub(crate) fn verify_code(&mut self, number: u32, code: &str) -> Result<(), GraphError> {
        // Some clients send it with a hyphen, as people write it down.
        if self.sent_code(number).is_none_or(|sent| sent != code.replace('-', "")) {
            return Err(GraphError::new(
                136_025,
                "The verification code is not the one that was sent.",
            ));
        }
        self.desk(number).is_verified = true;
        Ok(())
    }
}

fn check_pin(pin: &str) -> Result<(), GraphError> {
    if pin.len() == 6 && pin.bytes().all(|digit| digit.is_ascii_digit()) {
        return Ok(());
    }
    Err(invalid("Param pin must be 6 digits."))
}

fn are_prompts(value: &Value) -> bool {
    let fits = |prompt: &Value| {
        prompt
            .as_str()
            .is_some_and(|text| text.chars().count() <= PROMPT_CHARS_MAX)
    };
    value
        .as_array()
        .is_some_and(|prompts| prompts.len() <= PROMPTS_MAX && prompts.iter().all(fits))
}

fn are_commands(value: &Value) -> bool {
    let fits = |command: &Value| {
        let chars = |member: &str| command[member].as_str().map(|text| text.chars().count());
        chars("command_name").is_some_and(|chars| (1..=COMMAND_NAME_CHARS_MAX).contains(&chars))
            && chars("command_description").is_some_and(|chars| chars <= COMMAND_DESCRIPTION_CHARS_MAX)
    };
    value
        .as_array()
        .is_some_and(|commands| commands.len() <= COMMANDS_MAX && commands.iter().all(fits))
}
