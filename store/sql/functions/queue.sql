-- The queue: who works on what, and what becomes of an item when somebody answers.
--
-- An item is open while its state is new, drafted or returned. `items.held` names who holds it and until when;
-- `items.answered_by` who has answered. Together they never name more people than the dataset's overlap. Every function
-- here locks the item's row before it looks, so what it sees is what is. A lease that runs out needs nobody to notice: it
-- simply no longer counts, and the next claim of the item writes down that it ended. The fencing token grows with every
-- hand-out, so that of two people who think they hold an item the late one is refused.

create or replace function labelcrew.lease_json(p_lease labelcrew.leases) returns jsonb
language sql immutable
as $$
  select jsonb_build_object(
    'id', (p_lease).id, 'item_id', (p_lease).item_id, 'token', (p_lease).token, 'expires_at', (p_lease).expires_at
  )
$$;

-- Whether an item that is or was held may be handed to `p_actor` too.
create or replace function labelcrew.has_room(
  p_held labelcrew.hold[], p_answered_by uuid[], p_actor uuid, p_overlap int, p_now timestamptz
) returns bool
language sql immutable set search_path = ''
as $$
  select cardinality(p_answered_by) + count(*) < p_overlap and count(*) filter (where h.user_id = p_actor) = 0
  from unnest(p_held) h where h.until > p_now
$$;

-- Hands the item, whose row the caller has locked, to a person: next token, new lease; leases that ran out are closed.
create or replace function labelcrew.hand_out(p_item uuid, p_user uuid, p_seconds int, p_now timestamptz)
returns labelcrew.leases
language plpgsql set search_path = ''
as $$
declare
  v_item labelcrew.items;
  v_lease labelcrew.leases;
begin
  update labelcrew.items i
  set token = i.token + 1,
      held = array(
        select h from unnest(i.held) h where h.until > p_now and h.user_id <> p_user
      ) || row(p_user, p_now + make_interval(secs => p_seconds))::labelcrew.hold
  where i.id = p_item
  returning * into v_item;
  update labelcrew.leases set ended_at = p_now, ended_by = 'expired'
  where item_id = p_item and ended_at is null and (expires_at <= p_now or user_id = p_user);
  insert into labelcrew.leases (item_id, dataset_id, user_id, token, seconds, created_at, expires_at)
  values (p_item, v_item.dataset_id, p_user, v_item.token, p_seconds, p_now, p_now + make_interval(secs => p_seconds))
  returning * into v_lease;
  return v_lease;
end
$$;

-- Ends a person's hold of an item whose row the caller has locked.
create or replace function labelcrew.end_hold(p_item uuid, p_user uuid, p_by text, p_now timestamptz) returns void
language plpgsql set search_path = ''
as $$
begin
  update labelcrew.leases set ended_at = p_now, ended_by = p_by
  where item_id = p_item and user_id = p_user and ended_at is null;
  update labelcrew.items i set held = array(select h from unnest(i.held) h where h.user_id <> p_user)
  where i.id = p_item and exists (select from unnest(i.held) h where h.user_id = p_user);
end
$$;

-- Puts an item, whose row the caller has locked, into the state that its answers amount to. A reviewer's answer decides,
-- the highest level first, then one that was imported; else as many people as the overlap asks for, and of their answers
-- the most frequent counts, of equals the newest. An item that is not decided stays open (or skipped); `p_reopen` is the
-- state it goes back to when its deciding answer was taken back.
create or replace function labelcrew.settle_item(p_item uuid, p_reopen text default null) returns void
language plpgsql set search_path = ''
as $$
declare
  v_item labelcrew.items;
  v_settings jsonb;
  v_final labelcrew.annotations;
  v_draft labelcrew.predictions;
  v_answered_by uuid[];
  v_levels int;
  v_state text;
begin
  select * into v_item from labelcrew.items where id = p_item;
  select settings into v_settings from labelcrew.datasets where id = v_item.dataset_id;
  v_levels := labelcrew.review_levels_of(v_settings);
  select coalesce(array_agg(user_id order by number), '{}') into v_answered_by
  from labelcrew.annotations where item_id = p_item and current and level = 1;
  select * into v_final from labelcrew.annotations
  where item_id = p_item and current and (level > 1 or source = 'import')
  order by level desc, number desc limit 1;
  if v_final.id is null and cardinality(v_answered_by) >= labelcrew.overlap_of(v_settings) then
    select a.* into v_final
    from (
      select id, number, count(*) over (partition by payload) as votes
      from labelcrew.annotations where item_id = p_item and current and level = 1
    ) v join labelcrew.annotations a using (id)
    order by v.votes desc, v.number desc limit 1;
  end if;
  if v_final.id is not null then
    v_state := case when v_final.level >= v_levels then 'verified' when v_final.level = 1 then 'annotated' else 'reviewed' end;
  else
    v_state := case
      when v_item.state in ('new', 'drafted', 'returned', 'skipped', 'auto_accepted') then v_item.state
      else coalesce(p_reopen, 'new')
    end;
    if v_state = 'new' and v_item.draft_id is not null then
      v_state := 'drafted';
    end if;
    select * into v_draft from labelcrew.predictions where id = v_item.draft_id;
  end if;
  update labelcrew.items
  set state = v_state, annotation_id = v_final.id, answered_by = v_answered_by,
      labels = coalesce(labelcrew.labels_of(coalesce(v_final.payload, v_draft.payload)), '{}'),
      source = coalesce(v_final.source, v_draft.route),
      held = case when v_final.id is null then held else '{}' end,
      updated_at = labelcrew.now()
  where id = p_item;
  if v_final.id is not null and cardinality(v_item.held) > 0 then
    update labelcrew.leases set ended_at = labelcrew.now(), ended_by = 'closed' where item_id = p_item and ended_at is null;
  end if;
end
$$;

-- Claiming -----------------------------------------------------------------------------------------------------------

-- What `p_actor` may take now, highest priority first, locked. The conditions look at the item's own row only: a row that
-- somebody else changed while we came for it is looked at again as it is now. `p_wait` waits for rows that are locked
-- rather than passing them. One plan a connection, in the order of the index, whatever the statistics say.
create or replace function labelcrew.take_open_items(
  p_actor uuid, p_dataset uuid, p_count int, p_overlap int, p_now timestamptz, p_wait bool
) returns uuid[]
language plpgsql set search_path = '' set plan_cache_mode = force_generic_plan set enable_sort = off
as $$
declare
  v_ids uuid[];
begin
  if p_wait then
    select array_agg(x.id) into v_ids from (
      select i.id from labelcrew.items i
      where i.dataset_id = p_dataset and i.state in ('new', 'drafted', 'returned')
        and (cardinality(i.held) = 0 or labelcrew.has_room(i.held, i.answered_by, p_actor, p_overlap, p_now))
        and cardinality(i.answered_by) < p_overlap and p_actor <> all (i.answered_by)
      order by (- i.priority), i.seq limit p_count for no key update
    ) x;
  else
    select array_agg(x.id) into v_ids from (
      select i.id from labelcrew.items i
      where i.dataset_id = p_dataset and i.state in ('new', 'drafted', 'returned')
        and (cardinality(i.held) = 0 or labelcrew.has_room(i.held, i.answered_by, p_actor, p_overlap, p_now))
        and cardinality(i.answered_by) < p_overlap and p_actor <> all (i.answered_by)
      order by (- i.priority), i.seq limit p_count for no key update skip locked
    ) x;
  end if;
  return coalesce(v_ids, '{}');
end
$$;

-- Up to `p_count` items to work on: first those the person holds already, whose time starts anew, then the next open
-- ones. None twice, none that the person has answered, none that as many others as the overlap allows hold or have
-- answered. An empty list means that there is nothing left for this person now.
create or replace function labelcrew_api.claim_items(
  p_actor uuid, p_dataset uuid, p_count int default 1, p_lease_seconds int default null
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_settings jsonb;
  v_overlap int;
  v_seconds int;
  v_count int := least(greatest(coalesce(p_count, 1), 1), 100);
  v_own uuid[];
  v_new uuid[] := '{}';
  v_item uuid;
  v_lease labelcrew.leases;
  v_leases jsonb := '[]';
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  select settings into v_settings from labelcrew.datasets where id = p_dataset;
  v_overlap := labelcrew.overlap_of(v_settings);
  v_seconds := coalesce(p_lease_seconds, labelcrew.lease_seconds_of(v_settings));
  if v_seconds not between 10 and 86400 then
    perform labelcrew.fail('invalid', 'a lease lasts 10 to 86400 seconds');
  end if;
  select array_agg(x.id order by x.seq) into v_own from (
    select i.id, i.seq
    from labelcrew.leases l join labelcrew.items i on i.id = l.item_id
    where l.user_id = p_actor and l.dataset_id = p_dataset and l.ended_at is null and l.expires_at > v_now
    order by i.seq limit v_count for no key update of i
  ) x;
  foreach v_item in array coalesce(v_own, '{}') loop
    select * into v_lease from labelcrew.leases
    where item_id = v_item and user_id = p_actor and ended_at is null and expires_at > v_now;
    if v_lease.id is not null then
      v_lease := labelcrew.extend_lease(v_lease, v_seconds, v_now);
      v_leases := v_leases || labelcrew.lease_json(v_lease);
    end if;
  end loop;
  if jsonb_array_length(v_leases) < v_count then
    v_new := labelcrew.take_open_items(
      p_actor, p_dataset, v_count - jsonb_array_length(v_leases), v_overlap, v_now, false);
    if v_new = '{}' and v_leases = '[]' then
      v_new := labelcrew.take_open_items(p_actor, p_dataset, 1, v_overlap, v_now, true);
    end if;
    foreach v_item in array v_new loop
      v_lease := labelcrew.hand_out(v_item, p_actor, v_seconds, v_now);
      v_leases := v_leases || labelcrew.lease_json(v_lease);
    end loop;
  end if;
  if v_new <> '{}' then
    insert into labelcrew.events (dataset_id, actor_id, kind, subject_id, data, created_at)
    select p_dataset, p_actor, 'item_claimed', (l ->> 'item_id')::uuid, jsonb_build_object('token', l -> 'token'), v_now
    from jsonb_array_elements(v_leases) l where (l ->> 'item_id')::uuid = any (v_new);
  end if;
  return (
    select coalesce(jsonb_agg(jsonb_build_object('lease', l.lease, 'item', labelcrew.item_json(i, p, a)) order by l.n), '[]')
    from jsonb_array_elements(v_leases) with ordinality l (lease, n)
      join labelcrew.items i on i.id = (l.lease ->> 'item_id')::uuid
      -- An audit item is answered without sight of its draft, else the answer would lean towards it.
      left join labelcrew.predictions p on p.id = i.draft_id and i.arm is distinct from 'audit'
      left join labelcrew.annotations a on a.id = i.annotation_id
  );
end
$$;

-- Starts the time of a live lease anew; the caller has locked the item.
create or replace function labelcrew.extend_lease(p_lease labelcrew.leases, p_seconds int, p_now timestamptz)
returns labelcrew.leases
language plpgsql set search_path = ''
as $$
declare
  v_until timestamptz := greatest(p_lease.expires_at, p_now + make_interval(secs => p_seconds));
begin
  update labelcrew.leases set expires_at = v_until where id = p_lease.id;
  update labelcrew.items i
  set held = array(
    select case when h.user_id = p_lease.user_id then row(h.user_id, v_until)::labelcrew.hold else h end from unnest(i.held) h
  )
  where i.id = p_lease.item_id;
  p_lease.expires_at := v_until;
  return p_lease;
end
$$;

-- The lease, with its item locked, if it is `p_actor`'s; live or not.
create or replace function labelcrew.lock_lease(p_actor uuid, p_lease uuid) returns labelcrew.leases
language plpgsql set search_path = ''
as $$
declare
  v_lease labelcrew.leases;
begin
  select * into v_lease from labelcrew.leases where id = p_lease and user_id = p_actor;
  if v_lease.id is null or labelcrew.role_of(p_actor, v_lease.dataset_id) is null then
    perform labelcrew.fail('not-found', 'no such lease', jsonb_build_object('lease', p_lease));
  end if;
  perform from labelcrew.items where id = v_lease.item_id for no key update;
  select * into v_lease from labelcrew.leases where id = p_lease;
  return v_lease;
end
$$;

-- Refuses a lease that does not hold any more, and says what became of the item.
create or replace function labelcrew.check_lease(p_lease labelcrew.leases, p_token bigint, p_now timestamptz) returns void
language plpgsql set search_path = ''
as $$
declare
  v_item labelcrew.items;
  v_facts jsonb;
begin
  select * into v_item from labelcrew.items where id = p_lease.item_id;
  v_facts := jsonb_build_object('item', v_item.id, 'state', v_item.state, 'token', v_item.token);
  if p_token is distinct from p_lease.token then
    perform labelcrew.fail('stale-token', format('this lease goes by the token %s', p_lease.token), v_facts);
  end if;
  if p_lease.ended_at is null and p_lease.expires_at > p_now then
    return;
  end if;
  if p_lease.ended_by = 'submitted' then
    perform labelcrew.fail('already-submitted', 'you have answered this item by this lease', v_facts);
  end if;
  if p_lease.ended_by in ('released', 'skipped') then
    perform labelcrew.fail('lease-expired', 'you gave this item back', v_facts);
  end if;
  if p_lease.ended_by = 'closed' then
    perform labelcrew.fail('stale-token', format('the item was decided meanwhile; it is %s', v_item.state), v_facts);
  end if;
  if v_item.token > p_lease.token then
    perform labelcrew.fail('stale-token',
      format('your time ended %s and somebody else has taken the item since; it is %s',
        labelcrew.ago(p_now - p_lease.expires_at), v_item.state),
      v_facts);
  end if;
  perform labelcrew.fail('lease-expired',
    format('your time ended %s; nobody has taken the item since', labelcrew.ago(p_now - p_lease.expires_at)), v_facts);
end
$$;

create or replace function labelcrew.ago(p_time interval) returns text
language sql immutable set search_path = ''
as $$ select format('%s s ago', greatest(round(extract(epoch from p_time)), 0)) $$;

create or replace function labelcrew_api.renew_lease(p_actor uuid, p_lease uuid, p_token bigint) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_lease labelcrew.leases := labelcrew.lock_lease(p_actor, p_lease);
begin
  perform labelcrew.check_lease(v_lease, p_token, v_now);
  return labelcrew.lease_json(labelcrew.extend_lease(v_lease, v_lease.seconds, v_now));
end
$$;

-- Gives the item back; with a reason it is skipped, for everybody, until a reviewer returns it. Giving back twice is fine.
create or replace function labelcrew_api.release_lease(
  p_actor uuid, p_lease uuid, p_token bigint, p_skip_reason text default null
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_lease labelcrew.leases := labelcrew.lock_lease(p_actor, p_lease);
  v_state text;
begin
  if v_lease.token = p_token and v_lease.ended_by = (case when p_skip_reason is null then 'released' else 'skipped' end) then
    return labelcrew.item_json_of(v_lease.item_id);
  end if;
  perform labelcrew.check_lease(v_lease, p_token, v_now);
  if p_skip_reason is null then
    perform labelcrew.end_hold(v_lease.item_id, p_actor, 'released', v_now);
    perform labelcrew.record_event(v_lease.dataset_id, p_actor, 'item_released', v_lease.item_id);
  else
    select state into v_state from labelcrew.items where id = v_lease.item_id;
    if v_state not in ('new', 'drafted', 'returned', 'skipped') then
      perform labelcrew.fail('illegal-transition', format('the item is %s; only an open one can be skipped', v_state),
        jsonb_build_object('item', v_lease.item_id, 'from', v_state, 'to', 'skipped'));
    end if;
    perform labelcrew.end_hold(v_lease.item_id, p_actor, 'skipped', v_now);
    update labelcrew.items set state = 'skipped', updated_at = v_now where id = v_lease.item_id;
    perform labelcrew.record_event(v_lease.dataset_id, p_actor, 'item_skipped', v_lease.item_id,
      jsonb_build_object('reason', left(p_skip_reason, 1000)));
  end if;
  return labelcrew.item_json_of(v_lease.item_id);
end
$$;
