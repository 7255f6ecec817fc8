-- Up to where the erasures in the log were carried out on these keys. It stands beside them, and not beside the log, so that it
-- goes back with them when they are restored from an older backup: what was erased since then is carried out again.
create table assent_keys.replayed (
    shard    smallint primary key,
    position bigint   not null
);
