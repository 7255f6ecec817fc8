use super::*;
use crate::tenants::{ApiKey, Scope, TenantId};

fn environment() -> Environment {
    [
        ("ACME_TOKEN", "t0ken"),
        ("ACME_SECRET", "s3cret"),
        ("OTHER_TOKEN", "t1ken"),
        ("OTHER_SECRET", "s4cret"),
    ]
    .into_iter()
    .collect()
}

fn tenants_text(key: &ApiKey, revoked: bool) -> String {
    format!(
        r#"
[[tenants]]
id = "acme"
shard = 1
app_secrets = [{{ env = "ACME_SECRET" }}]
access_token = {{ env = "ACME_TOKEN" }}

[[tenants.keys]]
id = "{}"
sha256 = "{}"
scopes = ["send", "read"]
revoked = {revoked}
note = "backend"

[[tenants.numbers]]
phone_number_id = "106540352242922"
waba_id = "102290129340398"
display = "+1 202-555-0100"

[[tenants]]
id = "other"
app_secrets = [{{ env = "OTHER_SECRET" }}]
access_token = {{ env = "OTHER_TOKEN" }}
numbers = [{{ phone_number_id = "2", waba_id = "22", display = "+1 202-555-0101", access_token = {{ env = "ACME_TOKEN" }} }}]
"#,
        key.id, key.sha256
    )
}

fn directory(key: &ApiKey, revoked: bool) -> Directory {
    Directory::fixed(Tenants::parse(&tenants_text(key, revoked), &environment()).unwrap())
}

#[test]
fn a_key_leads_to_its_tenant_and_scopes() {
    let key = ApiKey::generate().unwrap();
    let principal = directory(&key, false).authenticate(key.key.expose()).unwrap();
    assert_eq!((principal.tenant.as_str(), &principal.key), ("acme", &key.id));
    assert!(principal.require(Scope::Send).is_ok());
    let error = principal.require(Scope::Admin).unwrap_err();
    assert_eq!(error.code(), ErrorCode::ScopeMissing);
    assert!(error.text().contains("`admin`"));
}

#[test]
fn wrong_and_revoked_keys_are_told_apart_only_by_their_holder() {
    let (key, stranger) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
    let directory = directory(&key, true);
    assert_eq!(
        directory.authenticate(key.key.expose()),
        Err(AuthenticationError::Revoked)
    );
    let guessed = format!("{}_{}", key.id, "0".repeat(64));
    for wrong in [
        "",
        "ak_",
        "Bearer",
        guessed.as_str(),
        key.id.as_str(),
        stranger.key.expose(),
    ] {
        assert_eq!(directory.authenticate(wrong), Err(AuthenticationError::Invalid));
    }
}

#[test]
fn numbers_and_accounts_lead_to_their_tenant() {
    let tenants = directory(&ApiKey::generate().unwrap(), false).tenants();
    let (tenant, number) = tenants.by_phone_number_id("106540352242922").unwrap();
    assert_eq!(
        (tenant.id.as_str(), number.display.as_str()),
        ("acme", "+1 202-555-0100")
    );
    assert_eq!(tenant.shard, Some(1));
    assert_eq!(tenant.app_secrets[0].expose(), "s3cret");
    assert_eq!(tenant.access_token_for("106540352242922").unwrap().expose(), "t0ken");
    assert!(tenant.access_token_for("2").is_none(), "another tenant's number");
    assert_eq!(
        tenants
            .by_waba_id("22")
            .unwrap()
            .access_token_for("2")
            .unwrap()
            .expose(),
        "t0ken"
    );
    assert!(tenants.by_phone_number_id("3").is_none() && tenants.by_waba_id("3").is_none());
    assert!(tenants.by_id(&TenantId::try_new("other").unwrap()).is_some());
}

#[test]
fn every_problem_of_a_tenants_file_is_reported_at_once() {
    let key = ApiKey::generate().unwrap();
    let text = tenants_text(&key, false)
        .replace("id = \"other\"", "id = \"acme\"")
        .replace("waba_id = \"22\"", "waba_id = \"x\"")
        .replace("phone_number_id = \"2\"", "phone_number_id = \"106540352242922\"")
        .replace(
            "{ env = \"OTHER_SECRET\" }",
            "{ env = \"ACME_SECRET\" }, { env = \"ACME_SECRET\" }, { env = \"ACME_SECRET\" }",
        );
    let problems = Tenants::parse(&text, &environment()).unwrap_err().to_string();
    for expected in [
        "tenants[1].id (line 21): is the id of another tenant too",
        "tenants[1].app_secrets (line 22): at most 2 may be valid at a time",
        "tenants[1].numbers[0].phone_number_id (line 24): is registered more than once",
        "tenants[1].numbers[0].waba_id (line 24): must be 1 to 32 digits, in quotes",
    ] {
        assert!(problems.contains(expected), "{problems}");
    }
    let text = tenants_text(&key, false)
        .replace("\"send\"", "\"sned\"")
        .replace("ACME_TOKEN", "NOT_SET");
    let problems = Tenants::parse(&text, &environment()).unwrap_err().to_string();
    assert!(
        problems.contains("scopes[0]") && problems.contains("did you mean `send`?"),
        "{problems}"
    );
    assert!(
        problems.contains("environment variable NOT_SET is not set"),
        "{problems}"
    );
    assert!(!problems.contains("s3cret"), "{problems}");
}

#[test]
fn one_account_belongs_to_one_tenant() {
    let text = tenants_text(&ApiKey::generate().unwrap(), false).replace("\"22\"", "\"102290129340398\"");
    let problems = Tenants::parse(&text, &environment()).unwrap_err().to_string();
    assert!(
        problems.contains("waba_id (line 24): belongs to tenant acme"),
        "{problems}"
    );
}

#[test]
fn secrets_and_hashes_do_not_show_in_debug_output() {
    let key = ApiKey::generate().unwrap();
    let shown = format!("{:?}", directory(&key, false));
    for hidden in ["t0ken", "s3cret", key.sha256.as_str()] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[test]
fn a_bad_file_keeps_the_tenants_read_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenants.toml");
    let (old, new) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
    fs::write(&path, tenants_text(&old, false)).unwrap();
    let directory = Directory::load(&path, &environment()).unwrap();
    assert_eq!(directory.reload_if_touched(), Ok(Reload::Unchanged));

    fs::write(&path, "[[tenants]]\nid = 7\nspeed = 3\n").unwrap();
    let problems = directory.reload_if_touched().unwrap_err();
    assert_eq!(problems.iter().count(), 2, "{problems}");
    assert_eq!(directory.problems(), Some(problems));
    assert!(directory.authenticate(old.key.expose()).is_ok());
    assert_eq!(
        directory.reload_if_touched(),
        Ok(Reload::Unchanged),
        "a bad file is reported once"
    );

    fs::write(&path, tenants_text(&new, false)).unwrap();
    assert_eq!(directory.reload_if_touched(), Ok(Reload::Replaced));
    assert!(directory.authenticate(new.key.expose()).is_ok());
    assert!(directory.authenticate(old.key.expose()).is_err());
    assert!(directory.problems().is_none());

    fs::remove_file(&path).unwrap();
    assert!(directory.reload_if_touched().is_err());
    assert!(directory.authenticate(new.key.expose()).is_ok());
}

#[test]
fn a_rotated_secret_file_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenants.toml");
    let secret = folder.path().join("app_secret");
    fs::write(&secret, "first").unwrap();
    fs::write(
        &path,
        "[[tenants]]\nid = \"acme\"\napp_secrets = [{ file = \"app_secret\" }]\n",
    )
    .unwrap();
    let directory = Directory::load(&path, &Environment::default()).unwrap();
    fs::write(&secret, "second one").unwrap();
    assert_eq!(directory.reload_if_touched(), Ok(Reload::Replaced));
    let tenants = directory.tenants();
    assert_eq!(tenants.iter().next().unwrap().app_secrets[0].expose(), "second one");
}

#[tokio::test]
async fn a_changed_file_is_picked_up_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenants.toml");
    let (old, new) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
    fs::write(&path, tenants_text(&old, false)).unwrap();
    let directory = Arc::new(Directory::load(&path, &environment()).unwrap());
    let shutdown = Shutdown::new();
    let following = tokio::spawn(Arc::clone(&directory).follow(shutdown.clone()));

    // Other length, so that a file system with coarse time stamps shows the change too.
    fs::write(&path, tenants_text(&new, false) + "# changed\n").unwrap();
    let picked_up = async {
        while directory.authenticate(new.key.expose()).is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), picked_up)
        .await
        .expect("the change is picked up");
    shutdown.force();
    following.await.unwrap().unwrap();
}

#[test]
fn the_sample_tenants_file_is_valid() {
    let sample = include_str!("../../../tenants.sample.toml");
    let environment: Environment = [
        ("ACME_VERIFY_TOKEN", "v"),
        ("ACME_APP_SECRET", "a"),
        ("ACME_APP_SECRET_BEFORE", "b"),
        ("ACME_META_TOKEN", "m"),
        ("ACME_VAULT_PASSWORD", "v"),
    ]
    .into_iter()
    .collect();
    let tenants = Tenants::parse(sample, &environment).unwrap();
    assert_eq!(tenants.iter().len(), 1);
}
