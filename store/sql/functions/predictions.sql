-- Predictions: the drafts of models and files, stored by thousands, good ones and failures alike.

-- Stores rows of the shape schemas.world.Draft and lets the newest good one of each item become its draft. A payload that
-- the labelset does not allow is kept as an error, so that one bad answer never costs the others their batch. Locks the
-- items in the order of their seq, as every bulk write does. Returns the ids in the order of the rows: a row that the job
-- has stored before gives the id of then.
create or replace function labelcrew.store_predictions(p_dataset uuid, p_rows jsonb, p_job uuid)
returns table (o_ids jsonb, o_created int, o_errors int)
language plpgsql set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_newest labelcrew.labelsets := labelcrew.find_labelset(p_dataset);
  v_missing int;
  v_ids uuid[];
  v_items uuid[];
begin
  with wanted as (
    select distinct r.item_id from jsonb_to_recordset(p_rows) as r (item_id uuid)
  ), locked as (
    select i.id from labelcrew.items i join wanted w on w.item_id = i.id
    where i.dataset_id = p_dataset order by i.seq for no key update of i
  )
  select (select count(*) from wanted) - (select count(*) from locked) into v_missing;
  if v_missing <> 0 then
    perform labelcrew.fail('not-found', format('%s of the items are not in this dataset', v_missing),
      jsonb_build_object('dataset', p_dataset));
  end if;
  with r as materialized (
    select * from rows from (
      jsonb_to_recordset(p_rows) as (
        item_id uuid, payload jsonb, confidence float8, probability float8, alternatives jsonb, rationale text, model text,
        prompt_hash text, labelset_version int, route text, route_reason text, usage jsonb, error jsonb, signals jsonb,
        probability_interval float8[]
      )
    ) with ordinality t (
      item_id, payload, confidence, probability, alternatives, rationale, model, prompt_hash, labelset_version, route,
      route_reason, usage, error, signals, probability_interval, n
    )
  ), checked as materialized (
    select r.n, gen_random_uuid() as id, nullif(r.payload, 'null') as payload,
      coalesce(
        nullif(r.error, 'null'),
        (
          select jsonb_build_object('code', 'invalid-payload', 'detail', p.problem)
          from labelcrew.payload_problem(l, nullif(r.payload, 'null'), length(i.text)) p (problem)
          where p.problem is not null
        )
      ) as error
    from r join labelcrew.items i on i.id = r.item_id
      join labelcrew.labelsets l
        on l.dataset_id = p_dataset and l.version = coalesce(r.labelset_version, v_newest.version)
  ), stored as (
    insert into labelcrew.predictions (
      id, item_id, dataset_id, job_id, payload, confidence, probability, alternatives, rationale, model, prompt_hash,
      labelset_version, route, route_reason, input_tokens, cached_tokens, output_tokens, cost_usd, latency_ms, error,
      signals, probability_interval, created_at
    )
    select c.id, r.item_id, p_dataset, p_job, case when c.error is null then c.payload end,
      r.confidence, r.probability, coalesce(nullif(r.alternatives, 'null'), '[]'), coalesce(r.rationale, ''), r.model,
      r.prompt_hash, coalesce(r.labelset_version, v_newest.version), coalesce(r.route, 'llm'), coalesce(r.route_reason, ''),
      coalesce(u.input_tokens, 0), coalesce(u.cached_tokens, 0), coalesce(u.output_tokens, 0), coalesce(u.cost_usd, 0),
      coalesce(u.latency_ms, 0), c.error, coalesce(nullif(r.signals, 'null'), '{}'), r.probability_interval, v_now
    from r join checked c using (n)
      left join lateral jsonb_to_record(case when jsonb_typeof(r.usage) = 'object' then r.usage end) as u (
        input_tokens int, cached_tokens int, output_tokens int, cost_usd numeric, latency_ms float8
      ) on true
    order by r.n
    on conflict (job_id, item_id) where job_id is not null do nothing
    returning id, number, item_id, payload, probability, route
  ), newest as (
    select distinct on (s.item_id) s.* from stored s where s.payload is not null order by s.item_id, s.number desc
  ), drafted as (
    update labelcrew.items i
    set draft_id = w.id, probability = w.probability,
        state = case i.state when 'new' then 'drafted' else i.state end,
        labels = case when i.annotation_id is null then labelcrew.labels_of(w.payload) else i.labels end,
        source = case when i.annotation_id is null then w.route else i.source end,
        updated_at = v_now
    from newest w where i.id = w.item_id
  )
  select count(s.id), count(s.id) filter (where s.payload is null),
    (select array_agg(c.id order by c.n) from checked c), (select array_agg(r.item_id order by r.n) from r)
  into o_created, o_errors, v_ids, v_items
  from stored s;
  if cardinality(v_items) > coalesce(cardinality(v_ids), 0) then
    perform labelcrew.fail('not-found', 'a row names a labelset version that the dataset does not have');
  end if;
  -- What was not stored now was stored by the job before, or by an earlier row.
  select coalesce(jsonb_agg(coalesce(p.id, e.id) order by u.n), '[]') into o_ids
  from unnest(v_ids, v_items) with ordinality u (id, item_id, n)
    left join labelcrew.predictions p on p.id = u.id
    left join labelcrew.predictions e on p.id is null and e.job_id = p_job and e.item_id = u.item_id;
  return next;
end
$$;

-- Predictions that came with the rows of create_items, for items that have no draft yet.
create or replace function labelcrew.import_predictions(p_dataset uuid, p_rows jsonb, p_job uuid) returns int
language plpgsql set search_path = ''
as $$
declare
  v_labelset labelcrew.labelsets := labelcrew.find_labelset(p_dataset);
  v_drafts jsonb;
  v_bad record;
begin
  select m.n - 1 as index, labelcrew.payload_problem(v_labelset, m.prediction -> 'payload', length(i.text)) as problem
  into v_bad
  from labelcrew.matched_rows(p_dataset, p_rows) m join labelcrew.items i on i.id = m.item_id
  where m.prediction is not null
    and labelcrew.payload_problem(v_labelset, m.prediction -> 'payload', length(i.text)) is not null
  order by m.n limit 1;
  if found then
    perform labelcrew.fail('invalid-payload', format('row %s: %s', v_bad.index, v_bad.problem),
      jsonb_build_object('index', v_bad.index));
  end if;
  select jsonb_agg(d.draft) into v_drafts
  from (
    select distinct on (m.item_id)
      '{"model": "import", "route": "import"}'::jsonb || jsonb_strip_nulls(m.prediction)
        || jsonb_build_object('item_id', m.item_id) as draft
    from labelcrew.matched_rows(p_dataset, p_rows) m join labelcrew.items i on i.id = m.item_id
    where m.prediction is not null and i.draft_id is null
    order by m.item_id, m.n desc
  ) d;
  if v_drafts is null then
    return 0;
  end if;
  return (select o_created from labelcrew.store_predictions(p_dataset, v_drafts, p_job));
end
$$;

-- Rows are drafts (schemas.world.Draft). With a job, which takes an admin, a second draft of the same job for an item is
-- a duplicate and changes nothing. One event a call.
create or replace function labelcrew_api.save_predictions(p_actor uuid, p_dataset uuid, p_rows jsonb, p_job uuid default null)
returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_total int;
  v_done record;
begin
  perform labelcrew.require_role(p_actor, p_dataset, case when p_job is null then 'annotator' else 'admin' end);
  if jsonb_typeof(p_rows) is distinct from 'array' then
    perform labelcrew.fail('invalid', 'rows are a list of drafts');
  end if;
  v_total := jsonb_array_length(p_rows);
  if p_job is not null and not exists (select from labelcrew.jobs where id = p_job and dataset_id = p_dataset) then
    perform labelcrew.fail('not-found', 'no such job', jsonb_build_object('job', p_job));
  end if;
  select * into v_done from labelcrew.store_predictions(p_dataset, p_rows, p_job);
  if v_done.o_created > 0 then
    perform labelcrew.record_event(p_dataset, p_actor, 'predictions_saved',
      case when v_total = 1 then (p_rows -> 0 ->> 'item_id')::uuid else p_job end,
      jsonb_build_object('job', p_job, 'model', p_rows -> 0 ->> 'model', 'created', v_done.o_created,
        'errors', v_done.o_errors));
  end if;
  return jsonb_build_object(
    'created', v_done.o_created, 'duplicates', v_total - v_done.o_created, 'errors', v_done.o_errors, 'ids', v_done.o_ids);
end
$$;

-- Newest first; none for an annotator who is to answer the item unseen.
create or replace function labelcrew_api.list_predictions(p_actor uuid, p_item uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_item(p_actor, p_item);
  return (
    select coalesce(jsonb_agg(labelcrew.prediction_json(p) order by p.number desc), '[]')
    from labelcrew.predictions p join labelcrew.items i on i.id = p.item_id
    where p.item_id = p_item and not (
      labelcrew.sees_veiled(p_actor, p_item) and labelcrew.veiled_json(i, '{"draft": 0}') ->> 'draft' is null)
  );
end
$$;

-- The next items of the job's dataset that the job has no prediction for, in the order of their seq; none that a person
-- has answered or skipped unless `p_exclude_human` is false. `p_vectors` adds each embedding as base64 of 384 big-endian
-- half-precision floats, or null.
create or replace function labelcrew_api.next_job_items(
  p_actor uuid, p_job uuid, p_limit int, p_after bigint default 0, p_exclude_human bool default true,
  p_vectors bool default false
) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_dataset uuid;
  v_states text[] := case
    when p_exclude_human then array['new', 'drafted', 'returned']
    else labelcrew.item_states()
  end;
begin
  select dataset_id into v_dataset from labelcrew.jobs where id = p_job;
  if v_dataset is null or labelcrew.role_of(p_actor, v_dataset) is null then
    perform labelcrew.fail('not-found', 'no such job', jsonb_build_object('job', p_job));
  end if;
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'id', x.id, 'seq', x.seq, 'text', x.text, 'metadata', x.metadata, 'external_id', x.external_id
    ) || case when p_vectors then jsonb_build_object('vector', (
      select labelcrew.vector_base64(e.vector) from labelcrew.embeddings e where e.item_id = x.id
    )) else '{}' end order by x.seq), '[]')
    from (
      select i.*
      from unnest(v_states) s (state) cross join lateral (
        select * from labelcrew.items i
        where i.dataset_id = v_dataset and i.state = s.state and i.seq > p_after
          and not (p_exclude_human and cardinality(i.answered_by) > 0)
          and not exists (select from labelcrew.predictions p where p.job_id = p_job and p.item_id = i.id)
        order by i.seq limit least(p_limit, 10000)
      ) i
      order by i.seq limit least(p_limit, 10000)
    ) x
  );
end
$$;
