//! Tenants as ingress needs them: found, parsed and keyed once, not for each call.

use assent_domain::values::{PhoneNumberId, TenantId, WabaId};
use assent_event_store::ShardId;
use assent_runtime::{
    platform::Platform,
    tenants::{LanguageFallbacks, Tenant, Tenants},
};
use assent_whatsapp::{Secret, signature::SignatureVerifier};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, RwLock},
};

/// One tenant.
#[derive(Debug)]
pub(crate) struct Party {
    /// Its name.
    pub(crate) id: TenantId,
    /// Where its events stand.
    pub(crate) shard: ShardId,
    /// Checks that a callback is Meta's.
    pub(crate) verifier: SignatureVerifier,
    /// What Meta presents when it verifies the endpoint.
    pub(crate) verify_tokens: Vec<Secret>,
    /// Its numbers, by Meta's id.
    numbers: HashMap<String, Number>,
    /// The account that takes what names none.
    pub(crate) first_account: Option<WabaId>,
    fetch_credentials: HashSet<String>,
    /// Which translation of a template may stand in for another one.
    pub(crate) language_fallbacks: LanguageFallbacks,
}

/// One of its numbers.
#[derive(Debug)]
pub(crate) struct Number {
    /// Meta's id of it.
    pub(crate) id: PhoneNumberId,
    /// The account it belongs to.
    pub(crate) account: WabaId,
    /// The digits people see.
    display_digits: String,
}

impl Party {
    fn new(tenant: &Tenant, shard: ShardId) -> Self {
        let secrets: Vec<Secret> = tenant
            .app_secrets
            .iter()
            .map(|secret| Secret::new(secret.expose()))
            .collect();
        let number = |number: &assent_runtime::tenants::Number| {
            // The tenants file was checked: these are digits.
            let id = PhoneNumberId::try_new(&number.phone_number_id).ok()?;
            let account = WabaId::try_new(&number.waba_id).ok()?;
            let known = Number {
                id,
                account,
                display_digits: digits(&number.display),
            };
            Some((number.phone_number_id.clone(), known))
        };
        Self {
            id: tenant.id.clone(),
            shard,
            verifier: SignatureVerifier::new(&secrets),
            verify_tokens: tenant
                .verify_token
                .iter()
                .map(|token| Secret::new(token.expose()))
                .collect(),
            numbers: tenant.numbers.iter().filter_map(number).collect(),
            first_account: tenant
                .numbers
                .first()
                .and_then(|number| WabaId::try_new(&number.waba_id).ok()),
            fetch_credentials: tenant.fetch_credentials.keys().cloned().collect(),
            language_fallbacks: tenant.language_fallbacks.clone(),
        }
    }

    /// Whether it has a credential of this name.
    pub(crate) fn has_fetch_credential(&self, name: &str) -> bool {
        self.fetch_credentials.contains(name)
    }

    /// One of its numbers, by Meta's id.
    pub(crate) fn number(&self, phone_number_id: &str) -> Option<&Number> {
        self.numbers.get(phone_number_id)
    }

    /// One of its numbers, by what people see: some callbacks name a number only so.
    pub(crate) fn number_shown_as(&self, display: &str) -> Option<&Number> {
        let wanted = digits(display);
        self.numbers
            .values()
            .find(|number| !wanted.is_empty() && number.display_digits == wanted)
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// All tenants as they stand now.
#[derive(Debug)]
pub(crate) struct Parties {
    platform: Platform,
    known: RwLock<Known>,
}

#[derive(Debug)]
struct Known {
    tenants: Arc<Tenants>,
    parties: Arc<HashMap<TenantId, Arc<Party>>>,
}

impl Parties {
    pub(crate) fn new(platform: Platform) -> Self {
        let tenants = platform.tenants.tenants();
        let known = RwLock::new(Known {
            parties: Arc::new(index(&platform, &tenants)),
            tenants,
        });
        Self { platform, known }
    }

    /// A tenant by its name.
    pub(crate) fn by_id(&self, id: &TenantId) -> Option<Arc<Party>> {
        self.now().get(id).cloned()
    }

    /// The tenants file as it stands, to tell whose a number or an account is.
    pub(crate) fn tenants(&self) -> Arc<Tenants> {
        self.platform.tenants.tenants()
    }

    fn now(&self) -> Arc<HashMap<TenantId, Arc<Party>>> {
        let tenants = self.platform.tenants.tenants();
        {
            let known = self.known.read().expect("nothing panics while it holds this lock");
            if Arc::ptr_eq(&known.tenants, &tenants) {
                return Arc::clone(&known.parties);
            }
        }
        let parties = Arc::new(index(&self.platform, &tenants));
        let mut known = self.known.write().expect("nothing panics while it holds this lock");
        *known = Known {
            tenants,
            parties: Arc::clone(&parties),
        };
        parties
    }
}

fn index(platform: &Platform, tenants: &Tenants) -> HashMap<TenantId, Arc<Party>> {
    let party = |tenant: &Arc<Tenant>| {
        let party = Party::new(tenant, platform.shard_of(tenant));
        (tenant.id.clone(), Arc::new(party))
    };
    tenants.iter().map(party).collect()
}
