-- Answers: giving one, giving another, taking one's own back, and sending an item round again.

-- Stores an answer. By a lease: the token must be that of a lease which still holds. Without one: a new revision by
-- somebody whose answer stands, or the decision of a reviewer (level 2) or super reviewer or admin (level 3). The same
-- key again gives back what was stored then. Nothing is ever overwritten. A reviewer's decision about what somebody else
-- has answered is a review too.
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
  v_gold labelcrew.gold_answers;
  v_level int := 1;
  v_problem text;
begin
  perform labelcrew.share_workflow(v_dataset);
  select * into v_item from labelcrew.items where id = p_item for no key update;
  if p_key is not null then
    select * into v_gold from labelcrew.gold_answers where user_id = p_actor and key = p_key;
    if v_gold.item_id <> p_item then
      perform labelcrew.fail('conflict', 'this key was used for another item', jsonb_build_object('item', v_gold.item_id));
    elsif v_gold.id is not null then
      return labelcrew.gold_answered_json(v_gold, false);
    end if;
    select * into v_answer from labelcrew.annotations where user_id = p_actor and key = p_key;
    if v_answer.id is not null then
      if v_answer.item_id <> p_item then
        perform labelcrew.fail('conflict', 'this key was used for another item', jsonb_build_object('item', v_answer.item_id));
      end if;
      return jsonb_build_object('annotation', labelcrew.annotation_json(v_answer),
        'item', labelcrew.item_json_of(p_item, p_actor), 'created', false);
    end if;
  end if;

  select * into v_before from labelcrew.annotations where item_id = p_item and user_id = p_actor and current;
  if p_lease is not null then
    select * into v_lease from labelcrew.leases where id = p_lease and item_id = p_item and user_id = p_actor;
    if v_lease.id is null then
      perform labelcrew.fail('not-found', 'no such lease', jsonb_build_object('lease', p_lease));
    end if;
    perform labelcrew.check_lease(v_lease, p_token, v_now);
    if v_lease.level > 1 then
      perform labelcrew.fail('illegal-transition', 'this lease is for a review: approve, correct or reject the answer',
        jsonb_build_object('item', p_item, 'from', v_item.state));
    end if;
    -- Who took back a reviewer's decision and holds the item for that decides again at the same level.
    v_level := coalesce(v_before.level, (
      select least(level, v_rank) from labelcrew.annotations
      where item_id = p_item and user_id = p_actor and withdrawn_at is not null order by number desc limit 1
    ), 1);
  elsif v_before.id is not null then
    v_level := v_before.level;
  elsif v_rank >= 2 then
    v_level := least(v_rank, 3);
  elsif v_item.gold_payload is null or not exists (
    select from labelcrew.gold_answers where item_id = p_item and user_id = p_actor and withdrawn_at is null
  ) then
    perform labelcrew.fail('forbidden', 'claim the item first: without a lease only your own answer can be changed',
      jsonb_build_object('item', p_item));
  end if;
  if not coalesce(v_lease.gold, v_item.gold_payload is not null and v_rank = 1) and exists (
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
  if v_item.gold_payload is not null and (v_lease.gold or (p_lease is null and v_before.id is null and v_rank = 1)) then
    return labelcrew.answer_gold(p_actor, v_item, p_payload, v_labelset.version, p_lead_time_ms, p_key, v_now);
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
  if v_level > 1 and v_item.annotation_id is not null then
    perform labelcrew.note_decision(v_item, v_answer);
  end if;
  if v_item.reserved_for = p_actor or v_item.expiries > 0 then
    update labelcrew.items
    set expiries = 0, reserved_for = nullif(reserved_for, p_actor),
        reserved_until = case when reserved_for <> p_actor then reserved_until end
    where id = p_item;
  end if;
  perform labelcrew.end_hold(p_item, p_actor, 'submitted', v_now);
  perform labelcrew.record_event(v_dataset, p_actor, 'item_submitted', p_item, jsonb_build_object(
    'annotation', v_answer.id, 'revision', v_answer.revision, 'level', v_level, 'lease', p_lease));
  perform labelcrew.settle_item(p_item, null, p_actor);
  return jsonb_build_object('annotation', labelcrew.annotation_json(v_answer),
    'item', labelcrew.item_json_of(p_item, p_actor), 'created', true);
end
$$;

-- A reviewer who answered an item as such, without being asked for a review, has reviewed what counted before.
create or replace function labelcrew.note_decision(p_item labelcrew.items, p_answer labelcrew.annotations) returns void
language plpgsql set search_path = ''
as $$
declare
  v_judged labelcrew.annotations;
  v_same bool;
begin
  select * into v_judged from labelcrew.annotations where id = p_item.annotation_id;
  if (v_judged.user_id = p_answer.user_id and v_judged.source = 'human') or p_answer.level <= v_judged.level then
    return;
  end if;
  v_same := labelcrew.same_answer(v_judged.payload, p_answer.payload);
  insert into labelcrew.reviews (
    item_id, dataset_id, reviewer_id, author_id, level, decision, annotation_id, correction_id, created_at
  ) values (
    p_item.id, p_item.dataset_id, p_answer.user_id, case v_judged.source when 'human' then v_judged.user_id end, p_answer.level,
    case when v_same then 'approved' else 'corrected' end, v_judged.id, case when not v_same then p_answer.id end,
    p_answer.created_at
  );
  update labelcrew.items set reviewed_by = array_append(array_remove(reviewed_by, p_answer.user_id), p_answer.user_id)
  where id = p_item.id;
end
$$;

-- Takes back what a person said about an item in the reviews of one moment.
create or replace function labelcrew.withdraw_reviews(p_item uuid, p_reviewer uuid, p_at timestamptz, p_now timestamptz)
returns void
language plpgsql set search_path = ''
as $$
begin
  update labelcrew.reviews set withdrawn_at = p_now
  where item_id = p_item and reviewer_id = p_reviewer and created_at = p_at and withdrawn_at is null;
  if found then
    update labelcrew.items set reviewed_by = array(
      select distinct reviewer_id from labelcrew.reviews where item_id = p_item and withdrawn_at is null
    ) where id = p_item;
  end if;
end
$$;

-- Takes back the person's own last answer in the dataset and hands them the item again. Their answer before that one, if
-- there was one, stands again. Refused as soon as anybody else has answered, reviewed or returned the item.
create or replace function labelcrew_api.undo_submit(p_actor uuid, p_dataset uuid) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_last labelcrew.annotations;
  v_gold labelcrew.gold_answers;
  v_lease labelcrew.leases;
  v_seconds int;
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  perform labelcrew.share_workflow(p_dataset);
  select labelcrew.lease_seconds_of(settings) into v_seconds from labelcrew.datasets where id = p_dataset;
  select * into v_last from labelcrew.annotations
  where dataset_id = p_dataset and user_id = p_actor and withdrawn_at is null
  order by number desc limit 1;
  select * into v_gold from labelcrew.gold_answers
  where dataset_id = p_dataset and user_id = p_actor and withdrawn_at is null
  order by number desc limit 1;
  if v_gold.created_at > coalesce(v_last.created_at, '-infinity') then
    update labelcrew.gold_answers set withdrawn_at = v_now where id = v_gold.id;
    v_lease := labelcrew.hand_out_gold(v_gold.item_id, p_actor, v_seconds, v_now);
    return labelcrew.claims_json(array[v_lease]) -> 0;
  end if;
  perform from labelcrew.items where id = v_last.item_id for no key update;
  select * into v_last from labelcrew.annotations where id = v_last.id and current and source = 'human';
  if v_last.id is null or exists (
    select from labelcrew.annotations
    where item_id = v_last.item_id and number > v_last.number and user_id <> p_actor and withdrawn_at is null
  ) or exists (
    select from labelcrew.reviews
    where item_id = v_last.item_id and annotation_id = v_last.id and reviewer_id <> p_actor and withdrawn_at is null
  ) then
    perform labelcrew.fail('nothing-to-undo', 'you have no answer here that can be taken back');
  end if;
  update labelcrew.annotations set current = false, withdrawn_at = v_now where id = v_last.id;
  update labelcrew.annotations set current = true where id = v_last.replaces;
  if v_last.level > 1 then
    perform labelcrew.withdraw_reviews(v_last.item_id, p_actor, v_last.created_at, v_now);
  end if;
  perform labelcrew.settle_item(v_last.item_id, v_last.state_before, p_actor);
  v_lease := labelcrew.hand_out(v_last.item_id, p_actor, v_seconds, v_now);
  perform labelcrew.record_event(p_dataset, p_actor, 'submit_undone', v_last.item_id,
    jsonb_build_object('annotation', v_last.id, 'token', v_lease.token));
  return jsonb_build_object('lease', labelcrew.lease_json(v_lease), 'item', labelcrew.item_json_of(v_last.item_id, p_actor));
end
$$;

-- Takes back the person's own skip of an item: it is in the state that it was in before, and they hold it again.
create or replace function labelcrew_api.take_back_skip(p_actor uuid, p_item uuid) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_dataset uuid := labelcrew.require_item(p_actor, p_item);
  v_state text;
  v_last labelcrew.leases;
  v_lease labelcrew.leases;
begin
  perform labelcrew.share_workflow(v_dataset);
  select state into v_state from labelcrew.items where id = p_item for no key update;
  select * into v_last from labelcrew.leases where item_id = p_item and not gold and level = 1 and ended_by = 'skipped'
  order by ended_at desc, token desc limit 1;
  if v_state <> 'skipped' or v_last.user_id is distinct from p_actor then
    perform labelcrew.fail('nothing-to-undo', 'you have no skip of this item that can be taken back',
      jsonb_build_object('item', p_item, 'state', v_state));
  end if;
  select from_state into v_state from labelcrew.item_moves where item_id = p_item and to_state = 'skipped' order by id desc limit 1;
  update labelcrew.items
  set state = case when v_state = 'returned' then 'returned' when draft_id is null then 'new' else 'drafted' end,
      updated_at = v_now
  where id = p_item;
  v_lease := labelcrew.hand_out(p_item, p_actor, v_last.seconds, v_now);
  perform labelcrew.record_event(v_dataset, p_actor, 'skip_undone', p_item, jsonb_build_object('token', v_lease.token));
  return labelcrew.claims_json(array[v_lease]) -> 0;
end
$$;

-- Puts an item, whose row the caller has locked, back into the queue: one that was skipped with the answers it has, any
-- other to be answered anew by anybody. What was answered stays on record.
create or replace function labelcrew.reopen_item(p_actor uuid, p_item labelcrew.items, p_note text, p_now timestamptz)
returns void
language plpgsql set search_path = ''
as $$
declare
  v_anew bool := p_item.state <> 'skipped';
begin
  if p_item.state in ('new', 'drafted', 'returned') then
    perform labelcrew.fail('illegal-transition', format('the item is %s: it is in the queue already', p_item.state),
      jsonb_build_object('item', p_item.id, 'from', p_item.state, 'to', 'returned'));
  end if;
  if v_anew then
    update labelcrew.annotations set current = false where item_id = p_item.id and current;
    update labelcrew.leases set ended_at = p_now, ended_by = 'closed' where item_id = p_item.id and ended_at is null and not gold;
    update labelcrew.arbitrations set closed_at = p_now where item_id = p_item.id and closed_at is null;
    perform labelcrew.end_gold(p_item.id, p_now);
  end if;
  update labelcrew.items i
  set state = 'returned', annotation_id = null, updated_at = p_now, expiries = 0, reviewer_id = null, reviewer_until = null,
      answered_by = case when v_anew then '{}' else i.answered_by end,
      held = case when v_anew then '{}' else i.held end,
      labels = coalesce(labelcrew.labels_of((select p.payload from labelcrew.predictions p where p.id = i.draft_id)), '{}'),
      source = (select p.route from labelcrew.predictions p where p.id = i.draft_id)
  where i.id = p_item.id;
  perform labelcrew.record_event(p_item.dataset_id, p_actor, 'item_returned', p_item.id,
    jsonb_build_object('from', p_item.state, 'note', left(coalesce(p_note, ''), 1000)));
end
$$;

-- A reviewer brings an item back into the queue.
create or replace function labelcrew_api.return_item(p_actor uuid, p_item uuid, p_note text default '') returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_dataset uuid := labelcrew.require_item(p_actor, p_item, 'reviewer');
  v_item labelcrew.items;
begin
  perform labelcrew.share_workflow(v_dataset);
  select * into v_item from labelcrew.items where id = p_item for no key update;
  perform labelcrew.reopen_item(p_actor, v_item, p_note, labelcrew.now());
  return labelcrew.item_json_of(p_item);
end
$$;
