-- Webhooks: who is told what, and what became of it.

create or replace function labelcrew.webhook_json(p_webhook labelcrew.webhooks) returns jsonb
language sql stable
as $$
  select jsonb_build_object('id', (p_webhook).id, 'dataset_id', (p_webhook).dataset_id, 'url', (p_webhook).url,
    'kinds', (p_webhook).kinds, 'active', (p_webhook).active, 'note', (p_webhook).note,
    'created_at', (p_webhook).created_at, 'updated_at', (p_webhook).updated_at,
    'pending', (
      select count(*) from labelcrew.webhook_deliveries d where d.webhook_id = (p_webhook).id and d.state = 'pending'),
    'dead', (select count(*) from labelcrew.webhook_deliveries d where d.webhook_id = (p_webhook).id and d.state = 'dead'))
$$;

create or replace function labelcrew.delivery_json(p_delivery labelcrew.webhook_deliveries) returns jsonb
language sql immutable
as $$
  select jsonb_build_object('id', (p_delivery).id, 'number', (p_delivery).number, 'webhook_id', (p_delivery).webhook_id,
    'event_id', (p_delivery).event_id, 'kind', (p_delivery).kind, 'state', (p_delivery).state,
    'attempts', (p_delivery).attempts, 'due_at', (p_delivery).due_at, 'status', (p_delivery).status,
    'error', (p_delivery).error, 'created_at', (p_delivery).created_at, 'updated_at', (p_delivery).updated_at)
$$;

-- The webhook, if `p_actor` is admin of its dataset; else it does not exist.
create or replace function labelcrew.require_webhook(p_actor uuid, p_dataset uuid, p_webhook uuid)
returns labelcrew.webhooks
language plpgsql stable set search_path = ''
as $$
declare
  v_webhook labelcrew.webhooks;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  select * into v_webhook from labelcrew.webhooks w where w.id = p_webhook and w.dataset_id = p_dataset;
  if v_webhook.id is null then
    perform labelcrew.fail('not-found', 'no such webhook', jsonb_build_object('webhook', p_webhook));
  end if;
  return v_webhook;
end
$$;

-- Whether the address may be called is checked by the gateway, which can look names up, and again with each delivery.
-- What happened before is not told: a webhook begins with what comes.
create or replace function labelcrew_api.create_webhook(
  p_actor uuid, p_dataset uuid, p_url text, p_kinds text[], p_secret text
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_webhook labelcrew.webhooks;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  perform from labelcrew.datasets d where d.id = p_dataset for no key update;
  if (select count(*) >= 20 from labelcrew.webhooks w where w.dataset_id = p_dataset) then
    perform labelcrew.fail('too-large', 'a dataset has twenty webhooks at most');
  end if;
  insert into labelcrew.webhooks (dataset_id, url, kinds, secret, created_by, last_event_id)
  values (p_dataset, p_url, p_kinds, p_secret, p_actor, (select coalesce(max(e.id), 0) from labelcrew.events e))
  returning * into v_webhook;
  perform labelcrew.record_event(p_dataset, p_actor, 'webhook_created', v_webhook.id, jsonb_build_object('kinds', p_kinds));
  return labelcrew.webhook_json(v_webhook) || jsonb_build_object('secret', p_secret);
end
$$;

create or replace function labelcrew_api.list_webhooks(p_actor uuid, p_dataset uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  return (
    select coalesce(jsonb_agg(labelcrew.webhook_json(w) order by w.created_at, w.id), '[]')
    from labelcrew.webhooks w where w.dataset_id = p_dataset
  );
end
$$;

-- Changes what is given. A webhook that is switched on again goes on where it stopped. A new secret is told once.
create or replace function labelcrew_api.update_webhook(
  p_actor uuid, p_dataset uuid, p_webhook uuid, p_url text default null, p_kinds text[] default null,
  p_active bool default null, p_secret text default null
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_webhook labelcrew.webhooks := labelcrew.require_webhook(p_actor, p_dataset, p_webhook);
begin
  update labelcrew.webhooks w
  set url = coalesce(p_url, w.url), kinds = coalesce(p_kinds, w.kinds), active = coalesce(p_active, w.active),
      secret = coalesce(p_secret, w.secret), note = '', updated_at = labelcrew.now()
  where w.id = p_webhook returning * into v_webhook;
  perform labelcrew.record_event(p_dataset, p_actor, 'webhook_updated', p_webhook, jsonb_build_object(
    'kinds', v_webhook.kinds, 'active', v_webhook.active, 'secret_changed', p_secret is not null));
  return labelcrew.webhook_json(v_webhook) || jsonb_build_object('secret', p_secret);
end
$$;

create or replace function labelcrew_api.delete_webhook(p_actor uuid, p_dataset uuid, p_webhook uuid) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_webhook labelcrew.webhooks := labelcrew.require_webhook(p_actor, p_dataset, p_webhook);
begin
  delete from labelcrew.webhooks w where w.id = p_webhook;
  perform labelcrew.record_event(p_dataset, p_actor, 'webhook_deleted', p_webhook);
  return labelcrew.webhook_json(v_webhook);
end
$$;

-- Newest first; `p_before` is the number of the last one of the page before.
create or replace function labelcrew_api.list_deliveries(
  p_actor uuid, p_dataset uuid, p_webhook uuid, p_states text[] default null, p_before bigint default null,
  p_limit int default 50
) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_webhook(p_actor, p_dataset, p_webhook);
  return (
    select coalesce(jsonb_agg(labelcrew.delivery_json(x) order by x.number desc), '[]') from (
      select d.* from labelcrew.webhook_deliveries d
      where d.webhook_id = p_webhook and (p_before is null or d.number < p_before)
        and (p_states is null or d.state = any (p_states))
      order by d.number desc limit least(greatest(p_limit, 1), 500)
    ) x
  );
end
$$;

-- Sends dead deliveries again, all or some; with `p_deliveries`, also some that were delivered.
create or replace function labelcrew_api.replay_deliveries(
  p_actor uuid, p_dataset uuid, p_webhook uuid, p_deliveries uuid[] default null
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_count int;
begin
  perform labelcrew.require_webhook(p_actor, p_dataset, p_webhook);
  update labelcrew.webhook_deliveries d
  set state = 'pending', attempts = 0, due_at = labelcrew.now(), updated_at = labelcrew.now()
  where d.webhook_id = p_webhook
    and case when p_deliveries is null then d.state = 'dead' else d.state <> 'pending' and d.id = any (p_deliveries) end;
  get diagnostics v_count = row_count;
  perform labelcrew.record_event(p_dataset, p_actor, 'deliveries_replayed', p_webhook, jsonb_build_object('count', v_count));
  return jsonb_build_object('replayed', v_count);
end
$$;

-- For workers ---------------------------------------------------------------------------------------------------------

-- Makes deliveries of what has happened, for each webhook that is on, from where it stands up to what is settled
-- (labelcrew.settle_events): nothing that commits late is passed over. At most `p_most` events a webhook and call.
-- Deliveries that arrived a month ago are forgotten on the way. → {made, behind}
create or replace function labelcrew_api.spread_events(p_most int default 1000) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_row labelcrew.settled_events;
  v_settled bigint;
  v_webhook labelcrew.webhooks;
  v_to bigint;
  v_count int;
  v_made int := 0;
  v_behind bool := false;
begin
  if not exists (select from labelcrew.webhooks w where w.active) then
    return jsonb_build_object('made', 0, 'behind', false);
  end if;
  insert into labelcrew.settled_events default values on conflict do nothing;
  select * into v_row from labelcrew.settled_events for no key update skip locked;
  if not found then
    return jsonb_build_object('made', 0, 'behind', false);
  end if;
  v_settled := labelcrew.settle_events(v_row);
  for v_webhook in
    select * from labelcrew.webhooks w where w.active and w.last_event_id < v_settled order by w.id for update skip locked
  loop
    select max(x.id), count(*) into v_to, v_count from (
      select e.id from labelcrew.events e
      where e.dataset_id = v_webhook.dataset_id and e.id > v_webhook.last_event_id and e.id <= v_settled
      order by e.id limit p_most
    ) x;
    if v_count = p_most then
      v_behind := true;
    else
      v_to := v_settled;
    end if;
    with made as (
      insert into labelcrew.webhook_deliveries (webhook_id, event_id, kind)
      select v_webhook.id, e.id, e.kind from labelcrew.events e
      where e.dataset_id = v_webhook.dataset_id and e.id > v_webhook.last_event_id and e.id <= v_to
        and e.kind = any (v_webhook.kinds)
      order by e.id on conflict do nothing returning 1
    )
    select v_made + count(*) into v_made from made;
    update labelcrew.webhooks set last_event_id = v_to where id = v_webhook.id;
  end loop;
  delete from labelcrew.webhook_deliveries d
  where d.state = 'delivered' and d.updated_at < labelcrew.now() - interval '30 days';
  return jsonb_build_object('made', v_made, 'behind', v_behind);
end
$$;

-- Deliveries that are due, each handed out for `p_seconds`, after which it is due again: whoever took it has died. An
-- address that does not answer keeps nobody waiting: of each webhook `p_each` at most are under way.
create or replace function labelcrew_api.claim_deliveries(
  p_most int default 50, p_each int default 10, p_seconds int default 60
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_ids uuid[];
begin
  select array_agg(x.id) into v_ids from (
    select d.id from labelcrew.webhooks w cross join lateral (
      select d.id, d.due_at from labelcrew.webhook_deliveries d
      where d.webhook_id = w.id and d.state = 'pending' and d.due_at <= v_now
      order by d.number limit p_each for update skip locked
    ) d
    where w.active order by d.due_at limit p_most
  ) x;
  update labelcrew.webhook_deliveries d
  set attempts = d.attempts + 1, due_at = v_now + make_interval(secs => p_seconds)
  where d.id = any (v_ids);
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'id', t.id, 'attempt', t.attempts, 'url', w.url, 'secret', w.secret, 'event', labelcrew.event_json(e)
    ) order by t.number), '[]')
    from labelcrew.webhook_deliveries t
      join labelcrew.webhooks w on w.id = t.webhook_id
      join labelcrew.events e on e.id = t.event_id
    where t.id = any (v_ids)
  );
end
$$;

-- How an attempt went. `p_state` pending: try again after `p_seconds`. `p_gone`: the address says that it wants no more,
-- and its webhook is switched off. An attempt that somebody else has taken over since has no say.
create or replace function labelcrew_api.finish_delivery(
  p_delivery uuid, p_attempt int, p_state text, p_status int default null, p_error text default null,
  p_seconds int default 60, p_gone bool default false
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_delivery labelcrew.webhook_deliveries;
  v_webhook labelcrew.webhooks;
begin
  update labelcrew.webhook_deliveries d
  set state = p_state, status = p_status, error = left(p_error, 500), updated_at = labelcrew.now(),
      due_at = case p_state when 'pending' then labelcrew.now() + make_interval(secs => p_seconds) else d.due_at end
  where d.id = p_delivery and d.attempts = p_attempt and d.state = 'pending' returning * into v_delivery;
  if v_delivery.id is null then
    return jsonb_build_object('counted', false);
  end if;
  if p_gone then
    update labelcrew.webhooks w
    set active = false, note = 'the address answered that it is gone (410)', updated_at = labelcrew.now()
    where w.id = v_delivery.webhook_id and w.active returning * into v_webhook;
    if v_webhook.id is not null then
      perform labelcrew.record_event(v_webhook.dataset_id, null, 'webhook_switched_off', v_webhook.id);
    end if;
  end if;
  return jsonb_build_object('counted', true);
end
$$;
