-- Who reads, how far they got, and who leads. Nothing here is worth a backup: it is all found again.
create schema assent_feed;

create table assent_feed.leases (
    name        text        collate "C" not null,
    shard       smallint    not null,
    owner       uuid        not null,
    fence       bigint      not null,       -- grows by one with each new owner
    lease_until timestamptz not null,
    primary key (name, shard)
);

create table assent_feed.checkpoints (
    name       text        collate "C" not null,
    shard      smallint    not null,
    position   bigint      not null,        -- everything up to here is done
    fence      bigint      not null,        -- of the lease that wrote it
    updated_at timestamptz not null default now(),
    primary key (name, shard)
);
