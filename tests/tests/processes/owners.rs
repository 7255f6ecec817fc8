//! Every event was appended by the owner of its category (I2), and the database says so, not the event.

use std::collections::BTreeSet;

use assent_domain::events::{StreamCategory, owner_of};
use assent_proto::v1;
use assent_tests::system::{SystemConfig, people};
use sqlx::{Connection as _, PgConnection};

use crate::{
    callbacks::{inbound_text, signed},
    support::{PATIENCE, send_until_acknowledged, servers_are_here, start, wait_until_ended},
};

/// Notes which login wrote events of which category.
const WITNESS: &str = "
    create table public.witness (category text, login text, primary key (category, login));
    create function public.note_writer() returns trigger language plpgsql as $$
    begin
        insert into public.witness select distinct category, session_user::text from written on conflict do nothing;
        return null;
    end $$;
    create trigger note_writer after insert on assent_log.events referencing new table as written
        for each statement execute function public.note_writer()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i2_every_event_was_appended_by_the_owner_of_its_category() {
    const PEOPLE: usize = 20;
    if !servers_are_here() {
        return;
    }
    let config = SystemConfig {
        database_user_per_role: true,
        database_prelude: Some(WITNESS),
        ..SystemConfig::default()
    };
    let system = start(config, PEOPLE).await;
    let client = system.client(0).unwrap();
    let from = &system.tenants[0].phone_number_id;
    let mut messages = Vec::new();
    for person in 0..PEOPLE {
        let request = people::send_request(&format!("owned-{person}"), from, person, v1::WaitFor::Decision);
        messages.push(send_until_acknowledged(&client, request).await);
    }
    // One who writes and one who withdraws, so that the other ways in are used too.
    let http = reqwest::Client::new();
    let body = inbound_text(&system, 0, &people::phone_number(1), "wamid.OWNERS1", "Is it ready?").to_string();
    assert!(
        signed(&http, &system, 0, body.as_bytes())
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    let withdrawal = v1::RecordOptOutRequest {
        contact: Some(people::recipient(2)),
        ..v1::RecordOptOutRequest::default()
    };
    client.consent.clone().record_opt_out(withdrawal).await.unwrap();
    wait_until_ended(&client, &messages, PATIENCE).await;

    let mut connection = PgConnection::connect(system.database_url()).await.unwrap();
    let seen: Vec<(String, String)> = sqlx::query_as("select category, login from public.witness order by 1, 2")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    for (category, login) in &seen {
        let category: StreamCategory = category.parse().unwrap();
        assert_eq!(
            owner_of(category).as_str(),
            login,
            "{category:?} was written by {login}"
        );
    }
    let written: BTreeSet<&str> = seen.iter().map(|(category, _)| category.as_str()).collect();
    for needed in [
        "request", "provider", "contact", "decision", "attempt", "number", "template",
    ] {
        assert!(
            written.contains(needed),
            "nothing of category {needed} was written: {written:?}"
        );
    }
    let unseen: i64 = sqlx::query_scalar(
        "select count(*) from (select distinct category from assent_log.events) e
         where category not in (select category from public.witness)",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(unseen, 0, "the witness saw every category");
    connection.close().await.unwrap();
}
