-- Who reads, how far they got, and who leads. In the file of the read models, so that a projection commits both at once.
create table leases (
    name        text    not null,
    shard       integer not null,
    owner       blob    not null,
    fence       integer not null,           -- grows by one with each new owner
    lease_until integer not null,           -- microseconds since the epoch
    primary key (name, shard)
) without rowid;

create table checkpoints (
    name       text    not null,
    shard      integer not null,
    position   integer not null,            -- everything up to here is done
    fence      integer not null,            -- of the lease that wrote it
    updated_at integer not null,
    primary key (name, shard)
) without rowid;
