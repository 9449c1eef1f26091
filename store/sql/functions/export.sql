-- Export: every item with the answer that counts, as fast as it can be read.

-- Items by seq after `p_after`, up to `p_limit`; `next` is where to go on, null at the end. Filters: {states, labels,
-- sources, min_probability, max_probability}, each optional. `payload` and `source` are of the answer, else of the draft.
-- With `p_compact` each row is a list of values in the order of `columns`. Returns json, not jsonb: the text is sent as it
-- is built, in half the time.
create or replace function labelcrew_api.export_items(
  p_actor uuid, p_dataset uuid, p_filters jsonb default '{}', p_after bigint default 0, p_limit int default 2000,
  p_compact bool default false
) returns json
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_limit int := least(greatest(coalesce(p_limit, 2000), 1), 20000);
  v_filters jsonb := coalesce(jsonb_strip_nulls(p_filters), '{}');
  v_states text[] := case when v_filters ? 'states' then array(select jsonb_array_elements_text(v_filters -> 'states')) end;
  v_labels text[] := case when v_filters ? 'labels' then array(select jsonb_array_elements_text(v_filters -> 'labels')) end;
  v_sources text[] := case when v_filters ? 'sources' then array(select jsonb_array_elements_text(v_filters -> 'sources')) end;
  v_least float8 := (v_filters ->> 'min_probability')::float8;
  v_most float8 := (v_filters ->> 'max_probability')::float8;
  v_ids uuid[];
  v_last bigint;
  v_rows json;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'reviewer');
  select array_agg(g.id order by g.seq), max(g.seq) into v_ids, v_last
  from (
    select i.id, i.seq
    from unnest(coalesce(v_states, labelcrew.item_states())) s (state) cross join lateral (
      select i.id, i.seq from labelcrew.items i
      where i.dataset_id = p_dataset and i.state = s.state and i.seq > p_after
        and (v_labels is null or i.labels && v_labels)
        and (v_sources is null or i.source = any (v_sources))
        and (v_least is null or i.probability >= v_least) and (v_most is null or i.probability <= v_most)
      order by i.seq limit v_limit
    ) i
    order by i.seq limit v_limit
  ) g;
  if p_compact then
    select json_agg(json_build_array(
      i.seq, i.id, i.external_id, i.text, i.metadata, i.state, coalesce(a.payload, p.payload), i.source, i.labels,
      p.probability, p.confidence, p.model, p.rationale, p.route, p.route_reason, p.prompt_hash, p.payload,
      coalesce(a.labelset_version, p.labelset_version), a.user_id, a.level, a.revision, a.lead_time_ms,
      p.cost_usd, a.created_at, i.created_at, i.updated_at
    ) order by i.seq) into v_rows
    from unnest(v_ids) g (id) join labelcrew.items i on i.id = g.id
      left join labelcrew.predictions p on p.id = i.draft_id
      left join labelcrew.annotations a on a.id = i.annotation_id;
  else
    select json_agg(json_build_object(
      'seq', i.seq, 'id', i.id, 'external_id', i.external_id, 'text', i.text, 'metadata', i.metadata, 'state', i.state,
      'payload', coalesce(a.payload, p.payload), 'source', i.source, 'labels', i.labels,
      'probability', p.probability, 'confidence', p.confidence, 'model', p.model, 'rationale', p.rationale,
      'route', p.route, 'route_reason', p.route_reason, 'prompt_hash', p.prompt_hash, 'draft', p.payload,
      'labelset_version', coalesce(a.labelset_version, p.labelset_version),
      'annotator', a.user_id, 'level', a.level, 'revision', a.revision, 'lead_time_ms', a.lead_time_ms,
      'cost_usd', p.cost_usd, 'annotated_at', a.created_at, 'created_at', i.created_at, 'updated_at', i.updated_at
    ) order by i.seq) into v_rows
    from unnest(v_ids) g (id) join labelcrew.items i on i.id = g.id
      left join labelcrew.predictions p on p.id = i.draft_id
      left join labelcrew.annotations a on a.id = i.annotation_id;
  end if;
  return json_build_object(
    'columns', array[
      'seq', 'id', 'external_id', 'text', 'metadata', 'state', 'payload', 'source', 'labels',
      'probability', 'confidence', 'model', 'rationale', 'route', 'route_reason', 'prompt_hash', 'draft',
      'labelset_version', 'annotator', 'level', 'revision', 'lead_time_ms',
      'cost_usd', 'annotated_at', 'created_at', 'updated_at'
    ],
    'rows', coalesce(v_rows, '[]'), 'next', case when cardinality(v_ids) = v_limit then v_last end
  );
end
$$;
