-- The log: insert-only events, one chain row a flush, and the function that writes both in one round trip.
create schema assent_log;

create table assent_log.store (
    one      boolean  primary key default true check (one),
    store_id uuid     not null default gen_random_uuid(),
    format   smallint not null,             -- raised only by a change that older programs cannot work with
    shards   smallint not null check (shards between 1 and 256)
);

create table assent_log.events (
    shard          smallint    not null,
    schema_version smallint    not null,
    version        integer     not null,    -- 1, 2, 3 … in its stream
    position       bigint      not null,    -- 1, 2, 3 … in its shard, without holes, in commit order
    recorded_at    timestamptz not null,    -- one value a flush
    stream         uuid        not null,
    event_id       uuid        not null,
    category       text        collate "C" not null,
    type           text        collate "C" not null,
    data           bytea       not null,    -- JSON, personal fields sealed
    meta           bytea       not null,    -- JSON: actor, causation, trace
    primary key (shard, position),
    -- The key before the category: the streams of one message lie side by side.
    constraint events_streams_key unique (shard, stream, category, version)
);
-- Sealed data does not compress; do not try.
alter table assent_log.events alter column data set storage external, alter column meta set storage external;

create table assent_log.chain (
    shard    smallint not null,
    first    bigint   not null,
    last     bigint   not null,
    flush_id uuid     not null,
    hash     bytea    not null,             -- SHA-256 over the hash before it and the events of the flush
    digests  bytea    not null,             -- the first 8 bytes of each event's own digest
    primary key (shard, last),
    constraint chain_flushes_key unique (shard, flush_id)
);

-- Eight bytes an event do not compress, and up to half a page of them stays in the row.
alter table assent_log.chain alter column digests set storage main;

-- Flushes that were tried again and wrote nothing: their first try must not write either, should it still arrive.
create table assent_log.voids (
    flush_id  uuid        primary key,
    voided_at timestamptz not null default now()
);

create function assent_log.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the log is append-only: % of %.% is refused', lower(tg_op), tg_table_schema, tg_table_name
        using errcode = 'restrict_violation';
end $$;

create trigger events_refuse_change before update or delete or truncate on assent_log.events
    for each statement execute function assent_log.refuse_change();
create trigger chain_refuse_change before update or delete or truncate on assent_log.chain
    for each statement execute function assent_log.refuse_change();

-- For people with psql.
create view assent_log.readable as
    select shard, position, category || '-' || replace(stream::text, '-', '') as stream, version, type, schema_version,
           recorded_at, convert_from(data, 'UTF8') as data, convert_from(meta, 'UTF8') as meta
    from assent_log.events;
