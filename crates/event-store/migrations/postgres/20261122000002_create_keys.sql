-- Data keys, wrapped by the master key. A schema of its own, because it is backed up apart and for a short time only:
-- a key that was destroyed must not come back with a backup.
create schema assent_keys;

create table assent_keys.keys (
    key_id     uuid        primary key,
    alias      bytea       not null,        -- keyed hash of whom it belongs to
    class      text        collate "C" not null,
    period     text        collate "C" not null, -- '2026-11' for content keys, else ''
    wrapped    bytea       not null,        -- the key, encrypted by the master key
    master     text        collate "C" not null, -- which master key
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    constraint keys_aliases_key unique (alias, class, period)
);
create index idx_keys_expires_at on assent_keys.keys (expires_at) where expires_at is not null;
create index idx_keys_master on assent_keys.keys (master);
