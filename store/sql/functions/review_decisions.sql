-- What a review does to its item, and appeals against it.

-- Stores a reviewer's decision about an item, whose row the caller has locked, and puts the item into the state that
-- follows. Raises `illegal-transition` where nothing waits for a review, `own-work`, `forbidden` at level 3 for those who
-- are no super reviewers, `invalid`, `invalid-payload`.
create or replace function labelcrew.decide_review(
  p_actor uuid, p_item labelcrew.items, p_decision text, p_payload jsonb, p_labelset_version int, p_comment text,
  p_key text, p_now timestamptz
) returns labelcrew.reviews
language plpgsql set search_path = ''
as $$
declare
  v_level int := case p_item.state when 'annotated' then 2 when 'reviewed' then 3 end;
  v_facts jsonb := jsonb_build_object('item', p_item.id, 'from', p_item.state);
  v_judged labelcrew.annotations;
  v_correction labelcrew.annotations;
  v_review labelcrew.reviews;
begin
  if v_level is null then
    perform labelcrew.fail('illegal-transition', format('the item is %s: it does not wait for a review', p_item.state), v_facts);
  end if;
  if v_level = 3 then
    perform labelcrew.require_role(p_actor, p_item.dataset_id, 'super_reviewer');
  end if;
  if p_decision is null or p_decision not in ('approved', 'corrected', 'rejected') then
    perform labelcrew.fail('invalid', 'a decision is approved, corrected or rejected');
  end if;
  if (p_payload is not null) <> (p_decision = 'corrected') then
    perform labelcrew.fail('invalid', 'a correction needs a payload, and nothing else has one');
  end if;
  if p_decision = 'rejected' and coalesce(btrim(p_comment), '') = '' then
    perform labelcrew.fail('invalid', 'say why: the author reads the comment of a rejection');
  end if;
  if length(p_comment) > 4000 then
    perform labelcrew.fail('invalid', 'a comment has at most 4000 characters');
  end if;
  select * into v_judged from labelcrew.annotations where id = p_item.annotation_id;
  if exists (
    select from labelcrew.annotations
    where item_id = p_item.id and user_id = p_actor and source = 'human' and withdrawn_at is null and level < v_level
  ) or (v_level = 3 and exists (
    select from labelcrew.reviews
    where item_id = p_item.id and reviewer_id = p_actor and level = 2 and withdrawn_at is null
  )) then
    perform labelcrew.fail('own-work', case v_level
      when 2 then 'you have answered this item yourself'
      else 'you have answered or reviewed this item yourself' end, v_facts);
  end if;
  if p_decision = 'corrected' then
    if labelcrew.same_answer(v_judged.payload, p_payload) then
      perform labelcrew.fail('invalid', 'the correction is what was answered', v_facts, 'Approve the answer.');
    end if;
    v_correction := labelcrew.store_correction(p_actor, p_item, p_payload, p_labelset_version, v_level, p_now);
  end if;
  insert into labelcrew.reviews (
    item_id, dataset_id, reviewer_id, author_id, level, decision, annotation_id, correction_id, comment, key, created_at
  ) values (
    p_item.id, p_item.dataset_id, p_actor, case v_judged.source when 'human' then v_judged.user_id end, v_level, p_decision,
    v_judged.id, v_correction.id, coalesce(btrim(p_comment), ''), p_key, p_now
  ) returning * into v_review;
  if v_level = 3 then
    update labelcrew.arbitrations set closed_at = p_now, outcome_id = v_review.id
    where item_id = p_item.id and closed_at is null;
  end if;
  update labelcrew.items set reviewed_by = array_append(array_remove(reviewed_by, p_actor), p_actor) where id = p_item.id;
  perform labelcrew.end_hold(p_item.id, p_actor, 'submitted', p_now);
  perform labelcrew.record_event(p_item.dataset_id, p_actor, 'item_reviewed', p_item.id, jsonb_build_object(
    'review', v_review.id, 'level', v_level, 'decision', p_decision, 'annotation', v_judged.id,
    'correction', v_correction.id));
  if p_decision = 'rejected' then
    perform labelcrew.send_to_author(p_item, v_judged, v_review, p_now);
  else
    perform labelcrew.settle_item(p_item.id, null, p_actor);
  end if;
  return v_review;
end
$$;

-- The answer that a reviewer gives instead of the one they judge.
create or replace function labelcrew.store_correction(
  p_actor uuid, p_item labelcrew.items, p_payload jsonb, p_labelset_version int, p_level int, p_now timestamptz
) returns labelcrew.annotations
language plpgsql set search_path = ''
as $$
declare
  v_labelset labelcrew.labelsets := labelcrew.find_labelset(p_item.dataset_id, p_labelset_version);
  v_problem text := labelcrew.payload_problem(v_labelset, p_payload, length(p_item.text));
  v_answer labelcrew.annotations;
begin
  if v_problem is not null then
    perform labelcrew.fail('invalid-payload', v_problem, jsonb_build_object('item', p_item.id));
  end if;
  update labelcrew.annotations set current = false
  where item_id = p_item.id and user_id = p_actor and current returning * into v_answer;
  insert into labelcrew.annotations (
    item_id, dataset_id, user_id, payload, labelset_version, level, revision, replaces, state_before, created_at
  ) values (
    p_item.id, p_item.dataset_id, p_actor, p_payload, v_labelset.version, p_level,
    1 + coalesce((
      select max(revision) from labelcrew.annotations where item_id = p_item.id and user_id = p_actor
    ), 0), v_answer.id, p_item.state, p_now
  ) returning * into v_answer;
  return v_answer;
end
$$;

-- A rejected item is open again. At level 2 the answers that said what was judged are set aside, others stay; at level 3
-- all are. If that concerns one author, they alone may claim it for a while; afterwards anybody, but not the reviewer.
create or replace function labelcrew.send_to_author(
  p_item labelcrew.items, p_judged labelcrew.annotations, p_review labelcrew.reviews, p_now timestamptz
) returns void
language plpgsql set search_path = ''
as $$
declare
  v_authors uuid[];
  v_author uuid;
  v_seconds int;
begin
  select labelcrew.setting_of(settings, 'return_seconds', 86400) into v_seconds
  from labelcrew.datasets where id = p_item.dataset_id;
  with aside as (
    update labelcrew.annotations set current = false
    where item_id = p_item.id and current and (p_review.level = 3 or level > 1 or source = 'import'
      or labelcrew.same_answer(payload, p_judged.payload))
    returning user_id, level, source
  )
  select array_agg(user_id) filter (where level = 1 and source = 'human') into v_authors from aside;
  if cardinality(v_authors) = 1 and v_seconds > 0 and labelcrew.role_of(v_authors[1], p_item.dataset_id) is not null then
    v_author := v_authors[1];
  end if;
  perform labelcrew.end_gold(p_item.id, p_now);
  update labelcrew.items i
  set state = 'returned', annotation_id = null, updated_at = p_now, expiries = 0, held = '{}',
      answered_by = array(
        select a.user_id from labelcrew.annotations a where a.item_id = i.id and a.current and a.level = 1 order by a.number
      ),
      reserved_for = v_author, reserved_until = case when v_author is not null then p_now + make_interval(secs => v_seconds) end,
      reviewer_id = case when p_review.level = 2 then p_review.reviewer_id else i.reviewer_id end, reviewer_until = null,
      labels = coalesce(labelcrew.labels_of((select p.payload from labelcrew.predictions p where p.id = i.draft_id)), '{}'),
      source = (select p.route from labelcrew.predictions p where p.id = i.draft_id)
  where i.id = p_item.id;
  update labelcrew.leases set ended_at = p_now, ended_by = 'closed' where item_id = p_item.id and ended_at is null and not gold;
  perform labelcrew.record_event(p_item.dataset_id, p_review.reviewer_id, 'item_returned', p_item.id, jsonb_build_object(
    'from', p_item.state, 'note', left(p_review.comment, 1000), 'review', p_review.id, 'reserved_for', v_author));
end
$$;

-- The author of an answer that level 2 corrected or rejected asks level 3, once, while nothing has happened since. What was
-- rejected stands again until level 3 has spoken.
create or replace function labelcrew_api.appeal_item(p_actor uuid, p_item uuid, p_comment text) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_dataset uuid := labelcrew.require_item(p_actor, p_item);
  v_item labelcrew.items;
  v_review labelcrew.reviews;
  v_judged labelcrew.annotations;
  v_seconds int;
  v_problem text;
begin
  perform labelcrew.share_workflow(v_dataset);
  select * into v_item from labelcrew.items where id = p_item for no key update;
  select labelcrew.setting_of(settings, 'appeal_seconds', 604800) into v_seconds from labelcrew.datasets where id = v_dataset;
  if coalesce(btrim(p_comment), '') = '' or length(p_comment) > 4000 then
    perform labelcrew.fail('invalid', 'say in 1 to 4000 characters why the review is wrong');
  end if;
  select * into v_review from labelcrew.reviews
  where item_id = p_item and withdrawn_at is null order by number desc limit 1;
  select * into v_judged from labelcrew.annotations where id = v_review.annotation_id;
  v_problem := case
    when v_review.level = 3 then 'level 3 has decided, and its word is final'
    when v_review.author_id is distinct from p_actor or v_review.decision = 'approved'
      then 'no answer of yours was corrected or rejected here last'
    when exists (select from labelcrew.arbitrations where item_id = p_item and closed_at is null)
      then 'level 3 is asked already'
    when exists (select from labelcrew.arbitrations where review_id = v_review.id and kind = 'appeal')
      then 'there was an appeal against this review'
    when v_review.created_at + make_interval(secs => v_seconds) <= v_now then 'the time to appeal has ended'
    when v_item.state <> case v_review.decision when 'rejected' then 'returned' else 'verified' end
      or exists (select from labelcrew.annotations a where a.item_id = p_item and a.current and a.created_at > v_review.created_at)
      or exists (select from unnest(v_item.held) h where h.until > v_now and h.user_id <> p_actor)
      then format('the item is %s: it has gone on since the review', v_item.state)
  end;
  if v_problem is not null then
    perform labelcrew.fail('illegal-transition', v_problem, jsonb_build_object('item', p_item, 'from', v_item.state));
  end if;
  if v_review.decision = 'rejected' then
    -- Each person's newest answer, of those that said what was judged.
    update labelcrew.annotations a set current = true
    where a.item_id = p_item and a.level = 1 and not a.current and a.withdrawn_at is null
      and labelcrew.same_answer(a.payload, v_judged.payload)
      and not exists (
        select from labelcrew.annotations n
        where n.item_id = p_item and n.user_id = a.user_id and n.number > a.number and n.withdrawn_at is null
      );
    perform labelcrew.end_hold(p_item, p_actor, 'closed', v_now);
  end if;
  insert into labelcrew.arbitrations (item_id, dataset_id, kind, asked_by, review_id, comment, created_at)
  values (p_item, v_dataset, 'appeal', p_actor, v_review.id, btrim(p_comment), v_now);
  perform labelcrew.record_event(v_dataset, p_actor, 'item_appealed', p_item, jsonb_build_object('review', v_review.id));
  perform labelcrew.settle_item(p_item, null, p_actor);
  if (select state from labelcrew.items where id = p_item) <> 'reviewed' then
    perform labelcrew.fail('illegal-transition', 'the item needs more answers now than it did then',
      jsonb_build_object('item', p_item, 'from', v_item.state));
  end if;
  return labelcrew.item_json_of(p_item, p_actor);
end
$$;
