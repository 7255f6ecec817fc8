-- One flush: the appends of many callers, in one statement that is its own transaction.
--
-- The lock orders the flushes of a shard and is held until the transaction is visible. The function is VOLATILE and runs
-- under READ COMMITTED, so each statement after the lock sees everything that the flush before it committed. Made STABLE,
-- or run under REPEATABLE READ, it would number events twice.
--
-- Streams, checks, keys and events come as parallel arrays, unnested once each: a join of two unnests is quadratic.
-- Each check or key names the group that fails with it; the events of failed groups are left out and the rest is numbered
-- as if they had never come.
--
-- Looking up whether a new stream is really new costs a fifth of a flush and almost always says yes. The caller may ask
-- to *assume* it (trust 2): then the unique index is the check, and only if that objects is everything looked up.
create function assent_log.append(
    p_shard smallint, p_flush uuid, p_recorded_at timestamptz,
    p_known_head bigint,                    -- -1: none
    p_again boolean,                        -- this flush may have run before
    s_stream uuid[], s_category text[],
    s_version integer[],                    -- what the caller believes
    s_trust smallint[],                     -- 0: look it up; 1: right if the head is the known one; 2: assume it
    c_stream integer[], c_group integer[], c_version integer[],
    k_key uuid[], k_group integer[],
    e_group integer[], e_index integer[], e_rank integer[],
    e_stream uuid[], e_category text[], e_id uuid[], e_type text[], e_schema smallint[],
    e_data bytea[], e_meta bytea[],
    p_digests bytea,                        -- 32 bytes an event
    p_kept bytea,                           -- the first 8 of each
    out done_before boolean, out base bigint, out heads integer[], out gone integer[]
) language plpgsql volatile as $$
declare
    previous bytea;
    trust    smallint[];
begin
    perform pg_advisory_xact_lock(1095980883, p_shard);

    select last, hash into base, previous from assent_log.chain where shard = p_shard order by last desc limit 1;
    if base is null then
        base := 0;
        previous := '\x0000000000000000000000000000000000000000000000000000000000000000';
    end if;
    -- A flush that is tried again may have run before. One that was tried again may yet arrive for the first time, out of
    -- a network that held it up: if the later try wrote, the chain has its id, and if it did not, the voids have.
    done_before := exists (select from assent_log.voids where flush_id = p_flush)
        or (p_again or base <> p_known_head)
           and exists (select from assent_log.chain where shard = p_shard and flush_id = p_flush);
    if done_before then
        return;
    end if;

    if cardinality(k_key) > 0 then
        select array_agg(k.ord - 1) into gone
          from unnest(k_key) with ordinality k (key, ord)
         where not exists (select from assent_keys.keys
                           where key_id = k.key and (expires_at is null or expires_at > now()));
    end if;

    trust := case when base = p_known_head then s_trust else array_replace(s_trust, 1::smallint, 0::smallint) end;
    if 2 = any (trust) then
        begin
            heads := assent_log.write(p_shard, p_flush, p_recorded_at, base, previous, s_stream, s_category, s_version, trust,
                c_stream, c_group, c_version, k_group, gone, e_group, e_index, e_rank, e_stream, e_category, e_id, e_type,
                e_schema, e_data, e_meta, p_digests, p_kept);
            trust := null;
        exception when unique_violation then
            -- One of the streams is not new after all. Look all of them up.
            trust := array_replace(trust, 2::smallint, 0::smallint);
        end;
    end if;
    if trust is not null then
        heads := assent_log.write(p_shard, p_flush, p_recorded_at, base, previous, s_stream, s_category, s_version, trust,
            c_stream, c_group, c_version, k_group, gone, e_group, e_index, e_rank, e_stream, e_category, e_id, e_type,
            e_schema, e_data, e_meta, p_digests, p_kept);
    end if;

    if p_again and not exists (select from assent_log.chain where shard = p_shard and flush_id = p_flush) then
        insert into assent_log.voids (flush_id) values (p_flush);
    end if;
end $$;

-- The part of a flush that may have to be done twice; gives the versions of the streams before it.
create function assent_log.write(
    p_shard smallint, p_flush uuid, p_recorded_at timestamptz, base bigint, previous bytea,
    s_stream uuid[], s_category text[], s_version integer[], s_trust smallint[],
    c_stream integer[], c_group integer[], c_version integer[], k_group integer[], gone integer[],
    e_group integer[], e_index integer[], e_rank integer[],
    e_stream uuid[], e_category text[], e_id uuid[], e_type text[], e_schema smallint[],
    e_data bytea[], e_meta bytea[], digests bytea, kept bytea,
    out heads integer[]
) language plpgsql volatile as $$
declare
    failed   integer[];
    versions integer[];
    ordinals integer[];
    written  integer := cardinality(e_rank);
    all_of   bytea := digests;
begin
    if 0 = any (s_trust) then
        select array_agg(case when s.trust <> 0 then s.version else coalesce((
                   select e.version from assent_log.events e
                   where e.shard = p_shard and e.stream = s.stream and e.category = s.category
                   order by e.version desc limit 1), 0) end order by s.ord)
          into heads
          from unnest(s_stream, s_category, s_version, s_trust) with ordinality s (stream, category, version, trust, ord);
    else
        heads := s_version;
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

    if failed is null then
        select array_agg(heads[e.idx] + e.rank order by e.ord) into versions
          from unnest(e_index, e_rank) with ordinality e (idx, rank, ord);
        -- In the target list the arrays advance in step and need no tuple store each: a fifth less than in `from`.
        insert into assent_log.events
            (shard, schema_version, version, position, recorded_at, stream, event_id, category, type, data, meta)
        select p_shard, unnest(e_schema), unnest(versions), generate_series(base + 1, base + written), p_recorded_at,
               unnest(e_stream), unnest(e_id), unnest(e_category), unnest(e_type), unnest(e_data), unnest(e_meta);
    else
        select array_agg(case when a.alive then heads[a.idx] + a.rank end order by a.ord),
               array_agg(case when a.alive then a.ordinal end order by a.ord),
               count(*) filter (where a.alive),
               string_agg(substr(all_of, 32 * a.ord - 31, 32), '' order by a.ord) filter (where a.alive),
               string_agg(substr(all_of, 32 * a.ord - 31, 8), '' order by a.ord) filter (where a.alive)
          into versions, ordinals, written, digests, kept
          from (select e.ord::integer as ord, e.idx, b.alive,
                       row_number() over (partition by b.alive, e.idx order by e.ord)::integer as rank,
                       row_number() over (partition by b.alive order by e.ord)::integer as ordinal
                  from unnest(e_group, e_index) with ordinality e (grp, idx, ord)
                 cross join lateral (select e.grp <> all (failed) as alive offset 0) b) a;
        if written = 0 then
            return;
        end if;
        insert into assent_log.events
            (shard, schema_version, version, position, recorded_at, stream, event_id, category, type, data, meta)
        select p_shard, e.schema, e.version, base + e.ordinal, p_recorded_at,
               e.stream, e.id, e.category, e.type, e.data, e.meta
          from unnest(versions, ordinals, e_stream, e_category, e_id, e_type, e_schema, e_data, e_meta)
               e (version, ordinal, stream, category, id, type, schema, data, meta)
         where e.ordinal is not null;
    end if;

    insert into assent_log.chain (shard, first, last, flush_id, hash, digests)
    values (p_shard, base + 1, base + written, p_flush,
            sha256(previous || int8send(base + 1) || int8send(base + written)
                   || int8send((extract(epoch from p_recorded_at) * 1000000)::bigint)
                   || digests || array_send(array_remove(versions, null))),
            kept);
end $$;
