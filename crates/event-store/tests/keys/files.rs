//! What the files of SQLite hold.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use assent_event_store::{AliasHasher, Append, Expected, KeyError, ShardId, StreamId, generate_secret};
use assent_sealed::{AliasHash, KeyClass};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use sqlx::{Connection as _, Row as _};

use crate::world::{PHONE, TEXT, World, alias, event, now, on_sqlite};

/// Every file of a directory, as bytes.
fn files(dir: &Path) -> HashMap<PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// What `text` looks like inside base64, wherever it starts: the characters that depend on nothing around it.
fn base64_traces(text: &str) -> Vec<String> {
    let trace = |before: usize| {
        let encoded = BASE64.encode([&vec![0; before][..], text.as_bytes()].concat());
        let text = encoded.trim_end_matches('=');
        text[(before * 4).div_ceil(3)..text.len() - 1].to_owned()
    };
    (0..3).map(trace).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_of_the_database_holds_what_was_sealed_nor_its_base64() {
    let test = |world: World| async move {
        let hasher = AliasHasher::try_new(&generate_secret()).unwrap();
        let alias = hasher.alias("acme", "tel:12025550142");
        let contact = StreamId::new("contact", hasher.stream_key("contact", &[b"acme", &alias.0]));
        let wanted = [(alias, KeyClass::Identity), (alias, KeyClass::Content)];
        let ring = world.ring();
        let outcome = ring.append_sealed(ShardId(0), &wanted, now(), |keys| {
            let phone = keys[0].seal(&PHONE.to_owned(), "contact.phone")?;
            let text = keys[1].seal(&TEXT.to_owned(), "message.text")?;
            let in_the_clear = BASE64.encode("seen by the test");
            let data = (phone, text, "also seen by the test", in_the_clear);
            Ok::<_, KeyError>(Append::new().write(contact.clone(), Expected::NoStream, [event(&data)]))
        });
        outcome.await.unwrap();
        let files = files(world.dir.as_deref().unwrap());
        let found = |wanted: &str| files.values().any(|bytes| holds(bytes, wanted.as_bytes()));
        // The search finds what is there.
        assert!(found("contact.opted_in") && found("also seen by the test"));
        assert!(base64_traces("seen by the test").iter().any(|trace| found(trace)));
        for secret in [PHONE, "2025550142", TEXT, "corner shop"] {
            assert!(!found(secret), "{secret}");
            for trace in base64_traces(secret) {
                assert!(!found(&trace), "{secret} as {trace}");
            }
        }
    };
    on_sqlite(test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destroyed_key_leaves_the_files_of_sqlite() {
    let test = |world: World| async move {
        let ring = world.ring();
        ring.obtain(&[(alias(1), KeyClass::Identity), (alias(2), KeyClass::Identity)], now())
            .await
            .unwrap();
        let dir = world.dir.as_deref().unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.join("keys.db"));
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        let rows = sqlx::query("select alias, wrapped from keys")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        let wrapped: HashMap<Vec<u8>, Vec<u8>> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let found = |alias: AliasHash| files(dir).values().any(|bytes| holds(bytes, &wrapped[&alias.0[..]]));
        assert!(found(alias(1)) && found(alias(2)));
        ring.destroy(&[alias(1)], &KeyClass::ALL).await.unwrap();
        assert!(!found(alias(1)) && found(alias(2)));
    };
    on_sqlite(test).await;
}
