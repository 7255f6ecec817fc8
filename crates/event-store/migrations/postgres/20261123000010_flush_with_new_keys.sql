-- As `append`, and two things more.
--
-- A flush may bring keys that its events are sealed with and that are not there yet: they are made in the same transaction, so
-- that no event outlives its key. A slot that has a key keeps it, and the one that was brought is among the gone. Whether the
-- flush has run before is known by then: a key that it made then and that was destroyed since does not come back.
--
-- And a stream may be assumed (trust 2) to be at any version that the caller has seen it at: streams only grow, so that the
-- unique index objects if it is not there any more. A log that is shorter than the caller has seen it is another one, and so may
-- be the one behind a new connection: there nothing is believed.
create function assent_log.flush(
    p_shard smallint, p_flush uuid, p_recorded_at timestamptz,
    p_known_head bigint,                    -- -1: none
    p_again boolean,                        -- this flush may have run before
    s_stream uuid[], s_category text[],
    s_version integer[],                    -- what the caller believes
    s_trust smallint[],                     -- 0: look it up; 1: right if the head is the known one; 2: assume it
    c_stream integer[], c_group integer[], c_version integer[],
    k_key uuid[], k_group integer[],
    -- New keys, sorted by alias, class and period, so that two flushes that make the same ones do not deadlock.
    n_key uuid[], n_alias bytea[], n_class text[], n_period text[], n_wrapped bytea[], n_master text[],
    n_created_at timestamptz[], n_expires_at timestamptz[],
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

    if cardinality(n_key) > 0 then
        -- Looked up first: an insert would wait for whoever is destroying the slot's key, who may be waiting for this flush.
        insert into assent_keys.keys (key_id, alias, class, period, wrapped, master, created_at, expires_at)
        select n.key, n.alias, n.class, n.period, n.wrapped, n.master, n.created_at, n.expires_at
          from unnest(n_key, n_alias, n_class, n_period, n_wrapped, n_master, n_created_at, n_expires_at)
               with ordinality n (key, alias, class, period, wrapped, master, created_at, expires_at, ord)
         where (select k.key_id from assent_keys.keys k
                where k.alias = n.alias and k.class = n.class and k.period = n.period) is null
         order by n.ord
        on conflict on constraint keys_aliases_key do nothing;
    end if;
    if cardinality(k_key) > 0 then
        select array_agg(k.ord - 1) into gone
          from unnest(k_key) with ordinality k (key, ord)
         where (select s.key_id from assent_keys.keys s
                where s.key_id = k.key and (s.expires_at is null or s.expires_at > now())) is null;
    end if;

    trust := case
        when p_again or base < p_known_head then array_fill(0::smallint, array[cardinality(s_trust)])
        when base = p_known_head then s_trust
        else array_replace(s_trust, 1::smallint, 0::smallint)
    end;
    if 2 = any (trust) then
        begin
            heads := assent_log.write(p_shard, p_flush, p_recorded_at, base, previous, s_stream, s_category, s_version, trust,
                c_stream, c_group, c_version, k_group, gone, e_group, e_index, e_rank, e_stream, e_category, e_id, e_type,
                e_schema, e_data, e_meta, p_digests, p_kept);
            trust := null;
        exception when unique_violation then
            -- One of the streams is not where it was assumed to be. Look all of them up.
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
