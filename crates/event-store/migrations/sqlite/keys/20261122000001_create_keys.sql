-- Data keys, wrapped by a master key. A file of its own, because it is backed up apart and for a short time only:
-- a key that was destroyed must not come back with a backup.
create table keys (
    key_id     blob    primary key,
    alias      blob    not null,            -- keyed hash of whom it belongs to
    class      text    not null,
    period     text    not null,            -- when it seals: '2026-11' for content, '' for identity
    wrapped    blob    not null,            -- the key, encrypted by the master key
    master     text    not null,            -- which master key
    created_at integer not null,            -- microseconds since the epoch
    expires_at integer,
    unique (alias, class, period)
) without rowid;
create index idx_keys_expires_at on keys (expires_at) where expires_at is not null;
create index idx_keys_master on keys (master);
