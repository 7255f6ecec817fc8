-- The log: insert-only events and one chain row a flush. The twin of the Postgres schema.
create table store (
    one      integer primary key default 1 check (one = 1),
    store_id blob    not null,
    format   integer not null,              -- raised only by a change that older programs cannot work with
    shards   integer not null check (shards between 1 and 256)
);

create table events (
    shard          integer not null,
    position       integer not null,        -- 1, 2, 3 … in its shard, without holes, in commit order
    stream         blob    not null,
    category       text    not null,
    version        integer not null,        -- 1, 2, 3 … in its stream
    event_id       blob    not null,
    type           text    not null,
    schema_version integer not null,
    recorded_at    integer not null,        -- microseconds since the epoch, one value a flush
    data           blob    not null,        -- JSON, personal fields sealed
    meta           blob    not null,        -- JSON: actor, causation, trace
    primary key (shard, position),
    unique (shard, stream, category, version)
);

create table chain (
    shard    integer not null,
    first    integer not null,
    last     integer not null,
    flush_id blob    not null,
    hash     blob    not null,
    digests  blob    not null,              -- the first 8 bytes of each event's own digest
    primary key (shard, last),
    unique (shard, flush_id)
);

create trigger events_refuse_update before update on events begin
    select raise(abort, 'the log is append-only: update of events is refused');
end;
create trigger events_refuse_delete before delete on events begin
    select raise(abort, 'the log is append-only: delete of events is refused');
end;
create trigger chain_refuse_update before update on chain begin
    select raise(abort, 'the log is append-only: update of chain is refused');
end;
create trigger chain_refuse_delete before delete on chain begin
    select raise(abort, 'the log is append-only: delete of chain is refused');
end;
