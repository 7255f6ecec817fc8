//! The log: append, read, verify, sealed data, feeds and the JetStream relay, over Postgres and SQLite.
