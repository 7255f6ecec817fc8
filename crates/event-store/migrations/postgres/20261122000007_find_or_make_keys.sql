-- As `obtain`, with fewer look-ups: what is there is looked up once, and only what is not is written. A key that this
-- call made comes back by its id alone, without `ord` and the rest: the caller has it already.
create function assent_keys.find_or_make(
    p_alias bytea[], p_class text[], p_period text[], p_expires_at timestamptz[], p_key uuid[], p_wrapped bytea[],
    p_master text, p_now timestamptz
) returns table (ord bigint, key_id uuid, wrapped bytea, master text, expires_at timestamptz)
language plpgsql volatile as $$
#variable_conflict use_column
declare
    missing integer;
    made    integer;
begin
    return query
        select w.ord, k.key_id, k.wrapped, k.master, k.expires_at
          from unnest(p_alias, p_class, p_period) with ordinality w (alias, class, period, ord)
         cross join lateral (select * from assent_keys.keys s
                             where s.alias = w.alias and s.class = w.class and s.period = w.period offset 0) k;
    get diagnostics missing = row_count;
    missing := cardinality(p_key) - missing;
    if missing = 0 then
        return;
    end if;

    -- Whatever is sealed with the new keys is committed later, to the same write-ahead log, and takes them along.
    perform set_config('synchronous_commit', 'off', true);
    return query
        insert into assent_keys.keys (key_id, alias, class, period, wrapped, master, created_at, expires_at)
        select w.key, w.alias, w.class, w.period, w.wrapped, p_master, p_now, w.expires_at
          from unnest(p_alias, p_class, p_period, p_expires_at, p_key, p_wrapped)
               with ordinality w (alias, class, period, expires_at, key, wrapped, ord)
         where (select k.key_id from assent_keys.keys k
                where k.alias = w.alias and k.class = w.class and k.period = w.period) is null
         order by w.ord
        on conflict on constraint keys_aliases_key do nothing
        returning null::bigint, key_id, null::bytea, null::text, null::timestamptz;
    get diagnostics made = row_count;
    if made < missing then
        -- Somebody else made some of them meanwhile.
        return query
            select w.ord, k.key_id, k.wrapped, k.master, k.expires_at
              from unnest(p_alias, p_class, p_period) with ordinality w (alias, class, period, ord)
             cross join lateral (select * from assent_keys.keys s
                                 where s.alias = w.alias and s.class = w.class and s.period = w.period offset 0) k;
    end if;
end $$;
