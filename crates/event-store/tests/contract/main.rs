//! What the log promises, asked of both databases by the same tests.
//!
//! `cargo test` asks SQLite. With `ASSENT_TEST_POSTGRES_URL` set, as `tests/run` does, Postgres is asked too.

#![expect(
    clippy::unwrap_used,
    reason = "a test; clippy only knows the functions marked as tests"
)]

mod append;
mod open;
mod read;
mod stores;
mod upcast;
mod verify;

/// Makes a module of tests for each database out of functions that take a fresh store.
#[macro_export]
macro_rules! contract {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::stores::TestStore::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let Some(store) = $crate::stores::TestStore::postgres().await else { return };
                super::$test(store).await;
            })+
        }
    };
}
