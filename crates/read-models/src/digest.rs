//! A fingerprint of what a view says, to tell whether two of them say the same.

use assent_event_store::ShardId;
use aws_lc_rs::digest::{Context, SHA256};
use futures::TryStreamExt as _;

use crate::{
    db::{Row, Value},
    error::QueryError,
    schema::{Kind, Meeting, Table, View},
    views::Views,
};

impl Views {
    /// A hash over what the rows of a view say, in the order of their keys. The same for the view that was kept and for one
    /// that was rebuilt, for whatever order and number of callbacks that lead to the same state, and after an erasure. Where in
    /// the log something stands, and when it was recorded, is not part of it.
    pub async fn digest(&self, shard: ShardId, view: View) -> Result<[u8; 32], QueryError> {
        let mut hash = Context::new(&SHA256);
        for table in view.tables() {
            hash.update(table.name.as_bytes());
            let sql = table.contents(self.db.dialect());
            let mut rows = std::pin::pin!(self.db.stream(&sql, &[Value::Int(i64::from(shard.0))]));
            while let Some(row) = rows.try_next().await? {
                add_row(&mut hash, table, &row)?;
            }
        }
        let digest = hash.finish();
        Ok(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// Each value with its kind and length before it, so that no two rows look alike by accident.
fn add_row(hash: &mut Context, table: &Table, row: &Row) -> Result<(), QueryError> {
    let columns = table.columns.iter().filter(|column| column.in_digest);
    for (index, column) in columns.enumerate() {
        match column.kind {
            Kind::Int => match row.maybe_int(index)? {
                Some(value) => add_value(hash, b'i', &value.to_be_bytes()),
                None => add_value(hash, b'n', &[]),
            },
            Kind::Text => match row.maybe_text(index)? {
                Some(value) => add_value(hash, b't', value.as_bytes()),
                None => add_value(hash, b'n', &[]),
            },
            Kind::Blob => add_value(hash, b'b', row.blob(index)?),
            Kind::Uuid => add_value(hash, b'u', row.uuid(index)?.as_bytes()),
        }
        debug_assert!(column.meeting != Meeting::Add || column.kind == Kind::Int);
    }
    Ok(())
}

fn add_value(hash: &mut Context, kind: u8, bytes: &[u8]) {
    hash.update(&[kind]);
    hash.update(&(bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}
