//! Administration of the tenants file: tenants, API keys and numbers. Running processes see a change within a second.

mod file;

use std::{path::PathBuf, process::ExitCode, str::FromStr};

use anyhow::{Context as _, bail, ensure};
use assent_runtime::{
    config::Environment,
    tenants::{ApiKey, Scope},
};
use clap::{Args, Subcommand, ValueEnum};
use toml_edit::{Array, InlineTable, Item, Table, value};

use crate::{
    config::Config,
    output::{print, print_table},
};
use file::{TenantsFile, add_to, sub_tables, text_of};

/// Which tenants file.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// The tenants file; made if it does not exist yet
    #[arg(long, value_name = "FILE", env = "ASSENT_TENANTS_FILE")]
    tenants: Option<PathBuf>,
    /// The configuration file that names the tenants file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Which {
    fn path(&self) -> anyhow::Result<PathBuf> {
        match (&self.tenants, &self.config) {
            (Some(tenants), _) => Ok(tenants.clone()),
            (None, Some(config)) => Ok(Config::load(config, &Environment::of_process())?.tenants.file),
            (None, None) => bail!("give --tenants or --config"),
        }
    }
}

/// Where a secret stands; the secret itself never stands in a file of ours.
#[derive(Debug, Clone)]
pub(crate) enum SecretRef {
    Environment(String),
    File(String),
}

impl FromStr for SecretRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Environment(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.to_owned())),
            // The text is not repeated: it may be the secret itself.
            _ => Err("write env:NAME or file:PATH, never the secret itself".to_owned()),
        }
    }
}

impl SecretRef {
    fn to_toml(&self) -> InlineTable {
        let mut table = InlineTable::new();
        match self {
            Self::Environment(name) => table.insert("env", name.as_str().into()),
            Self::File(path) => table.insert("file", path.as_str().into()),
        };
        table
    }
}

/// Commands on tenants.
#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    /// Add a business: the owner of contacts, messages, keys and numbers
    Add {
        /// Its name: 1 to 63 characters out of a-z, 0-9 and "-"; never changed afterwards
        id: String,
        /// Where its Meta app secret stands, by which callbacks are signed: env:NAME or file:PATH; twice while it rotates
        #[arg(long, value_name = "env:NAME|file:PATH")]
        app_secret: Vec<SecretRef>,
        /// Where the token stands that Meta presents when it verifies the callback endpoint
        #[arg(long, value_name = "env:NAME|file:PATH")]
        verify_token: Option<SecretRef>,
        /// Where the token for calls to Meta stands
        #[arg(long, value_name = "env:NAME|file:PATH")]
        access_token: Option<SecretRef>,
        /// The shard its events stand in [default: by hash of its name]; never changed afterwards
        #[arg(long)]
        shard: Option<u16>,
        #[command(flatten)]
        which: Which,
    },
    /// List the tenants
    List {
        #[command(flatten)]
        which: Which,
    },
}

/// Commands on API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make an API key and print it, this once; only its hash is kept
    Add {
        /// Whose key it is
        #[arg(long)]
        tenant: String,
        /// What it may do
        #[arg(long, value_enum, value_delimiter = ',', default_value = "send,consent,read")]
        scopes: Vec<ScopeName>,
        /// For people: what uses it
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        which: Which,
    },
    /// Revoke an API key by its id (ak_ and 16 digits); whoever still uses it is told so
    Revoke {
        /// The id, the part of the key before the last "_"
        id: String,
        #[command(flatten)]
        which: Which,
    },
    /// List the API keys
    List {
        #[command(flatten)]
        which: Which,
    },
}

/// Commands on sending numbers.
#[derive(Debug, Subcommand)]
pub(crate) enum NumberCommand {
    /// Register a sending number that the business has at Meta
    Add {
        /// Whose number it is
        #[arg(long)]
        tenant: String,
        /// Meta's id of the number (digits; it is not the phone number)
        phone_number_id: String,
        /// Meta's id of the WhatsApp Business Account it belongs to
        #[arg(long)]
        waba_id: String,
        /// The number as people see it, e.g. "+1 202-555-0100"
        #[arg(long)]
        display: String,
        /// Where a token for calls to Meta with this number stands [default: the tenant's]
        #[arg(long, value_name = "env:NAME|file:PATH")]
        access_token: Option<SecretRef>,
        #[command(flatten)]
        which: Which,
    },
    /// List the sending numbers
    List {
        #[command(flatten)]
        which: Which,
    },
}

/// A scope as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ScopeName {
    /// Send and cancel messages
    Send,
    /// Record opt-ins and opt-outs
    Consent,
    /// Read messages, contacts, numbers, suppressions, counts and events
    Read,
    /// Change suppressions and whatever else is for operators
    Admin,
}

impl ScopeName {
    fn name(self) -> &'static str {
        let scope = match self {
            Self::Send => Scope::Send,
            Self::Consent => Scope::Consent,
            Self::Read => Scope::Read,
            Self::Admin => Scope::Admin,
        };
        scope.name()
    }
}

/// Runs a command on tenants.
pub(crate) fn tenant(command: &TenantCommand) -> anyhow::Result<ExitCode> {
    match command {
        TenantCommand::Add {
            id,
            app_secret,
            verify_token,
            access_token,
            shard,
            which,
        } => {
            let mut file = TenantsFile::open_or_new(&which.path()?)?;
            ensure!(file.tenant(id).is_none(), "there is a tenant {id} already");
            let mut tenant = Table::new();
            tenant["id"] = value(id);
            if let Some(shard) = shard {
                tenant["shard"] = value(i64::from(*shard));
            }
            if !app_secret.is_empty() {
                let secrets: Array = app_secret.iter().map(SecretRef::to_toml).collect();
                tenant["app_secrets"] = value(secrets);
            }
            for (key, secret) in [("verify_token", verify_token), ("access_token", access_token)] {
                if let Some(secret) = secret {
                    tenant[key] = value(secret.to_toml());
                }
            }
            file.tenants_mut()?.push(tenant);
            file.save()?;
            print(&format!(
                "tenant {id} added; next: assent key add --tenant {id}, assent number add --tenant {id}"
            ));
        }
        TenantCommand::List { which } => {
            let file = TenantsFile::open(&which.path()?)?;
            let mut rows = vec![["TENANT", "SHARD", "KEYS", "NUMBERS"].map(str::to_owned).to_vec()];
            for tenant in file.tenants() {
                let shard = tenant.get("shard").and_then(Item::as_integer);
                let shard = shard.map_or_else(|| "by hash".to_owned(), |shard| shard.to_string());
                let count = |key| sub_tables(tenant, key).len().to_string();
                rows.push(vec![text_of(tenant, "id"), shard, count("keys"), count("numbers")]);
            }
            print_table(&rows);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a command on API keys.
pub(crate) fn key(command: &KeyCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeyCommand::Add {
            tenant,
            scopes,
            note,
            which,
        } => {
            let mut file = TenantsFile::open(&which.path()?)?;
            let key = ApiKey::generate()?;
            let mut entry = Table::new();
            entry["id"] = value(key.id.as_str());
            entry["sha256"] = value(&key.sha256);
            entry["scopes"] = value(scopes.iter().map(|scope| scope.name()).collect::<Array>());
            if !note.is_empty() {
                entry["note"] = value(note);
            }
            add_to(file.tenant_mut(tenant)?, "keys", entry)?;
            file.save()?;
            print(key.key.expose());
            eprintln!("keep it: it is shown only now, the file holds its hash");
        }
        KeyCommand::Revoke { id, which } => {
            let mut file = TenantsFile::open(&which.path()?)?;
            let entry = file
                .key_mut(id)
                .with_context(|| format!("there is no key {id}; see assent key list"))?;
            entry["revoked"] = value(true);
            file.save()?;
            print(&format!("key {id} is revoked"));
        }
        KeyCommand::List { which } => {
            let file = TenantsFile::open(&which.path()?)?;
            let mut rows = vec![["KEY", "TENANT", "SCOPES", "STATE", "NOTE"].map(str::to_owned).to_vec()];
            for tenant in file.tenants() {
                for key in sub_tables(tenant, "keys") {
                    let scopes = key.get("scopes").and_then(Item::as_array);
                    let scopes: Vec<&str> = scopes
                        .into_iter()
                        .flatten()
                        .filter_map(toml_edit::Value::as_str)
                        .collect();
                    let revoked = key.get("revoked").and_then(Item::as_bool) == Some(true);
                    let state = if revoked { "revoked" } else { "valid" };
                    let row = [
                        text_of(key, "id"),
                        text_of(tenant, "id"),
                        scopes.join(","),
                        state.to_owned(),
                    ];
                    rows.push(row.into_iter().chain([text_of(key, "note")]).collect());
                }
            }
            print_table(&rows);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a command on sending numbers.
pub(crate) fn number(command: &NumberCommand) -> anyhow::Result<ExitCode> {
    match command {
        NumberCommand::Add {
            tenant,
            phone_number_id,
            waba_id,
            display,
            access_token,
            which,
        } => {
            let mut file = TenantsFile::open(&which.path()?)?;
            let mut number = Table::new();
            number["phone_number_id"] = value(phone_number_id);
            number["waba_id"] = value(waba_id);
            number["display"] = value(display);
            if let Some(secret) = access_token {
                number["access_token"] = value(secret.to_toml());
            }
            add_to(file.tenant_mut(tenant)?, "numbers", number)?;
            file.save()?;
            print(&format!("number {phone_number_id} added to {tenant}"));
        }
        NumberCommand::List { which } => {
            let file = TenantsFile::open(&which.path()?)?;
            let mut rows = vec![["NUMBER", "ACCOUNT", "TENANT", "DISPLAY"].map(str::to_owned).to_vec()];
            for tenant in file.tenants() {
                for number in sub_tables(tenant, "numbers") {
                    let cell = |key| text_of(number, key);
                    let id = text_of(tenant, "id");
                    rows.push(vec![cell("phone_number_id"), cell("waba_id"), id, cell("display")]);
                }
            }
            print_table(&rows);
        }
    }
    Ok(ExitCode::SUCCESS)
}
