-- Answers: giving one, giving another, taking one's own back, and sending an item round again.

-- Stores an answer. By a lease: the token must be that of a lease which still holds. Without one: a new revision by
-- somebody whose answer stands, or the decision of a reviewer (level 2) or super reviewer or admin (level 3). The same
-- key again gives back what was stored then. Nothing is ever overwritten.
create or replace function labelcrew_api.submit_annotation(
  p_actor uuid, p_item uuid, p_payload jsonb, p_labelset_version int, p_lease uuid default null, p_token bigint default null,
  p_lead_time_ms int default null, p_key text default null
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_dataset uuid := labelcrew.require_item(p_actor, p_item);
  v_rank int := labelcrew.rank_of(labelcrew.role_of(p_actor, v_dataset));
  v_labelset labelcrew.labelsets;
  v_item labelcrew.items;
  v_lease labelcrew.leases;
  v_before labelcrew.annotations;
  v_answer labelcrew.annotations;
  v_level int := 1;
  v_problem text;
begin
  perform labelcrew.share_workflow(v_dataset);
  select * into v_item from labelcrew.items where id = p_item for no key update;
  if p_key is not null then
    select * into v_answer from labelcrew.annotations where user_id = p_actor and key = p_key;
    if v_answer.id is not null then
      if v_answer.item_id <> p_item then
        perform labelcrew.fail('conflict', 'this key was used for another item', jsonb_build_object('item', v_answer.item_id));
      end if;
      return jsonb_build_object('annotation', labelcrew.annotation_json(v_answer),
        'item', labelcrew.item_json_of(p_item), 'created', false);
    end if;
  end if;

  select * into v_before from labelcrew.annotations where item_id = p_item and user_id = p_actor and current;
  if p_lease is not null then
    select * into v_lease from labelcrew.leases where id = p_lease and item_id = p_item and user_id = p_actor;
    if v_lease.id is null then
      perform labelcrew.fail('not-found', 'no such lease', jsonb_build_object('lease', p_lease));
    end if;
    perform labelcrew.check_lease(v_lease, p_token, v_now);
    -- Who took back a reviewer's decision and holds the item for that decides again at the same level.
    v_level := coalesce(v_before.level, (
      select least(level, v_rank) from labelcrew.annotations
      where item_id = p_item and user_id = p_actor and withdrawn_at is not null order by number desc limit 1
    ), 1);
  elsif v_before.id is not null then
    v_level := v_before.level;
  elsif v_rank >= 2 then
    v_level := least(v_rank, 3);
  else
    perform labelcrew.fail('forbidden', 'claim the item first: without a lease only your own answer can be changed',
      jsonb_build_object('item', p_item));
  end if;
  if exists (
    select from labelcrew.annotations
    where item_id = p_item and current and level > v_level and user_id <> p_actor
  ) then
    perform labelcrew.fail('illegal-transition', 'a reviewer has decided this item',
      jsonb_build_object('item', p_item, 'from', v_item.state));
  end if;

  v_labelset := labelcrew.find_labelset(v_dataset, p_labelset_version);
  v_problem := labelcrew.payload_problem(v_labelset, p_payload, length(v_item.text));
  if v_problem is not null then
    perform labelcrew.fail('invalid-payload', v_problem, jsonb_build_object('item', p_item));
  end if;

  if v_before.id is not null then
    update labelcrew.annotations set current = false where id = v_before.id;
  end if;
  insert into labelcrew.annotations (
    item_id, dataset_id, user_id, payload, labelset_version, level, revision, lead_time_ms, key, replaces, state_before,
    created_at
  ) values (
    p_item, v_dataset, p_actor, p_payload, v_labelset.version, v_level,
    1 + coalesce((
      select max(revision) from labelcrew.annotations where item_id = p_item and user_id = p_actor
    ), 0),
    p_lead_time_ms, p_key, v_before.id, v_item.state, v_now
  ) returning * into v_answer;
  perform labelcrew.end_hold(p_item, p_actor, 'submitted', v_now);
  perform labelcrew.settle_item(p_item);
  perform labelcrew.record_event(v_dataset, p_actor, 'item_submitted', p_item, jsonb_build_object(
    'annotation', v_answer.id, 'revision', v_answer.revision, 'level', v_level, 'lease', p_lease));
  return jsonb_build_object('annotation', labelcrew.annotation_json(v_answer),
    'item', labelcrew.item_json_of(p_item), 'created', true);
end
$$;

-- Takes back the person's own last answer in the dataset and hands them the item again. Their answer before that one, if
-- there was one, stands again. Refused as soon as anybody else has answered or returned the item.
create or replace function labelcrew_api.undo_submit(p_actor uuid, p_dataset uuid) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_last labelcrew.annotations;
  v_lease labelcrew.leases;
  v_seconds int;
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  perform labelcrew.share_workflow(p_dataset);
  select * into v_last from labelcrew.annotations
  where dataset_id = p_dataset and user_id = p_actor and withdrawn_at is null
  order by number desc limit 1;
  perform from labelcrew.items where id = v_last.item_id for no key update;
  select * into v_last from labelcrew.annotations where id = v_last.id and current and source = 'human';
  if v_last.id is null or exists (
    select from labelcrew.annotations
    where item_id = v_last.item_id and number > v_last.number and user_id <> p_actor and withdrawn_at is null
  ) then
    perform labelcrew.fail('nothing-to-undo', 'you have no answer here that can be taken back');
  end if;
  update labelcrew.annotations set current = false, withdrawn_at = v_now where id = v_last.id;
  update labelcrew.annotations set current = true where id = v_last.replaces;
  perform labelcrew.settle_item(v_last.item_id, v_last.state_before);
  select labelcrew.lease_seconds_of(settings) into v_seconds from labelcrew.datasets where id = p_dataset;
  v_lease := labelcrew.hand_out(v_last.item_id, p_actor, v_seconds, v_now);
  perform labelcrew.record_event(p_dataset, p_actor, 'submit_undone', v_last.item_id,
    jsonb_build_object('annotation', v_last.id, 'token', v_lease.token));
  return jsonb_build_object('lease', labelcrew.lease_json(v_lease), 'item', labelcrew.item_json_of(v_last.item_id));
end
$$;

-- A reviewer brings an item back into the queue: one that was skipped, with the answers it has; one that was answered,
-- to be answered anew by anybody. What was answered stays on record.
create or replace function labelcrew_api.return_item(p_actor uuid, p_item uuid, p_note text default '') returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_dataset uuid := labelcrew.require_item(p_actor, p_item, 'reviewer');
  v_state text;
begin
  perform labelcrew.share_workflow(v_dataset);
  select state into v_state from labelcrew.items where id = p_item for no key update;
  if v_state in ('new', 'drafted', 'returned') then
    perform labelcrew.fail('illegal-transition', format('the item is %s: it is in the queue already', v_state),
      jsonb_build_object('item', p_item, 'from', v_state, 'to', 'returned'));
  end if;
  if v_state <> 'skipped' then
    update labelcrew.annotations set current = false where item_id = p_item and current;
    update labelcrew.leases set ended_at = v_now, ended_by = 'closed' where item_id = p_item and ended_at is null;
  end if;
  update labelcrew.items i
  set state = 'returned', annotation_id = null, updated_at = v_now,
      answered_by = case v_state when 'skipped' then i.answered_by else '{}' end,
      held = case v_state when 'skipped' then i.held else '{}' end,
      labels = coalesce(labelcrew.labels_of((select p.payload from labelcrew.predictions p where p.id = i.draft_id)), '{}'),
      source = (select p.route from labelcrew.predictions p where p.id = i.draft_id)
  where i.id = p_item;
  perform labelcrew.record_event(v_dataset, p_actor, 'item_returned', p_item,
    jsonb_build_object('from', v_state, 'note', left(coalesce(p_note, ''), 1000)));
  return labelcrew.item_json_of(p_item);
end
$$;
