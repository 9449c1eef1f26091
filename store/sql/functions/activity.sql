-- What happened in a dataset: the audit log, narrowed any way, in pages that take as long at a million events as at ten.

-- Which ids the events of a span of time can have. An event's id is drawn while its statement runs, its time is the
-- statement's beginning, and no statement runs longer than ten minutes: so an event of ten minutes before the span has a
-- smaller id than any in it, and one of ten minutes after has a larger one.
create or replace function labelcrew.event_bounds(
  p_dataset uuid, p_since timestamptz, p_until timestamptz, out o_low bigint, out o_high bigint
)
language sql stable set search_path = ''
as $$
  select
    coalesce((
      select e.id from labelcrew.events e
      where e.dataset_id = p_dataset and e.created_at <= p_since - interval '10 minutes' order by e.created_at desc limit 1
    ), 0),
    coalesce((
      select e.id from labelcrew.events e
      where e.dataset_id = p_dataset and e.created_at >= p_until + interval '10 minutes' order by e.created_at limit 1
    ), 9223372036854775807)
$$;

-- The kinds of what somebody did, each found by one step into the index.
create or replace function labelcrew.kinds_of(p_dataset uuid, p_who uuid) returns text[]
language sql stable set search_path = ''
as $$
  with recursive k as (
    (
      select e.kind from labelcrew.events e where e.dataset_id = p_dataset and e.actor_id = p_who order by e.kind limit 1
    )
    union all
    select (
      select e.kind from labelcrew.events e
      where e.dataset_id = p_dataset and e.actor_id = p_who and e.kind > k.kind order by e.kind limit 1
    )
    from k where k.kind is not null
  )
  select coalesce(array_agg(kind) filter (where kind is not null), '{}') from k
$$;

-- Events in the order of their ids: with `p_after` those that follow that id, else the newest, or the newest before
-- `p_before`. Narrowed by kinds, by who did it, by what it was done to, and by time (from `p_since`, before `p_until`).
create or replace function labelcrew_api.list_activity(
  p_actor uuid, p_dataset uuid, p_kinds text[] default null, p_who uuid default null, p_subject uuid default null,
  p_since timestamptz default null, p_until timestamptz default null, p_after bigint default null,
  p_before bigint default null, p_limit int default 100
) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_kinds text[] := p_kinds;
  v_low bigint;
  v_high bigint;
  v_source text;
  v_order text := case when p_after is null then ' desc' else '' end;
  v_found jsonb;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'reviewer');
  select b.o_low, b.o_high into v_low, v_high from labelcrew.event_bounds(p_dataset, p_since, p_until) b;
  v_low := greatest(v_low, coalesce(p_after, 0));
  v_high := least(v_high, coalesce(p_before, v_high));
  if p_who is not null and p_subject is null then
    v_kinds := coalesce(v_kinds, labelcrew.kinds_of(p_dataset, p_who));
  end if;
  -- $1 dataset, $2 kinds, $3 who, $4 subject, $5 low, $6 high, $7 since, $8 until, $9 limit
  v_source := case
    when p_subject is not null then
      'select e.id from labelcrew.events e where e.subject_id = $4 and e.dataset_id = $1
         and ($2 is null or e.kind = any ($2)) and ($3 is null or e.actor_id = $3)'
    when p_who is not null then
      'select x.id from (select distinct k from unnest($2) k) k (kind) cross join lateral (
         select e.id from labelcrew.events e where e.dataset_id = $1 and e.actor_id = $3 and e.kind = k.kind'
    when v_kinds is not null then
      'select x.id from (select distinct k from unnest($2) k) k (kind) cross join lateral (
         select e.id from labelcrew.events e where e.dataset_id = $1 and e.kind = k.kind'
    else 'select e.id from labelcrew.events e where e.dataset_id = $1'
  end || ' and e.id > $5 and e.id < $6 and ($7 is null or e.created_at >= $7) and ($8 is null or e.created_at < $8)
    order by e.id' || v_order || ' limit $9'
    || case when p_subject is null and v_kinds is not null then ') x order by x.id' || v_order || ' limit $9' else '' end;
  execute
    'select coalesce(jsonb_agg(labelcrew.event_json(f) order by f.id), ''[]'')
     from labelcrew.events f where f.id = any (array(' || v_source || '))'
  into v_found
  using p_dataset, v_kinds, p_who, p_subject, v_low, v_high, p_since, p_until, least(greatest(coalesce(p_limit, 100), 1), 500);
  return v_found;
end
$$;
