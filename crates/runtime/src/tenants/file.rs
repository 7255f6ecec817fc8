//! The tenants file, and what can be asked of it.

use super::{
    Scope, TenantId,
    api_key::{KeyHash, KeyId},
    fetch_credential::{CREDENTIALS_MAX, FetchCredential},
    language_fallbacks::LanguageFallbacks,
};
use crate::config::{Check, Environment, Loader, Problems, Secret, Validate};
use assent_domain::values::{InvalidTerm, Label};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Most tenants in a file.
const TENANTS_MAX: usize = 10_000;
/// App secrets that may be valid at a time: the present one, and the one before or after it during a rotation.
const APP_SECRETS_MAX: usize = 2;
/// Longest id Meta gives, in digits; theirs have 15 to 17 today.
const PROVIDER_ID_DIGITS_MAX: usize = 32;

/// A tenant: a business, with everything that is its own.
#[derive(Debug, Clone, Deserialize)]
pub struct Tenant {
    /// Its name.
    pub id: TenantId,
    /// The shard its events stand in; absent: by hash of its name. Never changed once events exist.
    pub shard: Option<u16>,
    /// What Meta presents when it verifies the callback endpoint.
    pub verify_token: Option<Secret>,
    /// Secrets of the Meta app, by which callbacks are signed: one, or two while they rotate.
    #[serde(default)]
    pub app_secrets: Vec<Secret>,
    /// Token for calls to Meta, for numbers without one of their own.
    pub access_token: Option<Secret>,
    /// Its sending numbers.
    #[serde(default)]
    pub numbers: Vec<Number>,
    /// Logins at hosts that keep its files, by the names that senders call them.
    #[serde(default)]
    pub fetch_credentials: BTreeMap<String, FetchCredential>,
    /// Which translation of a template may stand in for another one.
    #[serde(default)]
    pub language_fallbacks: LanguageFallbacks,
    #[serde(default)]
    pub(super) keys: Vec<KeyEntry>,
}

/// A sending number.
#[derive(Debug, Clone, Deserialize)]
pub struct Number {
    /// Meta's id of the number.
    pub phone_number_id: String,
    /// Meta's id of the WhatsApp Business Account it belongs to.
    pub waba_id: String,
    /// The number as shown to people, e.g. `+1 202-555-0100`; a business's number, not a person's.
    pub display: String,
    /// Token for calls to Meta with this number; absent: the tenant's.
    pub access_token: Option<Secret>,
}

/// An API key.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct KeyEntry {
    pub(super) id: KeyId,
    pub(super) sha256: KeyHash,
    pub(super) scopes: Vec<Scope>,
    #[serde(default)]
    pub(super) revoked: bool,
    /// For people: whose key it is.
    #[serde(default, rename = "note")]
    _note: String,
}

impl Tenant {
    /// The token for calls to Meta with one of its numbers.
    pub fn access_token_for(&self, phone_number_id: &str) -> Option<&Secret> {
        let number = self
            .numbers
            .iter()
            .find(|number| number.phone_number_id == phone_number_id)?;
        number.access_token.as_ref().or(self.access_token.as_ref())
    }
}

#[derive(Debug, Deserialize)]
struct TenantsFile {
    #[serde(default)]
    tenants: Vec<Tenant>,
}

impl Validate for TenantsFile {
    fn validate(&self, check: &mut Check) {
        check.ensure(
            "tenants",
            self.tenants.len() <= TENANTS_MAX,
            format!("has more than {TENANTS_MAX} tenants"),
        );
        check.items("tenants", &self.tenants);
        let mut ids = BTreeSet::new();
        let mut keys = BTreeSet::new();
        let mut numbers = BTreeSet::new();
        let mut owners: HashMap<&str, &TenantId> = HashMap::new();
        for (index, tenant) in self.tenants.iter().enumerate() {
            let at = |key: &str| format!("tenants[{index}].{key}");
            check.ensure(&at("id"), ids.insert(&tenant.id), "is the id of another tenant too");
            for (position, key) in tenant.keys.iter().enumerate() {
                let unique = keys.insert(&key.id);
                check.ensure(
                    &at(&format!("keys[{position}].id")),
                    unique,
                    "is the id of another key too",
                );
            }
            for (position, number) in tenant.numbers.iter().enumerate() {
                let unique = numbers.insert(&number.phone_number_id);
                let place = at(&format!("numbers[{position}].phone_number_id"));
                check.ensure(&place, unique, "is registered more than once");
                // Template and account callbacks name the account only, so it must lead to one tenant.
                let owner = *owners.entry(&number.waba_id).or_insert(&tenant.id);
                let place = at(&format!("numbers[{position}].waba_id"));
                check.ensure(&place, *owner == tenant.id, format!("belongs to tenant {owner}"));
            }
        }
    }
}

impl Validate for Tenant {
    fn validate(&self, check: &mut Check) {
        let count = self.app_secrets.len();
        check.ensure(
            "app_secrets",
            count <= APP_SECRETS_MAX,
            format!("at most {APP_SECRETS_MAX} may be valid at a time"),
        );
        if !self.numbers.is_empty() {
            check.ensure(
                "app_secrets",
                count > 0,
                "a tenant with numbers needs one, or its callbacks are refused",
            );
        }
        let credentials = self.fetch_credentials.len();
        check.ensure(
            "fetch_credentials",
            credentials <= CREDENTIALS_MAX,
            format!("has more than {CREDENTIALS_MAX} credentials"),
        );
        for (name, credential) in &self.fetch_credentials {
            let key = format!("fetch_credentials.{name}");
            check.ensure(&key, Label::try_new(name).is_ok(), InvalidTerm.to_string());
            check.section(&key, credential);
        }
        check.section("language_fallbacks", &self.language_fallbacks);
        check.items("numbers", &self.numbers);
        check.items("keys", &self.keys);
        for (index, number) in self.numbers.iter().enumerate() {
            let has_token = number.access_token.is_some() || self.access_token.is_some();
            check.ensure(
                &format!("numbers[{index}].access_token"),
                has_token,
                "neither the number nor the tenant has one",
            );
        }
    }
}

impl Validate for Number {
    fn validate(&self, check: &mut Check) {
        for (key, value) in [("phone_number_id", &self.phone_number_id), ("waba_id", &self.waba_id)] {
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let fits = digits && value.len() <= PROVIDER_ID_DIGITS_MAX;
            check.ensure(
                key,
                fits,
                format!("must be 1 to {PROVIDER_ID_DIGITS_MAX} digits, in quotes"),
            );
        }
        check.ensure(
            "display",
            !self.display.is_empty() && self.display.len() <= 64,
            "must have 1 to 64 characters",
        );
    }
}

impl Validate for KeyEntry {
    fn validate(&self, check: &mut Check) {
        check.ensure(
            "scopes",
            !self.scopes.is_empty(),
            "a key without a scope can do nothing; revoke it instead",
        );
    }
}

/// All tenants as they stood when the file was read. Immutable: hold it as long as one piece of work lasts.
#[derive(Debug, Default)]
pub struct Tenants {
    all: Vec<Arc<Tenant>>,
    by_id: HashMap<TenantId, usize>,
    by_phone_number_id: HashMap<String, (usize, usize)>,
    by_waba_id: HashMap<String, usize>,
    keys: HashMap<KeyId, (usize, usize)>,
}

impl Tenants {
    /// Reads the file; answers also the files secrets were read from.
    pub(super) fn load(path: &Path, environment: &Environment) -> Result<(Self, BTreeSet<PathBuf>), Problems> {
        let loaded = Loader::new(environment)
            .without_overrides()
            .load_file::<TenantsFile>(path)?;
        Ok((Self::index(loaded.value), loaded.secret_files))
    }

    /// Reads the text of a tenants file; for the demo and for tests.
    pub fn parse(text: &str, environment: &Environment) -> Result<Self, Problems> {
        let loader = Loader::new(environment).without_overrides();
        Ok(Self::index(loader.load_text::<TenantsFile>("tenants", text)?.value))
    }

    fn index(file: TenantsFile) -> Self {
        let mut index = Self::default();
        for (at, tenant) in file.tenants.into_iter().enumerate() {
            index.by_id.insert(tenant.id.clone(), at);
            for (position, number) in tenant.numbers.iter().enumerate() {
                index
                    .by_phone_number_id
                    .insert(number.phone_number_id.clone(), (at, position));
                index.by_waba_id.insert(number.waba_id.clone(), at);
            }
            for (position, key) in tenant.keys.iter().enumerate() {
                index.keys.insert(key.id.clone(), (at, position));
            }
            index.all.push(Arc::new(tenant));
        }
        index
    }

    /// All tenants, in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Tenant>> {
        self.all.iter()
    }

    /// A tenant by its name.
    pub fn by_id(&self, id: &TenantId) -> Option<&Arc<Tenant>> {
        self.by_id.get(id).map(|at| &self.all[*at])
    }

    /// A number and its tenant, by Meta's id of the number.
    pub fn by_phone_number_id(&self, phone_number_id: &str) -> Option<(&Arc<Tenant>, &Number)> {
        let (at, position) = *self.by_phone_number_id.get(phone_number_id)?;
        let tenant = &self.all[at];
        Some((tenant, &tenant.numbers[position]))
    }

    /// The tenant a WhatsApp Business Account belongs to.
    pub fn by_waba_id(&self, waba_id: &str) -> Option<&Arc<Tenant>> {
        self.by_waba_id.get(waba_id).map(|at| &self.all[*at])
    }

    pub(super) fn key(&self, id: &KeyId) -> Option<(&Arc<Tenant>, &KeyEntry)> {
        let (at, position) = *self.keys.get(id)?;
        let tenant = &self.all[at];
        Some((tenant, &tenant.keys[position]))
    }
}
