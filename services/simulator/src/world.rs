//! The simulated platform: accounts, numbers, templates and people, and the rules between them.
//!
//! Pure: no I/O, no clock, no randomness but the seed. The instant comes with every call, what happens by itself later
//! waits in the agenda, and [`World::advance`] lets it happen. Same seed, same calls: same bytes.

mod agenda;
mod answer;
mod builtin_templates;
mod changes;
mod desk;
mod draw;
mod faults;
mod feedback;
mod identity;
mod limits;
mod media;
mod message;
mod nodes;
mod number;
mod people;
mod person;
mod profile;
mod send;
mod short_links;
mod story;
mod summary;
mod taps;
mod template;
mod template_quality;
mod templates;
mod update;

#[cfg(test)]
mod tests;

pub use message::{AcceptedMessage, ReachedStatus};
pub use number::Rating;
pub use people::PersonView;
pub use person::{Relation, Truth, TruthChange};
pub use summary::Summary;
pub use update::Status;

pub(crate) use answer::{Answer, BodyKind, Manner};
use draw::{Draw, bits};
pub(crate) use identity::NumberIdentity;
pub(crate) use identity::wa_id;
pub(crate) use media::{NewFile, UPLOAD_BYTES_MAX};
pub(crate) use message::Message;
pub(crate) use send::Route;
pub(crate) use taps::Choice;
pub(crate) use templates::TEMPLATES_MAX;
#[cfg(test)]
pub(crate) use update::SentMessage;
pub(crate) use update::{Callback, Endpoint, StatusUpdate, Update};

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use crate::config::{CallbackShape, Config, Latency, Mix, Rules};
use crate::error::GraphError;
use agenda::Agenda;
use faults::Faults;
use limits::Reached;
use number::{AccountState, AppState, NumberState};
use person::Person;
use summary::Tally;
use template::Template;

/// Everything the platform knows and everything it hides.
pub(crate) struct World {
    seed: u64,
    mix: Mix,
    latency: Latency,
    rules: Rules,
    keep_bodies: bool,
    shape: CallbackShape,
    accepted_messages_max: usize,
    pub(crate) apps: Vec<AppState>,
    pub(crate) accounts: Vec<AccountState>,
    pub(crate) numbers: Vec<NumberState>,
    /// Templates by account.
    templates: Vec<Vec<Template>>,
    /// Positions of a name's languages in `templates`, by account.
    template_names: Vec<HashMap<String, Vec<usize>>>,
    people: HashMap<u64, Person>,
    /// By number and person.
    relations: HashMap<(u32, u64), Relation>,
    /// People who stopped an account's marketing with WhatsApp's own control.
    stopped: HashSet<(u32, u64)>,
    /// How often somebody's business-scoped user ids have changed, if ever.
    user_id_changes: HashMap<u64, u64>,
    /// People by their business-scoped user id.
    user_ids: HashMap<String, u64>,
    messages: Vec<Message>,
    /// Inbound messages: number and person by wamid.
    inbound: HashMap<String, (u32, u64)>,
    /// Callbacks of shuffled messages, kept back until the message's story has ended.
    held: HashMap<u32, Vec<Callback>>,
    /// People reached by portfolio.
    reached: HashMap<String, Reached>,
    media: media::Shelf,
    media_bytes_max: usize,
    /// Where clients reach the simulator; download addresses in callbacks begin with it.
    base_url: String,
    agenda: Agenda,
    pub(crate) faults: Faults,
    tally: Tally,
    /// Answers replaced by an error; numbers their traces.
    spoilt: u64,
}

impl World {
    /// A world as configured. The configuration must have passed its check.
    pub(crate) fn new(config: &Config) -> Self {
        let apps: Vec<AppState> = config.apps.iter().map(app_state).collect();
        let mut world = Self {
            seed: config.seed,
            mix: config.mix.clone(),
            latency: config.latency.clone(),
            rules: config.rules.clone(),
            keep_bodies: config.keep_bodies,
            shape: config.callbacks.shape,
            accepted_messages_max: config.accepted_messages_max,
            apps,
            accounts: Vec::new(),
            numbers: Vec::new(),
            templates: Vec::new(),
            template_names: Vec::new(),
            people: HashMap::new(),
            relations: HashMap::new(),
            stopped: HashSet::new(),
            user_id_changes: HashMap::new(),
            user_ids: HashMap::new(),
            messages: Vec::new(),
            inbound: HashMap::new(),
            held: HashMap::new(),
            reached: HashMap::new(),
            media: media::Shelf::default(),
            media_bytes_max: config.media_bytes_max,
            base_url: String::new(),
            agenda: Agenda::default(),
            faults: Faults::new(&config.faults),
            tally: Tally::default(),
            spoilt: 0,
        };
        for account in &config.accounts {
            world.add_account(account);
        }
        world
    }

    fn add_account(&mut self, account: &crate::config::Account) {
        let index = self.accounts.len() as u32;
        let subscribed = |app: &AppState| account.apps.contains(&app.id);
        let mut apps: Vec<usize> = (0..self.apps.len()).filter(|at| subscribed(&self.apps[*at])).collect();
        if account.apps.is_empty() {
            apps.push(0);
        }
        self.accounts.push(AccountState {
            id: account.id.as_str().into(),
            name: account.name.clone(),
            portfolio: account.portfolio.clone().unwrap_or_else(|| account.id.clone()),
            apps,
            callback_override: None,
            utility_paused_at_ms: None,
            calls_at_ms: std::collections::VecDeque::new(),
            locked_with: None,
        });
        for number in &account.numbers {
            let digits = number.digits.chars().filter(char::is_ascii_digit).collect();
            let identity = NumberIdentity {
                account_id: account.id.clone(),
                id: number.id.clone(),
                digits,
            };
            self.numbers.push(NumberState::new(Arc::new(identity), index, number));
        }
        self.templates.push(Vec::new());
        self.template_names.push(HashMap::new());
        let builtin = if account.builtin_templates {
            builtin_templates::builtin()
        } else {
            Vec::new()
        };
        for definition in builtin.into_iter().chain(account.templates.iter().cloned()) {
            self.put_template(index, Template::new(self.seed, &account.id, definition));
        }
    }

    /// Says where clients reach the simulator.
    pub(crate) fn set_base_url(&mut self, url: &str) {
        url.clone_into(&mut self.base_url);
    }

    /// Changes how people behave; people already met stay as they are.
    pub(crate) fn set_mix(&mut self, mix: Mix) {
        self.mix = mix;
    }

    /// Changes how long things take from now on.
    pub(crate) fn set_latency(&mut self, latency: Latency) {
        self.latency = latency;
    }

    /// Changes which rules are enforced.
    pub(crate) fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// When the next thing happens by itself, Unix ms.
    pub(crate) fn next_due_ms(&self) -> Option<i64> {
        self.agenda.next_due_ms()
    }

    /// Things that will still happen by themselves.
    pub(crate) fn happenings_ahead(&self) -> usize {
        self.agenda.len()
    }

    /// Index of a number by its phone-number id.
    pub(crate) fn number_by_id(&self, id: &str) -> Option<u32> {
        self.numbers
            .iter()
            .position(|number| number.identity.id == id)
            .map(|at| at as u32)
    }

    /// Index of an account by its WABA id.
    pub(crate) fn account_by_id(&self, id: &str) -> Option<u32> {
        self.accounts
            .iter()
            .position(|account| &*account.id == id)
            .map(|at| at as u32)
    }

    /// Where a callback goes: the number's own URL, else the account's, else that of each subscribed app.
    pub(crate) fn endpoints(&self, callback: &Callback) -> Vec<Arc<Endpoint>> {
        let account = &self.accounts[callback.account as usize];
        // Only message-type fields can be sent elsewhere.
        let message_like = match &callback.update {
            Update::Status(_) => true,
            Update::Other { field, .. } => *field == "messages",
        };
        let number_override = callback
            .number
            .and_then(|number| self.numbers[number as usize].callback_override.as_ref());
        let elsewhere = number_override
            .or(account.callback_override.as_ref())
            .filter(|_| message_like);
        let apps = account.apps.iter().map(|app| &self.apps[*app]);
        match elsewhere {
            None => apps.filter_map(|app| app.endpoint.clone()).collect(),
            Some(url) => apps
                .map(|app| {
                    Arc::new(Endpoint {
                        url: url.clone(),
                        secret: app.secret.clone(),
                    })
                })
                .collect(),
        }
    }

    /// Sets where an app's callbacks go. False if there is no such app.
    pub(crate) fn set_callback_url(&mut self, app_id: Option<&str>, url: Option<&str>) -> bool {
        let mut found = false;
        for app in &mut self.apps {
            if app_id.is_none_or(|id| id == app.id) {
                app.endpoint = url.map(|url| {
                    Arc::new(Endpoint {
                        url: url.to_owned(),
                        secret: app.secret.clone(),
                    })
                });
                found = true;
            }
        }
        found
    }

    /// Notes that a callback was answered with 200.
    pub(crate) fn acknowledged(&mut self, message: u32, status: u8) {
        let record = self
            .messages
            .get_mut(message as usize)
            .and_then(|message| message.statuses.get_mut(status as usize));
        if let Some(record) = record {
            record.acknowledged = record.acknowledged.saturating_add(1);
        }
    }

    /// A person, met for the first time if need be.
    fn person(&mut self, phone: u64) -> &mut Person {
        let (seed, mix) = (self.seed, &self.mix);
        self.people
            .entry(phone)
            .or_insert_with(|| Person::new(Truth::of(seed, mix, phone)))
    }

    fn relation(&mut self, number: u32, phone: u64) -> &mut Relation {
        self.relations.entry((number, phone)).or_default()
    }

    fn account_of(&self, number: u32) -> u32 {
        self.numbers[number as usize].account
    }

    fn user_id(&mut self, account: u32, phone: u64) -> String {
        let change = self.user_id_changes.get(&phone).copied().unwrap_or_default();
        let id = identity::user_id(self.seed, &self.accounts[account as usize].portfolio, phone, change);
        if !self.user_ids.contains_key(&id) {
            self.user_ids.insert(id.clone(), phone);
        }
        id
    }

    /// Reports something about an account that is not a message.
    fn report_management(
        &self,
        account: u32,
        number: Option<u32>,
        field: &'static str,
        now_ms: i64,
        value: Value,
    ) -> Callback {
        Callback {
            account,
            number,
            account_id: self.accounts[account as usize].id.clone(),
            update: Update::Other {
                field,
                time_s: Some(now_ms.div_euclid(1_000)),
                value: Arc::new(value),
            },
            reports: None,
            bad_signature: false,
        }
    }

    /// Refuses a request and counts it.
    pub(crate) fn refuse(&mut self, error: &GraphError) -> Answer {
        let nth = self.tally.refuse(error.code);
        Answer::json(error.http_status, error.to_body(bits(self.seed, Draw::Trace, 0, nth)))
    }
}

fn app_state(app: &crate::config::App) -> AppState {
    let endpoint = app.callback_url.as_ref().map(|url| {
        Arc::new(Endpoint {
            url: url.clone(),
            secret: app.secret.clone(),
        })
    });
    AppState {
        id: app.id.clone(),
        secret: app.secret.clone(),
        verify_token: app.verify_token.clone(),
        endpoint,
    }
}
