-- Completions that were paid for once, and rate limits that hold across processes. Both take no actor: they serve the
-- gateway and the workers themselves.

create or replace function labelcrew_api.get_completions(p_keys text[]) returns jsonb
language sql stable security definer set search_path = ''
as $$
  select coalesce(jsonb_object_agg(c.key, c.value), '{}')
  from labelcrew.completions c
  where c.key = any (p_keys) and (c.expires_at is null or c.expires_at > labelcrew.now())
$$;

-- Stores `[{key, value}]`, of equal keys the last, for `p_ttl_seconds` or for good; returns how many. Each call also
-- clears away a few that have expired, so the table does not only grow. Rows are taken in the order of their keys: two
-- calls with the same keys wait for each other rather than lock each other out.
create or replace function labelcrew_api.put_completions(p_rows jsonb, p_ttl_seconds int default null) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_stored int;
begin
  insert into labelcrew.completions as c (key, value, expires_at)
  select distinct on (r.key) r.key, r.value, v_now + make_interval(secs => p_ttl_seconds)
  from jsonb_array_elements(p_rows) with ordinality a (entry, n)
  cross join lateral (select a.entry ->> 'key' as key, a.entry -> 'value' as value) r
  order by r.key, a.n desc
  on conflict (key) do update set value = excluded.value, expires_at = excluded.expires_at;
  get diagnostics v_stored = row_count;
  delete from labelcrew.completions c
  where c.key in (
    select x.key from labelcrew.completions x where x.expires_at <= v_now limit 100 for update skip locked
  );
  return to_jsonb(v_stored);
end
$$;

-- Counts one hit if fewer than `p_max` (10,000 at most) fell into the last `p_window_seconds`. The hits themselves are
-- kept, so the window really slides: two counters, as is usual, let up to twice the limit through. The row's lock makes
-- it exact across connections. `reset_seconds` is the time until the next hit would pass: 0 as long as any are left.
create or replace function labelcrew_api.hit_rate_limit(p_key text, p_max int, p_window_seconds int) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_window interval := make_interval(secs => p_window_seconds);
  v_now timestamptz := labelcrew.now();
  v_hits timestamptz[];
  v_allowed bool;
begin
  if p_max not between 1 and 10000 or p_window_seconds < 1 then
    perform labelcrew.fail('invalid', 'a rate limit needs 1 to 10000 hits in at least one second');
  end if;
  insert into labelcrew.rate_limits (key, expires_at) values (p_key, v_now + v_window) on conflict (key) do nothing;
  if found then
    delete from labelcrew.rate_limits r
    where r.key in (
      select x.key from labelcrew.rate_limits x where x.expires_at <= v_now limit 20 for update skip locked
    );
  end if;
  select r.hits into v_hits from labelcrew.rate_limits r where r.key = p_key for update;
  -- Read anew after the lock was waited for: the calls of one key see time in the order in which they count.
  v_now := labelcrew.now() + (clock_timestamp() - statement_timestamp());
  v_hits := array(select h from unnest(v_hits) h where h > v_now - v_window order by h);
  v_allowed := cardinality(v_hits) < p_max;
  if v_allowed then
    v_hits := v_hits || v_now;
    update labelcrew.rate_limits r set hits = v_hits, expires_at = v_now + v_window where r.key = p_key;
  end if;
  return jsonb_build_object(
    'allowed', v_allowed,
    'remaining', greatest(0, p_max - cardinality(v_hits)),
    'reset_seconds', case
      when cardinality(v_hits) < p_max then 0
      else round(extract(epoch from v_hits[cardinality(v_hits) - p_max + 1] + v_window - v_now), 3)
    end
  );
end
$$;
