//! Wrong input gets a clear answer, each its own, and leaves nothing half-done.

use std::{process::Command, time::Duration};

use assent_proto::v1;
use assent_tests::{
    processes::ChildProcess,
    system::{Role, System, SystemConfig, people},
};
use sqlx::{Connection as _, PgConnection};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    callbacks::{inbound_text, signed},
    support::{note, send_until_acknowledged, servers_are_here, start},
};

/// A status as its code and its reason, which programs act on.
fn answer(status: &Status) -> (Code, String) {
    let reason = status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default();
    (status.code(), reason)
}

async fn events_in_log(system: &System) -> i64 {
    let mut connection = PgConnection::connect(system.database_url()).await.unwrap();
    let count = sqlx::query_scalar("select count(*) from assent_log.events where category in ('request', 'provider')")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wrong_call_gets_its_own_clear_answer_and_leaves_nothing_behind() {
    if !servers_are_here() {
        return;
    }
    let config = SystemConfig {
        tenants: 2,
        ..SystemConfig::default()
    };
    let system = start(config, 4).await;
    let own = &system.tenants[0];
    let client = system.client(0).unwrap();
    let request = |key: &str| people::send_request(key, &own.phone_number_id, 0, v1::WaitFor::Decision);
    let send = async |client: &assent_tests::system::Client, request: v1::SendMessageRequest| {
        client.messages.clone().send_message(request).await
    };
    let before = events_in_log(&system).await;

    // Every bad field in one answer.
    let mut bad = request("");
    bad.to = Some(v1::Recipient {
        alias: Some(v1::recipient::Alias::PhoneNumber("12345".to_owned())),
    });
    bad.tags = [("Not A Label".to_owned(), "value".to_owned())].into();
    bad.content = None;
    let status = send(&client, bad).await.unwrap_err();
    assert_eq!(answer(&status), (Code::InvalidArgument, "INVALID_REQUEST".to_owned()));
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let fields: Vec<String> = violations.into_iter().map(|violation| violation.field).collect();
    for field in ["idempotency_key", "to", "content", "tags"] {
        assert!(
            fields.iter().any(|named| named.starts_with(field)),
            "{field} is not named: {fields:?}"
        );
    }
    assert!(
        !format!("{status:?}").contains("12345"),
        "an error repeats what was wrong"
    );

    // Another's number is as unknown as one that nobody has.
    for from in [&system.tenants[1].phone_number_id, &"299999999999999".to_owned()] {
        let mut foreign = request("foreign");
        foreign.from.clone_from(from);
        let status = send(&client, foreign).await.unwrap_err();
        assert_eq!(answer(&status), (Code::NotFound, "NUMBER_UNKNOWN".to_owned()));
    }

    // Keys.
    let with = |key: &str| system.client_with(key).unwrap();
    for (key, code, reason) in [
        (own.revoked_key.as_str(), Code::Unauthenticated, "API_KEY_REVOKED"),
        ("ak_0123456789abcdef_nonsense", Code::Unauthenticated, "API_KEY_INVALID"),
        (own.reading_key.as_str(), Code::PermissionDenied, "SCOPE_MISSING"),
    ] {
        let status = send(&with(key), request("key")).await.unwrap_err();
        assert_eq!(answer(&status), (code, reason.to_owned()));
    }

    // A body beyond the limit.
    let mut large = request("large");
    large.content = Some(v1::Content {
        kind: Some(v1::content::Kind::Text(v1::TextContent {
            body: "x".repeat(300 * 1024),
            preview_url: false,
        })),
        reply_to: None,
    });
    let status = send(&client, large).await.unwrap_err();
    assert!(
        matches!(
            status.code(),
            Code::OutOfRange | Code::ResourceExhausted | Code::InvalidArgument
        ),
        "{status:?}"
    );
    assert_eq!(
        events_in_log(&system).await,
        before,
        "a call that failed left something in the log"
    );

    // A template that Meta does not have is refused by its gate, which is an answer of its own and is recorded.
    let mut unknown = request("unknown-template");
    if let Some(v1::content::Kind::Template(template)) =
        unknown.content.as_mut().and_then(|content| content.kind.as_mut())
    {
        "no_such_template".clone_into(&mut template.name);
    }
    let status = send(&client, unknown).await.unwrap_err();
    assert_eq!(
        answer(&status),
        (Code::FailedPrecondition, "MESSAGE_REFUSED".to_owned())
    );
    let violations = status.get_details_precondition_failure().unwrap().violations;
    assert!(
        violations.iter().any(|violation| violation.r#type.contains("TEMPLATE")),
        "{violations:?}"
    );

    // Messages of others do not exist.
    let message = send_until_acknowledged(&client, request("mine")).await;
    let get = v1::GetMessageRequest {
        key: Some(v1::get_message_request::Key::MessageId(message.to_string())),
        include_timeline: false,
    };
    client.messages.clone().get_message(get.clone()).await.unwrap();
    let status = system.client(1).unwrap().messages.get_message(get).await.unwrap_err();
    assert_eq!(answer(&status), (Code::NotFound, "MESSAGE_UNKNOWN".to_owned()));

    // The same key for something else.
    let mut other = request("mine");
    other.to = Some(people::recipient(1));
    let status = send(&client, other).await.unwrap_err();
    assert_eq!(
        answer(&status),
        (Code::AlreadyExists, "IDEMPOTENCY_KEY_REUSED".to_owned())
    );
    let accepted = system.simulator.accepted().await.unwrap();
    assert!(accepted.len() <= 1, "{} messages left", accepted.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_is_not_metas_or_not_the_tenants_changes_nothing() {
    if !servers_are_here() {
        return;
    }
    let config = SystemConfig {
        tenants: 2,
        ..SystemConfig::default()
    };
    let system = start(config, 2).await;
    let http = reqwest::Client::new();
    let before = events_in_log(&system).await;
    let body = inbound_text(&system, 0, &people::phone_number(0), "wamid.WRONG1", "STOP").to_string();

    let unsigned = http
        .post(system.callback_url(0))
        .body(body.clone())
        .send()
        .await
        .unwrap();
    assert!(unsigned.status().is_client_error(), "{}", unsigned.status());
    // Signed for other bytes.
    let forged = signed(&http, &system, 0, b"{}")
        .body(body.clone())
        .send()
        .await
        .unwrap();
    assert!(forged.status().is_client_error(), "{}", forged.status());
    // Signed by another tenant's app, at this tenant's address.
    let secret = assent_whatsapp::secret::Secret::new(&*system.tenants[1].app_secret);
    let signature = assent_whatsapp::signature::sign(&secret, body.as_bytes());
    let by_other = http
        .post(system.callback_url(0))
        .header("x-hub-signature-256", signature)
        .body(body.clone());
    let by_other = by_other.send().await.unwrap();
    assert!(by_other.status().is_client_error(), "{}", by_other.status());
    let nobody = http
        .post(system.callback_url(0).replace(&system.tenants[0].id, "nobody"))
        .body(body.clone());
    let nobody = nobody.send().await.unwrap();
    assert!(nobody.status().is_client_error(), "{}", nobody.status());
    let huge = vec![b' '; 32 << 20];
    if let Ok(huge) = signed(&http, &system, 0, &huge).send().await {
        assert!(huge.status().is_client_error(), "{}", huge.status());
    }
    assert_eq!(
        events_in_log(&system).await,
        before,
        "a callback that was refused left something in the log"
    );

    // Correctly signed by one tenant, and about the other's number: acknowledged, counted, and nothing of the other changes.
    let foreign = signed(&http, &system, 1, body.as_bytes()).send().await.unwrap();
    assert!(foreign.status().is_success(), "{}", foreign.status());
    let request = people::check_request(&system, 0);
    let check = system.client(0).unwrap().consent.check_message(request).await.unwrap();
    assert!(
        check.into_inner().allowed,
        "a tenant's contact was stopped by another tenant"
    );
    let counted = system.metrics_text(Role::Ingress).await.unwrap();
    assert!(
        counted
            .lines()
            .any(|line| line.contains("foreign") && !line.ends_with(" 0")),
        "foreign callbacks are counted"
    );
}

/// Starts a role on some database and gives its exit code and last words; it must not serve.
async fn start_on(system: &System, role: Role, database_url: &str) -> (Option<i32>, String) {
    let mut command = Command::new(system.binary());
    command.arg(role.name());
    system.configured(&mut command);
    command.env("ASSENT_POSTGRES_URL", database_url);
    let name = format!("wrong-{role}");
    let mut process = ChildProcess::spawn(&name, command, system.directory()).unwrap();
    let status = process.wait(Duration::from_secs(30)).await.unwrap();
    (status.code(), process.output().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_empty_or_stale_database_is_named_and_the_remedy_with_it() {
    if !servers_are_here() {
        return;
    }
    let system = System::start(SystemConfig::default()).await.unwrap();
    let missing = system.postgres.url("no_such_database");
    let empty = system.postgres.create_database("empty").await.unwrap();
    let stale = system.postgres.create_database("stale").await.unwrap();
    let migrated = Command::new(system.binary())
        .arg("migrate")
        .env("ASSENT_POSTGRES_URL", &stale)
        .output()
        .unwrap();
    assert!(migrated.status.success());
    let mut connection = PgConnection::connect(&stale).await.unwrap();
    sqlx::query("delete from assent_log_migrations where version = (select max(version) from assent_log_migrations)")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    for (url, words) in [
        (missing.as_str(), "there is no database"),
        (empty.as_str(), "holds no log yet"),
        (stale.as_str(), "migrations that this program needs"),
    ] {
        for role in [Role::Ingress, Role::StatusTracker] {
            let (code, output) = start_on(&system, role, url).await;
            assert_ne!(code, Some(0), "{role} took a wrong database");
            assert!(
                output.contains(words) && output.contains("assent migrate"),
                "{role}: {output}"
            );
            assert!(!output.contains("panicked"), "{output}");
        }
        note(&format!("wrong database: {words}"));
    }
}
