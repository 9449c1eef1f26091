-- What becomes of an item when its answers or its reviews have changed: one function, settle_item, decides it for all.
--
-- Of the answers a reviewer's decides, the highest level first, then one that was imported; else as many people as the
-- overlap asks for, and of theirs the most frequent counts, of equals the newest. Whether that is enough is a question of
-- the dataset's review levels:
--   1  the answer counts: verified
--   2  annotated until a reviewer has looked at it, unless it was not drawn to be reviewed; what the reviewer says counts
--   3  the same; where the reviewer corrects it the item is reviewed, and somebody at level 3 has the last word
-- An appeal makes an item reviewed at any of them.

-- The chance that decides about an item, always the same for the same item and purpose: 0..1.
create or replace function labelcrew.draw_of(p_id uuid, p_for text) returns float8
language sql immutable
as $$ select ('x' || left(md5(p_for || p_id), 8))::bit(32)::int8 / 4294967296.0::float8 $$;

create or replace function labelcrew.setting_of(p_settings jsonb, p_key text, p_default int) returns int
language sql immutable
as $$ select coalesce((p_settings ->> p_key)::int, p_default) $$;

create or replace function labelcrew.share_of(p_settings jsonb, p_key text, p_default float8) returns float8
language sql immutable
as $$ select coalesce((p_settings ->> p_key)::float8, p_default) $$;

-- Two payloads that say the same have the same key, whatever the order of their marks.
create or replace function labelcrew.answer_key(p_payload jsonb) returns jsonb
language sql immutable set search_path = ''
as $$
  select coalesce(jsonb_agg(m.mark order by m.mark), '[]')
  from jsonb_each(p_payload) part (name, marks), jsonb_array_elements(part.marks) m (mark)
$$;

-- Somebody of whose last `p_after` reviewed answers nine in ten were approved.
create or replace function labelcrew.is_trusted(p_dataset uuid, p_user uuid, p_after int) returns bool
language sql stable set search_path = ''
as $$
  select count(*) >= p_after and count(*) filter (where r.decision = 'approved') >= 0.9 * p_after
  from (
    select decision from labelcrew.reviews
    where dataset_id = p_dataset and author_id = p_user and withdrawn_at is null order by number desc limit p_after
  ) r
$$;

-- Notes that the people who answered do not agree. The stamp is the substance: the same answers are the same conflict.
create or replace function labelcrew.note_disagreement(p_item labelcrew.items, p_final labelcrew.annotations) returns void
language plpgsql set search_path = ''
as $$
declare
  v_said text;
  v_people jsonb;
  v_answers int;
  v_top int;
  v_second int;
  v_total int;
  v_stamp bytea;
begin
  with given as (
    select a.user_id, a.number, a.payload, labelcrew.answer_key(a.payload) as key,
      case when a.payload ? 'labels'
        then jsonb_build_object('labels', labelcrew.answer_key(a.payload)) else a.payload end::text as words
    from labelcrew.annotations a where a.item_id = p_item.id and a.current and a.level = 1
  ), votes as (
    select key, count(*)::int as n, min(words) as words from given group by key
  )
  select (select string_agg(format('%s × %s', v.n, left(v.words, 100)), '; ' order by v.n desc, v.words) from votes v),
    (select jsonb_agg(jsonb_build_object('user', g.user_id, 'payload', g.payload) order by g.number) from given g),
    (select count(*) from votes), (select max(n) from votes), (select n from votes order by n desc offset 1 limit 1),
    (select sum(n) from votes),
    (
      select string_agg(convert_to(x.part, 'UTF8'), '\x00'::bytea order by x.place, x.part collate "C")
      from (
        select 0 as place, g.words as part from given g where g.user_id = p_final.user_id
        union all
        select 1, g.user_id || ' ' || g.words from given g
      ) x
    )
  into v_said, v_people, v_answers, v_top, v_second, v_total, v_stamp;
  perform labelcrew.open_conflict(
    p_item.dataset_id, p_item.id, 'annotators_disagree', 1 - v_top::float8 / v_total, 'annotators_disagree:' || p_item.id,
    jsonb_build_object('stamp', left(encode(sha256(v_stamp), 'hex'), 12), 'source', 'answer', 'given', p_final.payload,
      'summary', format('%s people gave %s answers: %s.', v_total, v_answers, v_said), 'items', '[]'::jsonb,
      'people', v_people, 'answers', v_answers),
    case when v_top > v_second then jsonb_build_object('action', 'relabel', 'payload', p_final.payload,
      'reason', format('%s of %s people say so', v_top, v_total)) end
  );
end
$$;

-- The state that an answer of level 1 or 2 amounts to, where there are reviewers and nobody has appealed. `p_agreed` is
-- whether everybody who answered said the same.
create or replace function labelcrew.state_after(
  p_item labelcrew.items, p_final labelcrew.annotations, p_settings jsonb, p_people int, p_agreed bool
) returns text
language plpgsql stable set search_path = ''
as $$
declare
  v_approved int;
  v_share float8;
begin
  select max(level) into v_approved from labelcrew.reviews
  where item_id = p_item.id and annotation_id = p_final.id and decision = 'approved' and withdrawn_at is null;
  if p_final.level = 2 then
    return case
      when labelcrew.review_levels_of(p_settings) < 3 or v_approved = 3 or exists (
        select from labelcrew.reviews
        where item_id = p_item.id and reviewer_id = p_final.user_id and level = 2 and decision = 'approved'
          and created_at = p_final.created_at and withdrawn_at is null
      ) then 'verified'
      else 'reviewed'
    end;
  end if;
  if v_approved >= 2 then
    return 'verified';
  end if;
  if p_final.source = 'import' or not p_agreed or p_item.reviewer_id is not null then
    return 'annotated';
  end if;
  v_share := case
    when p_people > 1
      or labelcrew.is_trusted(p_item.dataset_id, p_final.user_id, labelcrew.setting_of(p_settings, 'review_trusted_after', 20))
    then labelcrew.share_of(p_settings, 'review_share_trusted', 0.2)
    else labelcrew.share_of(p_settings, 'review_share_new', 1)
  end;
  return case when labelcrew.draw_of(p_item.id, 'review') < v_share then 'annotated' else 'verified' end;
end
$$;

-- Puts an item, whose row the caller has locked, into the state that its answers and reviews amount to. One that is not
-- decided stays open (or skipped); `p_reopen` is the state it goes back to when its deciding answer was taken back.
-- `p_actor` is who caused it, for the audit log.
create or replace function labelcrew.settle_item(p_item uuid, p_reopen text default null, p_actor uuid default null)
returns void
language plpgsql set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_item labelcrew.items;
  v_settings jsonb;
  v_final labelcrew.annotations;
  v_draft labelcrew.predictions;
  v_question labelcrew.arbitrations;
  v_answered_by uuid[];
  v_levels int;
  v_agreed bool := true;
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
  if v_final.id is null and cardinality(v_answered_by) >= labelcrew.overlap_of(v_settings) + v_item.extra_overlap then
    if cardinality(v_answered_by) = 1 then
      select * into v_final from labelcrew.annotations where item_id = p_item and current and level = 1;
    else
      select max(v.votes) = count(*) into v_agreed
      from (
        select count(*) over (partition by labelcrew.answer_key(payload)) as votes
        from labelcrew.annotations where item_id = p_item and current and level = 1
      ) v;
      -- What was found by weighing the same answers (labelcrew_api.save_consensus) goes before what most have said.
      select a.* into v_final
      from (
        select x.id, x.number, count(*) over (partition by labelcrew.answer_key(x.payload)) as votes,
          coalesce(labelcrew.same_answer(x.payload, c.payload), false) as weighed
        from labelcrew.annotations x left join labelcrew.item_consensus c
          on c.item_id = x.item_id and c.answers = cardinality(v_answered_by)
        where x.item_id = p_item and x.current and x.level = 1
      ) v join labelcrew.annotations a using (id)
      order by v.weighed desc, v.votes desc, v.number desc limit 1;
    end if;
  end if;

  if v_levels > 1 or v_item.state = 'reviewed' or v_final.level > 1 then
    select * into v_question from labelcrew.arbitrations where item_id = p_item and closed_at is null;
    if v_question.id is not null and (
      v_final.id is null or v_final.level = 3 or (v_question.kind = 'disagreement' and (v_levels < 3 or v_final.level = 1))
    ) then
      update labelcrew.arbitrations set closed_at = v_now where id = v_question.id;
      v_question := null;
    end if;
  end if;
  if v_final.id is not null then
    v_state := case
      when v_question.id is not null then 'reviewed'
      when v_levels = 1 or v_final.level = 3 then 'verified'
      else labelcrew.state_after(v_item, v_final, v_settings, cardinality(v_answered_by), v_agreed)
    end;
    if v_state = 'reviewed' and v_question.id is null then
      insert into labelcrew.arbitrations (item_id, dataset_id, kind, asked_by, review_id, created_at)
      values (p_item, v_item.dataset_id, 'disagreement', v_final.user_id, (
        select id from labelcrew.reviews where correction_id = v_final.id and item_id = p_item
      ), v_now);
    end if;
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
      reserved_for = case when v_final.id is null then reserved_for end,
      reserved_until = case when v_final.id is null then reserved_until end,
      reviewer_id = case when v_state <> 'verified' then reviewer_id end,
      reviewer_until = case when v_state = 'annotated' and reviewer_id is not null
        then v_now + make_interval(secs => labelcrew.setting_of(v_settings, 'return_seconds', 86400)) end,
      updated_at = v_now
  where id = p_item;
  if v_final.id is not null and cardinality(v_item.held) > 0 then
    update labelcrew.leases set ended_at = v_now, ended_by = 'closed'
    where item_id = p_item and ended_at is null and not gold;
  end if;
  if not v_agreed then
    perform labelcrew.note_disagreement(v_item, v_final);
  end if;
  if v_state = 'verified' and (v_item.state <> 'verified' or v_item.annotation_id is distinct from v_final.id) then
    perform labelcrew.record_event(v_item.dataset_id, p_actor, 'item_verified', p_item,
      jsonb_build_object('annotation', v_final.id, 'from', v_item.state));
  end if;
end
$$;
