//! A server that would lose what it acknowledged is not used at all.

use assent_event_store::{ConnectError, Database, EventStore, StoreConfig};
use assent_tests::servers::{self, PostgresServer, Server};

#[tokio::test]
async fn a_server_with_fsync_off_is_refused() {
    if !servers::require(&[Server::Postgres]) {
        return;
    }
    for setting in ["fsync", "full_page_writes"] {
        let server = PostgresServer::start_with(&[(setting, "off")]).await.unwrap();
        let url = server.create_database("log").await.unwrap();
        let config = StoreConfig::new(Database::postgres(url));
        EventStore::migrate(&config).await.unwrap();
        let error = EventStore::connect(&config).await.unwrap_err();
        assert!(
            matches!(error, ConnectError::NotDurable { setting: named } if named == setting),
            "{error}"
        );
        assert!(error.to_string().contains(setting), "{error}");
    }
}
