//! What it costs to keep and to rebuild the read models: `cargo run --release -p assent-read-models --example fold --
//! [MESSAGES] [postgres://…]`. Without a URL a SQLite store in a temporary directory is measured.
//!
//! Seven events a message, from the request to its being read, in the order in which they come when many messages are on their
//! way at once. Prints events per second and CPU per event and message, of this process and of the database server.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench: it prints, and stops at the first thing that goes wrong"
)]

use std::time::Instant;

use assent_event_store::{Append, Database, EventMeta, EventStore, Expected, NewEvent, ShardId, StoreConfig, StreamId};
use assent_read_models::{View, Views};
use uuid::Uuid;

const SHARD: ShardId = ShardId(0);

/// Messages that are on their way at once: an event of one lies this far from its next.
const IN_FLIGHT: usize = 100;

fn event(kind: &'static str, data: String) -> NewEvent {
    let meta = EventMeta {
        actor: "service:bench".to_owned(),
        tenant: Some("marlow".to_owned()),
        ..EventMeta::default()
    };
    NewEvent::new(kind, 1, data, &meta)
}

fn sealed(bytes: usize) -> String {
    format!("{{\"k\":\"{}\",\"c\":\"{}\"}}", Uuid::from_u128(99), "A".repeat(bytes))
}

/// The events of one message as the services write them.
fn life(message: Uuid, number: usize) -> [(&'static str, NewEvent); 7] {
    let at = 1_795_176_000_000_000_i64 + number as i64 * 1_000;
    let second = at / 1_000_000 * 1_000_000;
    let alias = format!("{number:043}");
    let attempt = Uuid::from_u128(message.as_u128() ^ 1);
    let request = format!(
        "{{\"tenant\":\"marlow\",\"sender\":\"318800000000042\",\"recipient\":{{\"alias\":\"{alias}\",\"address\":{}}},\
         \"content\":{{\"kind\":\"template\",\"template\":{{\"name\":\"order_ready\",\"language\":\"en_US\"}},\"components\":{}}},\
         \"fingerprint\":[],\"expires_at\":{},\"campaign\":\"autumn\",\"accepted_at\":{at}}}",
        sealed(80),
        sealed(300),
        at + 86_400_000_000
    );
    let decision = format!(
        "{{\"contact\":\"{}\",\"contact_version\":2,\"category\":\"utility\",\"evidence\":[{}],\"checked_at\":{},\"expires_at\":{}}}",
        Uuid::from_u128(message.as_u128() ^ 2),
        ["{\"gate\":\"number\",\"version\":3}"; 6].join(","),
        at + 2_000,
        at + 86_400_000_000
    );
    let accepted = format!(
        "{{\"attempt\":\"{attempt}\",\"wamid_hash\":\"{alias}\",\"wamid\":{},\"wa_id_alias\":\"{alias}\",\"wa_id\":{},\
         \"accepted_as\":\"accepted\",\"learned_from\":\"answer\",\"accepted_at\":{}}}",
        sealed(90),
        sealed(60),
        at + 60_000
    );
    let started = format!(
        "{{\"attempt\":\"{attempt}\",\"number\":1,\"checked_until\":{at},\"started_at\":{}}}",
        at + 5_000
    );
    let status = |word: &str, after: i64, pricing: &str| {
        let data = format!(
            "{{\"number\":\"318800000000042\",\"message\":\"{message}\",\"attempt\":\"{attempt}\",\"wamid_hash\":\"{alias}\",\
             \"status\":\"{word}\",\"provider_at\":{}{pricing},\"received_at\":{}}}",
            second + after,
            at + after
        );
        ("provider", event("provider.status_reported", data))
    };
    let pricing = ",\"pricing\":{\"category\":\"utility\",\"model\":\"PMP\",\"kind\":\"regular\",\"billable\":true}";
    [
        ("request", event("request.submitted", request)),
        ("decision", event("decision.authorized", decision)),
        ("attempt", event("attempt.started", started)),
        ("attempt", event("attempt.accepted", accepted)),
        status("sent", 1_000_000, pricing),
        status("delivered", 2_000_000, pricing),
        status("read", 3_000_000, ""),
    ]
}

/// Appends the messages' events as they would interleave.
async fn tell(store: &EventStore, messages: usize) {
    let ids: Vec<Uuid> = (0..messages).map(|_| Uuid::new_v4()).collect();
    let mut lives: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(number, id)| life(*id, number).map(Some))
        .collect();
    let steps =
        (0..messages + 7 * IN_FLIGHT).flat_map(|now| (0..7).map(move |step| (now.checked_sub(step * IN_FLIGHT), step)));
    let mut append = Append::new();
    let mut count = 0;
    for (number, step) in steps {
        let Some(number) = number.filter(|number| *number < messages) else {
            continue;
        };
        let (category, event) = lives[number][step].take().unwrap();
        append = append.write(StreamId::new(category, ids[number]), Expected::Any, [event]);
        count += 1;
        // Fewer than are in flight: no stream comes twice.
        if count == IN_FLIGHT {
            store.append(SHARD, std::mem::take(&mut append)).await.unwrap();
            count = 0;
        }
    }
    if count > 0 {
        store.append(SHARD, append).await.unwrap();
    }
}

/// CPU seconds that a process used, those of its ended children included.
fn cpu_of(process: &str) -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else {
        return 0.0;
    };
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields[11..15]
        .iter()
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    ticks / TICKS_PER_SECOND
}

/// The server and all its children, by the server's own word for its process id.
async fn server_cpu(store: &EventStore) -> f64 {
    let Some(pool) = store.postgres() else { return 0.0 };
    let directory: String = sqlx::query_scalar("select current_setting('data_directory')")
        .fetch_one(pool)
        .await
        .unwrap();
    let file = std::fs::read_to_string(format!("{directory}/postmaster.pid")).unwrap_or_default();
    let server = file.lines().next().unwrap_or_default().to_owned();
    let mut total = cpu_of(&server);
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let process = entry.file_name().to_string_lossy().into_owned();
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().unwrap_or_default().split_whitespace().nth(1);
        if parent == Some(server.as_str()) && !server.is_empty() {
            total += cpu_of(&process);
        }
    }
    total
}

async fn measure(name: &str, store: &EventStore, events: usize, work: impl Future<Output = ()>) {
    let (began, own, server) = (Instant::now(), cpu_of("self"), server_cpu(store).await);
    work.await;
    let seconds = began.elapsed().as_secs_f64();
    let (own, server) = (cpu_of("self") - own, server_cpu(store).await - server);
    let events = events as f64;
    println!(
        "{name:34} {:7.0} events/s   CPU per event: own {:5.1} µs, server {:5.1} µs   per message {:6.1} µs",
        events / seconds,
        own * 1e6 / events,
        server * 1e6 / events,
        (own + server) * 7e6 / events
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let messages: usize = arguments.first().map_or(15_000, |count| count.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let database = match arguments.get(1) {
        Some(server) => {
            let name = format!("fold_{}", Uuid::new_v4().simple());
            let pool = sqlx::PgPool::connect(server).await.unwrap();
            let create = sqlx::AssertSqlSafe(format!("create database {name}"));
            sqlx::query(create).execute(&pool).await.unwrap();
            Database::postgres(format!("{}/{name}", server.rsplit_once('/').unwrap().0))
        }
        None => Database::sqlite(dir.path()),
    };
    let config = StoreConfig::new(database);
    EventStore::migrate(&config).await.unwrap();
    let store = EventStore::connect(&config).await.unwrap();
    let views = Views::open(&store).await.unwrap();
    tell(&store, messages).await;
    let events = store.head(SHARD).await.unwrap() as usize;
    measure("reading the log alone, by 500", &store, events, async {
        let mut position = 0;
        while let Some(last) = store.read_shard(SHARD, position, 500).await.unwrap().last() {
            position = last.position;
        }
    })
    .await;
    for batch in [100, 250, 500, 1_000] {
        if batch > 100 {
            // Thrown away and begun again.
            for table in ["messages", "funnel", "quality_days"] {
                clear(&store, &format!("delete from S.{table}")).await;
            }
            clear(&store, "update S.positions set position = 0, epoch = epoch + 1").await;
        }
        let fold = async {
            views.catch_up(SHARD, batch).await.unwrap();
        };
        measure(&format!("keeping all views, batches of {batch}"), &store, events, fold).await;
    }
    let before = views.digest(SHARD, View::Messages).await.unwrap();
    let rebuild = async {
        views.rebuild(&View::ALL, |_| {}).await.unwrap();
    };
    measure("rebuilding all views", &store, events, rebuild).await;
    assert_eq!(views.digest(SHARD, View::Messages).await.unwrap(), before);
}

async fn clear(store: &EventStore, statement: &str) {
    match (store.postgres(), store.sqlite()) {
        (Some(pool), _) => {
            let sql = sqlx::AssertSqlSafe(statement.replace("S.", "assent_views."));
            sqlx::query(sql).execute(pool).await.unwrap();
        }
        (None, Some(pool)) => {
            let sql = sqlx::AssertSqlSafe(statement.replace("S.", ""));
            sqlx::query(sql).execute(pool).await.unwrap();
        }
        (None, None) => unreachable!(),
    }
}
