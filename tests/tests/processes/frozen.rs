//! A database that is frozen gives no error: connections stay, and no answer comes.

use std::time::{Duration, Instant};

use assent_proto::v1;
use assent_tests::system::{Role, SystemConfig, people};

use crate::support::{
    assert_all_run, eventually, note, send_until_acknowledged, servers_are_here, start, wait_until_ended,
};

const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_service_says_ready_while_the_database_is_frozen_and_all_go_on_when_it_thaws() {
    if !servers_are_here() {
        return;
    }
    let mut system = start(SystemConfig::default(), 2).await;
    for role in Role::ALL {
        assert_eq!(system.not_ready_because(role).await.unwrap(), [""; 0], "{role}");
    }
    system.postgres.freeze();
    let frozen = Instant::now();
    for role in Role::ALL {
        eventually("it says that the database does not answer", async || {
            let because = system.not_ready_because(role).await.unwrap();
            because.iter().any(|name| name == "database")
        })
        .await;
        note(&format!(
            "{role}: not ready {:.1} s after the freeze at most",
            frozen.elapsed().as_secs_f64()
        ));
    }
    system.postgres.thaw();
    for role in Role::ALL {
        eventually("it is ready again", async || {
            system
                .not_ready_because(role)
                .await
                .is_ok_and(|because| because.is_empty())
        })
        .await;
    }
    let client = system.client(0).unwrap();
    let from = system.tenants[0].phone_number_id.clone();
    let request = people::send_request("after-the-freeze", &from, 1, v1::WaitFor::Accepted);
    let message = send_until_acknowledged(&client, request).await;
    wait_until_ended(&client, &[message], PATIENCE).await;
    assert_all_run(&mut system);
}
