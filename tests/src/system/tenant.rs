//! The businesses of a test system: what they are called with us and at Meta.

use assent_runtime::tenants::ApiKey;
use assent_simulator::{Account, App, Number, Secret};
use std::fmt::Write as _;
use uuid::Uuid;

/// Shards of a new store on Postgres; the businesses take turns on them.
const SHARDS: usize = 2;

/// A business: with us a tenant, at Meta an app, an account and a number. Everything secret is drawn anew each time.
#[derive(Debug, Clone)]
pub struct TestTenant {
    /// Its name with us.
    pub id: String,
    /// Which shard its events stand in.
    pub shard: u16,
    /// An API key that may do everything.
    pub key: String,
    /// An API key that may only read.
    pub reading_key: String,
    /// An API key that was revoked.
    pub revoked_key: String,
    /// Meta's id of its number.
    pub phone_number_id: String,
    /// Its number itself, in digits.
    pub digits: String,
    /// Meta's id of its account.
    pub waba_id: String,
    /// What callbacks are signed with.
    pub app_secret: String,
    /// What Meta shows when it verifies the callback endpoint.
    pub verify_token: String,
    /// What calls to Meta are authorized by.
    pub meta_token: String,
    keys_toml: String,
}

impl TestTenant {
    /// The business with this number, counted from 0.
    pub fn generate(index: usize) -> anyhow::Result<Self> {
        let (key, reading, revoked) = (ApiKey::generate()?, ApiKey::generate()?, ApiKey::generate()?);
        let mut keys_toml = String::new();
        for (key, scopes, is_revoked) in [
            (&key, r#"["send", "consent", "read", "admin"]"#, false),
            (&reading, r#"["read"]"#, false),
            (&revoked, r#"["send", "read"]"#, true),
        ] {
            write!(
                keys_toml,
                "[[tenants.keys]]\nid = \"{}\"\nsha256 = \"{}\"\nscopes = {scopes}\nrevoked = {is_revoked}\n\n",
                key.id, key.sha256
            )?;
        }
        Ok(Self {
            id: format!("tenant-{index}"),
            shard: (index % SHARDS) as u16,
            key: key.key.expose().to_owned(),
            reading_key: reading.key.expose().to_owned(),
            revoked_key: revoked.key.expose().to_owned(),
            phone_number_id: (200_000_000_000_001 + index).to_string(),
            digits: (15_550_010_001 + index as u64).to_string(),
            waba_id: (100_000_000_000_001 + index).to_string(),
            app_secret: draw(),
            verify_token: draw(),
            meta_token: draw(),
            keys_toml,
        })
    }

    /// How it stands in the tenants file. Its secrets come by the environment, see [`environment`](Self::environment).
    pub(super) fn toml(&self) -> String {
        let prefix = self.variable_prefix();
        format!(
            "[[tenants]]\nid = \"{id}\"\nshard = {shard}\n\
             verify_token = {{ env = \"{prefix}_VERIFY_TOKEN\" }}\n\
             app_secrets = [{{ env = \"{prefix}_APP_SECRET\" }}]\n\
             access_token = {{ env = \"{prefix}_META_TOKEN\" }}\n\n\
             {keys}\
             [[tenants.numbers]]\nphone_number_id = \"{number}\"\nwaba_id = \"{waba}\"\ndisplay = \"+{digits}\"\n\n",
            id = self.id,
            shard = self.shard,
            keys = self.keys_toml,
            number = self.phone_number_id,
            waba = self.waba_id,
            digits = self.digits,
        )
    }

    /// The variables its secrets are read from.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let prefix = self.variable_prefix();
        vec![
            (format!("{prefix}_VERIFY_TOKEN"), self.verify_token.clone()),
            (format!("{prefix}_APP_SECRET"), self.app_secret.clone()),
            (format!("{prefix}_META_TOKEN"), self.meta_token.clone()),
        ]
    }

    fn variable_prefix(&self) -> String {
        self.id.to_uppercase().replace('-', "_")
    }

    fn app_id(&self) -> String {
        format!("9{}", &self.waba_id[1..])
    }

    /// The Meta app whose callbacks go to our ingress.
    pub(super) fn app(&self, callbacks: &str) -> App {
        App {
            id: self.app_id(),
            secret: Secret::new(&*self.app_secret),
            callback_url: Some(format!("{callbacks}/callbacks/{}", self.id)),
            verify_token: Secret::new(&*self.verify_token),
        }
    }

    /// The account at Meta, with its number.
    pub(super) fn account(&self) -> Account {
        Account {
            id: self.waba_id.clone(),
            name: format!("Business {}", self.id),
            apps: vec![self.app_id()],
            tokens: vec![Secret::new(&*self.meta_token)],
            numbers: vec![Number {
                id: self.phone_number_id.clone(),
                digits: self.digits.clone(),
                messages_per_second: 1_000,
                tier: "TIER_UNLIMITED".to_owned(),
                ..Number::default()
            }],
            ..Account::default()
        }
    }
}

/// A secret that may stand in a URL and in a header.
fn draw() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}
