//! What an older program does with a database and with events of a newer one.

use std::{process::Command, time::Duration};

use assent_event_store::{Append, Database, EventMeta, EventStore, Expected, NewEvent, ShardId, StoreConfig, StreamId};
use assent_proto::v1::{self, MessageState};
use assent_tests::system::{Role, System, SystemConfig, people};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::support::{
    PATIENCE, accepted_by_message, assert_all_run, assert_none_twice, eventually, list_all, send_until_acknowledged,
    servers_are_here, start, wait_until_ended,
};

/// What the migrations of a later program may do without raising the format: they add.
const LATER_MIGRATIONS: &str = "
    alter table assent_log.store add column later text;
    alter table assent_log.events add column later text;
    alter table assent_keys.keys add column later text not null default 'x';
    alter table assent_feed.checkpoints add column later integer not null default 0;
    create table assent_log.later (something text);
    insert into assent_log_migrations (version, description, success, checksum, execution_time)
    values (29990101000001, 'expand', true, '\\x00', 1);
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_program_serves_an_expanded_database_and_leaves_newer_events_alone() {
    const MESSAGES: usize = 20;
    if !servers_are_here() {
        return;
    }
    let config = SystemConfig {
        database_prelude: Some(LATER_MIGRATIONS),
        ..SystemConfig::default()
    };
    let mut system = start(config, MESSAGES + 1).await;
    let client = system.client(0).unwrap();
    let from = system.tenants[0].phone_number_id.clone();
    let mut sent = Vec::new();
    for person in 0..MESSAGES {
        let request = people::send_request(&format!("before-{person}"), &from, person, v1::WaitFor::Decision);
        sent.push(send_until_acknowledged(&client, request).await);
    }
    let ended = wait_until_ended(&client, &sent, PATIENCE).await;
    assert!(sent.iter().all(|message| ended[message].state() == MessageState::Read));
    migrate_again(&system);

    let shard = ShardId(system.tenants[0].shard);
    let newer = append_a_newer_event(&system, shard).await;
    let request = people::send_request("after", &from, MESSAGES, v1::WaitFor::Accepted);
    let waiting = send_until_acknowledged(&client, request).await;
    eventually("every reader has come to the event that it does not know", async || {
        let positions = checkpoints(&system, shard).await;
        positions.iter().all(|(_, position)| *position == newer - 1)
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    for (reader, position) in checkpoints(&system, shard).await {
        assert_eq!(position, newer - 1, "{reader} went on");
    }
    // Kept, and not decided by anybody who might not know all of its reasons.
    let accepted = accepted_by_message(&system).await;
    assert!(!accepted.contains_key(&waiting), "it was sent");
    assert_none_twice(&accepted);
    let request = v1::GetMessageRequest {
        key: Some(v1::get_message_request::Key::MessageId(waiting.to_string())),
        include_timeline: false,
    };
    let answer = client.messages.clone().get_message(request).await.unwrap().into_inner();
    assert_eq!(answer.message.unwrap().state(), MessageState::Accepted);
    assert_eq!(
        list_all(&client).await.unwrap().len(),
        MESSAGES,
        "the list shows what was folded"
    );
    assert_all_run(&mut system);
    refuses_a_format_that_it_does_not_know(&mut system).await;
}

/// An older `assent migrate` after a newer one, as when a roll-out is taken back: does nothing and says that all is well.
fn migrate_again(system: &System) {
    let mut command = Command::new(system.binary());
    command.args(["migrate", "--postgres-url", system.database_url()]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// As a later Assent might write it. Returns its position.
async fn append_a_newer_event(system: &System, shard: ShardId) -> u64 {
    let config = StoreConfig::new(Database::postgres(system.database_url()));
    let store = EventStore::connect(&config).await.unwrap();
    let event = NewEvent::new("contact.moved_to_another_planet", 1, "{}", &EventMeta::default());
    let stream = StreamId::new("contact", Uuid::new_v4());
    let append = Append::new().write(stream, Expected::NoStream, [event]);
    let appended = store.append(shard, append).await.unwrap();
    store.close().await;
    appended.first
}

/// How far each durable reader of the shard is.
async fn checkpoints(system: &System, shard: ShardId) -> Vec<(String, u64)> {
    let mut connection = PgConnection::connect(system.database_url()).await.unwrap();
    let rows: Vec<(String, i64)> =
        sqlx::query_as("select name, position from assent_feed.checkpoints where shard = $1")
            .bind(shard.0 as i16)
            .fetch_all(&mut connection)
            .await
            .unwrap();
    connection.close().await.unwrap();
    assert!(
        rows.len() >= 5,
        "consent, dispatcher and tracker have several readers: {rows:?}"
    );
    rows.into_iter()
        .map(|(name, position)| (name, position as u64))
        .collect()
}

async fn refuses_a_format_that_it_does_not_know(system: &mut System) {
    let mut connection = PgConnection::connect(system.database_url()).await.unwrap();
    let raise = "update assent_log.store set format = format + 1";
    sqlx::query(AssertSqlSafe(raise))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let binary = system.binary().to_owned();
    let refused = system.start_instance(Role::Consent, &binary).await.unwrap_err();
    let words = format!("{refused:#}");
    assert!(words.contains("run a newer Assent"), "{words}");
}
