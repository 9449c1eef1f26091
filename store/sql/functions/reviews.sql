-- Reviews: level 2 looks at what level 1 answered, level 3 has the last word where they disagree or an author appeals.
--
--   annotated ──approved──▶ verified
--       │ ──corrected──▶ verified, or with three levels reviewed: somebody at level 3 decides
--       └──rejected──▶ returned, for its author first; what they answer then comes back to the same reviewer first
--   reviewed ──whatever level 3 says──▶ verified, or returned
--   returned, verified ──appeal of the author──▶ reviewed
--
-- Whom a review may come from is checked here with words for people, and by a trigger of the table in any case.

create or replace function labelcrew.review_json(r labelcrew.reviews) returns jsonb
language sql stable
as $$
  select jsonb_build_object(
    'id', (r).id, 'item_id', (r).item_id, 'reviewer_id', (r).reviewer_id, 'author_id', (r).author_id, 'level', (r).level,
    'decision', (r).decision, 'annotation_id', (r).annotation_id, 'correction_id', (r).correction_id,
    'comment', (r).comment, 'withdrawn_at', (r).withdrawn_at, 'created_at', (r).created_at
  )
$$;

create or replace function labelcrew.question_json(q labelcrew.arbitrations) returns jsonb
language sql stable
as $$
  select case when (q).id is not null then jsonb_build_object(
    'id', (q).id, 'kind', (q).kind, 'asked_by', (q).asked_by, 'review_id', (q).review_id, 'comment', (q).comment,
    'created_at', (q).created_at, 'closed_at', (q).closed_at, 'outcome_id', (q).outcome_id
  ) end
$$;

-- What waits for a review by `p_actor`, what waits for them alone first, then by priority; locked. Nobody gets what they
-- have answered, and at level 3 nobody what they have reviewed.
create or replace function labelcrew.take_reviews(
  p_actor uuid, p_dataset uuid, p_level int, p_count int, p_now timestamptz
) returns uuid[]
language plpgsql set search_path = '' set plan_cache_mode = force_generic_plan set enable_sort = off
as $$
declare
  v_state text := case p_level when 2 then 'annotated' else 'reviewed' end;
  v_mine uuid[] := '{}';
  v_ids uuid[];
begin
  if p_level = 2 then
    select coalesce(array_agg(x.id), '{}') into v_mine from (
      select i.id from labelcrew.items i
      where i.reviewer_id = p_actor and i.dataset_id = p_dataset and i.state = 'annotated'
        and (cardinality(i.held) = 0 or labelcrew.has_room(i.held, 0, p_actor, 1, p_now, 0, 2147483647))
        and not exists (
          select from labelcrew.annotations a
          where a.item_id = i.id and a.user_id = p_actor and a.source = 'human' and a.withdrawn_at is null
        )
      limit p_count for no key update of i skip locked
    ) x;
  end if;
  select coalesce(array_agg(x.id), '{}') into v_ids from (
    select i.id from labelcrew.items i
    where i.dataset_id = p_dataset and i.state = v_state and i.id <> all (v_mine)
      and (cardinality(i.held) = 0 or labelcrew.has_room(i.held, 0, p_actor, 1, p_now, 0, 2147483647))
      and (p_level = 3 or i.reviewer_id is null or i.reviewer_id = p_actor or i.reviewer_until <= p_now)
      and not exists (
        select from labelcrew.annotations a
        where a.item_id = i.id and a.user_id = p_actor and a.source = 'human' and a.withdrawn_at is null
      )
      and (p_level = 2 or p_actor <> all (i.reviewed_by))
    order by (- i.priority), i.seq limit p_count - cardinality(v_mine) for no key update of i skip locked
  ) x;
  return v_mine || v_ids;
end
$$;

-- Up to `p_count` items to review at level 2 (what people answered) or 3 (disagreements and appeals), held by a lease like
-- any other; those that the person holds already first. [{lease, item, level, answers, reviews, question}]: what people
-- answered that still stands, what was said about the item before, and what level 3 is asked, or null.
create or replace function labelcrew_api.claim_reviews(
  p_actor uuid, p_dataset uuid, p_level int default 2, p_count int default 1, p_lease_seconds int default null
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_settings jsonb;
  v_seconds int;
  v_count int;
  v_item uuid;
  v_new uuid[];
  v_lease labelcrew.leases;
  v_leases labelcrew.leases[];
begin
  perform labelcrew.require_role(p_actor, p_dataset, case when p_level = 3 then 'super_reviewer' else 'reviewer' end);
  if p_level is null or p_level not in (2, 3) then
    perform labelcrew.fail('invalid', 'reviews are at level 2 or 3');
  end if;
  select settings into v_settings from labelcrew.datasets where id = p_dataset;
  v_seconds := coalesce(p_lease_seconds, labelcrew.setting_of(v_settings, 'review_lease_seconds', 900));
  if v_seconds not between 10 and 86400 then
    perform labelcrew.fail('invalid', 'a lease lasts 10 to 86400 seconds');
  end if;
  v_count := least(greatest(coalesce(p_count, 1), 1), labelcrew.setting_of(v_settings, 'max_open', 100));
  v_leases := array(select l from labelcrew.renewed_leases(p_actor, p_dataset, p_level, v_count, v_seconds, v_now) l);
  if cardinality(v_leases) < v_count then
    v_new := labelcrew.take_reviews(p_actor, p_dataset, p_level, v_count - cardinality(v_leases), v_now);
    foreach v_item in array v_new loop
      v_lease := labelcrew.hand_out(v_item, p_actor, v_seconds, v_now, p_level);
      v_leases := v_leases || v_lease;
      perform labelcrew.record_event(p_dataset, p_actor, 'review_claimed', v_item,
        jsonb_build_object('token', v_lease.token, 'level', p_level));
    end loop;
  end if;
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'lease', labelcrew.lease_json(p.lease), 'item', labelcrew.item_json_of((p.lease).item_id), 'level', p_level,
      'answers', labelcrew.standing_json((p.lease).item_id), 'reviews', labelcrew.reviews_json((p.lease).item_id, null),
      'question', (
        select labelcrew.question_json(q) from labelcrew.arbitrations q
        where q.item_id = (p.lease).item_id and q.closed_at is null
      )
    ) order by p.n), '[]')
    from (select n, v_leases[n] as lease from generate_subscripts(v_leases, 1) n) p
  );
end
$$;

-- The answers to an item that stand, oldest first.
create or replace function labelcrew.standing_json(p_item uuid) returns jsonb
language sql stable set search_path = ''
as $$
  select coalesce(jsonb_agg(labelcrew.annotation_json(a) order by a.number), '[]')
  from labelcrew.annotations a where a.item_id = p_item and a.current
$$;

-- What was said about an item, oldest first; with an author, only about their answers.
create or replace function labelcrew.reviews_json(p_item uuid, p_author uuid) returns jsonb
language sql stable set search_path = ''
as $$
  select coalesce(jsonb_agg(labelcrew.review_json(r) order by r.number), '[]')
  from labelcrew.reviews r
  where r.item_id = p_item and r.withdrawn_at is null and (p_author is null or r.author_id = p_author)
$$;

-- What was said about an item and what level 3 was asked: {reviews, questions}. An annotator sees what was said about
-- their own answers and what they asked.
create or replace function labelcrew_api.list_reviews(p_actor uuid, p_item uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_dataset uuid := labelcrew.require_item(p_actor, p_item);
  v_author uuid := case labelcrew.role_of(p_actor, v_dataset) when 'annotator' then p_actor end;
begin
  return jsonb_build_object(
    'reviews', labelcrew.reviews_json(p_item, v_author),
    'questions', (
      select coalesce(jsonb_agg(labelcrew.question_json(q) order by q.created_at, q.id), '[]')
      from labelcrew.arbitrations q where q.item_id = p_item and (v_author is null or q.asked_by = v_author)
    )
  );
end
$$;

-- Says what a reviewer thinks of the answer that counts. With a lease of claim_reviews, or without one where nobody else
-- holds the item. `approved`: it is right. `corrected`: `p_payload` is right. `rejected`: it is to be answered anew, and
-- the comment says why. The same key again gives back what was stored then. {review, item, created}.
create or replace function labelcrew_api.review_item(
  p_actor uuid, p_item uuid, p_decision text, p_payload jsonb default null, p_labelset_version int default null,
  p_comment text default '', p_lease uuid default null, p_token bigint default null, p_key text default null
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_dataset uuid := labelcrew.require_item(p_actor, p_item, 'reviewer');
  v_item labelcrew.items;
  v_lease labelcrew.leases;
  v_review labelcrew.reviews;
begin
  perform labelcrew.share_workflow(v_dataset);
  select * into v_item from labelcrew.items where id = p_item for no key update;
  if p_key is not null then
    select * into v_review from labelcrew.reviews where reviewer_id = p_actor and key = p_key;
    if v_review.item_id <> p_item then
      perform labelcrew.fail('conflict', 'this key was used for another item', jsonb_build_object('item', v_review.item_id));
    elsif v_review.id is not null then
      return jsonb_build_object('review', labelcrew.review_json(v_review), 'item', labelcrew.item_json_of(p_item),
        'created', false);
    end if;
  end if;
  if p_lease is not null then
    select * into v_lease from labelcrew.leases
    where id = p_lease and item_id = p_item and user_id = p_actor and level > 1;
    if v_lease.id is null then
      perform labelcrew.fail('not-found', 'no such lease', jsonb_build_object('lease', p_lease));
    end if;
    perform labelcrew.check_lease(v_lease, p_token, v_now);
  elsif exists (select from unnest(v_item.held) h where h.until > v_now and h.user_id <> p_actor) then
    perform labelcrew.fail('conflict', 'somebody else holds this item to review it', jsonb_build_object('item', p_item));
  end if;
  v_review := labelcrew.decide_review(
    p_actor, v_item, p_decision, nullif(p_payload, 'null'), p_labelset_version, p_comment, p_key, v_now);
  return jsonb_build_object('review', labelcrew.review_json(v_review), 'item', labelcrew.item_json_of(p_item),
    'created', true);
end
$$;
