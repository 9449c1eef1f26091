-- Hints: what is known about one item, in one call; a log of what was said; and what came of it. And the budget of all
-- words that a language model says to people (hints and chat).

-- An item that is to be answered without help: drawn to audit the drafts, or to compare with those that had help; or one
-- that would be drawn so when it is first handed out, because who looks before claiming must not know more. Once it is
-- verified there is nothing left to influence.
create or replace function labelcrew.is_blind(p_item labelcrew.items) returns bool
language sql stable set search_path = ''
as $$
  select (p_item).state <> 'verified' and (
    coalesce((p_item).arm in ('audit', 'blind'), false)
    or (p_item).arm is null and (p_item).token = 0 and labelcrew.draw_of((p_item).id, 'blind') < (
      select labelcrew.share_of(d.settings, 'blind_share', 0.05) from labelcrew.datasets d where d.id = (p_item).dataset_id
    )
  )
$$;

create or replace function labelcrew.refuse_blind(p_item labelcrew.items) returns void
language plpgsql stable set search_path = ''
as $$
begin
  if labelcrew.is_blind(p_item) then
    perform labelcrew.fail('blind-item', 'this item was drawn to be answered without help',
      jsonb_build_object('item', (p_item).id));
  end if;
end
$$;

-- Verified items with their vectors, nearest first. Texts are cut: a hint shows a few lines of each. Items with a known
-- answer are nobody's example: somebody may be tried with them. Made to look rows up one by one: for two dozen rows the
-- planner would otherwise read whole tables.
create or replace function labelcrew.neighbours_json(p_ids uuid[], p_distances float8[]) returns jsonb
language plpgsql stable
set search_path = '' set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'id', i.id, 'seq', i.seq, 'external_id', i.external_id, 'text', left(i.text, 2000), 'payload', a.payload,
      'similarity', 1 - u.distance, 'vector', labelcrew.vector_base64(e.vector)
    ) order by u.n), '[]')
    from unnest(p_ids, p_distances) with ordinality u (id, distance, n)
      join labelcrew.items i on i.id = u.id and i.gold_payload is null
      join labelcrew.annotations a on a.id = i.annotation_id
      join labelcrew.embeddings e on e.item_id = i.id
  );
end
$$;

-- All that a hint is made of. `p_vector` is the item's vector where none is stored yet (384 numbers). Raises
-- `blind-item`.
create or replace function labelcrew_api.get_hint_basis(
  p_actor uuid, p_item uuid, p_vector jsonb default null, p_limit int default 24
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_dataset uuid := labelcrew.require_item(p_actor, p_item);
  v_item labelcrew.items;
  v_of labelcrew.datasets;
  v_vector @extensions@.halfvec(384);
  v_ids uuid[];
  v_distances float8[];
begin
  select * into v_item from labelcrew.items where id = p_item;
  perform labelcrew.refuse_blind(v_item);
  select * into v_of from labelcrew.datasets where id = v_dataset;
  select e.vector into v_vector from labelcrew.embeddings e where e.item_id = p_item;
  if v_vector is null and p_vector is not null then
    if jsonb_typeof(p_vector) is distinct from 'array' or jsonb_array_length(p_vector) <> 384 then
      perform labelcrew.fail('invalid', 'an embedding is a list of 384 numbers');
    end if;
    v_vector := p_vector::text::@extensions@.halfvec(384);
  end if;
  if v_vector is not null then
    select n.o_ids, n.o_distances into v_ids, v_distances
    from labelcrew.nearest_ids(v_dataset, v_vector, least(greatest(p_limit, 1), 200), '{"states": ["verified"]}', p_item) n;
  end if;
  return jsonb_build_object(
    'item', jsonb_build_object('id', v_item.id, 'seq', v_item.seq, 'text', v_item.text, 'state', v_item.state),
    'dataset_id', v_dataset, 'role', labelcrew.role_of(p_actor, v_dataset), 'modality', v_of.modality,
    'guidelines', v_of.guidelines, 'settings', v_of.settings,
    'labelset', (
      select labelcrew.labelset_json(l) from labelcrew.labelsets l
      where l.dataset_id = v_dataset order by l.version desc limit 1
    ),
    'draft', (
      select labelcrew.prediction_json(p) from labelcrew.predictions p where p.id = v_item.draft_id
    ),
    'vector', labelcrew.vector_base64(v_vector),
    'student', (
      select jsonb_build_object('version', s.version, 'labelset_version', s.labelset_version)
      from labelcrew.students s where s.dataset_id = v_dataset order by s.version desc limit 1
    ),
    'verified', coalesce((
      select sum(n) from labelcrew.item_counts where dataset_id = v_dataset and state = 'verified'
    ), 0),
    'neighbours', labelcrew.neighbours_json(v_ids, v_distances)
  );
end
$$;

-- How often, among the newest verified items, a draft said one class and people another: [{drafted, answered, n}].
create or replace function labelcrew_api.count_confusions(p_actor uuid, p_dataset uuid, p_limit int default 2000)
returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  return (
    select coalesce(jsonb_agg(jsonb_build_object('drafted', c.drafted, 'answered', c.answered, 'n', c.n)
      order by c.n desc), '[]')
    from (
      select p.payload -> 'labels' ->> 0 as drafted, a.payload -> 'labels' ->> 0 as answered, count(*) as n
      from (
        select i.draft_id, i.annotation_id from labelcrew.items i
        where i.dataset_id = p_dataset and i.state = 'verified' and i.draft_id is not null
        order by i.updated_at desc limit least(greatest(p_limit, 1), 20000)
      ) i
        join labelcrew.predictions p on p.id = i.draft_id
        join labelcrew.annotations a on a.id = i.annotation_id
      where jsonb_array_length(p.payload -> 'labels') = 1 and jsonb_array_length(a.payload -> 'labels') = 1
        and p.payload -> 'labels' <> a.payload -> 'labels'
      group by 1, 2 order by 3 desc limit 200
    ) c
  );
end
$$;

-- A hint that somebody is about to be shown: {id, examples}. Of the examples it names, those are kept and returned that
-- are verified items of the dataset now: what is cited must be there when it is sent.
create or replace function labelcrew_api.save_hint(p_actor uuid, p_item uuid, p_hint jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_dataset uuid := labelcrew.require_item(p_actor, p_item);
  v_new labelcrew.hints;
begin
  insert into labelcrew.hints (
    item_id, dataset_id, user_id, labelset_version, suggested, probability, examples, lines, worded_by, prompt_hash,
    refused, cost_usd, latency_ms
  )
  select p_item, v_dataset, p_actor, h.labelset_version, h.suggested, h.probability,
    array(
      select i.id from labelcrew.items i
      where i.id = any (h.examples) and i.dataset_id = v_dataset and i.state = 'verified'
    ),
    coalesce(h.lines, '{}'), h.worded_by, h.prompt_hash, coalesce(h.refused, ''), coalesce(h.cost_usd, 0),
    coalesce(h.latency_ms, 0)
  from jsonb_to_record(p_hint) as h (
    labelset_version int, suggested jsonb, probability float8, examples uuid[], lines int[], worded_by text,
    prompt_hash text, refused text, cost_usd numeric, latency_ms float8
  )
  returning * into v_new;
  return jsonb_build_object('id', v_new.id, 'examples', to_jsonb(v_new.examples));
end
$$;

-- What people answered first, each beside what they had seen before: the join of hints with answers. `arm` is blind (no
-- draft, no hint), hinted (asked for a hint before answering) or drafted (saw the draft only), or bare (there was none).
create or replace function labelcrew.hinted_answers(p_dataset uuid, p_since timestamptz)
returns table (
  item_id uuid, user_id uuid, arm text, hint_id uuid, answer jsonb, suggested jsonb, final jsonb, lead_time_ms int
)
language sql stable set search_path = ''
as $$
  select a.item_id, a.user_id,
    case
      when i.arm in ('audit', 'blind') then 'blind' when h.id is not null then 'hinted'
      when p.id is not null then 'drafted' else 'bare'
    end,
    h.id, a.payload, coalesce(h.suggested, p.payload),
    case when f.id is not null and f.user_id <> a.user_id then f.payload end,
    a.lead_time_ms
  from labelcrew.annotations a
    join labelcrew.items i on i.id = a.item_id
    left join labelcrew.predictions p on p.id = i.draft_id
    left join labelcrew.annotations f on f.id = i.annotation_id and i.state = 'verified'
    left join lateral (
      select h.id, h.suggested from labelcrew.hints h
      where h.item_id = a.item_id and h.user_id = a.user_id and h.created_at <= a.created_at
      order by h.number desc limit 1
    ) h on true
  where a.dataset_id = p_dataset and a.level = 1 and a.source = 'human' and a.withdrawn_at is null
    and (p_since is null or a.created_at >= p_since)
    and not exists (
      select from labelcrew.annotations b
      where b.item_id = a.item_id and b.user_id = a.user_id and b.withdrawn_at is null and b.number < a.number
    )
$$;

-- Whether hints help, and whether they pull: for each arm how many answers, how fast, how often as suggested, and how
-- often as others decided in the end (where others did).
create or replace function labelcrew.hint_effect(p_dataset uuid, p_since timestamptz default null) returns jsonb
language sql stable set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'arm', e.arm, 'answers', e.answers, 'median_ms', e.median_ms, 'suggested', e.suggested,
    'as_suggested', e.as_suggested, 'judged', e.judged, 'as_final', e.as_final
  ) order by e.arm), '[]')
  from (
    select arm, count(*) as answers,
      round((percentile_cont(0.5) within group (order by lead_time_ms))::numeric) as median_ms,
      count(suggested) as suggested, count(*) filter (where answer = suggested) as as_suggested,
      count(final) as judged, count(*) filter (where answer = final) as as_final
    from labelcrew.hinted_answers(p_dataset, p_since) group by arm
  ) e
$$;

create or replace function labelcrew_api.get_hint_effect(
  p_actor uuid, p_dataset uuid, p_since timestamptz default null
) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'reviewer');
  return jsonb_build_object(
    'arms', labelcrew.hint_effect(p_dataset, p_since),
    'hints', (select count(*) from labelcrew.hints where dataset_id = p_dataset),
    'cost_usd', coalesce((select cost_usd from labelcrew.guidance_costs where dataset_id = p_dataset), 0)
  );
end
$$;

-- Money -------------------------------------------------------------------------------------------------------------

-- Sets aside what a call may cost at most, if the dataset's `budget_usd` has room for it; {granted, id}. What a call set
-- aside that was never settled is free again after ten minutes: longer than any answer takes.
create or replace function labelcrew_api.reserve_guidance(p_actor uuid, p_dataset uuid, p_usd numeric) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_budget numeric;
  v_spent numeric;
  v_id uuid;
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  insert into labelcrew.guidance_costs (dataset_id) values (p_dataset) on conflict do nothing;
  select c.cost_usd into v_spent from labelcrew.guidance_costs c where c.dataset_id = p_dataset for update;
  select (d.settings ->> 'budget_usd')::numeric into v_budget from labelcrew.datasets d where d.id = p_dataset;
  delete from labelcrew.guidance_reservations r
  where r.dataset_id = p_dataset and r.created_at < labelcrew.now() - interval '10 minutes';
  select v_spent + coalesce(sum(r.usd), 0) into v_spent
  from labelcrew.guidance_reservations r where r.dataset_id = p_dataset;
  if v_budget is not null and v_spent + p_usd > v_budget then
    return jsonb_build_object('granted', false, 'id', null);
  end if;
  insert into labelcrew.guidance_reservations (dataset_id, usd) values (p_dataset, greatest(p_usd, 0)) returning id into v_id;
  return jsonb_build_object('granted', true, 'id', v_id);
end
$$;

-- What a call really cost; what it had set aside is free again. Returns the dataset's total.
create or replace function labelcrew_api.settle_guidance(
  p_actor uuid, p_dataset uuid, p_usd numeric, p_reservation uuid default null
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_total numeric;
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  delete from labelcrew.guidance_reservations where id = p_reservation and dataset_id = p_dataset;
  insert into labelcrew.guidance_costs as c (dataset_id, calls, cost_usd) values (p_dataset, 1, greatest(p_usd, 0))
  on conflict (dataset_id) do update set calls = c.calls + 1, cost_usd = c.cost_usd + excluded.cost_usd
  returning cost_usd into v_total;
  return to_jsonb(v_total);
end
$$;
