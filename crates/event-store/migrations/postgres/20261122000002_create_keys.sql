-- Data keys, wrapped by a master key. A schema of its own, because it is backed up apart and for a short time only:
-- a key that was destroyed must not come back with a backup.
create schema assent_keys;

create table assent_keys.keys (
    key_id     uuid        primary key,
    alias      bytea       not null,        -- keyed hash of whom it belongs to
    class      text        collate "C" not null,
    period     text        collate "C" not null, -- when it seals: '2026-11' for content, '' for identity
    wrapped    bytea       not null,        -- the key, encrypted by the master key
    master     text        collate "C" not null, -- which master key
    created_at timestamptz not null,
    expires_at timestamptz,
    constraint keys_aliases_key unique (alias, class, period)
);
create index idx_keys_expires_at on assent_keys.keys (expires_at) where expires_at is not null;
create index idx_keys_master on assent_keys.keys (master);

-- A deleted row stays in the file until it is vacuumed: let that be soon, however large the table is.
alter table assent_keys.keys set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- Many keys in one round trip, made where there are none. Callers sort by alias, class and period, so that two that
-- make the same keys wait for each other and do not deadlock. A key that is destroyed between the two statements is
-- missing from the answer.
create function assent_keys.obtain(
    p_alias bytea[], p_class text[], p_period text[], p_expires_at timestamptz[], p_key uuid[], p_wrapped bytea[],
    p_master text, p_now timestamptz
) returns table (ord bigint, key_id uuid, wrapped bytea, master text, expires_at timestamptz)
language plpgsql volatile as $$
#variable_conflict use_column
begin
    -- The scalar subquery is looked up row by row; `not exists` may be planned as a join that reads the whole table.
    insert into assent_keys.keys (key_id, alias, class, period, wrapped, master, created_at, expires_at)
    select w.key, w.alias, w.class, w.period, w.wrapped, p_master, p_now, w.expires_at
      from unnest(p_alias, p_class, p_period, p_expires_at, p_key, p_wrapped)
           with ordinality w (alias, class, period, expires_at, key, wrapped, ord)
     where (select k.key_id from assent_keys.keys k
            where k.alias = w.alias and k.class = w.class and k.period = w.period) is null
     order by w.ord
    on conflict on constraint keys_aliases_key do nothing;
    if found then
        -- Whatever is sealed with the new keys is committed later, to the same write-ahead log, and takes them along.
        perform set_config('synchronous_commit', 'off', true);
    end if;
    return query
        select w.ord, k.key_id, k.wrapped, k.master, k.expires_at
          from unnest(p_alias, p_class, p_period) with ordinality w (alias, class, period, ord)
         cross join lateral (select * from assent_keys.keys s
                             where s.alias = w.alias and s.class = w.class and s.period = w.period offset 0) k;
end $$;

-- Whoever changes or deletes keys does it alone: rows are locked in no particular order.
create function assent_keys.lock_changes() returns void language sql volatile as $$
    select pg_advisory_xact_lock(1095980883, -1);
$$;

-- Holds back the flushes of every shard until the deletion before it is committed. An append whose flush came first is
-- in the log already; any later one finds its key gone.
create function assent_keys.lock_appends() returns void language plpgsql volatile as $$
begin
    for shard in 0 .. (select shards - 1 from assent_log.store) loop
        perform pg_advisory_xact_lock(1095980883, shard);
    end loop;
end $$;

-- The appends wait for the commit only, not for the deletion: nobody sees that before.
create function assent_keys.destroy(p_alias bytea[], p_class text[], p_created_until timestamptz) returns uuid[]
language plpgsql volatile as $$
declare
    destroyed uuid[];
begin
    perform assent_keys.lock_changes();
    with deleted as (
        delete from assent_keys.keys
         where alias = any (p_alias) and class = any (p_class)
           and (p_created_until is null or created_at <= p_created_until)
        returning key_id)
    select coalesce(array_agg(key_id), '{}') into destroyed from deleted;
    if cardinality(destroyed) > 0 then
        perform assent_keys.lock_appends();
    end if;
    return destroyed;
end $$;

create function assent_keys.expire(p_now timestamptz, p_limit integer) returns bigint
language plpgsql volatile as $$
declare
    expired uuid[];
begin
    perform assent_keys.lock_changes();
    select coalesce(array_agg(key_id), '{}') into expired
      from (select key_id from assent_keys.keys where expires_at <= p_now order by expires_at limit p_limit) e;
    if cardinality(expired) > 0 then
        delete from assent_keys.keys where key_id = any (expired);
        perform assent_keys.lock_appends();
    end if;
    return cardinality(expired);
end $$;

-- Puts keys under another master key. One that was destroyed or rewrapped meanwhile is left as it is.
create function assent_keys.rewrap(p_key uuid[], p_was text[], p_wrapped bytea[], p_master text) returns bigint
language plpgsql volatile as $$
declare
    rewrapped bigint := 0;
begin
    perform assent_keys.lock_changes();
    for i in 1 .. cardinality(p_key) loop
        update assent_keys.keys set wrapped = p_wrapped[i], master = p_master
         where key_id = p_key[i] and master = p_was[i];
        if found then
            rewrapped := rewrapped + 1;
        end if;
    end loop;
    return rewrapped;
end $$;
