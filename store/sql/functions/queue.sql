-- The queue: who works on what.
--
-- An item is open while its state is new, drafted or returned. `items.held` names who holds it and until when;
-- `items.answered_by` who has answered. Together they never name more people than the item's overlap. Every function
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

-- Whether an item that is or was held may be handed to `p_actor` too: whether there is room, and whether not too many
-- leases have run out on it, those included that nobody has noticed yet.
create or replace function labelcrew.has_room(
  p_held labelcrew.hold[], p_answers int, p_actor uuid, p_overlap int, p_now timestamptz, p_expiries int, p_limit int
) returns bool
language sql immutable set search_path = ''
as $$
  select p_answers + count(*) filter (where h.until > p_now) < p_overlap
    and count(*) filter (where h.until > p_now and h.user_id = p_actor) = 0
    and p_expiries + count(*) filter (where h.until <= p_now) < p_limit
  from unnest(p_held) h
$$;

-- Whether `p_actor` may be handed an open item to answer it. Looks at the item's own row only, so that a row that somebody
-- else changed while we came for it is looked at again as it is now. `p_limit` is how many leases may have run out on it.
create or replace function labelcrew.may_take(i labelcrew.items, p_actor uuid, p_overlap int, p_limit int, p_now timestamptz)
returns bool
language sql immutable
as $$
  select cardinality((i).answered_by) < p_overlap + (i).extra_overlap
    and p_actor <> all ((i).answered_by) and p_actor <> all ((i).reviewed_by)
    and (i).gold_payload is null and (i).expiries < p_limit
    and ((i).reserved_for is null or (i).reserved_for = p_actor or (i).reserved_until <= p_now)
    and (cardinality((i).held) = 0 or labelcrew.has_room(
      (i).held, cardinality((i).answered_by), p_actor, p_overlap + (i).extra_overlap, p_now, (i).expiries, p_limit))
$$;

-- Hands the item, whose row the caller has locked, to a person: next token, new lease; leases that ran out are closed and,
-- where they were to answer it, counted. `p_blind` is the share of items that are answered without help: chance decides
-- when an item is handed out for the first time.
create or replace function labelcrew.hand_out(
  p_item uuid, p_user uuid, p_seconds int, p_now timestamptz, p_level int default 1, p_blind float8 default 0
) returns labelcrew.leases
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
      ) || row(p_user, p_now + make_interval(secs => p_seconds))::labelcrew.hold,
      expiries = i.expiries + case when i.state in ('new', 'drafted', 'returned') and cardinality(i.held) > 0
        then (select count(*) from unnest(i.held) h where h.until <= p_now) else 0 end,
      arm = case when i.arm is null and i.token = 0 and p_blind > 0 and labelcrew.draw_of(i.id, 'blind') < p_blind
        then 'blind' else i.arm end
  where i.id = p_item
  returning * into v_item;
  update labelcrew.leases set ended_at = p_now, ended_by = 'expired'
  where item_id = p_item and ended_at is null and not gold and (expires_at <= p_now or user_id = p_user);
  insert into labelcrew.leases (item_id, dataset_id, user_id, token, seconds, level, created_at, expires_at)
  values (
    p_item, v_item.dataset_id, p_user, v_item.token, p_seconds, p_level, p_now, p_now + make_interval(secs => p_seconds)
  ) returning * into v_lease;
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
  if v_item.token > p_lease.token and not p_lease.gold then
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
    return labelcrew.item_json_of(v_lease.item_id, p_actor);
  end if;
  perform labelcrew.check_lease(v_lease, p_token, v_now);
  if v_lease.gold then
    perform labelcrew.end_hold(v_lease.item_id, p_actor, case when p_skip_reason is null then 'released' else 'skipped' end, v_now);
  elsif p_skip_reason is null then
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
  return labelcrew.item_json_of(v_lease.item_id, p_actor)
    || case when v_lease.gold and p_skip_reason is not null then '{"state": "skipped"}'::jsonb else '{}' end;
end
$$;
