-- What happens when nobody does anything: leases run out, and items wait too long. The queue does not need this to be
-- right, for a lease that ran out does not count; but somebody should hear of it.

-- Closes leases that ran out, at most `p_most`, counts them on their items and notes which items go to reviewers from now
-- on (`item_escalated`); and notes what waits longer than its dataset allows (`sla_missed`), once for each time. Asked by
-- workers, for nobody. {expired, escalated, overdue}.
create or replace function labelcrew_api.sweep_queue(p_most int default 500) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_item record;
  v_ran_out int;
  v_expired int := 0;
  v_escalated int := 0;
  v_overdue int := 0;
begin
  for v_item in
    select i.id, i.dataset_id, i.state, i.expiries, labelcrew.setting_of(d.settings, 'expiry_limit', 5) as most
    from labelcrew.items i join labelcrew.datasets d on d.id = i.dataset_id
    where i.id in (
      select l.item_id from labelcrew.leases l where l.ended_at is null and l.expires_at <= v_now limit p_most
    )
    order by i.seq for no key update of i skip locked
  loop
    update labelcrew.leases set ended_at = v_now, ended_by = 'expired'
    where item_id = v_item.id and ended_at is null and expires_at <= v_now;
    get diagnostics v_ran_out = row_count;
    v_expired := v_expired + v_ran_out;
    update labelcrew.items i
    set held = array(select h from unnest(i.held) h where h.until > v_now),
        expiries = i.expiries + case when i.state in ('new', 'drafted', 'returned')
          then (select count(*) from unnest(i.held) h where h.until <= v_now) else 0 end
    where i.id = v_item.id
    returning i.expiries - v_item.expiries into v_ran_out;
    if v_item.expiries < v_item.most and v_item.expiries + v_ran_out >= v_item.most then
      v_escalated := v_escalated + 1;
      perform labelcrew.record_event(v_item.dataset_id, null, 'item_escalated', v_item.id,
        jsonb_build_object('expiries', v_item.expiries + v_ran_out));
    end if;
  end loop;
  with late as (
    insert into labelcrew.sla_misses (item_id, state, since, dataset_id, missed_at)
    select o.item_id, o.state, o.since, o.dataset_id, v_now
    from labelcrew.datasets d cross join lateral labelcrew.overdue_items(d, v_now, p_most, true) o
    where d.settings ? 'sla_minutes'
    on conflict do nothing
    returning *
  ), told as (
    insert into labelcrew.events (dataset_id, kind, subject_id, data, created_at)
    select dataset_id, 'sla_missed', item_id, jsonb_build_object('state', state, 'since', since), v_now from late
    returning 1
  )
  select count(*) into v_overdue from told;
  return jsonb_build_object('expired', v_expired, 'escalated', v_escalated, 'overdue', v_overdue);
end
$$;

-- Items that wait longer than `sla_minutes` allows, those that wait longest first; only what was not noted yet if `p_untold`.
create or replace function labelcrew.overdue_items(
  p_dataset labelcrew.datasets, p_now timestamptz, p_most int, p_untold bool
)
returns table (item_id uuid, dataset_id uuid, state text, since timestamptz, minutes int)
language sql stable
as $$
  select x.id, x.dataset_id, x.state, x.state_since, s.value::int
  from jsonb_each_text(coalesce((p_dataset).settings -> 'sla_minutes', '{}')) s cross join lateral (
    select i.id, i.dataset_id, i.state, i.state_since from labelcrew.items i
    where i.dataset_id = (p_dataset).id and i.state = s.key
      and i.state in ('annotated', 'reviewed', 'returned', 'skipped')
      and i.state_since <= p_now - make_interval(mins => s.value::int)
      and not (p_untold and exists (
        select from labelcrew.sla_misses m where m.item_id = i.id and m.state = i.state and m.since = i.state_since
      ))
    order by i.state_since limit p_most
  ) x
$$;

-- [{item_id, state, since, minutes, late_seconds, waits_for}], what waits longest first: how long it may wait, by how much
-- it is late, and whom it waits for alone, if anybody.
create or replace function labelcrew_api.list_overdue(p_actor uuid, p_dataset uuid, p_limit int default 100) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'reviewer');
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'item_id', o.item_id, 'state', o.state, 'since', o.since, 'minutes', o.minutes,
      'late_seconds', round(extract(epoch from v_now - o.since) - 60 * o.minutes),
      'waits_for', case when o.state = 'annotated' then i.reviewer_id when i.reserved_until > v_now then i.reserved_for end
    ) order by o.since, o.item_id), '[]')
    from (
      select x.* from labelcrew.datasets d
        cross join lateral labelcrew.overdue_items(d, v_now, least(greatest(p_limit, 1), 500), false) x
      where d.id = p_dataset order by x.since limit least(greatest(p_limit, 1), 500)
    ) o join labelcrew.items i on i.id = o.item_id
  );
end
$$;
