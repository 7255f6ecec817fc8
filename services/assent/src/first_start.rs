//! `up --data-dir`: what a newcomer needs, made once.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use assent_event_store::generate_secret;
use assent_runtime::tenants::ApiKey;
use assent_simulator::{
    DEFAULT_ACCOUNT_ID, DEFAULT_APP_SECRET, DEFAULT_NUMBER_DIGITS, DEFAULT_NUMBER_ID, DEFAULT_TOKEN,
    DEFAULT_VERIFY_TOKEN,
};

const CONFIG_FILE: &str = "assent.toml";

const TENANT: &str = "my-business";

const CONFIG: &str = r#"# Made by `assent up --data-dir`. assent.sample.toml explains every key there is.
# It talks to the simulator of this machine, so no message leaves it. For Meta itself, leave out the two
# meta.base_url lines and put your own token and app secret into tenants.toml.

[admin]
listen = "127.0.0.1:9090"

[grpc]
listen = "127.0.0.1:50051"

[tenants]
file = "tenants.toml"

[database]
sqlite_dir = "log"
migrate = true

# What personal data is sealed with. Whoever loses these files loses every phone number and text in the log.
[keys]
hash = { file = "secrets/hash-key" }

[keys.master]
id = "first"
key = { file = "secrets/master-key" }

[ingress.callbacks]
listen = "127.0.0.1:8080"

[dispatcher.meta]
base_url = "http://127.0.0.1:8090"

[status_tracker.meta]
base_url = "http://127.0.0.1:8090"
"#;

/// The configuration file of a data directory; made with everything it names when there is none yet.
pub(crate) fn prepare(dir: &Path) -> anyhow::Result<PathBuf> {
    let file = dir.join(CONFIG_FILE);
    if file.exists() {
        return Ok(file);
    }
    let cannot = || format!("{} cannot be set up", dir.display());
    let key = set_up(dir).with_context(cannot)?;
    // The configuration comes last: without it, the next start begins anew.
    write(&file, CONFIG).with_context(cannot)?;
    eprintln!("{}", welcome(dir, &key));
    Ok(file)
}

fn set_up(dir: &Path) -> anyhow::Result<ApiKey> {
    let secrets = dir.join("secrets");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&secrets)?;
    // A key that is there already may have sealed something: it is never replaced.
    for name in ["master-key", "hash-key"] {
        if !secrets.join(name).exists() {
            write(&secrets.join(name), &generate_secret())?;
        }
    }
    write(&secrets.join("meta-token"), DEFAULT_TOKEN)?;
    write(&secrets.join("app-secret"), DEFAULT_APP_SECRET)?;
    write(&secrets.join("verify-token"), DEFAULT_VERIFY_TOKEN)?;
    let key = ApiKey::generate()?;
    write(&dir.join("tenants.toml"), &tenants(&key))?;
    Ok(key)
}

fn tenants(key: &ApiKey) -> String {
    format!(
        r#"# Businesses, their API keys and numbers; see `assent tenant`, `assent key` and `assent number`.

[[tenants]]
id = "{TENANT}"
verify_token = {{ file = "secrets/verify-token" }}
app_secrets = [{{ file = "secrets/app-secret" }}]
access_token = {{ file = "secrets/meta-token" }}

[[tenants.keys]]
id = "{}"
sha256 = "{}"
scopes = ["send", "consent", "read", "admin"]
note = "made at the first start"

# The number a bare simulator has.
[[tenants.numbers]]
phone_number_id = "{DEFAULT_NUMBER_ID}"
waba_id = "{DEFAULT_ACCOUNT_ID}"
display = "+{DEFAULT_NUMBER_DIGITS}"
"#,
        key.id, key.sha256
    )
}

fn welcome(dir: &Path, key: &ApiKey) -> String {
    format!(
        r#"
Everything was set up in {}. Your API key, shown only this once:

  export ASSENT_API_KEY={}

It talks to a simulated WhatsApp. In a second terminal:

  assent simulator --callback-url http://127.0.0.1:8080/callbacks/{TENANT}

In a third one, with the API key exported:

  assent opt-in +4915112345678 --category utility --source web-form --wording "Yes, keep me posted"
  assent send --from {DEFAULT_NUMBER_ID} --to +4915112345678 --template order_update --param Ana --param A-17
  assent explain MESSAGE_ID
"#,
        dir.display(),
        key.key.expose()
    )
}

/// Writes a file that only its owner may read.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}
