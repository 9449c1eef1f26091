-- Gold: items with a known answer, shown to annotators among the others to see how they answer. They are out of the queue;
-- a share of what each annotator claims is drawn from them, beyond any overlap and nobody the same twice. What is answered
-- is scored and changes no item.

-- Two answers to one item: 1 where they say the same, 0 where they have no mark in common; the share of marks in common
-- between (Dice's coefficient).
create or replace function labelcrew.gold_score(p_payload jsonb, p_gold jsonb) returns float8
language sql immutable set search_path = ''
as $$
  with one as (
    select distinct m.mark from jsonb_each(p_payload) p (name, marks), jsonb_array_elements(p.marks) m (mark)
  ), other as (
    select distinct m.mark from jsonb_each(p_gold) p (name, marks), jsonb_array_elements(p.marks) m (mark)
  )
  select case when s.n = 0 then 1 else 2.0::float8 * s.both / s.n end
  from (
    select (select count(*) from one) + (select count(*) from other) as n,
      (select count(*) from one join other using (mark)) as both
  ) s
$$;

-- Gold for `p_slots` items that somebody is about to be handed: each is one with the chance `p_share`, as long as there is
-- gold that they have neither answered nor skipped, decided or reviewed. Locked.
create or replace function labelcrew.draw_gold(
  p_actor uuid, p_dataset uuid, p_skills text[], p_slots int, p_share float8, p_now timestamptz
) returns uuid[]
language plpgsql set search_path = ''
as $$
declare
  v_count int;
  v_ids uuid[];
begin
  select count(*) into v_count from generate_series(1, p_slots) where random() < p_share;
  if v_count > 0 then
    select array_agg(x.id) into v_ids from (
      select i.id from labelcrew.items i
      where i.dataset_id = p_dataset and i.gold_payload is not null and i.tags <@ p_skills and p_actor <> all (i.reviewed_by)
        and not exists (
          select from labelcrew.gold_answers g
          where g.item_id = i.id and g.user_id = p_actor and g.withdrawn_at is null
        )
        and not exists (select from labelcrew.annotations a where a.item_id = i.id and a.user_id = p_actor)
        and not exists (
          select from labelcrew.leases l
          where l.item_id = i.id and l.user_id = p_actor
            and (l.ended_by = 'skipped' or (l.ended_at is null and l.expires_at > p_now))
        )
      order by random() limit v_count for no key update skip locked
    ) x;
  end if;
  return coalesce(v_ids, '{}');
end
$$;

-- The item stays where it is and nobody holds it: this person alone is handed it, with a token of its own.
create or replace function labelcrew.hand_out_gold(p_item uuid, p_user uuid, p_seconds int, p_now timestamptz)
returns labelcrew.leases
language plpgsql set search_path = ''
as $$
declare
  v_item labelcrew.items;
  v_lease labelcrew.leases;
begin
  update labelcrew.items i set token = i.token + 1 where i.id = p_item returning * into v_item;
  update labelcrew.leases set ended_at = p_now, ended_by = 'expired'
  where item_id = p_item and user_id = p_user and ended_at is null;
  insert into labelcrew.leases (item_id, dataset_id, user_id, token, seconds, gold, created_at, expires_at)
  values (p_item, v_item.dataset_id, p_user, v_item.token, p_seconds, true, p_now, p_now + make_interval(secs => p_seconds))
  returning * into v_lease;
  return v_lease;
end
$$;

create or replace function labelcrew.gold_answered_json(g labelcrew.gold_answers, p_created bool) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_answer jsonb := jsonb_build_object(
    'id', g.id, 'item_id', g.item_id, 'user_id', g.user_id, 'payload', g.payload, 'labelset_version', g.labelset_version,
    'level', 1, 'revision', 1, 'current', g.withdrawn_at is null, 'source', 'human', 'lead_time_ms', g.lead_time_ms,
    'withdrawn_at', g.withdrawn_at, 'created_at', g.created_at);
  v_settings jsonb;
begin
  select settings into v_settings from labelcrew.datasets where id = g.dataset_id;
  return jsonb_build_object('annotation', v_answer, 'created', p_created, 'item',
    labelcrew.veiled_json((select i from labelcrew.items i where i.id = g.item_id), labelcrew.item_json_of(g.item_id))
    || case when labelcrew.overlap_of(v_settings) = 1 then jsonb_build_object('annotation', v_answer,
      'state', case labelcrew.review_levels_of(v_settings) when 1 then 'verified' else 'annotated' end) else '{}' end);
end
$$;

-- Stores an answer to gold, which looks to its author like any other; one they gave before is replaced. The caller has
-- checked the payload, and the lease if there is one.
create or replace function labelcrew.answer_gold(
  p_actor uuid, p_item labelcrew.items, p_payload jsonb, p_version int, p_lead_time_ms int, p_key text, p_now timestamptz
) returns jsonb
language plpgsql set search_path = ''
as $$
declare
  v_answer labelcrew.gold_answers;
  v_score float8 := labelcrew.gold_score(p_payload, p_item.gold_payload);
begin
  update labelcrew.gold_answers set withdrawn_at = p_now
  where item_id = p_item.id and user_id = p_actor and withdrawn_at is null;
  insert into labelcrew.gold_answers (
    item_id, dataset_id, user_id, payload, gold_payload, agrees, score, labelset_version, lead_time_ms, key, created_at
  ) values (
    p_item.id, p_item.dataset_id, p_actor, p_payload, p_item.gold_payload, v_score = 1, v_score, p_version, p_lead_time_ms,
    p_key, p_now
  ) returning * into v_answer;
  perform labelcrew.end_hold(p_item.id, p_actor, 'submitted', p_now);
  perform labelcrew.record_event(p_item.dataset_id, p_actor, 'gold_answered', p_item.id,
    jsonb_build_object('answer', v_answer.id, 'agrees', v_answer.agrees, 'score', v_score));
  return labelcrew.gold_answered_json(v_answer, true);
end
$$;

-- Makes an item gold. Without a payload the answer that counts is the known one. An item that is still open is decided
-- with it by `p_actor`. Again with another payload: from then on that one is known. Answers keep the score they got.
create or replace function labelcrew_api.set_gold(
  p_actor uuid, p_item uuid, p_payload jsonb default null, p_labelset_version int default null
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_dataset uuid := labelcrew.require_item(p_actor, p_item, 'reviewer');
  v_item labelcrew.items;
  v_labelset labelcrew.labelsets;
  v_payload jsonb := nullif(p_payload, 'null');
  v_problem text;
begin
  perform labelcrew.share_workflow(v_dataset);
  select * into v_item from labelcrew.items where id = p_item for no key update;
  if v_payload is null then
    select payload into v_payload from labelcrew.annotations where id = v_item.annotation_id and v_item.state = 'verified';
    if v_payload is null then
      perform labelcrew.fail('illegal-transition', format('the item is %s: say what the known answer is', v_item.state),
        jsonb_build_object('item', p_item, 'from', v_item.state));
    end if;
  end if;
  v_labelset := labelcrew.find_labelset(v_dataset, p_labelset_version);
  v_problem := labelcrew.payload_problem(v_labelset, v_payload, length(v_item.text));
  if v_problem is not null then
    perform labelcrew.fail('invalid-payload', v_problem, jsonb_build_object('item', p_item));
  end if;
  if v_item.state <> 'verified' then
    perform labelcrew_api.submit_annotation(p_actor, p_item, v_payload, v_labelset.version);
  end if;
  update labelcrew.items set gold_payload = v_payload, updated_at = labelcrew.now() where id = p_item;
  perform labelcrew.record_event(v_dataset, p_actor, 'gold_set', p_item);
  return labelcrew.item_json_of(p_item);
end
$$;

-- The item, whose row the caller has locked, is one like any other again. False if it was that already.
create or replace function labelcrew.end_gold(p_item uuid, p_now timestamptz) returns bool
language plpgsql set search_path = ''
as $$
begin
  update labelcrew.items set gold_payload = null, updated_at = p_now where id = p_item and gold_payload is not null;
  if not found then
    return false;
  end if;
  update labelcrew.leases set ended_at = p_now, ended_by = 'closed' where item_id = p_item and gold and ended_at is null;
  return true;
end
$$;

-- Answers that were scored stay on record.
create or replace function labelcrew_api.clear_gold(p_actor uuid, p_item uuid) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_dataset uuid := labelcrew.require_item(p_actor, p_item, 'reviewer');
begin
  perform from labelcrew.items where id = p_item for no key update;
  if labelcrew.end_gold(p_item, labelcrew.now()) then
    perform labelcrew.record_event(v_dataset, p_actor, 'gold_cleared', p_item);
  end if;
  return labelcrew.item_json_of(p_item);
end
$$;
