-- One flush: the appends of many callers, in one statement that is its own transaction.
--
-- The lock orders the flushes of a shard and is held until the transaction is visible. The function is VOLATILE and runs
-- under READ COMMITTED, so each statement after the lock sees everything that the flush before it committed. Made STABLE,
-- or run under REPEATABLE READ, it would number events twice.
--
-- Streams, checks, keys and events come as parallel arrays, unnested once each: a join of two unnests is quadratic.
-- A check or key names the group that fails with it; the events of failed groups are left out and the rest is numbered
-- as if they had never come.
create function assent_log.append(
    p_shard smallint, p_flush uuid, p_recorded_at timestamptz,
    p_known_head bigint,                    -- s_cached holds at this head; -1: nowhere
    s_stream uuid[], s_category text[], s_cached integer[],
    c_stream integer[], c_group integer[], c_version integer[],
    k_key uuid[], k_group integer[],
    e_group integer[], e_index integer[], e_rank integer[],
    e_stream uuid[], e_category text[], e_id uuid[], e_type text[], e_schema smallint[],
    e_data bytea[], e_meta bytea[], e_digest bytea[],
    out done_before boolean, out base bigint, out heads integer[], out gone integer[]
) language plpgsql volatile as $$
declare
    previous bytea;
    failed   integer[];
    ranks    integer[] := e_rank;
    ordinals integer[];
    count    integer := cardinality(e_rank);
begin
    perform pg_advisory_xact_lock(1095980883, p_shard);

    select last, hash into base, previous from assent_log.chain where shard = p_shard order by last desc limit 1;
    if base is null then
        base := 0;
        previous := '\x0000000000000000000000000000000000000000000000000000000000000000';
    end if;
    -- Only a flush that is tried again can have run before, and then others may have followed it.
    done_before := base <> p_known_head
        and exists (select from assent_log.chain where shard = p_shard and flush_id = p_flush);
    if done_before then
        return;
    end if;

    if base = p_known_head and not (-1 = any (s_cached)) then
        heads := s_cached;
    else
        select array_agg(case when base = p_known_head and s.cached >= 0 then s.cached else coalesce((
                   select version from assent_log.events
                   where shard = p_shard and stream = s.stream and category = s.category
                   order by version desc limit 1), 0) end order by s.ord)
          into heads
          from unnest(s_stream, s_category, s_cached) with ordinality s (stream, category, cached, ord);
    end if;

    if cardinality(k_key) > 0 then
        select array_agg(k.ord - 1) into gone
          from unnest(k_key) with ordinality k (key, ord)
         where not exists (select from assent_keys.keys
                           where key_id = k.key and (expires_at is null or expires_at > now()));
    end if;

    if cardinality(c_stream) > 0 then
        select array_agg(distinct c.grp) into failed
          from unnest(c_stream, c_group, c_version) c (idx, grp, version)
         where heads[c.idx] <> c.version;
    end if;
    if gone is not null then
        select array_agg(distinct grp) into failed
          from (select unnest(failed) grp union all select k_group[g + 1] from unnest(gone) g) f;
    end if;

    if failed is not null then
        select array_agg(case when a.alive then a.rank end order by a.ord),
               array_agg(case when a.alive then a.ordinal end order by a.ord),
               count(*) filter (where a.alive)
          into ranks, ordinals, count
          from (select e.ord, b.alive,
                       row_number() over (partition by b.alive, e.idx order by e.ord) as rank,
                       row_number() over (partition by b.alive order by e.ord) as ordinal
                  from unnest(e_group, e_index) with ordinality e (grp, idx, ord)
                 cross join lateral (select e.grp <> all (failed) as alive offset 0) b) a;
        if count = 0 then
            return;
        end if;
    end if;

    insert into assent_log.events
        (shard, schema_version, version, position, recorded_at, stream, event_id, category, type, data, meta)
    select p_shard, e.schema, heads[e.idx] + e.rank, base + coalesce(e.ordinal, e.ord), p_recorded_at,
           e.stream, e.id, e.category, e.type, e.data, e.meta
      from unnest(e_index, ranks, ordinals, e_stream, e_category, e_id, e_type, e_schema, e_data, e_meta)
           with ordinality e (idx, rank, ordinal, stream, category, id, type, schema, data, meta, ord)
     where e.rank is not null;

    insert into assent_log.chain (shard, first, last, flush_id, hash, digests)
    select p_shard, base + 1, base + count, p_flush,
           sha256(previous || int8send(base + 1) || int8send(base + count)
                  || string_agg(e.digest || int4send(heads[e.idx] + e.rank), '' order by e.ord)),
           string_agg(substr(e.digest, 1, 8), '' order by e.ord)
      from unnest(e_index, ranks, e_digest) with ordinality e (idx, rank, digest, ord)
     where e.rank is not null;
end $$;
