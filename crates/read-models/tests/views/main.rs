//! What the read models promise, asked of both databases by the same tests.
//!
//! `cargo test` asks SQLite. With `ASSENT_TEST_POSTGRES_URL` set, as `tests/run` does, Postgres is asked too.

#![expect(
    clippy::unwrap_used,
    reason = "a test; clippy only knows the functions marked as tests"
)]

mod answers;
mod blocked;
mod rebuild;
mod same;
mod stores;
mod story;

/// Makes a module of tests for each database out of functions that take a fresh store.
#[macro_export]
macro_rules! contract {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::stores::TestStores::sqlite()).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let Some(stores) = $crate::stores::TestStores::postgres() else { return };
                super::$test(stores).await;
            })+
        }
    };
}
