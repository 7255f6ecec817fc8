-- Keys of a flush are looked up one by one. As `not exists` they were joined, and a plan made while the key table was
-- small went on to read all of it, for every flush, once it was not.
create or replace function assent_log.append(
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
         where (select s.key_id from assent_keys.keys s
                where s.key_id = k.key and (s.expires_at is null or s.expires_at > now())) is null;
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
