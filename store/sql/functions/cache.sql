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

-- Counts one hit if fewer than `p_max` fell into the last `p_window_seconds`. Sliding window of two counters: hits of the
-- fixed window before count by the share of it that the sliding one still covers (https://blog.cloudflare.com/
-- counting-things-a-lot-of-different-things). `reset_seconds` is the time until the next hit would be let through: 0 as
-- long as any are left. The row's lock makes it exact across connections.
create or replace function labelcrew_api.hit_rate_limit(p_key text, p_max int, p_window_seconds int) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_window interval := make_interval(secs => p_window_seconds);
  v_row labelcrew.rate_limits;
  v_now timestamptz;
  v_start timestamptz;
  v_elapsed float8;  -- share of the window now that has passed
  v_used float8;
  v_allowed bool;
  v_wait float8 := 0;
begin
  if p_max < 1 or p_window_seconds < 1 then
    perform labelcrew.fail('invalid', 'a rate limit needs at least one hit in at least one second');
  end if;
  insert into labelcrew.rate_limits (key, window_start, hits) values (p_key, 'epoch', 0) on conflict (key) do nothing;
  select * into v_row from labelcrew.rate_limits r where r.key = p_key for update;
  -- Read after the lock was waited for, so that no two calls see time run backwards.
  v_now := labelcrew.now() + (clock_timestamp() - statement_timestamp());
  v_start := date_bin(v_window, v_now, 'epoch');
  if v_row.window_start < v_start then
    v_row.hits_before := case when v_row.window_start = v_start - v_window then v_row.hits else 0 end;
    v_row.hits := 0;
    v_row.window_start := v_start;
  end if;
  v_elapsed := greatest(0, extract(epoch from v_now - v_row.window_start) / p_window_seconds);
  v_used := v_row.hits + v_row.hits_before * (1 - v_elapsed);
  v_allowed := v_used + 1 <= p_max;
  if v_allowed then
    v_row.hits := v_row.hits + 1;
    v_used := v_used + 1;
  end if;
  update labelcrew.rate_limits r
  set window_start = v_row.window_start, hits = v_row.hits, hits_before = v_row.hits_before
  where r.key = p_key;
  if v_used + 1 > p_max then
    if v_row.hits + 1 <= p_max then
      v_wait := 1 - (p_max - 1 - v_row.hits)::float8 / v_row.hits_before - v_elapsed;
    else
      v_wait := 1 - v_elapsed + greatest(0, 1 - (p_max - 1)::float8 / v_row.hits);
    end if;
  end if;
  return jsonb_build_object(
    'allowed', v_allowed,
    'remaining', greatest(0, floor(p_max - v_used))::int,
    'reset_seconds', round((greatest(0, v_wait) * p_window_seconds)::numeric, 3)
  );
end
$$;
