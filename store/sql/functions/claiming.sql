-- Claiming: which items a person is handed next, and in which order.

-- The sets of tags on open items that somebody with `p_skills` may take, those first whose next item is the most urgent.
create or replace function labelcrew.open_pools(p_dataset uuid, p_skills text[]) returns table (tags text[])
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan
as $$
begin
  return query
  with recursive pools as (
    (
      select i.tags, (- i.priority) as urgency, i.seq from labelcrew.items i
      where i.dataset_id = p_dataset and i.state in ('new', 'drafted', 'returned') and i.tags <> '{}'
      order by i.tags, (- i.priority), i.seq limit 1
    )
    union all
    select n.tags, n.urgency, n.seq
    from pools p cross join lateral (
      select i.tags, (- i.priority) as urgency, i.seq from labelcrew.items i
      where i.dataset_id = p_dataset and i.state in ('new', 'drafted', 'returned') and i.tags <> '{}' and i.tags > p.tags
      order by i.tags, (- i.priority), i.seq limit 1
    ) n
  )
  select p.tags from (
    select * from pools x where x.tags <@ p_skills
    union all
    (
      select i.tags, (- i.priority), i.seq from labelcrew.items i
      where i.dataset_id = p_dataset and i.state in ('new', 'drafted', 'returned') and i.tags = '{}'
      order by (- i.priority), i.seq limit 1
    )
  ) p order by p.urgency, p.seq;
end
$$;

-- What `p_actor` may take now of the items with exactly these tags, highest priority first, locked. `p_wait` waits for
-- rows that are locked rather than passing them. One plan a connection, in the order of the index, whatever the
-- statistics say.
create or replace function labelcrew.take_open_items(
  p_actor uuid, p_dataset uuid, p_tags text[], p_count int, p_overlap int, p_limit int, p_now timestamptz, p_wait bool
) returns uuid[]
language plpgsql set search_path = '' set plan_cache_mode = force_generic_plan set enable_sort = off
as $$
declare
  v_ids uuid[];
begin
  if p_tags <> '{}' then
    select array_agg(x.id) into v_ids from (
      select i.id from labelcrew.items i
      where i.dataset_id = p_dataset and i.state in ('new', 'drafted', 'returned') and i.tags <> '{}' and i.tags = p_tags
        and labelcrew.may_take(i, p_actor, p_overlap, p_limit, p_now)
      order by (- i.priority), i.seq limit p_count for no key update skip locked
    ) x;
  elsif p_wait then
    select array_agg(x.id) into v_ids from (
      select i.id from labelcrew.items i
      where i.dataset_id = p_dataset and i.state in ('new', 'drafted', 'returned') and i.tags = '{}'
        and labelcrew.may_take(i, p_actor, p_overlap, p_limit, p_now)
      order by (- i.priority), i.seq limit p_count for no key update
    ) x;
  else
    select array_agg(x.id) into v_ids from (
      select i.id from labelcrew.items i
      where i.dataset_id = p_dataset and i.state in ('new', 'drafted', 'returned') and i.tags = '{}'
        and labelcrew.may_take(i, p_actor, p_overlap, p_limit, p_now)
      order by (- i.priority), i.seq limit p_count for no key update skip locked
    ) x;
  end if;
  return coalesce(v_ids, '{}');
end
$$;

-- What waits for `p_actor` alone, whatever its tags: rejected answers of theirs, and what was assigned to them.
create or replace function labelcrew.take_reserved_items(
  p_actor uuid, p_dataset uuid, p_count int, p_overlap int, p_limit int, p_now timestamptz
) returns uuid[]
language plpgsql set search_path = '' set plan_cache_mode = force_generic_plan
as $$
declare
  v_ids uuid[];
begin
  select array_agg(x.id) into v_ids from (
    select i.id from labelcrew.items i
    where i.reserved_for = p_actor and i.dataset_id = p_dataset and i.reserved_until > p_now
      and i.state in ('new', 'drafted', 'returned') and labelcrew.may_take(i, p_actor, p_overlap, p_limit, p_now)
    order by (- i.priority), i.seq limit p_count for no key update skip locked
  ) x;
  return coalesce(v_ids, '{}');
end
$$;

-- The leases of a level that `p_actor` holds, at most `p_count`, their time begun anew; their items are locked.
create or replace function labelcrew.renewed_leases(
  p_actor uuid, p_dataset uuid, p_level int, p_count int, p_seconds int, p_now timestamptz
) returns setof labelcrew.leases
language plpgsql set search_path = ''
as $$
declare
  v_item uuid;
  v_lease labelcrew.leases;
begin
  for v_item in
    select i.id
    from labelcrew.leases l join labelcrew.items i on i.id = l.item_id
    where l.user_id = p_actor and l.dataset_id = p_dataset and l.level = p_level and l.ended_at is null
      and l.expires_at > p_now
    order by i.seq limit p_count for no key update of i
  loop
    select * into v_lease from labelcrew.leases
    where item_id = v_item and user_id = p_actor and level = p_level and ended_at is null and expires_at > p_now;
    if v_lease.id is not null then
      return next labelcrew.extend_lease(v_lease, p_seconds, p_now);
    end if;
  end loop;
end
$$;

-- How many items `p_actor` may still answer today; null where there is no limit.
create or replace function labelcrew.left_today(p_actor uuid, p_dataset uuid, p_settings jsonb, p_now timestamptz) returns int
language sql stable set search_path = ''
as $$
  select (p_settings ->> 'max_per_day')::int - count(distinct newest.item_id)::int
  from (
    select a.item_id, a.created_at from labelcrew.annotations a
    where a.dataset_id = p_dataset and a.user_id = p_actor and a.source = 'human' and a.level = 1 and a.withdrawn_at is null
    order by a.number desc limit 2 * (p_settings ->> 'max_per_day')::int
  ) newest
  where newest.created_at >= date_trunc('day', p_now, 'UTC')
$$;

-- Up to `p_count` items to work on: first those the person holds already, whose time starts anew, then what waits for them
-- alone, then the next open ones, now and then one with a known answer among them. None twice, none that the person has
-- answered or reviewed, none that as many others as the overlap allows hold or have answered, none that asks for skills
-- they lack. An item on which too many leases ran out is for reviewers. An empty list means that there is nothing left for
-- this person now.
create or replace function labelcrew_api.claim_items(
  p_actor uuid, p_dataset uuid, p_count int default 1, p_lease_seconds int default null
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_rank int := labelcrew.rank_of(labelcrew.require_role(p_actor, p_dataset));
  v_settings jsonb;
  v_skills text[];
  v_overlap int;
  v_seconds int;
  v_blind float8;
  v_limit int;
  v_left int;
  v_count int;
  v_wanted int;
  v_new uuid[] := '{}';
  v_gold uuid[] := '{}';
  v_tags text[];
  v_item uuid;
  v_lease labelcrew.leases;
  v_leases labelcrew.leases[];
begin
  select d.settings, m.skills into v_settings, v_skills
  from labelcrew.datasets d join labelcrew.members m on m.dataset_id = d.id and m.user_id = p_actor where d.id = p_dataset;
  v_overlap := labelcrew.overlap_of(v_settings);
  v_seconds := coalesce(p_lease_seconds, labelcrew.lease_seconds_of(v_settings));
  v_blind := labelcrew.share_of(v_settings, 'blind_share', 0.05);
  v_limit := case when v_rank > 1 then 2147483647 else labelcrew.setting_of(v_settings, 'expiry_limit', 5) end;
  v_count := least(greatest(coalesce(p_count, 1), 1), labelcrew.setting_of(v_settings, 'max_open', 100));
  if v_seconds not between 10 and 86400 then
    perform labelcrew.fail('invalid', 'a lease lasts 10 to 86400 seconds');
  end if;
  v_leases := array(select l from labelcrew.renewed_leases(p_actor, p_dataset, 1, v_count, v_seconds, v_now) l);
  v_wanted := v_count - cardinality(v_leases);
  if v_wanted > 0 and v_settings ? 'max_per_day' then
    v_left := labelcrew.left_today(p_actor, p_dataset, v_settings, v_now);
    v_wanted := least(v_wanted, v_left - cardinality(v_leases));
    if v_left <= 0 and cardinality(v_leases) = 0 then
      perform labelcrew.fail('daily-limit', format('you have answered %s items today', v_settings ->> 'max_per_day'));
    end if;
  end if;
  if v_wanted > 0 then
    v_new := labelcrew.take_reserved_items(p_actor, p_dataset, v_wanted, v_overlap, v_limit, v_now);
    if v_rank = 1 and v_settings ? 'gold_share' then
      v_gold := labelcrew.draw_gold(
        p_actor, p_dataset, v_skills, v_wanted - cardinality(v_new), labelcrew.share_of(v_settings, 'gold_share', 0), v_now);
    end if;
    v_wanted := v_wanted - cardinality(v_new) - cardinality(v_gold);
  end if;
  if v_wanted > 0 then
    for v_tags in
      select p.tags from labelcrew.open_pools(p_dataset, v_skills) p
    loop
      v_new := v_new || labelcrew.take_open_items(
        p_actor, p_dataset, v_tags, v_wanted, v_overlap, v_limit, v_now, false);
      exit when cardinality(v_new) + cardinality(v_gold) + cardinality(v_leases) >= v_count;
      v_wanted := v_count - cardinality(v_new) - cardinality(v_gold) - cardinality(v_leases);
    end loop;
    if cardinality(v_new) + cardinality(v_gold) + cardinality(v_leases) = 0 then
      v_new := labelcrew.take_open_items(p_actor, p_dataset, '{}', 1, v_overlap, v_limit, v_now, true);
    end if;
  end if;
  foreach v_item in array v_new loop
    v_lease := labelcrew.hand_out(v_item, p_actor, v_seconds, v_now, 1, v_blind);
    v_leases := v_leases || v_lease;
  end loop;
  foreach v_item in array v_gold loop
    v_lease := labelcrew.hand_out_gold(v_item, p_actor, v_seconds, v_now);
    v_leases := v_leases || v_lease;
  end loop;
  if v_new <> '{}' or v_gold <> '{}' then
    insert into labelcrew.events (dataset_id, actor_id, kind, subject_id, data, created_at)
    select p_dataset, p_actor, 'item_claimed', l.item_id, jsonb_build_object('token', l.token), v_now
    from unnest(v_leases) l where l.item_id = any (v_new || v_gold);
  end if;
  return labelcrew.claims_json(v_leases);
end
$$;

-- The leases with their items as those see them who are to answer.
create or replace function labelcrew.claims_json(p_leases labelcrew.leases[]) returns jsonb
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan
as $$
declare
  v_claims jsonb := '[]';
  v_lease labelcrew.leases;
  v_item jsonb;
begin
  foreach v_lease in array p_leases loop
    select labelcrew.veiled_json(i, labelcrew.item_json(i, p, a)) into v_item
    from labelcrew.items i
      left join labelcrew.predictions p on p.id = i.draft_id
      left join labelcrew.annotations a on a.id = i.annotation_id
    where i.id = v_lease.item_id;
    v_claims := v_claims || jsonb_build_array(jsonb_build_object('lease', labelcrew.lease_json(v_lease), 'item', v_item));
  end loop;
  return v_claims;
end
$$;
