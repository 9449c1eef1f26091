-- Items: taking them in by thousands, listing them in any order at any depth, and telling the story of one.

create or replace function labelcrew.item_states() returns text[]
language sql immutable parallel safe
as $$ select array['new', 'drafted', 'annotated', 'reviewed', 'verified', 'returned', 'skipped', 'auto_accepted'] $$;

-- Shapes. They are written without `set search_path`, and name everything in full, so that Postgres inlines them.

create or replace function labelcrew.prediction_json(p labelcrew.predictions) returns jsonb
language sql stable
as $$
  select case when (p).id is not null then jsonb_build_object(
    'id', (p).id, 'item_id', (p).item_id, 'job_id', (p).job_id, 'payload', (p).payload, 'confidence', (p).confidence,
    'probability', (p).probability, 'alternatives', (p).alternatives, 'rationale', (p).rationale, 'model', (p).model,
    'prompt_hash', (p).prompt_hash, 'labelset_version', (p).labelset_version, 'route', (p).route,
    'route_reason', (p).route_reason, 'error', (p).error, 'created_at', (p).created_at,
    'signals', (p).signals, 'probability_interval', (p).probability_interval,
    'usage', jsonb_build_object(
      'input_tokens', (p).input_tokens, 'cached_tokens', (p).cached_tokens, 'output_tokens', (p).output_tokens,
      'cost_usd', (p).cost_usd, 'latency_ms', (p).latency_ms
    )
  ) end
$$;

create or replace function labelcrew.annotation_json(a labelcrew.annotations) returns jsonb
language sql stable
as $$
  select case when (a).id is not null then jsonb_build_object(
    'id', (a).id, 'item_id', (a).item_id, 'user_id', (a).user_id, 'payload', (a).payload,
    'labelset_version', (a).labelset_version, 'level', (a).level, 'revision', (a).revision, 'current', (a).current,
    'source', (a).source, 'lead_time_ms', (a).lead_time_ms, 'withdrawn_at', (a).withdrawn_at,
    'created_at', (a).created_at
  ) end
$$;

create or replace function labelcrew.item_json(
  i labelcrew.items, p labelcrew.predictions, a labelcrew.annotations
) returns jsonb
language sql stable
as $$
  select jsonb_build_object(
    'id', (i).id, 'dataset_id', (i).dataset_id, 'seq', (i).seq, 'external_id', (i).external_id, 'text', (i).text,
    'metadata', (i).metadata, 'state', (i).state, 'priority', (i).priority, 'arm', (i).arm,
    'licence_id', (i).licence_id, 'tags', (i).tags, 'gold', (i).gold_payload is not null, 'draft', labelcrew.prediction_json(p), 'annotation', labelcrew.annotation_json(a),
    'created_at', (i).created_at, 'updated_at', (i).updated_at
  )
$$;

-- An item as those may see it who are to answer it: what was drawn to be answered unseen comes without its draft, else
-- the answer would lean towards it, and what has a known answer as if nobody had answered it.
create or replace function labelcrew.veiled_json(i labelcrew.items, p_json jsonb) returns jsonb
language sql stable
as $$
  select p_json || case when (i).gold_payload is not null then jsonb_build_object(
      'annotation', null, 'gold', false, 'state', case when (i).draft_id is null then 'new' else 'drafted' end) else '{}' end
    || case when (i).arm in ('audit', 'blind') and ((i).annotation_id is null or (i).gold_payload is not null)
      then '{"draft": null}' else '{}' end::jsonb
$$;

-- Whether `p_actor` is an annotator of the dataset of this item: they see items veiled.
create or replace function labelcrew.sees_veiled(p_actor uuid, p_item uuid) returns bool
language sql stable set search_path = ''
as $$
  select coalesce(labelcrew.role_of(p_actor, (select dataset_id from labelcrew.items where id = p_item)) = 'annotator', false)
$$;

-- Items of one dataset, as `p_actor` may see them; as they are, without one. The plan is made once a connection: making it
-- takes longer than reading one item.
create or replace function labelcrew.items_json(p_items uuid[], p_actor uuid default null) returns jsonb
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan
as $$
declare
  v_veiled bool := p_actor is not null and labelcrew.sees_veiled(p_actor, p_items[1]);
begin
  return (
    select coalesce(jsonb_agg(
      case when v_veiled then labelcrew.veiled_json(i, labelcrew.item_json(i, p, a)) else labelcrew.item_json(i, p, a) end
      order by o.n), '[]')
    from unnest(p_items) with ordinality o (id, n)
      join labelcrew.items i on i.id = o.id
      left join labelcrew.predictions p on p.id = i.draft_id
      left join labelcrew.annotations a on a.id = i.annotation_id
  );
end
$$;

create or replace function labelcrew.item_json_of(p_item uuid, p_actor uuid default null) returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
  return labelcrew.items_json(array[p_item], p_actor) -> 0;
end
$$;

-- The dataset of an item, if `p_actor` has at least the role `p_least` there. The id of somebody else's item is
-- `not-found`, as is one that does not exist.
create or replace function labelcrew.require_item(p_actor uuid, p_item uuid, p_least text default 'annotator') returns uuid
language plpgsql stable set search_path = ''
as $$
declare
  v_dataset uuid;
begin
  select dataset_id into v_dataset from labelcrew.items where id = p_item;
  if v_dataset is null or labelcrew.role_of(p_actor, v_dataset) is null then
    perform labelcrew.fail('not-found', 'no such item', jsonb_build_object('item', p_item));
  end if;
  perform labelcrew.require_role(p_actor, v_dataset, p_least);
  return v_dataset;
end
$$;

-- Taking in -----------------------------------------------------------------------------------------------------------

-- What a call of create_items says about its rows, with the item that each has become.
create or replace function labelcrew.matched_rows(p_dataset uuid, p_rows jsonb)
returns table (n bigint, item_id uuid, annotation jsonb, prediction jsonb)
language sql stable rows 1000 set search_path = ''
as $$
  with r as materialized (
    select t.*, case when t.external_id is null then sha256(convert_to(t.text, 'UTF8')) end as content_hash
    from rows from (
      jsonb_to_recordset(p_rows) as (external_id text, text text, annotation jsonb, prediction jsonb)
    ) with ordinality t (external_id, text, annotation, prediction, n)
  )
  select r.n, i.id, r.annotation, r.prediction
  from r join labelcrew.items i on i.dataset_id = p_dataset and i.external_id = r.external_id
  union all
  select r.n, i.id, r.annotation, r.prediction
  from r join labelcrew.items i on i.dataset_id = p_dataset and i.content_hash = r.content_hash and i.external_id is null
$$;

-- Answers that came with a file, for items that nobody has answered or holds. They count at once, whatever the overlap.
create or replace function labelcrew.import_annotations(p_actor uuid, p_dataset uuid, p_rows jsonb) returns int
language plpgsql set search_path = ''
as $$
declare
  v_labelset labelcrew.labelsets := labelcrew.find_labelset(p_dataset);
  v_now timestamptz := labelcrew.now();
  v_state text;
  v_bad record;
  v_count int;
begin
  select case labelcrew.review_levels_of(settings) when 1 then 'verified' else 'annotated' end into v_state
  from labelcrew.datasets where id = p_dataset;
  select m.n - 1 as index, labelcrew.payload_problem(v_labelset, m.annotation, length(i.text)) as problem into v_bad
  from labelcrew.matched_rows(p_dataset, p_rows) m join labelcrew.items i on i.id = m.item_id
  where m.annotation is not null and labelcrew.payload_problem(v_labelset, m.annotation, length(i.text)) is not null
  order by m.n limit 1;
  if found then
    perform labelcrew.fail('invalid-payload', format('row %s: %s', v_bad.index, v_bad.problem),
      jsonb_build_object('index', v_bad.index));
  end if;
  with given as (
    select distinct on (m.item_id) m.item_id, m.annotation, i.state
    from labelcrew.matched_rows(p_dataset, p_rows) m join labelcrew.items i on i.id = m.item_id
    where m.annotation is not null and i.state in ('new', 'drafted', 'returned', 'skipped')
      and cardinality(i.held) = 0 and cardinality(i.answered_by) = 0
    order by m.item_id, m.n desc
  ), stored as (
    insert into labelcrew.annotations (
      item_id, dataset_id, user_id, payload, labelset_version, level, revision, source, state_before, created_at
    )
    select g.item_id, p_dataset, p_actor, g.annotation, v_labelset.version, 1,
      1 + coalesce((
        select max(a.revision) from labelcrew.annotations a where a.item_id = g.item_id and a.user_id = p_actor
      ), 0),
      'import', g.state, v_now
    from given g
    returning id, item_id, payload
  )
  update labelcrew.items i
  set state = v_state, annotation_id = s.id, labels = labelcrew.labels_of(s.payload), source = 'import',
      answered_by = array[p_actor], updated_at = v_now
  from stored s where i.id = s.item_id;
  get diagnostics v_count = row_count;
  return v_count;
end
$$;

-- Rows: [{external_id?, text, metadata?, annotation?: payload, prediction?: {payload, confidence?, probability?, model?,
-- rationale?}}], at most 50,000. An item is known by its external id, or without one by its text; what is there already
-- stays as it is, but takes an annotation or a prediction that it lacks. One event a call.
create or replace function labelcrew_api.create_items(
  p_actor uuid, p_dataset uuid, p_rows jsonb, p_job uuid default null, p_want_results bool default null
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_total int;
  v_want_results bool;
  v_created int;
  v_created_ids uuid[];
  v_bad bigint;
  v_annotated bool;
  v_predicted bool;
  v_first bigint;
  v_last bigint;
  v_updated int := 0;
  v_results jsonb;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  if jsonb_typeof(p_rows) is distinct from 'array' then
    perform labelcrew.fail('invalid', 'rows are a list of objects');
  end if;
  v_total := jsonb_array_length(p_rows);
  if v_total > 50000 then
    perform labelcrew.fail('too-large', format('%s rows in one call; at most 50000', v_total));
  end if;
  if p_job is not null and not exists (select from labelcrew.jobs where id = p_job and dataset_id = p_dataset) then
    perform labelcrew.fail('not-found', 'no such job', jsonb_build_object('job', p_job));
  end if;
  v_want_results := coalesce(p_want_results, v_total <= 1000);
  perform labelcrew.share_workflow(p_dataset);
  with r as materialized (
    select * from rows from (
      jsonb_to_recordset(p_rows)
        as (external_id text, text text, metadata jsonb, annotation jsonb, prediction jsonb)
    ) with ordinality t (external_id, text, metadata, annotation, prediction, n)
  ), created as (
    insert into labelcrew.items (
      dataset_id, external_id, content_hash, text, metadata, job_id, created_at, updated_at
    )
    select p_dataset, r.external_id, sha256(convert_to(r.text, 'UTF8')), r.text, coalesce(r.metadata, '{}'), p_job,
      v_now, v_now
    from r where r.text is not null order by r.n
    on conflict do nothing
    returning id, seq
  )
  select count(*) filter (where r.annotation is not null) > 0, count(*) filter (where r.prediction is not null) > 0,
    min(r.n) filter (where r.text is null),
    (select count(*) from created), (select min(seq) from created), (select max(seq) from created),
    case when v_want_results then (select array_agg(id) from created) end
  into v_annotated, v_predicted, v_bad, v_created, v_first, v_last, v_created_ids
  from r;
  if v_bad is not null then
    perform labelcrew.fail('invalid', format('row %s has no text', v_bad - 1), jsonb_build_object('index', v_bad - 1));
  end if;
  if v_predicted then
    v_updated := v_updated + labelcrew.import_predictions(p_dataset, p_rows, p_job);
  end if;
  if v_annotated then
    v_updated := v_updated + labelcrew.import_annotations(p_actor, p_dataset, p_rows);
  end if;
  if v_want_results then
    select coalesce(jsonb_agg(jsonb_build_object(
      'index', m.n - 1, 'id', m.item_id, 'created', m.first_use and c.id is not null
    ) order by m.n), '[]')
    into v_results
    from (
      select n, item_id, row_number() over (partition by item_id order by n) = 1 as first_use
      from labelcrew.matched_rows(p_dataset, p_rows)
    ) m left join unnest(v_created_ids) c (id) on c.id = m.item_id;
  end if;
  if v_created > 0 then
    insert into labelcrew.words_pending (dataset_id, first_seq, last_seq) values (p_dataset, v_first, v_last);
  end if;
  perform labelcrew.record_event(p_dataset, p_actor, 'items_created', p_job, jsonb_build_object(
    'created', v_created, 'existing', v_total - v_created, 'labelled', v_updated,
    'first_seq', v_first, 'last_seq', v_last));
  return jsonb_build_object('created', v_created, 'existing', v_total - v_created, 'updated', v_updated)
    || case when v_results is null then '{}' else jsonb_build_object('results', v_results) end;
end
$$;

-- Removes what the job `p_job` created, as far as nobody has worked on it.
create or replace function labelcrew_api.rollback_import(p_actor uuid, p_job uuid) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_dataset uuid;
  v_now timestamptz := labelcrew.now();
  v_deleted bigint;
  v_kept bigint;
begin
  select dataset_id into v_dataset from labelcrew.jobs where id = p_job;
  if v_dataset is null or labelcrew.role_of(p_actor, v_dataset) is null then
    perform labelcrew.fail('not-found', 'no such job', jsonb_build_object('job', p_job));
  end if;
  perform labelcrew.require_role(p_actor, v_dataset, 'admin');
  with untouched as (
    select i.id from labelcrew.items i
    where i.dataset_id = v_dataset and i.job_id = p_job
      and not exists (select from labelcrew.annotations a where a.item_id = i.id and a.source = 'human')
      and not exists (select from unnest(i.held) h where h.until > v_now)
    order by i.seq for update
  )
  delete from labelcrew.items i using untouched u where i.id = u.id;
  get diagnostics v_deleted = row_count;
  select count(*) into v_kept from labelcrew.items where dataset_id = v_dataset and job_id = p_job;
  perform labelcrew.record_event(v_dataset, p_actor, 'import_rolled_back', p_job,
    jsonb_build_object('deleted', v_deleted, 'kept', v_kept));
  return jsonb_build_object('deleted', v_deleted, 'kept', v_kept);
end
$$;

-- What to label next is decided outside (uncertainty, diversity); the queue takes the highest priority first.
-- Rows: [{id, priority}].
create or replace function labelcrew_api.set_priorities(p_actor uuid, p_dataset uuid, p_rows jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_count int;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  perform from labelcrew.items
  where dataset_id = p_dataset and id in (select r.id from jsonb_to_recordset(p_rows) as r (id uuid))
  order by seq for no key update;
  update labelcrew.items i set priority = r.priority
  from jsonb_to_recordset(p_rows) as r (id uuid, priority float8)
  where i.id = r.id and i.dataset_id = p_dataset;
  get diagnostics v_count = row_count;
  perform labelcrew.record_event(p_dataset, p_actor, 'priorities_set', p_dataset, jsonb_build_object('items', v_count));
  return to_jsonb(v_count);
end
$$;

-- Reading ------------------------------------------------------------------------------------------------------------

create or replace function labelcrew_api.get_item(p_actor uuid, p_item uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_item(p_actor, p_item);
  return labelcrew.item_json_of(p_item, p_actor);
end
$$;

-- Everything that happened to an item, newest first. As long as several people are to answer it independently, and where
-- it has a known answer, an annotator sees only their own answers; and no draft of one that is to be answered unseen.
create or replace function labelcrew_api.list_history(p_actor uuid, p_item uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_dataset uuid := labelcrew.require_item(p_actor, p_item);
  v_annotator bool := labelcrew.role_of(p_actor, v_dataset) = 'annotator';
  v_blind bool;
  v_unseen bool;
begin
  select v_annotator and (i.annotation_id is null or i.gold_payload is not null),
    v_annotator and labelcrew.veiled_json(i, '{"draft": 0}') ->> 'draft' is null
  into v_blind, v_unseen
  from labelcrew.items i where i.id = p_item;
  return jsonb_build_object(
    'annotations', (
      select coalesce(jsonb_agg(labelcrew.annotation_json(a) order by a.number desc), '[]')
      from labelcrew.annotations a where a.item_id = p_item and (not v_blind or a.user_id = p_actor)
    ),
    'predictions', (
      select coalesce(jsonb_agg(labelcrew.prediction_json(p) order by p.number desc), '[]')
      from labelcrew.predictions p where p.item_id = p_item and not v_unseen
    ),
    'events', (
      select coalesce(jsonb_agg(labelcrew.event_json(e) order by e.id desc), '[]')
      from labelcrew.events e
      where e.subject_id = p_item and e.dataset_id = v_dataset and (not v_blind or e.actor_id = p_actor)
        and not (v_annotator and e.kind like 'gold%')
    )
  );
end
$$;
